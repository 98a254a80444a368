/*
 * ir.c: building blocks of the internal form: texts, lists, tool links, the check of fields.
 */
#include "gatewayd/dialect/ir.h"

#include "gatewayd/dialect/ir_embed.h"
#include "gatewayd/dialect/provenance.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* More than x-gw-dropped has room for. */
enum { UNKNOWN_MAX = 512 };

static const struct slice signed_mark = SLICE_LIT("_" PROVENANCE_MARK "_");

const char *ir_field_text(enum ir_field f)
{
    static const char *const names[] = {
#define X(name, text) text,
        IR_FIELDS(X)
#undef X
    };
    return (size_t)f < ARRAY_LEN(names) ? names[f] : "unknown";
}

static const char *const embed_names[] = {
#define X(name, text) text,
    IR_EMBED_FIELDS(X)
#undef X
};
static const char *const rerank_names[] = {
#define X(name, text) text,
    IR_RERANK_FIELDS(X)
#undef X
};

unsigned ir_op_fields(enum dialect_op op)
{
    if (op == DIALECT_EMBEDDINGS || op == DIALECT_EMBED_CONTENT)
        return IR_EMBED_FIELD_COUNT;
    return op == DIALECT_RERANK ? (unsigned)IR_RERANK_FIELD_COUNT : (unsigned)IR_FIELD_COUNT;
}

const char *ir_op_field_text(enum dialect_op op, unsigned f)
{
    if (f >= ir_op_fields(op))
        return "unknown";
    if (op == DIALECT_EMBEDDINGS || op == DIALECT_EMBED_CONTENT)
        return embed_names[f];
    return op == DIALECT_RERANK ? rerank_names[f] : ir_field_text((enum ir_field)f);
}

const char *ir_finish_name(enum ir_finish f)
{
    static const char *const names[] = {
#define X(name, text) text,
        IR_FINISHES(X)
#undef X
    };
    return (size_t)f < ARRAY_LEN(names) ? names[f] : "unknown";
}

const char *ir_event_name(enum ir_event_kind k)
{
    static const char *const names[] = {
#define X(name) #name,
        IR_EVENTS(X)
#undef X
    };
    return (size_t)k < ARRAY_LEN(names) ? names[k] : "unknown";
}

static const struct {
    const char *name;
    int64_t budget;
} efforts[] = {
    [IR_EFFORT_UNSET] = {"", -1},           [IR_EFFORT_NONE] = {"none", 0},
    [IR_EFFORT_MINIMAL] = {"minimal", 512}, [IR_EFFORT_LOW] = {"low", 1024},
    [IR_EFFORT_MEDIUM] = {"medium", 8192},  [IR_EFFORT_HIGH] = {"high", 24576},
    [IR_EFFORT_XHIGH] = {"xhigh", 32768},   [IR_EFFORT_MAX] = {"max", 65536},
};

const char *ir_effort_name(enum ir_effort e)
{
    return (size_t)e < ARRAY_LEN(efforts) ? efforts[e].name : "";
}

enum ir_effort ir_effort_find(struct ir_text t)
{
    for (size_t i = 1; i < ARRAY_LEN(efforts); i++)
        if (ir_text_is(t, slice_str(efforts[i].name)))
            return (enum ir_effort)i;
    return IR_EFFORT_UNSET;
}

int64_t ir_budget_of_effort(enum ir_effort e)
{
    return (size_t)e < ARRAY_LEN(efforts) ? efforts[e].budget : -1;
}

enum ir_effort ir_effort_of_budget(int64_t tokens)
{
    if (tokens == IR_BUDGET_DYNAMIC)
        return IR_EFFORT_MEDIUM;
    if (tokens < 0)
        return IR_EFFORT_UNSET;
    size_t i = IR_EFFORT_NONE;
    while (i < IR_EFFORT_MAX && efforts[i].budget < tokens)
        i++;
    return (enum ir_effort)i;
}

/* ---- texts ---- */

struct ir_text ir_text_of(const struct json_doc *d, uint32_t v)
{
    if (json_type(d, v) != JSON_STRING)
        return (struct ir_text){{NULL, 0}, false};
    struct slice raw = json_raw(d, v);
    return (struct ir_text){slice_of(raw.p + 1, raw.n - 2), d->toks[v].info & JSON_TOK_ESCAPED,
                            true};
}

void ir_write_str_parts(struct json_writer *w, const struct ir_text *t, size_t n)
{
    jw_str_begin(w);
    for (size_t i = 0; i < n; i++)
        ir_add_text(w, t[i]);
    jw_str_end(w);
}

void ir_write_str(struct json_writer *w, struct ir_text t)
{
    if (t.escaped || t.verbatim)
        jw_str_escaped(w, t.s);
    else
        jw_str(w, t.s);
}

/* A one-string document over the text; its quotes stand around it in the body. */
static struct json_tok string_token(struct ir_text t)
{
    return (struct json_tok){0, (uint32_t)t.s.n + 2, 1, JSON_STRING | JSON_TOK_ESCAPED};
}

struct slice ir_decode(struct arena *a, struct ir_text t)
{
    if (!t.escaped || !t.s.p)
        return t.s;
    struct json_tok tok = string_token(t);
    struct json_doc one = {.text = t.s.p - 1, .toks = &tok, .n = 1};
    char *mem = arena_alloc(a, t.s.n + 1);
    size_t n;
    if (!mem || json_str_decode(&one, 0, mem, t.s.n, &n) < 0)
        return slice_of(NULL, 0);
    return slice_of(mem, n);
}

int ir_write_object(struct json_writer *w, struct arena *a, struct ir_text json)
{
    struct slice text = slice_trim(ir_decode(a, json));
    struct json_doc d;
    if (text.n == 0) {
        jw_raw(w, SLICE_LIT("{}"));
        return ir_has(json) && json.s.n ? -1 : 0;
    }
    json_doc_init(&d, JSON_MAX_TOKENS);
    bool ok = json_parse(&d, text.p, text.n) == 0 && json_type(&d, JSON_ROOT) == JSON_OBJECT;
    json_doc_release(&d);
    if (ok)
        jw_raw(w, text);
    return ok ? 0 : -1;
}

size_t ir_text_bytes(struct ir_text t)
{
    if (!t.escaped)
        return t.s.n;
    struct json_tok tok = string_token(t);
    struct json_doc one = {.text = t.s.p - 1, .toks = &tok, .n = 1};
    return json_str_bytes(&one, 0);
}

bool ir_text_is(struct ir_text t, struct slice plain)
{
    if (!t.escaped)
        return t.s.p && slice_eq(t.s, plain);
    struct json_tok tok = string_token(t);
    struct json_doc one = {.text = t.s.p - 1, .toks = &tok, .n = 1};
    return json_str_eq(&one, 0, plain);
}

bool ir_text_eq(struct ir_text a, struct ir_text b)
{
    if (!a.escaped)
        return ir_text_is(b, a.s);
    if (!b.escaped)
        return ir_text_is(a, b.s);
    if (slice_eq(a.s, b.s))
        return true;
    char mem[512];
    struct arena scratch;
    arena_init(&scratch, mem, sizeof mem, sizeof mem + a.s.n + 64);
    struct slice plain = ir_decode(&scratch, a);
    bool same = plain.p && ir_text_is(b, plain);
    arena_reset(&scratch);
    return same;
}

/* ---- requests ---- */

void ir_request_init(struct ir_request *r, struct arena *a, enum dialect_op op)
{
    memset(r, 0, sizeof *r);
    r->arena = a;
    r->op = op;
    r->list = "messages";
    r->parallel_tools = r->include_thoughts = r->store = r->format_strict = -1;
    r->max_tokens = r->n = r->thinking_budget = r->top_logprobs = -1;
}

static void *zeroed(struct arena *a, size_t n_bytes)
{
    void *p = arena_alloc(a, n_bytes);
    return p ? memset(p, 0, n_bytes) : NULL;
}

struct ir_message *ir_add_message(struct ir_request *r, enum ir_role role, uint32_t index)
{
    struct ir_message *m = zeroed(r->arena, sizeof *m);
    if (!m)
        return NULL;
    m->role = role;
    m->index = index;
    if (r->last_message)
        r->last_message->next = m;
    else
        r->messages = m;
    r->last_message = m;
    return m;
}

struct ir_part *ir_add_part(struct arena *a, struct ir_part **list, enum ir_part_kind kind)
{
    struct ir_part *p = zeroed(a, sizeof *p);
    if (!p)
        return NULL;
    p->kind = kind;
    if (*list)
        (*list)->last->next = p;
    else
        *list = p;
    (*list)->last = p;
    return p;
}

struct ir_tool *ir_add_tool(struct ir_request *r)
{
    struct ir_tool *t = zeroed(r->arena, sizeof *t);
    if (!t)
        return NULL;
    t->strict = -1;
    if (r->last_tool)
        r->last_tool->next = t;
    else
        r->tools = t;
    return r->last_tool = t;
}

size_t ir_place_text(char *out, size_t cap, size_t n, const char *text)
{
    while (*text && n + 1 < cap)
        out[n++] = *text++;
    out[n] = '\0';
    return n;
}

size_t ir_place_index(char *out, size_t cap, size_t n, uint32_t index)
{
    char digits[11], *at = digits + sizeof digits - 1;
    *at = '\0';
    do
        *--at = (char)('0' + index % 10);
    while (index /= 10);
    return ir_place_text(out, cap, n, at);
}

void ir_note_unknown(struct ir_request *r, const char *fmt, ...)
{
    char path[160];
    va_list ap;
    if (r->n_unknown == UNKNOWN_MAX)
        return;
    va_start(ap, fmt);
    vsnprintf(path, sizeof path, fmt, ap);
    va_end(ap);
    struct slice own = arena_dup(r->arena, slice_str(path));
    struct ir_unknown *u = zeroed(r->arena, sizeof *u);
    if (!u || !own.p)
        return;
    u->path = own;
    if (r->last_unknown)
        r->last_unknown->next = u;
    else
        r->unknown = u;
    r->last_unknown = u;
    r->n_unknown++;
}

/* ---- tool calls and their results ---- */

/* The one escape that base64 may have in JSON is that of the slash. */
static void add_url_safe(struct json_writer *w, struct slice base64)
{
    char mem[256];
    size_t n = 0;
    for (size_t i = 0; i < base64.n; i++) {
        char c = base64.p[i];
        if (c == '=' || c == '\\')
            continue;
        mem[n++] = c == '+' ? '-' : c == '/' ? '_' : c;
        if (n == sizeof mem) {
            jw_str_add(w, slice_of(mem, n));
            n = 0;
        }
    }
    jw_str_add(w, slice_of(mem, n));
}

void ir_write_signed_id(struct json_writer *w, struct ir_text call_id, struct ir_text signature)
{
    if (!signature.s.n) {
        ir_write_str(w, call_id);
        return;
    }
    jw_str_begin(w);
    ir_add_text(w, call_id);
    jw_str_add(w, signed_mark);
    add_url_safe(w, signature.s);
    jw_str_end(w);
}

/* Base64 as the provider gave it, padding included. */
static struct slice unpack_signature(struct arena *a, struct slice packed)
{
    size_t padded = (packed.n + 3) / 4 * 4;
    char *mem = arena_alloc(a, padded + 1);
    if (!mem)
        return slice_of(NULL, 0);
    for (size_t i = 0; i < packed.n; i++)
        mem[i] = packed.p[i] == '-' ? '+' : packed.p[i] == '_' ? '/' : packed.p[i];
    memset(mem + packed.n, '=', padded - packed.n);
    return slice_of(mem, padded);
}

static void take_signature(struct ir_request *r, struct ir_part *p)
{
    struct slice id = p->call_id.s;
    if (p->call_id.escaped || id.n <= signed_mark.n)
        return;
    for (size_t i = 0; i + signed_mark.n < id.n; i++) {
        if (memcmp(id.p + i, signed_mark.p, signed_mark.n) != 0)
            continue;
        size_t behind = i + signed_mark.n;
        p->call_id.s.n = i;
        if (p->kind == IR_PART_TOOL_CALL && !ir_has(p->signature)) {
            p->signature =
                ir_plain(unpack_signature(r->arena, slice_of(id.p + behind, id.n - behind)));
            ir_note(r, IR_F_REASONING_SIGNATURE);
        }
        return;
    }
}

static int no_call(const struct ir_request *r, const struct ir_message *m,
                   struct dialect_refusal *why, const char *what)
{
    snprintf(why->param, sizeof why->param, "%s[%u]", r->list, m->index);
    snprintf(why->message, sizeof why->message, "The tool result in %s[%u] %s.", r->list, m->index,
             what);
    why->code = "invalid_value";
    return -1;
}

/* Calls are found by binary search: a body may hold a hundred thousand of them. */
struct call {
    struct ir_part *part;
    struct slice id, name; /* decoded */
    uint32_t index;        /* among the calls, in their order */
    uint32_t answered_run; /* of the first call of a name: how many from it on are answered */
    bool answered;
};

struct links {
    struct ir_request *r;
    struct call *calls;
    struct call **by_id, **by_name; /* then by index; by_name is made when it is first asked for */
    uint32_t n;
};

static int compare_slices(struct slice a, struct slice b)
{
    int order = memcmp(a.p ? a.p : "", b.p ? b.p : "", GW_MIN(a.n, b.n));
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

static int compare_ids(const void *a, const void *b)
{
    const struct call *x = *(struct call *const *)a, *y = *(struct call *const *)b;
    int order = compare_slices(x->id, y->id);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

static int compare_names(const void *a, const void *b)
{
    const struct call *x = *(struct call *const *)a, *y = *(struct call *const *)b;
    int order = compare_slices(x->name, y->name);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

static struct slice decoded(struct arena *a, struct ir_text t)
{
    struct slice plain = ir_decode(a, t);
    return plain.p ? plain : t.s;
}

static void add_call(struct links *l, const struct ir_message *m, struct ir_part *p, unsigned nth)
{
    struct call *c = &l->calls[l->n];
    take_signature(l->r, p);
    if (!p->call_id.s.n) {
        char id[48];
        snprintf(id, sizeof id, "call_%u_%u", m->index, nth);
        p->call_id = ir_plain(arena_dup(l->r->arena, slice_str(id)));
    }
    *c = (struct call){.part = p,
                       .id = decoded(l->r->arena, p->call_id),
                       .name = decoded(l->r->arena, p->name),
                       .index = l->n++};
}

static struct call **sorted(const struct links *l, int (*compare)(const void *, const void *))
{
    struct call **list = arena_alloc(l->r->arena, l->n * sizeof *list + 1);
    if (!list)
        return NULL;
    for (uint32_t i = 0; i < l->n; i++)
        list[i] = &l->calls[i];
    qsort(list, l->n, sizeof *list, compare);
    return list;
}

/* How many of the list stand before `key`. */
static uint32_t count_before(struct call *const *list, uint32_t n, const struct call *key,
                             int (*compare)(const void *, const void *))
{
    uint32_t low = 0, high = n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (compare(&list[middle], &key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The newest one before the result: a history may use an id again. */
static struct call *find_by_id(const struct links *l, struct slice id, uint32_t n_before)
{
    struct call key = {.id = id, .index = n_before};
    uint32_t at = count_before(l->by_id, l->n, &key, compare_ids);
    return at && compare_slices(l->by_id[at - 1]->id, id) == 0 ? l->by_id[at - 1] : NULL;
}

/* The oldest one that has no result. */
static struct call *find_by_name(struct links *l, struct slice name, uint32_t n_before)
{
    struct call key = {.name = name};
    if (!l->by_name && !(l->by_name = sorted(l, compare_names)))
        return NULL;
    uint32_t first = count_before(l->by_name, l->n, &key, compare_names), at = first;
    if (first < l->n)
        at += l->by_name[first]->answered_run;
    while (at < l->n && l->by_name[at]->answered)
        at++;
    if (at == l->n || compare_slices(l->by_name[at]->name, name) != 0 ||
        l->by_name[at]->index >= n_before)
        return NULL;
    l->by_name[first]->answered_run = at - first;
    return l->by_name[at];
}

static int link_result(struct links *l, const struct ir_message *m, struct ir_part *p,
                       uint32_t n_before, struct dialect_refusal *why)
{
    struct arena *a = l->r->arena;
    take_signature(l->r, p);
    struct call *c = p->call_id.s.n ? find_by_id(l, decoded(a, p->call_id), n_before)
                                    : find_by_name(l, decoded(a, p->name), n_before);
    if (!c)
        return no_call(l->r, m, why, "has no tool call before it that it answers");
    if (c->answered)
        return no_call(l->r, m, why, "answers a call that has its result already");
    c->answered = true;
    p->call_id = c->part->call_id;
    p->name = c->part->name;
    return 0;
}

static int link_results(struct links *l, struct dialect_refusal *why)
{
    uint32_t n_before = 0;
    for (struct ir_message *m = l->r->messages; m; m = m->next)
        for (struct ir_part *p = m->parts; p; p = p->next) {
            n_before += p->kind == IR_PART_TOOL_CALL;
            if (p->kind == IR_PART_TOOL_RESULT && link_result(l, m, p, n_before, why) < 0)
                return -1;
        }
    return 0;
}

int ir_link_tools(struct ir_request *r, struct dialect_refusal *why)
{
    struct links l = {.r = r};
    size_t n_calls = 0, n_results = 0;
    for (struct ir_message *m = r->messages; m; m = m->next)
        for (struct ir_part *p = m->parts; p; p = p->next) {
            n_calls += p->kind == IR_PART_TOOL_CALL;
            n_results += p->kind == IR_PART_TOOL_RESULT;
        }
    if (n_calls + n_results == 0)
        return 0;
    l.calls = arena_alloc(r->arena, n_calls * sizeof *l.calls + 1);
    if (!l.calls)
        return no_call(r, r->messages, why, "makes the request too large");
    for (struct ir_message *m = r->messages; m; m = m->next) {
        unsigned nth = 0;
        for (struct ir_part *p = m->parts; p; p = p->next, nth++)
            if (p->kind == IR_PART_TOOL_CALL)
                add_call(&l, m, p, nth);
    }
    l.by_id = sorted(&l, compare_ids);
    if (!l.by_id)
        return no_call(r, r->messages, why, "makes the request too large");
    return link_results(&l, why);
}

/* ---- responses ---- */

void ir_response_init(struct ir_response *r, struct arena *a, enum dialect_op op)
{
    memset(r, 0, sizeof *r);
    r->arena = a;
    r->op = op;
    r->usage.total_tokens = -1;
}

struct ir_choice *ir_add_choice(struct ir_response *r, uint32_t index)
{
    struct ir_choice *c = zeroed(r->arena, sizeof *c), **at = &r->choices;
    if (!c)
        return NULL;
    c->index = index;
    while (*at)
        at = &(*at)->next;
    return *at = c;
}

/* ---- streams ---- */

int ir_begin_sse(struct buf *out, struct slice type)
{
    static const struct slice event = SLICE_LIT("event: "), data = SLICE_LIT("\ndata: ");
    if (buf_reserve(out, event.n + type.n + data.n) < 0)
        return -1;
    char *at = out->data + out->len;
    memcpy(at, event.p, event.n);
    memcpy(at + event.n, type.p, type.n);
    memcpy(at + event.n + type.n, data.p, data.n);
    out->len += event.n + type.n + data.n;
    return 0;
}

/* ---- what a dialect can't say ---- */

const char *ir_field_member(const struct ir_request *r, unsigned f)
{
    const char *name = r->names ? r->names[f].member : NULL;
    return name ? name : ir_op_field_text(r->op, f);
}

void ir_list_name(struct buf *dropped, struct slice name)
{
    static const struct slice more = SLICE_LIT(", ...");
    if (dropped->len >= more.n &&
        memcmp(dropped->data + dropped->len - more.n, more.p, more.n) == 0)
        return;
    size_t need = name.n + 2 * more.n;
    if (dropped->len + need > dropped->max_bytes) {
        if (buf_append(dropped, more.p, more.n) < 0)
            return;
    } else if ((dropped->len && buf_append(dropped, ", ", 2) < 0) ||
               buf_append(dropped, name.p, name.n) < 0)
        return;
}

void ir_list_dropped(const struct ir_request *r, unsigned f, struct buf *dropped)
{
    if (dropped)
        ir_list_name(dropped, slice_str(ir_field_member(r, f)));
}

int ir_check_fields(const struct ir_request *r, const struct codec *t, struct buf *dropped,
                    struct dialect_refusal *why)
{
    for (unsigned f = 0; f < ir_op_fields(r->op); f++) {
        const struct ir_field_row *row = &t->fields[f];
        if (!ir_noted(r, f))
            continue;
        if (row->fate == IR_REFUSED || row->fate == IR_UNSTATED) {
            const char *name = ir_field_member(r, f);
            snprintf(why->message, sizeof why->message,
                     "'%s' can't be sent to this model, whose provider speaks %s%s%s.", name,
                     t->name, row->note && row->note[0] ? ": " : "", row->note ? row->note : "");
            snprintf(why->param, sizeof why->param, "%s", name);
            why->code = "unsupported_parameter";
            return -1;
        }
        if (row->fate == IR_DROPPED)
            ir_list_name(dropped, slice_str(ir_field_member(r, f)));
    }
    for (const struct ir_unknown *u = r->unknown; u; u = u->next)
        ir_list_name(dropped, u->path);
    return 0;
}
