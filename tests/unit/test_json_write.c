/*
 * test_json_write.c: the writer: commas, escapes, numbers, memory that is too small.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/json.h"

#include <stdlib.h>

static void write_sample(struct json_writer *w)
{
    jw_object(w);
    jw_member_str(w, "s", SLICE_LIT("a\"b\\c\n\x01\x1f/\xc3\xa9"));
    jw_member_i64(w, "min", INT64_MIN);
    jw_member_u64(w, "max", UINT64_MAX);
    jw_member_bool(w, "t", true);
    jw_member_bool(w, "f", false);
    jw_member_null(w, "n");
    jw_member_array(w, "a");
    jw_i64(w, 0);
    jw_array(w);
    jw_array_end(w);
    jw_object(w);
    jw_object_end(w);
    jw_raw(w, SLICE_LIT("1.5"));
    jw_array_end(w);
    jw_key(w, SLICE_LIT("k\t"));
    jw_str(w, SLICE_LIT(""));
    jw_object_end(w);
}

static const char sample[] =
    "{\"s\":\"a\\\"b\\\\c\\n\\u0001\\u001f/\xc3\xa9\",\"min\":-9223372036854775808,"
    "\"max\":18446744073709551615,\"t\":true,\"f\":false,\"n\":null,\"a\":[0,[],{},1.5],"
    "\"k\\t\":\"\"}";

static void test_buf(void **state)
{
    struct buf b;
    struct json_writer w;
    size_t n;
    buf_init(&b, 4096);
    assert_int_equal(buf_append(&b, "> ", 2), 0);
    jw_init_buf(&w, &b);
    write_sample(&w);
    assert_int_equal(jw_finish(&w, &n), 0);
    assert_int_equal(n, sizeof sample - 1);
    assert_int_equal(b.len, n + 2);
    assert_memory_equal(b.data + 2, sample, n);
    buf_release(&b);
}

static void test_buf_too_small(void **state)
{
    for (size_t max = 0; max < sizeof sample - 1; max++) {
        struct buf b;
        struct json_writer w;
        size_t n;
        buf_init(&b, max);
        jw_init_buf(&w, &b);
        write_sample(&w);
        assert_int_equal(jw_finish(&w, &n), -1);
        assert_int_equal(b.len, 0);
        buf_release(&b);
    }
}

static void test_fixed(void **state)
{
    char mem[sizeof sample];
    for (size_t cap = 0; cap < sizeof mem; cap++) {
        struct json_writer w;
        size_t n;
        memset(mem, '#', sizeof mem);
        jw_init_fixed(&w, mem, cap);
        write_sample(&w);
        assert_int_equal(jw_finish(&w, &n), cap == sizeof sample - 1 ? 0 : -1);
        assert_int_equal(mem[cap], '#');
    }
    assert_memory_equal(mem, sample, sizeof sample - 1);
}

/* Whatever bytes a string holds, what is written can be read. */
static void test_any_bytes(void **state)
{
    struct json_doc d;
    json_doc_init(&d, 16);
    for (unsigned a = 0; a < 256; a++)
        for (unsigned b = 0; b < 256; b++) {
            char in[4] = {'x', (char)a, (char)b, 'y'}, mem[64];
            struct json_writer w;
            size_t n;
            jw_init_fixed(&w, mem, sizeof mem);
            jw_str(&w, slice_of(in, 4));
            assert_int_equal(jw_finish(&w, &n), 0);
            assert_int_equal(json_parse(&d, mem, n), 0);
            if (a < 0x80 && b < 0x80)
                assert_true(json_str_eq(&d, JSON_ROOT, slice_of(in, 4)));
        }
    json_doc_release(&d);
}

/* Strings are looked at in words: a byte that needs an escape is found at every place, and nothing
 * is read behind the end. */
static void test_every_place(void **state)
{
    enum { LENGTH = 20 };
    struct json_doc d;
    char *in = malloc(LENGTH);
    assert_non_null(in);
    json_doc_init(&d, 16);
    for (unsigned n_in = 1; n_in <= LENGTH; n_in++) {
        char *from = in + LENGTH - n_in;
        for (unsigned at = 0; at < n_in; at++)
            for (unsigned c = 0; c < 256; c++) {
                char mem[LENGTH * 6 + 2];
                struct json_writer w;
                size_t n;
                memset(from, 'x', n_in);
                from[at] = (char)c;
                jw_init_fixed(&w, mem, sizeof mem);
                jw_str(&w, slice_of(from, n_in));
                assert_int_equal(jw_finish(&w, &n), 0);
                assert_int_equal(json_parse(&d, mem, n), 0);
                assert_int_equal(json_str_eq(&d, JSON_ROOT, slice_of(from, n_in)), c < 0x80);
            }
    }
    json_doc_release(&d);
    free(in);
}

static void test_escaped(void **state)
{
    char mem[64];
    struct json_writer w;
    size_t n;
    jw_init_fixed(&w, mem, sizeof mem);
    jw_array(&w);
    jw_str_escaped(&w, SLICE_LIT("a\\n\\u00e9"));
    jw_str_escaped(&w, slice_of(NULL, 0));
    jw_str_begin(&w);
    jw_str_add(&w, SLICE_LIT("\""));
    jw_str_add_escaped(&w, SLICE_LIT("\\\""));
    jw_str_end(&w);
    jw_array_end(&w);
    assert_int_equal(jw_finish(&w, &n), 0);
    assert_true(slice_eq_str(slice_of(mem, n), "[\"a\\n\\u00e9\",\"\",\"\\\"\\\"\"]"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf),         cmocka_unit_test(test_buf_too_small),
        cmocka_unit_test(test_fixed),       cmocka_unit_test(test_any_bytes),
        cmocka_unit_test(test_every_place), cmocka_unit_test(test_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
