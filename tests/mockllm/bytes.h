/*
 * bytes.h: a growable byte string and a borrowed slice.
 *
 * The mock links nothing of the gateway, so that a fault in the one can't hide a fault in the
 * other. Out of memory ends the program: it is a test tool and has nobody to apologise to.
 */
#ifndef MOCKLLM_BYTES_H
#define MOCKLLM_BYTES_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slice {
    const char *p;
    size_t len;
};

struct bytes {
    char *p;
    size_t len, cap;
};

#define SLICE(s)       ((struct slice){(s), sizeof(s) - 1})
#define SLICE_FMT      "%.*s"
#define SLICE_ARG(s)   (int)(s).len, (s).p
#define ARRAY_LEN(a)   (sizeof(a) / sizeof((a)[0]))
#define CHECKED_FMT(a) __attribute__((format(printf, a, a + 1)))

bool slice_is(struct slice s, const char *text);
bool slice_is_nocase(struct slice s, const char *text);
bool slice_eq(struct slice a, struct slice b);
struct slice slice_trim(struct slice s);
/* Takes the part before the first of the bytes in `seps` off the front of `*rest`. False at the
 * end. */
bool slice_split(struct slice *rest, const char *seps, struct slice *part);
/* A decimal of at most 18 digits and nothing else. False when it is anything else. */
bool slice_to_int(struct slice s, int64_t *out);
uint64_t slice_hash(struct slice s);

void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrndup(const char *p, size_t len);

/* Room for `more` bytes after len; returns where they go. */
char *bytes_reserve(struct bytes *b, size_t more);
void bytes_add(struct bytes *b, const void *p, size_t len);
void bytes_adds(struct bytes *b, const char *text);
void bytes_add_slice(struct bytes *b, struct slice s);
void bytes_addf(struct bytes *b, const char *fmt, ...) CHECKED_FMT(2);
/* As a JSON string with quotes; bytes outside printable ASCII become \u00XX, so that the receiver
 * gets every byte back by encoding the string as Latin-1. */
void bytes_add_json(struct bytes *b, struct slice s);
/* Drops the first n bytes. */
void bytes_shift(struct bytes *b, size_t n);
void bytes_fini(struct bytes *b);
struct slice bytes_slice(const struct bytes *b);

#endif
