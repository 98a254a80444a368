/*
 * rerank.h: the codecs of reranking: Cohere's /v2/rerank, and the form of Jina AI and of Cohere's
 * first version, which OpenAI-compatible servers have at /rerank.
 *
 * Of struct codec they fill the functions of requests and whole answers: nothing of this streams.
 */
#ifndef GW_GATEWAYD_DIALECT_RERANK_H
#define GW_GATEWAYD_DIALECT_RERANK_H

#include "gatewayd/dialect/codec.h"
#include "gatewayd/dialect/ir_embed.h"

extern const struct codec codec_openai_rerank, codec_cohere_rerank;

#endif
