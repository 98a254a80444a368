/*
 * gemini_error.c: errors as Google's APIs word them, read and written:
 * {"error":{"code","message","status","details"}} (cloud.google.com/apis/design/errors,
 * ai.google.dev/gemini-api/docs/troubleshooting). Without alt=sse it comes inside an array.
 */
#include "gatewayd/dialect/gemini.h"

uint32_t gemini_error_object(const struct json_doc *d)
{
    uint32_t root = JSON_ROOT;
    if (json_type(d, root) == JSON_ARRAY && json_count(d, root))
        root++;
    uint32_t error = json_get_lit(d, root, "error");
    return json_type(d, error) == JSON_OBJECT ? error : JSON_NONE;
}

static bool says(const struct json_doc *d, uint32_t error, const char *words)
{
    uint32_t v = json_get_lit(d, error, "message");
    struct slice message = json_raw(d, v);
    return json_type(d, v) == JSON_STRING &&
           memmem(message.p, message.n, words, strlen(words)) != NULL;
}

/* google.rpc.ErrorInfo in the details (github.com/googleapis/googleapis, google/api/error_reason):
 * a key that isn't valid comes as 400 INVALID_ARGUMENT and is told by its reason alone. */
static bool has_reason(const struct json_doc *d, uint32_t error, struct slice reason)
{
    json_foreach_element(d, json_get_lit(d, error, "details"), e)
    {
        if (json_str_eq(d, json_get_lit(d, e, "reason"), reason))
            return true;
    }
    return false;
}

static bool is_key_fault(const struct json_doc *d, uint32_t error)
{
    return has_reason(d, error, SLICE_LIT("API_KEY_INVALID")) ||
           has_reason(d, error, SLICE_LIT("API_KEY_SERVICE_BLOCKED")) ||
           has_reason(d, error, SLICE_LIT("ACCESS_TOKEN_EXPIRED")) ||
           says(d, error, "API key not valid") || says(d, error, "API key expired");
}

static bool is_context_fault(const struct json_doc *d, uint32_t error)
{
    return says(d, error, "exceeds the maximum number of tokens") ||
           says(d, error, "input token count");
}

static const struct {
    struct slice status;
    int code;
    enum dialect_fault fault;
} statuses[] = {
#define STATUS(lit, code, fault)                                                                   \
    {                                                                                              \
        {lit, sizeof(lit) - 1}, code, DIALECT_FAULT_##fault                                        \
    }
    STATUS("INVALID_ARGUMENT", 400, INVALID_REQUEST),
    STATUS("FAILED_PRECONDITION", 400, INVALID_REQUEST),
    STATUS("OUT_OF_RANGE", 400, INVALID_REQUEST),
    STATUS("UNAUTHENTICATED", 401, INVALID_KEY),
    STATUS("PERMISSION_DENIED", 403, PERMISSION),
    STATUS("NOT_FOUND", 404, MODEL_NOT_FOUND),
    STATUS("ALREADY_EXISTS", 409, INVALID_REQUEST),
    STATUS("ABORTED", 409, OVERLOADED),
    STATUS("RESOURCE_EXHAUSTED", 429, RATE_LIMIT),
    STATUS("CANCELLED", 499, SERVER),
    STATUS("INTERNAL", 500, SERVER),
    STATUS("UNKNOWN", 500, SERVER),
    STATUS("DATA_LOSS", 500, SERVER),
    STATUS("UNIMPLEMENTED", 501, INVALID_REQUEST),
    STATUS("UNAVAILABLE", 503, OVERLOADED),
    STATUS("DEADLINE_EXCEEDED", 504, TIMEOUT),
#undef STATUS
};

static enum dialect_fault fault_of_code(int64_t code)
{
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        if (statuses[i].code == code)
            return statuses[i].fault;
    if (code >= 500)
        return DIALECT_FAULT_SERVER;
    return code >= 400 ? DIALECT_FAULT_INVALID_REQUEST : DIALECT_FAULT_UNKNOWN;
}

enum dialect_fault gemini_fault(const struct json_doc *d, uint32_t error, int status)
{
    uint32_t word = json_get_lit(d, error, "status");
    int64_t code;
    if (is_key_fault(d, error))
        return DIALECT_FAULT_INVALID_KEY;
    if (has_reason(d, error, SLICE_LIT("BILLING_DISABLED")))
        return DIALECT_FAULT_QUOTA;
    if (is_context_fault(d, error))
        return DIALECT_FAULT_CONTEXT_LENGTH;
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        if (json_str_eq(d, word, statuses[i].status))
            return statuses[i].fault;
    if (json_i64(d, json_get_lit(d, error, "code"), &code) == 0 && code >= 400 && code <= 599)
        return fault_of_code(code);
    return fault_of_code(status);
}

enum dialect_fault gemini_read_error(struct json_doc *d, int status, struct slice body)
{
    if (json_parse(d, body.p, body.n) < 0)
        return fault_of_code(status);
    uint32_t error = gemini_error_object(d);
    return error == JSON_NONE ? fault_of_code(status) : gemini_fault(d, error, status);
}

/* google.rpc.RetryInfo: a Duration in its JSON spelling, "34.074824224s"
 * (protobuf.dev/reference/protobuf/google.protobuf, Duration). */
static int64_t duration_us(struct slice s)
{
    int64_t us = 0, unit = 1000000;
    size_t i = 0;
    for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9' && us < INT64_C(1000000) * 1000000; i++)
        us = us * 10 + (s.p[i] - '0') * INT64_C(1000000);
    if (i == 0)
        return -1;
    if (i < s.n && s.p[i] == '.')
        for (i++; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
            us += (s.p[i] - '0') * (unit /= 10);
    return i + 1 == s.n && s.p[i] == 's' ? us : -1;
}

int64_t gemini_read_retry_us(struct json_doc *d, struct slice body)
{
    if (json_parse(d, body.p, body.n) < 0)
        return -1;
    json_foreach_element(d, json_get_lit(d, gemini_error_object(d), "details"), e)
    {
        struct ir_text delay = ir_text_of(d, json_get_lit(d, e, "retryDelay"));
        if (ir_has(delay))
            return duration_us(delay.s);
    }
    return -1;
}

/* 402 has no like: a spent budget is an exhausted resource. */
const char *gemini_error_type(int status, const char *code)
{
    (void)code;
    switch (status) {
    case 402:
        return "RESOURCE_EXHAUSTED";
    case 408:
        return "DEADLINE_EXCEEDED";
    case 502:
        return "UNAVAILABLE";
    default:
        break;
    }
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        if (statuses[i].code == status)
            return statuses[i].status.p;
    return status >= 500 ? "INTERNAL" : "INVALID_ARGUMENT";
}

/* The gateway's own code is the reason of an ErrorInfo, and the member a field violation: what the
 * message says in words, for programs. */
static void put_details(struct json_writer *w, const struct dialect_error *e)
{
    bool reason = e->code && *e->code, field = e->param && *e->param;
    if (!reason && !field)
        return;
    jw_member_array(w, "details");
    if (reason) {
        jw_object(w);
        jw_member_str(w, "@type", SLICE_LIT("type.googleapis.com/google.rpc.ErrorInfo"));
        jw_member_str(w, "reason", slice_str(e->code));
        jw_member_str(w, "domain", SLICE_LIT("gatewayd"));
        jw_object_end(w);
    }
    if (field) {
        jw_object(w);
        jw_member_str(w, "@type", SLICE_LIT("type.googleapis.com/google.rpc.BadRequest"));
        jw_member_array(w, "fieldViolations");
        jw_object(w);
        jw_member_str(w, "field", slice_str(e->param));
        jw_member_str(w, "description", e->message);
        jw_object_end(w);
        jw_array_end(w);
        jw_object_end(w);
    }
    jw_array_end(w);
}

void gemini_write_error(struct json_writer *w, const struct dialect_error *e)
{
    int status = e->status ? e->status : 500;
    jw_object(w);
    jw_member_object(w, "error");
    jw_member_i64(w, "code", status);
    jw_member_str(w, "message", e->message);
    jw_member_str(w, "status", slice_str(gemini_error_type(status, e->code)));
    put_details(w, e);
    jw_object_end(w);
    jw_object_end(w);
}

int gemini_write_stream_error(struct buf *out, const struct dialect_error *e)
{
    struct json_writer w;
    size_t n;
    jw_init_buf(&w, out);
    jw_raw(&w, SLICE_LIT("data: "));
    w.comma = false;
    gemini_write_error(&w, e);
    w.comma = false;
    jw_raw(&w, SLICE_LIT("\n\n"));
    return jw_finish(&w, &n);
}
