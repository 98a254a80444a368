/*
 * bill.h: what was received and served: one record a request, the raw bytes of the last requests,
 * and totals. Shared by all threads under one lock.
 */
#ifndef MOCKLLM_BILL_H
#define MOCKLLM_BILL_H

#include "tests/mockllm/http.h"

#define BILL_OUTCOMES(X)                                                                           \
    X(OPEN, "open")               /* being served */                                               \
    X(COMPLETE, "complete")       /* every byte was handed to the kernel */                        \
    X(CUT, "cut")                 /* ended early by script */                                      \
    X(RESET, "reset")             /* reset by script */                                            \
    X(HUNG, "hung")               /* the client left while a script kept it waiting for ever */    \
    X(CLIENT_GONE, "client_gone") /* the client left before the answer was out */                  \
    X(REFUSED, "refused")         /* not a request that the API takes; nothing was billed */       \
    X(DROPPED, "dropped")         /* idle=next or idle=reset: closed without an answer */

enum outcome {
#define X(name, text) OUTCOME_##name,
    BILL_OUTCOMES(X)
#undef X
};

struct record {
    uint64_t n; /* from 1, over all threads */
    int64_t time_us;
    uint64_t connection;
    int status;
    bool tls, stream, billed, fully_sent;
    enum outcome outcome;
    int64_t prompt_tokens, completion_tokens, units, events;
    uint64_t bytes_sent;
    char id[24], client_id[80], credential[128], model[160], method[8], path[96];
};

enum total {
    TOTAL_ACCEPTED,
    TOTAL_OPEN,
    TOTAL_REQUESTS,
    TOTAL_HANDSHAKES,
    TOTAL_RESUMED,
    TOTAL_BAD_REQUESTS,
    TOTAL_COUNT
};

/* Keeps at most `records` records and the bytes of the last `requests` requests; 0 keeps none. */
void bill_init(size_t records, size_t requests);
/* A request has arrived in whole: gives it its number and id. */
void bill_open(struct record *r, const struct request *req);
/* Writes the record's final state. A record opened before bill_reset() is forgotten. */
void bill_close(const struct record *r);
void bill_reset(void);
void bill_fini(void);
void bill_count(enum total what, int by);

void bill_add_records(struct bytes *out);
void bill_add_requests(struct bytes *out);
void bill_add_totals(struct bytes *out);

#endif
