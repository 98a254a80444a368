/*
 * accesslog.h: the one line that each request leaves (DESIGN section 8).
 *
 * Never a prompt, an answer or a secret: only what the gateway itself knows or counted.
 */
#ifndef GW_WORKER_ACCESSLOG_H
#define GW_WORKER_ACCESSLOG_H

#include "gatewayd/worker/req.h"

struct http_error;

void accesslog_request(struct req *r);
/* A head that was refused before there was a request. */
void accesslog_bad_head(const struct conn *c, const char *id_text, const struct http_error *err);

#endif
