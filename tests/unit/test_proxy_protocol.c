/*
 * test_proxy_protocol.c: versions 1 and 2, whole, cut and broken.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/slice.h"
#include "gatewayd/http/proxy_protocol.h"

struct row {
    struct slice in;
    enum proxy_protocol_result result;
    const char *src; /* "ip port"; NULL: no addresses */
};

#define ROW(in, ...)                                                                               \
    {                                                                                              \
        {in, sizeof(in) - 1}, __VA_ARGS__                                                          \
    }
#define SIG "\r\n\r\n\0\r\nQUIT\n"

static void print(const union proxy_protocol_addr *a, char out[80])
{
    char ip[INET6_ADDRSTRLEN];
    bool v4 = a->sa.sa_family == AF_INET;
    inet_ntop(a->sa.sa_family, v4 ? (void *)&a->in.sin_addr : (void *)&a->in6.sin6_addr, ip,
              sizeof ip);
    snprintf(out, 80, "%s %u", ip, ntohs(v4 ? a->in.sin_port : a->in6.sin6_port));
}

static void headers(void **state)
{
    static const struct row rows[] = {
        ROW("PROXY TCP4 1.2.3.4 5.6.7.8 111 443\r\n", PROXY_PROTOCOL_OK, "1.2.3.4 111"),
        ROW("PROXY TCP6 2001:db8::1 ::1 65535 0\r\n", PROXY_PROTOCOL_OK, "2001:db8::1 65535"),
        ROW("PROXY UNKNOWN\r\n", PROXY_PROTOCOL_OK, NULL),
        ROW("PROXY UNKNOWN ffff:: ffff:: 1 2\r\n", PROXY_PROTOCOL_OK, NULL),
        ROW("PROXY TCP4 1.2.3.4 5.6.7.8 111\r\n", PROXY_PROTOCOL_BAD, NULL),
        ROW("PROXY TCP4 1.2.3.4 5.6.7.8 111 443 1\r\n", PROXY_PROTOCOL_BAD, NULL),
        ROW("PROXY TCP4  1.2.3.4 5.6.7.8 111 443\r\n", PROXY_PROTOCOL_BAD, NULL),
        ROW("PROXY TCP4 1.2.3.4 5.6.7.8 111 443 \r\n", PROXY_PROTOCOL_BAD, NULL),
        ROW("PROXY TCP4 1.2.3 5.6.7.8 111 443\r\n", PROXY_PROTOCOL_BAD, NULL),
        ROW("PROXY TCP4 ::1 ::1 111 443\r\n", PROXY_PROTOCOL_BAD, NULL),
        ROW("PROXY TCP6 1.2.3.4 5.6.7.8 111 443\r\n", PROXY_PROTOCOL_BAD, NULL),
        ROW("PROXY TCP4 1.2.3.4 5.6.7.8 0111 443\r\n", PROXY_PROTOCOL_BAD, NULL),
        ROW("PROXY TCP4 1.2.3.4 5.6.7.8 65536 443\r\n", PROXY_PROTOCOL_BAD, NULL),
        ROW("PROXY TCP4 1.2.3.4 5.6.7.8 -1 443\r\n", PROXY_PROTOCOL_BAD, NULL),
        ROW("PROXY TCP4 1.2.3.4\0 5.6.7.8 1 443\r\n", PROXY_PROTOCOL_BAD, NULL),
        ROW("PROXY TCP5 1.2.3.4 5.6.7.8 111 443\r\n", PROXY_PROTOCOL_BAD, NULL),
        ROW("PROXY TCP4 1.2.3.4 5.6.7.8 111 443\n", PROXY_PROTOCOL_BAD, NULL),
        ROW("PROXY \r\n", PROXY_PROTOCOL_BAD, NULL),
        ROW("PROXY \n", PROXY_PROTOCOL_BAD, NULL),
        ROW("GET / HTTP/1.1\r\n", PROXY_PROTOCOL_BAD, NULL),
        ROW("P", PROXY_PROTOCOL_MORE, NULL),
        ROW("", PROXY_PROTOCOL_MORE, NULL),
        ROW("\r\n\r\nX", PROXY_PROTOCOL_BAD, NULL),
        ROW(SIG "\x21\x11\x00\x0c\x01\x02\x03\x04\x05\x06\x07\x08\x00\x6f\x01\xbb",
            PROXY_PROTOCOL_OK, "1.2.3.4 111"),
        ROW(SIG "\x21\x11\x00\x0f\x01\x02\x03\x04\x05\x06\x07\x08\x00\x6f\x01\xbb\x04\x00\x00",
            PROXY_PROTOCOL_OK, "1.2.3.4 111"),
        ROW(SIG "\x21\x21\x00\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
                "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x6f\x01\xbb",
            PROXY_PROTOCOL_OK, "2001:db8::1 111"),
        ROW(SIG "\x20\x00\x00\x00", PROXY_PROTOCOL_OK, NULL),
        ROW(SIG "\x20\x11\x00\x02xx", PROXY_PROTOCOL_OK, NULL),
        ROW(SIG "\x21\x00\x00\x00", PROXY_PROTOCOL_OK, NULL),
        ROW(SIG "\x21\x31\x00\x01x", PROXY_PROTOCOL_OK, NULL),
        ROW(SIG "\x21\x11\x00\x0b\x01\x02\x03\x04\x05\x06\x07\x08\x00\x6f\x01", PROXY_PROTOCOL_BAD,
            NULL),
        ROW(SIG "\x21\x12\x00\x0c\x01\x02\x03\x04\x05\x06\x07\x08\x00\x6f\x01\xbb",
            PROXY_PROTOCOL_BAD, NULL),
        ROW(SIG "\x21\x41\x00\x01x", PROXY_PROTOCOL_BAD, NULL),
        ROW(SIG "\x22\x11\x00\x00", PROXY_PROTOCOL_BAD, NULL),
        ROW(SIG "\x11\x11\x00\x00", PROXY_PROTOCOL_BAD, NULL),
        ROW(SIG "\x21\x11\x10\x01", PROXY_PROTOCOL_BAD, NULL),
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct proxy_protocol pp;
        char text[80];
        enum proxy_protocol_result res = proxy_protocol_parse(rows[i].in.p, rows[i].in.n, &pp);
        if (res != rows[i].result)
            fail_msg("row %zu: %d", i, res);
        if (res != PROXY_PROTOCOL_OK)
            continue;
        assert_int_equal(pp.len, rows[i].in.n);
        assert_int_equal(pp.has_addresses, rows[i].src != NULL);
        if (pp.has_addresses) {
            print(&pp.src, text);
            assert_string_equal(text, rows[i].src);
        }
        for (size_t n = 0; n < rows[i].in.n; n++) {
            char *cut = malloc(n + 1);
            memcpy(cut, rows[i].in.p, n);
            assert_int_equal(proxy_protocol_parse(cut, n, &pp), PROXY_PROTOCOL_MORE);
            free(cut);
        }
    }
}

static void destination_is_read_too(void **state)
{
    struct slice v1 = SLICE_LIT("PROXY TCP4 1.2.3.4 5.6.7.8 111 443\r\nGET /");
    struct proxy_protocol pp;
    char text[80];
    assert_int_equal(proxy_protocol_parse(v1.p, v1.n, &pp), PROXY_PROTOCOL_OK);
    print(&pp.dst, text);
    assert_string_equal(text, "5.6.7.8 443");
    assert_int_equal(pp.len, v1.n - 5);
}

static void a_line_of_version_1_is_bounded(void **state)
{
    char in[200];
    struct proxy_protocol pp;
    memset(in, 'x', sizeof in);
    memcpy(in, "PROXY UNKNOWN ", 14);
    assert_int_equal(proxy_protocol_parse(in, 106, &pp), PROXY_PROTOCOL_MORE);
    assert_int_equal(proxy_protocol_parse(in, 107, &pp), PROXY_PROTOCOL_BAD);
    memcpy(in + 105, "\r\n", 2);
    assert_int_equal(proxy_protocol_parse(in, sizeof in, &pp), PROXY_PROTOCOL_OK);
    assert_int_equal(pp.len, 107);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers),
        cmocka_unit_test(destination_is_read_too),
        cmocka_unit_test(a_line_of_version_1_is_bounded),
    };
    return cmocka_run_group_tests_name("proxy_protocol", tests, NULL, NULL);
}
