/*
 * dns_shm.c: layout, lock-free reader and single writer of the table of resolved addresses.
 *
 * The two-copies-and-a-counter scheme is the one of the Linux kernel's seqcount_latch
 * (Documentation/locking/seqlock.rst), with the copies accessed as relaxed atomic words so that the
 * race between a reader and the writer that overtakes it is defined.
 */
#include "common/dns_shm.h"

#include "common/check.h"
#include "common/clock.h"

#include <arpa/inet.h>
#include <netinet/in.h>

enum {
    DNS_LAYOUT = 1,
    RECORD_WORDS = sizeof(struct dns_record) / sizeof(uint64_t),
    /* A reader is overtaken only while the keeper rewrites one entry twice within the copy of 480
     * bytes; hitting this bound means that the counter is not a counter. */
    READ_TRIES = 1000,
};
static const uint64_t DNS_MAGIC = 0x31534e4457470a0dULL;

struct dns_slot {
    _Atomic uint32_t
        published; /* times published; copy[published & 1] holds the record; 0: never */
    uint32_t pad;
    _Atomic uint64_t copy[2][RECORD_WORDS];
};

struct dns_seg {
    uint64_t magic;
    uint32_t layout;
    uint32_t n_slots;
    uint64_t n_bytes;
    uint8_t boot_id[16];
    uint8_t pad[GW_CACHELINE - 40];
    struct dns_slot slot[DNS_SLOTS];
};
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2,
               "a lock inside an atomic would be private to each process");
_Static_assert(offsetof(struct dns_seg, slot) == GW_CACHELINE, "shared layout");
_Static_assert((DNS_SLOTS & (DNS_SLOTS - 1)) == 0, "the probe masks");

const char *dns_state_name(enum dns_state s)
{
    static const char *const names[] = {
        [DNS_UNKNOWN] = "unknown", [DNS_RESOLVING] = "resolving", [DNS_OK] = "ok",
        [DNS_STALE] = "stale",     [DNS_FAILED] = "failed",
    };
    return (unsigned)s < ARRAY_LEN(names) ? names[s] : "invalid";
}

const char *dns_error_text(enum dns_error e)
{
    static const char *const texts[] = {
#define X(name, text) [DNS_ERR_##name] = text,
        DNS_ERRORS(X)
#undef X
    };
    return (unsigned)e < ARRAY_LEN(texts) ? texts[e] : "invalid";
}

size_t dns_seg_bytes(void)
{
    return sizeof(struct dns_seg);
}

void dns_seg_format(struct dns_seg *seg, const uint8_t boot_id[16])
{
    memset(seg, 0, sizeof(*seg));
    seg->layout = DNS_LAYOUT;
    seg->n_slots = DNS_SLOTS;
    seg->n_bytes = sizeof(*seg);
    memcpy(seg->boot_id, boot_id, sizeof(seg->boot_id));
    seg->magic = DNS_MAGIC;
}

int dns_seg_check(const struct dns_seg *seg, size_t n_bytes, const uint8_t boot_id[16],
                  struct errbuf *e)
{
    if (n_bytes < sizeof(*seg))
        return err_set(e, "dns table: %zu bytes, expected %zu", n_bytes, sizeof(*seg));
    if (seg->magic != DNS_MAGIC)
        return err_set(e, "dns table: no table in this memory");
    if (seg->layout != DNS_LAYOUT || seg->n_slots != DNS_SLOTS || seg->n_bytes != sizeof(*seg))
        return err_set(e, "dns table: layout %u with %u slots, expected layout %d with %d",
                       seg->layout, seg->n_slots, DNS_LAYOUT, DNS_SLOTS);
    if (memcmp(seg->boot_id, boot_id, sizeof(seg->boot_id)) != 0)
        return err_set(e, "dns table: left over from an earlier boot");
    return 0;
}

static uint64_t host_hash(struct slice host)
{
    uint64_t h = slice_hash(host);
    return h ? h : 1;
}

static bool slot_read(const struct dns_slot *slot, struct dns_record *out)
{
    union {
        struct dns_record r;
        uint64_t w[RECORD_WORDS];
    } u;
    for (int try = 0; try < READ_TRIES; try++) {
        uint32_t before = atomic_load_explicit(&slot->published, memory_order_acquire);
        if (before == 0)
            return false;
        for (unsigned i = 0; i < RECORD_WORDS; i++)
            u.w[i] = atomic_load_explicit(&slot->copy[before & 1][i], memory_order_relaxed);
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&slot->published, memory_order_relaxed) == before) {
            *out = u.r;
            return true;
        }
    }
    return !gw_fails(!"dns slot changes faster than it can be read");
}

static bool slot_used(const struct dns_slot *slot)
{
    return atomic_load_explicit(&slot->published, memory_order_acquire) != 0;
}

static void slot_write(struct dns_slot *slot, const struct dns_record *r)
{
    union {
        struct dns_record r;
        uint64_t w[RECORD_WORDS];
    } u = {.r = *r};
    uint32_t now = atomic_load_explicit(&slot->published, memory_order_relaxed);
    uint32_t next = now + 1 ? now + 1 : 2; /* 0 means never; keep the parity */
    /* The previous publication must be visible before its older copy is overwritten. */
    atomic_thread_fence(memory_order_release);
    for (unsigned i = 0; i < RECORD_WORDS; i++)
        atomic_store_explicit(&slot->copy[next & 1][i], u.w[i], memory_order_relaxed);
    atomic_store_explicit(&slot->published, next, memory_order_release);
}

/* Walks the probe chain. Returns the index of the host's slot (and its record in *r), or -1;
 * *vacant is then the first slot that could take it, or -1 if there is none. */
static int find(const struct dns_seg *seg, struct slice host, struct dns_record *r, int *vacant)
{
    uint64_t h = host_hash(host);
    *vacant = -1;
    for (unsigned i = 0; i < DNS_SLOTS; i++) {
        int at = (int)((h + i) & (DNS_SLOTS - 1));
        bool used = slot_used(&seg->slot[at]);
        if (used && !slot_read(&seg->slot[at], r))
            continue;
        if (used && r->hash == h && slice_eq(slice_of(r->host, r->host_len), host))
            return at;
        if ((!used || r->hash == 0) && *vacant < 0)
            *vacant = at;
        if (!used)
            return -1;
    }
    return -1;
}

int dns_host_normalize(struct slice host, char out[DNS_HOST_MAX + 1])
{
    if (host.n && host.p[host.n - 1] == '.')
        host.n--;
    if (host.n == 0 || host.n > DNS_HOST_MAX)
        return -1;
    size_t label = 0;
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        bool upper = c >= 'A' && c <= 'Z';
        bool word = upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
        label = c == '.' ? 0 : label + 1;
        if ((c == '.' && (i == 0 || host.p[i - 1] == '.')) || label > 63)
            return -1;
        if (!word && c != '-' && c != '.')
            return -1;
        out[i] = upper ? (char)(c + 'a' - 'A') : c;
    }
    out[host.n] = '\0';
    return 0;
}

static void sockaddr_v4(struct sockaddr_storage *ss, const void *addr, uint16_t port)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};
    memcpy(&sin.sin_addr, addr, sizeof(sin.sin_addr));
    memset(ss, 0, sizeof(*ss));
    memcpy(ss, &sin, sizeof(sin));
}

static void sockaddr_v6(struct sockaddr_storage *ss, const void *addr, uint32_t scope,
                        uint16_t port)
{
    struct sockaddr_in6 sin6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_scope_id = scope};
    memcpy(&sin6.sin6_addr, addr, sizeof(sin6.sin6_addr));
    memset(ss, 0, sizeof(*ss));
    memcpy(ss, &sin6, sizeof(sin6));
}

socklen_t dns_sockaddr_len(const struct sockaddr_storage *ss)
{
    return ss->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

/* Number of addresses that the host means by itself, without a resolver: a literal or localhost. */
static unsigned local_addrs(struct slice host, uint16_t port, struct sockaddr_storage *out)
{
    if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = slice_of(host.p + 1, host.n - 2);
    char text[DNS_HOST_MAX + 1];
    if (host.n == 0 || host.n >= sizeof(text))
        return 0;
    memcpy(text, host.p, host.n);
    text[host.n] = '\0';
    struct in6_addr addr;
    if (inet_pton(AF_INET, text, &addr) == 1) {
        sockaddr_v4(&out[0], &addr, port);
        return 1;
    }
    if (inet_pton(AF_INET6, text, &addr) == 1) {
        sockaddr_v6(&out[0], &addr, 0, port);
        return 1;
    }
    static const char suffix[] = ".localhost";
    size_t n_suffix = sizeof(suffix) - 1;
    if (host.p[host.n - 1] == '.')
        host.n--;
    if (slice_ieq(host, SLICE_LIT("localhost")) ||
        (host.n > n_suffix &&
         slice_ieq(slice_of(host.p + host.n - n_suffix, n_suffix), slice_of(suffix, n_suffix)))) {
        struct in_addr loopback = {htonl(INADDR_LOOPBACK)};
        sockaddr_v4(&out[0], &loopback, port);
        sockaddr_v6(&out[1], &in6addr_loopback, 0, port);
        return 2;
    }
    return 0;
}

bool dns_host_is_local(struct slice host)
{
    struct sockaddr_storage out[2];
    return local_addrs(host, 0, out) > 0;
}

static enum dns_state effective_state(const struct dns_record *r)
{
    if (r->state == DNS_OK && clock_mono_us() > r->expires_mono_us)
        return DNS_STALE;
    return r->state;
}

enum dns_state dns_lookup(const struct dns_seg *seg, struct slice host, uint16_t port,
                          struct sockaddr_storage out[DNS_MAX_ADDRS], unsigned *n)
{
    *n = local_addrs(host, port, out);
    if (*n)
        return DNS_OK;
    char name[DNS_HOST_MAX + 1];
    if (dns_host_normalize(host, name) < 0)
        return DNS_FAILED;
    struct dns_record r;
    int vacant;
    if (find(seg, slice_str(name), &r, &vacant) < 0)
        return DNS_UNKNOWN;
    for (unsigned i = 0; i < GW_MIN(r.n_addrs, (uint8_t)DNS_MAX_ADDRS); i++) {
        if (r.addr[i].family == 4)
            sockaddr_v4(&out[(*n)++], r.addr[i].bytes, port);
        else
            sockaddr_v6(&out[(*n)++], r.addr[i].bytes, r.addr[i].scope_id, port);
    }
    return effective_state(&r);
}

bool dns_read(const struct dns_seg *seg, struct slice host, struct dns_record *out)
{
    char name[DNS_HOST_MAX + 1];
    int vacant;
    if (dns_host_normalize(host, name) < 0 || find(seg, slice_str(name), out, &vacant) < 0)
        return false;
    out->state = (uint8_t)effective_state(out);
    return true;
}

bool dns_read_slot(const struct dns_seg *seg, unsigned i, struct dns_record *out)
{
    GW_REQUIRE(i < DNS_SLOTS);
    if (!slot_read(&seg->slot[i], out) || out->hash == 0)
        return false;
    out->state = (uint8_t)effective_state(out);
    return true;
}

static bool same_addrs(const struct dns_record *a, const struct dns_record *b)
{
    return a->n_addrs == b->n_addrs &&
           memcmp(a->addr, b->addr, a->n_addrs * sizeof(a->addr[0])) == 0;
}

int dns_publish(struct dns_seg *seg, struct dns_record *r)
{
    GW_REQUIRE(r->host_len > 0 && r->host_len <= DNS_HOST_MAX && r->n_addrs <= DNS_MAX_ADDRS);
    struct slice host = slice_of(r->host, r->host_len);
    struct dns_record old;
    int vacant;
    int at = find(seg, host, &old, &vacant);
    if (at < 0 && vacant < 0)
        return -1;
    r->hash = host_hash(host);
    r->revision = at >= 0 ? old.revision + !same_addrs(&old, r) : 1;
    slot_write(&seg->slot[at >= 0 ? at : vacant], r);
    return 0;
}

void dns_forget(struct dns_seg *seg, struct slice host)
{
    struct dns_record r;
    int vacant;
    int at = find(seg, host, &r, &vacant);
    if (at >= 0)
        slot_write(&seg->slot[at], &(struct dns_record){0});
}
