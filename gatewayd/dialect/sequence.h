/*
 * sequence.h: stands between the reader and the writer of a stream and guarantees the grammar of
 * IR_EVENTS, so that no writer can produce overlapping blocks, a delta without its block, or an end
 * without a finish.
 *
 * Parts that overlap are put in order: the first part that is open is live; deltas of later ones
 * are kept (bounded) until it ends. A text or reasoning part ends where another begins; a tool call
 * ends when its arguments are one whole JSON value and another part begins, or with the stream.
 * One sequence serves all choices.
 */
#ifndef GW_GATEWAYD_DIALECT_SEQUENCE_H
#define GW_GATEWAYD_DIALECT_SEQUENCE_H

#include "gatewayd/dialect/ir.h"

enum { SEQUENCE_HELD_MAX_BYTES = 1 << 20, SEQUENCE_OPEN_MAX = 128 };

struct sequence;
/* NULL: out of memory. Events go to sink(ctx). */
struct sequence *sequence_new(ir_sink_fn sink, void *ctx);
void sequence_free(struct sequence *s);
/* An ir_sink_fn: ctx is the struct sequence. Borrowed texts are copied if they have to be kept. */
void sequence_take(void *ctx, const struct ir_event *ev);
/* The reader broke the grammar, or more was held back than is allowed: static text for the log;
 * NULL: all is well. From then on nothing is passed on. */
const char *sequence_fault(const struct sequence *s);
/* END has been passed on. */
bool sequence_ended(const struct sequence *s);

#endif
