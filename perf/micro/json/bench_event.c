/*
 * bench_event.c: time per SSE event of the OpenAI dialect, with and without usage to be cut.
 */
#include "common/check.h"
#include "common/clock.h"
#include "gatewayd/dialect/dialect.h"
#include "perf/micro/json/corpus.h"

#include <stdio.h>

enum { ROUNDS = 50, EVENTS = 20000 };

static struct splices cuts;

static double event_ns(struct json_doc *doc, struct slice data, bool injected)
{
    double best = 1e18;
    for (int round = 0; round < ROUNDS; round++) {
        struct dialect_stream s;
        dialect_openai.stream_init(&s, DIALECT_CHAT, injected);
        int64_t start = clock_mono_ns();
        for (int i = 0; i < EVENTS; i++)
            dialect_openai.stream_event(&s, doc, slice_of(NULL, 0), data, &cuts);
        double ns = (double)(clock_mono_ns() - start) / EVENTS;
        best = GW_MIN(best, ns);
        GW_REQUIRE(s.malformed == 0 && s.output_bytes > 0);
    }
    return best;
}

int main(void)
{
    struct json_doc doc;
    struct buf event;
    json_doc_init(&doc, 4096);
    buf_init(&event, 4096);
    corpora[0].make(&event);
    printf("%s (%zu bytes), best of %d rounds\n", corpora[0].name, event.len, ROUNDS);
    printf("read            %7.1f ns\n", event_ns(&doc, buf_slice(&event), false));
    printf("read, usage cut %7.1f ns\n", event_ns(&doc, buf_slice(&event), true));
    buf_release(&event);
    json_doc_release(&doc);
    return 0;
}
