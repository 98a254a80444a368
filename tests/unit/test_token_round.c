/*
 * test_token_round.c: what is asked of token services, in which order, and what ends a round; and
 * that a token's identity is that of all it is made of.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/token_identity.h"
#include "gatewayd/keeper/token_round.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WALL_US INT64_C(1767225600000000)
#define URL(text)                                                                                  \
    {                                                                                              \
        .host = SLICE_LIT(text), .authority = SLICE_LIT(text)                                      \
    }

static struct token_round r;
static struct secrets *secrets;
static struct provider_kind kind = {.name = "k", .aws_service = "bedrock"};
static struct conf_provider provider = {.kind = &kind, .region = SLICE_LIT("eu-west-1")};

static struct secrets *secrets_of(const char *secret)
{
    static const uint8_t salt[32];
    struct errbuf e;
    struct secrets_writer *w = secrets_writer_new(salt);
    assert_int_equal(secrets_writer_add(w, SLICE_LIT("s"), slice_str(secret), 1, &e), 0);
    int fd = secrets_writer_seal(w, &e);
    assert_true(fd >= 0);
    struct secrets *s = secrets_attach(fd, &e);
    assert_non_null(s);
    close(fd);
    secrets_writer_free(w);
    return s;
}

static int set_up(void **state)
{
    secrets = secrets_of("the+secret");
    return 0;
}

static int tear_down(void **state)
{
    token_round_end(&r);
    secrets_detach(secrets);
    return 0;
}

static struct conf_credential credential_of(enum conf_cred_auth auth, enum conf_token_source source)
{
    return (struct conf_credential){.name = SLICE_LIT("c"),
                                    .provider = &provider,
                                    .auth = (int)auth,
                                    .token.source = (int)source};
}

static void ask(struct token_ask *a)
{
    struct errbuf e;
    assert_int_equal(token_round_ask(&r, WALL_US, a, &e), 0);
}

static void assert_asked(const char *method, const char *url, const char *body)
{
    struct token_ask a;
    ask(&a);
    assert_string_equal(a.method, method);
    assert_string_equal(a.url.data, url);
    assert_true(slice_eq_str(buf_slice(&a.body), body));
    token_ask_release(&a);
}

static const char *field(const char *name, char *out, size_t cap)
{
    struct token_ask a;
    out[0] = '\0';
    ask(&a);
    for (size_t i = 0; i < a.n_fields; i++)
        if (slice_eq_str(a.fields[i].name, name))
            snprintf(out, cap, "%.*s", SLICE_FMT(a.fields[i].value));
    token_ask_release(&a);
    return out;
}

static int answer(int status, const char *body, struct errbuf *e)
{
    struct fetch_answer a = {.status = status, .body = slice_str(body), .why = ""};
    return token_round_answer(&r, &a, WALL_US, e);
}

static void instance_roles(void **state)
{
    char text[128];
    struct errbuf e;
    struct conf_credential c = credential_of(CONF_CRED_SIGV4_IMDS, CONF_TOKEN_AWS_METADATA);
    c.token.metadata_url = (struct conf_url)URL("169.254.169.254");
    token_round_begin(&r, &c, secrets);
    assert_asked("PUT", "http://169.254.169.254/latest/api/token", "");
    assert_int_equal(answer(200, "session==", &e), 0);
    assert_asked("GET", "http://169.254.169.254/latest/meta-data/iam/security-credentials/", "");
    assert_string_equal(field("x-aws-ec2-metadata-token", text, sizeof text), "session==");
    assert_int_equal(answer(200, "a role?\n", &e), -1);
    assert_int_equal(answer(200, "role?x\nother", &e), 0);
    assert_asked("GET", "http://169.254.169.254/latest/meta-data/iam/security-credentials/role%3Fx",
                 "");
    assert_int_equal(answer(200,
                            "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Token\":\"T\","
                            "\"Expiration\":\"2026-01-01T01:00:00Z\"}",
                            &e),
                     1);
    assert_int_equal(r.life_s, 3600);
}

static void a_role_follows_the_keys(void **state)
{
    char text[512];
    struct errbuf e;
    struct conf_credential c = credential_of(CONF_CRED_SIGV4, CONF_TOKEN_AWS_STATIC);
    c.access_key_id = SLICE_LIT("AKID");
    c.secret.blob = SLICE_LIT("s");
    c.token.role_arn = SLICE_LIT("arn:aws:iam::1:role/r");
    c.token.sts_url = (struct conf_url)URL("sts.test");
    c.token.sts_url.tls = true;
    token_round_begin(&r, &c, secrets);
    assert_asked("POST", "https://sts.test/",
                 "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&"
                 "RoleSessionName=gatewayd");
    assert_string_equal(field("x-amz-date", text, sizeof text), "20260101T000000Z");
    assert_string_equal(field("x-amz-security-token", text, sizeof text), "");
    assert_non_null(strstr(field("authorization", text, sizeof text),
                           "Credential=AKID/20260101/eu-west-1/sts/aws4_request, "
                           "SignedHeaders=content-type;host;x-amz-date, "));
    assert_int_equal(answer(403,
                            "<ErrorResponse><Error><Code>AccessDenied</Code></Error>"
                            "</ErrorResponse>",
                            &e),
                     -1);
    assert_string_equal(e.msg, "assume-role: status 403 AccessDenied");

    /* The same behind a container, whose endpoint may want a token out of a file. */
    c = credential_of(CONF_CRED_SIGV4_CONTAINER, CONF_TOKEN_AWS_CONTAINER);
    c.token.role_arn = SLICE_LIT("arn:aws:iam::1:role/r");
    c.token.sts_url = (struct conf_url)URL("sts.test");
    c.token.metadata_url = (struct conf_url)URL("169.254.170.23");
    c.token.metadata_url.path = SLICE_LIT("/v1/credentials");
    c.token.token_file = SLICE_LIT("/run/token");
    token_round_begin(&r, &c, secrets);
    assert_int_equal(r.step, TOKEN_STEP_FILE);
    assert_int_equal(token_round_file(&r, SLICE_LIT("two\nlines"), &e), -1);
    assert_int_equal(token_round_file(&r, SLICE_LIT(""), &e), -1);
    assert_int_equal(token_round_file(&r, SLICE_LIT("file-token\n"), &e), 0);
    assert_asked("GET", "http://169.254.170.23/v1/credentials", "");
    assert_string_equal(field("authorization", text, sizeof text), "file-token");
    assert_int_equal(
        answer(200, "{\"AccessKeyId\":\"ASIA\",\"SecretAccessKey\":\"S\",\"Token\":\"T\"}", &e), 0);
    assert_int_equal(r.step, TOKEN_STEP_ASSUME);
    assert_string_equal(field("x-amz-security-token", text, sizeof text), "T");
}

static void entra(void **state)
{
    struct errbuf e;
    struct conf_credential c = credential_of(CONF_CRED_ENTRA, CONF_TOKEN_ENTRA_SECRET);
    c.secret.blob = SLICE_LIT("s");
    c.token.authority = (struct conf_url)URL("login.test");
    c.token.tenant = SLICE_LIT("t-1");
    c.token.client_id = SLICE_LIT("c-1");
    c.token.scope = SLICE_LIT("https://a.b/.default");
    token_round_begin(&r, &c, secrets);
    assert_asked("POST", "http://login.test/t-1/oauth2/v2.0/token",
                 "client_id=c-1&scope=https%3A%2F%2Fa.b%2F.default&grant_type=client_credentials&"
                 "client_secret=the%2Bsecret");
    assert_int_equal(answer(400, "{\"error\":\"invalid_client\"}", &e), -1);
    assert_string_equal(e.msg, "token: status 400 invalid_client");
    assert_int_equal(answer(302, "", &e), -1);
    assert_int_equal(answer(200, "{\"access_token\":\"t\",\"expires_in\":60}", &e), 1);

    c.token.source = CONF_TOKEN_ENTRA_METADATA;
    c.token.metadata_url = (struct conf_url)URL("127.0.0.1");
    c.token.client_id = slice_of(NULL, 0);
    token_round_begin(&r, &c, secrets);
    assert_asked("GET",
                 "http://127.0.0.1/metadata/identity/oauth2/token?api-version=2018-02-01&"
                 "resource=https%3A%2F%2Fa.b",
                 "");
}

static void google_metadata(void **state)
{
    struct errbuf e;
    struct conf_credential c = credential_of(CONF_CRED_GCP_METADATA, CONF_TOKEN_GCP_METADATA);
    struct fetch_answer a = {
        .status = 200, .body = SLICE_LIT("{\"access_token\":\"t\",\"expires_in\":60}"), .why = ""};
    c.token.metadata_url = (struct conf_url)URL("metadata.google.internal");
    token_round_begin(&r, &c, secrets);
    assert_asked("GET",
                 "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/"
                 "default/token",
                 "");
    assert_int_equal(token_round_answer(&r, &a, WALL_US, &e), -1);
    assert_non_null(strstr(e.msg, "not the metadata server's"));
    a.fields[0] = SLICE_LIT("Google");
    assert_int_equal(token_round_answer(&r, &a, WALL_US, &e), 1);
}

static void failures_are_told(void **state)
{
    struct errbuf e;
    struct conf_credential c = credential_of(CONF_CRED_GCP_SA, CONF_TOKEN_GCP_SA);
    struct fetch_answer a = {.error = FETCH_ERR_TIMEOUT, .why = "details"};
    struct token_ask q;
    c.secret.blob = SLICE_LIT("s");
    token_round_begin(&r, &c, secrets);
    assert_int_equal(token_round_ask(&r, WALL_US, &q, &e), -1);
    token_ask_release(&q);
    assert_null(strstr(e.msg, "the+secret"));
    assert_int_equal(token_round_answer(&r, &a, WALL_US, &e), -1);
    assert_string_equal(e.msg, "token: no answer in time (details)");
}

static void an_identity_is_all_that_a_token_is_made_of(void **state)
{
    uint8_t base[TOKEN_IDENTITY_BYTES], other[TOKEN_IDENTITY_BYTES];
    struct secrets *changed = secrets_of("another");
    struct conf_credential c = credential_of(CONF_CRED_ENTRA, CONF_TOKEN_ENTRA_SECRET);
    c.secret.blob = SLICE_LIT("s");
    token_identity(&c, secrets, base);
    token_identity(&c, secrets, other);
    assert_memory_equal(base, other, sizeof base);
    c.weight = 7; /* nothing to the token */
    token_identity(&c, secrets, other);
    assert_memory_equal(base, other, sizeof base);
    token_identity(&c, changed, other);
    assert_memory_not_equal(base, other, sizeof base);
    secrets_detach(changed);

    struct slice *const texts[] = {&c.name,
                                   &c.access_key_id,
                                   &c.token.tenant,
                                   &c.token.scope,
                                   &c.token.client_id,
                                   &c.token.role_arn,
                                   &c.token.token_file,
                                   &c.token.external_id};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct slice was = *texts[i];
        *texts[i] = SLICE_LIT("changed");
        token_identity(&c, secrets, other);
        assert_memory_not_equal(base, other, sizeof base);
        *texts[i] = was;
    }
    struct conf_url *const urls[] = {&c.token.token_url, &c.token.authority, &c.token.metadata_url,
                                     &c.token.sts_url};
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        *urls[i] = (struct conf_url)URL("changed");
        token_identity(&c, secrets, other);
        assert_memory_not_equal(base, other, sizeof base);
        *urls[i] = (struct conf_url){0};
    }
    token_identity(&c, secrets, other);
    assert_memory_equal(base, other, sizeof base);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(instance_roles),
        TEST(a_role_follows_the_keys),
        TEST(entra),
        TEST(google_metadata),
        TEST(failures_are_told),
        TEST(an_identity_is_all_that_a_token_is_made_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
