/*
 * provider_kinds.h: one row a kind of provider.
 *
 * A provider that speaks a dialect that is already here is one row and nothing else.
 */
#ifndef GW_COMMON_PROVIDER_KINDS_H
#define GW_COMMON_PROVIDER_KINDS_H

#include "common/slice.h"

/* A wire format. */
enum dialect_id {
    DIALECT_NONE,
    DIALECT_OPENAI, /* chat completions, completions, embeddings */
    DIALECT_OPENAI_RESPONSES,
    DIALECT_ANTHROPIC,
    DIALECT_GEMINI,
    DIALECT_BEDROCK, /* Converse */
    DIALECT_COHERE,
    DIALECT_GEMINI_CACHE, /* Gemini's cached contents */
    DIALECT_OPENAI_RELAY, /* what is only relayed: moderations, audio, images */
    DIALECT_N_IDS,
};

enum provider_auth {
    PROVIDER_AUTH_BEARER,          /* Authorization: Bearer SECRET */
    PROVIDER_AUTH_BEARER_OPTIONAL, /* the same where a credential is configured */
    PROVIDER_AUTH_NONE,            /* never */
    PROVIDER_AUTH_X_API_KEY,       /* x-api-key: SECRET (Anthropic) */
    PROVIDER_AUTH_X_GOOG_API_KEY,  /* x-goog-api-key: SECRET (Gemini) */
    PROVIDER_AUTH_API_KEY,         /* api-key: SECRET (Azure OpenAI) */
};

enum {
    /* Refuses stream_options: nothing is injected, usage is counted. */
    PROVIDER_QUIRK_NO_STREAM_OPTIONS = 1u << 0,
    /* Sends usage in its streams without being asked. */
    PROVIDER_QUIRK_USAGE_UNASKED = 1u << 1,
    /* Of chat completions, for requests that are written here (translations). The first says that
     * the provider has OpenAI's present names: max_completion_tokens (max_tokens is deprecated and
     * refused by its reasoning models) and the developer role. Without it: max_tokens and system,
     * which every compatible server knows. */
    PROVIDER_QUIRK_NEW_NAMES = 1u << 8,
    PROVIDER_QUIRK_TOP_K = 1u << 9,           /* takes top_k, which isn't OpenAI's */
    PROVIDER_QUIRK_REASONING_BACK = 1u << 10, /* wants earlier reasoning back in messages */
    PROVIDER_QUIRK_CACHE_CONTROL = 1u << 11,  /* takes cache_control in content parts and tools */
    PROVIDER_QUIRK_RANDOM_SEED = 1u << 12,    /* has seed under the name random_seed */
    PROVIDER_QUIRK_CALL_IDS_OF_9 = 1u << 13,  /* ids of tool calls: nine letters and digits */
    PROVIDER_QUIRK_ALTERNATES = 1u << 14,     /* no two messages of user or assistant in a row */
    /* Of Gemini's countTokens: takes what it counts without generateContentRequest around it. */
    PROVIDER_QUIRK_COUNTS_FLAT = 1u << 14,
};

/* Members of chat completions that some provider answers with an error: they are left out of
 * requests that are written here (translations), and the caller is told. */
enum {
    PROVIDER_MEMBER_NAME = 1u << 0, /* of messages */
    PROVIDER_MEMBER_USER = 1u << 1,
    PROVIDER_MEMBER_SERVICE_TIER = 1u << 2,
    PROVIDER_MEMBER_LOGPROBS = 1u << 3, /* and top_logprobs */
    PROVIDER_MEMBER_LOGIT_BIAS = 1u << 4,
    PROVIDER_MEMBER_PENALTIES = 1u << 5, /* presence_penalty and frequency_penalty */
    PROVIDER_MEMBER_SAMPLING = 1u << 6,  /* temperature and top_p */
    PROVIDER_MEMBER_STOP = 1u << 7,
    PROVIDER_MEMBER_EFFORT = 1u << 8, /* reasoning_effort */
    PROVIDER_MEMBER_PARALLEL_TOOLS = 1u << 9,
};
struct provider_refusal {
    const char *model; /* a pattern as in struct provider_family */
    uint32_t members;  /* PROVIDER_MEMBER_* */
};

/* What a provider offers: each operation is of one dialect (gatewayd/dialect/dialects.h). */
enum provider_op {
    PROVIDER_OP_CHAT,
    PROVIDER_OP_COMPLETIONS,
    PROVIDER_OP_EMBEDDINGS,
    PROVIDER_OP_RESPONSES,
    PROVIDER_OP_MESSAGES,
    PROVIDER_OP_COUNT_TOKENS,
    PROVIDER_OP_GENERATE,
    PROVIDER_OP_STREAM_GENERATE,
    PROVIDER_OP_GENERATE_COUNT,
    PROVIDER_OP_CONVERSE,
    PROVIDER_OP_CONVERSE_STREAM,
    PROVIDER_OP_RAW_PREDICT, /* Anthropic's messages on Vertex AI */
    PROVIDER_OP_STREAM_RAW_PREDICT,
    PROVIDER_OP_COUNT_RAW_PREDICT,
    PROVIDER_OP_INPUT_TOKENS, /* of Responses */
    PROVIDER_OP_BATCH_EMBED,  /* Gemini's batchEmbedContents, embedContent */
    PROVIDER_OP_EMBED_CONTENT,
    PROVIDER_OP_INVOKE_EMBED,   /* Bedrock's InvokeModel of an embeddings model */
    PROVIDER_OP_CONVERSE_COUNT, /* Bedrock's CountTokens */
    PROVIDER_OP_OPENAI_RERANK,  /* the form of Jina AI, which OpenAI-compatible servers have */
    PROVIDER_OP_COHERE_CHAT,
    PROVIDER_OP_COHERE_EMBED,
    PROVIDER_OP_RERANK,
    PROVIDER_OP_MODELS,
    PROVIDER_OP_MODERATIONS,
    PROVIDER_OP_SPEECH,
    PROVIDER_OP_TRANSCRIPTIONS,
    PROVIDER_OP_TRANSLATIONS,
    PROVIDER_OP_IMAGES,
    PROVIDER_OP_IMAGE_EDITS,
    PROVIDER_OP_IMAGE_VARIATIONS,
    PROVIDER_OP_FILE_CREATE,
    PROVIDER_OP_FILES,
    PROVIDER_OP_FILE,
    PROVIDER_OP_FILE_DELETE,
    PROVIDER_OP_FILE_CONTENT,
    PROVIDER_OP_BATCH_CREATE,
    PROVIDER_OP_BATCHES,
    PROVIDER_OP_BATCH,
    PROVIDER_OP_BATCH_CANCEL,
    PROVIDER_OP_RESPONSE,
    PROVIDER_OP_RESPONSE_DELETE,
    PROVIDER_OP_RESPONSE_CANCEL,
    PROVIDER_OP_RESPONSE_ITEMS,
    PROVIDER_OP_CACHE_CREATE, /* Gemini's cached contents */
    PROVIDER_OP_CACHE,
    PROVIDER_OP_CACHE_UPDATE,
    PROVIDER_OP_CACHE_DELETE,
    PROVIDER_N_OPS,
};

/* Models of a provider that has several families of them, each with operations of its own. */
struct provider_family {
    const char *model; /* pattern of the upstream model's name: `*` stands for any run of bytes */
    uint64_t ops;      /* PROVIDER_OP_BIT()s: by which of `paths` they are reached */
};
#define PROVIDER_OP_BIT(op) (UINT64_C(1) << (op))
_Static_assert(PROVIDER_N_OPS <= 64, "struct provider_family has 64 bits for them");

struct provider_kind {
    const char *name;
    const char *base_url;    /* NULL: base_url must be configured; {region}, {location} are the
                              * provider's */
    const char *aws_service; /* by which requests are signed with auth = sigv4; NULL: they aren't */
    enum provider_auth auth;
    uint32_t quirks;
    /* Of the operations, behind the path of base_url; NULL: not offered. {model} stands for the
     * upstream model and {object} for the id in the caller's path, both percent-encoded,
     * {api_version}, {project} and {location} for the provider's settings: without one the
     * operation isn't offered. {parent} is /projects/{project}/locations/{location}, or nothing
     * without a project. */
    const char *paths[PROVIDER_N_OPS];
    /* The first that a name fits says what its model offers. Ends with a row without a pattern;
     * NULL: every model offers every operation. */
    const struct provider_family *families;
    /* The first that a model's name fits says which members its requests can't have; NULL: none.
     * Ends with a row without a pattern. */
    const struct provider_refusal *refusals;
    bool needs_api_version;
    /* What it is under that api_version, NULL where there is no such; NULL: always the same. */
    const struct provider_kind *(*of_version)(struct slice api_version);
    bool has_location; /* project and location; base_url is that of a location */
    const char *title; /* for the reference page */
};

static inline bool provider_needs_secret(const struct provider_kind *k)
{
    return k->auth != PROVIDER_AUTH_BEARER_OPTIONAL && k->auth != PROVIDER_AUTH_NONE;
}

/* PROVIDER_OP_BIT()s of the operations by which a kind's model may be reached; whether the kind has
 * a path for them is a question of its own. */
uint64_t provider_model_ops(const struct provider_kind *k, struct slice model);

/* PROVIDER_MEMBER_*s that a kind's model refuses. */
uint32_t provider_refused_members(const struct provider_kind *k, struct slice model);

/* NULL: no such kind. */
const struct provider_kind *provider_kind_find(struct slice name);
/* All rows, in the order of the documentation. */
const struct provider_kind *provider_kinds(size_t *n);

#endif
