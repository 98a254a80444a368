/*
 * sample.h: content that an answer is made of, always the same for the same request.
 */
#ifndef MOCKLLM_SAMPLE_H
#define MOCKLLM_SAMPLE_H

#include "tests/mockllm/bytes.h"

/* The i-th token of the standing text as raw JSON string text, filled up or cut to `size` bytes
 * (0: as it is). The text holds sequences of two to four UTF-8 bytes and escapes. */
void sample_token(struct bytes *out, int64_t i, int64_t size);
/* The same of a text whose every token has what breaks when it is cut or decoded wrongly: sequences
 * of three and four bytes, combined characters, escaped control characters, surrogate pairs. */
void sample_unicode_token(struct bytes *out, int64_t i);
/* The i-th token of what a model thinks before it answers. */
void sample_thought(struct bytes *out, int64_t i);
/* Base64 that belongs to exactly this (decoded) text, as a provider signs its reasoning or a call
 * of a tool: who gets text and signature back can tell whether both are intact, and its own. */
enum sample_maker { SAMPLE_CLAUDE, SAMPLE_GEMINI, SAMPLE_OPENAI, SAMPLE_COMPATIBLE };
void sample_signature(struct bytes *out, enum sample_maker by, struct slice text);
bool sample_signature_fits(struct slice signature, enum sample_maker by, struct slice text);
/* The smallest instance of a JSON schema that holds every property: const and enum (the first),
 * type (in either case), properties, items, anyOf and oneOf (the first), $ref into the same schema.
 */
void sample_instance(struct bytes *out, struct slice schema);

#endif
