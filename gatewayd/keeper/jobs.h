/*
 * jobs.h: a thread that does for the loop what may wait for a disk.
 *
 * A job is run once on the thread, then finished once on the loop; jobs of one queue run one after
 * the other in the order in which they were given. The keeper has two queues: one for everything
 * that writes the `state` environment, one for long reads.
 */
#ifndef GW_KEEPER_JOBS_H
#define GW_KEEPER_JOBS_H

#include "common/errbuf.h"
#include "common/list.h"

#include <event2/event.h>

enum { JOBS_MAX = 1024 };

struct job;
typedef void (*job_fn)(struct job *j);

/* Embedded in what the job is about; belongs to the queue from submit until finish is called. */
struct job {
    struct list node;
    job_fn run;    /* on the thread */
    job_fn finish; /* on the loop; may free the job and submit others */
};

struct jobs;

/* Returns owned, or NULL and *e. `name` is the thread's (15 characters at most). */
struct jobs *jobs_new(struct event_base *base, const char *name, struct errbuf *e);
/* Runs what was submitted to its end, finishes it, ends the thread. NULL is fine. */
void jobs_free(struct jobs *q);
/* -1: JOBS_MAX jobs are waiting; the job stays the caller's. */
GW_MUSTUSE int jobs_submit(struct jobs *q, struct job *j);

#endif
