/*
 * claude.h: generations of Claude, by the names that its APIs have for them.
 */
#ifndef GW_GATEWAYD_DIALECT_CLAUDE_H
#define GW_GATEWAYD_DIALECT_CLAUDE_H

#include "common/slice.h"

struct claude {
    bool is_claude;   /* else somebody else's model: taken to think by budgets */
    unsigned version; /* 10 * major + minor; 0: the name has none */
};

/* claude-3-7-sonnet-20250219, claude-sonnet-4-20250514, us.anthropic.claude-opus-4-6-v1:0, ... */
struct claude claude_of(struct slice model);
/* The most tokens that it generates in one answer, its thinking included; of generations that are
 * not known yet what the last known one does; 0: no name of Claude's, or one without a version. */
int64_t claude_max_output(struct slice model);

#endif
