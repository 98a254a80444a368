/*
 * test_claude.c: generations and what they generate at most, by name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gatewayd/dialect/claude.h"

static void test_names(void **state)
{
    static const struct {
        const char *name;
        bool is_claude;
        unsigned version;
        int64_t most;
    } rows[] = {
        {"", false, 0, 0},
        {"gpt-4", false, 0, 0},
        {"claude", true, 0, 0},
        {"claude-latest", true, 0, 0},
        {"claude-2.1", true, 21, 4096},
        {"claude-3-opus-20240229", true, 30, 4096},
        {"claude-3-5-haiku-latest", true, 35, 8192},
        {"claude-3-7-sonnet-20250219", true, 37, 64000},
        {"claude-sonnet-4-20250514", true, 40, 64000},
        {"claude-opus-4-1-20250805", true, 41, 32000},
        {"us.anthropic.claude-sonnet-4-5-20250929-v1:0", true, 45, 64000},
        {"claude-opus-4-5@20251101", true, 45, 64000},
        {"anthropic/claude-opus-4.6", true, 46, 128000},
        {"claude-sonnet-4-6", true, 46, 64000},
        {"claude-opus-5", true, 50, 128000},
        {"claude-haiku-12", true, 120, 64000},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct claude c = claude_of(slice_str(rows[i].name));
        int64_t most = claude_max_output(slice_str(rows[i].name));
        if (c.is_claude != rows[i].is_claude || c.version != rows[i].version ||
            most != rows[i].most)
            fail_msg("%s: %u, %lld", rows[i].name, c.version, (long long)most);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
