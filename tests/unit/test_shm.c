/*
 * test_shm.c: creation, adoption and refusal of shared memory segments.
 */
#include "common/shm.h"
#include "tests/unit/tmpdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[256];
static int dir_fd;
static const struct shm_spec spec = {"unit", 3, 65536};

static int setup(void **state)
{
    if (!tmpdir_make(dir))
        return -1;
    dir_fd = open(dir, O_DIRECTORY | O_CLOEXEC);
    return dir_fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    close(dir_fd);
    tmpdir_remove(dir);
    return 0;
}

static enum shm_origin open_segment(const struct shm_spec *want, struct shm *s)
{
    struct errbuf e = {""};
    enum shm_origin origin;
    assert_int_equal(shm_open_or_create(dir_fd, want, s, &origin, &e), 0);
    return origin;
}

static void test_content_survives_and_children_attach(void **state)
{
    struct shm s, again, child;
    struct errbuf e;
    struct stat st;
    assert_int_equal(open_segment(&spec, &s), SHM_CREATED);
    assert_int_equal(fstat(s.fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(fcntl(s.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    strcpy(shm_body(&s), "kept");

    assert_int_equal(open_segment(&spec, &again), SHM_ADOPTED);
    assert_string_equal(shm_body(&again), "kept");

    assert_int_equal(shm_attach(dup(again.fd), &spec, &child, &e), 0);
    strcpy(shm_body(&child), "changed");
    assert_string_equal(shm_body(&s), "changed");
    shm_detach(&child);
    shm_detach(&again);
    shm_detach(&s);
    shm_detach(&s);
}

static void test_what_differs_is_replaced_and_old_mappings_live_on(void **state)
{
    static const struct shm_spec others[] = {{"unit", 4, 65536}, {"unit", 3, 32768}};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct shm old, new;
        (void)open_segment(&spec, &old);
        strcpy(shm_body(&old), "old");
        assert_int_equal(open_segment(&others[i], &new), SHM_CREATED);
        assert_int_equal(*(char *)shm_body(&new), 0);
        assert_string_equal(shm_body(&old), "old");
        shm_detach(&old);
        shm_detach(&new);
    }
}

static void test_another_boot_is_another_segment(void **state)
{
    struct shm s;
    (void)open_segment(&spec, &s);
    s.header->boot_id[3] ^= 1;
    shm_detach(&s);
    assert_int_equal(open_segment(&spec, &s), SHM_CREATED);
    shm_detach(&s);
}

static void test_unfinished_and_foreign_files_are_not_adopted(void **state)
{
    struct shm s;
    struct errbuf e = {""};
    assert_int_equal(shm_open_existing(dir_fd, "unit", &s, &e), 0);
    (void)open_segment(&spec, &s);
    s.header->magic = 0;
    shm_detach(&s);
    assert_int_equal(shm_open_existing(dir_fd, "unit", &s, &e), 0);

    int fd = openat(dir_fd, "unit.shm", O_WRONLY | O_TRUNC);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(shm_open_existing(dir_fd, "unit", &s, &e), 0);
}

static void test_links_and_open_modes_are_refused(void **state)
{
    struct shm s;
    enum shm_origin origin;
    struct errbuf e = {""};
    (void)open_segment(&spec, &s);
    assert_int_equal(fchmod(s.fd, 0644), 0);
    shm_detach(&s);
    assert_int_equal(shm_open_or_create(dir_fd, &spec, &s, &origin, &e), -1);
    assert_non_null(strstr(e.msg, "0600"));

    assert_int_equal(unlinkat(dir_fd, "unit.shm", 0), 0);
    assert_int_equal(symlinkat("elsewhere", dir_fd, "unit.shm"), 0);
    assert_int_equal(shm_open_or_create(dir_fd, &spec, &s, &origin, &e), -1);
}

static void test_attach_refuses_what_is_not_asked_for(void **state)
{
    struct shm s, child;
    struct errbuf e = {""};
    (void)open_segment(&spec, &s);
    static const struct shm_spec wrong[] = {
        {"other", 3, 65536}, {"unit", 2, 65536}, {"unit", 3, 4096}};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_int_equal(shm_attach(s.fd, &wrong[i], &child, &e), -1);
    struct shm_spec any_size = spec;
    any_size.total_bytes = 0;
    assert_int_equal(shm_attach(dup(s.fd), &any_size, &child, &e), 0);
    assert_int_equal(child.total_bytes, spec.total_bytes);
    shm_detach(&child);
    shm_detach(&s);
    assert_int_equal(shm_attach(-1, &spec, &child, &e), -1);
}

/* On a file system without room the start fails with words instead of SIGBUS later. */
static void test_no_room_is_an_error(void **state)
{
    struct shm_spec huge = {"unit", 1, (size_t)1 << 46};
    struct shm s;
    struct errbuf e = {""};
    assert_int_equal(shm_create(dir_fd, &huge, &s, &e), -1);
    assert_non_null(strstr(e.msg, "no room"));
    assert_int_equal(faccessat(dir_fd, "unit.new", F_OK, 0), -1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_content_survives_and_children_attach),
        T(test_what_differs_is_replaced_and_old_mappings_live_on),
        T(test_another_boot_is_another_segment),
        T(test_unfinished_and_foreign_files_are_not_adopted),
        T(test_links_and_open_modes_are_refused),
        T(test_attach_refuses_what_is_not_asked_for),
        T(test_no_room_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
