/*
 * peer.h: the other end of a connection of the gateway, client or provider, played by hand.
 *
 * A peer reads from its socket only when something is asked of it, so a slow reader is one that
 * isn't asked. Messages are read just far enough: a head, then a body by its length or chunk by
 * chunk. This is a test's reader: it believes what it sees.
 */
#ifndef GW_TESTS_REPLAY_PEER_H
#define GW_TESTS_REPLAY_PEER_H

#include "tests/replay/world.h"

#include <errno.h>
#include <netinet/tcp.h>

enum { PEER_IN_MAX_BYTES = 64 * 1024 * 1024 };

struct peer {
    char name[32];
    int fd;
    bool eof, reset;
    struct buf in;   /* not yet looked at */
    struct buf head; /* of the last message */
    struct buf data; /* chunks, decoded and not yet expected */
    bool last_chunk;
    size_t want; /* of the wait that is going on */
};

static void peer_init(struct peer *p, const char *name, int fd)
{
    *p = (struct peer){.fd = fd};
    snprintf(p->name, sizeof p->name, "%s", name);
    buf_init(&p->in, PEER_IN_MAX_BYTES);
    buf_init(&p->head, PEER_IN_MAX_BYTES);
    buf_init(&p->data, PEER_IN_MAX_BYTES);
}

static void peer_close(struct peer *p, bool hard)
{
    struct linger at_once = {.l_onoff = 1};
    if (p->fd < 0)
        return;
    if (hard)
        setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(p->fd);
    p->fd = -1;
}

static void peer_fini(struct peer *p)
{
    peer_close(p, false);
    buf_release(&p->in);
    buf_release(&p->head);
    buf_release(&p->data);
}

/* What is there now, at most `max` bytes; how much. */
static size_t peer_take(struct peer *p, size_t max)
{
    size_t before = p->in.len;
    while (p->fd >= 0 && !p->eof && !p->reset && p->in.len - before < max) {
        size_t room = GW_MIN((size_t)65536, max - (p->in.len - before));
        if (buf_reserve(&p->in, room) < 0)
            abort();
        ssize_t n = recv(p->fd, p->in.data + p->in.len, room, 0);
        if (n > 0)
            p->in.len += (size_t)n;
        else if (n == 0)
            p->eof = true;
        else if (errno == EAGAIN)
            break;
        else
            p->reset = true;
    }
    return p->in.len - before;
}

static bool peer_has_bytes(void *arg)
{
    struct peer *p = arg;
    if (p->in.len < p->want)
        peer_take(p, SIZE_MAX);
    return p->in.len >= p->want || p->eof || p->reset;
}

/* False: the connection ended before. */
static bool peer_wait_bytes(struct peer *p, size_t n)
{
    p->want = n;
    return world_wait(peer_has_bytes, p) && p->in.len >= n;
}

static bool peer_has_head(void *arg)
{
    struct peer *p = arg;
    peer_take(p, SIZE_MAX);
    return memmem(p->in.data, p->in.len, "\r\n\r\n", 4) || p->eof || p->reset;
}

/* Moves one head from `in` to `head`; false: it doesn't come. */
static bool peer_read_head(struct peer *p)
{
    const char *end;
    if (!world_wait(peer_has_head, p) || p->in.len == 0)
        return false;
    end = memmem(p->in.data, p->in.len, "\r\n\r\n", 4);
    if (!end)
        return false;
    size_t n = (size_t)(end + 4 - p->in.data);
    p->head.len = p->data.len = 0;
    p->last_chunk = false;
    if (buf_append(&p->head, p->in.data, n) < 0)
        abort();
    buf_consume(&p->in, n);
    return true;
}

/* Value of a field of the last head; {NULL, 0}: it has none. */
static struct slice peer_field(const struct peer *p, const char *name)
{
    struct slice rest = buf_slice(&p->head);
    while (rest.p && rest.n) {
        struct slice line = slice_split(&rest, '\n');
        struct slice value = slice_split(&line, '\r');
        struct slice field = slice_split(&value, ':');
        if (value.p && slice_ieq(field, slice_str(name)))
            return slice_trim(value);
    }
    return slice_of(NULL, 0);
}

/* The body that content-length announces, complete in `in`. */
static bool peer_wait_body(struct peer *p, struct slice *body)
{
    uint64_t n = 0;
    struct slice text = peer_field(p, "content-length");
    if (text.p && slice_to_u64(text, PEER_IN_MAX_BYTES, &n) < 0)
        return false;
    if (n > 0 && !peer_wait_bytes(p, (size_t)n))
        return false;
    *body = slice_of(p->in.data, (size_t)n);
    return true;
}

/* Decodes the chunks that are there. False: that is no chunk. */
static bool peer_decode(struct peer *p)
{
    while (!p->last_chunk) {
        char *end;
        char *line_end = memmem(p->in.data, p->in.len, "\r\n", 2);
        if (!line_end)
            return true;
        unsigned long n = strtoul(p->in.data, &end, 16);
        size_t at = (size_t)(line_end + 2 - p->in.data);
        if (end != line_end)
            return false;
        if (p->in.len < at + n + 2)
            return true;
        if (memcmp(p->in.data + at + n, "\r\n", 2) != 0 ||
            buf_append(&p->data, p->in.data + at, n) < 0)
            return false;
        p->last_chunk = n == 0;
        buf_consume(&p->in, at + n + 2);
    }
    return true;
}

static bool peer_has_data(void *arg)
{
    struct peer *p = arg;
    peer_take(p, SIZE_MAX);
    return !peer_decode(p) || p->data.len >= p->want || p->last_chunk || p->eof || p->reset;
}

static bool peer_ended(void *arg)
{
    struct peer *p = arg;
    peer_take(p, SIZE_MAX);
    return p->eof || p->reset;
}

/* All of it, with the loop turning where the socket is full. False: it doesn't get rid of it. */
struct peer_sending {
    struct peer *p;
    struct slice rest;
    bool failed;
};

static bool peer_send_some(void *arg)
{
    struct peer_sending *s = arg;
    while (s->rest.n > 0) {
        ssize_t n = send(s->p->fd, s->rest.p, s->rest.n, MSG_NOSIGNAL);
        if (n < 0) {
            s->failed = errno != EAGAIN;
            return s->failed;
        }
        s->rest = slice_of(s->rest.p + n, s->rest.n - (size_t)n);
    }
    return true;
}

static bool peer_send(struct peer *p, struct slice bytes)
{
    struct peer_sending s = {p, bytes, false};
    return world_wait(peer_send_some, &s) && !s.failed;
}

#endif
