/*
 * fetch.c: libcurl's multi interface on the keeper's loop.
 *
 * libcurl says which sockets and which timer it waits for, the loop tells it what happened
 * (curl.se/libcurl/c/libcurl-multi.html, "multi_socket"). A request's deadline is a timer of ours
 * besides. What is over is looked up after libcurl has returned, so that a callback may start or
 * cancel whatever it likes.
 */
#include "gatewayd/keeper/fetch.h"

#include "common/buf.h"
#include "common/check.h"
#include "common/crypto.h"
#include "common/list.h"
#include "gatewayd/keeper/fetch_curl.h"
#include "gatewayd/net/tls.h"

#include <stdio.h>
#include <stdlib.h>

static const struct fetch_curl *lib; /* NULL until fetcher_load */

struct fetcher {
    struct event_base *base;
    CURLM *multi; /* NULL until fetcher_load */
    struct event *timer;
    struct list running, waiting;
    unsigned n_running;
    bool collecting;
};

struct fetch {
    struct list node;
    struct fetcher *fr;
    CURL *curl;
    struct curl_slist *headers;
    struct event *deadline;
    int64_t timeout_us;
    char *body; /* owned */
    size_t body_bytes;
    const struct tls_ca *ca;
    const char *const *want;
    size_t n_want;
    fetch_done_fn done;
    void *arg;

    struct buf answer;
    char field[FETCH_FIELDS_MAX][FETCH_FIELD_BYTES];
    size_t field_bytes[FETCH_FIELDS_MAX];
    size_t head_bytes;
    unsigned n_lengths;     /* content-length and transfer-encoding fields of the answer */
    enum fetch_error fault; /* found by a callback of ours */
    bool running;
    char why[CURL_ERROR_SIZE];
};

const char *fetch_error_text(enum fetch_error e)
{
    static const char *const texts[] = {
#define X(name, text) [FETCH_ERR_##name] = text,
        FETCH_ERRORS(X)
#undef X
    };
    return (unsigned)e < ARRAY_LEN(texts) ? texts[e] : "invalid";
}

/* ---- the answer ---- */

static void keep_field(struct fetch *f, struct slice name, struct slice value)
{
    for (size_t i = 0; i < f->n_want; i++) {
        if (!slice_ieq(name, slice_str(f->want[i])) || f->field_bytes[i] ||
            value.n > FETCH_FIELD_BYTES)
            continue;
        memcpy(f->field[i], value.p, value.n);
        f->field_bytes[i] = value.n;
    }
}

/* Interim answers come before the one that counts. */
static void forget_head(struct fetch *f)
{
    memset(f->field_bytes, 0, sizeof f->field_bytes);
    f->n_lengths = 0;
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
    struct fetch *f = arg;
    struct slice line = slice_of(p, size * n);
    f->head_bytes += line.n;
    if (f->head_bytes > FETCH_HEAD_MAX_BYTES) {
        f->fault = FETCH_ERR_TOO_BIG;
        return 0;
    }
    if (slice_starts_with(line, SLICE_LIT("HTTP/"))) {
        forget_head(f);
        return line.n;
    }
    struct slice value = line, name = slice_split(&value, ':');
    while (value.n && (value.p[value.n - 1] == '\n' || value.p[value.n - 1] == '\r'))
        value.n--;
    value = slice_trim(value);
    if (slice_ieq(name, SLICE_LIT("content-length")) ||
        slice_ieq(name, SLICE_LIT("transfer-encoding")))
        f->n_lengths++;
    if (f->n_lengths > 1) { /* RFC 9112 section 6.3: it can't be told which one holds */
        f->fault = FETCH_ERR_MALFORMED;
        return 0;
    }
    if (value.n)
        keep_field(f, name, value);
    return line.n;
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct fetch *f = arg;
    if (buf_append(&f->answer, p, size * n) == 0)
        return size * n;
    f->fault = FETCH_ERR_TOO_BIG;
    return 0;
}

static CURLcode on_tls(CURL *curl, void *ssl_ctx, void *arg)
{
    struct fetch *f = arg;
    if (!f->ca)
        return CURLE_SSL_CACERT_BADFILE;
    tls_ca_install(f->ca, ssl_ctx);
    return CURLE_OK;
}

static enum fetch_error error_of(const struct fetch *f, CURLcode rc)
{
    if (f->fault != FETCH_ERR_NONE)
        return f->fault;
    switch (rc) {
    case CURLE_OK:
        return FETCH_ERR_NONE;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return FETCH_ERR_RESOLVE;
    case CURLE_PROXY:
        return FETCH_ERR_PROXY;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        return FETCH_ERR_TLS;
    case CURLE_OPERATION_TIMEDOUT:
        return FETCH_ERR_TIMEOUT;
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        return FETCH_ERR_LOST;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
        return FETCH_ERR_MALFORMED;
    default:
        return FETCH_ERR_CONNECT;
    }
}

/* ---- the life of a fetch ---- */

static void fetch_free(struct fetch *f)
{
    struct fetcher *fr = f->fr;
    list_del(&f->node);
    if (f->running) {
        lib->multi_remove_handle(fr->multi, f->curl);
        fr->n_running--;
    }
    lib->easy_cleanup(f->curl);
    for (struct curl_slist *h = f->headers; h; h = h->next)
        crypto_wipe(h->data, strlen(h->data));
    lib->slist_free_all(f->headers);
    event_free(f->deadline);
    if (f->answer.data)
        crypto_wipe(f->answer.data, f->answer.cap);
    buf_release(&f->answer);
    crypto_wipe(f->body, f->body_bytes);
    free(f->body);
    free(f);
}

static void start_waiting(struct fetcher *fr)
{
    while (fr->n_running < FETCH_RUNNING_MAX && !list_empty(&fr->waiting)) {
        struct fetch *f = list_entry(fr->waiting.next, struct fetch, node);
        struct timeval at = {.tv_sec = f->timeout_us / 1000000, .tv_usec = f->timeout_us % 1000000};
        list_del(&f->node);
        list_append(&fr->running, &f->node);
        event_add(f->deadline, &at);
        GW_REQUIRE(lib->multi_add_handle(fr->multi, f->curl) == CURLM_OK);
        f->running = true;
        fr->n_running++;
    }
}

static void finish(struct fetch *f, enum fetch_error error)
{
    struct fetcher *fr = f->fr;
    struct fetch_answer a = {.error = error};
    long status = 0;
    lib->easy_getinfo(f->curl, CURLINFO_RESPONSE_CODE, &status);
    if (a.error == FETCH_ERR_NONE && (status < 100 || status > 599))
        a.error = FETCH_ERR_MALFORMED;
    a.why = f->why[0] ? f->why : fetch_error_text(a.error);
    if (a.error == FETCH_ERR_NONE) {
        a.status = (int)status;
        a.body = buf_slice(&f->answer);
        for (size_t i = 0; i < f->n_want; i++)
            a.fields[i] = slice_of(f->field[i], f->field_bytes[i]);
    }
    f->done(f->arg, &a);
    fetch_free(f);
    start_waiting(fr);
}

static void collect(struct fetcher *fr)
{
    CURLMsg *m;
    int left;
    if (fr->collecting)
        return;
    fr->collecting = true;
    while ((m = lib->multi_info_read(fr->multi, &left)) != NULL) {
        struct fetch *f = NULL;
        CURLcode rc = m->data.result;
        if (m->msg != CURLMSG_DONE)
            continue;
        lib->easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&f);
        finish(f, error_of(f, rc));
    }
    fr->collecting = false;
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    finish(arg, FETCH_ERR_TIMEOUT);
}

void fetch_cancel(struct fetch *f)
{
    struct fetcher *fr = f->fr;
    fetch_free(f);
    start_waiting(fr);
}

/* ---- libcurl's side ---- */

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct fetcher *fr = arg;
    int running;
    lib->multi_socket_action(fr->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    collect(fr);
}

static int set_timer(CURLM *multi, long ms, void *arg)
{
    struct fetcher *fr = arg;
    struct timeval at = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    if (ms < 0)
        event_del(fr->timer);
    else
        event_add(fr->timer, &at);
    return 0;
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
    struct fetcher *fr = arg;
    int running, bits = 0;
    if (what & EV_READ)
        bits |= CURL_CSELECT_IN;
    if (what & EV_WRITE)
        bits |= CURL_CSELECT_OUT;
    lib->multi_socket_action(fr->multi, fd, bits, &running);
    collect(fr);
}

static int watch_socket(CURL *curl, curl_socket_t fd, int what, void *arg, void *socket)
{
    struct fetcher *fr = arg;
    short wanted = EV_PERSIST;
    if (socket)
        event_free(socket); /* also within its own callback, which looks at it no more */
    if (what & CURL_POLL_IN)
        wanted |= EV_READ;
    if (what & CURL_POLL_OUT)
        wanted |= EV_WRITE;
    struct event *ev =
        what == CURL_POLL_REMOVE ? NULL : event_new(fr->base, fd, wanted, on_socket, fr);
    GW_REQUIRE(what == CURL_POLL_REMOVE || (ev != NULL && event_add(ev, NULL) == 0));
    lib->multi_assign(fr->multi, fd, ev);
    return 0;
}

struct fetcher *fetcher_new(struct event_base *base)
{
    struct fetcher *fr = gw_xcalloc(1, sizeof *fr);
    fr->base = base;
    list_init(&fr->running);
    list_init(&fr->waiting);
    fr->timer = event_new(base, -1, 0, on_timer, fr);
    GW_REQUIRE(fr->timer != NULL);
    return fr;
}

int fetcher_load(struct fetcher *fr, struct errbuf *e)
{
    if (fr->multi)
        return 0;
    lib = fetch_curl_load(e);
    if (!lib)
        return -1;
    fr->multi = lib->multi_init();
    GW_REQUIRE(fr->multi != NULL);
    lib->multi_setopt(fr->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
    lib->multi_setopt(fr->multi, CURLMOPT_SOCKETDATA, fr);
    lib->multi_setopt(fr->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    lib->multi_setopt(fr->multi, CURLMOPT_TIMERDATA, fr);
    return 0;
}

static void free_all(struct list *l)
{
    while (!list_empty(l))
        fetch_free(list_entry(l->next, struct fetch, node));
}

void fetcher_free(struct fetcher *fr)
{
    if (!fr)
        return;
    free_all(&fr->running);
    free_all(&fr->waiting);
    if (fr->multi)
        lib->multi_cleanup(fr->multi);
    event_free(fr->timer);
    free(fr);
}

/* ---- a request ---- */

static void add_header(struct fetch *f, const char *text)
{
    struct curl_slist *longer = lib->slist_append(f->headers, text);
    GW_REQUIRE(longer != NULL);
    f->headers = longer;
}

static void add_field(struct fetch *f, const struct fetch_field *field)
{
    struct slice name = field->name, value = field->value;
    /* "Name;" is libcurl's way of saying a field without a value. */
    size_t n = name.n + value.n + 3;
    char *line = gw_xmalloc(n);
    if (value.n)
        snprintf(line, n, "%.*s: %.*s", SLICE_FMT(name), SLICE_FMT(value));
    else
        snprintf(line, n, "%.*s;", SLICE_FMT(name));
    add_header(f, line);
    crypto_wipe(line, n);
    free(line);
}

/* What holds for every request, whatever the defaults of libcurl and its environment. */
static void set_policy(CURL *c)
{
    lib->easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    lib->easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    lib->easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    lib->easy_setopt(c, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    lib->easy_setopt(c, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    lib->easy_setopt(c, CURLOPT_FRESH_CONNECT, 1L);
    lib->easy_setopt(c, CURLOPT_FORBID_REUSE, 1L);
    lib->easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    /* Without it the end of a request waits for the thread that resolves its name. */
    lib->easy_setopt(c, CURLOPT_QUICK_EXIT, 1L);
    lib->easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    lib->easy_setopt(c, CURLOPT_USERAGENT, "gatewayd/" GW_VERSION);
    lib->easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
    lib->easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
    lib->easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    /* The store is ours (on_tls), parsed once and shared by all requests. */
    lib->easy_setopt(c, CURLOPT_CAINFO, NULL);
    lib->easy_setopt(c, CURLOPT_CAPATH, NULL);
    lib->easy_setopt(c, CURLOPT_CA_CACHE_TIMEOUT, 0L);
}

static void set_callbacks(struct fetch *f)
{
    CURL *c = f->curl;
    lib->easy_setopt(c, CURLOPT_PRIVATE, f);
    lib->easy_setopt(c, CURLOPT_ERRORBUFFER, f->why);
    lib->easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    lib->easy_setopt(c, CURLOPT_HEADERDATA, f);
    lib->easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    lib->easy_setopt(c, CURLOPT_WRITEDATA, f);
    lib->easy_setopt(c, CURLOPT_SSL_CTX_FUNCTION, on_tls);
    lib->easy_setopt(c, CURLOPT_SSL_CTX_DATA, f);
}

static void set_request(struct fetch *f, const struct fetch_request *q)
{
    CURL *c = f->curl;
    add_header(f, "Expect:"); /* nobody waits for 100 Continue */
    for (size_t i = 0; i < q->n_fields; i++)
        add_field(f, &q->fields[i]);
    lib->easy_setopt(c, CURLOPT_HTTPHEADER, f->headers);
    lib->easy_setopt(c, CURLOPT_URL, q->url);
    lib->easy_setopt(c, CURLOPT_PROXY, q->proxy ? q->proxy : "");
    lib->easy_setopt(c, CURLOPT_NOPROXY, q->proxy ? "" : "*");
    lib->easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)(q->timeout_us / 1000 + 1));
    lib->easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)(q->timeout_us / 1000 + 1));
    if (strcmp(q->method, "GET") != 0) {
        lib->easy_setopt(c, CURLOPT_POSTFIELDS, f->body);
        lib->easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)f->body_bytes);
        lib->easy_setopt(c, CURLOPT_CUSTOMREQUEST, q->method);
    }
}

struct fetch *fetch_start(struct fetcher *fr, const struct fetch_request *q, fetch_done_fn done,
                          void *arg)
{
    struct fetch *f = gw_xcalloc(1, sizeof *f);
    GW_REQUIRE(fr->multi != NULL && q->n_want <= FETCH_FIELDS_MAX);
    f->fr = fr;
    f->timeout_us = q->timeout_us;
    f->body = gw_xstrndup(q->body.n ? q->body.p : "", q->body.n);
    f->body_bytes = q->body.n;
    f->ca = q->ca;
    f->want = q->want;
    f->n_want = q->n_want;
    f->done = done;
    f->arg = arg;
    buf_init(&f->answer, q->max_body_bytes);
    f->deadline = event_new(fr->base, -1, 0, on_deadline, f);
    f->curl = lib->easy_init();
    GW_REQUIRE(f->deadline != NULL && f->curl != NULL);
    set_policy(f->curl);
    set_callbacks(f);
    set_request(f, q);
    list_append(&fr->waiting, &f->node);
    start_waiting(fr);
    return f;
}
