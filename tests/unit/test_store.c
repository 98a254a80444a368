/*
 * test_store.c: the rules of the LMDB wrapper: one open, forks, readers, limits, full disks,
 * copies.
 */
#include "common/store.h"
#include "tests/unit/tmpdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[256], path[300];
static const char *const dbs[] = {"one", "two"};
enum { ONE, TWO };

static struct store_config config(void)
{
    return (struct store_config){.path = path,
                                 .flags = STORE_WRITE,
                                 .map_bytes = 16 << 20,
                                 .schema = 1,
                                 .dbs = dbs,
                                 .db_count = ARRAY_LEN(dbs)};
}

static int setup(void **state)
{
    if (!tmpdir_make(dir))
        return -1;
    snprintf(path, sizeof path, "%s/unit.mdb", dir);
    return 0;
}

static int teardown(void **state)
{
    tmpdir_remove(dir);
    return 0;
}

static struct store *must_open(const struct store_config *cfg)
{
    struct store *s;
    struct errbuf e = {""};
    enum store_err err = store_open(cfg, &s, &e);
    if (err != STORE_OK)
        fail_msg("%s: %s", store_err_name(err), e.msg);
    return s;
}

static enum store_err put_one(struct store *s, const char *key, struct slice value)
{
    struct store_txn *t;
    enum store_err err = store_write_begin(s, &t);
    if (err != STORE_OK)
        return err;
    err = store_put(t, ONE, slice_str(key), value, 0);
    if (err != STORE_OK) {
        store_abort(t);
        return err;
    }
    return store_commit(t);
}

static void test_put_get_del(void **state)
{
    struct store_config cfg = config();
    struct store *s = must_open(&cfg);
    struct store_txn *r, *w;
    struct slice v, k;
    uint64_t n;
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(store_schema(s), 1);

    assert_int_equal(store_reader_new(s, &r), STORE_OK);
    assert_int_equal(put_one(s, "a", SLICE_LIT("1")), STORE_OK);
    assert_int_equal(store_read_begin(r), STORE_OK);
    assert_int_equal(store_get(r, ONE, SLICE_LIT("a"), &v), STORE_OK);
    assert_true(slice_eq_str(v, "1"));
    assert_int_equal(store_get(r, TWO, SLICE_LIT("a"), &v), STORE_NOTFOUND);
    assert_int_equal(store_get(r, ONE, SLICE_LIT(""), &v), STORE_NOTFOUND);
    store_read_end(r);

    assert_int_equal(store_write_begin(s, &w), STORE_OK);
    assert_int_equal(store_put(w, ONE, SLICE_LIT("a"), SLICE_LIT("2"), STORE_PUT_NEW),
                     STORE_EXISTS);
    assert_int_equal(store_put(w, ONE, SLICE_LIT(""), SLICE_LIT("2"), 0), STORE_TOO_BIG);
    void *room;
    assert_int_equal(store_put_reserve(w, ONE, SLICE_LIT("b"), 3, STORE_PUT_APPEND, &room),
                     STORE_OK);
    memcpy(room, "bbb", 3);
    assert_int_equal(store_count(w, ONE, &n), STORE_OK);
    assert_int_equal(n, 2);
    assert_int_equal(store_del(w, ONE, SLICE_LIT("a")), STORE_OK);
    assert_int_equal(store_del(w, ONE, SLICE_LIT("a")), STORE_NOTFOUND);
    assert_int_equal(store_commit(w), STORE_OK);

    struct store_cursor *c;
    assert_int_equal(store_read_begin(r), STORE_OK);
    assert_int_equal(store_cursor_open(r, ONE, &c), STORE_OK);
    assert_int_equal(store_cursor_seek(c, SLICE_LIT(""), &k, &v), STORE_OK);
    assert_true(slice_eq_str(k, "b") && slice_eq_str(v, "bbb"));
    assert_int_equal(store_cursor_next(c, &k, &v), STORE_NOTFOUND);
    store_cursor_close(c);
    store_read_end(r);
    store_reader_free(r);
    store_close(s);
    store_close(NULL);
}

static void test_abort_writes_nothing(void **state)
{
    struct store_config cfg = config();
    struct store *s = must_open(&cfg);
    struct store_txn *w, *r;
    struct slice v;
    assert_int_equal(store_write_begin(s, &w), STORE_OK);
    assert_int_equal(store_put(w, ONE, SLICE_LIT("a"), SLICE_LIT("1"), 0), STORE_OK);
    store_abort(w);
    assert_int_equal(store_reader_new(s, &r), STORE_OK);
    assert_int_equal(store_read_begin(r), STORE_OK);
    assert_int_equal(store_get(r, ONE, SLICE_LIT("a"), &v), STORE_NOTFOUND);
    store_read_end(r);
    store_reader_free(r);
    store_close(s);
}

static void test_a_second_open_in_the_process_is_refused(void **state)
{
    struct store_config cfg = config(), other = config();
    char alias[300];
    snprintf(alias, sizeof alias, "%s/./unit.mdb", dir);
    other.path = alias;
    struct store *s = must_open(&cfg), *second;
    struct errbuf e;
    assert_int_equal(store_open(&cfg, &second, &e), STORE_ALREADY_OPEN);
    assert_int_equal(store_open(&other, &second, &e), STORE_ALREADY_OPEN);
    assert_null(second);
    store_close(s);
    s = must_open(&other);
    store_close(s);
}

static void test_every_descriptor_closes_on_exec(void **state)
{
    struct store_config cfg = config();
    struct store *s = must_open(&cfg);
    DIR *d = opendir("/proc/self/fd");
    unsigned found = 0;
    for (struct dirent *ent; (ent = readdir(d)) != NULL;) {
        char link[300], target[300];
        snprintf(link, sizeof link, "/proc/self/fd/%s", ent->d_name);
        ssize_t n = readlink(link, target, sizeof target - 1);
        if (n < 0 || (size_t)n < strlen(path) || memcmp(target, path, strlen(path)) != 0)
            continue;
        found++;
        assert_int_equal(fcntl(atoi(ent->d_name), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    }
    closedir(d);
    assert_true(found >= 2);
    store_close(s);
}

static void test_use_after_fork_is_caught(void **state)
{
    struct store_config cfg = config();
    struct store *s = must_open(&cfg);
    pid_t pid = fork();
    if (pid == 0) {
        struct store_txn *r;
        close(STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        _exit(store_reader_new(s, &r) == STORE_OK ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    store_close(s);
}

static void test_schema_of_a_newer_version(void **state)
{
    struct store_config cfg = config();
    cfg.schema = 7;
    store_close(must_open(&cfg));
    cfg.schema = 6;
    struct store *s;
    struct errbuf e = {""};
    assert_int_equal(store_open(&cfg, &s, &e), STORE_NEWER);
    assert_non_null(strstr(e.msg, "schema 7, this one knows 6"));
    cfg.schema = 8;
    s = must_open(&cfg);
    assert_int_equal(store_schema(s), 7);
    store_close(s);
}

static void test_read_only_and_missing(void **state)
{
    struct store_config cfg = config();
    struct store *s;
    struct errbuf e;
    cfg.flags = 0;
    assert_int_equal(store_open(&cfg, &s, &e), STORE_NOTFOUND);
    cfg.flags = STORE_WRITE;
    store_close(must_open(&cfg));
    cfg.flags = 0;
    store_close(must_open(&cfg));
    int fd = open(path, O_WRONLY | O_TRUNC);
    assert_int_equal(write(fd, "not a database, but long enough to be read as a header....", 50),
                     50);
    assert_int_equal(ftruncate(fd, 65536), 0);
    close(fd);
    assert_int_equal(store_open(&cfg, &s, &e), STORE_CORRUPT);
}

static void test_a_file_without_a_newer_database(void **state)
{
    struct store_config cfg = config();
    struct store *s;
    struct store_txn *r;
    struct store_cursor *c;
    struct slice k, v;
    uint64_t n = 7;
    struct errbuf e;
    cfg.db_count = 1;
    s = must_open(&cfg);
    assert_int_equal(put_one(s, "k", SLICE_LIT("v")), STORE_OK);
    store_close(s);
    cfg = config();
    cfg.flags = 0;
    assert_int_equal(store_open(&cfg, &s, &e), STORE_NOTFOUND);
    cfg.flags = STORE_PARTIAL;
    s = must_open(&cfg);
    assert_int_equal(store_reader_new(s, &r), STORE_OK);
    assert_int_equal(store_read_begin(r), STORE_OK);
    assert_int_equal(store_get(r, ONE, SLICE_LIT("k"), &v), STORE_OK);
    assert_int_equal(store_get(r, TWO, SLICE_LIT("k"), &v), STORE_NOTFOUND);
    assert_int_equal(store_count(r, TWO, &n), STORE_OK);
    assert_int_equal(n, 0);
    assert_int_equal(store_cursor_open(r, TWO, &c), STORE_OK);
    assert_int_equal(store_cursor_seek(c, SLICE_LIT(""), &k, &v), STORE_NOTFOUND);
    assert_int_equal(store_cursor_last(c, &k, &v), STORE_NOTFOUND);
    store_cursor_close(c);
    store_read_end(r);
    store_reader_free(r);
    store_close(s);
}

static void test_map_full_is_named_and_survived(void **state)
{
    struct store_config cfg = config();
    cfg.map_bytes = 256 << 10;
    struct store *s = must_open(&cfg);
    static char big[300000];
    assert_int_equal(put_one(s, "big", slice_of(big, sizeof big)), STORE_MAP_FULL);
    assert_int_equal(put_one(s, "small", SLICE_LIT("x")), STORE_OK);
    store_close(s);
}

static void test_growth_by_another_process_is_adopted(void **state)
{
    struct store_config cfg = config();
    cfg.map_bytes = 256 << 10;
    int go[2], done[2];
    char c;
    assert_int_equal(pipe(go) | pipe(done), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct store_config big = cfg;
        struct store *s;
        static char value[1 << 20];
        big.map_bytes = 8 << 20;
        bool ok = read(go[0], &c, 1) == 1 && store_open(&big, &s, NULL) == STORE_OK &&
                  put_one(s, "big", slice_of(value, sizeof value)) == STORE_OK;
        _exit(write(done[1], ok ? "y" : "n", 1) == 1 ? 0 : 1);
    }
    struct store *s = must_open(&cfg);
    struct store_txn *r;
    struct slice v;
    assert_int_equal(store_reader_new(s, &r), STORE_OK);
    assert_int_equal(write(go[1], "g", 1), 1);
    assert_int_equal(read(done[0], &c, 1), 1);
    assert_int_equal(c, 'y');
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(store_read_begin(r), STORE_OK);
    assert_int_equal(store_get(r, ONE, SLICE_LIT("big"), &v), STORE_OK);
    assert_int_equal(v.n, 1 << 20);
    store_read_end(r);
    store_reader_free(r);
    store_close(s);
    for (int i = 0; i < 2; i++) {
        close(go[i]);
        close(done[i]);
    }
}

/* A process killed within a read transaction keeps its slot until it is cleared. */
static void test_stale_readers_are_cleared(void **state)
{
    struct store_config cfg = config();
    cfg.max_readers = 4;
    store_close(must_open(&cfg));
    for (int i = 0; i < 3; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            struct store *s;
            struct store_txn *r;
            if (store_open(&cfg, &s, NULL) != STORE_OK || store_reader_new(s, &r) != STORE_OK ||
                store_read_begin(r) != STORE_OK)
                _exit(1);
            raise(SIGKILL);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
    }
    /* Opening clears what died before. */
    struct store *s = must_open(&cfg);
    assert_int_equal(store_clear_stale_readers(s), 0);
    pid_t pids[4];
    int ready[2];
    char c;
    assert_int_equal(pipe(ready), 0);
    store_close(s);
    /* Slots are taken by the living; then they die and a begin that finds none free clears them. */
    for (int i = 0; i < 4; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            struct store_txn *r;
            bool ok = store_open(&cfg, &s, NULL) == STORE_OK && store_reader_new(s, &r) == STORE_OK;
            if (write(ready[1], ok ? "y" : "n", 1) == 1)
                pause();
            _exit(1);
        }
        assert_int_equal(read(ready[0], &c, 1), 1);
        assert_int_equal(c, 'y');
    }
    struct errbuf e = {""};
    assert_int_equal(store_open(&cfg, &s, &e), STORE_READERS_FULL);
    for (int i = 0; i < 4; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }
    s = must_open(&cfg);
    store_close(s);
    close(ready[0]);
    close(ready[1]);
}

static void test_reopen_keeps_readers(void **state)
{
    struct store_config cfg = config();
    struct store *s = must_open(&cfg);
    struct store_txn *r;
    struct slice v;
    struct errbuf e;
    assert_int_equal(put_one(s, "a", SLICE_LIT("1")), STORE_OK);
    assert_int_equal(store_reader_new(s, &r), STORE_OK);
    assert_int_equal(store_read_begin(r), STORE_OK);
    assert_int_equal(store_reopen(s, &e), STORE_REFUSED);
    store_read_end(r);
    assert_int_equal(store_reopen(s, &e), STORE_OK);
    assert_int_equal(store_read_begin(r), STORE_OK);
    assert_int_equal(store_get(r, ONE, SLICE_LIT("a"), &v), STORE_OK);
    store_read_end(r);
    store_reader_free(r);
    store_close(s);
}

static void test_copy(void **state)
{
    struct store_config cfg = config();
    struct store *s = must_open(&cfg);
    struct errbuf e = {""};
    char copy[300];
    struct stat st;
    snprintf(copy, sizeof copy, "%s/copy.mdb", dir);
    assert_int_equal(put_one(s, "a", SLICE_LIT("1")), STORE_OK);
    assert_int_equal(store_copy(s, copy, &e), STORE_OK);
    assert_int_equal(stat(copy, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(store_copy(s, copy, &e), STORE_EXISTS);
    assert_int_equal(put_one(s, "b", SLICE_LIT("2")), STORE_OK);
    cfg.path = copy;
    struct store *c = must_open(&cfg);
    struct store_txn *r;
    struct slice v;
    assert_int_equal(store_reader_new(c, &r), STORE_OK);
    assert_int_equal(store_read_begin(r), STORE_OK);
    assert_int_equal(store_get(r, ONE, SLICE_LIT("a"), &v), STORE_OK);
    assert_int_equal(store_get(r, ONE, SLICE_LIT("b"), &v), STORE_NOTFOUND);
    store_read_end(r);
    store_reader_free(r);
    store_close(c);
    store_close(s);
}

/* A file that may not grow (RLIMIT_FSIZE gives EFBIG where a full disk gives ENOSPC). */
static void test_a_file_that_cannot_grow(void **state)
{
    struct store_config cfg = config();
    struct store *s = must_open(&cfg);
    struct rlimit old, tight;
    static char big[1 << 20];
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    tight = old;
    tight.rlim_cur = 128 << 10;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    enum store_err err = put_one(s, "big", slice_of(big, sizeof big));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, handler);
    assert_true(err == STORE_DISK_FULL || err == STORE_IO);
    assert_int_equal(put_one(s, "big", slice_of(big, sizeof big)), STORE_OK);
    store_close(s);
}

static void test_full_disk(void **state)
{
    if (mount("gwtest", dir, "tmpfs", 0, "size=512k") != 0) {
        print_message("full disk: needs the right to mount a tmpfs (%s), skipped\n",
                      strerror(errno));
        skip();
    }
    struct store_config cfg = config();
    struct store *s = must_open(&cfg);
    static char big[600000];
    enum store_err full = put_one(s, "big", slice_of(big, sizeof big));
    enum store_err small = put_one(s, "small", SLICE_LIT("x"));
    store_close(s);
    assert_int_equal(umount(dir), 0);
    assert_int_equal(full, STORE_DISK_FULL);
    assert_int_equal(small, STORE_OK);
}

/* KiB of the file that count as this process's memory. */
static long resident_kib(const char *file)
{
    char line[512];
    long total = 0, kib;
    bool ours = false;
    FILE *f = fopen("/proc/self/smaps", "re");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        if (!isupper((unsigned char)line[0])) /* the head of a mapping */
            ours = strstr(line, file) && !strstr(line, "-lock");
        if (ours && sscanf(line, "Rss: %ld", &kib) == 1)
            total += kib;
    }
    fclose(f);
    return total;
}

static void test_pages_are_given_back(void **state)
{
    enum { VALUES = 64, VALUE_BYTES = 64 * 1024 };
    static char big[VALUE_BYTES];
    struct store_config cfg = config();
    struct store *s = must_open(&cfg);
    struct store_txn *r;
    char key[16];
    struct slice v;
    memset(big, 'x', sizeof big);
    for (int i = 0; i < VALUES; i++) {
        snprintf(key, sizeof key, "k%02d", i);
        assert_int_equal(put_one(s, key, slice_of(big, sizeof big)), STORE_OK);
    }
    assert_int_equal(store_reader_new(s, &r), STORE_OK);
    assert_int_equal(store_read_begin(r), STORE_OK);
    for (int i = 0; i < VALUES; i++) {
        snprintf(key, sizeof key, "k%02d", i);
        assert_int_equal(store_get(r, ONE, slice_str(key), &v), STORE_OK);
        assert_memory_equal(v.p, big, v.n);
    }
    assert_true(resident_kib("unit.mdb") >= VALUES * VALUE_BYTES / 1024);
    store_release_pages(s);
    assert_true(resident_kib("unit.mdb") < 256);
    assert_memory_equal(v.p, big, v.n); /* under a running transaction too */
    store_read_end(r);
    store_reader_free(r);
    store_close(s);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_put_get_del),
        T(test_abort_writes_nothing),
        T(test_a_second_open_in_the_process_is_refused),
        T(test_every_descriptor_closes_on_exec),
        T(test_use_after_fork_is_caught),
        T(test_schema_of_a_newer_version),
        T(test_read_only_and_missing),
        T(test_a_file_without_a_newer_database),
        T(test_map_full_is_named_and_survived),
        T(test_growth_by_another_process_is_adopted),
        T(test_stale_readers_are_cleared),
        T(test_reopen_keeps_readers),
        T(test_copy),
        T(test_pages_are_given_back),
        T(test_a_file_that_cannot_grow),
        T(test_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
