/*
 * test_arena.c: alignment, the bound, and starting over.
 */
#include "common/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { FIRST_BYTES = 256, MAX_BYTES = 100000 };

static void allocations_are_aligned_and_apart(void **state)
{
    char first[FIRST_BYTES] __attribute__((aligned(16)));
    struct arena a;
    char *p[200];
    arena_init(&a, first, sizeof first, MAX_BYTES);
    for (size_t i = 0; i < ARRAY_LEN(p); i++) {
        p[i] = arena_alloc(&a, i);
        assert_non_null(p[i]);
        assert_int_equal((uintptr_t)p[i] % 16, 0);
        memset(p[i], (int)i, i);
    }
    for (size_t i = 0; i < ARRAY_LEN(p); i++)
        for (size_t k = 0; k < i; k++)
            assert_int_equal((unsigned char)p[i][k], i);
    arena_reset(&a);
}

static void the_bound_holds_for_any_size(void **state)
{
    char first[FIRST_BYTES] __attribute__((aligned(16)));
    struct arena a;
    arena_init(&a, first, sizeof first, MAX_BYTES);
    assert_null(arena_alloc(&a, MAX_BYTES + 1));
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_non_null(arena_alloc(&a, MAX_BYTES / 2));
    assert_null(arena_alloc(&a, SIZE_MAX - 8));
    assert_null(arena_alloc(&a, MAX_BYTES / 2 + 1));
    size_t n = 0;
    while (arena_alloc(&a, 100))
        n++;
    assert_in_range(n, 1, MAX_BYTES / 2 / 100);
    arena_reset(&a);
    assert_non_null(arena_alloc(&a, MAX_BYTES));
    arena_reset(&a);
}

static void copies_are_copies(void **state)
{
    char first[FIRST_BYTES] __attribute__((aligned(16)));
    char text[] = "some text";
    struct arena a;
    arena_init(&a, first, sizeof first, MAX_BYTES);
    struct slice copy = arena_dup(&a, slice_str(text));
    text[0] = 'X';
    assert_true(slice_eq_str(copy, "some text"));
    struct slice empty = arena_dup(&a, slice_of(NULL, 0));
    assert_non_null(empty.p); /* NULL is for no room */
    assert_int_equal(empty.n, 0);
    static const char large[MAX_BYTES + 1];
    assert_null(arena_dup(&a, slice_of(large, sizeof large)).p);
    arena_reset(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_are_aligned_and_apart),
        cmocka_unit_test(the_bound_holds_for_any_size),
        cmocka_unit_test(copies_are_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
