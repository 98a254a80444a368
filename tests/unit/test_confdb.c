/*
 * test_confdb.c: generations in LMDB, what stays of them, and the sealed memfd of secrets.
 */
#include "common/confdb.h"
#include "common/secrets.h"
#include "common/store.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/tmpdir.h"

static char dir[256];
static const uint8_t hash[CONFDB_HASH_BYTES] = {1, 2, 3};

static int set_up(void **state)
{
    return tmpdir_make(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    tmpdir_remove(dir);
    return 0;
}

static struct conf_entries *entries_of(const char *text)
{
    char path[600];
    struct conf_errors errs;
    conf_errors_init(&errs);
    snprintf(path, sizeof path, "%s/t.ini", dir);
    FILE *f = fopen(path, "w");
    fputs(text, f);
    fclose(f);
    struct conf_entries *e = conf_read_file(path, &errs);
    assert_non_null(e);
    return e;
}

static struct confdb *open_db(unsigned flags)
{
    struct errbuf e;
    struct confdb *db = confdb_open(dir, flags, &e);
    if (!db)
        fail_msg("%s", e.msg);
    return db;
}

static uint64_t write_one(struct confdb *db, const char *text, bool activate)
{
    uint64_t generation;
    struct conf_entries *e = entries_of(text);
    assert_int_equal(confdb_write(db, e, hash, "test", 1000, &generation, NULL), 0);
    if (activate)
        assert_int_equal(confdb_activate(db, generation, 2000, NULL), 0);
    conf_entries_free(e);
    return generation;
}

static void generations_come_back_as_written(void **state)
{
    struct confdb *db = open_db(STORE_WRITE);
    struct confdb_generation g;
    struct errbuf e;
    assert_int_equal(confdb_active(db, &g, &e), 0);
    assert_int_equal(g.generation, 0);
    uint64_t n = write_one(db, "[http]\nmax_url = 1KiB\n[key:k]\nenabled = \"on\"\n", false);
    assert_int_equal(n, 1);
    assert_int_equal(confdb_active(db, &g, &e), 0);
    assert_int_equal(g.generation, 0);
    assert_int_equal(confdb_activate(db, n, 5, &e), 0);
    assert_int_equal(confdb_active(db, &g, &e), 0);
    assert_int_equal(g.generation, 1);
    assert_int_equal(g.n_entries, 4);
    assert_int_equal(g.written_us, 1000);
    assert_int_equal(g.activated_us, 5);
    assert_memory_equal(g.hash, hash, sizeof hash);
    assert_string_equal(g.by, "test");
    struct conf_entries *back = confdb_entries(db, 1, &e);
    assert_int_equal(back->n, 4);
    assert_string_equal(back->v[0].section.p, "http");
    assert_int_equal(back->v[0].key.n, 0);
    assert_string_equal(back->v[1].key.p, "max_url");
    assert_string_equal(back->v[1].value.p, "1KiB");
    assert_int_equal(back->v[1].line, 2);
    assert_false(back->v[1].quoted);
    assert_true(back->v[3].quoted);
    conf_entries_free(back);
    confdb_close(db);
}

static void readers_build_what_was_stored(void **state)
{
    struct errbuf e;
    struct confdb *db = open_db(STORE_WRITE);
    uint64_t n = write_one(db, "[http]\nmax_url = 2KiB\n", true);
    confdb_close(db);
    db = open_db(0);
    struct conf *conf = confdb_load(db, n, &e);
    assert_non_null(conf);
    assert_int_equal(conf->generation, n);
    assert_int_equal(conf->http.max_url, 2048);
    conf_free(conf);
    assert_null(confdb_load(db, n + 7, &e));
    assert_non_null(strstr(e.msg, "not found"));
    confdb_close(db);
}

static void numbers_are_not_used_twice(void **state)
{
    struct errbuf e;
    struct confdb *db = open_db(STORE_WRITE);
    uint64_t a = write_one(db, "", true), b = write_one(db, "[http]\n", false);
    assert_int_equal(b, a + 1);
    uint64_t c = write_one(db, "[log]\n", false); /* b goes: it never was active */
    assert_int_equal(c, b + 1);
    assert_null(confdb_entries(db, b, &e));
    assert_int_equal(confdb_discard(db, c, &e), 0);
    assert_null(confdb_entries(db, c, &e));
    assert_int_equal(confdb_discard(db, a, &e), 0); /* the active one stays */
    struct conf_entries *kept = confdb_entries(db, a, &e);
    assert_non_null(kept);
    conf_entries_free(kept);
    confdb_close(db);
}

static void history_is_bounded(void **state)
{
    struct confdb_generation list[CONFDB_HISTORY];
    struct errbuf e;
    struct confdb *db = open_db(STORE_WRITE);
    uint64_t last = 0;
    size_t n;
    for (int i = 0; i < CONFDB_HISTORY + 5; i++)
        last = write_one(db, "[http]\nmax_url = 2KiB\n", true);
    assert_int_equal(confdb_history(db, list, &n, &e), 0);
    assert_int_equal(n, CONFDB_HISTORY);
    assert_int_equal(list[0].generation, last);
    assert_int_equal(list[n - 1].generation, last - CONFDB_HISTORY + 1);
    assert_null(confdb_entries(db, last - CONFDB_HISTORY, &e));
    struct conf_entries *oldest = confdb_entries(db, list[n - 1].generation, &e);
    assert_int_equal(oldest->n, 2);
    conf_entries_free(oldest);
    confdb_close(db);
}

static void the_salt_stays(void **state)
{
    uint8_t a[CONFDB_SALT_BYTES], b[CONFDB_SALT_BYTES];
    struct confdb *db = open_db(STORE_WRITE);
    assert_int_equal(confdb_salt(db, a, NULL), 0);
    confdb_close(db);
    db = open_db(STORE_WRITE);
    assert_int_equal(confdb_salt(db, b, NULL), 0);
    assert_memory_equal(a, b, sizeof a);
    confdb_close(db);
}

static int seal(const char *const *pairs, size_t n)
{
    static const uint8_t salt[32] = {9};
    struct errbuf e;
    struct secrets_writer *w = secrets_writer_new(salt);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(secrets_writer_add(w, slice_str(pairs[2 * i]), slice_str(pairs[2 * i + 1]),
                                            (int64_t)i, &e),
                         0);
    int fd = secrets_writer_seal(w, &e);
    if (fd < 0)
        fail_msg("%s", e.msg);
    secrets_writer_free(w);
    return fd;
}

static void secrets_are_found_by_name(void **state)
{
    static const char *const pairs[] = {"credential:b", "two", "admin:token", "one",
                                        "credential:a", "two", "tls:key",     ""};
    struct errbuf e;
    struct secret s, other;
    int fd = seal(pairs, 4);
    struct secrets *all = secrets_attach(fd, &e);
    assert_non_null(all);
    assert_int_equal(secrets_count(all), 4);
    for (size_t i = 0; i < 4; i++) {
        assert_true(secrets_get(all, slice_str(pairs[2 * i]), &s));
        assert_string_equal(s.data.p, pairs[2 * i + 1]);
        assert_int_equal(s.data.n, strlen(pairs[2 * i + 1]));
        assert_int_equal(s.loaded_us, i);
        assert_int_equal(strlen(s.fingerprint), 8);
    }
    assert_false(secrets_get(all, SLICE_LIT("credential:"), &s));
    assert_false(secrets_get(all, SLICE_LIT("zzz"), &s));
    assert_true(secrets_get(all, SLICE_LIT("credential:a"), &s));
    assert_true(secrets_get(all, SLICE_LIT("credential:b"), &other));
    assert_string_equal(s.fingerprint, other.fingerprint);
    assert_true(secrets_get(all, SLICE_LIT("admin:token"), &other));
    assert_string_not_equal(s.fingerprint, other.fingerprint);
    secrets_detach(all);
    close(fd);
}

static void sealed_means_sealed(void **state)
{
    static const char *const pairs[] = {"a", "b"};
    int fd = seal(pairs, 1);
    assert_int_equal(write(fd, "x", 1), -1);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_ptr_equal(mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    close(fd);
}

/* Every byte of the index changed in turn: refused, or harmless. */
static void a_damaged_index_is_refused(void **state)
{
    static const char *const pairs[] = {"name", "value"};
    int good = seal(pairs, 1);
    struct stat st;
    char bytes[512];
    struct errbuf e;
    assert_int_equal(fstat(good, &st), 0);
    assert_true((size_t)st.st_size < sizeof bytes);
    assert_int_equal(pread(good, bytes, (size_t)st.st_size, 0), st.st_size);
    close(good);
    for (long i = 0; i < st.st_size; i++) {
        int fd = memfd_create("t", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        char was = bytes[i];
        bytes[i] = (char)0xff;
        assert_int_equal(write(fd, bytes, (size_t)st.st_size), st.st_size);
        bytes[i] = was;
        assert_int_equal(
            fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 0);
        struct secrets *s = secrets_attach(fd, &e);
        if (s && secrets_count(s) == 1) {
            struct secret x = secrets_at(s, 0);
            assert_true(strlen(x.name.p) <= x.name.n && strlen(x.data.p) <= x.data.n);
        }
        if (i < 24) /* the header */
            assert_null(s);
        secrets_detach(s);
        close(fd);
    }
    int open_fd = memfd_create("t", MFD_CLOEXEC);
    assert_null(secrets_attach(open_fd, &e));
    assert_non_null(strstr(e.msg, "not sealed"));
    close(open_fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(generations_come_back_as_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(readers_build_what_was_stored, set_up, tear_down),
        cmocka_unit_test_setup_teardown(numbers_are_not_used_twice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(history_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_salt_stays, set_up, tear_down),
        cmocka_unit_test(secrets_are_found_by_name),
        cmocka_unit_test(sealed_means_sealed),
        cmocka_unit_test(a_damaged_index_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
