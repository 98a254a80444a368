/*
 * json_scan_sse2.c: the scanner for any x86-64: 16 bytes of a string at once.
 */
#include "common/json_scan.h"

#if defined(__x86_64__)

#include <emmintrin.h>

#define SCAN_TARGET

enum { BLOCK = 16 };

SCAN_INLINE const uint8_t *skip_ordinary(const uint8_t *p, const uint8_t *end)
{
    for (; end - p >= BLOCK; p += BLOCK) {
        __m128i v = _mm_loadu_si128((const __m128i *)p);
        __m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"'));
        __m128i slash = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
        /* As signed bytes, what isn't ASCII is below space too. */
        __m128i other = _mm_cmplt_epi8(v, _mm_set1_epi8(' '));
        int stop = _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, slash), other));
        if (stop)
            return p + __builtin_ctz((unsigned)stop);
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

enum json_error json_scan_sse2(struct json_doc *d, size_t n, size_t *at)
{
    return scan_text(d, n, at);
}

#endif
