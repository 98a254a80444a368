/*
 * objects.c: promises and records of new objects, look-ups, and the binding of requests to the
 * credential of what they name.
 */
#include "gatewayd/worker/objects.h"

#include "common/check.h"
#include "common/clock.h"
#include "common/log.h"

/* ---- what a provider makes ---- */

static void names_of(const struct req *r, const struct candidate *cand,
                     struct slice names[OBJECT_NAME_COUNT])
{
    memset(names, 0, OBJECT_NAME_COUNT * sizeof *names);
    names[OBJECT_KEY] = r->who.id;
    names[OBJECT_TEAM] = r->who.team;
    names[OBJECT_CUSTOMER] = r->who.customer;
    names[OBJECT_PROVIDER] = cand->target->provider->name;
    names[OBJECT_CREDENTIAL] = cand->credential->name;
    names[OBJECT_MODEL] = cand->model->name;
}

static bool has_room(const struct worker *w)
{
    return objects_room(&w->objects, w->owner.index) > w->objects_promised;
}

enum objects_promise objects_promise(struct req *r, const struct candidate *cand)
{
    struct slice names[OBJECT_NAME_COUNT];
    struct worker *w = r->w;
    size_t n = OBJECT_ID_MAX;
    names_of(r, cand, names);
    for (unsigned i = 0; i < OBJECT_NAME_COUNT; i++)
        n += names[i].n;
    if (n > OBJECT_TEXT_MAX)
        return OBJECTS_TOO_LONG;
    if (!has_room(w))
        return OBJECTS_FULL;
    w->objects_promised++;
    return OBJECTS_PROMISED;
}

void objects_unpromise(struct worker *w)
{
    GW_DCHECK(w->objects_promised > 0);
    w->objects_promised--;
}

static bool make_record(struct req *r, const struct candidate *cand, const struct object_seen *seen,
                        struct object_record *rec)
{
    struct slice names[OBJECT_NAME_COUNT];
    names_of(r, cand, names);
    names[OBJECT_ID] = seen->id;
    names[OBJECT_MODEL] = seen->model;
    if (object_record_init(rec, seen->kind, names) < 0)
        return false;
    rec->change = OBJECT_ADD;
    rec->created_us = r->started_wall_us;
    rec->expires_us = seen->expires_us;
    rec->url = seen->batch_url;
    if (seen->bound)
        memcpy(rec->usage, seen->bound, sizeof rec->usage);
    if (seen->billed_later)
        rec->state = OBJECT_OPEN;
    return true;
}

void objects_record(struct req *r, const struct candidate *cand, const struct object_seen *seen)
{
    struct object_record rec;
    objects_unpromise(r->w);
    if (!make_record(r, cand, seen, &rec)) {
        log_warn("an object's id is no id: it can't be put on record", LOG_S("id", r->id_text),
                 LOG_S("kind", object_kind_name(seen->kind)), LOG_U("bytes", seen->id.n));
        return;
    }
    if (!objects_publish(&r->w->objects, r->w->owner.index, &rec))
        log_error("no place in the outbox of objects although one was kept");
}

bool objects_reopen(struct req *r, const struct candidate *cand, const struct object_seen *seen)
{
    struct object_record rec;
    return has_room(r->w) && make_record(r, cand, seen, &rec) &&
           objects_publish(&r->w->objects, r->w->owner.index, &rec);
}

bool objects_record_output(struct worker *w, const struct object_record *parent, struct slice id,
                           bool errors)
{
    struct slice names[OBJECT_NAME_COUNT];
    struct object_record rec;
    for (unsigned i = 0; i < OBJECT_NAME_COUNT; i++)
        names[i] = object_name(parent, i);
    names[OBJECT_PARENT] = names[OBJECT_ID];
    names[OBJECT_ID] = id;
    if (object_record_init(&rec, OBJECT_FILE, names) < 0)
        return true; /* no id, or names without end: it can't be reached */
    rec.change = OBJECT_ADD;
    rec.created_us = clock_wall_us();
    rec.flags = errors ? OBJECT_F_ERRORS : 0;
    return has_room(w) && objects_publish(&w->objects, w->owner.index, &rec);
}

void objects_tell_estimate(struct worker *w, const struct object_record *known,
                           const int64_t usage[LEDGER_USAGE_MAX])
{
    struct object_record estimated = *known;
    estimated.flags |= OBJECT_F_ESTIMATED;
    objects_tell(w, &estimated, OBJECT_SETTLE, usage);
}

void objects_tell(struct worker *w, const struct object_record *known, enum object_change change,
                  const int64_t usage[LEDGER_USAGE_MAX])
{
    struct object_record rec = *known;
    rec.change = (uint8_t)change;
    if (usage)
        memcpy(rec.usage, usage, sizeof rec.usage);
    if (!has_room(w) || !objects_publish(&w->objects, w->owner.index, &rec))
        log_warn("the outbox of objects is full: a change of one is left out",
                 LOG_S("kind", object_kind_name(known->kind)));
}

/* ---- what is known ---- */

struct look {
    enum object_kind kind;
    struct object_owner owner;
    struct slice id;
    struct object_record *out;
    bool found, removed, settled;
};

static bool look_at(void *arg, const struct object_record *r)
{
    struct look *l = arg;
    struct object_owner owner;
    if (r->kind != l->kind || !slice_eq(object_name(r, OBJECT_ID), l->id))
        return true;
    object_record_owner(r, &owner);
    if (!object_owner_eq(&owner, &l->owner))
        return true;
    if (r->change == OBJECT_REMOVE) {
        l->removed = true;
        return false;
    }
    if (r->change == OBJECT_SETTLE) {
        l->settled = true;
        return true;
    }
    *l->out = *r;
    l->found = true;
    return true;
}

enum store_err objects_lookup(struct req *r, enum object_kind kind, struct slice id,
                              struct object_record *out)
{
    struct look l = {.kind = kind, .id = id, .out = out};
    object_owner_of(r->who.id, r->who.team, &l.owner);
    objects_each_pending(&r->w->objects, look_at, &l);
    if (l.removed)
        return STORE_NOTFOUND;
    enum store_err err =
        l.found ? STORE_OK : objects_find(r->w->state_reader, kind, &l.owner, id, out);
    if (err == STORE_OK && l.settled && out->state == OBJECT_OPEN)
        out->state = OBJECT_SETTLING;
    return err;
}

void objects_fail_store(struct req *r, enum store_err err)
{
    LOG_EVERY(1000000, LOG_LEVEL_ERROR, "look-up of an object failed",
              LOG_S("error", store_err_text(err)));
    req_fail(r, 503, "object_store_unavailable", "objects can't be looked up at the moment");
}

const struct conf_credential *objects_credential(const struct req *r, const struct object_record *o)
{
    const struct conf_provider *p =
        conf_provider_find(r->snap->conf, object_name(o, OBJECT_PROVIDER));
    for (uint32_t i = 0; p && i < p->n_credentials; i++)
        if (slice_eq(p->credentials[i]->name, object_name(o, OBJECT_CREDENTIAL)))
            return p->credentials[i];
    return NULL;
}

/* ---- binding ---- */

/* The words of the provider's own API for one that isn't there. */
static void fail_unknown(struct req *r, const struct dialect_ref *ref, struct slice id)
{
    r->param = ref->param;
    switch ((enum object_kind)ref->kind) {
    case OBJECT_RESPONSE:
        req_fail(r, 404, "previous_response_not_found",
                 "Previous response with id '%.*s' not found.", SLICE_FMT(id));
        break;
    default:
        req_fail(r, 404, "object_not_found", "There is no %s with the id '%.*s'.",
                 object_kind_name(ref->kind), SLICE_FMT(id));
        break;
    }
}

static bool ref_id(struct req *r, const struct dialect_ref *ref, struct slice body,
                   struct slice *id)
{
    *id = slice_of(body.p + ref->id.off + 1, ref->id.end - ref->id.off - 2);
    if (id->n > 0 && id->n <= OBJECT_ID_MAX && !memchr(id->p, '\\', id->n))
        return true;
    r->param = ref->param;
    req_fail(r, 400, "invalid_value", "'%s' is no id of an object.", ref->param);
    return false;
}

static bool is_native(const struct req *r, const struct candidate *c)
{
    return dialects_of_op(c->op) == r->route->dialect;
}

static bool any_native(const struct req *r)
{
    for (uint32_t i = 0; i < r->n_candidates; i++)
        if (is_native(r, &r->candidates[i]))
            return true;
    return false;
}

static void keep_candidates_of(struct req *r, const struct conf_credential *cred)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->n_candidates; i++)
        if (r->candidates[i].credential == cred && is_native(r, &r->candidates[i]))
            r->candidates[n++] = r->candidates[i];
    r->n_candidates = n;
}

static bool bind_one(struct req *r, const struct dialect_ref *ref, struct slice body)
{
    struct object_record o;
    struct slice id;
    if (!ref_id(r, ref, body, &id))
        return false;
    enum store_err err = objects_lookup(r, (enum object_kind)ref->kind, id, &o);
    if (err == STORE_NOTFOUND) {
        fail_unknown(r, ref, id);
        return false;
    }
    if (err != STORE_OK) {
        objects_fail_store(r, err);
        return false;
    }
    const struct conf_credential *cred = objects_credential(r, &o);
    r->param = ref->param;
    if (!cred) {
        req_fail(r, 404, "credential_gone",
                 "The %s '%.*s' can't be reached: the credential that made it is no longer "
                 "configured.",
                 object_kind_name(ref->kind), SLICE_FMT(id));
        return false;
    }
    keep_candidates_of(r, cred);
    if (r->n_candidates == 0) {
        req_fail(r, 400, "object_elsewhere",
                 "The %s '%.*s' is kept by a provider that doesn't serve this model, or by another "
                 "one than what else the request names.",
                 object_kind_name(ref->kind), SLICE_FMT(id));
        return false;
    }
    r->param = NULL;
    return true;
}

bool objects_bind(struct req *r, struct slice body)
{
    /* What is translated refuses by its own table what another provider keeps. */
    if (r->ask.n_refs == 0 || !any_native(r))
        return true;
    if (r->ask.n_refs > DIALECT_REFS_MAX) {
        r->param = r->ask.refs[0].param;
        req_fail(r, 400, "too_many_objects",
                 "The request names %u objects that a provider keeps; at most %d are taken.",
                 r->ask.n_refs, DIALECT_REFS_MAX);
        return false;
    }
    for (uint32_t i = 0; i < r->ask.n_refs; i++)
        if (!bind_one(r, &r->ask.refs[i], body))
            return false;
    return true;
}
