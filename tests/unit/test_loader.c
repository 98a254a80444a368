/*
 * test_loader.c: a load in steps and as the process: secrets from every source, refusals, the hash
 * of the input, commit and abort, and the talk with the master.
 */
#include "common/check.h"
#include "common/store.h"
#include "gatewayd/child.h"
#include "gatewayd/loader/loader.h"
#include "gatewayd/loader/secret_source.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/tmpdir.h"

static char dir[256];

static void path_of(char out[600], const char *name)
{
    snprintf(out, 600, "%s/%s", dir, name);
}

static void write_file(const char *name, const char *text, mode_t mode)
{
    char path[600];
    path_of(path, name);
    unlink(path);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void write_pem(const char *cert_name, const char *key_name)
{
    char path[600];
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    path_of(path, cert_name);
    FILE *f = fopen(path, "w");
    assert_int_equal(PEM_write_X509(f, cert), 1);
    fclose(f);
    path_of(path, key_name);
    f = fopen(path, "w");
    assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(f);
    chmod(path, 0600);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static int set_up(void **state)
{
    char path[600];
    if (!tmpdir_make(dir))
        return -1;
    path_of(path, "state");
    mkdir(path, 0700);
    write_file("key", "sk-one\n", 0600);
    write_pem("tls.crt", "tls.key");
    write_file("gw.ini",
               "[gateway]\nlisten = 127.0.0.1:0 tls, 127.0.0.1:0\nstate_dir = state\n"
               "runtime_dir = run\n[tls]\ncertificate = tls.crt\nkey = tls.key\n"
               "[provider:p]\nkind = openai\nca_file = tls.crt\n"
               "[provider:q]\nkind = openai\nca_file = tls.crt\n"
               "[credential:c]\nprovider = p\nsecret = file:key\n"
               "[credential:d]\nprovider = q\nsecret = env:GW_TEST_KEY\n",
               0600);
    setenv("GW_TEST_KEY", "sk-two", 1);
    return 0;
}

static int tear_down(void **state)
{
    tmpdir_remove(dir);
    return 0;
}

static int read_and_gather(struct loader *l, const char *running_dir, const struct secrets *running)
{
    char path[600];
    path_of(path, "gw.ini");
    loader_init(l);
    return loader_read(l, path) < 0 ? -1 : loader_gather(l, running_dir, running);
}

static void must(struct loader *l, int rc)
{
    if (rc < 0)
        fail_msg("%s", l->errs.v[0]);
}

/* Loads, commits and returns the secrets. */
static struct secrets *load(uint64_t *generation)
{
    struct loader l;
    int fd;
    must(&l, read_and_gather(&l, NULL, NULL));
    must(&l, loader_write(&l, "test", &fd));
    must(&l, loader_commit(&l));
    *generation = l.generation;
    struct secrets *s = secrets_attach(fd, NULL);
    assert_non_null(s);
    close(fd);
    loader_fini(&l);
    return s;
}

static void everything_is_gathered(void **state)
{
    uint64_t generation;
    struct secret s;
    struct secrets *all = load(&generation);
    assert_int_equal(generation, 1);
    assert_true(secrets_get(all, SLICE_LIT("credential:c"), &s));
    assert_string_equal(s.data.p, "sk-one");
    assert_true(secrets_get(all, SLICE_LIT("credential:d"), &s));
    assert_string_equal(s.data.p, "sk-two");
    assert_true(secrets_get(all, SLICE_LIT("tls:certificate"), &s));
    assert_true(secrets_get(all, SLICE_LIT("tls:key"), &s));
    assert_non_null(strstr(s.data.p, "PRIVATE KEY"));
    assert_true(secrets_get(all, SLICE_LIT("tls:tickets"), &s));
    assert_true(s.data.n >= 32);
    assert_int_equal(secrets_count(all), 6); /* the trust store once */
    secrets_detach(all);
}

static void nothing_secret_is_stored(void **state)
{
    char path[600], *bytes;
    uint64_t generation;
    secrets_detach(load(&generation));
    path_of(path, "state/config.mdb");
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    bytes = gw_xmalloc(4 << 20);
    size_t n = fread(bytes, 1, 4 << 20, f);
    fclose(f);
    assert_non_null(memmem(bytes, n, "GW_TEST_KEY", 11));
    assert_null(memmem(bytes, n, "sk-one", 6));
    assert_null(memmem(bytes, n, "sk-two", 6));
    assert_null(memmem(bytes, n, "PRIVATE KEY", 11));
    free(bytes);
}

static bool unchanged(void)
{
    struct loader l;
    must(&l, read_and_gather(&l, NULL, NULL));
    bool same = loader_is_unchanged(&l);
    loader_fini(&l);
    return same;
}

static void the_hash_covers_all_input(void **state)
{
    uint64_t generation;
    secrets_detach(load(&generation));
    assert_true(unchanged());
    write_file("key", "sk-other\n", 0600);
    assert_false(unchanged());
    write_file("key", "sk-one\n", 0600);
    assert_true(unchanged());
    setenv("GW_TEST_KEY", "sk-three", 1);
    assert_false(unchanged());
    setenv("GW_TEST_KEY", "sk-two", 1);
    write_pem("tls.crt", "tls.key");
    assert_false(unchanged());
}

static void an_unchanged_start_takes_the_active_generation(void **state)
{
    uint64_t first, second;
    secrets_detach(load(&first));
    secrets_detach(load(&second));
    assert_int_equal(first, second);
}

static void abort_leaves_what_was(void **state)
{
    uint64_t generation;
    struct confdb_generation active;
    struct loader l;
    struct errbuf e;
    int fd;
    secrets_detach(load(&generation));
    write_file("key", "sk-other\n", 0600);
    must(&l, read_and_gather(&l, NULL, NULL));
    must(&l, loader_write(&l, "test", &fd));
    assert_int_equal(l.generation, generation + 1);
    close(fd);
    must(&l, loader_abort(&l));
    assert_null(confdb_entries(l.db, generation + 1, &e));
    assert_int_equal(confdb_active(l.db, &active, &e), 0);
    assert_int_equal(active.generation, generation);
    loader_fini(&l);
}

/* The loader before died between making its generation the active one and saying so. */
static void what_was_never_served_is_no_reason_to_do_nothing(void **state)
{
    uint64_t served, lost;
    char path[600];
    struct loader l;
    struct buf diff;
    int fd;
    secrets_detach(load(&served));
    write_file("key", "sk-other\n", 0600);
    secrets_detach(load(&lost));
    assert_int_not_equal(served, lost);
    loader_init(&l);
    l.running = served;
    path_of(path, "gw.ini");
    must(&l, loader_read(&l, path));
    path_of(path, "state");
    must(&l, loader_gather(&l, path, NULL));
    assert_false(loader_is_unchanged(&l));
    must(&l, loader_write(&l, "test", &fd));
    close(fd);
    assert_int_equal(l.generation, lost + 1);
    buf_init(&diff, 65536);
    loader_diff(&l, &diff);
    assert_int_equal(diff.data[0], '~');
    buf_release(&diff);
    must(&l, loader_commit(&l));
    loader_fini(&l);
}

static void ticket_keys_go_on(void **state)
{
    uint64_t generation;
    struct secrets *old = load(&generation), *new;
    struct secret a, b;
    struct loader l;
    int fd;
    must(&l, read_and_gather(&l, NULL, old));
    must(&l, loader_write(&l, "test", &fd));
    new = secrets_attach(fd, NULL);
    close(fd);
    assert_true(secrets_get(old, SLICE_LIT("tls:tickets"), &a));
    assert_true(secrets_get(new, SLICE_LIT("tls:tickets"), &b));
    assert_true(slice_eq(a.data, b.data));
    secrets_detach(old);
    secrets_detach(new);
    loader_fini(&l);
}

static void expect_error(const char *want)
{
    struct loader l;
    assert_int_equal(read_and_gather(&l, NULL, NULL), -1);
    char *text = loader_error_text(&l);
    if (!strstr(text, want))
        fail_msg("wanted %s, got %s", want, text);
    assert_null(strstr(text, "sk-"));
    free(text);
    loader_fini(&l);
}

static void bad_secrets_are_refused(void **state)
{
    write_file("key", "sk-one\n", 0640);
    expect_error("is open to group or others (mode 0640); chmod 600 it");
    write_file("key", "\n", 0600);
    expect_error("is empty");
    write_file("key", "sk-a b\n", 0600);
    expect_error("must be one line of printable ASCII");
    write_file("key", "sk-a\nsk-b\n", 0600);
    expect_error("must be one line of printable ASCII");
    write_file("key", "sk-one", 0600);
    unsetenv("GW_TEST_KEY");
    expect_error(
        "gw.ini:19: [credential:d] secret: env:GW_TEST_KEY is not in the environment of gatewayd");
    setenv("GW_TEST_KEY", "sk-two", 1);
    write_pem("other.crt", "tls.key");
    expect_error("gw.ini:7: [tls] key: the key doesn't belong to the first certificate");
    write_pem("tls.crt", "tls.key");
    write_file("tls.crt", "garbage\n", 0600);
    expect_error("gw.ini:6: [tls] certificate: holds no certificate");
    expect_error("gw.ini:10: [provider:p] ca_file: holds no certificate");
}

/* What is wrong with the text doesn't hide what is wrong with the secrets. */
static void secrets_are_looked_at_beside_other_errors(void **state)
{
    write_file("key", "sk-one\n", 0644);
    unsetenv("GW_TEST_KEY");
    write_file("gw.ini",
               "[gateway]\nnonsense = 1\nstate_dir = state\nruntime_dir = run\n"
               "[tls]\ncertificate = none.crt\nkey = tls.key\n"
               "[admin]\ntoken = exec:/bin/false\nviewer_token = hunter2\n"
               "[provider:p]\nkind = openai\n"
               "[credential:c]\nprovider = p\nsecret = file:key\n"
               "[credential:d]\nprovider = p\nsecret = env:GW_TEST_KEY\n",
               0600);
    static const char *const want[] = {
        "gw.ini:2: [gateway] nonsense: unknown key",
        "gw.ini:6: [tls] certificate: file:",
        "none.crt",
        "gw.ini:15: [credential:c] secret: file:",
        "is open to group or others",
        "gw.ini:18: [credential:d] secret: env:GW_TEST_KEY is not in the environment"};
    struct loader l;
    assert_int_equal(read_and_gather(&l, NULL, NULL), -1);
    char *text = loader_error_text(&l);
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        if (!strstr(text, want[i]))
            fail_msg("wanted %s, got %s", want[i], text);
    assert_int_equal(l.errs.n, 5);
    assert_null(strstr(text, "sk-"));
    assert_null(strstr(text, "hunter2"));
    free(text);
    loader_fini(&l);
}

static void restart_only_settings_stay(void **state)
{
    uint64_t generation;
    char state_dir[600];
    struct loader l;
    secrets_detach(load(&generation));
    path_of(state_dir, "state");
    write_file("gw.ini",
               "[gateway]\nstate_dir = state\nruntime_dir = run\n"
               "[store]\nmap_size = 1GiB\n",
               0600);
    assert_int_equal(read_and_gather(&l, state_dir, NULL), -1);
    assert_non_null(strstr(l.errs.v[0], "[store] map_size: changes at a restart only; it is 8GiB"));
    loader_fini(&l);
    write_file("gw.ini", "[gateway]\nstate_dir = elsewhere\n", 0600);
    assert_int_equal(read_and_gather(&l, state_dir, NULL), -1);
    assert_non_null(
        strstr(l.errs.v[0], "gw.ini:2: [gateway] state_dir: changes at a restart only"));
    loader_fini(&l);
}

static void differences_name_keys(void **state)
{
    uint64_t generation;
    struct loader l;
    struct buf text;
    secrets_detach(load(&generation));
    write_file("gw.ini",
               "[gateway]\nstate_dir = state\nruntime_dir = run\n"
               "listen = 127.0.0.1:1\n[http]\n",
               0600);
    must(&l, read_and_gather(&l, NULL, NULL));
    buf_init(&text, 1 << 20);
    loader_diff(&l, &text);
    assert_int_equal(buf_append(&text, "", 1), 0);
    assert_non_null(strstr(text.data, "~ [gateway] listen = 127.0.0.1:0 tls, 127.0.0.1:0 -> "
                                      "127.0.0.1:1\n"));
    assert_non_null(strstr(text.data, "+ [http]\n"));
    assert_non_null(strstr(text.data, "- [credential:c]\n- [credential:c] provider = p\n"));
    buf_release(&text);
    loader_fini(&l);
}

/* ---- sources ---- */

static void programs_are_run_without_a_shell(void **state)
{
    static const struct {
        const char *script, *want, *error;
    } cases[] = {
        {"#!/bin/sh\necho sk-exec\n", "sk-exec", NULL},
        {"#!/bin/sh\necho sk-exec; echo noise >&2\n", "sk-exec", NULL},
        {"#!/bin/sh\necho \"$#$GW_TEST_KEY.\"\n", "0.", NULL},
        {"#!/bin/sh\necho sk-exec\nexit 3\n", NULL, "ended with exit status 3"},
        {"#!/bin/sh\nkill -9 $$\n", NULL, "was ended by signal 9"},
        {"#!/bin/sh\nexit 0\n", NULL, "is empty"},
        {"#!/bin/sh\nhead -c 20000 /dev/zero\n", NULL, "has more than 16384 bytes"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char ref[600];
        struct errbuf e;
        size_t n;
        write_file("prog", cases[i].script, 0700);
        snprintf(ref, sizeof ref, "exec:%s/prog", dir);
        char *p = secret_source_read(slice_str(ref), SECRET_TOKEN, &n, &e);
        if (!cases[i].want) {
            assert_null(p);
            assert_non_null(strstr(e.msg, cases[i].error));
            continue;
        }
        if (!p)
            fail_msg("case %zu: %s", i, e.msg);
        assert_int_equal(n, strlen(cases[i].want));
        assert_memory_equal(p, cases[i].want, n);
        free(p);
    }
}

static void credentials_come_from_systemd(void **state)
{
    struct errbuf e;
    size_t n;
    unsetenv("CREDENTIALS_DIRECTORY");
    assert_null(secret_source_read(SLICE_LIT("credential:key"), SECRET_TOKEN, &n, &e));
    assert_non_null(strstr(e.msg, "LoadCredential"));
    setenv("CREDENTIALS_DIRECTORY", dir, 1);
    write_file("key", "sk-cred", 0440);
    char *p = secret_source_read(SLICE_LIT("credential:key"), SECRET_TOKEN, &n, &e);
    assert_non_null(p);
    assert_memory_equal(p, "sk-cred", n);
    free(p);
    unsetenv("CREDENTIALS_DIRECTORY");
}

/* ---- the process ---- */

struct master_side {
    int sock;
    enum ipc_type verdict; /* COMMIT or ABORT */
    enum ipc_type seen[16];
    size_t n;
    struct ipc_prepared prepared;
    struct ipc_text_acc text;
    int secrets_fd;
};

static void *play_master(void *arg)
{
    struct master_side *m = arg;
    struct ipc_msg msg;
    int fds[IPC_MAX_FDS];
    while (m->n < ARRAY_LEN(m->seen) && ipc_recv(m->sock, &msg, fds) == 1) {
        m->seen[m->n++] = (enum ipc_type)msg.head.type;
        int rc = 0;
        if (msg.head.type == IPC_DIRS) {
            rc = ipc_send(m->sock, IPC_GO, &(struct ipc_msg){0}, NULL, 0);
        } else if (msg.head.type == IPC_DIFF || msg.head.type == IPC_FAILED) {
            ipc_text_add(&m->text, &msg.text);
        } else if (msg.head.type == IPC_PREPARED) {
            m->prepared = msg.prepared;
            m->secrets_fd = fds[0];
            rc = ipc_send_generation(m->sock, m->verdict, msg.prepared.generation);
        }
        if (rc < 0)
            break;
    }
    return NULL;
}

static int run_process(struct master_side *m, bool reload, enum ipc_type verdict)
{
    int pair[2];
    pthread_t thread;
    struct child *c = gw_xcalloc(1, sizeof *c);
    assert_int_equal(ipc_pair(pair), 0);
    *m = (struct master_side){.sock = pair[0], .verdict = verdict, .secrets_fd = -1};
    c->role = ROLE_LOADER;
    c->ipc_fd = pair[1];
    c->reload = reload;
    memset(c->fd, -1, sizeof c->fd);
    snprintf(c->config_path, sizeof c->config_path, "%s/gw.ini", dir);
    snprintf(c->state_dir, sizeof c->state_dir, "%s/state", dir);
    snprintf(c->runtime_dir, sizeof c->runtime_dir, "%s/run", dir);
    assert_int_equal(pthread_create(&thread, NULL, play_master, m), 0);
    int status = loader_main(c);
    close(pair[1]);
    pthread_join(thread, NULL);
    close(pair[0]);
    free(c);
    return status;
}

static void done_with(struct master_side *m)
{
    ipc_text_release(&m->text);
    if (m->secrets_fd >= 0)
        close(m->secrets_fd);
}

static void the_process_hands_over_a_generation(void **state)
{
    struct master_side m;
    assert_int_equal(run_process(&m, false, IPC_COMMIT), CHILD_EXIT_OK);
    assert_int_equal(m.seen[0], IPC_DIRS);
    assert_int_equal(m.seen[m.n - 2], IPC_PREPARED);
    assert_int_equal(m.seen[m.n - 1], IPC_COMMITTED);
    assert_int_equal(m.prepared.generation, 1);
    assert_true(m.prepared.n_workers >= 1);
    assert_int_equal(m.prepared.n_listeners, 3);
    assert_int_equal(m.prepared.listener[1].index, 1);
    assert_int_equal(m.prepared.listener[2].kind, LISTEN_ADMIN);
    assert_int_equal(m.prepared.listener[2].mode, 0660);
    assert_int_equal(m.prepared.drain_timeout_us, 300000000);
    struct secrets *s = secrets_attach(m.secrets_fd, NULL);
    assert_non_null(s);
    secrets_detach(s);
    done_with(&m);

    assert_int_equal(run_process(&m, true, IPC_COMMIT), CHILD_EXIT_OK);
    assert_int_equal(m.seen[m.n - 1], IPC_UNCHANGED);
    done_with(&m);

    write_file("key", "sk-new", 0600);
    assert_int_equal(run_process(&m, true, IPC_ABORT), CHILD_EXIT_OK);
    assert_int_equal(m.seen[m.n - 1], IPC_PREPARED);
    assert_int_equal(m.prepared.generation, 2);
    done_with(&m);
}

static void the_process_tells_every_error(void **state)
{
    struct master_side m;
    write_file("gw.ini", "[http]\nfoo = 1\nbar = 2\n", 0600);
    assert_int_equal(run_process(&m, false, IPC_COMMIT), CHILD_EXIT_CONFIG);
    assert_int_equal(m.n, 1);
    assert_int_equal(m.seen[0], IPC_FAILED);
    assert_non_null(strstr(m.text.data, "gw.ini:2: [http] foo: unknown key"));
    assert_non_null(strstr(m.text.data, "gw.ini:3: [http] bar: unknown key"));
    done_with(&m);
    write_file("gw.ini", "[gateway]\nstate_dir = state\n[admin]\ngroup = no-such-group\n", 0600);
    assert_int_equal(run_process(&m, false, IPC_COMMIT), CHILD_EXIT_CONFIG);
    assert_non_null(strstr(m.text.data, "there is no group `no-such-group`"));
    done_with(&m);
}

static void the_check_writes_nothing(void **state)
{
    char path[600];
    path_of(path, "gw.ini");
    assert_int_equal(loader_check(path), CHILD_EXIT_OK);
    write_file("key", "sk-one", 0644);
    assert_int_equal(loader_check(path), CHILD_EXIT_CONFIG);
    path_of(path, "state/config.mdb");
    assert_int_equal(access(path, F_OK), -1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(everything_is_gathered),
        T(nothing_secret_is_stored),
        T(the_hash_covers_all_input),
        T(an_unchanged_start_takes_the_active_generation),
        T(abort_leaves_what_was),
        T(what_was_never_served_is_no_reason_to_do_nothing),
        T(ticket_keys_go_on),
        T(bad_secrets_are_refused),
        T(secrets_are_looked_at_beside_other_errors),
        T(restart_only_settings_stay),
        T(differences_name_keys),
        T(programs_are_run_without_a_shell),
        T(credentials_come_from_systemd),
        T(the_process_hands_over_a_generation),
        T(the_process_tells_every_error),
        T(the_check_writes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
