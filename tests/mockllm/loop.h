/*
 * loop.h: one thread's epoll loop: its listeners, connections and timers.
 */
#ifndef MOCKLLM_LOOP_H
#define MOCKLLM_LOOP_H

#include "tests/mockllm/serve.h"

#include <openssl/ssl.h>

enum { LOOP_MAX_LISTENERS = 6 };

struct loop_listener {
    int fd;
    SSL_CTX *tls; /* NULL: plain */
    bool stall;   /* accept, then never say a word */
};

struct loop;

/* Takes the listeners' descriptors; `o` must outlive the loop. */
struct loop *loop_new(const struct serve_options *o, const struct loop_listener *listeners,
                      size_t n);
/* Runs until loop_stop(). */
void loop_run(struct loop *l);
void loop_free(struct loop *l);

/* From any thread. */
void loop_stop(struct loop *l);
/* Lets go of every answer that a script holds. */
void loop_release(struct loop *l);
/* No connection is accepted by any loop until then (monotonic clock). */
void loop_pause_accept(int64_t until_us);

#endif
