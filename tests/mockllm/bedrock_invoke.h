/*
 * bedrock_invoke.h: InvokeModel of the embeddings models, and CountTokens.
 */
#ifndef MOCKLLM_BEDROCK_INVOKE_H
#define MOCKLLM_BEDROCK_INVOKE_H

#include "tests/mockllm/dialect.h"

/* Both check a body that is a valid JSON object, and set what it is billed. False with `why`. */
bool bedrock_invoke_read(struct call *call, char *why, size_t why_size);
bool bedrock_count_read(struct call *call, char *why, size_t why_size);
void bedrock_invoke_write(const struct call *call, const struct script *s, struct reply *out);
void bedrock_count_write(const struct call *call, struct reply *out);

#endif
