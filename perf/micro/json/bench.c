/*
 * bench.c: time per text of our JSON reader and of the peers that are installed, in one run.
 *
 * The readers take turns on each text for many short rounds, and the median round of each counts,
 * so that a busy machine disturbs all alike: the ratios are what holds.
 */
#include "common/check.h"
#include "common/clock.h"
#include "common/json_scan.h"
#include "perf/micro/json/corpus.h"
#include "perf/micro/json/peers.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 41, READERS_MAX = 8, ROUND_NS = 1000000 };

struct reader {
    const char *name;
    int (*read)(const char *text, size_t n);
    json_scan_fn *scan; /* ours */
};

static struct json_doc doc;

static int read_once(const struct reader *r, const char *text, size_t n)
{
    if (r->read)
        return r->read(text, n);
    size_t at;
    doc.text = text;
    doc.n = 0;
    return r->scan(&doc, n, &at) == JSON_ERR_OK ? 0 : -1;
}

static double round_ns(const struct reader *r, const char *text, size_t n, int times)
{
    int64_t start = clock_mono_ns();
    for (int i = 0; i < times; i++)
        GW_REQUIRE(read_once(r, text, n) == 0);
    return (double)(clock_mono_ns() - start) / times;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void run(const struct corpus *c, const struct reader *readers, int n_readers)
{
    static double ns[READERS_MAX][ROUNDS];
    struct buf text;
    buf_init(&text, 1u << 26);
    c->make(&text);
    size_t n = text.len;
    static const char padding[PEER_PADDING];
    GW_REQUIRE(buf_append(&text, padding, sizeof padding) == 0);
    int times = 1 + (int)(ROUND_NS / (1 + round_ns(&readers[0], text.data, n, 3)));
    for (int round = 0; round < ROUNDS; round++)
        for (int r = 0; r < n_readers; r++)
            ns[r][round] = round_ns(&readers[r], text.data, n, times);
    printf("%-14s %8zu", c->name, n);
    for (int r = 0; r < n_readers; r++)
        qsort(ns[r], ROUNDS, sizeof ns[r][0], by_value);
    for (int r = 0; r < n_readers; r++)
        printf(" %10.3f (%5.2f)", ns[r][ROUNDS / 2] / 1000, ns[r][ROUNDS / 2] / ns[0][ROUNDS / 2]);
    printf("\n");
    buf_release(&text);
}

int main(void)
{
    struct reader readers[READERS_MAX];
    int n = 0;
#ifdef HAVE_SIMDJSON
    readers[n++] = (struct reader){"simdjson", peer_simdjson, NULL};
    printf("simdjson kernel: %s\n", peer_simdjson_kernel());
#endif
    for (const struct json_scanner *s = json_scanners(); s->name; s++)
        readers[n++] = (struct reader){s->name, NULL, s->scan};
#ifdef HAVE_YAJL
    readers[n++] = (struct reader){"yajl", peer_yajl, NULL};
#endif
    json_doc_init(&doc, JSON_MAX_TOKENS);
    printf("median us a text (ratio to the first)\n%-14s %8s", "", "bytes");
    for (int i = 0; i < n; i++)
        printf(" %18s", readers[i].name);
    printf("\n");
    for (const struct corpus *c = corpora; c->name; c++)
        run(c, readers, n);
    json_doc_release(&doc);
    return 0;
}
