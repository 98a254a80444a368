/*
 * eventstream.h: the frames of application/vnd.amazon.eventstream, read and written.
 *
 *   total length | headers length | CRC of these 8 bytes | headers | payload | CRC of all before it
 *
 * Lengths and checksums are 32 bits, big-endian; the checksum is CRC-32 of IEEE 802.3
 * (smithy.io/2.0/aws/amazon-eventstream.html). A header is a name, the type of its value and the
 * value. What the frame means is in `:message-type`: "event" (then `:event-type` names it),
 * "exception" (`:exception-type`) or "error" (`:error-code`, `:error-message`).
 *
 * Strict: a wrong checksum, length or header is refused and nothing after it is read, as nobody can
 * tell where the next frame begins. The caller keeps the bytes of the unfinished frame, which may
 * move between calls. Each byte is looked at once, however they arrive.
 */
#ifndef GW_HTTP_EVENTSTREAM_H
#define GW_HTTP_EVENTSTREAM_H

#include "common/buf.h"

enum {
    /* The largest that Amazon's own clients take (aws-c-event-stream, botocore: 24 MiB of payload),
     * and what is enough for an event of text. */
    EVENTSTREAM_LIMIT_BYTES = 24 << 20,
    EVENTSTREAM_MAX_MESSAGE_BYTES = 1 << 20,
    EVENTSTREAM_MAX_HEADERS_BYTES = 128 << 10,
    EVENTSTREAM_OVERHEAD_BYTES = 16, /* of a frame without headers and payload */
};
#define EVENTSTREAM_CONTENT_TYPE "application/vnd.amazon.eventstream"

/* Numbered as on the wire. */
enum eventstream_type {
    EVENTSTREAM_TRUE,
    EVENTSTREAM_FALSE,
    EVENTSTREAM_BYTE,
    EVENTSTREAM_INT16,
    EVENTSTREAM_INT32,
    EVENTSTREAM_INT64,
    EVENTSTREAM_BYTES,
    EVENTSTREAM_STRING,
    EVENTSTREAM_TIMESTAMP, /* ms since 1970 */
    EVENTSTREAM_UUID,
};

struct eventstream_header {
    struct slice name; /* 1 to 255 bytes */
    enum eventstream_type type;
    int64_t number;     /* BYTE, INT*, TIMESTAMP; 1 and 0 of TRUE and FALSE */
    struct slice value; /* BYTES, STRING: at most 32767 bytes; UUID: 16 */
};

/* ---- reading ---- */

/* X(enum suffix, text for the log) */
#define EVENTSTREAM_FAULTS(X)                                                                      \
    X(NONE, "no fault")                                                                            \
    X(LENGTH, "a frame's lengths contradict each other")                                           \
    X(TOO_LARGE, "a frame is too large")                                                           \
    X(PRELUDE_CRC, "wrong checksum of a frame's prelude")                                          \
    X(MESSAGE_CRC, "wrong checksum of a frame")                                                    \
    X(HEADER, "malformed header in a frame")                                                       \
    X(DUPLICATE, "a header stands twice in a frame")
enum eventstream_fault {
#define X(name, text) EVENTSTREAM_FAULT_##name,
    EVENTSTREAM_FAULTS(X)
#undef X
};
const char *eventstream_fault_text(enum eventstream_fault f);

struct eventstream_message {
    struct slice raw; /* the whole frame */
    struct slice headers, payload;
    /* Values of the string headers by which a frame is told; {NULL, 0} where there is none. */
    struct slice message_type, event_type, exception_type, error_code, error_message, content_type;
};

/* What a message is, in one word, as the readers of events take it: the type of an event, an
 * exception as "exception:NAME", an error as "error:CODE"; empty if it is none of these. In scratch
 * where it has a prefix ({NULL, 0} if that is too small). */
struct slice eventstream_event_type(const struct eventstream_message *m, char *scratch, size_t cap);

enum eventstream_result {
    EVENTSTREAM_MORE,    /* keep the bytes; call again with them and more */
    EVENTSTREAM_MESSAGE, /* take m->raw.n bytes off the front, then call again */
    EVENTSTREAM_BAD,     /* r->fault says why; for good */
};

struct eventstream_reader {
    size_t max_message_bytes;
    size_t total_bytes; /* of the frame whose prelude has been checked; 0: none yet */
    enum eventstream_fault fault;
};

void eventstream_reader_init(struct eventstream_reader *r, size_t max_message_bytes);
/* buf begins with the first byte not yet taken. m's slices point into it. */
enum eventstream_result eventstream_reader_next(struct eventstream_reader *r, const char *buf,
                                                size_t len, struct eventstream_message *m);

/* Takes the next header off the front of *rest (at first m->headers). 1: there it is; 0: there was
 * none left; -1: malformed (never in a message that the reader gave out). */
GW_MUSTUSE int eventstream_next_header(struct slice *rest, struct eventstream_header *h);

/* ---- writing ---- */

/* Appends one frame. -1: it doesn't fit, or a header or the frame breaks a limit of the format; out
 * is then as it was. */
GW_MUSTUSE int eventstream_write(struct buf *out, const struct eventstream_header *headers,
                                 size_t n_headers, struct slice payload);

/* Frames whose payload is written straight into the buffer: begin, append the payload to out, end.
 * -1 from either: out is as it was before begin. */
struct eventstream_frame {
    size_t start, headers_end;
};
GW_MUSTUSE int eventstream_begin(struct buf *out, const struct eventstream_header *headers,
                                 size_t n_headers, struct eventstream_frame *f);
GW_MUSTUSE int eventstream_end(struct buf *out, const struct eventstream_frame *f);

/* begin with the headers of a JSON event (:message-type event) or of a modeled exception
 * (:message-type exception). */
GW_MUSTUSE int eventstream_begin_event(struct buf *out, struct slice event_type,
                                       struct eventstream_frame *f);
GW_MUSTUSE int eventstream_begin_exception(struct buf *out, struct slice exception_type,
                                           struct eventstream_frame *f);

#endif
