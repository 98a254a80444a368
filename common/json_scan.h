/*
 * json_scan.h: private to the JSON reader: what the scanners share.
 *
 * The scanner exists once as text (json_scan_core.h) and is compiled for each instruction set with
 * its own way of running through a string: json_scan_avx2.c, json_scan_sse2.c, json_scan_swar.c.
 * json_scan.c picks one at the first parse. All accept the same texts and leave the same tape; a
 * test compares them.
 */
#ifndef GW_COMMON_JSON_SCAN_H
#define GW_COMMON_JSON_SCAN_H

#include "common/json.h"

#define SCAN_INLINE static inline __attribute__((always_inline))

/* The state of one scan, kept in registers. While a container is open its token's `next` names the
 * container around it, and its count is set aside in `info` when another opens inside. */
struct scan {
    const uint8_t *base, *p, *end;
    struct json_tok *toks;
    uint32_t n, cap;
    uint32_t open;  /* token of the innermost open container; JSON_NONE at the top */
    uint32_t count; /* its children so far */
    uint32_t depth;
};

/* Reads the doc's text into its tape, sets d->n. On an error *at is the offset where it was seen.
 */
typedef enum json_error json_scan_fn(struct json_doc *d, size_t n, size_t *at);
json_scan_fn json_scan_swar;
#if defined(__x86_64__)
json_scan_fn json_scan_sse2;
json_scan_fn json_scan_avx2;
#endif

/* Where a string ended, or went wrong. */
struct string_end {
    const uint8_t *p; /* behind the closing quote, or at the error */
    uint32_t info;    /* JSON_TOK_ESCAPED or 0 */
    uint32_t err;     /* enum json_error */
};

/* Room for at least one more token. */
enum json_error json_tape_grow(struct json_doc *d);

struct json_scanner {
    const char *name;
    json_scan_fn *scan;
};
/* The scanners that this CPU can run, best first, ended by {NULL, NULL}. */
const struct json_scanner *json_scanners(void);

/* Length of the well-formed UTF-8 sequence at p (RFC 3629), 2 to 4; 0 if there is none. *p is not
 * ASCII. */
unsigned json_utf8_length(const uint8_t *p, const uint8_t *end);

SCAN_INLINE bool scan_is_hex(uint8_t c)
{
    return (uint8_t)(c - '0') < 10 || (uint8_t)((c | 0x20) - 'a') < 6;
}

/* Length of the escape sequence at p (a backslash), 2 or 6; 0 if it is malformed or cut. */
SCAN_INLINE unsigned scan_escape_length(const uint8_t *p, const uint8_t *end)
{
    if (end - p < 2)
        return 0;
    switch (p[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return 2;
    case 'u':
        if (end - p < 6)
            return 0;
        return scan_is_hex(p[2]) && scan_is_hex(p[3]) && scan_is_hex(p[4]) && scan_is_hex(p[5]) ? 6
                                                                                                : 0;
    default:
        return 0;
    }
}

#endif
