/*
 * openai_error.c: error objects, read and written.
 *
 * {"error":{"message","type","param","code"}} is the API's form. Compatible servers vary: `code` as
 * a number (OpenRouter), the bare object with "object":"error" (older vLLM), a string for `error`
 * (Ollama), so what isn't told by a code is told by the message or the status.
 */
#include "gatewayd/dialect/openai.h"

/* Values of `code` and `type`, see platform.openai.com/docs/guides/error-codes; the rest are those
 * of Azure OpenAI and of compatible servers. */
static const struct {
    struct slice word;
    enum dialect_fault fault;
} words[] = {
#define WORD(lit, fault)                                                                           \
    {                                                                                              \
        {lit, sizeof(lit) - 1}, DIALECT_FAULT_##fault                                              \
    }
    WORD("context_length_exceeded", CONTEXT_LENGTH),
    WORD("string_above_max_length", CONTEXT_LENGTH),
    WORD("content_policy_violation", CONTENT_POLICY),
    WORD("content_filter", CONTENT_POLICY),
    WORD("invalid_prompt", CONTENT_POLICY),
    WORD("invalid_api_key", INVALID_KEY),
    WORD("authentication_error", INVALID_KEY),
    WORD("insufficient_quota", QUOTA),
    WORD("billing_hard_limit_reached", QUOTA),
    WORD("billing_not_active", QUOTA),
    WORD("account_deactivated", INVALID_KEY),
    WORD("rate_limit_exceeded", RATE_LIMIT),
    WORD("rate_limit_error", RATE_LIMIT),
    WORD("model_not_found", MODEL_NOT_FOUND),
    WORD("DeploymentNotFound", MODEL_NOT_FOUND),
    WORD("insufficient_permissions", PERMISSION),
    WORD("permission_error", PERMISSION),
    WORD("permission_denied", PERMISSION),
    WORD("overloaded_error", OVERLOADED),
    WORD("engine_overloaded", OVERLOADED),
    WORD("timeout", TIMEOUT),
    WORD("server_error", SERVER),
    WORD("internal_error", SERVER),
    WORD("invalid_request_error", INVALID_REQUEST),
    WORD("BadRequestError", INVALID_REQUEST),
    WORD("NotFoundError", MODEL_NOT_FOUND),
#undef WORD
};

static enum dialect_fault fault_of_word(const struct json_doc *d, uint32_t v)
{
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (json_str_eq(d, v, words[i].word))
            return words[i].fault;
    return DIALECT_FAULT_NONE;
}

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
    case 503:
    case 529:
        return DIALECT_FAULT_OVERLOADED;
    default:
        if (status >= 500)
            return DIALECT_FAULT_SERVER;
        return status >= 400 ? DIALECT_FAULT_INVALID_REQUEST : DIALECT_FAULT_UNKNOWN;
    }
}

static bool message_has(struct slice message, const char *words_of_it)
{
    return memmem(message.p, message.n, words_of_it, strlen(words_of_it)) != NULL;
}

/* vLLM, SGLang, llama.cpp and others say only in words that the prompt is too long. */
static bool speaks_of_context(const struct json_doc *d, uint32_t error)
{
    uint32_t v = json_type(d, error) == JSON_STRING ? error : json_get_lit(d, error, "message");
    struct slice message = json_raw(d, v);
    if (json_type(d, v) != JSON_STRING)
        return false;
    return message_has(message, "maximum context length") ||
           message_has(message, "context window") ||
           message_has(message, "exceeds the available context size");
}

enum dialect_fault openai_fault(const struct json_doc *d, uint32_t error, int status)
{
    uint32_t code = json_get_lit(d, error, "code");
    int64_t number;
    enum dialect_fault f = fault_of_word(d, code);
    if (f != DIALECT_FAULT_NONE && f != DIALECT_FAULT_INVALID_REQUEST)
        return f;
    if (speaks_of_context(d, error))
        return DIALECT_FAULT_CONTEXT_LENGTH;
    enum dialect_fault by_type = fault_of_word(d, json_get_lit(d, error, "type"));
    /* 401, 403 and 404 come as invalid_request_error too: the status says more. */
    if (by_type != DIALECT_FAULT_NONE && by_type != DIALECT_FAULT_INVALID_REQUEST)
        return by_type;
    if (json_i64(d, code, &number) == 0 && number >= 400 && number <= 599)
        return fault_of_status((int)number);
    if (status >= 400)
        return fault_of_status(status);
    return f != DIALECT_FAULT_NONE || by_type != DIALECT_FAULT_NONE ? DIALECT_FAULT_INVALID_REQUEST
                                                                    : DIALECT_FAULT_UNKNOWN;
}

uint32_t openai_error_object(const struct json_doc *d)
{
    json_foreach_member(d, JSON_ROOT, k)
    {
        enum json_type t = json_type(d, k + 1);
        if (json_str_eq_lit(d, k, "error") && (t == JSON_OBJECT || t == JSON_STRING))
            return k + 1;
        if (json_str_eq_lit(d, k, "object") && json_str_eq_lit(d, k + 1, "error"))
            return JSON_ROOT;
    }
    return JSON_NONE;
}

enum dialect_fault openai_read_error(struct json_doc *d, int status, struct slice body)
{
    if (json_parse(d, body.p, body.n) < 0)
        return fault_of_status(status);
    uint32_t error = openai_error_object(d);
    return openai_fault(d, error == JSON_NONE ? JSON_ROOT : error, status);
}

const char *openai_error_type(int status, const char *code)
{
    (void)code;
    switch (status) {
    case 401:
        return "authentication_error";
    case 402:
        return "insufficient_quota";
    case 403:
        return "permission_error";
    case 408:
        return "timeout_error";
    case 429:
        return "rate_limit_error";
    case 501:
        return "invalid_request_error";
    default:
        return status < 500 ? "invalid_request_error" : "server_error";
    }
}

static void write_text_or_null(struct json_writer *w, struct slice name, const char *s)
{
    jw_key_plain(w, name);
    if (s && *s)
        jw_str(w, slice_str(s));
    else
        jw_null(w);
}

void openai_write_error(struct json_writer *w, const struct dialect_error *e)
{
    jw_object(w);
    jw_member_object(w, "error");
    jw_member_str(w, "message", e->message);
    write_text_or_null(w, SLICE_LIT("type"), e->type);
    write_text_or_null(w, SLICE_LIT("param"), e->param);
    write_text_or_null(w, SLICE_LIT("code"), e->code);
    jw_object_end(w);
    jw_object_end(w);
}

/* An error of a provider that its caller can do nothing about is the server's. */
static const struct {
    const char *type, *code;
} fault_words[] = {
    [DIALECT_FAULT_NONE] = {"server_error", "server_error"},
    [DIALECT_FAULT_UNKNOWN] = {"server_error", "server_error"},
    [DIALECT_FAULT_INVALID_REQUEST] = {"invalid_request_error", "invalid_prompt"},
    [DIALECT_FAULT_CONTEXT_LENGTH] = {"invalid_request_error", "context_length_exceeded"},
    [DIALECT_FAULT_CONTENT_POLICY] = {"invalid_request_error", "content_policy_violation"},
    [DIALECT_FAULT_INVALID_KEY] = {"server_error", "server_error"},
    [DIALECT_FAULT_PERMISSION] = {"server_error", "server_error"},
    [DIALECT_FAULT_MODEL_NOT_FOUND] = {"invalid_request_error", "model_not_found"},
    [DIALECT_FAULT_QUOTA] = {"insufficient_quota", "insufficient_quota"},
    [DIALECT_FAULT_RATE_LIMIT] = {"rate_limit_error", "rate_limit_exceeded"},
    [DIALECT_FAULT_OVERLOADED] = {"server_error", "engine_overloaded"},
    [DIALECT_FAULT_TIMEOUT] = {"server_error", "timeout"},
    [DIALECT_FAULT_SERVER] = {"server_error", "server_error"},
};

const char *openai_fault_code(enum dialect_fault f)
{
    return (size_t)f < ARRAY_LEN(fault_words) ? fault_words[f].code : "server_error";
}

void openai_write_fault(struct json_writer *w, struct ir_text message, enum dialect_fault f)
{
    const char *type = (size_t)f < ARRAY_LEN(fault_words) ? fault_words[f].type : "server_error";
    jw_object(w);
    jw_member_object(w, "error");
    ir_member(w, "message", ir_has(message) ? message : IR_LIT("The provider reported an error."));
    jw_member_str(w, "type", slice_str(type));
    jw_member_null(w, "param");
    jw_member_str(w, "code", slice_str(openai_fault_code(f)));
    jw_object_end(w);
    jw_object_end(w);
}

int openai_write_stream_error(struct buf *out, const struct dialect_error *e)
{
    struct json_writer w;
    size_t before = out->len, n;
    if (buf_append(out, "data: ", 6) < 0)
        return -1;
    jw_init_buf(&w, out);
    openai_write_error(&w, e);
    if (jw_finish(&w, &n) < 0 || buf_append(out, "\n\n", 2) < 0) {
        out->len = before;
        return -1;
    }
    return 0;
}
