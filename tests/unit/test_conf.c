/*
 * test_conf.c: from text to snapshot: values, defaults, references, and every error by its words.
 */
#include "common/check.h"
#include "common/conf.h"
#include "common/conf_diff.h"
#include "common/conf_keys.h"
#include "common/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/tmpdir.h"

#define DIGEST_A "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
#define DIGEST_B "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"

static char dir[256];

static int set_up(void **state)
{
    unsetenv("HTTPS_PROXY");
    unsetenv("https_proxy");
    return tmpdir_make(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    tmpdir_remove(dir);
    return 0;
}

static void write_file(const char *name, const char *text)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fputs(text, f) < 0, 0);
    assert_int_equal(fclose(f), 0);
}

static struct conf_entries *entries_of(const char *text, struct conf_errors *errs)
{
    char path[600];
    write_file("t.ini", text);
    snprintf(path, sizeof path, "%s/t.ini", dir);
    return conf_read_file(path, errs);
}

static struct conf *build(const char *text, struct conf_errors *errs)
{
    conf_errors_init(errs);
    struct conf_entries *entries = entries_of(text, errs);
    struct conf *conf = entries ? conf_build(entries, 7, errs) : NULL;
    conf_entries_free(entries);
    return conf;
}

static struct conf *build_ok(const char *text)
{
    struct conf_errors errs;
    struct conf *conf = build(text, &errs);
    if (!conf)
        fail_msg("%s", errs.v[0]);
    assert_int_equal(errs.n, 0);
    return conf;
}

#define PROVIDER   "[provider:p]\nkind = openai\n"
#define CREDENTIAL "[credential:c]\nprovider = p\nsecret = env:KEY\n"
#define BASE       PROVIDER CREDENTIAL
#define AWS        "[provider:p]\nkind = bedrock\nregion = eu-west-1\n[credential:c]\nprovider = p\n"
#define MODEL      "[model:m]\ntargets = p/x\n"

static void empty_file_has_defaults(void **state)
{
    struct conf *c = build_ok("");
    assert_int_equal(c->generation, 7);
    assert_int_equal(c->gateway.listen.n, 1);
    assert_string_equal(c->gateway.listen.v[0].text.p, "127.0.0.1:8080");
    assert_string_equal(c->gateway.admin.v[0].addr.un.sun_path, "/run/gatewayd/admin.sock");
    assert_int_equal(c->gateway.metrics.n, 0);
    assert_int_equal(c->gateway.workers, 0);
    assert_int_equal(c->gateway.auth, CONF_AUTH_KEYS);
    assert_int_equal(c->gateway.drain_timeout_us, 300 * 1000000);
    assert_int_equal(c->http.max_body, 64 << 20);
    assert_int_equal(c->http.allow.n, 2);
    assert_int_equal(c->http.allow.v[0].bits, 96);
    assert_int_equal(c->http.allow.v[1].bits, 0);
    assert_int_equal(c->log.output, LOG_TO_STDERR);
    assert_int_equal(c->log.level, LOG_LEVEL_INFO);
    assert_int_equal(c->store.commit_interval_us, 50000);
    assert_int_equal(c->n_models, 0);
    assert_int_equal(c->direct_model->retries, 2);
    assert_true(c->direct_model->retry_unknown);
    assert_null(conf_model_find(c, SLICE_LIT("x")));
    conf_free(c);
}

static void full_file_is_typed(void **state)
{
    struct conf *c = build_ok(
        "[gateway]\nlisten = 0.0.0.0:80 proxy_protocol, [::1]:0 tls, unix:/tmp/s\n"
        "admin = 127.0.0.1:1\nworkers = 3\nstate_dir = state\ndefault_model = a\n"
        "trusted_proxies = 10.0.0.0/8, ::1\n"
        "[admin]\ntoken = file:admin.token\n"
        "[tls]\ncertificate = tls.crt\nkey = credential:tls.key\n"
        "[log]\noutput = file:gw.log\nformat = text\nlevel = debug\n"
        "[provider:p]\nkind = openai\nbase_url = https://EXAMPLE.com:8443/v1/\n"
        "proxy = http://proxy:3128\nheader.x-team = a b\nforward_headers = X-A, x-b\n"
        "connect_timeout = 250ms\n"
        "[provider:local]\nkind = vllm\nbase_url = http://[::1]:8000\n"
        "[credential:c1]\nprovider = p\nsecret = env:K1\nweight = 3\n"
        "[credential:c2]\nprovider = p\nsecret = env:K2\nmodels = other\n"
        "[model:smart]\ntargets = p/x weight=95 tier=2, local/y tier=1, p/z weight=5 tier=2\n"
        "alias = a, b\nfallback = cheap\ndefault.temperature = 0.7\nset.metadata.source = gw\n"
        "set.flag = true\nset.text = \"true\"\nset_json.o = {\"a\":[1]}\ndrop = logprobs\n"
        "[model:cheap]\ntargets = p/other\nresponse_model = alias\n"
        "[team:t]\ncustomer = acme\nmodels = a, cheap\n"
        "[key:k]\nsha256 = " DIGEST_A
        "\nteam = t\nmodels = b, p/free/form\nexpires = 2030-01-31\n");
    assert_int_equal(c->gateway.listen.n, 3);
    assert_true(c->gateway.listen.v[0].proxy_protocol);
    assert_int_equal(ntohs(c->gateway.listen.v[0].addr.in.sin_port), 80);
    assert_true(c->gateway.listen.v[1].tls);
    assert_int_equal(c->gateway.listen.v[1].addr.sa.sa_family, AF_INET6);
    assert_int_equal(c->gateway.listen.v[2].addr.sa.sa_family, AF_UNIX);
    assert_true(slice_starts_with(c->gateway.state_dir, slice_str(dir)));
    assert_string_equal(c->gateway.default_model_ref->name.p, "smart");
    assert_int_equal(c->gateway.trusted_proxies.v[0].bits, 104);
    assert_string_equal(c->admin.token.blob.p, "admin:token");
    assert_true(slice_starts_with(c->tls.certificate.ref, SLICE_LIT("file:/")));
    assert_string_equal(c->tls.key.ref.p, "credential:tls.key");
    assert_string_equal(c->tls.tickets.blob.p, "tls:tickets");

    const struct conf_provider *p = conf_provider_find(c, SLICE_LIT("p"));
    assert_true(p->base_url.tls);
    assert_string_equal(p->base_url.host.p, "example.com");
    assert_int_equal(p->base_url.port, 8443);
    assert_string_equal(p->base_url.path.p, "/v1");
    assert_string_equal(p->host_header.p, "example.com:8443");
    assert_true(p->has_proxy);
    assert_int_equal(p->proxy.port, 3128);
    assert_string_equal(p->headers.v[0].value.p, "a b");
    assert_string_equal(p->forward_headers.v[0].p, "x-a");
    assert_int_equal(p->connect_timeout_us, 250000);
    assert_string_equal(p->ca.blob.p, "ca:system");
    assert_int_equal(p->n_credentials, 2);
    const struct conf_provider *local = conf_provider_find(c, SLICE_LIT("local"));
    assert_true(local->base_url.is_ip);
    assert_string_equal(local->host_header.p, "[::1]:8000");
    assert_int_equal(local->n_credentials, 1);
    assert_int_equal(local->credentials[0]->auth, CONF_CRED_NONE);

    const struct conf_model *m = conf_model_find(c, SLICE_LIT("b"));
    assert_ptr_equal(m, conf_model_find(c, SLICE_LIT("smart")));
    assert_int_equal(m->n_tiers, 2);
    assert_string_equal(m->targets[0].upstream_model.p, "y");
    assert_string_equal(m->targets[1].upstream_model.p, "x");
    assert_int_equal(m->targets[1].tier, 1);
    assert_int_equal(m->targets[1].weight, 95);
    assert_int_equal(m->targets[1].n_credentials, 1);
    assert_string_equal(m->fallbacks[0]->name.p, "cheap");
    assert_string_equal(m->defaults.v[0].json.p, "0.7");
    assert_string_equal(m->set.v[0].path.p, "metadata.source");
    assert_string_equal(m->set.v[0].json.p, "\"gw\"");
    assert_string_equal(m->set.v[1].json.p, "true");
    assert_string_equal(m->set.v[2].json.p, "\"true\"");
    assert_string_equal(m->set.v[3].json.p, "{\"a\":[1]}");
    assert_int_equal(m->fallbacks[0]->targets[0].n_credentials, 2);

    const struct conf_key *k = conf_key_find_name(c, SLICE_LIT("k"));
    assert_ptr_equal(k, conf_key_find(c, k->sha256));
    assert_int_equal(k->sha256[0], 0x9f);
    assert_string_equal(k->team->customer.p, "acme");
    assert_ptr_equal(k->team->models[0], m);
    assert_string_equal(k->models.v[0].p, "smart");
    assert_string_equal(k->models.v[1].p, "p/free/form");
    assert_int_equal(k->expires_us, INT64_C(1896048000000000));
    assert_true(k->enabled);
    conf_free(c);
}

/* Without tiers, different upstream models are tried in order; equal ones share by weight. */
static const struct conf_credential *credential_of(const struct conf *c)
{
    const struct conf_credential *cr = conf_credential_find(c, SLICE_LIT("c"));
    assert_non_null(cr);
    return cr;
}

static void assert_source(const char *text, enum conf_token_source source)
{
    struct conf *c = build_ok(text);
    assert_int_equal(credential_of(c)->token.source, source);
    assert_int_equal(conf_credential_fetched(credential_of(c)), source != CONF_TOKEN_NONE);
    conf_free(c);
}

static void tokens_have_a_source(void **state)
{
    assert_source(BASE, CONF_TOKEN_NONE);
    assert_source(AWS "auth = sigv4\naccess_key_id = A\nsecret = env:HOME\n", CONF_TOKEN_NONE);
    assert_source(AWS "auth = sigv4\naccess_key_id = A\nsecret = env:HOME\nrole_arn = arn:x\n",
                  CONF_TOKEN_AWS_STATIC);
    assert_source(BASE "auth = gcp-sa\n", CONF_TOKEN_GCP_SA);
    assert_source(BASE "auth = entra\ntenant = t\nclient_id = c\n", CONF_TOKEN_ENTRA_SECRET);

    struct conf *c = build_ok(AWS "auth = sigv4-imds\nrole_arn = arn:x\n");
    const struct conf_token *t = &credential_of(c)->token;
    assert_int_equal(t->source, CONF_TOKEN_AWS_METADATA);
    assert_string_equal(t->metadata_url.host.p, "169.254.169.254");
    assert_string_equal(t->sts_url.host.p, "sts.eu-west-1.amazonaws.com");
    assert_true(t->sts_url.tls);
    assert_string_equal(t->ca.blob.p, "ca:system");
    conf_free(c);

    c = build_ok(PROVIDER "[credential:c]\nprovider = p\nauth = gcp-metadata\n"
                          "token_ca_file = /ca.pem\n");
    t = &credential_of(c)->token;
    assert_int_equal(t->source, CONF_TOKEN_GCP_METADATA);
    assert_string_equal(t->metadata_url.host.p, "metadata.google.internal");
    assert_string_equal(t->ca.blob.p, "ca:file:/ca.pem");
    conf_free(c);

    c = build_ok(PROVIDER "[credential:c]\nprovider = p\nauth = entra\n");
    assert_int_equal(credential_of(c)->token.source, CONF_TOKEN_ENTRA_METADATA);
    conf_free(c);
}

/* What the clouds' own tools read there. */
static void tokens_come_from_the_environment(void **state)
{
    setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/1", 1);
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials", 1);
    struct conf *c = build_ok(AWS "auth = sigv4-container\n");
    const struct conf_token *t = &credential_of(c)->token;
    assert_string_equal(t->metadata_url.host.p, "169.254.170.2");
    assert_string_equal(t->metadata_url.path.p, "/v2/credentials/1");
    assert_string_equal(t->container_token.ref.p, "env:AWS_CONTAINER_AUTHORIZATION_TOKEN");
    assert_true(t->container_token.optional);
    conf_free(c);

    unsetenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/run/token", 1);
    c = build_ok(AWS "auth = sigv4-container\n");
    t = &credential_of(c)->token;
    assert_string_equal(t->metadata_url.host.p, "169.254.170.23");
    assert_string_equal(t->token_file.p, "/run/token");
    assert_int_equal(t->container_token.ref.n, 0);
    conf_free(c);
    unsetenv("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    unsetenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");

    setenv("AWS_ACCESS_KEY_ID", "AKID", 1);
    c = build_ok(AWS "auth = sigv4\n");
    assert_string_equal(credential_of(c)->access_key_id.p, "AKID");
    assert_string_equal(credential_of(c)->secret.ref.p, "env:AWS_SECRET_ACCESS_KEY");
    assert_string_equal(credential_of(c)->session_token.ref.p, "env:AWS_SESSION_TOKEN");
    conf_free(c);
    unsetenv("AWS_ACCESS_KEY_ID");

    setenv("AZURE_FEDERATED_TOKEN_FILE", "/run/federated", 1);
    setenv("AZURE_TENANT_ID", "t", 1);
    setenv("AZURE_CLIENT_ID", "c", 1);
    setenv("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us/", 1);
    c = build_ok(PROVIDER "[credential:c]\nprovider = p\nauth = entra\n");
    t = &credential_of(c)->token;
    assert_int_equal(t->source, CONF_TOKEN_ENTRA_FEDERATED);
    assert_string_equal(t->authority.host.p, "login.microsoftonline.us");
    assert_string_equal(t->tenant.p, "t");
    conf_free(c);
    unsetenv("AZURE_FEDERATED_TOKEN_FILE");
    unsetenv("AZURE_TENANT_ID");
    unsetenv("AZURE_CLIENT_ID");
    unsetenv("AZURE_AUTHORITY_HOST");
}

static void strategy_becomes_tiers(void **state)
{
    static const struct {
        const char *lines;
        uint32_t tiers;
    } cases[] = {
        {"targets = p/x, p/y, p/z\n", 3},
        {"targets = p/x, q/x\n", 1},
        {"targets = p/x tier=1, p/y tier=1\n", 1},
        {"targets = p/x tier=9, p/y tier=4\n", 2},
        {"targets = p/x, p/y\nstrategy = weighted\n", 1},
        {"targets = p/x, q/x\nstrategy = priority\n", 2},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[512];
        snprintf(text, sizeof text, BASE "[provider:q]\nkind = ollama\n[model:m]\n%s",
                 cases[i].lines);
        struct conf *c = build_ok(text);
        assert_int_equal(c->models[0].n_tiers, cases[i].tiers);
        conf_free(c);
    }
}

static void errors_say_what_and_where(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"[foo]\n", "t.ini:1: [foo]: unknown section"},
        {"[http:x]\n", "`[http]` takes no name"},
        {"[model]\n", "`[model]` needs a name: [model:NAME]"},
        {"[modle:x]\n", "unknown section; did you mean `model`?"},
        {"[http]\nfoo = 1\n", "t.ini:2: [http] foo: unknown key; docs/configuration.md has them"},
        {"[http]\nmax_boddy = 1\n", "unknown key; did you mean `max_body`?"},
        {"[http]\n[log]\n[http]\n", "t.ini:3: [http]: the section stands there twice; first at"},
        {"[http]\nmax_url = 1KiB\nmax_url = 1KiB\n", "t.ini:3: [http] max_url: stands there twice"},
        {"[http]\nmax_body = 64\n", "expected a whole number and a unit: B, KiB"},
        {"[http]\nmax_body = 1.5MiB\n", "expected a whole number and a unit"},
        {"[http]\nmax_body = 99GiB\n", "out of range; it goes from 1KiB to 1GiB"},
        {"[http]\nmax_body = 99999999999999999999GiB\n", "expected a whole number"},
        {"[http]\nmax_body = 9999999999TiB\n", "out of range"},
        {"[http]\nheader_timeout = 10\n", "such as 90s"},
        {"[http]\nheader_timeout = 1ms\n", "out of range; it goes from 100ms to 1h"},
        {"[http]\nheader_timeout =\n", "expected a whole number and a unit"},
        {"[http]\nallow =\n", "expected at least one network"},
        {"[http]\nallow = 10.0.0.1/8\n", "has bits set behind its prefix"},
        {"[http]\nallow = 10.0.0.0/33\n", "the prefix goes from 0 to 32"},
        {"[http]\nallow = example.com\n", "expected a network such as"},
        {"[http]\ncors_origins = example.com\n", "is not an origin"},
        {"[gateway]\nworkers = many\n", "expected `auto` or a number from 1 to"},
        {"[gateway]\nworkers = 0\n", "expected `auto` or a number from 1 to"},
        {"[gateway]\ndirect = yes\n", "expected on or off"},
        {"[gateway]\nauth = none\n", "expected one of: keys, open"},
        {"[gateway]\nlisten = localhost:80\n", "is not an IP address"},
        {"[gateway]\nlisten = 1.2.3.4\n", "expected IP:PORT"},
        {"[gateway]\nlisten = 1.2.3.4:80 ssl\n", "there are tls and proxy_protocol"},
        {"[gateway]\nlisten = 1.2.3.4:80, 1.2.3.4:80\n", "stands there twice"},
        {"[gateway]\nlisten = 1.2.3.4:80,,\n", "an item of the list is empty"},
        {"[gateway]\nlisten = 1.2.3.4:80\nauth = open\n", "auth = open listens on loopback only"},
        {"[gateway]\nlisten = 127.0.0.1:80 tls\n", "needs `certificate` and `key` in [tls]"},
        {"[gateway]\nadmin = 1.2.3.4:80\n", "set `token` in [admin]"},
        {"[gateway]\nadmin = 127.0.0.1:8080\n", "is used for two listeners"},
        {"[gateway]\ntimezone = UTC\n", "`timezone` is not enforced by this version; remove it"},
        {"[gateway]\ndefault_model = x\n", "there is no [model:x]"},
        {"[admin]\ntoken = hunter2\n", "a secret itself doesn't belong into this file"},
        {"[admin]\ntoken = env:A B\n", "expected the name of a variable"},
        {"[tls]\nkey = /k\n", "`certificate` and `key` go together"},
        {"[log]\noutput = syslog\n", "expected stderr, journal or file:/PATH"},
        {"[customer:x]\n", "`customer` sections are not enforced by this version"},
        {"[provider:p]\n", "t.ini:1: [provider:p]: `kind` is missing"},
        {"[provider:a b]\nkind = openai\n", "a name can't hold a blank"},
        {"[provider:a/b]\nkind = openai\n", "a name can't hold `/`"},
        {"[provider:p]\nkind = foo\n", "unknown kind `foo`"},
        {"[provider:p]\nkind = openia\n", "unknown kind `openia`; did you mean `openai`?"},
        {"[provider:p]\nkind = openai-compatible\n", "`base_url` is missing"},
        {PROVIDER, "no [credential:...] section has provider = p"},
        {PROVIDER "base_url = ftp://x\n", "begins with https:// or http://"},
        {PROVIDER "base_url = https://u:p@x\n", "a user or password in it is refused"},
        {PROVIDER "base_url = https://x/?a\n", "no query"},
        {PROVIDER "base_url = https://x:0\n", "port goes from 1 to 65535"},
        {PROVIDER "base_url = https://a b\n", "holds a byte that no host name has"},
        {PROVIDER "header.authorization = x\n", "use a [credential:...] section"},
        {PROVIDER "header.content-length = 1\n", "is set by the gateway itself"},
        {PROVIDER "forward_headers = Cookie\n", "`cookie` is never passed on"},
        {PROVIDER "proxy = https://x\n", "a proxy is http://HOST:PORT"},
        {PROVIDER "project = x\n", "the kind `openai` has no projects and locations"},
        {PROVIDER "location = x\n", "the kind `openai` has no projects and locations"},
        {"[provider:p]\nkind = vertex\nproject = x\n", "`location` is missing"},
        {"[provider:p]\nkind = vertex\nlocation = us-east5\n", "`project` is missing"},
        {"[provider:p]\nkind = vertex\nproject = a/b\nlocation = eu\n",
         "a project's id is made of"},
        {"[provider:p]\nkind = vertex\nproject = a\nlocation = e/u\n", "a location is made of"},
        {PROVIDER "region = x\n", "the kind `openai` has no region"},
        {PROVIDER "api_version = 1\n", "the kind `openai` has no API version"},
        {"[provider:p]\nkind = bedrock\n", "`region` is missing"},
        {"[provider:p]\nkind = bedrock\nregion = a.b/c\n", "a region is made of"},
        {"[provider:p]\nkind = azure\nbase_url = https://a.b\n", "`api_version` is missing"},
        {"[provider:p]\nkind = azure\nbase_url = https://a.b\napi_version = 1&x\n",
         "a version is made of"},
        {PROVIDER "[credential:c]\nprovider = p\nauth = sigv4\nsecret = env:HOME\n",
         "the kind `openai` has no auth = sigv4"},
        {"[provider:p]\nkind = bedrock\nregion = r\n[credential:c]\nprovider = p\n"
         "auth = sigv4\nsecret = env:HOME\n",
         "`access_key_id` is missing"},
        {PROVIDER "[credential:c]\nprovider = p\nsession_token = env:T\nsecret = env:HOME\n",
         "session_token: auth = key goes without `session_token`"},
        {PROVIDER "[credential:c]\nprovider = p\naccess_key_id = A\nsecret = env:HOME\n",
         "auth = key goes without `access_key_id`"},
        {AWS "auth = sigv4-imds\nsecret = env:HOME\n", "sigv4-imds goes without `secret`"},
        {AWS "auth = gcp-sa\nsecret = env:HOME\n", "the kind `bedrock` has no auth = gcp-sa"},
        {AWS "auth = sigv4-imds\nexternal_id = e\n", "it goes with `role_arn`, which is missing"},
        {AWS "auth = sigv4-imds\nrole_arn = x\n", "a role's name begins with `arn:`"},
        {AWS "auth = sigv4-container\n",
         "t.ini:4: [credential:c]: `metadata_url` is missing, and neither "
         "AWS_CONTAINER_CREDENTIALS_FULL_URI nor AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is in the "
         "environment"},
        {AWS "auth = sigv4-container\nmetadata_url = http://10.0.0.1/x\n",
         "secrets would go unencrypted over the network to 10.0.0.1; make it https://"},
        {"[provider:p]\nkind = ollama\n[credential:c]\nprovider = p\nauth = gcp-metadata\n",
         "the kind `ollama` has no auth = gcp-metadata"},
        {PROVIDER "[credential:c]\nprovider = p\nauth = gcp-sa\n", "`secret` is missing"},
        {BASE "auth = gcp-sa\ntenant = t\n", "auth = gcp-sa goes without `tenant`"},
        {BASE "auth = gcp-sa\ntoken_url = http://a.b/t\n", "secrets would go unencrypted"},
        {BASE "auth = entra\nclient_id = c\n", "`tenant` is missing"},
        {BASE "auth = entra\ntenant = t\n", "`client_id` is missing"},
        {BASE "auth = entra\ntenant = t/x\n", "a tenant is a UUID or a domain name"},
        {BASE "auth = entra\nclient_id = c&d\n", "a client id is a UUID"},
        {BASE "auth = entra\nclient_id = c\ntenant = t\nmetadata_url = http://127.0.0.1\n",
         "a managed identity has no `secret`"},
        {BASE "token_ca_file = /ca\n", "auth = key fetches no token"},
        {"[credential:c]\nprovider = q\n", "there is no [provider:q]"},
        {PROVIDER "[credential:c]\nprovider = p\n", "`secret` is missing"},
        {BASE "parallel = 3\n", "`parallel` is not enforced by this version"},
        {BASE "limit.gpt-4:0 = 5 rpm\n", "is not enforced by this version"},
        {"[provider:p]\nkind = openai\nbase_url = http://127.0.0.1\nclient_certificate = /c\n"
         "client_key = /k\n" CREDENTIAL,
         "[provider:p] client_certificate: a certificate can't be shown over http://"},
        {BASE MODEL "strategy = adaptive\n",
         "`adaptive` is not in this version; there is: weighted"},
        {BASE MODEL "affinity = auto\n", "`auto` is not in this version"},
        {BASE MODEL "alias = m\n", "`m` is already a name of the model at"},
        {BASE MODEL "alias = a\n[model:n]\ntargets = p/x\nalias = a\n", "is already a name of"},
        {BASE MODEL "fallback = m\n", "the fallbacks lead back to this model"},
        {BASE MODEL "fallback = n\n[model:n]\ntargets = p/x\nfallback = m\n", "lead back"},
        {BASE MODEL "fallback = n\n", "there is no [model:n]"},
        {BASE MODEL "set.model = x\n", "`model` is the gateway's to set"},
        {BASE MODEL "set.a = 1\nset.a.b = 2\n", "contradicts the setting of `a`"},
        {BASE MODEL "set_json.a = {x}\n", "not JSON"},
        {BASE MODEL "hedge_after = 1s\n", "is not enforced by this version"},
        {BASE "[model:m]\ntargets = x\n", "expected PROVIDER/UPSTREAM-MODEL"},
        {BASE "[model:m]\ntargets = p/x p/y\n", "targets are separated by commas"},
        {BASE "[model:m]\ntargets = p/x weight=0\n", "one must have more"},
        {BASE "[model:m]\ntargets = p/x tier=0\n", "tier goes from 1 to 100"},
        {BASE "[model:m]\ntargets = p/x, p/x\n", "stands there twice"},
        {BASE "[model:m]\ntargets = q/x\n", "there is no [provider:q]"},
        {BASE "models = y\n" MODEL, "no credential of `p` may be used for `x`"},
        {"[team:t]\nbudget = 5 USD/day\n", "`budget` is not enforced by this version; remove it"},
        {"[team:t]\nmodels = x\n", "there is no [model:x]"},
        {"[key:k]\nrpm = 5\n", "`rpm` is not enforced by this version; remove it"},
        {"[key:k]\nsha256 = abc\n", "expected the 64 hex digits"},
        {"[key:k]\nsha256 = " DIGEST_A "\nexpires = 2030-02-30\n", "expected a date"},
        {"[key:k]\nsha256 = " DIGEST_A "\nteam = x\n", "there is no [team:x]"},
        {"[key:k]\nsha256 = " DIGEST_A "\nmodels = x/y\n", "is neither a model nor"},
        {"[key:k]\nsha256 = " DIGEST_A "\n[key:l]\nsha256 = " DIGEST_A "\n",
         "t.ini:4: [key:l] sha256: is the key of [key:k] at"},
        {"k = v\n", "stands before the first [section]; only `include` may"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct conf_errors errs;
        struct conf *c = build(cases[i].text, &errs);
        bool found = false;
        assert_null(c);
        for (uint32_t n = 0; n < errs.n; n++)
            found |= strstr(errs.v[n], cases[i].want) != NULL;
        if (!found)
            fail_msg("case %zu: wanted %s, got %s", i, cases[i].want, errs.n ? errs.v[0] : "-");
        conf_errors_fini(&errs);
    }
}

/* Beside an error that keeps sections from being resolved. */
static void dangling_names_are_shown_with_the_rest(void **state)
{
    static const struct {
        const char *text, *want; /* NULL: nothing of the kind */
    } cases[] = {
        {"[credential:c]\nprovider = q\n",
         "t.ini:4: [credential:c] provider: there is no [provider"},
        {"[model:m]\ntargets = q/x\n", "targets: there is no [provider:q]"},
        {BASE MODEL "fallback = n\n", "fallback: there is no [model:n]"},
        {BASE MODEL "alias = n\n[model:o]\ntargets = p/x\nfallback = n\n", NULL},
        {"[gateway]\ndefault_model = x\n", "default_model: there is no [model:x]"},
        {"[team:t]\nmodels = x\n", "models: there is no [model:x]"},
        {"[key:k]\nsha256 = " DIGEST_A "\nteam = t\n", "team: there is no [team:t]"},
        {"[key:k]\nsha256 = " DIGEST_A "\nmodels = x\n", "models: there is no [model:x]"},
        {BASE MODEL "[key:k]\nsha256 = " DIGEST_A "\nmodels = m, p/any\n", NULL},
        {PROVIDER "kinds = x\n[credential:c]\nprovider = p\n", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[1024];
        struct conf_errors errs;
        snprintf(text, sizeof text, "[http]\nnonsense = 1\n%s", cases[i].text);
        assert_null(build(text, &errs));
        assert_non_null(strstr(errs.v[0], "t.ini:2: [http] nonsense: unknown key"));
        const char *last = errs.v[errs.n - 1];
        if (cases[i].want ? !strstr(last, cases[i].want) : strstr(last, "there is no") != NULL)
            fail_msg("row %zu: %s", i, last);
        conf_errors_fini(&errs);
    }
}

static void all_errors_are_shown(void **state)
{
    struct conf_errors errs;
    assert_null(build("[http]\nfoo = 1\nmax_body = x\n[bar]\n[key:k]\n", &errs));
    assert_int_equal(errs.n, 4);
    conf_errors_fini(&errs);
}

static void every_bad_item_of_a_list_is_named(void **state)
{
    static const char *const cases[][4] = {
        {"[gateway]\nlisten = 1.2.3.4, localhost:80, 127.0.0.1:80 ssl\n", "`1.2.3.4`: expected",
         "`localhost` is not", "`ssl` behind"},
        {"[http]\nallow = a, 10.0.0.1/8, ::/129\n", "`a`: expected", "`10.0.0.1/8` has",
         "`::/129`: the prefix"},
        {"[http]\ncors_origins = a, https://b/, *\n", "`a` is not", "`https://b/` is not", ""},
        {"[model:m]\ntargets = x, p/y, p/y, p/z tier=0\n", "`x`: expected", "`p/y` stands",
         "tier goes from"},
        {"[team:t]\nmodels = a b, c, c,, d e\n", "`a b` has", "`c` stands", "`d e` has"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct conf_errors errs;
        assert_null(build(cases[i][0], &errs));
        for (size_t w = 1; w < ARRAY_LEN(cases[i]); w++)
            if (!strstr(errs.v[0], cases[i][w]))
                fail_msg("row %zu: %s is not in %s", i, cases[i][w], errs.v[0]);
        conf_errors_fini(&errs);
    }
    char text[4096] = "[http]\nallow = ";
    for (int i = 0; i < 200; i++)
        strcat(text, "nonsense,");
    struct conf_errors errs;
    assert_null(build(text, &errs));
    assert_non_null(strstr(errs.v[0], "; and more"));
    conf_errors_fini(&errs);
}

static void secrets_over_plain_http_are_warned_of(void **state)
{
    static const struct {
        const char *url, *credential;
        bool warned;
    } cases[] = {
        {"https://api.test", CREDENTIAL, false},     {"http://api.test:8000/v1", CREDENTIAL, true},
        {"http://10.0.0.1", CREDENTIAL, true},       {"http://[2001:db8::1]", CREDENTIAL, true},
        {"http://localhost.test", CREDENTIAL, true}, {"http://127.0.0.9:8000", CREDENTIAL, false},
        {"http://[::1]:8000", CREDENTIAL, false},    {"http://localhost", CREDENTIAL, false},
        {"http://a.localhost", CREDENTIAL, false},   {"http://10.0.0.1", "", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[512];
        snprintf(text, sizeof text, "[provider:p]\nkind = openai-compatible\nbase_url = %s\n%s",
                 cases[i].url, cases[i].credential);
        struct conf *c = build_ok(text);
        assert_int_equal(c->warnings.n, cases[i].warned);
        if (cases[i].warned && !strstr(c->warnings.v[0].p, "t.ini:3: [provider:p] base_url: the "
                                                           "secret of [credential:c] goes"))
            fail_msg("%s", c->warnings.v[0].p);
        conf_free(c);
    }
}

static void proxy_comes_from_the_environment(void **state)
{
    static const struct {
        const char *https_proxy, *no_proxy;
        bool proxied;
    } cases[] = {
        {"http://px:3128", NULL, true},
        {"http://px:3128", "openai.com", false},
        {"http://px:3128", "x.org, .openai.com", false},
        {"http://px:3128", "nai.com", true},
        {"http://px:3128", "*", false},
        {"", NULL, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        setenv("HTTPS_PROXY", cases[i].https_proxy, 1);
        unsetenv("NO_PROXY");
        if (cases[i].no_proxy)
            setenv("NO_PROXY", cases[i].no_proxy, 1);
        struct conf *c = build_ok(BASE "[provider:l]\nkind = ollama\n");
        assert_int_equal(c->providers[0].has_proxy, cases[i].proxied);
        assert_false(c->providers[1].has_proxy);
        conf_free(c);
    }
    unsetenv("HTTPS_PROXY");
    unsetenv("NO_PROXY");
}

static void includes_are_read_in_order(void **state)
{
    char path[600];
    snprintf(path, sizeof path, "%s/conf.d", dir);
    mkdir(path, 0700);
    write_file("conf.d/20.ini", "[model:b]\ntargets = p/x\n");
    write_file("conf.d/10.ini", BASE "[model:a]\ntargets = p/x\n");
    write_file("conf.d/30.txt", "[nonsense]\n");
    struct conf *c = build_ok("[gateway]\ninclude = conf.d/*.ini, none.d/*.ini\n");
    assert_int_equal(c->n_models, 2);
    assert_string_equal(c->models[0].name.p, "a");
    conf_free(c);
}

static void includes_are_bounded(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"include = t.ini\n", "t.ini is included twice, or includes itself"},
        {"include = absent.ini\n", "t.ini:1: include: there is no file"},
        {"include = loop.ini\n", "is included twice, or includes itself"},
        {"include = d1.ini\n", "to a depth of 8"},
        {"include = .\n", "is not a regular file"},
        {"include = dup.ini\n[model:a]\n", "dup.ini:1: [model:a]: the section stands there twice"},
    };
    write_file("loop.ini", "include = loop2.ini\n");
    write_file("loop2.ini", "include = loop.ini\n");
    write_file("dup.ini", "[model:a]\n");
    for (int i = 1; i < 10; i++) {
        char name[32], text[64];
        snprintf(name, sizeof name, "d%d.ini", i);
        snprintf(text, sizeof text, "include = d%d.ini\n", i + 1);
        write_file(name, text);
    }
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct conf_errors errs;
        bool found = false;
        assert_null(build(cases[i].text, &errs));
        for (uint32_t n = 0; n < errs.n; n++)
            found |= strstr(errs.v[n], cases[i].want) != NULL;
        if (!found)
            fail_msg("case %zu: wanted %s, got %s", i, cases[i].want, errs.v[0]);
        conf_errors_fini(&errs);
    }
}

static void long_names_stay_whole(void **state)
{
    char name[CONF_NAME_MAX + 2], text[1024];
    struct conf_errors errs;
    memset(name, 'm', sizeof name);
    name[CONF_NAME_MAX] = '\0';
    snprintf(text, sizeof text, BASE "[model:%s]\ntargets = p/x\n", name);
    struct conf *c = build_ok(text);
    assert_non_null(conf_model_find(c, slice_str(name)));
    conf_free(c);
    snprintf(text, sizeof text, BASE "[model:%sm]\ntargets = p/x\n", name);
    assert_null(build(text, &errs));
    assert_non_null(strstr(errs.v[0], "a name has at most 255 bytes, this one 256"));
    conf_errors_fini(&errs);
}

static void count(void *arg, const struct conf_change *c)
{
    ((uint32_t *)arg)[c->kind]++;
}

static void differences_are_found(void **state)
{
    struct conf_errors errs;
    conf_errors_init(&errs);
    uint32_t n[3] = {0};
    struct conf_entries *a = entries_of("[http]\nmax_url = 1KiB\nmax_body = 1MiB\n"
                                        "[gateway]\nstate_dir = /a\n[log]\n",
                                        &errs);
    struct conf_entries *b = entries_of("; moved\n[log]\nlevel = warn\n[http]\nmax_body = 2MiB\n"
                                        "[gateway]\nruntime_dir = /run/gatewayd\n",
                                        &errs);
    conf_diff(a, b, count, n);
    assert_int_equal(n[CONF_ADDED], 2);
    assert_int_equal(n[CONF_CHANGED], 1);
    assert_int_equal(n[CONF_REMOVED], 2);
    /* runtime_dir got its default in words: no change. state_dir fell back to the default. */
    assert_int_equal(conf_diff_restart_only(a, b, &errs), 1);
    assert_non_null(strstr(errs.v[0], "state_dir: changes at a restart only; it is /a now"));
    conf_errors_fini(&errs);
    conf_entries_free(a);
    conf_entries_free(b);
}

/* What the table promises about itself. */
static void rows_are_sound(void **state)
{
    size_t n;
    const struct conf_row *rows = conf_rows(&n);
    for (size_t i = 0; i < n; i++) {
        struct slice suffix;
        bool family = strchr(rows[i].name, '*') != NULL;
        assert_int_equal(family, !!(rows[i].flags & CONF_FAMILY));
        assert_int_equal(rows[i].type == CONF_ENUM && !(rows[i].flags & CONF_LATER),
                         rows[i].words != NULL);
        if (!family)
            assert_ptr_equal(conf_row_find(rows[i].section, slice_str(rows[i].name), &suffix),
                             &rows[i]);
        if (!rows[i].def && !(rows[i].flags & CONF_LATER))
            assert_non_null(rows[i].example);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_file_has_defaults),
        cmocka_unit_test(full_file_is_typed),
        cmocka_unit_test(tokens_have_a_source),
        cmocka_unit_test(tokens_come_from_the_environment),
        cmocka_unit_test(strategy_becomes_tiers),
        cmocka_unit_test(errors_say_what_and_where),
        cmocka_unit_test(dangling_names_are_shown_with_the_rest),
        cmocka_unit_test(all_errors_are_shown),
        cmocka_unit_test(every_bad_item_of_a_list_is_named),
        cmocka_unit_test(secrets_over_plain_http_are_warned_of),
        cmocka_unit_test(proxy_comes_from_the_environment),
        cmocka_unit_test(includes_are_read_in_order),
        cmocka_unit_test(includes_are_bounded),
        cmocka_unit_test(long_names_stay_whole),
        cmocka_unit_test(differences_are_found),
        cmocka_unit_test(rows_are_sound),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
