/*
 * json_scan_swar.c: the scanner for every other CPU: 8 bytes of a string in one word.
 */
#include "common/json_scan.h"

#define SCAN_TARGET

enum { WORD = 8 };

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* The high bit of the first byte that ends the ordinary run is set, and of none before it: a
 * subtraction borrows only from bytes behind one that is found. */
SCAN_INLINE uint64_t stops(uint64_t w)
{
    uint64_t quote = w ^ EACH('"'), slash = w ^ EACH('\\');
    return ((quote - EACH(1)) | (slash - EACH(1)) | (w - EACH(' ')) | w) & EACH(0x80);
}

SCAN_INLINE uint64_t load_little_endian(const uint8_t *p)
{
    uint64_t w;
    memcpy(&w, p, sizeof w);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    w = __builtin_bswap64(w);
#endif
    return w;
}

SCAN_INLINE const uint8_t *skip_ordinary(const uint8_t *p, const uint8_t *end)
{
    for (; end - p >= WORD; p += WORD) {
        uint64_t stop = stops(load_little_endian(p));
        if (stop)
            return p + __builtin_ctzll(stop) / 8;
    }
    while (p < end && *p != '"' && *p != '\\' && *p >= ' ' && *p < 0x80)
        p++;
    return p;
}

#include "common/json_scan_string.h"

SCAN_INLINE enum json_error scan_string(struct scan *s, uint32_t *info)
{
    struct string_end e = run_string(s->p + 1, s->end, *info);
    s->p = e.p;
    *info = e.info;
    return e.err;
}

SCAN_INLINE void scan_blanks(struct scan *s)
{
    s->p = skip_blanks(s->p, s->end);
}

#include "common/json_scan_core.h"

enum json_error json_scan_swar(struct json_doc *d, size_t n, size_t *at)
{
    return scan_text(d, n, at);
}
