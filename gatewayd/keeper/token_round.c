/*
 * token_round.c: the requests to token services, and their order.
 */
#include "gatewayd/keeper/token_round.h"

#include "common/check.h"
#include "common/crypto.h"
#include "common/gcp_jwt.h"
#include "common/sigv4.h"
#include "gatewayd/keeper/token_answer.h"

#include <stdio.h>

const char *token_step_name(enum token_step s)
{
    static const char *const names[] = {
#define X(name, text) [TOKEN_STEP_##name] = text,
        TOKEN_STEPS(X)
#undef X
    };
    return (unsigned)s < ARRAY_LEN(names) ? names[s] : "invalid";
}

/* ---- order ---- */

static enum token_step first_request(const struct conf_token *t)
{
    if (t->source == CONF_TOKEN_AWS_METADATA)
        return TOKEN_STEP_SESSION;
    return t->source == CONF_TOKEN_AWS_STATIC ? TOKEN_STEP_ASSUME : TOKEN_STEP_TOKEN;
}

/* Base keys that the configuration has are as good as fetched. */
static void take_static_keys(struct token_round *r)
{
    const struct conf_credential *c = r->credential;
    struct secret secret = {.data = {NULL, 0}}, session = {.data = {NULL, 0}};
    struct token_record *out = &r->got;
    size_t n = 0;
    if (c->secret.blob.n)
        (void)secrets_get(r->secrets, c->secret.blob, &secret);
    if (c->session_token.blob.n)
        (void)secrets_get(r->secrets, c->session_token.blob, &session);
    const struct slice parts[TOKEN_N_PARTS] = {[TOKEN_SECRET] = secret.data,
                                               [TOKEN_ACCESS_KEY_ID] = c->access_key_id,
                                               [TOKEN_SESSION] = session.data};
    for (int p = 0; p < TOKEN_N_PARTS; p++) {
        if (parts[p].n > TOKEN_TEXT_BYTES - n)
            continue; /* the step finds it missing */
        if (parts[p].n)
            memcpy(out->text + n, parts[p].p, parts[p].n);
        out->head.length[p] = (uint16_t)parts[p].n;
        n += parts[p].n;
    }
}

void token_round_begin(struct token_round *r, const struct conf_credential *c,
                       const struct secrets *secrets)
{
    memset(r, 0, sizeof *r);
    r->credential = c;
    r->secrets = secrets;
    r->step = c->token.token_file.n ? TOKEN_STEP_FILE : first_request(&c->token);
    if (c->token.source == CONF_TOKEN_AWS_STATIC)
        take_static_keys(r);
}

void token_round_end(struct token_round *r)
{
    crypto_wipe(r, sizeof *r);
}

int token_round_file(struct token_round *r, struct slice content, struct errbuf *e)
{
    while (content.n && (content.p[content.n - 1] == '\n' || content.p[content.n - 1] == '\r'))
        content.n--;
    if (content.n > sizeof r->file || !token_answer_is_plain(content))
        return err_set(e, "%s doesn't hold one line of printable ASCII without blanks",
                       r->credential->token.token_file.p);
    memcpy(r->file, content.p, content.n);
    r->file_bytes = content.n;
    r->step = first_request(&r->credential->token);
    return 0;
}

/* ---- pieces of a request ---- */

static struct slice secret_of(const struct token_round *r, const struct conf_secret *ref)
{
    struct secret s;
    return ref->blob.n && secrets_get(r->secrets, ref->blob, &s) ? s.data : slice_of(NULL, 0);
}

static int put(struct buf *b, const char *text)
{
    return buf_append(b, text, strlen(text));
}

/* RFC 3986 §2.3: all but the unreserved characters. */
static int put_encoded(struct buf *b, struct slice s)
{
    static const char digits[] = "0123456789ABCDEF";
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789-._~";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        const char three[3] = {'%', digits[c >> 4], digits[c & 15]};
        bool stands = c && strchr(plain, c);
        if (buf_append(b, stands ? s.p + i : three, stands ? 1 : sizeof three) < 0)
            return -1;
    }
    return 0;
}

static int put_pair(struct buf *b, const char *name, struct slice value)
{
    if (b->len && b->data[b->len - 1] != '?' && put(b, "&") < 0)
        return -1;
    return put(b, name) < 0 || put(b, "=") < 0 ? -1 : put_encoded(b, value);
}

static int put_url(struct token_ask *a, const struct conf_url *u, const char *below)
{
    return buf_printf(&a->url, "http%s://%.*s%.*s%s", u->tls ? "s" : "", SLICE_FMT(u->authority),
                      SLICE_FMT(u->path), below);
}

/* The value is copied; name is static. buf `values` never grows, so what refers to it stays. */
static int put_field(struct token_ask *a, const char *name, struct slice value)
{
    size_t at = a->values.len;
    if (a->n_fields == TOKEN_ASK_FIELDS_MAX || a->values.cap - at < value.n)
        return -1;
    (void)!buf_append(&a->values, value.p, value.n);
    a->fields[a->n_fields++] =
        (struct fetch_field){slice_str(name), slice_of(a->values.data + at, value.n)};
    return 0;
}

static int put_form_type(struct token_ask *a)
{
    return put_field(a, "content-type", SLICE_LIT("application/x-www-form-urlencoded"));
}

static int too_long(struct errbuf *e)
{
    return err_set(e, "the request to the token service is too long");
}

/* ---- Google ---- */

/* developers.google.com/identity/protocols/oauth2/service-account#authorizingrequests */
static int ask_gcp_account(const struct token_round *r, int64_t wall_us, struct token_ask *a,
                           struct errbuf *e)
{
    const struct conf_token *t = &r->credential->token;
    struct gcp_account account;
    struct buf jwt;
    int rc = -1;
    buf_init(&jwt, GCP_JWT_MAX_BYTES);
    if (gcp_account_read(&account, secret_of(r, &r->credential->secret), e) < 0)
        return -1;
    a->method = "POST";
    /* The assertion is for whom the account's file says, also where the request goes elsewhere. */
    if (gcp_jwt_write(&account, t->scope, wall_us / 1000000, &jwt, e) == 0) {
        rc = t->token_url.host.n ? put_url(a, &t->token_url, "") : put(&a->url, account.token_uri);
        if (rc < 0 || put_form_type(a) < 0 ||
            put_pair(&a->body, "grant_type",
                     SLICE_LIT("urn:ietf:params:oauth:grant-type:jwt-bearer")) < 0 ||
            put_pair(&a->body, "assertion", buf_slice(&jwt)) < 0)
            rc = too_long(e);
    }
    gcp_account_wipe(&account);
    buf_release(&jwt);
    return rc;
}

/* cloud.google.com/compute/docs/access/authenticate-workloads#applications; an answer without the
 * same field is none of the metadata server
 * (cloud.google.com/compute/docs/metadata/querying-metadata). */
static int ask_gcp_metadata(const struct token_round *r, struct token_ask *a, struct errbuf *e)
{
    static const char *const want[] = {"metadata-flavor"};
    a->method = "GET";
    a->want = want;
    a->n_want = ARRAY_LEN(want);
    if (put_url(a, &r->credential->token.metadata_url,
                "/computeMetadata/v1/instance/service-accounts/default/token") < 0 ||
        put_field(a, "metadata-flavor", SLICE_LIT("Google")) < 0)
        return too_long(e);
    return 0;
}

/* ---- Microsoft ---- */

/* learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow: the first and the
 * third case. */
static int ask_entra(const struct token_round *r, struct token_ask *a, struct errbuf *e)
{
    const struct conf_token *t = &r->credential->token;
    struct buf *form = &a->body;
    bool federated = t->source == CONF_TOKEN_ENTRA_FEDERATED;
    a->method = "POST";
    if (put_url(a, &t->authority, "/") < 0 || put_encoded(&a->url, t->tenant) < 0 ||
        put(&a->url, "/oauth2/v2.0/token") < 0 || put_form_type(a) < 0 ||
        put_pair(form, "client_id", t->client_id) < 0 || put_pair(form, "scope", t->scope) < 0 ||
        put_pair(form, "grant_type", SLICE_LIT("client_credentials")) < 0)
        return too_long(e);
    if (federated &&
        (put_pair(form, "client_assertion_type",
                  SLICE_LIT("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")) < 0 ||
         put_pair(form, "client_assertion", slice_of(r->file, r->file_bytes)) < 0))
        return too_long(e);
    if (!federated && put_pair(form, "client_secret", secret_of(r, &r->credential->secret)) < 0)
        return too_long(e);
    return 0;
}

/* A scope is a resource and what one may do there; the metadata service wants the resource. */
static struct slice resource_of(struct slice scope)
{
    static const struct slice all = SLICE_LIT("/.default");
    if (scope.n > all.n && slice_eq(slice_of(scope.p + scope.n - all.n, all.n), all))
        scope.n -= all.n;
    return scope;
}

/* learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token */
static int ask_entra_metadata(const struct token_round *r, struct token_ask *a, struct errbuf *e)
{
    const struct conf_token *t = &r->credential->token;
    a->method = "GET";
    if (put_url(a, &t->metadata_url, "/metadata/identity/oauth2/token?") < 0 ||
        put_pair(&a->url, "api-version", SLICE_LIT("2018-02-01")) < 0 ||
        put_pair(&a->url, "resource", resource_of(t->scope)) < 0 ||
        (t->client_id.n && put_pair(&a->url, "client_id", t->client_id) < 0) ||
        put_field(a, "metadata", SLICE_LIT("true")) < 0)
        return too_long(e);
    return 0;
}

/* ---- Amazon ---- */

/* docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html */
static int ask_container(const struct token_round *r, struct token_ask *a, struct errbuf *e)
{
    const struct conf_token *t = &r->credential->token;
    struct slice token =
        t->token_file.n ? slice_of(r->file, r->file_bytes) : secret_of(r, &t->container_token);
    a->method = "GET";
    if (put_url(a, &t->metadata_url, "") < 0 ||
        (token.n && put_field(a, "authorization", token) < 0))
        return too_long(e);
    return 0;
}

/* docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html: IMDSv2 alone. A
 * session lives for one round. */
static int ask_imds(const struct token_round *r, struct token_ask *a, struct errbuf *e)
{
    static const char session_field[] = "x-aws-ec2-metadata-token";
    const struct conf_url *u = &r->credential->token.metadata_url;
    struct slice session = slice_of(r->session, r->session_bytes);
    a->method = "GET";
    if (r->step == TOKEN_STEP_SESSION) {
        a->method = "PUT";
        if (put_url(a, u, "/latest/api/token") < 0 ||
            put_field(a, "x-aws-ec2-metadata-token-ttl-seconds", SLICE_LIT("60")) < 0)
            return too_long(e);
        return 0;
    }
    if (put_url(a, u, "/latest/meta-data/iam/security-credentials/") < 0 ||
        put_field(a, session_field, session) < 0 ||
        (r->step == TOKEN_STEP_TOKEN && put_encoded(&a->url, slice_of(r->role, r->role_bytes)) < 0))
        return too_long(e);
    return 0;
}

static int sign(const struct token_round *r, int64_t wall_us, struct token_ask *a)
{
    const struct conf_credential *c = r->credential;
    const struct conf_url *u = &c->token.sts_url;
    struct sigv4_credentials keys = {.access_key_id = token_part(&r->got, TOKEN_ACCESS_KEY_ID),
                                     .secret = token_part(&r->got, TOKEN_SECRET),
                                     .session_token = token_part(&r->got, TOKEN_SESSION)};
    const struct sigv4_field fields[] = {{SLICE_LIT("host"), u->authority},
                                         {a->fields[0].name, a->fields[0].value}};
    uint8_t digest[CRYPTO_SHA256_BYTES];
    struct sigv4_request q = {.method = SLICE_LIT("POST"),
                              .target = u->path.n ? u->path : SLICE_LIT("/"),
                              .fields = fields,
                              .n_fields = ARRAY_LEN(fields),
                              .body_sha256 = digest};
    struct sigv4_signer signer;
    struct sigv4_signature sig;
    crypto_sha256(a->body.data, a->body.len, digest);
    sigv4_signer_init(&signer, &keys, c->provider->region, SLICE_LIT("sts"));
    int rc = sigv4_sign(&signer, &q, wall_us, &sig);
    if (rc == 0 &&
        (put_field(a, "x-amz-date", slice_str(sig.date)) < 0 ||
         (sig.security_token.n && put_field(a, "x-amz-security-token", sig.security_token) < 0) ||
         put_field(a, "authorization", sig.authorization) < 0))
        rc = -1;
    sigv4_signer_fini(&signer);
    return rc;
}

/* docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html; an hour, as it is without
 * DurationSeconds, is also all that a role may have that assumes another one. */
static int ask_sts(const struct token_round *r, int64_t wall_us, struct token_ask *a,
                   struct errbuf *e)
{
    const struct conf_token *t = &r->credential->token;
    struct buf *form = &a->body;
    a->method = "POST";
    if (!r->got.head.length[TOKEN_SECRET] || !r->got.head.length[TOKEN_ACCESS_KEY_ID])
        return err_set(e, "the keys that the role is assumed with are missing or too long");
    if (put_url(a, &t->sts_url, t->sts_url.path.n ? "" : "/") < 0 || put_form_type(a) < 0 ||
        put_pair(form, "Action", SLICE_LIT("AssumeRole")) < 0 ||
        put_pair(form, "Version", SLICE_LIT("2011-06-15")) < 0 ||
        put_pair(form, "RoleArn", t->role_arn) < 0 ||
        put_pair(form, "RoleSessionName", SLICE_LIT("gatewayd")) < 0 ||
        (t->external_id.n && put_pair(form, "ExternalId", t->external_id) < 0) ||
        sign(r, wall_us, a) < 0)
        return too_long(e);
    return 0;
}

/* ---- asking ---- */

int token_round_ask(const struct token_round *r, int64_t wall_us, struct token_ask *a,
                    struct errbuf *e)
{
    *a = (struct token_ask){.method = "GET"};
    buf_init(&a->url, TOKEN_ASK_MAX_BYTES);
    buf_init(&a->body, TOKEN_ASK_MAX_BYTES);
    buf_init(&a->values, TOKEN_ASK_MAX_BYTES);
    int rc = buf_reserve(&a->values, TOKEN_ASK_MAX_BYTES) < 0 ? too_long(e) : 0;
    if (rc == 0 && r->step == TOKEN_STEP_ASSUME)
        rc = ask_sts(r, wall_us, a, e);
    else if (rc == 0)
        switch ((enum conf_token_source)r->credential->token.source) {
        case CONF_TOKEN_GCP_SA:
            rc = ask_gcp_account(r, wall_us, a, e);
            break;
        case CONF_TOKEN_GCP_METADATA:
            rc = ask_gcp_metadata(r, a, e);
            break;
        case CONF_TOKEN_ENTRA_SECRET:
        case CONF_TOKEN_ENTRA_FEDERATED:
            rc = ask_entra(r, a, e);
            break;
        case CONF_TOKEN_ENTRA_METADATA:
            rc = ask_entra_metadata(r, a, e);
            break;
        case CONF_TOKEN_AWS_CONTAINER:
            rc = ask_container(r, a, e);
            break;
        case CONF_TOKEN_AWS_METADATA:
            rc = ask_imds(r, a, e);
            break;
        case CONF_TOKEN_AWS_STATIC:
        case CONF_TOKEN_NONE:
            rc = err_set(e, "nothing is to be asked");
            break;
        }
    if (rc == 0 && buf_append(&a->url, "", 1) < 0)
        rc = too_long(e);
    return rc;
}

static void wipe(struct buf *b)
{
    if (b->data)
        crypto_wipe(b->data, b->cap);
    buf_release(b);
}

void token_ask_release(struct token_ask *a)
{
    wipe(&a->url);
    wipe(&a->body);
    wipe(&a->values);
}

/* ---- answers ---- */

static int refused(const struct token_round *r, const struct fetch_answer *answer, struct errbuf *e)
{
    char code[TOKEN_ERROR_CODE_BYTES];
    token_answer_error(answer->body, code);
    return err_set(e, "%s: status %d%s%s", token_step_name(r->step), answer->status,
                   code[0] ? " " : "", code);
}

static int take_session(struct token_round *r, struct slice body, struct errbuf *e)
{
    if (body.n > sizeof r->session || !token_answer_is_plain(body))
        return err_set(e, "session: the answer is no token");
    memcpy(r->session, body.p, body.n);
    r->session_bytes = body.n;
    r->step = TOKEN_STEP_ROLE;
    return 0;
}

/* A line each; there is never more than one. */
static int take_role(struct token_round *r, struct slice body, struct errbuf *e)
{
    struct slice name = slice_split(&body, '\n');
    if (name.n && name.p[name.n - 1] == '\r')
        name.n--;
    if (name.n > sizeof r->role || !token_answer_is_plain(name))
        return err_set(e, "role: the instance has no role, or one without a name");
    memcpy(r->role, name.p, name.n);
    r->role_bytes = name.n;
    r->step = TOKEN_STEP_TOKEN;
    return 0;
}

static int read_token(struct token_round *r, const struct fetch_answer *answer, int64_t wall_us,
                      struct errbuf *e)
{
    const struct conf_token *t = &r->credential->token;
    if (r->step == TOKEN_STEP_ASSUME)
        return token_answer_sts(answer->body, wall_us, &r->got, &r->life_s, e);
    if (conf_credential_signs(r->credential))
        return token_answer_keys(answer->body, wall_us, &r->got, &r->life_s, e);
    if (t->source == CONF_TOKEN_GCP_METADATA && !slice_eq_str(answer->fields[0], "Google"))
        return err_set(e, "the answer is not the metadata server's: no Metadata-Flavor: Google");
    return token_answer_oauth(answer->body, &r->got, &r->life_s, e);
}

int token_round_answer(struct token_round *r, const struct fetch_answer *answer, int64_t wall_us,
                       struct errbuf *e)
{
    struct errbuf why;
    if (answer->error != FETCH_ERR_NONE)
        return err_set(e, "%s: %s (%s)", token_step_name(r->step), fetch_error_text(answer->error),
                       answer->why);
    if (answer->status != 200)
        return refused(r, answer, e);
    if (r->step == TOKEN_STEP_SESSION)
        return take_session(r, answer->body, e);
    if (r->step == TOKEN_STEP_ROLE)
        return take_role(r, answer->body, e);
    if (read_token(r, answer, wall_us, &why) < 0)
        return err_set(e, "%s: %s", token_step_name(r->step), why.msg);
    if (r->step != TOKEN_STEP_ASSUME && r->credential->token.role_arn.n) {
        r->step = TOKEN_STEP_ASSUME;
        return 0;
    }
    return 1;
}
