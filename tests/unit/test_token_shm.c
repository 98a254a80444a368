/*
 * test_token_shm.c: the shared table of tokens: finding, expiry, forgetting, and readers that are
 * overtaken by the writer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/token_shm.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NOW_US = 1000, LATER_US = 2000 };

static struct shm shm;
static struct token_seg *seg;
static struct token_record *record;

static int set_up(void **state)
{
    struct errbuf e;
    struct shm_spec spec = token_seg_spec();
    record = calloc(1, sizeof *record);
    if (shm_create_memory(&spec, &shm, &e) < 0)
        return -1;
    seg = token_seg_of(&shm);
    return 0;
}

static int tear_down(void **state)
{
    shm_detach(&shm);
    free(record);
    return 0;
}

static void name(uint8_t identity[TOKEN_IDENTITY_BYTES], uint32_t bucket, uint32_t who)
{
    memset(identity, 0xee, TOKEN_IDENTITY_BYTES);
    memcpy(identity, &bucket, sizeof bucket);
    memcpy(identity + 4, &who, sizeof who);
}

static int publish(const uint8_t identity[TOKEN_IDENTITY_BYTES], const char *secret, const char *id,
                   const char *session)
{
    memset(record, 0, sizeof *record);
    memcpy(record->head.identity, identity, TOKEN_IDENTITY_BYTES);
    record->head.usable_until_us = LATER_US;
    record->head.length[TOKEN_SECRET] = (uint16_t)strlen(secret);
    record->head.length[TOKEN_ACCESS_KEY_ID] = (uint16_t)strlen(id);
    record->head.length[TOKEN_SESSION] = (uint16_t)strlen(session);
    snprintf(record->text, sizeof record->text, "%s%s%s", secret, id, session);
    return token_publish(seg, record);
}

static void assert_part(enum token_part p, const char *text)
{
    struct slice s = token_part(record, p);
    assert_true(slice_eq_str(s, text));
}

static void what_is_published_is_found(void **state)
{
    uint8_t a[TOKEN_IDENTITY_BYTES], b[TOKEN_IDENTITY_BYTES];
    uint32_t hint = UINT32_MAX;
    name(a, 5, 1);
    name(b, 5, 2);
    assert_int_equal(token_find(seg, a, &hint), -1);
    int at = publish(a, "secret", "", "");
    assert_int_equal(at, 5);
    int other = publish(b, "key", "id", "session");
    assert_int_equal(other, 6);
    assert_int_equal(token_find(seg, a, &hint), at);
    assert_int_equal(hint, at);
    assert_int_equal(token_find(seg, b, &hint), other);
    assert_true(token_read(seg, at, a, NOW_US, record));
    assert_part(TOKEN_SECRET, "secret");
    assert_part(TOKEN_SESSION, "");
    assert_true(token_read(seg, other, b, NOW_US, record));
    assert_part(TOKEN_SECRET, "key");
    assert_part(TOKEN_ACCESS_KEY_ID, "id");
    assert_part(TOKEN_SESSION, "session");
    assert_false(token_read(seg, at, b, NOW_US, record));
}

static void an_old_token_is_none(void **state)
{
    uint8_t a[TOKEN_IDENTITY_BYTES];
    name(a, 9, 1);
    int at = publish(a, "one", "", "");
    assert_int_equal(token_serial(seg, at, a, NOW_US), 1);
    assert_int_equal(token_serial(seg, at, a, LATER_US), 0);
    assert_false(token_read(seg, at, a, LATER_US, record));
    assert_int_equal(publish(a, "two", "", ""), at);
    assert_int_equal(token_serial(seg, at, a, NOW_US), 2);
    assert_true(token_read(seg, at, a, NOW_US, record));
    assert_part(TOKEN_SECRET, "two");
}

static void nothing_is_left_of_what_is_forgotten(void **state)
{
    uint8_t a[TOKEN_IDENTITY_BYTES], b[TOKEN_IDENTITY_BYTES];
    struct token_head h;
    uint32_t hint = UINT32_MAX;
    name(a, 5, 1);
    name(b, 5, 2);
    int at = publish(a, "FORGET-ME", "", "");
    publish(a, "FORGET-ME-AS-WELL", "", "");
    int behind = publish(b, "kept", "", "");
    token_forget(seg, at);
    assert_false(token_peek(seg, at, &h));
    assert_int_equal(token_find(seg, a, &hint), -1);
    assert_int_equal(token_serial(seg, at, a, NOW_US), 0);
    assert_int_equal(token_find(seg, b, &hint), behind); /* the chain holds */
    assert_null(memmem(shm.header, shm.total_bytes, "FORGET-ME", 9));
    /* Whoever gets the slot next starts behind the serial that it had. */
    name(a, 5, 3);
    assert_int_equal(publish(a, "new", "", ""), at);
    assert_int_equal(token_serial(seg, at, a, NOW_US), 3);
}

static void a_full_table_says_so(void **state)
{
    uint8_t a[TOKEN_IDENTITY_BYTES];
    uint32_t hint = UINT32_MAX;
    for (uint32_t i = 0; i < TOKEN_SLOTS; i++) {
        name(a, 7, i + 1);
        assert_true(publish(a, "x", "", "") >= 0);
    }
    name(a, 7, TOKEN_SLOTS + 1);
    assert_int_equal(publish(a, "x", "", ""), -1);
    assert_int_equal(token_find(seg, a, &hint), -1);
    name(a, 7, 1);
    assert_int_equal(publish(a, "again", "", ""), 7);
}

/* Pages of the memory that are in use (stat(2): blocks of 512 bytes). */
static void looking_takes_no_memory(void **state)
{
    struct stat before, after;
    struct token_head h;
    uint8_t a[TOKEN_IDENTITY_BYTES];
    name(a, 1, 1);
    publish(a, "x", "", "");
    for (int slot = 0; slot < TOKEN_SLOTS; slot++)
        assert_int_equal(token_peek(seg, slot, &h), slot == 1);
    assert_int_equal(fstat(shm.fd, &before), 0);
    for (int slot = 0; slot < TOKEN_SLOTS; slot++)
        assert_int_equal(token_peek(seg, slot, &h), slot == 1);
    assert_int_equal(fstat(shm.fd, &after), 0);
    assert_true(before.st_blocks * 512 < 128 * 1024);
    assert_int_equal(before.st_blocks, after.st_blocks);
}

static void refusals_are_counted(void **state)
{
    uint8_t a[TOKEN_IDENTITY_BYTES];
    name(a, 1, 1);
    int at = publish(a, "x", "", "");
    assert_int_equal(token_refusals(seg), 0);
    token_refused(seg, at, 1);
    token_refused(seg, at, 1);
    assert_int_equal(token_refusals(seg), 2);
    assert_int_equal(token_refused_serial(seg, at), 1);
}

static void another_layout_is_not_mapped(void **state)
{
    struct shm_spec spec = token_seg_spec();
    struct shm other;
    struct errbuf e;
    int fd = fcntl(shm.fd, F_DUPFD_CLOEXEC, 0);
    spec.layout++;
    assert_int_equal(shm_attach(fd, &spec, &other, &e), -1);
    assert_non_null(strstr(e.msg, "layout"));
    close(fd);
}

/* ---- readers against the writer ---- */

static _Atomic bool over;

/* Tokens of any length whose bytes are all the same, with an id of the same length: a torn read
 * mixes two of them. */
static void *write_on(void *arg)
{
    const uint8_t *identity = arg;
    struct token_record *r = calloc(1, sizeof *r);
    memcpy(r->head.identity, identity, TOKEN_IDENTITY_BYTES);
    r->head.usable_until_us = LATER_US;
    for (unsigned i = 0; !over; i++) {
        uint16_t n = (uint16_t)(1 + i * 37 % 4000);
        r->head.length[TOKEN_SECRET] = r->head.length[TOKEN_ACCESS_KEY_ID] = n;
        memset(r->text, 'a' + (int)(i % 26), 2 * (size_t)n);
        (void)!token_publish(seg, r);
    }
    free(r);
    return NULL;
}

static void readers_see_whole_tokens(void **state)
{
    enum { READS = 20000 };
    uint8_t a[TOKEN_IDENTITY_BYTES];
    pthread_t writer;
    uint32_t hint = UINT32_MAX, last = 0;
    name(a, 3, 1);
    publish(a, "x", "x", "");
    over = false;
    assert_int_equal(pthread_create(&writer, NULL, write_on, a), 0);
    for (int i = 0; i < READS; i++) {
        int at = token_find(seg, a, &hint);
        assert_true(token_read(seg, at, a, NOW_US, record));
        struct slice secret = token_part(record, TOKEN_SECRET),
                     id = token_part(record, TOKEN_ACCESS_KEY_ID);
        assert_int_equal(secret.n, id.n);
        for (size_t k = 0; k < secret.n; k++)
            assert_true(secret.p[k] == id.p[k] && secret.p[k] == secret.p[0]);
        assert_true((int32_t)(record->head.serial - last) >= 0);
        last = record->head.serial;
    }
    over = true;
    pthread_join(writer, NULL);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_is_published_is_found),
        TEST(an_old_token_is_none),
        TEST(nothing_is_left_of_what_is_forgotten),
        TEST(a_full_table_says_so),
        TEST(looking_takes_no_memory),
        TEST(refusals_are_counted),
        TEST(another_layout_is_not_mapped),
        TEST(readers_see_whole_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
