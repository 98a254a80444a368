/*
 * segments.h: the shared memory segments of the daemon: which there are, who makes them, how a
 * child maps them.
 */
#ifndef GW_GATEWAYD_SEGMENTS_H
#define GW_GATEWAYD_SEGMENTS_H

#include "common/shm.h"
#include "gatewayd/ipc.h"

/* What the master holds. The mappings but control are not used by it, only handed on. Tokens are
 * secrets: they have no file in runtime_dir. */
struct segments {
    struct shm control, money, dns, objects, tokens;
    unsigned max_workers; /* that the regions of the money segment suffice for */
};

/* Master: makes or adopts all of them in runtime_dir. All processes of a former daemon must be gone
 * (their lock says so). */
GW_MUSTUSE int segments_open(const char *runtime_dir, unsigned n_workers, struct segments *out,
                             struct errbuf *e);
void segments_close(struct segments *s);
/* Child: maps the descriptor that came as `kind`; takes it on success. */
GW_MUSTUSE int segment_attach(enum ipc_fd_kind kind, int fd, struct shm *out, struct errbuf *e);

#endif
