/*
 * fetch.h: the keeper's HTTP client, the one home of libcurl in the daemon: for what has to be
 * asked of others now and then and is not on the path of any request.
 *
 * One request is one connection of its own: libcurl 7.88 sends a POST again in silence when a kept
 * connection turns out to be dead, and may take stray bytes on it for the next answer. HTTP/1.1, no
 * redirects, no cookies, no .netrc, certificates verified against the store that is given and no
 * other, no proxy but the one that is given. Answers are bounded in size and time; one whose length
 * is told twice is refused.
 *
 * Runs on the keeper's loop and never blocks it: names are resolved by threads of libcurl's, which
 * are left alone when their request ends early.
 */
#ifndef GW_KEEPER_FETCH_H
#define GW_KEEPER_FETCH_H

#include "common/errbuf.h"
#include "common/slice.h"

#include <event2/event.h>

struct fetcher;
struct fetch;
struct tls_ca;

enum {
    FETCH_RUNNING_MAX = 32, /* the rest waits its turn */
    FETCH_FIELDS_MAX = 8,   /* of an answer, by name */
    FETCH_FIELD_BYTES = 512,
    FETCH_HEAD_MAX_BYTES = 64 * 1024,
};

/* X(enum suffix, text for people) */
#define FETCH_ERRORS(X)                                                                            \
    X(NONE, "an answer")                                                                           \
    X(RESOLVE, "the name can't be resolved")                                                       \
    X(CONNECT, "no connection")                                                                    \
    X(PROXY, "the proxy refused")                                                                  \
    X(TLS, "no trusted TLS connection")                                                            \
    X(TIMEOUT, "no answer in time")                                                                \
    X(LOST, "the connection was lost")                                                             \
    X(TOO_BIG, "the answer is too big")                                                            \
    X(MALFORMED, "the answer is malformed")
enum fetch_error {
#define X(name, text) FETCH_ERR_##name,
    FETCH_ERRORS(X)
#undef X
};
const char *fetch_error_text(enum fetch_error e);

struct fetch_field {
    struct slice name, value; /* neither holds CR, LF or NUL */
};

/* All of it is copied, but for ca and want. */
struct fetch_request {
    const char *method; /* "GET", "POST", "PUT" */
    const char *url;
    const struct fetch_field *fields;
    size_t n_fields;
    struct slice body;       /* of POST and PUT; the caller says its content-type */
    const char *proxy;       /* "http://host:port", by CONNECT for https; NULL: none */
    const struct tls_ca *ca; /* for https; must stand until done */
    const char *const *want; /* names of fields of the answer; static */
    size_t n_want;
    size_t max_body_bytes;
    int64_t timeout_us; /* for all of it, from the moment that it is sent off */
};

struct fetch_answer {
    enum fetch_error error; /* else the rest holds nothing */
    int status;             /* 100 to 599 */
    struct slice body;
    struct slice fields[FETCH_FIELDS_MAX]; /* in the order of `want`, the first of a name; n = 0:
                                              none, or longer than FETCH_FIELD_BYTES */
    const char *why;                       /* of an error: details, no secrets */
};

/* Once, from the loop, never within fetch_start. What it is given stands for the call. */
typedef void (*fetch_done_fn)(void *arg, const struct fetch_answer *a);

/* Returns owned. */
struct fetcher *fetcher_new(struct event_base *base);
/* Makes it ready for fetch_start: libcurl is loaded when there is use for it (fetch_curl.h). 0, or
 * -1 and *e. */
GW_MUSTUSE int fetcher_load(struct fetcher *fr, struct errbuf *e);
/* Ends what runs; nobody is told. NULL is fine. */
void fetcher_free(struct fetcher *fr);

/* Good until done is called or fetch_cancel. */
struct fetch *fetch_start(struct fetcher *fr, const struct fetch_request *q, fetch_done_fn done,
                          void *arg);
/* done isn't called any more. */
void fetch_cancel(struct fetch *f);

#endif
