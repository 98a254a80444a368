/*
 * bedrock_error.c: exceptions, read and written.
 *
 * An exception has a name and a message. The name stands in the header x-amzn-errortype
 * ("ValidationException:http://…"), in some answers in the body's `__type` ("com.amazon.coral.
 * validate#ValidationException"), and in a stream in :exception-type, its first letter small. What
 * names share is told by the message (docs.aws.amazon.com/bedrock/latest/userguide/
 * troubleshooting-api-error-codes.html).
 */
#include "gatewayd/dialect/bedrock.h"

#include "gatewayd/http/eventstream.h"

static const struct {
    struct slice name;
    enum dialect_fault fault;
} names[] = {
#define NAME(lit, fault)                                                                           \
    {                                                                                              \
        {lit, sizeof(lit) - 1}, DIALECT_FAULT_##fault                                              \
    }
    NAME("ThrottlingException", RATE_LIMIT),
    NAME("ServiceQuotaExceededException", RATE_LIMIT),
    NAME("ModelNotReadyException", OVERLOADED),
    NAME("ServiceUnavailableException", OVERLOADED),
    NAME("ModelTimeoutException", TIMEOUT),
    NAME("InternalServerException", SERVER),
    NAME("ModelErrorException", SERVER),
    NAME("ModelStreamErrorException", SERVER),
    NAME("ResourceNotFoundException", MODEL_NOT_FOUND),
    NAME("AccessDeniedException", PERMISSION),
    NAME("UnrecognizedClientException", INVALID_KEY),
    NAME("ExpiredTokenException", INVALID_KEY),
    NAME("ExpiredToken", INVALID_KEY),
    NAME("InvalidSignatureException", INVALID_KEY),
    NAME("SignatureDoesNotMatch", INVALID_KEY),
    NAME("InvalidClientTokenId", INVALID_KEY),
    NAME("IncompleteSignatureException", INVALID_KEY),
    NAME("IncompleteSignature", INVALID_KEY),
    NAME("MissingAuthenticationTokenException", INVALID_KEY),
    NAME("MissingAuthenticationToken", INVALID_KEY),
    NAME("OptInRequired", PERMISSION),
    NAME("NotAuthorized", PERMISSION),
    NAME("RequestExpired", INVALID_KEY),
    NAME("ValidationException", INVALID_REQUEST),
    NAME("ValidationError", INVALID_REQUEST),
#undef NAME
};

static const struct {
    const char *words;
    enum dialect_fault fault;
} messages[] = {
    {"Input is too long", DIALECT_FAULT_CONTEXT_LENGTH},
    {"input is too long", DIALECT_FAULT_CONTEXT_LENGTH},
    {"prompt is too long", DIALECT_FAULT_CONTEXT_LENGTH},
    {"exceed context limit", DIALECT_FAULT_CONTEXT_LENGTH},
    {"maximum context length", DIALECT_FAULT_CONTEXT_LENGTH},
    {"context window", DIALECT_FAULT_CONTEXT_LENGTH},
    {"too many input tokens", DIALECT_FAULT_CONTEXT_LENGTH},
    {"Too many input tokens", DIALECT_FAULT_CONTEXT_LENGTH},
    {"exceeds the maximum allowed length", DIALECT_FAULT_CONTEXT_LENGTH},
    {"model identifier is invalid", DIALECT_FAULT_MODEL_NOT_FOUND},
    {"blocked by our content filters", DIALECT_FAULT_CONTENT_POLICY},
};

/* What a 403 says of the credential rather than of its rights. */
static const char *const credential_words[] = {
    "security token", "signature",      "Signature",       "API Key is valid",
    "Authentication", "authentication", "Invalid API Key",
};

static bool has(struct slice text, const char *words)
{
    return text.n && memmem(text.p, text.n, words, strlen(words)) != NULL;
}

/* "com.amazon.coral.service#Name", "Name:http://…" -> "Name". */
static struct slice bare_name(struct slice name)
{
    const char *hash = name.n ? memchr(name.p, '#', name.n) : NULL;
    if (hash)
        name = slice_of(hash + 1, (size_t)(name.p + name.n - hash - 1));
    return slice_split(&name, ':');
}

static enum dialect_fault fault_of_name(struct slice name)
{
    name = bare_name(name);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (slice_ieq(name, names[i].name))
            return names[i].fault;
    return DIALECT_FAULT_NONE;
}

static enum dialect_fault fault_of_status(int status)
{
    switch (status) {
    case 401:
        return DIALECT_FAULT_INVALID_KEY;
    case 403:
        return DIALECT_FAULT_PERMISSION;
    case 404:
        return DIALECT_FAULT_MODEL_NOT_FOUND;
    case 408:
    case 504:
        return DIALECT_FAULT_TIMEOUT;
    case 424:
        return DIALECT_FAULT_SERVER;
    case 429:
        return DIALECT_FAULT_RATE_LIMIT;
    case 503:
        return DIALECT_FAULT_OVERLOADED;
    default:
        if (status >= 500)
            return DIALECT_FAULT_SERVER;
        return status >= 400 ? DIALECT_FAULT_INVALID_REQUEST : DIALECT_FAULT_UNKNOWN;
    }
}

enum dialect_fault bedrock_fault(struct slice name, struct slice message, int status)
{
    enum dialect_fault f = fault_of_name(name);
    if (f == DIALECT_FAULT_NONE)
        f = fault_of_status(status);
    if (f == DIALECT_FAULT_INVALID_REQUEST)
        for (size_t i = 0; i < ARRAY_LEN(messages); i++)
            if (has(message, messages[i].words))
                return messages[i].fault;
    if (f == DIALECT_FAULT_PERMISSION)
        for (size_t i = 0; i < ARRAY_LEN(credential_words); i++)
            if (has(message, credential_words[i]))
                return DIALECT_FAULT_INVALID_KEY;
    return f;
}

enum dialect_fault bedrock_read_error(struct json_doc *d, int status, struct slice body)
{
    return bedrock_read_named_error(d, status, slice_of(NULL, 0), body);
}

/* The name stands in x-amzn-errortype, and with some of them in the body too
 * (smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html, "Operation error serialization"). */
enum dialect_fault bedrock_read_named_error(struct json_doc *d, int status, struct slice header,
                                            struct slice body)
{
    if (json_parse(d, body.p, body.n) < 0)
        return bedrock_fault(header, slice_of(NULL, 0), status);
    uint32_t message = json_get_lit(d, JSON_ROOT, "message");
    uint32_t type = json_get_lit(d, JSON_ROOT, "__type");
    if (message == JSON_NONE)
        message = json_get_lit(d, JSON_ROOT, "Message");
    if (type == JSON_NONE)
        type = json_get_lit(d, JSON_ROOT, "code");
    struct ir_text name = ir_text_of(d, type), text = ir_text_of(d, message);
    return bedrock_fault(header.n ? header : name.s, text.s, status);
}

const char *bedrock_error_type(int status, const char *code)
{
    switch (status) {
    case 401:
        return "UnrecognizedClientException";
    case 403:
        return "AccessDeniedException";
    case 402:
        return "ServiceQuotaExceededException";
    case 404:
        return "ResourceNotFoundException";
    case 408:
    case 504:
        return "ModelTimeoutException";
    case 424:
        return "ModelErrorException";
    case 429:
        return "ThrottlingException";
    case 503:
    case 529:
        return "ServiceUnavailableException";
    default:
        return status >= 500 ? "InternalServerException" : "ValidationException";
    }
}

void bedrock_write_error(struct json_writer *w, const struct dialect_error *e)
{
    jw_object(w);
    jw_member_str(w, "message", e->message);
    jw_object_end(w);
}

int bedrock_write_exception(struct buf *out, struct slice name, struct ir_text message)
{
    struct eventstream_frame f;
    struct json_writer w;
    size_t n;
    if (eventstream_begin_exception(out, name, &f) < 0)
        return -1;
    jw_init_buf(&w, out);
    jw_object(&w);
    ir_member(&w, "message", message);
    jw_object_end(&w);
    if (jw_finish(&w, &n) < 0) {
        out->len = f.start;
        return -1;
    }
    return eventstream_end(out, &f);
}

/* The exceptions that a stream can have (API_runtime_ConverseStreamOutput). */
static struct slice stream_exception(int status)
{
    switch (status) {
    case 429:
        return SLICE_LIT("throttlingException");
    case 503:
    case 529:
        return SLICE_LIT("serviceUnavailableException");
    case 424:
    case 502:
    case 504:
        return SLICE_LIT("modelStreamErrorException");
    default:
        return status >= 400 && status < 500 ? SLICE_LIT("validationException")
                                             : SLICE_LIT("internalServerException");
    }
}

int bedrock_write_stream_error(struct buf *out, const struct dialect_error *e)
{
    return bedrock_write_exception(out, stream_exception(e->status), ir_plain(e->message));
}

/* An event of no type that the API has: Amazon's clients pass over it (botocore/parsers.py,
 * BaseEventStreamParser; @smithy/eventstream-serde-universal, $unknown). */
int bedrock_write_ping(struct buf *out)
{
    struct eventstream_frame f;
    size_t before = out->len;
    if (eventstream_begin_event(out, SLICE_LIT("ping"), &f) < 0)
        return -1;
    if (buf_append(out, "{}", 2) == 0 && eventstream_end(out, &f) == 0)
        return 0;
    out->len = before;
    return -1;
}
