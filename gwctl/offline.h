/*
 * offline.h: the reading commands while no daemon runs, from the databases of its state directory.
 */
#ifndef GW_GWCTL_OFFLINE_H
#define GW_GWCTL_OFFLINE_H

#include "gwctl/gwctl.h"

/* Answers `path`, a GET of the admin API, into a->body with its HTTP status. Only when `-c` or
 * `--state-dir` says where the state is, the command is one that only reads it, and nobody holds
 * the lock of the directory. CTL_DONE: answered. CTL_DOWN: not possible, and said why on ctl->err
 * after the caller's own line. */
int offline_call(struct ctl *ctl, const char *method, const char *path, struct ctl_answer *a,
                 long *status);

#endif
