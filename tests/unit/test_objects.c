/*
 * test_objects.c: records of objects: in the outbox, in LMDB, and on the way from one to the other
 * with a worker that is killed.
 */
#include "common/clock.h"
#include "common/keystore.h"
#include "common/objects_shm.h"
#include "common/objects_store.h"
#include "common/state_db.h"
#include "tests/unit/tmpdir.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[256];
static int dir_fd;
static struct shm shm;
static struct objects o;
static struct store *store;
static struct store_txn *reader;

static int setup(void **state)
{
    struct errbuf e = {""};
    if (!tmpdir_make(dir) || (dir_fd = open(dir, O_DIRECTORY | O_CLOEXEC)) < 0)
        return -1;
    if (objects_segment_open(dir_fd, 2, &shm, &e) < 0 || objects_attach(&o, &shm, -1, &e) < 0)
        return -1;
    if (keystore_open(dir, STORE_WRITE, 16 << 20, &store, &e) != STORE_OK)
        return -1;
    return store_reader_new(store, &reader) == STORE_OK ? 0 : -1;
}

static int teardown(void **state)
{
    store_reader_free(reader);
    store_close(store);
    shm_detach(&shm);
    close(dir_fd);
    tmpdir_remove(dir);
    return 0;
}

static struct object_record record(enum object_kind kind, const char *id, const char *key,
                                   const char *team, const char *credential)
{
    struct object_record r;
    const struct slice names[OBJECT_NAME_COUNT] = {
        [OBJECT_ID] = slice_str(id),
        [OBJECT_KEY] = slice_str(key),
        [OBJECT_TEAM] = slice_str(team),
        [OBJECT_PROVIDER] = SLICE_LIT("openai"),
        [OBJECT_CREDENTIAL] = slice_str(credential),
    };
    assert_int_equal(object_record_init(&r, kind, names), 0);
    r.change = OBJECT_ADD;
    r.created_us = 1000;
    return r;
}

static enum store_err apply(const struct object_record *r)
{
    struct store_txn *t;
    assert_int_equal(store_write_begin(store, &t), STORE_OK);
    enum store_err err = objects_apply(t, r);
    if (err == STORE_OK)
        assert_int_equal(store_commit(t), STORE_OK);
    else
        store_abort(t);
    return err;
}

static enum store_err find(enum object_kind kind, const char *key, const char *team, const char *id,
                           struct object_record *out)
{
    struct object_owner owner;
    object_owner_of(slice_str(key), slice_str(team), &owner);
    return objects_find(reader, kind, &owner, slice_str(id), out);
}

/* ---- records ---- */

static void test_names_and_lengths(void **state)
{
    struct object_record r = record(OBJECT_FILE, "file-1", "key_a", "research", "main"), copy;
    assert_true(slice_eq_str(object_name(&r, OBJECT_ID), "file-1"));
    assert_true(slice_eq_str(object_name(&r, OBJECT_TEAM), "research"));
    assert_int_equal(object_name(&r, OBJECT_CUSTOMER).n, 0);
    assert_true(slice_eq_str(object_name(&r, OBJECT_CREDENTIAL), "main"));
    size_t n = object_record_bytes(&r);
    assert_true(object_record_decode(&r, n, &copy));
    assert_false(object_record_decode(&r, n - 1, &copy));
    assert_false(object_record_decode(&r, n + 1, &copy));
    r.kind = OBJECT_KIND_COUNT;
    assert_false(object_record_decode(&r, n, &copy));
}

static void test_what_does_not_fit_is_refused(void **state)
{
    static char text[1000];
    struct object_record r;
    struct slice names[OBJECT_NAME_COUNT] = {[OBJECT_ID] = slice_of(text, OBJECT_ID_MAX)};
    memset(text, 'x', sizeof text);
    assert_int_equal(object_record_init(&r, OBJECT_FILE, names), 0);
    names[OBJECT_ID].n++;
    assert_int_equal(object_record_init(&r, OBJECT_FILE, names), -1);
    names[OBJECT_ID].n = 0;
    assert_int_equal(object_record_init(&r, OBJECT_FILE, names), -1);
    names[OBJECT_ID].n = OBJECT_ID_MAX;
    names[OBJECT_KEY] = slice_of(text, OBJECT_TEXT_MAX - OBJECT_ID_MAX);
    assert_int_equal(object_record_init(&r, OBJECT_FILE, names), 0);
    names[OBJECT_TEAM] = SLICE_LIT("t");
    assert_int_equal(object_record_init(&r, OBJECT_FILE, names), -1);
}

static void test_a_team_and_a_key_of_one_name_are_two_owners(void **state)
{
    struct object_owner team, key, other_key_of_team;
    object_owner_of(SLICE_LIT("a"), SLICE_LIT("same"), &team);
    object_owner_of(SLICE_LIT("same"), SLICE_LIT(""), &key);
    object_owner_of(SLICE_LIT("b"), SLICE_LIT("same"), &other_key_of_team);
    assert_false(object_owner_eq(&team, &key));
    assert_true(object_owner_eq(&team, &other_key_of_team));
}

/* ---- the outbox ---- */

struct seen {
    unsigned n;
    char ids[8][16];
};

static bool see(void *arg, const struct object_record *r)
{
    struct seen *s = arg;
    struct slice id = object_name(r, OBJECT_ID);
    if (s->n < 8)
        snprintf(s->ids[s->n], sizeof s->ids[0], "%.*s", SLICE_FMT(id));
    s->n++;
    return true;
}

static void test_published_records_are_seen_until_freed(void **state)
{
    struct object_record a = record(OBJECT_FILE, "file-a", "k", "", "c"),
                         b = record(OBJECT_FILE, "file-b", "k", "", "c");
    struct seen s = {0};
    assert_false(objects_any_pending(&o));
    assert_true(objects_wait(&o));
    assert_true(objects_publish(&o, 0, &a));
    assert_true(objects_publish(&o, 1, &b));
    assert_false(objects_wait(&o));
    objects_each_pending(&o, see, &s);
    assert_int_equal(s.n, 2);
    assert_string_equal(s.ids[0], "file-a");
    assert_string_equal(s.ids[1], "file-b");
    assert_true(slice_eq_str(object_name(objects_at(&o, 1, 0), OBJECT_ID), "file-b"));
    objects_free_before(&o, 0, 1);
    s.n = 0;
    objects_each_pending(&o, see, &s);
    assert_int_equal(s.n, 1);
    assert_string_equal(s.ids[0], "file-b");
}

static void test_a_full_ring_takes_no_more(void **state)
{
    struct object_record r = record(OBJECT_FILE, "file-a", "k", "", "c");
    for (unsigned i = 0; i < OBJECTS_SLOTS; i++) {
        assert_int_equal(objects_room(&o, 0), OBJECTS_SLOTS - i);
        assert_true(objects_publish(&o, 0, &r));
    }
    assert_int_equal(objects_room(&o, 0), 0);
    assert_false(objects_publish(&o, 0, &r));
    assert_true(objects_publish(&o, 1, &r));
    objects_free_before(&o, 0, 1);
    assert_true(objects_publish(&o, 0, &r));
    assert_false(objects_publish(&o, 0, &r));
}

static void test_a_new_geometry_keeps_what_waits(void **state)
{
    struct errbuf e = {""};
    struct object_record a = record(OBJECT_FILE, "file-a", "k", "", "c");
    struct seen s = {0};
    assert_true(objects_publish(&o, 1, &a));
    objects_free_before(&o, 1, 1);
    for (int i = 0; i < 3; i++)
        assert_true(objects_publish(&o, 1, &a));
    shm_detach(&shm);
    assert_int_equal(objects_segment_open(dir_fd, 5, &shm, &e), 0);
    assert_int_equal(objects_attach(&o, &shm, -1, &e), 0);
    assert_int_equal(o.header->region_count, 5);
    objects_each_pending(&o, see, &s);
    assert_int_equal(s.n, 3);
    assert_string_equal(s.ids[2], "file-a");
    /* Fewer are wanted, but something waits: kept as it is; empty, it is made anew. */
    shm_detach(&shm);
    assert_int_equal(objects_segment_open(dir_fd, 2, &shm, &e), 0);
    assert_int_equal(objects_attach(&o, &shm, -1, &e), 0);
    assert_int_equal(o.header->region_count, 5);
    objects_free_before(&o, 1, 4);
    shm_detach(&shm);
    assert_int_equal(objects_segment_open(dir_fd, 2, &shm, &e), 0);
    assert_int_equal(objects_attach(&o, &shm, -1, &e), 0);
    assert_int_equal(o.header->region_count, 2);
}

/* A producer without pause that is killed at any moment: every record that is there is whole, and
 * none between two is missing. */
static void test_a_killed_producer_leaves_whole_records(void **state)
{
    for (int round = 0; round < 20; round++) {
        uint64_t from = objects_published(&o, 0);
        pid_t pid = fork();
        if (pid == 0) {
            for (unsigned i = 0;; i++) {
                char id[16];
                snprintf(id, sizeof id, "n%u", i);
                struct object_record r = record(OBJECT_BATCH, id, "k", "", "c");
                if (!objects_publish(&o, 0, &r))
                    sched_yield();
            }
        }
        while (objects_published(&o, 0) < from + 50)
            sched_yield();
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        uint64_t to = objects_published(&o, 0);
        for (uint64_t p = from; p < to; p++) {
            struct object_record r;
            const struct object_record *at = objects_at(&o, 0, p);
            char id[16];
            snprintf(id, sizeof id, "n%u", (unsigned)(p - from));
            assert_true(object_record_decode(at, object_record_bytes(at), &r));
            assert_true(slice_eq_str(object_name(&r, OBJECT_ID), id));
        }
        objects_free_before(&o, 0, to);
    }
}

/* ---- LMDB ---- */

static void test_only_its_owner_finds_an_object(void **state)
{
    struct object_record mine = record(OBJECT_FILE, "file-1", "key_a", "", "c1"), r;
    assert_int_equal(apply(&mine), STORE_OK);
    assert_int_equal(find(OBJECT_FILE, "key_a", "", "file-1", &r), STORE_OK);
    assert_true(slice_eq_str(object_name(&r, OBJECT_CREDENTIAL), "c1"));
    assert_int_equal(find(OBJECT_FILE, "key_b", "", "file-1", &r), STORE_NOTFOUND);
    assert_int_equal(find(OBJECT_BATCH, "key_a", "", "file-1", &r), STORE_NOTFOUND);
    assert_int_equal(find(OBJECT_FILE, "key_a", "", "file-2", &r), STORE_NOTFOUND);
    struct object_record shared = record(OBJECT_FILE, "file-2", "key_a", "team", "c2");
    assert_int_equal(apply(&shared), STORE_OK);
    assert_int_equal(find(OBJECT_FILE, "key_z", "team", "file-2", &r), STORE_OK);
    assert_int_equal(find(OBJECT_FILE, "key_a", "", "file-2", &r), STORE_NOTFOUND);
}

static void test_removal_and_repetition(void **state)
{
    struct object_record a = record(OBJECT_FILE, "file-1", "k", "", "c1"), r;
    assert_int_equal(apply(&a), STORE_OK);
    assert_int_equal(apply(&a), STORE_OK);
    a.change = OBJECT_REMOVE;
    assert_int_equal(apply(&a), STORE_OK);
    assert_int_equal(find(OBJECT_FILE, "k", "", "file-1", &r), STORE_NOTFOUND);
    assert_int_equal(apply(&a), STORE_NOTFOUND);
}

static void collect(void *arg, const struct object_record *r)
{
    see(arg, r);
}

static void test_credentials_of_an_owner_are_each_given_once(void **state)
{
    const char *const credentials[] = {"c1", "c2", "c3"};
    struct object_owner owner;
    struct seen s = {0};
    for (int i = 0; i < 30; i++) {
        char id[16];
        snprintf(id, sizeof id, "file-%d", i);
        struct object_record a = record(OBJECT_FILE, id, "k", "", credentials[i % 3]),
                             b = record(OBJECT_FILE, id, "other", "", "c4");
        assert_int_equal(apply(&a), STORE_OK);
        assert_int_equal(apply(&b), STORE_OK);
    }
    object_owner_of(SLICE_LIT("k"), SLICE_LIT(""), &owner);
    assert_int_equal(objects_each_credential(reader, OBJECT_FILE, &owner, collect, &s), STORE_OK);
    assert_int_equal(s.n, 3);
    s.n = 0;
    assert_int_equal(objects_each_credential(reader, OBJECT_BATCH, &owner, collect, &s), STORE_OK);
    assert_int_equal(s.n, 0);
    struct object_record r;
    for (int i = 0; i < 30; i++) {
        char id[16];
        snprintf(id, sizeof id, "file-%d", i);
        assert_int_equal(find(OBJECT_FILE, "k", "", id, &r), STORE_OK);
        assert_true(slice_eq_str(object_name(&r, OBJECT_CREDENTIAL), credentials[i % 3]));
    }
}

static uint32_t prune(int64_t now_us, uint32_t max)
{
    struct store_txn *t;
    uint32_t n, unsettled;
    assert_int_equal(store_write_begin(store, &t), STORE_OK);
    assert_int_equal(objects_prune(t, now_us, max, &n, &unsettled), STORE_OK);
    assert_int_equal(store_commit(t), STORE_OK);
    return n;
}

static void test_expired_records_are_pruned(void **state)
{
    struct object_record r;
    for (int i = 0; i < 10; i++) {
        char id[16];
        snprintf(id, sizeof id, "resp_%d", i);
        struct object_record a = record(OBJECT_RESPONSE, id, "k", "", "c");
        a.expires_us = i < 9 ? 100 + i : 0;
        assert_int_equal(apply(&a), STORE_OK);
    }
    struct object_record later = record(OBJECT_RESPONSE, "resp_0", "k", "", "c");
    later.expires_us = 1000; /* said anew */
    assert_int_equal(apply(&later), STORE_OK);
    assert_int_equal(prune(99, 100), 0);
    assert_int_equal(prune(105, 2), 2);
    assert_int_equal(prune(105, 100), 3);
    assert_int_equal(find(OBJECT_RESPONSE, "k", "", "resp_0", &r), STORE_OK);
    assert_int_equal(find(OBJECT_RESPONSE, "k", "", "resp_5", &r), STORE_NOTFOUND);
    assert_int_equal(find(OBJECT_RESPONSE, "k", "", "resp_6", &r), STORE_OK);
    assert_int_equal(prune(INT64_MAX, 100), 4);
    assert_int_equal(find(OBJECT_RESPONSE, "k", "", "resp_9", &r), STORE_OK);
}

static enum store_err next_bill(struct object_record *out)
{
    struct store_txn *t;
    uint32_t malformed;
    assert_int_equal(store_write_begin(store, &t), STORE_OK);
    enum store_err err = objects_next_bill(t, out, &malformed);
    store_abort(t);
    return err;
}

static void test_a_batch_is_billed_once(void **state)
{
    struct object_record b = record(OBJECT_BATCH, "batch_1", "k", "", "c"), r;
    struct store_txn *t;
    assert_int_equal(apply(&b), STORE_OK);
    assert_int_equal(next_bill(&r), STORE_NOTFOUND);
    b.change = OBJECT_SETTLE;
    b.usage[LEDGER_INPUT] = 7;
    assert_int_equal(apply(&b), STORE_OK);
    b.usage[LEDGER_INPUT] = 8; /* a second observer */
    assert_int_equal(apply(&b), STORE_OK);
    assert_int_equal(next_bill(&r), STORE_OK);
    assert_int_equal(r.usage[LEDGER_INPUT], 7);
    assert_int_equal(r.state, OBJECT_SETTLING);
    assert_int_equal(store_write_begin(store, &t), STORE_OK);
    assert_int_equal(objects_billed(t, &r, 5000), STORE_OK);
    assert_int_equal(store_commit(t), STORE_OK);
    assert_int_equal(next_bill(&r), STORE_NOTFOUND);
    assert_int_equal(apply(&b), STORE_OK);
    assert_int_equal(next_bill(&r), STORE_NOTFOUND);
    assert_int_equal(find(OBJECT_BATCH, "k", "", "batch_1", &r), STORE_OK);
    assert_int_equal(r.state, OBJECT_SETTLED);
    assert_int_equal(r.settled_us, 5000);
}

static void test_what_expires_open_is_billed_by_its_bound(void **state)
{
    struct object_record b = record(OBJECT_BATCH, "batch_1", "k", "", "c"), r;
    b.expires_us = 100;
    b.usage[LEDGER_OUTPUT] = 9;
    assert_int_equal(apply(&b), STORE_OK);
    assert_int_equal(prune(100, 10), 1);
    assert_int_equal(find(OBJECT_BATCH, "k", "", "batch_1", &r), STORE_NOTFOUND);
    assert_int_equal(next_bill(&r), STORE_OK);
    assert_int_equal(r.usage[LEDGER_OUTPUT], 9);
    assert_int_equal(r.state, OBJECT_SETTLING);
    assert_true(r.flags & OBJECT_F_ESTIMATED);
}

static void test_what_has_been_billed_expires_without_a_bill(void **state)
{
    struct object_record b = record(OBJECT_BATCH, "batch_1", "k", "", "c"), r;
    struct store_txn *t;
    b.expires_us = 100;
    assert_int_equal(apply(&b), STORE_OK);
    b.change = OBJECT_SETTLE;
    assert_int_equal(apply(&b), STORE_OK);
    assert_int_equal(next_bill(&r), STORE_OK);
    assert_int_equal(store_write_begin(store, &t), STORE_OK);
    assert_int_equal(objects_billed(t, &r, 50), STORE_OK);
    assert_int_equal(store_commit(t), STORE_OK);
    assert_int_equal(prune(100, 10), 1);
    assert_int_equal(next_bill(&r), STORE_NOTFOUND);
}

static void test_an_answer_may_be_opened_again_until_it_is_settled(void **state)
{
    struct object_record a = record(OBJECT_RESPONSE, "resp_1", "k", "", "c"), r;
    assert_int_equal(apply(&a), STORE_OK);
    a.state = OBJECT_OPEN;
    a.usage[LEDGER_OUTPUT] = 9;
    assert_int_equal(apply(&a), STORE_OK);
    assert_int_equal(find(OBJECT_RESPONSE, "k", "", "resp_1", &r), STORE_OK);
    assert_int_equal(r.state, OBJECT_OPEN);
    assert_int_equal(r.usage[LEDGER_OUTPUT], 9);
    a.change = OBJECT_SETTLE;
    assert_int_equal(apply(&a), STORE_OK);
    a.change = OBJECT_ADD;
    assert_int_equal(apply(&a), STORE_OK);
    assert_int_equal(find(OBJECT_RESPONSE, "k", "", "resp_1", &r), STORE_OK);
    assert_int_equal(r.state, OBJECT_SETTLING);
}

static void test_a_malformed_bill_blocks_no_other(void **state)
{
    struct object_record b = record(OBJECT_BATCH, "batch_1", "k", "", "c"), r;
    struct store_txn *t;
    assert_int_equal(store_write_begin(store, &t), STORE_OK);
    assert_int_equal(store_put(t, STATE_DB_OBJECT_BILLS, SLICE_LIT("\x01"), SLICE_LIT("odd"), 0),
                     STORE_OK);
    assert_int_equal(store_commit(t), STORE_OK);
    assert_int_equal(next_bill(&r), STORE_NOTFOUND);
    assert_int_equal(apply(&b), STORE_OK);
    b.change = OBJECT_SETTLE;
    assert_int_equal(apply(&b), STORE_OK);
    assert_int_equal(next_bill(&r), STORE_OK);
    assert_true(slice_eq_str(object_name(&r, OBJECT_ID), "batch_1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_lengths),
        cmocka_unit_test(test_what_does_not_fit_is_refused),
        cmocka_unit_test(test_a_team_and_a_key_of_one_name_are_two_owners),
        cmocka_unit_test_setup_teardown(test_published_records_are_seen_until_freed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_full_ring_takes_no_more, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_new_geometry_keeps_what_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_killed_producer_leaves_whole_records, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_only_its_owner_finds_an_object, setup, teardown),
        cmocka_unit_test_setup_teardown(test_removal_and_repetition, setup, teardown),
        cmocka_unit_test_setup_teardown(test_credentials_of_an_owner_are_each_given_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_expired_records_are_pruned, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_batch_is_billed_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_expires_open_is_billed_by_its_bound, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_what_has_been_billed_expires_without_a_bill, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_an_answer_may_be_opened_again_until_it_is_settled,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_malformed_bill_blocks_no_other, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
