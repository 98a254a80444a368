/*
 * test_token_answer.c: what token services say, and what is made of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/clock.h"
#include "gatewayd/keeper/token_answer.h"
#include "gatewayd/keeper/token_xml.h"

#include <stdio.h>
#include <stdlib.h>

/* 2026-01-01T00:00:00Z */
#define WALL_US INT64_C(1767225600000000)

static struct token_record record;

static void oauth_answers(void **state)
{
    static const struct {
        const char *json;
        int64_t life_s; /* 0: refused */
        const char *said;
    } cases[] = {
        {"{\"access_token\":\"t\",\"expires_in\":3599,\"token_type\":\"Bearer\"}", 3599, NULL},
        {"{\"access_token\":\"t\",\"expires_in\":\"86399\",\"token_type\":\"bearer\"}", 86399,
         NULL},
        {"{\"access_token\":\"t\",\"expires_in\":1e3,\"other\":[1]}", 1000, NULL},
        {"{\"access_token\":\"t\",\"expires_in\":99999999999}", TOKEN_LIFE_MAX_S, NULL},
        {"{\"access_token\":\"t\"}", 0, "`expires_in` is missing"},
        {"{\"access_token\":\"t\",\"expires_in\":0}", 0, "`expires_in` isn't above 0"},
        {"{\"access_token\":\"t\",\"expires_in\":-5}", 0, "`expires_in` isn't above 0"},
        {"{\"access_token\":\"t\",\"expires_in\":\"5s\"}", 0, "`expires_in` is no number"},
        {"{\"access_token\":\"t\",\"expires_in\":\"9999999999999999999999\"}", 0, "no number"},
        {"{\"expires_in\":5}", 0, "`access_token` is missing"},
        {"{\"access_token\":\"\",\"expires_in\":5}", 0, "`access_token` is missing"},
        {"{\"access_token\":7,\"expires_in\":5}", 0, "`access_token` is too long, or no text"},
        {"{\"access_token\":\"a b\",\"expires_in\":5}", 0, "more than printable ASCII"},
        {"{\"access_token\":\"a\\r\\nX: y\",\"expires_in\":5}", 0, "more than printable ASCII"},
        {"{\"access_token\":\"a\\u0000\",\"expires_in\":5}", 0, "more than printable ASCII"},
        {"{\"access_token\":\"\\u00e9\",\"expires_in\":5}", 0, "more than printable ASCII"},
        {"{\"access_token\":\"t\",\"expires_in\":5,\"token_type\":\"mac\"}", 0, "isn't Bearer"},
        {"[]", 0, "no JSON object"},
        {"<html>", 0, "no JSON"},
        {"", 0, "no JSON"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct errbuf e = {""};
        int64_t life_s = 0;
        int rc = token_answer_oauth(slice_str(cases[i].json), &record, &life_s, &e);
        if ((rc == 0) != (cases[i].life_s > 0) || (rc == 0 && life_s != cases[i].life_s) ||
            (rc < 0 && !strstr(e.msg, cases[i].said)))
            fail_msg("case %zu: %d, %ld, %s", i, rc, (long)life_s, e.msg);
        if (rc == 0)
            assert_true(slice_eq_str(token_part(&record, TOKEN_SECRET), "t"));
    }
}

static void a_token_may_be_long_but_not_longer(void **state)
{
    char *json = malloc(TOKEN_TEXT_BYTES + 100);
    for (size_t n = TOKEN_TEXT_BYTES - 1; n <= TOKEN_TEXT_BYTES + 1; n++) {
        struct errbuf e;
        int64_t life_s;
        size_t at = (size_t)sprintf(json, "{\"expires_in\":5,\"access_token\":\"");
        memset(json + at, 'x', n);
        strcpy(json + at + n, "\"}");
        int rc = token_answer_oauth(slice_str(json), &record, &life_s, &e);
        assert_int_equal(rc, n <= TOKEN_TEXT_BYTES ? 0 : -1);
    }
    free(json);
}

static void keys(void **state)
{
#define KEYS "\"AccessKeyId\":\"AK\",\"SecretAccessKey\":\"SK\",\"Token\":\"ST\""
    static const struct {
        const char *json;
        int64_t life_s;
        const char *said;
    } cases[] = {
        {"{" KEYS ",\"Expiration\":\"2026-01-01T06:00:00Z\",\"Code\":\"Success\"}", 21600, NULL},
        {"{" KEYS ",\"Expiration\":\"2026-01-01T01:00:00.500+00:30\"}", 1800, NULL},
        {"{" KEYS "}", TOKEN_LIFE_UNSAID_S, NULL},
        {"{" KEYS ",\"Expiration\":null}", TOKEN_LIFE_UNSAID_S, NULL},
        {"{" KEYS ",\"Expiration\":\"2025-12-31T23:59:59Z\"}", 0, "have expired already"},
        {"{" KEYS ",\"Expiration\":\"soon\"}", 0, "`Expiration` is no time"},
        {"{" KEYS ",\"Expiration\":5}", 0, "`Expiration` is no text"},
        {"{" KEYS ",\"Code\":\"Failed\"}", 0, "`Code` isn't Success"},
        {"{\"AccessKeyId\":\"AK\",\"Token\":\"ST\"}", 0, "`SecretAccessKey` is missing"},
        {"{\"SecretAccessKey\":\"SK\",\"Token\":\"ST\"}", 0, "`AccessKeyId` is missing"},
        {"{\"AccessKeyId\":\"A K\",\"SecretAccessKey\":\"SK\"}", 0, "printable ASCII"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct errbuf e = {""};
        int64_t life_s = 0;
        int rc = token_answer_keys(slice_str(cases[i].json), WALL_US, &record, &life_s, &e);
        if ((rc == 0) != (cases[i].life_s > 0) ||
            (rc == 0 && llabs(life_s - cases[i].life_s) > 1) ||
            (rc < 0 && !strstr(e.msg, cases[i].said)))
            fail_msg("case %zu: %d, %ld, %s", i, rc, (long)life_s, e.msg);
        if (rc == 0) {
            assert_true(slice_eq_str(token_part(&record, TOKEN_SECRET), "SK"));
            assert_true(slice_eq_str(token_part(&record, TOKEN_ACCESS_KEY_ID), "AK"));
            assert_true(slice_eq_str(token_part(&record, TOKEN_SESSION), "ST"));
        }
    }
}

#define STS(inside)                                                                                \
    "<?xml version=\"1.0\"?>\n<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/"          \
    "2011-06-15/\"><AssumeRoleResult>\n<AssumedRoleUser><Arn>a</Arn></AssumedRoleUser>"            \
    "<Credentials>" inside "</Credentials></AssumeRoleResult></AssumeRoleResponse>\n"
#define STS_KEYS                                                                                   \
    "<AccessKeyId>AK</AccessKeyId>\n<SecretAccessKey>S&amp;K</SecretAccessKey>"                    \
    "<SessionToken>ST==</SessionToken>"

static void assumed_roles(void **state)
{
    struct errbuf e;
    int64_t life_s;
    static const char good[] = STS(STS_KEYS "<Expiration>2026-01-01T01:00:00Z</Expiration>");
    assert_int_equal(token_answer_sts(slice_str(good), WALL_US, &record, &life_s, &e), 0);
    assert_int_equal(life_s, 3600);
    assert_true(slice_eq_str(token_part(&record, TOKEN_SECRET), "S&K"));
    assert_true(slice_eq_str(token_part(&record, TOKEN_ACCESS_KEY_ID), "AK"));
    assert_true(slice_eq_str(token_part(&record, TOKEN_SESSION), "ST=="));
    static const char *const bad[] = {
        "",
        "{}",
        STS(""),
        STS(STS_KEYS),
        STS(STS_KEYS "<Expiration>2025-01-01T01:00:00Z</Expiration>"),
        STS("<AccessKeyId>AK</AccessKeyId><SecretAccessKey> </SecretAccessKey>"),
        "<Credentials>" STS_KEYS "</Credentials>",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(token_answer_sts(slice_str(bad[i]), WALL_US, &record, &life_s, &e), -1);
}

static void xml_is_taken_strictly(void **state)
{
    static const struct {
        const char *xml, *path, *want; /* NULL: not there */
    } cases[] = {
        {"<a><b>x</b></a>", "a/b", "x"},
        {" <?xml version='1.0'?> <a><b>x</b></a> ", "a/b", "x"},
        {"<a k='v' l = \"<w'>\"><b>x</b></a>", "a/b", NULL},
        {"<a k='v' l=\"w'\"><b  >x</b ></a>", "a/b", "x"},
        {"<a><c/><c /><b>1</b><b>2</b></a>", "a/b", "1"},
        {"<a><b><c>x</c></b></a>", "a/b", NULL},
        {"<a><b>x<c/></b></a>", "a/b", NULL},
        {"<a><b></b></a>", "a/b", NULL},
        {"<a><b>&lt;&gt;&amp;&quot;&apos;</b></a>", "a/b", "<>&\"'"},
        {"<a><b>&#65;</b></a>", "a/b", NULL},
        {"<a><b>&nbsp;</b></a>", "a/b", NULL},
        {"<a><b>x</a></b>", "a/b", NULL},
        {"<a><b>x</b>", "a/b", NULL},
        {"<a><b>x</b></a></a>", "a/b", NULL},
        {"<a><!-- --><b>x</b></a>", "a/b", NULL},
        {"<!DOCTYPE a [<!ENTITY e 'x'>]><a><b>&e;</b></a>", "a/b", NULL},
        {"<a><![CDATA[y]]><b>x</b></a>", "a/b", NULL},
        {"<a><b>x</b><?php ?></a>", "a/b", NULL},
        {"<a><b>longer</b></a>", "a/b", NULL},
        {"<a><b>x", "a/b", NULL},
        {"<a", "a", NULL},
        {"<", "a", NULL},
        {"<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a>", "a", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char out[5];
        int n = token_xml_text(slice_str(cases[i].xml), cases[i].path, out, sizeof out);
        bool ok = cases[i].want ? n >= 0 && slice_eq_str(slice_of(out, (size_t)n), cases[i].want)
                                : n <= 0;
        if (!ok)
            fail_msg("case %zu: %d", i, n);
    }
}

static void errors_are_named(void **state)
{
    static const struct {
        const char *body, *code;
    } cases[] = {
        {"{\"error\":\"invalid_grant\",\"error_description\":\"x\"}", "invalid_grant"},
        {"{\"error\":{\"code\":403,\"status\":\"PERMISSION_DENIED\"}}", "PERMISSION_DENIED"},
        {"{\"code\":\"AccessDeniedException\",\"message\":\"m\"}", "AccessDeniedException"},
        {"<ErrorResponse xmlns=\"x\"><Error><Type>Sender</Type><Code>AccessDenied</Code></Error>"
         "</ErrorResponse>",
         "AccessDenied"},
        {"{\"error\":\"two words\"}", ""},
        {"{\"error\":\"a\\u0000b\"}", ""},
        {"{\"error\":7}", ""},
        {"<html>no</html>", ""},
        {"", ""},
        {"{\"error\":\"0123456789012345678901234567890123456789012345678901234567890123\"}", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char code[TOKEN_ERROR_CODE_BYTES];
        token_answer_error(slice_str(cases[i].body), code);
        if (strcmp(code, cases[i].code) != 0)
            fail_msg("case %zu: %s", i, code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(oauth_answers),
        cmocka_unit_test(a_token_may_be_long_but_not_longer),
        cmocka_unit_test(keys),
        cmocka_unit_test(assumed_roles),
        cmocka_unit_test(xml_is_taken_strictly),
        cmocka_unit_test(errors_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
