/*
 * openai_chat.h: private to the codec of chat completions.
 *
 * openai_chat_read.c reads messages, openai_chat_params.c the other members of a request,
 * openai_chat_write.c writes requests, openai_chat_response.c whole answers both ways,
 * openai_chat_stream.c reads streams, openai_chat_events.c writes them; openai_chat_fields.c is the
 * table of fields and the codec itself.
 *
 * The format is that of the API reference (platform.openai.com/docs/api-reference/chat). Reasoning,
 * which it doesn't have, goes as `reasoning_content` (api-docs.deepseek.com/guides/thinking_mode)
 * and `reasoning_details` (openrouter.ai/docs/use-cases/reasoning-tokens), `cache_control` as in
 * openrouter.ai/docs/features/prompt-caching.
 */
#ifndef GW_GATEWAYD_DIALECT_OPENAI_CHAT_H
#define GW_GATEWAYD_DIALECT_OPENAI_CHAT_H

#include "gatewayd/dialect/codec.h"
#include "gatewayd/dialect/openai_read.h"

extern const struct ir_field_row openai_chat_fields[IR_FIELD_COUNT];

int openai_chat_read_request(const struct json_doc *d, struct ir_request *out,
                             struct dialect_refusal *why);
int openai_chat_read_messages(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                              void *into);
int openai_chat_write_request(const struct ir_request *r, const struct codec_target *t,
                              struct buf *out, struct dialect_refusal *why);
int openai_chat_read_response(const struct json_doc *d, struct ir_response *out);
int openai_chat_write_response(const struct ir_response *r, const struct codec_caller *c,
                               struct buf *out);

/* ---- streams ---- */

/* A call of a tool whose deltas come under `index`. */
struct openai_chat_call {
    int64_t index;
    uint32_t part;
    uint64_t id_hash;
    bool started;
    struct ir_text id; /* until it is started; its bytes are owned */
};

struct openai_chat_choice_in {
    uint32_t next_part;
    bool open, finished;    /* `open`: part `current` takes text */
    enum ir_part_kind kind; /* of it */
    uint32_t current;
    bool redacted;
    int64_t detail; /* index of the reasoning detail that it is */
    unsigned kinds; /* of all parts, as bits */
    struct openai_chat_call *calls;
    size_t n_calls;
};

struct openai_chat_reader {
    bool started, failed, ended;
    uint64_t id_hash;
    struct dialect_usage usage;
    struct openai_chat_choice_in *choices;
    size_t n_choices;
};

struct openai_chat_choice_out {
    bool begun, refused, redacted;
    enum ir_part_kind kind; /* of the part that is open */
    enum ir_maker maker;    /* of reasoning */
    int32_t calls, details; /* begun so far */
};

struct openai_chat_writer {
    struct buf prefix; /* of every chunk, up to its choices */
    struct openai_chat_choice_out *choices;
    size_t n_choices;
    struct dialect_usage usage;
};

int openai_chat_read_event(void *state, const struct json_doc *d, struct slice type,
                           struct slice data, ir_sink_fn sink, void *ctx);
int openai_chat_read_end(void *state, ir_sink_fn sink, void *ctx);
void openai_chat_reader_fini(void *state);
int openai_chat_write_event(void *state, const struct codec_caller *c, const struct ir_event *ev,
                            struct buf *out);
void openai_chat_writer_fini(void *state);

/* ---- shared by whole answers and streams ---- */

/* kinds: of the parts that the choice holds, as bits. A provider's word may say less than they do:
 * a call of a tool ends with "stop" in some, a refusal in all. */
enum ir_finish openai_chat_finish(const struct json_doc *d, uint32_t choice, unsigned kinds,
                                  struct ir_text *stop_sequence);
const char *openai_chat_finish_word(enum ir_finish f, bool refused);
void openai_chat_write_usage(struct json_writer *w, const struct dialect_usage *u);
/* All texts of that kind as one string. */
void openai_chat_write_joined(struct json_writer *w, const struct ir_part *list,
                              enum ir_part_kind kind);
/* A data: URL of what is base64, else the URL itself. */
/* OpenRouter's member of a reasoning detail, where the maker has a name there. */
void openai_chat_write_format(struct json_writer *w, enum ir_maker m);
void openai_chat_write_url(struct json_writer *w, const struct ir_part *p);
/* shift: characters before the text that c is of. A citation without a URL can't be said: false. */
bool openai_chat_write_citation(struct json_writer *w, const struct ir_citation *c, int64_t shift);
/* False: it is no citation of a URL. */
bool openai_chat_read_citation(const struct json_doc *d, uint32_t annotation,
                               struct ir_citation *out);
/* Where a message or delta has its reasoning: the details if they hold something, else the longer
 * of the two plain members. */
struct openai_chat_reasoning {
    uint32_t details; /* JSON_NONE: none */
    struct ir_text plain;
};
struct openai_chat_reasoning openai_chat_find_reasoning(const struct json_doc *d, uint32_t message);
/* "wav" of "audio/wav" and back; {NULL}: not known. */
struct slice openai_chat_audio_format(struct ir_text media_type);
struct ir_text openai_chat_audio_type(struct ir_text format);

#endif
