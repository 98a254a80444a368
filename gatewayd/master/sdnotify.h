/*
 * sdnotify.h: systemd's notification and socket activation protocols (sd_notify(3),
 * sd_watchdog_enabled(3), sd_listen_fds(3)), without libsystemd.
 *
 * Outside systemd everything here does nothing. Master only.
 */
#ifndef GW_MASTER_SDNOTIFY_H
#define GW_MASTER_SDNOTIFY_H

#include "common/base.h"

enum { SDNOTIFY_MAX_FDS = 64 };

/* Reads $NOTIFY_SOCKET, $WATCHDOG_USEC, $LISTEN_FDS and takes them out of the environment, so that
 * no child takes them for its own. */
void sdnotify_init(void);
/* One datagram of "KEY=value" lines; never blocks, failure is ignored. */
void sdnotify_send(const char *fmt, ...) GW_PRINTF(1, 2);
/* STATUS= with line breaks and control characters made spaces. */
void sdnotify_status(const char *text);
/* Interval in which WATCHDOG=1 is expected; 0: none wanted. */
int64_t sdnotify_watchdog_us(void);

struct sdnotify_fd {
    int fd; /* close-on-exec, above the descriptors that children use */
    char name[64];
};
/* The sockets handed over; n_out of them. The descriptors are the caller's. Once. */
size_t sdnotify_listen_fds(struct sdnotify_fd out[SDNOTIFY_MAX_FDS]);

#endif
