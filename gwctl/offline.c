/*
 * offline.c: opens the stores read-only and lets common/report*.c answer as the daemon would.
 *
 * A daemon that starts meanwhile does no harm: LMDB's readers see a state that was committed.
 */
#include "gwctl/offline.h"

#include "common/check.h"
#include "common/instance.h"
#include "common/ledger_store.h"
#include "common/report.h"

#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct stores {
    struct confdb *confdb;
    struct conf *conf;
    struct store *state, *ledger;
    struct store_txn *reader;
};

static const struct {
    const char *path;
    void (*report)(struct report *r);
} reports[] = {
    {"/admin/v1/keys", report_keys_list},
    {"/admin/v1/usage", report_usage},
    {"/admin/v1/ledger", report_ledger_list},
    {"/admin/v1/ledger/verify", report_ledger_verify},
    {"/admin/v1/audit", report_audit},
    {"/admin/v1/config", report_config},
    {"/admin/v1/config/history", report_config_history},
};
static const char KEY_PREFIX[] = "/admin/v1/keys/", DIFF[] = "/admin/v1/config/diff";

static int open_stores(struct stores *s, const char *dir, struct errbuf *e)
{
    struct confdb_generation active;
    s->confdb = confdb_open(dir, STORE_PARTIAL, e);
    if (!s->confdb || confdb_active(s->confdb, &active, e) < 0)
        return -1;
    if (active.generation == 0)
        return err_set(e, "%s: no configuration was ever active", dir);
    s->conf = confdb_load(s->confdb, active.generation, e);
    if (!s->conf || keystore_open(dir, STORE_PARTIAL, 0, &s->state, e) != STORE_OK ||
        ledger_open(dir, STORE_PARTIAL, 0, &s->ledger, e) != STORE_OK)
        return -1;
    if (store_reader_new(s->state, &s->reader) != STORE_OK)
        return err_set(e, "%s: too many readers", dir);
    return 0;
}

/* A reader makes the lock file of a database that has none (restored without it, say). Made by root
 * it would keep out the daemon, so root opens them as their owner. */
static int open_as_owner(struct stores *s, const char *dir, struct errbuf *e)
{
    char path[PATH_MAX];
    struct stat st;
    snprintf(path, sizeof(path), "%s/config.mdb", dir);
    bool other = geteuid() == 0 && stat(path, &st) == 0 && st.st_uid != 0;
    if (other && (setegid(st.st_gid) < 0 || seteuid(st.st_uid) < 0))
        return err_set_errno(e, "can't read %s as its owner", dir);
    int rc = open_stores(s, dir, e);
    if (other && (seteuid(0) < 0 || setegid(getgid()) < 0))
        return err_set_errno(e, "can't go on as root");
    return rc;
}

static void close_stores(struct stores *s)
{
    store_reader_free(s->reader);
    store_close(s->ledger);
    store_close(s->state);
    conf_free(s->conf);
    confdb_close(s->confdb);
}

static void report_diff(struct ctl *ctl, struct report *r)
{
    uint64_t from;
    struct conf_entries *before = report_config_diff(r, &from);
    if (before && ctl->config_file)
        report_config_diff_file(r, before, from);
    else if (before)
        report_error(r, 400, "no_file", "say with -c which file is to be compared");
    conf_entries_free(before);
}

static void run_report(struct ctl *ctl, struct report *r, struct slice path)
{
    char id[KEYSTORE_NAME_MAX + 1];
    for (size_t i = 0; i < ARRAY_LEN(reports); i++)
        if (slice_eq_str(path, reports[i].path)) {
            reports[i].report(r);
            return;
        }
    if (slice_eq_str(path, DIFF))
        report_diff(ctl, r);
    else if (report_decode(
                 slice_of(path.p + sizeof(KEY_PREFIX) - 1, path.n - (sizeof(KEY_PREFIX) - 1)), id,
                 sizeof(id)) < 0)
        report_error(r, 404, "no_such_key", "there is no such key; `gwctl keys list` shows all");
    else
        report_keys_show(r, slice_str(id));
}

static bool is_report(struct slice path)
{
    for (size_t i = 0; i < ARRAY_LEN(reports); i++)
        if (slice_eq_str(path, reports[i].path))
            return true;
    return slice_eq_str(path, DIFF) || slice_starts_with(path, slice_str(KEY_PREFIX));
}

/* The state directory of the configuration, as the daemon would take it. NULL: said why. */
static char *find_state_dir(struct ctl *ctl)
{
    if (ctl->state_dir)
        return gw_xstrdup(ctl->state_dir);
    struct conf_errors errs;
    conf_errors_init(&errs);
    struct conf_entries *entries = conf_read_file(ctl->config_file, &errs);
    struct conf *conf = entries ? conf_build(entries, 0, &errs) : NULL;
    char *dir = conf ? gw_xstrndup(conf->gateway.state_dir.p, conf->gateway.state_dir.n) : NULL;
    if (!dir)
        fprintf(ctl->err, "       its state_dir isn't known, %s has errors: %s\n", ctl->config_file,
                errs.n ? errs.v[0] : "it can't be read");
    conf_free(conf);
    conf_entries_free(entries);
    conf_errors_fini(&errs);
    return dir;
}

/* LMDB believes what a file says of itself: reading behind the end of one that was cut short (half
 * a copy, say) is a SIGBUS. */
static void on_sigbus(int sig)
{
    static const char said[] =
        "gwctl: the state can't be read: a database of it is cut short; restore a backup\n";
    (void)!write(STDERR_FILENO, said, sizeof(said) - 1);
    _exit(CTL_REFUSED);
}

static int read_state(struct ctl *ctl, const char *dir, struct slice path, struct slice query,
                      struct ctl_answer *a, long *status)
{
    struct stores s = {0};
    struct errbuf e = {0};
    int rc = CTL_DOWN;
    signal(SIGBUS, on_sigbus);
    if (open_as_owner(&s, dir, &e) < 0) {
        fprintf(ctl->err, "       and its state can't be read: %s\n", e.msg);
    } else {
        struct report r;
        report_init(&r);
        r.query = query;
        r.conf = s.conf;
        r.config_path = ctl->config_file ? ctl->config_file : "";
        r.confdb = s.confdb;
        r.state = s.reader;
        r.ledger = s.ledger;
        run_report(ctl, &r, path);
        report_finish(&r);
        *status = r.status;
        rc = buf_append(&a->body, r.out.data, r.out.len) == 0 ? CTL_DONE : CTL_DOWN;
        report_release(&r);
    }
    close_stores(&s);
    return rc;
}

int offline_call(struct ctl *ctl, const char *method, const char *path, struct ctl_answer *a,
                 long *status)
{
    struct slice query = slice_str(path), plain = slice_split(&query, '?');
    pid_t holder = 0;
    if (strcmp(method, "GET") != 0 || !is_report(plain)) {
        fprintf(ctl->err, "       this command needs the running daemon\n");
        return CTL_DOWN;
    }
    if (!ctl->state_dir && !ctl->config_file) {
        fprintf(ctl->err, "       or say with -c FILE or --state-dir DIR where its state is, to "
                          "read that\n");
        return CTL_DOWN;
    }
    char *dir = find_state_dir(ctl);
    if (!dir)
        return CTL_DOWN;
    int rc = CTL_DOWN;
    if (instance_runs(dir, &holder))
        fprintf(ctl->err,
                "       a gatewayd (pid %d) holds %s, so its databases are not read behind its "
                "back\n",
                (int)holder, dir);
    else
        rc = read_state(ctl, dir, plain, query, a, status);
    free(dir);
    return rc;
}
