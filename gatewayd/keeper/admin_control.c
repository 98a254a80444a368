/*
 * admin_control.c: reload, drain, resume: requests to the master and the calls that wait for it.
 */
#include "gatewayd/keeper/admin.h"
#include "gatewayd/keeper/admin_commands.h"
#include "gatewayd/keeper/reloads.h"

#include "common/check.h"
#include "common/log.h"

#include <stdlib.h>

/* One request at the master. */
struct asked {
    struct list node;
    uint32_t id;
    enum ipc_verb verb;
    struct list calls;
};

struct reloads {
    struct keeper *keeper;
    uint32_t last_id;
    struct list asked;
    bool reload_runs;
    struct list waiting; /* calls for the next reload */
};

struct reloads *reloads_new(struct keeper *k)
{
    struct reloads *r = gw_xcalloc(1, sizeof(*r));
    r->keeper = k;
    list_init(&r->asked);
    list_init(&r->waiting);
    return r;
}

static void put_lines(struct json_writer *w, const char *name, const char *text)
{
    struct slice rest = slice_str(text);
    jw_key(w, slice_str(name));
    jw_array(w);
    while (rest.p) {
        struct slice line = slice_split(&rest, '\n');
        if (line.n)
            jw_str(w, line);
    }
    jw_array_end(w);
}

static void answer(struct admin_call *call, enum ipc_verb verb, bool ok, const char *text)
{
    struct json_writer *w = admin_json(call);
    uint64_t generation = call->keeper->running->conf->generation;
    bool unchanged = ok && text && slice_starts_with(slice_str(text), SLICE_LIT("unchanged"));
    jw_member_str(w, "outcome", slice_str(!ok ? "refused" : unchanged ? "unchanged" : "done"));
    jw_member_u64(w, "generation", generation);
    put_lines(w,
              !ok                                     ? "errors"
              : verb == IPC_VERB_RELOAD && !unchanged ? "diff"
                                                      : "notes",
              text ? text : "");
    if (!ok) {
        jw_member_object(w, "error");
        jw_member_str(w, "code", SLICE_LIT("refused"));
        jw_member_str(w, "message",
                      slice_str(verb == IPC_VERB_RELOAD
                                    ? "the configuration was not taken; the one before stays active"
                                    : "the master refused"));
        jw_object_end(w);
        call->report.status = 409;
    }
    log_info("admin command", LOG_S("who", call->who), LOG_S("what", ipc_verb_name(verb)),
             LOG_B("ok", ok), LOG_U("generation", generation));
    admin_call_done(call);
}

static void answer_all(struct list *calls, enum ipc_verb verb, bool ok, const char *text)
{
    while (!list_empty(calls)) {
        struct admin_call *call = list_entry(calls->next, struct admin_call, node);
        list_del(&call->node);
        answer(call, verb, ok, text);
    }
}

static void move_all(struct list *to, struct list *from)
{
    while (!list_empty(from)) {
        struct list *node = from->next;
        list_del(node);
        list_append(to, node);
    }
}

static void send_request(struct reloads *r, enum ipc_verb verb, struct list *calls)
{
    struct asked *a = gw_xcalloc(1, sizeof(*a));
    a->id = ++r->last_id;
    a->verb = verb;
    list_init(&a->calls);
    move_all(&a->calls, calls);
    if (child_request(r->keeper->child, a->id, verb, 0) < 0) {
        answer_all(&a->calls, verb, false, "the master does not take requests");
        free(a);
        return;
    }
    list_append(&r->asked, &a->node);
    if (verb == IPC_VERB_RELOAD)
        r->reload_runs = true;
}

void reloads_ask(struct reloads *r, enum ipc_verb verb, struct admin_call *call)
{
    struct list one;
    call->pending = true;
    if (verb == IPC_VERB_RELOAD && r->reload_runs) {
        list_append(&r->waiting, &call->node);
        return;
    }
    list_init(&one);
    list_append(&one, &call->node);
    send_request(r, verb, &one);
}

void reloads_result(struct reloads *r, uint32_t id, bool ok, const char *text)
{
    list_foreach(it, &r->asked)
    {
        struct asked *a = list_entry(it, struct asked, node);
        if (a->id != id)
            continue;
        list_del(&a->node);
        if (a->verb == IPC_VERB_RELOAD) {
            r->reload_runs = false;
            if (!list_empty(&r->waiting))
                send_request(r, IPC_VERB_RELOAD, &r->waiting);
        }
        answer_all(&a->calls, a->verb, ok, text);
        free(a);
        return;
    }
}

void reloads_free(struct reloads *r)
{
    if (!r)
        return;
    static const char why[] = "the daemon is stopping";
    answer_all(&r->waiting, IPC_VERB_RELOAD, false, why);
    list_foreach(it, &r->asked)
    {
        struct asked *a = list_entry(it, struct asked, node);
        answer_all(&a->calls, a->verb, false, why);
        free(a);
    }
    free(r);
}

void admin_reload(struct admin_call *call)
{
    reloads_ask(call->keeper->reloads, IPC_VERB_RELOAD, call);
}

void admin_drain(struct admin_call *call)
{
    reloads_ask(call->keeper->reloads, IPC_VERB_DRAIN, call);
}

void admin_resume(struct admin_call *call)
{
    reloads_ask(call->keeper->reloads, IPC_VERB_RESUME, call);
}
