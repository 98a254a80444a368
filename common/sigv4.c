/*
 * sigv4.c: canonical request, string to sign, signature, in this order in one buffer.
 */
#include "common/sigv4.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ALGORITHM "AWS4-HMAC-SHA256"

void sigv4_signer_init(struct sigv4_signer *s, const struct sigv4_credentials *c,
                       struct slice region, struct slice service)
{
    *s = (struct sigv4_signer){.credentials = *c, .region = region, .service = service};
    buf_init(&s->text, SIGV4_MAX_REQUEST_BYTES);
}

void sigv4_signer_fini(struct sigv4_signer *s)
{
    crypto_wipe(s->key, sizeof s->key);
    if (s->text.data)
        crypto_wipe(s->text.data, s->text.cap);
    buf_release(&s->text);
    *s = (struct sigv4_signer){.day = ""};
}

void sigv4_signer_use(struct sigv4_signer *s, const struct sigv4_credentials *c)
{
    crypto_wipe(s->key, sizeof s->key);
    s->day[0] = '\0';
    s->credentials = *c;
}

/* Appends to a buffer; what didn't fit is remembered. */
struct text {
    struct buf *b;
    bool full;
};

static void put(struct text *t, struct slice s)
{
    if (buf_append(t->b, s.p, s.n) < 0)
        t->full = true;
}

#define put_lit(t, lit) put((t), SLICE_LIT(lit))

static void put_char(struct text *t, char c)
{
    put(t, slice_of(&c, 1));
}

/* ---- URI encoding ---- */

static bool is_unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static void put_encoded(struct text *t, struct slice s)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (is_unreserved(s.p[i]))
            put_char(t, s.p[i]);
        else
            put(t, slice_of((char[]){'%', digits[c >> 4], digits[c & 15]}, 3));
    }
}

/* The path is encoded again as it stands, percent signs included: only S3 is spared that. Empty and
 * dot segments go first. */
static void put_path(struct text *t, struct slice path)
{
    size_t start = t->b->len;
    bool closed = path.n > 0 && path.p[path.n - 1] == '/';
    for (struct slice rest = path; rest.p;) {
        struct slice segment = slice_split(&rest, '/');
        if (segment.n == 0 || slice_eq_str(segment, "."))
            continue;
        if (slice_eq_str(segment, "..")) {
            while (t->b->len > start && t->b->data[--t->b->len] != '/')
                ;
            continue;
        }
        put_char(t, '/');
        put_encoded(t, segment);
    }
    if (closed || t->b->len == start)
        put_char(t, '/');
}

struct parameter {
    struct slice name, value;
};

enum { MAX_PARAMETERS = 32 };

static int compare_slices(struct slice a, struct slice b)
{
    size_t n = GW_MIN(a.n, b.n);
    int order = n ? memcmp(a.p, b.p, n) : 0;
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

static int compare_parameters(const void *a, const void *b)
{
    const struct parameter *x = a, *y = b;
    int order = compare_slices(x->name, y->name);
    return order ? order : compare_slices(x->value, y->value);
}

/* A part of the query in its one encoding, whatever the caller's was: decoded, then encoded. */
static struct slice put_query_part(struct text *t, struct slice part)
{
    size_t start = t->b->len;
    for (size_t i = 0; i < part.n; i++) {
        char c = part.p[i];
        if (c == '%' && part.n - i > 2 &&
            crypto_unhex(slice_of(part.p + i + 1, 2), (uint8_t *)&c, 1) == 0)
            i += 2;
        put_encoded(t, slice_of(&c, 1));
    }
    return slice_of(t->b->data + start, t->b->len - start);
}

/* Sorted by encoded name, then by encoded value. The parts are encoded behind the text first and
 * put in order after that. */
static void put_query(struct text *t, struct slice query)
{
    struct parameter p[MAX_PARAMETERS];
    struct buf encoded;
    struct text aside = {.b = &encoded};
    size_t n = 0;
    if (query.n == 0)
        return;
    buf_init(&encoded, SIGV4_MAX_REQUEST_BYTES);
    /* No byte grows beyond three, so the parts stay where they are put. */
    if (buf_reserve(&encoded, 3 * query.n) < 0)
        aside.full = true;
    for (struct slice rest = query; rest.p && !aside.full; n++) {
        struct slice value = slice_split(&rest, '&'), name = slice_split(&value, '=');
        if (n == MAX_PARAMETERS) {
            aside.full = true;
            break;
        }
        p[n].name = put_query_part(&aside, name);
        p[n].value = put_query_part(&aside, value);
    }
    t->full |= aside.full;
    if (!aside.full)
        qsort(p, n, sizeof *p, compare_parameters);
    for (size_t i = 0; i < n && !aside.full; i++) {
        if (i > 0)
            put_char(t, '&');
        put(t, p[i].name);
        put_char(t, '=');
        put(t, p[i].value);
    }
    buf_release(&encoded);
}

/* ---- fields ---- */

static char to_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static int compare_names(struct slice a, struct slice b)
{
    size_t n = GW_MIN(a.n, b.n);
    for (size_t i = 0; i < n; i++) {
        int order = (unsigned char)to_lower(a.p[i]) - (unsigned char)to_lower(b.p[i]);
        if (order)
            return order;
    }
    return (a.n > b.n) - (a.n < b.n);
}

/* Insertion sort: few fields, and those of one name keep their order. */
static void sort_fields(struct sigv4_field *f, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct sigv4_field moving = f[i];
        size_t at = i;
        for (; at > 0 && compare_names(moving.name, f[at - 1].name) < 0; at--)
            f[at] = f[at - 1];
        f[at] = moving;
    }
}

static void put_name(struct text *t, struct slice name)
{
    for (size_t i = 0; i < name.n; i++)
        put_char(t, to_lower(name.p[i]));
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Trimmed, and every run of white space as one space. */
static void put_value(struct text *t, struct slice value)
{
    bool owed = false, begun = false;
    for (size_t i = 0; i < value.n; i++) {
        if (is_space(value.p[i])) {
            owed = begun;
            continue;
        }
        if (owed)
            put_char(t, ' ');
        owed = false;
        begun = true;
        put_char(t, value.p[i]);
    }
}

static void put_fields(struct text *t, const struct sigv4_field *f, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool again = i > 0 && compare_names(f[i].name, f[i - 1].name) == 0;
        if (!again)
            put_name(t, f[i].name);
        put_char(t, again ? ',' : ':');
        put_value(t, f[i].value);
        if (i + 1 == n || compare_names(f[i].name, f[i + 1].name) != 0)
            put_char(t, '\n');
    }
}

static void put_signed_names(struct text *t, const struct sigv4_field *f, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && compare_names(f[i].name, f[i - 1].name) == 0)
            continue;
        if (i > 0)
            put_char(t, ';');
        put_name(t, f[i].name);
    }
}

/* ---- the signature ---- */

static void put_hex(struct text *t, const uint8_t hash[CRYPTO_SHA256_BYTES])
{
    char hex[CRYPTO_SHA256_HEX + 1];
    crypto_hex(hash, CRYPTO_SHA256_BYTES, hex);
    put(t, slice_of(hex, CRYPTO_SHA256_HEX));
}

static void put_canonical_request(struct text *t, const struct sigv4_request *r,
                                  const struct sigv4_field *f, size_t n)
{
    struct slice query = r->target, path = slice_split(&query, '?');
    put(t, r->method);
    put_char(t, '\n');
    put_path(t, path);
    put_char(t, '\n');
    put_query(t, query);
    put_char(t, '\n');
    put_fields(t, f, n);
    put_char(t, '\n');
    put_signed_names(t, f, n);
    put_char(t, '\n');
    put_hex(t, r->body_sha256);
}

static void put_scope(struct text *t, const struct sigv4_signer *s)
{
    put(t, slice_of(s->day, 8));
    put_char(t, '/');
    put(t, s->region);
    put_char(t, '/');
    put(t, s->service);
    put_lit(t, "/aws4_request");
}

static void chain(uint8_t key[CRYPTO_SHA256_BYTES], struct slice text)
{
    uint8_t next[CRYPTO_SHA256_BYTES];
    crypto_hmac_sha256(slice_of((const char *)key, CRYPTO_SHA256_BYTES), text, next);
    memcpy(key, next, sizeof next);
    crypto_wipe(next, sizeof next);
}

/* The key of the day; -1: the secret is longer than any that there are. */
static int derive_key(struct sigv4_signer *s, const char *date)
{
    char first[4 + 1024];
    struct slice secret = s->credentials.secret;
    if (memcmp(s->day, date, 8) == 0)
        return 0;
    if (secret.n > sizeof first - 4)
        return -1;
    memcpy(first, "AWS4", 4);
    if (secret.n)
        memcpy(first + 4, secret.p, secret.n);
    memcpy(s->day, date, 8);
    crypto_hmac_sha256(slice_of(first, 4 + secret.n), slice_of(s->day, 8), s->key);
    chain(s->key, s->region);
    chain(s->key, s->service);
    chain(s->key, SLICE_LIT("aws4_request"));
    crypto_wipe(first, sizeof first);
    return 0;
}

static void write_date(int64_t wall_us, char out[SIGV4_DATE_BYTES])
{
    time_t t = (time_t)(wall_us / 1000000);
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(out, SIGV4_DATE_BYTES, "%Y%m%dT%H%M%SZ", &tm);
}

/* The caller's fields and ours, in order; 0: too many. */
static size_t gather_fields(const struct sigv4_signer *s, const struct sigv4_request *r,
                            const char *date, struct sigv4_field out[SIGV4_MAX_FIELDS + 2])
{
    size_t n = r->n_fields;
    if (n > SIGV4_MAX_FIELDS)
        return 0;
    if (n)
        memcpy(out, r->fields, n * sizeof *out);
    out[n++] = (struct sigv4_field){SLICE_LIT("x-amz-date"), slice_of(date, SIGV4_DATE_BYTES - 1)};
    if (s->credentials.session_token.n)
        out[n++] =
            (struct sigv4_field){SLICE_LIT("x-amz-security-token"), s->credentials.session_token};
    sort_fields(out, n);
    return n;
}

static void put_string_to_sign(struct text *t, const struct sigv4_signer *s, const char *date,
                               struct slice canonical)
{
    uint8_t hash[CRYPTO_SHA256_BYTES];
    crypto_sha256(canonical.p, canonical.n, hash);
    put_lit(t, ALGORITHM "\n");
    put(t, slice_of(date, SIGV4_DATE_BYTES - 1));
    put_char(t, '\n');
    put_scope(t, s);
    put_char(t, '\n');
    put_hex(t, hash);
}

static void put_authorization(struct text *t, const struct sigv4_signer *s,
                              const struct sigv4_field *f, size_t n, const char *hex)
{
    put_lit(t, ALGORITHM " Credential=");
    put(t, s->credentials.access_key_id);
    put_char(t, '/');
    put_scope(t, s);
    put_lit(t, ", SignedHeaders=");
    put_signed_names(t, f, n);
    put_lit(t, ", Signature=");
    put(t, slice_of(hex, CRYPTO_SHA256_HEX));
}

/* What stands in the buffer from `start` on. */
static struct slice behind(const struct text *t, size_t start)
{
    return slice_of(t->b->data + start, t->b->len - start);
}

int sigv4_sign(struct sigv4_signer *s, const struct sigv4_request *r, int64_t wall_us,
               struct sigv4_signature *out)
{
    struct sigv4_field fields[SIGV4_MAX_FIELDS + 2];
    struct text t = {.b = &s->text};
    uint8_t mac[CRYPTO_SHA256_BYTES];
    write_date(wall_us, out->date);
    size_t n = gather_fields(s, r, out->date, fields);
    s->text.len = 0;
    if (n == 0 || derive_key(s, out->date) < 0)
        return -1;
    put_canonical_request(&t, r, fields, n);
    size_t to_sign = s->text.len;
    if (t.full)
        return -1;
    put_string_to_sign(&t, s, out->date, behind(&t, 0));
    size_t authorization = s->text.len;
    if (t.full)
        return -1;
    crypto_hmac_sha256(slice_of((const char *)s->key, sizeof s->key),
                       slice_of(s->text.data + to_sign, authorization - to_sign), mac);
    crypto_hex(mac, sizeof mac, out->hex);
    put_authorization(&t, s, fields, n, out->hex);
    if (t.full)
        return -1;
    out->security_token = s->credentials.session_token;
    out->authorization = behind(&t, authorization);
    out->canonical = slice_of(s->text.data, to_sign);
    return 0;
}
