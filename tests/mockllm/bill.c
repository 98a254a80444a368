/*
 * bill.c: see bill.h.
 */
#include "tests/mockllm/bill.h"
#include "tests/mockllm/clock.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct kept {
    uint64_t n, connection;
    char *head, *body;
    size_t head_length, body_length;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct record *records;
static size_t nrecords, max_records, lost;
static struct kept *kept;
static size_t nkept, max_kept;
static uint64_t first; /* number of records[0] */
static atomic_uint_fast64_t next = 1;
static atomic_int_fast64_t totals[TOTAL_COUNT];

static const char *const outcome_names[] = {
#define X(name, text) text,
    BILL_OUTCOMES(X)
#undef X
};

void bill_init(size_t records_kept, size_t requests_kept)
{
    max_records = records_kept;
    max_kept = requests_kept;
    kept = xcalloc(max_kept + 1, sizeof *kept);
    first = 1;
}

static void keep_request(const struct record *r, const struct request *req)
{
    struct kept *k = &kept[nkept++ % max_kept];
    free(k->head);
    free(k->body);
    *k = (struct kept){r->n,
                       r->connection,
                       xstrndup(req->head.p, req->head.len),
                       xstrndup(req->body.p, req->body.len),
                       req->head.len,
                       req->body.len};
}

static void keep_record(const struct record *r)
{
    if (nrecords == max_records) {
        lost++;
        return;
    }
    if ((nrecords & (nrecords + 1)) == 0)
        records = xrealloc(records, (nrecords + 1) * 2 * sizeof *records);
    records[nrecords++] = *r;
}

void bill_open(struct record *r, const struct request *req)
{
    bill_count(TOTAL_REQUESTS, 1);
    if (max_records == 0 && max_kept == 0) {
        r->n = atomic_fetch_add(&next, 1);
    } else {
        pthread_mutex_lock(&lock);
        r->n = atomic_fetch_add(&next, 1);
        r->time_us = clock_wall_us();
        snprintf(r->id, sizeof r->id, "req_%016" PRIx64, r->n);
        if (max_records > 0)
            keep_record(r);
        if (max_kept > 0)
            keep_request(r, req);
        pthread_mutex_unlock(&lock);
    }
}

/* Records lie in the order of their numbers, without gaps up to the first that was lost. */
void bill_close(const struct record *r)
{
    if (max_records == 0)
        return;
    pthread_mutex_lock(&lock);
    if (r->n >= first && r->n - first < nrecords)
        records[r->n - first] = *r;
    pthread_mutex_unlock(&lock);
}

void bill_reset(void)
{
    pthread_mutex_lock(&lock);
    nrecords = lost = 0;
    first = atomic_load(&next);
    for (size_t i = 0; i < max_kept; i++) {
        free(kept[i].head);
        free(kept[i].body);
        kept[i] = (struct kept){0};
    }
    nkept = 0;
    pthread_mutex_unlock(&lock);
}

void bill_fini(void)
{
    bill_reset();
    free(records);
    free(kept);
}

void bill_count(enum total what, int by)
{
    atomic_fetch_add_explicit(&totals[what], by, memory_order_relaxed);
}

static void add_text(struct bytes *out, const char *name, const char *text)
{
    bytes_addf(out, ",\"%s\":", name);
    bytes_add_json(out, (struct slice){text, __builtin_strlen(text)});
}

static void add_record(struct bytes *out, const struct record *r)
{
    bytes_addf(out, "{\"n\":%" PRIu64 ",\"time_us\":%" PRId64 ",\"connection\":%" PRIu64, r->n,
               r->time_us, r->connection);
    add_text(out, "id", r->id);
    add_text(out, "request_id", r->client_id);
    add_text(out, "credential", r->credential);
    add_text(out, "model", r->model);
    add_text(out, "method", r->method);
    add_text(out, "path", r->path);
    add_text(out, "outcome", outcome_names[r->outcome]);
    bytes_addf(out,
               ",\"status\":%d,\"tls\":%s,\"stream\":%s,\"billed\":%s,\"fully_sent\":%s,"
               "\"prompt_tokens\":%" PRId64 ",\"completion_tokens\":%" PRId64 ",\"units\":%" PRId64
               ",\"events\":%" PRId64 ",\"bytes_sent\":%" PRIu64 "}",
               r->status, r->tls ? "true" : "false", r->stream ? "true" : "false",
               r->billed ? "true" : "false", r->fully_sent ? "true" : "false", r->prompt_tokens,
               r->completion_tokens, r->units, r->events, r->bytes_sent);
}

void bill_add_records(struct bytes *out)
{
    pthread_mutex_lock(&lock);
    bytes_addf(out, "{\"lost\":%zu,\"records\":[", lost);
    for (size_t i = 0; i < nrecords; i++) {
        bytes_adds(out, i > 0 ? ",\n" : "\n");
        add_record(out, &records[i]);
    }
    bytes_adds(out, "]}\n");
    pthread_mutex_unlock(&lock);
}

static void add_kept(struct bytes *out, const struct kept *k)
{
    bytes_addf(out, "{\"n\":%" PRIu64 ",\"connection\":%" PRIu64 ",\"head\":", k->n, k->connection);
    bytes_add_json(out, (struct slice){k->head, k->head_length});
    bytes_adds(out, ",\"body\":");
    bytes_add_json(out, (struct slice){k->body, k->body_length});
    bytes_adds(out, "}");
}

void bill_add_requests(struct bytes *out)
{
    pthread_mutex_lock(&lock);
    size_t from = nkept > max_kept ? nkept - max_kept : 0;
    bytes_adds(out, "{\"requests\":[");
    for (size_t i = from; i < nkept; i++) {
        bytes_adds(out, i > from ? ",\n" : "\n");
        add_kept(out, &kept[i % max_kept]);
    }
    bytes_adds(out, "]}\n");
    pthread_mutex_unlock(&lock);
}

void bill_add_totals(struct bytes *out)
{
    static const char *const names[TOTAL_COUNT] = {
        [TOTAL_ACCEPTED] = "accepted",   [TOTAL_OPEN] = "open",
        [TOTAL_REQUESTS] = "requests",   [TOTAL_HANDSHAKES] = "tls_handshakes",
        [TOTAL_RESUMED] = "tls_resumed", [TOTAL_BAD_REQUESTS] = "bad_requests",
    };
    for (size_t i = 0; i < TOTAL_COUNT; i++)
        bytes_addf(out, "%s\"%s\":%" PRId64, i > 0 ? "," : "{", names[i],
                   (int64_t)atomic_load(&totals[i]));
    bytes_adds(out, "}\n");
}
