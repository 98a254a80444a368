/*
 * reply.h: what the gateway itself says to a client: heads of all answers, and whole answers of its
 * own.
 *
 * Errors are in the caller's dialect and name no host, credential or internal address. Every answer
 * carries the request id; what a retry would mean is said by x-should-retry (see DESIGN: true only
 * where nothing was sent to a provider, false where a try may have been billed).
 */
#ifndef GW_WORKER_REPLY_H
#define GW_WORKER_REPLY_H

#include "gatewayd/worker/req.h"

struct http_error;

enum { REPLY_HEAD_BYTES = 8192 };

enum reply_framing { REPLY_LENGTH, REPLY_CHUNKED, REPLY_UNTIL_CLOSE };

struct reply_head {
    int status;
    struct slice content_type;
    enum reply_framing framing;
    uint64_t length; /* with REPLY_LENGTH */
    /* Written as they are, each with its CRLF; from the provider's answer or for one kind of reply.
     */
    struct slice extra;
};

/* Writes the head of an answer to r into out. Decides about keep-alive (r->conn->close_after). The
 * whole head, or {NULL, 0} if it doesn't fit, which only configured names of absurd length can
 * cause. */
struct slice reply_write_head(struct req *r, const struct reply_head *h,
                              char out[REPLY_HEAD_BYTES]);

/* A complete answer with a JSON body; sets status and bytes_to_client. */
void reply_json(struct req *r, int status, struct slice json);
/* The error object of the route's dialect, from r->status, r->code and r->detail. */
void reply_error(struct req *r, const char *param);
/* A head that can't even be parsed: there is no request yet. head: what has come of it; the dialect
 * is told by the start of its target. */
void reply_bad_head(struct conn *c, struct slice head, const struct http_error *err);
enum { REPLY_OVERLOAD_BYTES = 1024 };
/* A whole 503 for a connection that isn't taken: there will be no request. */
struct slice reply_overload(char out[REPLY_OVERLOAD_BYTES]);
/* RFC 9110's word for a status. */
const char *reply_status_text(int status);

/* Routes that no provider is asked for: health, and models.h. */
void reply_local(struct req *r);
/* An estimate of the request's input tokens, for models none of whose providers can count: nobody
 * is asked, nothing is billed. */
void reply_count(struct req *r);
/* A CORS preflight (Fetch standard, "CORS-preflight request"), if the request is one and the origin
 * is allowed. */
bool reply_preflight(struct req *r);

#endif
