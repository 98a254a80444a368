/*
 * script.c: the table of keys, and the parser that it drives.
 */
#include "tests/mockllm/script.h"

#include <stdio.h>
#include <string.h>

enum kind { DURATION, COUNT, SIGNED, FLAG, WORD, POSITION, TEXT, RATE };

struct key {
    const char *name;
    enum kind kind;
    size_t offset, size;
    int64_t max;
    const char *const *words;
};

static const char *const framing_words[] = {"auto", "length", "chunked", "close", NULL};
static const char *const eol_words[] = {"lf", "crlf", "cr", NULL};
static const char *const split_words[] = {"none", "utf8", "eol", NULL};
static const char *const usage_words[] = {
    "right",  "absent",  "null",  "always",     "zero",  "negative", "huge",  "fraction",
    "string", "partial", "every", "decreasing", "first", "last",     "twice", NULL};
static const char *const length_words[] = {"right",      "short",   "long",     "twice",
                                           "twice-same", "with-te", "negative", "huge",
                                           "word",       "plus",    NULL};
static const char *const inject_words[] = {"none",    "cr",   "lf",     "nul",    "fold", "space",
                                           "nocolon", "name", "status", "cookie", NULL};
static const char *const body_words[] = {"right",     "empty", "truncated", "html",   "deep",
                                         "duplicate", "nul",   "utf8",      "suffix", NULL};
static const char *const idle_words[] = {"keep", "close", "next", "reset", "stray", NULL};

#define FIELD(f)        offsetof(struct script, f), sizeof(((struct script *)0)->f)
#define DURATION_KEY(f) DURATION, FIELD(f##_us), 86400000000, NULL
#define COUNT_KEY(f, m) COUNT, FIELD(f), (m), NULL
#define WORD_KEY(f)     WORD, FIELD(f), 0, f##_words

static const struct key keys[] = {
    {"ttft", DURATION_KEY(ttft)},
    {"body_delay", DURATION_KEY(body_delay)},
    {"gap", DURATION_KEY(gap)},
    {"tps", RATE, FIELD(gap_us), 1000000, NULL},
    {"drip", DURATION_KEY(drip)},
    {"tokens", COUNT_KEY(tokens, 1000000)},
    {"events", COUNT_KEY(tokens, 1000000)},
    {"token_size", COUNT_KEY(token_size, 16777216)},
    {"size", COUNT_KEY(size, 268435456)},
    {"burst", COUNT_KEY(burst, 1000000)},
    {"chunk", COUNT_KEY(chunk, 1073741824)},
    {"split", WORD_KEY(split)},
    {"hchunk", COUNT_KEY(hchunk, 1073741824)},
    {"chunk_ext", FLAG, FIELD(chunk_ext), 1, NULL},
    {"trailer", FLAG, FIELD(trailer), 1, NULL},
    {"framing", WORD_KEY(framing)},
    {"eol", WORD_KEY(eol)},
    {"comments", COUNT_KEY(comments, 1000000)},
    {"bom", FLAG, FIELD(bom), 1, NULL},
    {"done", FLAG, FIELD(done), 1, NULL},
    {"usage", WORD_KEY(usage)},
    {"prompt", SIGNED, FIELD(prompt), INT64_MAX, NULL},
    {"completion", SIGNED, FIELD(completion), INT64_MAX, NULL},
    {"cached", SIGNED, FIELD(cached), INT64_MAX, NULL},
    {"cache_write", SIGNED, FIELD(cache_write), INT64_MAX, NULL},
    {"reasoning", SIGNED, FIELD(reasoning), INT64_MAX, NULL},
    {"tools", COUNT_KEY(tools, 64)},
    {"tool", TEXT, FIELD(tool), 0, NULL},
    {"reason", COUNT_KEY(reason, 1000000)},
    {"cite", COUNT_KEY(cite, 64)},
    {"refusal", FLAG, FIELD(refusal), 1, NULL},
    {"unicode", FLAG, FIELD(unicode), 1, NULL},
    {"empty", FLAG, FIELD(empty), 1, NULL},
    {"polls", COUNT_KEY(polls, 1000)},
    {"finish", TEXT, FIELD(finish), 0, NULL},
    {"reply_model", TEXT, FIELD(reply_model), 0, NULL},
    {"status", COUNT_KEY(status, 9999)},
    {"error", TEXT, FIELD(error), 0, NULL},
    {"error_after", SIGNED, FIELD(error_after), 1000000, NULL},
    {"errmid", SIGNED, FIELD(error_after), 1000000, NULL},
    {"retry_after", TEXT, FIELD(retry_after), 0, NULL},
    {"retry_after_ms", TEXT, FIELD(retry_after_ms), 0, NULL},
    {"should_retry", TEXT, FIELD(should_retry), 0, NULL},
    {"location", TEXT, FIELD(location), 0, NULL},
    {"ctype", TEXT, FIELD(ctype), 0, NULL},
    {"gzip", FLAG, FIELD(gzip), 1, NULL},
    {"body", WORD_KEY(body)},
    {"length", WORD_KEY(length)},
    {"extra", COUNT_KEY(extra, 1048576)},
    {"inject", WORD_KEY(inject)},
    {"header_size", COUNT_KEY(header_size, 16777216)},
    {"headers", COUNT_KEY(headers, 100000)},
    {"interim", COUNT_KEY(interim, 1000000)},
    {"http10", FLAG, FIELD(http10), 1, NULL},
    {"keepalive", FLAG, FIELD(keepalive), 1, NULL},
    {"idle", WORD_KEY(idle)},
    {"idle_after", DURATION_KEY(idle)},
    {"cut", POSITION, FIELD(cut), 0, NULL},
    {"reset", POSITION, FIELD(reset), 0, NULL},
    {"hang", POSITION, FIELD(hang), 0, NULL},
    {"hold", POSITION, FIELD(hold), 0, NULL},
    {"garbage", POSITION, FIELD(garbage), 0, NULL},
    {"raw", FLAG, FIELD(raw), 1, NULL},
};

void script_init(struct script *s)
{
    *s = (struct script){.tokens = 8,
                         .burst = 1,
                         .keepalive = 1,
                         .done = 1,
                         .error_after = -1,
                         .prompt = INT64_MIN,
                         .completion = INT64_MIN,
                         .idle_us = 0};
}

static bool parse_duration(struct slice text, int64_t *us)
{
    static const struct {
        const char *unit;
        int64_t us;
    } units[] = {{"us", 1}, {"ms", 1000}, {"s", 1000000}, {"m", 60000000}};
    size_t n = 0;
    while (n < text.len && text.p[n] >= '0' && text.p[n] <= '9')
        n++;
    if (!slice_to_int((struct slice){text.p, n}, us))
        return false;
    struct slice unit = {text.p + n, text.len - n};
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (slice_is(unit, units[i].unit))
            return !__builtin_mul_overflow(*us, units[i].us, us);
    }
    return false;
}

static bool parse_size(struct slice text, int64_t *out)
{
    int64_t unit = 1;
    if (text.len > 0 && (text.p[text.len - 1] | 0x20) == 'k')
        unit = 1024;
    else if (text.len > 0 && (text.p[text.len - 1] | 0x20) == 'm')
        unit = 1048576;
    if (unit > 1)
        text.len--;
    return slice_to_int(text, out) && !__builtin_mul_overflow(*out, unit, out);
}

/* start | head | body | half | done | end | eN (events) | N (bytes) */
static bool parse_position(struct slice text, struct pos *pos)
{
    static const struct {
        const char *word;
        enum pos_kind kind;
    } words[] = {{"none", POS_NONE}, {"start", POS_START}, {"head", POS_HEAD}, {"body", POS_BODY},
                 {"half", POS_HALF}, {"done", POS_DONE},   {"end", POS_END}};
    pos->n = 0;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (slice_is(text, words[i].word)) {
            pos->kind = words[i].kind;
            return true;
        }
    }
    pos->kind = POS_BYTE;
    if (text.len > 1 && text.p[0] == 'e') {
        pos->kind = POS_EVENT;
        text = (struct slice){text.p + 1, text.len - 1};
    }
    return slice_to_int(text, &pos->n) && pos->n >= 0;
}

static bool parse_word(struct slice text, const char *const *words, void *field)
{
    for (int i = 0; words[i] != NULL; i++) {
        if (slice_is(text, words[i])) {
            memcpy(field, &i, sizeof i);
            return true;
        }
    }
    return false;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* %XX stands for bytes that part words. */
static bool parse_text(struct slice text, char *field, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++, n++) {
        if (n + 1 >= size)
            return false;
        field[n] = text.p[i];
        if (text.p[i] != '%')
            continue;
        if (i + 2 >= text.len || hex_digit(text.p[i + 1]) < 0 || hex_digit(text.p[i + 2]) < 0)
            return false;
        field[n] = (char)(hex_digit(text.p[i + 1]) * 16 + hex_digit(text.p[i + 2]));
        i += 2;
    }
    field[n] = '\0';
    return true;
}

static bool set_value(const struct key *key, struct slice text, char *field)
{
    int64_t v = 0;
    bool ok = true;
    switch (key->kind) {
    case DURATION:
        ok = parse_duration(text, &v) && v <= key->max;
        break;
    case RATE:
        ok = slice_to_int(text, &v) && v > 0 && v <= key->max;
        v = ok ? 1000000 / v : 0;
        break;
    case COUNT:
    case FLAG:
        ok = parse_size(text, &v) && v >= 0 && v <= key->max;
        break;
    case SIGNED:
        ok = slice_to_int(text, &v) && v <= key->max;
        break;
    case WORD:
        return parse_word(text, key->words, field);
    case POSITION:
        return parse_position(text, (struct pos *)field);
    case TEXT:
        return parse_text(text, field, key->size);
    }
    if (ok)
        memcpy(field, &v, sizeof v);
    return ok;
}

static const struct key *find_key(struct slice name)
{
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (slice_is(name, keys[i].name))
            return &keys[i];
    return NULL;
}

bool script_parse(struct script *s, struct slice text, char *why, size_t why_size)
{
    struct slice word;
    while (slice_split(&text, ",;& \t\r\n", &word)) {
        if (word.len == 0)
            continue;
        struct slice value = word, name;
        slice_split(&value, "=", &name);
        const struct key *key = find_key(name);
        if (key == NULL) {
            snprintf(why, why_size, "unknown key '" SLICE_FMT "'", SLICE_ARG(name));
            return false;
        }
        if (value.p == NULL && key->kind == FLAG)
            value = SLICE("1");
        if (value.p == NULL || !set_value(key, value, (char *)s + key->offset)) {
            snprintf(why, why_size, "bad value in '" SLICE_FMT "'", SLICE_ARG(word));
            return false;
        }
    }
    return true;
}
