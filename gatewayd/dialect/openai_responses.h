/*
 * openai_responses.h: private to the codec of the Responses API.
 *
 * openai_responses_read.c reads requests, openai_responses_write.c writes them,
 * openai_responses_response.c whole answers both ways, openai_responses_stream.c reads streams,
 * openai_responses_events.c writes them; openai_responses_fields.c is the table of fields and the
 * codec, openai_responses_native.c the native path.
 *
 * The format is that of the API reference (platform.openai.com/docs/api-reference/responses,
 * responses-streaming).
 *
 * Reasoning. An item of reasoning has an id and encrypted content, and the API refuses one without
 * the other ("item_id did not match the target item id"). The internal form has one signature: it
 * is ID "-" CONTENT of what the API gave. A reasoning item that is made here has an id that begins
 * with rs_gw, and its encrypted_content is the signature as it was. An item with several summaries
 * is as many parts, the last of which is signed.
 */
#ifndef GW_GATEWAYD_DIALECT_OPENAI_RESPONSES_H
#define GW_GATEWAYD_DIALECT_OPENAI_RESPONSES_H

#include "gatewayd/dialect/codec.h"
#include "gatewayd/dialect/openai_read.h"

extern const struct ir_field_row openai_responses_fields[IR_FIELD_COUNT];

#define OPENAI_RESPONSES_OWN_ID "rs_gw"

int openai_responses_read_request(const struct json_doc *d, struct ir_request *out,
                                  struct dialect_refusal *why);
int openai_responses_write_request(const struct ir_request *r, const struct codec_target *t,
                                   struct buf *out, struct dialect_refusal *why);
int openai_responses_read_response(const struct json_doc *d, struct ir_response *out);
int openai_responses_write_response(const struct ir_response *r, const struct codec_caller *c,
                                    struct buf *out);

/* ---- shared by whole answers and streams ---- */

/* The signature that an item's id and content make; {NULL} where there is no content. */
struct ir_text openai_responses_signature(struct arena *a, struct ir_text id,
                                          struct ir_text content);
/* False: not one of the API's own. */
bool openai_responses_split(struct ir_text signature, struct ir_text *id, struct ir_text *content);
enum ir_finish openai_responses_finish(const struct json_doc *d, uint32_t response, unsigned kinds);
bool openai_responses_read_citation(const struct json_doc *d, uint32_t annotation,
                                    struct ir_citation *out);
void openai_responses_write_citation(struct json_writer *w, const struct ir_citation *c);

/* Members that requests and the response object, which repeats them, have alike: as values. */
void openai_responses_write_tools(struct json_writer *w, const struct ir_request *r);
void openai_responses_write_choice(struct json_writer *w, const struct ir_request *r);
void openai_responses_write_text(struct json_writer *w, const struct ir_request *r);

/* A response object but for its output. */
struct openai_responses_object {
    struct ir_text id, model, service_tier;
    int64_t created_s;
    const char *status;
    const char *incomplete;            /* reason; NULL: none */
    const char *error;                 /* code of what failed; NULL: nothing */
    struct ir_text message;            /* of that error */
    const struct dialect_usage *usage; /* NULL: null */
};
/* output: JSON of an array. The writer stands where a value is due. */
void openai_responses_write_object(struct json_writer *w, const struct openai_responses_object *o,
                                   const struct codec_caller *c, struct slice output);
void openai_responses_status(enum ir_finish f, bool refused, struct openai_responses_object *o);

/* ---- streams ---- */

struct openai_responses_open {
    int64_t item, content; /* output_index, content_index or summary_index */
    uint32_t part;
    enum ir_part_kind kind;
    bool said; /* a delta came */
};

struct openai_responses_reader {
    bool started, failed, ended;
    uint32_t next_part;
    unsigned kinds;
    struct openai_responses_open *open;
    size_t n_open;
    struct dialect_usage usage;
    struct buf scratch;
};
int openai_responses_read_event(void *state, const struct json_doc *d, struct slice type,
                                struct slice data, ir_sink_fn sink, void *ctx);
int openai_responses_read_end(void *state, ir_sink_fn sink, void *ctx);
void openai_responses_reader_fini(void *state);

enum openai_responses_item { ITEM_NONE, ITEM_MESSAGE, ITEM_CALL, ITEM_REASONING };

struct openai_responses_writer {
    bool started, failed, refused, signed_, begun;
    int64_t sequence, outputs; /* items so far, the open one included */
    int64_t contents, annotations;
    enum openai_responses_item item;
    enum ir_part_kind part; /* that is open in it */
    bool part_open;
    char item_id[96];
    struct buf id, model, tier; /* of the response, escaped */
    int64_t created_s;
    struct buf output;     /* items that are done, as JSON elements */
    struct buf content;    /* of the open item: parts that are done */
    struct buf text;       /* of the open part, escaped */
    struct buf notes;      /* its annotations */
    struct buf logprobs;   /* its tokens' log probabilities, as JSON elements */
    struct buf call, name; /* id and name of an open call, escaped */
    struct buf signature;  /* of open reasoning, escaped */
    enum ir_finish finish;
    struct dialect_usage usage;
};
/* The array that is `content` in {"content":[…],…}, as chat completions have it, parsed into d;
 * {NULL}: none. */
struct slice openai_responses_logprobs(struct json_doc *d, struct slice logprobs);
int openai_responses_write_event(void *state, const struct codec_caller *c,
                                 const struct ir_event *ev, struct buf *out);
/* Writes on behind a stream of which another wrote the beginning. */
GW_MUSTUSE int openai_responses_resume(struct openai_responses_writer *s,
                                       const struct ir_event *start);
int openai_responses_write_own_error(void *state, const struct codec_caller *c,
                                     const struct dialect_error *e, struct buf *out);
void openai_responses_writer_fini(void *state);

#endif
