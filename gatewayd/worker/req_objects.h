/*
 * req_objects.h: requests about objects that providers keep (relay.h: makes, uses, deletes, lists).
 *
 * What a request is about decides where it goes: to the credential that made it. A new object goes
 * where its input is, or to the target of the model that its requests name, or to the provider for
 * requests without a model. A list is asked of one credential after the other, a page at a time,
 * and only what is the caller's is passed on.
 */
#ifndef GW_WORKER_REQ_OBJECTS_H
#define GW_WORKER_REQ_OBJECTS_H

#include "gatewayd/worker/req.h"

/* The provider, and where it is known its credential, as a model (req_relay.h). NULL: the request
 * has been ended, by an error or, an empty list, by its answer. */
const struct conf_model *req_objects_model(struct req *r);
/* The candidates are known: a batch's input gets the model's name upstream. False after
 * req_fail(). */
GW_MUSTUSE bool req_objects_prepare(struct req *r);
/* The provider has answered about an object. False: the answer isn't for the client, the request
 * goes on (the next page of a list) or has been failed. */
GW_MUSTUSE bool req_objects_answered(struct req *r, struct attempt *a);

/* Bytes of a file on their way to the client: the output of a batch says what it has used. */
void req_objects_content(struct req *r, struct slice data);

#endif
