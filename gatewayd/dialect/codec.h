/*
 * codec.h: the six functions by which a dialect takes part in translation: read and write a
 * request, a whole response, an event of a stream, to and from the internal form (ir.h).
 *
 * Pure functions over bytes and their own state. A codec knows no other codec. Refusals name the
 * member in the caller's words.
 */
#ifndef GW_GATEWAYD_DIALECT_CODEC_H
#define GW_GATEWAYD_DIALECT_CODEC_H

#include "common/provider_kinds.h"
#include "gatewayd/dialect/ir.h"

/* What a writer must know of where the request goes. */
struct codec_target {
    struct slice model; /* upstream model name */
    uint32_t quirks;    /* PROVIDER_QUIRK_* of the kind */
    uint32_t refused;   /* PROVIDER_MEMBER_* that the model's requests can't have */
    enum dialect_envelope envelope;
    bool want_usage;            /* ask for usage in the stream */
    int64_t default_max_tokens; /* where the dialect requires a maximum and the caller gave none */
    /* Takes the names of what this model or the other values left no room for (ir_list_dropped);
     * NULL: nobody asks. */
    struct buf *dropped;
};

/* What a writer must know of the caller. */
struct codec_caller {
    struct ir_text model; /* what the answer's model member says; {NULL}: what the provider said */
    struct slice request_id; /* ours, for dialects whose answers must have an id */
    bool include_usage;      /* OpenAI: a usage chunk was asked for */
    enum codec_framing framing;
    const struct ir_request *request; /* Responses echo members of the request */
    int64_t estimated_input;          /* tokens, where the provider says none of an embedding's */
    int64_t now_s;                    /* time of the answer, where its provider didn't say one */
    struct slice
        left_out; /* of the stream so far, for what ends it and isn't SSE; n = 0: nothing */
};

struct codec {
    const char *name; /* "openai.chat" */
    enum codec_framing framing;
    const struct ir_field_row *fields; /* ir_op_fields() rows of its operation */
    /* Who signs what this dialect's providers say of that model; of no model: whose an untagged
     * signature is in it. NULL: nothing is ever signed. */
    enum ir_maker (*made_by)(struct slice model);
    bool signature_is_bytes; /* base64 on the wire */
    /* Bits of IR_PART_IMAGE, AUDIO, VIDEO, FILE which its answers have a place for, as base64.
     * Parts of other kinds never reach a writer of answers (translate.h). */
    unsigned answer_media;
    size_t reader_bytes, writer_bytes; /* of the stream states; zeroed by the caller */

    /* 1. The doc has been parsed and its root is an object. 0, or -1 with *why. Unknown roles and
     * types of parts, and wrong types of what is read, are refusals. */
    int (*read_request)(const struct json_doc *d, struct ir_request *out,
                        struct dialect_refusal *why);
    /* 2. Appends the request's body. Called after ir_link_tools and ir_check_fields: whatever is
     * IR_REFUSED isn't there, and whatever is IR_DROPPED is to be left out. -1 with *why for what
     * only the values tell (arguments that are no JSON object), or "" if it doesn't fit. */
    int (*write_request)(const struct ir_request *r, const struct codec_target *t, struct buf *out,
                         struct dialect_refusal *why);
    /* 3. A parsed 2xx body. -1: it is no answer of this dialect. */
    int (*read_response)(const struct json_doc *d, struct ir_response *out);
    /* 4. -1: it doesn't fit. */
    int (*write_response)(const struct ir_response *r, const struct codec_caller *c,
                          struct buf *out);
    /* 5. One event: its type (SSE `event:`, `:event-type` of a frame; may be empty) and data,
     * parsed where it is JSON (d is NULL where it isn't). Emits what it says. -1: it can't be read.
     */
    int (*read_event)(void *state, const struct json_doc *d, struct slice type, struct slice data,
                      ir_sink_fn sink, void *ctx);
    /* The provider's connection ended well: emits what is still owed (a FINISH seen, an END not
     * sent by this dialect). -1: the stream isn't complete. NULL: nothing is ever owed. */
    int (*read_end)(void *state, ir_sink_fn sink, void *ctx);
    /* 6. Appends complete frames for one event. Parts never overlap here. -1: doesn't fit. */
    int (*write_event)(void *state, const struct codec_caller *c, const struct ir_event *ev,
                       struct buf *out);
    /* An error of the gateway's own behind what was written so far. NULL: in this dialect it
     * doesn't depend on that, struct dialect.write_stream_error says it. -1: doesn't fit. */
    int (*write_own_error)(void *state, const struct codec_caller *c, const struct dialect_error *e,
                           struct buf *out);
    void (*reader_fini)(void *state); /* NULL: nothing to release */
    void (*writer_fini)(void *state);
};

extern const struct codec codec_openai_chat, codec_openai_responses, codec_anthropic, codec_gemini,
    codec_bedrock, codec_cohere;

/* Refuses what t's table refuses, and appends the caller's names of what it drops, unknown members
 * included, to dropped as a comma-separated list (for x-gw-dropped; at most its max_bytes, then
 * "..."). -1 with *why. */
GW_MUSTUSE int ir_check_fields(const struct ir_request *r, const struct codec *t,
                               struct buf *dropped, struct dialect_refusal *why);
/* Appends the caller's name of a field to the same list. dropped may be NULL. */
void ir_list_dropped(const struct ir_request *r, unsigned f, struct buf *dropped);
/* Appends any other name to the same list. */
void ir_list_name(struct buf *dropped, struct slice name);

#endif
