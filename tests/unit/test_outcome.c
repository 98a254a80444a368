/*
 * test_outcome.c: the published table, row by row, and everything that a retry hangs on.
 */
#include "gatewayd/worker/outcome.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* Everything favours another try: what a row says is the rule of its end alone. */
static const struct retry_facts best = {
    .sent = true,
    .retry_unknown = true,
    .retries_max = 2,
    .credential_switches_left = 8,
    .other_credential = true,
    .other_target = true,
    .retry_after_us = -1,
    .remaining_us = 100000000,
};

static struct retry_decision decide(enum attempt_end end, struct retry_facts f)
{
    f.end = end;
    return retry_decide(&f);
}

static const struct row {
    enum attempt_end end;
    enum charge_rule charge;
    enum retry_verdict elsewhere; /* with another target left */
    enum retry_verdict alone;     /* with none */
    enum retry_verdict unknown_off;
    bool counts;
} rows[] = {
    {END_NONE, CHARGE_NOTHING, RETRY_GIVE_UP, RETRY_GIVE_UP, RETRY_GIVE_UP, false},
    {END_ANSWERED, CHARGE_USAGE, RETRY_GIVE_UP, RETRY_GIVE_UP, RETRY_GIVE_UP, false},
    {END_NO_ADDRESS, CHARGE_NOTHING, RETRY_NEXT, RETRY_SAME_LATER, RETRY_NEXT, true},
    {END_CONNECT_FAILED, CHARGE_NOTHING, RETRY_NEXT, RETRY_SAME_LATER, RETRY_NEXT, true},
    {END_CONNECT_TIMEOUT, CHARGE_NOTHING, RETRY_NEXT, RETRY_SAME_LATER, RETRY_NEXT, true},
    {END_PROXY_FAILED, CHARGE_NOTHING, RETRY_NEXT, RETRY_SAME_LATER, RETRY_NEXT, true},
    {END_TLS_FAILED, CHARGE_NOTHING, RETRY_NEXT, RETRY_SAME_LATER, RETRY_NEXT, true},
    {END_NO_CONNECTION, CHARGE_NOTHING, RETRY_NEXT, RETRY_SAME_LATER, RETRY_NEXT, true},
    {END_ERROR_ANSWER, CHARGE_NOTHING, RETRY_NEXT, RETRY_SAME_LATER, RETRY_NEXT, true},
    {END_CALLER_ERROR, CHARGE_NOTHING, RETRY_GIVE_UP, RETRY_GIVE_UP, RETRY_GIVE_UP, false},
    {END_CREDENTIAL_REFUSED, CHARGE_NOTHING, RETRY_NEXT, RETRY_GIVE_UP, RETRY_NEXT, false},
    {END_LOST, CHARGE_RESERVATION, RETRY_NEXT, RETRY_GIVE_UP, RETRY_GIVE_UP, true},
    {END_FIRST_BYTE_TIMEOUT, CHARGE_RESERVATION, RETRY_NEXT, RETRY_GIVE_UP, RETRY_GIVE_UP, true},
    {END_MALFORMED, CHARGE_RESERVATION, RETRY_NEXT, RETRY_GIVE_UP, RETRY_GIVE_UP, true},
    {END_CUT, CHARGE_COUNTED, RETRY_NEXT, RETRY_GIVE_UP, RETRY_NEXT, true},
    {END_STREAM_ERROR, CHARGE_COUNTED, RETRY_NEXT, RETRY_GIVE_UP, RETRY_NEXT, true},
    {END_IDLE_TIMEOUT, CHARGE_COUNTED, RETRY_NEXT, RETRY_GIVE_UP, RETRY_GIVE_UP, true},
    {END_TOTAL_TIMEOUT, CHARGE_COUNTED, RETRY_GIVE_UP, RETRY_GIVE_UP, RETRY_GIVE_UP, false},
    {END_CLIENT_GONE_STREAM, CHARGE_COUNTED, RETRY_GIVE_UP, RETRY_GIVE_UP, RETRY_GIVE_UP, false},
    {END_CLIENT_GONE_WHOLE, CHARGE_RESERVATION, RETRY_GIVE_UP, RETRY_GIVE_UP, RETRY_GIVE_UP, false},
    {END_CLIENT_GONE_UNSENT, CHARGE_NOTHING, RETRY_GIVE_UP, RETRY_GIVE_UP, RETRY_GIVE_UP, false},
    {END_DRAINED, CHARGE_COUNTED, RETRY_GIVE_UP, RETRY_GIVE_UP, RETRY_GIVE_UP, false},
    {END_NO_SOCKET, CHARGE_NOTHING, RETRY_GIVE_UP, RETRY_GIVE_UP, RETRY_GIVE_UP, false},
    {END_NO_BUFFER, CHARGE_COUNTED, RETRY_GIVE_UP, RETRY_GIVE_UP, RETRY_GIVE_UP, false},
};

static void each_end_follows_its_row(void **state)
{
    assert_int_equal(ARRAY_LEN(rows), ATTEMPT_END_COUNT);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct row *r = &rows[i];
        struct retry_facts alone = best, off = best;
        alone.other_target = alone.other_credential = false;
        alone.sent = r->elsewhere != RETRY_NEXT || r->alone != RETRY_SAME_LATER ||
                     r->end == END_ERROR_ANSWER;
        off.retry_unknown = false;
        struct retry_decision d = decide(r->end, best);
        assert_int_equal(r->end, i);
        assert_int_equal(attempt_end_charge(r->end), r->charge);
        assert_int_equal(d.verdict, r->elsewhere);
        assert_int_equal(d.counts, r->counts);
        assert_int_equal(decide(r->end, alone).verdict, r->alone);
        assert_int_equal(decide(r->end, off).verdict, r->unknown_off);
    }
}

static void every_end_has_a_name_and_a_text(void **state)
{
    for (int i = 0; i < ATTEMPT_END_COUNT; i++) {
        assert_true(attempt_end_name((enum attempt_end)i)[0]);
        assert_true(attempt_end_text((enum attempt_end)i)[0]);
    }
    assert_string_equal(attempt_end_name(END_CUT), "CUT");
}

/* Nothing in the world makes up for these. */
static void never_again(void **state)
{
    for (int i = 0; i < ATTEMPT_END_COUNT; i++) {
        enum attempt_end end = (enum attempt_end)i;
        struct retry_facts f = best;
        f.bytes_to_client = 1;
        assert_int_equal(decide(end, f).verdict, RETRY_GIVE_UP);
        f = best;
        f.client_gone = true;
        assert_int_equal(decide(end, f).verdict, RETRY_GIVE_UP);
        f = best;
        f.remaining_us = 0;
        assert_int_equal(decide(end, f).verdict, RETRY_GIVE_UP);
        f = best;
        f.remaining_us = -5;
        assert_int_equal(decide(end, f).verdict, RETRY_GIVE_UP);
    }
}

static void retries_run_out(void **state)
{
    struct retry_facts f = best;
    f.retries_used = 1;
    assert_int_equal(decide(END_LOST, f).verdict, RETRY_NEXT);
    f.retries_used = 2;
    assert_int_equal(decide(END_LOST, f).verdict, RETRY_GIVE_UP);
    assert_int_equal(decide(END_ERROR_ANSWER, f).verdict, RETRY_GIVE_UP);
    assert_int_equal(decide(END_CONNECT_FAILED, f).verdict, RETRY_GIVE_UP);
    f.retries_max = 0;
    f.retries_used = 0;
    assert_int_equal(decide(END_CONNECT_FAILED, f).verdict, RETRY_GIVE_UP);
}

static void another_credential_is_no_retry(void **state)
{
    struct retry_facts f = best;
    f.retries_used = f.retries_max;
    struct retry_decision d = decide(END_CREDENTIAL_REFUSED, f);
    assert_int_equal(d.verdict, RETRY_NEXT);
    assert_false(d.counts);

    f.credential_switches_left = 0; /* then it is one, and none is left */
    assert_int_equal(decide(END_CREDENTIAL_REFUSED, f).verdict, RETRY_GIVE_UP);
    f.retries_used = 0;
    d = decide(END_CREDENTIAL_REFUSED, f);
    assert_int_equal(d.verdict, RETRY_NEXT);
    assert_true(d.counts);

    f = best; /* no further one at this target: another target, which counts */
    f.other_credential = false;
    assert_true(decide(END_CREDENTIAL_REFUSED, f).counts);
    f.other_target = false; /* the same refused credential is never asked again */
    assert_int_equal(decide(END_CREDENTIAL_REFUSED, f).verdict, RETRY_GIVE_UP);
}

static void unsent_is_not_unknown(void **state)
{
    struct retry_facts f = best;
    f.retry_unknown = false;
    f.sent = false;
    assert_int_equal(decide(END_LOST, f).verdict, RETRY_NEXT);
}

static struct retry_facts alone(void)
{
    struct retry_facts f = best;
    f.other_target = f.other_credential = false;
    return f;
}

static void pauses_double_up_to_a_cap(void **state)
{
    static const int64_t full[] = {500000, 1000000, 2000000, 4000000, 8000000, 8000000, 8000000};
    for (size_t i = 0; i < ARRAY_LEN(full); i++) {
        struct retry_facts f = alone();
        f.retries_max = 100;
        f.retries_used = (int)i;
        for (uint32_t jitter = 0; jitter < 4096; jitter += 13) {
            f.jitter = jitter;
            int64_t us = decide(END_ERROR_ANSWER, f).delay_us;
            assert_in_range(us, full[i] / 2, full[i]);
        }
        f.jitter = 0;
        assert_int_equal(decide(END_ERROR_ANSWER, f).delay_us, full[i]);
        f.jitter = 1023;
        assert_true(decide(END_ERROR_ANSWER, f).delay_us < full[i] / 2 + full[i] / 1000);
    }
}

static void retry_after_is_a_lower_bound(void **state)
{
    struct retry_facts f = alone();
    f.retry_after_us = 0;
    assert_int_equal(decide(END_ERROR_ANSWER, f).delay_us, RETRY_BASE_US);
    f.retry_after_us = 3000000;
    assert_int_equal(decide(END_ERROR_ANSWER, f).delay_us, 3000000);
    f.retry_after_us = RETRY_AFTER_MAX_US;
    assert_int_equal(decide(END_ERROR_ANSWER, f).delay_us, RETRY_AFTER_MAX_US);
    f.retry_after_us = RETRY_AFTER_MAX_US + 1;
    assert_int_equal(decide(END_ERROR_ANSWER, f).verdict, RETRY_GIVE_UP);
    f.other_target = true; /* another target doesn't care what this one asked for */
    assert_int_equal(decide(END_ERROR_ANSWER, f).verdict, RETRY_NEXT);
}

static void no_pause_beyond_the_deadline(void **state)
{
    struct retry_facts f = alone();
    f.retry_after_us = 3000000;
    f.remaining_us = 3000000;
    assert_int_equal(decide(END_ERROR_ANSWER, f).verdict, RETRY_GIVE_UP);
    f.remaining_us = 3000001;
    assert_int_equal(decide(END_ERROR_ANSWER, f).verdict, RETRY_SAME_LATER);
}

static void statuses_have_classes(void **state)
{
    static const struct {
        int from, to;
        enum attempt_end end;
    } classes[] = {
        {100, 199, END_MALFORMED},          {200, 299, END_ANSWERED},
        {300, 399, END_MALFORMED},          {400, 400, END_CALLER_ERROR},
        {401, 401, END_CREDENTIAL_REFUSED}, {402, 402, END_CALLER_ERROR},
        {403, 403, END_CREDENTIAL_REFUSED}, {404, 407, END_CALLER_ERROR},
        {408, 408, END_ERROR_ANSWER},       {409, 428, END_CALLER_ERROR},
        {429, 429, END_ERROR_ANSWER},       {430, 499, END_CALLER_ERROR},
        {500, 599, END_ERROR_ANSWER},
    };
    int next = 100;
    for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
        assert_int_equal(classes[i].from, next);
        for (; next <= classes[i].to; next++)
            assert_int_equal(outcome_of_status(next), classes[i].end);
    }
    assert_int_equal(next, 600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_end_follows_its_row),
        cmocka_unit_test(every_end_has_a_name_and_a_text),
        cmocka_unit_test(never_again),
        cmocka_unit_test(retries_run_out),
        cmocka_unit_test(another_credential_is_no_retry),
        cmocka_unit_test(unsent_is_not_unknown),
        cmocka_unit_test(pauses_double_up_to_a_cap),
        cmocka_unit_test(retry_after_is_a_lower_bound),
        cmocka_unit_test(no_pause_beyond_the_deadline),
        cmocka_unit_test(statuses_have_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
