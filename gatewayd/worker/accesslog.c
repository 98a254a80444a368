/*
 * accesslog.c: writing the request line.
 *
 * Fields that don't apply are left out. A name of absurd length makes the line too long for its
 * buffer: then the line is cut down to what identifies the request, and says so.
 */
#include "gatewayd/worker/accesslog.h"

#include "common/json.h"
#include "common/log.h"

enum { LINE_BYTES = 16384, STATUS_CLIENT_CLOSED = 499 };

static void member(struct json_writer *w, struct slice key, struct slice v)
{
    if (v.n == 0)
        return;
    jw_key_plain(w, key);
    jw_str(w, v);
}
#define member_lit(w, lit, v) member((w), SLICE_LIT(lit), (v))

/* "12.345": milliseconds with microseconds behind the point, without going through a float. */
static void member_ms(struct json_writer *w, struct slice key, int64_t us)
{
    char text[32], *p = text + sizeof text;
    if (us < 0)
        return;
    for (int digits = 0; us > 0 || digits < 4; digits++, us /= 10) {
        if (digits == 3)
            *--p = '.';
        *--p = (char)('0' + us % 10);
    }
    jw_key_plain(w, key);
    jw_raw(w, slice_of(p, (size_t)(text + sizeof text - p)));
}
#define member_ms_lit(w, lit, us) member_ms((w), SLICE_LIT(lit), (us))

/* A W3C trace id out of "00-<32 hex>-<16 hex>-<2 hex>". */
static struct slice trace_id(const struct req *r)
{
    struct slice tp = http_fields_get(&r->head.fields, HTTP_H_TRACEPARENT);
    if (tp.n < 55 || tp.p[2] != '-' || tp.p[35] != '-')
        return slice_of(NULL, 0);
    return slice_of(tp.p + 3, 32);
}

static void write_identity(struct json_writer *w, const struct req *r, int64_t now_wall_us)
{
    char ts[CLOCK_RFC3339_BYTES];
    clock_format_rfc3339(now_wall_us, ts);
    jw_member_str(w, "ts", slice_str(ts));
    jw_member_str(w, "id", slice_str(r->id_text));
}

static void write_who(struct json_writer *w, const struct req *r)
{
    char client[NET_ADDR_TEXT_BYTES];
    member_lit(w, "upstream_request_id", r->upstream_request_id);
    member_lit(w, "trace_id", trace_id(r));
    member_lit(w, "key", r->who.name);
    member_lit(w, "team", r->who.team);
    member_lit(w, "customer", r->who.customer);
    member_lit(w, "end_user", dialect_name_slice(&r->ask.user));
    member_lit(w, "client", slice_str(net_addr_format_ip(&r->client, client)));
}

static void write_what(struct json_writer *w, const struct req *r)
{
    member_lit(w, "method", slice_str(http_method_name(r->head.method)));
    member_lit(w, "path", r->path);
    if (r->route && r->route->metering == ROUTE_METERED)
        member_lit(w, "dialect", slice_str(r->dialect->name));
    member_lit(w, "model", r->model ? r->model->name : dialect_name_slice(&r->ask.model));
    if (r->current) {
        const struct conf_target *t = r->current->target;
        jw_key_plain(w, SLICE_LIT("target"));
        jw_str_begin(w);
        jw_str_add(w, t->provider->name);
        jw_str_add(w, SLICE_LIT("/"));
        jw_str_add(w, t->upstream_model);
        jw_str_end(w);
        member_lit(w, "credential", r->current->credential->name);
    }
}

static void write_outcome(struct json_writer *w, const struct req *r)
{
    jw_member_i64(w, "status", r->client_gone && !r->status ? STATUS_CLIENT_CLOSED : r->status);
    if (r->upstream_status)
        jw_member_i64(w, "upstream_status", r->upstream_status);
    if (r->code)
        member_lit(w, "error_code", slice_str(r->code));
    if (r->client_gone)
        member_lit(w, "reason", SLICE_LIT("client gone"));
    else if (r->reason)
        member_lit(w, "reason", slice_str(r->reason));
    member_lit(w, "finish_reason", dialect_name_slice(&r->finish_reason));
    if (r->n_attempts)
        jw_member_u64(w, "attempts", r->n_attempts);
    struct slice retry = http_fields_get(&r->head.fields, HTTP_H_X_STAINLESS_RETRY_COUNT);
    uint64_t count;
    if (slice_to_u64(retry, 1000, &count) == 0 && count > 0)
        jw_member_u64(w, "client_retry", count);
    if (r->ask.stream)
        jw_member_bool(w, "stream", true);
}

static void write_usage(struct json_writer *w, const struct req *r)
{
    const int64_t *u = r->charged_usage;
    if (!r->money_state)
        return;
    jw_member_i64(w, "input_tokens", u[LEDGER_INPUT] + u[LEDGER_CACHED] + u[LEDGER_CACHE_WRITE]);
    if (u[LEDGER_CACHED])
        jw_member_i64(w, "cached_tokens", u[LEDGER_CACHED]);
    if (u[LEDGER_CACHE_WRITE])
        jw_member_i64(w, "cache_write_tokens", u[LEDGER_CACHE_WRITE]);
    jw_member_i64(w, "output_tokens", u[LEDGER_OUTPUT]);
    if (u[LEDGER_REASONING])
        jw_member_i64(w, "reasoning_tokens", u[LEDGER_REASONING]);
    if (u[LEDGER_UNITS])
        jw_member_i64(w, "units", u[LEDGER_UNITS]);
    member_lit(w, "usage_state", slice_str(r->money_state));
}

static void write_times(struct json_writer *w, const struct req *r, int64_t now_us)
{
    int64_t from = r->body_complete_us ? r->body_complete_us : r->started_us;
    member_ms_lit(w, "ttfb_ms", r->first_byte_us ? r->first_byte_us - r->started_us : -1);
    member_ms_lit(w, "total_ms", now_us - r->started_us);
    if (r->n_attempts)
        member_ms_lit(w, "upstream_ms", r->upstream_us);
    jw_member_i64(w, "overhead_us", GW_MAX(now_us - from - r->upstream_us, (int64_t)0));
    jw_member_i64(w, "bytes_in", r->bytes_from_client);
    jw_member_i64(w, "bytes_out", r->bytes_to_client);
    jw_member_u64(w, "worker", r->w->child->slot);
    jw_member_u64(w, "generation", r->snap->generation);
}

static void write_cut_line(const struct req *r, int64_t now_wall_us)
{
    char line[512];
    struct json_writer w;
    size_t n;
    jw_init_fixed(&w, line, sizeof line);
    jw_object(&w);
    write_identity(&w, r, now_wall_us);
    jw_member_i64(&w, "status", r->status);
    jw_member_bool(&w, "line_too_long", true);
    jw_object_end(&w);
    if (jw_finish(&w, &n) == 0)
        log_line(line, n);
}

void accesslog_request(struct req *r)
{
    char line[LINE_BYTES];
    struct json_writer w;
    size_t n;
    int64_t now_us = clock_mono_us();
    int64_t now_wall_us = r->started_wall_us + (now_us - r->started_us);
    jw_init_fixed(&w, line, sizeof line);
    jw_object(&w);
    write_identity(&w, r, now_wall_us);
    write_who(&w, r);
    write_what(&w, r);
    write_outcome(&w, r);
    write_usage(&w, r);
    write_times(&w, r, now_us);
    jw_object_end(&w);
    if (jw_finish(&w, &n) == 0)
        log_line(line, n);
    else
        write_cut_line(r, now_wall_us);
    worker_logged(r->w);
}

void accesslog_bad_head(const struct conn *c, const char *id_text, const struct http_error *err)
{
    char line[1024], ts[CLOCK_RFC3339_BYTES], client[NET_ADDR_TEXT_BYTES];
    struct json_writer w;
    size_t n;
    clock_format_rfc3339(clock_wall_us(), ts);
    jw_init_fixed(&w, line, sizeof line);
    jw_object(&w);
    jw_member_str(&w, "ts", slice_str(ts));
    jw_member_str(&w, "id", slice_str(id_text));
    jw_member_str(&w, "client", slice_str(net_addr_format_ip(&c->peer, client)));
    jw_member_i64(&w, "status", err->status);
    jw_member_str(&w, "error_code", SLICE_LIT("bad_http"));
    jw_member_str(&w, "reason", slice_str(err->reason));
    jw_member_u64(&w, "worker", c->w->child->slot);
    jw_object_end(&w);
    if (jw_finish(&w, &n) == 0)
        log_line(line, n);
    worker_logged(c->w);
}
