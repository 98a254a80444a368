/*
 * embed.h: the codecs of embeddings, and what they share.
 *
 * Of struct codec they fill the functions of requests and whole answers: nothing of this streams.
 */
#ifndef GW_GATEWAYD_DIALECT_EMBED_H
#define GW_GATEWAYD_DIALECT_EMBED_H

#include "gatewayd/dialect/codec.h"
#include "gatewayd/dialect/ir_embed.h"

/* gemini_embed is batchEmbedContents, gemini_embed_content its request of one. */
extern const struct codec codec_openai_embed, codec_gemini_embed, codec_gemini_embed_content,
    codec_bedrock_embed, codec_cohere_embed;

/* Cohere's words (docs.cohere.com/reference/embed), NVIDIA's (query, passage) and plain ones.
 * UNSET: none of them. */
enum ir_purpose embed_purpose_find(struct ir_text word);
/* The nearest of Cohere's four; UNSET is a document. */
const char *embed_cohere_purpose(enum ir_purpose p);

/* Whether there is one vector for each input. */
bool embed_is_complete(const struct ir_response *r, const struct codec_caller *c);
/* What the provider counted, or else the gateway's estimate. */
int64_t embed_input_tokens(const struct ir_response *r, const struct codec_caller *c);

#endif
