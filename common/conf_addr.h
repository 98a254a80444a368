/*
 * conf_addr.h: addresses, networks and URLs of the configuration. Pure; for conf_*.c only.
 *
 * Numeric addresses alone: nothing is looked up. Errors as in conf_value.h.
 */
#ifndef GW_COMMON_CONF_ADDR_H
#define GW_COMMON_CONF_ADDR_H

#include "common/arena.h"
#include "common/conf.h"
#include "common/errbuf.h"

/* "127.0.0.1:8080, [::]:8443 tls, unix:/path": at most CONF_LISTENERS_MAX, none twice. */
GW_MUSTUSE int conf_listeners_read(struct slice text, struct arena *a, struct conf_listeners *out,
                                   struct errbuf *e);
bool conf_listener_eq(const struct conf_listener *x, const struct conf_listener *y);
/* Loopback or a unix socket. */
bool conf_listener_is_local(const struct conf_listener *l);

/* "10.0.0.0/8, ::1": an address alone is a network of one; bits behind the prefix are refused. */
GW_MUSTUSE int conf_cidrs_read(struct slice text, struct arena *a, struct conf_cidrs *out,
                               struct errbuf *e);

/* "http://" or "https://", host, optional port and path; no user, query or fragment. */
GW_MUSTUSE int conf_url_read(struct slice text, struct arena *a, struct conf_url *out,
                             struct errbuf *e);
/* Whether its host is this machine by name or address. */
bool conf_url_is_local(const struct conf_url *u);

#endif
