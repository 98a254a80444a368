/*
 * conf_credential.c: which settings go with which way of authentication, and where a token is
 * fetched that a credential needs.
 *
 * What the clouds' own tools take from the environment is taken from there too, where the file says
 * nothing: docs/credentials.md lists it. All processes see the same of it, but for secrets, which
 * are the loader's alone: what is here may not depend on whether one is there.
 */
#include "common/conf_addr.h"
#include "common/conf_build.h"

#include <ctype.h>
#include <stdlib.h>

/* https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html: relative URIs
 * are below this one. */
#define ECS_METADATA_URL "http://169.254.170.2"
/* cloud.google.com/compute/docs/metadata/querying-metadata */
#define GCP_METADATA_URL "http://metadata.google.internal"
/* docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html,
 * learn.microsoft.com/azure/virtual-machines/instance-metadata-service */
#define IMDS_URL "http://169.254.169.254"
/* learn.microsoft.com/entra/identity-platform/authentication-national-cloud */
#define ENTRA_AUTHORITY "https://login.microsoftonline.com"
/* learn.microsoft.com/azure/ai-services/openai/how-to/managed-identity */
#define ENTRA_SCOPE "https://cognitiveservices.azure.com/.default"
/* cloud.google.com/vertex-ai/docs/authentication#scopes */
#define GCP_SCOPE "https://www.googleapis.com/auth/cloud-platform"

/* Which settings a source reads. */
enum {
    USES_SECRET = 1 << 0,
    USES_KEYS = 1 << 1, /* access_key_id, session_token */
    USES_ROLE = 1 << 2,
    USES_TENANT = 1 << 3,
    USES_CLIENT = 1 << 4,
    USES_SCOPE = 1 << 5,
    USES_TOKEN_URL = 1 << 6,
    USES_AUTHORITY = 1 << 7,
    USES_METADATA = 1 << 8,
};

static const struct {
    const char *name;
    unsigned uses;
} auths[] = {
    [CONF_CRED_KEY] = {"key", USES_SECRET},
    [CONF_CRED_NONE] = {"none", 0},
    [CONF_CRED_SIGV4] = {"sigv4", USES_SECRET | USES_KEYS | USES_ROLE},
    [CONF_CRED_SIGV4_CONTAINER] = {"sigv4-container", USES_ROLE | USES_METADATA},
    [CONF_CRED_SIGV4_IMDS] = {"sigv4-imds", USES_ROLE | USES_METADATA},
    [CONF_CRED_GCP_SA] = {"gcp-sa", USES_SECRET | USES_SCOPE | USES_TOKEN_URL},
    [CONF_CRED_GCP_METADATA] = {"gcp-metadata", USES_METADATA},
    [CONF_CRED_ENTRA] = {"entra", USES_SECRET | USES_TENANT | USES_CLIENT | USES_SCOPE |
                                      USES_AUTHORITY | USES_METADATA},
};

const char *conf_cred_auth_name(enum conf_cred_auth a)
{
    return auths[a].name;
}

/* ---- what goes with what ---- */

static void check_unused(struct build *b, const struct conf_credential *c, const struct section *s)
{
    const struct conf_token *t = &c->token;
    const struct {
        const char *key;
        bool set;
        unsigned use;
    } settings[] = {
        {"secret", c->secret.ref.n > 0, USES_SECRET},
        {"access_key_id", c->access_key_id.n > 0, USES_KEYS},
        {"session_token", c->session_token.ref.n > 0, USES_KEYS},
        {"role_arn", t->role_arn.n > 0, USES_ROLE},
        {"external_id", t->external_id.n > 0, USES_ROLE},
        {"sts_url", t->sts_url.host.n > 0, USES_ROLE},
        {"tenant", t->tenant.n > 0, USES_TENANT},
        {"client_id", t->client_id.n > 0, USES_CLIENT},
        {"scope", t->scope.n > 0, USES_SCOPE},
        {"token_url", t->token_url.host.n > 0, USES_TOKEN_URL},
        {"authority", t->authority.host.n > 0, USES_AUTHORITY},
        {"metadata_url", t->metadata_url.host.n > 0, USES_METADATA},
    };
    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        if (settings[i].set && !(auths[c->auth].uses & settings[i].use))
            build_error(b, build_entry(b, s, settings[i].key), "auth = %s goes without `%s`",
                        auths[c->auth].name, settings[i].key);
    if (!t->role_arn.n && (t->external_id.n || t->sts_url.host.n))
        build_error(b, build_entry(b, s, t->external_id.n ? "external_id" : "sts_url"),
                    "it goes with `role_arn`, which is missing");
}

static void check_kind(struct build *b, const struct conf_credential *c, const struct section *s)
{
    const struct provider_kind *k = c->provider->kind;
    bool signs = conf_credential_signs(c);
    bool bearer = c->auth == CONF_CRED_GCP_SA || c->auth == CONF_CRED_GCP_METADATA ||
                  c->auth == CONF_CRED_ENTRA;
    if ((signs && !k->aws_service) || (bearer && (k->aws_service || k->auth == PROVIDER_AUTH_NONE)))
        build_error(b, build_entry(b, s, "auth"), "the kind `%s` has no auth = %s", k->name,
                    auths[c->auth].name);
    else if (bearer && k->has_location && !c->provider->project.n)
        build_error(b, build_entry(b, s, "auth"),
                    "`project` is missing in [provider:%.*s]: express mode takes API keys only",
                    SLICE_FMT(c->provider->name));
}

static bool is_identifier(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!isalnum((unsigned char)s.p[i]) && s.p[i] != '-' && s.p[i] != '.')
            return false;
    return true;
}

/* They become part of URLs and forms. */
static void check_names(struct build *b, const struct conf_credential *c, const struct section *s)
{
    const struct conf_token *t = &c->token;
    if (!is_identifier(t->tenant))
        build_error(b, build_entry(b, s, "tenant"),
                    "a tenant is a UUID or a domain name: letters, digits, `-` and `.`");
    if (!is_identifier(t->client_id))
        build_error(b, build_entry(b, s, "client_id"),
                    "a client id is a UUID: letters, digits and `-`");
    if (t->role_arn.n && !slice_starts_with(t->role_arn, SLICE_LIT("arn:")))
        build_error(b, build_entry(b, s, "role_arn"), "a role's name begins with `arn:`");
}

/* ---- where tokens come from ---- */

/* This machine, its link (metadata services live there), or Google's name for that. What is said to
 * others must be encrypted. */
static bool is_near(const struct conf_url *u)
{
    return conf_url_is_local(u) || slice_eq_str(u->host, "metadata.google.internal") ||
           slice_starts_with(u->host, SLICE_LIT("169.254.")) ||
           slice_starts_with(u->host, SLICE_LIT("fe80:")) ||
           slice_starts_with(u->host, SLICE_LIT("fd00:ec2:"));
}

static void check_encrypted(struct build *b, const struct conf_credential *c,
                            const struct section *s)
{
    const struct conf_token *t = &c->token;
    const struct {
        const char *key;
        const struct conf_url *url;
    } urls[] = {{"token_url", &t->token_url},
                {"authority", &t->authority},
                {"metadata_url", &t->metadata_url},
                {"sts_url", &t->sts_url}};
    for (size_t i = 0; i < ARRAY_LEN(urls); i++)
        if (urls[i].url->host.n && !urls[i].url->tls && !is_near(urls[i].url))
            build_error(b, build_entry(b, s, urls[i].key),
                        "secrets would go unencrypted over the network to %s; make it https://",
                        urls[i].url->host.p);
}

/* The URL, or what stands for it, which is a constant or of the environment. */
static void default_url(struct build *b, const struct section *s, struct conf_url *url,
                        const char *text, const char *whose)
{
    struct errbuf why;
    if (!url->host.n && conf_url_read(slice_str(text), b->arena, url, &why) < 0)
        build_error(b, s->head, "%s: %s", whose, why.msg);
}

static struct slice environment(struct build *b, const char *name)
{
    const char *v = getenv(name);
    return v && *v ? conf_dup(b->arena, slice_str(v)) : slice_of(NULL, 0);
}

static void default_text(struct build *b, struct slice *text, const char *name)
{
    if (!text->n)
        *text = environment(b, name);
}

static void resolve_container(struct build *b, struct conf_token *t, const struct section *s)
{
    static const char full[] = "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                      relative[] = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
    struct slice below = environment(b, relative), whole = environment(b, full);
    t->source = CONF_TOKEN_AWS_CONTAINER;
    if (!t->metadata_url.host.n && below.n) /* ECS sets it, and it goes first there */
        default_url(b, s, &t->metadata_url,
                    conf_printf(b->arena, ECS_METADATA_URL "%.*s", SLICE_FMT(below)).p, relative);
    else if (!t->metadata_url.host.n && whole.n)
        default_url(b, s, &t->metadata_url, whole.p, full);
    else if (!t->metadata_url.host.n)
        build_error(b, s->head,
                    "`metadata_url` is missing, and neither %s nor %s is in the environment", full,
                    relative);
    t->token_file = environment(b, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    if (!t->token_file.n)
        t->container_token = (struct conf_secret){
            .ref = SLICE_LIT("env:AWS_CONTAINER_AUTHORIZATION_TOKEN"),
            .blob = conf_printf(b->arena, "container_token:%s", s->name.p),
            .optional = true,
        };
}

/* learn.microsoft.com/azure/aks/workload-identity-overview: the names of the environment. */
static void resolve_entra(struct build *b, struct conf_credential *c, const struct section *s)
{
    struct conf_token *t = &c->token;
    bool metadata = t->metadata_url.host.n > 0;
    if (!t->scope.n)
        t->scope = SLICE_LIT(ENTRA_SCOPE);
    default_text(b, &t->client_id, "AZURE_CLIENT_ID");
    default_text(b, &t->tenant, "AZURE_TENANT_ID");
    if (!c->secret.ref.n && !metadata)
        t->token_file = environment(b, "AZURE_FEDERATED_TOKEN_FILE");
    if (!c->secret.ref.n && !t->token_file.n) {
        t->source = CONF_TOKEN_ENTRA_METADATA;
        default_url(b, s, &t->metadata_url, IMDS_URL, "metadata_url");
        return;
    }
    if (metadata)
        build_error(b, build_entry(b, s, "metadata_url"),
                    "a managed identity has no `secret`: take away one of the two");
    t->source = c->secret.ref.n ? CONF_TOKEN_ENTRA_SECRET : CONF_TOKEN_ENTRA_FEDERATED;
    struct slice host = environment(b, "AZURE_AUTHORITY_HOST");
    default_url(b, s, &t->authority, host.n ? host.p : ENTRA_AUTHORITY, "AZURE_AUTHORITY_HOST");
    if (!t->tenant.n)
        build_error(b, s->head, "`tenant` is missing; auth = entra with a secret needs it");
    if (!t->client_id.n)
        build_error(b, s->head, "`client_id` is missing; auth = entra with a secret needs it");
}

static void resolve_role(struct build *b, struct conf_credential *c, const struct section *s)
{
    struct conf_token *t = &c->token;
    struct slice region = c->provider->region;
    if (!t->role_arn.n)
        return;
    if (t->source == CONF_TOKEN_NONE)
        t->source = CONF_TOKEN_AWS_STATIC;
    /* docs.aws.amazon.com/general/latest/gr/sts.html: China is a partition of its own. */
    bool china = slice_starts_with(region, SLICE_LIT("cn-"));
    default_url(b, s, &t->sts_url,
                conf_printf(b->arena, "https://sts.%.*s.amazonaws.com%s", SLICE_FMT(region),
                            china ? ".cn" : "")
                    .p,
                "sts_url");
}

static void resolve_token(struct build *b, struct conf_credential *c, const struct section *s)
{
    struct conf_token *t = &c->token;
    switch ((enum conf_cred_auth)c->auth) {
    case CONF_CRED_KEY:
    case CONF_CRED_NONE:
    case CONF_CRED_SIGV4:
        break;
    case CONF_CRED_SIGV4_CONTAINER:
        resolve_container(b, t, s);
        break;
    case CONF_CRED_SIGV4_IMDS:
        t->source = CONF_TOKEN_AWS_METADATA;
        default_url(b, s, &t->metadata_url, IMDS_URL, "metadata_url");
        break;
    case CONF_CRED_GCP_SA:
        t->source = CONF_TOKEN_GCP_SA;
        if (!t->scope.n)
            t->scope = SLICE_LIT(GCP_SCOPE);
        break;
    case CONF_CRED_GCP_METADATA:
        t->source = CONF_TOKEN_GCP_METADATA;
        default_url(b, s, &t->metadata_url, GCP_METADATA_URL, "metadata_url");
        break;
    case CONF_CRED_ENTRA:
        resolve_entra(b, c, s);
        break;
    }
    resolve_role(b, c, s);
}

static void resolve_trust(struct build *b, struct conf_credential *c, const struct section *s)
{
    struct conf_gateway *g = &b->conf->gateway;
    struct conf_secret *ca = &c->token.ca;
    if (ca->ref.n && !conf_credential_fetched(c)) {
        build_error(b, build_entry(b, s, "token_ca_file"), "auth = %s fetches no token",
                    auths[c->auth].name);
    } else if (ca->ref.n) {
        ca->blob = conf_printf(b->arena, "ca:%.*s", SLICE_FMT(ca->ref));
    } else if (conf_credential_fetched(c)) {
        conf_use_system_trust(b);
        *ca = g->ca;
    }
}

static bool needs_secret(const struct conf_credential *c)
{
    return c->auth == CONF_CRED_KEY || c->auth == CONF_CRED_SIGV4 || c->auth == CONF_CRED_GCP_SA;
}

/* The names that every AWS tool reads
 * (docs.aws.amazon.com/sdkref/latest/guide/feature-static-credentials.html). */
static void default_keys(struct build *b, struct conf_credential *c)
{
    if (c->auth != CONF_CRED_SIGV4 || c->access_key_id.n || c->secret.ref.n)
        return;
    c->access_key_id = environment(b, "AWS_ACCESS_KEY_ID");
    if (!c->access_key_id.n)
        return;
    c->secret.ref = SLICE_LIT("env:AWS_SECRET_ACCESS_KEY");
    if (!c->session_token.ref.n)
        c->session_token =
            (struct conf_secret){.ref = SLICE_LIT("env:AWS_SESSION_TOKEN"), .optional = true};
}

void conf_resolve_credential(struct build *b, struct raw_credential *r, const struct section *s)
{
    struct conf_credential *c = &r->pub;
    c->provider = conf_provider_find(b->conf, r->provider);
    if (!c->provider) {
        build_error(b, build_entry(b, s, "provider"), "there is no [provider:%.*s]",
                    SLICE_FMT(r->provider));
        return;
    }
    bool optional = !provider_needs_secret(c->provider->kind);
    c->auth =
        r->auth >= 0 ? r->auth : (optional && !c->secret.ref.n ? CONF_CRED_NONE : CONF_CRED_KEY);
    default_keys(b, c);
    check_kind(b, c, s);
    check_unused(b, c, s);
    check_names(b, c, s);
    if (needs_secret(c) && !c->secret.ref.n)
        build_error(b, s->head, "`secret` is missing");
    if (c->auth == CONF_CRED_SIGV4 && !c->access_key_id.n)
        build_error(b, s->head, "`access_key_id` is missing");
    resolve_token(b, c, s);
    check_encrypted(b, c, s);
    resolve_trust(b, c, s);
    if (c->secret.ref.n)
        c->secret.blob = conf_printf(b->arena, "credential:%s", s->name.p);
    if (c->session_token.ref.n)
        c->session_token.blob = conf_printf(b->arena, "session_token:%s", s->name.p);
}
