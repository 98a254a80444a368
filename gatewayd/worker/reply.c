/*
 * reply.c: heads and bodies of the gateway's own answers.
 */
#include "gatewayd/worker/reply.h"

#include "common/check.h"
#include "gatewayd/worker/accesslog.h"
#include "gatewayd/worker/attempt.h"
#include "gatewayd/worker/auth.h"
#include "gatewayd/worker/bound.h"
#include "gatewayd/worker/headwriter.h"
#include "gatewayd/worker/models.h"

enum { ORIGIN_MAX_BYTES = 512, ERROR_BODY_BYTES = 2048 };

static const struct {
    int status;
    const char *text;
} statuses[] = {
    {200, "OK"},
    {204, "No Content"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

const char *reply_status_text(int status)
{
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        if (statuses[i].status == status)
            return statuses[i].text;
    return status < 500 ? "Client Error" : "Server Error";
}

static void write_status_line(struct headwriter *h, int status)
{
    if (status == 200) {
        headwriter_lit(h, "HTTP/1.1 200 OK\r\n");
        return;
    }
    headwriter_lit(h, "HTTP/1.1 ");
    headwriter_u64(h, (uint64_t)status);
    headwriter_lit(h, " ");
    headwriter_put(h, slice_str(reply_status_text(status)));
    headwriter_lit(h, "\r\n");
}

static bool origin_allowed(const struct req *r, struct slice *origin)
{
    const struct conf_slices *allowed = &r->snap->conf->http.cors_origins;
    *origin = http_fields_get(&r->head.fields, HTTP_H_ORIGIN);
    if (origin->n == 0 || origin->n > ORIGIN_MAX_BYTES)
        return false;
    for (uint32_t i = 0; i < allowed->n; i++)
        if (slice_eq_str(allowed->v[i], "*") || slice_eq(allowed->v[i], *origin))
            return true;
    return false;
}

static void write_cors(struct headwriter *h, const struct req *r)
{
    struct slice origin;
    if (r->snap->conf->http.cors_origins.n == 0)
        return;
    headwriter_lit(h, "vary: origin\r\n");
    if (!origin_allowed(r, &origin))
        return;
    headwriter_field_lit(h, "access-control-allow-origin", origin);
    headwriter_lit(h, "access-control-expose-headers: *\r\n");
}

/* Time that the gateway itself has spent so far: the waits for the body and for providers are not
 * its own. */
static uint64_t overhead_us(const struct req *r)
{
    int64_t from = r->body_complete_us ? r->body_complete_us : r->started_us;
    int64_t us = clock_mono_us() - from - r->upstream_us;
    return us > 0 ? (uint64_t)us : 0;
}

static void write_gateway_fields(struct headwriter *h, const struct req *r)
{
    headwriter_field_lit(h, "x-request-id", slice_str(r->id_text));
    if (r->dialect->request_id_field)
        headwriter_field(h, slice_str(r->dialect->request_id_field), slice_str(r->id_text));
    if (r->dropped.n)
        headwriter_field_lit(h, "x-gw-dropped", r->dropped);
    if (r->estimated)
        headwriter_lit(h, "x-gw-estimated: input_tokens\r\n");
    if (r->n_attempts == 0)
        return;
    if (r->current) {
        const struct conf_target *t = r->current->target;
        headwriter_lit(h, "x-gw-target: ");
        headwriter_put(h, t->provider->name);
        if (t->upstream_model.n) {
            headwriter_lit(h, "/");
            headwriter_put(h, t->upstream_model);
        }
        headwriter_lit(h, "\r\n");
    }
    headwriter_field_u64(h, "x-gw-attempts", r->n_attempts);
    if (r->upstream_request_id.n)
        headwriter_field_lit(h, "x-gw-upstream-request-id", r->upstream_request_id);
    headwriter_field_u64(h, "x-gw-overhead-us", overhead_us(r));
}

static void write_framing(struct headwriter *h, const struct reply_head *rh)
{
    if (rh->content_type.n)
        headwriter_field_lit(h, "content-type", rh->content_type);
    if (rh->framing == REPLY_LENGTH && rh->status != 204)
        headwriter_field_u64(h, "content-length", rh->length);
    else if (rh->framing == REPLY_CHUNKED)
        headwriter_lit(h, "transfer-encoding: chunked\r\n");
}

struct slice reply_write_head(struct req *r, const struct reply_head *rh,
                              char out[REPLY_HEAD_BYTES])
{
    struct headwriter h;
    struct conn *c = r->conn;
    if (!r->body_complete || rh->framing == REPLY_UNTIL_CLOSE || c->w->mode != WORKER_SERVING)
        c->close_after = true;
    headwriter_init(&h, out, REPLY_HEAD_BYTES);
    write_status_line(&h, rh->status);
    write_framing(&h, rh);
    write_gateway_fields(&h, r);
    write_cors(&h, r);
    headwriter_put(&h, rh->extra);
    if (c->close_after)
        headwriter_lit(&h, "connection: close\r\n");
    else if (r->http10)
        headwriter_lit(&h, "connection: keep-alive\r\n");
    return headwriter_end(&h);
}

static void send_whole(struct req *r, const struct reply_head *rh, struct slice body)
{
    char mem[REPLY_HEAD_BYTES];
    struct slice head = reply_write_head(r, rh, mem);
    if (gw_fails(head.n > 0))
        return;
    if (r->head.method == HTTP_M_HEAD)
        body.n = 0;
    struct iovec iov[2] = {{(void *)head.p, head.n}, {(void *)body.p, body.n}};
    r->first_byte_us = clock_mono_us();
    r->answer_complete = conn_send(r->conn, iov, body.n ? 2 : 1);
    r->bytes_to_client += (int64_t)(head.n + body.n);
}

static void reply_body(struct req *r, int status, struct slice body, struct slice extra)
{
    r->status = status;
    struct reply_head rh = {
        .status = status,
        .content_type = body.n ? SLICE_LIT("application/json") : slice_of(NULL, 0),
        .framing = REPLY_LENGTH,
        .length = body.n,
        .extra = extra,
    };
    send_whole(r, &rh, body);
}

void reply_json(struct req *r, int status, struct slice json)
{
    reply_body(r, status, json, slice_of(NULL, 0));
}

static void write_retry_fields(struct headwriter *h, const struct req *r)
{
    bool retryable = r->status == 408 || r->status == 409 || r->status == 429 || r->status >= 500;
    int64_t wait_us =
        r->status == 503 && r->min_retry_after_us < 0 ? 1000000 : r->min_retry_after_us;
    if (!retryable)
        return;
    if ((r->status == 429 || r->status == 503) && wait_us >= 0) {
        headwriter_field_u64(h, "retry-after", (uint64_t)((wait_us + 999999) / 1000000));
        headwriter_field_u64(h, "retry-after-ms", (uint64_t)((wait_us + 999) / 1000));
    }
    if (r->maybe_billed || wait_us > RETRY_AFTER_MAX_US)
        headwriter_lit(h, "x-should-retry: false\r\n");
    else if (!r->maybe_sent)
        headwriter_lit(h, "x-should-retry: true\r\n");
}

static void write_status_fields(struct headwriter *h, const struct req *r)
{
    if (r->status == 401)
        headwriter_lit(h, "www-authenticate: Bearer\r\n"); /* RFC 9110 section 15.5.2 */
    if (r->status == 405 && r->route) {
        char methods[ROUTE_METHODS_BYTES];
        route_methods(r->path, methods);
        headwriter_field_lit(h, "allow", slice_str(methods));
    }
}

static struct slice error_body(const struct dialect *d, char *mem, size_t cap,
                               const struct dialect_error *e)
{
    struct json_writer w;
    size_t n;
    jw_init_fixed(&w, mem, cap);
    d->write_error(&w, e);
    return jw_finish(&w, &n) == 0 ? slice_of(mem, n) : slice_of(NULL, 0);
}

void reply_error(struct req *r, const char *param)
{
    char body[ERROR_BODY_BYTES], extra[512];
    struct dialect_error e = {
        .message = slice_str(r->detail),
        .type = r->dialect->error_type(r->status, r->code),
        .param = param,
        .code = r->code,
        .status = r->status,
        .request_id = slice_str(r->id_text),
    };
    struct headwriter h;
    headwriter_init(&h, extra, sizeof extra);
    write_retry_fields(&h, r);
    write_status_fields(&h, r);
    if (r->dialect->error_type_field)
        headwriter_field(&h, slice_str(r->dialect->error_type_field), slice_str(e.type));
    reply_body(r, r->status, error_body(r->dialect, body, sizeof body, &e),
               slice_of(extra, (size_t)(h.at - extra)));
}

static const struct dialect *dialect_of_head(struct slice head)
{
    struct slice line = slice_split(&head, '\n');
    (void)slice_split(&line, ' ');
    return route_error_dialect(line);
}

void reply_bad_head(struct conn *c, struct slice raw, const struct http_error *err)
{
    const struct dialect *d = dialect_of_head(raw);
    char body[ERROR_BODY_BYTES], head[512], id_text[CRYPTO_REQUEST_ID_TEXT_BYTES], message[200];
    uint8_t id[CRYPTO_REQUEST_ID_BYTES];
    crypto_request_id(clock_wall_us(), id);
    crypto_request_id_text(id, id_text);
    snprintf(message, sizeof message, "malformed HTTP request: %s (byte %u of the head)",
             err->reason, err->offset);
    struct dialect_error e = {.message = slice_str(message),
                              .type = d->error_type(err->status, "bad_http"),
                              .code = "bad_http",
                              .status = err->status,
                              .request_id = slice_str(id_text)};
    struct slice b = error_body(d, body, sizeof body, &e);
    struct headwriter h;
    headwriter_init(&h, head, sizeof head);
    write_status_line(&h, err->status);
    write_framing(&h, &(struct reply_head){.status = err->status,
                                           .content_type = SLICE_LIT("application/json"),
                                           .framing = REPLY_LENGTH,
                                           .length = b.n});
    headwriter_field_lit(&h, "x-request-id", slice_str(id_text));
    if (d->error_type_field)
        headwriter_field(&h, slice_str(d->error_type_field), slice_str(e.type));
    if (c->w->current->conf->http.cors_origins.n) /* whose origin it is isn't known */
        headwriter_lit(&h, "vary: origin\r\n");
    headwriter_lit(&h, "connection: close\r\n");
    struct slice hs = headwriter_end(&h);
    struct iovec iov[2] = {{(void *)hs.p, hs.n}, {(void *)b.p, b.n}};
    conn_send(c, iov, 2);
    accesslog_bad_head(c, id_text, err);
}

struct slice reply_overload(char out[REPLY_OVERLOAD_BYTES])
{
    char body[256], id_text[CRYPTO_REQUEST_ID_TEXT_BYTES];
    uint8_t id[CRYPTO_REQUEST_ID_BYTES];
    crypto_request_id(clock_wall_us(), id);
    crypto_request_id_text(id, id_text);
    struct dialect_error e = {
        .message = SLICE_LIT("the gateway has as many connections as max_connections allows"),
        .type = dialect_openai.error_type(503, "overloaded"),
        .code = "overloaded",
        .status = 503};
    struct slice b = error_body(&dialect_openai, body, sizeof body, &e);
    struct headwriter h;
    headwriter_init(&h, out, REPLY_OVERLOAD_BYTES);
    write_status_line(&h, 503);
    write_framing(&h, &(struct reply_head){.status = 503,
                                           .content_type = SLICE_LIT("application/json"),
                                           .framing = REPLY_LENGTH,
                                           .length = b.n});
    headwriter_field_lit(&h, "x-request-id", slice_str(id_text));
    headwriter_lit(&h, "retry-after: 1\r\nx-should-retry: true\r\nconnection: close\r\n\r\n");
    headwriter_put(&h, b);
    return h.full ? slice_of(NULL, 0) : slice_of(out, (size_t)(h.at - out));
}

bool reply_preflight(struct req *r)
{
    struct slice origin;
    const struct http_fields *f = &r->head.fields;
    struct slice want = http_fields_get(f, HTTP_H_ACCESS_CONTROL_REQUEST_HEADERS);
    char extra[2048];
    struct headwriter h;
    if (r->head.method != HTTP_M_OPTIONS ||
        !http_fields_count(f, HTTP_H_ACCESS_CONTROL_REQUEST_METHOD) || !origin_allowed(r, &origin))
        return false;
    headwriter_init(&h, extra, sizeof extra);
    headwriter_lit(&h, "access-control-allow-methods: GET, POST, PATCH, DELETE, OPTIONS\r\n"
                       "access-control-max-age: 7200\r\n");
    if (want.n && want.n <= 1024)
        headwriter_field_lit(&h, "access-control-allow-headers", want);
    reply_body(r, 204, slice_of(NULL, 0), slice_of(extra, (size_t)(h.at - extra)));
    return true;
}

/* ---- local endpoints ---- */

static void reply_ready(struct req *r)
{
    if (r->w->mode == WORKER_SERVING)
        reply_json(r, 200, SLICE_LIT("{\"status\":\"ready\"}"));
    else
        reply_json(r, 503, SLICE_LIT("{\"status\":\"draining\"}"));
}

void reply_count(struct req *r)
{
    const struct codec *codec = dialects_codec(r->route->dialect, r->route->op);
    struct ir_response answer = {.op = r->route->op,
                                 .usage.input_tokens = bound_estimate_input(&r->ask)};
    const struct codec_caller as = {.request_id = slice_str(r->id_text)};
    struct buf b;
    buf_init(&b, 1024);
    r->estimated = true;
    if (codec->write_response(&answer, &as, &b) == 0)
        reply_json(r, 200, buf_slice(&b));
    else
        req_fail(r, 500, "internal_error", "the answer does not fit into memory");
    buf_release(&b);
}

void reply_local(struct req *r)
{
    switch (r->route->id) {
    case ROUTE_HEALTHZ:
        reply_json(r, 200, SLICE_LIT("{\"status\":\"ok\"}"));
        break;
    case ROUTE_READYZ:
        reply_ready(r);
        break;
    case ROUTE_MODELS:
    case ROUTE_MODELS_ANTHROPIC:
    case ROUTE_MODELS_GEMINI:
        models_reply_list(r);
        break;
    default:
        models_reply_one(r);
        break;
    }
}
