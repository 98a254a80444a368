/*
 * sse.h: server-sent events out of a byte stream (WHATWG HTML, "Server-sent events", §9.2.6).
 *
 * Tolerant in what it takes: LF, CR and CRLF, split anywhere; comments; a BOM; fields it doesn't
 * know; events without data. Nothing is changed or dropped: the raw spans that it hands out, put
 * together, are the input. The payload of an event with one data line is a span of the input; only
 * several lines are joined, in a bounded scratch buffer.
 *
 * The caller keeps the bytes of the unfinished event; every offset here is relative to its first
 * byte, so the caller's buffer may move between calls. Each byte is looked at once, however they
 * arrive.
 *
 * An event above the cap is passed through: SSE_PASS hands out its bytes unread, piece by piece, up
 * to its end.
 */
#ifndef GW_HTTP_SSE_H
#define GW_HTTP_SSE_H

#include "common/buf.h"

enum { SSE_MAX_EVENT_BYTES = 4 << 20 };

struct sse_event {
    struct slice raw;  /* all bytes from the end of the previous event, blank line included */
    struct slice data; /* p is NULL when the block has no data line (comments, `event:` alone) */
    struct slice type; /* of the last `event:` line; p is NULL when there is none */
    bool incomplete;   /* the stream ended before the blank line */
    bool ends;         /* SSE_PASS: this piece is the last of its event */
};

enum sse_result {
    SSE_MORE,  /* keep the bytes; call again with them and more */
    SSE_EVENT, /* take ev->raw.n bytes off the front, then call again */
    SSE_PASS,  /* likewise, but nothing of it was read: the event is above the cap */
};

struct sse_reader {
    size_t max_event_bytes;
    size_t scan;       /* bytes of the current event already looked at */
    size_t line_start; /* of the unfinished line */
    size_t data_off, data_len;
    size_t type_off, type_len;
    unsigned n_data_lines;
    bool has_type;
    bool first_line; /* of the stream: a BOM may stand before it */
    bool after_cr;   /* the last byte taken was a CR: an LF that follows belongs to it */
    bool passing;
    bool bol; /* while passing: at the beginning of a line */
    struct buf joined;
};

void sse_reader_init(struct sse_reader *r, size_t max_event_bytes);
void sse_reader_release(struct sse_reader *r);

/* buf begins with the first byte not yet taken. ev's slices are valid until the next call or until
 * the caller's bytes go. */
enum sse_result sse_reader_next(struct sse_reader *r, const char *buf, size_t len,
                                struct sse_event *ev);

/* The caller has no room for the unfinished event that these bytes are (sse_reader_next returned
 * SSE_MORE for them): hands them out as SSE_PASS, and the rest of the event likewise. */
enum sse_result sse_reader_give_up(struct sse_reader *r, const char *buf, size_t len,
                                   struct sse_event *ev);

/* The stream ended with these bytes left (sse_reader_next returned SSE_MORE for them). SSE_MORE
 * when there are none; else SSE_EVENT with `incomplete` set (its data counts an unfinished last
 * line too; not set where the bytes are but the LF of the last event's CRLF) or SSE_PASS. By the
 * standard such a tail is no event; the caller decides. */
enum sse_result sse_reader_finish(struct sse_reader *r, const char *buf, size_t len,
                                  struct sse_event *ev);

#endif
