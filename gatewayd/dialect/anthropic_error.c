/*
 * anthropic_error.c: errors, read and written.
 *
 * {"type":"error","error":{"type","message"},"request_id"} in answers and in `event: error`
 * (platform.claude.com/docs/en/api/errors). An account without credit is a 400
 * invalid_request_error, a prompt that is too long likewise; only their messages tell.
 */
#include "gatewayd/dialect/anthropic.h"

static const struct {
    struct slice word;
    enum dialect_fault fault;
    int status;
} types[] = {
#define TYPE(lit, fault, status)                                                                   \
    {                                                                                              \
        {lit, sizeof(lit) - 1}, DIALECT_FAULT_##fault, status                                      \
    }
    TYPE("invalid_request_error", INVALID_REQUEST, 400),
    TYPE("authentication_error", INVALID_KEY, 401),
    TYPE("billing_error", QUOTA, 402),
    TYPE("permission_error", PERMISSION, 403),
    TYPE("not_found_error", MODEL_NOT_FOUND, 404),
    TYPE("request_too_large", INVALID_REQUEST, 413),
    TYPE("rate_limit_error", RATE_LIMIT, 429),
    TYPE("api_error", SERVER, 500),
    TYPE("overloaded_error", OVERLOADED, 503),
    TYPE("timeout_error", TIMEOUT, 504),
    TYPE("overloaded_error", OVERLOADED, 529),
#undef TYPE
};

/* What an invalid_request_error is about, as far as its message says. */
static const struct {
    const char *words;
    enum dialect_fault fault;
} meanings[] = {
    {"credit balance is too low", DIALECT_FAULT_QUOTA},
    {"specified API usage limits", DIALECT_FAULT_QUOTA},
    {"prompt is too long", DIALECT_FAULT_CONTEXT_LENGTH},
    {"exceed context limit", DIALECT_FAULT_CONTEXT_LENGTH},
    {"exceeds the maximum context", DIALECT_FAULT_CONTEXT_LENGTH},
    {"content filtering policy", DIALECT_FAULT_CONTENT_POLICY},
};

static enum dialect_fault fault_of_status(int status)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (types[i].status == status)
            return types[i].fault;
    if (status == 408)
        return DIALECT_FAULT_TIMEOUT;
    if (status >= 500)
        return DIALECT_FAULT_SERVER;
    return status >= 400 ? DIALECT_FAULT_INVALID_REQUEST : DIALECT_FAULT_UNKNOWN;
}

static enum dialect_fault fault_of_message(const struct json_doc *d, uint32_t message)
{
    struct slice text = json_raw(d, message);
    for (size_t i = 0; i < ARRAY_LEN(meanings) && json_type(d, message) == JSON_STRING; i++)
        if (memmem(text.p, text.n, meanings[i].words, strlen(meanings[i].words)))
            return meanings[i].fault;
    return DIALECT_FAULT_NONE;
}

enum dialect_fault anthropic_fault(const struct json_doc *d, uint32_t error, int status)
{
    uint32_t type = json_get_lit(d, error, "type");
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (!json_str_eq(d, type, types[i].word))
            continue;
        enum dialect_fault f = types[i].fault == DIALECT_FAULT_INVALID_REQUEST
                                   ? fault_of_message(d, json_get_lit(d, error, "message"))
                                   : DIALECT_FAULT_NONE;
        return f != DIALECT_FAULT_NONE ? f : types[i].fault;
    }
    return fault_of_status(status);
}

enum dialect_fault anthropic_read_error(struct json_doc *d, int status, struct slice body)
{
    if (json_parse(d, body.p, body.n) < 0)
        return fault_of_status(status);
    return anthropic_fault(d, json_get_lit(d, JSON_ROOT, "error"), status);
}

/* ---- writing ---- */

const char *anthropic_error_type(int status, const char *code)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (types[i].status == status)
            return types[i].word.p;
    return status >= 500 ? "api_error" : "invalid_request_error";
}

const char *anthropic_fault_type(enum dialect_fault f)
{
    switch (f) {
    case DIALECT_FAULT_CONTEXT_LENGTH:
    case DIALECT_FAULT_CONTENT_POLICY:
        return "invalid_request_error";
    default:
        for (size_t i = 0; i < ARRAY_LEN(types); i++)
            if (types[i].fault == f)
                return types[i].word.p;
        return "api_error";
    }
}

/* request_id: docs.claude.com/en/api/errors, "Error shapes". */
static void write_error(struct json_writer *w, const char *type, struct ir_text message,
                        struct slice request_id)
{
    jw_object(w);
    jw_member_str(w, "type", SLICE_LIT("error"));
    jw_member_object(w, "error");
    jw_member_str(w, "type", slice_str(type));
    ir_member(w, "message", message);
    jw_object_end(w);
    if (request_id.n)
        jw_member_str(w, "request_id", request_id);
    jw_object_end(w);
}

void anthropic_write_error(struct json_writer *w, const struct dialect_error *e)
{
    write_error(w, e->type, ir_plain(e->message), e->request_id);
}

int anthropic_write_error_event(struct buf *out, const char *type, struct ir_text message,
                                struct slice request_id)
{
    struct json_writer w;
    size_t before = out->len, n;
    if (buf_printf(out, "event: error\ndata: ") < 0)
        return -1;
    jw_init_buf(&w, out);
    write_error(&w, type, ir_has(message) ? message : IR_LIT(""), request_id);
    if (jw_finish(&w, &n) == 0 && buf_append(out, "\n\n", 2) == 0)
        return 0;
    out->len = before;
    return -1;
}

int anthropic_write_stream_error(struct buf *out, const struct dialect_error *e)
{
    return anthropic_write_error_event(out, e->type, ir_plain(e->message), e->request_id);
}
