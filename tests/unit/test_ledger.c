/*
 * test_ledger.c: records, chain, roll-ups, intents and retention of the ledger in LMDB.
 */
#include "common/ledger_internal.h"
#include "tests/unit/tmpdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static char dir[256];
static struct store *store;
static struct store_txn *reader;
static struct ledger_appender *appender;
static const int64_t DAY_US = INT64_C(86400) * 1000000;
static const int64_t NOW = INT64_C(20000) * 86400 * 1000000;

static int setup(void **state)
{
    struct errbuf e;
    if (!tmpdir_make(dir) || ledger_open(dir, STORE_WRITE, 64 << 20, &store, &e) != STORE_OK ||
        store_reader_new(store, &reader) != STORE_OK)
        return -1;
    return ledger_appender_new(store, &appender) == STORE_OK ? 0 : -1;
}

static int teardown(void **state)
{
    ledger_appender_free(appender);
    store_reader_free(reader);
    store_close(store);
    tmpdir_remove(dir);
    return 0;
}

static const struct ledger_body *record(uint64_t request, uint32_t attempt, const char *key)
{
    static struct ledger_entry e;
    struct slice names[LEDGER_NAME_COUNT] = {{NULL, 0}};
    memset(&e, 0, sizeof e);
    e.body.version = LEDGER_VERSION;
    e.body.fixed_bytes = sizeof e.body;
    e.body.state = LEDGER_SETTLED;
    request = __builtin_bswap64(request);
    memcpy(e.body.request_id, &request, sizeof request);
    e.body.attempt = attempt;
    e.body.cost_nusd = 7;
    e.body.usage[LEDGER_INPUT] = 3;
    names[LEDGER_KEY] = slice_str(key);
    names[LEDGER_MODEL] = SLICE_LIT("m");
    ledger_body_set_names(&e.body, names);
    ledger_body_add_upstream_id(&e.body, SLICE_LIT("up"));
    return &e.body;
}

static void begin(int64_t now)
{
    assert_int_equal(ledger_begin(appender, now), STORE_OK);
}

static void append(uint64_t request, const char *key)
{
    assert_int_equal(ledger_append(appender, record(request, 1, key)), STORE_OK);
}

static void commit(void)
{
    assert_int_equal(ledger_commit(appender), STORE_OK);
}

static void verify(uint64_t records)
{
    struct ledger_verified v;
    struct errbuf e = {""};
    if (ledger_verify(reader, &v, &e) != STORE_OK)
        fail_msg("%s", e.msg);
    assert_int_equal(v.records, records);
    assert_int_equal(v.totals.cost_nusd, 7 * records);
}

static bool count_entry(void *arg, const struct ledger_entry *e)
{
    (*(uint64_t *)arg)++;
    return true;
}

static void test_append_find_and_verify(void **state)
{
    uint64_t n = 0;
    uint64_t id[2] = {__builtin_bswap64(5), 0};
    verify(0);
    begin(NOW);
    append(4, "a");
    append(5, "a");
    assert_int_equal(ledger_append(appender, record(5, 2, "b")), STORE_OK);
    assert_int_equal(ledger_append(appender, record(5, 2, "b")), STORE_EXISTS);
    commit();
    verify(3);
    begin(NOW + 1);
    assert_int_equal(ledger_append(appender, record(4, 1, "a")), STORE_EXISTS);
    commit();
    verify(3);
    assert_int_equal(ledger_find(reader, (uint8_t *)id, count_entry, &n), STORE_OK);
    assert_int_equal(n, 2);
    id[0] = 99;
    assert_int_equal(ledger_find(reader, (uint8_t *)id, count_entry, &n), STORE_NOTFOUND);
}

static void test_a_rolled_back_batch_never_was(void **state)
{
    begin(NOW);
    append(1, "a");
    commit();
    begin(NOW);
    append(2, "b");
    ledger_rollback(appender);
    verify(1);
    begin(NOW);
    append(2, "a");
    commit();
    verify(2);
}

static void test_time_never_goes_back(void **state)
{
    struct ledger_position from = {0, 0};
    bool more;
    uint64_t n = 0;
    begin(NOW + 100);
    append(1, "a");
    commit();
    begin(NOW - DAY_US);
    append(2, "a");
    commit();
    verify(2);
    assert_int_equal(ledger_scan(reader, &from, INT64_MAX, 1, count_entry, &n, &more), STORE_OK);
    assert_true(more);
    assert_int_equal(from.seq, 1);
    assert_int_equal(ledger_scan(reader, &from, INT64_MAX, 9, count_entry, &n, &more), STORE_OK);
    assert_false(more);
    assert_int_equal(from.committed_us, NOW + 100);
    assert_int_equal(n, 2);
    from = (struct ledger_position){0, 0};
    assert_int_equal(ledger_scan(reader, &from, NOW + 100, 9, count_entry, &n, &more), STORE_OK);
    assert_int_equal(n, 2);
}

struct rolled {
    unsigned count;
    struct ledger_totals sum;
    bool upstream_id;
};

static bool sum_rollup(void *arg, const struct ledger_rollup *r)
{
    struct rolled *x = arg;
    x->count++;
    x->upstream_id = x->upstream_id || r->names[LEDGER_UPSTREAM_REQUEST_ID].n != 0;
    ledger_totals_add(&x->sum, &r->totals);
    return true;
}

static void test_rollups_and_retention(void **state)
{
    uint64_t request = 0;
    for (int day = 0; day < 3; day++)
        for (int batch = 0; batch < 4; batch++) {
            begin(NOW + day * DAY_US + batch);
            for (int i = 0; i < 1000; i++) {
                char key[16];
                snprintf(key, sizeof key, "key_%d", i % 900);
                append(request++, key);
            }
            commit();
        }
    verify(12000);
    struct rolled r = {0};
    assert_int_equal(ledger_rollups(reader, 20000, 20001, sum_rollup, &r), STORE_OK);
    assert_int_equal(r.count, 1800);
    assert_int_equal(r.sum.cost_nusd, 7 * 8000);
    assert_int_equal(r.sum.requests, 8000);
    assert_int_equal(r.sum.states[0], 8000);
    assert_false(r.upstream_id);

    uint32_t dropped;
    begin(NOW + 3 * DAY_US);
    assert_int_equal(ledger_drop_before(appender, 20002, 5000, &dropped), STORE_OK);
    assert_int_equal(dropped, 5000);
    commit();
    verify(7000);
    begin(NOW + 3 * DAY_US);
    assert_int_equal(ledger_drop_before(appender, 20002, 5000, &dropped), STORE_OK);
    assert_int_equal(dropped, 3000);
    commit();
    verify(4000);
    /* What was deleted is in the roll-ups still. */
    r = (struct rolled){0};
    assert_int_equal(ledger_rollups(reader, 0, UINT32_MAX, sum_rollup, &r), STORE_OK);
    assert_int_equal(r.sum.cost_nusd, 7 * 12000);
}

static bool is_request_2(void *arg, const uint8_t id[LEDGER_RECORD_ID_BYTES])
{
    return id[7] == 2;
}

static void test_intents(void **state)
{
    uint32_t settled, bad;
    struct store_txn *t;
    begin(NOW);
    for (uint64_t i = 1; i <= 4; i++)
        assert_int_equal(ledger_put_intent(appender, record(i, 1, "a")), STORE_OK);
    assert_int_equal(ledger_put_intent(appender, record(4, 1, "a")), STORE_OK);
    append(3, "a"); /* settles */
    assert_int_equal(ledger_drop_intent(appender, record(4, 1, "a")), STORE_OK);
    commit();
    verify(1);
    begin(NOW);
    assert_int_equal(ledger_settle_intents(appender, is_request_2, NULL, &settled, &bad), STORE_OK);
    assert_int_equal(settled, 1);
    commit();
    verify(2);
    begin(NOW);
    append(2, "a");
    assert_int_equal(ledger_settle_intents(appender, is_request_2, NULL, &settled, &bad), STORE_OK);
    assert_int_equal(settled, 0);
    commit();
    verify(3);
    assert_int_equal(bad, 0);

    assert_int_equal(store_write_begin(store, &t), STORE_OK);
    assert_int_equal(store_put(t, LDB_INTENTS, SLICE_LIT("short"), SLICE_LIT("no record"), 0),
                     STORE_OK);
    assert_int_equal(store_commit(t), STORE_OK);
    for (uint32_t left = 2; left-- > 0;) {
        begin(NOW);
        assert_int_equal(ledger_settle_intents(appender, is_request_2, NULL, &settled, &bad),
                         STORE_OK);
        assert_int_equal(bad, left);
        commit();
    }
    verify(3);
}

/* --- what verify must find ------------------------------------------------------------------- */

static struct slice key_of(uint64_t seq, uint8_t room[LEDGER_KEY_BYTES])
{
    ledger_key_encode(&(struct ledger_position){NOW, seq}, room);
    return slice_of((char *)room, LEDGER_KEY_BYTES);
}

static void flip_a_cost(struct store_txn *t)
{
    uint8_t room[LEDGER_KEY_BYTES];
    char copy[LEDGER_HASH_BYTES + LEDGER_BODY_MAX];
    struct slice v;
    assert_int_equal(store_get(t, LDB_RECORDS, key_of(2, room), &v), STORE_OK);
    memcpy(copy, v.p, v.n);
    copy[LEDGER_HASH_BYTES + offsetof(struct ledger_body, cost_nusd)]--;
    assert_int_equal(store_put(t, LDB_RECORDS, key_of(2, room), slice_of(copy, v.n), 0), STORE_OK);
}

static void delete_a_record(struct store_txn *t)
{
    uint8_t room[LEDGER_KEY_BYTES];
    assert_int_equal(store_del(t, LDB_RECORDS, key_of(2, room)), STORE_OK);
}

static void delete_the_last_record(struct store_txn *t)
{
    uint8_t room[LEDGER_KEY_BYTES];
    assert_int_equal(store_del(t, LDB_RECORDS, key_of(3, room)), STORE_OK);
}

static void delete_an_id(struct store_txn *t)
{
    uint8_t id[LEDGER_RECORD_ID_BYTES];
    ledger_record_id(record(2, 1, "a"), id);
    assert_int_equal(store_del(t, LDB_IDS, slice_of((char *)id, sizeof id)), STORE_OK);
}

static void add_an_id(struct store_txn *t)
{
    assert_int_equal(store_put(t, LDB_IDS, SLICE_LIT("00000000000000000000"), SLICE_LIT("x"), 0),
                     STORE_OK);
}

static void change_a_rollup(struct store_txn *t, bool delete)
{
    struct store_cursor *c;
    struct slice k, v;
    char copy[1024], key[LEDGER_ROLLUP_KEY_BYTES];
    assert_int_equal(store_cursor_open(t, LDB_ROLLUPS, &c), STORE_OK);
    assert_int_equal(store_cursor_last(c, &k, &v), STORE_OK);
    memcpy(key, k.p, k.n);
    memcpy(copy, v.p, v.n);
    store_cursor_close(c);
    copy[8]++;
    if (delete)
        assert_int_equal(store_del(t, LDB_ROLLUPS, slice_of(key, sizeof key)), STORE_OK);
    else
        assert_int_equal(
            store_put(t, LDB_ROLLUPS, slice_of(key, sizeof key), slice_of(copy, v.n), 0), STORE_OK);
}

static void change_rollup(struct store_txn *t)
{
    change_a_rollup(t, false);
}

static void delete_rollup(struct store_txn *t)
{
    change_a_rollup(t, true);
}

static const struct tampering {
    void (*fn)(struct store_txn *t);
    const char *says;
} tamperings[] = {
    {flip_a_cost, "record 2: its hash"},
    {delete_a_record, "record 3: a record before it is missing"},
    {delete_the_last_record, "its head names 3"},
    {delete_an_id, "record 2: the index of ids"},
    {add_an_id, "4 ids in the index"},
    {change_rollup, "roll-up of day 20000"},
    {delete_rollup, "has 1 roll-ups, its records need 2"},
};

static void test_verify_finds(void **state)
{
    const struct tampering *how = *state;
    struct store_txn *t;
    struct ledger_verified v;
    struct errbuf e = {""};
    begin(NOW);
    append(1, "a");
    append(2, "a");
    append(3, "b");
    commit();
    verify(3);
    assert_int_equal(store_write_begin(store, &t), STORE_OK);
    how->fn(t);
    assert_int_equal(store_commit(t), STORE_OK);
    assert_int_equal(ledger_verify(reader, &v, &e), STORE_CORRUPT);
    if (!strstr(e.msg, how->says))
        fail_msg("\"%s\" doesn't say \"%s\"", e.msg, how->says);
}

static void test_bodies_that_lie_are_not_believed(void **state)
{
    struct ledger_body b = *record(1, 1, "");
    size_t n = ledger_body_bytes(&b);
    assert_false(ledger_body_valid(&b, 10));
    assert_false(ledger_body_valid(&b, n + 1));
    b.name_bytes[0] = 9;
    assert_false(ledger_body_valid(&b, n));
    b = *record(1, 0, "");
    assert_false(ledger_body_valid(&b, n));
    b = *record(1, 1, "");
    b.version = 9;
    assert_false(ledger_body_valid(&b, n));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define CASE(i)                                                                                    \
    {                                                                                              \
        tamperings[i].says, test_verify_finds, setup, teardown, (void *)&tamperings[i]             \
    }
    const struct CMUnitTest tests[] = {
        T(test_append_find_and_verify),
        T(test_a_rolled_back_batch_never_was),
        T(test_time_never_goes_back),
        T(test_rollups_and_retention),
        T(test_intents),
        T(test_bodies_that_lie_are_not_believed),
        CASE(0),
        CASE(1),
        CASE(2),
        CASE(3),
        CASE(4),
        CASE(5),
        CASE(6),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
