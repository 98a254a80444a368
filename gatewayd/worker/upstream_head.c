/*
 * upstream_head.c: what a provider gets to see of the caller's head.
 */
#include "gatewayd/worker/upstream_head.h"

#include "common/check.h"
#include "common/secrets.h"
#include "gatewayd/dialect/relay.h"
#include "gatewayd/worker/headwriter.h"

#include <ctype.h>
#include <stdlib.h>

/* CONSTANT_ROOM_BYTES: the fixed fields, the method and the operation's path. */
/* SIGNATURE_BYTES: x-amz-date and authorization, with an access key id of up to 1 KiB; a session
 * token counts apart. */
enum { CONSTANT_ROOM_BYTES = 1024, FORWARDED_MAX_BYTES = 64 * 1024, SIGNATURE_BYTES = 2048 };

static const enum http_header_id forwarded[] = {
    HTTP_H_TRACEPARENT,
    HTTP_H_TRACESTATE,
    HTTP_H_IDEMPOTENCY_KEY,
};
/* What only a provider of the caller's own dialect understands. */
static const enum http_header_id forwarded_native[] = {
    HTTP_H_OPENAI_BETA,
    HTTP_H_ANTHROPIC_BETA,
    HTTP_H_ANTHROPIC_VERSION,
};

static const struct slice auth_fields[] = {
    [PROVIDER_AUTH_BEARER] = SLICE_LIT("authorization: Bearer "),
    [PROVIDER_AUTH_BEARER_OPTIONAL] = SLICE_LIT("authorization: Bearer "),
    [PROVIDER_AUTH_NONE] = SLICE_LIT(""),
    [PROVIDER_AUTH_X_API_KEY] = SLICE_LIT("x-api-key: "),
    [PROVIDER_AUTH_X_GOOG_API_KEY] = SLICE_LIT("x-goog-api-key: "),
    [PROVIDER_AUTH_API_KEY] = SLICE_LIT("api-key: "),
};

static void write_auth(struct headwriter *h, const struct secrets *secrets,
                       const struct conf_credential *cred)
{
    struct secret s;
    struct slice field = auth_fields[cred->provider->kind->auth];
    if (cred->auth != CONF_CRED_KEY || field.n == 0)
        return;
    if (cred->secret.blob.n && secrets_get(secrets, cred->secret.blob, &s)) {
        headwriter_put(h, field);
        headwriter_put(h, slice_trim(s.data));
        headwriter_lit(h, "\r\n");
    }
}

/* RFC 3986 section 3.3: the unreserved characters, and `@` of Vertex' model versions, which stands
 * as it is in a path. */
static bool stands_plain(unsigned char c)
{
    return isalnum(c) || (c && strchr("-._~@", c));
}

static void put_encoded(struct headwriter *h, struct slice s)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        char three[3] = {'%', digits[c >> 4], digits[c & 15]};
        headwriter_put(h, stands_plain(c) ? slice_of(s.p + i, 1) : slice_of(three, 3));
    }
}

static void put_parent(struct headwriter *h, const struct conf_provider *p)
{
    if (!p->project.n)
        return;
    headwriter_lit(h, "/projects/");
    put_encoded(h, p->project);
    headwriter_lit(h, "/locations/");
    put_encoded(h, p->location);
}

static const struct {
    struct slice place;
    size_t setting; /* a slice of struct conf_provider */
} settings[] = {
    {SLICE_LIT("{api_version}"), offsetof(struct conf_provider, api_version)},
    {SLICE_LIT("{project}"), offsetof(struct conf_provider, project)},
    {SLICE_LIT("{location}"), offsetof(struct conf_provider, location)},
};

static struct slice setting_of(const struct conf_provider *p, size_t i)
{
    return *(const struct slice *)((const char *)p + settings[i].setting);
}

static bool is_offered(const struct conf_provider *p, enum provider_op op)
{
    const char *path = p->kind->paths[op];
    for (size_t i = 0; path && i < ARRAY_LEN(settings); i++)
        if (!setting_of(p, i).n && strstr(path, settings[i].place.p))
            return false;
    return path != NULL;
}

/* `rest` begins with a place in braces. */
static void put_place(struct headwriter *h, const struct conf_provider *p, struct slice rest)
{
    if (slice_starts_with(rest, SLICE_LIT("{parent}")))
        put_parent(h, p);
    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        if (slice_starts_with(rest, settings[i].place))
            put_encoded(h, setting_of(p, i));
}

/* The path of an operation. Its {model} or {object} is left open: *model_at is where it belongs. */
static void write_path(struct headwriter *h, const struct conf_provider *p, enum provider_op op,
                       const char *start, uint32_t *model_at)
{
    struct slice rest = slice_str(p->kind->paths[op]);
    *model_at = 0;
    headwriter_put(h, p->base_url.path);
    for (const char *open; rest.n && (open = memchr(rest.p, '{', rest.n)) != NULL;) {
        size_t before = (size_t)(open - rest.p);
        headwriter_put(h, slice_of(rest.p, before));
        rest = slice_of(open, rest.n - before);
        if (slice_starts_with(rest, SLICE_LIT("{model}")) ||
            slice_starts_with(rest, SLICE_LIT("{object}")))
            *model_at = (uint32_t)(h->at - start);
        else
            put_place(h, p, rest);
        (void)slice_split(&rest, '}');
    }
    headwriter_put(h, rest);
}

static bool has_field(const struct conf_provider *p, struct slice name)
{
    for (uint32_t i = 0; i < p->headers.n; i++)
        if (slice_ieq(p->headers.v[i].name, name))
            return true;
    return false;
}

static size_t constant_room(const struct secrets *secrets, const struct conf_credential *cred)
{
    const struct conf_provider *p = cred->provider;
    struct secret s;
    size_t n = CONSTANT_ROOM_BYTES + p->base_url.path.n + p->host_header.n + p->api_version.n +
               3 * (p->project.n + p->location.n);
    if (cred->secret.blob.n && secrets_get(secrets, cred->secret.blob, &s))
        n += s.data.n;
    for (uint32_t i = 0; i < p->headers.n; i++)
        n += p->headers.v[i].name.n + p->headers.v[i].value.n + 4;
    return n;
}

void upstream_head_constant(const struct secrets *secrets, const struct conf_credential *cred,
                            enum provider_op op, struct upstream_head *out)
{
    const struct conf_provider *p = cred->provider;
    struct headwriter h;
    memset(out, 0, sizeof *out);
    if (!is_offered(p, op))
        return;
    size_t cap = constant_room(secrets, cred);
    char *mem = gw_xmalloc(cap);
    headwriter_init(&h, mem, cap);
    const struct relay *relay = relay_of(dialects_operation(op));
    headwriter_put(&h, relay ? relay->method : SLICE_LIT("POST"));
    headwriter_lit(&h, " ");
    write_path(&h, p, op, mem, &out->model_at);
    out->path_end = (uint32_t)(h.at - mem);
    headwriter_lit(&h, " HTTP/1.1\r\n");
    headwriter_field_lit(&h, "host", p->host_header);
    write_auth(&h, secrets, cred);
    if (!relay || relay->body == RELAY_JSON)
        headwriter_lit(&h, "content-type: application/json\r\n");
    headwriter_lit(&h, "accept-encoding: identity\r\nuser-agent: gatewayd/" GW_VERSION "\r\n");
    for (uint32_t i = 0; i < p->headers.n; i++)
        headwriter_field(&h, p->headers.v[i].name, p->headers.v[i].value);
    GW_REQUIRE(!h.full);
    size_t n = (size_t)(h.at - mem);
    char *exact = gw_xmalloc(n);
    memcpy(exact, mem, n);
    crypto_wipe(mem, n);
    free(mem);
    out->bytes = slice_of(exact, n);
    out->wants_version = dialects_of_op(op) == DIALECT_ANTHROPIC &&
                         dialects_envelope(op) == DIALECT_PLAIN &&
                         !has_field(p, SLICE_LIT("anthropic-version"));
}

static bool is_configured(const struct conf_slices *list, struct slice name)
{
    for (uint32_t i = 0; i < list->n; i++)
        if (slice_ieq(list->v[i], name))
            return true;
    return false;
}

static bool is_in(const enum http_header_id *list, size_t n, enum http_header_id id)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == id)
            return true;
    return false;
}

static bool is_allowed(enum http_header_id id, bool native)
{
    return is_in(forwarded, ARRAY_LEN(forwarded), id) ||
           (native && is_in(forwarded_native, ARRAY_LEN(forwarded_native), id));
}

/* RFC 9110 section 7.6.1: what Connection names is meant for this hop. */
static bool is_named_by_connection(const struct http_fields *f, struct slice name)
{
    for (unsigned i = f->first[HTTP_H_CONNECTION]; i != HTTP_NO_FIELD; i = f->f[i].next) {
        struct slice rest = http_fields_value(f, i);
        for (struct slice e = http_list_next(&rest); e.p; e = http_list_next(&rest))
            if (slice_ieq(e, name))
                return true;
    }
    return false;
}

static void forward_fields(struct headwriter *h, const struct req *r, const struct candidate *cand,
                           bool native)
{
    const struct conf_provider *p = cand->credential->provider;
    const struct http_fields *f = &r->head.fields;
    bool version_in_body = dialects_envelope(cand->op) != DIALECT_PLAIN;
    for (unsigned i = 0; i < f->n; i++) {
        struct slice name = http_fields_name(f, i);
        bool wanted = is_allowed((enum http_header_id)f->f[i].id, native) ||
                      (p->forward_headers.n && is_configured(&p->forward_headers, name));
        if (f->f[i].id == HTTP_H_ANTHROPIC_VERSION && version_in_body)
            continue;
        if (wanted && !is_named_by_connection(f, name))
            headwriter_field(h, name, http_fields_value(f, i));
    }
}

/* A query's name as its reader takes it: percent-encodings decoded (RFC 3986 section 2.1). Longer
 * ones than `out` are cut: they are none of those it is compared with. */
static struct slice decode_name(struct slice name, char *out, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; i < name.n && n < cap; i++) {
        char digits[3] = {0}, *end = digits;
        if (name.p[i] == '%' && name.n - i > 2 && isxdigit((unsigned char)name.p[i + 1]))
            memcpy(digits, name.p + i + 1, 2);
        unsigned long byte = strtoul(digits, &end, 16);
        bool decoded = end == digits + 2;
        out[n++] = decoded ? (char)byte : name.p[i];
        i += decoded ? 2 : 0;
    }
    return slice_of(out, n);
}

bool upstream_query_passes(struct slice param)
{
    /* cloud.google.com/apis/docs/system-parameters (names may begin with a dollar sign; httpMethod
     * makes it another request); RFC 6750 section 2.3; Azure's and others' spellings of a key. */
    static const struct slice ours[] = {
        SLICE_LIT("key"),           SLICE_LIT("api_key"),          SLICE_LIT("api-key"),
        SLICE_LIT("apikey"),        SLICE_LIT("access_token"),     SLICE_LIT("oauth_token"),
        SLICE_LIT("bearer_token"),  SLICE_LIT("x-api-key"),        SLICE_LIT("x-goog-api-key"),
        SLICE_LIT("authorization"), SLICE_LIT("subscription-key"), SLICE_LIT("api-version"),
        SLICE_LIT("httpMethod"),
    };
    char text[32];
    struct slice name = decode_name(slice_split(&param, '='), text, sizeof text);
    if (name.n && name.p[0] == '$')
        name = slice_of(name.p + 1, name.n - 1);
    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (slice_ieq(name, ours[i]))
            return false;
    return true;
}

/* The caller's query but for what is the gateway's affair. */
static void put_query(struct headwriter *h, struct slice query, bool more)
{
    while (query.p) {
        struct slice param = slice_split(&query, '&');
        if (param.n == 0 || !upstream_query_passes(param))
            continue;
        headwriter_put(h, more ? SLICE_LIT("&") : SLICE_LIT("?"));
        headwriter_put(h, param);
        more = true;
    }
}

/* The constant part with what is open in it. */
static void put_constant(struct headwriter *h, const struct req *r,
                         const struct upstream_head *head, struct slice model)
{
    struct slice all = head->bytes;
    size_t at = 0;
    if (head->model_at) {
        headwriter_put(h, slice_of(all.p, head->model_at));
        put_encoded(h, r->path_object.n ? r->path_object : model);
        at = head->model_at;
    }
    if (r->relay && r->relay->query) {
        headwriter_put(h, slice_of(all.p + at, head->path_end - at));
        put_query(h, r->upstream_query.p ? r->upstream_query : http_request_query(&r->head),
                  memchr(all.p, '?', head->path_end) != NULL);
        at = head->path_end;
    }
    headwriter_put(h, slice_of(all.p + at, all.n - at));
}

/* What the body is, where the constant part can't know: a form has its boundary in it. */
static void put_content_type(struct headwriter *h, const struct req *r)
{
    if (!r->relay || r->relay->body == RELAY_JSON || r->relay->body == RELAY_NO_BODY)
        return;
    if (r->ask.form_boundary.n)
        headwriter_field_lit(h, "content-type",
                             http_fields_get(&r->head.fields, HTTP_H_CONTENT_TYPE));
    else
        headwriter_lit(h, "content-type: application/json\r\n");
}

/* docs.claude.com/en/api/versioning: a request without it is refused. */
static void put_version(struct headwriter *h, const struct req *r, bool native)
{
    if (!native || !http_fields_count(&r->head.fields, HTTP_H_ANTHROPIC_VERSION))
        headwriter_lit(h, "anthropic-version: 2023-06-01\r\n");
}

static bool hash_body(struct req *r, const struct iovec *body, int n_body,
                      uint8_t out[CRYPTO_SHA256_BYTES])
{
    struct slice *parts = arena_alloc(&r->arena, ((size_t)n_body + 1) * sizeof *parts);
    for (int i = 0; parts && i < n_body; i++)
        parts[i] = slice_of(body[i].iov_base, body[i].iov_len);
    if (parts)
        crypto_sha256_parts(parts, (size_t)n_body, out);
    return parts != NULL;
}

/* The target on the request line that has been written. */
static struct slice target_of(struct slice head)
{
    (void)slice_split(&head, ' ');
    return slice_split(&head, ' ');
}

static bool put_signature(struct headwriter *h, struct req *r, const struct candidate *cand,
                          struct slice written, const struct iovec *body, int n_body)
{
    uint8_t digest[CRYPTO_SHA256_BYTES];
    struct sigv4_signature sig;
    const struct sigv4_field fields[] = {
        {SLICE_LIT("host"), cand->credential->provider->host_header},
        {SLICE_LIT("content-type"), SLICE_LIT("application/json")},
    };
    struct sigv4_request req = {.method = SLICE_LIT("POST"),
                                .target = target_of(written),
                                .fields = fields,
                                .n_fields = ARRAY_LEN(fields),
                                .body_sha256 = digest};
    struct sigv4_signer *signer = r->snap->credentials[cand->credential->index].signer;
    if (!hash_body(r, body, n_body, digest) || sigv4_sign(signer, &req, clock_wall_us(), &sig) < 0)
        return false;
    headwriter_field_lit(h, "x-amz-date", slice_str(sig.date));
    if (sig.security_token.n)
        headwriter_field_lit(h, "x-amz-security-token", sig.security_token);
    headwriter_field_lit(h, "authorization", sig.authorization);
    return true;
}

static void put_bearer(struct headwriter *h, struct slice token)
{
    headwriter_lit(h, "authorization: Bearer ");
    headwriter_put(h, token);
    headwriter_lit(h, "\r\n");
}

struct slice upstream_head_write(struct req *r, const struct candidate *cand,
                                 const struct upstream_token *token, const struct iovec *body,
                                 int n_body)
{
    const struct upstream_head *head =
        &r->snap->credentials[cand->credential->index].head[cand->op];
    struct slice model = cand->target->upstream_model;
    enum dialect_id dialect = dialects_of_op(cand->op);
    bool native = dialect == r->route->dialect;
    size_t caller = GW_MIN((size_t)r->bytes_from_client, (size_t)FORWARDED_MAX_BYTES);
    const struct sigv4_signer *signer = r->snap->credentials[cand->credential->index].signer;
    size_t cap = head->bytes.n + 3 * (model.n + r->path_object.n) + token->bearer.n + caller + 256;
    if (signer)
        cap += SIGNATURE_BYTES + signer->credentials.session_token.n;
    size_t body_bytes = 0;
    for (int i = 0; i < n_body; i++)
        body_bytes += body[i].iov_len;
    char *mem = arena_alloc(&r->arena, cap);
    struct headwriter h;
    if (!mem)
        return slice_of(NULL, 0);
    headwriter_init(&h, mem, cap);
    put_constant(&h, r, head, model);
    put_content_type(&h, r);
    if (token->bearer.n)
        put_bearer(&h, token->bearer);
    if (r->ask.stream)
        headwriter_field_lit(&h, "accept",
                             slice_str(dialects_native(dialect)->content_type_stream));
    else if (r->relay && r->relay->opaque)
        headwriter_lit(&h, "accept: */*\r\n");
    else
        headwriter_lit(&h, "accept: application/json\r\n");
    forward_fields(&h, r, cand, native);
    if (head->wants_version)
        put_version(&h, r, native);
    if (signer && !put_signature(&h, r, cand, slice_of(mem, (size_t)(h.at - mem)), body, n_body))
        return slice_of(NULL, 0);
    /* RFC 9110 section 8.6: also of a POST that has none. */
    if (!r->relay || r->relay->body != RELAY_NO_BODY || slice_eq_str(r->relay->method, "POST"))
        headwriter_field_u64(&h, "content-length", body_bytes);
    return headwriter_end(&h);
}
