/*
 * dns.h: resolves the host names of the configuration and keeps the shared table fresh.
 *
 * The keeper's half of common/dns_shm.h: workers only read what this publishes. Each name is looked
 * up in the hosts file first, then with the name servers of resolv.conf (UDP, TCP when an answer is
 * cut), again when its time to live ends, and with a growing delay while it fails; the last good
 * addresses stay published meanwhile. Both files are read again when they change: that is looked
 * for every few seconds, and at each reload. A name with a dot is looked up as it is; only single
 * labels use the search list.
 *
 * Runs on the keeper's loop and never blocks it. Literals and localhost need no resolver and are
 * skipped.
 */
#ifndef GW_KEEPER_DNS_H
#define GW_KEEPER_DNS_H

#include "common/dns_shm.h"

#include <event2/event.h>

struct dns;

/* What tests change; production passes NULL. Zero or NULL: the default. */
struct dns_options {
    const char *servers;    /* "127.0.0.1:5353,..." instead of resolv.conf's */
    const char *hosts_path; /* instead of /etc/hosts */
    int64_t ttl_floor_us, ttl_ceiling_us;
    int64_t retry_min_us, retry_max_us;
    int query_timeout_ms;
};

/* A name that the configuration uses. */
struct dns_want {
    struct slice host;
    bool internal; /* its provider may live on the operator's own network */
};

/* Returns owned, or NULL and *e. The segment is borrowed and must outlive it. */
struct dns *dns_new(struct event_base *base, struct dns_seg *seg, const struct dns_options *opt,
                    struct errbuf *e);
void dns_free(struct dns *d);

/*
 * The names to keep, all of them: new ones are resolved at once, known ones stay as they are, and
 * the others leave the table. A name is internal if any of its mentions is. While a generation is
 * being built the set is that of both generations. Names that can't be host names are skipped (the
 * configuration refuses them).
 */
void dns_want(struct dns *d, const struct dns_want *want, size_t n);

/* Reads resolv.conf and the hosts file again and resolves everything anew. */
void dns_reload(struct dns *d);
/* The same if one of the files has changed. */
void dns_check_files(struct dns *d);

#endif
