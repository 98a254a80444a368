/*
 * meter.h: what the worker has to know of an answer (usage, finish, id, model, bytes), taken from
 * what its dialect's codec reads.
 *
 * So a dialect with a codec needs no second reader for its native path: its struct dialect calls
 * meter_response and the meter_stream_* here. The bytes of the answer are never changed but for the
 * model's name where an alias is asked for.
 */
#ifndef GW_GATEWAYD_DIALECT_METER_H
#define GW_GATEWAYD_DIALECT_METER_H

#include "gatewayd/dialect/codec.h"

/* struct dialect.read_response. -1: c can't read it. */
GW_MUSTUSE int meter_response(const struct codec *c, struct json_doc *scratch, struct slice body,
                              enum dialect_op op, struct dialect_response *out);

/* struct dialect.stream_init (of which the dialect gives its codec), .stream_event and .stream_fini. */
void meter_stream_init(struct dialect_stream *s, const struct codec *c, enum dialect_op op);
enum dialect_verdict meter_stream_event(struct dialect_stream *s, struct json_doc *scratch,
                                        struct slice event, struct slice data,
                                        struct splices *cuts);
void meter_stream_fini(struct dialect_stream *s);

/* ---- for translations, which read the answer anyway ---- */

/* body: what r was read from, or {NULL} where the model's place isn't wanted. */
void meter_take_response(const struct ir_response *r, struct slice body,
                         struct dialect_response *out);
void meter_take_event(struct dialect_stream *s, const struct ir_event *ev);

#endif
