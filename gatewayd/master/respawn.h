/*
 * respawn.h: the back-off policy for children that died without being asked to. Pure.
 */
#ifndef GW_MASTER_RESPAWN_H
#define GW_MASTER_RESPAWN_H

#include "common/base.h"

enum {
    RESPAWN_HEALTHY_US = 10 * 1000 * 1000, /* a life this long clears the history */
    RESPAWN_FIRST_US = 100 * 1000,
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

/* `wait_status` as of waitpid; `was_ready`: it had said READY. Updates r. The first death costs no
 * delay, the following ones 0.1 s, 0.2 s, ... up to 30 s. */
struct respawn_decision respawn_decide(struct respawn *r, int wait_status, bool was_ready,
                                       int64_t uptime_us);

#endif
