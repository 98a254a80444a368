/*
 * answer.h: the bytes of one answer on the wire, when each goes out, and what comes after.
 *
 * Built once from a reply and a script, never changed after, shared by the connections of a thread.
 * Only the request id differs: it is patched in while sending.
 */
#ifndef MOCKLLM_ANSWER_H
#define MOCKLLM_ANSWER_H

#include "tests/mockllm/dialect.h"

enum { ANSWER_ID_LENGTH = 16 };

struct step {
    size_t end;       /* send up to here, in one write where the socket takes it */
    int64_t delay_us; /* after the step before it was due */
    bool hold;        /* and not before POST /mock/release */
};

enum ending { ENDING_KEEP, ENDING_FIN, ENDING_RESET, ENDING_HANG };

struct mark {
    size_t end; /* on the wire */
    uint32_t tokens;
    bool event;
};

struct answer {
    unsigned refs;
    int status;
    bool stream, billed;
    struct bytes wire;
    size_t head_length;
    size_t id_offset;   /* of the request id's digits; 0: none */
    size_t full_length; /* on the wire; SIZE_MAX where a script ends it early */
    struct step *steps;
    size_t nsteps;
    struct mark *marks;
    size_t nmarks;
    enum ending ending;
    enum idle_fault idle;
    int64_t idle_us;
    int64_t prompt_tokens, completion_tokens, units;
};

/* Takes what `reply` holds. `payload`, if any, replaces the body, or with raw=1 everything. */
struct answer *answer_new(struct reply *reply, const struct script *s, struct slice payload,
                          bool keepalive);
void answer_unref(struct answer *a);
/* The error that a script asks for by status, filled in as the provider would. */
void answer_status_error(const struct script *s, struct error *err);
/* Completion tokens in the first `sent` bytes. */
int64_t answer_tokens_sent(const struct answer *a, size_t sent);
int64_t answer_events_sent(const struct answer *a, size_t sent);

#endif
