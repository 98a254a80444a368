/*
 * test_keystore.c: the life of a virtual key, what a lookup says of it, and the audit trail.
 */
#include "common/keystore.h"
#include "tests/unit/tmpdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static char dir[256];
static struct store *store;
static struct store_txn *reader;
static const int64_t NOW = 1767225600000000;
static const struct keystore_actor actor = {{"tester", 6}, 1767225600000000};

static int setup(void **state)
{
    struct errbuf e = {""};
    if (!tmpdir_make(dir) || keystore_open(dir, STORE_WRITE, 16 << 20, &store, &e) != STORE_OK)
        return -1;
    return store_reader_new(store, &reader) == STORE_OK ? 0 : -1;
}

static int teardown(void **state)
{
    store_reader_free(reader);
    store_close(store);
    tmpdir_remove(dir);
    return 0;
}

static void digest_of(const char *text, uint8_t out[CRYPTO_SHA256_BYTES])
{
    crypto_sha256(text, strlen(text), out);
}

static struct keystore_record make(const char *name, const char *text)
{
    struct keystore_record r = {.name = slice_str(name)};
    digest_of(text, r.digests[0].sha256);
    return r;
}

static void must_create(struct keystore_record *r)
{
    struct errbuf e = {""};
    enum store_err err = keystore_create(store, &actor, r, &e);
    if (err != STORE_OK)
        fail_msg("%s: %s", store_err_name(err), e.msg);
}

static enum keystore_verdict look(const char *text, int64_t now, struct keystore_key *out)
{
    uint8_t digest[CRYPTO_SHA256_BYTES];
    enum keystore_verdict verdict;
    digest_of(text, digest);
    assert_int_equal(keystore_lookup(reader, digest, now, out, &verdict), STORE_OK);
    return verdict;
}

static void test_create_and_look_up(void **state)
{
    struct keystore_key k;
    struct keystore_record r = make("ci", "sk-gw-one");
    r.team = SLICE_LIT("research");
    r.customer = SLICE_LIT("acme");
    r.models = SLICE_LIT("smart\ncheap");
    r.expires_us = NOW + 100;
    must_create(&r);
    assert_memory_equal(r.id, "key_", 4);
    assert_int_equal(strlen(r.id), 20);

    assert_int_equal(look("sk-gw-two", NOW, &k), KEYSTORE_UNKNOWN);
    assert_int_equal(look("sk-gw-one", NOW, &k), KEYSTORE_VALID);
    assert_string_equal(k.id, r.id);
    assert_string_equal(k.name, "ci");
    assert_string_equal(k.team, "research");
    assert_string_equal(k.customer, "acme");
    assert_false(k.all_models);
    assert_int_equal(look("sk-gw-one", NOW + 99, &k), KEYSTORE_VALID);
    assert_int_equal(look("sk-gw-one", NOW + 100, &k), KEYSTORE_EXPIRED);

    static const struct {
        const char *model;
        bool listed;
    } cases[] = {
        {"smart", true}, {"cheap", true}, {"smar", false}, {"smart\ncheap", false}, {"", false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        bool listed;
        assert_int_equal(keystore_lists_model(reader, &k, slice_str(cases[i].model), &listed),
                         STORE_OK);
        assert_int_equal(listed, cases[i].listed);
    }
}

static void test_what_is_refused(void **state)
{
    static char long_name[KEYSTORE_NAME_MAX + 2];
    memset(long_name, 'x', sizeof long_name - 1);
    static char big[KEYSTORE_TEXT_MAX];
    memset(big, ' ', sizeof big);
    const struct {
        struct slice name, team, models, metadata;
        const char *says;
    } cases[] = {
        {.name = {NULL, 0}, .says = "name is missing"},
        {.name = slice_str(long_name), .says = "at most 255"},
        {.name = SLICE_LIT("a\nb"), .says = "control"},
        {.name = SLICE_LIT("a\xc0\x80"), .says = "UTF-8"},
        {.name = SLICE_LIT("a\xed\xa0\x80"), .says = "UTF-8"},
        {.name = SLICE_LIT("a\xe2\x82"), .says = "UTF-8"},
        {.name = SLICE_LIT("key_1"), .says = "how ids begin"},
        {.name = SLICE_LIT("a"), .team = slice_str(long_name), .says = "team"},
        {.name = SLICE_LIT("a"), .models = SLICE_LIT("a\n\nb"), .says = "model"},
        {.name = SLICE_LIT("a"), .metadata = slice_of(big, sizeof big), .says = "together"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct errbuf e = {""};
        struct keystore_record r = make("x", "t");
        uint64_t n;
        r.name = cases[i].name;
        r.team = cases[i].team;
        r.models = cases[i].models;
        r.metadata = cases[i].metadata;
        assert_int_equal(keystore_create(store, &actor, &r, &e), STORE_REFUSED);
        assert_non_null(strstr(e.msg, cases[i].says));
        assert_int_equal(keystore_count(reader, &n), STORE_OK);
        assert_int_equal(n, 0);
    }
}

static void test_names_and_digests_are_unique(void **state)
{
    struct errbuf e = {""};
    struct keystore_record a = make("a", "one"), same_name = make("a", "two"),
                           same_text = make("b", "one");
    struct keystore_key k;
    must_create(&a);
    assert_int_equal(keystore_create(store, &actor, &same_name, &e), STORE_EXISTS);
    assert_non_null(strstr(e.msg, "\"a\""));
    assert_int_equal(keystore_create(store, &actor, &same_text, &e), STORE_EXISTS);
    assert_non_null(strstr(e.msg, "SHA-256"));
    /* What was refused left nothing behind. */
    assert_int_equal(look("two", NOW, &k), KEYSTORE_UNKNOWN);
    assert_int_equal(look("one", NOW, &k), KEYSTORE_VALID);
    assert_string_equal(k.name, "a");
    same_text = make("b", "three");
    must_create(&same_text);
}

static void test_update_counts_at_once(void **state)
{
    struct errbuf e = {""};
    struct keystore_key k;
    struct keystore_record r = make("a", "one"),
                           v = {.disabled = true, .name = SLICE_LIT("b"), .models = SLICE_LIT("m")};
    must_create(&r);
    assert_int_equal(keystore_update(store, &actor, SLICE_LIT("a"), KEYSTORE_F_DISABLED, &v, &e),
                     STORE_OK);
    assert_int_equal(look("one", NOW, &k), KEYSTORE_DISABLED);
    assert_true(k.all_models);
    v.disabled = false;
    assert_int_equal(keystore_update(store, &actor, slice_str(r.id),
                                     KEYSTORE_F_DISABLED | KEYSTORE_F_NAME | KEYSTORE_F_MODELS, &v,
                                     &e),
                     STORE_OK);
    assert_int_equal(look("one", NOW, &k), KEYSTORE_VALID);
    assert_string_equal(k.name, "b");
    assert_false(k.all_models);
    assert_int_equal(k.version, 3);
    assert_int_equal(keystore_update(store, &actor, SLICE_LIT("a"), 0, &v, &e), STORE_NOTFOUND);
    assert_non_null(strstr(e.msg, "no key \"a\""));
    /* A name that another key has. */
    struct keystore_record other = make("c", "two");
    must_create(&other);
    assert_int_equal(keystore_update(store, &actor, SLICE_LIT("c"), KEYSTORE_F_NAME, &v, &e),
                     STORE_EXISTS);
    assert_int_equal(look("two", NOW, &k), KEYSTORE_VALID);
    assert_string_equal(k.name, "c");
}

static void rotate(const char *text, int64_t at, int64_t grace)
{
    struct keystore_actor by = {{"t", 1}, at};
    struct errbuf e = {""};
    uint8_t digest[CRYPTO_SHA256_BYTES];
    digest_of(text, digest);
    assert_int_equal(keystore_rotate(store, &by, SLICE_LIT("a"), digest, grace, &e), STORE_OK);
}

static void test_rotate_with_grace(void **state)
{
    struct keystore_key k;
    struct keystore_record r = make("a", "one");
    must_create(&r);
    rotate("two", NOW, 50);
    assert_int_equal(look("two", NOW + 1000, &k), KEYSTORE_VALID);
    assert_string_equal(k.id, r.id);
    assert_int_equal(look("one", NOW + 49, &k), KEYSTORE_VALID);
    assert_int_equal(k.expires_us, NOW + 50);
    assert_int_equal(look("one", NOW + 50, &k), KEYSTORE_EXPIRED);

    rotate("three", NOW + 10, 0);
    assert_int_equal(look("two", NOW + 10, &k), KEYSTORE_UNKNOWN);
    assert_int_equal(look("one", NOW + 10, &k), KEYSTORE_VALID);
    assert_int_equal(look("three", NOW + 10, &k), KEYSTORE_VALID);

    /* The table of digests is bounded: the oldest go. */
    rotate("four", NOW + 20, 1000);
    rotate("five", NOW + 21, 1000);
    rotate("six", NOW + 22, 1000);
    assert_int_equal(look("one", NOW + 23, &k), KEYSTORE_UNKNOWN);
    assert_int_equal(look("three", NOW + 23, &k), KEYSTORE_VALID);
    assert_int_equal(look("six", NOW + 23, &k), KEYSTORE_VALID);
    rotate("seven", NOW + 5000, 1);
    assert_int_equal(look("three", NOW + 5000, &k), KEYSTORE_UNKNOWN);
}

static bool count_one(void *arg, const struct keystore_record *r)
{
    (*(int *)arg)++;
    return true;
}

static void test_delete(void **state)
{
    struct errbuf e = {""};
    struct keystore_key k;
    int n = 0;
    struct keystore_record r = make("a", "one");
    must_create(&r);
    rotate("two", NOW, 1000);
    assert_int_equal(keystore_delete(store, &actor, SLICE_LIT("a"), &e), STORE_OK);
    assert_int_equal(look("one", NOW, &k), KEYSTORE_UNKNOWN);
    assert_int_equal(look("two", NOW, &k), KEYSTORE_UNKNOWN);
    assert_int_equal(keystore_delete(store, &actor, SLICE_LIT("a"), &e), STORE_NOTFOUND);
    assert_int_equal(keystore_get(reader, slice_str(r.id), count_one, &n), STORE_NOTFOUND);
    r = make("a", "one");
    must_create(&r);
}

struct names {
    char text[4096];
    size_t stop_after;
};

static bool gather(void *arg, const struct keystore_record *r)
{
    struct names *n = arg;
    size_t at = strlen(n->text);
    snprintf(n->text + at, sizeof n->text - at, "%.*s ", SLICE_FMT(r->name));
    return n->stop_after == 0 || --n->stop_after > 0;
}

static void test_listing_in_pages(void **state)
{
    static const char *const made[] = {"delta", "alpha", "echo", "bravo", "charlie"};
    for (size_t i = 0; i < ARRAY_LEN(made); i++) {
        struct keystore_record r = make(made[i], made[i]);
        must_create(&r);
    }
    static const struct {
        const char *after;
        uint32_t limit;
        size_t stop_after;
        const char *want;
    } cases[] = {
        {"", 2, 0, "alpha bravo "},         {"bravo", 2, 0, "charlie delta "},
        {"delta", 9, 0, "echo "},           {"echo", 9, 0, ""},
        {"bz", 1, 0, "charlie "},           {"", 0, 0, ""},
        {"", 9, 3, "alpha bravo charlie "},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct names n = {.stop_after = cases[i].stop_after};
        assert_int_equal(
            keystore_list(reader, slice_str(cases[i].after), cases[i].limit, gather, &n), STORE_OK);
        assert_string_equal(n.text, cases[i].want);
    }
}

static bool full_record(void *arg, const struct keystore_record *r)
{
    struct keystore_record *want = arg;
    assert_string_equal(r->id, want->id);
    assert_true(slice_eq(r->tags, want->tags));
    assert_true(slice_eq(r->metadata, want->metadata));
    assert_true(slice_eq(r->limits, want->limits));
    assert_int_equal(r->created_us, NOW);
    assert_int_equal(r->digest_count, 1);
    assert_memory_equal(r->digests[0].sha256, want->digests[0].sha256, CRYPTO_SHA256_BYTES);
    return true;
}

static void test_every_field_is_kept(void **state)
{
    struct keystore_record r = make("gr\xc3\xbc\xc3\x9f", "one");
    r.tags = SLICE_LIT("a=b");
    r.metadata = SLICE_LIT("{\"x\":1}");
    r.limits = SLICE_LIT("rpm 60");
    must_create(&r);
    assert_int_equal(keystore_get(reader, slice_str(r.id), full_record, &r), STORE_OK);
    assert_int_equal(keystore_get(reader, r.name, full_record, &r), STORE_OK);
}

static bool audit_line(void *arg, const struct keystore_audit *a)
{
    struct names *n = arg;
    size_t at = strlen(n->text);
    snprintf(n->text + at, sizeof n->text - at, "%u %.*s %.*s %.*s>%.*s; ", (unsigned)a->seq,
             SLICE_FMT(a->who), SLICE_FMT(a->what), SLICE_FMT(a->before.name),
             SLICE_FMT(a->after.name));
    assert_int_equal(a->before.digest_count + a->after.digest_count, 0);
    return true;
}

static void test_audit_trail(void **state)
{
    struct errbuf e = {""};
    struct keystore_record r = make("a", "one"), v = {.name = SLICE_LIT("b")};
    must_create(&r);
    assert_int_equal(keystore_update(store, &actor, SLICE_LIT("a"), KEYSTORE_F_NAME, &v, &e),
                     STORE_OK);
    assert_int_equal(keystore_delete(store, &actor, SLICE_LIT("b"), &e), STORE_OK);
    struct names all = {0}, page = {0};
    assert_int_equal(keystore_audit_list(reader, 0, 10, audit_line, &all), STORE_OK);
    assert_string_equal(all.text, "3 tester delete b>; 2 tester update a>b; 1 tester create >a; ");
    assert_int_equal(keystore_audit_list(reader, 3, 1, audit_line, &page), STORE_OK);
    assert_string_equal(page.text, "2 tester update a>b; ");
}

/* A full map refuses the change that doesn't fit, whole, and nothing else. */
static void test_full_map(void **state)
{
    struct errbuf e = {""};
    struct keystore_key k;
    char name[32], text[32], models[8000];
    enum store_err err;
    unsigned n = 0;
    store_reader_free(reader);
    store_close(store);
    assert_int_equal(keystore_open(dir, STORE_WRITE, 512 << 10, &store, &e), STORE_OK);
    assert_int_equal(store_reader_new(store, &reader), STORE_OK);
    memset(models, 'm', sizeof models);
    do {
        snprintf(name, sizeof name, "key%u", n);
        snprintf(text, sizeof text, "sk-%u", n);
        struct keystore_record r = make(name, text);
        r.metadata = slice_of(models, sizeof models);
        err = keystore_create(store, &actor, &r, &e);
        n += err == STORE_OK;
    } while (err == STORE_OK && n < 1000);
    assert_int_equal(err, STORE_MAP_FULL);
    assert_true(n > 1);
    assert_int_equal(look(text, NOW, &k), KEYSTORE_UNKNOWN);
    assert_int_equal(look("sk-0", NOW, &k), KEYSTORE_VALID);
    /* With a larger map it goes on. */
    store_reader_free(reader);
    store_close(store);
    assert_int_equal(keystore_open(dir, STORE_WRITE, 16 << 20, &store, &e), STORE_OK);
    assert_int_equal(store_reader_new(store, &reader), STORE_OK);
    struct keystore_record r = make(name, text);
    must_create(&r);
    assert_int_equal(look(text, NOW, &k), KEYSTORE_VALID);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_create_and_look_up),
        T(test_what_is_refused),
        T(test_names_and_digests_are_unique),
        T(test_update_counts_at_once),
        T(test_rotate_with_grace),
        T(test_delete),
        T(test_listing_in_pages),
        T(test_every_field_is_kept),
        T(test_audit_trail),
        T(test_full_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
