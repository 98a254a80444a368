/*
 * log_text.h: a request line for people. Internal to the log.
 */
#ifndef GW_COMMON_LOG_TEXT_H
#define GW_COMMON_LOG_TEXT_H

#include "common/slice.h"

/* What the text may be longer than its JSON. */
enum { LOG_TEXT_MORE_BYTES = 128 };

/*
 * Rewrites a flat JSON object as one line, without its end:
 *     2026-01-31T23:59:59.123456Z request gatewayd[812] worker/3: POST /v1/chat/completions 200
 *     id=… key=ci model=smart total_ms=812.204 …
 * `who` is "gatewayd[812] worker/3: "; empty leaves time and process out (the journal has both).
 * `out` has line.n + who.n + LOG_TEXT_MORE_BYTES bytes. Strings stay quoted and escaped where
 * anything in them could be taken for something else. What isn't such an object is copied as it is.
 */
size_t log_text_of(struct slice line, struct slice who, char *out);

#endif
