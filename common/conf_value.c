/*
 * conf_value.c: one reader a type of setting.
 *
 * Numbers are whole and carry their unit; there is no floating point and no guessing.
 */
#include "common/conf_value.h"
#include "common/conf_addr.h"
#include "common/check.h"
#include "common/crypto.h"
#include "common/json.h"
#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

enum {
    TARGET_WEIGHT_MAX = 1000000,
    TARGET_TIER_MAX = 100,
    JSON_VALUE_MAX_TOKENS = 64 * 1024,
};

struct unit {
    const char *name;
    int64_t factor;
};

/* Largest first: formatting takes the first that divides. */
static const struct unit durations[] = {{"d", INT64_C(86400000000)},
                                        {"h", INT64_C(3600000000)},
                                        {"m", 60000000},
                                        {"s", 1000000},
                                        {"ms", 1000},
                                        {"us", 1}};
static const struct unit sizes[] = {{"TiB", INT64_C(1) << 40},
                                    {"GiB", 1 << 30},
                                    {"MiB", 1 << 20},
                                    {"KiB", 1 << 10},
                                    {"TB", INT64_C(1000000000000)},
                                    {"GB", 1000000000},
                                    {"MB", 1000000},
                                    {"KB", 1000},
                                    {"B", 1}};

/* ---- memory ---- */

void *conf_alloc(struct arena *a, size_t n_bytes)
{
    void *p = arena_alloc(a, GW_MAX(n_bytes, (size_t)1));
    GW_REQUIRE(p != NULL);
    memset(p, 0, n_bytes);
    return p;
}

struct slice conf_dup(struct arena *a, struct slice s)
{
    char *p = conf_alloc(a, s.n + 1);
    if (s.n)
        memcpy(p, s.p, s.n);
    return slice_of(p, s.n);
}

struct slice conf_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    GW_REQUIRE(n >= 0);
    char *p = conf_alloc(a, (size_t)n + 1);
    vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return slice_of(p, (size_t)n);
}

/* ---- what is wrong ---- */

void conf_faults_add(struct errbuf *all, const struct errbuf *one)
{
    static const char more[] = "; and more";
    size_t n = strlen(all->msg), room = sizeof all->msg - n;
    if (strlen(one->msg) + sizeof "; " + sizeof more <= room)
        snprintf(all->msg + n, room, "%s%s", n ? "; " : "", one->msg);
    else if (n == 0)
        *all = *one;
    else if (sizeof more <= room && strcmp(all->msg + n - (sizeof more - 1), more) != 0)
        memcpy(all->msg + n, more, sizeof more);
}

int conf_faults_end(const struct errbuf *all, struct errbuf *e)
{
    return all->msg[0] ? err_set(e, "%s", all->msg) : 0;
}

/* ---- numbers ---- */

char *conf_format_number(enum conf_type type, int64_t v, char out[CONF_NUMBER_BYTES])
{
    const struct unit *units = type == CONF_DURATION ? durations : sizes;
    size_t n = type == CONF_DURATION ? ARRAY_LEN(durations) : ARRAY_LEN(sizes);
    if (type != CONF_DURATION && type != CONF_SIZE) {
        snprintf(out, CONF_NUMBER_BYTES, "%lld", (long long)v);
        return out;
    }
    if (v == 0) {
        snprintf(out, CONF_NUMBER_BYTES, "0%s", type == CONF_DURATION ? "s" : "B");
        return out;
    }
    for (size_t i = 0; i < n; i++) {
        if (v % units[i].factor)
            continue;
        snprintf(out, CONF_NUMBER_BYTES, "%lld%s", (long long)(v / units[i].factor), units[i].name);
        break;
    }
    return out;
}

static int check_bounds(const struct conf_row *row, int64_t n, struct errbuf *e)
{
    char lo[CONF_NUMBER_BYTES], hi[CONF_NUMBER_BYTES];
    if (n >= row->min && n <= row->max)
        return 0;
    return err_set(e, "out of range; it goes from %s to %s",
                   conf_format_number(row->type, row->min, lo),
                   conf_format_number(row->type, row->max, hi));
}

static int read_int(const struct conf_row *row, struct slice s, int64_t *out, struct errbuf *e)
{
    uint64_t n;
    if (slice_to_u64(s, INT64_MAX, &n) < 0)
        return err_set(e, "expected a whole number");
    *out = (int64_t)n;
    return check_bounds(row, *out, e);
}

static int read_workers(const struct conf_row *row, struct slice s, int64_t *out, struct errbuf *e)
{
    if (slice_eq_str(s, "auto")) {
        *out = 0;
        return 0;
    }
    if (read_int(row, s, out, e) == 0)
        return 0;
    return err_set(e, "expected `auto` or a number from %lld to %lld", (long long)row->min,
                   (long long)row->max);
}

static int read_with_unit(const struct conf_row *row, struct slice s, int64_t *out,
                          struct errbuf *e)
{
    const struct unit *units = row->type == CONF_DURATION ? durations : sizes;
    size_t n_units = row->type == CONF_DURATION ? ARRAY_LEN(durations) : ARRAY_LEN(sizes);
    size_t digits = 0;
    uint64_t n;
    while (digits < s.n && s.p[digits] >= '0' && s.p[digits] <= '9')
        digits++;
    struct slice unit = slice_trim(slice_of(s.p + digits, s.n - digits));
    if (slice_to_u64(slice_of(s.p, digits), INT64_MAX, &n) == 0) {
        for (size_t i = 0; i < n_units; i++) {
            if (!slice_eq_str(unit, units[i].name))
                continue;
            if (__builtin_mul_overflow((int64_t)n, units[i].factor, out))
                *out = INT64_MAX;
            return check_bounds(row, *out, e);
        }
    }
    if (row->type == CONF_DURATION)
        return err_set(e, "expected a whole number and a unit: us, ms, s, m, h or d, such as 90s");
    return err_set(e, "expected a whole number and a unit: B, KiB, MiB, GiB, TiB (or KB, MB, GB, "
                      "TB), such as 64MiB");
}

/* ---- words ---- */

static int read_bool(struct slice s, bool *out, struct errbuf *e)
{
    *out = slice_eq_str(s, "on");
    return *out || slice_eq_str(s, "off") ? 0 : err_set(e, "expected on or off");
}

static int read_enum(const struct conf_row *row, struct slice s, int *out, struct errbuf *e)
{
    char list[256] = "";
    size_t at = 0;
    const char *later = NULL;
    for (const struct conf_word *w = row->words; w->name; w++) {
        if (slice_eq_str(s, w->name) && w->value >= 0) {
            *out = w->value;
            return 0;
        }
        if (slice_eq_str(s, w->name))
            later = w->name;
        if (w->value >= 0 && at < sizeof list)
            at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", at ? ", " : "", w->name);
    }
    if (later)
        return err_set(e, "`%s` is not in this version; there is: %s", later, list);
    return err_set(e, "expected one of: %s", list);
}

/* ---- names and lists ---- */

static int check_name(struct slice s, struct errbuf *e)
{
    if (s.n > CONF_NAME_MAX)
        return err_set(e, "a name has at most %d bytes, this one %zu", CONF_NAME_MAX, s.n);
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == ' ' || s.p[i] == '\t' || s.p[i] == '\n')
            return err_set(e,
                           "`%.*s` has a blank in it; the items of a list are separated by "
                           "commas",
                           (int)GW_MIN(s.n, (size_t)80), s.p);
    return 0;
}

static size_t count_items(struct slice text)
{
    size_t n = text.n > 0;
    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == ',';
    return n;
}

/* The next item of a comma-separated list; -1: an empty one. A comma at the very end is allowed. */
static int next_item(struct slice *rest, struct slice *item, struct errbuf *e)
{
    *item = slice_trim(slice_split(rest, ','));
    if (rest->p && slice_trim(*rest).n == 0)
        *rest = slice_of(NULL, 0);
    return item->n ? 0 : err_set(e, "an item of the list is empty");
}

static int check_origin(struct slice s, struct errbuf *e)
{
    struct slice rest = s;
    if (slice_eq_str(s, "*"))
        return 0;
    if (slice_starts_with(s, SLICE_LIT("https://")))
        rest = slice_of(s.p + 8, s.n - 8);
    else if (slice_starts_with(s, SLICE_LIT("http://")))
        rest = slice_of(s.p + 7, s.n - 7);
    if (rest.n == s.n || rest.n == 0 || memchr(rest.p, '/', rest.n))
        return err_set(e, "`%.*s` is not an origin; expected SCHEME://HOST[:PORT] without a path",
                       (int)GW_MIN(s.n, (size_t)80), s.p);
    return 0;
}

static int check_item(const struct conf_row *row, struct slice item, const struct slice *before,
                      uint32_t n_before, struct errbuf *e)
{
    if (check_name(item, e) < 0 || (row->type == CONF_ORIGINS && check_origin(item, e) < 0))
        return -1;
    for (uint32_t i = 0; i < n_before; i++)
        if (slice_eq(before[i], item))
            return err_set(e, "`%.*s` stands there twice", SLICE_FMT(item));
    return 0;
}

static int read_list(const struct conf_row *row, struct slice text, struct arena *a,
                     struct conf_slices *out, struct errbuf *e)
{
    struct slice rest = text.n ? text : slice_of(NULL, 0);
    struct slice *v = conf_alloc(a, count_items(text) * sizeof *v);
    struct errbuf faults = {""}, one;
    uint32_t n = 0;
    while (rest.p) {
        struct slice item;
        if (next_item(&rest, &item, &one) < 0 || check_item(row, item, v, n, &one) < 0)
            conf_faults_add(&faults, &one);
        else
            v[n++] = conf_dup(a, item);
    }
    *out = (struct conf_slices){v, n};
    return conf_faults_end(&faults, e);
}

/* ---- places ---- */

static int read_path(const struct conf_value *v, struct arena *a, struct slice *out,
                     struct errbuf *e)
{
    if (v->text.n == 0)
        return err_set(e, "expected a path");
    if (v->text.n >= 4096)
        return err_set(e, "a path has at most 4095 bytes");
    if (v->text.p[0] == '/')
        *out = v->text;
    else if (v->dir.n)
        *out = conf_printf(a, "%.*s/%.*s", SLICE_FMT(v->dir), SLICE_FMT(v->text));
    else
        return err_set(e, "the path must begin with '/'");
    return 0;
}

static bool env_name_is_valid(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= 'A' && s.p[i] <= 'Z') || (s.p[i] >= 'a' && s.p[i] <= 'z') ||
              s.p[i] == '_' || (i && s.p[i] >= '0' && s.p[i] <= '9')))
            return false;
    return s.n > 0;
}

/* Keeps the reference; relative paths in it are made absolute. The text is never repeated in an
 * error: someone may have written the secret itself. */
static int read_secret(const struct conf_value *v, struct arena *a, struct slice *out,
                       struct errbuf *e)
{
    struct slice rest = v->text;
    struct slice scheme = slice_split(&rest, ':');
    struct conf_value path = *v;
    path.text = rest;
    if (rest.p && slice_eq_str(scheme, "env")) {
        if (!env_name_is_valid(rest))
            return err_set(e, "expected the name of a variable behind `env:`");
        *out = v->text;
        return 0;
    }
    if (rest.p && slice_eq_str(scheme, "credential")) {
        if (rest.n == 0 || memchr(rest.p, '/', rest.n) || rest.p[0] == '.')
            return err_set(e, "expected the name of a systemd credential behind `credential:`");
        *out = v->text;
        return 0;
    }
    if (rest.p && (slice_eq_str(scheme, "file") || slice_eq_str(scheme, "exec"))) {
        struct slice abs;
        if (read_path(&path, a, &abs, e) < 0)
            return -1;
        *out = conf_printf(a, "%.*s:%.*s", SLICE_FMT(scheme), SLICE_FMT(abs));
        return 0;
    }
    return err_set(e, "expected env:NAME, file:/PATH, credential:NAME or exec:/PATH; a secret "
                      "itself doesn't belong into this file");
}

static int read_pem(const struct conf_value *v, struct arena *a, struct slice *out,
                    struct errbuf *e)
{
    struct errbuf ignored;
    struct slice path;
    if (read_secret(v, a, out, &ignored) == 0)
        return 0;
    if (v->text.n > 4 && memcmp(v->text.p, "----", 4) == 0)
        return err_set(e, "expected a path; the PEM text itself doesn't belong into this file");
    if (read_path(v, a, &path, e) < 0)
        return -1;
    *out = conf_printf(a, "file:%.*s", SLICE_FMT(path));
    return 0;
}

static int read_log_output(const struct conf_value *v, struct arena *a, struct conf_log *out,
                           struct errbuf *e)
{
    struct conf_value path = *v;
    if (slice_eq_str(v->text, "stderr")) {
        out->output = LOG_TO_STDERR;
    } else if (slice_eq_str(v->text, "journal")) {
        out->output = LOG_TO_JOURNAL;
    } else if (slice_starts_with(v->text, SLICE_LIT("file:"))) {
        path.text = slice_of(v->text.p + 5, v->text.n - 5);
        out->output = LOG_TO_FILE;
        return read_path(&path, a, &out->file_path, e);
    } else {
        return err_set(e, "expected stderr, journal or file:/PATH");
    }
    return 0;
}

/* ---- request members and headers ---- */

static bool is_token(struct slice s)
{
    /* RFC 9110, section 5.6.2 */
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'z') ||
              (s.p[i] >= 'A' && s.p[i] <= 'Z') || (s.p[i] && strchr("!#$%&'*+-.^_`|~", s.p[i]))))
            return false;
    return s.n > 0;
}

static int check_header_name(struct slice name, struct errbuf *e)
{
    /* Framing and hop-by-hop fields are ours (RFC 9110, section 7.6.1); credentials have a home. */
    static const char *const ours[] = {
        "host", "content-length", "transfer-encoding", "connection", "keep-alive",
        "te",   "trailer",        "upgrade",           "expect",     "proxy-connection"};
    static const char *const secret[] = {"authorization",  "x-api-key", "api-key",
                                         "x-goog-api-key", "cookie",    "proxy-authorization"};
    if (!is_token(name))
        return err_set(e, "`%.*s` is not a header field name", SLICE_FMT(name));
    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (slice_ieq(name, slice_str(ours[i])))
            return err_set(e, "`%s` is set by the gateway itself", ours[i]);
    for (size_t i = 0; i < ARRAY_LEN(secret); i++)
        if (slice_ieq(name, slice_str(secret[i])))
            return err_set(e, "`%s` carries a secret; use a [credential:...] section", secret[i]);
    return 0;
}

static void *grown(struct arena *a, void *v, uint32_t n, uint32_t *cap, size_t item_bytes)
{
    if (n < *cap)
        return v;
    *cap = GW_MAX(*cap * 2, 8u);
    void *p = conf_alloc(a, *cap * item_bytes);
    if (n)
        memcpy(p, v, n * item_bytes);
    return p;
}

static int read_header(const struct conf_value *v, struct arena *a, struct raw_pairs *out,
                       struct errbuf *e)
{
    if (check_header_name(v->suffix, e) < 0)
        return -1;
    if (memchr(v->text.p, '\n', v->text.n))
        return err_set(e, "a header field can't hold a line break");
    out->v = grown(a, out->v, out->n, &out->cap, sizeof *out->v);
    out->v[out->n++] = (struct conf_pair){conf_dup(a, v->suffix), v->text};
    return 0;
}

static int check_member_path(struct slice path, const struct raw_members *list, struct errbuf *e)
{
    static const char *const reserved[] = {"model", "messages", "stream", "stream_options"};
    struct slice rest = path;
    struct slice first = slice_split(&rest, '.');
    for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
        if (slice_eq_str(first, reserved[i]))
            return err_set(e, "`%s` is the gateway's to set", reserved[i]);
    for (struct slice all = path; all.p;)
        if (slice_split(&all, '.').n == 0)
            return err_set(e, "the member's name has an empty part");
    for (uint32_t i = 0; i < list->n; i++) {
        struct slice other = list->v[i].path;
        struct slice a = other.n < path.n ? other : path, b = other.n < path.n ? path : other;
        if (slice_starts_with(b, a) && (a.n == b.n || b.p[a.n] == '.'))
            return err_set(e, "contradicts the setting of `%.*s`", SLICE_FMT(other));
    }
    return 0;
}

static int validated_json(struct slice text, struct errbuf *e)
{
    struct json_doc doc;
    json_doc_init(&doc, JSON_VALUE_MAX_TOKENS);
    int rc = json_parse(&doc, text.p, text.n);
    if (rc < 0) {
        struct errbuf why;
        json_parse_error(&doc, &why);
        err_set(e, "not JSON: %s; for plain text write `set.NAME`", why.msg);
    }
    json_doc_release(&doc);
    return rc;
}

static struct slice json_string(struct slice text, struct arena *a)
{
    struct buf b;
    struct json_writer w;
    size_t n;
    buf_init(&b, 8 * (size_t)CONF_VALUE_MAX);
    jw_init_buf(&w, &b);
    jw_str(&w, text);
    GW_REQUIRE(jw_finish(&w, &n) == 0);
    struct slice out = conf_dup(a, buf_slice(&b));
    buf_release(&b);
    return out;
}

static int read_member(const struct conf_value *v, struct arena *a, struct raw_members *out,
                       struct errbuf *e)
{
    struct slice json = v->text;
    if (check_member_path(v->suffix, out, e) < 0)
        return -1;
    if (v->row->type == CONF_JSON) {
        if (validated_json(v->text, e) < 0)
            return -1;
    } else {
        /* A number or a literal is itself, all else (objects too) is text. */
        bool bare = !v->quoted && v->text.n && v->text.p[0] != '{' && v->text.p[0] != '[' &&
                    v->text.p[0] != '"' && validated_json(v->text, NULL) == 0;
        if (!bare)
            json = json_string(v->text, a);
    }
    out->v = grown(a, out->v, out->n, &out->cap, sizeof *out->v);
    out->v[out->n++] = (struct conf_json_member){conf_dup(a, v->suffix), json};
    return 0;
}

/* ---- targets ---- */

static int read_target_word(struct slice word, struct raw_target *t, struct errbuf *e)
{
    struct slice rest = word;
    struct slice key = slice_split(&rest, '=');
    uint64_t n;
    bool weight = slice_eq_str(key, "weight");
    if (!rest.p || (!weight && !slice_eq_str(key, "tier")))
        return err_set(e, "`%.*s`: expected weight=N or tier=N; targets are separated by commas",
                       (int)GW_MIN(word.n, (size_t)80), word.p);
    if (slice_to_u64(rest, weight ? TARGET_WEIGHT_MAX : TARGET_TIER_MAX, &n) < 0 ||
        (!weight && n == 0))
        return err_set(e, "%s goes from %d to %d", weight ? "weight" : "tier", weight ? 0 : 1,
                       weight ? TARGET_WEIGHT_MAX : TARGET_TIER_MAX);
    if (weight)
        t->weight = (uint32_t)n;
    else
        t->tier = (uint32_t)n;
    return 0;
}

static struct slice next_word(struct slice *rest)
{
    struct slice s = slice_trim(*rest);
    size_t n = 0;
    while (n < s.n && s.p[n] != ' ' && s.p[n] != '\t')
        n++;
    *rest = slice_trim(slice_of(s.p + n, s.n - n));
    return slice_of(s.p, n);
}

static int read_target(struct slice item, struct arena *a, struct raw_target *t, struct errbuf *e)
{
    struct slice words = item;
    struct slice model = next_word(&words);
    struct slice provider = slice_split(&model, '/');
    *t = (struct raw_target){.weight = 1};
    if (!model.p || provider.n == 0 || model.n == 0)
        return err_set(e, "`%.*s`: expected PROVIDER/UPSTREAM-MODEL",
                       (int)GW_MIN(item.n, (size_t)80), item.p);
    if (model.n > CONF_NAME_MAX)
        return err_set(e, "a model's name has at most %d bytes", CONF_NAME_MAX);
    while (words.n)
        if (read_target_word(next_word(&words), t, e) < 0)
            return -1;
    t->provider = conf_dup(a, provider);
    t->upstream_model = conf_dup(a, model);
    return 0;
}

static int check_target(const struct raw_target *t, const struct raw_target *before, uint32_t n,
                        struct errbuf *e)
{
    for (uint32_t i = 0; i < n; i++)
        if (slice_eq(before[i].provider, t->provider) &&
            slice_eq(before[i].upstream_model, t->upstream_model))
            return err_set(e, "`%.*s/%.*s` stands there twice", SLICE_FMT(t->provider),
                           SLICE_FMT(t->upstream_model));
    return 0;
}

static int read_targets(struct slice text, struct arena *a, struct raw_targets *out,
                        struct errbuf *e)
{
    struct slice rest = text;
    struct raw_target *v = conf_alloc(a, (count_items(text) + 1) * sizeof *v);
    struct errbuf faults = {""}, one;
    uint32_t n = 0;
    if (text.n == 0)
        return err_set(e, "expected at least one PROVIDER/UPSTREAM-MODEL");
    while (rest.p) {
        struct slice item;
        if (next_item(&rest, &item, &one) < 0 || read_target(item, a, &v[n], &one) < 0 ||
            check_target(&v[n], v, n, &one) < 0)
            conf_faults_add(&faults, &one);
        else
            n++;
    }
    *out = (struct raw_targets){v, n};
    return conf_faults_end(&faults, e);
}

/* ---- time and digest ---- */

static int read_digits(struct slice s, size_t at, size_t n, int lo, int hi, int *out)
{
    uint64_t v;
    if (at + n > s.n || slice_to_u64(slice_of(s.p + at, n), (uint64_t)hi, &v) < 0 || (int)v < lo)
        return -1;
    *out = (int)v;
    return 0;
}

static int read_time(struct slice s, int64_t *out, struct errbuf *e)
{
    struct tm tm = {0}, check;
    int year, month;
    bool ok =
        (s.n == 10 ||
         (s.n == 20 && s.p[10] == 'T' && s.p[13] == ':' && s.p[16] == ':' && s.p[19] == 'Z')) &&
        s.p[4] == '-' && s.p[7] == '-' && read_digits(s, 0, 4, 1970, 9999, &year) == 0 &&
        read_digits(s, 5, 2, 1, 12, &month) == 0 && read_digits(s, 8, 2, 1, 31, &tm.tm_mday) == 0;
    if (ok && s.n == 20)
        ok = read_digits(s, 11, 2, 0, 23, &tm.tm_hour) == 0 &&
             read_digits(s, 14, 2, 0, 59, &tm.tm_min) == 0 &&
             read_digits(s, 17, 2, 0, 59, &tm.tm_sec) == 0;
    if (ok) {
        tm.tm_year = year - 1900;
        tm.tm_mon = month - 1;
        check = tm;
        time_t t = timegm(&check);
        ok = check.tm_mday == tm.tm_mday; /* not 31 April */
        *out = (int64_t)t * 1000000;
    }
    if (ok)
        return 0;
    return err_set(e, "expected a date such as 2030-01-31, or 2030-01-31T12:00:00Z");
}

static int read_digest(struct slice s, uint8_t out[CONF_KEY_DIGEST_BYTES], struct errbuf *e)
{
    if (crypto_unhex(s, out, CONF_KEY_DIGEST_BYTES) < 0)
        return err_set(e, "expected the 64 hex digits of a SHA-256; `printf %%s KEY | sha256sum` "
                          "prints them");
    return 0;
}

/* ---- all of them ---- */

static int read_string(const struct conf_value *v, struct slice *out, struct errbuf *e)
{
    if (v->row->type == CONF_NAME && check_name(v->text, e) < 0)
        return -1;
    *out = v->text;
    return 0;
}

int conf_value_read(const struct conf_value *v, struct arena *a, void *base, struct errbuf *e)
{
    if (v->row->offset == SIZE_MAX) /* `include`, acted upon while files are read */
        return 0;
    void *dst = (char *)base + v->row->offset;
    switch (v->row->type) {
    case CONF_BOOL:
        return read_bool(v->text, dst, e);
    case CONF_INT:
        return read_int(v->row, v->text, dst, e);
    case CONF_WORKERS:
        return read_workers(v->row, v->text, dst, e);
    case CONF_SIZE:
    case CONF_DURATION:
        return read_with_unit(v->row, v->text, dst, e);
    case CONF_ENUM:
        return read_enum(v->row, v->text, dst, e);
    case CONF_STRING:
    case CONF_NAME:
        return read_string(v, dst, e);
    case CONF_PATH:
        return read_path(v, a, dst, e);
    case CONF_LIST:
    case CONF_NAMES:
    case CONF_ORIGINS:
        return read_list(v->row, v->text, a, dst, e);
    case CONF_LISTEN:
        return conf_listeners_read(v->text, a, dst, e);
    case CONF_CIDRS:
        return conf_cidrs_read(v->text, a, dst, e);
    case CONF_SECRET:
        return read_secret(v, a, &((struct conf_secret *)dst)->ref, e);
    case CONF_PEM:
        return read_pem(v, a, &((struct conf_secret *)dst)->ref, e);
    case CONF_URL:
        return conf_url_read(v->text, a, dst, e);
    case CONF_HEADER:
        return read_header(v, a, dst, e);
    case CONF_JSON_SCALAR:
    case CONF_JSON:
        return read_member(v, a, dst, e);
    case CONF_TARGETS:
        return read_targets(v->text, a, dst, e);
    case CONF_DIGEST:
        return read_digest(v->text, dst, e);
    case CONF_TIME:
        return read_time(v->text, dst, e);
    case CONF_LOG_OUTPUT:
        return read_log_output(v, a, dst, e);
    }
    return err_set(e, "no reader for this type");
}
