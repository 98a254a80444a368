/*
 * response.c: see response.h. Framing as in RFC 9112 §6 and §7, without what a proxy never sends to
 * a client of ours: trailers are refused, a body until the end of the connection as well.
 */
#include "perf/response.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void response_start(struct response *r)
{
    r->status = 0;
    r->close = false;
    r->events = 0;
    r->body_bytes = 0;
    r->error = NULL;
    r->state = R_HEAD;
    r->head_length = 0;
    r->left = 0;
    r->first = 0;
    r->newline = false;
    memset(r->tail, 0, sizeof r->tail);
}

static enum response_result bad(struct response *r, const char *why)
{
    r->error = why;
    return RESPONSE_BAD;
}

static const char *find_field(const char *head, const char *name)
{
    size_t n = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, n) == 0 && line[n] == ':')
            return line + n + 1 + strspn(line + n + 1, " \t");
    }
    return NULL;
}

static enum response_result parse_head(struct response *r)
{
    char *end;
    if (strncmp(r->head, "HTTP/1.1 ", 9) != 0)
        return bad(r, "status line");
    r->status = (int)strtol(r->head + 9, &end, 10);
    const char *length = find_field(r->head, "content-length");
    const char *coding = find_field(r->head, "transfer-encoding");
    const char *connection = find_field(r->head, "connection");
    r->close = connection != NULL && strncasecmp(connection, "close", 5) == 0;
    if (coding != NULL && length == NULL && strncasecmp(coding, "chunked", 7) == 0) {
        r->state = R_SIZE;
        r->head_length = 0;
        return RESPONSE_MORE;
    }
    if (length == NULL || coding != NULL)
        return bad(r, "framing");
    r->left = strtoull(length, &end, 10);
    r->state = R_LENGTH;
    return *end == '\r' ? RESPONSE_MORE : bad(r, "content-length");
}

/* Collects a head or a line until `end` is seen. */
static enum response_result collect(struct response *r, const char *p, size_t n, size_t *used,
                                    const char *end)
{
    size_t m = strlen(end);
    while (*used < n) {
        if (r->head_length + 1 >= sizeof r->head)
            return bad(r, "head too long");
        r->head[r->head_length++] = p[(*used)++];
        if (r->head_length >= m && memcmp(r->head + r->head_length - m, end, m) == 0) {
            r->head[r->head_length] = '\0';
            return RESPONSE_DONE;
        }
    }
    return RESPONSE_MORE;
}

static void note_body(struct response *r, const char *p, size_t n)
{
    if (r->body_bytes == 0 && n > 0)
        r->first = p[0];
    r->body_bytes += n;
    const char *at = p, *lf;
    while (at < p + n && (lf = memchr(at, '\n', (size_t)(p + n - at))) != NULL) {
        bool directly = lf == p ? r->newline : lf[-1] == '\n';
        if (directly)
            r->events++;
        at = lf + 1;
    }
    if (n > 0)
        r->newline = p[n - 1] == '\n';
    if (n >= sizeof r->tail) {
        memcpy(r->tail, p + n - sizeof r->tail, sizeof r->tail);
    } else {
        memmove(r->tail, r->tail + n, sizeof r->tail - n);
        memcpy(r->tail + sizeof r->tail - n, p, n);
    }
}

static void take_body(struct response *r, const char *p, size_t n, size_t *used)
{
    size_t m = n - *used < r->left ? n - *used : (size_t)r->left;
    note_body(r, p + *used, m);
    *used += m;
    r->left -= m;
}

static enum response_result parse_size(struct response *r)
{
    char *end;
    r->left = strtoull(r->head, &end, 16);
    r->head_length = 0;
    if (end == r->head || (*end != '\r' && *end != ';'))
        return bad(r, "chunk size");
    r->state = r->left > 0 ? R_CHUNK : R_TRAILER;
    return RESPONSE_MORE;
}

/* One part of the response; MORE with bytes left over means: go on with the next part. */
static enum response_result feed_part(struct response *r, const char *p, size_t n, size_t *used)
{
    enum response_result got;
    switch (r->state) {
    case R_HEAD:
        got = collect(r, p, n, used, "\r\n\r\n");
        if (got == RESPONSE_DONE && (got = parse_head(r)) == RESPONSE_MORE && r->left == 0 &&
            r->state == R_LENGTH)
            return RESPONSE_DONE;
        return got;
    case R_LENGTH:
        take_body(r, p, n, used);
        return r->left == 0 ? RESPONSE_DONE : RESPONSE_MORE;
    case R_SIZE:
        got = collect(r, p, n, used, "\r\n");
        return got == RESPONSE_DONE ? parse_size(r) : got;
    case R_CHUNK:
        take_body(r, p, n, used);
        if (r->left == 0)
            r->state = R_CHUNK_END;
        return RESPONSE_MORE;
    case R_CHUNK_END:
    case R_TRAILER:
        got = collect(r, p, n, used, "\r\n");
        if (got != RESPONSE_DONE)
            return got;
        if (r->head_length != 2)
            return bad(r, "chunk end");
        r->head_length = 0;
        if (r->state == R_TRAILER)
            return RESPONSE_DONE;
        r->state = R_SIZE;
        return RESPONSE_MORE;
    }
    return bad(r, "state");
}

enum response_result response_feed(struct response *r, const char *p, size_t n, size_t *used)
{
    enum response_result got = RESPONSE_MORE;
    *used = 0;
    while (got == RESPONSE_MORE && *used < n)
        got = feed_part(r, p, n, used);
    return got;
}

static bool ends_with(const struct response *r, const char *line)
{
    size_t n = strlen(line);
    const char *behind = r->tail + sizeof r->tail;
    return memcmp(behind - 2, "\n\n", 2) == 0 && memcmp(behind - 2 - n, line, n) == 0;
}

const char *response_verify(const struct response *r, int status, const char *end, uint64_t events)
{
    if (r->status != status)
        return "status";
    if (end != NULL && !ends_with(r, end))
        return "cut stream";
    if (end != NULL && events > 0 && r->events != events)
        return "events";
    if (end == NULL && (r->first != '{' || r->tail[sizeof r->tail - 1] != '}'))
        return "body";
    return NULL;
}
