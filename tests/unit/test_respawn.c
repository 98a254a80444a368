/*
 * test_respawn.c: the back-off table.
 */
#include "gatewayd/master/respawn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { SECOND_US = 1000 * 1000, KILLED = 9, EXIT_1 = 1 << 8, EXIT_2 = 2 << 8 }; /* as of wait(2) */

static void backs_off(void **state)
{
    static const struct {
        const char *what;
        int status;
        bool was_ready;
        int64_t uptime_us;
        bool give_up, alarm;
        int64_t delay_us;
    } rows[] = {
        {"killed after a long life: at once", KILLED, true, 60 * SECOND_US, false, false, 0},
        {"it had served: at once again", KILLED, true, SECOND_US, false, false, 0},
        {"soon again", KILLED, true, SECOND_US / 10, false, false, 25 * 1000},
        {"the third within a moment", KILLED, true, SECOND_US / 10, false, false, 50 * 1000},
        {"never got ready", EXIT_1, false, 20 * SECOND_US, false, false, 100 * 1000},
        {"fifth in a row is a loop", EXIT_1, false, 0, false, true, 200 * 1000},
        {"said once", EXIT_1, false, 0, false, false, 400 * 1000},
        {"healthy for long enough: forgotten", KILLED, true, RESPAWN_HEALTHY_US, false, false, 0},
        {"configuration fault", EXIT_2, false, 0, true, false, 0},
    };
    struct respawn r = {0};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct respawn_decision d =
            respawn_decide(&r, rows[i].status, rows[i].was_ready, rows[i].uptime_us);
        print_message("%s\n", rows[i].what);
        assert_int_equal(d.give_up, rows[i].give_up);
        assert_int_equal(d.loop_alarm, rows[i].alarm);
        assert_int_equal(d.delay_us, rows[i].delay_us);
    }
}

static void is_bounded(void **state)
{
    struct respawn r = {0};
    struct respawn_decision d = {0};
    int64_t before = 0;
    for (int i = 0; i < 1000; i++) {
        d = respawn_decide(&r, KILLED, true, 0);
        assert_true(d.delay_us >= before && d.delay_us <= RESPAWN_MAX_US);
        before = d.delay_us;
    }
    assert_int_equal(d.delay_us, RESPAWN_MAX_US);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(backs_off), cmocka_unit_test(is_bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
