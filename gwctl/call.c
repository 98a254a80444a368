/*
 * call.c: finds the daemon, sends one request, reads the answer, says what went wrong.
 */
#include "gwctl/gwctl.h"

#include "common/check.h"
#include "common/conf.h"
#include "gwctl/client.h"
#include "gwctl/offline.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ANSWER_MAX_BYTES = 64 * 1024 * 1024, TOKEN_MAX_BYTES = 4096 };
static const char DEFAULT_SOCKET[] = "/run/gatewayd/admin.sock";

void ctl_answer_init(struct ctl_answer *a)
{
    buf_init(&a->body, ANSWER_MAX_BYTES);
    json_doc_init(&a->doc, JSON_MAX_TOKENS);
}

void ctl_answer_release(struct ctl_answer *a)
{
    json_doc_release(&a->doc);
    buf_release(&a->body);
}

void ctl_put_escaped(struct buf *path, const char *text)
{
    for (; *text; text++) {
        unsigned char ch = (unsigned char)*text;
        bool plain = (ch >= '0' && ch <= '9') || ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z') ||
                     strchr("-_.~", ch) != NULL;
        GW_REQUIRE(buf_printf(path, plain ? "%c" : "%%%02X", ch) == 0);
    }
}

/* ---- where it is ---- */

/* Where the daemon listens that has no `admin` line: beside its `runtime_dir`. Of a file with
 * errors only what stands there in full. NULL: it has none. */
static char *implied_socket(const struct conf_entries *entries, struct slice runtime_dir)
{
    struct conf_errors errs;
    char text[PATH_MAX];
    conf_errors_init(&errs);
    struct conf *conf = conf_build(entries, 0, &errs);
    if (conf)
        runtime_dir = conf->gateway.runtime_dir;
    int n = snprintf(text, sizeof(text), "%.*s/admin.sock", SLICE_FMT(runtime_dir));
    bool fits = n > 0 && (size_t)n < sizeof(text) && *text == '/' && runtime_dir.n;
    conf_free(conf);
    conf_errors_fini(&errs);
    return fits ? gw_xstrdup(text) : NULL;
}

/* The first address of `admin` in a configuration, as written there; secret references too. */
static int find_in_file(struct ctl *ctl)
{
    struct conf_errors errs;
    conf_errors_init(&errs);
    struct conf_entries *entries = conf_read_file(ctl->config_file, &errs);
    if (!entries) {
        int code = ctl_fail(ctl, "%s can't be read: %s", ctl->config_file,
                            errs.n ? errs.v[0] : "unknown error");
        conf_errors_fini(&errs);
        return code;
    }
    struct slice admin = {NULL, 0}, token = {NULL, 0}, runtime_dir = {NULL, 0};
    for (uint32_t i = 0; i < entries->n; i++) {
        const struct conf_entry *e = &entries->v[i];
        if (slice_eq_str(e->section, "gateway") && slice_eq_str(e->key, "admin"))
            admin = e->value;
        if (slice_eq_str(e->section, "gateway") && slice_eq_str(e->key, "runtime_dir"))
            runtime_dir = e->value;
        if (slice_eq_str(e->section, "admin") && slice_eq_str(e->key, "token"))
            token = e->value;
    }
    struct slice first = slice_trim(slice_split(&admin, ','));
    struct slice addr = slice_split(&first, ' ');
    bool tls = slice_eq_str(slice_trim(first), "tls");
    char text[512];
    if (slice_starts_with(addr, SLICE_LIT("unix:"))) {
        ctl->socket_path = ctl->found = gw_xstrndup(addr.p + 5, addr.n - 5);
    } else if (addr.n) {
        snprintf(text, sizeof(text), "%s://%.*s", tls ? "https" : "http", SLICE_FMT(addr));
        ctl->url = ctl->found = gw_xstrdup(text);
        if (!ctl->token_file && slice_starts_with(token, SLICE_LIT("file:")))
            ctl->token_file = ctl->found_token = gw_xstrndup(token.p + 5, token.n - 5);
    } else {
        ctl->found_by = "the runtime_dir of the configuration";
        ctl->socket_path = ctl->found = implied_socket(entries, runtime_dir);
    }
    conf_entries_free(entries);
    conf_errors_fini(&errs);
    return CTL_DONE;
}

static int find_daemon(struct ctl *ctl)
{
    ctl->found_by = "the command line";
    if (!ctl->socket_path && !ctl->url && !ctl->config_file) {
        ctl->found_by = "the environment";
        ctl->socket_path = getenv("GWCTL_SOCKET");
        if (!ctl->socket_path)
            ctl->url = getenv("GWCTL_URL");
    }
    if (!ctl->socket_path && !ctl->url && ctl->config_file) {
        ctl->found_by = "the admin line of the configuration";
        int rc = find_in_file(ctl);
        if (rc != CTL_DONE)
            return rc;
    }
    if (!ctl->socket_path && !ctl->url) {
        ctl->found_by = "the default";
        ctl->socket_path = DEFAULT_SOCKET;
    }
    if (!ctl->token_file)
        ctl->token_file = getenv("GWCTL_TOKEN_FILE");
    if (!ctl->ca_file)
        ctl->ca_file = getenv("GWCTL_CA_FILE");
    return CTL_DONE;
}

/* The token of the file, its line end cut. */
static int read_token(struct ctl *ctl, char out[TOKEN_MAX_BYTES])
{
    struct stat st;
    int fd = open(ctl->token_file, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        int code = ctl_fail(ctl, "token file %s: %s", ctl->token_file, strerror(errno));
        if (fd >= 0)
            close(fd);
        return code;
    }
    ssize_t n = read(fd, out, TOKEN_MAX_BYTES - 1);
    close(fd);
    if (st.st_mode & 007)
        return ctl_fail(ctl, "token file %s can be read by everyone: chmod o-rwx %s",
                        ctl->token_file, ctl->token_file);
    while (n > 0 && (out[n - 1] == '\n' || out[n - 1] == '\r'))
        n--;
    if (n <= 0)
        return ctl_fail(ctl, "token file %s is empty", ctl->token_file);
    out[n] = '\0';
    return CTL_DONE;
}

static int connect_client(struct ctl *ctl)
{
    char token[TOKEN_MAX_BYTES];
    if (ctl->client)
        return CTL_DONE;
    int rc = find_daemon(ctl);
    struct errbuf e;
    if (rc == CTL_DONE && !ctl->socket_path && client_check_url(ctl->url, &e) < 0)
        return ctl_usage(ctl, "--url %s: %s; expected http://HOST:PORT or https://HOST:PORT",
                         ctl->url, e.msg);
    bool has_token = rc == CTL_DONE && !ctl->socket_path && ctl->token_file;
    if (has_token)
        rc = read_token(ctl, token);
    if (rc == CTL_DONE)
        ctl->client =
            client_new(ctl->socket_path, ctl->url, has_token ? token : NULL, ctl->ca_file);
    explicit_bzero(token, sizeof(token));
    return rc;
}

void ctl_disconnect(struct ctl *ctl)
{
    client_free(ctl->client);
    free(ctl->found);
    free(ctl->found_token);
}

/* ---- what came back ---- */

static void say_down(struct ctl *ctl)
{
    const char *where = ctl->socket_path ? ctl->socket_path : ctl->url;
    struct stat st;
    fprintf(ctl->err, "gwctl: gatewayd is not running: %s %s (known from %s)\n",
            ctl->socket_path && stat(where, &st) < 0 ? "there is no socket" : "nobody answers at",
            where, ctl->found_by);
}

/* Nobody answers: the state itself may, but only to those who ask. */
static int call_offline(struct ctl *ctl, const char *method, const char *path, struct ctl_answer *a,
                        long *status)
{
    char *why = NULL;
    size_t n = 0;
    FILE *err = ctl->err;
    ctl->err = open_memstream(&why, &n);
    GW_REQUIRE(ctl->err != NULL);
    int rc = offline_call(ctl, method, path, a, status);
    fclose(ctl->err);
    ctl->err = err;
    if (rc == CTL_DONE && !ctl->offline) {
        fprintf(err, "gwctl: gatewayd is not running; this is read from its state\n");
        ctl->offline = true;
    } else if (rc != CTL_DONE) {
        say_down(ctl);
        fprintf(err,
                "       start it with `systemctl start gatewayd`, or say where it is with "
                "--socket, --url or -c FILE\n%s",
                why);
    }
    free(why);
    return rc;
}

static int say_unreachable(struct ctl *ctl, enum client_result r, const struct errbuf *e)
{
    const char *where = ctl->socket_path ? ctl->socket_path : ctl->url;
    if (r == CLIENT_DENIED)
        return ctl_fail(ctl,
                        "%s: permission denied; be root, the daemon's own user, or a member of the "
                        "group named in [admin] group",
                        where);
    return ctl_fail(ctl, "%s: %s", where, e->msg);
}

static void say_text(struct ctl *ctl, const struct json_doc *d, uint32_t v, const char *head)
{
    size_t n = json_str_bytes(d, v);
    char *text = gw_xmalloc(n + 1);
    if (json_str_decode(d, v, text, n, &n) == 0) {
        for (size_t i = 0; i < n; i++)
            if ((unsigned char)text[i] < 0x20)
                text[i] = ' ';
        fprintf(ctl->err, "%s%.*s\n", head, (int)n, text);
    }
    free(text);
}

void ctl_print_json(struct ctl *ctl, const struct ctl_answer *a)
{
    fprintf(ctl->out, "%.*s\n", SLICE_FMT(buf_slice(&a->body)));
}

int ctl_say_error(struct ctl *ctl, const struct ctl_answer *a)
{
    const struct json_doc *d = &a->doc;
    uint32_t message = json_get_lit(d, json_get_lit(d, JSON_ROOT, "error"), "message");
    if (message == JSON_NONE)
        return ctl_fail(ctl, "the answer is not one of gatewayd's admin API");
    say_text(ctl, d, message, "gwctl: ");
    uint32_t errors = json_get_lit(d, JSON_ROOT, "errors");
    json_foreach_element(d, errors, e)
    {
        say_text(ctl, d, e, "  ");
    }
    return CTL_REFUSED;
}

int ctl_call_quiet(struct ctl *ctl, const char *method, const char *path, const struct buf *body,
                   struct ctl_answer *a)
{
    struct errbuf e = {0};
    long status = 0;
    int rc = connect_client(ctl);
    if (rc != CTL_DONE)
        return rc;
    a->body.len = 0;
    enum client_result r = client_call(ctl->client, method, path, body, &status, &a->body, &e);
    if (r == CLIENT_DOWN)
        rc = call_offline(ctl, method, path, a, &status);
    else if (r != CLIENT_OK)
        rc = say_unreachable(ctl, r, &e);
    if (rc != CTL_DONE)
        return rc;
    if (json_parse(&a->doc, a->body.data ? a->body.data : "", a->body.len) < 0)
        return ctl_fail(ctl,
                        "%s did not answer with JSON (HTTP %ld): is that gatewayd's admin API?",
                        ctl->socket_path ? ctl->socket_path : ctl->url, status);
    return status / 100 == 2 ? CTL_DONE : CTL_REFUSED;
}

int ctl_call(struct ctl *ctl, const char *method, const char *path, const struct buf *body,
             struct ctl_answer *a)
{
    a->doc.n = 0;
    int rc = ctl_call_quiet(ctl, method, path, body, a);
    if (rc == CTL_REFUSED && a->doc.n)
        return ctl_say_error(ctl, a);
    return rc;
}
