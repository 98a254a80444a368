/*
 * conf_build.c: entries to sections, sections to raw structures, and the frame around it all.
 *
 * Goes on behind every error. What is between sections is conf_resolve.c's part, and looked at only
 * when every section could be read, so that one wrong line doesn't make ten errors; else
 * conf_dangling.c still says which names nothing has.
 */
#include "common/conf_build.h"
#include "common/check.h"
#include "common/suggest.h"

#include <stdlib.h>

void build_error(struct build *b, const struct conf_entry *at, const char *fmt, ...)
{
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!at)
        conf_errors_add(b->errs, slice_of(NULL, 0), 0, "%s", text);
    else if (at->key.n)
        conf_errors_add(b->errs, at->file, at->line, "[%.*s] %.*s: %s", SLICE_FMT(at->section),
                        SLICE_FMT(at->key), text);
    else
        conf_errors_add(b->errs, at->file, at->line, "[%.*s]: %s", SLICE_FMT(at->section), text);
}

const struct conf_entry *build_entry(const struct build *b, const struct section *s,
                                     const char *key)
{
    for (uint32_t i = 0; s && i < s->n; i++)
        if (slice_eq_str(s->entries[i].key, key))
            return &s->entries[i];
    return s ? s->head : NULL;
}

struct section *build_singleton(const struct build *b, enum conf_section kind)
{
    for (uint32_t i = 0; i < b->n_sections; i++)
        if (b->sections[i].kind == kind)
            return &b->sections[i];
    return NULL;
}

/* ---- sections ---- */

static const size_t raw_bytes[CONF_N_SECTIONS] = {
    [CONF_SECTION_PROVIDER] = sizeof(struct raw_provider),
    [CONF_SECTION_CREDENTIAL] = sizeof(struct raw_credential),
    [CONF_SECTION_MODEL] = sizeof(struct raw_model),
    [CONF_SECTION_TEAM] = sizeof(struct raw_team),
    [CONF_SECTION_KEY] = sizeof(struct raw_key),
};

static void *section_target(struct build *b, enum conf_section kind)
{
    switch (kind) {
    case CONF_SECTION_GATEWAY:
        return &b->conf->gateway;
    case CONF_SECTION_ADMIN:
        return &b->conf->admin;
    case CONF_SECTION_HTTP:
        return &b->conf->http;
    case CONF_SECTION_TLS:
        return &b->conf->tls;
    case CONF_SECTION_LOG:
        return &b->conf->log;
    case CONF_SECTION_STORE:
        return &b->conf->store;
    default:
        return conf_alloc(b->scratch, raw_bytes[kind]);
    }
}

static struct slice directory_of(struct slice file)
{
    while (file.n && file.p[file.n - 1] != '/')
        file.n--;
    return file.n > 1 ? slice_of(file.p, file.n - 1) : slice_of(NULL, 0);
}

void build_defaults(struct build *b, enum conf_section kind, void *raw)
{
    size_t n;
    const struct conf_row *rows = conf_rows(&n);
    for (size_t i = 0; i < n; i++) {
        if (rows[i].section != kind || !rows[i].def)
            continue;
        struct conf_value v = {.row = &rows[i], .text = slice_str(rows[i].def)};
        GW_REQUIRE(conf_value_read(&v, b->arena, raw, NULL) == 0);
    }
    if (kind == CONF_SECTION_CREDENTIAL)
        ((struct raw_credential *)raw)->auth = -1;
}

/* `key =` with nothing behind it is the same as no such line where nothing is a possible value. */
static bool means_unset(const struct conf_row *row, const struct conf_entry *e)
{
    return e->value.n == 0 && !e->quoted &&
           (row->type == CONF_SECRET || row->type == CONF_PEM || row->type == CONF_URL);
}

static void visit_secret(struct arena *a, const struct conf_entry *e, conf_secret_fn fn, void *arg)
{
    enum conf_section kind;
    struct slice name, suffix;
    struct conf_secret secret = {0};
    if (!e->key.n || !conf_section_parse(e->section, &kind, &name))
        return;
    const struct conf_row *row = conf_row_find(kind, e->key, &suffix);
    if (!row || (row->type != CONF_SECRET && row->type != CONF_PEM) || means_unset(row, e))
        return;
    struct conf_row at_start = *row;
    at_start.offset = 0;
    struct conf_value v = {.row = &at_start,
                           .text = conf_dup(a, e->value),
                           .quoted = e->quoted,
                           .dir = directory_of(e->file)};
    if (conf_value_read(&v, a, &secret, NULL) == 0)
        fn(arg, e, secret.ref, row->type == CONF_PEM);
}

void conf_each_secret(const struct conf_entries *entries, conf_secret_fn fn, void *arg)
{
    struct arena a;
    arena_init(&a, NULL, 0, SIZE_MAX / 2);
    for (uint32_t i = 0; i < entries->n; i++)
        visit_secret(&a, &entries->v[i], fn, arg);
    arena_reset(&a);
}

static void unknown(struct build *b, const struct conf_entry *at, const char *what,
                    const struct suggest *near)
{
    if (near->best)
        build_error(b, at, "unknown %s; did you mean `%s`?", what, near->best);
    else
        build_error(b, at, "unknown %s; docs/configuration.md has them all", what);
}

static void unknown_key(struct build *b, const struct section *s, const struct conf_entry *e)
{
    struct suggest near;
    size_t n;
    const struct conf_row *rows = conf_rows(&n);
    suggest_init(&near, e->key);
    for (size_t i = 0; i < n; i++)
        if (rows[i].section == s->kind)
            suggest_try(&near, rows[i].name);
    unknown(b, e, "key", &near);
}

static void unknown_section(struct build *b, const struct conf_entry *head)
{
    struct slice rest = head->section, kind = slice_trim(slice_split(&rest, ':'));
    struct suggest near;
    suggest_init(&near, kind);
    for (int i = 0; i < CONF_N_SECTIONS; i++) {
        const struct conf_section_info *info = conf_section_info(i);
        if (slice_eq_str(kind, info->name)) {
            build_error(b, head,
                        info->named ? "`[%s]` needs a name: [%s:NAME]"
                                    : "`[%s]` takes no name: write [%s]",
                        info->name, info->name);
            return;
        }
        suggest_try(&near, info->name);
    }
    unknown(b, head, "section", &near);
}

static void read_entry(struct build *b, struct section *s, const struct conf_entry *e,
                       const struct conf_row **row)
{
    struct conf_value v = {.quoted = e->quoted, .dir = directory_of(e->file)};
    struct errbuf why;
    v.row = *row = conf_row_find(s->kind, e->key, &v.suffix);
    if (!v.row)
        unknown_key(b, s, e);
    else if (v.row->flags & CONF_LATER)
        build_error(b, e, "`%.*s` is not enforced by this version; remove it", SLICE_FMT(e->key));
    else if (v.suffix.n > CONF_NAME_MAX)
        build_error(b, e, "a name has at most %d bytes, this one %zu", CONF_NAME_MAX, v.suffix.n);
    else if (e->value.n > CONF_VALUE_MAX)
        build_error(b, e, "a value has at most %d bytes, this one %zu", CONF_VALUE_MAX, e->value.n);
    else if (!means_unset(v.row, e)) {
        v.text = conf_dup(b->arena, e->value);
        if (conf_value_read(&v, b->arena, s->raw, &why) < 0)
            build_error(b, e, "%s", why.msg);
    }
}

static void check_required(struct build *b, const struct section *s)
{
    size_t n;
    const struct conf_row *rows = conf_rows(&n);
    for (size_t i = 0; i < n; i++) {
        if (rows[i].section != s->kind || !(rows[i].flags & CONF_REQUIRED))
            continue;
        if (build_entry(b, s, rows[i].name) == s->head)
            build_error(b, s->head, "`%s` is missing", rows[i].name);
    }
}

static void read_section(struct build *b, struct section *s)
{
    struct conf_map seen;
    const struct conf_row *row;
    s->raw = section_target(b, s->kind);
    if (raw_bytes[s->kind])
        build_defaults(b, s->kind, s->raw);
    conf_map_init(&seen, b->scratch, s->n);
    for (uint32_t i = 0; i < s->n; i++) {
        const struct conf_entry *e = &s->entries[i];
        uint32_t other = conf_map_put(&seen, e->key, i);
        if (other == CONF_MAP_NONE)
            read_entry(b, s, e, &row);
        else
            build_error(b, e, "stands there twice; first at %.*s:%u",
                        SLICE_FMT(s->entries[other].file), s->entries[other].line);
    }
    check_required(b, s);
}

static void check_section_name(struct build *b, const struct section *s)
{
    static const char forbidden[] = " \t\n,/@=\"";
    bool model = s->kind == CONF_SECTION_MODEL;
    if (s->name.n > CONF_NAME_MAX)
        build_error(b, s->head, "a name has at most %d bytes, this one %zu", CONF_NAME_MAX,
                    s->name.n);
    for (size_t i = 0; i < s->name.n; i++) {
        char c = s->name.p[i];
        if (!strchr(forbidden, c) || (model && (c == '/' || c == '@')))
            continue;
        build_error(b, s->head, "a name can't hold %s",
                    c == ' ' || c == '\t' ? "a blank" : (char[]){'`', c, '`', '\0'});
        return;
    }
}

static void begin_section(struct build *b, const struct conf_entry *head, struct conf_map *seen)
{
    struct section s = {.head = head, .entries = head + 1};
    if (!conf_section_parse(head->section, &s.kind, &s.name)) {
        unknown_section(b, head);
        return;
    }
    const struct conf_section_info *info = conf_section_info(s.kind);
    if (info->later) {
        build_error(b, head, "`%s` sections are not enforced by this version; remove it",
                    info->name);
        return;
    }
    struct slice id = conf_printf(b->scratch, "%s:%.*s", info->name, SLICE_FMT(s.name));
    uint32_t other = conf_map_put(seen, id, b->n_sections);
    if (other != CONF_MAP_NONE) {
        const struct conf_entry *first = b->sections[other].head;
        build_error(b, head, "the section stands there twice; first at %.*s:%u",
                    SLICE_FMT(first->file), first->line);
        return;
    }
    if (info->named)
        check_section_name(b, &s);
    while (s.entries + s.n < b->entries->v + b->entries->n && s.entries[s.n].key.n)
        s.n++;
    s.name = conf_dup(b->arena, s.name);
    b->count[s.kind]++;
    b->sections[b->n_sections++] = s;
}

static void split_sections(struct build *b)
{
    struct conf_map seen;
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->entries->n; i++)
        n += b->entries->v[i].key.n == 0;
    conf_map_init(&seen, b->scratch, n);
    b->sections = conf_alloc(b->scratch, n * sizeof *b->sections);
    for (uint32_t i = 0; i < b->entries->n; i++) {
        const struct conf_entry *e = &b->entries->v[i];
        if (e->key.n == 0)
            begin_section(b, e, &seen);
    }
}

struct conf *conf_build(const struct conf_entries *entries, uint64_t generation,
                        struct conf_errors *errs)
{
    uint32_t before = errs->n;
    struct arena *arena = gw_xmalloc(sizeof *arena), scratch;
    arena_init(arena, NULL, 0, SIZE_MAX / 2);
    arena_init(&scratch, NULL, 0, SIZE_MAX / 2);
    struct build b = {.entries = entries,
                      .conf = conf_alloc(arena, sizeof *b.conf),
                      .arena = arena,
                      .scratch = &scratch,
                      .errs = errs};
    b.conf->arena = arena;
    b.conf->generation = generation;
    split_sections(&b);
    for (int kind = 0; kind < CONF_N_SECTIONS; kind++)
        if (!conf_section_info(kind)->named && !conf_section_info(kind)->later)
            build_defaults(&b, kind, section_target(&b, kind));
    for (uint32_t i = 0; i < b.n_sections; i++)
        read_section(&b, &b.sections[i]);
    if (errs->n == before)
        conf_resolve(&b);
    else
        conf_check_dangling(&b);
    arena_reset(&scratch);
    if (errs->n == before)
        return b.conf;
    conf_free(b.conf);
    return NULL;
}
