/*
 * dns_shm.h: the shared table of resolved addresses: host name -> up to eight addresses.
 *
 * One writer, the keeper; any number of readers, the workers and the admin API. Readers take no
 * lock, make no system call and never wait: each entry holds two copies of its record and a counter
 * that says which of them is published. The writer fills the other copy and then advances the
 * counter, so a reader always finds a whole record, also when the keeper is killed in the middle of
 * a write or is not running at all. A reader that was overtaken reads again.
 *
 * Does not resolve (gatewayd/keeper/dns.c does), does not parse URLs, knows nothing of ports beyond
 * copying the caller's into the answer.
 *
 * Invariants: fixed size, indexes only; a slot that was ever used stays in use or vacant, so that a
 * probe chain never breaks; times are CLOCK_MONOTONIC µs, hence the boot id in the header.
 */
#ifndef GW_COMMON_DNS_SHM_H
#define GW_COMMON_DNS_SHM_H

#include "common/errbuf.h"
#include "common/slice.h"

#include <stdatomic.h>
#include <sys/socket.h>

enum {
    DNS_MAX_ADDRS = 8,
    DNS_HOST_MAX = 253, /* RFC 1035 §2.3.4: 255 octets on the wire, 253 as text */
    DNS_SLOTS = 2048,
};

#define DNS_STATES(X)                                                                              \
    X(UNKNOWN)   /* not in the table: the keeper hasn't been asked for it */                       \
    X(RESOLVING) /* asked for, no answer yet */                                                    \
    X(OK)        /* addresses, fresh */                                                            \
    X(STALE)     /* the last refresh failed or is overdue; the last good addresses are given */    \
    X(FAILED)    /* no address was ever found, or all were refused */
enum dns_state {
#define X(name) DNS_##name,
    DNS_STATES(X)
#undef X
};

#define DNS_ERRORS(X)                                                                              \
    X(NONE, "none")                                                                                \
    X(NXDOMAIN, "name does not exist")                                                             \
    X(NODATA, "name has no address")                                                               \
    X(SERVFAIL, "name servers failed, refused or are unreachable")                                 \
    X(TIMEOUT, "name server did not answer")                                                       \
    X(DENIED, "resolves to an internal address only")                                              \
    X(OTHER, "resolver error")
enum dns_error {
#define X(name, text) DNS_ERR_##name,
    DNS_ERRORS(X)
#undef X
};

const char *dns_state_name(enum dns_state s); /* "ok", "stale", ... */
const char *dns_error_text(enum dns_error e); /* for people */

struct dns_addr {
    uint8_t family; /* 4 or 6; not AF_*, so that the layout is the same everywhere */
    uint8_t pad[3];
    uint32_t scope_id;
    uint8_t bytes[16]; /* network order; the first 4 for IPv4 */
};

/* What one host's entry says. `revision` advances when the address set changes. */
struct dns_record {
    uint64_t hash;           /* 0: vacant */
    int64_t expires_mono_us; /* of the addresses; past it they are stale */
    int64_t updated_mono_us; /* of the last attempt, good or bad */
    uint32_t revision;
    uint8_t state; /* enum dns_state as the writer knows it */
    uint8_t error; /* enum dns_error of the last attempt */
    uint8_t n_addrs;
    uint8_t host_len;
    struct dns_addr addr[DNS_MAX_ADDRS];
    char host[256]; /* lower case, no trailing dot, zero-filled */
};
_Static_assert(sizeof(struct dns_addr) == 24, "shared layout");
_Static_assert(sizeof(struct dns_record) == 480, "shared layout");

struct dns_seg; /* the mapped segment */

/* Bytes of the segment: whoever creates the file or memfd sizes it with this. */
size_t dns_seg_bytes(void);
/* Makes zeroed or foreign memory an empty table. Creator only, before anyone else has it. */
void dns_seg_format(struct dns_seg *seg, const uint8_t boot_id[16]);
/* 0 if mem[0, n_bytes) is a table of this layout and boot; else -1 and why: format it anew. */
GW_MUSTUSE int dns_seg_check(const struct dns_seg *seg, size_t n_bytes, const uint8_t boot_id[16],
                             struct errbuf *e);

/*
 * Addresses of `host`, ready for connect(): out[0, *n), with `port` (host order) filled in, in the
 * order in which they should be tried. *n > 0 exactly in the states OK and STALE.
 * An IP literal ("192.0.2.1", "2001:db8::1", "[2001:db8::1]") is answered at once and never looks
 * at the table; so are "localhost" and names below it (RFC 6761 §6.3). Case and one trailing dot of
 * `host` don't matter. A name that can't be a host name is FAILED.
 */
enum dns_state dns_lookup(const struct dns_seg *seg, struct slice host, uint16_t port,
                          struct sockaddr_storage out[DNS_MAX_ADDRS], unsigned *n);
/* Length of the address as connect() wants it. */
socklen_t dns_sockaddr_len(const struct sockaddr_storage *ss);

/* True where dns_lookup answers without the table: nothing to resolve. */
bool dns_host_is_local(struct slice host);
/* Lower case, without the trailing dot, into out (NUL-terminated); -1 if it can't be a host name.
 */
GW_MUSTUSE int dns_host_normalize(struct slice host, char out[DNS_HOST_MAX + 1]);

/* The whole record, for the admin API and the keeper. False: the host isn't in the table. */
bool dns_read(const struct dns_seg *seg, struct slice host, struct dns_record *out);
/* The record in slot i < DNS_SLOTS; false if that slot is vacant. Walks the table. */
bool dns_read_slot(const struct dns_seg *seg, unsigned i, struct dns_record *out);

/* ---- the writer: one process, one thread ---- */

/* Publishes r under r->host (normalized, host_len set), taking a free slot if the host is new.
 * -1: the table is full. hash and revision are filled in here. */
GW_MUSTUSE int dns_publish(struct dns_seg *seg, struct dns_record *r);
/* Makes the host unknown again. */
void dns_forget(struct dns_seg *seg, struct slice host);

#endif
