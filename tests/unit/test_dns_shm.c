/*
 * test_dns_shm.c: names and literals, the table's probe chains, and readers under a writer that
 * changes entries without pause and is killed in the middle of it.
 */
#include "common/check.h"
#include "common/clock.h"
#include "common/dns_shm.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const uint8_t BOOT[16] = "0123456789abcde";

static struct dns_seg *seg_new(void)
{
    void *p =
        mmap(NULL, dns_seg_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(p, MAP_FAILED);
    dns_seg_format(p, BOOT);
    return p;
}

static void seg_free(struct dns_seg *seg)
{
    munmap(seg, dns_seg_bytes());
}

static struct dns_record record_of(const char *host, enum dns_state state, const char *addr)
{
    struct dns_record r = {.state = (uint8_t)state, .expires_mono_us = INT64_MAX};
    r.host_len = (uint8_t)snprintf(r.host, sizeof(r.host), "%s", host);
    if (addr) {
        r.n_addrs = 1;
        r.addr[0].family = strchr(addr, ':') ? 6 : 4;
        assert_int_equal(
            inet_pton(r.addr[0].family == 6 ? AF_INET6 : AF_INET, addr, r.addr[0].bytes), 1);
    }
    return r;
}

static void publish(struct dns_seg *seg, const char *host, enum dns_state state, const char *addr)
{
    struct dns_record r = record_of(host, state, addr);
    assert_int_equal(dns_publish(seg, &r), 0);
}

static const char *text_of(const struct sockaddr_storage *ss)
{
    static char text[INET6_ADDRSTRLEN + 8];
    char addr[INET6_ADDRSTRLEN];
    if (ss->ss_family == AF_INET) {
        const struct sockaddr_in *sin = (const void *)ss;
        snprintf(text, sizeof(text), "%s:%d",
                 inet_ntop(AF_INET, &sin->sin_addr, addr, sizeof(addr)), ntohs(sin->sin_port));
    } else {
        const struct sockaddr_in6 *sin6 = (const void *)ss;
        snprintf(text, sizeof(text), "%s:%d",
                 inet_ntop(AF_INET6, &sin6->sin6_addr, addr, sizeof(addr)), ntohs(sin6->sin6_port));
    }
    return text;
}

static void test_lookup_names(void **state)
{
    struct dns_seg *seg = seg_new();
    publish(seg, "api.example.com", DNS_OK, "192.0.2.7");
    publish(seg, "six.example.com", DNS_STALE, "2001:db8::7");
    publish(seg, "slow.example.com", DNS_RESOLVING, NULL);
    publish(seg, "gone.example.com", DNS_FAILED, NULL);

    static const struct {
        const char *host;
        enum dns_state state;
        const char *first;
    } rows[] = {
        {"api.example.com", DNS_OK, "192.0.2.7:443"},
        {"API.Example.COM.", DNS_OK, "192.0.2.7:443"},
        {"six.example.com", DNS_STALE, "2001:db8::7:443"},
        {"slow.example.com", DNS_RESOLVING, NULL},
        {"gone.example.com", DNS_FAILED, NULL},
        {"other.example.com", DNS_UNKNOWN, NULL},
        {"127.0.0.1", DNS_OK, "127.0.0.1:443"},
        {"[2001:db8::1]", DNS_OK, "2001:db8::1:443"},
        {"2001:db8::1", DNS_OK, "2001:db8::1:443"},
        {"localhost", DNS_OK, "127.0.0.1:443"},
        {"Mock.LocalHost.", DNS_OK, "127.0.0.1:443"},
        {"notlocalhost", DNS_UNKNOWN, NULL},
        {"", DNS_FAILED, NULL},
        {".", DNS_FAILED, NULL},
        {"a..b", DNS_FAILED, NULL},
        {"sp ace", DNS_FAILED, NULL},
        {"evil/../host", DNS_FAILED, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sockaddr_storage out[DNS_MAX_ADDRS];
        unsigned n = 99;
        enum dns_state got = dns_lookup(seg, slice_str(rows[i].host), 443, out, &n);
        if (got != rows[i].state)
            print_error("%s: %s\n", rows[i].host, dns_state_name(got));
        assert_int_equal(got, rows[i].state);
        assert_int_equal(n > 0, rows[i].first != NULL);
        if (rows[i].first)
            assert_string_equal(text_of(&out[0]), rows[i].first);
    }
    seg_free(seg);
}

static void test_expiry_makes_stale(void **state)
{
    struct dns_seg *seg = seg_new();
    struct dns_record r = record_of("a.example", DNS_OK, "192.0.2.1");
    r.expires_mono_us = 2000;
    assert_int_equal(dns_publish(seg, &r), 0);
    struct sockaddr_storage out[DNS_MAX_ADDRS];
    unsigned n;
    clock_fake_set(2000, 0);
    assert_int_equal(dns_lookup(seg, slice_str("a.example"), 1, out, &n), DNS_OK);
    clock_fake_set(2001, 0);
    assert_int_equal(dns_lookup(seg, slice_str("a.example"), 1, out, &n), DNS_STALE);
    assert_int_equal(n, 1);
    clock_fake_set(-1, -1);
    seg_free(seg);
}

static void test_revision_counts_address_changes(void **state)
{
    struct dns_seg *seg = seg_new();
    struct dns_record r;
    publish(seg, "a.example", DNS_OK, "192.0.2.1");
    publish(seg, "a.example", DNS_OK, "192.0.2.1");
    assert_true(dns_read(seg, slice_str("a.example"), &r));
    assert_int_equal(r.revision, 1);
    publish(seg, "a.example", DNS_OK, "192.0.2.2");
    assert_true(dns_read(seg, slice_str("a.example"), &r));
    assert_int_equal(r.revision, 2);
    seg_free(seg);
}

/* Fills the table, empties it, fills it with other names: chains must survive the vacancies. */
static void test_full_table_and_reuse(void **state)
{
    struct dns_seg *seg = seg_new();
    struct dns_record r;
    char host[64];
    for (int i = 0; i < DNS_SLOTS; i++) {
        snprintf(host, sizeof(host), "h%d.example", i);
        publish(seg, host, DNS_OK, "192.0.2.1");
    }
    r = record_of("one.too.many", DNS_OK, NULL);
    assert_int_equal(dns_publish(seg, &r), -1);
    for (int i = 0; i < DNS_SLOTS; i += 2) {
        snprintf(host, sizeof(host), "h%d.example", i);
        dns_forget(seg, slice_str(host));
    }
    for (int i = 0; i < DNS_SLOTS; i++) {
        snprintf(host, sizeof(host), "h%d.example", i);
        assert_int_equal(dns_read(seg, slice_str(host), &r), i % 2 == 1);
    }
    for (int i = 0; i < DNS_SLOTS; i += 2) {
        snprintf(host, sizeof(host), "new%d.example", i);
        publish(seg, host, DNS_OK, "192.0.2.2");
        assert_true(dns_read(seg, slice_str(host), &r));
    }
    seg_free(seg);
}

static void test_check_refuses_foreign_memory(void **state)
{
    struct dns_seg *seg = seg_new();
    struct errbuf e;
    assert_int_equal(dns_seg_check(seg, dns_seg_bytes(), BOOT, &e), 0);
    assert_int_equal(dns_seg_check(seg, dns_seg_bytes() - 1, BOOT, &e), -1);
    assert_int_equal(dns_seg_check(seg, dns_seg_bytes(), (const uint8_t *)"another boot id", &e),
                     -1);
    assert_non_null(strstr(e.msg, "earlier boot"));
    memset(seg, 0x5a, 64);
    assert_int_equal(dns_seg_check(seg, dns_seg_bytes(), BOOT, &e), -1);
    seg_free(seg);
}

/* A record whose every field follows from v: any mixture of two of them is found out. */
static void fill_pattern(struct dns_record *r, uint8_t v)
{
    *r = (struct dns_record){.state = DNS_OK,
                             .expires_mono_us = INT64_MAX - v,
                             .updated_mono_us = v,
                             .n_addrs = DNS_MAX_ADDRS};
    r->host_len = (uint8_t)snprintf(r->host, sizeof(r->host), "pattern.example");
    for (int i = 0; i < DNS_MAX_ADDRS; i++) {
        r->addr[i].family = 6;
        memset(r->addr[i].bytes, v, sizeof(r->addr[i].bytes));
    }
}

static bool pattern_whole(const struct dns_record *r)
{
    uint8_t v = r->addr[0].bytes[0];
    struct dns_record want;
    fill_pattern(&want, v);
    return r->updated_mono_us == v && r->expires_mono_us == INT64_MAX - v &&
           memcmp(want.addr, r->addr, sizeof(want.addr)) == 0 && strcmp(r->host, want.host) == 0;
}

struct reader {
    const struct dns_seg *seg;
    atomic_bool *stop;
    long n_reads, n_torn;
};

static void *reader_main(void *arg)
{
    struct reader *rd = arg;
    do {
        struct dns_record r;
        rd->n_torn += !dns_read(rd->seg, slice_str("pattern.example"), &r) || !pattern_whole(&r);
        rd->n_reads++;
    } while (!atomic_load(rd->stop));
    return NULL;
}

static void test_readers_under_a_writer(void **state)
{
    struct dns_seg *seg = seg_new();
    atomic_bool stop = false;
    struct dns_record r;
    fill_pattern(&r, 1);
    assert_int_equal(dns_publish(seg, &r), 0);
    struct reader rd[2] = {{seg, &stop, 0, 0}, {seg, &stop, 0, 0}};
    pthread_t th[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&th[i], NULL, reader_main, &rd[i]), 0);
    for (int i = 0; i < 200000; i++) {
        fill_pattern(&r, (uint8_t)i);
        assert_int_equal(dns_publish(seg, &r), 0);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++) {
        pthread_join(th[i], NULL);
        assert_true(rd[i].n_reads > 0);
        assert_int_equal(rd[i].n_torn, 0);
    }
    seg_free(seg);
}

/* Wherever the writer dies, the record stays readable and the next writer goes on. */
static void test_writer_killed(void **state)
{
    struct dns_seg *seg = seg_new();
    struct dns_record r;
    fill_pattern(&r, 1);
    assert_int_equal(dns_publish(seg, &r), 0);
    uint32_t revision = 1;
    for (int round = 0; round < 50; round++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            for (unsigned v = 0;; v++) {
                struct dns_record w;
                fill_pattern(&w, (uint8_t)v);
                if (dns_publish(seg, &w) < 0)
                    _exit(1);
            }
        do {
            assert_true(dns_read(seg, slice_str("pattern.example"), &r));
            assert_true(pattern_whole(&r));
        } while (r.revision < revision + 20);
        revision = r.revision;
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_true(dns_read(seg, slice_str("pattern.example"), &r));
        assert_true(pattern_whole(&r));
        revision = GW_MAX(revision, r.revision);
    }
    seg_free(seg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lookup_names),
        cmocka_unit_test(test_expiry_makes_stale),
        cmocka_unit_test(test_revision_counts_address_changes),
        cmocka_unit_test(test_full_table_and_reuse),
        cmocka_unit_test(test_check_refuses_foreign_memory),
        cmocka_unit_test(test_readers_under_a_writer),
        cmocka_unit_test(test_writer_killed),
    };
    return cmocka_run_group_tests_name("dns_shm", tests, NULL, NULL);
}
