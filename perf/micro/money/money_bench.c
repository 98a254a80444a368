/*
 * money_bench.c: what the money path costs: key hash, key lookup, admission + settlement, ledger.
 *
 *   money_bench [records]     default 200000; prints ns per operation and records per second
 *
 * One process, so without contention; the scratch directory is made below $TMPDIR or /tmp, whose
 * file system decides what a commit costs.
 */
#include "common/clock.h"
#include "common/crypto.h"
#include "common/keystore.h"
#include "gatewayd/keeper/ledger_writer.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

static const struct money_geometry geometry = {
    .regions = 2, .slots_per_region = 16384, .cells = 1024};

struct scratch {
    char dir[256];
    struct shm shm;
    struct money m;
};

static void scratch_open(struct scratch *f)
{
    const char *base = getenv("TMPDIR");
    struct errbuf e = {""};
    enum shm_origin origin;
    snprintf(f->dir, sizeof f->dir, "%s/money_bench.XXXXXX", base ? base : "/tmp");
    int fd = mkdtemp(f->dir) ? open(f->dir, O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd < 0 || money_segment_open(fd, &geometry, &f->shm, &origin, &e) != 0 ||
        money_attach(&f->m, &f->shm, -1, &e) != 0) {
        fprintf(stderr, "%s: %s\n", f->dir, e.msg);
        exit(1);
    }
    close(fd);
}

static void scratch_close(struct scratch *f)
{
    static const char *const files[] = {"money.shm",  "state.mdb",       "state.mdb-lock",
                                        "ledger.mdb", "ledger.mdb-lock", ""};
    shm_detach(&f->shm);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char path[300];
        snprintf(path, sizeof path, "%s/%s", f->dir, files[i]);
        (void)remove(path);
    }
}

static int64_t cpu_ns(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* CPU of this thread: the machine may be shared. */
static int64_t thread_ns(void)
{
    return cpu_ns(CLOCK_THREAD_CPUTIME_ID);
}

static void report(const char *what, int64_t ns, uint64_t n)
{
    printf("%-44s %8.0f ns\n", what, (double)ns / (double)n);
}

static void bench_hash(void)
{
    char key[CRYPTO_KEY_TEXT_BYTES];
    uint8_t digest[CRYPTO_SHA256_BYTES];
    crypto_key_text(key);
    crypto_sha256(key, sizeof key - 1, digest);
    int64_t t = thread_ns();
    for (int i = 0; i < 1000000; i++)
        crypto_sha256(key, sizeof key - 1, digest);
    report("SHA-256 of a key", thread_ns() - t, 1000000);
    uint8_t id[CRYPTO_REQUEST_ID_BYTES];
    t = thread_ns();
    for (int i = 0; i < 1000000; i++)
        crypto_request_id(1767225600000000 + i, id);
    report("request id", thread_ns() - t, 1000000);
}

static void digest_of(int i, uint8_t out[CRYPTO_SHA256_BYTES])
{
    crypto_sha256(&i, sizeof i, out);
}

static void bench_lookup(const char *dir)
{
    enum { KEYS = 2000, LOOKUPS = 500000 };
    struct store *s;
    struct store_txn *r;
    struct errbuf e;
    struct keystore_actor by = {SLICE_LIT("bench"), 1};
    static uint8_t digests[KEYS][CRYPTO_SHA256_BYTES];
    if (keystore_open(dir, STORE_WRITE | STORE_NOSYNC, 0, &s, &e) != STORE_OK ||
        store_reader_new(s, &r) != STORE_OK)
        exit(1);
    for (int i = 0; i < KEYS; i++) {
        char name[16];
        struct keystore_record rec = {.team = SLICE_LIT("research")};
        snprintf(name, sizeof name, "n%d", i);
        rec.name = slice_str(name);
        digest_of(i, digests[i]);
        memcpy(rec.digests[0].sha256, digests[i], sizeof digests[i]);
        if (keystore_create(s, &by, &rec, &e) != STORE_OK)
            exit(1);
    }
    struct keystore_key k;
    enum keystore_verdict v;
    int64_t t = thread_ns();
    for (int i = 0; i < LOOKUPS; i++)
        if (keystore_lookup(r, digests[(i * 7) % KEYS], 2, &k, &v) != STORE_OK ||
            v != KEYSTORE_VALID)
            exit(1);
    report("key lookup among 2,000", thread_ns() - t, LOOKUPS);
    store_reader_free(r);
    store_close(s);
}

static void bench_ledger(struct scratch *f, uint64_t records)
{
    struct money_owner o;
    struct ledger_writer *w;
    struct store *s;
    struct errbuf e = {""};
    struct ledger_writer_stats st;
    struct money_hold holds[8];
    f->m.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (money_claim(&f->m, 0, 1, &o) != MONEY_OK)
        exit(1);
    for (uint64_t i = 0; i < 8; i++) {
        holds[i] = (struct money_hold){.kind = MONEY_HOLD_COST, .amount = 10, .limit = INT64_MAX};
        if (money_cell_get(&f->m, (uint64_t[2]){i + 1, 1}, 0, 0, &holds[i].cell) != MONEY_OK)
            exit(1);
    }
    if (ledger_open(f->dir, STORE_WRITE, (size_t)4 << 30, &s, &e) != STORE_OK)
        exit(1);
    struct ledger_writer_config cfg = {.money = &f->m, .ledger = s};
    if (ledger_writer_start(&cfg, &w, &e) != 0)
        exit(1);
    int64_t start = clock_mono_ns(), cpu = cpu_ns(CLOCK_PROCESS_CPUTIME_ID), mine = thread_ns();
    for (uint64_t n = 0; n < records;) {
        struct money_attempt a = {.attempt = 1, .holds = holds, .hold_count = 8};
        crypto_request_id(1767225600000000 + (int64_t)n, a.request_id);
        a.names[LEDGER_KEY] = SLICE_LIT("key_0123456789abcdef");
        a.names[LEDGER_MODEL] = SLICE_LIT("smart");
        struct money_ticket t;
        struct money_outcome out = {
            .state = LEDGER_SETTLED, .cost_nusd = 9, .usage = {10, 0, 0, 9}};
        a.names[LEDGER_PROVIDER] = SLICE_LIT("openai");
        a.names[LEDGER_UPSTREAM_MODEL] = SLICE_LIT("gpt-4o-2024-08-06");
        a.names[LEDGER_CREDENTIAL] = SLICE_LIT("openai-a");
        out.upstream_request_id = SLICE_LIT("req_0123456789abcdef0123456789abcdef");
        if (money_open(&o, &a, &t, NULL) != MONEY_OK) {
            poll(NULL, 0, 1);
            continue;
        }
        (void)money_settle(&o, &t, &out);
        n++;
    }
    report("admission + settlement over 8 cells", thread_ns() - mine, records);
    for (ledger_writer_stats(w, &st); st.records < records; ledger_writer_stats(w, &st))
        poll(NULL, 0, 1);
    int64_t wall = clock_mono_ns() - start;
    mine = thread_ns() - mine;
    cpu = cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    report("ledger writer, CPU per record", cpu - mine, records);
    printf("%-44s %8.0f records/s in %lu commits\n", "ledger writer, rate",
           (double)records * 1e9 / (double)wall, (unsigned long)st.commits);
    ledger_writer_stop(w);
    struct store_txn *r;
    struct ledger_verified v;
    int64_t t = thread_ns();
    if (store_reader_new(s, &r) != STORE_OK || ledger_verify(r, &v, &e) != STORE_OK ||
        v.records != records) {
        fprintf(stderr, "verify: %s\n", e.msg);
        exit(1);
    }
    report("verify, per record", thread_ns() - t, records);
    store_reader_free(r);
    store_close(s);
    money_resign(&o);
    close(f->m.wake_fd);
}

int main(int argc, char **argv)
{
    struct scratch f;
    uint64_t records = argc > 1 ? strtoull(argv[1], NULL, 10) : 200000;
    scratch_open(&f);
    bench_hash();
    bench_lookup(f.dir);
    bench_ledger(&f, records);
    scratch_close(&f);
    return 0;
}
