/*
 * outcome.h: how one provider call ended, whether it may be tried again, and what it is charged.
 *
 * One table, and one pure function over it: everything that decides about a retry is an argument,
 * so every rule is a row of a test. The worker records facts about an attempt, names its end with
 * one of these, and obeys.
 */
#ifndef GW_WORKER_OUTCOME_H
#define GW_WORKER_OUTCOME_H

#include "common/base.h"

enum retry_rule {
    RETRY_NEVER,
    RETRY_ELSEWHERE, /* nothing was sent: any other target, or the same one after a pause */
    RETRY_BY_CLASS,  /* a complete error answer: other target first, else the same one, honouring
                        Retry-After */
    RETRY_OTHER_CREDENTIAL, /* doesn't count as a try */
    RETRY_CUT,              /* an answer that nobody has seen was cut: elsewhere */
    RETRY_UNKNOWN, /* may have been sent: only elsewhere, and only where retry_unknown is on */
};

enum charge_rule {
    CHARGE_NOTHING,
    CHARGE_USAGE,       /* the provider's own figures; without them as CHARGE_COUNTED */
    CHARGE_COUNTED,     /* input estimate + counted output, flagged estimated */
    CHARGE_RESERVATION, /* the whole reservation, flagged unsettled */
};

/*
 * What "counted" means. Of a stream: the bytes of generated text in every event that had reached
 * this machine when the call ended, read or not, or the provider's own figures if they were among
 * them. 0 is a true count: the 2xx head was there and no event yet. What a provider has generated
 * and not delivered only it can know; it is told to stop at once. Charging the reservation instead
 * would make each early cancel cost a full answer, and a floor of a token or two would bound
 * nothing. Of a whole answer the bytes that came say nothing (all of it has been generated when it
 * begins), so "counted" is the reserved output there. Before a 2xx head nothing is known either
 * way: the reservation (charge_of in attempt.c).
 */
/* id, retry rule, charge rule, what happened. Records keep the number: new ones go to the end. */
#define ATTEMPT_ENDS(X)                                                                            \
    X(NONE, RETRY_NEVER, CHARGE_NOTHING, "still running")                                          \
    X(ANSWERED, RETRY_NEVER, CHARGE_USAGE, "complete answer")                                      \
    X(NO_ADDRESS, RETRY_ELSEWHERE, CHARGE_NOTHING, "no address for the provider")                  \
    X(CONNECT_FAILED, RETRY_ELSEWHERE, CHARGE_NOTHING, "connect failed")                           \
    X(CONNECT_TIMEOUT, RETRY_ELSEWHERE, CHARGE_NOTHING, "connect deadline")                        \
    X(PROXY_FAILED, RETRY_ELSEWHERE, CHARGE_NOTHING, "proxy refused CONNECT")                      \
    X(TLS_FAILED, RETRY_ELSEWHERE, CHARGE_NOTHING, "TLS handshake failed")                         \
    X(NO_CONNECTION, RETRY_ELSEWHERE, CHARGE_NOTHING, "max_connections of the provider reached")   \
    X(ERROR_ANSWER, RETRY_BY_CLASS, CHARGE_NOTHING, "complete error answer")                       \
    X(CALLER_ERROR, RETRY_NEVER, CHARGE_NOTHING, "the caller's own error")                         \
    X(CREDENTIAL_REFUSED, RETRY_OTHER_CREDENTIAL, CHARGE_NOTHING, "credential refused")            \
    X(LOST, RETRY_UNKNOWN, CHARGE_RESERVATION, "connection lost before an answer")                 \
    X(FIRST_BYTE_TIMEOUT, RETRY_UNKNOWN, CHARGE_RESERVATION, "first-byte deadline")                \
    X(MALFORMED, RETRY_UNKNOWN, CHARGE_RESERVATION, "malformed answer")                            \
    X(CUT, RETRY_CUT, CHARGE_COUNTED, "answer cut short")                                          \
    X(STREAM_ERROR, RETRY_CUT, CHARGE_COUNTED, "error event in the stream")                        \
    X(IDLE_TIMEOUT, RETRY_UNKNOWN, CHARGE_COUNTED, "idle deadline inside the answer")              \
    X(TOTAL_TIMEOUT, RETRY_NEVER, CHARGE_COUNTED, "total deadline")                                \
    X(CLIENT_GONE_STREAM, RETRY_NEVER, CHARGE_COUNTED, "client gone during the stream")            \
    X(CLIENT_GONE_WHOLE, RETRY_NEVER, CHARGE_RESERVATION, "client gone, drain deadline passed")    \
    X(CLIENT_GONE_UNSENT, RETRY_NEVER, CHARGE_NOTHING, "client gone before anything was sent")     \
    X(DRAINED, RETRY_NEVER, CHARGE_COUNTED, "this worker had to stop")                             \
    /* The gateway's own want: no target would fare better. */                                     \
    X(NO_SOCKET, RETRY_NEVER, CHARGE_NOTHING, "no descriptor or memory for a connection")          \
    X(NO_BUFFER, RETRY_NEVER, CHARGE_COUNTED, "no room left for the answer")

enum attempt_end {
#define X(id, retry, charge, text) END_##id,
    ATTEMPT_ENDS(X)
#undef X
        ATTEMPT_END_COUNT
};

const char *attempt_end_name(enum attempt_end end);
const char *attempt_end_text(enum attempt_end end);
enum charge_rule attempt_end_charge(enum attempt_end end);

/* Class of a complete answer by its status (RFC 9110 section 15; 529 is Anthropic's "overloaded").
 */
enum attempt_end outcome_of_status(int status);

struct retry_facts {
    enum attempt_end end;
    bool sent; /* a byte of the request may have reached the provider */
    bool client_gone;
    bool retry_unknown; /* [model] retry_unknown */
    int64_t bytes_to_client;
    int retries_used;
    int retries_max;
    int credential_switches_left;
    bool other_credential;  /* an untried credential of the same target */
    bool other_target;      /* any untried (target, credential) pair */
    int64_t retry_after_us; /* what the provider asked for; -1 if it didn't */
    int64_t remaining_us;   /* until the total deadline */
    uint32_t jitter;        /* random bits */
};

enum retry_verdict { RETRY_GIVE_UP, RETRY_NEXT, RETRY_SAME_LATER };

struct retry_decision {
    enum retry_verdict verdict;
    int64_t delay_us; /* with RETRY_SAME_LATER */
    bool counts;      /* uses up one of `retries` */
};

/* The pauses before the same target is asked again: 0.5 s doubling up to 8 s, jittered down by up
 * to a half. A Retry-After longer than RETRY_AFTER_MAX_US, or than what remains, means giving up.
 */
enum { RETRY_BASE_US = 500000, RETRY_CAP_US = 8000000, RETRY_AFTER_MAX_US = 60000000 };

struct retry_decision retry_decide(const struct retry_facts *f);

#endif
