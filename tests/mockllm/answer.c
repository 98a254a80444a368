/*
 * answer.c: from a reply and a script to bytes, steps and an ending.
 *
 * The order matters: faults of the text first, then framing, then the head, then the pace, and last
 * what cuts the whole short.
 */
#include "tests/mockllm/answer.h"
#include "tests/mockllm/gzip.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- replies ---- */

void reply_end_piece(struct reply *r, enum piece_kind kind, uint32_t tokens)
{
    if (r->npieces == r->cap) {
        r->cap = r->cap > 0 ? r->cap * 2 : 16;
        r->pieces = xrealloc(r->pieces, r->cap * sizeof *r->pieces);
    }
    r->pieces[r->npieces++] = (struct piece){r->text.len, tokens, kind};
}

void reply_fini(struct reply *r)
{
    bytes_fini(&r->headers);
    bytes_fini(&r->text);
    free(r->pieces);
    *r = (struct reply){0};
}

void answer_status_error(const struct script *s, struct error *err)
{
    static const struct {
        int status;
        const char *type, *code, *message;
    } errors[] = {
        {400, "invalid_request_error", "invalid_value", "Invalid value for 'temperature'."},
        {401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided."},
        {403, "invalid_request_error", "unsupported_country_region_territory",
         "Country, region, or territory not supported."},
        {404, "invalid_request_error", "model_not_found", "The model does not exist."},
        {429, "requests", "rate_limit_exceeded", "Rate limit reached for requests."},
        {500, "server_error", NULL, "The server had an error while processing your request."},
        {503, "server_error", NULL, "The engine is currently overloaded, please try again later."},
    };
    *err = (struct error){.status = (int)s->status, .type = "server_error"};
    snprintf(err->message, sizeof err->message, "Scripted status %" PRId64 ".", s->status);
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        if (errors[i].status != s->status)
            continue;
        err->type = errors[i].type;
        err->code = errors[i].code;
        snprintf(err->message, sizeof err->message, "%s", errors[i].message);
    }
    if (s->error[0] != '\0')
        err->code = s->error;
}

/* ---- faults of the text ---- */

/* Puts the reply's pieces together anew with piece `index` replaced by `text`. */
static void replace_piece(struct reply *r, size_t index, const struct bytes *text)
{
    size_t from = index > 0 ? r->pieces[index - 1].end : 0, to = r->pieces[index].end;
    struct bytes all = {0};
    bytes_add(&all, r->text.p, from);
    bytes_add_slice(&all, bytes_slice(text));
    bytes_add(&all, r->text.p + to, r->text.len - to);
    for (size_t i = index; i < r->npieces; i++)
        r->pieces[i].end = r->pieces[i].end - (to - from) + text->len;
    bytes_fini(&r->text);
    r->text = all;
}

static void add_bad_json(struct bytes *out, struct slice json, enum body_fault fault)
{
    size_t half = json.len / 2;
    switch (fault) {
    case BODY_RIGHT:
    case BODY_EMPTY:
        break;
    case BODY_TRUNCATED:
        bytes_add(out, json.p, half);
        break;
    case BODY_HTML:
        bytes_adds(out, "<html><body><h1>502 Bad Gateway</h1></body></html>");
        break;
    case BODY_DEEP:
        for (int i = 0; i < 100000; i++)
            bytes_adds(out, "[");
        break;
    case BODY_DUPLICATE:
        bytes_adds(out,
                   "{\"model\":\"other\",\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1,"
                   "\"total_tokens\":2},\"choices\":[],");
        bytes_add(out, json.p + 1, json.len - 1);
        break;
    case BODY_NUL:
    case BODY_UTF8:
        bytes_add(out, json.p, half);
        bytes_add(out, fault == BODY_NUL ? "" : "\xff", 1);
        bytes_add(out, json.p + half, json.len - half);
        break;
    case BODY_SUFFIX:
        bytes_add_slice(out, json);
        bytes_adds(out, "{\"more\":1}");
        break;
    }
}

/* A whole body, or the second event of a stream. */
static void spoil_text(struct reply *r, enum body_fault fault)
{
    static const char prefix[] = "data: ";
    if (fault == BODY_RIGHT || r->npieces == 0)
        return;
    size_t index = r->npieces > 1 ? 1 : 0, from = index > 0 ? r->pieces[index - 1].end : 0;
    struct slice text = {r->text.p + from, r->pieces[index].end - from};
    struct bytes bad = {0};
    if (r->pieces[index].kind == PIECE_WHOLE || text.len < sizeof prefix + 2) {
        add_bad_json(&bad, text, fault);
    } else {
        bytes_adds(&bad, prefix);
        text.p += sizeof prefix - 1;
        text.len -= sizeof prefix - 1 + 2;
        add_bad_json(&bad, text, fault);
        bytes_adds(&bad, "\n\n");
    }
    replace_piece(r, index, &bad);
    bytes_fini(&bad);
}

static void add_event_text(struct bytes *out, struct slice text, enum eol eol)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] == '\n' && eol != EOL_LF)
            bytes_adds(out, eol == EOL_CR ? "\r" : "\r\n");
        else
            bytes_add(out, &text.p[i], 1);
    }
}

/* Line ends, comments between events and a byte order mark: WHATWG HTML §9.2.5 allows them all. */
static void dress_events(struct reply *r, const struct script *s)
{
    if (s->eol == EOL_LF && s->comments == 0 && !s->bom)
        return;
    struct bytes all = {0};
    size_t from = 0;
    for (size_t i = 0; i < r->npieces; i++) {
        struct slice text = {r->text.p + from, r->pieces[i].end - from};
        from = r->pieces[i].end;
        if (i == 0 && s->bom)
            bytes_adds(&all, "\xef\xbb\xbf");
        for (int64_t c = 0; c < s->comments; c++)
            add_event_text(&all, SLICE(": keep-alive\n\n"), s->eol);
        add_event_text(&all, text, s->eol);
        r->pieces[i].end = all.len;
    }
    bytes_fini(&r->text);
    r->text = all;
}

static void compress_text(struct reply *r)
{
    struct bytes packed = {0};
    uint32_t tokens = 0;
    for (size_t i = 0; i < r->npieces; i++)
        tokens += r->pieces[i].tokens;
    gzip_store(&packed, bytes_slice(&r->text));
    bytes_fini(&r->text);
    r->text = packed;
    r->npieces = 0;
    reply_end_piece(r, PIECE_WHOLE, tokens);
}

/* ---- framing ---- */

static enum framing choose_framing(const struct script *s, bool stream)
{
    if (s->framing != FRAMING_AUTO)
        return s->framing;
    if (s->http10)
        return stream ? FRAMING_CLOSE : FRAMING_LENGTH;
    return stream || s->length == LENGTH_WITH_TE ? FRAMING_CHUNKED : FRAMING_LENGTH;
}

static void add_chunk(struct bytes *out, struct slice data, bool ext)
{
    bytes_addf(out, "%zx%s\r\n", data.len, ext ? ";name=\"value;\"" : "");
    bytes_add_slice(out, data);
    bytes_adds(out, "\r\n");
}

static void add_mark(struct answer *a, const struct piece *p)
{
    a->marks[a->nmarks++] = (struct mark){a->wire.len, p->tokens, p->kind == PIECE_EVENT};
}

/* A chunk a piece, or chunks of hchunk bytes that ignore where pieces end. */
static void add_chunked(struct answer *a, const struct reply *r, const struct script *s)
{
    size_t from = 0, next = 0;
    while (from < r->text.len) {
        while (r->pieces[next].end <= from)
            next++;
        size_t n = r->pieces[next].end - from;
        if (s->hchunk > 0)
            n = r->text.len - from < (size_t)s->hchunk ? r->text.len - from : (size_t)s->hchunk;
        add_chunk(&a->wire, (struct slice){r->text.p + from, n}, s->chunk_ext);
        from += n;
        while (a->nmarks < r->npieces && r->pieces[a->nmarks].end <= from)
            add_mark(a, &r->pieces[a->nmarks]);
    }
}

static void add_plain(struct answer *a, const struct reply *r)
{
    size_t from = 0;
    for (size_t i = 0; i < r->npieces; i++) {
        bytes_add(&a->wire, r->text.p + from, r->pieces[i].end - from);
        from = r->pieces[i].end;
        add_mark(a, &r->pieces[i]);
    }
}

/* ---- the head ---- */

static const char *reason(int status)
{
    static const struct {
        int status;
        const char *text;
    } reasons[] = {{200, "OK"},
                   {301, "Moved Permanently"},
                   {302, "Found"},
                   {307, "Temporary Redirect"},
                   {400, "Bad Request"},
                   {401, "Unauthorized"},
                   {402, "Payment Required"},
                   {403, "Forbidden"},
                   {404, "Not Found"},
                   {405, "Method Not Allowed"},
                   {408, "Request Timeout"},
                   {409, "Conflict"},
                   {413, "Content Too Large"},
                   {422, "Unprocessable Content"},
                   {429, "Too Many Requests"},
                   {500, "Internal Server Error"},
                   {502, "Bad Gateway"},
                   {503, "Service Unavailable"},
                   {504, "Gateway Timeout"},
                   {529, "Overloaded"}};
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].text;
    return "Scripted";
}

static void add_length(struct bytes *out, const struct script *s, size_t length, enum framing f)
{
    static const char name[] = "Content-Length: ";
    switch (s->length) {
    case LENGTH_SHORT:
        length /= 2;
        break;
    case LENGTH_LONG:
        length += 10;
        break;
    case LENGTH_TWICE:
        bytes_addf(out, "%s%zu\r\n", name, length / 2);
        break;
    case LENGTH_TWICE_SAME:
        bytes_addf(out, "%s%zu\r\n", name, length);
        break;
    case LENGTH_NEGATIVE:
        bytes_addf(out, "%s-%zu\r\n", name, length);
        return;
    case LENGTH_HUGE:
        bytes_addf(out, "%s99999999999999999999\r\n", name);
        return;
    case LENGTH_WORD:
        bytes_addf(out, "%smany\r\n", name);
        return;
    case LENGTH_PLUS:
        bytes_addf(out, "%s+%zu\r\n", name, length);
        return;
    case LENGTH_RIGHT:
    case LENGTH_WITH_TE:
        break;
    }
    if (f == FRAMING_LENGTH || s->length == LENGTH_WITH_TE)
        bytes_addf(out, "%s%zu\r\n", name, length);
}

#define LINE(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static void add_injection(struct bytes *out, enum inject inject)
{
    static const struct slice lines[] = {
        [INJECT_NONE] = LINE(""),
        [INJECT_CR] = LINE("x-bad: a\rb\r\n"),
        [INJECT_LF] = LINE("x-bad: a\nx-injected: 1\r\n"),
        [INJECT_NUL] = LINE("x-bad: a\0b\r\n"),
        [INJECT_FOLD] = LINE("x-bad: a\r\n folded: 1\r\n"),
        [INJECT_SPACE] = LINE("x-bad : a\r\n"),
        [INJECT_NOCOLON] = LINE("x-bad\r\n"),
        [INJECT_NAME] = LINE("x\xc3\xa9(bad): a\r\n"),
        [INJECT_STATUS] = LINE(""),
        [INJECT_COOKIE] = LINE("set-cookie: session=mock; Path=/\r\nserver: mock\r\n"
                               "via: 1.1 mock\r\nalt-svc: h3=\":443\"\r\n"
                               "proxy-authenticate: Basic\r\n"),
    };
    bytes_add_slice(out, lines[inject]);
}

static void add_text_header(struct bytes *out, const char *name, const char *value)
{
    if (value[0] != '\0')
        bytes_addf(out, "%s: %s\r\n", name, value);
}

static void add_filler(struct bytes *out, const struct script *s)
{
    for (int64_t i = 0; i < s->headers; i++)
        bytes_addf(out, "x-filler-%" PRId64 ": mock\r\n", i);
    if (s->header_size > 0) {
        bytes_adds(out, "x-filler: ");
        memset(bytes_reserve(out, (size_t)s->header_size), 'x', (size_t)s->header_size);
        out->len += (size_t)s->header_size;
        bytes_adds(out, "\r\n");
    }
}

static void add_status_line(struct bytes *out, const struct script *s, int status)
{
    for (int64_t i = 0; i < s->interim; i++)
        bytes_adds(out, "HTTP/1.1 103 Early Hints\r\nlink: </mock>; rel=preload\r\n\r\n");
    if (s->inject == INJECT_STATUS)
        bytes_addf(out, "HTTP/1.1  %d\r\n", status);
    else
        bytes_addf(out, "HTTP/1.%d %d %s\r\n", s->http10 ? 0 : 1, status, reason(status));
}

static void add_head(struct answer *a, const struct reply *r, const struct script *s,
                     enum framing framing, bool keepalive)
{
    struct bytes *out = &a->wire;
    add_status_line(out, s, r->status);
    add_text_header(out, "Content-Type", s->ctype[0] != '\0' ? s->ctype : r->ctype);
    bytes_adds(out, "x-request-id: req_");
    a->id_offset = out->len;
    bytes_adds(out, "0000000000000000\r\n");
    bytes_adds(out, "openai-organization: org-mock\r\nopenai-processing-ms: 1\r\n"
                    "x-ratelimit-remaining-requests: 9999\r\n");
    add_text_header(out, "Retry-After", s->retry_after);
    add_text_header(out, "retry-after-ms", s->retry_after_ms);
    add_text_header(out, "x-should-retry", s->should_retry);
    add_text_header(out, "Location", s->location);
    bytes_add_slice(out, bytes_slice(&r->headers));
    if (s->gzip)
        bytes_adds(out, "Content-Encoding: gzip\r\n");
    add_injection(out, s->inject);
    add_filler(out, s);
    if (!keepalive)
        bytes_adds(out, "Connection: close\r\n");
    add_length(out, s, r->text.len, framing);
    if (framing == FRAMING_CHUNKED)
        bytes_adds(out, "Transfer-Encoding: chunked\r\n");
    bytes_adds(out, "\r\n");
}

/* ---- pace ---- */

static void add_step(struct answer *a, size_t *cap, size_t end, int64_t delay_us)
{
    if (a->nsteps > 0 && a->steps[a->nsteps - 1].end == end)
        return;
    if (a->nsteps == *cap) {
        *cap = *cap > 0 ? *cap * 2 : 8;
        a->steps = xrealloc(a->steps, *cap * sizeof *a->steps);
    }
    a->steps[a->nsteps++] = (struct step){end, delay_us, false};
}

static bool splits_here(const struct answer *a, const struct script *s, size_t at)
{
    unsigned char before = (unsigned char)a->wire.p[at - 1], after = (unsigned char)a->wire.p[at];
    if (s->chunk > 0 && at % (size_t)s->chunk == 0)
        return true;
    if (s->split == SPLIT_UTF8)
        return (after & 0xc0) == 0x80;
    return s->split == SPLIT_EOL && (after == '\n' || (before == '\n' && after == '\r'));
}

/* One write up to `end`, or several where chunk= or split= say so. */
static void add_writes(struct answer *a, size_t *cap, const struct script *s, size_t end,
                       int64_t delay_us)
{
    size_t from = a->nsteps > 0 ? a->steps[a->nsteps - 1].end : 0;
    if (s->chunk > 0 || s->split != SPLIT_NONE) {
        for (size_t at = from + 1; at < end; at++) {
            if (!splits_here(a, s, at))
                continue;
            add_step(a, cap, at, delay_us);
            delay_us = s->drip_us;
        }
    }
    add_step(a, cap, end, delay_us);
}

static void add_steps(struct answer *a, const struct script *s)
{
    size_t cap = 0;
    int64_t delay = s->ttft_us, in_group = 0;
    if (s->body_delay_us > 0) {
        add_writes(a, &cap, s, a->head_length, delay);
        delay = s->body_delay_us;
    }
    for (size_t i = 0; s->burst > 0 && i + 1 < a->nmarks; i++) {
        if (!a->marks[i].event || !a->marks[i + 1].event || ++in_group < s->burst)
            continue;
        add_writes(a, &cap, s, a->marks[i].end, delay);
        delay = s->gap_us;
        in_group = 0;
    }
    add_writes(a, &cap, s, a->wire.len, delay);
}

/* ---- what cuts it short ---- */

static size_t done_offset(const struct answer *a)
{
    size_t last = a->nmarks;
    if (last > 0 && !a->marks[last - 1].event)
        last--;
    return last > 0 ? a->marks[last - 1].end : a->head_length;
}

static size_t locate(const struct answer *a, struct pos pos, enum framing framing)
{
    size_t body_end = a->nmarks > 0 ? a->marks[a->nmarks - 1].end : a->wire.len, at = 0;
    switch (pos.kind) {
    case POS_NONE:
    case POS_START:
        break;
    case POS_HEAD:
        at = a->head_length / 2;
        break;
    case POS_BODY:
        at = a->head_length;
        break;
    case POS_HALF:
        at = a->head_length + (body_end - a->head_length) / 2;
        break;
    case POS_EVENT:
        at = pos.n == 0 ? a->head_length : body_end;
        if (pos.n > 0 && (size_t)pos.n <= a->nmarks)
            at = a->marks[pos.n - 1].end;
        break;
    case POS_DONE:
        at = done_offset(a);
        break;
    case POS_END:
        at = framing == FRAMING_LENGTH ? body_end - 1 : body_end;
        break;
    case POS_BYTE:
        at = (size_t)pos.n;
        break;
    }
    return at < a->wire.len ? at : a->wire.len;
}

/* Makes `at` the end of a step; returns the index of the step after it. */
static size_t split_step(struct answer *a, size_t at)
{
    size_t i = 0;
    while (i < a->nsteps && a->steps[i].end <= at)
        i++;
    size_t from = i > 0 ? a->steps[i - 1].end : 0;
    if (i == a->nsteps || from == at)
        return i;
    a->steps = xrealloc(a->steps, (a->nsteps + 1) * sizeof *a->steps);
    memmove(a->steps + i + 1, a->steps + i, (a->nsteps - i) * sizeof *a->steps);
    a->nsteps++;
    a->steps[i].end = at;
    a->steps[i + 1].delay_us = 0;
    a->steps[i + 1].hold = false;
    return i + 1;
}

static void end_at(struct answer *a, size_t at, enum ending ending)
{
    size_t n = split_step(a, at);
    int64_t delay = n < a->nsteps ? a->steps[n].delay_us : 0;
    a->nsteps = n;
    if (n == 0) {
        a->steps[0] = (struct step){0, delay, false};
        a->nsteps = 1;
    }
    if (at < a->wire.len)
        a->full_length = SIZE_MAX;
    a->wire.len = at;
    a->ending = ending;
}

static void apply_faults(struct answer *a, const struct script *s, enum framing framing)
{
    if (s->hold.kind != POS_NONE) {
        size_t i = split_step(a, locate(a, s->hold, framing));
        if (i < a->nsteps)
            a->steps[i].hold = true;
    }
    if (s->hang.kind != POS_NONE)
        end_at(a, locate(a, s->hang, framing), ENDING_HANG);
    if (s->cut.kind != POS_NONE)
        end_at(a, locate(a, s->cut, framing), ENDING_FIN);
    if (s->reset.kind != POS_NONE)
        end_at(a, locate(a, s->reset, framing), ENDING_RESET);
    if (s->garbage.kind != POS_NONE) {
        end_at(a, locate(a, s->garbage, framing), ENDING_FIN);
        bytes_add(&a->wire, "\x00\xff\x16\x03GARBAGE\r\n\x80\x81{]", 18);
        a->steps[a->nsteps - 1].end = a->wire.len;
        a->full_length = SIZE_MAX;
    }
}

/* ---- all of it ---- */

static void replace_text(struct reply *r, struct slice payload)
{
    bool event = r->npieces > 0 && r->pieces[0].kind == PIECE_EVENT;
    r->text.len = 0;
    r->npieces = 0;
    bytes_add_slice(&r->text, payload);
    reply_end_piece(r, event ? PIECE_EVENT : PIECE_WHOLE, (uint32_t)r->completion_tokens);
}

static void build_raw(struct answer *a, struct slice payload)
{
    bytes_add_slice(&a->wire, payload);
    const char *end = memmem(payload.p, payload.len, "\r\n\r\n", 4);
    a->head_length = end != NULL ? (size_t)(end - payload.p) + 4 : payload.len;
}

static void build(struct answer *a, struct reply *r, const struct script *s, enum framing framing,
                  bool keepalive)
{
    spoil_text(r, s->body);
    if (a->stream)
        dress_events(r, s);
    if (s->gzip)
        compress_text(r);
    add_head(a, r, s, framing, keepalive);
    a->head_length = a->wire.len;
    if (framing == FRAMING_CHUNKED)
        add_chunked(a, r, s);
    else
        add_plain(a, r);
    if (framing == FRAMING_CHUNKED)
        bytes_adds(&a->wire, s->trailer ? "0\r\nx-trailer: mock\r\n\r\n" : "0\r\n\r\n");
    for (int64_t i = 0; i < s->extra; i++)
        bytes_adds(&a->wire, "E");
}

struct answer *answer_new(struct reply *r, const struct script *s, struct slice payload,
                          bool keepalive)
{
    struct answer *a = xcalloc(1, sizeof *a);
    a->refs = 1;
    a->stream = r->npieces > 0 && r->pieces[0].kind == PIECE_EVENT;
    enum framing framing = choose_framing(s, a->stream);
    keepalive = keepalive && s->keepalive && !s->http10 && framing != FRAMING_CLOSE;
    if (payload.p != NULL && !s->raw)
        replace_text(r, payload);
    a->status = r->status;
    a->billed = r->status == 200;
    a->prompt_tokens = r->prompt_tokens;
    a->completion_tokens = r->completion_tokens;
    a->units = r->units;
    a->marks = xcalloc(r->npieces + 1, sizeof *a->marks);
    if (payload.p != NULL && s->raw)
        build_raw(a, payload);
    else
        build(a, r, s, framing, keepalive);
    a->full_length = a->wire.len;
    a->ending = keepalive && s->length != LENGTH_LONG ? ENDING_KEEP : ENDING_FIN;
    a->idle = s->idle;
    a->idle_us = s->idle_us;
    add_steps(a, s);
    apply_faults(a, s, framing);
    return a;
}

void answer_unref(struct answer *a)
{
    if (a == NULL || --a->refs > 0)
        return;
    bytes_fini(&a->wire);
    free(a->steps);
    free(a->marks);
    free(a);
}

int64_t answer_tokens_sent(const struct answer *a, size_t sent)
{
    int64_t n = 0;
    for (size_t i = 0; i < a->nmarks && a->marks[i].end <= sent; i++)
        n += a->marks[i].tokens;
    return n;
}

int64_t answer_events_sent(const struct answer *a, size_t sent)
{
    int64_t n = 0;
    for (size_t i = 0; i < a->nmarks && a->marks[i].end <= sent; i++)
        n += a->marks[i].event;
    return n;
}
