/*
 * provider_kinds.c: the rows.
 *
 * Base URLs are the ones that the vendors publish for OpenAI clients; the page is named at each
 * row. Ports of local servers are their documented defaults.
 */
#include "common/provider_kinds.h"

/* Which operations a vendor documents; behind them what is relayed besides. */
#define CHAT(completions, embeddings, models, ...)                                                 \
    OPS(completions, embeddings, models, 0, __VA_ARGS__)
#define OPS(completions, embeddings, models, responses, ...)                                       \
    .paths = {[PROVIDER_OP_CHAT] = "/chat/completions",                                            \
              [PROVIDER_OP_RESPONSES] = (responses) ? "/responses" : NULL,                         \
              [PROVIDER_OP_COMPLETIONS] = (completions) ? "/completions" : NULL,                   \
              [PROVIDER_OP_EMBEDDINGS] = (embeddings) ? "/embeddings" : NULL,                      \
              [PROVIDER_OP_MODELS] = (models) ? "/models" : NULL,                                  \
              __VA_ARGS__}
#define ALL CHAT(1, 1, 1)
/* In the form of Jina AI: docs.vllm.ai/en/latest/serving/openai_compatible_server.html,
 * docs.together.ai/reference/rerank-1, llama.cpp's tools/server/README.md ("POST /reranking"). */
#define RERANK         [PROVIDER_OP_OPENAI_RERANK] = "/rerank"
#define MODERATIONS    [PROVIDER_OP_MODERATIONS] = "/moderations"
#define SPEECH         [PROVIDER_OP_SPEECH] = "/audio/speech"
#define TRANSCRIPTIONS [PROVIDER_OP_TRANSCRIPTIONS] = "/audio/transcriptions"
#define TRANSLATIONS   [PROVIDER_OP_TRANSLATIONS] = "/audio/translations"
#define IMAGES         [PROVIDER_OP_IMAGES] = "/images/generations"
#define IMAGE_EDITS    [PROVIDER_OP_IMAGE_EDITS] = "/images/edits"
#define VARIATIONS     [PROVIDER_OP_IMAGE_VARIATIONS] = "/images/variations"
#define MEDIA          MODERATIONS, SPEECH, TRANSCRIPTIONS, TRANSLATIONS, IMAGES, IMAGE_EDITS, VARIATIONS

#define OPENAI(name_, title_, url, auth_, ...)                                                     \
    {                                                                                              \
        .name = name_, .title = title_, .base_url = url, .auth = PROVIDER_AUTH_##auth_,            \
        __VA_ARGS__                                                                                \
    }
#define AZURE_KIND                                                                                 \
    .name = "azure", .title = "Azure OpenAI", .auth = PROVIDER_AUTH_API_KEY,                       \
    .quirks = PROVIDER_QUIRK_NEW_NAMES, .refusals = openai_refusals, .needs_api_version = true
#define AZURE_DEPLOYMENT(path) "/openai/deployments/{model}" path "?api-version={api_version}"
#define AZURE_DATED                                                                                \
    [PROVIDER_OP_CHAT] = AZURE_DEPLOYMENT("/chat/completions"),                                    \
    [PROVIDER_OP_COMPLETIONS] = AZURE_DEPLOYMENT("/completions"),                                  \
    [PROVIDER_OP_EMBEDDINGS] = AZURE_DEPLOYMENT("/embeddings"),                                    \
    [PROVIDER_OP_SPEECH] = AZURE_DEPLOYMENT("/audio/speech"),                                      \
    [PROVIDER_OP_TRANSCRIPTIONS] = AZURE_DEPLOYMENT("/audio/transcriptions"),                      \
    [PROVIDER_OP_TRANSLATIONS] = AZURE_DEPLOYMENT("/audio/translations"),                          \
    [PROVIDER_OP_IMAGES] = AZURE_DEPLOYMENT("/images/generations"),                                \
    [PROVIDER_OP_IMAGE_EDITS] = AZURE_DEPLOYMENT("/images/edits")
#define AZURE_V1(query)                                                                            \
    {                                                                                              \
        [PROVIDER_OP_CHAT] = "/openai/v1/chat/completions" query,                                  \
        [PROVIDER_OP_COMPLETIONS] = "/openai/v1/completions" query,                                \
        [PROVIDER_OP_EMBEDDINGS] = "/openai/v1/embeddings" query,                                  \
        [PROVIDER_OP_RESPONSES] = "/openai/v1/responses" query,                                    \
        [PROVIDER_OP_MODELS] = "/openai/v1/models" query,                                          \
        [PROVIDER_OP_SPEECH] = "/openai/v1/audio/speech" query,                                    \
        [PROVIDER_OP_TRANSCRIPTIONS] = "/openai/v1/audio/transcriptions" query,                    \
        [PROVIDER_OP_TRANSLATIONS] = "/openai/v1/audio/translations" query,                        \
        [PROVIDER_OP_IMAGES] = "/openai/v1/images/generations" query,                              \
        [PROVIDER_OP_IMAGE_EDITS] = "/openai/v1/images/edits" query                                \
    }
/* Files, batches and stored responses: platform.openai.com/docs/api-reference. `p` stands in front
 * of the paths, `q` behind them. */
#define KEEPS_FILES(p, q)                                                                          \
    .paths[PROVIDER_OP_FILE_CREATE] = p "/files" q, .paths[PROVIDER_OP_FILES] = p "/files" q,      \
    .paths[PROVIDER_OP_FILE] = p "/files/{object}" q,                                              \
    .paths[PROVIDER_OP_FILE_DELETE] = p "/files/{object}" q,                                       \
    .paths[PROVIDER_OP_FILE_CONTENT] = p "/files/{object}/content" q,                              \
    .paths[PROVIDER_OP_BATCH_CREATE] = p "/batches" q,                                             \
    .paths[PROVIDER_OP_BATCHES] = p "/batches" q,                                                  \
    .paths[PROVIDER_OP_BATCH] = p "/batches/{object}" q,                                           \
    .paths[PROVIDER_OP_BATCH_CANCEL] = p "/batches/{object}/cancel" q
#define KEEPS_RESPONSES(p, q)                                                                      \
    .paths[PROVIDER_OP_RESPONSE] = p "/responses/{object}" q,                                      \
    .paths[PROVIDER_OP_RESPONSE_DELETE] = p "/responses/{object}" q,                               \
    .paths[PROVIDER_OP_RESPONSE_CANCEL] = p "/responses/{object}/cancel" q,                        \
    .paths[PROVIDER_OP_RESPONSE_ITEMS] = p "/responses/{object}/input_items" q
#define KEEPS(p, q)    KEEPS_FILES(p, q), KEEPS_RESPONSES(p, q)
#define GOOGLE(method) "{parent}/publishers/google/models/{model}:" method
#define ANTHROPIC(method)                                                                          \
    "/projects/{project}/locations/{location}/publishers/anthropic/models/" method

#define MEMBERS_OF_REASONING                                                                       \
    (PROVIDER_MEMBER_SAMPLING | PROVIDER_MEMBER_PENALTIES | PROVIDER_MEMBER_LOGPROBS |             \
     PROVIDER_MEMBER_LOGIT_BIAS)

/* What reasoning models don't take: learn.microsoft.com/azure/ai-foundry/openai/how-to/reasoning
 * (not supported); GPT-5's chat models don't reason. A deployment of Azure's is known by its name
 * where that is the model's. */
static const struct provider_refusal openai_refusals[] = {
    {"gpt-5*chat*", 0},
    {"gpt-5", MEMBERS_OF_REASONING},
    {"gpt-5-*", MEMBERS_OF_REASONING},
    {"o1*", MEMBERS_OF_REASONING},
    {"o3*", MEMBERS_OF_REASONING},
    {"o4*", MEMBERS_OF_REASONING},
    {NULL, 0},
};

/* docs.mistral.ai/api (chat_completion_v1_chat_completions_post) has none of them, and what it has
 * not is answered with 422 extra_forbidden; names of participants as well
 * (github.com/nomtek/mistralai_client_dart/issues/44). */
static const struct provider_refusal mistral_refusals[] = {
    {"*", PROVIDER_MEMBER_NAME | PROVIDER_MEMBER_USER | PROVIDER_MEMBER_SERVICE_TIER |
              PROVIDER_MEMBER_LOGPROBS | PROVIDER_MEMBER_LOGIT_BIAS},
    {NULL, 0},
};

/* console.groq.com/docs/openai#currently-unsupported-openai-features: a 400. */
static const struct provider_refusal groq_refusals[] = {
    {"*", PROVIDER_MEMBER_NAME | PROVIDER_MEMBER_LOGPROBS | PROVIDER_MEMBER_LOGIT_BIAS},
    {NULL, 0},
};

/* api-docs.deepseek.com/guides/reasoning_model: logprobs and top_logprobs are an error. */
static const struct provider_refusal deepseek_refusals[] = {
    {"deepseek-reasoner", PROVIDER_MEMBER_LOGPROBS},
    {NULL, 0},
};

/* docs.x.ai/docs/guides/reasoning: reasoning models answer penalties and stop with an error, those
 * of Grok 4 reasoning_effort too. */
static const struct provider_refusal xai_refusals[] = {
    {"*non-reasoning*", 0},
    {"grok-4*", PROVIDER_MEMBER_PENALTIES | PROVIDER_MEMBER_STOP | PROVIDER_MEMBER_EFFORT},
    {"grok-code*", PROVIDER_MEMBER_PENALTIES | PROVIDER_MEMBER_STOP | PROVIDER_MEMBER_EFFORT},
    {"grok-3-mini*", PROVIDER_MEMBER_PENALTIES | PROVIDER_MEMBER_STOP},
    {NULL, 0},
};

/* inference-docs.cerebras.ai/resources/openai: a 400. */
static const struct provider_refusal cerebras_refusals[] = {
    {"*", PROVIDER_MEMBER_PENALTIES | PROVIDER_MEMBER_LOGIT_BIAS | PROVIDER_MEMBER_SERVICE_TIER |
              PROVIDER_MEMBER_PARALLEL_TOOLS},
    {NULL, 0},
};

/* A model is a deployment. Deployments with a dated api-version
 * (learn.microsoft.com/azure/ai-foundry/openai/reference), to which the Responses API came with
 * 2025-03-01-preview (.../openai/how-to/responses); since August 2025 the v1 API, which needs no
 * version and has what isn't final yet with api-version=preview (.../openai/api-version-lifecycle).
 */
static const struct provider_kind azure_v1 = {AZURE_KIND, .paths = AZURE_V1(""),
                                              KEEPS("/openai/v1", "")};
static const struct provider_kind azure_preview = {AZURE_KIND,
                                                   .paths = AZURE_V1("?api-version=preview"),
                                                   KEEPS("/openai/v1", "?api-version=preview")};
static const struct provider_kind azure_before_responses = {AZURE_KIND, .paths = {AZURE_DATED}};
static const struct provider_kind azure_dated = {
    AZURE_KIND, .paths = {AZURE_DATED, [PROVIDER_OP_RESPONSES] =
                                           "/openai/responses?api-version={api_version}"}};

static const struct provider_kind *azure_of_version(struct slice version)
{
    static const char responses[] = "2025-03-01";
    if (slice_eq_str(version, "v1"))
        return &azure_v1;
    if (slice_eq_str(version, "preview"))
        return &azure_preview;
    if (version.n < sizeof responses - 1 || version.p[0] != '2')
        return NULL;
    return memcmp(version.p, responses, sizeof responses - 1) >= 0 ? &azure_dated
                                                                   : &azure_before_responses;
}

/* Gemini and Claude have publishers' paths of their own; other publishers' models are reached with
 * OpenAI's chat completions, by names such as meta/llama-3.3-70b-instruct-maas
 * (cloud.google.com/vertex-ai/generative-ai/docs/maas/call-open-models-api). */
static const struct provider_family vertex_families[] = {
    {"claude-*", PROVIDER_OP_BIT(PROVIDER_OP_RAW_PREDICT) |
                     PROVIDER_OP_BIT(PROVIDER_OP_STREAM_RAW_PREDICT) |
                     PROVIDER_OP_BIT(PROVIDER_OP_COUNT_RAW_PREDICT)},
    {"*/*", PROVIDER_OP_BIT(PROVIDER_OP_CHAT)},
    {"*", PROVIDER_OP_BIT(PROVIDER_OP_GENERATE) | PROVIDER_OP_BIT(PROVIDER_OP_STREAM_GENERATE) |
              PROVIDER_OP_BIT(PROVIDER_OP_GENERATE_COUNT)},
    {NULL, 0},
};

static const struct provider_kind kinds[] = {
    /* https://platform.openai.com/docs/api-reference */
    OPENAI("openai", "OpenAI", "https://api.openai.com/v1", BEARER,
           .quirks = PROVIDER_QUIRK_NEW_NAMES, .refusals = openai_refusals,
           OPS(1, 1, 1, 1, [PROVIDER_OP_INPUT_TOKENS] = "/responses/input_tokens", MEDIA),
           KEEPS("", "")),
    /* Servers of one's own, which ignore what they don't know or want it; what one hasn't got it
     * refuses with 404. */
    OPENAI("openai-compatible", "Anything that speaks the OpenAI API", NULL, BEARER_OPTIONAL,
           .quirks = PROVIDER_QUIRK_REASONING_BACK, CHAT(1, 1, 1, RERANK, MEDIA), KEEPS("", "")),
    /* https://docs.mistral.ai/api: usage comes in the last chunk unasked, and `stream_options` is
     * answered with 422 extra_forbidden (github.com/openai/openai-agents-python/issues/442).
     * Seeds are random_seed; ids of calls "must be a-z, A-Z, 0-9, with a length of 9"
     * (github.com/nearai/ironclaw/issues/1241). Moderations and transcriptions:
     * docs.mistral.ai/api/endpoint/{classifiers,audio/transcriptions}. */
    OPENAI("mistral", "Mistral AI", "https://api.mistral.ai/v1", BEARER,
           .quirks = PROVIDER_QUIRK_NO_STREAM_OPTIONS | PROVIDER_QUIRK_USAGE_UNASKED |
                     PROVIDER_QUIRK_RANDOM_SEED | PROVIDER_QUIRK_CALL_IDS_OF_9,
           .refusals = mistral_refusals, CHAT(0, 1, 1, MODERATIONS, TRANSCRIPTIONS)),
    /* https://console.groq.com/docs/openai, and of audio, files and batches docs/api-reference */
    OPENAI("groq", "Groq", "https://api.groq.com/openai/v1", BEARER, .refusals = groq_refusals,
           CHAT(0, 1, 1, SPEECH, TRANSCRIPTIONS, TRANSLATIONS), KEEPS_FILES("", "")),
    /* https://api-docs.deepseek.com; its guide to thinking wants reasoning_content back within a
     * turn of tool calls (guides/thinking_mode). */
    OPENAI("deepseek", "DeepSeek", "https://api.deepseek.com/v1", BEARER,
           .quirks = PROVIDER_QUIRK_REASONING_BACK, .refusals = deepseek_refusals, CHAT(0, 0, 1)),
    /* https://docs.x.ai/docs/api-reference */
    OPENAI("xai", "xAI", "https://api.x.ai/v1", BEARER, .refusals = xai_refusals,
           CHAT(1, 1, 1, IMAGES)),
    /* https://openrouter.ai/docs/api-reference/overview: top_k among the parameters;
     * reasoning_details to be passed back (use-cases/reasoning-tokens), cache_control in content
     * parts (features/prompt-caching). */
    OPENAI("openrouter", "OpenRouter", "https://openrouter.ai/api/v1", BEARER,
           .quirks =
               PROVIDER_QUIRK_TOP_K | PROVIDER_QUIRK_REASONING_BACK | PROVIDER_QUIRK_CACHE_CONTROL,
           ALL),
    /* https://docs.together.ai/docs/openai-api-compatibility; images and audio:
     * docs.together.ai/reference/{post-images-generations,audio-speech,audio-transcriptions} */
    OPENAI("together", "Together AI", "https://api.together.xyz/v1", BEARER,
           .quirks = PROVIDER_QUIRK_TOP_K,
           CHAT(1, 1, 1, RERANK, IMAGES, SPEECH, TRANSCRIPTIONS, TRANSLATIONS)),
    /* https://docs.fireworks.ai/tools-sdks/openai-compatibility */
    OPENAI("fireworks", "Fireworks AI", "https://api.fireworks.ai/inference/v1", BEARER,
           .quirks = PROVIDER_QUIRK_TOP_K, ALL),
    /* https://docs.perplexity.ai/api-reference/chat-completions-post: no version in the path, usage
     * in the chunks unasked. "User and assistant roles should be alternating"
     * (github.com/perplexityai/api-discussion/issues/265). */
    OPENAI("perplexity", "Perplexity", "https://api.perplexity.ai", BEARER,
           .quirks = PROVIDER_QUIRK_NO_STREAM_OPTIONS | PROVIDER_QUIRK_USAGE_UNASKED |
                     PROVIDER_QUIRK_TOP_K | PROVIDER_QUIRK_ALTERNATES,
           CHAT(0, 0, 0)),
    /* https://inference-docs.cerebras.ai/resources/openai */
    OPENAI("cerebras", "Cerebras", "https://api.cerebras.ai/v1", BEARER,
           .refusals = cerebras_refusals, CHAT(1, 0, 1)),
    /* https://docs.sambanova.ai/cloud/docs/capabilities/openai-compatibility; audio:
     * docs.sambanova.ai/docs/en/features/audio */
    OPENAI("sambanova", "SambaNova", "https://api.sambanova.ai/v1", BEARER,
           CHAT(0, 1, 1, TRANSCRIPTIONS, TRANSLATIONS)),
    /* https://docs.tokenfactory.nebius.com/api-reference/introduction */
    OPENAI("nebius", "Nebius Token Factory", "https://api.tokenfactory.nebius.com/v1", BEARER,
           CHAT(1, 1, 1, IMAGES)),
    /* https://docs.api.nvidia.com/nim/reference/llm-apis */
    OPENAI("nvidia", "NVIDIA NIM", "https://integrate.api.nvidia.com/v1", BEARER, ALL),
    /* https://huggingface.co/docs/inference-providers */
    OPENAI("huggingface", "Hugging Face Inference Providers", "https://router.huggingface.co/v1",
           BEARER, CHAT(0, 0, 1)),
    /* https://docs.ollama.com/api/openai-compatibility */
    OPENAI("ollama", "Ollama", "http://127.0.0.1:11434/v1", NONE, ALL),
    /* https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html */
    OPENAI("vllm", "vLLM", "http://127.0.0.1:8000/v1", BEARER_OPTIONAL,
           .quirks = PROVIDER_QUIRK_TOP_K | PROVIDER_QUIRK_REASONING_BACK,
           CHAT(1, 1, 1, RERANK, TRANSCRIPTIONS, TRANSLATIONS)),
    /* https://docs.sglang.ai/basic_usage/openai_api.html */
    OPENAI("sglang", "SGLang", "http://127.0.0.1:30000/v1", BEARER_OPTIONAL,
           .quirks = PROVIDER_QUIRK_TOP_K | PROVIDER_QUIRK_REASONING_BACK, ALL),
    /* https://github.com/ggml-org/llama.cpp/tree/master/tools/server: its default port is ours */
    OPENAI("llamacpp", "llama.cpp server", NULL, BEARER_OPTIONAL,
           .quirks = PROVIDER_QUIRK_TOP_K | PROVIDER_QUIRK_REASONING_BACK, CHAT(1, 1, 1, RERANK)),
    {AZURE_KIND, .of_version = azure_of_version,
     .paths = {AZURE_DATED, [PROVIDER_OP_RESPONSES] =
                                "/openai/responses?api-version={api_version}"}},
    /* https://docs.claude.com/en/api/overview */
    {.name = "anthropic",
     .title = "Anthropic",
     .base_url = "https://api.anthropic.com/v1",
     .auth = PROVIDER_AUTH_X_API_KEY,
     .paths = {[PROVIDER_OP_MESSAGES] = "/messages",
               [PROVIDER_OP_COUNT_TOKENS] = "/messages/count_tokens",
               [PROVIDER_OP_MODELS] = "/models"}},
    /* https://ai.google.dev/api/generate-content */
    {.name = "gemini",
     .title = "Google Gemini API",
     .base_url = "https://generativelanguage.googleapis.com/v1beta",
     .auth = PROVIDER_AUTH_X_GOOG_API_KEY,
     .paths = {[PROVIDER_OP_GENERATE] = "/models/{model}:generateContent",
               [PROVIDER_OP_STREAM_GENERATE] = "/models/{model}:streamGenerateContent?alt=sse",
               [PROVIDER_OP_GENERATE_COUNT] = "/models/{model}:countTokens",
               [PROVIDER_OP_BATCH_EMBED] = "/models/{model}:batchEmbedContents",
               [PROVIDER_OP_EMBED_CONTENT] = "/models/{model}:embedContent",
               /* https://ai.google.dev/api/caching */
               [PROVIDER_OP_CACHE_CREATE] = "/cachedContents",
               [PROVIDER_OP_CACHE] = "/cachedContents/{object}",
               [PROVIDER_OP_CACHE_UPDATE] = "/cachedContents/{object}",
               [PROVIDER_OP_CACHE_DELETE] = "/cachedContents/{object}",
               [PROVIDER_OP_MODELS] = "/models"}},
    /* https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference,
     * .../partner-models/claude/use-claude; platform.claude.com/docs/en/build-with-claude/
     * claude-on-vertex-ai. API keys: .../start/api-keys; without a project it is express mode
     * (.../start/express-mode/overview), which has Google's own models only. */
    {.name = "vertex",
     .title = "Google Vertex AI",
     .base_url = "https://{location}-aiplatform.googleapis.com/v1",
     .auth = PROVIDER_AUTH_X_GOOG_API_KEY,
     .quirks = PROVIDER_QUIRK_COUNTS_FLAT, /* .../model-reference/count-tokens */
     .has_location = true,
     .families = vertex_families,
     .paths = {[PROVIDER_OP_GENERATE] = GOOGLE("generateContent"),
               [PROVIDER_OP_STREAM_GENERATE] = GOOGLE("streamGenerateContent?alt=sse"),
               [PROVIDER_OP_GENERATE_COUNT] = GOOGLE("countTokens"),
               [PROVIDER_OP_RAW_PREDICT] = ANTHROPIC("{model}:rawPredict"),
               [PROVIDER_OP_STREAM_RAW_PREDICT] = ANTHROPIC("{model}:streamRawPredict"),
               [PROVIDER_OP_COUNT_RAW_PREDICT] = ANTHROPIC("count-tokens:rawPredict"),
               [PROVIDER_OP_CHAT] = "/projects/{project}/locations/{location}"
                                    "/endpoints/openapi/chat/completions"}},
    /* https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html; API keys
     * are bearer tokens (bedrock/latest/userguide/api-keys-use.html). */
    {.name = "bedrock",
     .title = "Amazon Bedrock",
     .base_url = "https://bedrock-runtime.{region}.amazonaws.com",
     .aws_service = "bedrock",
     .auth = PROVIDER_AUTH_BEARER,
     .paths = {[PROVIDER_OP_CONVERSE] = "/model/{model}/converse",
               [PROVIDER_OP_CONVERSE_STREAM] = "/model/{model}/converse-stream",
               [PROVIDER_OP_CONVERSE_COUNT] = "/model/{model}/count-tokens",
               [PROVIDER_OP_INVOKE_EMBED] = "/model/{model}/invoke"}},
    /* https://docs.cohere.com/reference/chat: each operation has the version of its own. */
    {.name = "cohere",
     .title = "Cohere",
     .base_url = "https://api.cohere.com",
     .auth = PROVIDER_AUTH_BEARER,
     .paths = {[PROVIDER_OP_COHERE_CHAT] = "/v2/chat",
               [PROVIDER_OP_COHERE_EMBED] = "/v2/embed",
               [PROVIDER_OP_RERANK] = "/v2/rerank",
               [PROVIDER_OP_MODELS] = "/v1/models"}},
};

const struct provider_kind *provider_kinds(size_t *n)
{
    *n = ARRAY_LEN(kinds);
    return kinds;
}

const struct provider_kind *provider_kind_find(struct slice name)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (slice_eq_str(name, kinds[i].name))
            return &kinds[i];
    return NULL;
}

/* The pattern's literal runs stand in order: the first at the beginning, the last at the end. */
static bool fits(const char *pattern, struct slice s)
{
    const char *star = strchr(pattern, '*');
    if (!star)
        return slice_eq_str(s, pattern);
    struct slice head = slice_of(pattern, (size_t)(star - pattern));
    if (!slice_starts_with(s, head))
        return false;
    for (size_t at = head.n; at <= s.n; at++)
        if (fits(star + 1, slice_of(s.p + at, s.n - at)))
            return true;
    return false;
}

uint64_t provider_model_ops(const struct provider_kind *k, struct slice model)
{
    if (!k->families)
        return UINT64_MAX;
    for (const struct provider_family *f = k->families; f->model; f++)
        if (fits(f->model, model))
            return f->ops;
    return 0;
}

uint32_t provider_refused_members(const struct provider_kind *k, struct slice model)
{
    const struct provider_refusal *r = k->refusals;
    while (r && r->model && !fits(r->model, model))
        r++;
    return r ? r->members : 0;
}
