/*
 * secrets.h: the sealed memfd that carries what must never be on disk or in a core.
 *
 * The loader writes provider secrets, admin tokens, certificates, private keys, trust stores and
 * session ticket keys of one generation into a memfd and seals it against every change; workers and
 * keeper map it read-only and look blobs up by name. The mapping is left out of core dumps
 * (MADV_DONTDUMP) and out of children (MADV_DONTFORK).
 *
 * Format, host byte order, one machine: header {magic, version, count, total bytes}, `count` index
 * records sorted by name {name offset and length, data offset and length, load time, fingerprint},
 * then the bytes. secrets_attach() checks every offset before it believes one.
 */
#ifndef GW_COMMON_SECRETS_H
#define GW_COMMON_SECRETS_H

#include "common/errbuf.h"
#include "common/slice.h"

enum {
    SECRETS_MAX_BLOBS = 16384,
    SECRETS_MAX_BYTES = 256 * 1024 * 1024,
    SECRETS_FINGERPRINT_BYTES = 9, /* 8 hex digits and a NUL */
};

struct secrets; /* a mapping, or one under construction */

struct secret {
    struct slice name;
    struct slice data;       /* a NUL stands behind it */
    const char *fingerprint; /* 8 hex digits, keyed: says "same or other", nothing of the content */
    int64_t loaded_us;       /* wall clock */
};

/* Maps a sealed memfd; fd stays the caller's and may be closed after it. NULL and *err. */
struct secrets *secrets_attach(int fd, struct errbuf *err) GW_MUSTUSE;
void secrets_detach(struct secrets *s);
/* False: no such blob. *out borrows from the mapping. */
bool secrets_get(const struct secrets *s, struct slice name, struct secret *out);
size_t secrets_count(const struct secrets *s);
/* The i-th blob in the order of names. */
struct secret secrets_at(const struct secrets *s, size_t i);

/* ---- the loader's side ---- */

struct secrets_writer;

/* `salt` keys the fingerprints; it is the same for the life of an installation. */
struct secrets_writer *secrets_writer_new(const uint8_t salt[32]);
/* Copies. Adding a name twice is an error of the caller: aborts. -1: a limit above is hit. */
int secrets_writer_add(struct secrets_writer *w, struct slice name, struct slice data,
                       int64_t loaded_us, struct errbuf *err) GW_MUSTUSE;
/* What was added under that name; borrowed until the next add. False: nothing. */
bool secrets_writer_get(const struct secrets_writer *w, struct slice name, struct slice *data);
/* Returns the sealed memfd (close-on-exec), or -1 and *err. */
int secrets_writer_seal(struct secrets_writer *w, struct errbuf *err) GW_MUSTUSE;
/* Wipes and frees. */
void secrets_writer_free(struct secrets_writer *w);

#endif
