/*
 * control_shm.c: making, mapping and reading the control segment.
 */
#include "gatewayd/control_shm.h"

#include <errno.h>
#include <signal.h>
#include <sys/types.h>

enum { CONTROL_LAYOUT = 1 };

static const struct shm_spec spec = {
    .name = "control",
    .layout = CONTROL_LAYOUT,
    .total_bytes = SHM_HEADER_BYTES + sizeof(struct control_shm),
};
static_assert(SHM_HEADER_BYTES % GW_CACHELINE == 0, "slots are aligned to cache lines");

const char *child_state_name(enum child_state s)
{
    static const char *const names[CHILD_STATE_COUNT] = {
#define X(name, text) [CHILD_##name] = text,
        CHILD_STATES(X)
#undef X
    };
    return s < CHILD_STATE_COUNT ? names[s] : "?";
}

int control_create(int dir_fd, struct shm *out, struct errbuf *e)
{
    return shm_create(dir_fd, &spec, out, e);
}

int control_attach(int fd, struct shm *out, struct errbuf *e)
{
    return shm_attach(fd, &spec, out, e);
}

bool control_incarnation_lives(const struct control_shm *c, uint64_t incarnation)
{
    for (size_t i = 0; i < CONTROL_SLOTS; i++)
        if (incarnation && atomic_load(&c->slot[i].incarnation) == incarnation)
            return true;
    return false;
}

void control_connections(const struct control_shm *c, uint64_t *sum, uint32_t *n_ready)
{
    *sum = 0;
    *n_ready = 0;
    uint32_t n = atomic_load_explicit(&c->n_workers, memory_order_relaxed);
    for (uint32_t i = 0; i < n && i < CONTROL_MAX_WORKERS; i++) {
        const struct control_slot *s = &c->slot[i];
        if (atomic_load_explicit(&s->state, memory_order_relaxed) != CHILD_READY)
            continue;
        *sum += atomic_load_explicit(&s->connections, memory_order_relaxed);
        ++*n_ready;
    }
}

bool control_workers_run(const struct control_shm *c)
{
    for (size_t i = 0; i < CONTROL_MAX_WORKERS; i++) {
        pid_t pid = (pid_t)atomic_load(&c->slot[i].pid);
        if (pid > 0 && (kill(pid, 0) == 0 || errno == EPERM))
            return true;
    }
    return false;
}
