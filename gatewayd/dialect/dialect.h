/*
 * dialect.h: what the worker asks of a wire format.
 *
 * A dialect is a set of pure functions over bytes: no I/O, no clock, no state but what the caller
 * hands in. Today requests leave in the dialect they came in, with a few bytes spliced; one file a
 * dialect implements struct dialect (openai.c).
 *
 * Calls that read a body take a scratch struct json_doc, which they parse into and which holds
 * nothing afterwards that the results need: one doc serves a whole worker. Results hold offsets
 * into the body, decoded copies in buffers of their own, and no pointers into it, so they stay true
 * while the body stands, wherever it is moved.
 */
#ifndef GW_GATEWAYD_DIALECT_DIALECT_H
#define GW_GATEWAYD_DIALECT_DIALECT_H

#include "common/json.h"
#include "common/object_record.h"
#include "gatewayd/dialect/splice.h"

enum dialect_op {
    DIALECT_CHAT,
    DIALECT_COMPLETIONS,
    DIALECT_EMBEDDINGS,
    DIALECT_EMBED_CONTENT, /* of one input (Gemini); is translated as DIALECT_EMBEDDINGS */
    DIALECT_RERANK,
    DIALECT_COUNT_TOKENS,
    /* of DIALECT_OPENAI_RELAY: relay.h */
    DIALECT_MODERATIONS,
    DIALECT_SPEECH,
    DIALECT_TRANSCRIPTIONS,
    DIALECT_TRANSLATIONS,
    DIALECT_IMAGES,
    DIALECT_IMAGE_EDITS,
    DIALECT_IMAGE_VARIATIONS,
    /* likewise, about objects that the provider keeps */
    DIALECT_FILE_CREATE,
    DIALECT_FILES,
    DIALECT_FILE,
    DIALECT_FILE_DELETE,
    DIALECT_FILE_CONTENT,
    DIALECT_BATCH_CREATE,
    DIALECT_BATCHES,
    DIALECT_BATCH,
    DIALECT_BATCH_CANCEL,
    DIALECT_RESPONSE,
    DIALECT_RESPONSE_DELETE,
    DIALECT_RESPONSE_CANCEL,
    DIALECT_RESPONSE_ITEMS,
    DIALECT_CACHE_CREATE,
    DIALECT_CACHE,
    DIALECT_CACHE_UPDATE,
    DIALECT_CACHE_DELETE,
    DIALECT_N_OPS,
};
const char *dialect_op_name(enum dialect_op op);

/* A short decoded string with its length (it may hold any byte, NUL included). */
enum { DIALECT_NAME_BYTES = 255, DIALECT_MORE_MODELS = 101 };
struct dialect_name {
    uint8_t n;
    char s[DIALECT_NAME_BYTES];
};
static inline struct slice dialect_name_slice(const struct dialect_name *name)
{
    return slice_of(name->s, name->n);
}

struct dialect_span {
    uint32_t off, end; /* both 0: not there */
};

/* ---- requests ---- */

/* An object that the provider keeps, named by the caller: the span of the JSON string that is its
 * id. A string with an escape in it names none. */
struct dialect_ref {
    struct dialect_span id;
    uint8_t kind;      /* enum object_kind */
    const char *param; /* where it stands; static text */
};
enum { DIALECT_REFS_MAX = 16 };

struct dialect_request {
    enum dialect_op op;
    struct dialect_name model; /* the caller's, or the default where the body has none */
    struct dialect_name user;  /* end user; n = 0: none */
    bool stream;
    bool include_usage; /* the caller asked for usage in the stream */

    /* What the caller allows to be generated; -1: not given. */
    int64_t max_output_tokens; /* of each choice; the largest if given twice in two spellings */
    int64_t n;
    int64_t best_of;

    /* For the bound on input tokens. */
    uint64_t prompt_bytes; /* raw JSON bytes of the prompt-bearing members, less the parts below */
    uint32_t messages;
    uint32_t tools;
    uint32_t prompts; /* completions, embeddings: inputs in the list; 1 for a single one */
    uint32_t images, audios, files; /* content parts that aren't text */
    uint64_t characters;            /* of text to be spoken */
    uint64_t media_bytes;           /* of files to be listened to */
    bool hosted_tools;              /* a tool that the provider runs, or input that it keeps
                                     * (previous_response_id): the tokens can't be bounded */
    bool background;                /* the answer is fetched later */
    bool keeps; /* a provider of this dialect keeps the answer as an object (store) */

    /* Of those that it names; more than DIALECT_REFS_MAX are counted, not kept. */
    uint32_t n_refs;
    struct dialect_ref refs[DIALECT_REFS_MAX];

    bool enveloped; /* of a count: a whole request stands in it (Gemini) */

    /* For the splice. */
    struct dialect_span root; /* the body's object */
    struct dialect_span model_value;
    /* With which the member `model` can be taken out: its name, its value and a comma. */
    struct dialect_span model_member;
    struct dialect_span version_value; /* Anthropic's anthropic_version */
    uint32_t n_more_models;            /* other places that name it (Gemini's batches) */
    struct dialect_span more_models[DIALECT_MORE_MODELS];
    struct dialect_span upload; /* the file to be kept, within its form */
    bool upload_is_batch;       /* it is the input of a batch */
    uint8_t batch_url;          /* enum openai_batch_url of a batch or of its input */
    struct slice form_boundary; /* n = 0: the body is no form; borrowed from the content type */
    struct dialect_span stream_options; /* the value: an object or null */
    bool stream_options_empty;
    struct dialect_span include_usage_value;
};

/* Why the gateway refuses a body, in terms of the caller's API. */
struct dialect_refusal {
    char message[320];
    char param[64];   /* member path, "" if none */
    const char *code; /* static text or NULL */
};

/* Fills *why; param: "" if none. Returns -1. */
int dialect_refuse(struct dialect_refusal *why, const char *code, const char *param,
                   const char *fmt, ...) GW_PRINTF(4, 5);

/* Notes the object that string v of the body names. */
void dialect_add_ref(struct dialect_request *req, const struct json_doc *d, uint32_t v,
                     enum object_kind kind, const char *param);

/* What an operation wants in its body besides the dialect's own members. */
enum dialect_envelope {
    DIALECT_PLAIN,
    /* Anthropic's on Vertex AI: the path names the model, the body the API's version
     * (platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai). */
    DIALECT_RAW_PREDICT,
    DIALECT_COUNT_RAW_PREDICT, /* the same, with the model in the body */
};

/* What differs upstream. */
struct dialect_rewrite {
    struct slice model; /* upstream model name */
    bool inject_usage;  /* ask for usage in the stream where the caller didn't */
    enum dialect_envelope envelope;
    struct slice version; /* the API's version that the caller's head names; n = 0: none */
};

/* Puts the upstream's model in the place of the caller's, as a member of its own where the body has
 * none. -1: it doesn't fit. */
GW_MUSTUSE int dialect_splice_model(const struct dialect_request *req, struct slice model,
                                    struct splices *out);

/* ---- usage ---- */

enum {
    USAGE_PRESENT = 1,   /* the counts below are the provider's own */
    USAGE_ZERO = 2,      /* present, and it says that nothing was used */
    USAGE_ODD = 4,       /* something stood there that can't be counts: treated as absent */
    USAGE_TOTAL_OFF = 8, /* total_tokens is more than input + output: some are counted apart */
    USAGE_PARTIAL = 16,  /* said while the answer was still being generated: more may be billed */
};
struct dialect_usage {
    unsigned flags;
    int64_t input_tokens; /* all of them: read from a cache and written to one included */
    int64_t cached_tokens;
    int64_t cache_write_tokens;    /* of any lifetime */
    int64_t cache_write_1h_tokens; /* of these, kept for an hour */
    int64_t audio_input_tokens, audio_output_tokens;
    int64_t output_tokens; /* reasoning included */
    int64_t reasoning_tokens;
    int64_t units;        /* what the model is billed by beside tokens: common/ledger.h */
    int64_t total_tokens; /* as said by the provider; -1: not said */
};
/* Counts beyond this can't be true and are odd. */
#define USAGE_MAX_TOKENS INT64_C(1000000000)

/* X(enum suffix, name): why an upstream refused or failed, as far as its error says. */
#define DIALECT_FAULT_MAP(X)                                                                       \
    X(NONE, "none")                                                                                \
    X(UNKNOWN, "unknown")                                                                          \
    X(INVALID_REQUEST, "invalid_request")                                                          \
    X(CONTEXT_LENGTH, "context_length_exceeded")                                                   \
    X(CONTENT_POLICY, "content_policy")                                                            \
    X(INVALID_KEY, "invalid_api_key")                                                              \
    X(PERMISSION, "permission_denied")                                                             \
    X(MODEL_NOT_FOUND, "model_not_found")                                                          \
    X(QUOTA, "insufficient_quota")                                                                 \
    X(RATE_LIMIT, "rate_limit")                                                                    \
    X(OVERLOADED, "overloaded")                                                                    \
    X(TIMEOUT, "timeout")                                                                          \
    X(SERVER, "server_error")
enum dialect_fault {
#define X(name, text) DIALECT_FAULT_##name,
    DIALECT_FAULT_MAP(X)
#undef X
};
const char *dialect_fault_name(enum dialect_fault f);

/* ---- whole responses ---- */

struct dialect_response {
    struct dialect_usage usage;
    struct dialect_name id;
    struct dialect_name model;
    struct dialect_name finish_reason; /* of the first choice that has one */
    uint64_t output_bytes;             /* generated text, decoded: what a count goes by */
    uint32_t choices;
    enum dialect_fault fault; /* the body is an error object whatever the status said */
    struct dialect_span model_value;
    int64_t expires_s; /* of an object: Unix time at which the provider lets it go; 0: not said */
};

/* ---- streams ---- */

/* How a stream's events are framed on the wire. */
enum codec_framing {
    CODEC_SSE,         /* text/event-stream */
    CODEC_EVENTSTREAM, /* application/vnd.amazon.eventstream */
    CODEC_JSON_ARRAY,  /* one JSON array whose elements are the events (Gemini without alt=sse) */
};

enum dialect_verdict {
    DIALECT_PASS,    /* forward the event's bytes as they are */
    DIALECT_DROP,    /* the event exists only because of what was injected */
    DIALECT_REWRITE, /* forward the data with the cuts applied */
};

struct dialect_stream {
    enum dialect_op op;
    bool usage_injected;
    struct slice
        model_alias; /* JSON string to stand in place of each event's model; n = 0: keep it */
    bool done;       /* the terminator came: nothing may follow */
    bool failed;     /* an error event came: the stream did not end well */
    bool finished;   /* some choice gave its finish_reason */
    uint32_t events;
    uint32_t malformed; /* events that were no JSON object: passed on, not read */
    enum dialect_fault fault;
    struct dialect_usage usage; /* the last one said */
    uint64_t output_bytes;
    struct dialect_name id, model, finish_reason;
    int64_t created_s; /* 0: not said */
    /* Of a dialect whose events are read by its codec (meter.h). */
    const struct codec *codec;
    void *reader;      /* the codec's state; owned, see struct dialect.stream_fini */
    bool usage_counts; /* `usage` is of a USAGE or FINISH event, not of the START */
};

/* ---- errors towards the caller ---- */

struct dialect_error {
    struct slice message;
    const char *type;  /* "invalid_request_error", …: what struct dialect.error_type gives */
    const char *param; /* NULL or "": null */
    const char *code;  /* NULL or "": null */
    int status;        /* HTTP status; of an error in a stream the one that it would have had */
    struct slice request_id;             /* ours; n = 0: there is none */
    const struct dialect_stream *stream; /* that it is to end, for what of it dialects refer to;
                                          * NULL: none has begun, or it was translated */
};

struct codec;

struct dialect {
    const char *name;
    const char *content_type_stream;
    enum codec_framing framing;
    const char *request_id_field; /* header in which its callers look for the request's id beside
                                   * x-request-id; NULL: none */
    const char *error_type_field; /* header that repeats an error's type; NULL: none */
    bool tells_processing_ms;     /* its callers may know openai-processing-ms */

    /* Parses and checks a body. default_model stands in where the body names none (empty: that is
     * an error). 0, or -1 with *why. */
    int (*read_request)(struct json_doc *scratch, struct slice body, enum dialect_op op,
                        struct slice default_model, struct dialect_request *out,
                        struct dialect_refusal *why);
    /* The splices that turn the body into what goes upstream; out is reset first. *injected tells
     * whether usage was really added, for stream_init. 0, or -1 if the name is too long. */
    int (*rewrite_request)(const struct dialect_request *req, const struct dialect_rewrite *how,
                           struct splices *out, bool *injected);
    /* Reads a whole 2xx body. -1: it is not a JSON object. */
    int (*read_response)(struct json_doc *scratch, struct slice body, enum dialect_op op,
                         struct dialect_response *out);
    /* Classifies an error answer; any body, also none. */
    enum dialect_fault (*read_error)(struct json_doc *scratch, int status, struct slice body);
    /* The same where error_type_field came with it. NULL: the body says it all. */
    enum dialect_fault (*read_named_error)(struct json_doc *scratch, int status, struct slice name,
                                           struct slice body);
    /* How long the body of an error answer asks to wait, in microseconds; -1: it doesn't say. NULL:
     * only Retry-After does. */
    int64_t (*read_retry_us)(struct json_doc *scratch, struct slice body);

    void (*stream_init)(struct dialect_stream *s, enum dialect_op op, bool usage_injected);
    void (*stream_fini)(struct dialect_stream *s); /* NULL: nothing to release */
    /* Takes the data of one SSE event (lines joined by \n) and its event name, if any. Fills cuts
     * (reset first) for DIALECT_REWRITE: offsets are into data. */
    enum dialect_verdict (*stream_event)(struct dialect_stream *s, struct json_doc *scratch,
                                         struct slice event, struct slice data,
                                         struct splices *cuts);

    /* The word of this dialect for an error of that status; code is the gateway's or the provider's
     * code of it, NULL if there is none. Static text. */
    const char *(*error_type)(int status, const char *code);
    /* The body of an error answer. */
    void (*write_error)(struct json_writer *w, const struct dialect_error *e);
    /* What is sent in band when a stream can't go on, as complete bytes of its framing. -1: does
     * not fit. */
    int (*write_stream_error)(struct buf *out, const struct dialect_error *e);
    /* What may stand between events and says nothing. NULL: a comment of SSE. */
    int (*write_ping)(struct buf *out);
};

extern const struct dialect dialect_gemini_cache, dialect_openai, dialect_openai_relay,
    dialect_openai_responses, dialect_anthropic, dialect_gemini, dialect_bedrock, dialect_cohere;

#endif
