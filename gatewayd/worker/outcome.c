/*
 * outcome.c: the outcome table and the retry decision. Pure.
 */
#include "gatewayd/worker/outcome.h"

static const struct {
    const char *name;
    const char *text;
    enum retry_rule retry;
    enum charge_rule charge;
} ends[ATTEMPT_END_COUNT] = {
#define X(id, retry, charge, text) {#id, text, retry, charge},
    ATTEMPT_ENDS(X)
#undef X
};

const char *attempt_end_name(enum attempt_end end)
{
    return ends[end].name;
}

const char *attempt_end_text(enum attempt_end end)
{
    return ends[end].text;
}

enum charge_rule attempt_end_charge(enum attempt_end end)
{
    return ends[end].charge;
}

enum attempt_end outcome_of_status(int status)
{
    if (status >= 200 && status < 300)
        return END_ANSWERED;
    if (status == 401 || status == 403)
        return END_CREDENTIAL_REFUSED;
    if (status == 408 || status == 429 || status >= 500)
        return END_ERROR_ANSWER;
    if (status >= 400)
        return END_CALLER_ERROR;
    return END_MALFORMED; /* a redirect is never followed: it would carry the credential elsewhere
                           */
}

static struct retry_decision give_up(void)
{
    return (struct retry_decision){.verdict = RETRY_GIVE_UP};
}

static struct retry_decision next(bool counts)
{
    return (struct retry_decision){.verdict = RETRY_NEXT, .counts = counts};
}

static int64_t back_off_us(const struct retry_facts *f)
{
    int64_t step = RETRY_BASE_US;
    for (int i = 0; i < f->retries_used && step < RETRY_CAP_US; i++)
        step *= 2;
    step = GW_MIN(step, (int64_t)RETRY_CAP_US);
    return step - step / 2 * (int64_t)(f->jitter % 1024) / 1024;
}

static struct retry_decision same_later(const struct retry_facts *f)
{
    int64_t delay = GW_MAX(back_off_us(f), f->retry_after_us);
    if (f->retry_after_us > RETRY_AFTER_MAX_US || delay >= f->remaining_us)
        return give_up();
    return (struct retry_decision){.verdict = RETRY_SAME_LATER, .delay_us = delay, .counts = true};
}

struct retry_decision retry_decide(const struct retry_facts *f)
{
    enum retry_rule rule = ends[f->end].retry;
    if (rule == RETRY_NEVER || f->bytes_to_client > 0 || f->client_gone || f->remaining_us <= 0)
        return give_up();
    if (rule == RETRY_OTHER_CREDENTIAL && f->other_credential && f->credential_switches_left > 0)
        return next(false);
    if (f->retries_used >= f->retries_max)
        return give_up();
    if (rule == RETRY_UNKNOWN && f->sent && !f->retry_unknown)
        return give_up();
    if (f->other_target)
        return next(true);
    if (rule == RETRY_BY_CLASS || (rule == RETRY_ELSEWHERE && !f->sent))
        return same_later(f);
    return give_up();
}
