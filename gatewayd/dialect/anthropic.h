/*
 * anthropic.h: private to the Anthropic dialect (/v1/messages): what its files share.
 *
 * The codec: anthropic_fields.c is its table; anthropic_read.c and anthropic_read_blocks.c read a
 * request, anthropic_write.c and anthropic_write_blocks.c write one, anthropic_thinking.c decides
 * on thinking, effort and what these leave of the sampling parameters, anthropic_response.c reads
 * and writes whole answers and usage, anthropic_stream_read.c and anthropic_stream_write.c events,
 * anthropic_error.c errors. anthropic_native.c serves requests that stay in this dialect;
 * anthropic.c is the table of it all.
 *
 * The format is that of Anthropic's API reference (platform.claude.com/docs/en/api/messages,
 * .../build-with-claude/streaming, .../api/errors) and of the types of its official SDK
 * (github.com/anthropics/anthropic-sdk-typescript, src/resources/messages/messages.ts).
 */
#ifndef GW_GATEWAYD_DIALECT_ANTHROPIC_H
#define GW_GATEWAYD_DIALECT_ANTHROPIC_H

#include "gatewayd/dialect/codec.h"

extern const struct ir_field_row anthropic_fields[IR_FIELD_COUNT];

/* ---- refusals ---- */

/* Both return -1. The message begins with the path, as the API's own do. */
int anthropic_refuse(struct dialect_refusal *why, const char *code, const char *path,
                     const char *fmt, ...) GW_PRINTF(4, 5);
int anthropic_wrong_type(struct dialect_refusal *why, const struct json_doc *d, uint32_t v,
                         const char *path, const char *expected);

/* ---- requests ---- */

/* Of bodies on Vertex AI, in the place of the header's 2023-06-01. */
#define ANTHROPIC_VERTEX_VERSION "vertex-2023-10-16"

struct anthropic_reader {
    const struct json_doc *d;
    struct ir_request *out;
    struct dialect_refusal *why;
};
/* The content of a message, of `system` (role IR_SYSTEM): appends messages to out. */
GW_MUSTUSE int anthropic_read_content(struct anthropic_reader *r, enum ir_role role, uint32_t index,
                                      const char *path, uint32_t content);
/* Notes a member that has no place in the form. */
void anthropic_note_unknown(struct anthropic_reader *r, const char *path, uint32_t key);
/* A cache_control member: null, or {"type":"ephemeral"[,"ttl"]}. */
GW_MUSTUSE int anthropic_read_cache(struct anthropic_reader *r, const char *path, uint32_t v,
                                    enum ir_cache *out);

int anthropic_read_request_ir(const struct json_doc *d, struct ir_request *out,
                              struct dialect_refusal *why);
int anthropic_write_request_ir(const struct ir_request *r, const struct codec_target *t,
                               struct buf *out, struct dialect_refusal *why);

/* What a part becomes; separators and brackets around it are the caller's. */
struct anthropic_writer {
    struct json_writer *w;
    const struct ir_request *r;
    const struct codec_target *t;
    struct dialect_refusal *why;
};
/* White space as the API sees it, escaped or not. */
bool anthropic_is_blank(struct ir_text t);
/* Whether anything is written for the part at all: empty texts are refused by the API, and
 * reasoning can't be sent back without its signature. */
bool anthropic_has_block(const struct ir_part *p);
GW_MUSTUSE int anthropic_write_block(struct anthropic_writer *aw, const struct ir_message *m,
                                     const struct ir_part *p);
void anthropic_write_cache(struct json_writer *w, enum ir_cache cache);
/* An id as the API takes it (^[a-zA-Z0-9_-]+$): its own stay as they are; in others what doesn't
 * fit becomes '_', and a hash of the whole id behind it keeps two of them apart. The same id gives
 * the same text wherever it stands. */
void anthropic_write_call_id(struct json_writer *w, struct arena *a, struct ir_text id,
                             struct ir_text signature);

/* ---- thinking ---- */

enum anthropic_thinking {
    ANTHROPIC_THINKING_UNSAID,
    ANTHROPIC_THINKING_OFF,
    ANTHROPIC_THINKING_BUDGET,
    ANTHROPIC_THINKING_ADAPTIVE,
};
/* What a request says of thinking and sampling to a model of that generation. */
struct anthropic_plan {
    enum anthropic_thinking thinking;
    int64_t budget;                 /* of ANTHROPIC_THINKING_BUDGET */
    int64_t max_tokens;             /* to be sent */
    const char *effort;             /* output_config.effort; NULL: none */
    bool temperature, top_p, top_k; /* to be sent, where they are given */
    bool temperature_is_1;          /* what is given is more than the API takes */
};
/* Lists what it leaves out in t->dropped. */
void anthropic_plan(const struct ir_request *r, const struct codec_target *t,
                    struct anthropic_plan *out);
/* The effort that a word of this dialect stands for; IR_EFFORT_UNSET: none. */
enum ir_effort anthropic_effort(const struct json_doc *d, uint32_t v);

/* ---- usage, stop reasons ---- */

/* As the API says it: the input's three kinds are apart. */
struct anthropic_usage {
    int64_t input, output, cache_read, cache_write, cache_write_1h, thinking;
    bool has_input, has_output, odd;
};
/* Overwrites what the object's `usage` says: figures are totals so far, and are left out where they
 * did not change. */
void anthropic_read_usage(const struct json_doc *d, uint32_t object, struct anthropic_usage *u);
void anthropic_usage_ir(const struct anthropic_usage *u, struct dialect_usage *out);
/* The object of a whole answer and of message_start; u may be NULL. */
void anthropic_write_usage(struct json_writer *w, const struct dialect_usage *u);
/* That of message_delta. */
void anthropic_write_delta_usage(struct json_writer *w, const struct dialect_usage *u);

enum ir_finish anthropic_finish(const struct json_doc *d, uint32_t stop_reason);
const char *anthropic_stop_reason(enum ir_finish f, bool called_tools);

/* One citation of a text block; the list is appended to. -1: the arena is full. */
GW_MUSTUSE int anthropic_read_citation(const struct json_doc *d, uint32_t v, struct arena *a,
                                       struct ir_citation **list);
void anthropic_write_citation(struct json_writer *w, const struct ir_citation *c);

int anthropic_read_response_ir(const struct json_doc *d, struct ir_response *out);
int anthropic_write_response_ir(const struct ir_response *r, const struct codec_caller *c,
                                struct buf *out);

/* ---- streams ---- */

struct anthropic_stream_reader {
    struct anthropic_usage usage;
    struct dialect_usage said;
    int64_t index; /* of the open block */
    uint32_t part, parts;
    enum ir_part_kind kind;
    bool open;
    bool shown; /* the open block is a part; else one that isn't known */
    bool finished, ended;
};
struct anthropic_stream_writer {
    uint32_t index; /* of the block that is open, or the next one's */
    enum ir_part_kind kind;
    bool in_part;  /* between PART_START and PART_END of a part that is shown */
    bool open;     /* its content_block_start has been written */
    bool redacted; /* a thinking block whose only content is its signature */
    bool called;
    bool started, ended;
    bool has_usage;
    enum ir_finish finish;
    struct dialect_usage usage;
    struct buf signature, stop_sequence; /* JSON strings without their quotes */
};
int anthropic_read_event(void *state, const struct json_doc *d, struct slice type,
                         struct slice data, ir_sink_fn sink, void *ctx);
int anthropic_read_end(void *state, ir_sink_fn sink, void *ctx);
int anthropic_write_event(void *state, const struct codec_caller *c, const struct ir_event *ev,
                          struct buf *out);
void anthropic_writer_fini(void *state);

/* ---- errors ---- */

/* `error`: the value of an error answer's `error` member. */
enum dialect_fault anthropic_fault(const struct json_doc *d, uint32_t error, int status);
enum dialect_fault anthropic_read_error(struct json_doc *d, int status, struct slice body);
const char *anthropic_error_type(int status, const char *code);
/* The word for a fault, where no status is known. */
const char *anthropic_fault_type(enum dialect_fault f);
void anthropic_write_error(struct json_writer *w, const struct dialect_error *e);
int anthropic_write_stream_error(struct buf *out, const struct dialect_error *e);
/* `event: error` of that word and message. -1: doesn't fit. */
GW_MUSTUSE int anthropic_write_error_event(struct buf *out, const char *type,
                                           struct ir_text message, struct slice request_id);

/* ---- the native path ---- */

int anthropic_read_request(struct json_doc *d, struct slice body, enum dialect_op op,
                           struct slice default_model, struct dialect_request *out,
                           struct dialect_refusal *why);
int anthropic_rewrite_request(const struct dialect_request *req, const struct dialect_rewrite *how,
                              struct splices *out, bool *injected);
int anthropic_read_response(struct json_doc *d, struct slice body, enum dialect_op op,
                            struct dialect_response *out);
void anthropic_stream_init(struct dialect_stream *s, enum dialect_op op, bool usage_injected);

#endif
