/*
 * fields_doc.c: which dialects there are, and field by field what becomes of a request that is
 * written in each.
 */
#include "gatewayd/dialect/fields_doc.h"

#include "gatewayd/dialect/dialects.h"

#include <stdarg.h>
#include <stdio.h>

struct page {
    struct buf *out;
    int rc;
};

static void put(struct page *p, const char *fmt, ...) GW_PRINTF(2, 3);
static void put(struct page *p, const char *fmt, ...)
{
    char text[4096];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof text || buf_append(p->out, text, (size_t)n) < 0)
        p->rc = -1;
}

static const char page_head[] =
    "# Translation\n"
    "\n"
    "<!-- Written by tests/unit/test_dialects from the tables in gatewayd/dialect; change them. "
    "-->\n"
    "\n"
    "An application speaks its own API to gatewayd, whatever the provider behind a model speaks.\n"
    "A request that meets a provider of its own dialect is not rebuilt: its bytes go upstream "
    "with\n"
    "the model's name replaced ([dialects.md](dialects.md)). Else it is translated, and so are "
    "the\n"
    "answer, the events of a stream as they arrive, and errors. Each try is translated for its "
    "own\n"
    "provider, so a retry or a fallback may go to another dialect.\n"
    "\n"
    "- What a dialect can't say is **refused** (400, naming the caller's member) where leaving it\n"
    "  out would change the meaning of the answer. The next target of the model is asked first, "
    "if\n"
    "  there is one whose dialect can say it.\n"
    "- It is **dropped** where it is a hint; `x-gw-dropped` names what was. Members that the\n"
    "  gateway doesn't know are dropped and named likewise.\n"
    "- Images, sounds, videos and files in an answer whose caller's dialect has no place for them\n"
    "  are left out and named likewise: `answer.image`, `answer.audio`, `answer.video`,\n"
    "  `answer.file`. In a stream, whose head is out by then, the name comes in its place as a\n"
    "  comment (`: x-gw-dropped: answer.image`), to Bedrock's callers in `messageStop`, among\n"
    "  `additionalModelResponseFields`.\n"
    "- **Mapped** means that it becomes something near; the tables below say what.\n"
    "- `default.X`, `set.X` and `drop` of a `[model:...]` section change the caller's body before\n"
    "  it is translated.\n"
    "- Texts keep their spelling: escapes are copied, prose is neither decoded nor encoded.\n"
    "- Reasoning comes back intact on the next turn: signatures are carried in the place that the\n"
    "  caller's dialect has for them, those of tool calls, where it has none, behind `_gwSigned_`\n"
    "  in the call's id.\n"
    "- A signature goes to its own maker only: Claude's to whoever serves Claude, Gemini's to\n"
    "  Google, OpenAI's to OpenAI. In a dialect that isn't its maker's it has a tag in front\n"
    "  (`gwSigned` and four characters; in chat completions also OpenRouter's `format`), which "
    "the\n"
    "  gateway takes off again. Where another provider goes on with the conversation the "
    "signature\n"
    "  is left out, and reasoning without a signature where it takes none; `x-gw-dropped` says "
    "so.\n"
    "  A request in the provider's own dialect that holds a tag is written anew without it.\n"
    "- A stream has a clean end only when the provider's own end, or at least its finish reason,\n"
    "  has come. An error inside a stream becomes the error event of the caller's dialect and an\n"
    "  unclean end.\n"
    "- Completions are served by providers of the same dialect only.\n"
    "- Requests that are signed with AWS keys (SigV4) are not taken from clients: their\n"
    "  SDKs can send a key of the gateway as a bearer token (`AWS_BEARER_TOKEN_BEDROCK`). "
    "Amazon's\n"
    "  JavaScript client asks for HTTP/2 first: give it `requestHandler: new NodeHttpHandler()`.\n";

static const struct {
    enum dialect_id id;
    const char *routes;
} spoken[] = {
    {DIALECT_OPENAI,
     "`/v1/chat/completions`, also `/openai/v1/…`, `/openai/deployments/{model}/…`"},
    {DIALECT_OPENAI_RESPONSES, "`/v1/responses`, also `/openai/v1/…`"},
    {DIALECT_ANTHROPIC, "`/v1/messages`, also `/anthropic/v1/…`"},
    {DIALECT_GEMINI, "`/v1beta/models/{model}:generateContent` and `:streamGenerateContent`, also "
                     "`/genai/v1beta/…`"},
    {DIALECT_BEDROCK, "`/model/{model}/converse` and `/converse-stream`, also `/bedrock/…`"},
    {DIALECT_COHERE, "`/v2/chat`, also `/cohere/v2/chat`"},
};

static const struct codec *codec_at(size_t i)
{
    return dialects_native(spoken[i].id) ? dialects_codec(spoken[i].id, DIALECT_CHAT) : NULL;
}

static bool speaks(const struct provider_kind *k, enum dialect_id id)
{
    uint64_t offered = 0;
    for (unsigned op = 0; op < PROVIDER_N_OPS; op++)
        if (k->paths[op])
            offered |= PROVIDER_OP_BIT(op);
    enum provider_op op = dialects_choose(id, DIALECT_CHAT, false, offered);
    return op != PROVIDER_N_OPS && dialects_of_op(op) == id;
}

static void put_dialects(struct page *p)
{
    size_t n;
    const struct provider_kind *kinds = provider_kinds(&n);
    put(p, "\n## Dialects\n\n| dialect | callers use | kinds of providers |\n|---|---|---|\n");
    for (size_t i = 0; i < ARRAY_LEN(spoken); i++) {
        const char *glue = "";
        if (!codec_at(i))
            continue;
        put(p, "| %s | %s | ", codec_at(i)->name, spoken[i].routes);
        for (size_t k = 0; k < n; k++) {
            if (!speaks(&kinds[k], spoken[i].id))
                continue;
            put(p, "%s`%s`", glue, kinds[k].name);
            glue = ", ";
        }
        put(p, " |\n");
    }
}

static const char *fate_word(enum ir_fate f)
{
    static const char *const words[] = {"?", "carried", "mapped", "**refused**", "dropped"};
    return words[f];
}

/* Text in a cell of a table: a bar would end it. */
static void put_cell(struct page *p, const char *text)
{
    for (; *text; text++)
        put(p, *text == '|' ? "\\%c" : "%c", *text);
}

static void put_overview(struct page *p)
{
    put(p, "\n## Overview\n\nWhat becomes of a field when the provider speaks\n\n| field |");
    for (size_t i = 0; i < ARRAY_LEN(spoken); i++)
        if (codec_at(i))
            put(p, " %s |", codec_at(i)->name);
    put(p, "\n|---|");
    for (size_t i = 0; i < ARRAY_LEN(spoken); i++)
        if (codec_at(i))
            put(p, "---|");
    for (unsigned f = 0; f < IR_FIELD_COUNT; f++) {
        put(p, "\n| %s |", ir_field_text((enum ir_field)f));
        for (size_t i = 0; i < ARRAY_LEN(spoken); i++)
            if (codec_at(i))
                put(p, " %s |", fate_word(codec_at(i)->fields[f].fate));
    }
    put(p, "\n");
}

static void put_codec(struct page *p, const struct codec *c, enum dialect_op op)
{
    put(p, "\n## %s\n\n| field | member | to a provider of this dialect | |\n|---|---|---|---|\n",
        c->name);
    for (unsigned f = 0; f < ir_op_fields(op); f++) {
        const struct ir_field_row *row = &c->fields[f];
        put(p, "| %s | ", ir_op_field_text(op, f));
        if (row->member) {
            put(p, "`");
            put_cell(p, row->member);
            put(p, "`");
        }
        put(p, " | %s | ", fate_word(row->fate));
        put_cell(p, row->note);
        put(p, " |\n");
    }
}

/* ---- operations beside chats ---- */

static const struct {
    enum dialect_op op;
    const char *title, *text;
    struct {
        enum dialect_id id;
        const char *routes;
    } spoken[6];
} others[] = {
    {DIALECT_EMBEDDINGS,
     "Embeddings",
     "Vectors stay the same 32-bit floats, be they asked for as numbers or as base64: base64 is\n"
     "little-endian IEEE 754, numbers are printed with as few digits as bring the same float "
     "back.\n"
     "Where a provider doesn't tell the input's tokens, those of the answer are an estimate\n"
     "(`x-gw-estimated: input_tokens`) and the ledger's record says `estimated`. Amazon Titan "
     "takes\n"
     "one text a request: a list of several is refused, or answered by the next target that "
     "takes\n"
     "lists. `embedContent` of one input is translated as a batch of one.\n",
     {{DIALECT_OPENAI, "`/v1/embeddings`, also `/openai/v1/…`, `/openai/deployments/{model}/…`"},
      {DIALECT_GEMINI,
       "`/v1beta/models/{model}:embedContent` and `:batchEmbedContents`, also `/genai/v1beta/…`"},
      {DIALECT_BEDROCK, ""},
      {DIALECT_COHERE, "`/v2/embed`, also `/cohere/v2/embed`"}}},
    {DIALECT_RERANK,
     "Reranking",
     "`/v1/rerank` is the form of Jina AI, of Cohere's first version and of OpenAI-compatible "
     "servers:\n"
     "documents are strings or objects with a `text`, and come back in the answer if\n"
     "`return_documents` is true. `/v2/rerank` is Cohere's own. Cohere bills search units, which "
     "the\n"
     "ledger's record has as `units` and answers as `meta.billed_units`; others bill tokens. "
     "Scores "
     "are\n"
     "passed on as the provider spells them.\n",
     {{DIALECT_OPENAI, "`/v1/rerank`, `/rerank`, also `/openai/v1/rerank`"},
      {DIALECT_COHERE, "`/v2/rerank`, also `/cohere/v2/rerank`"}}},
    {DIALECT_COUNT_TOKENS,
     "Counting tokens",
     "A request is counted by the provider that would answer it. What becomes of its fields is as "
     "in\n"
     "the dialect's chats above; what says how to answer (sampling, limits, log probabilities, …) "
     "is\n"
     "no part of a prompt and is left out in silence. Where none of a model's targets can count, "
     "the\n"
     "gateway answers with an estimate of its own, marked by `x-gw-estimated: input_tokens`: about "
     "a\n"
     "token for four bytes of the prompt's JSON and some for each message, tool and image. No "
     "provider\n"
     "is asked then, and nothing is recorded or billed. `input.invokeModel` of Bedrock's "
     "CountTokens\n"
     "reaches Bedrock only.\n",
     {{DIALECT_OPENAI_RESPONSES, "`/v1/responses/input_tokens`, also `/openai/v1/…`"},
      {DIALECT_ANTHROPIC, "`/v1/messages/count_tokens`, also `/anthropic/v1/…`"},
      {DIALECT_GEMINI, "`/v1beta/models/{model}:countTokens`, also `/genai/v1beta/…`"},
      {DIALECT_BEDROCK, "`/model/{model}/count-tokens`, also `/bedrock/…`"}}},
};

static bool offers(const struct provider_kind *k, enum dialect_id id, enum dialect_op op)
{
    for (unsigned p = 0; p < PROVIDER_N_OPS; p++)
        if (k->paths[p] && dialects_is_native((enum provider_op)p, id, op))
            return true;
    return false;
}

static void put_other(struct page *p, size_t i)
{
    size_t n;
    const struct provider_kind *kinds = provider_kinds(&n);
    put(p, "\n# %s\n\n%s\n| dialect | callers use | kinds of providers |\n|---|---|---|\n",
        others[i].title, others[i].text);
    for (size_t k = 0; others[i].spoken[k].id != DIALECT_NONE; k++) {
        enum dialect_id id = others[i].spoken[k].id;
        const char *glue = "";
        put(p, "| %s | %s | ", dialects_codec(id, others[i].op)->name, others[i].spoken[k].routes);
        for (size_t j = 0; j < n; j++) {
            if (!offers(&kinds[j], id, others[i].op))
                continue;
            put(p, "%s`%s`", glue, kinds[j].name);
            glue = ", ";
        }
        put(p, " |\n");
    }
    if (others[i].op == DIALECT_COUNT_TOKENS)
        return;
    for (size_t k = 0; others[i].spoken[k].id != DIALECT_NONE; k++)
        put_codec(p, dialects_codec(others[i].spoken[k].id, others[i].op), others[i].op);
}

int dialects_write_reference(struct buf *out)
{
    struct page p = {out, 0};
    put(&p, "%s", page_head);
    put_dialects(&p);
    put_overview(&p);
    for (size_t i = 0; i < ARRAY_LEN(spoken); i++)
        if (codec_at(i))
            put_codec(&p, codec_at(i), DIALECT_CHAT);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        put_other(&p, i);
    return p.rc;
}

static void put_row(struct json_writer *w, const struct ir_field_row *row, unsigned f)
{
    static const char *const fates[] = {"unstated", "carried", "mapped", "refused", "dropped"};
    jw_key(w, slice_str(ir_field_text((enum ir_field)f)));
    jw_object(w);
    jw_key_plain(w, SLICE_LIT("member"));
    if (row->member)
        jw_str(w, slice_str(row->member));
    else
        jw_null(w);
    jw_member_str(w, "fate", slice_str(fates[row->fate]));
    jw_member_str(w, "note", slice_str(row->note));
    jw_object_end(w);
}

int dialects_write_reference_json(struct buf *out)
{
    struct json_writer w;
    size_t n;
    jw_init_buf(&w, out);
    jw_object(&w);
    for (size_t i = 0; i < ARRAY_LEN(spoken); i++) {
        if (!codec_at(i))
            continue;
        jw_key(&w, slice_str(codec_at(i)->name));
        jw_object(&w);
        for (unsigned f = 0; f < IR_FIELD_COUNT; f++)
            put_row(&w, &codec_at(i)->fields[f], f);
        jw_object_end(&w);
    }
    jw_object_end(&w);
    return jw_finish(&w, &n) < 0 ? -1 : buf_append(out, "\n", 1);
}
