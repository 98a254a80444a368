/*
 * test_admin.c: the command table, who may do what, and that the table and its OpenAPI description
 * say the same.
 */
#include "gatewayd/keeper/admin_auth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <arpa/inet.h>

#include <cmocka.h>

static const char OPENAPI[] = "docs/admin-api.yaml";

/* ---- the table ---- */

static void test_every_row_is_whole(void **state)
{
    for (size_t i = 0; i < admin_route_count; i++) {
        const struct admin_route *r = &admin_routes[i];
        assert_non_null(r->handler);
        assert_true(r->role > ADMIN_ROLE_NONE && r->role <= ADMIN_ROLE_ADMIN);
        /* Nothing that changes anything may be a GET, or open to those who may only look. */
        if (r->method != HTTP_M_GET)
            assert_int_equal(r->role, ADMIN_ROLE_ADMIN);
        if (strncmp(r->path, "/admin/", 7) == 0)
            assert_true(r->role >= ADMIN_ROLE_VIEWER);
        assert_false(r->method == HTTP_M_GET && r->where == ADMIN_ON_WRITER);
        for (size_t j = 0; j < i; j++)
            assert_false(admin_routes[j].method == r->method &&
                         strcmp(admin_routes[j].path, r->path) == 0);
    }
}

static void test_match(void **state)
{
    static const struct {
        enum http_method_id method;
        const char *path;
        enum admin_match match;
        const char *found; /* template, or what is allowed */
        const char *param;
    } rows[] = {
        {HTTP_M_GET, "/admin/v1/status", ADMIN_MATCH_FOUND, "/admin/v1/status", NULL},
        {HTTP_M_HEAD, "/admin/v1/status", ADMIN_MATCH_FOUND, "/admin/v1/status", NULL},
        {HTTP_M_GET, "/admin/v1/keys/key_1", ADMIN_MATCH_FOUND, "/admin/v1/keys/{id}", "key_1"},
        {HTTP_M_POST, "/admin/v1/keys/key_1/rotate", ADMIN_MATCH_FOUND,
         "/admin/v1/keys/{id}/rotate", "key_1"},
        {HTTP_M_POST, "/admin/v1/keys/import", ADMIN_MATCH_FOUND, "/admin/v1/keys/import", NULL},
        {HTTP_M_GET, "/admin/v1/reload", ADMIN_MATCH_NO_METHOD, "POST", NULL},
        {HTTP_M_PUT, "/admin/v1/keys", ADMIN_MATCH_NO_METHOD, "GET, POST", NULL},
        {HTTP_M_GET, "/admin/v1/keys/", ADMIN_MATCH_NO_PATH, "", NULL},
        {HTTP_M_GET, "/admin/v1/keys/a/b", ADMIN_MATCH_NO_PATH, "", NULL},
        {HTTP_M_GET, "/admin/v1", ADMIN_MATCH_NO_PATH, "", NULL},
        {HTTP_M_GET, "/admin/v1/statusx", ADMIN_MATCH_NO_PATH, "", NULL},
        {HTTP_M_GET, "admin/v1/status", ADMIN_MATCH_NO_PATH, "", NULL},
        {HTTP_M_GET, "/", ADMIN_MATCH_NO_PATH, "", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct admin_route *r = NULL;
        struct slice param[ADMIN_PARAMS_MAX] = {{NULL, 0}};
        char allow[64];
        enum admin_match m =
            admin_route_match(rows[i].method, slice_str(rows[i].path), &r, param, allow);
        assert_int_equal(m, rows[i].match);
        if (m == ADMIN_MATCH_FOUND)
            assert_string_equal(r->path, rows[i].found);
        else
            assert_string_equal(allow, rows[i].found);
        if (rows[i].param)
            assert_true(slice_eq_str(param[0], rows[i].param));
    }
}

/* ---- who may ---- */

static struct admin_policy policy_of(const char *admin, const char *viewer, const char *metrics)
{
    const char *const tokens[] = {
        [ADMIN_ROLE_METRICS] = metrics, [ADMIN_ROLE_VIEWER] = viewer, [ADMIN_ROLE_ADMIN] = admin};
    struct admin_policy p = {.has_group = true, .group = 4242};
    for (size_t r = ADMIN_ROLE_METRICS; r < ARRAY_LEN(tokens); r++)
        if (tokens[r]) {
            p.token[r].set = true;
            crypto_sha256(tokens[r], strlen(tokens[r]), p.token[r].digest);
        }
    return p;
}

static struct admin_peer tcp_peer(const char *addr, bool loopback)
{
    struct admin_peer peer = {.loopback = loopback};
    assert_int_equal(net_addr_parse_ip(slice_str(addr), &peer.addr), 0);
    return peer;
}

/* "Name: value" lines. */
static struct admin_verdict ask(const struct admin_policy *p, struct admin_throttle *t,
                                const struct admin_peer *peer, const char *lines,
                                enum admin_role wanted, int64_t now_us)
{
    static const struct http_limits limits = {8192, 1024, 0, 0};
    char head[1024];
    struct http_request req;
    struct http_error err;
    struct admin_verdict v;
    int n = snprintf(head, sizeof(head), "GET /admin/v1/status HTTP/1.1\r\n%s\r\n", lines);
    assert_int_equal(http_request_parse(head, (size_t)n, &limits, &req, &err), 0);
    admin_auth(p, t, peer, &req, wanted, now_us, &v);
    return v;
}

static void test_tcp(void **state)
{
    static const char HOST[] = "Host: 127.0.0.1:8081\r\n";
    static const struct {
        const char *lines; /* behind Host; one that begins with Host replaces it */
        enum admin_role wanted;
        bool loopback;
        uint16_t status;
    } rows[] = {
        {"", ADMIN_ROLE_OPEN, false, 0},
        {"", ADMIN_ROLE_METRICS, true, 0},
        {"", ADMIN_ROLE_METRICS, false, 401},
        {"", ADMIN_ROLE_VIEWER, true, 401},
        {"Authorization: Bearer the-viewer\r\n", ADMIN_ROLE_VIEWER, false, 0},
        {"Authorization: bearer the-viewer\r\n", ADMIN_ROLE_METRICS, false, 0},
        {"Authorization: Bearer the-viewer\r\n", ADMIN_ROLE_ADMIN, false, 403},
        {"Authorization: Bearer the-admin\r\n", ADMIN_ROLE_ADMIN, false, 0},
        {"Authorization: Bearer the-admi\r\n", ADMIN_ROLE_VIEWER, false, 401},
        {"Authorization: Bearer the-admin2\r\n", ADMIN_ROLE_OPEN, true, 401},
        {"Authorization: Basic the-admin\r\n", ADMIN_ROLE_ADMIN, false, 401},
        {"Authorization: Bearer \r\n", ADMIN_ROLE_ADMIN, false, 401},
        {"Host: localhost:8081\r\n", ADMIN_ROLE_METRICS, true, 0},
        {"Host: [::1]:8081\r\n", ADMIN_ROLE_METRICS, true, 0},
        {"Host: evil.example\r\n", ADMIN_ROLE_METRICS, true, 403},
        {"Host: evil.example\r\nAuthorization: Bearer the-admin\r\n", ADMIN_ROLE_ADMIN, true, 403},
        {"Host: 127.0.0.1.evil.example\r\n", ADMIN_ROLE_OPEN, true, 403},
        {"Origin: http://127.0.0.1:8081\r\nAuthorization: Bearer the-admin\r\n", ADMIN_ROLE_ADMIN,
         true, 0},
        {"Origin: http://127.0.0.1:9999\r\nAuthorization: Bearer the-admin\r\n", ADMIN_ROLE_ADMIN,
         true, 403},
        {"Origin: null\r\nAuthorization: Bearer the-admin\r\n", ADMIN_ROLE_ADMIN, true, 403},
        {"Origin: https://evil.example\r\n", ADMIN_ROLE_METRICS, true, 403},
    };
    struct admin_policy p = policy_of("the-admin", "the-viewer", NULL);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct admin_throttle t = {{0}};
        struct admin_peer peer = tcp_peer("192.0.2.7", rows[i].loopback);
        char lines[512];
        bool own_host = strncmp(rows[i].lines, "Host:", 5) == 0;
        snprintf(lines, sizeof(lines), "%s%s", own_host ? "" : HOST, rows[i].lines);
        struct admin_verdict v = ask(&p, &t, &peer, lines, rows[i].wanted, 1);
        if (v.status != rows[i].status)
            fail_msg("row %zu: %u %s", i, v.status, v.status ? v.code : "");
        assert_int_equal(v.status == 0, v.code == NULL);
    }
}

static void test_metrics_token_closes_loopback_metrics(void **state)
{
    struct admin_policy p = policy_of("the-admin", NULL, "the-scraper");
    struct admin_throttle t = {{0}};
    struct admin_peer peer = tcp_peer("127.0.0.1", true);
    const char *host = "Host: 127.0.0.1\r\n";
    const char *scraper = "Host: 127.0.0.1\r\nAuthorization: Bearer the-scraper\r\n";
    assert_int_equal(ask(&p, &t, &peer, host, ADMIN_ROLE_METRICS, 1).status, 401);
    assert_int_equal(ask(&p, &t, &peer, scraper, ADMIN_ROLE_METRICS, 1).status, 0);
    assert_int_equal(ask(&p, &t, &peer, scraper, ADMIN_ROLE_VIEWER, 1).status, 403);
}

static void test_unset_tokens_open_nothing(void **state)
{
    struct admin_policy p = policy_of(NULL, NULL, NULL);
    struct admin_throttle t = {{0}};
    struct admin_peer peer = tcp_peer("127.0.0.1", true);
    const char *lines = "Host: 127.0.0.1\r\nAuthorization: Bearer x\r\n";
    assert_int_equal(ask(&p, &t, &peer, lines, ADMIN_ROLE_VIEWER, 1).status, 401);
}

static void test_unix(void **state)
{
    struct admin_policy p = policy_of(NULL, NULL, NULL);
    struct admin_throttle t = {{0}};
    const char *host = "Host: anything.example\r\n";
    struct admin_peer peer = {.is_unix = true, .uid = 0, .gid = 0};
    struct admin_verdict v = ask(&p, &t, &peer, host, ADMIN_ROLE_ADMIN, 1);
    assert_int_equal(v.status, 0);
    assert_string_equal(v.who, "unix:uid=0");
    peer.uid = geteuid() + 1000;
    peer.gid = 99;
    assert_int_equal(ask(&p, &t, &peer, host, ADMIN_ROLE_VIEWER, 1).status, 403);
    peer.groups[0] = 4242;
    peer.n_groups = 1;
    assert_int_equal(ask(&p, &t, &peer, host, ADMIN_ROLE_ADMIN, 1).status, 0);
    peer.n_groups = 0;
    peer.gid = 4242;
    assert_int_equal(ask(&p, &t, &peer, host, ADMIN_ROLE_ADMIN, 1).status, 0);
    p.has_group = false;
    assert_int_equal(ask(&p, &t, &peer, host, ADMIN_ROLE_ADMIN, 1).status, 403);
    peer.uid = geteuid();
    assert_int_equal(ask(&p, &t, &peer, host, ADMIN_ROLE_ADMIN, 1).status, 0);
}

static void test_guessing_is_slowed(void **state)
{
    struct admin_policy p = policy_of("the-admin", NULL, NULL);
    struct admin_throttle t = {{0}};
    struct admin_peer guesser = tcp_peer("192.0.2.7", false), other = tcp_peer("192.0.2.8", false);
    const char *wrong = "Host: 127.0.0.1\r\nAuthorization: Bearer wrong\r\n";
    const char *right = "Host: 127.0.0.1\r\nAuthorization: Bearer the-admin\r\n";
    int64_t now = INT64_C(1000000000);
    for (int i = 0; i < 10; i++)
        assert_int_equal(ask(&p, &t, &guesser, wrong, ADMIN_ROLE_ADMIN, now).status, 401);
    struct admin_verdict v = ask(&p, &t, &guesser, right, ADMIN_ROLE_ADMIN, now);
    assert_int_equal(v.status, 429); /* refused before the token is looked at */
    assert_true(v.retry_after_s >= 1 && v.retry_after_s <= 7);
    assert_int_equal(ask(&p, &t, &other, right, ADMIN_ROLE_ADMIN, now).status, 0);
    now += 7 * 1000000;
    assert_int_equal(ask(&p, &t, &guesser, right, ADMIN_ROLE_ADMIN, now).status, 0);
    assert_int_equal(ask(&p, &t, &guesser, wrong, ADMIN_ROLE_ADMIN, now).status, 401);
    assert_int_equal(ask(&p, &t, &guesser, wrong, ADMIN_ROLE_ADMIN, now).status, 429);
}

/* ---- OpenAPI ---- */

/* Reads "  /path:" and "    get:" lines below "paths:"; calls fn for each operation. */
static void each_operation(void (*fn)(const char *method, const char *path, void *arg), void *arg)
{
    char line[1024], path[sizeof(line)] = "";
    bool inside = false;
    FILE *f = fopen(OPENAPI, "r");
    if (!f)
        fail_msg("%s can't be read: run the tests in the top folder", OPENAPI);
    while (fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\n")] = '\0';
        size_t n = strlen(line);
        if (line[0] != ' ' && n)
            inside = strcmp(line, "paths:") == 0;
        if (!inside || n < 4 || line[n - 1] != ':')
            continue;
        line[n - 1] = '\0';
        if (strncmp(line, "  /", 3) == 0)
            snprintf(path, sizeof(path), "%s", line + 2);
        else if (strncmp(line, "    ", 4) == 0 && line[4] != ' ' &&
                 strcmp(line + 4, "parameters") != 0)
            fn(line + 4, path, arg);
    }
    fclose(f);
}

static void mark_route(const char *method, const char *path, void *arg)
{
    bool *seen = arg;
    for (size_t i = 0; i < admin_route_count; i++)
        if (strcasecmp(http_method_name(admin_routes[i].method), method) == 0 &&
            strcmp(admin_routes[i].path, path) == 0) {
            seen[i] = true;
            return;
        }
    fail_msg("%s has %s %s, the command table hasn't", OPENAPI, method, path);
}

static void test_openapi_and_table_agree(void **state)
{
    bool *seen = calloc(admin_route_count, sizeof(*seen));
    each_operation(mark_route, seen);
    for (size_t i = 0; i < admin_route_count; i++)
        if (!seen[i])
            fail_msg("%s %s is not in %s", http_method_name(admin_routes[i].method),
                     admin_routes[i].path, OPENAPI);
    free(seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_is_whole),
        cmocka_unit_test(test_match),
        cmocka_unit_test(test_tcp),
        cmocka_unit_test(test_metrics_token_closes_loopback_metrics),
        cmocka_unit_test(test_unset_tokens_open_nothing),
        cmocka_unit_test(test_unix),
        cmocka_unit_test(test_guessing_is_slowed),
        cmocka_unit_test(test_openapi_and_table_agree),
    };
    return cmocka_run_group_tests_name("admin", tests, NULL, NULL);
}
