/*
 * bedrock.h: private to the Bedrock dialect (Converse, ConverseStream): what its files share.
 *
 * The codec: bedrock_fields.c is its table; bedrock_read.c and bedrock_read_blocks.c read a
 * request, bedrock_write.c and bedrock_write_blocks.c write one, bedrock_model.c knows what the
 * models behind the one API take, bedrock_response.c reads and writes whole answers and usage,
 * bedrock_stream.c events, bedrock_error.c errors. bedrock_native.c serves requests that stay in
 * this dialect; bedrock.c is the table of it all. The model's name and whether a stream is asked
 * for stand in the path, so neither is here.
 *
 * The format is that of the API reference (docs.aws.amazon.com/bedrock/latest/APIReference/
 * API_runtime_Converse.html, .../API_runtime_ConverseStream.html) and of the service model that
 * Amazon's SDKs are made from (github.com/boto/botocore, botocore/data/bedrock-runtime/2023-09-30/
 * service-2.json), which has the limits of lengths and characters.
 */
#ifndef GW_GATEWAYD_DIALECT_BEDROCK_H
#define GW_GATEWAYD_DIALECT_BEDROCK_H

#include "gatewayd/dialect/codec.h"

extern const struct ir_field_row bedrock_fields[IR_FIELD_COUNT];

/* ---- requests, read ---- */

/* A place in the body: made into text only when something is refused or unknown. */
struct bedrock_at {
    const struct bedrock_at *up; /* NULL: the body */
    const char *name;            /* NULL: an element */
    uint32_t index;
};
static inline struct bedrock_at bedrock_in(const struct bedrock_at *up, const char *name)
{
    return (struct bedrock_at){up, name, 0};
}
static inline struct bedrock_at bedrock_element(const struct bedrock_at *up, uint32_t index)
{
    return (struct bedrock_at){up, NULL, index};
}

struct bedrock_reader {
    const struct json_doc *d;
    struct ir_request *out;
    struct dialect_refusal *why;
};

/* How a member is read. */
enum bedrock_kind {
    BEDROCK_TEXT,   /* a string -> struct ir_text */
    BEDROCK_NUMBER, /* a number -> struct slice, as it is spelled */
    BEDROCK_COUNT,  /* an integer from 0 -> int64_t */
    BEDROCK_OBJECT, /* an object -> uint32_t, its token */
    BEDROCK_ARRAY,  /* an array -> uint32_t, its token */
    BEDROCK_VALUE,  /* anything -> uint32_t, its token */
};
struct bedrock_member {
    const char *name;
    enum bedrock_kind kind;
    size_t offset; /* of its place */
};
#define BEDROCK_MEMBER(name, kind, type, field)                                                    \
    {                                                                                              \
        name, BEDROCK_##kind, offsetof(type, field)                                                \
    }
/* Reads the object v by a table; *into has been set to what stands for absent (JSON_NONE for
 * tokens). null counts as absent, a member that stands twice or has the wrong type is refused, one
 * that no row names is noted as unknown. */
GW_MUSTUSE int bedrock_read_object(struct bedrock_reader *r, const struct bedrock_at *at,
                                   uint32_t v, const struct bedrock_member *table, size_t n,
                                   void *into);
#define BEDROCK_READ(r, at, v, table, into)                                                        \
    bedrock_read_object((r), (at), (v), (table), ARRAY_LEN(table), (into))
/* The one member of a union: its key's token. JSON_NONE with the refusal: v is no object, or has
 * none or several. */
GW_MUSTUSE uint32_t bedrock_read_union(struct bedrock_reader *r, const struct bedrock_at *at,
                                       uint32_t v);

/* Both return -1. The message begins with the place. */
int bedrock_refuse(struct bedrock_reader *r, const struct bedrock_at *at, const char *code,
                   const char *fmt, ...) GW_PRINTF(4, 5);
int bedrock_wrong_type(struct bedrock_reader *r, const struct bedrock_at *at, uint32_t v,
                       const char *expected);
int bedrock_too_large(struct bedrock_reader *r, const struct bedrock_at *at);
void bedrock_note_unknown(struct bedrock_reader *r, const struct bedrock_at *at);

GW_MUSTUSE int bedrock_read_messages(struct bedrock_reader *r, uint32_t messages);
GW_MUSTUSE int bedrock_read_system(struct bedrock_reader *r, uint32_t system);
/* The value of a cachePoint. */
GW_MUSTUSE int bedrock_read_cache_point(struct bedrock_reader *r, const struct bedrock_at *at,
                                        uint32_t v, enum ir_cache *out);

int bedrock_read_request_ir(const struct json_doc *d, struct ir_request *out,
                            struct dialect_refusal *why);

/* ---- requests, written ---- */

struct bedrock_writer {
    struct json_writer *w;
    const struct ir_request *r;
    const struct codec_target *t;
    struct dialect_refusal *why;
    unsigned n_documents; /* so far: their names must differ */
    bool caches;          /* the model knows cache points */
    bool left_reasoning;  /* some without signature was left out */
};
int bedrock_write_request_ir(const struct ir_request *r, const struct codec_target *t,
                             struct buf *out, struct dialect_refusal *why);
/* Whether anything is written for the part: blank texts are refused by the API, and reasoning can't
 * be sent back without its signature. */
bool bedrock_has_block(const struct ir_part *p);
/* The part's block, and a cache point behind it if it has one. */
GW_MUSTUSE int bedrock_write_block(struct bedrock_writer *bw, const struct ir_message *m,
                                   const struct ir_part *p);
void bedrock_write_cache_point(struct json_writer *w, enum ir_cache cache);
/* An id as the API takes it ([a-zA-Z0-9_.:-]{1,64}): what fits stays; in others what doesn't
 * becomes '_', and a hash of the whole id keeps two of them apart. */
void bedrock_write_call_id(struct json_writer *w, struct arena *a, struct ir_text id);
int bedrock_refuse_part(struct bedrock_writer *bw, const struct ir_message *m, const char *fmt, ...)
    GW_PRINTF(3, 4);

/* ---- what the models behind the API take ---- */

enum bedrock_family { BEDROCK_OTHER, BEDROCK_CLAUDE, BEDROCK_NOVA };
enum bedrock_thinking {
    BEDROCK_THINKING_NONE,     /* it has none */
    BEDROCK_THINKING_BUDGET,   /* a budget of tokens */
    BEDROCK_THINKING_ADAPTIVE, /* adaptive, with an effort */
};
struct bedrock_model {
    enum bedrock_family family;
    int version; /* of Claude: 100 × major + minor, 0 if its name tells none */
    enum bedrock_thinking thinking;
    bool samples; /* takes temperature, top p and top k */
};
/* By the name of a foundation model or inference profile. What doesn't name its maker (the ARN of
 * an application's inference profile or of provisioned throughput) is taken for a Claude that
 * thinks by a budget: who asks such a target for thinking or caching has one behind it. */
enum ir_maker bedrock_made_by(struct slice model);
struct bedrock_model bedrock_model(struct slice name);

/* What a request says of thinking and sampling to that model. */
struct bedrock_plan {
    struct bedrock_model model;
    enum bedrock_thinking thinking;
    int64_t budget;                 /* of BEDROCK_THINKING_BUDGET */
    const char *effort;             /* of BEDROCK_THINKING_ADAPTIVE; NULL: the model's own */
    int64_t max_tokens;             /* -1: not said */
    bool temperature, top_p, top_k; /* to be sent */
};
/* Lists what it leaves out in t->dropped. */
void bedrock_plan(const struct ir_request *r, const struct codec_target *t,
                  struct bedrock_plan *out);

/* ---- usage, stop reasons, answers ---- */

void bedrock_read_usage(const struct json_doc *d, uint32_t usage, struct dialect_usage *out);
/* A `usage` member; nothing where the usage isn't known. */
void bedrock_write_usage(struct json_writer *w, const struct dialect_usage *u);
enum ir_finish bedrock_finish(const struct json_doc *d, uint32_t stop_reason);
const char *bedrock_stop_reason(enum ir_finish f);
/* The stop sequence in additionalModelResponseFields, which only some models say, if asked. */
struct ir_text bedrock_stop_sequence(const struct json_doc *d, uint32_t fields);
/* additionalModelResponseFields with it and with what was left out of a stream; nothing of neither.
 */
void bedrock_write_more(struct json_writer *w, struct ir_text stop_sequence, struct slice left_out);

/* "image/png" for "png", …; {NULL}: no such format. Static text. */
struct ir_text bedrock_image_type(const struct json_doc *d, uint32_t format);
/* The API's word for a media type, of an IMAGE, AUDIO, VIDEO or FILE; NULL: it has none. */
const char *bedrock_format(enum ir_part_kind kind, struct ir_text media_type);
/* The word itself, as static text; NULL: it is none of them. */
const char *bedrock_known_format(enum ir_part_kind kind, struct slice format);

/* One citation. */
void bedrock_read_citation(const struct json_doc *d, uint32_t v, struct ir_citation *out);
void bedrock_write_citation(struct json_writer *w, const struct ir_citation *c);

int bedrock_read_response_ir(const struct json_doc *d, struct ir_response *out);
int bedrock_write_response_ir(const struct ir_response *r, const struct codec_caller *c,
                              struct buf *out);

/* ---- streams ---- */

enum { BEDROCK_READER_BYTES = 1024, BEDROCK_WRITER_BYTES = 256 };
int bedrock_read_event(void *state, const struct json_doc *d, struct slice type, struct slice data,
                       ir_sink_fn sink, void *ctx);
int bedrock_read_end(void *state, ir_sink_fn sink, void *ctx);
int bedrock_write_event(void *state, const struct codec_caller *c, const struct ir_event *ev,
                        struct buf *out);
void bedrock_writer_fini(void *state);

/* ---- errors ---- */

/* By the name of an exception as it stands in `__type`, in x-amzn-errortype or in a stream
 * ("throttlingException"), its message and its status (0: none). */
enum dialect_fault bedrock_fault(struct slice name, struct slice message, int status);
enum dialect_fault bedrock_read_error(struct json_doc *d, int status, struct slice body);
enum dialect_fault bedrock_read_named_error(struct json_doc *d, int status, struct slice header,
                                            struct slice body);
int bedrock_write_ping(struct buf *out);
const char *bedrock_error_type(int status, const char *code);
void bedrock_write_error(struct json_writer *w, const struct dialect_error *e);
int bedrock_write_stream_error(struct buf *out, const struct dialect_error *e);
/* The frame of an exception. -1: doesn't fit. */
GW_MUSTUSE int bedrock_write_exception(struct buf *out, struct slice name, struct ir_text message);

/* ---- the native path ---- */

int bedrock_read_request(struct json_doc *d, struct slice body, enum dialect_op op,
                         struct slice default_model, struct dialect_request *out,
                         struct dialect_refusal *why);
int bedrock_rewrite_request(const struct dialect_request *req, const struct dialect_rewrite *how,
                            struct splices *out, bool *injected);
int bedrock_read_response(struct json_doc *d, struct slice body, enum dialect_op op,
                          struct dialect_response *out);
void bedrock_stream_init(struct dialect_stream *s, enum dialect_op op, bool usage_injected);

#endif
