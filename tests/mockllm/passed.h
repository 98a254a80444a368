/*
 * passed.h: remembers the last body that passed a check.
 *
 * A load generator sends one body again and again: the mock must cost less than what it measures.
 */
#ifndef MOCKLLM_PASSED_H
#define MOCKLLM_PASSED_H

#include "tests/mockllm/bytes.h"

#include <stdbool.h>
#include <string.h>

enum { PASSED_MAX_BYTES = (1024 + 64) * 1024 };

/* One a thread and a check; zeroed at first. */
struct passed {
    size_t len;
    char copy[PASSED_MAX_BYTES];
};

static inline bool passed_before(const struct passed *p, struct slice body)
{
    return body.len == p->len && body.len > 0 && memcmp(body.p, p->copy, p->len) == 0;
}

static inline void passed_note(struct passed *p, struct slice body)
{
    p->len = body.len <= sizeof p->copy ? body.len : 0;
    if (p->len > 0)
        memcpy(p->copy, body.p, p->len);
}

#endif
