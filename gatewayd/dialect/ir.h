/*
 * ir.h: the one internal form between dialects: a request, a whole response, the events of a
 * stream.
 *
 * Each dialect reads its own format into this form and writes this form as its own; no dialect
 * knows another. The form is a superset: what some dialect can say and another can't has a field
 * (enum ir_field), and the writer's table says whether it is carried, mapped, refused or dropped
 * with a notice. A reader that meets a member which has no place here notes it (ir_unknown), so
 * that nothing is lost in silence.
 *
 * Memory. Everything lives in the arena given with the request or response; texts borrow from the
 * body that was read, which must stand as long as the form is used. Tokens of a json_doc are not
 * kept: the doc may be reused as soon as a reader returns.
 *
 * Texts keep their encoding: what came as a JSON string stays escaped and is copied escaped, so a
 * translation neither decodes nor encodes prose.
 */
#ifndef GW_GATEWAYD_DIALECT_IR_H
#define GW_GATEWAYD_DIALECT_IR_H

#include "common/arena.h"
#include "common/json.h"
#include "gatewayd/dialect/dialect.h"

/* ---- texts ---- */

struct ir_text {
    struct slice s;
    bool escaped;  /* s is the inside of a JSON string with escapes; else plain UTF-8 */
    bool verbatim; /* s came out of a JSON string and can stand in another as it is */
};

/* A string value of a parsed body, without its quotes; {NULL} if v is none. */
struct ir_text ir_text_of(const struct json_doc *d, uint32_t v);
static inline struct ir_text ir_plain(struct slice s)
{
    return (struct ir_text){.s = s};
}
#define IR_LIT(lit) ir_plain(SLICE_LIT(lit))
static inline bool ir_has(struct ir_text t)
{
    return t.s.p != NULL;
}
/* A piece of a JSON string. */
static inline void ir_add_text(struct json_writer *w, struct ir_text t)
{
    if (t.escaped || t.verbatim)
        jw_str_add_escaped(w, t.s);
    else
        jw_str_add(w, t.s);
}
/* As a JSON string value, with its quotes. */
void ir_write_str(struct json_writer *w, struct ir_text t);
#define ir_member(w, lit, t) (jw_key_plain((w), SLICE_LIT(lit)), ir_write_str((w), (t)))
/* Several texts as one JSON string: base64 behind a `data:` prefix, system prompts joined. */
void ir_write_str_parts(struct json_writer *w, const struct ir_text *t, size_t n);
/* Decoded bytes: borrowed where nothing is escaped, else in the arena. {NULL} if it can't be
 * decoded (a lone surrogate) or doesn't fit. */
struct slice ir_decode(struct arena *a, struct ir_text t);
/* The text taken for JSON, as a value: of an arguments string the object that it spells. -1: it is
 * no JSON object (an empty text counts as {}). */
GW_MUSTUSE int ir_write_object(struct json_writer *w, struct arena *a, struct ir_text json);
bool ir_text_is(struct ir_text t, struct slice plain);
/* Bytes of the decoded text. */
size_t ir_text_bytes(struct ir_text t);
/* Same characters, however each is escaped. */
bool ir_text_eq(struct ir_text a, struct ir_text b);

/* ---- requests ---- */

enum ir_role { IR_SYSTEM, IR_DEVELOPER, IR_USER, IR_ASSISTANT, IR_TOOL };

enum ir_part_kind {
    IR_PART_TEXT,
    IR_PART_IMAGE,
    IR_PART_AUDIO,
    IR_PART_VIDEO,
    IR_PART_FILE,        /* a document */
    IR_PART_TOOL_CALL,   /* of the assistant */
    IR_PART_TOOL_RESULT, /* only in messages of IR_TOOL */
    IR_PART_REASONING,
    IR_PART_REFUSAL,
};

enum ir_source {
    IR_SOURCE_NONE,
    IR_SOURCE_BASE64,
    IR_SOURCE_URL,
    IR_SOURCE_FILE_ID,
    IR_SOURCE_TEXT
};

/* A cache breakpoint behind what it stands on (Anthropic cache_control, Bedrock cachePoint). */
enum ir_cache { IR_CACHE_NONE, IR_CACHE_5M, IR_CACHE_1H };

/* Who signed a piece of reasoning (provenance.h). */
enum ir_maker {
    IR_MAKER_UNSAID,
    IR_MAKER_CLAUDE,
    IR_MAKER_GEMINI,
    IR_MAKER_OPENAI,
    IR_MAKER_AZURE, /* OpenAI's models there: what they encrypt is their own */
    IR_MAKER_XAI,
    IR_MAKER_CHAT,    /* a server of OpenAI's dialect that doesn't say */
    IR_MAKER_BEDROCK, /* a model on Bedrock that isn't Claude */
    IR_MAKER_COHERE,
};

struct ir_citation {
    struct ir_citation *next;
    struct ir_text url, title, cited_text;
    int64_t start, end; /* in characters of the part's text; -1: not said */
};

struct ir_part {
    struct ir_part *next;
    struct ir_part *last; /* in the first of a list, while it is read: its end */
    enum ir_part_kind kind;
    struct ir_text text; /* TEXT, REASONING, REFUSAL */
    /* IMAGE, AUDIO, VIDEO, FILE */
    enum ir_source source;
    struct ir_text data; /* base64 alone, the URL, the id, or the text */
    struct ir_text media_type, filename, detail;
    /* TOOL_CALL and TOOL_RESULT. `name` of a result is filled by ir_link_tools. */
    struct ir_text call_id, name;
    struct ir_text
        arguments; /* JSON text of the arguments' object; escaped if it came in a string */
    struct ir_part *content;  /* of a TOOL_RESULT: TEXT, IMAGE, FILE parts */
    struct slice result_json; /* of a TOOL_RESULT that came as a JSON object: the object */
    bool is_error;
    /* REASONING; and TOOL_CALL, TEXT where the provider signs these (Gemini's thought signatures)
     */
    struct ir_text signature;
    bool redacted;       /* REASONING whose only content is `signature`, encrypted */
    enum ir_maker maker; /* of the signature */
    enum ir_cache cache;
    struct ir_citation *citations; /* TEXT */
};

struct ir_message {
    struct ir_message *next;
    enum ir_role role;
    struct ir_text name;
    uint32_t index; /* place in the caller's list, for error messages */
    struct ir_part *parts;
};

struct ir_tool {
    struct ir_tool *next;
    struct ir_text name, description;
    struct slice parameters; /* JSON schema, raw; {NULL}: none */
    int strict;              /* -1: not said */
    enum ir_cache cache;
    struct ir_text hosted_type; /* a tool that the provider runs; {NULL}: a function */
    struct slice hosted;        /* its raw JSON */
};

enum ir_tool_choice {
    IR_CHOICE_UNSET,
    IR_CHOICE_AUTO,
    IR_CHOICE_NONE,
    IR_CHOICE_ANY,
    IR_CHOICE_TOOL
};
enum ir_format { IR_FORMAT_UNSET, IR_FORMAT_TEXT, IR_FORMAT_JSON, IR_FORMAT_SCHEMA };
enum ir_effort {
    IR_EFFORT_UNSET,
    IR_EFFORT_NONE,
    IR_EFFORT_MINIMAL,
    IR_EFFORT_LOW,
    IR_EFFORT_MEDIUM,
    IR_EFFORT_HIGH,
    IR_EFFORT_XHIGH,
    IR_EFFORT_MAX, /* Anthropic's; where there is none, XHIGH or HIGH is nearest */
};
enum { IR_BUDGET_DYNAMIC = -2 }; /* of thinking: it is on, the model decides how much */
/* "minimal", …; UNSET: "". */
const char *ir_effort_name(enum ir_effort e);
/* UNSET: t names none. */
enum ir_effort ir_effort_find(struct ir_text t);
/* An effort as a budget of thinking tokens and back, one scale for every dialect: that which Google
 * publishes for its OpenAI endpoint (ai.google.dev/gemini-api/docs/openai, "Thinking": low 1,024,
 * medium 8,192, high 24,576). NONE is 0, UNSET -1; a dynamic budget is MEDIUM. */
int64_t ir_budget_of_effort(enum ir_effort e);
enum ir_effort ir_effort_of_budget(int64_t tokens);

/* X(enum suffix, name in the docs): what a request may hold beside its plain messages. Every reader
 * sets the bit of what it met (ir_note), every writer's table has a row for each. */
#define IR_FIELDS(X)                                                                               \
    X(SYSTEM, "system prompt")                                                                     \
    X(DEVELOPER, "developer role")                                                                 \
    X(NAME, "name of a participant")                                                               \
    X(IMAGE_BASE64, "image, base64")                                                               \
    X(IMAGE_URL, "image by URL")                                                                   \
    X(IMAGE_FILE_ID, "image by file id")                                                           \
    X(IMAGE_DETAIL, "image detail")                                                                \
    X(AUDIO, "audio input")                                                                        \
    X(VIDEO, "video input")                                                                        \
    X(FILE_BASE64, "file, base64")                                                                 \
    X(FILE_URL, "file by URL")                                                                     \
    X(FILE_ID, "file by id")                                                                       \
    X(FILE_TEXT, "file as plain text")                                                             \
    X(TOOLS, "function tools")                                                                     \
    X(TOOL_STRICT, "strict schema of a tool")                                                      \
    X(TOOL_CHOICE_AUTO, "tool choice: auto")                                                       \
    X(TOOL_CHOICE_NONE, "tool choice: none")                                                       \
    X(TOOL_CHOICE_ANY, "tool choice: any tool required")                                           \
    X(TOOL_CHOICE_TOOL, "tool choice: a named tool")                                               \
    X(TOOL_CHOICE_ALLOWED, "tool choice: a list of allowed tools")                                 \
    X(PARALLEL_TOOLS, "parallel tool calls switched")                                              \
    X(TOOL_RESULT_ERROR, "tool result marked as an error")                                         \
    X(TOOL_RESULT_IMAGE, "image in a tool result")                                                 \
    X(HOSTED_TOOLS, "tools that the provider runs")                                                \
    X(MAX_TOKENS, "maximum of output tokens")                                                      \
    X(TEMPERATURE, "temperature")                                                                  \
    X(TOP_P, "top p")                                                                              \
    X(TOP_K, "top k")                                                                              \
    X(PRESENCE_PENALTY, "presence penalty")                                                        \
    X(FREQUENCY_PENALTY, "frequency penalty")                                                      \
    X(SEED, "seed")                                                                                \
    X(STOP, "stop sequences")                                                                      \
    X(N, "number of choices")                                                                      \
    X(LOGPROBS, "log probabilities")                                                               \
    X(LOGIT_BIAS, "logit bias")                                                                    \
    X(FORMAT_JSON, "JSON output")                                                                  \
    X(FORMAT_SCHEMA, "JSON schema of the output")                                                  \
    X(EFFORT, "reasoning effort")                                                                  \
    X(THINKING_BUDGET, "budget of thinking tokens")                                                \
    X(INCLUDE_THOUGHTS, "thoughts shown")                                                          \
    X(REASONING, "reasoning of an earlier turn")                                                   \
    X(REASONING_SIGNATURE, "signature of earlier reasoning")                                       \
    X(REFUSAL, "refusal of an earlier turn")                                                       \
    X(CITATIONS, "citations of an earlier turn")                                                   \
    X(CACHE_CONTROL, "cache breakpoints")                                                          \
    X(CACHED_CONTENT, "cached content by name")                                                    \
    X(PROMPT_CACHE_KEY, "prompt cache key")                                                        \
    X(USER, "end user")                                                                            \
    X(METADATA, "metadata")                                                                        \
    X(SERVICE_TIER, "service tier")                                                                \
    X(STORE, "store the answer")                                                                   \
    X(PREVIOUS_RESPONSE, "previous response by id")                                                \
    X(MODALITIES, "output other than text")                                                        \
    X(VERBOSITY, "verbosity")                                                                      \
    X(PREDICTION, "predicted output")                                                              \
    X(SAFETY, "safety settings")                                                                   \
    X(BACKGROUND, "background response")

enum ir_field {
#define X(name, text) IR_F_##name,
    IR_FIELDS(X)
#undef X
        IR_FIELD_COUNT
};
_Static_assert(IR_FIELD_COUNT <= 64, "the fields of a request are one 64-bit set");
const char *ir_field_text(enum ir_field f);
/* The fields of an operation: those above, or of ir_embed.h. */
unsigned ir_op_fields(enum dialect_op op);
const char *ir_op_field_text(enum dialect_op op, unsigned f);

/* What becomes of a field in a dialect that a request is written in. */
enum ir_fate {
    IR_UNSTATED, /* a row was forgotten: a test fails */
    IR_CARRIED,  /* it has the same meaning there */
    IR_MAPPED,   /* it becomes something near; the note says what */
    IR_REFUSED,  /* 400 naming the caller's member */
    IR_DROPPED,  /* left out, and named in x-gw-dropped */
};

/* One dialect's row of a field: docs/dialects.md is written from these. */
struct ir_field_row {
    const char *member; /* its name in this dialect ("generationConfig.topK"); NULL: it has none */
    enum ir_fate fate;  /* when a request is written in this dialect */
    const char *note;   /* how it is mapped, or why it is refused or dropped; "" if carried */
};

struct ir_unknown {
    struct ir_unknown *next;
    struct slice path; /* "messages[2].foo" */
};

struct ir_embed;
struct ir_rerank;
struct ir_vectors;
struct ir_ranks;

struct ir_request {
    struct arena *arena;
    enum dialect_op op;
    uint64_t fields; /* bits of enum ir_field, or of those of its operation */
    const struct ir_field_row
        *names;       /* of the dialect it was read from: how its caller calls them */
    const char *list; /* how its caller calls the list of messages, or of what is embedded or
                       * ranked: "messages", "contents", "input" */
    struct ir_unknown *unknown, *last_unknown;
    uint32_t n_unknown;

    struct ir_message *last_message; /* of the list below */
    struct ir_message *messages;     /* IR_SYSTEM and IR_DEVELOPER ones at any place */
    struct ir_tool *tools, *last_tool;
    enum ir_tool_choice tool_choice;
    struct ir_text tool_choice_name;
    struct ir_text *allowed_tools;
    size_t n_allowed_tools;
    int parallel_tools; /* -1: not said */

    bool stream;
    bool include_usage;      /* the caller wants usage in the stream (OpenAI) */
    int64_t max_tokens;      /* -1: not said */
    int64_t n;               /* -1 */
    int64_t thinking_budget; /* -1: not said; 0: off; IR_BUDGET_DYNAMIC */
    int64_t top_logprobs;    /* -1 */
    bool logprobs;
    enum ir_effort effort;
    int include_thoughts; /* -1 */
    /* Numbers as they were spelled; {NULL}: not said. */
    struct slice temperature, top_p, top_k, presence_penalty, frequency_penalty, seed;
    struct ir_text *stop;
    size_t n_stop;
    enum ir_format format;
    struct ir_text format_name, format_description;
    struct slice format_schema; /* raw JSON */
    int format_strict;          /* -1 */
    struct ir_text user, service_tier, prompt_cache_key, prompt_cache_retention, verbosity,
        previous_response, cached_content;
    int store;                                               /* -1 */
    struct slice metadata;                                   /* raw JSON object */
    struct slice logit_bias, prediction, modalities, safety; /* raw JSON */

    /* Of an operation of its own: ir_embed.h. */
    struct ir_embed *embed;
    struct ir_rerank *rerank;
};

static inline void ir_note(struct ir_request *r, unsigned f)
{
    r->fields |= UINT64_C(1) << f;
}
static inline bool ir_noted(const struct ir_request *r, unsigned f)
{
    return r->fields >> f & 1;
}

/* How r's caller calls a field: the member of its dialect's table, else the field's text. */
const char *ir_field_member(const struct ir_request *r, unsigned field);
void ir_request_init(struct ir_request *r, struct arena *a, enum dialect_op op);
/* The next three append in order and return NULL when the arena is full. */
struct ir_message *ir_add_message(struct ir_request *r, enum ir_role role, uint32_t index);
struct ir_part *ir_add_part(struct arena *a, struct ir_part **list, enum ir_part_kind kind);
struct ir_tool *ir_add_tool(struct ir_request *r);
/* Where a reader is, "messages.3.content", as text for what may be refused there. Written for every
 * part and shown for hardly any, and so without printf. Each writes behind the first n bytes of
 * out, with a NUL, and returns the new length; what has no room is left out. */
size_t ir_place_text(char *out, size_t cap, size_t n, const char *text);
size_t ir_place_index(char *out, size_t cap, size_t n, uint32_t index);
/* Notes a member that has no place in the form. */
void ir_note_unknown(struct ir_request *r, const char *fmt, ...) GW_PRINTF(2, 3);
/* Gives calls that came without an id one ("call_<message>_<part>"), results without an id that of
 * the first unanswered call of their name, and every result its call's name. -1 with *why naming
 * the message when a result has no call before it, or two results have one call. */
GW_MUSTUSE int ir_link_tools(struct ir_request *r, struct dialect_refusal *why);
/* A call's id as a JSON string which also carries the call's signature (Gemini's thought
 * signature), for dialects that have no place for one and callers that keep nothing but id, name
 * and arguments: ID "_gwSigned_" BASE64URL. ir_link_tools takes ids of that form apart again. */
void ir_write_signed_id(struct json_writer *w, struct ir_text call_id, struct ir_text signature);

/* ---- whole responses ---- */

/* X(enum suffix, name) */
#define IR_FINISHES(X)                                                                             \
    X(NONE, "none")                                                                                \
    X(STOP, "stop")                                                                                \
    X(STOP_SEQUENCE, "stop_sequence")                                                              \
    X(LENGTH, "length")                                                                            \
    X(CONTEXT, "context_window")                                                                   \
    X(TOOL_CALLS, "tool_calls")                                                                    \
    X(CONTENT_FILTER, "content_filter")                                                            \
    X(REFUSAL, "refusal")                                                                          \
    X(PAUSE, "pause")                                                                              \
    X(OTHER, "other")
enum ir_finish {
#define X(name, text) IR_FINISH_##name,
    IR_FINISHES(X)
#undef X
};
const char *ir_finish_name(enum ir_finish f);

struct ir_choice {
    struct ir_choice *next;
    uint32_t index;
    struct ir_part *parts;
    enum ir_finish finish;
    struct ir_text stop_sequence;
    struct slice logprobs; /* raw JSON in OpenAI's form */
};

struct ir_response {
    struct arena *arena;
    enum dialect_op op;
    struct ir_text id, model;
    int64_t created_s; /* 0: not said */
    struct ir_text service_tier, system_fingerprint;
    struct ir_choice *choices;
    struct dialect_usage usage; /* DIALECT_COUNT_TOKENS: input_tokens is what was counted */
    enum dialect_fault fault;   /* the answer failed on its way: its usage alone counts */
    /* Of an operation of its own: ir_embed.h. */
    struct ir_vectors *vectors;
    struct ir_ranks *ranks;
};
void ir_response_init(struct ir_response *r, struct arena *a, enum dialect_op op);
struct ir_choice *ir_add_choice(struct ir_response *r, uint32_t index);

/* ---- streams ---- */

/* X(name): a stream is
 * START (PART_START (DELTA | SIGNATURE | CITATION)* PART_END | USAGE | PING)* FINISH+ USAGE? END
 * or anything of it up to an ERROR. Readers give parts numbers in the order in which they begin;
 * parts of one choice may overlap as they come from a reader, never as they reach a writer
 * (sequence.h). */
#define IR_EVENTS(X)                                                                               \
    X(START)                                                                                       \
    X(PART_START)                                                                                  \
    X(DELTA) X(SIGNATURE) X(CITATION) X(PART_END) X(FINISH) X(USAGE) X(PING) X(ERROR) X(END)
enum ir_event_kind {
#define X(name) IR_EV_##name,
    IR_EVENTS(X)
#undef X
};
const char *ir_event_name(enum ir_event_kind k);

struct ir_event {
    enum ir_event_kind kind;
    uint32_t choice;
    uint32_t part; /* of PART_*, DELTA, SIGNATURE, CITATION: its number in the choice */
    enum ir_part_kind
        part_kind;       /* of PART_START: TEXT, TOOL_CALL, REASONING, REFUSAL, IMAGE, AUDIO */
    struct ir_text text; /* DELTA: more text, or more JSON of the arguments. SIGNATURE: all of
                          * it, or more where `appends`. ERROR: the message */
    bool appends;
    bool redacted;                /* PART_START of REASONING: what follows is encrypted */
    enum ir_maker maker;          /* of REASONING: who signs it */
    struct ir_text call_id, name; /* PART_START of TOOL_CALL */
    struct ir_text signature;     /* PART_START of TOOL_CALL: the call's own */
    struct ir_text media_type;    /* PART_START of IMAGE, AUDIO */
    bool by_url;                  /* PART_START of IMAGE: its data is a URL, not base64 */
    struct slice logprobs;        /* DELTA of TEXT: raw JSON in OpenAI's form */
    const struct ir_citation *citation;
    struct ir_text id, model;                        /* START */
    int64_t created_s;                               /* START */
    struct ir_text service_tier, system_fingerprint; /* START */
    enum ir_finish finish;                           /* FINISH */
    struct ir_text stop_sequence;                    /* FINISH */
    const struct dialect_usage *usage; /* START, FINISH, USAGE: cumulative; NULL: not said */
    enum dialect_fault fault;          /* ERROR */
};

typedef void (*ir_sink_fn)(void *ctx, const struct ir_event *ev);

/* Appends "event: TYPE", a line feed and "data: ": the head of a server-sent event. */
GW_MUSTUSE int ir_begin_sse(struct buf *out, struct slice type);

#endif
