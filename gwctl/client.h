/*
 * client.h: HTTP to the daemon's admin API, over its unix socket or TCP. The one home of libcurl in
 * gwctl.
 */
#ifndef GW_GWCTL_CLIENT_H
#define GW_GWCTL_CLIENT_H

#include "common/buf.h"
#include "common/errbuf.h"

struct client;

enum client_result {
    CLIENT_OK,     /* an answer came, whatever its status */
    CLIENT_DOWN,   /* nobody listens there */
    CLIENT_DENIED, /* the socket may not be used by this user */
    CLIENT_FAILED, /* anything else */
};

/* Whether it is an http:// or https:// URL with a host. */
GW_MUSTUSE int client_check_url(const char *url, struct errbuf *e);

/* socket_path or url (the other NULL). The token is sent as a bearer token; NULL: none. ca_file:
 * PEM certificates that an https URL is checked against; NULL: the system's. */
struct client *client_new(const char *socket_path, const char *url, const char *token,
                          const char *ca_file);
void client_free(struct client *c);
/* body NULL: none. The answer's body is appended to *out (bounded by its maximum). No redirect is
 * followed and no proxy used. */
enum client_result client_call(struct client *c, const char *method, const char *path,
                               const struct buf *body, long *status, struct buf *out,
                               struct errbuf *e);

#endif
