/*
 * money_fixture.h: a small money segment in a scratch directory, and a keeper that only counts.
 */
#ifndef GW_TESTS_UNIT_MONEY_FIXTURE_H
#define GW_TESTS_UNIT_MONEY_FIXTURE_H

#include "common/money.h"
#include "tests/unit/tmpdir.h"

#include <fcntl.h>
#include <unistd.h>

struct money_fixture {
    char dir[256];
    int dir_fd;
    struct shm shm;
    struct money m;
};

static inline bool money_fixture_open(struct money_fixture *f, const struct money_geometry *g)
{
    enum shm_origin origin;
    struct errbuf e = {""};
    if (!tmpdir_make(f->dir) || (f->dir_fd = open(f->dir, O_DIRECTORY | O_CLOEXEC)) < 0)
        return false;
    if (money_segment_open(f->dir_fd, g, &f->shm, &origin, &e) != 0 ||
        money_attach(&f->m, &f->shm, -1, &e) != 0) {
        fprintf(stderr, "%s\n", e.msg);
        return false;
    }
    return origin == SHM_CREATED;
}

static inline void money_fixture_close(struct money_fixture *f)
{
    shm_detach(&f->shm);
    close(f->dir_fd);
    tmpdir_remove(f->dir);
}

/* An attempt whose request id begins with these two numbers. */
static inline struct money_attempt money_fixture_attempt(uint64_t a, uint64_t b,
                                                         const struct money_hold *holds,
                                                         uint32_t hold_count)
{
    struct money_attempt at = {.attempt = 1, .holds = holds, .hold_count = hold_count};
    memcpy(at.request_id, &a, 8);
    memcpy(at.request_id + 8, &b, 8);
    at.names[LEDGER_KEY] = SLICE_LIT("key_1");
    at.names[LEDGER_MODEL] = SLICE_LIT("smart");
    return at;
}

typedef void (*money_fixture_fn)(void *arg, const struct money_slot *s);

/* Drains one region like the ledger writer does: looks at each settled slot, then frees all. */
static inline uint32_t money_fixture_drain(struct money *m, uint32_t region, money_fixture_fn fn,
                                           void *arg)
{
    int64_t first;
    uint32_t n = money_drain_pending(m, region, &first);
    for (uint32_t i = 0; i < n; i++) {
        const struct money_slot *s =
            money_slot_at(m, region, money_drain_slot(m, region, first + i));
        if (money_state_of(atomic_load(&s->state)) == MONEY_SETTLED)
            fn(arg, s);
    }
    money_drain_done(m, region, n);
    return n;
}

#endif
