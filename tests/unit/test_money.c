/*
 * test_money.c: admission, settlement, draining and reaping in the money segment.
 */
#include "tests/unit/money_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <pthread.h>
#include <sys/eventfd.h>

static const struct money_geometry geometry = {.regions = 4, .slots_per_region = 4, .cells = 16};
static struct money_fixture f;
static struct money_owner owner;

static int setup(void **state)
{
    return money_fixture_open(&f, &geometry) && money_claim(&f.m, 1, 100, &owner) == MONEY_OK ? 0
                                                                                              : -1;
}

static int teardown(void **state)
{
    money_resign(&owner);
    money_fixture_close(&f);
    return 0;
}

static void check(void)
{
    struct errbuf e = {""};
    if (money_check(&f.m, &e) != 0)
        fail_msg("%s", e.msg);
}

static uint32_t cell(uint64_t id, int64_t settled)
{
    uint32_t at;
    assert_int_equal(money_cell_get(&f.m, (uint64_t[2]){id, 1}, 7, settled, &at), MONEY_OK);
    return at;
}

static struct money_ticket must_open(uint64_t id, int64_t reserved, const struct money_hold *h,
                                     uint32_t n)
{
    struct money_ticket t;
    struct money_attempt a = money_fixture_attempt(1, id, h, n);
    a.reserved_nusd = reserved;
    a.reserved_usage[LEDGER_INPUT] = 10;
    a.reserved_usage[LEDGER_OUTPUT] = 90;
    assert_int_equal(money_open(&owner, &a, &t, NULL), MONEY_OK);
    check();
    return t;
}

static void keep_last(void *arg, const struct money_slot *s)
{
    memcpy(arg, &s->body, sizeof s->body + sizeof s->names);
}

union record {
    struct ledger_body body;
    char room[LEDGER_BODY_MAX];
};

static union record drained(uint32_t region)
{
    union record r;
    memset(&r, 0, sizeof r);
    (void)money_fixture_drain(&f.m, region, keep_last, &r);
    return r;
}

static void test_open_and_settle(void **state)
{
    uint32_t budget = cell(1, 1000), tokens = cell(2, 0), requests = cell(3, 0),
             parallel = cell(4, 0);
    struct money_hold holds[] = {
        {budget, MONEY_HOLD_COST, 500, 2000},
        {tokens, MONEY_HOLD_TOKENS, 100, 1000},
        {requests, MONEY_HOLD_KEEP, 1, 60},
        {parallel, MONEY_HOLD_RELEASE, 1, 2},
    };
    struct money_ticket t = must_open(7, 500, holds, ARRAY_LEN(holds));
    assert_int_equal(money_cell_at(&f.m, budget)->held, 500);
    assert_int_equal(money_cell_at(&f.m, budget)->settled, 1000);
    assert_int_equal(money_cell_at(&f.m, parallel)->held, 1);

    struct money_outcome out = {.state = LEDGER_SETTLED,
                                .http_status = 200,
                                .usage = {10, 5, 3, 20, 4},
                                .cost_nusd = 300,
                                .ttfb_us = 12,
                                .upstream_request_id = SLICE_LIT("req_9")};
    assert_int_equal(money_settle(&owner, &t, &out), MONEY_OK);
    check();
    assert_int_equal(money_cell_at(&f.m, budget)->settled, 1300);
    assert_int_equal(money_cell_at(&f.m, tokens)->settled, 38);
    assert_int_equal(money_cell_at(&f.m, requests)->settled, 1);
    assert_int_equal(money_cell_at(&f.m, parallel)->settled, 0);
    for (unsigned i = 0; i < ARRAY_LEN(holds); i++)
        assert_int_equal(money_cell_at(&f.m, holds[i].cell)->held, 0);

    /* Once is once. */
    out.cost_nusd = 999;
    assert_int_equal(money_settle(&owner, &t, &out), MONEY_STALE);
    assert_int_equal(money_release(&owner, &t), MONEY_STALE);
    assert_int_equal(money_cell_at(&f.m, budget)->settled, 1300);

    union record r = drained(owner.index);
    assert_true(ledger_body_valid(&r, ledger_body_bytes(&r.body)));
    assert_int_equal(r.body.state, LEDGER_SETTLED);
    assert_int_equal(r.body.cost_nusd, 300);
    assert_int_equal(r.body.usage[LEDGER_CACHED], 5);
    assert_int_equal(r.body.worker, 1);
    assert_int_equal(r.body.flags & LEDGER_F_OVERRUN, 0);
    assert_true(slice_eq_str(ledger_body_name(&r.body, LEDGER_KEY), "key_1"));
    assert_true(slice_eq_str(ledger_body_name(&r.body, LEDGER_MODEL), "smart"));
    assert_true(slice_eq_str(ledger_body_name(&r.body, LEDGER_UPSTREAM_REQUEST_ID), "req_9"));
    /* The same slot under a new ticket is not the old attempt. */
    struct money_ticket again = must_open(8, 0, NULL, 0);
    assert_int_equal(again.slot, t.slot);
    assert_int_equal(money_settle(&owner, &t, &out), MONEY_STALE);
    assert_int_equal(money_release(&owner, &again), MONEY_OK);
    struct money_ticket none = {0};
    assert_int_equal(money_release(&owner, &none), MONEY_STALE);
}

static void test_admission_is_one_decision(void **state)
{
    uint32_t a = cell(1, 50), b = cell(2, 0);
    const struct {
        int64_t amount_a, limit_a, amount_b, limit_b;
        enum money_err err;
        uint32_t hold;
    } cases[] = {
        {50, 100, 10, 10, MONEY_OK, 0},
        {51, 100, 1, 10, MONEY_REFUSED, 0},
        {1, 100, 11, 10, MONEY_REFUSED, 1},
        {0, 49, 0, 10, MONEY_REFUSED, 0},
        {0, 50, 0, 0, MONEY_OK, 0},
        {INT64_MAX, INT64_MAX, 0, 0, MONEY_REFUSED, 0},
        {1, 100, INT64_MAX, 10, MONEY_REFUSED, 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct money_hold h[] = {{a, MONEY_HOLD_COST, cases[i].amount_a, cases[i].limit_a},
                                 {b, MONEY_HOLD_COST, cases[i].amount_b, cases[i].limit_b}};
        struct money_attempt at = money_fixture_attempt(1, i, h, 2);
        struct money_refusal why = {0};
        struct money_ticket t;
        assert_int_equal(money_open(&owner, &at, &t, &why), cases[i].err);
        check();
        if (cases[i].err == MONEY_OK) {
            assert_int_equal(money_release(&owner, &t), MONEY_OK);
        } else {
            assert_int_equal(why.hold, cases[i].hold);
            assert_int_equal(why.settled, cases[i].hold == 0 ? 50 : 0);
            assert_int_equal(t.generation, 0);
        }
        assert_int_equal(money_cell_at(&f.m, a)->held, 0);
        assert_int_equal(money_cell_at(&f.m, b)->held, 0);
        assert_int_equal(money_cell_at(&f.m, a)->settled, 50);
        (void)drained(owner.index);
    }
    /* What is held counts against the next, and a cell named twice counts twice. */
    struct money_hold twice[] = {{b, MONEY_HOLD_COST, 4, 10}, {b, MONEY_HOLD_COST, 4, 10}};
    struct money_ticket t = must_open(1, 8, twice, 2), t2;
    struct money_attempt at = money_fixture_attempt(1, 2, twice, 1);
    struct money_refusal why;
    assert_int_equal(money_open(&owner, &at, &t2, &why), MONEY_REFUSED);
    assert_int_equal(why.held, 8);
    assert_int_equal(money_release(&owner, &t), MONEY_OK);
    assert_int_equal(money_open(&owner, &at, &t2, &why), MONEY_OK);
}

static void test_outcomes(void **state)
{
    static const struct {
        struct money_outcome out;
        int64_t charged, output;
        uint64_t flags;
        bool record;
    } cases[] = {
        {{.state = LEDGER_SETTLED, .cost_nusd = 400, .usage = {0, 0, 0, 9}}, 400, 9, 0, true},
        {{.state = LEDGER_SETTLED, .cost_nusd = 501, .usage = {0, 0, 0, 9}},
         501,
         9,
         LEDGER_F_OVERRUN,
         true},
        {{.state = LEDGER_ESTIMATED, .cost_nusd = 20, .flags = LEDGER_F_CLIENT_GONE},
         20,
         0,
         LEDGER_F_CLIENT_GONE,
         true},
        {{.state = LEDGER_UNSETTLED, .cost_nusd = 1, .usage = {1, 1, 1, 1}}, 500, 90, 0, true},
        {{.state = LEDGER_VOID}, 0, 0, 0, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint32_t c = cell(100 + i, 0);
        struct money_hold h = {c, MONEY_HOLD_COST, 500, 500};
        struct money_ticket t = must_open(i, 500, &h, 1);
        assert_int_equal(money_settle(&owner, &t, &cases[i].out), MONEY_OK);
        check();
        assert_int_equal(money_cell_at(&f.m, c)->settled, cases[i].charged);
        union record r = drained(owner.index);
        assert_int_equal(r.body.state, cases[i].record ? cases[i].out.state : 0);
        assert_int_equal(r.body.cost_nusd, cases[i].charged);
        assert_int_equal(r.body.usage[LEDGER_OUTPUT], cases[i].output);
        assert_int_equal(r.body.flags, cases[i].flags);
    }
}

static void test_slots_run_out_and_come_back(void **state)
{
    struct money_ticket t[4], more;
    struct money_attempt a = money_fixture_attempt(1, 99, NULL, 0);
    for (int round = 0; round < 3; round++) {
        for (uint64_t i = 0; i < 4; i++)
            t[i] = must_open(i, 0, NULL, 0);
        assert_int_equal(money_open(&owner, &a, &more, NULL), MONEY_NO_SLOT);
        struct money_outcome out = {.state = LEDGER_SETTLED};
        assert_int_equal(money_settle(&owner, &t[2], &out), MONEY_OK);
        /* Settled is not free: its record isn't durable yet. */
        assert_int_equal(money_open(&owner, &a, &more, NULL), MONEY_NO_SLOT);
        (void)drained(owner.index);
        assert_int_equal(money_open(&owner, &a, &more, NULL), MONEY_OK);
        assert_int_equal(more.slot, t[2].slot);
        check();
        t[2] = more;
        for (int i = 0; i < 4; i++)
            assert_int_equal(money_release(&owner, &t[i]), MONEY_OK);
        (void)drained(owner.index);
        check();
    }
    assert_int_equal(owner.region->counters[MONEY_C_NO_SLOT], 6);
}

/* The outcome table for attempts whose worker is gone. */
static void test_reaping_by_progress(void **state)
{
    static const struct {
        int sent; /* -1: never told */
        enum ledger_state want;
        int64_t charged, output;
    } cases[] = {
        {-1, LEDGER_VOID, 0, 0},
        {MONEY_SENT_NOTHING, LEDGER_VOID, 0, 0},
        {MONEY_SENT_MAYBE, LEDGER_UNSETTLED, 500, 90},
        {MONEY_SENT_ANSWER, LEDGER_ESTIMATED, 120, 12},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint32_t c = cell(200 + i, 0), region = owner.index;
        struct money_hold h = {c, MONEY_HOLD_COST, 500, 500};
        struct money_ticket t = must_open(i, 500, &h, 1);
        int64_t usage[LEDGER_USAGE_MAX] = {10, 0, 0, 12};
        assert_false(money_reap_begin(&f.m, region));
        if (cases[i].sent >= 0)
            money_progress(&owner, &t, (enum money_sent)cases[i].sent, usage, 120);
        /* `sent` never goes back. */
        money_progress(&owner, &t, MONEY_SENT_NOTHING, usage, 120);
        money_resign(&owner);

        assert_true(money_reap_begin(&f.m, region));
        assert_int_equal(money_reap_settle(&f.m, region), 1);
        assert_int_equal(money_reap_settle(&f.m, region), 0);
        money_reap_done(&f.m, region, false);
        check();
        union record r = drained(region);
        bool is_void = cases[i].want == LEDGER_VOID;
        assert_int_equal(r.body.state, is_void ? 0 : cases[i].want);
        assert_int_equal(r.body.flags, is_void ? 0 : LEDGER_F_WORKER_DIED);
        assert_int_equal(r.body.cost_nusd, cases[i].charged);
        assert_int_equal(r.body.usage[LEDGER_OUTPUT], cases[i].output);
        assert_int_equal(money_cell_at(&f.m, c)->settled, cases[i].charged);
        assert_int_equal(money_cell_at(&f.m, c)->held, 0);

        assert_true(money_reap_begin(&f.m, region));
        money_reap_done(&f.m, region, true);
        assert_false(money_reap_begin(&f.m, region));
        assert_int_equal(money_claim(&f.m, 1, 101 + i, &owner), MONEY_OK);
        assert_int_equal(owner.index, region);
    }
}

static void test_regions_run_out(void **state)
{
    struct money_owner o[3], more;
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(money_claim(&f.m, i, i, &o[i]), MONEY_OK);
    assert_int_equal(money_claim(&f.m, 9, 9, &more), MONEY_NO_REGION);
    uint32_t given_up = o[1].index;
    money_resign(&o[1]);
    money_resign(&o[1]);
    /* Still the dead one's until the keeper has dealt with it. */
    assert_int_equal(money_claim(&f.m, 9, 9, &more), MONEY_NO_REGION);
    assert_true(money_reap_begin(&f.m, given_up));
    money_reap_done(&f.m, given_up, true);
    assert_int_equal(money_claim(&f.m, 9, 9, &more), MONEY_OK);
    assert_int_equal(more.index, given_up);
    money_resign(&more);
    money_resign(&o[0]);
    money_resign(&o[2]);
}

static void test_cells(void **state)
{
    uint32_t at, again;
    for (uint64_t i = 0; i < 12; i++)
        (void)cell(i * 16 + 1, (int64_t)i);
    assert_int_equal(money_cell_get(&f.m, (uint64_t[2]){1000, 1}, 7, 0, &at), MONEY_NO_CELL);
    at = cell(5 * 16 + 1, 77);
    assert_int_equal(money_cell_at(&f.m, at)->settled, 5);
    assert_int_equal(money_cell_at(&f.m, at)->kind, 7);
    again = cell(5 * 16 + 1, 78);
    assert_int_equal(at, again);
}

static void test_check_finds_what_is_wrong(void **state)
{
    struct errbuf e = {""};
    uint32_t c = cell(1, 0);
    struct money_hold h = {c, MONEY_HOLD_COST, 5, 10};
    struct money_ticket t = must_open(1, 5, &h, 1);
    money_cell_at(&f.m, c)->held++;
    assert_int_equal(money_check(&f.m, &e), -1);
    assert_non_null(strstr(e.msg, "holds 6, its open slots hold 5"));
    money_cell_at(&f.m, c)->held--;
    check();
    atomic_fetch_add(&owner.region->taken, 1);
    assert_int_equal(money_check(&f.m, &e), -1);
    atomic_fetch_sub(&owner.region->taken, 1);
    atomic_fetch_add(&money_slot_at(&f.m, owner.index, t.slot)->state, 1);
    assert_int_equal(money_check(&f.m, &e), -1);
}

static void test_the_segment_outlives_the_master(void **state)
{
    struct shm again;
    enum shm_origin origin;
    struct errbuf e = {""};
    struct money_geometry other = {.regions = 5, .slots_per_region = 8, .cells = 32};
    struct money_ticket t = must_open(1, 0, NULL, 0);
    /* Something is in flight: kept, whatever geometry is wanted. */
    assert_int_equal(money_segment_open(f.dir_fd, &other, &again, &origin, &e), 0);
    assert_int_equal(origin, SHM_ADOPTED);
    struct money m;
    assert_int_equal(money_attach(&m, &again, -1, &e), 0);
    assert_int_equal(m.header->region_count, geometry.regions);
    assert_int_equal(money_state_of(atomic_load(&money_slot_at(&m, owner.index, t.slot)->state)),
                     MONEY_OPEN);
    shm_detach(&again);
    struct money_outcome out = {.state = LEDGER_SETTLED};
    assert_int_equal(money_settle(&owner, &t, &out), MONEY_OK);
    assert_int_equal(money_segment_open(f.dir_fd, &other, &again, &origin, &e), 0);
    assert_int_equal(origin, SHM_ADOPTED);
    shm_detach(&again);
    (void)drained(owner.index);
    /* Nothing left in it: the same geometry is kept, another replaces it. */
    assert_int_equal(money_segment_open(f.dir_fd, &geometry, &again, &origin, &e), 0);
    assert_int_equal(origin, SHM_ADOPTED);
    shm_detach(&again);
    assert_int_equal(money_segment_open(f.dir_fd, &other, &again, &origin, &e), 0);
    assert_int_equal(origin, SHM_CREATED);
    assert_int_equal(money_attach(&m, &again, -1, &e), 0);
    assert_int_equal(m.header->region_count, 5);
    shm_detach(&again);
}

static void test_a_damaged_header_is_refused(void **state)
{
    struct money m;
    struct errbuf e;
    struct money_header *h = f.m.header;
    uint64_t *const offsets[] = {&h->regions_at, &h->rings_at, &h->slots_at, &h->cells_at};
    for (size_t i = 0; i < ARRAY_LEN(offsets); i++) {
        uint64_t was = *offsets[i];
        *offsets[i] = f.shm.total_bytes;
        assert_int_equal(money_attach(&m, &f.shm, -1, &e), -1);
        *offsets[i] = was + 8;
        assert_int_equal(money_attach(&m, &f.shm, -1, &e), -1);
        *offsets[i] = was;
    }
    uint32_t *const sizes[] = {&h->slot_bytes, &h->header_bytes, &h->cell_count, &h->region_count,
                               &h->slots_per_region};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        uint32_t was = *sizes[i];
        *sizes[i] = 0;
        assert_int_equal(money_attach(&m, &f.shm, -1, &e), -1);
        *sizes[i] = was;
    }
    h->slots_per_region = UINT32_MAX;
    assert_int_equal(money_attach(&m, &f.shm, -1, &e), -1);
    h->slots_per_region = geometry.slots_per_region;
    assert_int_equal(money_attach(&m, &f.shm, -1, &e), 0);
}

static void test_the_keeper_is_woken(void **state)
{
    struct money_seen seen[4] = {{0, 0}};
    uint64_t told;
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    owner.m->wake_fd = fd;
    struct money_ticket t = must_open(1, 0, NULL, 0);
    assert_int_equal(read(fd, &told, sizeof told), -1);
    /* Work that it hasn't seen keeps it awake. */
    assert_false(money_sleep(&f.m, seen));
    seen[owner.index].opened = money_region_opened(&f.m, owner.index);
    assert_true(money_sleep(&f.m, seen));
    struct money_outcome out = {.state = LEDGER_SETTLED};
    assert_int_equal(money_settle(&owner, &t, &out), MONEY_OK);
    assert_int_equal(read(fd, &told, sizeof told), sizeof told);
    money_awake(&f.m);
    assert_false(money_sleep(&f.m, seen));
    seen[owner.index].settled = 1;
    assert_true(money_sleep(&f.m, seen));
    t = must_open(2, 0, NULL, 0);
    assert_int_equal(read(fd, &told, sizeof told), sizeof told);
    money_awake(&f.m);
    assert_int_equal(money_release(&owner, &t), MONEY_OK);
    assert_int_equal(read(fd, &told, sizeof told), -1);
    owner.m->wake_fd = -1;
    close(fd);
}

static void test_names_that_do_not_fit_are_shortened(void **state)
{
    static char long_names[LEDGER_NAME_COUNT][256];
    struct money_attempt a = money_fixture_attempt(1, 1, NULL, 0);
    struct money_ticket t;
    for (unsigned i = 0; i < LEDGER_NAME_COUNT; i++) {
        memset(long_names[i], 'a' + (int)i, 255);
        a.names[i] = slice_str(i == LEDGER_KEY ? "key_1" : long_names[i]);
    }
    assert_int_equal(money_open(&owner, &a, &t, NULL), MONEY_OK);
    struct money_outcome out = {.state = LEDGER_SETTLED};
    assert_int_equal(money_settle(&owner, &t, &out), MONEY_OK);
    union record r = drained(owner.index);
    assert_int_equal(r.body.flags, LEDGER_F_NAMES_SHORT);
    assert_true(ledger_body_valid(&r, ledger_body_bytes(&r.body)));
    assert_true(slice_eq_str(ledger_body_name(&r.body, LEDGER_KEY), "key_1"));
    struct slice model = ledger_body_name(&r.body, LEDGER_MODEL);
    assert_int_equal(model.n, LEDGER_NAME_SHORT_BYTES);
    assert_memory_equal(model.p, long_names[LEDGER_MODEL], 51);
    assert_int_equal(model.p[51], '~');
}

/* --- threads: what TSan looks at ------------------------------------------------------------- */

enum { THREADS = 3, ATTEMPTS = 4000 };
static atomic_int threads_running;
static uint32_t shared_cell;

static void *work(void *arg)
{
    struct money_owner o;
    uint64_t self = (uint64_t)(uintptr_t)arg;
    if (money_claim(&f.m, (uint32_t)self, 1000 + self, &o) == MONEY_OK) {
        struct money_hold h = {shared_cell, MONEY_HOLD_COST, 3, INT64_MAX};
        for (uint64_t i = 0; i < ATTEMPTS;) {
            struct money_attempt a = money_fixture_attempt(self, i, &h, 1);
            struct money_ticket t;
            a.reserved_nusd = 3;
            if (money_open(&o, &a, &t, NULL) != MONEY_OK)
                continue;
            struct money_outcome out = {.state = LEDGER_SETTLED, .cost_nusd = 2};
            money_progress(&o, &t, MONEY_SENT_MAYBE, NULL, 0);
            (void)money_settle(&o, &t, &out);
            i++;
        }
        money_resign(&o);
    }
    atomic_fetch_sub(&threads_running, 1);
    return NULL;
}

static void add_cost(void *arg, const struct money_slot *s)
{
    *(int64_t *)arg += s->body.cost_nusd;
}

static void test_threads(void **state)
{
    pthread_t threads[THREADS];
    int64_t cost = 0;
    shared_cell = cell(1, 0);
    atomic_store(&threads_running, THREADS);
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, (void *)i), 0);
    bool last;
    do {
        last = atomic_load(&threads_running) == 0;
        for (uint32_t r = 0; r < geometry.regions; r++)
            (void)money_fixture_drain(&f.m, r, add_cost, &cost);
    } while (!last);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    check();
    assert_int_equal(cost, 2 * THREADS * ATTEMPTS);
    assert_int_equal(money_cell_at(&f.m, shared_cell)->settled, cost);
    assert_int_equal(money_cell_at(&f.m, shared_cell)->held, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_open_and_settle),
        T(test_admission_is_one_decision),
        T(test_outcomes),
        T(test_slots_run_out_and_come_back),
        T(test_reaping_by_progress),
        T(test_regions_run_out),
        T(test_cells),
        T(test_check_finds_what_is_wrong),
        T(test_the_segment_outlives_the_master),
        T(test_a_damaged_header_is_refused),
        T(test_the_keeper_is_woken),
        T(test_names_that_do_not_fit_are_shortened),
        T(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
