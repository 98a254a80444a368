/*
 * conf_resolve.c: references between sections, and the rules that span them.
 *
 * Order matters: providers, credentials, models, then who may use them; each step finds what it
 * names through the indexes that the steps before have filled.
 */
#include "common/conf_addr.h"
#include "common/conf_build.h"
#include "common/suggest.h"
#include "common/token_shm.h"

#include <ctype.h>
#include <stdlib.h>

/* The next section of a kind behind s (NULL: the first), or NULL. */
static struct section *next_section(const struct build *b, enum conf_section kind,
                                    struct section *s)
{
    for (s = s ? s + 1 : b->sections; s < b->sections + b->n_sections; s++)
        if (s->kind == kind)
            return s;
    return NULL;
}

#define FOREACH_SECTION(b, kind, s)                                                                \
    for (struct section *s = next_section((b), (kind), NULL); s; s = next_section((b), (kind), s))

/* ---- gateway ---- */

static void check_listeners(struct build *b, const struct conf_listeners *list, const char *key)
{
    const struct section *gw = build_singleton(b, CONF_SECTION_GATEWAY);
    const struct conf_entry *at = build_entry(b, gw, key);
    bool data = list == &b->conf->gateway.listen;
    bool metrics = list == &b->conf->gateway.metrics;
    const struct conf_admin *admin = &b->conf->admin;
    bool token = admin->token.ref.n || (metrics && admin->metrics_token.ref.n);
    for (uint32_t i = 0; i < list->n; i++) {
        const struct conf_listener *l = &list->v[i];
        if (data && b->conf->gateway.auth == CONF_AUTH_OPEN && !conf_listener_is_local(l))
            build_error(b, at,
                        "`%.*s` is reachable from elsewhere; auth = open listens on "
                        "loopback only",
                        SLICE_FMT(l->text));
        if (!data && !token && !conf_listener_is_local(l))
            build_error(b, at, "`%.*s` is reachable from elsewhere; set `token` in [admin]",
                        SLICE_FMT(l->text));
        if (!data && l->proxy_protocol)
            build_error(b, at, "`%.*s`: proxy_protocol is for `listen` only", SLICE_FMT(l->text));
        if (l->tls && (!b->conf->tls.certificate.ref.n || !b->conf->tls.key.ref.n))
            build_error(b, at, "`%.*s` needs `certificate` and `key` in [tls]", SLICE_FMT(l->text));
    }
}

static void check_overlap(struct build *b)
{
    const struct conf_gateway *g = &b->conf->gateway;
    const struct conf_listeners *lists[] = {&g->listen, &g->admin, &g->metrics};
    const struct section *gw = build_singleton(b, CONF_SECTION_GATEWAY);
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        for (size_t j = i + 1; j < ARRAY_LEN(lists); j++)
            for (uint32_t x = 0; x < lists[i]->n; x++)
                for (uint32_t y = 0; y < lists[j]->n; y++)
                    if (conf_listener_eq(&lists[i]->v[x], &lists[j]->v[y]))
                        build_error(b, gw ? gw->head : NULL, "`%.*s` is used for two listeners",
                                    SLICE_FMT(lists[i]->v[x].text));
}

static void resolve_gateway(struct build *b)
{
    struct conf_gateway *g = &b->conf->gateway;
    const struct section *gw = build_singleton(b, CONF_SECTION_GATEWAY);
    struct errbuf why;
    if (g->listen.n == 0)
        build_error(b, build_entry(b, gw, "listen"), "expected at least one address");
    if (g->admin.n == 0) {
        struct slice text =
            conf_printf(b->arena, "unix:%.*s/admin.sock", SLICE_FMT(g->runtime_dir));
        if (conf_listeners_read(text, b->arena, &g->admin, &why) < 0)
            build_error(b, build_entry(b, gw, "runtime_dir"), "%s", why.msg);
    }
    if (b->conf->http.allow.n == 0)
        build_error(b, build_entry(b, build_singleton(b, CONF_SECTION_HTTP), "allow"),
                    "expected at least one network");
    check_listeners(b, &g->listen, "listen");
    check_listeners(b, &g->admin, "admin");
    check_listeners(b, &g->metrics, "metrics");
    check_overlap(b);
}

static void name_blob(struct conf_secret *s, const char *name)
{
    if (s->ref.n)
        s->blob = slice_str(name);
}

static void name_common_blobs(struct build *b)
{
    struct conf *c = b->conf;
    bool tls = false;
    name_blob(&c->admin.token, "admin:token");
    name_blob(&c->admin.viewer_token, "admin:viewer_token");
    name_blob(&c->admin.metrics_token, "admin:metrics_token");
    name_blob(&c->tls.certificate, "tls:certificate");
    name_blob(&c->tls.key, "tls:key");
    name_blob(&c->tls.client_ca, "tls:client_ca");
    for (uint32_t i = 0; i < c->gateway.listen.n; i++)
        tls |= c->gateway.listen.v[i].tls;
    if (tls)
        c->tls.tickets.blob = SLICE_LIT("tls:tickets");
    if (!c->tls.certificate.ref.n != !c->tls.key.ref.n)
        build_error(b, build_singleton(b, CONF_SECTION_TLS)->head,
                    "`certificate` and `key` go together");
}

/* ---- providers ---- */

static void resolve_proxy(struct build *b, struct raw_provider *r, const struct section *s)
{
    struct conf_provider *p = &r->pub;
    struct errbuf why;
    p->proxy = r->proxy;
    p->own_proxy = p->proxy.host.n > 0;
    if (!p->own_proxy && p->base_url.tls) {
        const char *env = conf_environment_proxy(p->base_url.host);
        if (env && conf_url_read(slice_str(env), b->arena, &p->proxy, &why) < 0)
            build_error(b, s->head, "HTTPS_PROXY in the environment: %s", why.msg);
    }
    p->has_proxy = p->proxy.host.n > 0;
    if (p->has_proxy && (p->proxy.tls || p->proxy.path.n))
        build_error(b, build_entry(b, s, "proxy"),
                    "a proxy is http://HOST:PORT: no https, no path");
}

void conf_use_system_trust(struct build *b)
{
    struct conf_gateway *g = &b->conf->gateway;
    g->ca.ref = conf_printf(b->arena, "file:%.*s", SLICE_FMT(g->ca_file));
    g->ca.blob = SLICE_LIT("ca:system");
}

static void resolve_trust(struct build *b, struct raw_provider *r, const struct section *s)
{
    struct conf_provider *p = &r->pub;
    const char *name = s->name.p;
    if (p->client_certificate.ref.n)
        p->client_certificate.blob = conf_printf(b->arena, "provider:%s:client_certificate", name);
    if (p->client_key.ref.n)
        p->client_key.blob = conf_printf(b->arena, "provider:%s:client_key", name);
    if (!p->client_certificate.ref.n != !p->client_key.ref.n)
        build_error(b, s->head, "`client_certificate` and `client_key` go together");
    if (p->client_certificate.ref.n && p->base_url.host.n && !p->base_url.tls)
        build_error(b, build_entry(b, s, "client_certificate"),
                    "a certificate can't be shown over http://; make `base_url` https://");
    if (p->ca.ref.n) {
        p->ca.blob = conf_printf(b->arena, "ca:%.*s", SLICE_FMT(p->ca.ref));
    } else if (p->base_url.tls) {
        conf_use_system_trust(b);
        p->ca = b->conf->gateway.ca;
    }
}

static struct conf_slices lower_case(struct arena *a, struct conf_slices list)
{
    struct slice *v = conf_alloc(a, list.n * sizeof *v);
    for (uint32_t i = 0; i < list.n; i++) {
        v[i] = conf_dup(a, list.v[i]);
        for (char *p = (char *)v[i].p; *p; p++)
            if (*p >= 'A' && *p <= 'Z')
                *p = (char)(*p | 0x20);
    }
    return (struct conf_slices){v, list.n};
}

static void check_forwarded(struct build *b, struct conf_provider *p, const struct section *s)
{
    static const char *const never[] = {"authorization",
                                        "proxy-authorization",
                                        "cookie",
                                        "x-api-key",
                                        "api-key",
                                        "x-goog-api-key",
                                        "host",
                                        "connection",
                                        "content-length",
                                        "transfer-encoding",
                                        "keep-alive",
                                        "te",
                                        "trailer",
                                        "upgrade",
                                        "expect",
                                        "forwarded",
                                        "x-forwarded-for",
                                        "x-forwarded-host",
                                        "x-forwarded-proto"};
    p->forward_headers = lower_case(b->arena, p->forward_headers);
    for (uint32_t i = 0; i < p->forward_headers.n; i++)
        for (size_t j = 0; j < ARRAY_LEN(never); j++)
            if (slice_eq_str(p->forward_headers.v[i], never[j]))
                build_error(b, build_entry(b, s, "forward_headers"), "`%s` is never passed on",
                            never[j]);
}

static void unknown_kind(struct build *b, struct slice kind, const struct conf_entry *at)
{
    struct suggest near;
    size_t n;
    const struct provider_kind *kinds = provider_kinds(&n);
    suggest_init(&near, kind);
    for (size_t i = 0; i < n; i++)
        suggest_try(&near, kinds[i].name);
    if (near.best)
        build_error(b, at, "unknown kind `%.*s`; did you mean `%s`?", SLICE_FMT(kind), near.best);
    else
        build_error(b, at,
                    "unknown kind `%.*s`; docs/configuration.md has them all, and for a provider "
                    "that speaks OpenAI's API there is `openai-compatible`",
                    SLICE_FMT(kind));
}

/* It becomes part of a host name or a query. */
static bool is_word(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!isalnum((unsigned char)s.p[i]) && s.p[i] != '-' && s.p[i] != '.')
            return false;
    return s.n > 0;
}

static void check_api_version(struct build *b, const struct conf_provider *p,
                              const struct section *s)
{
    if (p->kind->needs_api_version && !p->api_version.n)
        build_error(b, s->head, "`api_version` is missing; the kind `%s` needs it", p->kind->name);
    else if (!p->kind->needs_api_version && p->api_version.n)
        build_error(b, build_entry(b, s, "api_version"), "the kind `%s` has no API version",
                    p->kind->name);
    else if (p->api_version.n && !is_word(p->api_version))
        build_error(b, build_entry(b, s, "api_version"),
                    "a version is made of letters, digits, `-` and `.`");
    else if (p->kind->of_version && !p->kind->of_version(p->api_version))
        build_error(b, build_entry(b, s, "api_version"),
                    "there is no `%.*s`: it is `v1`, `preview` or a date such as 2024-10-21",
                    SLICE_FMT(p->api_version));
    else if (p->kind->of_version && slice_starts_with(p->base_url.path, SLICE_LIT("/openai")))
        build_error(b, build_entry(b, s, "base_url"),
                    "it is the address of the resource, without /openai");
}

/* cloud.google.com/vertex-ai/generative-ai/docs/learn/locations: that of one region is as the
 * kind's row has it; the global endpoint and those of several regions together have hosts of their
 * own. */
static const char *location_url(struct build *b, struct slice location)
{
    if (!location.n || slice_eq_str(location, "global"))
        return "https://aiplatform.googleapis.com/v1";
    if (slice_eq_str(location, "us") || slice_eq_str(location, "eu"))
        return conf_printf(b->arena, "https://aiplatform.%.*s.rep.googleapis.com/v1",
                           SLICE_FMT(location))
            .p;
    return NULL;
}

/* The kind's base_url with region or location in its place. */
static const char *kind_url(struct build *b, const struct conf_provider *p)
{
    const char *url = p->kind->base_url, *at = strchr(url, '{');
    const char *other = p->kind->has_location ? location_url(b, p->location) : NULL;
    if (!at || other)
        return other ? other : url;
    struct slice value = p->kind->has_location ? p->location : p->region;
    struct slice made = conf_printf(b->arena, "%.*s%.*s%s", (int)(at - url), url, SLICE_FMT(value),
                                    strchr(at, '}') + 1);
    return made.p;
}

/* A project's id: that of a domain's project has the domain and a colon in front
 * (cloud.google.com/resource-manager/docs/creating-managing-projects). */
static bool is_project(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!isalnum((unsigned char)s.p[i]) && !memchr("-.:", s.p[i], 3))
            return false;
    return s.n > 0;
}

static void check_location(struct build *b, const struct conf_provider *p, const struct section *s)
{
    if (!p->kind->has_location) {
        if (p->project.n || p->location.n)
            build_error(b, build_entry(b, s, p->project.n ? "project" : "location"),
                        "the kind `%s` has no projects and locations", p->kind->name);
        return;
    }
    if (p->project.n && !p->location.n)
        build_error(b, s->head, "`location` is missing: `global`, `us`, `eu` or a region");
    else if (p->location.n && !p->project.n)
        build_error(b, s->head, "`project` is missing; `location` goes with it");
    else if (p->project.n && !is_project(p->project))
        build_error(b, build_entry(b, s, "project"),
                    "a project's id is made of letters, digits, `-`, `.` and `:`");
    else if (p->location.n && !is_word(p->location))
        build_error(b, build_entry(b, s, "location"),
                    "a location is made of letters, digits and `-`");
}

static void check_region(struct build *b, const struct conf_provider *p, const struct section *s)
{
    if (p->kind->aws_service && !p->region.n)
        build_error(b, s->head, "`region` is missing; the kind `%s` needs it", p->kind->name);
    else if (!p->kind->aws_service && p->region.n)
        build_error(b, build_entry(b, s, "region"), "the kind `%s` has no region", p->kind->name);
    else if (p->region.n && !is_word(p->region))
        build_error(b, build_entry(b, s, "region"), "a region is made of letters, digits and `-`");
}

static void resolve_kind(struct build *b, struct raw_provider *r, const struct section *s)
{
    struct conf_provider *p = &r->pub;
    struct errbuf why;
    p->kind = provider_kind_find(r->kind);
    if (!p->kind) {
        unknown_kind(b, r->kind, build_entry(b, s, "kind"));
        return;
    }
    if (!p->base_url.host.n && !p->kind->base_url)
        build_error(b, s->head, "`base_url` is missing; the kind `%s` has none of its own",
                    p->kind->name);
    else if (!p->base_url.host.n &&
             conf_url_read(slice_str(kind_url(b, p)), b->arena, &p->base_url, &why) < 0)
        build_error(b, s->head, "%s", why.msg);
    check_api_version(b, p, s);
    check_region(b, p, s);
    check_location(b, p, s);
    if (p->kind->of_version && p->kind->of_version(p->api_version))
        p->kind = p->kind->of_version(p->api_version);
    p->quirks = p->kind->quirks;
    if (r->stream_usage == CONF_OFF)
        p->quirks |= PROVIDER_QUIRK_NO_STREAM_OPTIONS;
    else if (r->stream_usage == CONF_ON)
        p->quirks &= ~(uint32_t)PROVIDER_QUIRK_NO_STREAM_OPTIONS;
}

static bool resolve_providers(struct build *b)
{
    struct conf *c = b->conf;
    uint32_t before = b->errs->n;
    struct conf_provider *v = conf_alloc(b->arena, b->count[CONF_SECTION_PROVIDER] * sizeof *v);
    conf_map_init(&c->index->providers, b->arena, b->count[CONF_SECTION_PROVIDER]);
    FOREACH_SECTION(b, CONF_SECTION_PROVIDER, s)
    {
        struct raw_provider *r = s->raw;
        resolve_kind(b, r, s);
        resolve_proxy(b, r, s);
        resolve_trust(b, r, s);
        check_forwarded(b, &r->pub, s);
        r->pub.name = s->name;
        r->pub.index = c->n_providers;
        r->pub.headers = (struct conf_pairs){r->headers.v, r->headers.n};
        if (!r->pub.host_header.n)
            r->pub.host_header = r->pub.base_url.authority;
        conf_map_put(&c->index->providers, s->name, c->n_providers);
        v[c->n_providers++] = r->pub;
    }
    c->providers = v;
    return b->errs->n == before;
}

/* ---- credentials ---- */

static bool has_credential(const struct conf_credential *v, uint32_t n,
                           const struct conf_provider *p)
{
    for (uint32_t i = 0; i < n; i++)
        if (v[i].provider == p)
            return true;
    return false;
}

/* Gives each provider its list; one without any gets a nameless credential where its kind allows
 * that, so that every target has one. */
static void attach_credentials(struct build *b, struct conf_credential *v)
{
    struct conf *c = b->conf;
    FOREACH_SECTION(b, CONF_SECTION_PROVIDER, s)
    {
        struct raw_provider *r = s->raw;
        struct conf_provider *p = (struct conf_provider *)&c->providers[r->pub.index];
        if (!has_credential(v, c->n_credentials, p)) {
            if (provider_needs_secret(p->kind))
                build_error(b, s->head, "no [credential:...] section has provider = %s", s->name.p);
            v[c->n_credentials] = (struct conf_credential){.index = c->n_credentials,
                                                           .name = p->name,
                                                           .provider = p,
                                                           .auth = CONF_CRED_NONE,
                                                           .weight = 1};
            c->n_credentials++;
        }
        const struct conf_credential **list = conf_alloc(b->arena, c->n_credentials * sizeof *list);
        for (uint32_t i = 0; i < c->n_credentials; i++)
            if (v[i].provider == p)
                list[p->n_credentials++] = &v[i];
        p->credentials = list;
    }
}

static const struct conf_credential *first_secret(const struct conf_provider *p)
{
    for (uint32_t i = 0; i < p->n_credentials; i++)
        if (p->credentials[i]->secret.ref.n)
            return p->credentials[i];
    return NULL;
}

static void warn_of_plain_http(struct build *b)
{
    struct conf *c = b->conf;
    struct slice *v = conf_alloc(b->arena, b->count[CONF_SECTION_PROVIDER] * sizeof *v);
    uint32_t n = 0;
    FOREACH_SECTION(b, CONF_SECTION_PROVIDER, s)
    {
        const struct conf_provider *p = &c->providers[((struct raw_provider *)s->raw)->pub.index];
        const struct conf_credential *cr = first_secret(p);
        const struct conf_entry *at = build_entry(b, s, "base_url");
        if (!cr || p->base_url.tls || conf_url_is_local(&p->base_url))
            continue;
        v[n++] =
            conf_printf(b->arena,
                        "%.*s:%u: [provider:%s] base_url: the secret of [credential:%s] goes "
                        "unencrypted over the network to %s; make it https://",
                        SLICE_FMT(at->file), at->line, p->name.p, cr->name.p, p->base_url.host.p);
    }
    c->warnings = (struct conf_slices){v, n};
}

/* Their tokens must find room in shared memory, in two generations at a time. */
static void check_fetched(struct build *b)
{
    const struct conf *c = b->conf;
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->n_credentials; i++)
        n += conf_credential_fetched(&c->credentials[i]);
    if (n > TOKEN_CREDENTIALS_MAX)
        build_error(b, NULL, "%u credentials need a token; there is room for %d", n,
                    TOKEN_CREDENTIALS_MAX);
}

static bool resolve_credentials(struct build *b)
{
    struct conf *c = b->conf;
    uint32_t before = b->errs->n, n = b->count[CONF_SECTION_CREDENTIAL];
    struct conf_credential *v =
        conf_alloc(b->arena, (n + b->count[CONF_SECTION_PROVIDER]) * sizeof *v);
    conf_map_init(&c->index->credentials, b->arena, n);
    FOREACH_SECTION(b, CONF_SECTION_CREDENTIAL, s)
    {
        struct raw_credential *r = s->raw;
        conf_resolve_credential(b, r, s);
        r->pub.name = s->name;
        r->pub.index = c->n_credentials;
        conf_map_put(&c->index->credentials, s->name, c->n_credentials);
        v[c->n_credentials++] = r->pub;
    }
    attach_credentials(b, v);
    c->credentials = v;
    check_fetched(b);
    warn_of_plain_http(b);
    return b->errs->n == before;
}

/* ---- models ---- */

static bool serves(const struct conf_credential *cr, struct slice model)
{
    for (uint32_t i = 0; i < cr->models.n; i++)
        if (slice_eq(cr->models.v[i], model))
            return true;
    return cr->models.n == 0;
}

static void resolve_target(struct build *b, const struct section *s, const struct raw_target *raw,
                           struct conf_target *t)
{
    const struct conf_entry *at = build_entry(b, s, "targets");
    const struct conf_provider *p = conf_provider_find(b->conf, raw->provider);
    *t = (struct conf_target){.index = b->conf->n_targets++,
                              .provider = p,
                              .upstream_model = raw->upstream_model,
                              .weight = raw->weight};
    if (!p) {
        build_error(b, at, "there is no [provider:%.*s]", SLICE_FMT(raw->provider));
        return;
    }
    const struct conf_credential **list = conf_alloc(b->arena, p->n_credentials * sizeof *list);
    for (uint32_t i = 0; i < p->n_credentials; i++)
        if (serves(p->credentials[i], raw->upstream_model))
            list[t->n_credentials++] = p->credentials[i];
    t->credentials = list;
    if (t->n_credentials == 0)
        build_error(b, at, "no credential of `%.*s` may be used for `%.*s` (their `models`)",
                    SLICE_FMT(p->name), SLICE_FMT(raw->upstream_model));
}

/* Different upstream models without tiers: a conversation must not hop between models. */
static bool wants_priority(const struct raw_model *r)
{
    bool tiers = false, differ = false;
    for (uint32_t i = 0; i < r->targets.n; i++) {
        tiers |= r->targets.v[i].tier != 0;
        differ |= !slice_eq(r->targets.v[i].upstream_model, r->targets.v[0].upstream_model);
    }
    if (r->strategy == RAW_STRATEGY_UNSET)
        return differ && !tiers;
    return r->strategy == RAW_STRATEGY_PRIORITY;
}

/* Stable by tier; then tiers are numbered densely. Under `priority` each target is a tier. */
static void order_targets(const struct raw_model *r, uint32_t *order, uint32_t *tiers)
{
    bool priority = wants_priority(r);
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->targets.n; i++) {
        uint32_t tier = GW_MAX(r->targets.v[i].tier, 1u), at = n++;
        while (at && GW_MAX(r->targets.v[order[at - 1]].tier, 1u) > tier) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = i;
    }
    for (uint32_t i = 0; i < n; i++) {
        bool next = i && (priority || GW_MAX(r->targets.v[order[i]].tier, 1u) !=
                                          GW_MAX(r->targets.v[order[i - 1]].tier, 1u));
        tiers[i] = i ? tiers[i - 1] + next : 0;
    }
}

static void check_weights(struct build *b, const struct section *s, const struct conf_model *m)
{
    for (uint32_t tier = 0; tier < m->n_tiers; tier++) {
        uint64_t sum = 0;
        for (uint32_t i = 0; i < m->n_targets; i++)
            sum += m->targets[i].tier == tier ? m->targets[i].weight : 0;
        if (sum == 0)
            build_error(b, build_entry(b, s, "targets"),
                        "all targets of a tier have weight=0; one must have more");
    }
}

static void resolve_targets(struct build *b, struct raw_model *r, const struct section *s)
{
    uint32_t n = r->targets.n;
    struct conf_target *v = conf_alloc(b->arena, n * sizeof *v);
    uint32_t *order = conf_alloc(b->scratch, n * sizeof *order);
    uint32_t *tiers = conf_alloc(b->scratch, n * sizeof *tiers);
    order_targets(r, order, tiers);
    for (uint32_t i = 0; i < n; i++) {
        resolve_target(b, s, &r->targets.v[order[i]], &v[i]);
        v[i].tier = tiers[i];
    }
    r->pub.targets = v;
    r->pub.n_targets = n;
    r->pub.n_tiers = n ? tiers[n - 1] + 1 : 0;
    check_weights(b, s, &r->pub);
}

static void index_model(struct build *b, const struct section *s, struct slice name,
                        const struct conf_entry *at, const struct conf_entry **places,
                        uint32_t position)
{
    uint32_t other = conf_map_put(&b->conf->index->models, name, position);
    if (other != CONF_MAP_NONE)
        build_error(b, at, "`%.*s` is already a name of the model at %.*s:%u", SLICE_FMT(name),
                    SLICE_FMT(places[other]->file), places[other]->line);
    places[position] = s->head;
}

static void finish_models(struct build *b, struct conf_model *v)
{
    struct conf *c = b->conf;
    FOREACH_SECTION(b, CONF_SECTION_MODEL, s)
    {
        struct raw_model *r = s->raw;
        struct conf_model *m = &v[r->pub.index];
        const struct conf_model **list = conf_alloc(b->arena, r->fallback.n * sizeof *list);
        for (uint32_t i = 0; i < r->fallback.n; i++) {
            const struct conf_model *f = conf_model_find(c, r->fallback.v[i]);
            if (f)
                list[m->n_fallbacks++] = f;
            else
                build_error(b, build_entry(b, s, "fallback"), "there is no [model:%.*s]",
                            SLICE_FMT(r->fallback.v[i]));
        }
        m->fallbacks = list;
    }
}

/* Whether `to` is reached from m; a model is entered once. */
static bool falls_back_to(const struct conf_model *m, const struct conf_model *to, bool *seen)
{
    if (seen[m->index])
        return false;
    seen[m->index] = true;
    for (uint32_t i = 0; i < m->n_fallbacks; i++)
        if (m->fallbacks[i] == to || falls_back_to(m->fallbacks[i], to, seen))
            return true;
    return false;
}

static void check_fallback_cycles(struct build *b)
{
    struct conf *c = b->conf;
    bool *seen = conf_alloc(b->scratch, c->n_models);
    FOREACH_SECTION(b, CONF_SECTION_MODEL, s)
    {
        struct raw_model *r = s->raw;
        memset(seen, 0, c->n_models);
        if (r->fallback.n &&
            falls_back_to(&c->models[r->pub.index], &c->models[r->pub.index], seen))
            build_error(b, build_entry(b, s, "fallback"), "the fallbacks lead back to this model");
    }
}

static void resolve_models(struct build *b)
{
    struct conf *c = b->conf;
    uint32_t n = b->count[CONF_SECTION_MODEL], names = n, before = b->errs->n;
    struct conf_model *v = conf_alloc(b->arena, n * sizeof *v);
    const struct conf_entry **places = conf_alloc(b->scratch, n * sizeof(struct conf_entry *));
    FOREACH_SECTION(b, CONF_SECTION_MODEL, s)
    names += ((struct raw_model *)s->raw)->pub.aliases.n;
    conf_map_init(&c->index->models, b->arena, names);
    FOREACH_SECTION(b, CONF_SECTION_MODEL, s)
    {
        struct raw_model *r = s->raw;
        r->pub.name = s->name;
        r->pub.index = c->n_models;
        r->pub.defaults = (struct conf_json_members){r->defaults.v, r->defaults.n};
        r->pub.set = (struct conf_json_members){r->set.v, r->set.n};
        resolve_targets(b, r, s);
        index_model(b, s, s->name, s->head, places, c->n_models);
        for (uint32_t i = 0; i < r->pub.aliases.n; i++)
            index_model(b, s, r->pub.aliases.v[i], build_entry(b, s, "alias"), places, c->n_models);
        v[c->n_models++] = r->pub;
    }
    c->models = v;
    finish_models(b, v);
    if (b->errs->n == before)
        check_fallback_cycles(b);
}

static void resolve_relay_provider(struct build *b)
{
    struct conf_gateway *g = &b->conf->gateway;
    if (!g->relay_provider.n)
        return;
    g->relay_provider_ref = conf_provider_find(b->conf, g->relay_provider);
    if (!g->relay_provider_ref)
        build_error(b, build_entry(b, build_singleton(b, CONF_SECTION_GATEWAY), "relay_provider"),
                    "there is no [provider:%.*s]", SLICE_FMT(g->relay_provider));
}

static void resolve_default_models(struct build *b)
{
    struct conf *c = b->conf;
    struct conf_gateway *g = &c->gateway;
    struct raw_model *direct = conf_alloc(b->arena, sizeof *direct);
    build_defaults(b, CONF_SECTION_MODEL, direct);
    c->direct_model = &direct->pub;
    if (!g->default_model.n)
        return;
    g->default_model_ref = conf_model_find(c, g->default_model);
    if (!g->default_model_ref)
        build_error(b, build_entry(b, build_singleton(b, CONF_SECTION_GATEWAY), "default_model"),
                    "there is no [model:%.*s]", SLICE_FMT(g->default_model));
}

/* ---- who may ---- */

static void resolve_teams(struct build *b)
{
    struct conf *c = b->conf;
    struct conf_team *v = conf_alloc(b->arena, b->count[CONF_SECTION_TEAM] * sizeof *v);
    conf_map_init(&c->index->teams, b->arena, b->count[CONF_SECTION_TEAM]);
    FOREACH_SECTION(b, CONF_SECTION_TEAM, s)
    {
        struct raw_team *r = s->raw;
        const struct conf_model **list = conf_alloc(b->arena, r->models.n * sizeof *list);
        for (uint32_t i = 0; i < r->models.n; i++) {
            const struct conf_model *m = conf_model_find(c, r->models.v[i]);
            if (m)
                list[r->pub.n_models++] = m;
            else
                build_error(b, build_entry(b, s, "models"), "there is no [model:%.*s]",
                            SLICE_FMT(r->models.v[i]));
        }
        r->pub.models = list;
        r->pub.name = s->name;
        r->pub.index = c->n_teams;
        conf_map_put(&c->index->teams, s->name, c->n_teams);
        v[c->n_teams++] = r->pub;
    }
    c->teams = v;
}

/* An alias becomes the model's name; a pair stays. */
static void resolve_key_models(struct build *b, struct raw_key *r, const struct section *s)
{
    struct slice *v = conf_alloc(b->arena, r->models.n * sizeof *v);
    for (uint32_t i = 0; i < r->models.n; i++) {
        const struct conf_model *m = conf_model_find(b->conf, r->models.v[i]);
        struct slice rest = r->models.v[i];
        struct slice provider = slice_split(&rest, '/');
        v[i] = m ? m->name : r->models.v[i];
        if (!m && !(rest.n && conf_provider_find(b->conf, provider)))
            build_error(b, build_entry(b, s, "models"),
                        "`%.*s` is neither a model nor PROVIDER/UPSTREAM-MODEL of a provider here",
                        SLICE_FMT(r->models.v[i]));
    }
    r->pub.models = (struct conf_slices){v, r->models.n};
}

static void resolve_keys(struct build *b)
{
    struct conf *c = b->conf;
    uint32_t n = b->count[CONF_SECTION_KEY];
    struct conf_key *v = conf_alloc(b->arena, n * sizeof *v);
    const struct section **places = conf_alloc(b->scratch, n * sizeof(struct section *));
    conf_map_init(&c->index->key_names, b->arena, n);
    conf_map_init(&c->index->key_digests, b->arena, n);
    FOREACH_SECTION(b, CONF_SECTION_KEY, s)
    {
        struct raw_key *r = s->raw;
        uint32_t at = c->n_keys;
        resolve_key_models(b, r, s);
        if (r->team.n && !(r->pub.team = conf_team_find(c, r->team)))
            build_error(b, build_entry(b, s, "team"), "there is no [team:%.*s]",
                        SLICE_FMT(r->team));
        r->pub.name = s->name;
        r->pub.index = at;
        r->pub.file = conf_dup(b->arena, s->head->file);
        r->pub.line = s->head->line;
        v[at] = r->pub;
        places[at] = s;
        conf_map_put(&c->index->key_names, s->name, at);
        uint32_t other = conf_map_put(&c->index->key_digests,
                                      slice_of((char *)v[at].sha256, CONF_KEY_DIGEST_BYTES), at);
        if (other != CONF_MAP_NONE)
            build_error(b, build_entry(b, s, "sha256"), "is the key of [%.*s] at %.*s:%u",
                        SLICE_FMT(places[other]->head->section),
                        SLICE_FMT(places[other]->head->file), places[other]->head->line);
        c->n_keys++;
    }
    c->keys = v;
}

void conf_resolve(struct build *b)
{
    b->conf->index = conf_alloc(b->arena, sizeof *b->conf->index);
    name_common_blobs(b);
    resolve_gateway(b);
    if (!resolve_providers(b) || !resolve_credentials(b))
        return;
    resolve_relay_provider(b);
    resolve_models(b);
    resolve_default_models(b);
    resolve_teams(b);
    resolve_keys(b);
}
