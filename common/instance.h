/*
 * instance.h: one daemon a state directory, and how others see that it runs.
 *
 * Two lock files, both flock(2) and both named gatewayd.lock: the one in state_dir is held by the
 * master alone, the one in runtime_dir also by each of its children (the same open file
 * description). So a busy state_dir is another daemon, and a busy runtime_dir behind a free
 * state_dir is what a crashed master left behind, which ends by itself within seconds.
 */
#ifndef GW_COMMON_INSTANCE_H
#define GW_COMMON_INSTANCE_H

#include "common/errbuf.h"

#include <sys/types.h>

/* Takes dir/gatewayd.lock and writes our pid into it. 1: *fd_out holds it (close-on-exec); 0: busy,
 * *holder is the pid in the file (0 unknown); -1: error. Never waits. */
GW_MUSTUSE int instance_lock(const char *dir, int *fd_out, pid_t *holder, struct errbuf *e);

/* For gwctl: whether a daemon, or children that one left behind, hold the lock in dir. */
bool instance_runs(const char *dir, pid_t *holder);

#endif
