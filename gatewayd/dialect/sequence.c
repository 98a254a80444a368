/*
 * sequence.c: puts the events of a reader in order for a writer.
 *
 * Each choice has a queue of the parts that are open, in the order in which they began. The first
 * is live: its events pass straight on. Those of the others are kept. Parts are numbered anew as
 * they reach the writer, so a text that goes on behind a tool call is a part of its own there.
 *
 * Finishes and usage are kept until END, whatever the order in which a provider says them, so that
 * a writer has both at once.
 */
#include "gatewayd/dialect/sequence.h"

#include <stdlib.h>

/* A kept event with copies of its texts behind it. */
struct held {
    struct held *next;
    struct ir_event ev;
    struct ir_citation citation;
    size_t n_bytes; /* of this block, as counted in sequence.held_bytes */
};

/* Follows the characters of a tool call's arguments, to know when they are one whole JSON value. */
struct json_progress {
    unsigned depth;
    bool in_string, after_backslash, whole;
};

struct part {
    struct part *next;
    uint32_t number; /* the reader's */
    enum ir_part_kind kind;
    struct json_progress arguments;
    bool ended;
    struct held *first, *last;
};

enum { N_KINDS = IR_PART_REFUSAL + 1 };

struct choice {
    struct choice *next;
    uint32_t index;
    uint32_t n_out; /* parts that the writer has seen */
    struct part *open, *last;
    struct held *finish;
    /* By kind, of the last part that was ended here: 1 + its number. It may go on. */
    uint32_t ended[N_KINDS];
};

struct sequence {
    ir_sink_fn sink;
    void *ctx;
    struct choice *choices;
    unsigned n_open;
    size_t held_bytes;
    bool started, over, ended;
    struct dialect_usage usage;
    bool has_usage;
    const char *fault;
};

struct sequence *sequence_new(ir_sink_fn sink, void *ctx)
{
    struct sequence *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->sink = sink;
    s->ctx = ctx;
    return s;
}

static void fail(struct sequence *s, const char *why)
{
    if (!s->fault)
        s->fault = why;
    s->over = true;
}

const char *sequence_fault(const struct sequence *s)
{
    return s->fault;
}

bool sequence_ended(const struct sequence *s)
{
    return s->ended;
}

/* ---- kept events ---- */

enum { N_TEXTS = 8, N_CITED = 3 };

static void list_texts(struct ir_event *ev, struct ir_text *out[N_TEXTS])
{
    struct ir_text *all[N_TEXTS] = {&ev->text,       &ev->call_id, &ev->name,  &ev->signature,
                                    &ev->media_type, &ev->id,      &ev->model, &ev->stop_sequence};
    memcpy(out, all, sizeof all);
}

static void list_cited(struct ir_citation *c, struct ir_text *out[N_CITED])
{
    struct ir_text *all[N_CITED] = {&c->url, &c->title, &c->cited_text};
    memcpy(out, all, sizeof all);
}

/* The byte in front stands for the quote that an escaped text's readers point at. */
static char *move_text(struct slice *s, char *at)
{
    if (!s->p)
        return at;
    *at++ = '"';
    memcpy(at, s->p, s->n);
    s->p = at;
    at[s->n] = '"';
    return at + s->n + 1;
}

static struct held *keep(struct sequence *s, const struct ir_event *ev)
{
    struct ir_event copy = *ev;
    struct ir_citation cited = {0};
    struct ir_text *texts[N_TEXTS + N_CITED];
    size_t n_bytes = sizeof(struct held) + ev->logprobs.n + 2;
    if (ev->citation)
        cited = *ev->citation;
    list_texts(&copy, texts);
    list_cited(&cited, texts + N_TEXTS);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        n_bytes += texts[i]->s.n + 2;
    struct held *h = s->held_bytes + n_bytes <= SEQUENCE_HELD_MAX_BYTES ? malloc(n_bytes) : NULL;
    if (!h) {
        fail(s, "overlapping parts hold back more than is allowed");
        return NULL;
    }
    char *at = (char *)(h + 1);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        at = move_text(&texts[i]->s, at);
    (void)move_text(&copy.logprobs, at);
    h->next = NULL;
    h->ev = copy;
    h->citation = cited;
    h->ev.citation = ev->citation ? &h->citation : NULL;
    h->ev.usage = NULL;
    h->n_bytes = n_bytes;
    s->held_bytes += n_bytes;
    return h;
}

static void free_held(struct sequence *s, struct held *h)
{
    while (h) {
        struct held *next = h->next;
        s->held_bytes -= h->n_bytes;
        free(h);
        h = next;
    }
}

static void free_part(struct sequence *s, struct part *p)
{
    free_held(s, p->first);
    free(p);
    s->n_open--;
}

void sequence_free(struct sequence *s)
{
    if (!s)
        return;
    while (s->choices) {
        struct choice *c = s->choices;
        s->choices = c->next;
        while (c->open) {
            struct part *p = c->open;
            c->open = p->next;
            free_part(s, p);
        }
        free_held(s, c->finish);
        free(c);
    }
    free(s);
}

/* ---- arguments ---- */

static void follow_char(struct json_progress *j, char c)
{
    if (j->after_backslash)
        j->after_backslash = false;
    else if (j->in_string) {
        j->after_backslash = c == '\\';
        j->in_string = c != '"';
    } else if (c == '"')
        j->in_string = true;
    else if (c == '{' || c == '[')
        j->depth++;
    else if ((c == '}' || c == ']') && j->depth > 0)
        j->whole = --j->depth == 0;
}

/* The character that the escape behind a backslash stands for, as far as JSON's structure goes. */
static char unescape(const char *p, size_t n, size_t *used)
{
    *used = 1;
    if (*p != 'u')
        return *p == '"' || *p == '\\' ? *p : ' ';
    *used = GW_MIN(n, (size_t)5);
    if (n < 5 || p[1] != '0' || p[2] != '0')
        return 'x';
    char hex[3] = {p[3], p[4], 0};
    return (char)strtoul(hex, NULL, 16);
}

static void follow(struct json_progress *j, struct ir_text t)
{
    for (size_t i = 0; i < t.s.n && !j->whole; i++) {
        char c = t.s.p[i];
        size_t used = 0;
        if (t.escaped && c == '\\' && i + 1 < t.s.n)
            c = unescape(t.s.p + i + 1, t.s.n - i - 1, &used);
        follow_char(j, c);
        i += used;
    }
}

/* ---- parts ---- */

static struct choice *choice_of(struct sequence *s, uint32_t index)
{
    struct choice **at = &s->choices;
    while (*at && (*at)->index != index)
        at = &(*at)->next;
    if (!*at && (*at = calloc(1, sizeof **at)))
        (*at)->index = index;
    if (!*at || index >= SEQUENCE_OPEN_MAX) {
        fail(s, "too many choices");
        return NULL;
    }
    return *at;
}

/* Events of the live part, with its number as the writer knows it. */
static void pass(struct sequence *s, const struct choice *c, const struct ir_event *ev)
{
    struct ir_event out = *ev;
    out.part = c->n_out - 1;
    s->sink(s->ctx, &out);
}

static void begin_live(struct sequence *s, struct choice *c, const struct ir_event *start)
{
    c->n_out++;
    pass(s, c, start);
}

static void end_live(struct sequence *s, struct choice *c)
{
    struct part *p = c->open;
    struct ir_event end = {.kind = IR_EV_PART_END, .choice = c->index, .part_kind = p->kind};
    pass(s, c, &end);
    c->ended[p->kind] = p->number + 1;
    c->open = p->next;
    if (!c->open)
        c->last = NULL;
    free_part(s, p);
}

/* Whether a part that another one waits behind is through. */
static bool gives_way(const struct part *p)
{
    return p->ended || p->kind != IR_PART_TOOL_CALL || p->arguments.whole;
}

/* The part that is first now, and was kept, goes out as far as it has come. */
static void release_first(struct sequence *s, struct choice *c)
{
    struct part *p = c->open;
    struct held *all = p->first;
    p->first = p->last = NULL;
    for (struct held *h = all; h; h = h->next)
        if (h == all)
            begin_live(s, c, &h->ev);
        else
            pass(s, c, &h->ev);
    free_held(s, all);
}

/* Ends live parts as long as that may be done; `all`: whether something waits or not. */
static void advance(struct sequence *s, struct choice *c, bool all)
{
    while (c->open && (all || c->open->ended || (c->open->next && gives_way(c->open)))) {
        end_live(s, c);
        if (c->open)
            release_first(s, c);
    }
}

static void append_held(struct sequence *s, struct part *p, const struct ir_event *ev)
{
    struct held *h = keep(s, ev);
    if (!h)
        return;
    if (p->last)
        p->last->next = h;
    else
        p->first = h;
    p->last = h;
}

static struct part *open_part(struct sequence *s, struct choice *c, const struct ir_event *start)
{
    struct part *p = s->n_open < SEQUENCE_OPEN_MAX ? calloc(1, sizeof *p) : NULL;
    if (!p) {
        fail(s, "too many parts are open");
        return NULL;
    }
    s->n_open++;
    p->number = start->part;
    p->kind = start->part_kind;
    if (c->last)
        c->last->next = p;
    else
        c->open = p;
    c->last = p;
    if (c->open == p) {
        begin_live(s, c, start);
        return p;
    }
    append_held(s, p, start);
    advance(s, c, false);
    return p;
}

static struct part *find_part(struct choice *c, uint32_t number)
{
    for (struct part *p = c->open; p; p = p->next)
        if (p->number == number)
            return p;
    return NULL;
}

/* A part that was ended for another one goes on: as a new part. Arguments never do. */
static struct part *reopen(struct sequence *s, struct choice *c, uint32_t number)
{
    for (unsigned k = 0; k < N_KINDS; k++) {
        struct ir_event start = {.kind = IR_EV_PART_START,
                                 .choice = c->index,
                                 .part = number,
                                 .part_kind = (enum ir_part_kind)k};
        if (c->ended[k] == number + 1 && k != IR_PART_TOOL_CALL)
            return open_part(s, c, &start);
    }
    return NULL;
}

static void take_inner(struct sequence *s, struct choice *c, const struct ir_event *ev)
{
    struct part *p = find_part(c, ev->part);
    bool says_nothing = ev->kind == IR_EV_DELTA && ev->text.s.n == 0 && !ev->logprobs.p;
    if (!p && (ev->kind == IR_EV_PART_END || says_nothing))
        return; /* ended already */
    if (!p)
        p = reopen(s, c, ev->part);
    if (!p) {
        fail(s, "an event belongs to no open part");
        return;
    }
    if (ev->kind == IR_EV_PART_END)
        p->ended = true;
    else if (p == c->open)
        pass(s, c, ev);
    else
        append_held(s, p, ev);
    if (p->kind == IR_PART_TOOL_CALL && ev->kind == IR_EV_DELTA)
        follow(&p->arguments, ev->text);
    if (p == c->open)
        advance(s, c, false);
}

/* ---- the stream's own events ---- */

static void take_start(struct sequence *s, const struct ir_event *ev)
{
    if (s->started) {
        fail(s, "the stream begins twice");
        return;
    }
    s->started = true;
    s->sink(s->ctx, ev);
}

static void take_finish(struct sequence *s, struct choice *c, const struct ir_event *ev)
{
    advance(s, c, true);
    if (c->finish)
        return;
    c->finish = keep(s, ev);
}

static void take_end(struct sequence *s, const struct ir_event *ev)
{
    bool finished = false;
    for (struct choice *c = s->choices; c; c = c->next)
        finished |= c->finish != NULL;
    if (!finished) {
        fail(s, "the stream ends without a finish reason");
        return;
    }
    for (struct choice *c = s->choices; c; c = c->next) {
        struct ir_event stop = {
            .kind = IR_EV_FINISH, .choice = c->index, .finish = IR_FINISH_OTHER};
        advance(s, c, true);
        if (c->finish)
            stop = c->finish->ev;
        stop.usage = s->has_usage ? &s->usage : NULL;
        s->sink(s->ctx, &stop);
    }
    if (s->has_usage)
        s->sink(s->ctx, &(struct ir_event){.kind = IR_EV_USAGE, .usage = &s->usage});
    s->over = s->ended = true;
    s->sink(s->ctx, ev);
}

static void take_in_choice(struct sequence *s, const struct ir_event *ev)
{
    struct choice *c = choice_of(s, ev->choice);
    if (!c)
        return;
    if (ev->kind == IR_EV_FINISH)
        take_finish(s, c, ev);
    else if (c->finish)
        fail(s, "a choice goes on behind its finish reason");
    else if (ev->kind != IR_EV_PART_START)
        take_inner(s, c, ev);
    else if (find_part(c, ev->part))
        fail(s, "a part begins twice");
    else
        (void)open_part(s, c, ev);
}

void sequence_take(void *ctx, const struct ir_event *ev)
{
    struct sequence *s = ctx;
    if (s->over)
        return;
    if (ev->usage) {
        s->usage = *ev->usage;
        s->has_usage = true;
    }
    if (ev->kind == IR_EV_ERROR) {
        s->over = true;
        s->sink(s->ctx, ev);
        return;
    }
    if (!s->started && ev->kind != IR_EV_START && ev->kind != IR_EV_PING &&
        ev->kind != IR_EV_USAGE) {
        fail(s, "the stream doesn't begin with its start");
        return;
    }
    switch (ev->kind) {
    case IR_EV_START:
        take_start(s, ev);
        break;
    case IR_EV_PING:
        if (s->started)
            s->sink(s->ctx, ev);
        break;
    case IR_EV_USAGE:
        break;
    case IR_EV_END:
        take_end(s, ev);
        break;
    default:
        take_in_choice(s, ev);
        break;
    }
}
