/*
 * table.c: tables, CSV, fields.
 */
#include "gwctl/table.h"

#include "common/check.h"
#include "common/when.h"

#include <stdlib.h>
#include <string.h>

enum { CELL_MAX = 64 * 1024, GAP = 2 };

static void put(struct buf *b, const char *p, size_t n)
{
    GW_REQUIRE(buf_append(b, p, n) == 0 || b->max_bytes - b->len < n);
}

void table_text(const struct json_doc *d, uint32_t v, struct buf *out)
{
    size_t n = json_str_bytes(d, v);
    char *p = gw_xmalloc(n + 1);
    if (json_str_decode(d, v, p, n, &n) == 0) {
        for (size_t i = 0; i < n; i++)
            if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f)
                p[i] = '?';
        put(out, p, n);
    }
    free(p);
}

static uint32_t member(const struct json_doc *d, uint32_t row, const char *path)
{
    struct slice rest = slice_str(path);
    while (rest.p)
        row = json_get(d, row, slice_split(&rest, '.'));
    return row;
}

static void format_bytes(int64_t v, struct buf *out)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t u = 0;
    int64_t whole = v, tenths = 0;
    for (; whole >= 1024 && u + 1 < ARRAY_LEN(units); u++) {
        tenths = whole % 1024 * 10 / 1024;
        whole /= 1024;
    }
    char text[48];
    int n = u && whole < 10 ? snprintf(text, sizeof(text), "%lld.%lld %s", (long long)whole,
                                       (long long)tenths, units[u])
                            : snprintf(text, sizeof(text), "%lld %s", (long long)whole, units[u]);
    put(out, text, (size_t)n);
}

/* Exact: nine decimals without the zeros at their end, two at least. */
/* What has no price costs something, which nobody can say. */
static bool is_unpriced(const struct json_doc *d, uint32_t row)
{
    int64_t n;
    json_foreach_element(d, json_get_lit(d, row, "flags"), flag)
    {
        if (json_str_eq_lit(d, flag, "unpriced"))
            return true;
    }
    return json_i64(d, json_get_lit(d, row, "unpriced"), &n) == 0 && n > 0;
}

static void format_money(int64_t nusd, struct buf *out)
{
    char text[48];
    uint64_t v = nusd < 0 ? 0 - (uint64_t)nusd : (uint64_t)nusd;
    int n = snprintf(text, sizeof(text), "%s$%llu.%09llu", nusd < 0 ? "-" : "",
                     (unsigned long long)(v / 1000000000), (unsigned long long)(v % 1000000000));
    int end = n;
    while (text[end - 1] == '0' && end > n - 7)
        end--;
    put(out, text, (size_t)end);
}

static void format_list(const struct json_doc *d, uint32_t v, struct buf *out)
{
    bool first = true;
    json_foreach_element(d, v, e)
    {
        if (!first)
            put(out, ",", 1);
        first = false;
        table_text(d, e, out);
    }
}

static void format_number(const struct json_doc *d, uint32_t v, enum column_kind kind,
                          struct buf *out)
{
    int64_t n;
    char text[WHEN_DURATION_BYTES];
    if (json_i64(d, v, &n) < 0) {
        put(out, json_raw(d, v).p, json_raw(d, v).n);
        return;
    }
    switch (kind) {
    case COLUMN_BYTES:
        format_bytes(n, out);
        break;
    case COLUMN_DURATION:
        when_format_duration(n, text);
        put(out, text, strlen(text));
        break;
    case COLUMN_MONEY:
        format_money(n, out);
        break;
    default:
        put(out, json_raw(d, v).p, json_raw(d, v).n);
    }
}

static void format_least_cost(const struct json_doc *d, uint32_t v, struct buf *out)
{
    int64_t known;
    if (json_i64(d, v, &known) == 0 && known == 0) {
        put(out, "unknown", strlen("unknown"));
        return;
    }
    put(out, ">", 1);
    format_number(d, v, COLUMN_MONEY, out);
}

/* "2026-01-31T23:59:59.123456Z" as "2026-01-31 23:59:59Z". */
static void format_time(const struct json_doc *d, uint32_t v, struct buf *out)
{
    size_t at = out->len;
    table_text(d, v, out);
    if (out->len - at < 20)
        return;
    out->data[at + 10] = ' ';
    out->data[at + 19] = 'Z';
    out->len = at + 20;
}

void table_format(const struct json_doc *d, uint32_t row, const struct column *c, struct buf *out)
{
    uint32_t v = member(d, row, c->member);
    size_t at = out->len;
    switch (json_type(d, v)) {
    case JSON_STRING:
        if (c->kind == COLUMN_TIME)
            format_time(d, v, out);
        else
            table_text(d, v, out);
        break;
    case JSON_NUMBER:
        if (c->kind == COLUMN_MONEY && is_unpriced(d, row))
            format_least_cost(d, v, out);
        else
            format_number(d, v, c->kind, out);
        break;
    case JSON_TRUE:
        put(out, "yes", 3);
        break;
    case JSON_FALSE:
        if (c->kind != COLUMN_BOOL)
            put(out, "no", 2);
        break;
    case JSON_ARRAY:
        format_list(d, v, out);
        break;
    case JSON_OBJECT:
        put(out, json_raw(d, v).p, json_raw(d, v).n);
        break;
    case JSON_ABSENT:
    case JSON_NULL:
        break;
    }
    const char *missing = c->missing ? c->missing : "-";
    if (out->len == at && c->kind != COLUMN_BOOL)
        put(out, missing, strlen(missing));
}

/* Characters, not bytes; wide ones count as one. */
static size_t width_of(struct slice s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

static bool is_right(enum column_kind kind)
{
    return kind == COLUMN_NUMBER || kind == COLUMN_BYTES || kind == COLUMN_DURATION ||
           kind == COLUMN_MONEY;
}

static const char *color_of(const char *text, size_t n)
{
    static const struct {
        const char *words, *color;
    } rows[] = {
        {" ready ok enabled done settled ", "\033[32m"},
        {" draining starting resolving stale waiting degraded unchanged estimated ", "\033[33m"},
        {" failed down disabled expired refused stopping unsettled ", "\033[31m"},
    };
    char word[34];
    if (n + 2 >= sizeof(word))
        return NULL;
    snprintf(word, sizeof(word), " %.*s ", (int)n, text);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strstr(rows[i].words, word))
            return rows[i].color;
    return NULL;
}

static void print_cell(struct ctl *ctl, const struct column *c, struct slice text, size_t width,
                       bool last)
{
    size_t pad = width - width_of(text);
    const char *color = ctl->color && c->kind == COLUMN_STATE ? color_of(text.p, text.n) : NULL;
    if (is_right(c->kind))
        fprintf(ctl->out, "%*s", (int)pad, "");
    fprintf(ctl->out, "%s%.*s%s", color ? color : "", SLICE_FMT(text), color ? "\033[0m" : "");
    if (!last)
        fprintf(ctl->out, "%*s", (int)(GAP + (is_right(c->kind) ? 0 : pad)), "");
}

static void print_aligned(struct ctl *ctl, const struct buf *cells, size_t n_rows,
                          const struct column *columns, size_t n_columns)
{
    size_t *width = gw_xcalloc(n_columns, sizeof(*width));
    for (size_t i = 0; i < n_columns; i++) {
        width[i] = strlen(columns[i].title);
        for (size_t r = 0; r < n_rows; r++)
            width[i] = GW_MAX(width[i], width_of(buf_slice(&cells[r * n_columns + i])));
    }
    for (size_t i = 0; i < n_columns; i++) {
        struct column head = {.kind = is_right(columns[i].kind) ? COLUMN_NUMBER : COLUMN_TEXT};
        print_cell(ctl, &head, slice_str(columns[i].title), width[i], i + 1 == n_columns);
    }
    fputc('\n', ctl->out);
    for (size_t r = 0; r < n_rows; r++) {
        for (size_t i = 0; i < n_columns; i++)
            print_cell(ctl, &columns[i], buf_slice(&cells[r * n_columns + i]), width[i],
                       i + 1 == n_columns);
        fputc('\n', ctl->out);
    }
    free(width);
}

/* RFC 4180 §2: quoted where needed, quotes doubled. */
static void print_csv_cell(struct ctl *ctl, struct slice s)
{
    bool quote = false;
    for (size_t i = 0; i < s.n; i++)
        quote |= s.p[i] == ',' || s.p[i] == '"' || s.p[i] == '\n' || s.p[i] == '\r';
    if (quote)
        fputc('"', ctl->out);
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"')
            fputc('"', ctl->out);
        fputc(s.p[i], ctl->out);
    }
    if (quote)
        fputc('"', ctl->out);
}

static void print_csv(struct ctl *ctl, const struct json_doc *d, uint32_t array,
                      const struct column *columns, size_t n_columns)
{
    struct buf b;
    buf_init(&b, CELL_MAX);
    for (size_t i = 0; i < n_columns; i++)
        fprintf(ctl->out, "%s%s", i ? "," : "", columns[i].member);
    fputs("\r\n", ctl->out);
    json_foreach_element(d, array, row)
    {
        for (size_t i = 0; i < n_columns; i++) {
            /* As it came, but for lists: figures keep their precision. */
            struct column raw = {.member = columns[i].member, .kind = COLUMN_TEXT, .missing = ""};
            b.len = 0;
            table_format(d, row, &raw, &b);
            if (i)
                fputc(',', ctl->out);
            print_csv_cell(ctl, buf_slice(&b));
        }
        fputs("\r\n", ctl->out);
    }
    buf_release(&b);
}

void table_print(struct ctl *ctl, const struct json_doc *d, uint32_t array,
                 const struct column *columns, size_t n_columns)
{
    if (ctl->format == CTL_CSV) {
        print_csv(ctl, d, array, columns, n_columns);
        return;
    }
    size_t n_rows = json_count(d, array), r = 0;
    struct buf *cells = gw_xcalloc(n_rows * n_columns + 1, sizeof(*cells));
    json_foreach_element(d, array, row)
    {
        for (size_t i = 0; i < n_columns; i++) {
            buf_init(&cells[r * n_columns + i], CELL_MAX);
            table_format(d, row, &columns[i], &cells[r * n_columns + i]);
        }
        r++;
    }
    print_aligned(ctl, cells, n_rows, columns, n_columns);
    for (size_t i = 0; i < n_rows * n_columns; i++)
        buf_release(&cells[i]);
    free(cells);
}

void table_print_fields(struct ctl *ctl, const struct json_doc *d, uint32_t object,
                        const struct column *columns, size_t n_columns)
{
    struct buf b;
    size_t width = 0;
    buf_init(&b, CELL_MAX);
    for (size_t i = 0; i < n_columns; i++)
        width = GW_MAX(width, strlen(columns[i].title));
    for (size_t i = 0; i < n_columns; i++) {
        struct column c = columns[i];
        b.len = 0;
        table_format(d, object, &c, &b);
        if (c.kind != COLUMN_STATE)
            c.kind = COLUMN_TEXT;
        fprintf(ctl->out, "%-*s", (int)(width + GAP), c.title);
        print_cell(ctl, &c, buf_slice(&b), width_of(buf_slice(&b)), true);
        fputc('\n', ctl->out);
    }
    buf_release(&b);
}
