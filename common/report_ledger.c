/*
 * report_ledger.c: the ledger's records, their roll-ups, and the proof that both are whole.
 *
 * Amounts leave as integers of nanodollars and, for people, as exact decimal text; no floats.
 */
#include "common/report.h"

#include "common/arena.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/keystore.h"
#include "common/crypto.h"
#include "common/ledger_store.h"
#include "common/when.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEFAULT_PAGE = 200,
    CHUNK = 1000,
    /* Records looked at in one call; a filter that finds less than a page says where to go on. */
    SCAN_MAX = 200 * 1000,
    FILTER_BYTES = 256,
    GROUPS_MAX = 16384,
    GROUP_BYTES_MAX = 8 * 1024 * 1024,
};
static const int64_t DAY_US = INT64_C(86400000000);

static void store_failed(struct report *r, enum store_err err)
{
    report_error(r, 503, "store_failed", "ledger: %s; see the log and the disk of state_dir",
                 store_err_text(err));
}

/* "0.000012500": nine decimals, exact. */
static void put_usd(struct json_writer *w, const char *name, int64_t nusd)
{
    char text[48];
    uint64_t v = nusd < 0 ? 0 - (uint64_t)nusd : (uint64_t)nusd;
    snprintf(text, sizeof(text), "%s%llu.%09llu", nusd < 0 ? "-" : "",
             (unsigned long long)(v / 1000000000), (unsigned long long)(v % 1000000000));
    jw_key(w, slice_str(name));
    jw_str(w, slice_str(text));
}

static void put_usage(struct json_writer *w, const int64_t usage[LEDGER_USAGE_MAX])
{
    char name[32];
    for (unsigned u = 0; u < LEDGER_USAGE_COUNT; u++) {
        snprintf(name, sizeof(name), "%s%s", ledger_usage_name(u),
                 ledger_usage_is_tokens(u) ? "_tokens" : "");
        jw_key(w, slice_str(name));
        jw_i64(w, usage[u]);
    }
}

/* "since", "until": a time, or a duration that counts back from now. */
static int query_time(struct report *r, const char *name, int64_t dflt, int64_t *out)
{
    char text[64];
    *out = dflt;
    if (!report_query(r, name, text, sizeof(text)))
        return 0;
    int64_t ago;
    if (when_parse_duration(slice_str(text), &ago) == 0) {
        *out = GW_MAX(clock_wall_us() - ago, 0);
        return 0;
    }
    if (when_parse_time(slice_str(text), out) == 0)
        return 0;
    report_error(r, 400, "bad_parameter",
                 "%s: expected a time such as 2026-12-31, or how long ago, such as 7d, got \"%s\"",
                 name, text);
    return -1;
}

/* ---- list ---- */

static const struct {
    uint64_t flag;
    const char *name;
} flags[] = {
    {LEDGER_F_OVERRUN, "overrun"},         {LEDGER_F_UNPRICED, "unpriced"},
    {LEDGER_F_STREAM, "stream"},           {LEDGER_F_CLIENT_GONE, "client_gone"},
    {LEDGER_F_WORKER_DIED, "worker_died"}, {LEDGER_F_FROM_INTENT, "from_intent"},
    {LEDGER_F_NAMES_SHORT, "names_short"}, {LEDGER_F_CLIENT_RETRY, "client_retry"},
    {LEDGER_F_MALFORMED, "malformed"},     {LEDGER_F_BATCH, "batch"},
    {LEDGER_F_BACKGROUND, "background"},
};

static bool put_key_name(void *w, const struct keystore_record *k)
{
    jw_member_str(w, "key_name", k->name);
    return false;
}

/* The ledger knows a key by its id, which stays; people know it by the name that it has now. */
static void put_name_of_key(struct report *r, struct slice id)
{
    if (id.n)
        (void)!keystore_get(r->state, id, put_key_name, &r->w);
}

static void put_entry(struct report *r, const struct ledger_entry *e)
{
    struct json_writer *w = &r->w;
    const struct ledger_body *b = &e->body;
    char id[CRYPTO_REQUEST_ID_TEXT_BYTES];
    crypto_request_id_text(b->request_id, id);
    jw_object(w);
    jw_member_u64(w, "seq", e->at.seq);
    report_put_time(w, "committed", e->at.committed_us);
    jw_member_str(w, "request_id", slice_str(id));
    jw_member_u64(w, "attempt", b->attempt);
    jw_member_str(w, "state", slice_str(ledger_state_name(b->state)));
    for (unsigned n = 0; n < LEDGER_NAME_COUNT; n++) {
        struct slice v = ledger_body_name(b, n);
        if (!v.n)
            continue;
        jw_key(w, slice_str(ledger_name_name(n)));
        jw_str(w, v);
    }
    put_name_of_key(r, ledger_body_name(b, LEDGER_KEY));
    put_usage(w, b->usage);
    jw_member_i64(w, "cost_nusd", b->cost_nusd);
    if (!(b->flags & LEDGER_F_UNPRICED))
        put_usd(w, "cost_usd", b->cost_nusd);
    jw_member_i64(w, "reserved_nusd", b->reserved_nusd);
    if (b->http_status)
        jw_member_u64(w, "http_status", b->http_status);
    report_put_time(w, "started", b->started_us);
    jw_member_i64(w, "duration_us", b->duration_us);
    if (b->ttfb_us >= 0)
        jw_member_i64(w, "ttfb_us", b->ttfb_us);
    jw_member_u64(w, "worker", b->worker);
    jw_member_u64(w, "generation", b->config_generation);
    jw_member_array(w, "flags");
    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        if (b->flags & flags[i].flag)
            jw_str(w, slice_str(flags[i].name));
    jw_array_end(w);
    jw_object_end(w);
}

struct listing {
    struct report *r;
    char key[FILTER_BYTES], model[FILTER_BYTES]; /* "": all */
    uint64_t n, limit;
    struct ledger_position last;
};

static bool matches(const char *want, struct slice have)
{
    return !*want || slice_eq_str(have, want);
}

static bool list_entry_fn(void *arg, const struct ledger_entry *e)
{
    struct listing *l = arg;
    l->last = e->at;
    if (!matches(l->key, ledger_body_name(&e->body, LEDGER_KEY)) ||
        !matches(l->model, ledger_body_name(&e->body, LEDGER_MODEL)))
        return true;
    put_entry(l->r, e);
    return ++l->n < l->limit;
}

/* "after": the position that the page before ended with, "COMMITTED_US.SEQ". */
static int query_position(struct report *r, struct ledger_position *out)
{
    char text[64];
    if (!report_query(r, "after", text, sizeof(text)))
        return 0;
    struct slice rest = slice_str(text), first = slice_split(&rest, '.');
    uint64_t us;
    if (rest.p && slice_to_u64(first, INT64_MAX, &us) == 0 &&
        slice_to_u64(rest, UINT64_MAX, &out->seq) == 0) {
        out->committed_us = (int64_t)us;
        return 0;
    }
    report_error(r, 400, "bad_parameter", "after: expected the \"next\" of the page before");
    return -1;
}

static enum store_err scan(struct store_txn *reader, struct listing *l, struct ledger_position from,
                           int64_t until_us, bool *more)
{
    enum store_err err = STORE_OK;
    *more = true;
    for (unsigned seen = 0; *more && seen < SCAN_MAX && l->n < l->limit && err == STORE_OK;
         seen += CHUNK)
        err = ledger_scan(reader, &from, until_us, CHUNK, list_entry_fn, l, more);
    if (l->n < l->limit)
        l->last = from;
    return err;
}

void report_ledger_list(struct report *r)
{
    struct listing l = {.r = r};
    struct ledger_position from = {0, 0};
    int64_t since, until;
    struct store_txn *reader;
    if (report_query_u64(r, "limit", DEFAULT_PAGE, 1, REPORT_PAGE_MAX, &l.limit) < 0 ||
        query_time(r, "since", 0, &since) < 0 || query_time(r, "until", INT64_MAX, &until) < 0)
        return;
    from.committed_us = since;
    if (query_position(r, &from) < 0)
        return;
    report_query(r, "key", l.key, sizeof(l.key));
    report_query(r, "model", l.model, sizeof(l.model));
    enum store_err err = store_reader_new(r->ledger, &reader);
    if (err != STORE_OK) {
        store_failed(r, err);
        return;
    }
    bool more;
    struct json_writer *w = report_json(r);
    jw_member_array(w, "records");
    err = scan(reader, &l, from, until, &more);
    store_reader_free(reader);
    if (err != STORE_OK) {
        store_failed(r, err);
        return;
    }
    jw_array_end(w);
    char next[64];
    snprintf(next, sizeof(next), "%lld.%llu", (long long)l.last.committed_us,
             (unsigned long long)l.last.seq);
    jw_key(w, SLICE_LIT("next"));
    if (more || l.n == l.limit)
        jw_str(w, slice_str(next));
    else
        jw_null(w);
}

/* ---- verify ---- */

void report_ledger_verify(struct report *r)
{
    struct store_txn *reader;
    struct ledger_verified v = {0};
    struct errbuf e = {0};
    char head[2 * LEDGER_HASH_BYTES + 1];
    enum store_err err = store_reader_new(r->ledger, &reader);
    if (err == STORE_OK) {
        err = ledger_verify(reader, &v, &e);
        store_reader_free(reader);
    }
    if (err != STORE_OK && err != STORE_CORRUPT) {
        store_failed(r, err);
        return;
    }
    crypto_hex(v.head, LEDGER_HASH_BYTES, head);
    struct json_writer *w = report_json(r);
    jw_member_bool(w, "valid", err == STORE_OK);
    if (err != STORE_OK)
        jw_member_str(w, "fault", slice_str(e.msg));
    jw_member_u64(w, "records", v.records);
    jw_member_u64(w, "first_seq", v.first_seq);
    jw_member_u64(w, "last_seq", v.last_seq);
    jw_member_u64(w, "days", v.days);
    jw_member_i64(w, "unpriced", v.totals.unpriced);
    jw_member_i64(w, "cost_nusd", v.totals.cost_nusd);
    jw_member_str(w, "head", slice_str(head));
}

/* ---- usage ---- */

struct group {
    struct slice name;
    struct ledger_totals totals;
};

/* Open addressing over at most GROUPS_MAX names; twice as many places. */
struct groups {
    struct arena arena;
    int by; /* enum ledger_name, or -1: the day */
    unsigned n;
    bool full;
    struct group *v;
    uint16_t place[2 * GROUPS_MAX]; /* index + 1 */
    struct ledger_totals all;
};

static struct group *group_of(struct groups *g, struct slice name)
{
    uint64_t h = slice_hash(name);
    for (;; h++) {
        uint16_t *p = &g->place[h % ARRAY_LEN(g->place)];
        if (*p && slice_eq(g->v[*p - 1].name, name))
            return &g->v[*p - 1];
        if (*p)
            continue;
        struct slice copy = arena_dup(&g->arena, name);
        if (g->n == GROUPS_MAX || (name.n && !copy.p))
            return NULL;
        g->v[g->n].name = copy;
        *p = (uint16_t)++g->n;
        return &g->v[g->n - 1];
    }
}

static bool add_rollup(void *arg, const struct ledger_rollup *r)
{
    struct groups *g = arg;
    char day[CLOCK_RFC3339_BYTES];
    struct slice name;
    if (g->by < 0) {
        clock_format_rfc3339((int64_t)r->day * DAY_US, day);
        name = slice_of(day, 10);
    } else {
        name = r->names[g->by];
    }
    struct group *to = group_of(g, name);
    if (!to) {
        g->full = true;
        return false;
    }
    ledger_totals_add(&to->totals, &r->totals);
    ledger_totals_add(&g->all, &r->totals);
    return true;
}

static void put_totals(struct json_writer *w, const struct ledger_totals *t)
{
    jw_member_i64(w, "requests", t->requests);
    jw_member_i64(w, "attempts", t->attempts);
    for (unsigned s = LEDGER_SETTLED; s <= LEDGER_UNSETTLED; s++) {
        jw_key(w, slice_str(ledger_state_name(s)));
        jw_i64(w, t->states[s - LEDGER_SETTLED]);
    }
    jw_member_i64(w, "unpriced", t->unpriced);
    put_usage(w, t->usage);
    jw_member_i64(w, "cost_nusd", t->cost_nusd);
    put_usd(w, "cost_usd", t->cost_nusd);
}

static int by_cost(const void *a, const void *b)
{
    const struct group *x = a, *y = b;
    if (x->totals.cost_nusd != y->totals.cost_nusd)
        return x->totals.cost_nusd < y->totals.cost_nusd ? 1 : -1;
    if (x->totals.attempts != y->totals.attempts)
        return x->totals.attempts < y->totals.attempts ? 1 : -1;
    return 0;
}

static int query_by(struct report *r, int *by)
{
    char text[64] = "day";
    report_query(r, "by", text, sizeof(text));
    *by = -1;
    if (strcmp(text, "day") == 0)
        return 0;
    for (int n = 0; n < LEDGER_UPSTREAM_REQUEST_ID; n++)
        if (strcmp(text, ledger_name_name(n)) == 0) {
            *by = n;
            return 0;
        }
    report_error(r, 400, "bad_parameter",
                 "by: expected day, key, team, customer, model, provider, upstream_model, "
                 "credential or tags, got \"%s\"",
                 text);
    return -1;
}

static void answer_usage(struct report *r, struct groups *g, int64_t since, int64_t until)
{
    struct json_writer *w = report_json(r);
    if (g->by >= 0) /* days come in order */
        qsort(g->v, g->n, sizeof(*g->v), by_cost);
    jw_member_str(w, "by", slice_str(g->by < 0 ? "day" : ledger_name_name(g->by)));
    report_put_time(w, "since", since / DAY_US * DAY_US);
    report_put_time(w, "until", until);
    jw_member_array(w, "usage");
    for (unsigned i = 0; i < g->n; i++) {
        jw_object(w);
        jw_member_str(w, "name", g->v[i].name);
        if (g->by == LEDGER_KEY)
            put_name_of_key(r, g->v[i].name);
        put_totals(w, &g->v[i].totals);
        jw_object_end(w);
    }
    jw_array_end(w);
    jw_member_object(w, "total");
    put_totals(w, &g->all);
    jw_object_end(w);
}

static enum store_err collect(struct report *r, struct groups *g, int64_t since, int64_t until)
{
    struct store_txn *reader;
    enum store_err err = store_reader_new(r->ledger, &reader);
    if (err != STORE_OK)
        return err;
    err = ledger_rollups(reader, ledger_day(since), ledger_day(until), add_rollup, g);
    store_reader_free(reader);
    return err;
}

/* Whole UTC days. */
void report_usage(struct report *r)
{
    int64_t now = clock_wall_us(), since, until;
    int by;
    if (query_by(r, &by) < 0 || query_time(r, "since", now - 30 * DAY_US, &since) < 0 ||
        query_time(r, "until", now, &until) < 0)
        return;
    struct groups *g = gw_xcalloc(1, sizeof(*g));
    g->by = by;
    g->v = gw_xcalloc(GROUPS_MAX, sizeof(*g->v));
    arena_init(&g->arena, NULL, 0, GROUP_BYTES_MAX);
    enum store_err err = collect(r, g, since, GW_MIN(until, now));
    if (err != STORE_OK)
        store_failed(r, err);
    else if (g->full)
        report_error(r, 400, "too_many_groups",
                     "more than %d of them: ask for fewer days, or by another name", GROUPS_MAX);
    else
        answer_usage(r, g, since, GW_MIN(until, now));
    arena_reset(&g->arena);
    free(g->v);
    free(g);
}
