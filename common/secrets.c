/*
 * secrets.c: building, sealing and reading the memfd of secrets.
 */
#include "common/secrets.h"
#include "common/check.h"
#include "common/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char magic[8] = "gwsecret";

enum {
    VERSION = 1,
    SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE,
};

struct secrets_header {
    char magic[8];
    uint32_t version;
    uint32_t count;
    uint64_t total_bytes;
};

struct secrets_record {
    uint32_t name_at;
    uint32_t name_bytes;
    uint32_t data_at;
    uint32_t data_bytes;
    int64_t loaded_us;
    char fingerprint[SECRETS_FINGERPRINT_BYTES];
    char pad[7];
};
_Static_assert(sizeof(struct secrets_record) == 40, "the records have no hidden padding");

struct secrets {
    const char *base;
    size_t bytes;
    const struct secrets_record *records;
    size_t count;
};

/* ---- reading ---- */

static bool spans(const struct secrets *s, uint32_t at, uint32_t n)
{
    return at < s->bytes && n < s->bytes - at && s->base[at + n] == '\0';
}

static int check_layout(struct secrets *s, struct errbuf *e)
{
    const struct secrets_header *h = (const struct secrets_header *)s->base;
    if (s->bytes < sizeof *h || memcmp(h->magic, magic, sizeof magic) != 0 ||
        h->version != VERSION || h->total_bytes != s->bytes || h->count > SECRETS_MAX_BLOBS ||
        s->bytes - sizeof *h < h->count * sizeof(struct secrets_record))
        return err_set(e, "the secrets of this generation have a wrong header");
    s->records = (const struct secrets_record *)(s->base + sizeof *h);
    s->count = h->count;
    for (size_t i = 0; i < s->count; i++) {
        const struct secrets_record *r = &s->records[i];
        if (!spans(s, r->name_at, r->name_bytes) || !spans(s, r->data_at, r->data_bytes) ||
            memchr(r->fingerprint, '\0', sizeof r->fingerprint) == NULL)
            return err_set(e, "the secrets of this generation have a wrong index");
    }
    return 0;
}

struct secrets *secrets_attach(int fd, struct errbuf *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set_errno(err, "secrets: fstat"), NULL;
    if ((fcntl(fd, F_GET_SEALS) & SEALS) != SEALS)
        return err_set(err, "the secrets of this generation are not sealed"), NULL;
    if (st.st_size <= 0 || st.st_size > SECRETS_MAX_BYTES)
        return err_set(err, "the secrets of this generation have a wrong size"), NULL;
    void *base = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED)
        return err_set_errno(err, "secrets: mmap"), NULL;
    struct secrets *s = gw_xcalloc(1, sizeof *s);
    *s = (struct secrets){.base = base, .bytes = (size_t)st.st_size};
    if (madvise(base, s->bytes, MADV_DONTDUMP) < 0 || madvise(base, s->bytes, MADV_DONTFORK) < 0) {
        err_set_errno(err, "secrets: madvise");
        secrets_detach(s);
        return NULL;
    }
    if (check_layout(s, err) == 0)
        return s;
    secrets_detach(s);
    return NULL;
}

void secrets_detach(struct secrets *s)
{
    if (!s)
        return;
    munmap((void *)s->base, s->bytes);
    free(s);
}

size_t secrets_count(const struct secrets *s)
{
    return s->count;
}

struct secret secrets_at(const struct secrets *s, size_t i)
{
    GW_REQUIRE(i < s->count);
    const struct secrets_record *r = &s->records[i];
    return (struct secret){.name = slice_of(s->base + r->name_at, r->name_bytes),
                           .data = slice_of(s->base + r->data_at, r->data_bytes),
                           .fingerprint = r->fingerprint,
                           .loaded_us = r->loaded_us};
}

static int compare(struct slice a, struct slice b)
{
    int c = memcmp(a.p, b.p, GW_MIN(a.n, b.n));
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

bool secrets_get(const struct secrets *s, struct slice name, struct secret *out)
{
    size_t lo = 0, hi = s->count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        *out = secrets_at(s, mid);
        int c = compare(out->name, name);
        if (c == 0)
            return true;
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return false;
}

/* ---- writing ---- */

struct blob {
    char *name;
    size_t name_bytes;
    char *data;
    size_t data_bytes;
    int64_t loaded_us;
    char fingerprint[SECRETS_FINGERPRINT_BYTES];
};

struct secrets_writer {
    uint8_t salt[32];
    struct blob *v;
    size_t n;
    size_t total_bytes;
};

struct secrets_writer *secrets_writer_new(const uint8_t salt[32])
{
    struct secrets_writer *w = gw_xcalloc(1, sizeof *w);
    memcpy(w->salt, salt, sizeof w->salt);
    w->total_bytes = sizeof(struct secrets_header);
    return w;
}

/* 32 bits of a salted hash tell one secret from another; the salt is as private as the database
 * that holds it. */
static void fingerprint(const struct secrets_writer *w, struct slice data,
                        char out[SECRETS_FINGERPRINT_BYTES])
{
    uint8_t hash[CRYPTO_SHA256_BYTES];
    struct slice parts[] = {slice_of((const char *)w->salt, sizeof w->salt), data};
    crypto_sha256_parts(parts, ARRAY_LEN(parts), hash);
    crypto_hex(hash, (SECRETS_FINGERPRINT_BYTES - 1) / 2, out);
}

static char *copy(struct slice s)
{
    char *p = gw_xmalloc(s.n + 1);
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return p;
}

/* Position of the first blob whose name isn't smaller. */
static size_t position(const struct secrets_writer *w, struct slice name)
{
    size_t lo = 0, hi = w->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (compare(slice_of(w->v[mid].name, w->v[mid].name_bytes), name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

bool secrets_writer_get(const struct secrets_writer *w, struct slice name, struct slice *data)
{
    size_t at = position(w, name);
    if (at == w->n || !slice_eq(slice_of(w->v[at].name, w->v[at].name_bytes), name))
        return false;
    *data = slice_of(w->v[at].data, w->v[at].data_bytes);
    return true;
}

int secrets_writer_add(struct secrets_writer *w, struct slice name, struct slice data,
                       int64_t loaded_us, struct errbuf *err)
{
    struct slice there;
    size_t bytes = sizeof(struct secrets_record) + name.n + data.n + 2;
    GW_REQUIRE(!secrets_writer_get(w, name, &there));
    if (w->n == SECRETS_MAX_BLOBS)
        return err_set(err, "there are more than %d secrets and certificates", SECRETS_MAX_BLOBS);
    if (data.n > SECRETS_MAX_BYTES || w->total_bytes > SECRETS_MAX_BYTES - bytes)
        return err_set(err, "secrets and certificates have more than %d bytes in all",
                       SECRETS_MAX_BYTES);
    size_t at = position(w, name);
    w->v = gw_xrealloc(w->v, (w->n + 1) * sizeof *w->v);
    memmove(w->v + at + 1, w->v + at, (w->n - at) * sizeof *w->v);
    w->v[at] = (struct blob){.name = copy(name),
                             .name_bytes = name.n,
                             .data = copy(data),
                             .data_bytes = data.n,
                             .loaded_us = loaded_us};
    fingerprint(w, data, w->v[at].fingerprint);
    w->n++;
    w->total_bytes += bytes;
    return 0;
}

static void put_text(char *base, size_t *at, const char *p, size_t n, uint32_t *out_at,
                     uint32_t *out_bytes)
{
    memcpy(base + *at, p, n + 1); /* its NUL too */
    *out_at = (uint32_t)*at;
    *out_bytes = (uint32_t)n;
    *at += n + 1;
}

static void fill(const struct secrets_writer *w, char *base)
{
    struct secrets_header *h = (struct secrets_header *)base;
    struct secrets_record *r = (struct secrets_record *)(h + 1);
    size_t at = sizeof *h + w->n * sizeof *r;
    *h = (struct secrets_header){
        .version = VERSION, .count = (uint32_t)w->n, .total_bytes = w->total_bytes};
    memcpy(h->magic, magic, sizeof h->magic);
    for (size_t i = 0; i < w->n; i++, r++) {
        const struct blob *b = &w->v[i];
        *r = (struct secrets_record){.loaded_us = b->loaded_us};
        put_text(base, &at, b->name, b->name_bytes, &r->name_at, &r->name_bytes);
        put_text(base, &at, b->data, b->data_bytes, &r->data_at, &r->data_bytes);
        memcpy(r->fingerprint, b->fingerprint, sizeof r->fingerprint);
    }
    GW_REQUIRE(at == w->total_bytes);
}

int secrets_writer_seal(struct secrets_writer *w, struct errbuf *err)
{
    int fd = memfd_create("gatewayd-secrets", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return err_set_errno(err, "memfd_create");
    if (ftruncate(fd, (off_t)w->total_bytes) < 0) {
        err_set_errno(err, "secrets: ftruncate");
        goto fail;
    }
    char *base = mmap(NULL, w->total_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) {
        err_set_errno(err, "secrets: mmap");
        goto fail;
    }
    madvise(base, w->total_bytes, MADV_DONTDUMP);
    fill(w, base);
    munmap(base, w->total_bytes); /* F_SEAL_WRITE is refused while a writable mapping exists */
    if (fcntl(fd, F_ADD_SEALS, SEALS) == 0)
        return fd;
    err_set_errno(err, "secrets: seal");
fail:
    close(fd);
    return -1;
}

void secrets_writer_free(struct secrets_writer *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->n; i++) {
        crypto_wipe(w->v[i].data, w->v[i].data_bytes);
        free(w->v[i].name);
        free(w->v[i].data);
    }
    free(w->v);
    crypto_wipe(w->salt, sizeof w->salt);
    free(w);
}
