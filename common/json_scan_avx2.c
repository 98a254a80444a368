/*
 * json_scan_avx2.c: the scanner for x86-64 with AVX2.
 *
 * Each token's position depends on the one before, so for short strings it is latency that counts:
 * 16 bytes are tried first, which hold the end of nearly every member name. Longer ones are run
 * over in blocks of 32 bytes, all escapes of a block taken from one bit mask.
 *
 * UTF-8 is validated with the lookup method of Keiser and Lemire, "Validating UTF-8 In Less Than
 * One Instruction Per Byte" (Software: Practice and Experience 51(5), 2021), only where a block has
 * or follows bytes that are not ASCII. The three bytes before a block are read again, not carried:
 * what stands before a string's first block is its quote and ASCII.
 */
#include "common/json_scan.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define SCAN_TARGET __attribute__((target("avx2,bmi,bmi2")))

enum { BLOCK = 32, SHORT = 16, LOOKBACK = 3 };

/* What stops skip_ordinary, as a bit mask of 16 bytes. */
SCAN_INLINE unsigned stops(const uint8_t *p)
{
    __m128i v = _mm_loadu_si128((const __m128i *)p);
    __m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"'));
    __m128i slash = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
    /* As signed bytes, what isn't ASCII is below space too. */
    __m128i other = _mm_cmplt_epi8(v, _mm_set1_epi8(' '));
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, slash), other));
}

SCAN_INLINE const uint8_t *skip_ordinary(const uint8_t *p, const uint8_t *end)
{
    for (; end - p >= SHORT; p += SHORT) {
        unsigned stop = stops(p);
        if (stop)
            return p + __builtin_ctz(stop);
    }
    while (p < end && *p != '"' && *p != '\\' && *p >= ' ' && *p < 0x80)
        p++;
    return p;
}

#include "common/json_scan_string.h"

/* What may be wrong with a pair of bytes; a bit survives the AND of the three lookups only if it
 * is. */
enum {
    TOO_SHORT = 1 << 0,      /* lead byte, then no continuation */
    TOO_LONG = 1 << 1,       /* ASCII, then a continuation */
    OVERLONG_3 = 1 << 2,     /* E0 80..9F */
    TOO_LARGE = 1 << 3,      /* F4 90..BF and F5..FF */
    SURROGATE = 1 << 4,      /* ED A0..BF */
    OVERLONG_2 = 1 << 5,     /* C0, C1 */
    TOO_LARGE_1000 = 1 << 6, /* F5..FF 80..8F */
    OVERLONG_4 = 1 << 6,     /* F0 80..8F */
    TWO_CONTS = 1 << 7,      /* right only as bytes 3 and 4: settled by the lead byte before */
    CARRY = TOO_SHORT | TOO_LONG | TWO_CONTS,
};

#define TABLE(...) _mm256_broadcastsi128_si256(_mm_setr_epi8(__VA_ARGS__))
#define C(x)       ((char)(x))

SCAN_TARGET SCAN_INLINE __m256i high_nibbles(__m256i v)
{
    return _mm256_and_si256(_mm256_srli_epi16(v, 4), _mm256_set1_epi8(0x0f));
}

/* A bit for each byte of v at which the text stops being UTF-8; prev1 to prev3 are the text moved
 * by one to three bytes. */
SCAN_TARGET SCAN_INLINE uint32_t utf8_errors(__m256i v, __m256i prev1, __m256i prev2, __m256i prev3)
{
    const __m256i lead_high = TABLE(
        TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG,
        C(TWO_CONTS), C(TWO_CONTS), C(TWO_CONTS), C(TWO_CONTS), TOO_SHORT | OVERLONG_2, TOO_SHORT,
        TOO_SHORT | OVERLONG_3 | SURROGATE, TOO_SHORT | TOO_LARGE | TOO_LARGE_1000 | OVERLONG_4);
    const __m256i lead_low = TABLE(
        C(CARRY | OVERLONG_3 | OVERLONG_2 | OVERLONG_4), C(CARRY | OVERLONG_2), C(CARRY), C(CARRY),
        C(CARRY | TOO_LARGE), C(CARRY | TOO_LARGE | TOO_LARGE_1000),
        C(CARRY | TOO_LARGE | TOO_LARGE_1000), C(CARRY | TOO_LARGE | TOO_LARGE_1000),
        C(CARRY | TOO_LARGE | TOO_LARGE_1000), C(CARRY | TOO_LARGE | TOO_LARGE_1000),
        C(CARRY | TOO_LARGE | TOO_LARGE_1000), C(CARRY | TOO_LARGE | TOO_LARGE_1000),
        C(CARRY | TOO_LARGE | TOO_LARGE_1000), C(CARRY | TOO_LARGE | TOO_LARGE_1000 | SURROGATE),
        C(CARRY | TOO_LARGE | TOO_LARGE_1000), C(CARRY | TOO_LARGE | TOO_LARGE_1000));
    const __m256i second_high = TABLE(
        TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT,
        C(TOO_LONG | OVERLONG_2 | TWO_CONTS | OVERLONG_3 | TOO_LARGE_1000 | OVERLONG_4),
        C(TOO_LONG | OVERLONG_2 | TWO_CONTS | OVERLONG_3 | TOO_LARGE),
        C(TOO_LONG | OVERLONG_2 | TWO_CONTS | SURROGATE | TOO_LARGE),
        C(TOO_LONG | OVERLONG_2 | TWO_CONTS | SURROGATE | TOO_LARGE), TOO_SHORT, TOO_SHORT,
        TOO_SHORT, TOO_SHORT);
    __m256i pair = _mm256_and_si256(
        _mm256_and_si256(
            _mm256_shuffle_epi8(lead_high, high_nibbles(prev1)),
            _mm256_shuffle_epi8(lead_low, _mm256_and_si256(prev1, _mm256_set1_epi8(0x0f)))),
        _mm256_shuffle_epi8(second_high, high_nibbles(v)));
    /* The high bit where the third byte of E0.. or the fourth of F0.. must stand. */
    __m256i third = _mm256_subs_epu8(prev2, _mm256_set1_epi8(0xe0 - 0x80));
    __m256i fourth = _mm256_subs_epu8(prev3, _mm256_set1_epi8(0xf0 - 0x80));
    __m256i must = _mm256_and_si256(_mm256_or_si256(third, fourth), _mm256_set1_epi8(C(0x80)));
    __m256i errors = _mm256_xor_si256(must, pair);
    return ~(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(errors, _mm256_setzero_si256()));
}

SCAN_TARGET SCAN_INLINE __m256i load(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

SCAN_TARGET SCAN_INLINE __m256i equals(__m256i v, char c)
{
    return _mm256_cmpeq_epi8(v, _mm256_set1_epi8(c));
}

/* All ones in the bytes that end the ordinary run of a string: quote, backslash, below space. */
SCAN_TARGET SCAN_INLINE __m256i specials(__m256i v)
{
    __m256i control = _mm256_cmpeq_epi8(_mm256_min_epu8(v, _mm256_set1_epi8(0x1f)), v);
    return _mm256_or_si256(_mm256_or_si256(equals(v, '"'), equals(v, '\\')), control);
}

/* The last bytes of a text are left to the scanner without blocks; p may stand within a character.
 */
SCAN_TARGET static __attribute__((noinline)) struct string_end scan_tail(const uint8_t *p,
                                                                         const uint8_t *end,
                                                                         bool within, uint32_t info)
{
    if (within) {
        do
            p--;
        while ((*p & 0xc0) == 0x80);
    }
    return run_string(p, end, info);
}

SCAN_TARGET static __attribute__((noinline)) struct string_end scan_blocks(const uint8_t *p,
                                                                           const uint8_t *end)
{
    const uint8_t *start = p;
    uint32_t info = 0;
    uint32_t carry = 0; /* of the last three bytes before p, those that aren't ASCII */
    while (end - p >= BLOCK) {
        __m256i v = load(p);
        uint32_t special = (uint32_t)_mm256_movemask_epi8(specials(v));
        uint32_t wide = (uint32_t)_mm256_movemask_epi8(v);
        uint32_t bad = 0;
        if (wide | carry)
            bad = utf8_errors(v, load(p - 1), load(p - 2), load(p - 3));
        carry = wide >> (BLOCK - LOOKBACK);
        unsigned k = 0;
        while (special) {
            k = (unsigned)__builtin_ctz(special);
            if (GW_UNLIKELY(bad & _blsmsk_u32(special)))
                break;
            if (p[k] == '"')
                return (struct string_end){p + k + 1, info, JSON_ERR_OK};
            if (GW_UNLIKELY(p[k] != '\\'))
                return (struct string_end){p + k, info, JSON_ERR_CONTROL};
            unsigned n = scan_escape_length(p + k, end);
            if (GW_UNLIKELY(n == 0))
                return (struct string_end){p + k, info, JSON_ERR_ESCAPE};
            info = JSON_TOK_ESCAPED;
            k += n;
            if (k >= BLOCK)
                break;
            special &= ~UINT32_C(0) << k;
        }
        if (GW_UNLIKELY(bad)) /* at or behind the character that is wrong: let it be found */
            return scan_tail(start, end, false, 0);
        if (k >= BLOCK)
            carry = 0;
        p += GW_MAX(k, (unsigned)BLOCK);
    }
    return scan_tail(p, end, carry != 0, info);
}

SCAN_TARGET SCAN_INLINE enum json_error scan_string(struct scan *s, uint32_t *info)
{
    const uint8_t *p = s->p + 1;
    struct string_end e;
    if (GW_LIKELY(s->end - p >= SHORT)) {
        unsigned stop = stops(p);
        if (GW_LIKELY(stop)) {
            const uint8_t *at = p + __builtin_ctz(stop);
            if (GW_LIKELY(*at == '"')) {
                s->p = at + 1;
                return JSON_ERR_OK;
            }
        } else {
            p += SHORT;
        }
    }
    if (GW_LIKELY(p - s->base >= LOOKBACK))
        e = scan_blocks(p, s->end);
    else
        e = scan_tail(p, s->end, false, 0);
    s->p = e.p;
    *info |= e.info;
    return e.err;
}

SCAN_TARGET SCAN_INLINE void scan_blanks(struct scan *s)
{
    const uint8_t *p = s->p;
    for (; s->end - p >= SHORT; p += SHORT) {
        __m128i v = _mm_loadu_si128((const __m128i *)p);
        __m128i space = _mm_cmpeq_epi8(v, _mm_set1_epi8(' '));
        __m128i feed = _mm_cmpeq_epi8(v, _mm_set1_epi8('\n'));
        __m128i other = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('\t')),
                                     _mm_cmpeq_epi8(v, _mm_set1_epi8('\r')));
        __m128i blank = _mm_or_si128(_mm_or_si128(space, feed), other);
        unsigned token = (unsigned)_mm_movemask_epi8(blank) ^ 0xffff;
        if (token) {
            s->p = p + __builtin_ctz(token);
            return;
        }
    }
    s->p = skip_blanks(p, s->end);
}

#include "common/json_scan_core.h"

SCAN_TARGET enum json_error json_scan_avx2(struct json_doc *d, size_t n, size_t *at)
{
    return scan_text(d, n, at);
}

#endif
