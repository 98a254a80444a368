/*
 * test_jobs.c: jobs run in order on their thread, finish on the loop, and none is lost at the end.
 */
#include "gatewayd/keeper/jobs.h"

#include "common/base.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { N = 500 };

struct counted {
    struct job job;
    int number;
    pthread_t ran_on;
    struct log {
        int order[2 * N], n_run, n_finished;
        pthread_mutex_t gate; /* held by the test: the thread stands still */
    } * log;
};

static void run_counted(struct job *j)
{
    struct counted *c = container_of(j, struct counted, job);
    pthread_mutex_lock(&c->log->gate);
    c->ran_on = pthread_self();
    c->log->order[c->log->n_run++] = c->number;
    pthread_mutex_unlock(&c->log->gate);
}

static void finish_counted(struct job *j)
{
    struct counted *c = container_of(j, struct counted, job);
    assert_false(pthread_equal(c->ran_on, pthread_self()));
    assert_int_equal(c->log->order[c->log->n_finished], c->number);
    c->log->n_finished++;
    free(c);
}

static void submit(struct jobs *q, struct log *log, int number)
{
    struct counted *c = calloc(1, sizeof(*c));
    *c = (struct counted){
        .job = {.run = run_counted, .finish = finish_counted}, .number = number, .log = log};
    assert_int_equal(jobs_submit(q, &c->job), 0);
}

static void test_order_and_threads(void **state)
{
    struct event_base *base = event_base_new();
    struct log log = {.gate = PTHREAD_MUTEX_INITIALIZER};
    struct errbuf e;
    struct jobs *q = jobs_new(base, "test", &e);
    assert_non_null(q);
    for (int i = 0; i < N; i++)
        submit(q, &log, i);
    while (log.n_finished < N)
        event_base_loop(base, EVLOOP_ONCE);
    for (int i = 0; i < N; i++)
        assert_int_equal(log.order[i], i);
    jobs_free(q);
    event_base_free(base);
}

static void test_free_finishes_what_was_taken(void **state)
{
    struct event_base *base = event_base_new();
    struct log log = {.gate = PTHREAD_MUTEX_INITIALIZER};
    struct errbuf e;
    struct jobs *q = jobs_new(base, "test", &e);
    for (int i = 0; i < N; i++)
        submit(q, &log, i);
    jobs_free(q);
    assert_int_equal(log.n_finished, N);
    event_base_free(base);
}

static void noop(struct job *j)
{
}

static void test_queue_is_bounded(void **state)
{
    static struct job jobs[JOBS_MAX + 1];
    struct event_base *base = event_base_new();
    struct log log = {.gate = PTHREAD_MUTEX_INITIALIZER};
    struct errbuf e;
    struct jobs *q = jobs_new(base, "test", &e);
    pthread_mutex_lock(&log.gate);
    submit(q, &log, 0); /* the thread waits in it for the gate */
    for (int i = 0; i < JOBS_MAX; i++) {
        jobs[i] = (struct job){.run = noop, .finish = noop};
        assert_int_equal(jobs_submit(q, &jobs[i]), i < JOBS_MAX - 1 ? 0 : -1);
    }
    pthread_mutex_unlock(&log.gate);
    jobs_free(q);
    assert_int_equal(log.n_finished, 1);
    event_base_free(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_threads),
        cmocka_unit_test(test_free_finishes_what_was_taken),
        cmocka_unit_test(test_queue_is_bounded),
    };
    return cmocka_run_group_tests_name("jobs", tests, NULL, NULL);
}
