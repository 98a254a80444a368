/*
 * ir_embed.h: the internal form of embeddings and of reranking, beside that of chats (ir.h).
 *
 * A request of DIALECT_EMBEDDINGS has ir_request.embed, one of DIALECT_RERANK ir_request.rerank;
 * the bits of ir_request.fields then mean the lists below, and a codec of that operation has a
 * table with a row for each of them. Memory and texts as in ir.h.
 */
#ifndef GW_GATEWAYD_DIALECT_IR_EMBED_H
#define GW_GATEWAYD_DIALECT_IR_EMBED_H

#include "gatewayd/dialect/ir.h"

/* ---- embeddings ---- */

/* X(enum suffix, name in the docs) */
#define IR_EMBED_FIELDS(X)                                                                         \
    X(TOKENS, "input as token ids")                                                                \
    X(IMAGE, "input other than text")                                                              \
    X(DIMENSIONS, "number of dimensions")                                                          \
    X(PURPOSE, "what the vectors are for")                                                         \
    X(TITLE, "title of a document")                                                                \
    X(TRUNCATE, "cutting of inputs that are too long")                                             \
    X(MAX_TOKENS, "maximum of tokens of an input")                                                 \
    X(BASE64, "vectors as base64")                                                                 \
    X(TYPES, "vectors of other numbers than floats")                                               \
    X(USER, "end user")
enum ir_embed_field {
#define X(name, text) IR_E_##name,
    IR_EMBED_FIELDS(X)
#undef X
        IR_EMBED_FIELD_COUNT
};

/* What vectors are for, in Gemini's words, of which there are the most. */
enum ir_purpose {
    IR_PURPOSE_UNSET,
    IR_PURPOSE_DOCUMENT, /* to be found */
    IR_PURPOSE_QUERY,
    IR_PURPOSE_CODE_QUERY,
    IR_PURPOSE_QUESTION,
    IR_PURPOSE_FACT,
    IR_PURPOSE_SIMILARITY,
    IR_PURPOSE_CLASSIFICATION,
    IR_PURPOSE_CLUSTERING,
};
enum ir_cut { IR_CUT_UNSET, IR_CUT_NONE, IR_CUT_START, IR_CUT_END };

struct ir_embed_input {
    struct ir_text text;
    struct slice tokens; /* raw JSON array of integers; {NULL}: it is a text */
    struct ir_text title;
};

struct ir_embed {
    struct ir_embed_input *inputs;
    size_t n;
    bool list;          /* the caller gave a list, be it of one */
    int64_t dimensions; /* -1 */
    int64_t max_tokens; /* -1 */
    enum ir_purpose purpose;
    enum ir_cut cut;
    bool floats, base64; /* how the caller wants the vectors; neither: as its dialect has them */
    struct ir_text user;
};

/* One vector: as numbers or as base64 of little-endian 32-bit floats. */
struct ir_vector {
    struct slice numbers; /* raw JSON array of numbers; {NULL}: base64 */
    struct ir_text base64;
};
struct ir_vectors {
    struct ir_vector *v; /* in the order of the inputs */
    size_t n;
};

/* NULL: the arena is full. */
struct ir_embed *ir_add_embed(struct ir_request *r, size_t n_inputs);
struct ir_vectors *ir_add_vectors(struct ir_response *r, size_t n);
/* A refusal of one value: "'dimensions' can't be sent to this model: …". Returns -1. */
int ir_refuse_field(const struct ir_request *r, unsigned field, struct dialect_refusal *why,
                    const char *fmt, ...) GW_PRINTF(4, 5);

/* v, an array of numbers. -1: it is none. */
GW_MUSTUSE int ir_read_numbers(const struct json_doc *d, uint32_t v, struct ir_vector *out);
/* v, a string of base64 of whole floats. -1: it is none. */
GW_MUSTUSE int ir_read_base64(const struct json_doc *d, uint32_t v, struct arena *a,
                              struct ir_vector *out);
/* As a JSON array. Floats that came as base64 are printed with as few digits as bring the same
 * float back; numbers stay as they are spelled. What is no finite float fails the writer. */
void ir_write_numbers(struct json_writer *w, const struct ir_vector *v);
/* As a JSON string; numbers are rounded to the nearest float. */
void ir_write_base64(struct json_writer *w, const struct ir_vector *v);

/* ---- reranking ---- */

#define IR_RERANK_FIELDS(X)                                                                        \
    X(OBJECTS, "documents as objects")                                                             \
    X(RANK_FIELDS, "fields of a document that count")                                              \
    X(TOP_N, "number of results")                                                                  \
    X(RETURN_DOCUMENTS, "documents in the answer")                                                 \
    X(MAX_TOKENS, "maximum of tokens of a document")                                               \
    X(PRIORITY, "priority")
enum ir_rerank_field {
#define X(name, text) IR_R_##name,
    IR_RERANK_FIELDS(X)
#undef X
        IR_RERANK_FIELD_COUNT
};

struct ir_rerank_document {
    struct ir_text text;
    struct slice object; /* raw JSON where it came as one */
};

struct ir_rerank {
    struct ir_text query;
    struct ir_rerank_document *documents;
    size_t n;
    int64_t top_n;      /* -1 */
    int64_t max_tokens; /* -1 */
    bool return_documents;
};

struct ir_rank {
    int64_t index;
    struct slice score; /* raw JSON number */
};
struct ir_ranks {
    struct ir_rank *v; /* best first */
    size_t n;
};

struct ir_rerank *ir_add_rerank(struct ir_request *r, size_t n_documents);
struct ir_ranks *ir_add_ranks(struct ir_response *r, size_t n);

#endif
