/*
 * sigv4.c: see sigv4.h.
 */
#include "tests/mockllm/sigv4.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define ALGORITHM "AWS4-HMAC-SHA256"

enum { HASH_BYTES = 32, MAX_SIGNED = 32, MAX_SKEW_S = 300 };

struct authorization {
    struct slice id, date, region, service, signed_names, signature;
};

static bool take_prefix(struct slice *s, const char *prefix)
{
    size_t n = strlen(prefix);
    if (s->len < n || memcmp(s->p, prefix, n) != 0)
        return false;
    s->p += n;
    s->len -= n;
    return true;
}

/* "AWS4-HMAC-SHA256 Credential=ID/DATE/REGION/SERVICE/aws4_request, SignedHeaders=a;b,
 * Signature=HEX" */
static bool parse(struct slice v, struct authorization *a)
{
    struct slice part, end;
    if (!take_prefix(&v, ALGORITHM " ") || !slice_split(&v, ",", &part))
        return false;
    part = slice_trim(part);
    if (!take_prefix(&part, "Credential=") || !slice_split(&part, "/", &a->id) ||
        !slice_split(&part, "/", &a->date) || !slice_split(&part, "/", &a->region) ||
        !slice_split(&part, "/", &a->service) || !slice_split(&part, "/", &end) ||
        !slice_is(end, "aws4_request") || !slice_split(&v, ",", &part))
        return false;
    part = slice_trim(part);
    if (!take_prefix(&part, "SignedHeaders="))
        return false;
    a->signed_names = part;
    part = slice_trim(v);
    if (!take_prefix(&part, "Signature=") || part.len != (size_t)2 * HASH_BYTES)
        return false;
    a->signature = part;
    return a->id.len > 0 && a->date.len == 8;
}

struct slice sigv4_access_key_id(const struct request *req)
{
    struct authorization a;
    if (!parse(http_header(req, "authorization"), &a))
        return (struct slice){NULL, 0};
    return a.id;
}

/* ---- the canonical request ---- */

static void add_hex(struct bytes *out, const unsigned char *hash)
{
    for (int i = 0; i < HASH_BYTES; i++)
        bytes_addf(out, "%02x", hash[i]);
}

static void add_hash(struct bytes *out, struct slice data)
{
    unsigned char hash[HASH_BYTES];
    EVP_Digest(data.p != NULL ? data.p : "", data.len, hash, NULL, EVP_sha256(), NULL);
    add_hex(out, hash);
}

static void add_path(struct bytes *out, struct slice path)
{
    for (size_t i = 0; i < path.len; i++) {
        unsigned char c = (unsigned char)path.p[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                     (c != 0 && strchr("-._~/", c) != NULL);
        if (plain)
            bytes_add(out, &path.p[i], 1);
        else
            bytes_addf(out, "%%%02X", c);
    }
}

static int compare_slices(const void *a, const void *b)
{
    const struct slice *x = a, *y = b;
    size_t n = x->len < y->len ? x->len : y->len;
    int order = memcmp(x->p, y->p, n);
    return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

/* Parameters as they stand, which suffices where names differ and all are encoded already. */
static void add_query(struct bytes *out, struct slice query)
{
    struct slice p[MAX_SIGNED], part;
    size_t n = 0;
    while (n < MAX_SIGNED && slice_split(&query, "&", &part))
        p[n++] = part;
    qsort(p, n, sizeof *p, compare_slices);
    for (size_t i = 0; i < n; i++)
        bytes_addf(out, "%s" SLICE_FMT "%s", i > 0 ? "&" : "", SLICE_ARG(p[i]),
                   memchr(p[i].p, '=', p[i].len) != NULL ? "" : "=");
}

static void add_value(struct bytes *out, struct slice v)
{
    v = slice_trim(v);
    for (size_t i = 0; i < v.len; i++)
        if (v.p[i] != ' ' || v.p[i - 1] != ' ')
            bytes_add(out, &v.p[i], 1);
}

/* The names must be sorted and small. False: they aren't, or a field isn't there. */
static bool add_fields(struct bytes *out, const struct request *req, struct slice names)
{
    struct slice name, before = {NULL, 0};
    char text[128];
    while (slice_split(&names, ";", &name)) {
        if (name.len == 0 || name.len >= sizeof text ||
            (before.p != NULL && compare_slices(&before, &name) >= 0))
            return false;
        for (size_t i = 0; i < name.len; i++)
            if (name.p[i] >= 'A' && name.p[i] <= 'Z')
                return false;
        snprintf(text, sizeof text, SLICE_FMT, SLICE_ARG(name));
        struct slice value = http_header(req, text);
        if (value.p == NULL)
            return false;
        bytes_addf(out, SLICE_FMT ":", SLICE_ARG(name));
        add_value(out, value);
        bytes_adds(out, "\n");
        before = name;
    }
    return true;
}

static bool lists(struct slice names, struct slice name)
{
    struct slice one;
    while (slice_split(&names, ";", &one))
        if (one.len == name.len && strncasecmp(one.p, name.p, name.len) == 0)
            return true;
    return false;
}

/* `host` and all of x-amz-* have to be signed. */
static bool signs_enough(const struct request *req, struct slice names)
{
    for (size_t i = 0; i < req->nheaders; i++) {
        struct slice name = req->headers[i].name;
        bool matters = slice_is_nocase(name, "host") ||
                       (name.len > 6 && strncasecmp(name.p, "x-amz-", 6) == 0);
        if (matters && !lists(names, name))
            return false;
    }
    return lists(names, SLICE("host"));
}

/* ---- the signature ---- */

static void hmac(unsigned char *key, size_t key_length, struct slice data)
{
    unsigned char out[HASH_BYTES];
    HMAC(EVP_sha256(), key, (int)key_length, (const unsigned char *)data.p, data.len, out, NULL);
    memcpy(key, out, sizeof out);
}

static void sign(const struct authorization *a, struct slice to_sign, struct bytes *hex)
{
    unsigned char key[256];
    int n = snprintf((char *)key, sizeof key, "AWS4secret-of-" SLICE_FMT, SLICE_ARG(a->id));
    hmac(key, (size_t)n < sizeof key ? (size_t)n : sizeof key - 1, a->date);
    hmac(key, HASH_BYTES, a->region);
    hmac(key, HASH_BYTES, a->service);
    hmac(key, HASH_BYTES, SLICE("aws4_request"));
    hmac(key, HASH_BYTES, to_sign);
    add_hex(hex, key);
}

static bool signature_fits(const struct request *req, const struct authorization *a,
                           struct slice date)
{
    struct bytes canonical = {0}, to_sign = {0}, hex = {0};
    bytes_addf(&canonical, SLICE_FMT "\n", SLICE_ARG(req->method));
    add_path(&canonical, req->path);
    bytes_adds(&canonical, "\n");
    add_query(&canonical, req->query);
    bytes_adds(&canonical, "\n");
    bool fits = add_fields(&canonical, req, a->signed_names);
    bytes_addf(&canonical, "\n" SLICE_FMT "\n", SLICE_ARG(a->signed_names));
    add_hash(&canonical, req->body);
    bytes_addf(&to_sign,
               ALGORITHM "\n" SLICE_FMT "\n" SLICE_FMT "/" SLICE_FMT "/" SLICE_FMT
                         "/aws4_request\n",
               SLICE_ARG(date), SLICE_ARG(a->date), SLICE_ARG(a->region), SLICE_ARG(a->service));
    add_hash(&to_sign, bytes_slice(&canonical));
    sign(a, bytes_slice(&to_sign), &hex);
    fits = fits && slice_eq(bytes_slice(&hex), a->signature);
    bytes_fini(&canonical);
    bytes_fini(&to_sign);
    bytes_fini(&hex);
    return fits;
}

static bool is_now(struct slice date)
{
    struct tm tm = {0};
    char text[17];
    if (date.len != 16)
        return false;
    memcpy(text, date.p, 16);
    text[16] = '\0';
    const char *end = strptime(text, "%Y%m%dT%H%M%SZ", &tm);
    if (end == NULL || *end != '\0')
        return false;
    long skew = (long)(time(NULL) - timegm(&tm));
    return skew >= -MAX_SKEW_S && skew <= MAX_SKEW_S;
}

static bool token_fits(const struct request *req, struct slice id)
{
    struct slice token = http_header(req, "x-amz-security-token");
    bool temporary = id.len > 4 && memcmp(id.p, "ASIA", 4) == 0;
    if (!temporary)
        return token.p == NULL;
    return token.p != NULL && take_prefix(&token, "token-of-") && slice_eq(token, id);
}

static bool hash_fits(const struct request *req)
{
    struct slice said = http_header(req, "x-amz-content-sha256");
    struct bytes hash = {0};
    if (said.p == NULL)
        return true;
    add_hash(&hash, req->body);
    bool fits = slice_eq(bytes_slice(&hash), said);
    bytes_fini(&hash);
    return fits;
}

const char *sigv4_check(const struct request *req, const char *service, const char **name)
{
    struct authorization a;
    struct slice date = http_header(req, "x-amz-date");
    *name = "IncompleteSignatureException";
    if (!parse(http_header(req, "authorization"), &a))
        return "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature'.";
    *name = "UnrecognizedClientException";
    if (!token_fits(req, a.id))
        return "The security token included in the request is invalid.";
    *name = "InvalidSignatureException";
    if (!is_now(date))
        return "Signature expired: x-amz-date is too far from the time of the server.";
    if (memcmp(date.p, a.date.p, 8) != 0)
        return "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date "
               "from HTTP.";
    if (!slice_is(a.service, service))
        return "Credential should be scoped to correct service: 'bedrock'.";
    if (!signs_enough(req, a.signed_names))
        return "'Host' and all 'x-amz-' headers must be signed.";
    if (!hash_fits(req) || !signature_fits(req, &a, date))
        return "The request signature we calculated does not match the signature you provided. "
               "Check your AWS Secret Access Key and signing method. Consult the service "
               "documentation for details.";
    return NULL;
}
