/*
 * openai.h: private to the OpenAI dialect of the mock: what its files share.
 *
 * openai.c has chat completions, completions, embeddings and models, openai_responses.c the
 * Responses API, openai_content.c chooses what both answer, openai_check.c says what the API
 * refuses.
 */
#ifndef MOCKLLM_OPENAI_H
#define MOCKLLM_OPENAI_H

#include "tests/mockllm/dialect.h"
#include "tests/mockllm/json.h"

#define OPENAI_CREATED "1700000000"

/* Fills err in and returns false. */
bool openai_refuse(struct error *err, int status, const char *code, const char *param,
                   const char *fmt, ...) CHECKED_FMT(5);
/* Puts the raw values of the members that are named into call->members; one given twice, or a body
 * that is no JSON, is refused. Sets call->model. */
bool openai_read_members(struct call *call, const char *const *names, int n, struct error *err);
bool openai_read_bool(struct slice v, const char *name, bool *out, struct error *err);

/* ---- content ---- */

enum openai_block_kind { OPENAI_REASONING, OPENAI_TEXT, OPENAI_REFUSAL, OPENAI_CALL };
enum { OPENAI_MAX_BLOCKS = 68 };

/* The raw text of a JSON string, cut into tokens. */
struct openai_block {
    enum openai_block_kind kind;
    struct bytes raw;
    size_t *ends;
    size_t n, cap;
    struct bytes name;      /* of a call; raw */
    struct bytes signature; /* of reasoning */
    char id[32];            /* of a call */
};

struct openai_content {
    struct openai_block blocks[OPENAI_MAX_BLOCKS];
    size_t n;
    int64_t tokens, reasoning; /* of all blocks; of those the reasoning */
    int64_t cite;
    const char *finish; /* in the words of chat completions */
};

/* What a request asks for, in whichever API. */
struct openai_ask {
    bool echo, tools_by_name; /* the model is mock-echo*, mock-tools* */
    struct slice said;        /* the last message's text, raw */
    bool after_result;        /* the last message is a tool's result */
    struct slice tools, tool_choice;
    bool flat;           /* Responses: tools and choices without "function" around them */
    struct slice schema; /* {NULL}: none */
    bool json_object;
    int64_t max_tokens; /* of the text; INT64_MAX: no limit */
};

void openai_choose(struct openai_content *c, const struct openai_ask *ask, const struct script *s);
struct slice openai_token(const struct openai_block *b, size_t i);
void openai_content_fini(struct openai_content *c);
struct slice openai_last_element(struct slice array);
/* A message's text: its content, or that of the last part that has one. Raw. */
struct slice openai_message_text(struct slice message);

/* ---- usage ---- */

struct openai_figures {
    int64_t prompt, completion, cached, cache_write, reasoning;
};
struct openai_figures openai_figures_of(const struct call *call, const struct script *s,
                                        int64_t tokens);
/* The value of `usage`, in the names of chat completions or of Responses. */
void openai_add_usage(struct bytes *out, const struct script *s, struct openai_figures f,
                      bool responses);
void openai_add_model(struct bytes *out, const struct call *call, const struct script *s);

/* ---- moderations, audio, images: openai_media.c ---- */

bool openai_read_moderation(struct call *call, struct error *err);
void openai_write_moderation(const struct call *call, const struct script *s, struct reply *out);
bool openai_read_speech(struct call *call, struct error *err);
void openai_write_speech(const struct call *call, const struct script *s, struct reply *out);
bool openai_read_transcription(struct call *call, struct error *err);
void openai_write_transcription(const struct call *call, const struct script *s, struct reply *out);
bool openai_read_image(struct call *call, struct error *err);
void openai_write_image(const struct call *call, const struct script *s, struct reply *out);
bool openai_read_edit(struct call *call, struct error *err);
bool openai_read_variation(struct call *call, struct error *err);

/* ---- requests ---- */

/* Whether the API would take the body; false with err filled in as it words it. */
bool openai_check_chat(struct slice body, struct error *err);
bool openai_check_responses(struct slice body, struct error *err);

bool openai_responses_read(struct call *call, struct error *err);
enum { OPENAI_OBJECT_ROUTES = 11 };
extern const struct route openai_object_routes[OPENAI_OBJECT_ROUTES];

/* GET, DELETE and POST .../cancel of a stored response. */
bool openai_stored_read(struct call *call, struct error *err);
void openai_stored_write(const struct call *call, const struct script *s, struct reply *out);
void openai_stored_delete(const struct call *call, const struct script *s, struct reply *out);
/* responses/input_tokens */
bool openai_count_read(struct call *call, struct error *err);
void openai_count_write(const struct call *call, const struct script *s, struct reply *out);
void openai_responses_write(const struct call *call, const struct script *s, struct reply *out);

#endif
