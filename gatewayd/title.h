/*
 * title.h: what `ps` shows for this process.
 */
#ifndef GW_GATEWAYD_TITLE_H
#define GW_GATEWAYD_TITLE_H

#include "common/base.h"

/* First thing in main(): moves the environment away so that its room can be used. Pointers from
 * getenv() taken before it are stale after it. */
void title_init(int argc, char **argv);
/* "gatewayd: " is put before it; cut to the room there is. Before title_init: does nothing. */
void title_set(const char *fmt, ...) GW_PRINTF(1, 2);

#endif
