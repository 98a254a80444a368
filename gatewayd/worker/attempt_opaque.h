/*
 * attempt_opaque.h: the OPAQUE state of an attempt: an answer that is neither JSON nor events
 * (audio, subtitles, files) goes to the client as it comes.
 *
 * Nothing in it is read, so what it costs is counted by its bytes. It may be tried again until its
 * first byte has gone out; cut after that, it ends uncleanly at the client too: short of its
 * Content-Length, or without the last chunk.
 */
#ifndef GW_WORKER_ATTEMPT_OPAQUE_H
#define GW_WORKER_ATTEMPT_OPAQUE_H

#include "gatewayd/worker/attempt.h"

/* Bytes of the body, framing and all, in the worker's scratch: the framing is taken out in place.
 */
void attempt_opaque_feed(struct attempt *a, char *p, size_t n);
/* The body ended with the connection, as its framing allows. */
void attempt_opaque_closed(struct attempt *a);

#endif
