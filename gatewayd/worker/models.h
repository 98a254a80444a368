/*
 * models.h: GET /v1/models and /v1/models/{model}, as clients of OpenAI, Anthropic and Google know
 * them. What is listed is what the caller's key may use, whoever provides it.
 */
#ifndef GW_WORKER_MODELS_H
#define GW_WORKER_MODELS_H

#include "gatewayd/worker/req.h"

/* Of a route that lists or looks up: that of the same path in the dialect that the caller's head
 * speaks, for the path alone doesn't tell OpenAI's from Anthropic's. Any other route stays. */
const struct route *models_route(const struct req *r);

void models_reply_list(struct req *r);
void models_reply_one(struct req *r);

#endif
