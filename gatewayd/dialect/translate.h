/*
 * translate.h: one try whose provider speaks another dialect than the caller.
 *
 *   request  caller's codec -> ir -> tool links, check of fields -> provider's codec
 *   answer   provider's codec -> ir -> caller's codec
 *   stream   provider's codec -> sequence -> caller's codec, event by event
 *
 * Images, sounds, videos and files of an answer which the caller's dialect has no place for are
 * left out and named: whole answers in translation_dropped, streams, whose head is out by then, in
 * a comment in front of what follows (SSE) or with their end (codec_caller.left_out).
 *
 * What is metered comes from the same reading (meter.h). Texts of the request are borrowed: its
 * body must stand as long as the translation. No I/O; every buffer has a bound.
 */
#ifndef GW_GATEWAYD_DIALECT_TRANSLATE_H
#define GW_GATEWAYD_DIALECT_TRANSLATE_H

#include "gatewayd/dialect/codec.h"

struct translation;

/* NULL: out of memory. */
struct translation *translation_new(const struct codec *caller, const struct codec *provider,
                                    enum dialect_op op);
void translation_free(struct translation *t);
/* Bytes of the heap that it holds, about. */
size_t translation_bytes(const struct translation *t);

/* target->dropped is filled here; target->model must stand as long as the translation. Reads the
 * caller's body and writes the provider's, of at most max_bytes; the body is parsed only if it
 * isn't what `scratch` has parsed last (json_parse_once). `stream`: an answer as a stream is asked
 * for, wherever the dialects say it. -1 with *why. */
GW_MUSTUSE int translation_request(struct translation *t, struct json_doc *scratch,
                                   struct slice body, bool stream,
                                   const struct codec_target *target, size_t max_bytes,
                                   struct dialect_refusal *why);
/* The provider's body; what was left out, for x-gw-dropped (n = 0: nothing): of the request, and of
 * a whole answer once there is one. */
struct slice translation_body(const struct translation *t);
struct slice translation_dropped(const struct translation *t);

/* What the head of the answer tells of usage, for bodies that say nothing of it. */
void translation_head_tells(struct translation *t, int64_t input_tokens);
/* How the answer is to look. c's texts are borrowed; its `request` is filled here. */
void translation_answer_as(struct translation *t, const struct codec_caller *c);

/* A whole 2xx body. The caller's is in *out, owned by t; nothing is, where meter->fault says that
 * the answer failed on its way. -1 with *why, static text. */
GW_MUSTUSE int translation_response(struct translation *t, struct json_doc *scratch,
                                    struct slice body, size_t max_bytes,
                                    struct dialect_response *meter, struct slice *out,
                                    const char **why);

/* A stream begins: clears what is metered. */
void translation_stream_init(struct translation *t, struct dialect_stream *meter);
/* One event of the provider's; appends frames for the caller, or nothing. -1 with *why, static
 * text: the stream can't go on. meter->failed: the provider's error was passed on as the caller's
 * dialect says it. */
GW_MUSTUSE int translation_event(struct translation *t, struct json_doc *scratch, struct slice type,
                                 struct slice data, struct buf *out, const char **why);
/* The provider's stream ended well and all of it was given: appends what is still owed. -1: it
 * isn't complete. */
GW_MUSTUSE int translation_end(struct translation *t, struct buf *out);

/* An error of the gateway's own, as the caller's stream says it behind what it has of it. -1: it
 * doesn't fit. */
GW_MUSTUSE int translation_stream_error(struct translation *t, const struct dialect *caller,
                                        const struct dialect_error *e, struct buf *out);

/* The provider's error answer in the caller's dialect, in *out, owned by t. {NULL} if there is no
 * message in it. */
struct slice translation_error(struct translation *t, struct json_doc *scratch,
                               const struct dialect *caller, int status, enum dialect_fault fault,
                               struct slice body);

#endif
