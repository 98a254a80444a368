/*
 * dialects.h: the one table of the dialects that are served, and of which operation of a provider
 * answers which route.
 *
 * A dialect is in the table once its native path (struct dialect) and its codec are whole. A route
 * or a kind of provider whose dialect isn't here isn't served: routes.c and provider_kinds.c say
 * so, and a test compares.
 */
#ifndef GW_GATEWAYD_DIALECT_DIALECTS_H
#define GW_GATEWAYD_DIALECT_DIALECTS_H

#include "gatewayd/dialect/codec.h"

/* NULL: not served. */
const struct dialect *dialects_native(enum dialect_id id);
/* The codec for an operation; NULL: it isn't translated. */
const struct codec *dialects_codec(enum dialect_id id, enum dialect_op op);

/* The wire format of an operation. */
enum dialect_id dialects_of_op(enum provider_op op);
/* What its body wants besides. */
enum dialect_envelope dialects_envelope(enum provider_op op);
/* Its codec; NULL: it isn't translated. */
const struct codec *dialects_codec_of_op(enum provider_op op);
/* Whether an operation is `op` in dialect id, so that nothing is translated. */
bool dialects_is_native(enum provider_op p, enum dialect_id id, enum dialect_op op);
/* What it does. */
enum dialect_op dialects_operation(enum provider_op op);
/* The operation that is `op` in dialect id; PROVIDER_N_OPS: it has none. */
enum provider_op dialects_op(enum dialect_id id, enum dialect_op op, bool stream);
/* The operation of a provider by which a request that came in dialect `id` is answered: that of the
 * caller's own dialect if it is offered, else the first that can be translated to. offered:
 * PROVIDER_OP_BIT()s. PROVIDER_N_OPS: there is none. */
enum provider_op dialects_choose(enum dialect_id id, enum dialect_op op, bool stream,
                                 uint64_t offered);

#endif
