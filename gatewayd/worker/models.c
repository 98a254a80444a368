/*
 * models.c: see models.h.
 *
 * OpenAI: platform.openai.com/docs/api-reference/models. Anthropic:
 * platform.claude.com/docs/en/api/models-list, pages by after_id, before_id and limit. Google:
 * ai.google.dev/api/models#method:-models.list, pages by pageSize and pageToken.
 */
#include "gatewayd/worker/models.h"

#include "gatewayd/worker/auth.h"
#include "gatewayd/worker/reply.h"

#include <ctype.h>
#include <stdio.h>

enum {
    LIST_MAX_BYTES = 64 * 1024 * 1024,
    ANTHROPIC_PAGE = 20,
    GOOGLE_PAGE = 50,
    PAGE_MAX = 1000,
};

/* ---- whose dialect ---- */

static bool query_has(const struct req *r, const char *name)
{
    struct slice query = http_request_query(&r->head);
    while (query.p) {
        struct slice pair = slice_split(&query, '&');
        if (slice_eq_str(slice_split(&pair, '='), name))
            return true;
    }
    return false;
}

static enum dialect_id dialect_of_head(const struct req *r)
{
    const struct http_fields *f = &r->head.fields;
    if (http_fields_count(f, HTTP_H_X_GOOG_API_KEY) || query_has(r, "key"))
        return DIALECT_GEMINI;
    if (http_fields_count(f, HTTP_H_X_API_KEY) || http_fields_count(f, HTTP_H_ANTHROPIC_VERSION))
        return DIALECT_ANTHROPIC;
    return DIALECT_OPENAI;
}

const struct route *models_route(const struct req *r)
{
    if (r->route->id != ROUTE_MODELS && r->route->id != ROUTE_MODEL)
        return r->route;
    bool one = r->route->id == ROUTE_MODEL;
    switch (dialect_of_head(r)) {
    case DIALECT_ANTHROPIC:
        return route_of(one ? ROUTE_MODEL_ANTHROPIC : ROUTE_MODELS_ANTHROPIC);
    case DIALECT_GEMINI:
        return route_of(one ? ROUTE_MODEL_GEMINI : ROUTE_MODELS_GEMINI);
    default:
        return r->route;
    }
}

/* ---- one model ---- */

static void write_openai(struct json_writer *w, const struct req *r, const struct conf_model *m)
{
    (void)r;
    jw_object(w);
    jw_member_str(w, "id", m->name);
    jw_member_str(w, "object", SLICE_LIT("model"));
    jw_member_i64(w, "created", 0);
    jw_member_str(w, "owned_by", SLICE_LIT("gatewayd"));
    jw_object_end(w);
}

/* "May be set to an epoch value if the release date is unknown." */
static void write_anthropic(struct json_writer *w, const struct req *r, const struct conf_model *m)
{
    (void)r;
    jw_object(w);
    jw_member_str(w, "type", SLICE_LIT("model"));
    jw_member_str(w, "id", m->name);
    jw_member_str(w, "display_name", m->name);
    jw_member_str(w, "created_at", SLICE_LIT("1970-01-01T00:00:00Z"));
    jw_member_str(w, "lifecycle", SLICE_LIT("active"));
    jw_object_end(w);
}

static bool answers(const struct req *r, const struct conf_model *m, enum dialect_op op)
{
    for (uint32_t i = 0; i < m->n_targets; i++) {
        const struct conf_target *t = &m->targets[i];
        uint64_t offered = r->snap->credentials[t->credentials[0]->index].offers &
                           provider_model_ops(t->provider->kind, t->upstream_model);
        if (dialects_choose(DIALECT_GEMINI, op, false, offered) != PROVIDER_N_OPS)
            return true;
    }
    return false;
}

static void write_google(struct json_writer *w, const struct req *r, const struct conf_model *m)
{
    static const struct {
        enum dialect_op op;
        const char *method;
    } methods[] = {{DIALECT_CHAT, "generateContent"},
                   {DIALECT_COUNT_TOKENS, "countTokens"},
                   {DIALECT_EMBED_CONTENT, "embedContent"}};
    char name[sizeof "models/" + CONF_NAME_MAX];
    int n = snprintf(name, sizeof name, "models/%.*s", SLICE_FMT(m->name));
    jw_object(w);
    jw_member_str(w, "name", slice_of(name, (size_t)n));
    jw_member_str(w, "version", SLICE_LIT("1"));
    jw_member_str(w, "displayName", m->name);
    jw_member_array(w, "supportedGenerationMethods");
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (answers(r, m, methods[i].op))
            jw_str(w, slice_str(methods[i].method));
    jw_array_end(w);
    jw_object_end(w);
}

typedef void (*write_fn)(struct json_writer *w, const struct req *r, const struct conf_model *m);

static write_fn writer_of(const struct req *r)
{
    if (r->route->dialect == DIALECT_ANTHROPIC)
        return write_anthropic;
    return r->route->dialect == DIALECT_GEMINI ? write_google : write_openai;
}

static void finish(struct req *r, struct json_writer *w, struct buf *b)
{
    size_t n;
    if (jw_finish(w, &n) == 0)
        reply_json(r, 200, buf_slice(b));
    else
        req_fail(r, 500, "internal_error", "the answer does not fit into memory");
    buf_release(b);
}

void models_reply_one(struct req *r)
{
    const struct conf_model *m = conf_model_find(r->snap->conf, r->path_model);
    struct buf b;
    struct json_writer w;
    if (!m || !auth_may_use(r, m->name)) {
        req_fail(r, 404, "model_not_found", "no model of this name is configured for this key");
        return;
    }
    buf_init(&b, LIST_MAX_BYTES);
    jw_init_buf(&w, &b);
    writer_of(r)(&w, r, m);
    finish(r, &w, &b);
}

/* ---- pages ---- */

struct listing {
    const struct conf_model **v;
    uint32_t n;
};

static bool list_models(struct req *r, struct listing *out)
{
    const struct conf *conf = r->snap->conf;
    out->v = arena_alloc(&r->arena, (conf->n_models + 1) * sizeof(struct conf_model *));
    out->n = 0;
    if (!out->v) {
        req_fail(r, 503, "overloaded", "out of memory");
        return false;
    }
    for (uint32_t i = 0; i < conf->n_models; i++)
        if (auth_may_use(r, conf->models[i].name))
            out->v[out->n++] = &conf->models[i];
    return true;
}

static unsigned hex(char c)
{
    return c <= '9' ? (unsigned)c - '0' : ((unsigned)c | 0x20) - 'a' + 10;
}

/* The decoded value of a parameter; {NULL, 0}: not there, or no memory. */
static struct slice query_get(struct req *r, const char *name)
{
    struct slice query = http_request_query(&r->head);
    while (query.p) {
        struct slice value = slice_split(&query, '&');
        if (!slice_eq_str(slice_split(&value, '='), name))
            continue;
        char *text = arena_alloc(&r->arena, value.n + 1);
        size_t n = 0;
        for (size_t i = 0; text && i < value.n; i++) {
            bool coded = value.p[i] == '%' && value.n - i > 2 &&
                         isxdigit((unsigned char)value.p[i + 1]) &&
                         isxdigit((unsigned char)value.p[i + 2]);
            text[n++] = coded ? (char)(hex(value.p[i + 1]) << 4 | hex(value.p[i + 2])) : value.p[i];
            i += coded ? 2 : 0;
        }
        return slice_of(text, n);
    }
    return slice_of(NULL, 0);
}

/* How many a page may hold; 0: the request has been refused. */
static uint32_t page_size(struct req *r, const char *name, uint32_t otherwise)
{
    struct slice text = query_get(r, name);
    uint64_t n;
    if (!text.p)
        return otherwise;
    if (slice_to_u64(text, UINT32_MAX, &n) == 0 && n >= 1)
        return (uint32_t)GW_MIN(n, (uint64_t)PAGE_MAX);
    r->param = name;
    req_fail(r, 400, "invalid_value", "%s: must be an integer from 1 to %d", name, PAGE_MAX);
    return 0;
}

/* The place of a name; -1: the request has been refused. */
static int64_t place_of(struct req *r, const struct listing *all, const char *name,
                        struct slice model)
{
    for (uint32_t i = 0; i < all->n; i++)
        if (slice_eq(all->v[i]->name, model))
            return i;
    r->param = name;
    req_fail(r, 400, "invalid_value", "%s: there is no model of this name", name);
    return -1;
}

static void write_page(struct json_writer *w, struct req *r, const struct listing *all,
                       uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++)
        writer_of(r)(w, r, all->v[i]);
    jw_array_end(w);
}

static bool write_openai_list(struct json_writer *w, struct req *r, const struct listing *all)
{
    jw_member_str(w, "object", SLICE_LIT("list"));
    jw_member_array(w, "data");
    write_page(w, r, all, 0, all->n);
    return true;
}

static void write_name(struct json_writer *w, struct slice member, const struct listing *all,
                       uint32_t at, bool there)
{
    jw_key_plain(w, member);
    if (there)
        jw_str(w, all->v[at]->name);
    else
        jw_null(w);
}

static bool write_anthropic_list(struct json_writer *w, struct req *r, const struct listing *all)
{
    struct slice after = query_get(r, "after_id"), before = query_get(r, "before_id");
    uint32_t limit = page_size(r, "limit", ANTHROPIC_PAGE), from = 0, to;
    int64_t at = 0;
    bool more;
    if (limit == 0)
        return false;
    if (after.p)
        at = place_of(r, all, "after_id", after);
    else if (before.p)
        at = place_of(r, all, "before_id", before);
    if (at < 0)
        return false;
    if (before.p && !after.p) {
        to = (uint32_t)at;
        from = to > limit ? to - limit : 0;
        more = from > 0;
    } else {
        from = after.p ? (uint32_t)at + 1 : 0;
        to = GW_MIN(all->n, from + limit);
        more = to < all->n;
    }
    jw_member_array(w, "data");
    write_page(w, r, all, from, to);
    jw_member_bool(w, "has_more", more);
    write_name(w, SLICE_LIT("first_id"), all, from, from < to);
    write_name(w, SLICE_LIT("last_id"), all, to - 1, from < to);
    return true;
}

/* A token is the name of the last one that was given. */
static bool write_google_list(struct json_writer *w, struct req *r, const struct listing *all)
{
    struct slice token = query_get(r, "pageToken");
    uint32_t size = page_size(r, "pageSize", GOOGLE_PAGE);
    int64_t at = -1;
    if (size == 0)
        return false;
    if (token.n && (at = place_of(r, all, "pageToken", token)) < 0)
        return false;
    uint32_t from = (uint32_t)(at + 1), to = GW_MIN(all->n, from + size);
    jw_member_array(w, "models");
    write_page(w, r, all, from, to);
    if (to < all->n)
        jw_member_str(w, "nextPageToken", all->v[to - 1]->name);
    return true;
}

void models_reply_list(struct req *r)
{
    struct listing all;
    struct buf b;
    struct json_writer w;
    bool written;
    if (!list_models(r, &all))
        return;
    buf_init(&b, LIST_MAX_BYTES);
    jw_init_buf(&w, &b);
    jw_object(&w);
    if (r->route->dialect == DIALECT_ANTHROPIC)
        written = write_anthropic_list(&w, r, &all);
    else if (r->route->dialect == DIALECT_GEMINI)
        written = write_google_list(&w, r, &all);
    else
        written = write_openai_list(&w, r, &all);
    jw_object_end(&w);
    if (written)
        finish(r, &w, &b);
    else
        buf_release(&b);
}
