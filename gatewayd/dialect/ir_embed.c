/*
 * ir_embed.c: building blocks of embeddings and reranking; vectors between their two spellings.
 *
 * The only floats of the gateway: base64 holds IEEE 754 binary32, little-endian, as OpenAI's API
 * gives it (platform.openai.com/docs/api-reference/embeddings/create, encoding_format). strtof
 * rounds to nearest, and %.9g always brings the same float back (9 is FLT_DECIMAL_DIG).
 */
#include "gatewayd/dialect/ir_embed.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

_Static_assert(sizeof(float) == 4, "base64 holds 32-bit floats");

/* ---- lists ---- */

static void *zeroed(struct arena *a, size_t n, size_t each)
{
    void *p = n < SIZE_MAX / each ? arena_alloc(a, n * each) : NULL;
    return p ? memset(p, 0, n * each) : NULL;
}

struct ir_embed *ir_add_embed(struct ir_request *r, size_t n)
{
    struct ir_embed *e = zeroed(r->arena, 1, sizeof *e);
    struct ir_embed_input *inputs = zeroed(r->arena, GW_MAX(n, (size_t)1), sizeof *inputs);
    if (!e || !inputs)
        return NULL;
    e->inputs = inputs;
    e->n = n;
    e->dimensions = e->max_tokens = -1;
    return r->embed = e;
}

struct ir_vectors *ir_add_vectors(struct ir_response *r, size_t n)
{
    struct ir_vectors *l = zeroed(r->arena, 1, sizeof *l);
    struct ir_vector *v = zeroed(r->arena, GW_MAX(n, (size_t)1), sizeof *v);
    if (!l || !v)
        return NULL;
    l->v = v;
    l->n = n;
    return r->vectors = l;
}

struct ir_rerank *ir_add_rerank(struct ir_request *r, size_t n)
{
    struct ir_rerank *k = zeroed(r->arena, 1, sizeof *k);
    struct ir_rerank_document *documents =
        zeroed(r->arena, GW_MAX(n, (size_t)1), sizeof *documents);
    if (!k || !documents)
        return NULL;
    k->documents = documents;
    k->n = n;
    k->top_n = k->max_tokens = -1;
    return r->rerank = k;
}

struct ir_ranks *ir_add_ranks(struct ir_response *r, size_t n)
{
    struct ir_ranks *l = zeroed(r->arena, 1, sizeof *l);
    struct ir_rank *v = zeroed(r->arena, GW_MAX(n, (size_t)1), sizeof *v);
    if (!l || !v)
        return NULL;
    l->v = v;
    l->n = n;
    return r->ranks = l;
}

int ir_refuse_field(const struct ir_request *r, unsigned field, struct dialect_refusal *why,
                    const char *fmt, ...)
{
    const char *name = ir_field_member(r, field);
    char reason[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(reason, sizeof reason, fmt, ap);
    va_end(ap);
    snprintf(why->message, sizeof why->message, "'%s' can't be sent to this model: %s.", name,
             reason);
    snprintf(why->param, sizeof why->param, "%s", name);
    why->code = "unsupported_parameter";
    return -1;
}

/* ---- vectors ---- */

int ir_read_numbers(const struct json_doc *d, uint32_t v, struct ir_vector *out)
{
    if (json_type(d, v) != JSON_ARRAY)
        return -1;
    json_foreach_element(d, v, e)
    {
        if (json_type(d, e) != JSON_NUMBER)
            return -1;
    }
    out->numbers = json_raw(d, v);
    return 0;
}

static int sextet(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Bytes in base64 of the standard alphabet, padded (RFC 4648 section 4); -1: it is none. */
static int64_t base64_bytes(struct slice s)
{
    if (s.n % 4 != 0)
        return -1;
    size_t pad = 0;
    while (pad < 2 && pad < s.n && s.p[s.n - 1 - pad] == '=')
        pad++;
    for (size_t i = 0; i + pad < s.n; i++)
        if (sextet(s.p[i]) < 0)
            return -1;
    return (int64_t)(s.n / 4 * 3 - pad);
}

int ir_read_base64(const struct json_doc *d, uint32_t v, struct arena *a, struct ir_vector *out)
{
    if (json_type(d, v) != JSON_STRING)
        return -1;
    struct slice s = ir_decode(a, ir_text_of(d, v)); /* "\/" is a slash */
    int64_t n = s.p ? base64_bytes(s) : -1;
    if (n < 0 || n % 4 != 0)
        return -1;
    out->base64 = ir_plain(s);
    return 0;
}

/* The bytes of four characters; '=' stands for none. */
static uint32_t quad(const char *p)
{
    uint32_t bits = 0;
    for (int i = 0; i < 4; i++) {
        int six = sextet(p[i]);
        bits = bits << 6 | (uint32_t)(six < 0 ? 0 : six);
    }
    return bits;
}

static void write_float(struct json_writer *w, uint32_t bits)
{
    char text[32];
    int n = 0;
    float f;
    memcpy(&f, &bits, sizeof f);
    if (!isfinite(f)) {
        w->failed = true;
        return;
    }
    for (int digits = 6; digits <= 9; digits++) {
        n = snprintf(text, sizeof text, "%.*g", digits, (double)f);
        if (strtof(text, NULL) == f)
            break;
    }
    if (f == 0 && signbit(f)) /* readers take -0 for an integer, which has no sign */
        n = snprintf(text, sizeof text, "-0.0");
    jw_raw(w, slice_of(text, (size_t)n));
}

void ir_write_numbers(struct json_writer *w, const struct ir_vector *v)
{
    struct slice s = v->base64.s;
    if (v->numbers.p) {
        jw_raw(w, v->numbers);
        return;
    }
    uint32_t bits = 0;
    int64_t left = base64_bytes(s);
    unsigned have = 0;
    jw_array(w);
    for (size_t i = 0; i + 4 <= s.n; i += 4) {
        uint32_t three = quad(s.p + i);
        for (int k = 2; k >= 0 && left > 0; k--, left--) {
            bits |= (three >> (8 * k) & 0xff) << (8 * have);
            if (++have < 4)
                continue;
            write_float(w, bits);
            bits = have = 0;
        }
    }
    jw_array_end(w);
}

/* Base64 of bytes that come one by one, as the inside of a string. */
struct base64_out {
    struct json_writer *w;
    uint32_t bits;
    unsigned have; /* bytes in bits */
    size_t n;
    char text[256];
};

static void flush_text(struct base64_out *o)
{
    jw_str_add_escaped(o->w, slice_of(o->text, o->n)); /* nothing in it needs an escape */
    o->n = 0;
}

static void put_quad(struct base64_out *o, unsigned n_bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = o->bits << (8 * (3 - n_bytes));
    for (unsigned i = 0; i < 4; i++)
        o->text[o->n++] = i <= n_bytes ? digits[bits >> (18 - 6 * i) & 63] : '=';
    o->bits = o->have = 0;
    if (o->n == sizeof o->text)
        flush_text(o);
}

static void put_float(struct base64_out *o, float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    for (int i = 0; i < 4; i++) {
        o->bits = o->bits << 8 | (bits >> (8 * i) & 0xff);
        if (++o->have == 3)
            put_quad(o, 3);
    }
}

/* A number in a JSON array ends at a comma, a bracket or a space: strtof stops inside the text. */
static void put_numbers(struct base64_out *o, struct slice array)
{
    const char *p = array.p, *end = array.p + array.n - 1;
    while (p < end) {
        char *behind = NULL;
        if (*p != '-' && (*p < '0' || *p > '9')) {
            p++;
            continue;
        }
        float f = strtof(p, &behind);
        if (!isfinite(f))
            o->w->failed = true;
        put_float(o, f);
        p = behind;
    }
}

void ir_write_base64(struct json_writer *w, const struct ir_vector *v)
{
    struct base64_out o = {.w = w};
    if (!v->numbers.p) {
        ir_write_str(w, v->base64);
        return;
    }
    jw_str_begin(w);
    put_numbers(&o, v->numbers);
    if (o.have)
        put_quad(&o, o.have);
    flush_text(&o);
    jw_str_end(w);
}
