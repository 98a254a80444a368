/*
 * test_bound.c: worst cases, the provider's figures, and what an unfinished answer is charged.
 */
#include "gatewayd/worker/bound.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct dialect_request ask(enum dialect_op op)
{
    return (struct dialect_request){
        .op = op, .max_output_tokens = -1, .n = -1, .best_of = -1, .prompt_bytes = 1000};
}

static void bytes_bound_tokens(void **state)
{
    int64_t u[LEDGER_USAGE_MAX];
    struct dialect_request a = ask(DIALECT_CHAT);
    a.max_output_tokens = 0;
    bound_reserve(&a, u);
    assert_int_equal(u[LEDGER_INPUT], 1016);
    assert_int_equal(u[LEDGER_OUTPUT], 0);
    a.messages = 3;
    a.tools = 2;
    bound_reserve(&a, u);
    assert_int_equal(u[LEDGER_INPUT], 1016 + 3 * 8 + 2 * 32);
    a.images = a.audios = a.files = 1;
    bound_reserve(&a, u);
    assert_int_equal(u[LEDGER_INPUT], 1016 + 3 * 8 + 2 * 32 + 50000 + 100000 + 200000);
    assert_int_equal(u[LEDGER_CACHED], 0);
}

static void the_callers_cap_bounds_each_choice(void **state)
{
    static const struct {
        enum dialect_op op;
        int64_t max, n, best_of;
        uint32_t prompts;
        int64_t output;
    } cases[] = {
        {DIALECT_CHAT, 100, -1, -1, 0, 100},
        {DIALECT_CHAT, 100, 1, -1, 0, 100},
        {DIALECT_CHAT, 100, 3, -1, 0, 300},
        {DIALECT_CHAT, -1, -1, -1, 0, 16384},
        {DIALECT_CHAT, -1, 2, -1, 0, 32768},
        {DIALECT_CHAT, 100, -1, -1, 7, 100}, /* a list of prompts is not a chat's */
        {DIALECT_COMPLETIONS, 10, 2, 5, 1, 50},
        {DIALECT_COMPLETIONS, 10, 5, 2, 1, 50},
        {DIALECT_COMPLETIONS, 10, -1, 0, 4, 40},
        {DIALECT_COMPLETIONS, 10, 2, -1, 4, 80},
        {DIALECT_EMBEDDINGS, 10, 2, 2, 4, 0},
        {DIALECT_CHAT, 1000000000, 1000000000, -1, 0, USAGE_MAX_TOKENS},
        {DIALECT_COMPLETIONS, 1000000000, 1000000000, 1000000000, UINT32_MAX, USAGE_MAX_TOKENS},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t u[LEDGER_USAGE_MAX];
        struct dialect_request a = ask(cases[i].op);
        a.max_output_tokens = cases[i].max;
        a.n = cases[i].n;
        a.best_of = cases[i].best_of;
        a.prompts = cases[i].prompts;
        bound_reserve(&a, u);
        assert_int_equal(u[LEDGER_OUTPUT], cases[i].output);
    }
}

static void units_of_what_is_relayed(void **state)
{
    static const struct {
        enum dialect_op op;
        uint64_t characters, media_bytes;
        int64_t n, input, output, units;
    } cases[] = {
        {DIALECT_MODERATIONS, 0, 0, -1, 0, 0, 0},
        {DIALECT_SPEECH, 300, 0, -1, 1016, 16384, 300},
        {DIALECT_TRANSCRIPTIONS, 0, 501, -1, 1016 + 64, 16384, 2},
        {DIALECT_TRANSLATIONS, 0, 0, -1, 1016, 16384, 0},
        {DIALECT_IMAGES, 0, 0, -1, 1016, 16384, 1},
        {DIALECT_IMAGE_EDITS, 0, 0, 3, 1016, 3 * 16384, 3},
        {DIALECT_TRANSCRIPTIONS, 0, UINT64_MAX, -1, USAGE_MAX_TOKENS, 16384, USAGE_MAX_TOKENS},
        {DIALECT_CHAT, 0, 0, -1, 1016, 16384, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t u[LEDGER_USAGE_MAX], counted[LEDGER_USAGE_MAX];
        struct dialect_request a = ask(cases[i].op);
        a.characters = cases[i].characters;
        a.media_bytes = cases[i].media_bytes;
        a.n = cases[i].n;
        bound_reserve(&a, u);
        assert_int_equal(u[LEDGER_INPUT], cases[i].input);
        assert_int_equal(u[LEDGER_OUTPUT], cases[i].output);
        assert_int_equal(u[LEDGER_UNITS], cases[i].units);
        bound_counted(u, 7, counted);
        assert_int_equal(counted[LEDGER_UNITS], cases[i].units);
    }
}

static void absurd_inputs_stay_within_bounds(void **state)
{
    int64_t u[LEDGER_USAGE_MAX];
    struct dialect_request a = ask(DIALECT_CHAT);
    a.prompt_bytes = UINT64_MAX;
    a.messages = a.tools = a.images = a.audios = a.files = UINT32_MAX;
    bound_reserve(&a, u);
    assert_int_equal(u[LEDGER_INPUT], USAGE_MAX_TOKENS);
}

static void the_providers_figures_are_split_by_kind(void **state)
{
    int64_t u[LEDGER_USAGE_MAX];
    struct dialect_usage said = {.flags = USAGE_PRESENT,
                                 .input_tokens = 100,
                                 .cached_tokens = 60,
                                 .output_tokens = 40,
                                 .reasoning_tokens = 30};
    bound_from_usage(&said, u);
    assert_int_equal(u[LEDGER_INPUT], 40);
    assert_int_equal(u[LEDGER_CACHED], 60);
    assert_int_equal(u[LEDGER_OUTPUT], 40);
    assert_int_equal(u[LEDGER_REASONING], 30);
    said.cached_tokens = 200; /* more than there were: never a negative input */
    bound_from_usage(&said, u);
    assert_int_equal(u[LEDGER_INPUT], 0);
    assert_int_equal(u[LEDGER_CACHED], 100);
}

static void counted_is_input_bound_and_bytes_seen(void **state)
{
    int64_t u[LEDGER_USAGE_MAX];
    int64_t reserved[LEDGER_USAGE_MAX] = {[LEDGER_INPUT] = 500, [LEDGER_OUTPUT] = 100};
    bound_counted(reserved, 0, u);
    assert_int_equal(u[LEDGER_INPUT], 500);
    assert_int_equal(u[LEDGER_OUTPUT], 0);
    bound_counted(reserved, 99, u);
    assert_int_equal(u[LEDGER_OUTPUT], 99);
    bound_counted(reserved, 101, u);
    assert_int_equal(u[LEDGER_OUTPUT], 100);
    bound_counted(reserved, UINT64_MAX, u);
    assert_int_equal(u[LEDGER_OUTPUT], 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_bound_tokens),
        cmocka_unit_test(the_callers_cap_bounds_each_choice),
        cmocka_unit_test(units_of_what_is_relayed),
        cmocka_unit_test(absurd_inputs_stay_within_bounds),
        cmocka_unit_test(the_providers_figures_are_split_by_kind),
        cmocka_unit_test(counted_is_input_bound_and_bytes_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
