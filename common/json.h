/*
 * json.h: read JSON once, strictly, keeping byte offsets; and write it.
 *
 * Reading. json_parse validates a whole text (RFC 8259, UTF-8, no byte order mark) and leaves a
 * tape of 16-byte tokens in a reusable struct json_doc. The text is borrowed and never changed or
 * copied: every value is known by its span, so that bytes can be forwarded and spliced as they
 * came. A value is named by its token index; the root is JSON_ROOT, and JSON_NONE stands for "no
 * such value". All accessors accept JSON_NONE and values of another type: they say no, so look-ups
 * nest without a check between them.
 *
 * Tape. In document order; an object's members are a key token followed by its value's token;
 * `next` is the index behind the whole value, so skipping a subtree is one load. No recursion
 * anywhere; depth and number of tokens are capped.
 *
 * Escapes. Strings stay encoded; equality and decoding are by decoded characters and by length, so
 * "mod\u0065l" is model and "a\u0000b" is not a. A lone surrogate escape (\uD800) is valid JSON
 * and passes byte-exact, but denotes no text: it equals nothing and can't be decoded.
 */
#ifndef GW_COMMON_JSON_H
#define GW_COMMON_JSON_H

#include "common/buf.h"
#include "common/errbuf.h"
#include "common/slice.h"

enum json_type {
    JSON_ABSENT,
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};
const char *json_type_name(enum json_type t);

enum {
    JSON_ROOT = 0,
    JSON_MAX_DEPTH = 128,
    JSON_MAX_TOKENS = (1 << 24) - 1, /* the child count of a container has 24 bits */
};
#define JSON_NONE UINT32_MAX

/* X(enum suffix, text for people) */
#define JSON_ERROR_MAP(X)                                                                          \
    X(OK, "no error")                                                                              \
    X(END, "the text ends too early")                                                              \
    X(VALUE, "a value was expected")                                                               \
    X(KEY, "a member name in double quotes was expected")                                          \
    X(COLON, "a colon was expected behind the member name")                                        \
    X(COMMA, "a comma or the closing bracket was expected")                                        \
    X(NUMBER, "malformed number")                                                                  \
    X(LITERAL, "malformed literal (true, false and null are the only ones)")                       \
    X(CONTROL, "control character in a string (write it as an escape)")                            \
    X(ESCAPE, "malformed escape sequence")                                                         \
    X(UTF8, "invalid UTF-8")                                                                       \
    X(BOM, "byte order mark")                                                                      \
    X(TRAILING, "something follows the value")                                                     \
    X(DEPTH, "nested too deeply")                                                                  \
    X(TOKENS, "too many values")                                                                   \
    X(SIZE, "text too large")                                                                      \
    X(MEMORY, "out of memory")

enum json_error {
#define X(name, text) JSON_ERR_##name,
    JSON_ERROR_MAP(X)
#undef X
};
const char *json_error_text(enum json_error e);

struct json_tok {
    uint32_t off;  /* first byte of the value in the text; the quote of a string */
    uint32_t end;  /* behind its last byte */
    uint32_t next; /* token behind the value; of a key: its value */
    uint32_t info; /* type 0-2, JSON_TOK_* flags 3-7, children of a container 8-31 */
};
enum {
    JSON_TOK_TYPE = 7,
    JSON_TOK_KEY = 8,      /* the string is a member name */
    JSON_TOK_ESCAPED = 16, /* the string has a backslash: raw bytes aren't the characters */
    JSON_TOK_PLAIN = 32,   /* the number has neither fraction nor exponent */
    JSON_TOK_COUNT_SHIFT = 8,
};

struct json_doc {
    const char *text; /* borrowed from the last json_parse */
    size_t text_bytes;
    struct json_tok *toks;
    uint32_t n; /* tokens; 0 after a failed parse */
    uint32_t cap;
    uint32_t max_tokens;
    uint32_t err_off; /* where the failed parse stopped */
    enum json_error err;
};

/* max_tokens bounds the memory to 16 bytes each; it is itself capped at JSON_MAX_TOKENS. */
void json_doc_init(struct json_doc *d, uint32_t max_tokens);
/* Frees the tape; the doc can be used again. */
void json_doc_release(struct json_doc *d);
/* Gives memory back when the tape has grown beyond `keep` tokens (after an unusually big text). */
void json_doc_trim(struct json_doc *d, uint32_t keep);

/* Parses the n bytes at text, which must stay as they are for as long as the doc is read. 0, or -1
 * with d->err and d->err_off set and no tokens. Texts of 2 GiB and more are refused. */
GW_MUSTUSE int json_parse(struct json_doc *d, const char *text, size_t n);
/* The same for bytes that may be those of the last parse, which then stands: they have not changed
 * since, and nothing else has lain at their place and been parsed from there after them. */
GW_MUSTUSE static inline int json_parse_once(struct json_doc *d, const char *text, size_t n)
{
    return d->n && d->text == text && d->text_bytes == n ? 0 : json_parse(d, text, n);
}
/* "invalid UTF-8 at byte 17" of the failed parse, into e; returns -1. */
int json_parse_error(const struct json_doc *d, struct errbuf *e);

/* ---- values ---- */

static inline enum json_type json_type(const struct json_doc *d, uint32_t v)
{
    return v < d->n ? (enum json_type)(d->toks[v].info & JSON_TOK_TYPE) : JSON_ABSENT;
}

/* Elements of an array or members of an object; 0 for anything else. */
static inline uint32_t json_count(const struct json_doc *d, uint32_t v)
{
    return v < d->n ? d->toks[v].info >> JSON_TOK_COUNT_SHIFT : 0;
}

/* The value's bytes as they stand in the text, quotes and brackets included; {NULL, 0} if none. */
static inline struct slice json_raw(const struct json_doc *d, uint32_t v)
{
    if (v >= d->n)
        return slice_of(NULL, 0);
    return slice_of(d->text + d->toks[v].off, d->toks[v].end - d->toks[v].off);
}

static inline bool json_is_null(const struct json_doc *d, uint32_t v)
{
    return json_type(d, v) == JSON_NULL;
}

/* Index behind the container's last child; 0 if v is none of type t. For the two loops below. */
static inline uint32_t json_children_end(const struct json_doc *d, uint32_t v, enum json_type t)
{
    return json_type(d, v) == t ? d->toks[v].next : 0;
}

/* Runs over the elements of an array: `e` is the element. */
#define json_foreach_element(d, array, e)                                                          \
    for (uint32_t e = (array) + 1, e##_end = json_children_end((d), (array), JSON_ARRAY);          \
         e < e##_end; e = (d)->toks[e].next)
/* Runs over the members of an object: `k` is the name, k + 1 the value. */
#define json_foreach_member(d, object, k)                                                          \
    for (uint32_t k = (object) + 1, k##_end = json_children_end((d), (object), JSON_OBJECT);       \
         k < k##_end; k = (d)->toks[k + 1].next)

/* The value of the first member of that (decoded) name, or JSON_NONE. */
uint32_t json_get(const struct json_doc *d, uint32_t object, struct slice name);
/* Same; *more tells whether the object has that name more than once. */
uint32_t json_get_unique(const struct json_doc *d, uint32_t object, struct slice name, bool *more);
#define json_get_lit(d, object, lit) json_get((d), (object), SLICE_LIT(lit))

/* Whether v is a string (or member name) of exactly these decoded bytes. */
bool json_str_eq_slow(const struct json_doc *d, uint32_t v, struct slice s);
static inline bool json_str_eq(const struct json_doc *d, uint32_t v, struct slice s)
{
    if (v >= d->n)
        return false;
    const struct json_tok *t = &d->toks[v];
    if ((t->info & (JSON_TOK_TYPE | JSON_TOK_ESCAPED)) != JSON_STRING)
        return json_str_eq_slow(d, v, s);
    return t->end - t->off == s.n + 2 && memcmp(d->text + t->off + 1, s.p, s.n) == 0;
}
#define json_str_eq_lit(d, v, lit) json_str_eq((d), (v), SLICE_LIT(lit))

/* A string without escapes, as it stands between its quotes: borrowed from the text. False if v is
 * no string or must be decoded. */
static inline bool json_str_plain(const struct json_doc *d, uint32_t v, struct slice *out)
{
    if (v >= d->n || (d->toks[v].info & (JSON_TOK_TYPE | JSON_TOK_ESCAPED)) != JSON_STRING)
        return false;
    *out = slice_of(d->text + d->toks[v].off + 1, d->toks[v].end - d->toks[v].off - 2);
    return true;
}
/* Decodes a string to at most cap bytes of UTF-8 at out, which is not terminated; *len counts
 * \u0000 like any other character. -1: no string, does not fit, or a lone surrogate. */
GW_MUSTUSE int json_str_decode(const struct json_doc *d, uint32_t v, char *out, size_t cap,
                               size_t *len);
/* The string's decoded bytes, borrowed from the text where there is no escape, else decoded into
 * scratch. -1 as json_str_decode; cap bounds both ways. */
GW_MUSTUSE int json_str(const struct json_doc *d, uint32_t v, char *scratch, size_t cap,
                        struct slice *out);
/* Bytes of the decoded string (a lone surrogate counts 3); 0 if v is none. */
size_t json_str_bytes(const struct json_doc *d, uint32_t v);
/* Code points of the decoded string (a lone surrogate counts 1); 0 if v is none. */
size_t json_str_chars(const struct json_doc *d, uint32_t v);

/* The number if it is exactly an integer that fits: 7, -0, 1.0 and 1e3 are, 1.5, 1e400 and 2^63
 * are not. 0 or -1. */
GW_MUSTUSE int json_i64(const struct json_doc *d, uint32_t v, int64_t *out);
/* 0 and *out for true or false, else -1. */
GW_MUSTUSE int json_bool(const struct json_doc *d, uint32_t v, bool *out);

/* ---- writing ---- */

/*
 * Appends JSON to a struct buf or to a fixed piece of memory. Commas and quoting are the writer's;
 * nesting is the caller's. An overflow is remembered, later calls do nothing, and jw_finish says
 * so: no check in between. Strings are written as valid UTF-8 whatever they hold: a byte that is
 * not part of it becomes U+FFFD.
 */
struct json_writer {
    char *base, *at, *end;
    struct buf *buf; /* NULL: fixed memory */
    bool comma;      /* a value stands before us on this level */
    bool failed;
};

/* Makes room for n bytes: what jw_room falls back on. */
bool jw_grow(struct json_writer *w, size_t n);
static inline bool jw_room(struct json_writer *w, size_t n)
{
    return GW_LIKELY((size_t)(w->end - w->at) >= n) || jw_grow(w, n);
}

/* Appends behind what the buffer holds; its len is set by jw_finish only. */
void jw_init_buf(struct json_writer *w, struct buf *b);
void jw_init_fixed(struct json_writer *w, char *mem, size_t cap);
/* 0 and the number of bytes written, or -1 if they did not fit (the buffer's len is then as it
 * was). The text is not terminated. */
GW_MUSTUSE int jw_finish(struct json_writer *w, size_t *len);

static inline void jw_open(struct json_writer *w, char bracket)
{
    char *at;
    if (!jw_room(w, 1u + w->comma))
        return;
    at = w->at;
    if (w->comma)
        *at++ = ',';
    *at++ = bracket;
    w->at = at;
    w->comma = false;
}

static inline void jw_close(struct json_writer *w, char bracket)
{
    if (!jw_room(w, 1))
        return;
    *w->at++ = bracket;
    w->comma = true;
}

static inline void jw_object(struct json_writer *w)
{
    jw_open(w, '{');
}

static inline void jw_object_end(struct json_writer *w)
{
    jw_close(w, '}');
}

static inline void jw_array(struct json_writer *w)
{
    jw_open(w, '[');
}

static inline void jw_array_end(struct json_writer *w)
{
    jw_close(w, ']');
}

/* The member name; the next call writes its value. */
void jw_key(struct json_writer *w, struct slice name);
void jw_str(struct json_writer *w, struct slice s);
/* The same of the inside of another JSON string, whose escapes stay as they are. */
void jw_str_escaped(struct json_writer *w, struct slice inside);
/* One string put together from pieces, each whole characters; of the inside of another JSON string
 * (jw_str_add_escaped) the escapes stay as they are. */
void jw_str_begin(struct json_writer *w);
void jw_str_add(struct json_writer *w, struct slice s);
void jw_str_add_escaped(struct json_writer *w, struct slice inside);
void jw_str_end(struct json_writer *w);
void jw_i64(struct json_writer *w, int64_t v);
void jw_u64(struct json_writer *w, uint64_t v);
void jw_bool(struct json_writer *w, bool v);
void jw_null(struct json_writer *w);
/* One value that is JSON already. */
void jw_raw(struct json_writer *w, struct slice json);

/* Name and value in one call; the name is a literal that needs no escape. */
#define jw_member_str(w, lit, s)  (jw_key_plain((w), SLICE_LIT(lit)), jw_str((w), (s)))
#define jw_member_i64(w, lit, v)  (jw_key_plain((w), SLICE_LIT(lit)), jw_i64((w), (v)))
#define jw_member_u64(w, lit, v)  (jw_key_plain((w), SLICE_LIT(lit)), jw_u64((w), (v)))
#define jw_member_bool(w, lit, v) (jw_key_plain((w), SLICE_LIT(lit)), jw_bool((w), (v)))
#define jw_member_null(w, lit)    (jw_key_plain((w), SLICE_LIT(lit)), jw_null((w)))
#define jw_member_raw(w, lit, s)  (jw_key_plain((w), SLICE_LIT(lit)), jw_raw((w), (s)))
#define jw_member_object(w, lit)  (jw_key_plain((w), SLICE_LIT(lit)), jw_object((w)))
#define jw_member_array(w, lit)   (jw_key_plain((w), SLICE_LIT(lit)), jw_array((w)))
/* A member name that holds nothing to escape; it is not looked at. Here, so that the copy of a
 * literal is a few moves. */
static inline void jw_key_plain(struct json_writer *w, struct slice name)
{
    char *at;
    if (!jw_room(w, name.n + 3u + w->comma))
        return;
    at = w->at;
    if (w->comma)
        *at++ = ',';
    *at++ = '"';
    memcpy(at, name.p, name.n);
    at += name.n;
    *at++ = '"';
    *at++ = ':';
    w->at = at;
    w->comma = false;
}

#endif
