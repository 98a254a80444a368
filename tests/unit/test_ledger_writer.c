/*
 * test_ledger_writer.c: from the slot to the ledger: commits, deaths on both sides, full disks,
 * power cuts.
 */
#include "gatewayd/keeper/ledger_writer.h"
#include "common/clock.h"
#include "common/fault.h"
#include "tests/unit/money_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/wait.h>

static const struct money_geometry geometry = {.regions = 4, .slots_per_region = 64, .cells = 16};
static struct money_fixture f;
static struct money_owner owner;
static struct store *store;
static struct ledger_writer *writer;

static const char *die_at;

void gw_fault_point(const char *where)
{
    if (die_at && strcmp(where, die_at) == 0)
        raise(SIGKILL);
}

static int setup(void **state)
{
    if (!money_fixture_open(&f, &geometry) || money_claim(&f.m, 3, 77, &owner) != MONEY_OK)
        return -1;
    f.m.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return 0;
}

static int teardown(void **state)
{
    money_resign(&owner);
    close(f.m.wake_fd);
    money_fixture_close(&f);
    return 0;
}

static void start(const char *state_dir, int64_t interval_us)
{
    struct errbuf e = {""};
    struct ledger_writer_config cfg = {.money = &f.m, .commit_interval_us = interval_us};
    if (ledger_open(state_dir, STORE_WRITE, 64 << 20, &store, &e) != STORE_OK)
        fail_msg("%s", e.msg);
    cfg.ledger = store;
    assert_int_equal(ledger_writer_start(&cfg, &writer, &e), 0);
}

static struct ledger_verified stop(void)
{
    struct ledger_verified v;
    struct store_txn *r;
    struct errbuf e = {""};
    ledger_writer_stop(writer);
    assert_int_equal(store_reader_new(store, &r), STORE_OK);
    if (ledger_verify(r, &v, &e) != STORE_OK)
        fail_msg("%s", e.msg);
    store_reader_free(r);
    store_close(store);
    return v;
}

static struct ledger_writer_stats stats(void)
{
    struct ledger_writer_stats s;
    ledger_writer_stats(writer, &s);
    return s;
}

/* Polls until the condition holds, at most ten seconds. */
#define UNTIL(cond)                                                                                \
    do {                                                                                           \
        int64_t deadline = clock_mono_us() + 10000000;                                             \
        while (!(cond)) {                                                                          \
            if (clock_mono_us() > deadline)                                                        \
                fail_msg("waited in vain for %s", #cond);                                          \
            poll(NULL, 0, 1);                                                                      \
        }                                                                                          \
    } while (0)

static struct money_ticket open_one(uint64_t n)
{
    struct money_ticket t;
    struct money_attempt a = money_fixture_attempt(9, n, NULL, 0);
    a.reserved_nusd = 50;
    UNTIL(money_open(&owner, &a, &t, NULL) == MONEY_OK);
    return t;
}

static void settle(struct money_ticket t)
{
    struct money_outcome out = {.state = LEDGER_SETTLED, .cost_nusd = 5};
    assert_int_equal(money_settle(&owner, &t, &out), MONEY_OK);
}

static void test_every_record_arrives(void **state)
{
    start(f.dir, 2000);
    for (uint64_t i = 0; i < 5000; i++) {
        struct money_ticket t = open_one(i);
        if (i % 10 == 0)
            assert_int_equal(money_release(&owner, &t), MONEY_OK);
        else
            settle(t);
    }
    struct ledger_verified v = stop();
    assert_int_equal(v.records, 4500);
    assert_int_equal(v.totals.cost_nusd, 4500 * 5);
}

static void test_a_reload_counts_at_once(void **state)
{
    start(f.dir, INT64_C(3600) * 1000000);
    settle(open_one(1));
    UNTIL(stats().records == 1); /* the first commit waits for none before it */
    settle(open_one(2));
    ledger_writer_configure(writer, 1000, 1);
    UNTIL(stats().records == 2);
    assert_int_equal(stop().records, 2);
}

static void test_it_wakes_from_sleep(void **state)
{
    start(f.dir, 1000);
    for (uint64_t i = 0; i < 3; i++) {
        UNTIL(__atomic_load_n(&f.m.header->keeper_sleeps, __ATOMIC_RELAXED));
        int64_t before = clock_mono_us();
        settle(open_one(i));
        UNTIL(stats().records == i + 1);
        /* By the eventfd and not by the look for the dead once a second. */
        assert_true(clock_mono_us() - before < 900000);
    }
    assert_int_equal(stop().records, 3);
}

static void test_a_dead_worker_is_settled(void **state)
{
    start(f.dir, 1000);
    struct money_ticket sent = open_one(1);
    (void)open_one(2);
    money_progress(&owner, &sent, MONEY_SENT_MAYBE, NULL, 0);
    uint32_t index = owner.index;
    money_resign(&owner);
    ledger_writer_region_dead(writer, 3, 77);
    UNTIL(stats().records == 1);
    /* Its region is given to the next. */
    UNTIL(__atomic_load_n(&money_region_at(&f.m, index)->claimed, __ATOMIC_ACQUIRE) == 0);
    assert_int_equal(stats().reaped, 2);
    struct ledger_verified v = stop();
    assert_int_equal(v.totals.cost_nusd, 50);
    assert_int_equal(v.totals.states[LEDGER_UNSETTLED - 1], 1);
}

/* The keeper dies behind its commit, before it has freed the slots: nothing comes twice. */
static void test_kill_between_commit_and_free(void **state)
{
    for (uint64_t i = 0; i < 20; i++)
        settle(open_one(i));
    static const char *const points[] = {"ledger.committed", "money.drain.freed_one"};
    for (size_t i = 0; i < ARRAY_LEN(points); i++) {
        pid_t pid = fork();
        if (pid == 0) {
            die_at = points[i];
            start(f.dir, 1000);
            pause();
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
    start(f.dir, 1000);
    for (uint64_t i = 20; i < 30; i++)
        settle(open_one(i));
    UNTIL(stats().records == 10);
    assert_in_range(stats().duplicates, 19, 20);
    assert_int_equal(stop().records, 30);
}

/* A power cut takes the segment; what was open for longer than an interval is in the intents. */
static void test_power_cut(void **state)
{
    start(f.dir, 1000);
    struct money_ticket kept = open_one(1), settled = open_one(2), lost = open_one(3);
    UNTIL(stats().intents == 3);
    settle(settled);
    UNTIL(stats().records == 1);
    assert_int_equal(money_release(&owner, &kept), MONEY_OK);
    (void)lost;
    ledger_writer_stop(writer);
    store_close(store);

    money_resign(&owner);
    struct money_fixture old = f;
    assert_int_equal(setup(NULL), 0);
    start(old.dir, 1000);
    UNTIL(stats().lost_settled == 1);
    struct ledger_verified v = stop();
    assert_int_equal(v.records, 2);
    assert_int_equal(v.totals.states[LEDGER_UNSETTLED - 1], 1);
    assert_int_equal(v.totals.cost_nusd, 5 + 50);
    close(old.m.wake_fd);
    money_fixture_close(&old);
}

/* The wall clock jumps a day back, then three days ahead: only what is read off it changes. */
static void test_the_wall_clock_jumps(void **state)
{
    static const int64_t DAY_US = INT64_C(86400) * 1000000;
    int64_t now = clock_wall_us();
    const int64_t clocks[] = {now, now - DAY_US, now + 3 * DAY_US, now};
    start(f.dir, 1000);
    for (uint64_t i = 0; i < ARRAY_LEN(clocks); i++) {
        clock_fake_set(-1, clocks[i]);
        settle(open_one(i));
        UNTIL(stats().records == i + 1);
    }
    struct ledger_verified v = stop();
    clock_fake_set(-1, -1);
    assert_int_equal(v.records, ARRAY_LEN(clocks));
    assert_int_equal(v.days, 2);
}

static struct money_slot *slot_of(const struct money_ticket *t)
{
    return money_slot_at(&f.m, owner.index, t->slot);
}

/* Damage done to a settled body, and whether it still says which attempt it is. */
static const struct damage {
    const char *what;
    size_t at, bytes;
    int fill;
    bool kept;
    int64_t cost_nusd;
} damages[] = {
    {"version", offsetof(struct ledger_body, version), 2, 0xff, true, 50},
    {"fixed_bytes", offsetof(struct ledger_body, fixed_bytes), 2, 0xff, true, 50},
    {"fixed_bytes 0", offsetof(struct ledger_body, fixed_bytes), 2, 0, true, 50},
    {"names_bytes", offsetof(struct ledger_body, names_bytes), 2, 0xff, true, 50},
    {"name_bytes", offsetof(struct ledger_body, name_bytes), 24, 0xff, true, 50},
    {"state", offsetof(struct ledger_body, state), 1, 9, true, 50},
    {"all lengths", 0, offsetof(struct ledger_body, request_id), 0xff, true, 50},
    {"attempt", offsetof(struct ledger_body, attempt), 4, 0, false, 0},
    {"request id", offsetof(struct ledger_body, request_id), 16, 0, false, 0},
    {"all", 0, LEDGER_BODY_MAX, 0, false, 0},
    {"all ones", 0, LEDGER_BODY_MAX, 0xff, true, 0}, /* its reservation reads -1 */
};

static void test_a_malformed_slot_is_set_aside(void **state)
{
    uint64_t kept = 0;
    int64_t cost = 0;
    for (uint64_t i = 0; i < ARRAY_LEN(damages); i++) {
        const struct damage *d = &damages[i];
        struct money_ticket before = open_one(100 + i), bad = open_one(200 + i);
        settle(before);
        settle(bad);
        memset((char *)&slot_of(&bad)->body + d->at, d->fill, d->bytes);
        kept += d->kept;
        cost += d->cost_nusd + 5;
    }
    settle(open_one(1));
    start(f.dir, 1000);
    UNTIL(stats().records == ARRAY_LEN(damages) + kept + 1);
    assert_int_equal(stats().malformed, ARRAY_LEN(damages));
    assert_int_equal(stats().quarantined, ARRAY_LEN(damages) - kept);
    assert_int_equal(stats().failures, 0);
    struct ledger_verified v = stop();
    assert_int_equal(v.totals.states[LEDGER_UNSETTLED - 1], kept);
    assert_int_equal(v.totals.cost_nusd, cost + 5);
}

/* Fills every slot with records that the ledger refuses. Returns how many were settled. */
static uint64_t fill_slots(void)
{
    uint64_t n = 0;
    struct money_ticket t;
    UNTIL(({
        struct money_attempt a = money_fixture_attempt(9, n, NULL, 0);
        enum money_err err = money_open(&owner, &a, &t, NULL);
        if (err == MONEY_OK) {
            n++;
            settle(t);
        }
        err == MONEY_NO_SLOT &&money_ledger_unwritable_since(&f.m) != 0;
    }));
    return n;
}

static void test_full_map(void **state)
{
    struct errbuf e;
    struct ledger_writer_config cfg = {.money = &f.m, .commit_interval_us = 1000};
    assert_int_equal(ledger_open(f.dir, STORE_WRITE, 128 << 10, &store, &e), STORE_OK);
    cfg.ledger = store;
    assert_int_equal(ledger_writer_start(&cfg, &writer, &e), 0);
    uint64_t n = fill_slots();
    assert_int_equal(stats().last_err, STORE_MAP_FULL);
    /* It is tried again after 1, 2, 4, ... 64 ms. */
    UNTIL(stats().failures >= 8);
    assert_true(clock_wall_us() - money_ledger_unwritable_since(&f.m) >= 127000);
    uint64_t before = stats().records;
    ledger_writer_stop(writer);
    store_close(store);
    /* With a larger map_size all of it arrives. */
    start(f.dir, 1000);
    UNTIL(stats().records == n - before);
    assert_int_equal(money_ledger_unwritable_since(&f.m), 0);
    assert_int_equal(stop().records, n);
}

static void test_full_disk(void **state)
{
    char disk[256];
    if (!tmpdir_make(disk))
        fail();
    if (mount("gwtest", disk, "tmpfs", 0, "size=256k") != 0) {
        print_message("full disk: needs the right to mount a tmpfs (%s), skipped\n",
                      strerror(errno));
        tmpdir_remove(disk);
        skip();
    }
    start(disk, 1000);
    UNTIL(stats().commits > 0);
    uint64_t n = fill_slots();
    assert_true(stats().unwritable);
    assert_int_equal(stats().last_err, STORE_DISK_FULL);
    assert_int_equal(mount("gwtest", disk, "tmpfs", MS_REMOUNT, "size=16m"), 0);
    UNTIL(stats().records == n);
    assert_int_equal(money_ledger_unwritable_since(&f.m), 0);
    assert_int_equal(stop().records, n);
    assert_int_equal(umount(disk), 0);
    tmpdir_remove(disk);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_every_record_arrives),
        T(test_a_reload_counts_at_once),
        T(test_it_wakes_from_sleep),
        T(test_a_dead_worker_is_settled),
        T(test_kill_between_commit_and_free),
        T(test_power_cut),
        T(test_a_malformed_slot_is_set_aside),
        T(test_the_wall_clock_jumps),
        T(test_full_map),
        T(test_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
