/*
 * anthropic_check.h: whether Anthropic's API would take a request.
 */
#ifndef MOCKLLM_ANTHROPIC_CHECK_H
#define MOCKLLM_ANTHROPIC_CHECK_H

#include "tests/mockllm/dialect.h"

/* Checks a body that is one valid JSON object: names, types, ranges, the order of roles, calls and
 * results, signatures that it gave out itself, and what excludes each other. False with `err`
 * filled in as the API words it. */
bool anthropic_check(struct slice body, bool counting, struct error *err);

#endif
