/*
 * attempt.c: an attempt's life: slot, connection, sending, deadlines, its one end.
 *
 * The answer is read in attempt_read.c.
 *
 * Invariants: from attempt_start to attempt_finish the attempt has an open slot in the money
 * segment; uc is set from there until the connection is given back or taken to the TAIL; after
 * ENDED nothing calls back.
 */
#include "gatewayd/worker/attempt.h"

#include "common/check.h"
#include "common/log.h"
#include "gatewayd/dialect/claude.h"
#include "gatewayd/dialect/provenance.h"
#include "gatewayd/dialect/relay.h"
#include "gatewayd/worker/attempt_read.h"
#include "gatewayd/worker/bound.h"
#include "gatewayd/worker/objects.h"
#include "gatewayd/worker/req_route.h"
#include "gatewayd/worker/upstream_head.h"

#include <stdlib.h>

enum {
    ATTEMPT_MAGIC = 0x41545421,
    /* After the answer is through: for the end of the body that makes the connection reusable. */
    TAIL_US = 1000000,
    /* Where a dialect wants a maximum, the caller gives none and the model's own isn't known: what
     * Anthropic's models since Claude 3.5 all take. `default.max_tokens` of a model sets another.
     */
    DEFAULT_MAX_TOKENS = 8192,
};

static const char *const state_names[] = {
#define X(name) #name,
    ATTEMPT_STATES(X)
#undef X
};

const char *attempt_state_name(enum attempt_state s)
{
    return state_names[s];
}

void attempt_set_state(struct attempt *a, enum attempt_state to)
{
    GW_DCHECK(a->state != ATTEMPT_ENDED);
    a->state = to;
}

/* ---- birth and death ---- */

static void free_attempt(struct later *l)
{
    struct attempt *a = container_of(l, struct attempt, free_later);
    buf_release(&a->in);
    buf_release(&a->held);
    sse_reader_release(&a->sse);
    if (a->dialect->stream_fini)
        a->dialect->stream_fini(&a->stream);
    translation_free(a->translation);
    translation_free(a->rewritten);
    free(a->head_copy);
    snapshot_unref(a->snap);
    free(a);
}

void attempt_release(struct attempt *a)
{
    a->req = NULL;
    if (a->state == ATTEMPT_TAIL)
        return;
    worker_account(a->w, &a->in_held, 0);
    worker_account(a->w, &a->translation_held, 0);
    worker_later(a->w, &a->free_later, free_attempt);
}

static void on_timer(struct wheel_timer *t);

static struct attempt *attempt_new(struct req *r, const struct candidate *cand)
{
    struct attempt *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->magic = ATTEMPT_MAGIC;
    a->w = r->w;
    a->req = r;
    a->snap = snapshot_ref(r->snap);
    a->cand = cand;
    a->dialect = dialects_native(dialects_of_op(cand->op));
    a->retry_after_us = -1;
    buf_init(&a->in, (size_t)r->snap->conf->http.max_response);
    buf_init(&a->held, ATTEMPT_HELD_MAX_BYTES);
    wheel_timer_init(&a->timer, on_timer);
    http_response_reader_init(&a->reader);
    a->started_us = clock_mono_us();
    return a;
}

/* ---- the slot ---- */

static void slot_names(const struct req *r, const struct candidate *cand,
                       struct slice names[LEDGER_NAME_COUNT])
{
    names[LEDGER_KEY] = r->who.id;
    names[LEDGER_TEAM] = r->who.team;
    names[LEDGER_CUSTOMER] = r->who.customer;
    names[LEDGER_MODEL] = cand->model->name;
    names[LEDGER_PROVIDER] = cand->target->provider->name;
    names[LEDGER_UPSTREAM_MODEL] = cand->target->upstream_model;
    names[LEDGER_CREDENTIAL] = cand->credential->name;
    names[LEDGER_TAGS] = slice_of(NULL, 0);
    names[LEDGER_UPSTREAM_REQUEST_ID] = slice_of(NULL, 0);
}

static void hash_end_user(const struct req *r, uint8_t out[16])
{
    uint8_t digest[CRYPTO_SHA256_BYTES];
    struct slice user = dialect_name_slice(&r->ask.user);
    if (user.n == 0)
        return;
    crypto_sha256(user.p, user.n, digest);
    memcpy(out, digest, 16);
}

static bool client_retries(const struct req *r)
{
    struct slice v = http_fields_get(&r->head.fields, HTTP_H_X_STAINLESS_RETRY_COUNT);
    return v.n > 0 && !slice_eq_str(v, "0");
}

static enum money_err open_slot(struct attempt *a)
{
    struct req *r = a->req;
    struct money_attempt m = {
        .attempt = r->n_attempts + 1,
        .flags = LEDGER_F_UNPRICED | (r->ask.stream ? LEDGER_F_STREAM : 0) |
                 (client_retries(r) ? LEDGER_F_CLIENT_RETRY : 0),
        .config_generation = a->snap->generation,
    };
    memcpy(m.request_id, r->id, sizeof m.request_id);
    hash_end_user(r, m.end_user);
    bound_reserve(&r->ask, m.reserved_usage);
    memcpy(a->reserved_usage, m.reserved_usage, sizeof a->reserved_usage);
    slot_names(r, a->cand, m.names);
    enum money_err err = money_open(&r->w->owner, &m, &a->ticket, NULL);
    a->ticket_open = err == MONEY_OK;
    return err;
}

uint64_t attempt_opaque_tokens(const struct attempt *a)
{
    uint64_t n = a->body.data_bytes;
    return a->cand->op == PROVIDER_OP_SPEECH ? relay_audio_tokens(n) : n;
}

/* A provider that has begun a whole answer has generated all of it: what came of a cut one says
 * nothing about what is billed, so that is bounded by what was reserved. */
static uint64_t output_bytes(const struct attempt *a)
{
    if (a->opaque)
        return attempt_opaque_tokens(a);
    if (!a->is_stream && !a->answer_read)
        return (uint64_t)a->reserved_usage[LEDGER_OUTPUT];
    return a->is_stream ? a->stream.output_bytes : a->answer.output_bytes;
}

static const struct dialect_usage *provider_usage(const struct attempt *a)
{
    return a->is_stream ? &a->stream.usage : &a->answer.usage;
}

/* The provider's figures are those of all that it has generated. */
static bool usage_is_whole(const struct attempt *a)
{
    return (provider_usage(a)->flags & (USAGE_PRESENT | USAGE_PARTIAL)) == USAGE_PRESENT;
}

/* What the end is charged: the published table (outcome.h), refined by what is known of this
 * attempt. */
static enum charge_rule charge_of(const struct attempt *a)
{
    enum charge_rule rule = attempt_end_charge(a->end);
    if (!a->sent)
        return CHARGE_NOTHING;
    if (rule == CHARGE_COUNTED && !a->answer_began)
        return CHARGE_RESERVATION;
    if (rule == CHARGE_COUNTED && usage_is_whole(a))
        return CHARGE_USAGE;
    if (rule == CHARGE_USAGE && !usage_is_whole(a))
        return CHARGE_COUNTED;
    return rule;
}

/* ---- the object that the answer is ---- */

/* What OpenAI keeps stored responses for (platform.openai.com/docs/guides/your-data), and a day. */
static const int64_t RESPONSE_KEPT_US = INT64_C(31) * 86400 * 1000000;

static enum attempt_started promise_object(struct attempt *a, struct dialect_refusal *why)
{
    if (!a->req->ask.keeps || a->translation)
        return ATTEMPT_STARTED;
    switch (objects_promise(a->req, a->cand)) {
    case OBJECTS_PROMISED:
        a->object_promised = true;
        return ATTEMPT_STARTED;
    case OBJECTS_FULL:
        return ATTEMPT_NO_SLOT;
    case OBJECTS_TOO_LONG:
        break;
    }
    *why = (struct dialect_refusal){
        .message = "The names of key, team, customer, model, provider and credential are too long "
                   "together to be kept on record with an object.",
        .code = "names_too_long",
    };
    return ATTEMPT_REFUSED;
}

static void end_promise(struct attempt *a)
{
    if (a->object_promised)
        objects_unpromise(a->w);
    a->object_promised = false;
}

/* Of files as the provider says it. Nothing is said of batches: their records go after a year. */
static int64_t object_expires_us(const struct attempt *a, enum object_kind kind)
{
    static const int64_t day_us = INT64_C(86400) * 1000000;
    int64_t now = clock_wall_us();
    switch (kind) {
    case OBJECT_RESPONSE:
        return now + RESPONSE_KEPT_US;
    case OBJECT_BATCH:
        return now + 366 * day_us;
    default:
        return a->answer.expires_s > 0 && a->answer.expires_s < INT64_MAX / 1000000
                   ? a->answer.expires_s * 1000000
                   : 0;
    }
}

static const int64_t *bound_of(const struct attempt *a, enum object_kind kind)
{
    const struct req *r = a->req;
    if (kind == OBJECT_BATCH)
        return r->object ? r->object->usage : NULL;
    if (kind == OBJECT_FILE)
        return r->batch_bound;
    return r->ask.background ? a->reserved_usage : NULL;
}

static struct object_seen see_object(const struct attempt *a)
{
    const struct dialect_name *id = a->is_stream ? &a->stream.id : &a->answer.id;
    const struct req *r = a->req;
    enum object_kind kind = r->relay ? r->relay->kind : OBJECT_RESPONSE;
    return (struct object_seen){
        .kind = kind,
        .id = dialect_name_slice(id),
        .model = r->object ? object_name(r->object, OBJECT_MODEL) : a->cand->model->name,
        .expires_us = object_expires_us(a, kind),
        .batch_url = r->ask.batch_url,
        .bound = bound_of(a, kind),
        .billed_later =
            r->ask.background && !a->is_stream &&
            (a->answer.usage.flags & (USAGE_PRESENT | USAGE_ZERO)) == (USAGE_PRESENT | USAGE_ZERO),
    };
}

void attempt_record_object(struct attempt *a)
{
    const struct dialect_name *id = a->is_stream ? &a->stream.id : &a->answer.id;
    if (!a->object_promised || id->n == 0)
        return;
    struct object_seen seen = see_object(a);
    a->object_promised = false;
    a->object_recorded = true;
    objects_record(a->req, a->cand, &seen);
}

/* ---- the end ---- */

/* A stream that broke off of an answer that goes on in the background: what it costs is what its
 * object says when it is through. */
static bool reopen_object(const struct attempt *a)
{
    if (!a->object_recorded || !a->is_stream || !a->req->ask.background || a->end == END_ANSWERED)
        return false;
    struct object_seen seen = see_object(a);
    seen.billed_later = true;
    return objects_reopen(a->req, a->cand, &seen);
}

static void settle(struct attempt *a)
{
    enum charge_rule rule = charge_of(a);
    struct money_outcome o = {
        .state = LEDGER_SETTLED,
        .reason = (uint8_t)a->end,
        .http_status = a->head_seen ? a->res.status : 0,
        .ttfb_us = a->first_byte_us ? a->first_byte_us - a->started_us : -1,
        .flags = a->req && a->req->client_gone ? LEDGER_F_CLIENT_GONE : 0,
        .upstream_request_id = a->upstream_request_id,
    };
    if (!a->ticket_open)
        return;
    a->ticket_open = false;
    if (rule == CHARGE_COUNTED && reopen_object(a))
        rule = CHARGE_NOTHING;
    a->charged = rule;
    if (!a->sent) {
        money_release(&a->w->owner, &a->ticket);
        return;
    }
    if (rule == CHARGE_USAGE)
        bound_from_usage(provider_usage(a), o.usage);
    else if (rule == CHARGE_COUNTED)
        bound_counted(a->reserved_usage, output_bytes(a), o.usage);
    if (rule == CHARGE_COUNTED && provider_usage(a)->units > 0)
        o.usage[LEDGER_UNITS] = provider_usage(a)->units;
    if (rule == CHARGE_COUNTED)
        o.state = LEDGER_ESTIMATED;
    else if (rule == CHARGE_RESERVATION)
        o.state = LEDGER_UNSETTLED;
    a->money_state = ledger_state_name(o.state);
    memcpy(a->charged_usage, rule == CHARGE_RESERVATION ? a->reserved_usage : o.usage,
           sizeof a->charged_usage);
    if (money_settle(&a->w->owner, &a->ticket, &o) != MONEY_OK)
        log_error("attempt was settled already", LOG_U("slot", a->ticket.slot));
}

/* Of a bearer token 401 says so (RFC 6750 section 3.1; 403 is about what it may do); AWS answers
 * 403 to expired keys too. */
static bool token_refused_by(const struct attempt *a)
{
    return a->token_serial && a->end == END_CREDENTIAL_REFUSED &&
           (a->res.status == 401 || conf_credential_signs(a->cand->credential));
}

/* What the request and its log line keep of an attempt. */
static void report(struct attempt *a)
{
    struct req *r = a->req;
    bool answered = a->end == END_ANSWERED;
    r->upstream_status = a->head_seen ? a->res.status : 0;
    r->maybe_sent |= a->sent;
    r->maybe_billed |= !answered && a->charged != CHARGE_NOTHING;
    r->money_state = a->money_state;
    memcpy(r->charged_usage, a->charged_usage, sizeof r->charged_usage);
    if (token_refused_by(a))
        upstream_token_refused(a->w, &a->snap->credentials[a->cand->credential->index].token,
                               a->token_serial);
    r->finish_reason = a->is_stream ? a->stream.finish_reason : a->answer.finish_reason;
    if (a->upstream_request_id.n)
        r->upstream_request_id = arena_dup(&r->arena, a->upstream_request_id);
    if (!answered && a->end != END_CALLER_ERROR)
        log_info(
            "attempt failed", LOG_S("id", r->id_text), LOG_U("attempt", r->n_attempts),
            LOG_SL("provider", a->cand->target->provider->name),
            LOG_SL("model", a->cand->target->upstream_model),
            LOG_SL("credential", a->cand->credential->name), LOG_S("end", attempt_end_name(a->end)),
            LOG_IF(a->head_seen, LOG_I("status", a->res.status)),
            LOG_IF(a->fault != DIALECT_FAULT_NONE, LOG_S("fault", dialect_fault_name(a->fault))),
            LOG_IF(a->why[0] != 0, LOG_S("why", a->why)));
}

static bool connection_reusable(const struct attempt *a)
{
    return a->sent_all && a->head_seen && a->res.keep_alive && a->body.done && !a->poisoned;
}

/* The answer is through, the body's end isn't: wait for it a moment, to keep the connection. */
static bool enter_tail(struct attempt *a)
{
    if (a->end != END_ANSWERED || !a->is_stream || !a->sent_all || a->body.done ||
        !a->res.keep_alive || a->poisoned || a->res.framing == HTTP_BODY_CLOSE)
        return false;
    attempt_set_state(a, ATTEMPT_TAIL);
    uconn_want_read(a->uc, true);
    worker_arm(a->w, &a->timer, clock_mono_us() + TAIL_US);
    return true;
}

void attempt_finish(struct attempt *a, enum attempt_end end, const char *why)
{
    struct req *r = a->req;
    if (attempt_is_over(a))
        return;
    a->end = end;
    snprintf(a->why, sizeof a->why, "%s", why);
    if (a->object_promised && end == END_ANSWERED)
        log_warn("an answer says no id of its object, or one that is too long: it can't be put on "
                 "record",
                 LOG_S("id", r->id_text), LOG_SL("provider", a->cand->target->provider->name));
    end_promise(a);
    settle(a);
    worker_cancel(a->w, &a->timer);
    if (a->sent_us)
        r->upstream_us += GW_MAX(a->last_read_us, a->sent_us) - a->sent_us;
    report(a);
    if (!a->uc || !enter_tail(a)) {
        attempt_set_state(a, ATTEMPT_ENDED);
        if (a->uc)
            uconn_release(a->uc, connection_reusable(a));
        a->uc = NULL;
    }
    req_run(r);
}

void attempt_end_tail(struct attempt *a, bool reusable)
{
    worker_cancel(a->w, &a->timer);
    attempt_set_state(a, ATTEMPT_ENDED);
    uconn_release(a->uc, reusable);
    a->uc = NULL;
    attempt_release(a);
}

/* ---- sending ---- */

static bool in_scratch(const struct splices *l, const void *p)
{
    return (const char *)p >= l->scratch && (const char *)p < l->scratch + sizeof l->scratch;
}

static struct slice request_body(const struct req *r)
{
    return buf_slice(r->edited.len ? &r->edited : &r->body);
}

static bool injects_usage(const struct attempt *a)
{
    return a->req->ask.stream &&
           !(a->cand->target->provider->quirks & PROVIDER_QUIRK_NO_STREAM_OPTIONS);
}

/* The spliced body as segments that stay valid: what lies in the worker's scratch is copied. */
static bool build_body(struct attempt *a)
{
    struct req *r = a->req;
    struct splices *l = &r->w->splices;
    struct slice body = request_body(r);
    struct dialect_rewrite how = {
        .model = a->cand->target->upstream_model,
        .envelope = dialects_envelope(a->cand->op),
        .version = http_fields_get(&r->head.fields, HTTP_H_ANTHROPIC_VERSION),
        .inject_usage = injects_usage(a),
    };
    if (a->dialect->rewrite_request(&r->ask, &how, l, &a->usage_injected) < 0)
        return false;
    a->iov = arena_alloc(&r->arena, (2 * l->n + 2) * sizeof *a->iov);
    int n = a->iov ? splices_iov(l, body, a->iov + 1, (int)(2 * l->n + 1)) : -1;
    if (n < 0)
        return false;
    a->n_iov = n + 1;
    for (int i = 1; i < a->n_iov; i++) {
        struct iovec *v = &a->iov[i];
        if (in_scratch(l, v->iov_base)) {
            struct slice copy = arena_dup(&r->arena, slice_of(v->iov_base, v->iov_len));
            if (!copy.p)
                return false;
            v->iov_base = (void *)copy.p;
        }
    }
    return true;
}

/* The caller's model name as it is to stand in the answer; {NULL}: the provider's. */
static struct ir_text answer_model(const struct req *r)
{
    if (r->model->response_model != CONF_RESPONSE_MODEL_ALIAS)
        return (struct ir_text){{NULL, 0}, false};
    return ir_plain(dialect_name_slice(&r->ask.model));
}

/* NULL with *why (or "", out of memory): the provider's dialect can't say it. */
static struct translation *translate_request(struct attempt *a, bool want_usage,
                                             struct dialect_refusal *why)
{
    struct req *r = a->req;
    const struct conf_target *t = a->cand->target;
    enum dialect_op op = r->route->op;
    int64_t known = claude_max_output(t->upstream_model);
    struct codec_target target = {
        .model = t->upstream_model,
        .quirks = t->provider->quirks,
        .refused = provider_refused_members(t->provider->kind, t->upstream_model),
        .envelope = dialects_envelope(a->cand->op),
        .want_usage = want_usage,
        .default_max_tokens = known ? known : DEFAULT_MAX_TOKENS,
    };
    struct codec_caller as = {
        .model = answer_model(r),
        .request_id = slice_str(r->id_text),
        .include_usage = r->ask.include_usage,
        .framing = r->as_array ? CODEC_JSON_ARRAY : r->dialect->framing,
        .now_s = r->started_wall_us / 1000000,
        .estimated_input = bound_estimate_input(&r->ask),
    };
    struct slice body = request_body(r);
    memset(why, 0, sizeof *why);
    struct translation *made = translation_new(dialects_codec(r->route->dialect, op),
                                               dialects_codec_of_op(a->cand->op), op);
    if (!made)
        return NULL;
    translation_answer_as(made, &as);
    if (translation_request(made, &r->w->doc, body, r->ask.stream, &target,
                            (size_t)r->snap->conf->http.max_body * 2 + 64 * 1024, why) == 0)
        return made;
    translation_free(made);
    return NULL;
}

static bool send_translated(struct attempt *a, const struct translation *t)
{
    struct req *r = a->req;
    struct slice body = translation_body(t), dropped = translation_dropped(t);
    worker_account(a->w, &a->translation_held, translation_bytes(t));
    a->iov = arena_alloc(&r->arena, 2 * sizeof *a->iov);
    if (!a->iov)
        return false;
    a->iov[1] = (struct iovec){(void *)body.p, body.n};
    a->n_iov = 2;
    r->dropped = dropped.n ? arena_dup(&r->arena, dropped) : slice_of(NULL, 0);
    return true;
}

static bool build_translated(struct attempt *a, struct dialect_refusal *why)
{
    bool want_usage = !(a->cand->target->provider->quirks & PROVIDER_QUIRK_NO_STREAM_OPTIONS);
    a->translation = translate_request(a, want_usage, why);
    return a->translation && send_translated(a, a->translation);
}

/* In a conversation that other providers took part in there are signatures which this one would
 * refuse, and ids that it may find too long: what it may not see is left out, and the rest said
 * anew. */
static bool build_rewritten(struct attempt *a, struct dialect_refusal *why)
{
    bool inject = injects_usage(a);
    a->rewritten = translate_request(a, inject, why);
    a->usage_injected = inject && !a->req->ask.include_usage;
    return a->rewritten && send_translated(a, a->rewritten);
}

static bool holds_foreign_signatures(const struct req *r)
{
    struct json_doc *doc = &r->w->doc;
    struct slice body = request_body(r);
    return r->ask.messages > 1 && dialects_codec(r->route->dialect, r->route->op) &&
           json_parse_once(doc, body.p, body.n) == 0 && provenance_in(doc);
}

/* Whether the caller's bytes can go as they came. Of one wire format too there are two ways to have
 * a whole request counted. */
static bool is_native(const struct attempt *a)
{
    const struct req *r = a->req;
    bool flat = a->cand->target->provider->quirks & PROVIDER_QUIRK_COUNTS_FLAT;
    return dialects_is_native(a->cand->op, r->route->dialect, r->route->op) &&
           !(flat && r->ask.enveloped);
}

static bool build_request(struct attempt *a, const struct upstream_token *token,
                          struct dialect_refusal *why)
{
    why->message[0] = 0;
    a->req->dropped = slice_of(NULL, 0);
    if (!is_native(a)                      ? !build_translated(a, why)
        : holds_foreign_signatures(a->req) ? !build_rewritten(a, why)
                                           : !build_body(a))
        return false;
    a->head = upstream_head_write(a->req, a->cand, token, a->iov + 1, a->n_iov - 1);
    a->iov[0] = (struct iovec){(void *)a->head.p, a->head.n};
    return a->head.p != NULL;
}

static void advance(struct attempt *a, size_t n)
{
    while (n > 0) {
        struct iovec *v = &a->iov[a->iov_at];
        size_t took = GW_MIN(n, v->iov_len);
        v->iov_base = (char *)v->iov_base + took;
        v->iov_len -= took;
        n -= took;
        if (v->iov_len == 0)
            a->iov_at++;
    }
}

static void sent_all(struct attempt *a)
{
    a->sent_all = true;
    uconn_want_write(a->uc, false);
    if (a->state == ATTEMPT_SEND)
        attempt_set_state(a, ATTEMPT_HEAD);
    if (a->req->ask.stream && !a->head_seen)
        worker_arm(a->w, &a->timer, clock_mono_us() + a->cand->model->first_byte_timeout_us);
}

static void connect_fresh(struct attempt *a);

static void send_failed(struct attempt *a, enum io_status st)
{
    char reason[sizeof a->why];
    io_reason(&a->uc->io, reason, sizeof reason);
    if (!a->sent && a->uc->reused && !a->fresh) {
        uconn_release(a->uc, false);
        a->uc = NULL;
        connect_fresh(a);
        return;
    }
    if (a->sent && st == IO_RESET) {
        uconn_want_write(a->uc, false); /* it may have answered before: reading tells */
        return;
    }
    attempt_finish(a, a->sent ? END_LOST : END_CONNECT_FAILED, reason);
}

static void send_more(struct attempt *a)
{
    while (a->iov_at < a->n_iov) {
        size_t n;
        enum io_status st = io_writev(&a->uc->io, a->iov + a->iov_at, a->n_iov - a->iov_at, &n);
        if (st == IO_WANT_WRITE || st == IO_WANT_READ) {
            uconn_want_write(a->uc, true);
            return;
        }
        if (st != IO_OK) {
            send_failed(a, st);
            return;
        }
        a->sent = true;
        advance(a, n);
    }
    sent_all(a);
}

static void start_sending(struct attempt *a)
{
    attempt_set_state(a, ATTEMPT_SEND);
    money_progress(&a->w->owner, &a->ticket, MONEY_SENT_MAYBE, NULL, 0);
    if (!a->sent_us)
        a->sent_us = clock_mono_us();
    send_more(a);
}

static void connect_fresh(struct attempt *a)
{
    struct endpoint *ep = a->snap->credentials[a->cand->credential->index].endpoint;
    a->fresh = true;
    attempt_set_state(a, ATTEMPT_CONNECT);
    if (uconn_acquire(ep, a, true, &a->uc) == UCONN_NONE)
        attempt_finish(a, END_NO_CONNECTION, "max_connections");
}

enum attempt_started attempt_start(struct req *r, const struct candidate *cand,
                                   struct dialect_refusal *why)
{
    struct snapshot_credential *sc = &r->snap->credentials[cand->credential->index];
    struct endpoint *ep = sc->endpoint;
    struct upstream_token token;
    why->message[0] = 0;
    switch (upstream_token_take(r->w, &sc->token, sc->signer, &token)) {
    case UPSTREAM_TOKEN_COMING:
        return ATTEMPT_TOKEN_COMING;
    case UPSTREAM_TOKEN_MISSING:
        return ATTEMPT_NO_TOKEN;
    case UPSTREAM_TOKEN_OK:
        break;
    }
    struct attempt *a = attempt_new(r, cand);
    if (!a)
        return ATTEMPT_NO_SLOT;
    a->token_serial = token.serial;
    if (!build_request(a, &token, why)) {
        attempt_release(a);
        return why->message[0] ? ATTEMPT_REFUSED : ATTEMPT_TOO_BIG;
    }
    enum attempt_started promised = promise_object(a, why);
    if (promised != ATTEMPT_STARTED) {
        attempt_release(a);
        return promised;
    }
    if (open_slot(a) != MONEY_OK) {
        end_promise(a);
        attempt_release(a);
        return ATTEMPT_NO_SLOT;
    }
    enum uconn_acquired got = uconn_acquire(ep, a, false, &a->uc);
    if (got == UCONN_NONE) {
        end_promise(a);
        settle(a);
        attempt_release(a);
        return ATTEMPT_NO_CONNECTION;
    }
    r->attempt = a;
    r->n_attempts++;
    if (got == UCONN_READY)
        start_sending(a);
    return ATTEMPT_STARTED;
}

/* ---- events ---- */

void attempt_on_connected(struct attempt *a)
{
    start_sending(a);
}

void attempt_on_connect_failed(struct attempt *a, enum attempt_end end, const char *why)
{
    a->uc = NULL;
    attempt_finish(a, end, why);
}

void attempt_on_writable(struct attempt *a)
{
    if (!a->sent_all && a->state != ATTEMPT_ENDED)
        send_more(a);
    else {
        uconn_want_write(a->uc, false); /* TLS wanted to write in order to read */
        attempt_on_readable(a);
    }
}

void attempt_cancel(struct attempt *a)
{
    if (a->uc && a->sent_all)
        attempt_count_rest(a);
    attempt_finish(a, a->sent ? END_CLIENT_GONE_STREAM : END_CLIENT_GONE_UNSENT, "client gone");
}

void attempt_resume(struct attempt *a)
{
    if (!a->paused || a->state == ATTEMPT_ENDED)
        return;
    a->paused = false;
    uconn_want_read(a->uc, true);
    worker_arm(a->w, &a->timer, clock_mono_us() + a->cand->model->idle_timeout_us);
    if (io_has_buffered(&a->uc->io))
        attempt_on_readable(a);
}

static void on_timer(struct wheel_timer *t)
{
    struct attempt *a = container_of(t, struct attempt, timer);
    if (a->state == ATTEMPT_TAIL)
        attempt_end_tail(a, false);
    else
        attempt_finish(a, a->first_byte_us ? END_IDLE_TIMEOUT : END_FIRST_BYTE_TIMEOUT, "deadline");
}
