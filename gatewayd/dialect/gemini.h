/*
 * gemini.h: private to the Gemini dialect: what its files share.
 *
 * gemini_read.c reads requests, gemini_content.c the messages in them, gemini_schema.c the schemas;
 * gemini_write.c writes requests; gemini_response.c reads and writes whole answers, gemini_stream.c
 * reads the events of a stream and gemini_stream_write.c writes them, gemini_logprobs.c turns log
 * probabilities; gemini_error.c reads and writes errors; gemini_native.c is the path of requests
 * that leave in the dialect they came in; gemini_fields.c says what becomes of each field.
 *
 * The format is that of the Gemini API reference (ai.google.dev/api/generate-content,
 * ai.google.dev/api/caching for Content and Part) and of Vertex AI, which shares it. Its JSON is
 * that of Protocol Buffers (protobuf.dev/programming-guides/json): member names in lowerCamelCase
 * or as in the .proto file, integers as numbers or strings, bytes in either base64 alphabet, null
 * for "not given".
 */
#ifndef GW_GATEWAYD_DIALECT_GEMINI_H
#define GW_GATEWAYD_DIALECT_GEMINI_H

#include "gatewayd/dialect/codec.h"

extern const struct ir_field_row gemini_fields[IR_FIELD_COUNT];

/* ---- members (gemini_json.c) ---- */

/* Whether the member name k is this one, in lowerCamelCase or snake_case. */
bool gemini_is(const struct json_doc *d, uint32_t k, const char *camel);
/* The value of the first such member; JSON_NONE if there is none, or null. */
uint32_t gemini_get(const struct json_doc *d, uint32_t object, const char *camel);
/* A member name as it stands in the text, cut to what a message can hold. */
struct slice gemini_name(const struct json_doc *d, uint32_t k);
/* An integer, also where it is spelled in a string. 0 or -1. */
GW_MUSTUSE int gemini_i64(const struct json_doc *d, uint32_t v, int64_t *out);
/* Base64 in the standard alphabet and padded; borrowed where it came so. {NULL}: v is no string, or
 * memory ran out. */
struct ir_text gemini_base64(const struct json_doc *d, uint32_t v, struct arena *a);

/* ---- requests ---- */

struct gemini_in {
    const struct json_doc *d;
    struct ir_request *r;
    struct dialect_refusal *why;
};
/* Both return -1. */
int gemini_refuse(const struct gemini_in *in, const char *code, const char *param, const char *fmt,
                  ...) GW_PRINTF(4, 5);
int gemini_wrong_type(const struct gemini_in *in, const char *param, uint32_t v,
                      const char *expected);
int gemini_too_large(const struct gemini_in *in);

int gemini_read_request(const struct json_doc *d, struct ir_request *out,
                        struct dialect_refusal *why);
/* A Content object; index: its place in `contents`. */
int gemini_read_content(const struct gemini_in *in, uint32_t content, uint32_t index);
int gemini_read_system(const struct gemini_in *in, uint32_t content);
/* The kind of a media type; FILE for what is neither image, audio nor video. */
enum ir_part_kind gemini_media_kind(struct ir_text media_type);
int gemini_write_request(const struct ir_request *r, const struct codec_target *t, struct buf *out,
                         struct dialect_refusal *why);
/* The Schema object v (a subset of OpenAPI 3.0) as JSON Schema, in the arena: types in lower case,
 * nullable as a type. {NULL}: it doesn't fit. */
struct slice gemini_json_schema(const struct json_doc *d, uint32_t v, struct arena *a);

/* ---- models named in bodies, and embeddings, natively (gemini_embed_native.c) ---- */

/* Notes where the object names its model. -1: there are too many. */
GW_MUSTUSE int gemini_note_models(const struct json_doc *d, uint32_t object,
                                  struct dialect_request *out);

/* "At most 100 requests can be in one batch" is the API's own answer to more. */
enum { GEMINI_BATCH_MAX = 100 };
GW_MUSTUSE int gemini_read_embed(const struct json_doc *d, enum dialect_op op,
                                 struct dialect_request *out, struct dialect_refusal *why);
/* Puts the upstream's model into the places of the body that name it. -1: it doesn't fit. */
GW_MUSTUSE int gemini_splice_models(const struct dialect_request *req, struct slice model,
                                    struct splices *out);

/* ---- answers ---- */

void gemini_read_usage(const struct json_doc *d, uint32_t usage, struct dialect_usage *out);
void gemini_write_usage(struct json_writer *w, const struct dialect_usage *u);
/* Of a value of finishReason or blockReason. */
enum ir_finish gemini_finish(const struct json_doc *d, uint32_t reason, bool has_calls);
const char *gemini_finish_word(enum ir_finish f);
enum ir_finish gemini_block(const struct json_doc *d);
/* The logprobsResult v in OpenAI's form, in the arena; {NULL}: there is none. */
struct slice gemini_read_logprobs(const struct json_doc *d, uint32_t v, struct arena *a);
/* OpenAI's form as the member logprobsResult; nothing if it can't be read. */
void gemini_write_logprobs(struct json_writer *w, struct slice openai);
/* A call's id where the provider gave none, unique in what one answer says: "call_RESPONSE_N". */
struct ir_text gemini_call_id(struct arena *a, struct ir_text response_id, uint32_t choice,
                              uint32_t nth);
/* Runs over the sources that groundingMetadata and citationMetadata of a candidate name. */
typedef void (*gemini_cite_fn)(void *ctx, const struct ir_citation *c, int64_t start_byte,
                               int64_t end_byte);
void gemini_read_citations(const struct json_doc *d, uint32_t candidate, gemini_cite_fn fn,
                           void *ctx);
/* The members of a web source and of a passage that rests on it, as elements of groundingChunks and
 * groundingSupports. start and end are in bytes; -1: not said. */
void gemini_write_chunk(struct json_writer *w, const struct ir_citation *c);
void gemini_write_support(struct json_writer *w, const struct ir_citation *c, int64_t start,
                          int64_t end, int64_t part, int64_t chunk);

int gemini_read_response(const struct json_doc *d, struct ir_response *out);
int gemini_write_response(const struct ir_response *r, const struct codec_caller *c,
                          struct buf *out);

/* ---- streams ---- */

enum { GEMINI_CANDIDATES_MAX = 16, GEMINI_ID_BYTES = 64, GEMINI_NAME_BYTES = 256 };

/* What the reader remembers between events. */
struct gemini_reader {
    bool started, failed;
    char id[GEMINI_ID_BYTES];
    uint8_t id_length;
    struct gemini_candidate {
        bool seen, finished;
        bool open; /* a part of `kind` is */
        enum ir_part_kind kind;
        uint32_t parts; /* begun so far: the open one is the last */
        uint32_t calls;
    } candidates[GEMINI_CANDIDATES_MAX];
};

/* What the writer does. */
struct gemini_writer {
    bool begun; /* the array is */
    struct gemini_choice *choices;
    struct dialect_usage usage;
    struct gemini_kept { /* a JSON string that borrows nothing */
        char s[GEMINI_NAME_BYTES];
        uint16_t n;
    } id, model;
};

int gemini_read_event(void *state, const struct json_doc *d, struct slice type, struct slice data,
                      ir_sink_fn sink, void *ctx);
int gemini_read_end(void *state, ir_sink_fn sink, void *ctx);
int gemini_write_event(void *state, const struct codec_caller *c, const struct ir_event *ev,
                       struct buf *out);
void gemini_writer_fini(void *state);

/* ---- errors ---- */

/* The `error` object of an answer; JSON_NONE if it is none. Some answers put it in an array. */
uint32_t gemini_error_object(const struct json_doc *d);
enum dialect_fault gemini_fault(const struct json_doc *d, uint32_t error, int status);
enum dialect_fault gemini_read_error(struct json_doc *d, int status, struct slice body);
const char *gemini_error_type(int status, const char *code);
int64_t gemini_read_retry_us(struct json_doc *d, struct slice body);
void gemini_write_error(struct json_writer *w, const struct dialect_error *e);
int gemini_write_stream_error(struct buf *out, const struct dialect_error *e);

#endif
