/*
 * cohere.h: private to the Cohere dialect (/v2/chat): what its files share.
 *
 * The codec: cohere_fields.c is its table; cohere_read.c reads a request, cohere_write.c writes
 * one, cohere_response.c reads and writes whole answers, cohere_usage.c usage, finish reasons and
 * citations, cohere_logprobs.c log probabilities, cohere_stream.c and cohere_stream_write.c events,
 * cohere_error.c errors. cohere_native.c serves requests that stay in this dialect; cohere.c is the
 * table of it all.
 *
 * The format is that of Cohere's API reference (docs.cohere.com/reference/chat and
 * .../chat-stream, docs.cohere.com/v2/docs/streaming, .../docs/tool-use-streaming) and of the types
 * of its official SDK (github.com/cohere-ai/cohere-typescript, src/api/types).
 *
 * Two things have no place there. Answers don't name their model. And thinking isn't signed: where
 * another provider's is, a thinking block has a further member, `signature`, which official clients
 * hand on and give back as it is, with the tag of its maker in front (provenance.h). Thinking that
 * leaves for another dialect is given COHERE_SIGNATURE, whose tag keeps it from providers that
 * would miss their own signature on it.
 */
#ifndef GW_GATEWAYD_DIALECT_COHERE_H
#define GW_GATEWAYD_DIALECT_COHERE_H

#include "gatewayd/dialect/codec.h"

extern const struct ir_field_row cohere_fields[IR_FIELD_COUNT];

#define COHERE_SIGNATURE SLICE_LIT("Y29oZXJl") /* base64, as some dialects must have it */

/* ---- refusals ---- */

/* Both return -1. The message begins with the path, if there is one. */
int cohere_refuse(struct dialect_refusal *why, const char *code, const char *path, const char *fmt,
                  ...) GW_PRINTF(4, 5);
int cohere_wrong_type(struct dialect_refusal *why, const struct json_doc *d, uint32_t v,
                      const char *path, const char *expected);

/* ---- requests ---- */

int cohere_read_request_ir(const struct json_doc *d, struct ir_request *out,
                           struct dialect_refusal *why);
int cohere_write_request_ir(const struct ir_request *r, const struct codec_target *t,
                            struct buf *out, struct dialect_refusal *why);

/* ---- usage, finish reasons, citations ---- */

/* What the `usage` of the object says; flags 0 where there is none. */
void cohere_read_usage(const struct json_doc *d, uint32_t object, struct dialect_usage *out);
void cohere_write_usage(struct json_writer *w, const struct dialect_usage *u);

/* What a finish_reason says: an end, or (with IR_FINISH_NONE) that the answer failed. */
struct cohere_finish {
    enum ir_finish finish;
    enum dialect_fault fault;
};
struct cohere_finish cohere_finish(const struct json_doc *d, uint32_t reason);
struct slice cohere_finish_reason(enum ir_finish f, bool called_tools);

/* False: it is about something other than the answer's text. */
bool cohere_read_citation(const struct json_doc *d, uint32_t v, struct ir_citation *out);
void cohere_write_citation(struct json_writer *w, const struct ir_citation *c, uint32_t content);

/* ---- log probabilities ---- */

/* Of one item ({"text","token_ids","logprobs"}) or an array of them, in OpenAI's form; {NULL}:
 * there are none, or they don't fit. */
struct slice cohere_read_logprobs(const struct json_doc *d, uint32_t v, struct arena *a);
/* Items of OpenAI's form: an array of one a token, or one that holds all, whose text is given. */
void cohere_write_logprobs(struct json_writer *w, struct slice openai);
void cohere_write_logprob(struct json_writer *w, struct slice openai, struct ir_text text);

/* ---- whole answers ---- */

int cohere_read_response_ir(const struct json_doc *d, struct ir_response *out);
int cohere_write_response_ir(const struct ir_response *r, const struct codec_caller *c,
                             struct buf *out);
/* The members of a tool call. */
void cohere_write_call(struct json_writer *w, struct ir_text id, struct ir_text signature,
                       struct ir_text name, struct ir_text arguments);

/* ---- streams ---- */

enum { COHERE_CALLS_MAX = 128 };

struct cohere_stream_reader {
    struct dialect_usage usage;
    uint32_t parts;
    uint32_t part; /* that is open, and is no call */
    enum ir_part_kind kind;
    bool open;
    uint32_t calls[COHERE_CALLS_MAX]; /* parts, by the calls' indexes */
    bool call_open[COHERE_CALLS_MAX];
    uint32_t call; /* the last one's index */
    bool finished, ended;
};
struct cohere_stream_writer {
    uint32_t content, calls, citations; /* indexes of the next ones */
    enum ir_part_kind kind;
    bool in_part; /* between PART_START and PART_END of a part that is shown */
    bool open;    /* its start has been written */
    bool redacted;
    bool started, called, ended;
    enum ir_finish finish;
    struct dialect_usage usage;
    struct buf signature; /* a JSON string without its quotes */
};
int cohere_read_event(void *state, const struct json_doc *d, struct slice type, struct slice data,
                      ir_sink_fn sink, void *ctx);
int cohere_read_end(void *state, ir_sink_fn sink, void *ctx);
int cohere_write_event(void *state, const struct codec_caller *c, const struct ir_event *ev,
                       struct buf *out);
void cohere_writer_fini(void *state);

/* ---- errors ---- */

enum dialect_fault cohere_read_error(struct json_doc *d, int status, struct slice body);
const char *cohere_error_type(int status, const char *code);
void cohere_write_error(struct json_writer *w, const struct dialect_error *e);
int cohere_write_stream_error(struct buf *out, const struct dialect_error *e);
/* The message-end of an answer that failed. -1: doesn't fit. */
GW_MUSTUSE int cohere_write_error_event(struct buf *out, struct ir_text message);

/* ---- the native path ---- */

int cohere_read_request(struct json_doc *d, struct slice body, enum dialect_op op,
                        struct slice default_model, struct dialect_request *out,
                        struct dialect_refusal *why);
int cohere_rewrite_request(const struct dialect_request *req, const struct dialect_rewrite *how,
                           struct splices *out, bool *injected);
int cohere_read_response(struct json_doc *d, struct slice body, enum dialect_op op,
                         struct dialect_response *out);
void cohere_stream_init(struct dialect_stream *s, enum dialect_op op, bool usage_injected);

#endif
