/*
 * json_scan_avx2.c: the scanner for x86-64 with AVX2: 32 bytes of a string at once.
 *
 * UTF-8 is validated in place with the lookup method of Keiser and Lemire, "Validating UTF-8 In
 * Less Than One Instruction Per Byte" (Software: Practice and Experience 51(5), 2021), only where a
 * block has or follows bytes that are not ASCII. The three bytes before a block are read again
 * instead of carried: what stands before a string's first block is its quote and ASCII.
 */
#include "common/json_scan.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define SCAN_TARGET __attribute__((target("avx2,bmi,bmi2")))
#define SCAN_NAME   json_scan_avx2

enum { BLOCK = 32, LOOKBACK = 3 };

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
    const __m256i lead_high =
        TABLE(TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG,
              C(TWO_CONTS), C(TWO_CONTS), C(TWO_CONTS), C(TWO_CONTS), TOO_SHORT | OVERLONG_2,
              TOO_SHORT, TOO_SHORT | OVERLONG_3 | SURROGATE,
              TOO_SHORT | TOO_LARGE | TOO_LARGE_1000 | OVERLONG_4);
    const __m256i lead_low =
        TABLE(C(CARRY | OVERLONG_3 | OVERLONG_2 | OVERLONG_4), C(CARRY | OVERLONG_2), C(CARRY),
              C(CARRY), C(CARRY | TOO_LARGE), C(CARRY | TOO_LARGE | TOO_LARGE_1000),
              C(CARRY | TOO_LARGE | TOO_LARGE_1000), C(CARRY | TOO_LARGE | TOO_LARGE_1000),
              C(CARRY | TOO_LARGE | TOO_LARGE_1000), C(CARRY | TOO_LARGE | TOO_LARGE_1000),
              C(CARRY | TOO_LARGE | TOO_LARGE_1000), C(CARRY | TOO_LARGE | TOO_LARGE_1000),
              C(CARRY | TOO_LARGE | TOO_LARGE_1000),
              C(CARRY | TOO_LARGE | TOO_LARGE_1000 | SURROGATE),
              C(CARRY | TOO_LARGE | TOO_LARGE_1000), C(CARRY | TOO_LARGE | TOO_LARGE_1000));
    const __m256i second_high =
        TABLE(TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT,
              TOO_SHORT,
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

/* All ones in the bytes that end the ordinary run of a string: quote, backslash, below space. */
SCAN_TARGET SCAN_INLINE __m256i specials(__m256i v)
{
    __m256i quote = _mm256_cmpeq_epi8(v, _mm256_set1_epi8('"'));
    __m256i slash = _mm256_cmpeq_epi8(v, _mm256_set1_epi8('\\'));
    __m256i control = _mm256_cmpeq_epi8(_mm256_min_epu8(v, _mm256_set1_epi8(0x1f)), v);
    return _mm256_or_si256(_mm256_or_si256(quote, slash), control);
}

/* Runs over ordinary ASCII, a whole number of blocks. */
SCAN_TARGET SCAN_INLINE const uint8_t *skip_ascii(const uint8_t *p, const uint8_t *end)
{
    while (end - p >= 4 * BLOCK) {
        __m256i a = load(p), b = load(p + BLOCK), c = load(p + 2 * BLOCK), e = load(p + 3 * BLOCK);
        __m256i ab = _mm256_or_si256(_mm256_or_si256(specials(a), specials(b)),
                                     _mm256_or_si256(a, b));
        __m256i ce = _mm256_or_si256(_mm256_or_si256(specials(c), specials(e)),
                                     _mm256_or_si256(c, e));
        if (_mm256_movemask_epi8(_mm256_or_si256(ab, ce)))
            break;
        p += 4 * BLOCK;
    }
    return p;
}

struct block {
    uint32_t special;
    uint32_t wide; /* bytes that aren't ASCII */
    uint32_t bad;  /* bytes at which UTF-8 is broken; computed where there can be any */
};

SCAN_TARGET SCAN_INLINE struct block read_block(const uint8_t *p, bool check)
{
    __m256i v = load(p);
    struct block b = {.special = (uint32_t)_mm256_movemask_epi8(specials(v)),
                      .wide = (uint32_t)_mm256_movemask_epi8(v)};
    if (b.wide || check)
        b.bad = utf8_errors(v, load(p - 1), load(p - 2), load(p - 3));
    return b;
}

/* The same where the text ends within the block or began just before it: what is missing reads as
 * NUL. */
SCAN_TARGET static __attribute__((noinline)) struct block
read_edge_block(const struct scan *s, const uint8_t *p, bool check)
{
    uint8_t copy[LOOKBACK + BLOCK] = {0};
    size_t before = GW_MIN((size_t)(p - s->base), (size_t)LOOKBACK);
    size_t after = GW_MIN((size_t)(s->end - p), (size_t)BLOCK);
    memcpy(copy + LOOKBACK - before, p - before, before + after);
    return read_block(copy + LOOKBACK, check);
}

SCAN_TARGET SCAN_INLINE enum json_error scan_string(struct scan *s, uint32_t *info)
{
    const uint8_t *p = s->p + 1;
    uint32_t carry = 0; /* of the last three bytes before p, those that aren't ASCII */
    for (;;) {
        struct block b;
        if (GW_LIKELY(s->end - p >= BLOCK && p - s->base >= LOOKBACK))
            b = read_block(p, carry != 0);
        else
            b = read_edge_block(s, p, carry != 0);
        carry = b.wide >> (BLOCK - LOOKBACK);
        unsigned k = 0;
        while (b.special) {
            k = (unsigned)__builtin_ctz(b.special);
            if (GW_UNLIKELY(b.bad & _blsmsk_u32(b.special)))
                break;
            s->p = p + k;
            if (GW_UNLIKELY(s->p >= s->end))
                return JSON_ERR_END;
            if (*s->p == '"') {
                s->p++;
                return JSON_ERR_OK;
            }
            if (*s->p != '\\')
                return JSON_ERR_CONTROL;
            unsigned n = scan_escape_length(s->p, s->end);
            if (n == 0)
                return JSON_ERR_ESCAPE;
            *info |= JSON_TOK_ESCAPED;
            k += n;
            if (k >= BLOCK)
                break;
            b.special &= ~UINT32_C(0) << k;
        }
        if (GW_UNLIKELY(b.bad)) {
            s->p = p + __builtin_ctz(b.bad);
            return JSON_ERR_UTF8;
        }
        if (k >= BLOCK) {
            p += k;
            carry = 0;
            continue;
        }
        p += BLOCK;
        if (!carry)
            p = skip_ascii(p, s->end);
    }
}

SCAN_TARGET SCAN_INLINE void scan_blanks(struct scan *s)
{
    const uint8_t *p = s->p;
    for (; s->end - p >= BLOCK; p += BLOCK) {
        __m256i v = load(p);
        __m256i blank = _mm256_or_si256(
            _mm256_or_si256(_mm256_cmpeq_epi8(v, _mm256_set1_epi8(' ')),
                            _mm256_cmpeq_epi8(v, _mm256_set1_epi8('\n'))),
            _mm256_or_si256(_mm256_cmpeq_epi8(v, _mm256_set1_epi8('\t')),
                            _mm256_cmpeq_epi8(v, _mm256_set1_epi8('\r'))));
        uint32_t other = ~(uint32_t)_mm256_movemask_epi8(blank);
        if (other) {
            s->p = p + __builtin_ctz(other);
            return;
        }
    }
    while (p < s->end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
        p++;
    s->p = p;
}

#include "common/json_scan_core.h"

#endif
