/*
 * sample.c: see sample.h.
 */
#include "tests/mockllm/sample.h"
#include "tests/mockllm/json.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SCHEMA_DEPTH = 16 };

static const char *const words[] = {
    "A",
    " mock",
    " na\xc3\xafve",
    " says",
    " \\\"hello",
    "\\\"",
    " to",
    " every",
    " caf\xc3\xa9",
    "\\n",
    " \xe6\x97\xa5\xe6\x9c\xac",
    " and",
    " back",
    " \xf0\x9f\x98\x80",
    ",",
    " again",
};

void sample_token(struct bytes *out, int64_t i, int64_t size)
{
    const char *word = words[(uint64_t)i % ARRAY_LEN(words)];
    if (size <= 0) {
        bytes_adds(out, word);
        return;
    }
    size_t n = strlen(word);
    if (n > (size_t)size) {
        word = "x";
        n = 1;
    }
    bytes_add(out, word, n);
    memset(bytes_reserve(out, (size_t)size - n), 'x', (size_t)size - n);
    out->len += (size_t)size - n;
}

void sample_unicode_token(struct bytes *out, int64_t i)
{
    static const char *const odd[] = {
        "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e",         /* three bytes each */
        "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x9a\x80", /* two of four, joined */
        "e\xcc\x81",                                    /* a letter and its accent */
        "\\ud83d\\ude80",                               /* escaped surrogate pair */
        "\\u0000\\u001f",
        "\\\\\\n\\t\\\"\\/",
        "\xe2\x80\xa8\xe2\x80\xa9", /* line ends that JSON allows bare */
        "\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d",
    };
    bytes_adds(out, odd[(uint64_t)i % ARRAY_LEN(odd)]);
}

void sample_thought(struct bytes *out, int64_t i)
{
    static const char *const thoughts[] = {"Let",           " me", " think", " about",
                                           " caf\xc3\xa9s", ":",   "\\n"};
    bytes_adds(out, thoughts[(uint64_t)i % ARRAY_LEN(thoughts)]);
}

void sample_signature(struct bytes *out, enum sample_maker by, struct slice text)
{
    static const char *const makers[] = {"claude", "gemini", "openai", "compatible"};
    char plain[48];
    unsigned char coded[80];
    int n = snprintf(plain, sizeof plain, "mock signature %s %016" PRIx64, makers[by],
                     slice_hash(text));
    bytes_add(out, coded, (size_t)EVP_EncodeBlock(coded, (const unsigned char *)plain, n));
}

bool sample_signature_fits(struct slice signature, enum sample_maker by, struct slice text)
{
    struct bytes right = {0};
    sample_signature(&right, by, text);
    bool fits = slice_eq(bytes_slice(&right), signature);
    bytes_fini(&right);
    return fits;
}

static void add_instance(struct bytes *out, struct slice root, struct slice schema, int depth);

/* Follows "#/a/b" from the root. */
static struct slice resolve(struct slice root, struct slice ref)
{
    struct slice rest = json_inner(ref), name, at = root;
    slice_split(&rest, "/", &name);
    if (!slice_is(name, "#"))
        return (struct slice){NULL, 0};
    while (at.p != NULL && slice_split(&rest, "/", &name)) {
        char *key = xstrndup(name.p, name.len);
        at = json_get(at, key);
        free(key);
    }
    return at;
}

static struct slice first_of(struct slice array)
{
    struct json j;
    struct slice v = {NULL, 0};
    bool started = false;
    json_init(&j, array);
    if (array.len > 0 && json_enter(&j, '['))
        json_next_element(&j, &started, &v);
    return v;
}

static void add_properties(struct bytes *out, struct slice root, struct slice properties, int depth)
{
    struct json j;
    struct slice key, value;
    bool started = false;
    const char *comma = "";
    json_init(&j, properties);
    bytes_adds(out, "{");
    if (properties.len > 0 && json_enter(&j, '{')) {
        while (json_next_member(&j, &started, &key, &value)) {
            bytes_addf(out, "%s\"" SLICE_FMT "\":", comma, SLICE_ARG(key));
            add_instance(out, root, value, depth + 1);
            comma = ",";
        }
    }
    bytes_adds(out, "}");
}

static void add_typed(struct bytes *out, struct slice root, struct slice schema, int depth)
{
    struct slice type = json_get(schema, "type"), properties = json_get(schema, "properties");
    if (type.len > 0 && type.p[0] == '[')
        type = first_of(type);
    if (slice_is_nocase(type, "\"object\"") || (type.p == NULL && properties.p != NULL)) {
        add_properties(out, root, properties, depth);
    } else if (slice_is_nocase(type, "\"array\"")) {
        bytes_adds(out, "[");
        if (json_get(schema, "items").p != NULL)
            add_instance(out, root, json_get(schema, "items"), depth + 1);
        bytes_adds(out, "]");
    } else if (slice_is_nocase(type, "\"integer\"")) {
        bytes_adds(out, "7");
    } else if (slice_is_nocase(type, "\"number\"")) {
        bytes_adds(out, "1.5");
    } else if (slice_is_nocase(type, "\"boolean\"")) {
        bytes_adds(out, "true");
    } else if (slice_is_nocase(type, "\"null\"")) {
        bytes_adds(out, "null");
    } else {
        bytes_adds(out, "\"mock\"");
    }
}

static void add_instance(struct bytes *out, struct slice root, struct slice schema, int depth)
{
    if (depth > MAX_SCHEMA_DEPTH) {
        bytes_adds(out, "null");
        return;
    }
    struct slice ref = json_get(schema, "$ref"), value = json_get(schema, "const");
    if (value.p == NULL)
        value = first_of(json_get(schema, "enum"));
    if (value.p != NULL) {
        bytes_add_slice(out, value);
        return;
    }
    if (json_is_string(ref)) {
        add_instance(out, root, resolve(root, ref), depth + 1);
        return;
    }
    value = first_of(json_get(schema, "anyOf"));
    if (value.p == NULL)
        value = first_of(json_get(schema, "oneOf"));
    if (value.p != NULL)
        add_instance(out, root, value, depth + 1);
    else
        add_typed(out, root, schema, depth);
}

void sample_instance(struct bytes *out, struct slice schema)
{
    if (schema.p == NULL)
        bytes_adds(out, "{}");
    else
        add_instance(out, schema, schema, 0);
}
