/*
 * edit.c: configured changes of a body, as splices.
 *
 * Edits are sorted by path, so those beneath one object stand together, and one walk down serves
 * them all. A new member is put first in its object.
 */
#include "gatewayd/dialect/edit.h"

#include <assert.h>
#include <stdlib.h>

/* One piece of work: edits [from, to) all begin with the same `depth` parts, which lead here. */
struct group {
    const struct edit *from, *to;
    unsigned depth;
};

static struct slice path_part(struct slice path, unsigned depth)
{
    struct slice part = {NULL, 0};
    for (unsigned i = 0; i <= depth && path.p; i++)
        part = slice_split(&path, '.');
    return part;
}

static unsigned path_parts(struct slice path)
{
    unsigned n = 0;
    for (; path.p; n++)
        slice_split(&path, '.');
    return n;
}

static bool is_leaf(const struct group *g)
{
    return path_parts(g->from->path) == g->depth;
}

/* The edits of g that share the next part with *at; moves *at behind them. */
static struct group next_group(const struct group *g, const struct edit **at)
{
    struct group sub = {.from = *at, .depth = g->depth + 1};
    struct slice part = path_part((*at)->path, g->depth);
    while (*at < g->to && slice_eq(path_part((*at)->path, g->depth), part))
        ++*at;
    sub.to = *at;
    return sub;
}

static bool group_creates(const struct group *g)
{
    for (const struct edit *e = g->from; e < g->to; e++)
        if (e->kind != EDIT_DROP)
            return true;
    return false;
}

static bool group_sets(const struct group *g)
{
    for (const struct edit *e = g->from; e < g->to; e++)
        if (e->kind == EDIT_SET)
            return true;
    return false;
}

/* The value that a group makes where there is none: the leaf's, or an object around its parts.
 * Paths can't hold what needs an escape (edits_prepare). Recursion is EDIT_PATH_PARTS_MAX deep. */
static void write_group(struct json_writer *w, const struct group *g, bool sets_only)
{
    if (is_leaf(g)) {
        jw_raw(w, g->from->json);
        return;
    }
    jw_object(w);
    for (const struct edit *at = g->from; at < g->to;) {
        struct group sub = next_group(g, &at);
        if (sets_only ? !group_sets(&sub) : !group_creates(&sub))
            continue;
        jw_key_plain(w, path_part(sub.from->path, g->depth));
        write_group(w, &sub, sets_only);
    }
    jw_object_end(w);
}

static int end_written(struct splices *out, struct json_writer *w, uint32_t off, uint32_t cut)
{
    size_t n;
    if (jw_finish(w, &n) < 0)
        return -1;
    struct slice made = slice_of(w->base, n);
    out->scratch_used += (uint32_t)n;
    return splices_add(out, off, cut, made);
}

static struct json_writer begin_written(struct splices *out)
{
    struct json_writer w;
    jw_init_fixed(&w, out->scratch + out->scratch_used, sizeof out->scratch - out->scratch_used);
    return w;
}

static int replace_value(const struct json_doc *d, uint32_t v, const struct group *g,
                         struct splices *out)
{
    struct json_writer w = begin_written(out);
    uint32_t off = d->toks[v].off, cut = d->toks[v].end - off;
    if (is_leaf(g)) /* the value may be large: borrow it */
        return splices_add(out, off, cut, g->from->json);
    write_group(&w, g, true);
    return end_written(out, &w, off, cut);
}

/* Puts a member first. `follows`: another comes behind it. */
static int insert_member(const struct json_doc *d, uint32_t object, const struct group *g,
                         bool follows, struct splices *out)
{
    uint32_t off = d->toks[object].off + 1;
    struct json_writer w = begin_written(out);
    jw_key_plain(&w, path_part(g->from->path, g->depth - 1));
    if (is_leaf(g)) {
        if (end_written(out, &w, off, 0) < 0 || splices_add(out, off, 0, g->from->json) < 0)
            return -1;
    } else {
        write_group(&w, g, false);
        if (end_written(out, &w, off, 0) < 0)
            return -1;
    }
    return follows ? splices_add(out, off, 0, SLICE_LIT(",")) : 0;
}

/* Cuts member k of an object. Behind a member that stays, a cut takes the comma before it; before
 * the first one that stays, the comma behind it: so neighbouring cuts meet and never overlap.
 * `previous_end`: end of the member before k; 0 if none that stays is before it. */
static int cut_member(const struct json_doc *d, uint32_t k, uint32_t k_end, uint32_t previous_end,
                      struct splices *out)
{
    uint32_t from = previous_end ? previous_end : d->toks[k].off;
    uint32_t to = d->toks[k + 1].end, next = d->toks[k + 1].next;
    if (!previous_end && next < k_end)
        to = d->toks[next].off;
    return splices_add(out, from, to - from, slice_of(NULL, 0));
}

int edit_cut_members(const struct json_doc *d, uint32_t object, struct slice name,
                     struct splices *out)
{
    bool kept = false;
    uint32_t previous_end = 0;
    json_foreach_member(d, object, k)
    {
        if (!json_str_eq(d, k, name))
            kept = true;
        else if (cut_member(d, k, k_end, kept ? previous_end : 0, out) < 0)
            return -1;
        previous_end = d->toks[k + 1].end;
    }
    return 0;
}

/* One level of the walk: the groups beneath an object, and which of them have met a member. */
struct level {
    struct group subs[EDITS_MAX];
    unsigned n;
    uint64_t seen;
    bool kept; /* some member stays */
};
static_assert(EDITS_MAX <= 64, "struct level has a bit for each group");

static void init_level(struct level *l, const struct group *g)
{
    l->n = 0;
    l->seen = 0;
    l->kept = false;
    for (const struct edit *at = g->from; at < g->to;)
        l->subs[l->n++] = next_group(g, &at);
}

static int find_sub(const struct level *l, const struct json_doc *d, uint32_t key)
{
    for (unsigned i = 0; i < l->n; i++)
        if (json_str_eq(d, key, path_part(l->subs[i].from->path, l->subs[i].depth - 1)))
            return (int)i;
    return -1;
}

static int apply_group(const struct json_doc *d, uint32_t object, const struct group *g,
                       struct splices *out);

static int change_value(const struct json_doc *d, uint32_t v, const struct group *g,
                        struct splices *out)
{
    if (!is_leaf(g) && json_type(d, v) == JSON_OBJECT)
        return apply_group(d, v, g, out);
    return group_sets(g) ? replace_value(d, v, g, out) : 0;
}

/* Whether a member goes: it is to be dropped, or an earlier one of its name was set. */
static bool member_goes(const struct group *g, bool again)
{
    return (is_leaf(g) && g->from->kind == EDIT_DROP) || (again && group_sets(g));
}

static int change_members(const struct json_doc *d, uint32_t object, struct level *l,
                          struct splices *out)
{
    uint32_t previous_end = 0;
    json_foreach_member(d, object, k)
    {
        int i = find_sub(l, d, k);
        bool again = i >= 0 && (l->seen >> i & 1);
        int rc = 0;
        if (i >= 0 && member_goes(&l->subs[i], again)) {
            rc = cut_member(d, k, k_end, l->kept ? previous_end : 0, out);
        } else {
            l->kept = true;
            if (i >= 0)
                rc = change_value(d, k + 1, &l->subs[i], out);
        }
        if (rc < 0)
            return -1;
        if (i >= 0)
            l->seen |= UINT64_C(1) << i;
        previous_end = d->toks[k + 1].end;
    }
    return 0;
}

static int apply_group(const struct json_doc *d, uint32_t object, const struct group *g,
                       struct splices *out)
{
    struct level l;
    init_level(&l, g);
    if (change_members(d, object, &l, out) < 0)
        return -1;
    uint64_t missing = 0;
    for (unsigned i = 0; i < l.n; i++)
        if (!(l.seen >> i & 1) && group_creates(&l.subs[i]))
            missing |= UINT64_C(1) << i;
    while (missing) {
        const struct group *sub = &l.subs[__builtin_ctzll(missing)];
        missing &= missing - 1;
        if (insert_member(d, object, sub, l.kept || missing, out) < 0)
            return -1;
    }
    return 0;
}

int edits_apply(const struct edit *edits, size_t n, const struct json_doc *body,
                struct splices *out)
{
    struct group all = {.from = edits, .to = edits + n};
    splices_reset(out);
    if (n > EDITS_MAX || json_type(body, JSON_ROOT) != JSON_OBJECT)
        return -1;
    return apply_group(body, JSON_ROOT, &all, out);
}

static int by_path(const void *a, const void *b)
{
    const struct edit *x = a, *y = b;
    struct slice xs = x->path, ys = y->path;
    while (xs.p && ys.p) {
        struct slice p = slice_split(&xs, '.'), q = slice_split(&ys, '.');
        int order = memcmp(p.p, q.p, GW_MIN(p.n, q.n));
        if (order || p.n != q.n)
            return order ? order : (p.n > q.n) - (p.n < q.n);
    }
    return (xs.p != NULL) - (ys.p != NULL);
}

static bool is_name_byte(char c)
{
    return c > ' ' && c < 0x7f && c != '"' && c != '\\';
}

static int check_path(struct slice path, struct errbuf *e)
{
    static const char *const owned[] = {"model", "stream", "stream_options"};
    struct slice rest = path, first = path_part(path, 0);
    if (path_parts(path) > EDIT_PATH_PARTS_MAX)
        return err_set(e, "member path \"%.*s\" has more than %d parts", SLICE_FMT(path),
                       EDIT_PATH_PARTS_MAX);
    if (!path.p || path.n == 0)
        return err_set(e, "empty member path");
    while (rest.p) {
        struct slice part = slice_split(&rest, '.');
        bool good = part.n > 0;
        for (size_t i = 0; i < part.n; i++)
            good = good && is_name_byte(part.p[i]);
        if (!good)
            return err_set(e,
                           "member path \"%.*s\": every part must be of visible ASCII without "
                           "quote or backslash",
                           SLICE_FMT(path));
    }
    for (size_t i = 0; i < ARRAY_LEN(owned); i++)
        if (slice_eq_str(first, owned[i]))
            return err_set(e, "\"%s\" is set by the gateway itself and can't be changed here",
                           owned[i]);
    return 0;
}

static int check_value(const struct edit *edit, struct errbuf *e)
{
    struct json_doc d;
    struct errbuf why;
    int rc = 0;
    if (edit->kind == EDIT_DROP)
        return 0;
    json_doc_init(&d, JSON_MAX_TOKENS);
    if (json_parse(&d, edit->json.p, edit->json.n) < 0) {
        json_parse_error(&d, &why);
        rc = err_set(e, "the value of \"%.*s\" is not JSON: %s", SLICE_FMT(edit->path), why.msg);
    }
    json_doc_release(&d);
    return rc;
}

/* Whether path b is a or lies beneath it. */
static bool path_covers(struct slice a, struct slice b)
{
    return slice_starts_with(b, a) && (b.n == a.n || b.p[a.n] == '.');
}

/* More scratch than an edit can take: its names with quotes, colon and braces, and its value, which
 * is copied where it stands inside an object made for it. */
static size_t scratch_needed(const struct edit *edit)
{
    enum { AROUND_A_NAME = 6 };
    size_t names = edit->path.n + AROUND_A_NAME * path_parts(edit->path);
    return names + (path_parts(edit->path) > 1 ? edit->json.n : 0);
}

int edits_prepare(struct edit *edits, size_t n, struct errbuf *e)
{
    size_t scratch = 0;
    if (n > EDITS_MAX)
        return err_set(e, "%zu changes of the body; at most %d are possible", n, EDITS_MAX);
    for (size_t i = 0; i < n; i++) {
        if (check_path(edits[i].path, e) < 0 || check_value(&edits[i], e) < 0)
            return -1;
        scratch += scratch_needed(&edits[i]);
    }
    if (scratch > SPLICES_SCRATCH_BYTES)
        return err_set(e,
                       "the changes of the body need %zu bytes; at most %d are possible (give a "
                       "large value to a member of the body itself)",
                       scratch, SPLICES_SCRATCH_BYTES);
    if (n)
        qsort(edits, n, sizeof *edits, by_path);
    for (size_t i = 1; i < n; i++)
        if (path_covers(edits[i - 1].path, edits[i].path))
            return err_set(e, "\"%.*s\" and \"%.*s\" change the same member",
                           SLICE_FMT(edits[i - 1].path), SLICE_FMT(edits[i].path));
    return 0;
}

int edit_value_json(struct slice value, struct buf *out)
{
    struct json_doc d;
    struct json_writer w;
    size_t n;
    json_doc_init(&d, 1);
    bool bare = json_parse(&d, value.p, value.n) == 0 && json_type(&d, JSON_ROOT) < JSON_STRING;
    jw_init_buf(&w, out);
    if (bare)
        jw_raw(&w, json_raw(&d, JSON_ROOT));
    else
        jw_str(&w, value);
    json_doc_release(&d);
    return jw_finish(&w, &n);
}
