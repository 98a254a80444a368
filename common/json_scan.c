/*
 * json_scan.c: parsing as the caller sees it: the doc, its limits, the choice of a scanner, errors.
 */
#include "common/json_scan.h"

#include <stdlib.h>

enum { TAPE_MIN = 64 };

static const char *const type_names[] = {
    [JSON_ABSENT] = "nothing", [JSON_NULL] = "null",        [JSON_FALSE] = "a boolean",
    [JSON_TRUE] = "a boolean", [JSON_NUMBER] = "a number",  [JSON_STRING] = "a string",
    [JSON_ARRAY] = "an array", [JSON_OBJECT] = "an object",
};

const char *json_type_name(enum json_type t)
{
    return (size_t)t < ARRAY_LEN(type_names) ? type_names[t] : "nothing";
}

static const char *const error_texts[] = {
#define X(name, text) [JSON_ERR_##name] = text,
    JSON_ERROR_MAP(X)
#undef X
};

const char *json_error_text(enum json_error e)
{
    return (size_t)e < ARRAY_LEN(error_texts) ? error_texts[e] : "unknown error";
}

void json_doc_init(struct json_doc *d, uint32_t max_tokens)
{
    *d = (struct json_doc){.max_tokens = GW_MIN(max_tokens, (uint32_t)JSON_MAX_TOKENS)};
}

void json_doc_release(struct json_doc *d)
{
    free(d->toks);
    json_doc_init(d, d->max_tokens);
}

void json_doc_trim(struct json_doc *d, uint32_t keep)
{
    if (d->cap > keep)
        json_doc_release(d);
}

enum json_error json_tape_grow(struct json_doc *d)
{
    if (d->cap >= d->max_tokens)
        return JSON_ERR_TOKENS;
    uint32_t cap = GW_MIN(GW_MAX(d->cap * 2, (uint32_t)TAPE_MIN), d->max_tokens);
    struct json_tok *toks = realloc(d->toks, cap * sizeof *toks);
    if (!toks)
        return JSON_ERR_MEMORY;
    d->toks = toks;
    d->cap = cap;
    return JSON_ERR_OK;
}

const struct json_scanner *json_scanners(void)
{
    static const struct json_scanner all[] = {
#if defined(__x86_64__)
        {"avx2", json_scan_avx2},
        {"sse2", json_scan_sse2},
#endif
        {"swar", json_scan_swar},
        {NULL, NULL},
    };
#if defined(__x86_64__)
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
                __builtin_cpu_supports("bmi2");
    return avx2 ? all : all + 1;
#else
    return all;
#endif
}

static json_scan_fn scan_first;
/* Written once or more with one value: a race between threads is harmless. */
static json_scan_fn *scan_best = scan_first;

static enum json_error scan_first(struct json_doc *d, size_t n, size_t *at)
{
    json_scan_fn *best = json_scanners()->scan;
    __atomic_store_n(&scan_best, best, __ATOMIC_RELAXED);
    return best(d, n, at);
}

static enum json_error parse(struct json_doc *d, size_t n, size_t *at)
{
    *at = 0;
    if (n > INT32_MAX)
        return JSON_ERR_SIZE;
    if (n >= 3 && memcmp(d->text, "\xef\xbb\xbf", 3) == 0)
        return JSON_ERR_BOM;
    return __atomic_load_n(&scan_best, __ATOMIC_RELAXED)(d, n, at);
}

int json_parse(struct json_doc *d, const char *text, size_t n)
{
    size_t at;
    d->text = text ? text : "";
    d->text_bytes = n;
    d->n = 0;
    d->err = parse(d, n, &at);
    d->err_off = (uint32_t)at;
    return d->err == JSON_ERR_OK ? 0 : -1;
}

int json_parse_error(const struct json_doc *d, struct errbuf *e)
{
    return err_set(e, "%s at byte %u", json_error_text(d->err), d->err_off);
}

unsigned json_utf8_length(const uint8_t *p, const uint8_t *end)
{
    /* RFC 3629 section 4: the range of the second byte depends on the first. */
    size_t left = (size_t)(end - p);
    uint8_t c = p[0], lo = 0x80, hi = 0xbf;
    unsigned n;
    if (c >= 0xc2 && c <= 0xdf) {
        n = 2;
    } else if (c >= 0xe0 && c <= 0xef) {
        n = 3;
        lo = c == 0xe0 ? 0xa0 : lo;
        hi = c == 0xed ? 0x9f : hi;
    } else if (c >= 0xf0 && c <= 0xf4) {
        n = 4;
        lo = c == 0xf0 ? 0x90 : lo;
        hi = c == 0xf4 ? 0x8f : hi;
    } else {
        return 0;
    }
    if (left < n || p[1] < lo || p[1] > hi)
        return 0;
    for (unsigned i = 2; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return n;
}
