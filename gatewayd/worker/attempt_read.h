/*
 * attempt_read.h: what attempt.c and attempt_read.c share: the inner life of an attempt.
 */
#ifndef GW_WORKER_ATTEMPT_READ_H
#define GW_WORKER_ATTEMPT_READ_H

#include "gatewayd/worker/attempt.h"

void attempt_set_state(struct attempt *a, enum attempt_state to);
/* Ends a TAIL: gives the connection back and frees the attempt. */
void attempt_end_tail(struct attempt *a, bool reusable);
/* Reads what has arrived and counts it; nothing goes to the client any more. May end the attempt.
 */
void attempt_count_rest(struct attempt *a);

#endif
