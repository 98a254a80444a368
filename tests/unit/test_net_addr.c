/*
 * test_net_addr.c: addresses as text, networks, and the client behind proxies.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "gatewayd/net/addr.h"
#include "gatewayd/net/cidr.h"

static void addresses(void **state)
{
    static const struct {
        const char *in, *out; /* out NULL: refused */
        bool loopback;
    } rows[] = {
        {"127.0.0.1:8080", "127.0.0.1:8080", true},
        {"0.0.0.0:0", "0.0.0.0:0", false},
        {"[::]:8443", "[::]:8443", false},
        {"[::1]:1", "[::1]:1", true},
        {"[::ffff:127.0.0.1]:1", "127.0.0.1:1", true},
        {"localhost:80", "127.0.0.1:80", true},
        {"*:80", "0.0.0.0:80", false},
        {"unix:/run/gatewayd/admin.sock", "unix:/run/gatewayd/admin.sock", false},
        {"", NULL, false},
        {"127.0.0.1", NULL, false},
        {"[::1]", NULL, false},
        {"127.0.0.1:", NULL, false},
        {"127.0.0.1:65536", NULL, false},
        {"127.0.0.1:8x", NULL, false},
        {"127.0.0.1:+8", NULL, false},
        {"127.0.0:80", NULL, false},
        {"::1:80", NULL, false},
        {"[::1:80", NULL, false},
        {"[::1]80", NULL, false},
        {"[127.0.0.1]:80", NULL, false},
        {"example.com:80", NULL, false},
        {":80", NULL, false},
        {"unix:", NULL, false},
        {"unix:relative", NULL, false},
        {"unix:/0123456789012345678901234567890123456789012345678901234567890123456789012345678901"
         "23456789012345678901234567",
         NULL, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct net_addr a;
        struct errbuf err = {""};
        char text[NET_ADDR_TEXT_BYTES];
        int rc = net_addr_parse(slice_str(rows[i].in), &a, &err);
        if ((rc == 0) != (rows[i].out != NULL))
            fail_msg("%s: %d %s", rows[i].in, rc, err.msg);
        if (rc < 0) {
            assert_true(err.msg[0] != '\0');
            continue;
        }
        assert_string_equal(net_addr_format(&a, text), rows[i].out);
        assert_int_equal(net_addr_is_loopback(&a), rows[i].loopback);
        assert_true(net_addr_eq(&a, &a));
    }
}

static void host_and_port(void **state)
{
    static const struct {
        const char *in, *host;
        int port; /* -1: malformed */
    } rows[] = {
        {"a", "a", 0},      {"a:1", "a", 1},     {"[::1]", "::1", 0}, {"[::1]:99", "::1", 99},
        {"a:", NULL, -1},   {":1", NULL, -1},    {"", NULL, -1},      {"[::1]x", NULL, -1},
        {"[::1", NULL, -1}, {"a:b:1", NULL, -1}, {"[]:1", NULL, -1},  {"a:70000", NULL, -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct slice host;
        uint16_t port;
        int rc = net_hostport_split(slice_str(rows[i].in), &host, &port);
        assert_int_equal(rc, rows[i].port < 0 ? -1 : 0);
        if (rc == 0) {
            assert_true(slice_eq_str(host, rows[i].host));
            assert_int_equal(port, rows[i].port);
        }
    }
}

static bool listed(const char *list, const char *ip)
{
    struct cidr_list l;
    struct net_addr a;
    struct errbuf err;
    assert_int_equal(cidr_list_parse(slice_str(list), &l, &err), 0);
    assert_int_equal(net_addr_parse_ip(slice_str(ip), &a), 0);
    bool has = cidr_list_has(&l, &a);
    cidr_list_release(&l);
    return has;
}

static void networks(void **state)
{
    static const struct {
        const char *list, *ip;
        bool has;
    } rows[] = {
        {"10.0.0.0/8", "10.255.0.1", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.0.0.0/8", "::ffff:10.1.2.3", true},
        {"::ffff:10.0.0.0/104", "10.1.2.3", true},
        {"10.0.0.0/8", "::10.1.2.3", false},
        {"192.168.1.128/25", "192.168.1.127", false},
        {"192.168.1.128/25", "192.168.1.128", true},
        {"0.0.0.0/0", "1.2.3.4", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
        {"0.0.0.0/0, ::/0", "2001:db8::1", true},
        {" 1.2.3.4 ,5.6.7.8", "5.6.7.8", true},
        {"1.2.3.4", "1.2.3.5", false},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"", "1.2.3.4", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (listed(rows[i].list, rows[i].ip) != rows[i].has)
            fail_msg("%s in %s", rows[i].ip, rows[i].list);
}

static void broken_networks(void **state)
{
    static const char *const rows[] = {
        "10.0.0.1/8",  "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1",    "10.0.0.0/8/8",    "10.0.0/8",
        "example.com", "1.2.3.4,",    ",1.2.3.4",  "2001:db8::/129", "1.2.3.4 5.6.7.8",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct cidr_list l;
        struct errbuf err = {""};
        assert_int_equal(cidr_list_parse(slice_str(rows[i]), &l, &err), -1);
        assert_int_equal(l.n, 0);
        assert_null(l.v);
        assert_true(err.msg[0] != '\0');
    }
}

static void a_unix_socket_is_in_no_network(void **state)
{
    struct cidr_list l;
    struct net_addr a;
    assert_int_equal(cidr_list_parse(SLICE_LIT("::/0"), &l, NULL), 0);
    assert_int_equal(net_addr_parse(SLICE_LIT("unix:/x"), &a, NULL), 0);
    assert_false(cidr_list_has(&l, &a));
    cidr_list_release(&l);
}

static void clients_behind_proxies(void **state)
{
    static const struct {
        const char *peer, *xff[2];
        const char *client;
    } rows[] = {
        {"9.9.9.9", {"1.1.1.1"}, "9.9.9.9"},
        {"10.0.0.1", {NULL}, "10.0.0.1"},
        {"10.0.0.1", {"1.1.1.1"}, "1.1.1.1"},
        {"10.0.0.1", {"6.6.6.6, 1.1.1.1"}, "1.1.1.1"},
        {"10.0.0.1", {"6.6.6.6,1.1.1.1 , 10.0.0.2"}, "1.1.1.1"},
        {"10.0.0.1", {"6.6.6.6, 1.1.1.1", "10.0.0.2"}, "1.1.1.1"},
        {"10.0.0.1", {"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
        {"10.0.0.1", {"1.1.1.1:4711"}, "1.1.1.1"},
        {"10.0.0.1", {"[2001:db8::1]:4711"}, "2001:db8::1"},
        {"10.0.0.1", {"[2001:db8::1]"}, "2001:db8::1"},
        {"10.0.0.1", {"2001:db8::1"}, "2001:db8::1"},
        {"10.0.0.1", {"1.1.1.1, unknown"}, "10.0.0.1"},
        {"10.0.0.1", {"1.1.1.1, unknown, 10.0.0.2"}, "10.0.0.2"},
        {"10.0.0.1", {"1.1.1.1,"}, "10.0.0.1"},
        {"10.0.0.1", {""}, "10.0.0.1"},
        {"::ffff:10.0.0.1", {"1.1.1.1"}, "1.1.1.1"},
    };
    struct cidr_list trusted;
    assert_int_equal(cidr_list_parse(SLICE_LIT("10.0.0.0/8"), &trusted, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct net_addr peer, client;
        struct slice xff[2] = {slice_str(rows[i].xff[0]), slice_str(rows[i].xff[1])};
        char text[NET_ADDR_TEXT_BYTES];
        assert_int_equal(net_addr_parse_ip(slice_str(rows[i].peer), &peer), 0);
        size_t n = rows[i].xff[1] ? 2 : rows[i].xff[0] ? 1 : 0;
        cidr_client_address(&trusted, &peer, xff, n, &client);
        net_addr_format_ip(&client, text);
        if (strcmp(text, rows[i].client) != 0)
            fail_msg("row %zu: %s, expected %s", i, text, rows[i].client);
    }
    cidr_list_release(&trusted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
        cmocka_unit_test(host_and_port),
        cmocka_unit_test(networks),
        cmocka_unit_test(broken_networks),
        cmocka_unit_test(a_unix_socket_is_in_no_network),
        cmocka_unit_test(clients_behind_proxies),
    };
    return cmocka_run_group_tests_name("net_addr", tests, NULL, NULL);
}
