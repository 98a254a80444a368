/*
 * cohere_check.h: whether Cohere's API would take a chat request.
 */
#ifndef MOCKLLM_COHERE_CHECK_H
#define MOCKLLM_COHERE_CHECK_H

#include "tests/mockllm/dialect.h"

/* Checks a body that is one valid JSON object: names, types, ranges, the order of roles, calls and
 * results, and what excludes each other. False with `err` filled in as the API words it. */
bool cohere_check(struct slice body, struct error *err);

#endif
