/*
 * log_text.c: the members of a request line in the order of people: time, what, result, the rest.
 *
 * The line comes from our own writer, so it is walked, not parsed: one level, no spaces between
 * its tokens.
 */
#include "common/log_text.h"

#include <string.h>

struct pair {
    struct slice key, value; /* a string value with its quotes */
};

/* Cuts the next `"key":value` off *rest, which begins with '{' or ','. */
static bool next_pair(struct slice *rest, struct pair *out)
{
    const char *p = rest->p + 1, *end = rest->p + rest->n;
    if (rest->n < 2 || (*rest->p != '{' && *rest->p != ',') || *p != '"')
        return false;
    const char *colon = memchr(p, ':', (size_t)(end - p));
    if (!colon || colon - p < 2 || colon[-1] != '"')
        return false;
    out->key = slice_of(p + 1, (size_t)(colon - p) - 2);
    const char *at = colon + 1;
    bool quoted = at < end && *at == '"';
    for (at += quoted; at < end && *at != (quoted ? '"' : ',') && (quoted || *at != '}'); at++)
        at += *at == '\\';
    at += quoted;
    if (at >= end)
        return false;
    out->value = slice_of(colon + 1, (size_t)(at - colon) - 1);
    *rest = slice_of(at, (size_t)(end - at));
    return true;
}

static bool is_flat_object(struct slice line)
{
    struct pair p;
    struct slice rest = line;
    while (next_pair(&rest, &p))
        continue;
    return rest.p != line.p && slice_eq_str(rest, "}");
}

static size_t put(char *out, const char *p, size_t n)
{
    if (n)
        memcpy(out, p, n);
    return n;
}

/* Without its quotes where nothing in it needs them. */
static size_t put_value(char *out, struct slice v)
{
    bool plain = v.n > 2 && v.p[0] == '"';
    for (size_t i = 1; plain && i + 1 < v.n; i++) {
        unsigned char c = (unsigned char)v.p[i];
        plain = c > 0x20 && c < 0x7f && c != '"' && c != '=' && c != '\\';
    }
    return plain ? put(out, v.p + 1, v.n - 2) : put(out, v.p, v.n);
}

static struct slice find(struct slice line, const char *key)
{
    struct pair p;
    for (struct slice rest = line; next_pair(&rest, &p);)
        if (slice_eq_str(p.key, key))
            return p.value;
    return slice_of(NULL, 0);
}

static const char *const heads[] = {"method", "path", "status"};

/* In front already, or said by `who`. */
static bool is_said(struct slice key, bool has_who)
{
    for (size_t i = 0; i < ARRAY_LEN(heads); i++)
        if (slice_eq_str(key, heads[i]))
            return true;
    return slice_eq_str(key, "ts") || (has_who && slice_eq_str(key, "worker"));
}

size_t log_text_of(struct slice line, struct slice who, char *out)
{
    struct pair p;
    char *at = out;
    if (!is_flat_object(line))
        return put(out, line.p, line.n);
    if (who.n) {
        at += put_value(at, find(line, "ts"));
        at += put(at, " request ", 9);
        at += put(at, who.p, who.n);
    }
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        struct slice v = find(line, heads[i]);
        if (!v.n)
            continue;
        at += put_value(at, v);
        *at++ = ' ';
    }
    for (struct slice rest = line; next_pair(&rest, &p);) {
        if (is_said(p.key, who.n > 0))
            continue;
        at += put(at, p.key.p, p.key.n);
        *at++ = '=';
        at += put_value(at, p.value);
        *at++ = ' ';
    }
    return (size_t)(at - out) - (at > out && at[-1] == ' ');
}
