/*
 * test_http_path.c: one path, one spelling.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "gatewayd/http/path.h"

static void paths(void **state)
{
    static const struct {
        const char *in;
        const char *out; /* NULL: refused */
    } rows[] = {
        {"/", "/"},
        {"*", "*"},
        {"/v1/chat/completions", "/v1/chat/completions"},
        {"/v1/models/", "/v1/models/"},
        {"/V1", "/V1"},
        {"/model/anthropic.claude-3-v1%3A0/converse", "/model/anthropic.claude-3-v1:0/converse"},
        {"/v1beta/models/gemini-2.5:generateContent", "/v1beta/models/gemini-2.5:generateContent"},
        {"/%76%31", "/v1"},
        {"/a%3d%3D", "/a=="},
        {"/...", "/..."},
        {"/.a/a.", "/.a/a."},
        {"", NULL},
        {"v1", NULL},
        {"//", NULL},
        {"//v1", NULL},
        {"/v1//models", NULL},
        {"/v1/./models", NULL},
        {"/v1/../admin", NULL},
        {"/..", NULL},
        {"/.", NULL},
        {"/v1/..", NULL},
        {"/v1/%2e%2e/admin", NULL},
        {"/v1/%2E/admin", NULL},
        {"/model/a%2Fb%3Ac/converse", "/model/a%2Fb:c/converse"},
        {"/bedrock/model/a%2fb%2f/converse", "/bedrock/model/a%2Fb%2F/converse"},
        {"/v1/models/%2F", "/v1/models/%2F"},
        {"/%6dodel/a%2Fb", "/model/a%2Fb"},
        {"/model%2Fa/converse", NULL},
        {"/model/a/b%2Fconverse", NULL},
        {"/model/a%2F%2e%2e/converse", NULL},
        {"/model/a%2", NULL},
        {"/model/a%252Fb/converse", NULL},
        {"/v1%2fadmin", NULL},
        {"/v1%2Fadmin", NULL},
        {"/v1%5cadmin", NULL},
        {"/v1\\admin", NULL},
        {"/v1;x=1/models", NULL},
        {"/v1%3bx", NULL},
        {"/v1%252f", NULL},
        {"/v1%00", NULL},
        {"/v1%0a", NULL},
        {"/v1%20", NULL},
        {"/v1%7f", NULL},
        {"/v1%c3%a4", NULL},
        {"/v1%", NULL},
        {"/v1%4", NULL},
        {"/v1%4g", NULL},
        {"/v1%g4", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char scratch[128];
        struct slice in = slice_str(rows[i].in), out;
        struct http_error err = {0};
        int rc = http_path_normalise(in, scratch, &out, &err);
        if ((rc == 0) != (rows[i].out != NULL))
            fail_msg("%s: %d (%s)", rows[i].in, rc, err.reason ? err.reason : "");
        if (rc < 0) {
            assert_int_equal(err.status, 400);
            continue;
        }
        assert_true(slice_eq_str(out, rows[i].out));
        assert_int_equal(out.p == in.p, strchr(rows[i].in, '%') == NULL);
    }
}

static void names(void **state)
{
    static const char *const rows[][2] = {
        {"", ""}, {"a", "a"}, {"a%2Fb", "a/b"}, {"%2F", "/"}, {"a%2Fb%2F", "a/b/"}, {"a%2", "a%2"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char out[16];
        size_t n = http_path_name(slice_str(rows[i][0]), out);
        assert_true(slice_eq_str(slice_of(out, n), rows[i][1]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(paths), cmocka_unit_test(names)};
    return cmocka_run_group_tests_name("http_path", tests, NULL, NULL);
}
