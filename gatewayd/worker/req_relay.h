/*
 * req_relay.h: where a relayed request goes that names no model: a moderation, an image of the
 * provider's default model, whatever is about an object and not about a model.
 *
 * A provider is found for it: the one that the caller names in x-gw-provider; else [gateway]
 * relay_provider; else the first provider of default_model that offers the operation; else the only
 * one that does. The key must reach it: by a model that it may use and that has a target there, or,
 * without a list of models, because of `direct` or relay_provider.
 */
#ifndef GW_WORKER_REQ_RELAY_H
#define GW_WORKER_REQ_RELAY_H

#include "gatewayd/worker/req.h"

/* The provider, as a model without a name whose one target has no upstream model; in the request's
 * arena. NULL after req_fail(). */
const struct conf_model *req_relay_model(struct req *r);
/* The same for a provider that is known, with one of its credentials or (NULL) all that aren't for
 * certain models only. NULL after req_fail(). */
const struct conf_model *req_relay_to(struct req *r, const struct conf_provider *p,
                                      const struct conf_credential *only);
/* Whether the request's key reaches a provider without naming a model. */
bool req_relay_may_reach(struct req *r, const struct conf_provider *p);

#endif
