/*
 * search.h: embed and rerank of Cohere, and the rerank of OpenAI-compatible servers.
 */
#ifndef MOCKLLM_SEARCH_H
#define MOCKLLM_SEARCH_H

#include "tests/mockllm/dialect.h"

bool cohere_embed_read(struct call *call, struct error *err);
void cohere_embed_write(const struct call *call, const struct script *s, struct reply *out);
bool cohere_rerank_read(struct call *call, struct error *err);
void cohere_rerank_write(const struct call *call, const struct script *s, struct reply *out);
bool openai_rerank_read(struct call *call, struct error *err);
void openai_rerank_write(const struct call *call, const struct script *s, struct reply *out);

#endif
