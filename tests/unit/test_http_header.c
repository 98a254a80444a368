/*
 * test_http_header.c: the table of known names and the array of fields.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ctype.h>

#include "gatewayd/http/header.h"

static void names_are_sorted_by_length(void **state)
{
    for (unsigned id = 1; id < HTTP_H_X_GW; id++)
        assert_true(http_header_name(id - 1).n <= http_header_name(id).n);
}

static void names_are_found_in_any_case(void **state)
{
    for (unsigned id = 0; id < HTTP_H_X_GW; id++) {
        struct slice name = http_header_name(id);
        char upper[64];
        for (size_t i = 0; i < name.n; i++)
            upper[i] = (char)toupper((unsigned char)name.p[i]);
        assert_int_equal(http_header_lookup(name), id);
        assert_int_equal(http_header_lookup(slice_of(upper, name.n)), id);
    }
}

static void families_and_others(void **state)
{
    static const struct {
        const char *name;
        enum http_header_id id;
    } rows[] = {
        {"x-gw-debug", HTTP_H_X_GW},
        {"X-Stainless-Lang", HTTP_H_X_STAINLESS},
        {"x-ratelimit-limit-images", HTTP_H_X_RATELIMIT},
        {"anthropic-ratelimit-requests-remaining", HTTP_H_ANTHROPIC_RATELIMIT},
        {"x-gw-", HTTP_H_OTHER},
        {"x-gw", HTTP_H_OTHER},
        {"content_length", HTTP_H_OTHER},
        {"content-lengt", HTTP_H_OTHER},
        {"content-lengthh", HTTP_H_OTHER},
        {"hos~", HTTP_H_OTHER},
        {"a", HTTP_H_OTHER},
        {"", HTTP_H_OTHER},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(http_header_lookup(slice_str(rows[i].name)), rows[i].id);
}

static void duplicates_are_chained(void **state)
{
    static const char head[] = "Cookie:a,Host:b,cookie:c";
    struct http_fields fs;
    http_fields_init(&fs, head);
    assert_true(http_fields_add(&fs, slice_of(head, 6), slice_of(head + 7, 1)));
    assert_true(http_fields_add(&fs, slice_of(head + 9, 4), slice_of(head + 14, 1)));
    assert_true(http_fields_add(&fs, slice_of(head + 16, 6), slice_of(head + 23, 1)));
    assert_int_equal(http_fields_count(&fs, HTTP_H_COOKIE), 2);
    assert_true(slice_eq_str(http_fields_get(&fs, HTTP_H_COOKIE), "a"));
    unsigned second = fs.f[fs.first[HTTP_H_COOKIE]].next;
    assert_true(slice_eq_str(http_fields_value(&fs, second), "c"));
    assert_int_equal(fs.f[second].next, HTTP_NO_FIELD);
    assert_null(http_fields_get(&fs, HTTP_H_AUTHORIZATION).p);

    char moved[sizeof head];
    memcpy(moved, head, sizeof head);
    fs.base = moved;
    assert_ptr_equal(http_fields_get(&fs, HTTP_H_HOST).p, moved + 14);
}

static void a_hundred_fields_fit(void **state)
{
    struct http_fields fs;
    http_fields_init(&fs, "a:b");
    for (int i = 0; i < HTTP_MAX_FIELDS; i++)
        assert_true(http_fields_add(&fs, slice_of(fs.base, 1), slice_of(fs.base + 2, 1)));
    assert_false(http_fields_add(&fs, slice_of(fs.base, 1), slice_of(fs.base + 2, 1)));
}

static void lists_are_walked(void **state)
{
    struct slice rest = SLICE_LIT(" a ,, b\t,c,");
    assert_true(slice_eq_str(http_list_next(&rest), "a"));
    assert_true(slice_eq_str(http_list_next(&rest), "b"));
    assert_true(slice_eq_str(http_list_next(&rest), "c"));
    assert_null(http_list_next(&rest).p);
    assert_null(http_list_next(&rest).p);
}

static void classes(void **state)
{
    assert_true(http_is_token(SLICE_LIT("!#$%&'*+-.^_`|~09azAZ")));
    assert_false(http_is_token(SLICE_LIT("")));
    for (const char *p = "\"(),/:;<=>?@[\\]{} \t\x7f\x80"; *p; p++)
        assert_false(http_is_token(slice_of(p, 1)));
    assert_true(http_is_field_value(SLICE_LIT("\t !~\x80\xff")));
    assert_false(http_is_field_value(SLICE_LIT("a\x7f")));
    assert_false(http_is_field_value(SLICE_LIT("a\0b")));
    assert_false(http_is_field_value(SLICE_LIT("a\r\nb")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_sorted_by_length),
        cmocka_unit_test(names_are_found_in_any_case),
        cmocka_unit_test(families_and_others),
        cmocka_unit_test(duplicates_are_chained),
        cmocka_unit_test(a_hundred_fields_fit),
        cmocka_unit_test(lists_are_walked),
        cmocka_unit_test(classes),
    };
    return cmocka_run_group_tests_name("http_header", tests, NULL, NULL);
}
