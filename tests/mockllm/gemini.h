/*
 * gemini.h: what the files of Gemini's API share: gemini.c answers, gemini_check.c says whether a
 * request is one that the API takes.
 */
#ifndef MOCKLLM_GEMINI_H
#define MOCKLLM_GEMINI_H

#include "tests/mockllm/dialect.h"

enum gemini_message { GEMINI_GENERATE, GEMINI_COUNT, GEMINI_EMBED, GEMINI_BATCH_EMBED };

/* Every member is one that the message has and of its type; then what the API wants of contents,
 * tools and settings together. False with `err` filled in. */
bool gemini_check(enum gemini_message message, struct slice body, struct error *err);
/* A member by either of its names, camelCase and snake_case. */
struct slice gemini_get(struct slice object, const char *camel);
/* False: an INVALID_ARGUMENT. */
bool gemini_refuse(struct error *err, const char *fmt, ...) CHECKED_FMT(2);

/* Whether the cached content that a request names is the credential's. */
bool gemini_cache_is_there(const struct call *call, struct error *err);
enum { GEMINI_CACHE_ROUTES = 4 };
extern const struct route gemini_cache_routes[GEMINI_CACHE_ROUTES];

/* A call's id tells whether it came with a signature, and which. */
#define GEMINI_SIGNED_ID "mock-signed-call-"

#endif
