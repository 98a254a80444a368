/*
 * embed.c: what the codecs of embeddings share.
 */
#include "gatewayd/dialect/embed.h"

static const struct {
    const char *word;
    enum ir_purpose purpose;
} words[] = {
    {"search_document", IR_PURPOSE_DOCUMENT},
    {"document", IR_PURPOSE_DOCUMENT},
    {"passage", IR_PURPOSE_DOCUMENT},
    {"search_query", IR_PURPOSE_QUERY},
    {"query", IR_PURPOSE_QUERY},
    {"classification", IR_PURPOSE_CLASSIFICATION},
    {"clustering", IR_PURPOSE_CLUSTERING},
};

enum ir_purpose embed_purpose_find(struct ir_text word)
{
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (ir_text_is(word, slice_str(words[i].word)))
            return words[i].purpose;
    return IR_PURPOSE_UNSET;
}

const char *embed_cohere_purpose(enum ir_purpose p)
{
    switch (p) {
    case IR_PURPOSE_UNSET:
    case IR_PURPOSE_DOCUMENT:
        return "search_document";
    case IR_PURPOSE_QUERY:
    case IR_PURPOSE_CODE_QUERY:
    case IR_PURPOSE_QUESTION:
    case IR_PURPOSE_FACT:
        return "search_query";
    case IR_PURPOSE_CLASSIFICATION:
        return "classification";
    case IR_PURPOSE_SIMILARITY:
    case IR_PURPOSE_CLUSTERING:
        break;
    }
    return "clustering";
}

bool embed_is_complete(const struct ir_response *r, const struct codec_caller *c)
{
    if (!c->request || !c->request->embed || r->vectors->n != c->request->embed->n)
        return false;
    for (size_t i = 0; i < r->vectors->n; i++)
        if (!r->vectors->v[i].numbers.p && !ir_has(r->vectors->v[i].base64))
            return false;
    return true;
}

int64_t embed_input_tokens(const struct ir_response *r, const struct codec_caller *c)
{
    return r->usage.flags & USAGE_PRESENT ? r->usage.input_tokens : c->estimated_input;
}
