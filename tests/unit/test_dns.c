/*
 * test_dns.c: the resolver against a name server of its own on loopback, scripted by name, UDP and
 * TCP; the hosts file; and the address policy.
 */
#include "common/check.h"
#include "common/clock.h"
#include "gatewayd/keeper/dns.h"
#include "gatewayd/keeper/dns_policy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { TYPE_A = 1, TYPE_AAAA = 28, RCODE_SERVFAIL = 2, RCODE_NXDOMAIN = 3 };

/* What the server says of a name; a test changes it while it runs. */
struct zone_row {
    const char *name;
    const char *a[2];
    const char *aaaa;
    uint32_t ttl_s;
    int rcode;
    bool truncate_udp; /* the answer is only given over TCP */
    bool silent;
    int asked; /* A queries */
};

struct server {
    struct event_base *base;
    int udp, tcp;
    uint16_t port;
    struct event *udp_ev, *tcp_ev, *tcp_conn_ev;
    struct zone_row *zone;
    int n_udp, n_tcp;
    char last_name[256];
};

struct world {
    struct event_base *base;
    struct dns_seg *seg;
    struct server srv;
    struct dns *dns;
    char servers[32];
    char hosts_path[64];
};

static size_t put_rr(uint8_t *p, uint16_t type, uint32_t ttl, const void *data, uint16_t n)
{
    const uint8_t head[] = {0xc0,
                            12,
                            0,
                            (uint8_t)type,
                            0,
                            1,
                            (uint8_t)(ttl >> 24),
                            (uint8_t)(ttl >> 16),
                            (uint8_t)(ttl >> 8),
                            (uint8_t)ttl,
                            0,
                            (uint8_t)n};
    memcpy(p, head, sizeof(head));
    memcpy(p + sizeof(head), data, n);
    return sizeof(head) + n;
}

/* Answers the one question of q into out (RFC 1035 §4.1). 0: says nothing. */
static size_t answer(struct server *s, const uint8_t *q, size_t n, uint8_t *out, bool tcp)
{
    char *name = s->last_name;
    size_t at = 12, len = 0;
    while (at < n && q[at]) {
        len += (size_t)snprintf(name + len, 256 - len, "%s%.*s", len ? "." : "", q[at],
                                (const char *)q + at + 1);
        at += q[at] + 1u;
    }
    name[len] = '\0';
    int type = q[at + 1] << 8 | q[at + 2];
    size_t end = at + 5;
    struct zone_row *z = s->zone;
    while (z->name && strcasecmp(z->name, name) != 0)
        z++;
    z->asked += type == TYPE_A;
    if (z->silent)
        return 0;
    memcpy(out, q, end);
    bool cut = z->truncate_udp && !tcp;
    out[2] = (uint8_t)(0x81 | (cut ? 2 : 0));
    out[3] = (uint8_t)(0x80 | (z->name ? z->rcode : RCODE_NXDOMAIN));
    memset(out + 6, 0, 6);
    size_t w = end;
    uint8_t bin[16];
    for (int i = 0; !cut && type == TYPE_A && i < 2 && z->a[i]; i++, out[7]++) {
        inet_pton(AF_INET, z->a[i], bin);
        w += put_rr(out + w, TYPE_A, z->ttl_s, bin, 4);
    }
    if (!cut && type == TYPE_AAAA && z->aaaa) {
        inet_pton(AF_INET6, z->aaaa, bin);
        w += put_rr(out + w, TYPE_AAAA, z->ttl_s, bin, 16);
        out[7]++;
    }
    return w;
}

static void on_udp(evutil_socket_t fd, short what, void *arg)
{
    struct server *s = arg;
    uint8_t q[512], out[1024];
    struct sockaddr_storage from;
    socklen_t from_len = sizeof(from);
    ssize_t n = recvfrom(fd, q, sizeof(q), 0, (struct sockaddr *)&from, &from_len);
    s->n_udp++;
    size_t w = n > 12 ? answer(s, q, (size_t)n, out, false) : 0;
    if (w)
        assert_true(sendto(fd, out, w, 0, (struct sockaddr *)&from, from_len) == (ssize_t)w);
}

/* Queries are small and come whole; the connection ends with the client or with the server. */
static void on_tcp_query(evutil_socket_t fd, short what, void *arg)
{
    struct server *s = arg;
    uint8_t q[2 + 512], out[2 + 1024];
    ssize_t n = recv(fd, q, 2, MSG_WAITALL);
    if (n == 2)
        n = recv(fd, q + 2, (size_t)(q[0] << 8 | q[1]), MSG_WAITALL);
    if (n <= 12) {
        event_free(s->tcp_conn_ev);
        s->tcp_conn_ev = NULL;
        close(fd);
        return;
    }
    s->n_tcp++;
    size_t w = answer(s, q + 2, (size_t)n, out + 2, true);
    out[0] = (uint8_t)(w >> 8);
    out[1] = (uint8_t)w;
    assert_true(send(fd, out, w + 2, MSG_NOSIGNAL) == (ssize_t)(w + 2));
}

static void on_tcp(evutil_socket_t fd, short what, void *arg)
{
    struct server *s = arg;
    int c = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    assert_true(c >= 0 && !s->tcp_conn_ev);
    s->tcp_conn_ev = event_new(s->base, c, EV_READ | EV_PERSIST, on_tcp_query, s);
    event_add(s->tcp_conn_ev, NULL);
}

static int bound_socket(int type, uint16_t *port)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(*port)};
    socklen_t len = sizeof(sin);
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    if (bind(fd, (struct sockaddr *)&sin, len) < 0) {
        close(fd);
        return -1;
    }
    getsockname(fd, (struct sockaddr *)&sin, &len);
    *port = ntohs(sin.sin_port);
    return fd;
}

static void server_open(struct server *s, struct event_base *base, struct zone_row *zone)
{
    s->base = base;
    s->zone = zone;
    do { /* the same port must be free for both */
        s->port = 0;
        s->udp = bound_socket(SOCK_DGRAM, &s->port);
        s->tcp = bound_socket(SOCK_STREAM, &s->port);
        if (s->tcp < 0)
            close(s->udp);
    } while (s->tcp < 0);
    assert_int_equal(listen(s->tcp, 8), 0);
    s->udp_ev = event_new(base, s->udp, EV_READ | EV_PERSIST, on_udp, s);
    s->tcp_ev = event_new(base, s->tcp, EV_READ | EV_PERSIST, on_tcp, s);
    event_add(s->udp_ev, NULL);
    event_add(s->tcp_ev, NULL);
}

static void write_hosts(struct world *w, const char *text)
{
    FILE *f = fopen(w->hosts_path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static struct dns_options options_of(const struct world *w)
{
    return (struct dns_options){.servers = w->servers,
                                .hosts_path = w->hosts_path,
                                .ttl_floor_us = 20000,
                                .ttl_ceiling_us = 50000,
                                .retry_min_us = 10000,
                                .retry_max_us = 40000,
                                .query_timeout_ms = 60};
}

static void world_open(struct world *w, struct zone_row *zone)
{
    static const uint8_t boot[16];
    *w = (struct world){.base = event_base_new()};
    w->seg = mmap(NULL, dns_seg_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    dns_seg_format(w->seg, boot);
    server_open(&w->srv, w->base, zone);
    snprintf(w->servers, sizeof(w->servers), "127.0.0.1:%u", w->srv.port);
    snprintf(w->hosts_path, sizeof(w->hosts_path), "/tmp/gw-test-hosts-XXXXXX");
    int fd = mkstemp(w->hosts_path);
    assert_true(fd >= 0);
    close(fd);
    struct dns_options opt = options_of(w);
    struct errbuf e;
    w->dns = dns_new(w->base, w->seg, &opt, &e);
    assert_non_null(w->dns);
}

static void world_close(struct world *w)
{
    dns_free(w->dns);
    event_free(w->srv.udp_ev);
    event_free(w->srv.tcp_ev);
    if (w->srv.tcp_conn_ev) {
        close(event_get_fd(w->srv.tcp_conn_ev));
        event_free(w->srv.tcp_conn_ev);
    }
    close(w->srv.udp);
    close(w->srv.tcp);
    unlink(w->hosts_path);
    munmap(w->seg, dns_seg_bytes());
    event_base_free(w->base);
}

/* Runs the loop until the host is in that state (and, if given, has that first address). */
static void run_until(struct world *w, const char *host, enum dns_state want, const char *addr)
{
    struct dns_record r = {0};
    int64_t deadline = clock_mono_us() + 10 * 1000000;
    for (;;) {
        char text[INET6_ADDRSTRLEN] = "";
        enum dns_state got = DNS_UNKNOWN;
        if (dns_read(w->seg, slice_str(host), &r)) {
            got = r.state;
            if (r.n_addrs)
                inet_ntop(r.addr[0].family == 4 ? AF_INET : AF_INET6, r.addr[0].bytes, text,
                          sizeof(text));
        }
        if (got == want && (!addr || strcmp(addr, text) == 0))
            return;
        if (clock_mono_us() > deadline)
            fail_msg("%s is %s %s, expected %s %s", host, dns_state_name(got), text,
                     dns_state_name(want), addr ? addr : "");
        event_base_loop(w->base, EVLOOP_ONCE);
    }
}

static void want_one(struct world *w, const char *host, bool internal)
{
    struct dns_want want = {slice_str(host), internal};
    dns_want(w->dns, &want, 1);
}

static enum dns_error error_of(struct world *w, const char *host)
{
    struct dns_record r;
    assert_true(dns_read(w->seg, slice_str(host), &r));
    return r.error;
}

static void test_resolves_and_refreshes(void **state)
{
    struct zone_row zone[] = {{.name = "api.example", .a = {"203.0.113.1"}, .ttl_s = 1}, {0}};
    struct world w;
    world_open(&w, zone);
    want_one(&w, "API.example", false);
    struct dns_record r;
    assert_true(dns_read(w.seg, slice_str("api.example"), &r));
    assert_int_equal(r.state, DNS_RESOLVING);
    run_until(&w, "api.example", DNS_OK, "203.0.113.1");
    zone[0].a[0] = "203.0.113.2"; /* the time to live ends and it is asked for again */
    run_until(&w, "api.example", DNS_OK, "203.0.113.2");
    assert_true(zone[0].asked >= 2);
    assert_string_equal(w.srv.last_name, "api.example");
    want_one(&w, "127.0.0.1", false); /* the other name is no longer wanted */
    assert_false(dns_read(w.seg, slice_str("api.example"), &r));
    assert_false(dns_read(w.seg, slice_str("127.0.0.1"), &r));
    world_close(&w);
}

static void test_last_good_is_kept(void **state)
{
    struct zone_row zone[] = {{.name = "a.example", .a = {"203.0.113.1"}, .aaaa = "2001:4860::1"},
                              {0}};
    struct world w;
    world_open(&w, zone);
    want_one(&w, "a.example", false);
    run_until(&w, "a.example", DNS_OK, NULL);
    struct dns_record r;
    dns_read(w.seg, slice_str("a.example"), &r);
    assert_int_equal(r.n_addrs, 2);
    static const struct {
        int rcode;
        bool silent;
        enum dns_error error;
    } faults[] = {{RCODE_NXDOMAIN, false, DNS_ERR_NXDOMAIN},
                  {RCODE_SERVFAIL, false, DNS_ERR_SERVFAIL},
                  {0, true, DNS_ERR_TIMEOUT}};
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        zone[0] = (struct zone_row){
            .name = "a.example", .rcode = faults[i].rcode, .silent = faults[i].silent};
        run_until(&w, "a.example", DNS_STALE, NULL);
        while (error_of(&w, "a.example") != faults[i].error)
            event_base_loop(w.base, EVLOOP_ONCE);
        dns_read(w.seg, slice_str("a.example"), &r);
        assert_int_equal(r.n_addrs, 2);
    }
    zone[0] = (struct zone_row){.name = "a.example", .a = {"203.0.113.9"}};
    run_until(&w, "a.example", DNS_OK, "203.0.113.9");
    world_close(&w);
}

static void test_never_resolved(void **state)
{
    struct zone_row zone[] = {{.name = "empty.example"}, {0}};
    struct world w;
    world_open(&w, zone);
    const struct dns_want want[] = {{SLICE_LIT("empty.example"), false},
                                    {SLICE_LIT("nowhere.example"), false}};
    dns_want(w.dns, want, 2);
    run_until(&w, "empty.example", DNS_FAILED, NULL);
    run_until(&w, "nowhere.example", DNS_FAILED, NULL);
    assert_int_equal(error_of(&w, "empty.example"), DNS_ERR_NODATA);
    assert_int_equal(error_of(&w, "nowhere.example"), DNS_ERR_NXDOMAIN);
    world_close(&w);
}

static void test_falls_back_to_tcp(void **state)
{
    struct zone_row zone[] = {{.name = "big.example", .a = {"203.0.113.1"}, .truncate_udp = true},
                              {0}};
    struct world w;
    world_open(&w, zone);
    want_one(&w, "big.example", false);
    run_until(&w, "big.example", DNS_OK, "203.0.113.1");
    assert_true(w.srv.n_tcp > 0);
    world_close(&w);
}

static void test_hosts_file_comes_first(void **state)
{
    struct zone_row zone[] = {{.name = "h.example", .a = {"203.0.113.1"}}, {0}};
    struct world w;
    world_open(&w, zone);
    write_hosts(&w, "# a comment\n10.1.2.3\tother.example  H.Example # trailing\n"
                    "not-an-address h.example\n\n2001:db8::5 h.example");
    dns_reload(w.dns);
    want_one(&w, "h.example", false);
    run_until(&w, "h.example", DNS_OK, "10.1.2.3"); /* private, but the operator's own word */
    struct dns_record r;
    dns_read(w.seg, slice_str("h.example"), &r);
    assert_int_equal(r.n_addrs, 2);
    assert_int_equal(w.srv.n_udp, 0);
    write_hosts(&w, "");
    dns_reload(w.dns);
    run_until(&w, "h.example", DNS_OK, "203.0.113.1");
    world_close(&w);
}

static void test_internal_answers(void **state)
{
    struct zone_row zone[] = {{.name = "evil.example", .a = {"10.0.0.1"}},
                              {.name = "mixed.example", .a = {"127.0.0.1", "203.0.113.1"}},
                              {.name = "meta.example", .a = {"169.254.169.254"}},
                              {0}};
    struct world w;
    world_open(&w, zone);
    const struct dns_want want[] = {{SLICE_LIT("evil.example"), false},
                                    {SLICE_LIT("mixed.example"), false},
                                    {SLICE_LIT("meta.example"), true}};
    dns_want(w.dns, want, 3);
    run_until(&w, "evil.example", DNS_FAILED, NULL);
    assert_int_equal(error_of(&w, "evil.example"), DNS_ERR_DENIED);
    run_until(&w, "mixed.example", DNS_OK, "203.0.113.1");
    run_until(&w, "meta.example", DNS_FAILED, NULL);
    want_one(&w, "evil.example", true); /* now its provider is marked */
    run_until(&w, "evil.example", DNS_OK, "10.0.0.1");
    world_close(&w);
}

/* A keeper that starts again publishes no worse than what it finds. */
static void test_restart_keeps_addresses(void **state)
{
    struct zone_row zone[] = {{.name = "a.example", .a = {"203.0.113.1"}}, {0}};
    struct world w;
    world_open(&w, zone);
    want_one(&w, "a.example", false);
    run_until(&w, "a.example", DNS_OK, "203.0.113.1");
    dns_free(w.dns);
    zone[0].silent = true;
    struct dns_options opt = options_of(&w);
    struct errbuf e;
    w.dns = dns_new(w.base, w.seg, &opt, &e);
    assert_non_null(w.dns);
    want_one(&w, "a.example", false);
    struct sockaddr_storage out[DNS_MAX_ADDRS];
    unsigned n;
    enum dns_state st = dns_lookup(w.seg, slice_str("a.example"), 443, out, &n);
    assert_true(st == DNS_OK || st == DNS_STALE);
    assert_int_equal(n, 1);
    run_until(&w, "a.example", DNS_STALE, "203.0.113.1");
    world_close(&w);
}

/* More names than run at once, and a reload while they are being asked for. */
static void test_many_names_and_reload_in_flight(void **state)
{
    struct zone_row zone[] = {{.name = NULL, .silent = true}};
    struct world w;
    world_open(&w, zone);
    char names[100][32];
    struct dns_want want[100];
    for (int i = 0; i < 100; i++) {
        snprintf(names[i], sizeof(names[i]), "n%d.example", i);
        want[i] = (struct dns_want){slice_str(names[i]), false};
    }
    dns_want(w.dns, want, 100);
    while (w.srv.n_udp == 0)
        event_base_loop(w.base, EVLOOP_ONCE);
    dns_reload(w.dns);
    zone[0].silent = false;
    for (int i = 0; i < 100; i++)
        run_until(&w, names[i], DNS_FAILED, NULL);
    dns_want(w.dns, want, 0);
    world_close(&w);
}

static void test_policy(void **state)
{
    static const struct {
        const char *addr;
        bool refused, refused_internal;
    } rows[] = {
        {"203.0.113.1", false, false},
        {"8.8.8.8", false, false},
        {"127.0.0.1", true, false},
        {"127.255.255.255", true, false},
        {"126.255.255.255", false, false},
        {"10.0.0.0", true, false},
        {"11.0.0.0", false, false},
        {"172.15.255.255", false, false},
        {"172.16.0.0", true, false},
        {"172.31.255.255", true, false},
        {"172.32.0.0", false, false},
        {"192.168.255.255", true, false},
        {"100.63.255.255", false, false},
        {"100.64.0.0", true, false},
        {"100.127.255.255", true, false},
        {"100.128.0.0", false, false},
        {"169.254.169.254", true, true},
        {"0.0.0.0", true, true},
        {"224.0.0.1", true, true},
        {"255.255.255.255", true, true},
        {"2001:4860::8888", false, false},
        {"::", true, true},
        {"::1", true, false},
        {"fc00::1", true, false},
        {"fdff::1", true, false},
        {"fd00:ec2::254", true, true},
        {"fe80::1", true, true},
        {"febf::1", true, true},
        {"ff02::1", true, true},
        {"::ffff:127.0.0.1", true, false},
        {"::ffff:8.8.8.8", false, false},
        {"64:ff9b::a9fe:a9fe", true, true},
        {"64:ff9b::808:808", false, false},
        {"2002:7f00:1::", true, false},
        {"2002:a9fe:a9fe::1", true, true},
        {"2001:0:1::1", true, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct dns_addr a = {.family = strchr(rows[i].addr, ':') ? 6 : 4};
        assert_int_equal(inet_pton(a.family == 6 ? AF_INET6 : AF_INET, rows[i].addr, a.bytes), 1);
        if ((dns_policy_refuses(&a, false) != NULL) != rows[i].refused ||
            (dns_policy_refuses(&a, true) != NULL) != rows[i].refused_internal)
            fail_msg("%s", rows[i].addr);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resolves_and_refreshes),
        cmocka_unit_test(test_last_good_is_kept),
        cmocka_unit_test(test_never_resolved),
        cmocka_unit_test(test_falls_back_to_tcp),
        cmocka_unit_test(test_hosts_file_comes_first),
        cmocka_unit_test(test_internal_answers),
        cmocka_unit_test(test_restart_keeps_addresses),
        cmocka_unit_test(test_many_names_and_reload_in_flight),
        cmocka_unit_test(test_policy),
    };
    return cmocka_run_group_tests_name("dns", tests, NULL, NULL);
}
