/*
 * sample.h: content that an answer is made of, always the same for the same request.
 */
#ifndef MOCKLLM_SAMPLE_H
#define MOCKLLM_SAMPLE_H

#include "tests/mockllm/bytes.h"

/* The i-th token of the standing text as raw JSON string text, filled up or cut to `size` bytes
 * (0: as it is). The text holds sequences of two to four UTF-8 bytes and escapes. */
void sample_token(struct bytes *out, int64_t i, int64_t size);
/* The smallest instance of a JSON schema that holds every property: const and enum (the first),
 * type, properties, items, anyOf and oneOf (the first), $ref into the same schema. */
void sample_instance(struct bytes *out, struct slice schema);

#endif
