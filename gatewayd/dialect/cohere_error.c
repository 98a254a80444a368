/*
 * cohere_error.c: errors, read and written.
 *
 * {"message"} and a status, which tells most (docs.cohere.com/reference/errors). 498 is sent for
 * requests that are blocked by the usage guidelines
 * (github.com/cohere-ai/cohere-developer-experience/pull/201). An answer that fails on its way ends
 * with message-end, its finish_reason ERROR and the message in delta.error.
 */
#include "gatewayd/dialect/cohere.h"

/* What the words of a message mean where the status alone would say something else. */
static const struct {
    int status;
    const char *words;
    enum dialect_fault fault;
} meanings[] = {
    {400, "too many tokens", DIALECT_FAULT_CONTEXT_LENGTH},
    {400, "context length", DIALECT_FAULT_CONTEXT_LENGTH},
    {422, "too many tokens", DIALECT_FAULT_CONTEXT_LENGTH},
    {404, "model", DIALECT_FAULT_MODEL_NOT_FOUND},
    {429, "/ month", DIALECT_FAULT_QUOTA},
    {429, "billing", DIALECT_FAULT_QUOTA},
};

static enum dialect_fault fault_of_status(int status)
{
    switch (status) {
    case 401:
        return DIALECT_FAULT_INVALID_KEY;
    case 402:
        return DIALECT_FAULT_QUOTA;
    case 403:
        return DIALECT_FAULT_PERMISSION;
    case 408:
    case 504:
        return DIALECT_FAULT_TIMEOUT;
    case 429:
        return DIALECT_FAULT_RATE_LIMIT;
    case 498:
        return DIALECT_FAULT_CONTENT_POLICY;
    case 503:
        return DIALECT_FAULT_OVERLOADED;
    default:
        break;
    }
    if (status >= 500)
        return DIALECT_FAULT_SERVER;
    return status >= 400 ? DIALECT_FAULT_INVALID_REQUEST : DIALECT_FAULT_UNKNOWN;
}

enum dialect_fault cohere_read_error(struct json_doc *d, int status, struct slice body)
{
    if (json_parse(d, body.p, body.n) < 0)
        return fault_of_status(status);
    struct slice text = json_raw(d, json_get_lit(d, JSON_ROOT, "message"));
    for (size_t i = 0; i < ARRAY_LEN(meanings) && text.p; i++)
        if (meanings[i].status == status &&
            memmem(text.p, text.n, meanings[i].words, strlen(meanings[i].words)))
            return meanings[i].fault;
    return fault_of_status(status);
}

/* ---- writing ---- */

/* An error of this API is its status and its message. */
const char *cohere_error_type(int status, const char *code)
{
    (void)status, (void)code;
    return "";
}

void cohere_write_error(struct json_writer *w, const struct dialect_error *e)
{
    jw_object(w);
    jw_member_str(w, "message", e->message);
    jw_object_end(w);
}

int cohere_write_error_event(struct buf *out, struct ir_text message)
{
    struct json_writer w;
    size_t before = out->len, n;
    if (buf_printf(out, "event: message-end\ndata: ") < 0)
        return -1;
    jw_init_buf(&w, out);
    jw_object(&w);
    jw_member_str(&w, "type", SLICE_LIT("message-end"));
    jw_member_object(&w, "delta");
    ir_member(&w, "error", ir_has(message) ? message : IR_LIT("the answer failed"));
    jw_member_str(&w, "finish_reason", SLICE_LIT("ERROR"));
    jw_object_end(&w);
    jw_object_end(&w);
    if (jw_finish(&w, &n) == 0 && buf_append(out, "\n\n", 2) == 0)
        return 0;
    out->len = before;
    return -1;
}

int cohere_write_stream_error(struct buf *out, const struct dialect_error *e)
{
    return cohere_write_error_event(out, ir_plain(e->message));
}
