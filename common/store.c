/*
 * store.c: LMDB 0.9 behind the rules of store.h.
 *
 * What LMDB leaves to its user and this file does: one open a file and process (its POSIX locks
 * drop with any close), no use after fork (reader slots carry the opener's pid), MDB_NOTLS, stale
 * reader slots cleared, close-on-exec on all of its descriptors (0.9.24 leaves one without),
 * MDB_MAP_RESIZED answered once, MDB_PANIC answered by store_reopen. Never MDB_WRITEMAP: a full
 * disk would be a SIGBUS. No MDB_DUPSORT databases (ITS#9376, 9461, 9500, 8447, 9723).
 *
 * `running` is held shared by every running transaction and taken exclusively to resize or reopen.
 */
#include "common/store.h"

#include "common/check.h"
#include "common/list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { DEFAULT_READERS = 512 };
static const MDB_dbi NO_DBI = UINT_MAX; /* of STORE_PARTIAL */
static const size_t DEFAULT_MAP_BYTES = (size_t)1 << 30;
static const char SCHEMA_KEY[] = "gw.schema";

struct store {
    struct list node; /* on open_stores */
    char *path;
    MDB_env *env;
    unsigned flags;
    size_t map_bytes;
    unsigned max_readers;
    uint32_t schema_known, schema_on_disk;
    pid_t pid;
    char *db_names[STORE_DBS_MAX];
    MDB_dbi dbis[STORE_DBS_MAX];
    size_t db_count;
    pthread_rwlock_t running;
    pthread_mutex_t readers_lock;
    struct list readers;
};

struct store_txn {
    struct list node; /* on store.readers, of cached read transactions */
    struct store *s;
    MDB_txn *txn; /* a reader's is NULL before its first use and after a reopen */
    bool begun;
};

static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list open_stores = {&open_stores, &open_stores};
/* getpid() is a system call; this follows forks for nothing. */
static pid_t self_pid;

static void note_pid(void)
{
    self_pid = getpid();
}

__attribute__((constructor)) static void watch_forks(void)
{
    note_pid();
    pthread_atfork(NULL, NULL, note_pid);
}

static void require_own(const struct store *s)
{
    GW_REQUIRE(s->pid == self_pid);
}

static const char *const err_names[] = {
#define X(name, text) #name,
    STORE_ERRORS(X)
#undef X
};
static const char *const err_texts[] = {
#define X(name, text) text,
    STORE_ERRORS(X)
#undef X
};

const char *store_err_name(enum store_err err)
{
    return (unsigned)err < ARRAY_LEN(err_names) ? err_names[err] : "?";
}

const char *store_err_text(enum store_err err)
{
    return (unsigned)err < ARRAY_LEN(err_texts) ? err_texts[err] : "?";
}

static enum store_err translate(int rc)
{
    switch (rc) {
    case MDB_SUCCESS:
        return STORE_OK;
    case MDB_NOTFOUND:
        return STORE_NOTFOUND;
    case MDB_KEYEXIST:
        return STORE_EXISTS;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
        return STORE_MAP_FULL;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return STORE_DISK_FULL;
    case MDB_MAP_RESIZED:
        return STORE_MAP_RESIZED;
    case MDB_READERS_FULL:
        return STORE_READERS_FULL;
    case MDB_BAD_VALSIZE:
        return STORE_TOO_BIG;
    case MDB_PANIC:
        return STORE_PANIC;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
        return STORE_CORRUPT;
    case EACCES:
    case EPERM:
    case EROFS:
        return STORE_DENIED;
    default:
        return STORE_IO;
    }
}

static enum store_err fail(struct errbuf *e, const char *path, const char *doing, int rc)
{
    err_set(e, "%s: %s: %s", path, doing, mdb_strerror(rc));
    return translate(rc);
}

/* --- opening ------------------------------------------------------------------------------------
 */

/* Sets close-on-exec on every descriptor of the file and its lock, without opening either: closing
 * would drop the locks. */
static void set_cloexec(const char *path)
{
    char real[PATH_MAX], link[PATH_MAX], target[PATH_MAX];
    DIR *d = opendir("/proc/self/fd");
    if (!d || !realpath(path, real)) {
        if (d)
            closedir(d);
        return;
    }
    size_t n = strlen(real);
    for (struct dirent *ent; (ent = readdir(d)) != NULL;) {
        snprintf(link, sizeof link, "/proc/self/fd/%s", ent->d_name);
        ssize_t got = readlink(link, target, sizeof target - 1);
        if (got < (ssize_t)n || memcmp(target, real, n) != 0)
            continue;
        target[got] = '\0';
        if (target[n] == '\0' || strcmp(target + n, "-lock") == 0)
            fcntl(atoi(ent->d_name), F_SETFD, FD_CLOEXEC);
    }
    closedir(d);
}

static bool is_open(const char *path)
{
    struct stat want, have;
    bool exists = stat(path, &want) == 0;
    list_foreach(it, &open_stores)
    {
        const struct store *s = list_entry(it, struct store, node);
        /* Those inherited through a fork are not ours; exec is what gets rid of them. */
        if (strcmp(s->path, path) == 0 ||
            (exists && stat(s->path, &have) == 0 && have.st_dev == want.st_dev &&
             have.st_ino == want.st_ino))
            return true;
    }
    return false;
}

static int read_schema(struct store *s, MDB_txn *txn)
{
    MDB_dbi main_db;
    MDB_val key = {sizeof SCHEMA_KEY - 1, (void *)SCHEMA_KEY}, val;
    int rc = mdb_dbi_open(txn, NULL, 0, &main_db);
    if (rc == 0)
        rc = mdb_get(txn, main_db, &key, &val);
    if (rc == 0 && val.mv_size != sizeof s->schema_on_disk)
        return MDB_INVALID;
    if (rc == 0)
        memcpy(&s->schema_on_disk, val.mv_data, sizeof s->schema_on_disk);
    return rc;
}

static int write_schema(struct store *s, MDB_txn *txn)
{
    MDB_dbi main_db;
    MDB_val key = {sizeof SCHEMA_KEY - 1, (void *)SCHEMA_KEY};
    MDB_val val = {sizeof s->schema_known, &s->schema_known};
    int rc = mdb_dbi_open(txn, NULL, 0, &main_db);
    if (rc == 0)
        rc = mdb_put(txn, main_db, &key, &val, 0);
    s->schema_on_disk = s->schema_known;
    return rc;
}

/* Opens all databases and reads the schema in one transaction; creates what is missing if asked. */
static int open_dbs(struct store *s, bool create)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(s->env, NULL, create ? 0 : MDB_RDONLY, &txn);
    if (rc != 0)
        return rc;
    rc = read_schema(s, txn);
    if (rc == MDB_NOTFOUND && create)
        rc = write_schema(s, txn);
    /* Nothing is created in a file that a newer version has laid out. */
    for (size_t i = 0; rc == 0 && s->schema_on_disk <= s->schema_known && i < s->db_count; i++) {
        rc = mdb_dbi_open(txn, s->db_names[i], create ? MDB_CREATE : 0, &s->dbis[i]);
        if (rc == MDB_NOTFOUND && (s->flags & STORE_PARTIAL)) {
            s->dbis[i] = NO_DBI;
            rc = 0;
        }
    }
    if (rc == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}

static unsigned env_flags(const struct store *s)
{
    unsigned f = MDB_NOSUBDIR | MDB_NOTLS;
    if (!(s->flags & STORE_WRITE))
        f |= MDB_RDONLY;
    if (s->flags & STORE_NOSYNC)
        f |= MDB_NOSYNC;
    return f;
}

static enum store_err open_env(struct store *s, struct errbuf *e)
{
    int dead;
    int rc = mdb_env_create(&s->env);
    GW_REQUIRE(rc == 0);
    mdb_env_set_maxdbs(s->env, (MDB_dbi)s->db_count);
    mdb_env_set_maxreaders(s->env, s->max_readers);
    mdb_env_set_mapsize(s->env, s->map_bytes);
    rc = mdb_env_open(s->env, s->path, env_flags(s), 0600);
    if (rc != 0) {
        fail(e, s->path, "cannot open", rc);
        goto failed;
    }
    set_cloexec(s->path);
    mdb_reader_check(s->env, &dead);
    rc = open_dbs(s, false);
    if (rc == MDB_NOTFOUND && (s->flags & STORE_WRITE))
        rc = open_dbs(s, true);
    if (rc != 0) {
        fail(e, s->path, "cannot open its databases", rc);
        goto failed;
    }
    if (s->schema_on_disk > s->schema_known) {
        err_set(e,
                "%s was written by a newer gatewayd (schema %u, this one knows %u): install that "
                "version again, or restore a backup made by this one",
                s->path, s->schema_on_disk, s->schema_known);
        mdb_env_close(s->env);
        s->env = NULL;
        return STORE_NEWER;
    }
    return STORE_OK;
failed:
    mdb_env_close(s->env);
    s->env = NULL;
    return rc == ENOENT ? STORE_NOTFOUND : translate(rc);
}

static struct store *new_store(const struct store_config *cfg)
{
    struct store *s = gw_xcalloc(1, sizeof *s);
    s->path = gw_xstrdup(cfg->path);
    s->flags = cfg->flags;
    s->map_bytes = cfg->map_bytes ? cfg->map_bytes : DEFAULT_MAP_BYTES;
    s->max_readers = cfg->max_readers ? cfg->max_readers : DEFAULT_READERS;
    s->schema_known = cfg->schema;
    s->pid = self_pid;
    s->db_count = cfg->db_count;
    for (size_t i = 0; i < cfg->db_count; i++)
        s->db_names[i] = gw_xstrdup(cfg->dbs[i]);
    GW_REQUIRE(pthread_rwlock_init(&s->running, NULL) == 0);
    GW_REQUIRE(pthread_mutex_init(&s->readers_lock, NULL) == 0);
    list_init(&s->readers);
    list_init(&s->node);
    return s;
}

static void free_store(struct store *s)
{
    for (size_t i = 0; i < s->db_count; i++)
        free(s->db_names[i]);
    pthread_rwlock_destroy(&s->running);
    pthread_mutex_destroy(&s->readers_lock);
    free(s->path);
    free(s);
}

enum store_err store_open(const struct store_config *cfg, struct store **out, struct errbuf *e)
{
    GW_REQUIRE(cfg->db_count > 0 && cfg->db_count <= STORE_DBS_MAX && cfg->schema > 0);
    GW_REQUIRE(!(cfg->flags & STORE_WRITE) || !(cfg->flags & STORE_PARTIAL));
    *out = NULL;
    if (!(cfg->flags & STORE_WRITE) && access(cfg->path, F_OK) != 0) {
        err_set_errno(e, "%s", cfg->path);
        return STORE_NOTFOUND;
    }
    pthread_mutex_lock(&open_lock);
    enum store_err err = STORE_ALREADY_OPEN;
    if (is_open(cfg->path)) {
        err_set(e, "%s is open already in this process", cfg->path);
        goto done;
    }
    struct store *s = new_store(cfg);
    err = open_env(s, e);
    if (err != STORE_OK) {
        free_store(s);
        goto done;
    }
    list_append(&open_stores, &s->node);
    *out = s;
done:
    pthread_mutex_unlock(&open_lock);
    return err;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    require_own(s);
    GW_REQUIRE(list_empty(&s->readers));
    GW_REQUIRE(pthread_rwlock_trywrlock(&s->running) == 0);
    pthread_rwlock_unlock(&s->running);
    pthread_mutex_lock(&open_lock);
    list_del(&s->node);
    if (s->env)
        mdb_env_close(s->env);
    pthread_mutex_unlock(&open_lock);
    free_store(s);
}

uint32_t store_schema(const struct store *s)
{
    return s->schema_on_disk;
}

enum store_err store_reopen(struct store *s, struct errbuf *e)
{
    require_own(s);
    if (pthread_rwlock_trywrlock(&s->running) != 0) {
        err_set(e, "%s: cannot reopen while a transaction is running", s->path);
        return STORE_REFUSED;
    }
    pthread_mutex_lock(&s->readers_lock);
    list_foreach(it, &s->readers)
    {
        struct store_txn *r = list_entry(it, struct store_txn, node);
        mdb_txn_abort(r->txn);
        r->txn = NULL;
    }
    pthread_mutex_unlock(&s->readers_lock);
    if (s->env)
        mdb_env_close(s->env);
    enum store_err err = open_env(s, e);
    pthread_rwlock_unlock(&s->running);
    return err;
}

unsigned store_clear_stale_readers(struct store *s)
{
    int dead = 0;
    require_own(s);
    pthread_rwlock_rdlock(&s->running);
    if (s->env)
        mdb_reader_check(s->env, &dead);
    pthread_rwlock_unlock(&s->running);
    return dead > 0 ? (unsigned)dead : 0;
}

/* --- transactions ----------------------------------------------------------------------------- */

/* Adopts the size that another process gave the file. False while a transaction of this process
 * runs. */
static bool adopt_size(struct store *s)
{
    if (pthread_rwlock_trywrlock(&s->running) != 0)
        return false;
    int rc = mdb_env_set_mapsize(s->env, 0);
    pthread_rwlock_unlock(&s->running);
    return rc == 0;
}

static int try_begin(struct store_txn *t, unsigned flags)
{
    if (!t->s->env)
        return MDB_PANIC;
    return t->txn ? mdb_txn_renew(t->txn) : mdb_txn_begin(t->s->env, NULL, flags, &t->txn);
}

static enum store_err begin(struct store_txn *t, unsigned flags)
{
    struct store *s = t->s;
    require_own(s);
    GW_REQUIRE(!t->begun);
    for (int tries = 0;; tries++) {
        pthread_rwlock_rdlock(&s->running);
        int rc = try_begin(t, flags);
        if (rc == 0) {
            t->begun = true;
            return STORE_OK;
        }
        pthread_rwlock_unlock(&s->running);
        bool again = tries == 0 && ((rc == MDB_MAP_RESIZED && adopt_size(s)) ||
                                    (rc == MDB_READERS_FULL && store_clear_stale_readers(s) > 0));
        if (!again)
            return translate(rc);
    }
}

enum store_err store_reader_new(struct store *s, struct store_txn **out)
{
    require_own(s);
    struct store_txn *r = gw_xcalloc(1, sizeof *r);
    r->s = s;
    /* The slot in the reader table is taken now, so that "too many readers" shows at start. */
    enum store_err err = begin(r, MDB_RDONLY);
    if (err != STORE_OK) {
        free(r);
        *out = NULL;
        return err;
    }
    store_read_end(r);
    pthread_mutex_lock(&s->readers_lock);
    list_append(&s->readers, &r->node);
    pthread_mutex_unlock(&s->readers_lock);
    *out = r;
    return STORE_OK;
}

void store_reader_free(struct store_txn *r)
{
    if (!r)
        return;
    require_own(r->s);
    GW_REQUIRE(!r->begun);
    pthread_mutex_lock(&r->s->readers_lock);
    list_del(&r->node);
    mdb_txn_abort(r->txn);
    pthread_mutex_unlock(&r->s->readers_lock);
    free(r);
}

enum store_err store_read_begin(struct store_txn *r)
{
    return begin(r, MDB_RDONLY);
}

void store_read_end(struct store_txn *r)
{
    GW_REQUIRE(r->begun);
    mdb_txn_reset(r->txn);
    r->begun = false;
    pthread_rwlock_unlock(&r->s->running);
}

enum store_err store_write_begin(struct store *s, struct store_txn **out)
{
    GW_REQUIRE(s->flags & STORE_WRITE);
    struct store_txn *t = gw_xcalloc(1, sizeof *t);
    t->s = s;
    list_init(&t->node);
    enum store_err err = begin(t, 0);
    if (err != STORE_OK) {
        free(t);
        t = NULL;
    }
    *out = t;
    return err;
}

/* A short write on a full file system comes out of LMDB as EIO (mdb_page_flush). */
static bool disk_is_full(const struct store *s)
{
    struct statvfs v;
    int fd;
    return mdb_env_get_fd(s->env, &fd) == 0 && fstatvfs(fd, &v) == 0 && v.f_bavail < 64;
}

enum store_err store_commit(struct store_txn *t)
{
    GW_REQUIRE(t->begun);
    int rc = mdb_txn_commit(t->txn);
    enum store_err err = rc == EIO && disk_is_full(t->s) ? STORE_DISK_FULL : translate(rc);
    pthread_rwlock_unlock(&t->s->running);
    free(t);
    return err;
}

void store_abort(struct store_txn *t)
{
    if (!t)
        return;
    GW_REQUIRE(t->begun);
    mdb_txn_abort(t->txn);
    pthread_rwlock_unlock(&t->s->running);
    free(t);
}

/* --- records ------------------------------------------------------------------------------------
 */

static MDB_val val_of(struct slice s)
{
    return (MDB_val){s.n, (void *)s.p};
}

static struct slice slice_of_val(MDB_val v)
{
    return slice_of(v.mv_data, v.mv_size);
}

static MDB_dbi dbi_of(const struct store_txn *t, unsigned db)
{
    GW_REQUIRE(t->begun && db < t->s->db_count);
    return t->s->dbis[db];
}

enum store_err store_get(struct store_txn *t, unsigned db, struct slice key, struct slice *value)
{
    MDB_val k = val_of(key), v;
    MDB_dbi dbi = dbi_of(t, db);
    if (key.n == 0 || key.n > STORE_KEY_MAX || dbi == NO_DBI)
        return STORE_NOTFOUND;
    int rc = mdb_get(t->txn, dbi, &k, &v);
    if (rc == 0)
        *value = slice_of_val(v);
    return translate(rc);
}

static unsigned native_put_flags(unsigned put_flags)
{
    return (put_flags & STORE_PUT_NEW ? MDB_NOOVERWRITE : 0) |
           (put_flags & STORE_PUT_APPEND ? MDB_APPEND : 0);
}

enum store_err store_put(struct store_txn *t, unsigned db, struct slice key, struct slice value,
                         unsigned put_flags)
{
    MDB_val k = val_of(key), v = val_of(value);
    MDB_dbi dbi = dbi_of(t, db);
    if (key.n == 0 || key.n > STORE_KEY_MAX)
        return STORE_TOO_BIG;
    return translate(mdb_put(t->txn, dbi, &k, &v, native_put_flags(put_flags)));
}

enum store_err store_put_reserve(struct store_txn *t, unsigned db, struct slice key, size_t n,
                                 unsigned put_flags, void **out)
{
    MDB_val k = val_of(key), v = {n, NULL};
    MDB_dbi dbi = dbi_of(t, db);
    if (key.n == 0 || key.n > STORE_KEY_MAX)
        return STORE_TOO_BIG;
    int rc = mdb_put(t->txn, dbi, &k, &v, native_put_flags(put_flags) | MDB_RESERVE);
    if (rc == 0)
        *out = v.mv_data;
    return translate(rc);
}

enum store_err store_del(struct store_txn *t, unsigned db, struct slice key)
{
    MDB_val k = val_of(key);
    MDB_dbi dbi = dbi_of(t, db);
    if (key.n == 0 || key.n > STORE_KEY_MAX)
        return STORE_NOTFOUND;
    return translate(mdb_del(t->txn, dbi, &k, NULL));
}

enum store_err store_count(struct store_txn *t, unsigned db, uint64_t *out)
{
    MDB_stat st;
    MDB_dbi dbi = dbi_of(t, db);
    *out = 0;
    int rc = dbi == NO_DBI ? 0 : mdb_stat(t->txn, dbi, &st);
    if (rc == 0 && dbi != NO_DBI)
        *out = st.ms_entries;
    return translate(rc);
}

struct store_cursor {
    MDB_cursor *cursor; /* NULL: of a database that isn't there */
};

enum store_err store_cursor_open(struct store_txn *t, unsigned db, struct store_cursor **out)
{
    struct store_cursor *c = gw_xcalloc(1, sizeof *c);
    MDB_dbi dbi = dbi_of(t, db);
    int rc = dbi == NO_DBI ? 0 : mdb_cursor_open(t->txn, dbi, &c->cursor);
    if (rc != 0) {
        free(c);
        c = NULL;
    }
    *out = c;
    return translate(rc);
}

void store_cursor_close(struct store_cursor *c)
{
    if (!c)
        return;
    if (c->cursor)
        mdb_cursor_close(c->cursor);
    free(c);
}

static enum store_err move(struct store_cursor *c, struct slice at, MDB_cursor_op op,
                           struct slice *k, struct slice *v)
{
    MDB_val key = val_of(at), val;
    if (!c->cursor)
        return STORE_NOTFOUND;
    int rc = mdb_cursor_get(c->cursor, &key, &val, op);
    if (rc == 0) {
        *k = slice_of_val(key);
        *v = slice_of_val(val);
    }
    return translate(rc);
}

enum store_err store_cursor_seek(struct store_cursor *c, struct slice key, struct slice *k,
                                 struct slice *v)
{
    return move(c, key, key.n ? MDB_SET_RANGE : MDB_FIRST, k, v);
}

enum store_err store_cursor_next(struct store_cursor *c, struct slice *k, struct slice *v)
{
    return move(c, (struct slice){NULL, 0}, MDB_NEXT, k, v);
}

enum store_err store_cursor_prev(struct store_cursor *c, struct slice *k, struct slice *v)
{
    return move(c, (struct slice){NULL, 0}, MDB_PREV, k, v);
}

enum store_err store_cursor_last(struct store_cursor *c, struct slice *k, struct slice *v)
{
    return move(c, (struct slice){NULL, 0}, MDB_LAST, k, v);
}

enum store_err store_cursor_del(struct store_cursor *c)
{
    return translate(mdb_cursor_del(c->cursor, 0));
}

/* --- whole environment ------------------------------------------------------------------------ */

enum store_err store_copy(struct store *s, const char *path, struct errbuf *e)
{
    require_own(s);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        int rc = errno;
        err_set_errno(e, "cannot create %s", path);
        return rc == EEXIST ? STORE_EXISTS : translate(rc);
    }
    pthread_rwlock_rdlock(&s->running);
    int rc = s->env ? mdb_env_copyfd2(s->env, fd, 0) : MDB_PANIC;
    pthread_rwlock_unlock(&s->running);
    if (rc == 0 && fsync(fd) != 0)
        rc = errno;
    if (close(fd) != 0 && rc == 0)
        rc = errno;
    if (rc == 0)
        return STORE_OK;
    unlink(path);
    return fail(e, path, "cannot write the copy", rc);
}

void store_stats(struct store *s, struct store_stats *out)
{
    MDB_envinfo info;
    MDB_stat st;
    *out = (struct store_stats){0};
    require_own(s);
    pthread_rwlock_rdlock(&s->running);
    if (s->env && mdb_env_info(s->env, &info) == 0 && mdb_env_stat(s->env, &st) == 0)
        *out = (struct store_stats){
            .map_bytes = info.me_mapsize,
            .used_bytes = ((uint64_t)info.me_last_pgno + 1) * st.ms_psize,
            .last_txn = info.me_last_txnid,
            .readers_max = info.me_maxreaders,
            .readers_used = info.me_numreaders,
        };
    pthread_rwlock_unlock(&s->running);
}

/* Where the file is mapped: mdb_env_info tells that only of MDB_FIXEDMAP. By inode and name, since
 * the device that the kernel prints is not that of stat(2) on overlayfs and btrfs. */
static bool find_map(struct store *s, char **at, size_t *n)
{
    char line[PATH_MAX + 128];
    struct stat st;
    unsigned long from, to, inode;
    int fd, name_at;
    bool found = false;
    const char *slash = strrchr(s->path, '/'), *name = slash ? slash + 1 : s->path;
    if (mdb_env_get_fd(s->env, &fd) != 0 || fstat(fd, &st) != 0)
        return false;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && !found && fgets(line, sizeof line, maps)) {
        line[strcspn(line, "\n")] = 0;
        if (sscanf(line, "%lx-%lx %*s %*s %*s %lu %n", &from, &to, &inode, &name_at) != 3)
            continue;
        slash = strrchr(line + name_at, '/');
        found = inode == st.st_ino && slash && strcmp(slash + 1, name) == 0;
    }
    if (maps)
        fclose(maps);
    *at = found ? (char *)from : NULL;
    *n = found ? to - from : 0;
    return found;
}

void store_release_pages(struct store *s)
{
    char *at;
    size_t n;
    require_own(s);
    pthread_rwlock_rdlock(&s->running);
    /* Without MDB_WRITEMAP the map is shared and only read: nothing is lost, not even under a
     * transaction that is running (madvise(2)). */
    if (s->env && find_map(s, &at, &n))
        (void)madvise(at, n, MADV_DONTNEED);
    pthread_rwlock_unlock(&s->running);
}
