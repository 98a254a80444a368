/*
 * respawn.c: see respawn.h.
 */
#include "gatewayd/master/respawn.h"

#include "gatewayd/child.h"

#include <sys/wait.h>

struct respawn_decision respawn_decide(struct respawn *r, int wait_status, bool was_ready,
                                       int64_t uptime_us)
{
    struct respawn_decision d = {0};
    if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == CHILD_EXIT_CONFIG) {
        d.give_up = true;
        return d;
    }
    if (was_ready && uptime_us >= RESPAWN_HEALTHY_US)
        r->deaths = 0;
    r->deaths++;
    d.loop_alarm = r->deaths == RESPAWN_LOOP_DEATHS;
    if (r->deaths > 1) {
        unsigned doublings = GW_MIN(r->deaths - 2, 16u);
        d.delay_us = GW_MIN((int64_t)RESPAWN_FIRST_US << doublings, (int64_t)RESPAWN_MAX_US);
    }
    return d;
}
