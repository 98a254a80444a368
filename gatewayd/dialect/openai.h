/*
 * openai.h: private to the OpenAI dialect: what its files share.
 *
 * openai_request.c reads and splices requests, openai_response.c reads whole answers,
 * openai_stream.c runs over events, openai_error.c reads and writes errors; openai.c is the table
 * of them. The formats are those of the OpenAI API reference
 * (platform.openai.com/docs/api-reference: chat, completions, embeddings); what other providers do
 * differently is said where it matters.
 */
#ifndef GW_GATEWAYD_DIALECT_OPENAI_H
#define GW_GATEWAYD_DIALECT_OPENAI_H

#include "gatewayd/dialect/ir.h"

/* Adds every file that `v` names as uploaded before, at any depth: a place that is overlooked is a
 * way to another owner's file. */
void openai_note_files(const struct json_doc *d, uint32_t v, struct dialect_request *out);

int openai_read_request(struct json_doc *d, struct slice body, enum dialect_op op,
                        struct slice default_model, struct dialect_request *out,
                        struct dialect_refusal *why);
/* The same of a request to the Responses API. */
int openai_responses_read_native(struct json_doc *d, struct slice body, enum dialect_op op,
                                 struct slice default_model, struct dialect_request *out,
                                 struct dialect_refusal *why);
/* The same of what is relayed, where it comes as JSON. */
int openai_relay_read_request(struct json_doc *d, struct slice body, enum dialect_op op,
                              struct slice default_model, struct dialect_request *out,
                              struct dialect_refusal *why);
int openai_rewrite_request(const struct dialect_request *req, const struct dialect_rewrite *how,
                           struct splices *out, bool *injected);
/* What whole answers have in common: parses the body; error, id and model. -1: no JSON object. */
GW_MUSTUSE int openai_begin_response(struct json_doc *d, struct slice body,
                                     struct dialect_response *out);
int openai_read_response(struct json_doc *d, struct slice body, enum dialect_op op,
                         struct dialect_response *out);
enum dialect_fault openai_read_error(struct json_doc *d, int status, struct slice body);
void openai_stream_init(struct dialect_stream *s, enum dialect_op op, bool usage_injected);
enum dialect_verdict openai_stream_event(struct dialect_stream *s, struct json_doc *d,
                                         struct slice event, struct slice data,
                                         struct splices *cuts);
const char *openai_error_type(int status, const char *code);
void openai_write_error(struct json_writer *w, const struct dialect_error *e);
int openai_write_stream_error(struct buf *out, const struct dialect_error *e);

/* The fault an error object stands for; `error` is the value of the `error` member, or the object
 * around it where the members stand bare. */
enum dialect_fault openai_fault(const struct json_doc *d, uint32_t error, int status);
/* The error object of an answer, if it is one: {"error":{…}}, {"error":"text"} or
 * {"object":"error",…}; JSON_NONE if it is none. */
uint32_t openai_error_object(const struct json_doc *d);

/* The error object of a provider's failure, and its code. */
void openai_write_fault(struct json_writer *w, struct ir_text message, enum dialect_fault f);
const char *openai_fault_code(enum dialect_fault f);

/* Reads a `usage` value; what was read before is in out and is what a stream must not fall behind.
 */
void openai_read_usage(const struct json_doc *d, uint32_t usage, struct dialect_usage *out);
/* `usage` is there more than once: which of them counts can't be known. */
void openai_usage_is_odd(struct dialect_usage *out);
/* Decoded bytes of generated text in a choice of a whole answer or of a chunk. */
uint64_t openai_choice_bytes(const struct json_doc *d, uint32_t choice);
/* Copies a string value; leaves the name alone if it is no string, empty or too long. */
void openai_copy_name(const struct json_doc *d, uint32_t v, struct dialect_name *out);

/* The paths that the lines of a batch may have; they are kept on record by their numbers. */
#define OPENAI_BATCH_PATHS(X)                                                                      \
    X(CHAT, "/chat/completions")                                                                   \
    X(RESPONSES, "/responses")                                                                     \
    X(COMPLETIONS, "/completions")                                                                 \
    X(EMBEDDINGS, "/embeddings")                                                                   \
    X(MODERATIONS, "/moderations")                                                                 \
    X(IMAGES, "/images/generations")                                                               \
    X(IMAGE_EDITS, "/images/edits")
enum openai_batch_url {
    OPENAI_BATCH_NO_URL, /* none, or none of these */
#define X(name, path) OPENAI_BATCH_##name,
    OPENAI_BATCH_PATHS(X)
#undef X
        OPENAI_BATCH_URLS
};
/* Of a string value; with `/v1` in front or, as Azure has them, without. */
uint8_t openai_batch_url(const struct json_doc *d, uint32_t v);
/* Without `/v1`; "?" for none. */
const char *openai_batch_url_name(uint8_t url);

static inline struct dialect_span openai_span(const struct json_doc *d, uint32_t v)
{
    return (struct dialect_span){d->toks[v].off, d->toks[v].end};
}

#endif
