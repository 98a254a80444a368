/*
 * test_money_kill.c: SIGKILL against the money segment.
 *
 * Two ways: at every fault point of a scripted worker, with a second death during the repair; and
 * at random instants of several workers at full speed. After each death the invariants must hold
 * exactly: what the cells hold is what open slots hold, what they have settled is the sum of the
 * records, and each record comes once. GW_KILLS sets the number of random kills.
 */
#include "common/fault.h"
#include "tests/unit/money_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

static const struct money_geometry geometry = {.regions = 6, .slots_per_region = 32, .cells = 16};
static struct money_fixture f;

/* Counts down in children that are to die at the n-th fault point; 0: never. */
static int points_left;

void gw_fault_point(const char *where)
{
    if (points_left > 0 && --points_left == 0)
        raise(SIGKILL);
}

static int setup(void **state)
{
    points_left = 0;
    return money_fixture_open(&f, &geometry) ? 0 : -1;
}

static int teardown(void **state)
{
    money_fixture_close(&f);
    return 0;
}

static void check(const char *when, int a, int b)
{
    struct errbuf e = {""};
    if (money_check(&f.m, &e) != 0)
        fail_msg("%s (%d, %d): %s", when, a, b, e.msg);
}

/* Returns true if the child was killed, false if it came to its end. */
static bool reap_child(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGKILL);
        return true;
    }
    assert_int_equal(WEXITSTATUS(status), 0);
    return false;
}

/* --- at every step ------------------------------------------------------------------------------
 */

static void script(void)
{
    struct money_owner o;
    uint32_t a, b;
    if (money_cell_get(&f.m, (uint64_t[2]){1, 1}, 0, 0, &a) != MONEY_OK ||
        money_cell_get(&f.m, (uint64_t[2]){2, 1}, 0, 0, &b) != MONEY_OK ||
        money_claim(&f.m, 0, 1, &o) != MONEY_OK)
        _exit(1);
    struct money_hold h[] = {{a, MONEY_HOLD_COST, 10, 1000000}, {b, MONEY_HOLD_KEEP, 1, 1000000}};
    struct money_ticket t[3];
    for (uint64_t i = 0; i < 3; i++) {
        struct money_attempt at = money_fixture_attempt(1, i, h, 2);
        at.reserved_nusd = 10;
        if (money_open(&o, &at, &t[i], NULL) != MONEY_OK)
            _exit(2);
        if (i > 0)
            money_progress(&o, &t[i], MONEY_SENT_MAYBE, NULL, 0);
    }
    struct money_outcome out = {.state = LEDGER_SETTLED, .cost_nusd = 7};
    if (money_settle(&o, &t[1], &out) != MONEY_OK || money_release(&o, &t[0]) != MONEY_OK)
        _exit(3);
    _exit(0); /* t[2] stays open */
}

static pid_t spawn(void (*fn)(void), int die_at)
{
    pid_t pid = fork();
    if (pid == 0) {
        points_left = die_at;
        fn();
        _exit(0);
    }
    assert_true(pid > 0);
    return pid;
}

static void act_as_keeper(void)
{
    for (uint32_t r = 0; r < geometry.regions; r++) {
        int64_t first;
        if (!money_reap_begin(&f.m, r))
            continue;
        (void)money_reap_settle(&f.m, r);
        money_reap_done(&f.m, r, money_drain_pending(&f.m, r, &first) == 0);
    }
}

struct sums {
    int64_t cost, records;
};

static void add(void *arg, const struct money_slot *s)
{
    struct sums *sums = arg;
    sums->cost += s->body.cost_nusd;
    sums->records++;
}

static void settle_all(struct sums *sums)
{
    act_as_keeper();
    for (uint32_t r = 0; r < geometry.regions; r++)
        (void)money_fixture_drain(&f.m, r, add, sums);
    act_as_keeper();
}

static void cells_must_equal(const struct sums *sums, int die_at, int die_again)
{
    for (uint32_t i = 0; i < geometry.cells; i++) {
        const struct money_cell *c = money_cell_at(&f.m, i);
        int64_t want = c->id[0] == 1 ? sums->cost : c->id[0] == 2 ? sums->records : 0;
        if (c->held != 0 || c->settled != want)
            fail_msg("killed at %d and %d: cell %u has settled %ld (records: %ld), holds %ld",
                     die_at, die_again, i, (long)c->settled, (long)want, (long)c->held);
    }
}

static void test_kill_at_every_step(void **state)
{
    struct sums sums = {0};
    int deaths = 0;
    for (int die_at = 1;; die_at++) {
        if (!reap_child(spawn(script, die_at)))
            break;
        deaths++;
        check("after the worker's death", die_at, 0);
        settle_all(&sums);
        check("after the reaping", die_at, 0);
        cells_must_equal(&sums, die_at, 0);
    }
    assert_true(deaths > 40);
    settle_all(&sums);
    cells_must_equal(&sums, 0, 0);
    /* Every region is free again: nothing leaked in all those deaths. */
    for (uint32_t r = 0; r < geometry.regions; r++)
        assert_int_equal(money_region_at(&f.m, r)->claimed, 0);
}

/* The keeper that reaps dies too, at each of its own steps, repairs included. */
static void test_kill_the_one_who_repairs(void **state)
{
    struct sums sums = {0};
    for (int die_at = 1;; die_at++) {
        bool worker_died = false;
        for (int die_again = 1;; die_again++) {
            worker_died = reap_child(spawn(script, die_at));
            bool keeper_died = reap_child(spawn(act_as_keeper, die_again));
            check("after both deaths", die_at, die_again);
            settle_all(&sums);
            check("after the second reaping", die_at, die_again);
            cells_must_equal(&sums, die_at, die_again);
            if (!keeper_died)
                break;
        }
        if (!worker_died)
            break;
    }
}

/* --- at random ----------------------------------------------------------------------------------
 */

enum { WORKERS = 3 };

static uint64_t random_state = 88172645463325252u;
static uint32_t random_below(uint32_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 33) % n;
}

static void worker(uint64_t incarnation)
{
    struct money_owner o;
    struct money_ticket open[8] = {{0}};
    uint32_t cells[2];
    random_state ^= incarnation * 0x9e3779b97f4a7c15u;
    if (money_claim(&f.m, 0, incarnation, &o) != MONEY_OK ||
        money_cell_get(&f.m, (uint64_t[2]){1, 1}, 0, 0, &cells[0]) != MONEY_OK ||
        money_cell_get(&f.m, (uint64_t[2]){2, 1}, 0, 0, &cells[1]) != MONEY_OK)
        _exit(1);
    for (uint64_t n = 0;; n++) {
        struct money_ticket *t = &open[random_below(8)];
        int64_t cost = 1 + random_below(100);
        if (t->generation == 0) {
            struct money_hold h[] = {{cells[0], MONEY_HOLD_COST, cost, INT64_MAX},
                                     {cells[1], MONEY_HOLD_KEEP, 1, INT64_MAX}};
            struct money_attempt a = money_fixture_attempt(incarnation, n, h, 2);
            a.reserved_nusd = cost;
            if (money_open(&o, &a, t, NULL) == MONEY_NO_SLOT)
                sched_yield();
            continue;
        }
        int64_t usage[LEDGER_USAGE_MAX] = {cost};
        struct money_outcome out = {.state = LEDGER_SETTLED, .cost_nusd = cost};
        switch (random_below(5)) {
        case 0:
            (void)money_release(&o, t);
            break;
        case 1:
        case 2:
            money_progress(&o, t, MONEY_SENT_MAYBE, usage, cost);
            continue;
        case 3:
            money_progress(&o, t, MONEY_SENT_ANSWER, usage, cost);
            continue;
        default:
            (void)money_settle(&o, t, &out);
        }
        *t = (struct money_ticket){0};
    }
}

/* Ids seen, to find a record that comes twice: open addressing over (incarnation, n). */
struct seen {
    struct sums sums;
    uint64_t (*ids)[2];
    uint64_t mask;
    bool twice;
};

static void note(void *arg, const struct money_slot *s)
{
    struct seen *seen = arg;
    uint64_t id[2];
    add(&seen->sums, s);
    memcpy(id, s->body.request_id, sizeof id);
    uint64_t at = (id[0] * 0x9e3779b97f4a7c15u + id[1] * 0xc2b2ae3d27d4eb4fu) >> 20;
    for (at &= seen->mask; seen->ids[at][0] != 0; at = (at + 1) & seen->mask)
        if (seen->ids[at][0] == id[0] && seen->ids[at][1] == id[1])
            seen->twice = true;
    seen->ids[at][0] = id[0];
    seen->ids[at][1] = id[1];
    if ((uint64_t)seen->sums.records > seen->mask / 2)
        fail_msg("the table of seen records is too small");
}

static pid_t spawn_worker(uint64_t incarnation)
{
    pid_t pid = fork();
    if (pid == 0) {
        /* They never end by themselves: not even when the test is interrupted. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        worker(incarnation);
        _exit(1);
    }
    assert_true(pid > 0);
    return pid;
}

static void test_random_kills(void **state)
{
    const char *env = getenv("GW_KILLS");
    int kills = env ? atoi(env) : 1500;
    pid_t pids[WORKERS];
    uint64_t incarnation = 1;
    struct seen seen = {.mask = (1u << 23) - 1};
    size_t table = (seen.mask + 1) * sizeof *seen.ids;
    seen.ids = mmap(NULL, table, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(seen.ids != MAP_FAILED);
    /* Children don't need it, and copying its page tables would be most of a fork. */
    assert_int_equal(madvise(seen.ids, table, MADV_DONTFORK), 0);
    for (int i = 0; i < WORKERS; i++)
        pids[i] = spawn_worker(incarnation++);
    for (int n = 0; n < kills; n++) {
        struct timespec pause = {0, random_below(300000)};
        nanosleep(&pause, NULL);
        for (uint32_t r = 0; r < geometry.regions; r++)
            (void)money_fixture_drain(&f.m, r, note, &seen);
        int victim = (int)random_below(WORKERS);
        kill(pids[victim], SIGKILL);
        assert_true(reap_child(pids[victim]));
        check("after a kill", n, victim);
        act_as_keeper();
        check("after the reaping", n, victim);
        for (uint32_t r = 0; r < geometry.regions; r++)
            (void)money_fixture_drain(&f.m, r, note, &seen);
        act_as_keeper();
        pids[victim] = spawn_worker(incarnation++);
    }
    for (int i = 0; i < WORKERS; i++) {
        kill(pids[i], SIGKILL);
        assert_true(reap_child(pids[i]));
    }
    act_as_keeper();
    for (uint32_t r = 0; r < geometry.regions; r++)
        (void)money_fixture_drain(&f.m, r, note, &seen);
    check("at the end", kills, 0);
    cells_must_equal(&seen.sums, kills, 0);
    assert_false(seen.twice);
    print_message("%d kills, %ld records, %ld repairs\n", kills, (long)seen.sums.records,
                  (long)f.m.header->repairs);
    munmap(seen.ids, table);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_kill_at_every_step),
        T(test_kill_the_one_who_repairs),
        T(test_random_kills),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
