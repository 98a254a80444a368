/*
 * req_objects.c: where requests about objects go, what their answers say, lists.
 */
#include "gatewayd/worker/req_objects.h"

#include "common/check.h"
#include "common/log.h"
#include "gatewayd/dialect/batch_file.h"
#include "gatewayd/dialect/openai.h"
#include "gatewayd/dialect/relay.h"
#include "gatewayd/worker/attempt.h"
#include "gatewayd/worker/bound.h"
#include "gatewayd/worker/objects.h"
#include "gatewayd/worker/reply.h"
#include "gatewayd/worker/req_relay.h"
#include "gatewayd/worker/req_route.h"

#include <stdio.h>

static bool param_is(struct slice param, const char *name, struct slice *value)
{
    struct slice key = slice_split(&param, '=');
    *value = param;
    return slice_eq_str(key, name);
}

/* ---- one object ---- */

/* NULL after req_fail(). */
static struct object_record *look_up(struct req *r, enum object_kind kind, struct slice id,
                                     const char *param)
{
    struct object_record *o = arena_alloc(&r->arena, sizeof *o);
    enum store_err err = STORE_NOTFOUND;
    if (!o) {
        req_fail(r, 503, "overloaded", "out of memory");
        return NULL;
    }
    if (id.n > 0 && id.n <= OBJECT_ID_MAX)
        err = objects_lookup(r, kind, id, o);
    if (err == STORE_OK)
        return o;
    r->param = param;
    if (err == STORE_NOTFOUND)
        req_fail(r, 404, "object_not_found", "There is no %s with the id '%.*s'.",
                 object_kind_name(kind), (int)GW_MIN(id.n, (size_t)OBJECT_ID_MAX), id.p);
    else
        objects_fail_store(r, err);
    return NULL;
}

static const struct conf_model *to_its_credential(struct req *r, const struct object_record *o)
{
    const struct conf_credential *c = objects_credential(r, o);
    if (c)
        return req_relay_to(r, c->provider, c);
    req_fail(r, 404, "credential_gone",
             "The %s can't be reached: the credential that made it is no longer configured.",
             object_kind_name(o->kind));
    return NULL;
}

/* Gemini's ids are names with their collection in front. */
static struct slice id_of_path(struct req *r)
{
    static const char collection[] = "cachedContents/";
    size_t n = sizeof collection - 1 + r->path_object.n;
    if (r->relay->kind != OBJECT_CACHE)
        return r->path_object;
    char *mem = arena_alloc(&r->arena, n);
    if (!mem)
        return slice_of(NULL, 0);
    memcpy(mem, collection, sizeof collection - 1);
    memcpy(mem + sizeof collection - 1, r->path_object.p, r->path_object.n);
    return slice_of(mem, n);
}

/* The events of an answer that was made in the background (responses/get of OpenAI's reference). */
static bool wants_events(const struct req *r)
{
    struct slice query = http_request_query(&r->head), value;
    while (r->ask.op == DIALECT_RESPONSE && query.p)
        if (param_is(slice_split(&query, '&'), "stream", &value) && !slice_eq_str(value, "false"))
            return true;
    return false;
}

/* A batch without figures is charged by its output: that must be there until it is. */
static bool may_delete_output(struct req *r)
{
    struct object_record batch;
    struct slice parent = object_name(r->object, OBJECT_PARENT);
    if (r->object->kind != OBJECT_FILE || parent.n == 0 || (r->object->flags & OBJECT_F_ERRORS))
        return true;
    enum store_err err = objects_lookup(r, OBJECT_BATCH, parent, &batch);
    if (err == STORE_NOTFOUND || (err == STORE_OK && batch.state != OBJECT_OPEN))
        return true;
    if (err != STORE_OK)
        objects_fail_store(r, err);
    else
        req_fail(r, 409, "not_settled",
                 "The file is the output of a batch whose usage has not been seen yet: retrieve "
                 "its content in whole, then delete it.");
    return false;
}

static const struct conf_model *model_of_object(struct req *r)
{
    if (wants_events(r)) {
        r->param = "stream";
        req_fail(r, 400, "unsupported_parameter",
                 "A response's events can't be fetched again: retrieve it without 'stream'.");
        return NULL;
    }
    r->object = look_up(r, r->relay->kind, id_of_path(r), NULL);
    if (!r->object)
        return NULL;
    if (r->relay->role == RELAY_DELETES && r->object->state == OBJECT_OPEN) {
        req_fail(r, 409, "not_settled",
                 "The %s was made in the background and its end has not been seen yet: retrieve it "
                 "once it is through, then delete it.",
                 object_kind_name(r->object->kind));
        return NULL;
    }
    if (r->relay->role == RELAY_DELETES && !may_delete_output(r))
        return NULL;
    return to_its_credential(r, r->object);
}

/* ---- new ones ---- */

/* Of the lines of a batch's input: all that they name must be one credential's. */
struct named {
    struct req *r;
    const struct conf_credential *credential; /* NULL: nothing is named */
    enum store_err failed;                    /* the records can't be read */
};

static void add_bound(void *arg, const struct dialect_request *ask)
{
    struct named *n = arg;
    int64_t usage[LEDGER_USAGE_MAX], *sum = n->r->batch_bound;
    bound_reserve(ask, usage);
    for (unsigned i = 0; i < LEDGER_USAGE_MAX; i++)
        sum[i] = GW_MIN(sum[i] + usage[i], (int64_t)USAGE_MAX_TOKENS);
}

static bool take_named(void *arg, enum object_kind kind, struct slice id, const char *param,
                       struct dialect_refusal *why)
{
    struct named *n = arg;
    struct object_record o;
    enum store_err err = STORE_NOTFOUND;
    if (id.n > 0 && id.n <= OBJECT_ID_MAX && !memchr(id.p, '\\', id.n))
        err = objects_lookup(n->r, kind, id, &o);
    const struct conf_credential *c = err == STORE_OK ? objects_credential(n->r, &o) : NULL;
    if (c && (!n->credential || n->credential == c)) {
        n->credential = c;
        return true;
    }
    if (err != STORE_OK && err != STORE_NOTFOUND)
        n->failed = err;
    snprintf(why->message, sizeof why->message, "there is no %s '%.*s' where the batch goes.",
             object_kind_name(kind), (int)GW_MIN(id.n, (size_t)64), id.p);
    snprintf(why->param, sizeof why->param, "%s", param);
    why->code = "object_not_found";
    return false;
}

/* The candidates of the credential that what is uploaded names, and of one name of the model
 * upstream, since the file can have but one. */
static void keep_alike(struct req *r)
{
    struct slice upstream = {NULL, 0};
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->n_candidates; i++) {
        const struct candidate *c = &r->candidates[i];
        if (r->object_credential && c->credential != r->object_credential)
            continue;
        if (n == 0)
            upstream = c->target->upstream_model;
        if (slice_eq(c->target->upstream_model, upstream))
            r->candidates[n++] = *c;
    }
    r->n_candidates = n;
}

static struct slice upload_of(const struct req *r)
{
    const struct dialect_span *at = &r->ask.upload;
    return slice_of(r->body.data + at->off, at->end - at->off);
}

/* The model that its lines name says where the file goes. */
static const struct conf_model *model_of_batch_file(struct req *r)
{
    struct batch_file file;
    struct dialect_refusal why;
    struct named named = {.r = r, .failed = STORE_OK};
    r->param = "file";
    if (batch_file_read(&r->w->doc, upload_of(r), take_named, add_bound, &named, &file, &why) < 0) {
        if (named.failed != STORE_OK) {
            r->param = NULL;
            objects_fail_store(r, named.failed);
            return NULL;
        }
        req_fail(r, 400, why.code ? why.code : "invalid_file", "%s", why.message);
        return NULL;
    }
    r->param = NULL;
    r->ask.model = file.model;
    r->ask.batch_url = file.url;
    r->object_credential = named.credential;
    return req_route_find_model(r);
}

/* Where its input is. */
static const struct conf_model *model_of_batch(struct req *r)
{
    const struct dialect_ref *ref = &r->ask.refs[0];
    struct slice id = slice_of(r->body.data + ref->id.off + 1, ref->id.end - ref->id.off - 2);
    r->object = look_up(r, OBJECT_FILE, id, ref->param);
    if (!r->object)
        return NULL;
    if (object_name(r->object, OBJECT_MODEL).n == 0) {
        r->param = ref->param;
        req_fail(r, 400, "invalid_value",
                 "The file '%.*s' was not uploaded with the purpose 'batch'.", SLICE_FMT(id));
        return NULL;
    }
    /* Records of before the url was one of theirs have none. */
    if (r->object->url != OPENAI_BATCH_NO_URL && r->object->url != r->ask.batch_url) {
        r->param = "endpoint";
        req_fail(r, 400, "mismatched_url",
                 "The endpoint '%s' isn't the url '%s' that line 1 and all others of '%.*s' have.",
                 openai_batch_url_name(r->ask.batch_url), openai_batch_url_name(r->object->url),
                 SLICE_FMT(id));
        return NULL;
    }
    return to_its_credential(r, r->object);
}

static const struct conf_model *model_of_new(struct req *r)
{
    r->ask.keeps = true;
    if (r->relay->kind == OBJECT_BATCH)
        return model_of_batch(r);
    if (r->relay->kind == OBJECT_CACHE)
        return req_route_find_model(r);
    return r->ask.upload_is_batch ? model_of_batch_file(r) : req_relay_model(r);
}

bool req_objects_prepare(struct req *r)
{
    struct worker *w = r->w;
    if (!r->ask.upload_is_batch)
        return true;
    keep_alike(r);
    if (r->n_candidates == 0) {
        r->param = "file";
        req_fail(r, 400, "object_elsewhere",
                 "What the batch's requests name is kept by a provider that doesn't serve their "
                 "model.");
        return false;
    }
    struct slice upstream = r->candidates[0].target->upstream_model, file = upload_of(r);
    const char *behind = file.p + file.n, *end = r->body.data + r->body.len;
    if (buf_append(&r->edited, r->body.data, r->ask.upload.off) < 0 ||
        batch_file_rewrite(&w->doc, file, upstream, &r->edited) < 0 ||
        buf_append(&r->edited, behind, (size_t)(end - behind)) < 0) {
        req_fail(r, 413, "request_too_large", "the batch's file is too large to be rewritten");
        return false;
    }
    worker_account(w, &r->edited_held, r->edited.cap);
    return true;
}

/* ---- what an answer says of an object ---- */

static struct slice id_in(const struct json_doc *d, uint32_t v)
{
    struct slice id = {NULL, 0};
    return json_str_plain(d, v, &id) ? id : slice_of(NULL, 0);
}

/* It won't change any more. `cancelled` and `expired` batches have answered some of their lines. */
static bool is_final(const struct json_doc *d, uint32_t object)
{
    static const char *const words[] = {"completed", "failed", "expired", "cancelled",
                                        "incomplete"};
    struct slice status = id_in(d, json_get_lit(d, object, "status"));
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (slice_eq_str(status, words[i]))
            return true;
    return false;
}

/* The first who sees the end of what was OPEN says what it has cost. A batch without figures but
 * with an output is charged when that is fetched. */
static void settle_object(struct req *r, const struct object_record *o, const struct json_doc *d,
                          uint32_t object)
{
    int64_t usage[LEDGER_USAGE_MAX];
    struct dialect_usage u = {.total_tokens = -1};
    if (o->state != OBJECT_OPEN || !is_final(d, object))
        return;
    openai_read_usage(d, json_get_lit(d, object, "usage"), &u);
    if (!(u.flags & USAGE_PRESENT) && id_in(d, json_get_lit(d, object, "output_file_id")).n)
        return;
    bound_from_usage(&u, usage);
    objects_tell(r->w, o, OBJECT_SETTLE, usage);
}

/* The files of a batch are its owner's before the client hears of them. */
static bool record_outputs(struct req *r, const struct object_record *batch,
                           const struct json_doc *d, uint32_t object)
{
    static const struct slice names[] = {SLICE_LIT("output_file_id"), SLICE_LIT("error_file_id")};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct object_record known;
        struct slice id = id_in(d, json_get(d, object, names[i]));
        if (id.n == 0 || id.n > OBJECT_ID_MAX ||
            objects_lookup(r, OBJECT_FILE, id, &known) == STORE_OK)
            continue;
        if (!objects_record_output(r->w, batch, id, i > 0))
            return false;
    }
    return true;
}

static bool take_object(struct req *r, const struct object_record *o, const struct json_doc *d,
                        uint32_t object)
{
    settle_object(r, o, d, object);
    if (o->kind != OBJECT_BATCH || record_outputs(r, o, d, object))
        return true;
    r->min_retry_after_us = 1000000;
    req_fail(r, 503, "overloaded", "too many objects wait to be recorded, try again");
    return false;
}

static bool is_json(const struct req *r, const struct attempt *a)
{
    return !a->opaque && json_parse(&r->w->doc, a->whole.p, a->whole.n) == 0;
}

/* ---- the output of a batch ---- */

/* A part of it (206) says nothing of the rest. */
static bool is_output(const struct req *r)
{
    return r->object && r->ask.op == DIALECT_FILE_CONTENT && r->attempt &&
           r->attempt->res.status == 200 && object_name(r->object, OBJECT_PARENT).n > 0 &&
           !(r->object->flags & OBJECT_F_ERRORS);
}

/* {"response":{"body":{"usage":…}}}; r->edited holds the line. */
static void take_line(struct req *r)
{
    struct json_doc *d = &r->w->doc;
    struct dialect_usage u = {.total_tokens = -1};
    int64_t usage[LEDGER_USAGE_MAX];
    if (r->edited.len > 0 && json_parse(d, r->edited.data, r->edited.len) == 0) {
        uint32_t response = json_get_lit(d, JSON_ROOT, "response");
        openai_read_usage(d, json_get_lit(d, json_get_lit(d, response, "body"), "usage"), &u);
    }
    r->edited.len = 0;
    r->content_skips = false;
    if (!(u.flags & USAGE_PRESENT))
        return;
    bound_from_usage(&u, usage);
    r->content_lines++;
    for (unsigned i = 0; i < LEDGER_USAGE_MAX; i++)
        r->content_usage[i] += usage[i];
}

/* A piece of a line; one that can't be kept in whole isn't read. */
static void keep_piece(struct req *r, const char *p, size_t n)
{
    if (!r->content_skips && (!worker_may_buffer(r->w, n) || buf_append(&r->edited, p, n) < 0)) {
        r->content_skips = true;
        r->content_lost++;
        r->content_lost_bytes += r->edited.len;
        r->edited.len = 0;
    }
    if (r->content_skips)
        r->content_lost_bytes += n;
    worker_account(r->w, &r->edited_held, r->edited.cap);
}

void req_objects_content(struct req *r, struct slice data)
{
    if (!is_output(r))
        return;
    r->content_bytes += data.n;
    while (data.n) {
        const char *end = memchr(data.p, '\n', data.n);
        size_t n = end ? (size_t)(end - data.p) : data.n;
        keep_piece(r, data.p, n);
        if (!end)
            break;
        take_line(r);
        data = slice_of(end + 1, data.n - n - 1);
    }
}

/* Lines that say nothing have about a token in four bytes of output, and the input of the others;
 * if none does, that of the batch's bound. */
static void estimate_rest(struct req *r, const struct object_record *batch)
{
    enum { BYTES_PER_TOKEN = 4 };
    int64_t *usage = r->content_usage;
    bool none = r->content_lines == 0;
    uint64_t bytes = none ? r->content_bytes : r->content_lost_bytes;
    int64_t most = GW_MAX(batch->usage[LEDGER_OUTPUT] - usage[LEDGER_OUTPUT], (int64_t)0);
    usage[LEDGER_INPUT] =
        none ? batch->usage[LEDGER_INPUT]
             : usage[LEDGER_INPUT] + usage[LEDGER_INPUT] / r->content_lines * r->content_lost;
    usage[LEDGER_OUTPUT] += (int64_t)GW_MIN(bytes / BYTES_PER_TOKEN, (uint64_t)most);
    log_warn("a batch's output doesn't say what all of it used: the rest is estimated",
             LOG_S("id", r->id_text), LOG_SL("batch", object_name(batch, OBJECT_ID)),
             LOG_U("lines", r->content_lines), LOG_U("lines_too_long", r->content_lost));
}

/* All of it has come: for a batch whose object doesn't say what it has used. */
static void settle_by_output(struct req *r)
{
    struct object_record batch;
    take_line(r);
    if (objects_lookup(r, OBJECT_BATCH, object_name(r->object, OBJECT_PARENT), &batch) !=
            STORE_OK ||
        batch.state != OBJECT_OPEN)
        return;
    if (r->content_lost == 0 && r->content_lines > 0) {
        objects_tell(r->w, &batch, OBJECT_SETTLE, r->content_usage);
        return;
    }
    estimate_rest(r, &batch);
    objects_tell_estimate(r->w, &batch, r->content_usage);
}

static bool take_used(struct req *r, struct attempt *a)
{
    if (is_output(r)) {
        settle_by_output(r);
        return true;
    }
    if (r->relay->kind == OBJECT_CACHE) {
        r->object->expires_us = a->answer.expires_s * 1000000;
        objects_tell(r->w, r->object, OBJECT_ADD, NULL);
        return true;
    }
    bool told = r->relay->kind == OBJECT_BATCH || r->ask.op == DIALECT_RESPONSE ||
                r->ask.op == DIALECT_RESPONSE_CANCEL;
    if (!told || !is_json(r, a))
        return true;
    return take_object(r, r->object, &r->w->doc, JSON_ROOT);
}

/* ---- lists ---- */

enum {
    LIST_CREDENTIALS_MAX = 64,
    /* Pages of others' objects that are looked through for one of the caller's. */
    LIST_PAGES_MAX = 100,
};

struct objects_list {
    const struct conf_credential *credentials[LIST_CREDENTIALS_MAX];
    uint32_t n, at;
    uint32_t pages;
    int64_t limit;
    struct slice after; /* on the credential that is asked; n = 0: from its start */
};

/* What the providers take as `limit`, and what stands for none (files/list, batch/list of OpenAI's
 * reference). */
static int64_t limit_of(enum object_kind kind, bool most)
{
    if (kind == OBJECT_FILE)
        return 10000;
    return most ? 100 : 20;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A parameter's value without percent-encoding, in the request's arena. */
static struct slice decode(struct req *r, struct slice value)
{
    char *mem = memchr(value.p, '%', value.n) ? arena_alloc(&r->arena, value.n) : NULL;
    size_t n = 0;
    if (!mem)
        return value;
    for (size_t i = 0; i < value.n; i++) {
        int high = value.p[i] == '%' && value.n - i > 2 ? hex_digit(value.p[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(value.p[i + 2]) : -1;
        mem[n++] = low >= 0 ? (char)(high << 4 | low) : value.p[i];
        i += low >= 0 ? 2 : 0;
    }
    return slice_of(mem, n);
}

/* All but what RFC 3986 section 2.3 calls unreserved; out has room for 3 characters each. */
static size_t encode(char *out, struct slice s)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool plain = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
                     c == '-' || c == '.' || c == '_' || c == '~';
        if (plain) {
            out[n++] = (char)c;
            continue;
        }
        out[n++] = '%';
        out[n++] = hex[c >> 4];
        out[n++] = hex[c & 15];
    }
    return n;
}

static bool read_page(struct req *r, struct objects_list *l)
{
    struct slice query = http_request_query(&r->head), value;
    uint64_t n;
    l->limit = limit_of(r->relay->kind, false);
    while (query.p) {
        struct slice param = slice_split(&query, '&');
        if (param_is(param, "after", &value))
            l->after = decode(r, value);
        if (!param_is(param, "limit", &value))
            continue;
        int64_t most = limit_of(r->relay->kind, true);
        if (slice_to_u64(decode(r, value), (uint64_t)most, &n) < 0 || n == 0) {
            r->param = "limit";
            req_fail(r, 400, "invalid_value", "'limit' must be an integer from 1 to %lld.",
                     (long long)most);
            return false;
        }
        l->limit = (int64_t)n;
    }
    return true;
}

static bool offers(const struct req *r, const struct conf_credential *c)
{
    enum provider_op op = dialects_op(r->route->dialect, r->route->op, false);
    return r->snap->credentials[c->index].offers & PROVIDER_OP_BIT(op);
}

struct gathering {
    struct req *r;
    struct objects_list *l;
    struct object_owner owner;
};

static void gather(void *arg, const struct object_record *o)
{
    struct gathering *g = arg;
    struct objects_list *l = g->l;
    const struct conf_credential *c = objects_credential(g->r, o);
    if (!c || !offers(g->r, c))
        return;
    for (uint32_t i = 0; i < l->n; i++)
        if (l->credentials[i] == c)
            return;
    if (l->n < LIST_CREDENTIALS_MAX)
        l->credentials[l->n++] = c;
}

static bool gather_pending(void *arg, const struct object_record *o)
{
    struct gathering *g = arg;
    struct object_owner owner;
    if (o->kind != g->r->relay->kind || o->change != OBJECT_ADD)
        return true;
    object_record_owner(o, &owner);
    if (object_owner_eq(&owner, &g->owner))
        gather(arg, o);
    return true;
}

/* By name, so that each page finds them in the same order. */
static void sort_credentials(struct objects_list *l)
{
    for (uint32_t i = 1; i < l->n; i++)
        for (uint32_t k = i; k > 0; k--) {
            const struct conf_credential **v = &l->credentials[k - 1];
            struct slice a = v[0]->name, b = v[1]->name;
            int order = memcmp(a.p, b.p, GW_MIN(a.n, b.n));
            if (order < 0 || (order == 0 && a.n <= b.n))
                break;
            const struct conf_credential *t = v[0];
            v[0] = v[1];
            v[1] = t;
        }
}

static bool find_credentials(struct req *r, struct objects_list *l)
{
    struct gathering g = {.r = r, .l = l};
    object_owner_of(r->who.id, r->who.team, &g.owner);
    objects_each_pending(&r->w->objects, gather_pending, &g);
    enum store_err err =
        objects_each_credential(r->w->state_reader, r->relay->kind, &g.owner, gather, &g);
    if (err != STORE_OK) {
        objects_fail_store(r, err);
        return false;
    }
    sort_credentials(l);
    return true;
}

/* A page begins behind the object that ended the last one, on its credential. */
static bool find_start(struct req *r, struct objects_list *l)
{
    if (l->after.n == 0)
        return true;
    const struct object_record *o = look_up(r, r->relay->kind, l->after, "after");
    if (!o)
        return false;
    const struct conf_credential *c = objects_credential(r, o);
    while (l->at < l->n && l->credentials[l->at] != c)
        l->at++;
    return true;
}

static void write_end(struct json_writer *w, struct slice first, struct slice last, bool more)
{
    jw_array_end(w);
    jw_key_plain(w, SLICE_LIT("first_id"));
    first.n ? jw_str(w, first) : jw_null(w);
    jw_key_plain(w, SLICE_LIT("last_id"));
    last.n ? jw_str(w, last) : jw_null(w);
    jw_member_bool(w, "has_more", more);
    jw_object_end(w);
}

static void write_begin(struct json_writer *w)
{
    jw_object(w);
    jw_member_str(w, "object", SLICE_LIT("list"));
    jw_member_array(w, "data");
}

static void answer_empty(struct req *r)
{
    char mem[256];
    struct json_writer w;
    struct slice none = {NULL, 0};
    size_t n = 0;
    jw_init_fixed(&w, mem, sizeof mem);
    write_begin(&w);
    write_end(&w, none, none, false);
    GW_REQUIRE(jw_finish(&w, &n) == 0);
    reply_json(r, 200, slice_of(mem, n));
    req_set_state(r, REQ_SETTLE);
}

/* The caller's query with the cursor and the page of the credential that is asked. */
static bool make_query(struct req *r)
{
    const struct objects_list *l = r->list;
    struct slice query = http_request_query(&r->head), value;
    size_t cap = query.n + 3 * OBJECT_ID_MAX + 64, n = 0;
    char *mem = arena_alloc(&r->arena, cap);
    if (!mem)
        return false;
    n = (size_t)snprintf(mem, cap, "limit=%lld", (long long)limit_of(r->relay->kind, true));
    if (l->after.n) {
        n += (size_t)snprintf(mem + n, cap - n, "&after=");
        n += encode(mem + n, l->after);
    }
    while (query.p) {
        struct slice param = slice_split(&query, '&');
        if (param.n && !param_is(param, "after", &value) && !param_is(param, "limit", &value))
            n += (size_t)snprintf(mem + n, cap - n, "&%.*s", SLICE_FMT(param));
    }
    r->upstream_query = slice_of(mem, n);
    return true;
}

static const struct conf_model *ask_page(struct req *r)
{
    const struct conf_credential *c = r->list->credentials[r->list->at];
    if (make_query(r))
        return req_relay_to(r, c->provider, c);
    req_fail(r, 503, "overloaded", "out of memory");
    return NULL;
}

static const struct conf_model *model_of_list(struct req *r)
{
    struct objects_list *l = arena_alloc(&r->arena, sizeof *l);
    if (!l) {
        req_fail(r, 503, "overloaded", "out of memory");
        return NULL;
    }
    memset(l, 0, sizeof *l);
    r->list = l;
    if (!read_page(r, l) || !find_credentials(r, l) || !find_start(r, l))
        return NULL;
    if (l->at < l->n)
        return ask_page(r);
    answer_empty(r);
    return NULL;
}

/* What of a page is the caller's. */
struct page {
    struct json_writer w;
    int64_t n;
    bool more; /* of the caller's, behind the limit */
    struct slice first, last, last_of_all;
};

static bool take_element(struct req *r, struct page *p, const struct json_doc *d, uint32_t v)
{
    struct object_record o;
    struct slice id = id_in(d, json_get_lit(d, v, "id"));
    if (id.n == 0 || id.n > OBJECT_ID_MAX)
        return true;
    p->last_of_all = id;
    if (objects_lookup(r, r->relay->kind, id, &o) != STORE_OK ||
        objects_credential(r, &o) != r->list->credentials[r->list->at])
        return true;
    p->more = p->n == r->list->limit;
    if (p->more)
        return false;
    jw_raw(&p->w, json_raw(d, v));
    p->last = id;
    if (p->n++ == 0)
        p->first = id;
    return take_object(r, &o, d, v);
}

static bool next_page(struct req *r, const struct page *p, bool more)
{
    struct objects_list *l = r->list;
    if (more && p->last_of_all.n) {
        l->after = arena_dup(&r->arena, p->last_of_all);
    } else {
        l->after = slice_of(NULL, 0);
        l->at++;
    }
    if (++l->pages == LIST_PAGES_MAX) {
        req_fail(r, 503, "list_too_long",
                 "none of the first %d pages of the provider's list holds an object of this key",
                 LIST_PAGES_MAX);
        return false;
    }
    r->n_candidates = 0;
    r->model = ask_page(r);
    if (r->model && req_route_candidates(r)) {
        r->current = NULL;
        req_set_state(r, REQ_TRY);
    }
    return false;
}

static bool take_list(struct req *r, struct attempt *a)
{
    struct json_doc *d = &r->w->doc;
    struct page p = {.n = 0};
    bool provider_has_more = false;
    size_t n;
    if (!is_json(r, a)) {
        req_fail(r, 502, "upstream_invalid_response", "the provider's list can't be read");
        return false;
    }
    r->edited.len = 0;
    jw_init_buf(&p.w, &r->edited);
    write_begin(&p.w);
    json_foreach_element(d, json_get_lit(d, JSON_ROOT, "data"), v)
    {
        if (!take_element(r, &p, d, v))
            break;
    }
    if (r->state == REQ_REJECT)
        return false;
    (void)!json_bool(d, json_get_lit(d, JSON_ROOT, "has_more"), &provider_has_more);
    bool others = r->list->at + 1 < r->list->n;
    if (p.n == 0 && (provider_has_more || others))
        return next_page(r, &p, provider_has_more);
    write_end(&p.w, p.first, p.last, p.more || provider_has_more || others);
    if (jw_finish(&p.w, &n) < 0) {
        req_fail(r, 503, "overloaded", "the list does not fit into memory");
        return false;
    }
    worker_account(r->w, &r->edited_held, r->edited.cap);
    a->whole = buf_slice(&r->edited);
    return true;
}

/* ---- the request ---- */

const struct conf_model *req_objects_model(struct req *r)
{
    switch (r->relay->role) {
    case RELAY_MAKES:
        return model_of_new(r);
    case RELAY_LISTS:
        return model_of_list(r);
    default:
        return model_of_object(r);
    }
}

/* The provider's own word that it has no such object, not a 404 of whatever stands before it: a
 * code for it (Azure's, Google's), or a message that says so of this id (OpenAI's). */
static bool says_not_found(const struct req *r, const struct attempt *a)
{
    static const struct slice codes[] = {SLICE_LIT("not_found"), SLICE_LIT("NotFound"),
                                         SLICE_LIT("NOT_FOUND"), SLICE_LIT("not_found_error"),
                                         SLICE_LIT("resource_not_found")};
    static const struct slice members[] = {SLICE_LIT("code"), SLICE_LIT("status"),
                                           SLICE_LIT("type")};
    static const char *const words[] = {"not found", "No such", "no such", "does not exist"};
    const struct json_doc *d = &r->w->doc;
    struct slice text, id = object_name(r->object, OBJECT_ID);
    if (a->res.status != 404 || !is_json(r, a))
        return false;
    uint32_t e = json_get_lit(d, JSON_ROOT, "error");
    for (size_t i = 0; i < ARRAY_LEN(members) * ARRAY_LEN(codes); i++)
        if (json_str_eq(d, json_get(d, e, members[i / ARRAY_LEN(codes)]),
                        codes[i % ARRAY_LEN(codes)]))
            return true;
    text = json_raw(d, json_get_lit(d, e, "message"));
    if (!text.p || !memmem(text.p, text.n, id.p, id.n))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (memmem(text.p, text.n, words[i], strlen(words[i])))
            return true;
    return false;
}

bool req_objects_answered(struct req *r, struct attempt *a)
{
    bool well = a->end == END_ANSWERED;
    if (r->relay->role == RELAY_DELETES && (well || says_not_found(r, a)))
        objects_tell(r->w, r->object, OBJECT_REMOVE, NULL);
    if (!well)
        return true;
    if (r->relay->role == RELAY_LISTS)
        return !r->conn || take_list(r, a);
    return r->relay->role != RELAY_USES || take_used(r, a);
}
