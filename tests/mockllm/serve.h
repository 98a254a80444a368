/*
 * serve.h: from a request to its answer: route, credential, body, script.
 */
#ifndef MOCKLLM_SERVE_H
#define MOCKLLM_SERVE_H

#include "tests/mockllm/answer.h"
#include "tests/mockllm/bill.h"

struct serve_options {
    struct slice keys[32]; /* credentials that are accepted; none: any */
    size_t nkeys;
    struct script script; /* under all others */
};

/* Answers that depend on little are kept and sent again. One a thread. */
struct serve_cache;
struct serve_cache *serve_cache_new(void);
void serve_cache_free(struct serve_cache *c);

/* The answer to a request, with a reference for the caller. Fills in the parts of `rec` that the
 * request tells. */
struct answer *serve_request(const struct serve_options *o, struct serve_cache *cache,
                             const struct request *req, struct record *rec);
/* The answer to bytes that are no request. */
struct answer *serve_bad_request(const char *why);

#endif
