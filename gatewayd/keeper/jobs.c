/*
 * jobs.c: one thread, two lists under a mutex, an eventfd that wakes the loop.
 */
#include "gatewayd/keeper/jobs.h"

#include "common/check.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct jobs {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct list todo, ended;
    unsigned n; /* submitted and not yet finished */
    bool stop;
    int wake_fd;
    struct event *wake_event;
};

static void *thread_main(void *arg)
{
    struct jobs *q = arg;
    pthread_mutex_lock(&q->lock);
    for (;;) {
        while (list_empty(&q->todo) && !q->stop)
            pthread_cond_wait(&q->more, &q->lock);
        if (list_empty(&q->todo))
            break;
        struct job *j = list_entry(q->todo.next, struct job, node);
        list_del(&j->node);
        pthread_mutex_unlock(&q->lock);
        j->run(j);
        pthread_mutex_lock(&q->lock);
        list_append(&q->ended, &j->node);
        /* Can only fail when the counter is at its maximum, and then the loop is awake anyway. */
        (void)!eventfd_write(q->wake_fd, 1);
    }
    pthread_mutex_unlock(&q->lock);
    return NULL;
}

static void finish_ended(struct jobs *q)
{
    for (;;) {
        struct job *j = NULL;
        pthread_mutex_lock(&q->lock);
        if (!list_empty(&q->ended)) {
            j = list_entry(q->ended.next, struct job, node);
            list_del(&j->node);
            q->n--;
        }
        pthread_mutex_unlock(&q->lock);
        if (!j)
            return;
        j->finish(j);
    }
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    eventfd_t n;
    (void)!eventfd_read(fd, &n);
    finish_ended(arg);
}

/* The process's signals are the loop's: the thread takes none. */
static int start_thread(struct jobs *q, const char *name)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    int rc = pthread_create(&q->thread, NULL, thread_main, q);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc == 0)
        pthread_setname_np(q->thread, name);
    return rc;
}

struct jobs *jobs_new(struct event_base *base, const char *name, struct errbuf *e)
{
    struct jobs *q = gw_xcalloc(1, sizeof(*q));
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->more, NULL);
    list_init(&q->todo);
    list_init(&q->ended);
    q->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (q->wake_fd < 0) {
        err_set_errno(e, "thread %s: eventfd", name);
        goto fail;
    }
    q->wake_event = event_new(base, q->wake_fd, EV_READ | EV_PERSIST, on_wake, q);
    GW_REQUIRE(q->wake_event && event_add(q->wake_event, NULL) == 0);
    int rc = start_thread(q, name);
    if (rc == 0)
        return q;
    err_set(e, "thread %s: %s", name, strerrordesc_np(rc));
    event_free(q->wake_event);
    close(q->wake_fd);
fail:
    free(q);
    return NULL;
}

void jobs_free(struct jobs *q)
{
    if (!q)
        return;
    pthread_mutex_lock(&q->lock);
    q->stop = true;
    pthread_cond_signal(&q->more);
    pthread_mutex_unlock(&q->lock);
    pthread_join(q->thread, NULL);
    finish_ended(q);
    event_free(q->wake_event);
    close(q->wake_fd);
    pthread_cond_destroy(&q->more);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

int jobs_submit(struct jobs *q, struct job *j)
{
    pthread_mutex_lock(&q->lock);
    bool taken = q->n < JOBS_MAX && !q->stop;
    if (taken) {
        q->n++;
        list_append(&q->todo, &j->node);
        pthread_cond_signal(&q->more);
    }
    pthread_mutex_unlock(&q->lock);
    return taken ? 0 : -1;
}
