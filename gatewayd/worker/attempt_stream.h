/*
 * attempt_stream.h: the STREAM state of an attempt.
 */
#ifndef GW_WORKER_ATTEMPT_STREAM_H
#define GW_WORKER_ATTEMPT_STREAM_H

#include "gatewayd/worker/attempt.h"

/* The head of a stream has come. */
void attempt_stream_begin(struct attempt *a);
/* Bytes of its body, framing and all, in the worker's scratch: the framing is taken out in place.
 */
void attempt_stream_feed(struct attempt *a, char *p, size_t n);
/* The body ended with the connection, as its framing allows. */
void attempt_stream_closed(struct attempt *a);
/* Stops reading while the client lags behind. */
void attempt_pause_if_slow(struct attempt *a);

#endif
