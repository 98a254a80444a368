/*
 * conf_file.c: INI files and their includes to entries.
 *
 * A file is read once, whole, and only if it is a regular file. An include that names itself, or a
 * file that was read before, is refused: with it every section would stand there twice.
 */
#include "common/check.h"
#include "common/conf.h"
#include "common/conf_keys.h"
#include "common/conf_value.h"
#include "common/ini.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    INCLUDE_DEPTH_MAX = 8,
    INCLUDE_FILES_MAX = 1000,
    FILE_BYTES_MAX = 64 * 1024 * 1024,
    ENTRIES_MAX = 4 * 1000 * 1000,
};

struct include {
    struct slice pattern;
    uint32_t line;
};

struct reader {
    struct conf_entries *out;
    uint32_t cap;
    struct conf_errors *errs;
    struct {
        dev_t dev;
        ino_t ino;
    } seen[INCLUDE_FILES_MAX];
    uint32_t n_seen;
    unsigned depth;
};

struct file {
    struct reader *r;
    struct slice path; /* absolute, in the arena */
    struct include *includes;
    uint32_t n_includes;
};

static void read_file(struct reader *r, const char *path, struct slice from, uint32_t line);

static void add_entry(struct file *f, struct slice section, const struct ini_entry *e)
{
    struct reader *r = f->r;
    struct conf_entries *out = r->out;
    if (out->n == ENTRIES_MAX) {
        conf_errors_add(r->errs, f->path, e->line, "more than %d lines with content", ENTRIES_MAX);
        return;
    }
    if (out->n == r->cap) {
        r->cap = GW_MAX(r->cap * 2, 64u);
        out->v = gw_xrealloc(out->v, r->cap * sizeof *out->v);
    }
    out->v[out->n++] = (struct conf_entry){.section = conf_dup(out->arena, section),
                                           .key = conf_dup(out->arena, e->key),
                                           .value = conf_dup(out->arena, e->value),
                                           .file = f->path,
                                           .line = e->line,
                                           .quoted = e->quoted};
}

static void on_section(void *user, struct slice section, uint32_t line)
{
    add_entry(user, section, &(struct ini_entry){.line = line});
}

static void add_include(struct file *f, const struct ini_entry *e)
{
    struct slice rest = e->value;
    while (rest.p) {
        struct slice pattern = slice_trim(slice_split(&rest, ','));
        if (pattern.n == 0)
            continue;
        f->includes = gw_xrealloc(f->includes, (f->n_includes + 1) * sizeof *f->includes);
        f->includes[f->n_includes++] =
            (struct include){conf_dup(f->r->out->arena, pattern), e->line};
    }
}

static void on_entry(void *user, const struct ini_entry *e)
{
    struct file *f = user;
    bool include = slice_eq_str(e->key, "include");
    if (include && (e->section.n == 0 || slice_eq_str(e->section, "gateway")))
        add_include(f, e);
    if (e->section.n)
        add_entry(f, e->section, e);
    else if (!include)
        conf_errors_add(f->r->errs, f->path, e->line,
                        "`%.*s` stands before the first [section]; only `include` may",
                        SLICE_FMT(e->key));
}

static void on_error(void *user, uint32_t line, const char *text)
{
    struct file *f = user;
    conf_errors_add(f->r->errs, f->path, line, "%s", text);
}

/* A directory that isn't there holds no files; one that can't be read is an error. */
static int on_glob_error(const char *path, int error)
{
    return error != ENOENT && error != ENOTDIR;
}

/* glob sorts by the locale; the order must not depend on it. */
static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void read_include(struct file *f, const struct include *inc)
{
    glob_t found;
    struct slice dir = f->path;
    while (dir.n && dir.p[dir.n - 1] != '/')
        dir.n--;
    struct slice pattern =
        inc->pattern.p[0] == '/'
            ? inc->pattern
            : conf_printf(f->r->out->arena, "%.*s%.*s", SLICE_FMT(dir), SLICE_FMT(inc->pattern));
    int rc = glob(pattern.p, GLOB_NOSORT, on_glob_error, &found);
    if (rc == GLOB_NOMATCH) {
        if (!strpbrk(pattern.p, "*?["))
            conf_errors_add(f->r->errs, f->path, inc->line, "include: there is no file %s",
                            pattern.p);
        return;
    }
    if (rc != 0) {
        conf_errors_add(f->r->errs, f->path, inc->line, "include: can't read the directory of %s",
                        pattern.p);
        return;
    }
    qsort(found.gl_pathv, found.gl_pathc, sizeof *found.gl_pathv, by_bytes);
    for (size_t i = 0; i < found.gl_pathc; i++)
        read_file(f->r, found.gl_pathv[i], f->path, inc->line);
    globfree(&found);
}

/* Returns the file's bytes (freed by the caller), or NULL and *e. */
static char *slurp(int fd, size_t *n, struct errbuf *e)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set_errno(e, "can't be read"), NULL;
    if (!S_ISREG(st.st_mode))
        return err_set(e, "is not a regular file"), NULL;
    if (st.st_size > FILE_BYTES_MAX)
        return err_set(e, "has more than %d bytes", FILE_BYTES_MAX), NULL;
    size_t cap = (size_t)st.st_size + 1; /* one more shows that it hasn't grown */
    char *text = gw_xmalloc(cap);
    for (*n = 0; *n < cap;) {
        ssize_t got = read(fd, text + *n, cap - *n);
        if (got == 0)
            return text;
        if (got < 0 && errno != EINTR) {
            err_set_errno(e, "can't be read");
            free(text);
            return NULL;
        }
        *n += got > 0 ? (size_t)got : 0;
    }
    free(text);
    return err_set(e, "is being written; try again"), NULL;
}

static bool seen_before(struct reader *r, int fd, struct errbuf *e)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set_errno(e, "can't be read"), true;
    for (uint32_t i = 0; i < r->n_seen; i++)
        if (r->seen[i].dev == st.st_dev && r->seen[i].ino == st.st_ino)
            return err_set(e, "is included twice, or includes itself"), true;
    if (r->n_seen == INCLUDE_FILES_MAX)
        return err_set(e, "is more than the %d files that may be included", INCLUDE_FILES_MAX),
               true;
    r->seen[r->n_seen].dev = st.st_dev;
    r->seen[r->n_seen++].ino = st.st_ino;
    return false;
}

static char *open_and_slurp(struct reader *r, const char *path, size_t *n, struct errbuf *e)
{
    char *text = NULL;
    /* O_NONBLOCK: opening a FIFO must not wait for its writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_set_errno(e, "can't be opened"), NULL;
    if (!seen_before(r, fd, e))
        text = slurp(fd, n, e);
    close(fd);
    return text;
}

static void read_file(struct reader *r, const char *path, struct slice from, uint32_t line)
{
    static const struct ini_sink sink = {on_section, on_entry, on_error};
    struct errbuf why;
    size_t n;
    if (r->depth == INCLUDE_DEPTH_MAX) {
        conf_errors_add(r->errs, from, line, "include: files may include others to a depth of %d",
                        INCLUDE_DEPTH_MAX);
        return;
    }
    char *text = open_and_slurp(r, path, &n, &why);
    if (!text) {
        conf_errors_add(r->errs, from, line, "%s %s", path, why.msg);
        return;
    }
    struct file f = {.r = r, .path = conf_dup(r->out->arena, slice_str(path))};
    /* Its errors are in r->errs already. */
    (void)!ini_read(slice_of(text, n), &sink, &f);
    free(text);
    r->depth++;
    for (uint32_t i = 0; i < f.n_includes; i++)
        read_include(&f, &f.includes[i]);
    r->depth--;
    free(f.includes);
}

struct conf_entries *conf_read_file(const char *path, struct conf_errors *errs)
{
    uint32_t before = errs->n;
    struct conf_entries *out = gw_xcalloc(1, sizeof *out);
    out->arena = gw_xmalloc(sizeof *out->arena);
    arena_init(out->arena, NULL, 0, SIZE_MAX / 2);
    struct reader *r = gw_xcalloc(1, sizeof *r);
    *r = (struct reader){.out = out, .errs = errs};
    char *absolute = realpath(path, NULL);
    if (absolute)
        read_file(r, absolute, slice_of(NULL, 0), 0);
    else
        conf_errors_add(errs, slice_of(NULL, 0), 0, "%s can't be opened: %s", path,
                        strerror(errno));
    free(absolute);
    free(r);
    if (errs->n == before)
        return out;
    conf_entries_free(out);
    return NULL;
}

static bool is_section(const struct conf_entry *head, enum conf_section kind, struct slice name)
{
    enum conf_section k;
    struct slice n;
    return !head->key.n && conf_section_parse(head->section, &k, &n) && k == kind &&
           slice_eq(n, name);
}

const struct conf_entry *conf_entry_find(const struct conf_entries *entries, struct slice section,
                                         struct slice key)
{
    const struct conf_entry *e = entries->v, *end = e + entries->n;
    enum conf_section kind;
    struct slice name;
    if (!conf_section_parse(section, &kind, &name))
        return NULL;
    while (e < end && !is_section(e, kind, name))
        e++;
    if (e == end)
        return NULL;
    for (const struct conf_entry *in = e + 1; in < end && in->key.n; in++)
        if (slice_eq(in->key, key))
            return in;
    return e;
}
