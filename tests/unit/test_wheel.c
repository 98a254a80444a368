/*
 * test_wheel.c: timers fire once, never early, in any order of arming, also beyond one turn of the
 * wheel.
 */
#include "gatewayd/worker/wheel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct wheel wheel;
static int64_t now_us;

struct probe {
    struct wheel_timer timer;
    int64_t due_us;
    int fired;
};

static void on_fire(struct wheel_timer *t)
{
    struct probe *p = container_of(t, struct probe, timer);
    assert_true(now_us >= p->due_us);
    assert_true(now_us < p->due_us + 2 * WHEEL_TICK_US);
    p->fired++;
}

static void step_until(int64_t end_us)
{
    while (now_us < end_us) {
        int64_t sleep_us = wheel_next_us(&wheel, now_us);
        if (sleep_us < 0 || now_us + sleep_us > end_us)
            now_us = end_us;
        else
            now_us += GW_MAX(sleep_us, (int64_t)1);
        wheel_advance(&wheel, now_us);
    }
}

static void fires_once_and_on_time(void **state)
{
    enum { N = 3000 };
    struct probe *p = calloc(N, sizeof *p);
    srand(7);
    now_us = 123456789;
    wheel_init(&wheel, now_us);
    for (int i = 0; i < N; i++) {
        wheel_timer_init(&p[i].timer, on_fire);
        p[i].due_us = now_us + 1 + (int64_t)rand() % 600000000; /* up to 18 turns */
        wheel_arm(&wheel, &p[i].timer, p[i].due_us);
    }
    for (int i = 0; i < N; i += 3)
        wheel_cancel(&wheel, &p[i].timer);
    for (int i = 1; i < N; i += 3) {
        p[i].due_us = now_us + 1 + (int64_t)rand() % 1000000;
        wheel_arm(&wheel, &p[i].timer, p[i].due_us);
    }
    step_until(now_us + 700000000);
    for (int i = 0; i < N; i++)
        assert_int_equal(p[i].fired, i % 3 != 0);
    assert_int_equal(wheel.armed, 0);
    assert_int_equal(wheel_next_us(&wheel, now_us), -1);
    free(p);
}

static struct probe *victim;

static void cancel_other(struct wheel_timer *t)
{
    struct probe *p = container_of(t, struct probe, timer);
    p->fired++;
    wheel_cancel(&wheel, &victim->timer);
    wheel_arm(&wheel, t, now_us + 1000000);
}

static void callback_may_cancel_and_rearm(void **state)
{
    struct probe a = {0}, b = {0};
    now_us = 0;
    wheel_init(&wheel, now_us);
    wheel_timer_init(&a.timer, cancel_other);
    wheel_timer_init(&b.timer, on_fire);
    victim = &b;
    wheel_arm(&wheel, &a.timer, 50000);
    wheel_arm(&wheel, &b.timer, 50000);
    step_until(100000);
    assert_int_equal(a.fired, 1);
    assert_int_equal(b.fired, 0);
    assert_true(wheel_is_armed(&a.timer));
    assert_int_equal(wheel.armed, 1);
    step_until(1200000);
    assert_int_equal(a.fired, 2);
}

static void a_long_sleep_fires_everything(void **state)
{
    struct probe a = {0}, b = {0};
    now_us = 0;
    wheel_init(&wheel, now_us);
    wheel_timer_init(&a.timer, cancel_other);
    wheel_timer_init(&b.timer, cancel_other);
    victim = &b;
    wheel_arm(&wheel, &a.timer, 10000);
    now_us = 500000000;
    wheel_advance(&wheel, now_us);
    assert_int_equal(a.fired, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fires_once_and_on_time),
        cmocka_unit_test(callback_may_cancel_and_rearm),
        cmocka_unit_test(a_long_sleep_fires_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
