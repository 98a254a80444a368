/*
 * req_route.h: from a body to the targets that may answer it.
 */
#ifndef GW_WORKER_REQ_ROUTE_H
#define GW_WORKER_REQ_ROUTE_H

#include "gatewayd/worker/req.h"

/* The ROUTE step: reads the body, applies the model's edits, checks what the key may use and orders
 * the candidates: tier by tier, within a tier drawn by weight, then the fallback models in their
 * order. */
enum req_step req_route_step(struct req *r);
/* The model that the request names, if the key may use it. NULL after req_fail(). */
const struct conf_model *req_route_find_model(struct req *r);
/* Makes the candidates of r->model. False after req_fail(). */
GW_MUSTUSE bool req_route_candidates(struct req *r);
/* The next candidate that wasn't tried; NULL when there is none. */
struct candidate *req_route_next(struct req *r);
/* Whether another credential of the current target, or any other candidate, is untried. */
bool req_route_has_other_credential(const struct req *r);
bool req_route_has_other(const struct req *r);
/* Makes an untried credential of the current target the next one. */
void req_route_prefer_same_target(struct req *r);

#endif
