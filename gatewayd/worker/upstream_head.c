/*
 * upstream_head.c: what a provider gets to see of the caller's head.
 */
#include "gatewayd/worker/upstream_head.h"

#include "common/check.h"
#include "common/secrets.h"
#include "gatewayd/worker/headwriter.h"
#include "gatewayd/worker/req_route.h"

#include <stdlib.h>

/* CONSTANT_ROOM_BYTES: the fixed fields, the method and the operation's path. */
enum { CONSTANT_ROOM_BYTES = 1024, FORWARDED_MAX_BYTES = 64 * 1024 };

static const enum http_header_id forwarded[] = {
    HTTP_H_OPENAI_BETA, HTTP_H_ANTHROPIC_BETA, HTTP_H_ANTHROPIC_VERSION,
    HTTP_H_TRACEPARENT, HTTP_H_TRACESTATE,     HTTP_H_IDEMPOTENCY_KEY,
};

static void write_auth(struct headwriter *h, const struct secrets *secrets,
                       const struct conf_credential *cred)
{
    struct secret s;
    if (cred->auth == CONF_CRED_NONE || cred->provider->kind->auth == PROVIDER_AUTH_NONE)
        return;
    if (cred->secret.blob.n && secrets_get(secrets, cred->secret.blob, &s)) {
        headwriter_lit(h, "authorization: Bearer ");
        headwriter_put(h, slice_trim(s.data));
        headwriter_lit(h, "\r\n");
    }
}

static size_t constant_room(const struct secrets *secrets, const struct conf_credential *cred)
{
    const struct conf_provider *p = cred->provider;
    struct secret s;
    size_t n = CONSTANT_ROOM_BYTES + p->base_url.path.n + p->host_header.n;
    if (cred->secret.blob.n && secrets_get(secrets, cred->secret.blob, &s))
        n += s.data.n;
    for (uint32_t i = 0; i < p->headers.n; i++)
        n += p->headers.v[i].name.n + p->headers.v[i].value.n + 4;
    return n;
}

struct slice upstream_head_constant(const struct secrets *secrets,
                                    const struct conf_credential *cred, enum provider_op op)
{
    const struct conf_provider *p = cred->provider;
    struct headwriter h;
    if (!p->kind->paths[op])
        return slice_of(NULL, 0);
    size_t cap = constant_room(secrets, cred);
    char *mem = gw_xmalloc(cap);
    headwriter_init(&h, mem, cap);
    headwriter_lit(&h, "POST ");
    headwriter_put(&h, p->base_url.path);
    headwriter_put(&h, slice_str(p->kind->paths[op]));
    headwriter_lit(&h, " HTTP/1.1\r\n");
    headwriter_field_lit(&h, "host", p->host_header);
    write_auth(&h, secrets, cred);
    headwriter_lit(&h, "content-type: application/json\r\naccept-encoding: identity\r\n"
                       "user-agent: gatewayd/" GW_VERSION "\r\n");
    for (uint32_t i = 0; i < p->headers.n; i++)
        headwriter_field(&h, p->headers.v[i].name, p->headers.v[i].value);
    GW_REQUIRE(!h.full);
    size_t n = (size_t)(h.at - mem);
    char *exact = gw_xmalloc(n);
    memcpy(exact, mem, n);
    crypto_wipe(mem, n);
    free(mem);
    return slice_of(exact, n);
}

static bool is_configured(const struct conf_slices *list, struct slice name)
{
    for (uint32_t i = 0; i < list->n; i++)
        if (slice_ieq(list->v[i], name))
            return true;
    return false;
}

static bool is_allowed(enum http_header_id id)
{
    for (size_t i = 0; i < ARRAY_LEN(forwarded); i++)
        if (forwarded[i] == id)
            return true;
    return false;
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

static void forward_fields(struct headwriter *h, const struct req *r, const struct conf_provider *p)
{
    const struct http_fields *f = &r->head.fields;
    for (unsigned i = 0; i < f->n; i++) {
        struct slice name = http_fields_name(f, i);
        bool wanted = is_allowed((enum http_header_id)f->f[i].id) ||
                      (p->forward_headers.n && is_configured(&p->forward_headers, name));
        if (wanted && !is_named_by_connection(f, name))
            headwriter_field(h, name, http_fields_value(f, i));
    }
}

struct slice upstream_head_write(struct req *r, const struct candidate *cand, size_t body_bytes)
{
    struct slice constant = r->snap->credentials[cand->credential->index].head[req_route_op(r)];
    size_t caller = GW_MIN((size_t)r->bytes_from_client, (size_t)FORWARDED_MAX_BYTES);
    size_t cap = constant.n + caller + 256;
    char *mem = arena_alloc(&r->arena, cap);
    struct headwriter h;
    if (!mem)
        return slice_of(NULL, 0);
    headwriter_init(&h, mem, cap);
    headwriter_put(&h, constant);
    if (r->ask.stream)
        headwriter_lit(&h, "accept: text/event-stream\r\n");
    else
        headwriter_lit(&h, "accept: application/json\r\n");
    forward_fields(&h, r, cand->credential->provider);
    headwriter_field_u64(&h, "content-length", body_bytes);
    return headwriter_end(&h);
}
