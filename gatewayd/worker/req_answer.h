/*
 * req_answer.h: the way of an answer to the client: whole, or event by event, or as an error.
 */
#ifndef GW_WORKER_REQ_ANSWER_H
#define GW_WORKER_REQ_ANSWER_H

#include "gatewayd/worker/req.h"

/* The attempt has ended: answer, try again, or give up. Changes the state. */
void req_answer_attempt_ended(struct req *r);
/* No candidate is left to be tried. */
void req_answer_exhausted(struct req *r);

/* Events of a stream, complete and in order. The first call writes the head: the commit point.
 * False when the client can't be reached; the attempt is to be ended then. */
bool req_answer_stream(struct req *r, struct slice events);
/* What may stand between events and says nothing: only for its being sent. */
void req_answer_ping(struct req *r);
/* Ends a stream as its protocol demands, `last` being its final events (may be empty). */
bool req_answer_stream_end(struct req *r, struct slice last);

/* [model] response_model = alias: the caller's name as a JSON string (in the request's arena),
 * which stands in place of the provider's in answers; else n = 0. */
struct slice req_answer_alias(struct req *r);

#endif
