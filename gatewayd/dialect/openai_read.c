/*
 * openai_read.c: the table-driven reader, and the values that chat completions and Responses share.
 */
#include "gatewayd/dialect/openai_read.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- places and refusals ---- */

static size_t put_place(const struct openai_at *at, char *mem, size_t cap)
{
    if (!at)
        return 0;
    size_t n = put_place(at->up, mem, cap);
    if (n >= cap)
        return n;
    int more = at->name.p ? snprintf(mem + n, cap - n, "%s%.*s", n ? "." : "", SLICE_FMT(at->name))
                          : snprintf(mem + n, cap - n, "[%u]", at->index);
    return GW_MIN(n + (size_t)more, cap - 1);
}

int openai_refuse(struct openai_reader *r, const struct openai_at *at, const char *code,
                  const char *fmt, ...)
{
    char place[128] = "";
    put_place(at, place, sizeof place);
    int n = snprintf(r->why->message, sizeof r->why->message, "'%s' ", place);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r->why->message + n, sizeof r->why->message - (size_t)n, fmt, ap);
    va_end(ap);
    snprintf(r->why->param, sizeof r->why->param, "%.*s", (int)sizeof r->why->param - 1, place);
    r->why->code = code;
    return -1;
}

int openai_wrong_type(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                      const char *expected)
{
    return openai_refuse(r, at, "invalid_type", "must be %s, not %s.", expected,
                         json_type_name(json_type(r->d, v)));
}

int openai_too_large(struct openai_reader *r)
{
    snprintf(r->why->message, sizeof r->why->message,
             "The request has too many parts to be translated for this model's provider.");
    r->why->param[0] = '\0';
    r->why->code = "request_too_large";
    return -1;
}

/* The list of what is dropped becomes a header field. */
void openai_unknown(struct openai_reader *r, const struct openai_at *at)
{
    char place[128] = "";
    size_t n = put_place(at, place, sizeof place);
    for (size_t i = 0; i < n; i++)
        if (place[i] < 0x20 || place[i] > 0x7e || place[i] == ',')
            place[i] = '?';
    ir_note_unknown(r->out, "%s", place);
}

/* ---- objects by table ---- */

static int put_text(struct openai_reader *r, const struct openai_at *at, uint32_t v, void *field)
{
    struct ir_text t = ir_text_of(r->d, v);
    if (!ir_has(t))
        return openai_wrong_type(r, at, v, "a string");
    memcpy(field, &t, sizeof t);
    return 0;
}

static int put_raw(struct openai_reader *r, const struct openai_at *at, uint32_t v, void *field,
                   enum json_type t, const char *expected)
{
    struct slice raw = json_raw(r->d, v);
    if (json_type(r->d, v) != t)
        return openai_wrong_type(r, at, v, expected);
    memcpy(field, &raw, sizeof raw);
    return 0;
}

static int put_count(struct openai_reader *r, const struct openai_at *at, uint32_t v, void *field)
{
    int64_t n;
    if (json_type(r->d, v) != JSON_NUMBER)
        return openai_wrong_type(r, at, v, "an integer");
    if (json_i64(r->d, v, &n) < 0 || n < 0)
        return openai_refuse(r, at, "invalid_value", "must be an integer from 0.");
    memcpy(field, &n, sizeof n);
    return 0;
}

static int put_bool(struct openai_reader *r, const struct openai_at *at, uint32_t v, void *field,
                    bool wide)
{
    bool b;
    if (json_bool(r->d, v, &b) < 0)
        return openai_wrong_type(r, at, v, "a boolean");
    int i = b;
    if (wide)
        memcpy(field, &i, sizeof i);
    else
        memcpy(field, &b, sizeof b);
    return 0;
}

static int put(struct openai_reader *r, const struct openai_at *at, uint32_t v,
               const struct openai_member *m, void *into)
{
    void *field = (char *)into + m->offset;
    switch (m->kind) {
    case OPENAI_TEXT:
        return put_text(r, at, v, field);
    case OPENAI_NUMBER:
        return put_raw(r, at, v, field, JSON_NUMBER, "a number");
    case OPENAI_COUNT:
        return put_count(r, at, v, field);
    case OPENAI_BOOL:
    case OPENAI_FLAG:
        return put_bool(r, at, v, field, m->kind == OPENAI_FLAG);
    case OPENAI_OBJECT:
        return put_raw(r, at, v, field, JSON_OBJECT, "an object");
    case OPENAI_VALUE:
        memcpy(field, &v, sizeof v);
        return 0;
    case OPENAI_KNOWN:
        return 0;
    case OPENAI_FN:
        return m->fn(r, at, v, field);
    }
    return 0;
}

static const struct openai_member *find(const struct json_doc *d, uint32_t key,
                                        const struct openai_member *table, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (json_str_eq(d, key, table[i].name))
            return &table[i];
    return NULL;
}

int openai_read_object(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                       const struct openai_member *table, size_t n, void *into)
{
    uint64_t seen = 0;
    if (json_type(r->d, v) != JSON_OBJECT)
        return openai_wrong_type(r, at, v, "an object");
    json_foreach_member(r->d, v, k)
    {
        const struct openai_member *m = find(r->d, k, table, n);
        struct slice raw = json_raw(r->d, k);
        struct openai_at here = {at, m ? m->name : slice_of(raw.p + 1, raw.n - 2), 0};
        uint64_t bit = m ? UINT64_C(1) << (m - table) : 0;
        if (seen & bit)
            return openai_refuse(r, &here, "duplicate_member", "is given more than once.");
        seen |= bit;
        if (json_is_null(r->d, k + 1))
            continue;
        if (!m) {
            openai_unknown(r, &here);
            continue;
        }
        if (put(r, &here, k + 1, m, into) < 0)
            return -1;
        if (m->note)
            ir_note(r->out, (enum ir_field)(m->note - 1));
    }
    return 0;
}

int openai_need_array(struct openai_reader *r, const struct openai_at *at, uint32_t v)
{
    if (json_type(r->d, v) != JSON_ARRAY && openai_given(r->d, v))
        return openai_wrong_type(r, at, v, "an array");
    return 0;
}

/* ---- URLs and files ---- */

static bool starts_with_ci(struct slice s, const char *lower)
{
    size_t n = strlen(lower);
    return s.n >= n && slice_ieq(slice_of(s.p, n), slice_of(lower, n));
}

static bool is_web_url(struct ir_text t)
{
    return starts_with_ci(t.s, "http://") || starts_with_ci(t.s, "https://") ||
           starts_with_ci(t.s, "http:\\/") || starts_with_ci(t.s, "https:\\/") ||
           starts_with_ci(t.s, "gs://");
}

/* data:[type][;parameter]*;base64,DATA: no comma stands before the data, and none in an escape. */
static int split_data_url(struct openai_reader *r, const struct openai_at *at, struct ir_text url,
                          struct ir_part *p)
{
    struct slice head = slice_of(url.s.p + 5, url.s.n - 5), data = head;
    head = slice_split(&data, ',');
    struct slice rest = head, type = slice_split(&rest, ';'), last = {NULL, 0};
    while (rest.p)
        last = slice_split(&rest, ';');
    if (!data.p || !starts_with_ci(last, "base64") || last.n != 6)
        return openai_refuse(r, at, "invalid_value",
                             "is a data: URL that isn't of the form data:TYPE;base64,DATA.");
    p->source = IR_SOURCE_BASE64;
    p->data = (struct ir_text){data, url.escaped, url.verbatim};
    if (type.n)
        p->media_type = (struct ir_text){type, url.escaped, url.verbatim};
    return 0;
}

int openai_read_url(struct openai_reader *r, const struct openai_at *at, struct ir_text url,
                    struct ir_part *p)
{
    if (starts_with_ci(url.s, "data:"))
        return split_data_url(r, at, url, p);
    p->source = IR_SOURCE_URL;
    p->data = url;
    return 0;
}

static struct ir_text type_of_name(struct ir_text filename)
{
    static const struct {
        const char *end, *type;
    } types[] = {
        {".pdf", "application/pdf"},
        {".txt", "text/plain"},
        {".md", "text/markdown"},
        {".csv", "text/csv"},
        {".html", "text/html"},
        {".json", "application/json"},
        {".xml", "application/xml"},
        {".doc", "application/msword"},
        {".docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
        {".xls", "application/vnd.ms-excel"},
        {".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
    };
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        size_t n = strlen(types[i].end);
        if (filename.s.n >= n &&
            starts_with_ci(slice_of(filename.s.p + filename.s.n - n, n), types[i].end))
            return ir_plain(slice_str(types[i].type));
    }
    return IR_LIT("application/pdf");
}

int openai_read_file_data(struct openai_reader *r, const struct openai_at *at, struct ir_text data,
                          struct ir_part *p)
{
    if (starts_with_ci(data.s, "data:") || is_web_url(data)) {
        if (openai_read_url(r, at, data, p) < 0)
            return -1;
    } else {
        p->source = IR_SOURCE_BASE64;
        p->data = data;
    }
    if (p->source == IR_SOURCE_BASE64 && !ir_has(p->media_type))
        p->media_type = type_of_name(p->filename);
    return 0;
}

void openai_note_media(struct ir_request *out, const struct ir_part *p)
{
    static const unsigned char fields[][5] = {
        [IR_PART_IMAGE] = {[IR_SOURCE_BASE64] = 1 + IR_F_IMAGE_BASE64,
                           [IR_SOURCE_URL] = 1 + IR_F_IMAGE_URL,
                           [IR_SOURCE_FILE_ID] = 1 + IR_F_IMAGE_FILE_ID},
        [IR_PART_AUDIO] = {[IR_SOURCE_BASE64] = 1 + IR_F_AUDIO, [IR_SOURCE_URL] = 1 + IR_F_AUDIO},
        [IR_PART_VIDEO] = {[IR_SOURCE_BASE64] = 1 + IR_F_VIDEO, [IR_SOURCE_URL] = 1 + IR_F_VIDEO},
        [IR_PART_FILE] = {[IR_SOURCE_BASE64] = 1 + IR_F_FILE_BASE64,
                          [IR_SOURCE_URL] = 1 + IR_F_FILE_URL,
                          [IR_SOURCE_FILE_ID] = 1 + IR_F_FILE_ID,
                          [IR_SOURCE_TEXT] = 1 + IR_F_FILE_TEXT},
    };
    unsigned f = fields[p->kind][p->source];
    if (f)
        ir_note(out, (enum ir_field)(f - 1));
    if (ir_has(p->detail))
        ir_note(out, IR_F_IMAGE_DETAIL);
}

/* ---- single members ---- */

int openai_read_stop(struct openai_reader *r, const struct openai_at *at, uint32_t v, void *into)
{
    struct ir_request *out = into;
    enum json_type t = json_type(r->d, v);
    if (t != JSON_STRING && t != JSON_ARRAY)
        return openai_wrong_type(r, at, v, "a string or an array of strings");
    size_t n = t == JSON_ARRAY ? json_count(r->d, v) : 1;
    if (n == 0)
        return 0;
    out->stop = arena_alloc(out->arena, n * sizeof *out->stop);
    if (!out->stop)
        return openai_too_large(r);
    ir_note(out, IR_F_STOP);
    if (t == JSON_STRING) {
        out->stop[out->n_stop++] = ir_text_of(r->d, v);
        return 0;
    }
    json_foreach_element(r->d, v, e)
    {
        struct openai_at here = openai_elem(at, (uint32_t)out->n_stop);
        if (put_text(r, &here, e, &out->stop[out->n_stop]) < 0)
            return -1;
        out->n_stop++;
    }
    return 0;
}

int openai_read_effort(struct openai_reader *r, const struct openai_at *at, uint32_t v, void *into)
{
    struct ir_request *out = into;
    struct ir_text t;
    if (put_text(r, at, v, &t) < 0)
        return -1;
    out->effort = ir_effort_find(t);
    if (out->effort == IR_EFFORT_UNSET)
        return openai_refuse(r, at, "invalid_value",
                             "must be none, minimal, low, medium, high, xhigh or max.");
    ir_note(out, IR_F_EFFORT);
    return 0;
}

int openai_read_tier(struct openai_reader *r, const struct openai_at *at, uint32_t v, void *into)
{
    struct ir_request *out = into;
    if (put_text(r, at, v, &out->service_tier) < 0)
        return -1;
    if (!ir_text_is(out->service_tier, SLICE_LIT("auto")))
        ir_note(out, IR_F_SERVICE_TIER);
    return 0;
}

int openai_read_metadata(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                         void *into)
{
    struct ir_request *out = into;
    if (put_raw(r, at, v, &out->metadata, JSON_OBJECT, "an object") < 0)
        return -1;
    if (json_count(r->d, v))
        ir_note(out, IR_F_METADATA);
    return 0;
}

int openai_read_user(struct openai_reader *r, const struct openai_at *at, uint32_t v, void *into)
{
    struct ir_request *out = into;
    struct ir_text t;
    if (put_text(r, at, v, &t) < 0)
        return -1;
    if (ir_has(out->user) && !ir_text_eq(out->user, t))
        openai_unknown(r, at);
    else
        out->user = t;
    ir_note(out, IR_F_USER);
    return 0;
}

int openai_read_parallel(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                         void *into)
{
    struct ir_request *out = into;
    if (put_bool(r, at, v, &out->parallel_tools, true) < 0)
        return -1;
    if (out->parallel_tools == 0)
        ir_note(out, IR_F_PARALLEL_TOOLS);
    return 0;
}

int openai_read_cache_control(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                              void *into)
{
    enum ir_cache *cache = into;
    if (json_type(r->d, v) != JSON_OBJECT)
        return openai_wrong_type(r, at, v, "an object");
    *cache = json_str_eq_lit(r->d, json_get_lit(r->d, v, "ttl"), "1h") ? IR_CACHE_1H : IR_CACHE_5M;
    ir_note(r->out, IR_F_CACHE_CONTROL);
    return 0;
}

int openai_read_breakpoint(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                           void *into)
{
    enum ir_cache *cache = into;
    if (json_type(r->d, v) != JSON_OBJECT)
        return openai_wrong_type(r, at, v, "an object");
    *cache = IR_CACHE_5M;
    ir_note(r->out, IR_F_CACHE_CONTROL);
    return 0;
}

bool openai_choice_word(struct openai_reader *r, uint32_t v)
{
    if (json_str_eq_lit(r->d, v, "auto")) {
        r->out->tool_choice = IR_CHOICE_AUTO;
        ir_note(r->out, IR_F_TOOL_CHOICE_AUTO);
    } else if (json_str_eq_lit(r->d, v, "none")) {
        r->out->tool_choice = IR_CHOICE_NONE;
        ir_note(r->out, IR_F_TOOL_CHOICE_NONE);
    } else if (json_str_eq_lit(r->d, v, "required")) {
        r->out->tool_choice = IR_CHOICE_ANY;
        ir_note(r->out, IR_F_TOOL_CHOICE_ANY);
    } else {
        return false;
    }
    return true;
}
