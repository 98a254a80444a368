/*
 * bound.c: token bounds and estimates. Pure.
 */
#include "gatewayd/worker/bound.h"

#include "gatewayd/dialect/relay.h"

enum {
    /* Chat templates put a handful of tokens around each message (3 and the role's, by OpenAI's
     * cookbook "How to count tokens"), and render each tool as text of about its JSON's length. */
    TOKENS_PER_MESSAGE = 8,
    TOKENS_PER_TOOL = 32,
    TOKENS_PER_REQUEST = 16,
    /* A part whose tokens don't follow from its bytes: the largest that a provider bills for one.
     */
    TOKENS_PER_IMAGE = 50000,
    TOKENS_PER_AUDIO = 100000,
    TOKENS_PER_FILE = 200000,
    /* Audio to be transcribed: no speech codec goes below 6 kbit/s (Opus, RFC 6716 section 2.1.1),
     * and none of the models makes more than 32 tokens of a second. */
    BYTES_PER_SECOND = 500,
    TOKENS_PER_SECOND = 32,
    /* Where the caller sets no cap and no catalogue knows the model's. */
    OUTPUT_DEFAULT = 16384,
};

static int64_t at_most(__int128 v)
{
    return v > USAGE_MAX_TOKENS ? USAGE_MAX_TOKENS : (int64_t)v;
}

static __int128 seconds_bound(const struct dialect_request *a)
{
    return ((__int128)a->media_bytes + BYTES_PER_SECOND - 1) / BYTES_PER_SECOND;
}

static __int128 input_bound(const struct dialect_request *a)
{
    return (__int128)a->prompt_bytes + TOKENS_PER_REQUEST +
           (__int128)a->messages * TOKENS_PER_MESSAGE + (__int128)a->tools * TOKENS_PER_TOOL +
           (__int128)a->images * TOKENS_PER_IMAGE + (__int128)a->audios * TOKENS_PER_AUDIO +
           (__int128)a->files * TOKENS_PER_FILE + seconds_bound(a) * TOKENS_PER_SECOND;
}

static __int128 output_bound(const struct dialect_request *a)
{
    if (a->op == DIALECT_CACHE_CREATE || a->op == DIALECT_EMBEDDINGS ||
        a->op == DIALECT_EMBED_CONTENT || a->op == DIALECT_RERANK)
        return 0;
    int64_t each = a->max_output_tokens >= 0 ? a->max_output_tokens : OUTPUT_DEFAULT;
    int64_t choices = GW_MAX(GW_MAX(a->n, a->best_of), (int64_t)1);
    int64_t prompts = a->op == DIALECT_COMPLETIONS ? GW_MAX((int64_t)a->prompts, (int64_t)1) : 1;
    return (__int128)each * choices * prompts;
}

/* English text has about four bytes a token (help.openai.com/en/articles/4936856); JSON's own
 * characters, names and escapes are among them, so a count is rather too high than too low. */
int64_t bound_estimate_input(const struct dialect_request *a)
{
    enum { BYTES_PER_TOKEN = 4, OF_MESSAGE = 4, OF_TOOL = 16, OF_IMAGE = 1600, OF_MEDIA = 2500 };
    return at_most((__int128)(a->prompt_bytes + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN +
                   (__int128)a->messages * OF_MESSAGE + (__int128)a->tools * OF_TOOL +
                   (__int128)a->images * OF_IMAGE + ((__int128)a->audios + a->files) * OF_MEDIA);
}

/* What is billed beside tokens: common/ledger.h. */
/* Cohere's search units: up to 100 documents each; one of more than 500 tokens, its query's
 * included, counts as several (cohere.com/pricing). A query takes at most half of that. */
static __int128 searches_bound(const struct dialect_request *a)
{
    enum { DOCUMENTS = 100, CHUNK = 250 };
    return ((__int128)a->prompts + a->prompt_bytes / CHUNK + DOCUMENTS - 1) / DOCUMENTS;
}

static __int128 units_bound(const struct dialect_request *a)
{
    switch (a->op) {
    case DIALECT_SPEECH:
        return a->characters;
    case DIALECT_RERANK:
        return searches_bound(a);
    case DIALECT_TRANSCRIPTIONS:
    case DIALECT_TRANSLATIONS:
        return seconds_bound(a);
    case DIALECT_IMAGES:
    case DIALECT_IMAGE_EDITS:
    case DIALECT_IMAGE_VARIATIONS:
        return GW_MAX(a->n, (int64_t)1);
    default:
        return 0;
    }
}

void bound_reserve(const struct dialect_request *a, int64_t usage[LEDGER_USAGE_MAX])
{
    memset(usage, 0, LEDGER_USAGE_MAX * sizeof usage[0]);
    const struct relay *relay = relay_of(a->op);
    if (a->op == DIALECT_COUNT_TOKENS || a->op == DIALECT_MODERATIONS ||
        (relay && relay->role != RELAY_PLAIN && a->op != DIALECT_CACHE_CREATE))
        return; /* no provider bills it; what a batch costs is known when it is through */
    usage[LEDGER_UNITS] = at_most(units_bound(a));
    usage[LEDGER_INPUT] = at_most(input_bound(a));
    usage[LEDGER_OUTPUT] = at_most(output_bound(a));
}

void bound_from_usage(const struct dialect_usage *u, int64_t usage[LEDGER_USAGE_MAX])
{
    memset(usage, 0, LEDGER_USAGE_MAX * sizeof usage[0]);
    int64_t cached = GW_MIN(u->cached_tokens, u->input_tokens);
    int64_t written = GW_MIN(u->cache_write_tokens, u->input_tokens - cached);
    usage[LEDGER_INPUT] = u->input_tokens - cached - written;
    usage[LEDGER_CACHED] = cached;
    usage[LEDGER_CACHE_WRITE] = written;
    usage[LEDGER_OUTPUT] = u->output_tokens;
    usage[LEDGER_REASONING] = u->reasoning_tokens;
    usage[LEDGER_UNITS] = u->units;
}

void bound_counted(const int64_t reserved[LEDGER_USAGE_MAX], uint64_t output_bytes,
                   int64_t usage[LEDGER_USAGE_MAX])
{
    memset(usage, 0, LEDGER_USAGE_MAX * sizeof usage[0]);
    usage[LEDGER_INPUT] = reserved[LEDGER_INPUT];
    usage[LEDGER_UNITS] = reserved[LEDGER_UNITS];
    usage[LEDGER_OUTPUT] = (int64_t)GW_MIN(output_bytes, (uint64_t)reserved[LEDGER_OUTPUT]);
}
