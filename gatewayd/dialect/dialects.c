/*
 * dialects.c: the table of dialects and of their operations.
 */
#include "gatewayd/dialect/dialects.h"

#include "gatewayd/dialect/count.h"
#include "gatewayd/dialect/embed.h"
#include "gatewayd/dialect/rerank.h"

static const struct {
    const struct dialect *native;
    const struct codec *chat, *count, *embeddings, *embed_content, *rerank;
} served[DIALECT_N_IDS] = {
    [DIALECT_OPENAI] = {.native = &dialect_openai,
                        .chat = &codec_openai_chat,
                        .embeddings = &codec_openai_embed,
                        .rerank = &codec_openai_rerank},
    [DIALECT_OPENAI_RESPONSES] = {.native = &dialect_openai_responses,
                                  .chat = &codec_openai_responses,
                                  .count = &codec_responses_count},
    [DIALECT_ANTHROPIC] = {.native = &dialect_anthropic,
                           .chat = &codec_anthropic,
                           .count = &codec_anthropic_count},
    [DIALECT_GEMINI] = {.native = &dialect_gemini,
                        .chat = &codec_gemini,
                        .count = &codec_gemini_count,
                        .embeddings = &codec_gemini_embed,
                        .embed_content = &codec_gemini_embed_content},
    [DIALECT_BEDROCK] = {.native = &dialect_bedrock,
                         .chat = &codec_bedrock,
                         .count = &codec_bedrock_count,
                         .embeddings = &codec_bedrock_embed},
    [DIALECT_COHERE] = {.native = &dialect_cohere,
                        .chat = &codec_cohere,
                        .embeddings = &codec_cohere_embed,
                        .rerank = &codec_cohere_rerank},
    [DIALECT_GEMINI_CACHE] = {.native = &dialect_gemini_cache},
    [DIALECT_OPENAI_RELAY] = {.native = &dialect_openai_relay},
};

static const struct {
    enum dialect_id dialect;
    enum dialect_op op;
    enum { WHOLE = 1, STREAM = 2, EITHER = 3 } stream;
    enum dialect_envelope envelope;
} ops[PROVIDER_N_OPS] = {
    [PROVIDER_OP_CHAT] = {DIALECT_OPENAI, DIALECT_CHAT, EITHER},
    [PROVIDER_OP_COMPLETIONS] = {DIALECT_OPENAI, DIALECT_COMPLETIONS, EITHER},
    [PROVIDER_OP_EMBEDDINGS] = {DIALECT_OPENAI, DIALECT_EMBEDDINGS, EITHER},
    [PROVIDER_OP_RESPONSES] = {DIALECT_OPENAI_RESPONSES, DIALECT_CHAT, EITHER},
    [PROVIDER_OP_MESSAGES] = {DIALECT_ANTHROPIC, DIALECT_CHAT, EITHER},
    [PROVIDER_OP_COUNT_TOKENS] = {DIALECT_ANTHROPIC, DIALECT_COUNT_TOKENS, WHOLE},
    [PROVIDER_OP_GENERATE] = {DIALECT_GEMINI, DIALECT_CHAT, WHOLE},
    [PROVIDER_OP_STREAM_GENERATE] = {DIALECT_GEMINI, DIALECT_CHAT, STREAM},
    [PROVIDER_OP_GENERATE_COUNT] = {DIALECT_GEMINI, DIALECT_COUNT_TOKENS, WHOLE},
    [PROVIDER_OP_CONVERSE] = {DIALECT_BEDROCK, DIALECT_CHAT, WHOLE},
    [PROVIDER_OP_CONVERSE_STREAM] = {DIALECT_BEDROCK, DIALECT_CHAT, STREAM},
    [PROVIDER_OP_RAW_PREDICT] = {DIALECT_ANTHROPIC, DIALECT_CHAT, WHOLE, DIALECT_RAW_PREDICT},
    [PROVIDER_OP_STREAM_RAW_PREDICT] = {DIALECT_ANTHROPIC, DIALECT_CHAT, STREAM,
                                        DIALECT_RAW_PREDICT},
    [PROVIDER_OP_COUNT_RAW_PREDICT] = {DIALECT_ANTHROPIC, DIALECT_COUNT_TOKENS, WHOLE,
                                       DIALECT_COUNT_RAW_PREDICT},
    [PROVIDER_OP_INPUT_TOKENS] = {DIALECT_OPENAI_RESPONSES, DIALECT_COUNT_TOKENS, WHOLE},
    [PROVIDER_OP_CONVERSE_COUNT] = {DIALECT_BEDROCK, DIALECT_COUNT_TOKENS, WHOLE},
    [PROVIDER_OP_BATCH_EMBED] = {DIALECT_GEMINI, DIALECT_EMBEDDINGS, WHOLE},
    [PROVIDER_OP_EMBED_CONTENT] = {DIALECT_GEMINI, DIALECT_EMBED_CONTENT, WHOLE},
    [PROVIDER_OP_INVOKE_EMBED] = {DIALECT_BEDROCK, DIALECT_EMBEDDINGS, WHOLE},
    [PROVIDER_OP_OPENAI_RERANK] = {DIALECT_OPENAI, DIALECT_RERANK, WHOLE},
    [PROVIDER_OP_COHERE_CHAT] = {DIALECT_COHERE, DIALECT_CHAT, EITHER},
    [PROVIDER_OP_COHERE_EMBED] = {DIALECT_COHERE, DIALECT_EMBEDDINGS, WHOLE},
    [PROVIDER_OP_RERANK] = {DIALECT_COHERE, DIALECT_RERANK, WHOLE},
    [PROVIDER_OP_MODERATIONS] = {DIALECT_OPENAI_RELAY, DIALECT_MODERATIONS, WHOLE},
    [PROVIDER_OP_SPEECH] = {DIALECT_OPENAI_RELAY, DIALECT_SPEECH, EITHER},
    [PROVIDER_OP_TRANSCRIPTIONS] = {DIALECT_OPENAI_RELAY, DIALECT_TRANSCRIPTIONS, EITHER},
    [PROVIDER_OP_TRANSLATIONS] = {DIALECT_OPENAI_RELAY, DIALECT_TRANSLATIONS, WHOLE},
    [PROVIDER_OP_IMAGES] = {DIALECT_OPENAI_RELAY, DIALECT_IMAGES, EITHER},
    [PROVIDER_OP_IMAGE_EDITS] = {DIALECT_OPENAI_RELAY, DIALECT_IMAGE_EDITS, EITHER},
    [PROVIDER_OP_IMAGE_VARIATIONS] = {DIALECT_OPENAI_RELAY, DIALECT_IMAGE_VARIATIONS, WHOLE},
    [PROVIDER_OP_FILE_CREATE] = {DIALECT_OPENAI_RELAY, DIALECT_FILE_CREATE, WHOLE},
    [PROVIDER_OP_FILES] = {DIALECT_OPENAI_RELAY, DIALECT_FILES, WHOLE},
    [PROVIDER_OP_FILE] = {DIALECT_OPENAI_RELAY, DIALECT_FILE, WHOLE},
    [PROVIDER_OP_FILE_DELETE] = {DIALECT_OPENAI_RELAY, DIALECT_FILE_DELETE, WHOLE},
    [PROVIDER_OP_FILE_CONTENT] = {DIALECT_OPENAI_RELAY, DIALECT_FILE_CONTENT, WHOLE},
    [PROVIDER_OP_BATCH_CREATE] = {DIALECT_OPENAI_RELAY, DIALECT_BATCH_CREATE, WHOLE},
    [PROVIDER_OP_BATCHES] = {DIALECT_OPENAI_RELAY, DIALECT_BATCHES, WHOLE},
    [PROVIDER_OP_BATCH] = {DIALECT_OPENAI_RELAY, DIALECT_BATCH, WHOLE},
    [PROVIDER_OP_BATCH_CANCEL] = {DIALECT_OPENAI_RELAY, DIALECT_BATCH_CANCEL, WHOLE},
    [PROVIDER_OP_RESPONSE] = {DIALECT_OPENAI_RELAY, DIALECT_RESPONSE, WHOLE},
    [PROVIDER_OP_RESPONSE_DELETE] = {DIALECT_OPENAI_RELAY, DIALECT_RESPONSE_DELETE, WHOLE},
    [PROVIDER_OP_RESPONSE_CANCEL] = {DIALECT_OPENAI_RELAY, DIALECT_RESPONSE_CANCEL, WHOLE},
    [PROVIDER_OP_RESPONSE_ITEMS] = {DIALECT_OPENAI_RELAY, DIALECT_RESPONSE_ITEMS, WHOLE},
    [PROVIDER_OP_CACHE_CREATE] = {DIALECT_GEMINI_CACHE, DIALECT_CACHE_CREATE, WHOLE},
    [PROVIDER_OP_CACHE] = {DIALECT_GEMINI_CACHE, DIALECT_CACHE, WHOLE},
    [PROVIDER_OP_CACHE_UPDATE] = {DIALECT_GEMINI_CACHE, DIALECT_CACHE_UPDATE, WHOLE},
    [PROVIDER_OP_CACHE_DELETE] = {DIALECT_GEMINI_CACHE, DIALECT_CACHE_DELETE, WHOLE},
};

const struct dialect *dialects_native(enum dialect_id id)
{
    return served[id].native;
}

const struct codec *dialects_codec(enum dialect_id id, enum dialect_op op)
{
    switch (op) {
    case DIALECT_CHAT:
        return served[id].chat;
    case DIALECT_COUNT_TOKENS:
        return served[id].count;
    case DIALECT_EMBEDDINGS:
        return served[id].embeddings;
    case DIALECT_EMBED_CONTENT:
        return served[id].embed_content;
    case DIALECT_RERANK:
        return served[id].rerank;
    default:
        return NULL;
    }
}

enum dialect_id dialects_of_op(enum provider_op op)
{
    return ops[op].dialect;
}

enum dialect_envelope dialects_envelope(enum provider_op op)
{
    return ops[op].envelope;
}

const struct codec *dialects_codec_of_op(enum provider_op op)
{
    return dialects_codec(ops[op].dialect, ops[op].op);
}

bool dialects_is_native(enum provider_op p, enum dialect_id id, enum dialect_op op)
{
    return ops[p].dialect == id && ops[p].op == op;
}

enum dialect_op dialects_operation(enum provider_op op)
{
    return ops[op].op;
}

static bool is_op(enum provider_op p, enum dialect_op op, bool stream)
{
    return ops[p].dialect != DIALECT_NONE && ops[p].op == op &&
           ops[p].stream & (stream ? STREAM : WHOLE);
}

enum provider_op dialects_op(enum dialect_id id, enum dialect_op op, bool stream)
{
    for (unsigned p = 0; p < PROVIDER_N_OPS; p++)
        if (ops[p].dialect == id && is_op((enum provider_op)p, op, stream))
            return (enum provider_op)p;
    return PROVIDER_N_OPS;
}

/* One input is a list of one to every provider but its own. */
static enum dialect_op translated_as(enum dialect_op op)
{
    return op == DIALECT_EMBED_CONTENT ? DIALECT_EMBEDDINGS : op;
}

enum provider_op dialects_choose(enum dialect_id id, enum dialect_op op, bool stream,
                                 uint64_t offered)
{
    enum provider_op translated = PROVIDER_N_OPS;
    for (unsigned p = 0; p < PROVIDER_N_OPS; p++) {
        if (!(offered & PROVIDER_OP_BIT(p)))
            continue;
        if (ops[p].dialect == id && is_op((enum provider_op)p, op, stream))
            return (enum provider_op)p;
        if (translated == PROVIDER_N_OPS && is_op((enum provider_op)p, translated_as(op), stream) &&
            dialects_codec_of_op((enum provider_op)p))
            translated = (enum provider_op)p;
    }
    return dialects_codec(id, op) ? translated : PROVIDER_N_OPS;
}
