/*
 * respawn.h: the back-off policy for children that died without being asked to. Pure.
 */
#ifndef GW_MASTER_RESPAWN_H
#define GW_MASTER_RESPAWN_H

#include "common/base.h"

enum {
    RESPAWN_HEALTHY_US = 1000 * 1000, /* it was ready and lived so long: the history is cleared */
    RESPAWN_FIRST_US = 25 * 1000,
    RESPAWN_MAX_US = 30 * 1000 * 1000,
    RESPAWN_LOOP_DEATHS = 5, /* deaths in a row that are called a crash loop */
};

struct respawn {
    unsigned deaths; /* in a row, each after a life shorter than RESPAWN_HEALTHY_US */
};

struct respawn_decision {
    bool give_up;     /* configuration fault: the same start would fail again */
    bool loop_alarm;  /* this death makes it a crash loop; said once a loop */
    int64_t delay_us; /* before the next start */
};

/* `wait_status` as of waitpid; `was_ready`: it had said READY. Updates r. A child that served
 * before it died is replaced at once, however often: whoever kills it, its clients shall not wait.
 * Of deaths in quick succession the first costs no delay either, the following ones 25 ms, 50 ms,
 * 0.1 s, ... up to 30 s. */
struct respawn_decision respawn_decide(struct respawn *r, int wait_status, bool was_ready,
                                       int64_t uptime_us);

#endif
