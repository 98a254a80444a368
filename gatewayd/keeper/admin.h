/*
 * admin.h: the admin API's server and what its handlers are given.
 *
 * HTTP/1.1 and JSON, for few and patient callers: simple rather than fast. A connection has at most
 * one call at a time; the answer is built whole and then sent. Every limit is fixed: connections,
 * head, body, answer, time.
 *
 * Handlers (admin_commands.h) read the call, and answer with admin_json() or admin_error(). Those
 * of the loop may instead set call->pending and finish later with admin_call_done().
 */
#ifndef GW_KEEPER_ADMIN_H
#define GW_KEEPER_ADMIN_H

#include "common/json.h"
#include "common/report.h"
#include "gatewayd/keeper/admin_route.h"
#include "gatewayd/keeper/keeper.h"

enum {
    ADMIN_MAX_CONNECTIONS = 128,
    ADMIN_MAX_BODY_BYTES = 2 * 1024 * 1024,
    ADMIN_MAX_JSON_TOKENS = 256 * 1024,
};

struct admin_conn;

struct admin_call {
    struct job job;
    admin_handler_fn run; /* on the job's thread */
    struct list node;     /* its handler's, while pending */
    struct admin_conn *conn;
    struct keeper *keeper;
    struct keeper_gen *gen;
    const struct admin_route *route;
    enum admin_role role;
    char who[ADMIN_WHO_BYTES];
    struct buf target; /* owns the normalised path and the query */
    struct slice param[ADMIN_PARAMS_MAX];
    struct buf body;
    struct json_doc doc;          /* of the body, from admin_body() on */
    struct conf_entries *entries; /* config diff: owned, the older side */
    uint64_t entries_generation;
    bool pending;

    struct report report;   /* its answer */
    bool is_text;           /* report.out is text that the handler wrote, not JSON */
    uint32_t retry_after_s; /* 0: no such header */
    char allow[64];         /* of 405 */
};

/* Begins the answer (200) and returns the writer with an open object; the server closes it. */
struct json_writer *admin_json(struct admin_call *call);
/* Answers {"error":{"message","code"}} instead of whatever was begun. The message says what, where
 * and what to do. */
void admin_error(struct admin_call *call, uint16_t status, const char *code, const char *fmt, ...)
    GW_PRINTF(4, 5);
/* Loop only: sends the answer of a call that was pending. The call is gone afterwards. */
void admin_call_done(struct admin_call *call);

/* Loop only: the rest of the call is run by fn on the reader thread, and then answered. */
void admin_call_on_reader(struct admin_call *call, admin_handler_fn fn);

/* The body's object, parsed. -1: it isn't one, and the error is answered already. An empty body is
 * an empty object. */
GW_MUSTUSE int admin_body(struct admin_call *call);

/* ---- the server ---- */

struct admin_server *admin_server_new(struct keeper *k);
/* Closes everything; no call may be pending or with a job thread any more. */
void admin_server_free(struct admin_server *s);
/* Reads from these listeners from now on and closes those before: borrowed from the generation. */
void admin_server_listen(struct admin_server *s, const struct child_listener *l, size_t n,
                         const struct conf *conf);

#endif
