/*
 * test_crypto.c: known answers, shapes and ordering of common/crypto.
 */
#include "common/crypto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_sha256_known_answers(void **state)
{
    /* FIPS 180-4 examples. */
    static const struct {
        const char *text, *hex;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice s = slice_str(cases[i].text);
        uint8_t digest[CRYPTO_SHA256_BYTES], again[CRYPTO_SHA256_BYTES];
        char hex[CRYPTO_SHA256_HEX + 1];
        crypto_sha256(s.p, s.n, digest);
        crypto_hex(digest, sizeof digest, hex);
        assert_string_equal(hex, cases[i].hex);

        struct slice parts[] = {slice_of(s.p, s.n / 2), slice_of(s.p + s.n / 2, s.n - s.n / 2)};
        crypto_sha256_parts(parts, 2, again);
        assert_memory_equal(digest, again, sizeof digest);

        struct crypto_hash *h = crypto_hash_new();
        for (size_t j = 0; j < s.n; j++)
            crypto_hash_update(h, s.p + j, 1);
        crypto_hash_final(h, again);
        crypto_hash_free(h);
        assert_memory_equal(digest, again, sizeof digest);
    }
    crypto_hash_free(NULL);
}

static void test_hmac_sha256_known_answers(void **state)
{
    /* RFC 4231 section 4: test cases 1, 2, 3, 6; the last key is longer than a block. */
    static char aa[131], dd[50];
    memset(aa, 0xaa, sizeof aa);
    memset(dd, 0xdd, sizeof dd);
    const struct {
        struct slice key, text;
        const char *hex;
    } cases[] = {
        {SLICE_LIT(
             "\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"),
         SLICE_LIT("Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {SLICE_LIT("Jefe"), SLICE_LIT("what do ya want for nothing?"),
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {slice_of(aa, 20), slice_of(dd, 50),
         "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
        {slice_of(aa, 131), SLICE_LIT("Test Using Larger Than Block-Size Key - Hash Key First"),
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
        {slice_of(NULL, 0), slice_of(NULL, 0),
         "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t mac[CRYPTO_SHA256_BYTES];
        char hex[CRYPTO_SHA256_HEX + 1];
        crypto_hmac_sha256(cases[i].key, cases[i].text, mac);
        crypto_hex(mac, sizeof mac, hex);
        assert_string_equal(hex, cases[i].hex);
    }
}

static void test_hex(void **state)
{
    uint8_t out[2];
    assert_int_equal(crypto_unhex(SLICE_LIT("0aF9"), out, 2), 0);
    assert_int_equal(out[0], 0x0a);
    assert_int_equal(out[1], 0xf9);
    static const char *const bad[] = {"", "0a", "0aF", "0aF9f", "0aFg", "0a 9", "+a09"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(crypto_unhex(slice_str(bad[i]), out, 2), -1);
}

static void test_equal(void **state)
{
    assert_true(crypto_equal("abcd", "abcd", 4));
    assert_false(crypto_equal("abcd", "abce", 4));
    assert_true(crypto_equal("a", "b", 0));
}

static void test_key_text(void **state)
{
    char a[CRYPTO_KEY_TEXT_BYTES], b[CRYPTO_KEY_TEXT_BYTES];
    bool seen[256] = {false};
    crypto_key_text(a);
    assert_int_equal(strlen(a), CRYPTO_KEY_TEXT_BYTES - 1);
    assert_memory_equal(a, "sk-gw-", 6);
    for (int i = 0; i < 200; i++) {
        crypto_key_text(b);
        assert_string_not_equal(a, b);
        for (const char *p = b + 6; *p; p++)
            seen[(unsigned char)*p] = true;
    }
    for (int c = 0; c < 256; c++)
        assert_int_equal(seen[c], (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                                      (c >= 'A' && c <= 'Z'));
}

static void test_request_ids_are_ordered_and_typed(void **state)
{
    uint8_t last[CRYPTO_REQUEST_ID_BYTES] = {0}, id[CRYPTO_REQUEST_ID_BYTES];
    int64_t t = 1767225600000000;
    for (int i = 0; i < 20000; i++) {
        /* The clock also steps back and stands still for longer than the counter is wide. */
        crypto_request_id(t + (i % 7 == 0 ? -5000 : i / 10), id);
        assert_true(memcmp(last, id, sizeof id) < 0);
        assert_int_equal(id[6] >> 4, 7);
        assert_int_equal(id[8] >> 6, 2);
        memcpy(last, id, sizeof id);
    }
}

static void test_request_id_text(void **state)
{
    static const uint8_t id[] = {1, 2, 3, 4, 5, 6, 0x77, 8, 0x89, 10, 11, 12, 13, 14, 15, 0xff};
    uint8_t back[CRYPTO_REQUEST_ID_BYTES];
    char text[CRYPTO_REQUEST_ID_TEXT_BYTES];
    crypto_request_id_text(id, text);
    assert_string_equal(text, "01020304-0506-7708-890a-0b0c0d0e0fff");
    assert_int_equal(crypto_request_id_parse(slice_str(text), back), 0);
    assert_memory_equal(id, back, sizeof id);
    static const char *const bad[] = {
        "", "01020304-0506-7708-890a-0b0c0d0e0ff", "01020304x0506-7708-890a-0b0c0d0e0fff",
        "0102030405067708890a0b0c0d0e0fff0000", "01020304-0506-7708-890a-0b0c0d0e0ffg"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(crypto_request_id_parse(slice_str(bad[i]), back), -1);
}

static void test_a_forked_child_draws_other_ids(void **state)
{
    uint8_t mine[CRYPTO_REQUEST_ID_BYTES], theirs[CRYPTO_REQUEST_ID_BYTES];
    int fds[2];
    crypto_request_id(1767225600000000, mine);
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        crypto_request_id(1767225600000000, mine);
        _exit(write(fds[1], mine, sizeof mine) == sizeof mine ? 0 : 1);
    }
    assert_int_equal(read(fds[0], theirs, sizeof theirs), sizeof theirs);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    crypto_request_id(1767225600000000, mine);
    assert_memory_not_equal(mine + 8, theirs + 8, 8);
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256_known_answers),
        cmocka_unit_test(test_hmac_sha256_known_answers),
        cmocka_unit_test(test_hex),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_key_text),
        cmocka_unit_test(test_request_ids_are_ordered_and_typed),
        cmocka_unit_test(test_request_id_text),
        cmocka_unit_test(test_a_forked_child_draws_other_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
