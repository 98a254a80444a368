/*
 * dialect.h: what a wire format of a provider must offer. One file a dialect.
 *
 * A dialect knows paths, JSON and events. It knows nothing of sockets, framing, pace or faults of
 * the wire: it turns a request into a `reply`, a list of pieces, and answer.c does the rest.
 */
#ifndef MOCKLLM_DIALECT_H
#define MOCKLLM_DIALECT_H

#include "tests/mockllm/http.h"
#include "tests/mockllm/script.h"

enum piece_kind { PIECE_WHOLE, PIECE_EVENT, PIECE_DONE };

struct piece {
    size_t end;      /* in reply.text */
    uint32_t tokens; /* of the completion that it carries */
    enum piece_kind kind;
};

struct reply {
    int status;
    const char *ctype;
    struct bytes headers; /* whole lines with CRLF */
    struct bytes text;
    struct piece *pieces;
    size_t npieces, cap;
    int64_t prompt_tokens, completion_tokens; /* what a provider would bill */
    int64_t units; /* likewise: characters spoken, seconds heard, images made, searches */
};

/* A request as far as a dialect has read it. */
struct call {
    const struct request *req;
    const struct route *route;
    struct slice credential;
    struct bytes model;  /* decoded, without a script */
    struct slice suffix; /* of the path, where the route ends in '*' */
    bool stream, include_usage;
    bool from_content; /* the answer depends on more than what this struct holds: don't keep it */
    int64_t n;
    int64_t prompt_tokens;
    struct slice members[16]; /* raw JSON values, by an index of the dialect's own */
    char id[64];              /* of the object that the answer is */
};

struct error {
    int status;
    const char *type, *code, *param;
    char message[256];
};

enum body_type { TAKES_JSON, TAKES_FORM, TAKES_EITHER };

struct route {
    const char *method, *path; /* a '*' at the end takes any suffix */
    /* Reads req->body into the call. False with `err` filled in. */
    bool (*read)(struct call *call, struct error *err);
    void (*write)(const struct call *call, const struct script *s, struct reply *out);
};

struct dialect {
    const char *name;
    bool any_body; /* of a POST: it need not be JSON */
    const struct route *routes;
    size_t nroutes;
    struct slice (*credential)(const struct request *req);
    void (*write_error)(const struct error *err, struct reply *out);
    /* The refusal of a missing (empty) or wrong credential; NULL: 401 in OpenAI's words. */
    void (*refuse_key)(struct slice key, struct error *err);
    /* What a POST to that route carries; NULL: JSON everywhere. */
    enum body_type (*body_type)(const struct route *r);
};

extern const struct dialect dialect_gemini_cache, dialect_openai, dialect_openai_objects,
    dialect_anthropic, dialect_gemini, dialect_bedrock, dialect_cohere;

/* Ends the piece that reply.text has been given since the last one. */
void reply_end_piece(struct reply *r, enum piece_kind kind, uint32_t tokens);
void reply_fini(struct reply *r);

#endif
