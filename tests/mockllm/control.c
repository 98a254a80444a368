/*
 * control.c: see control.h.
 */
#include "tests/mockllm/control.h"
#include "tests/mockllm/bill.h"
#include "tests/mockllm/clock.h"
#include "tests/mockllm/registry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct exchange {
    const struct control *control;
    struct request req;
    int status;
    struct bytes out;
};

typedef void (*handler_fn)(struct exchange *x);

static void fail(struct exchange *x, const char *why)
{
    x->status = 400;
    bytes_adds(&x->out, "{\"error\":");
    bytes_add_json(&x->out, (struct slice){why, strlen(why)});
    bytes_adds(&x->out, "}\n");
}

static void get_bill(struct exchange *x)
{
    bill_add_records(&x->out);
}

static void get_requests(struct exchange *x)
{
    bill_add_requests(&x->out);
}

static void get_totals(struct exchange *x)
{
    bill_add_totals(&x->out);
}

static void get_script(struct exchange *x)
{
    bytes_addf(&x->out, "{\"pending\":%d}\n", registry_pending());
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A query parameter with %XX decoded, or NULL. Owned by the caller. */
static char *parameter(const struct exchange *x, const char *name)
{
    struct slice raw = http_query(&x->req, name);
    if (raw.p == NULL)
        return NULL;
    char *text = xcalloc(1, raw.len + 1), *to = text;
    for (size_t i = 0; i < raw.len; i++) {
        if (raw.p[i] == '%' && i + 2 < raw.len && hex(raw.p[i + 1]) >= 0 &&
            hex(raw.p[i + 2]) >= 0) {
            *to++ = (char)(hex(raw.p[i + 1]) * 16 + hex(raw.p[i + 2]));
            i += 2;
        } else {
            *to++ = raw.p[i];
        }
    }
    return text;
}

/* The first line of the body is the script; what follows it is the payload. */
static void post_script(struct exchange *x)
{
    struct slice payload = x->req.body, line = SLICE("");
    struct script check;
    char why[120];
    int64_t count = 1;
    if (payload.len > 0)
        slice_split(&payload, "\n", &line);
    script_init(&check);
    if (!script_parse(&check, line, why, sizeof why)) {
        fail(x, why);
        return;
    }
    struct slice wanted = http_query(&x->req, "count");
    if (wanted.p != NULL && (!slice_to_int(wanted, &count) || count == 0)) {
        fail(x, "count must be a number above 0, or -1 for ever");
        return;
    }
    struct registry_entry *e = xcalloc(1, sizeof *e);
    e->model = parameter(x, "model");
    e->credential = parameter(x, "credential");
    e->path = parameter(x, "path");
    e->script = xstrndup(line.p, line.len);
    e->count = count;
    e->has_payload = payload.p != NULL;
    bytes_add_slice(&e->payload, payload);
    registry_add(e);
    get_script(x);
}

static void post_release(struct exchange *x)
{
    for (size_t i = 0; i < x->control->nloops; i++)
        loop_release(x->control->loops[i]);
    bytes_adds(&x->out, "{}\n");
}

static void post_reset(struct exchange *x)
{
    registry_clear();
    bill_reset();
    post_release(x);
}

static void post_accept(struct exchange *x)
{
    int64_t ms;
    if (!slice_to_int(http_query(&x->req, "pause_ms"), &ms) || ms < 0) {
        fail(x, "pause_ms must be a number of milliseconds");
        return;
    }
    loop_pause_accept(clock_now_us() + ms * 1000);
    bytes_adds(&x->out, "{}\n");
}

static const struct {
    const char *method, *path;
    handler_fn handler;
} handlers[] = {
    {"GET", "/mock/bill", get_bill},         {"GET", "/mock/requests", get_requests},
    {"GET", "/mock/totals", get_totals},     {"GET", "/mock/script", get_script},
    {"POST", "/mock/script", post_script},   {"POST", "/mock/reset", post_reset},
    {"POST", "/mock/release", post_release}, {"POST", "/mock/accept", post_accept},
};

static void dispatch(struct exchange *x)
{
    for (size_t i = 0; i < ARRAY_LEN(handlers); i++) {
        if (slice_is(x->req.method, handlers[i].method) &&
            slice_is(x->req.path, handlers[i].path)) {
            handlers[i].handler(x);
            return;
        }
    }
    x->status = 404;
    bytes_adds(&x->out, "{\"error\":\"no such control request\"}\n");
}

/* Reads until the request is whole. False when there is none to be answered. */
static bool read_request(int fd, struct bytes *in, struct exchange *x)
{
    for (;;) {
        const char *why;
        enum http_result r = http_parse_head(bytes_slice(in), &x->req, &why);
        if (r == HTTP_BAD)
            return false;
        if (r == HTTP_OK && in->len - x->req.head.len >= x->req.content_length) {
            x->req.body = (struct slice){in->p + x->req.head.len, x->req.content_length};
            return !x->req.chunked;
        }
        ssize_t n = recv(fd, bytes_reserve(in, 65536), 65536, 0);
        if (n <= 0)
            return false;
        in->len += (size_t)n;
    }
}

static void send_all(int fd, struct slice data)
{
    while (data.len > 0) {
        ssize_t n = send(fd, data.p, data.len, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        data.p += n;
        data.len -= (size_t)n;
    }
}

static void serve_one(const struct control *c, int fd)
{
    struct timeval patience = {.tv_sec = 5};
    struct exchange x = {.control = c, .status = 200};
    struct bytes in = {0}, head = {0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (read_request(fd, &in, &x)) {
        dispatch(&x);
        bytes_addf(&head,
                   "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
                   "Connection: close\r\n\r\n",
                   x.status, x.status == 200 ? "OK" : "Bad", x.out.len);
        send_all(fd, bytes_slice(&head));
        send_all(fd, bytes_slice(&x.out));
    }
    bytes_fini(&in);
    bytes_fini(&head);
    bytes_fini(&x.out);
    close(fd);
}

void control_run(struct control *c)
{
    for (;;) {
        int fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            serve_one(c, fd);
        else if (errno != EINTR && errno != ECONNABORTED)
            return;
    }
}
