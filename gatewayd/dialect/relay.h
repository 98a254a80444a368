/*
 * relay.h: the operations that are only relayed: they go to providers of the same dialect, with
 * authentication, limits, metering, retries and deadlines like any other, and are never translated.
 *
 * One row an operation says what its requests and answers are made of; the worker goes by that and
 * by nothing else. All are OpenAI's (platform.openai.com/docs/api-reference: moderations, audio,
 * images).
 */
#ifndef GW_GATEWAYD_DIALECT_RELAY_H
#define GW_GATEWAYD_DIALECT_RELAY_H

#include "gatewayd/dialect/dialect.h"

/* What a request may be. */
enum relay_body {
    RELAY_NO_BODY = 0,
    RELAY_JSON = 1, /* a JSON object */
    RELAY_FORM = 2, /* multipart/form-data */
    RELAY_EITHER = RELAY_JSON | RELAY_FORM,
};

enum relay_model {
    RELAY_MODEL_NEEDED,
    RELAY_MODEL_OPTIONAL, /* without one the provider chooses: x-gw-provider, relay_provider */
    RELAY_MODEL_NONE,     /* the operation is about no model: the provider is chosen likewise */
};

/* What an operation does with what providers keep. */
enum relay_role {
    RELAY_PLAIN,   /* nothing */
    RELAY_MAKES,   /* the answer is a new object */
    RELAY_USES,    /* it is about the object in the path */
    RELAY_DELETES, /* likewise, and then there is none */
    RELAY_LISTS,   /* all that the caller has of a kind */
};

struct relay {
    struct slice method; /* "POST" */
    unsigned body;       /* enum relay_body */
    enum relay_model model;
    enum relay_role role;
    enum object_kind kind; /* of which objects */
    bool query;            /* the caller's query goes on to the provider */
    bool opaque; /* an answer may be neither JSON nor events: it is passed on as it comes */
    bool raw;    /* an answer is somebody's bytes, whatever they look like */
};

/* What the path carries is the id of an object. */
static inline bool relay_has_object(const struct relay *r)
{
    return r->role == RELAY_USES || r->role == RELAY_DELETES;
}

/* NULL: the operation isn't one of these. */
const struct relay *relay_of(enum dialect_op op);

/* At most so many tokens of speech are in so many bytes of audio, whatever its format. */
uint64_t relay_audio_tokens(uint64_t bytes);

/* struct dialect.read_request for a body that is a form. boundary: of its content type, borrowed as
 * long as *out is used. default_model.n == 0: none; then out->model stays empty where the operation
 * allows that. 0, or -1 with *why. */
GW_MUSTUSE int relay_read_form(struct slice body, struct slice boundary, enum dialect_op op,
                               struct slice default_model, struct dialect_request *out,
                               struct dialect_refusal *why);

#endif
