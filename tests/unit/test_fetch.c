/*
 * test_fetch.c: the keeper's HTTP client against a server that says exactly what a case wants.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/check.h"
#include "common/clock.h"
#include "gatewayd/keeper/fetch.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_MAX = 8192, TIMEOUT_US = 20 * 1000 * 1000, SHORT_US = 100 * 1000 };

/* ---- a server: one answer for every connection ---- */

struct server {
    int fd;
    unsigned port;
    pthread_t thread;
    const char *answer; /* NULL: none, until the client closes */
    char request[REQUEST_MAX];
    _Atomic unsigned served;
};

static bool whole_request(const char *s)
{
    const char *end = strstr(s, "\r\n\r\n"), *length = strstr(s, "Content-Length: ");
    return end && (!length || strlen(end + 4) >= (size_t)atoi(length + 16));
}

static void serve_one(struct server *s, int fd)
{
    size_t n = 0;
    ssize_t got = 1;
    memset(s->request, 0, sizeof s->request);
    while (got > 0 && n < sizeof s->request - 1 && !whole_request(s->request)) {
        got = read(fd, s->request + n, sizeof s->request - 1 - n);
        n += got > 0 ? (size_t)got : 0;
    }
    if (s->answer)
        (void)!write(fd, s->answer, strlen(s->answer));
    else
        (void)!read(fd, s->request, sizeof s->request - 1);
    s->served++;
    close(fd);
}

static void *serve(void *arg)
{
    struct server *s = arg;
    for (int fd; (fd = accept(s->fd, NULL, NULL)) >= 0;)
        serve_one(s, fd);
    return NULL;
}

static void server_open(struct server *s, const char *answer)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    *s = (struct server){.answer = answer, .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_true(s->fd >= 0);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&at, n), 0);
    assert_int_equal(listen(s->fd, 128), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&at, &n), 0);
    s->port = ntohs(at.sin_port);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_close(struct server *s)
{
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->fd);
}

/* ---- a client ---- */

struct outcome {
    struct event_base *base;
    unsigned done, wanted;
    enum fetch_error error;
    int status;
    char body[256], field[64], why[256];
};

static struct event_base *base;
static struct fetcher *fetcher;

static void on_done(void *arg, const struct fetch_answer *a)
{
    struct outcome *o = arg;
    o->error = a->error;
    o->status = a->status;
    snprintf(o->body, sizeof o->body, "%.*s", SLICE_FMT(a->body));
    snprintf(o->field, sizeof o->field, "%.*s", SLICE_FMT(a->fields[0]));
    snprintf(o->why, sizeof o->why, "%s", a->why);
    if (++o->done == o->wanted)
        event_base_loopbreak(base);
}

static int set_up(void **state)
{
    struct errbuf e;
    base = event_base_new();
    fetcher = fetcher_new(base);
    return fetcher_load(fetcher, &e);
}

static int tear_down(void **state)
{
    fetcher_free(fetcher);
    event_base_free(base);
    return 0;
}

static const char *const want[] = {"x-wanted"};

static struct fetch_request request_to(const char *url)
{
    return (struct fetch_request){.method = "GET",
                                  .url = url,
                                  .want = want,
                                  .n_want = 1,
                                  .max_body_bytes = 64,
                                  .timeout_us = TIMEOUT_US};
}

static struct outcome run(const struct fetch_request *q)
{
    struct outcome o = {.wanted = 1};
    fetch_start(fetcher, q, on_done, &o);
    assert_int_equal(o.done, 0);
    event_base_dispatch(base);
    assert_int_equal(o.done, 1);
    return o;
}

static struct outcome ask(struct server *s, struct fetch_request q)
{
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/path?a=b", s->port);
    q.url = url;
    return run(&q);
}

/* ---- cases ---- */

static void answers_are_read(void **state)
{
    static const struct {
        const char *answer;
        enum fetch_error error;
        int status;
        const char *body, *field;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Wanted:  yes \r\n\r\nhello", FETCH_ERR_NONE,
         200, "hello", "yes"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
         FETCH_ERR_NONE, 200, "hello", ""},
        {"HTTP/1.1 103 Early\r\nX-Wanted: early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: "
         "0\r\n\r\n",
         FETCH_ERR_NONE, 200, "", ""},
        {"HTTP/1.1 200 OK\r\nX-Wanted: a\r\nX-Wanted: b\r\nContent-Length: 0\r\n\r\n",
         FETCH_ERR_NONE, 200, "", "a"},
        {"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
         FETCH_ERR_NONE, 302, "", ""},
        {"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno", FETCH_ERR_NONE, 503, "no", ""},
        {"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", FETCH_ERR_MALFORMED, 0, "", ""},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 4\r\n\r\nhello",
         FETCH_ERR_MALFORMED, 0, "", ""},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
         FETCH_ERR_MALFORMED, 0, "", ""},
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", FETCH_ERR_LOST, 0, "", ""},
        {"HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n"
         "01234567890123456789012345678901234567890123456789012345678901234",
         FETCH_ERR_TOO_BIG, 0, "", ""},
        {"SSH-2.0-x\r\n", FETCH_ERR_MALFORMED, 0, "", ""},
        {"", FETCH_ERR_LOST, 0, "", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct server s;
        server_open(&s, cases[i].answer);
        struct outcome o = ask(&s, request_to(""));
        server_close(&s);
        if (o.error != cases[i].error || o.status != cases[i].status ||
            strcmp(o.body, cases[i].body) != 0 || strcmp(o.field, cases[i].field) != 0)
            fail_msg("case %zu: error %d (%s) status %d body %s field %s", i, (int)o.error, o.why,
                     o.status, o.body, o.field);
    }
}

static void requests_are_what_was_asked(void **state)
{
    struct server s;
    server_open(&s, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    const struct fetch_field fields[] = {{SLICE_LIT("x-one"), SLICE_LIT("1")},
                                         {SLICE_LIT("content-type"), SLICE_LIT("text/x")}};
    struct fetch_request q = request_to("");
    q.method = "POST";
    q.fields = fields;
    q.n_fields = ARRAY_LEN(fields);
    q.body = SLICE_LIT("a=b&c");
    assert_int_equal(ask(&s, q).status, 200);
    assert_memory_equal(s.request, "POST /path?a=b HTTP/1.1\r\n", 25);
    assert_non_null(strstr(s.request, "\r\nx-one: 1\r\n"));
    assert_non_null(strstr(s.request, "\r\ncontent-type: text/x\r\n"));
    assert_non_null(strstr(s.request, "\r\nContent-Length: 5\r\n"));
    assert_non_null(strstr(s.request, "\r\n\r\na=b&c"));
    assert_null(strstr(s.request, "Expect"));

    q = request_to("");
    q.method = "PUT";
    assert_int_equal(ask(&s, q).status, 200);
    assert_memory_equal(s.request, "PUT /path?a=b HTTP/1.1\r\n", 24);
    assert_non_null(strstr(s.request, "\r\nContent-Length: 0\r\n"));
    server_close(&s);
}

/* What stands in the environment is for other programs. */
static void the_proxy_is_the_one_that_is_given(void **state)
{
    struct server s;
    char proxy[64];
    server_open(&s, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    assert_int_equal(ask(&s, request_to("")).status, 200);
    unsetenv("http_proxy");
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", s.port);
    struct fetch_request q = request_to("http://elsewhere.invalid/x");
    q.proxy = proxy;
    struct outcome o = run(&q);
    assert_int_equal(o.status, 200);
    assert_memory_equal(s.request, "GET http://elsewhere.invalid/x HTTP/1.1\r\n", 41);
    server_close(&s);
}

static void what_cannot_be_reached_is_told(void **state)
{
    struct server s;
    char url[64];
    server_open(&s, NULL);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", s.port);
    server_close(&s);
    struct fetch_request q = request_to(url);
    assert_int_equal(run(&q).error, FETCH_ERR_CONNECT);
    q = request_to("http://no-such-name.invalid/");
    assert_int_equal(run(&q).error, FETCH_ERR_RESOLVE);
    q = request_to("ftp://127.0.0.1/");
    assert_int_equal(run(&q).error, FETCH_ERR_MALFORMED);
    q = request_to("http://user:word@127.0.0.1/");
    assert_int_not_equal(run(&q).error, FETCH_ERR_NONE);
}

static void silence_ends_at_the_deadline(void **state)
{
    struct server s;
    server_open(&s, NULL);
    struct fetch_request q = request_to("");
    q.timeout_us = SHORT_US;
    int64_t before = clock_mono_us();
    assert_int_equal(ask(&s, q).error, FETCH_ERR_TIMEOUT);
    assert_true(clock_mono_us() - before >= SHORT_US);
    server_close(&s);
}

static void what_is_cancelled_is_not_told(void **state)
{
    struct server silent, other;
    char url[64];
    struct outcome none = {.wanted = 1};
    server_open(&silent, NULL);
    server_open(&other, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", silent.port);
    struct fetch_request q = request_to(url);
    struct fetch *f = fetch_start(fetcher, &q, on_done, &none);
    assert_int_equal(ask(&other, request_to("")).status, 200);
    fetch_cancel(f);
    q = request_to("http://no-such-name.invalid/"); /* its resolver's thread is left behind */
    fetch_cancel(fetch_start(fetcher, &q, on_done, &none));
    assert_int_equal(ask(&other, request_to("")).status, 200);
    assert_int_equal(none.done, 0);
    server_close(&silent);
    server_close(&other);
}

static void many_wait_their_turn(void **state)
{
    enum { MANY = 3 * FETCH_RUNNING_MAX + 1 };
    struct server s;
    char url[64];
    struct outcome o = {.wanted = MANY};
    server_open(&s, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", s.port);
    struct fetch_request q = request_to(url);
    for (int i = 0; i < MANY; i++)
        fetch_start(fetcher, &q, on_done, &o);
    event_base_dispatch(base);
    assert_int_equal(o.done, MANY);
    assert_int_equal(o.status, 200);
    server_close(&s);
    assert_int_equal(s.served, MANY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_read),
        cmocka_unit_test(requests_are_what_was_asked),
        cmocka_unit_test(the_proxy_is_the_one_that_is_given),
        cmocka_unit_test(what_cannot_be_reached_is_told),
        cmocka_unit_test(silence_ends_at_the_deadline),
        cmocka_unit_test(what_is_cancelled_is_not_told),
        cmocka_unit_test(many_wait_their_turn),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
