/*
 * routes.h: the one table of what the data listener answers.
 *
 * A path is normalised once (http/path.h) and then matched exactly. Each route names what a caller
 * must show (auth class), how its cost is known (metering class) and in which dialect it is spoken
 * to; all are arguments of the X-macro, so a route that lacks one doesn't compile. Aliases
 * (`/openai`, `/anthropic`, `/genai`, `/bedrock`, `/cohere`, no `/v1`, Azure's deployments) are
 * resolved here and nowhere else. A route whose dialect isn't served (dialects.h) isn't there.
 */
#ifndef GW_WORKER_ROUTES_H
#define GW_WORKER_ROUTES_H

#include "common/slice.h"
#include "gatewayd/dialect/dialects.h"
#include "gatewayd/http/head.h"

enum route_auth {
    ROUTE_AUTH_PUBLIC, /* says nothing about anyone: health */
    ROUTE_AUTH_KEY,    /* a valid virtual key (or auth = open) */
};

enum route_metering {
    ROUTE_UNMETERED, /* never reaches a provider */
    ROUTE_METERED,   /* every provider call is a ledger record */
};

/* Whether an answer comes as a stream. */
enum route_stream {
    ROUTE_WHOLE,
    ROUTE_STREAM,
    ROUTE_BODY_SAYS, /* the body's `stream` */
};

/* id, method, path, what follows the model's name in it (NULL: the path has none), auth, metering,
 * dialect, operation, stream */
#define ROUTES(X)                                                                                  \
    X(CHAT, POST, "/v1/chat/completions", NULL, ROUTE_AUTH_KEY, ROUTE_METERED, DIALECT_OPENAI,     \
      DIALECT_CHAT, ROUTE_BODY_SAYS)                                                               \
    X(MESSAGES, POST, "/v1/messages", NULL, ROUTE_AUTH_KEY, ROUTE_METERED, DIALECT_ANTHROPIC,      \
      DIALECT_CHAT, ROUTE_BODY_SAYS)                                                               \
    X(RESPONSES, POST, "/v1/responses", NULL, ROUTE_AUTH_KEY, ROUTE_METERED,                       \
      DIALECT_OPENAI_RESPONSES, DIALECT_CHAT, ROUTE_BODY_SAYS)                                     \
    X(INPUT_TOKENS, POST, "/v1/responses/input_tokens", NULL, ROUTE_AUTH_KEY, ROUTE_METERED,       \
      DIALECT_OPENAI_RESPONSES, DIALECT_COUNT_TOKENS, ROUTE_WHOLE)                                 \
    X(COMPLETIONS, POST, "/v1/completions", NULL, ROUTE_AUTH_KEY, ROUTE_METERED, DIALECT_OPENAI,   \
      DIALECT_COMPLETIONS, ROUTE_BODY_SAYS)                                                        \
    X(EMBEDDINGS, POST, "/v1/embeddings", NULL, ROUTE_AUTH_KEY, ROUTE_METERED, DIALECT_OPENAI,     \
      DIALECT_EMBEDDINGS, ROUTE_WHOLE)                                                             \
    X(RERANK, POST, "/v1/rerank", NULL, ROUTE_AUTH_KEY, ROUTE_METERED, DIALECT_OPENAI,             \
      DIALECT_RERANK, ROUTE_WHOLE)                                                                 \
    X(COUNT_TOKENS, POST, "/v1/messages/count_tokens", NULL, ROUTE_AUTH_KEY, ROUTE_METERED,        \
      DIALECT_ANTHROPIC, DIALECT_COUNT_TOKENS, ROUTE_WHOLE)                                        \
    X(GENERATE, POST, "/v1beta/models/", ":generateContent", ROUTE_AUTH_KEY, ROUTE_METERED,        \
      DIALECT_GEMINI, DIALECT_CHAT, ROUTE_WHOLE)                                                   \
    X(STREAM_GENERATE, POST, "/v1beta/models/", ":streamGenerateContent", ROUTE_AUTH_KEY,          \
      ROUTE_METERED, DIALECT_GEMINI, DIALECT_CHAT, ROUTE_STREAM)                                   \
    X(GENERATE_COUNT, POST, "/v1beta/models/", ":countTokens", ROUTE_AUTH_KEY, ROUTE_METERED,      \
      DIALECT_GEMINI, DIALECT_COUNT_TOKENS, ROUTE_WHOLE)                                           \
    X(EMBED_CONTENT, POST, "/v1beta/models/", ":embedContent", ROUTE_AUTH_KEY, ROUTE_METERED,      \
      DIALECT_GEMINI, DIALECT_EMBED_CONTENT, ROUTE_WHOLE)                                          \
    X(BATCH_EMBED, POST, "/v1beta/models/", ":batchEmbedContents", ROUTE_AUTH_KEY, ROUTE_METERED,  \
      DIALECT_GEMINI, DIALECT_EMBEDDINGS, ROUTE_WHOLE)                                             \
    X(CONVERSE, POST, "/model/", "/converse", ROUTE_AUTH_KEY, ROUTE_METERED, DIALECT_BEDROCK,      \
      DIALECT_CHAT, ROUTE_WHOLE)                                                                   \
    X(CONVERSE_STREAM, POST, "/model/", "/converse-stream", ROUTE_AUTH_KEY, ROUTE_METERED,         \
      DIALECT_BEDROCK, DIALECT_CHAT, ROUTE_STREAM)                                                 \
    X(COHERE_EMBED, POST, "/v2/embed", NULL, ROUTE_AUTH_KEY, ROUTE_METERED, DIALECT_COHERE,        \
      DIALECT_EMBEDDINGS, ROUTE_WHOLE)                                                             \
    X(COHERE_RERANK, POST, "/v2/rerank", NULL, ROUTE_AUTH_KEY, ROUTE_METERED, DIALECT_COHERE,      \
      DIALECT_RERANK, ROUTE_WHOLE)                                                                 \
    X(COHERE_CHAT, POST, "/v2/chat", NULL, ROUTE_AUTH_KEY, ROUTE_METERED, DIALECT_COHERE,          \
      DIALECT_CHAT, ROUTE_BODY_SAYS)                                                               \
    X(MODERATIONS, POST, "/v1/moderations", NULL, ROUTE_AUTH_KEY, ROUTE_METERED,                   \
      DIALECT_OPENAI_RELAY, DIALECT_MODERATIONS, ROUTE_WHOLE)                                      \
    X(SPEECH, POST, "/v1/audio/speech", NULL, ROUTE_AUTH_KEY, ROUTE_METERED, DIALECT_OPENAI_RELAY, \
      DIALECT_SPEECH, ROUTE_BODY_SAYS)                                                             \
    X(TRANSCRIPTIONS, POST, "/v1/audio/transcriptions", NULL, ROUTE_AUTH_KEY, ROUTE_METERED,       \
      DIALECT_OPENAI_RELAY, DIALECT_TRANSCRIPTIONS, ROUTE_BODY_SAYS)                               \
    X(TRANSLATIONS, POST, "/v1/audio/translations", NULL, ROUTE_AUTH_KEY, ROUTE_METERED,           \
      DIALECT_OPENAI_RELAY, DIALECT_TRANSLATIONS, ROUTE_BODY_SAYS)                                 \
    X(IMAGES, POST, "/v1/images/generations", NULL, ROUTE_AUTH_KEY, ROUTE_METERED,                 \
      DIALECT_OPENAI_RELAY, DIALECT_IMAGES, ROUTE_BODY_SAYS)                                       \
    X(IMAGE_EDITS, POST, "/v1/images/edits", NULL, ROUTE_AUTH_KEY, ROUTE_METERED,                  \
      DIALECT_OPENAI_RELAY, DIALECT_IMAGE_EDITS, ROUTE_BODY_SAYS)                                  \
    X(IMAGE_VARIATIONS, POST, "/v1/images/variations", NULL, ROUTE_AUTH_KEY, ROUTE_METERED,        \
      DIALECT_OPENAI_RELAY, DIALECT_IMAGE_VARIATIONS, ROUTE_WHOLE)                                 \
    X(CONVERSE_COUNT, POST, "/model/", "/count-tokens", ROUTE_AUTH_KEY, ROUTE_METERED,             \
      DIALECT_BEDROCK, DIALECT_COUNT_TOKENS, ROUTE_WHOLE)                                          \
    X(FILE_CREATE, POST, "/v1/files", NULL, ROUTE_AUTH_KEY, ROUTE_METERED, DIALECT_OPENAI_RELAY,   \
      DIALECT_FILE_CREATE, ROUTE_WHOLE)                                                            \
    X(FILES, GET, "/v1/files", NULL, ROUTE_AUTH_KEY, ROUTE_METERED, DIALECT_OPENAI_RELAY,          \
      DIALECT_FILES, ROUTE_WHOLE)                                                                  \
    X(FILE, GET, "/v1/files/", "", ROUTE_AUTH_KEY, ROUTE_METERED, DIALECT_OPENAI_RELAY,            \
      DIALECT_FILE, ROUTE_WHOLE)                                                                   \
    X(FILE_DELETE, DELETE, "/v1/files/", "", ROUTE_AUTH_KEY, ROUTE_METERED, DIALECT_OPENAI_RELAY,  \
      DIALECT_FILE_DELETE, ROUTE_WHOLE)                                                            \
    X(FILE_CONTENT, GET, "/v1/files/", "/content", ROUTE_AUTH_KEY, ROUTE_METERED,                  \
      DIALECT_OPENAI_RELAY, DIALECT_FILE_CONTENT, ROUTE_WHOLE)                                     \
    X(BATCH_CREATE, POST, "/v1/batches", NULL, ROUTE_AUTH_KEY, ROUTE_METERED,                      \
      DIALECT_OPENAI_RELAY, DIALECT_BATCH_CREATE, ROUTE_WHOLE)                                     \
    X(BATCHES, GET, "/v1/batches", NULL, ROUTE_AUTH_KEY, ROUTE_METERED, DIALECT_OPENAI_RELAY,      \
      DIALECT_BATCHES, ROUTE_WHOLE)                                                                \
    X(BATCH, GET, "/v1/batches/", "", ROUTE_AUTH_KEY, ROUTE_METERED, DIALECT_OPENAI_RELAY,         \
      DIALECT_BATCH, ROUTE_WHOLE)                                                                  \
    X(BATCH_CANCEL, POST, "/v1/batches/", "/cancel", ROUTE_AUTH_KEY, ROUTE_METERED,                \
      DIALECT_OPENAI_RELAY, DIALECT_BATCH_CANCEL, ROUTE_WHOLE)                                     \
    X(RESPONSE, GET, "/v1/responses/", "", ROUTE_AUTH_KEY, ROUTE_METERED, DIALECT_OPENAI_RELAY,    \
      DIALECT_RESPONSE, ROUTE_WHOLE)                                                               \
    X(RESPONSE_DELETE, DELETE, "/v1/responses/", "", ROUTE_AUTH_KEY, ROUTE_METERED,                \
      DIALECT_OPENAI_RELAY, DIALECT_RESPONSE_DELETE, ROUTE_WHOLE)                                  \
    X(RESPONSE_CANCEL, POST, "/v1/responses/", "/cancel", ROUTE_AUTH_KEY, ROUTE_METERED,           \
      DIALECT_OPENAI_RELAY, DIALECT_RESPONSE_CANCEL, ROUTE_WHOLE)                                  \
    X(RESPONSE_ITEMS, GET, "/v1/responses/", "/input_items", ROUTE_AUTH_KEY, ROUTE_METERED,        \
      DIALECT_OPENAI_RELAY, DIALECT_RESPONSE_ITEMS, ROUTE_WHOLE)                                   \
    X(CACHE_CREATE, POST, "/v1beta/cachedContents", NULL, ROUTE_AUTH_KEY, ROUTE_METERED,           \
      DIALECT_GEMINI_CACHE, DIALECT_CACHE_CREATE, ROUTE_WHOLE)                                     \
    X(CACHE, GET, "/v1beta/cachedContents/", "", ROUTE_AUTH_KEY, ROUTE_METERED,                    \
      DIALECT_GEMINI_CACHE, DIALECT_CACHE, ROUTE_WHOLE)                                            \
    X(CACHE_UPDATE, PATCH, "/v1beta/cachedContents/", "", ROUTE_AUTH_KEY, ROUTE_METERED,           \
      DIALECT_GEMINI_CACHE, DIALECT_CACHE_UPDATE, ROUTE_WHOLE)                                     \
    X(CACHE_DELETE, DELETE, "/v1beta/cachedContents/", "", ROUTE_AUTH_KEY, ROUTE_METERED,          \
      DIALECT_GEMINI_CACHE, DIALECT_CACHE_DELETE, ROUTE_WHOLE)                                     \
    X(MODELS, GET, "/v1/models", NULL, ROUTE_AUTH_KEY, ROUTE_UNMETERED, DIALECT_OPENAI,            \
      DIALECT_CHAT, ROUTE_WHOLE)                                                                   \
    X(MODEL, GET, "/v1/models/", "", ROUTE_AUTH_KEY, ROUTE_UNMETERED, DIALECT_OPENAI,              \
      DIALECT_CHAT, ROUTE_WHOLE)                                                                   \
    X(MODELS_ANTHROPIC, GET, "/v1/models", NULL, ROUTE_AUTH_KEY, ROUTE_UNMETERED,                  \
      DIALECT_ANTHROPIC, DIALECT_CHAT, ROUTE_WHOLE)                                                \
    X(MODEL_ANTHROPIC, GET, "/v1/models/", "", ROUTE_AUTH_KEY, ROUTE_UNMETERED, DIALECT_ANTHROPIC, \
      DIALECT_CHAT, ROUTE_WHOLE)                                                                   \
    X(MODELS_GEMINI, GET, "/v1beta/models", NULL, ROUTE_AUTH_KEY, ROUTE_UNMETERED, DIALECT_GEMINI, \
      DIALECT_CHAT, ROUTE_WHOLE)                                                                   \
    X(MODEL_GEMINI, GET, "/v1beta/models/", "", ROUTE_AUTH_KEY, ROUTE_UNMETERED, DIALECT_GEMINI,   \
      DIALECT_CHAT, ROUTE_WHOLE)                                                                   \
    X(HEALTHZ, GET, "/healthz", NULL, ROUTE_AUTH_PUBLIC, ROUTE_UNMETERED, DIALECT_OPENAI,          \
      DIALECT_CHAT, ROUTE_WHOLE)                                                                   \
    X(READYZ, GET, "/readyz", NULL, ROUTE_AUTH_PUBLIC, ROUTE_UNMETERED, DIALECT_OPENAI,            \
      DIALECT_CHAT, ROUTE_WHOLE)

enum route_id {
#define X(id, method, path, rest, auth, metering, dialect, op, stream) ROUTE_##id,
    ROUTES(X)
#undef X
        ROUTE_COUNT
};

struct route {
    enum route_id id;
    enum http_method_id method;
    struct slice path;
    const char *rest; /* behind the model's name; NULL: there is none in the path */
    enum route_auth auth;
    enum route_metering metering;
    enum dialect_id dialect;
    enum dialect_op op;
    enum route_stream stream;
};

enum route_result { ROUTE_FOUND, ROUTE_NO_PATH, ROUTE_NO_METHOD };

const struct route *route_of(enum route_id id);

/* What a path means. `model` is the name that the path carries (`/v1/models/{model}`, Gemini's and
 * Bedrock's, Azure's deployment, the id of an object), or {NULL, 0}; it borrows from `path`. On
 * ROUTE_NO_METHOD *out is a route that the path has. HEAD is taken for GET where no provider is
 * asked. */
enum route_result route_find(enum http_method_id method, struct slice path,
                             const struct route **out, struct slice *model);

/* The methods that a path takes, as in `allow` (RFC 9110 section 10.2.1): "GET, DELETE". */
enum { ROUTE_METHODS_BYTES = 64 };
void route_methods(struct slice path, char out[ROUTE_METHODS_BYTES]);

/* The dialect in which a caller of that path expects errors, whether there is a route or not. */
const struct dialect *route_error_dialect(struct slice path);

#endif
