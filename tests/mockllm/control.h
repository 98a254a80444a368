/*
 * control.h: the control port: scripts in, bill out. README.md lists the requests.
 */
#ifndef MOCKLLM_CONTROL_H
#define MOCKLLM_CONTROL_H

#include "tests/mockllm/loop.h"

struct control {
    int fd; /* listening */
    struct loop **loops;
    size_t nloops;
};

/* Serves one request a connection, one after the other, until the descriptor is shut down. */
void control_run(struct control *c);

#endif
