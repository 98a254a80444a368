/*
 * gemini_schema.c: Gemini's Schema object as JSON Schema, for providers that know only that.
 *
 * Schema is a subset of OpenAPI 3.0's (ai.google.dev/api/caching#Schema): types are enum names in
 * upper case, `nullable` stands beside the type, counts are 64-bit integers and so may be strings.
 * What only orders or illustrates (propertyOrdering, example) has no meaning elsewhere.
 */
#include "gatewayd/dialect/gemini.h"

static void put_schema(struct json_writer *w, const struct json_doc *d, uint32_t v);

static void put_key(struct json_writer *w, const struct json_doc *d, uint32_t k)
{
    jw_raw(w, json_raw(d, k));
    w->comma = false;
    jw_raw(w, SLICE_LIT(":"));
    w->comma = false;
}

static void put_lower(struct json_writer *w, struct slice type)
{
    char name[32];
    size_t n = GW_MIN(type.n, sizeof name);
    for (size_t i = 0; i < n; i++)
        name[i] = type.p[i] >= 'A' && type.p[i] <= 'Z' ? (char)(type.p[i] | 0x20) : type.p[i];
    jw_str(w, slice_of(name, n));
}

static void put_type(struct json_writer *w, const struct json_doc *d, uint32_t v, bool nullable)
{
    struct slice type;
    if (!json_str_plain(d, v, &type)) {
        jw_key_plain(w, SLICE_LIT("type"));
        jw_raw(w, json_raw(d, v));
        return;
    }
    if (slice_eq_str(type, "TYPE_UNSPECIFIED"))
        return;
    jw_key_plain(w, SLICE_LIT("type"));
    if (nullable)
        jw_array(w);
    put_lower(w, type);
    if (nullable) {
        jw_str(w, SLICE_LIT("null"));
        jw_array_end(w);
    }
}

static void put_enum(struct json_writer *w, const struct json_doc *d, uint32_t v, bool nullable)
{
    jw_member_array(w, "enum");
    json_foreach_element(d, v, e) jw_raw(w, json_raw(d, e));
    if (nullable)
        jw_null(w);
    jw_array_end(w);
}

static void put_count(struct json_writer *w, const struct json_doc *d, uint32_t v)
{
    int64_t n;
    if (gemini_i64(d, v, &n) == 0)
        jw_i64(w, n);
    else
        jw_raw(w, json_raw(d, v));
}

static void put_map(struct json_writer *w, const struct json_doc *d, uint32_t v)
{
    jw_object(w);
    json_foreach_member(d, v, k)
    {
        put_key(w, d, k);
        put_schema(w, d, k + 1);
    }
    jw_object_end(w);
}

static void put_list(struct json_writer *w, const struct json_doc *d, uint32_t v)
{
    jw_array(w);
    json_foreach_element(d, v, e) put_schema(w, d, e);
    jw_array_end(w);
}

/* What stands behind a keyword. */
enum shape { RAW, COUNT, SCHEMA, MAP, LIST, LEFT_OUT };
static const struct {
    const char *name, *as;
    enum shape shape;
} keywords[] = {
    {"properties", "properties", MAP},
    {"items", "items", SCHEMA},
    {"anyOf", "anyOf", LIST},
    {"oneOf", "oneOf", LIST},
    {"prefixItems", "prefixItems", LIST},
    {"additionalProperties", "additionalProperties", SCHEMA},
    {"defs", "$defs", MAP},
    {"$defs", "$defs", MAP},
    {"ref", "$ref", RAW},
    {"minItems", "minItems", COUNT},
    {"maxItems", "maxItems", COUNT},
    {"minLength", "minLength", COUNT},
    {"maxLength", "maxLength", COUNT},
    {"minProperties", "minProperties", COUNT},
    {"maxProperties", "maxProperties", COUNT},
    {"nullable", NULL, LEFT_OUT},
    {"example", NULL, LEFT_OUT},
    {"propertyOrdering", NULL, LEFT_OUT},
};

static void put_value(struct json_writer *w, const struct json_doc *d, uint32_t v, enum shape shape)
{
    switch (shape) {
    case COUNT:
        put_count(w, d, v);
        break;
    case SCHEMA:
        put_schema(w, d, v);
        break;
    case MAP:
        put_map(w, d, v);
        break;
    case LIST:
        put_list(w, d, v);
        break;
    default:
        jw_raw(w, json_raw(d, v));
        break;
    }
}

static void put_keyword(struct json_writer *w, const struct json_doc *d, uint32_t k)
{
    for (size_t i = 0; i < ARRAY_LEN(keywords); i++) {
        if (!gemini_is(d, k, keywords[i].name))
            continue;
        if (keywords[i].shape == LEFT_OUT)
            return;
        jw_key_plain(w, slice_str(keywords[i].as));
        put_value(w, d, k + 1, keywords[i].shape);
        return;
    }
    put_key(w, d, k);
    jw_raw(w, json_raw(d, k + 1));
}

/* The depth is that of the text, which the JSON reader bounds. */
static void put_schema(struct json_writer *w, const struct json_doc *d, uint32_t v)
{
    bool nullable = false;
    if (json_type(d, v) != JSON_OBJECT) {
        jw_raw(w, json_raw(d, v));
        return;
    }
    if (json_bool(d, gemini_get(d, v, "nullable"), &nullable) < 0)
        nullable = false;
    jw_object(w);
    json_foreach_member(d, v, k)
    {
        if (json_is_null(d, k + 1) && !gemini_is(d, k, "default"))
            continue;
        if (gemini_is(d, k, "type"))
            put_type(w, d, k + 1, nullable);
        else if (gemini_is(d, k, "enum") && json_type(d, k + 1) == JSON_ARRAY)
            put_enum(w, d, k + 1, nullable);
        else
            put_keyword(w, d, k);
    }
    jw_object_end(w);
}

/* A schema grows by what makes it nullable, less than the member that says so, and by the dollar of
 * two names: twice its size holds it. */
struct slice gemini_json_schema(const struct json_doc *d, uint32_t v, struct arena *a)
{
    struct json_writer w;
    size_t n, cap = json_raw(d, v).n * 2 + 64;
    char *mem = arena_alloc(a, cap);
    if (!mem)
        return slice_of(NULL, 0);
    jw_init_fixed(&w, mem, cap);
    put_schema(&w, d, v);
    return jw_finish(&w, &n) == 0 ? slice_of(mem, n) : slice_of(NULL, 0);
}
