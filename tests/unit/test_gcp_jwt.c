/*
 * test_gcp_jwt.c: service account files, and assertions that verify with the account's public key.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/crypto.h"
#include "common/gcp_jwt.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>

static EVP_PKEY *key;
static char pem[GCP_KEY_PEM_BYTES];

static void write_pem(EVP_PKEY *k, const EVP_CIPHER *cipher, char *out, size_t cap)
{
    BIO *b = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(b, k, cipher, cipher ? "secret" : NULL,
                                                   6 * !!cipher, NULL, NULL),
                     1);
    int n = BIO_read(b, out, (int)cap - 1);
    assert_true(n > 0);
    out[n] = '\0';
    BIO_free(b);
}

static int make_key(void **state)
{
    key = EVP_RSA_gen(2048);
    if (!key)
        return -1;
    write_pem(key, NULL, pem, sizeof pem);
    return 0;
}

static int free_key(void **state)
{
    EVP_PKEY_free(key);
    return 0;
}

/* A file as Google hands it out. */
static void write_file(struct buf *out, const char *key_pem)
{
    struct json_writer w;
    size_t n;
    jw_init_buf(&w, out);
    jw_object(&w);
    jw_member_str(&w, "type", SLICE_LIT("service_account"));
    jw_member_str(&w, "project_id", SLICE_LIT("acme"));
    jw_member_str(&w, "private_key_id", SLICE_LIT("k1"));
    jw_member_str(&w, "private_key", slice_str(key_pem));
    jw_member_str(&w, "client_email", SLICE_LIT("gw@acme.iam.gserviceaccount.com"));
    jw_member_str(&w, "client_id", SLICE_LIT("1"));
    jw_object_end(&w);
    assert_int_equal(jw_finish(&w, &n), 0);
}

static int digit_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    assert_true(c == '-' || c == '_');
    return c == '-' ? 62 : 63;
}

static size_t decode(struct slice s, uint8_t *out)
{
    uint32_t bits = 0, held = 0;
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        bits = bits << 6 | (uint32_t)digit_of(s.p[i]);
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[n++] = (uint8_t)(bits >> held);
        }
    }
    return n;
}

static bool verifies(struct slice text, const uint8_t *signature, size_t n)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
              EVP_DigestVerify(ctx, signature, n, (const uint8_t *)text.p, text.n) == 1;
    EVP_MD_CTX_free(ctx);
    return ok;
}

static void test_assertion(void **state)
{
    struct gcp_account a;
    struct errbuf e;
    struct buf file, out;
    uint8_t part[4096];
    buf_init(&file, 1 << 16);
    buf_init(&out, 1 << 16);
    write_file(&file, pem);
    assert_int_equal(gcp_account_read(&a, buf_slice(&file), &e), 0);
    assert_string_equal(a.project, "acme");
    assert_string_equal(a.key_pem, pem);
    assert_int_equal(buf_append(&out, "before ", 7), 0);
    assert_int_equal(gcp_jwt_write(&a, SLICE_LIT("https://www.googleapis.com/auth/cloud-platform"),
                                   1700000000, &out, &e),
                     0);
    struct slice rest = slice_of(out.data + 7, out.len - 7), whole = rest;
    struct slice header = slice_split(&rest, '.'), claims = slice_split(&rest, '.');
    size_t n = decode(header, part);
    assert_true(slice_eq_str(slice_of((char *)part, n),
                             "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"k1\"}"));
    n = decode(claims, part);
    assert_true(slice_eq_str(
        slice_of((char *)part, n),
        "{\"iss\":\"gw@acme.iam.gserviceaccount.com\",\"scope\":"
        "\"https://www.googleapis.com/auth/cloud-platform\",\"aud\":"
        "\"https://oauth2.googleapis.com/token\",\"iat\":1700000000,\"exp\":1700003600}"));
    n = decode(rest, part);
    assert_int_equal(n, 256);
    whole.n = header.n + 1 + claims.n;
    assert_true(verifies(whole, part, n));
    whole.n--;
    assert_false(verifies(whole, part, n));
    gcp_account_wipe(&a);
    assert_int_equal(a.key_pem[0], 0);
    buf_release(&file);
    buf_release(&out);
}

static void test_wrong_files(void **state)
{
    static const struct {
        const char *json, *says;
    } cases[] = {
        {"", "no JSON"},
        {"[]", "object"},
        {"{\"type\":\"authorized_user\"}", "`type`"},
        {"{\"private_key\":\"x\"}", "`client_email`"},
        {"{\"client_email\":\"a\"}", "`private_key`"},
        {"{\"client_email\":7,\"private_key\":\"x\"}", "`client_email`"},
        {"{\"client_email\":\"a\\u0000b\",\"private_key\":\"x\"}", "`client_email`"},
        {"{\"client_email\":\"a\",\"private_key\":\"x\",\"token_uri\":\"\"}", "`token_uri`"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct gcp_account a;
        struct errbuf e;
        assert_int_equal(gcp_account_read(&a, slice_str(cases[i].json), &e), -1);
        assert_non_null(strstr(e.msg, cases[i].says));
        assert_int_equal(a.email[0], 0);
    }
}

static void test_keys_that_are_no_good(void **state)
{
    char text[4][GCP_KEY_PEM_BYTES] = {"-----BEGIN PRIVATE KEY-----\nAAAA\n", ""};
    EVP_PKEY *curve = EVP_EC_gen("P-256"), *small = EVP_RSA_gen(1024);
    write_pem(curve, NULL, text[1], sizeof text[1]);
    write_pem(small, NULL, text[2], sizeof text[2]);
    write_pem(key, EVP_aes_128_cbc(), text[3], sizeof text[3]);
    for (size_t i = 0; i < ARRAY_LEN(text); i++) {
        struct gcp_account a;
        struct errbuf e;
        struct buf file, out;
        buf_init(&file, 1 << 16);
        buf_init(&out, 1 << 16);
        write_file(&file, text[i]);
        assert_int_equal(gcp_account_read(&a, buf_slice(&file), &e), 0);
        assert_int_equal(gcp_jwt_write(&a, SLICE_LIT("s"), 0, &out, &e), -1);
        assert_non_null(strstr(e.msg, "`private_key`"));
        assert_null(strstr(e.msg, "BEGIN"));
        assert_int_equal(out.len, 0);
        buf_release(&file);
        buf_release(&out);
    }
    EVP_PKEY_free(curve);
    EVP_PKEY_free(small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_assertion),
        cmocka_unit_test(test_wrong_files),
        cmocka_unit_test(test_keys_that_are_no_good),
    };
    return cmocka_run_group_tests(tests, make_key, free_key);
}
