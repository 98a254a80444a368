/*
 * test_suggest.c: which words are near enough to be offered.
 */
#include "common/suggest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void near_words_are_offered(void **state)
{
    static const char *const words[] = {"gateway", "model", "models", "targets", "tier", "status"};
    static const struct {
        const char *typed, *want;
    } cases[] = {
        {"modle", "model"},
        {"model", "model"},
        {"modles", "models"},
        {"target", "targets"},
        {"tragets", "targets"},
        {"gatewy", "gateway"},
        {"stauts", "status"},
        {"teir", "tier"},
        {"xyz", NULL},
        {"budget", NULL},
        {"", NULL},
        {"ti", NULL},
        {"tixr", "tier"},
        {"txxr", NULL},
        {"sattsu", "status"},
        {"Xgateway", "gateway"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct suggest s;
        suggest_init(&s, slice_str(cases[i].typed));
        for (size_t w = 0; w < ARRAY_LEN(words); w++)
            suggest_try(&s, words[w]);
        if (cases[i].want ? !s.best || strcmp(s.best, cases[i].want) != 0 : s.best != NULL)
            fail_msg("%s: %s", cases[i].typed, s.best ? s.best : "nothing");
    }
}

static void long_words_are_left_alone(void **state)
{
    char typed[65], word[65];
    struct suggest s;
    memset(typed, 'a', sizeof typed);
    memset(word, 'a', sizeof word);
    typed[63] = word[63] = '\0';
    suggest_init(&s, slice_str(typed));
    suggest_try(&s, word);
    assert_ptr_equal(s.best, word);
    word[63] = 'a';
    word[64] = '\0';
    suggest_init(&s, slice_str(typed));
    suggest_try(&s, word);
    assert_null(s.best);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(near_words_are_offered),
        cmocka_unit_test(long_words_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
