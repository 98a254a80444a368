/*
 * main.c: options, listeners, threads. README.md is the manual.
 */
#include "tests/mockllm/bill.h"
#include "tests/mockllm/control.h"
#include "tests/mockllm/loop.h"
#include "tests/mockllm/registry.h"
#include "tests/mockllm/tls.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <malloc.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_THREADS = 64 };

static const char usage_text[] =
    "usage: mockllm [options]\n"
    "  --host ADDRESS         listen there (127.0.0.1)\n"
    "  --port N               plain HTTP; 0 lets the kernel choose (0)\n"
    "  --tls-port N           HTTPS, when there is a certificate (0)\n"
    "  --ctl-port N           control requests (0)\n"
    "  --tls-cert FILE --tls-key FILE\n"
    "  --tls-self-signed DIR  make a CA and certificates in DIR, or use those that are there\n"
    "  --tls-faults           listeners with bad certificates besides; needs --tls-self-signed\n"
    "  --key KEY              accept only this credential; may be repeated\n"
    "  --script SCRIPT        for every answer, under all other scripts\n"
    "  --threads N            event loops (one a core)\n"
    "  --bill N               keep at most N records (100000); 0 keeps none\n"
    "  --requests N           keep the bytes of the last N requests (64)\n"
    "  --ready-fd FD          write one byte there once all ports listen\n"
    "  --die-with-parent      stop when the parent process ends\n"
    "Prints one line of JSON with its ports.\n";

struct options {
    const char *host, *tls_cert, *tls_key, *tls_dir;
    int port, tls_port, ctl_port, threads, ready_fd;
    long bill, requests;
    bool tls_faults, die_with_parent;
    struct serve_options serve;
};

/* A port that is listened on by every loop. */
struct port {
    const char *name;
    int number;
    SSL_CTX *tls;
    bool stall;
};

struct program {
    struct options o;
    struct port ports[LOOP_MAX_LISTENERS];
    size_t nports;
    struct loop *loops[MAX_THREADS];
    pthread_t threads[MAX_THREADS], control_thread;
    struct control control;
};

static void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
static void die(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("mockllm: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(2);
}

/* ---- options ---- */

enum option_id {
    OPT_HOST = 1,
    OPT_PORT,
    OPT_TLS_PORT,
    OPT_CTL_PORT,
    OPT_CERT,
    OPT_KEY_FILE,
    OPT_DIR,
    OPT_FAULTS,
    OPT_KEY,
    OPT_SCRIPT,
    OPT_THREADS,
    OPT_BILL,
    OPT_REQUESTS,
    OPT_READY,
    OPT_PARENT,
    OPT_HELP
};

static const struct option long_options[] = {
    {"host", required_argument, NULL, OPT_HOST},
    {"port", required_argument, NULL, OPT_PORT},
    {"tls-port", required_argument, NULL, OPT_TLS_PORT},
    {"ctl-port", required_argument, NULL, OPT_CTL_PORT},
    {"tls-cert", required_argument, NULL, OPT_CERT},
    {"tls-key", required_argument, NULL, OPT_KEY_FILE},
    {"tls-self-signed", required_argument, NULL, OPT_DIR},
    {"tls-faults", no_argument, NULL, OPT_FAULTS},
    {"key", required_argument, NULL, OPT_KEY},
    {"script", required_argument, NULL, OPT_SCRIPT},
    {"threads", required_argument, NULL, OPT_THREADS},
    {"bill", required_argument, NULL, OPT_BILL},
    {"requests", required_argument, NULL, OPT_REQUESTS},
    {"ready-fd", required_argument, NULL, OPT_READY},
    {"die-with-parent", no_argument, NULL, OPT_PARENT},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static long number(const char *option, long min, long max)
{
    int64_t v;
    if (!slice_to_int((struct slice){optarg, strlen(optarg)}, &v) || v < min || v > max)
        die("--%s must be a number from %ld to %ld", option, min, max);
    return (long)v;
}

static void set_option(struct options *o, enum option_id id, const char *name)
{
    struct slice arg = {optarg, optarg != NULL ? strlen(optarg) : 0};
    char why[120];
    switch (id) {
    case OPT_HOST:
        o->host = optarg;
        break;
    case OPT_PORT:
        o->port = (int)number(name, 0, 65535);
        break;
    case OPT_TLS_PORT:
        o->tls_port = (int)number(name, 0, 65535);
        break;
    case OPT_CTL_PORT:
        o->ctl_port = (int)number(name, 0, 65535);
        break;
    case OPT_CERT:
        o->tls_cert = optarg;
        break;
    case OPT_KEY_FILE:
        o->tls_key = optarg;
        break;
    case OPT_DIR:
        o->tls_dir = optarg;
        break;
    case OPT_FAULTS:
        o->tls_faults = true;
        break;
    case OPT_KEY:
        if (o->serve.nkeys == ARRAY_LEN(o->serve.keys))
            die("at most %zu keys", ARRAY_LEN(o->serve.keys));
        o->serve.keys[o->serve.nkeys++] = arg;
        break;
    case OPT_SCRIPT:
        if (!script_parse(&o->serve.script, arg, why, sizeof why))
            die("--script: %s", why);
        break;
    case OPT_THREADS:
        o->threads = (int)number(name, 1, MAX_THREADS);
        break;
    case OPT_BILL:
        o->bill = number(name, 0, 100000000);
        break;
    case OPT_REQUESTS:
        o->requests = number(name, 0, 100000);
        break;
    case OPT_READY:
        o->ready_fd = (int)number(name, 0, 1048576);
        break;
    case OPT_PARENT:
        o->die_with_parent = true;
        break;
    case OPT_HELP:
        fputs(usage_text, stdout);
        exit(0);
    }
}

static void read_options(struct options *o, int argc, char **argv)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    *o = (struct options){.host = "127.0.0.1",
                          .threads = cores < 1             ? 1
                                     : cores > MAX_THREADS ? MAX_THREADS
                                                           : (int)cores,
                          .ready_fd = -1,
                          .bill = 100000,
                          .requests = 64};
    script_init(&o->serve.script);
    int id, index = 0;
    while ((id = getopt_long(argc, argv, "", long_options, &index)) != -1) {
        if (id == '?')
            die("see --help");
        set_option(o, (enum option_id)id, long_options[index].name);
    }
    if (optind < argc)
        die("unexpected argument '%s'", argv[optind]);
    if ((o->tls_cert == NULL) != (o->tls_key == NULL))
        die("--tls-cert and --tls-key belong together");
    if (o->tls_faults && o->tls_dir == NULL)
        die("--tls-faults needs --tls-self-signed");
}

/* ---- ports ---- */

static int listen_on(const char *host, int *port, int flags)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)*port)};
    socklen_t len = sizeof addr;
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    if (inet_pton(AF_INET, host, &addr.sin_addr) != 1)
        die("--host: '%s' is not an IPv4 address", host);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof addr) != 0 || listen(fd, 4096) != 0 ||
        getsockname(fd, (struct sockaddr *)&addr, &len) != 0)
        die("cannot listen on %s:%d: %m", host, *port);
    *port = ntohs(addr.sin_port);
    return fd;
}

static void add_port(struct program *p, const char *name, int number, const char *cert,
                     const char *key)
{
    struct port *port = &p->ports[p->nports++];
    *port = (struct port){.name = name, .number = number};
    if (cert != NULL && (port->tls = tls_context(cert, key)) == NULL)
        exit(2);
}

static void add_tls_ports(struct program *p)
{
    static const struct {
        const char *name, *file;
    } faults[] = {{"tls_expired", "expired.pem"},
                  {"tls_wrong_host", "wrong-host.pem"},
                  {"tls_untrusted", "untrusted.pem"}};
    struct options *o = &p->o;
    char cert[4096], key[4096];
    if (o->tls_cert != NULL) {
        add_port(p, "tls", o->tls_port, o->tls_cert, o->tls_key);
    } else if (o->tls_dir != NULL) {
        snprintf(cert, sizeof cert, "%s/cert.pem", o->tls_dir);
        snprintf(key, sizeof key, "%s/key.pem", o->tls_dir);
        if (!tls_write_certificates(o->tls_dir))
            exit(2);
        add_port(p, "tls", o->tls_port, cert, key);
    }
    for (size_t i = 0; o->tls_faults && i < ARRAY_LEN(faults); i++) {
        snprintf(cert, sizeof cert, "%s/%s", o->tls_dir, faults[i].file);
        snprintf(key, sizeof key, "%s/key.pem", o->tls_dir);
        add_port(p, faults[i].name, 0, cert, key);
    }
    if (o->tls_faults) {
        add_port(p, "stall", 0, NULL, NULL);
        p->ports[p->nports - 1].stall = true;
    }
}

/* Every loop has a socket of its own for each port; the kernel spreads connections over them. */
static struct loop *make_loop(struct program *p)
{
    struct loop_listener listeners[LOOP_MAX_LISTENERS];
    for (size_t i = 0; i < p->nports; i++) {
        struct port *port = &p->ports[i];
        listeners[i] = (struct loop_listener){listen_on(p->o.host, &port->number, SOCK_NONBLOCK),
                                              port->tls, port->stall};
    }
    return loop_new(&p->o.serve, listeners, p->nports);
}

static void print_ports(const struct program *p, int ctl)
{
    for (size_t i = 0; i < p->nports; i++)
        printf("%s\"%s\":%d", i > 0 ? "," : "{", p->ports[i].name, p->ports[i].number);
    printf(",\"ctl\":%d,\"pid\":%d}\n", ctl, getpid());
    fflush(stdout);
    if (p->o.ready_fd >= 0) {
        if (write(p->o.ready_fd, "R", 1) != 1)
            die("--ready-fd: %m");
        close(p->o.ready_fd);
    }
}

/* ---- threads ---- */

static void *loop_main(void *arg)
{
    loop_run(arg);
    return NULL;
}

static void *control_main(void *arg)
{
    control_run(arg);
    return NULL;
}

static void start(pthread_t *thread, void *(*fn)(void *), void *arg)
{
    if (pthread_create(thread, NULL, fn, arg) != 0)
        die("cannot start a thread: %m");
}

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void follow_parent(void)
{
    pid_t parent = getppid();
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent)
        die("the parent is gone");
}

static void stop(struct program *p)
{
    for (int i = 0; i < p->o.threads; i++)
        loop_stop(p->loops[i]);
    for (int i = 0; i < p->o.threads; i++)
        pthread_join(p->threads[i], NULL);
    shutdown(p->control.fd, SHUT_RDWR);
    pthread_join(p->control_thread, NULL);
    for (int i = 0; i < p->o.threads; i++)
        loop_free(p->loops[i]);
    for (size_t i = 0; i < p->nports; i++)
        SSL_CTX_free(p->ports[i].tls);
    close(p->control.fd);
    registry_clear();
    bill_fini();
}

int main(int argc, char **argv)
{
    static struct program p;
    sigset_t ending;
    int ctl, sig;
    read_options(&p.o, argc, argv);
    if (p.o.die_with_parent)
        follow_parent();
    raise_file_limit();
    mallopt(M_MMAP_THRESHOLD, 32 << 20); /* large bodies come and go: keep their pages */
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ending, NULL);
    bill_init((size_t)p.o.bill, (size_t)p.o.requests);
    add_port(&p, "plain", p.o.port, NULL, NULL);
    add_tls_ports(&p);
    for (int i = 0; i < p.o.threads; i++)
        p.loops[i] = make_loop(&p);
    ctl = p.o.ctl_port;
    p.control = (struct control){listen_on(p.o.host, &ctl, 0), p.loops, (size_t)p.o.threads};
    for (int i = 0; i < p.o.threads; i++)
        start(&p.threads[i], loop_main, p.loops[i]);
    start(&p.control_thread, control_main, &p.control);
    print_ports(&p, ctl);
    sigwait(&ending, &sig);
    stop(&p);
    return 0;
}
