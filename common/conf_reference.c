/*
 * conf_reference.c: reference page, sample, and the settings in force.
 */
#include "common/conf_reference.h"
#include "common/conf_value.h"

#include <stdarg.h>
#include <stdio.h>

struct page {
    struct buf *out;
    int rc;
};

static void put(struct page *p, const char *fmt, ...) GW_PRINTF(2, 3);
static void put(struct page *p, const char *fmt, ...)
{
    char text[4096];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof text || buf_append(p->out, text, (size_t)n) < 0)
        p->rc = -1;
}

/* ---- the page ---- */

static const char page_head[] =
    "# Configuration\n"
    "\n"
    "<!-- Written by tests/unit/test_conf_reference from common/conf_keys.c; change it there. -->\n"
    "\n"
    "gatewayd reads one INI file: `gatewayd -c FILE`. `gatewayd -t -c FILE` checks it, secrets "
    "and\n"
    "certificates included, and starts nothing; `gwctl config check FILE` checks the text alone.\n"
    "`gwctl reload` and SIGHUP read it again: the new configuration takes over when every process\n"
    "has built it, and if one can't, everything stays as it was and you are told why. Every error\n"
    "is shown, with file and line.\n"
    "\n"
    "## The file\n"
    "\n"
    "```ini\n"
    "; a comment, also behind a value and a blank\n"
    "[section]\n"
    "key  = value ; the key starts in the first column\n"
    "list = one, two,\n"
    "    three        ; an indented line goes on with the value above it\n"
    "text = \"blanks at the ends ; and semicolons \" ; inside: \\\" \\\\ \\n \\t\n"
    "```\n"
    "\n"
    "Names have up to 255 bytes of UTF-8 and may hold what model ids hold (`:`, `.`, `-`); values\n"
    "have up to 64 KiB. What is longer is an error, never cut. Unknown sections and keys, keys "
    "and\n"
    "sections that stand there twice, and names of what doesn't exist are errors.\n"
    "\n"
    "| value | written as |\n"
    "|---|---|\n"
    "| size | a whole number and B, KiB, MiB, GiB, TiB or KB, MB, GB, TB: `64MiB` |\n"
    "| duration | a whole number and us, ms, s, m, h or d: `90s` |\n"
    "| path | absolute, or relative to the directory of the file it stands in |\n"
    "| secret reference | `env:NAME`, `file:/PATH` (mode 0600 or stricter), `credential:NAME` "
    "(systemd's LoadCredential), `exec:/PATH` |\n"
    "| list | separated by commas |\n"
    "\n"
    "`exec:` runs a program and takes what it prints. There is no shell and there are no "
    "arguments;\n"
    "the environment holds PATH alone, input and stderr are /dev/null; it has 10 seconds and must\n"
    "end with status 0. `file:` and `exec:` are read again on every reload. `env:` and "
    "`credential:`\n"
    "can't change while the daemon runs.\n"
    "\n"
    "Keys marked *restart* can't change while the daemon runs; a reload that changes one is "
    "refused\n"
    "and names it.\n";

static void put_flags(struct page *p, const struct conf_row *r)
{
    char lo[CONF_NUMBER_BYTES], hi[CONF_NUMBER_BYTES];
    put(p, "%s", conf_type_text(r->type));
    if (r->words) {
        const char *glue = ": ";
        for (const struct conf_word *w = r->words; w->name; w++) {
            if (w->value >= 0) {
                put(p, "%s`%s`", glue, w->name);
                glue = ", ";
            }
        }
    }
    if (r->max)
        put(p, ", %s to %s", conf_format_number(r->type, r->min, lo),
            conf_format_number(r->type, r->max, hi));
    if (r->flags & CONF_REQUIRED)
        put(p, ", required");
    if (r->flags & CONF_RESTART)
        put(p, ", *restart*");
}

static void put_default(struct page *p, const struct conf_row *r)
{
    if (r->def_doc)
        put(p, "%s", r->def_doc);
    else if (r->def)
        put(p, "`%s`", r->def);
}

static void put_section(struct page *p, enum conf_section s)
{
    size_t n;
    const struct conf_row *rows = conf_rows(&n);
    const struct conf_section_info *info = conf_section_info(s);
    put(p, "\n## [%s%s]\n\n%s\n\n", info->name, info->named ? ":NAME" : "", info->doc);
    put(p, "| key | value | default | |\n|---|---|---|---|\n");
    for (size_t i = 0; i < n; i++) {
        if (rows[i].section != s || (rows[i].flags & CONF_LATER))
            continue;
        put(p, "| `%s` | ", rows[i].name);
        put_flags(p, &rows[i]);
        put(p, " | ");
        put_default(p, &rows[i]);
        put(p, " | %s |\n", rows[i].doc);
    }
}

static const char *auth_text(const struct provider_kind *k)
{
    if (provider_needs_secret(k))
        return "needed";
    return k->auth == PROVIDER_AUTH_BEARER_OPTIONAL ? "optional" : "none";
}

static void put_kinds(struct page *p)
{
    size_t n;
    const struct provider_kind *k = provider_kinds(&n);
    put(p, "\n## Kinds of providers\n\n| kind | | base_url | secret |\n|---|---|---|---|\n");
    for (size_t i = 0; i < n; i++) {
        put(p, "| `%s` | %s | ", k[i].name, k[i].title);
        if (k[i].base_url)
            put(p, "`%s`", k[i].base_url);
        else
            put(p, "must be given");
        put(p, " | %s |\n", auth_text(&k[i]));
    }
}

/* Names that are refused, so that nobody trusts a limit that isn't held. */
static void put_later(struct page *p)
{
    size_t n;
    const struct conf_row *rows = conf_rows(&n);
    put(p, "\n## Not in this version\n\n"
           "These are known and refused wherever they appear, so that nobody relies on a limit\n"
           "that isn't held:\n\n");
    for (int s = 0; s < CONF_N_SECTIONS; s++) {
        const struct conf_section_info *info = conf_section_info(s);
        const char *glue = "";
        if (info->later)
            put(p, "- `[%s%s]`", info->name, info->named ? ":NAME" : "");
        for (size_t i = 0; i < n; i++) {
            if (rows[i].section != (enum conf_section)s)
                continue;
            for (const struct conf_word *w = rows[i].words; w && w->name; w++) {
                if (w->value >= 0)
                    continue;
                put(p, *glue ? "%s`%s = %s`" : "- `[%s]`: `%s = %s`", *glue ? glue : info->name,
                    rows[i].name, w->name);
                glue = ", ";
            }
            if (!(rows[i].flags & CONF_LATER))
                continue;
            put(p, *glue ? "%s`%s`" : "- `[%s]`: `%s`", *glue ? glue : info->name, rows[i].name);
            glue = ", ";
        }
        if (info->later || *glue)
            put(p, "\n");
    }
}

int conf_write_reference(struct buf *out)
{
    struct page p = {out, 0};
    put(&p, "%s", page_head);
    for (int s = 0; s < CONF_N_SECTIONS; s++)
        if (!conf_section_info(s)->later)
            put_section(&p, (enum conf_section)s);
    put_kinds(&p);
    put_later(&p);
    return p.rc;
}

/* ---- the sample ---- */

enum { SAMPLE_COLUMNS = 98 };

/* Comment lines of at most SAMPLE_COLUMNS, broken at blanks; Markdown's backquotes stay. */
static void put_comment(struct page *p, const char *text)
{
    struct slice rest = slice_str(text);
    while (rest.n) {
        size_t n = rest.n;
        if (n > SAMPLE_COLUMNS) {
            n = SAMPLE_COLUMNS;
            while (n && rest.p[n] != ' ')
                n--;
            n = n ? n : (size_t)SAMPLE_COLUMNS;
        }
        put(p, "; %.*s\n", (int)n, rest.p);
        rest = slice_trim(slice_of(rest.p + n, rest.n - n));
    }
}

static void put_sample_row(struct page *p, const struct conf_row *r)
{
    put(p, "\n");
    put_comment(p, r->doc);
    if (r->flags & CONF_FAMILY)
        put(p, ";%s\n", r->example);
    else
        put(p, "%s%s = %s\n", r->flags & CONF_SAMPLED ? "" : ";", r->name,
            r->def ? r->def : r->example);
}

int conf_write_sample(struct buf *out)
{
    struct page p = {out, 0};
    size_t n;
    const struct conf_row *rows = conf_rows(&n);
    put(&p, "; The configuration of gatewayd, every setting with its default or an example.\n"
            "; All settings but `include` are comments: as it stands, this file means the "
            "defaults.\n"
            "; Check with `gatewayd -t -c FILE`, take over with `gwctl reload`.\n"
            "; docs/configuration.md says more.\n");
    for (int s = 0; s < CONF_N_SECTIONS; s++) {
        const struct conf_section_info *info = conf_section_info(s);
        if (info->later)
            continue;
        put(&p, "\n\n");
        put_comment(&p, info->doc);
        put(&p, info->named ? ";[%s:NAME]\n" : "[%s]\n", info->name);
        for (size_t i = 0; i < n; i++)
            if (rows[i].section == (enum conf_section)s && !(rows[i].flags & CONF_LATER))
                put_sample_row(&p, &rows[i]);
    }
    return p.rc;
}

/* ---- what is in force ---- */

struct walk {
    const struct conf_entries *entries;
    void (*fn)(void *arg, const struct conf_setting *s);
    void *arg;
};

/* Position behind the entries of the section whose head stands at `head`. */
static uint32_t section_end(const struct conf_entries *list, uint32_t head)
{
    uint32_t i = head + 1;
    while (i < list->n && list->v[i].key.n)
        i++;
    return i;
}

static bool has_key(const struct walk *w, uint32_t from, uint32_t to, const char *name)
{
    for (uint32_t i = from; i < to; i++)
        if (slice_eq_str(w->entries->v[i].key, name))
            return true;
    return false;
}

static void walk_section(const struct walk *w, struct slice title, enum conf_section kind,
                         uint32_t from, uint32_t to)
{
    size_t n;
    const struct conf_row *rows = conf_rows(&n);
    for (uint32_t i = from; i < to; i++) {
        const struct conf_entry *e = &w->entries->v[i];
        struct slice suffix;
        struct conf_setting s = {.section = title, .key = e->key, .value = e->value, .entry = e};
        s.row = conf_row_find(kind, e->key, &suffix);
        if (s.row)
            w->fn(w->arg, &s);
    }
    for (size_t i = 0; i < n; i++) {
        struct conf_setting s = {.section = title,
                                 .key = slice_str(rows[i].name),
                                 .value = slice_str(rows[i].def),
                                 .row = &rows[i]};
        if (rows[i].section == kind && rows[i].def && !has_key(w, from, to, rows[i].name))
            w->fn(w->arg, &s);
    }
}

static bool find_section(const struct conf_entries *list, enum conf_section kind, uint32_t *head)
{
    for (uint32_t i = 0; i < list->n; i++) {
        if (list->v[i].key.n || !slice_eq_str(list->v[i].section, conf_section_info(kind)->name))
            continue;
        *head = i;
        return true;
    }
    return false;
}

void conf_each_setting(const struct conf_entries *entries,
                       void (*fn)(void *arg, const struct conf_setting *s), void *arg)
{
    struct walk w = {entries, fn, arg};
    for (int k = 0; k < CONF_N_SECTIONS; k++) {
        const struct conf_section_info *info = conf_section_info(k);
        uint32_t head;
        if (info->named || info->later)
            continue;
        bool found = find_section(entries, (enum conf_section)k, &head);
        walk_section(&w, slice_str(info->name), (enum conf_section)k, found ? head + 1 : 0,
                     found ? section_end(entries, head) : 0);
    }
    for (uint32_t i = 0; i < entries->n; i++) {
        enum conf_section kind;
        struct slice name;
        if (entries->v[i].key.n || !conf_section_parse(entries->v[i].section, &kind, &name) ||
            !conf_section_info(kind)->named)
            continue;
        walk_section(&w, entries->v[i].section, kind, i + 1, section_end(entries, i));
    }
}
