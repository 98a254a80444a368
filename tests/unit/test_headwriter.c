/*
 * test_headwriter.c: heads of every size, the exact fit and one byte less.
 */
#include "gatewayd/worker/headwriter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>

static const char whole[] = "GET / HTTP/1.1\r\nhost: x\r\nx-n: 18446744073709551615\r\n"
                            "x-z: 0\r\nx-e: \r\n\r\n";

static struct slice write_all(char *mem, size_t cap)
{
    struct headwriter h;
    headwriter_init(&h, mem, cap);
    headwriter_lit(&h, "GET / HTTP/1.1\r\n");
    headwriter_field_lit(&h, "host", SLICE_LIT("x"));
    headwriter_field_u64(&h, "x-n", UINT64_MAX);
    headwriter_field_u64(&h, "x-z", 0);
    headwriter_field(&h, SLICE_LIT("x-e"), slice_of(NULL, 0));
    return headwriter_end(&h);
}

static void fits_exactly_or_not_at_all(void **state)
{
    for (size_t cap = 0; cap < sizeof whole + 8; cap++) {
        char *mem = malloc(cap + 1);
        mem[cap] = '#';
        struct slice head = write_all(mem, cap);
        if (cap < sizeof whole - 1)
            assert_null(head.p);
        else
            assert_true(slice_eq_str(head, whole));
        assert_int_equal(mem[cap], '#');
        free(mem);
    }
}

/* A part that is left out for want of room must not be followed by one that fits. */
static void overflow_is_remembered(void **state)
{
    char mem[8];
    struct headwriter h;
    headwriter_init(&h, mem, sizeof mem);
    headwriter_lit(&h, "far too long for it");
    headwriter_lit(&h, "a");
    assert_null(headwriter_end(&h).p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fits_exactly_or_not_at_all),
        cmocka_unit_test(overflow_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
