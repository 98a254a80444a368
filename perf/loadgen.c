/*
 * loadgen.c: sends one request over and over on keep-alive connections and times the answers.
 *
 * Closed loop: every connection sends its next request as soon as it has the answer. Open loop
 * (--rate): requests are due at constant intervals whether or not a connection is free, and a
 * latency counts from when the request was due, so that a server that stalls can't hide the
 * requests that it kept from being sent (coordinated omission).
 *
 * Each answer is checked (response.h); anything but a complete, right answer is an error and is not
 * timed. CPU time of the processes in --pids is read at both ends of the measured window. One
 * thread, one epoll; the result is one JSON object on stdout.
 */
#include "perf/hist.h"
#include "perf/response.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MAX_PIDS = 64, MAX_HEADERS = 16, READ_BYTES = 65536, EVENTS_PER_TURN = 256 };

struct options {
    const char *url, *body_file, *ca_file;
    const char *headers[MAX_HEADERS];
    int nheaders;
    int connections, status;
    double seconds, warmup, rate;
    uint64_t requests; /* stop after so many; 0: by time */
    uint64_t events;
    const char *end; /* the last line of an event stream */
    pid_t pids[MAX_PIDS];
    int npids;
};

struct conn {
    int fd;
    SSL *ssl;
    bool busy, want_write;
    size_t sent;
    uint64_t due_ns;   /* when this request was due */
    uint64_t first_ns; /* first byte of the answer; 0: none yet */
    struct response response;
    struct conn *next_free;
};

struct errors {
    uint64_t connect, cut, framing, status, body;
};

static struct options o = {.connections = 64, .seconds = 5, .warmup = 1, .status = 200};
static char *request;
static size_t request_length;
static struct sockaddr_storage address;
static socklen_t address_length;
static char host[256];
static SSL_CTX *tls;
static int epoll_fd;
static struct conn *conns, *free_conns;
static int nfree;

static struct hist latency, first_byte;
static struct errors errors;
static uint64_t now_ns, begin_ns, measure_ns, end_ns;
static uint64_t started, finished, measured, backlog_max, events_seen, body_bytes, reconnects;
static bool measuring;

static void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
static void die(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("loadgen: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(2);
}

static uint64_t read_clock(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ---- the request ---- */

static char *read_file(const char *path, size_t *length)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        die("%s: %m", path);
    char *text = malloc((size_t)st.st_size + 1);
    if (text == NULL || read(fd, text, (size_t)st.st_size) != st.st_size)
        die("%s: cannot read", path);
    close(fd);
    *length = (size_t)st.st_size;
    return text;
}

/* Parts http[s]://host:port/path; returns the path. */
static const char *parse_url(char *port, size_t port_size)
{
    const char *rest = o.url;
    bool secure = strncmp(rest, "https://", 8) == 0;
    if (!secure && strncmp(rest, "http://", 7) != 0)
        die("%s: want http:// or https://", rest);
    rest += secure ? 8 : 7;
    size_t n = strcspn(rest, ":/");
    snprintf(host, sizeof host, "%.*s", (int)n, rest);
    rest += n;
    snprintf(port, port_size, "%s", secure ? "443" : "80");
    if (*rest == ':') {
        n = strcspn(++rest, "/");
        snprintf(port, port_size, "%.*s", (int)n, rest);
        rest += n;
    }
    if (secure)
        tls = SSL_CTX_new(TLS_client_method());
    return *rest != '\0' ? rest : "/";
}

static void resolve(const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_INET}, *found;
    int why = getaddrinfo(host, port, &hints, &found);
    if (why != 0)
        die("%s: %s", host, gai_strerror(why));
    memcpy(&address, found->ai_addr, found->ai_addrlen);
    address_length = found->ai_addrlen;
    freeaddrinfo(found);
}

static void build_request(void)
{
    char port[16], *body = NULL;
    const char *path = parse_url(port, sizeof port);
    size_t body_length = 0;
    FILE *f = open_memstream(&request, &request_length);
    if (f == NULL)
        die("out of memory");
    resolve(port);
    if (o.body_file != NULL)
        body = read_file(o.body_file, &body_length);
    fprintf(f, "%s %s HTTP/1.1\r\nHost: %s:%s\r\n", body != NULL ? "POST" : "GET", path, host,
            port);
    for (int i = 0; i < o.nheaders; i++)
        fprintf(f, "%s\r\n", o.headers[i]);
    if (body != NULL)
        fprintf(f, "Content-Type: application/json\r\nContent-Length: %zu\r\n", body_length);
    fputs("\r\n", f);
    fwrite(body, 1, body_length, f);
    fclose(f);
    free(body);
    if (tls == NULL)
        return;
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (o.ca_file != NULL && SSL_CTX_load_verify_file(tls, o.ca_file) != 1)
        die("%s: no certificate in it", o.ca_file);
    SSL_CTX_set_verify(tls, o.ca_file != NULL ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
}

/* ---- connections ---- */

static bool shake_hands(struct conn *c)
{
    c->ssl = SSL_new(tls);
    SSL_set_fd(c->ssl, c->fd);
    SSL_set_tlsext_host_name(c->ssl, host);
    SSL_set1_host(c->ssl, host);
    return SSL_connect(c->ssl) == 1;
}

/* Blocks: done before the clock starts, and where a server closes a connection. */
static bool conn_open(struct conn *c)
{
    int on = 1;
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
    c->fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, address_length) != 0)
        return false;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (tls != NULL && !shake_hands(c))
        return false;
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    c->want_write = false;
    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &ev) == 0;
}

static void conn_close(struct conn *c)
{
    SSL_free(c->ssl);
    c->ssl = NULL;
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

static void set_free(struct conn *c)
{
    c->busy = false;
    c->next_free = free_conns;
    free_conns = c;
    nfree++;
}

static void watch(struct conn *c, bool want_write)
{
    struct epoll_event ev = {.events = EPOLLIN | (want_write ? EPOLLOUT : 0), .data.ptr = c};
    if (c->want_write != want_write)
        epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &ev);
    c->want_write = want_write;
}

/* Bytes moved; 0: would block; -1: over. */
static ssize_t tls_result(struct conn *c, int n)
{
    if (n > 0)
        return n;
    int why = SSL_get_error(c->ssl, n);
    ERR_clear_error();
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static ssize_t conn_send(struct conn *c)
{
    const char *p = request + c->sent;
    size_t n = request_length - c->sent;
    if (c->ssl != NULL)
        return tls_result(c, SSL_write(c->ssl, p, n > INT32_MAX ? INT32_MAX : (int)n));
    ssize_t sent = send(c->fd, p, n, MSG_NOSIGNAL);
    return sent >= 0 ? sent : errno == EAGAIN ? 0 : -1;
}

static ssize_t conn_recv(struct conn *c, char *buf)
{
    if (c->ssl != NULL)
        return tls_result(c, SSL_read(c->ssl, buf, READ_BYTES));
    ssize_t n = recv(c->fd, buf, READ_BYTES, 0);
    return n > 0 ? n : n < 0 && errno == EAGAIN ? 0 : -1;
}

/* ---- requests ---- */

static bool replace(struct conn *c)
{
    conn_close(c);
    reconnects++;
    now_ns = read_clock();
    if (conn_open(c))
        return true;
    errors.connect++;
    conn_close(c);
    return false;
}

/* Ends a request that failed. Where there is no connection to be had, there is one less. */
static void drop(struct conn *c, uint64_t *counter)
{
    (*counter)++;
    finished++;
    if (replace(c))
        set_free(c);
}

static void push_request(struct conn *c)
{
    while (c->sent < request_length) {
        ssize_t n = conn_send(c);
        if (n < 0) {
            drop(c, &errors.cut);
            return;
        }
        if (n == 0)
            break;
        c->sent += (size_t)n;
    }
    watch(c, c->sent < request_length);
}

static void start_request(uint64_t due_ns)
{
    struct conn *c = free_conns;
    free_conns = c->next_free;
    nfree--;
    c->busy = true;
    c->sent = 0;
    c->first_ns = 0;
    c->due_ns = due_ns;
    response_start(&c->response);
    started++;
    push_request(c);
}

static void finish_request(struct conn *c)
{
    const char *why = response_verify(&c->response, o.status, o.end, o.events);
    uint64_t now = read_clock();
    if (why != NULL) {
        drop(c, strcmp(why, "status") == 0 ? &errors.status : &errors.body);
        return;
    }
    finished++;
    if (measuring && c->due_ns >= measure_ns) {
        measured++;
        hist_add(&latency, now - c->due_ns);
        hist_add(&first_byte, c->first_ns - c->due_ns);
        events_seen += c->response.events;
        body_bytes += c->response.body_bytes;
    }
    if (!c->response.close || replace(c))
        set_free(c);
}

static void read_answer(struct conn *c)
{
    static char buf[READ_BYTES];
    size_t used;
    ssize_t n;
    while (c->fd >= 0 && (n = conn_recv(c, buf)) != 0) {
        if (!c->busy) {
            errors.framing += n > 0;
            replace(c);
            return;
        }
        if (n < 0) {
            drop(c, &errors.cut);
            return;
        }
        if (c->first_ns == 0)
            c->first_ns = read_clock();
        enum response_result r = response_feed(&c->response, buf, (size_t)n, &used);
        if (r == RESPONSE_BAD || (r == RESPONSE_DONE && used < (size_t)n)) {
            drop(c, &errors.framing);
            return;
        }
        if (r == RESPONSE_DONE) {
            finish_request(c);
            return;
        }
        if (c->ssl == NULL && n < READ_BYTES)
            return;
    }
}

/* ---- CPU of others ---- */

/* Nanoseconds on a CPU of all threads of a process: the first figure of schedstat
 * (Documentation/scheduler/sched-stats.rst). */
static uint64_t process_cpu_ns(pid_t pid)
{
    char path[320];
    uint64_t sum = 0, ns;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    if (dir == NULL)
        return 0;
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", (int)pid, e->d_name);
        FILE *f = e->d_name[0] != '.' ? fopen(path, "r") : NULL;
        if (f == NULL)
            continue;
        if (fscanf(f, "%" SCNu64, &ns) == 1)
            sum += ns;
        fclose(f);
    }
    closedir(dir);
    return sum;
}

static uint64_t all_cpu_ns(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < o.npids; i++)
        sum += process_cpu_ns(o.pids[i]);
    return sum;
}

/* ---- the run ---- */

static bool may_start(void)
{
    return o.requests > 0 ? started < o.requests : now_ns < end_ns;
}

/* Starts what is due. Returns when the next is (0: nothing is waited for by the clock). */
static uint64_t start_due(void)
{
    if (o.rate <= 0) {
        while (nfree > 0 && may_start())
            start_request(now_ns);
        return 0;
    }
    static uint64_t index;
    uint64_t due;
    for (;;) {
        due = begin_ns + (uint64_t)((double)index * 1e9 / o.rate);
        if (due > now_ns || due >= end_ns || nfree == 0)
            break;
        start_request(due);
        index++;
    }
    if (due <= now_ns && due < end_ns) {
        uint64_t behind = (uint64_t)((double)(now_ns - due) * o.rate / 1e9);
        if (behind > backlog_max)
            backlog_max = behind;
        return 0;
    }
    return due;
}

static void wait_events(uint64_t until_ns)
{
    struct epoll_event events[EVENTS_PER_TURN];
    uint64_t left = until_ns > now_ns ? until_ns - now_ns : 0;
    struct timespec ts = {(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
    int n = epoll_pwait2(epoll_fd, events, EVENTS_PER_TURN, &ts, NULL);
    now_ns = read_clock();
    for (int i = 0; i < n; i++) {
        struct conn *c = events[i].data.ptr;
        if (c->fd >= 0 && c->busy && (events[i].events & EPOLLOUT))
            push_request(c);
        if (c->fd >= 0 && (events[i].events & ~(uint32_t)EPOLLOUT))
            read_answer(c);
    }
    now_ns = read_clock();
}

static uint64_t min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Until the window is over and, for at most 30 s more, all answers are in. */
static void run(uint64_t *cpu_ns, double *seconds)
{
    uint64_t cpu = 0, own = 0, stop_ns = 0;
    begin_ns = now_ns = read_clock();
    measure_ns = begin_ns + (uint64_t)(o.warmup * 1e9);
    end_ns = measure_ns + (uint64_t)(o.seconds * 1e9);
    while (now_ns < end_ns + 30000000000u) {
        if (!measuring && now_ns >= measure_ns) {
            measuring = true;
            measure_ns = now_ns;
            cpu = all_cpu_ns();
            own = process_cpu_ns(getpid());
        }
        uint64_t due = start_due();
        bool over = !may_start() && (o.requests == 0 || finished >= o.requests);
        if (over && stop_ns == 0) {
            stop_ns = now_ns;
            cpu_ns[0] = all_cpu_ns() - cpu;
            cpu_ns[1] = process_cpu_ns(getpid()) - own;
        }
        if (over && finished >= started)
            break;
        uint64_t until = over ? end_ns + 30000000000u : measuring ? end_ns : measure_ns;
        if (o.requests > 0 && measuring)
            until = now_ns + 1000000000u;
        wait_events(due > 0 ? min(due, until) : until);
    }
    *seconds = (double)((stop_ns > 0 ? stop_ns : now_ns) - measure_ns) / 1e9;
}

static void print_hist(const char *name, const struct hist *h)
{
    printf(",\"%s\":{\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f}", name,
           (double)hist_percentile(h, 50) / 1e3, (double)hist_percentile(h, 90) / 1e3,
           (double)hist_percentile(h, 99) / 1e3, (double)hist_percentile(h, 99.9) / 1e3,
           (double)h->max / 1e3);
}

static bool print_result(const uint64_t *cpu_ns, double seconds)
{
    uint64_t due = o.rate > 0 ? (uint64_t)(o.rate * (o.warmup + o.seconds)) : started;
    uint64_t unserved = due > started ? due - started : 0;
    uint64_t wrong = errors.connect + errors.cut + errors.framing + errors.status + errors.body +
                     (started - finished);
    printf("{\"seconds\":%.3f,\"requests\":%" PRIu64 ",\"rate\":%.1f,\"wanted_rate\":%.1f", seconds,
           measured, seconds > 0 ? (double)measured / seconds : 0, o.rate);
    printf(",\"errors\":%" PRIu64 ",\"errors_by\":{\"connect\":%" PRIu64 ",\"cut\":%" PRIu64
           ",\"framing\":%" PRIu64 ",\"status\":%" PRIu64 ",\"body\":%" PRIu64
           ",\"unanswered\":%" PRIu64 "}",
           wrong, errors.connect, errors.cut, errors.framing, errors.status, errors.body,
           started - finished);
    printf(",\"unserved\":%" PRIu64 ",\"backlog_max\":%" PRIu64 ",\"reconnects\":%" PRIu64
           ",\"events\":%" PRIu64 ",\"body_bytes\":%" PRIu64,
           unserved, backlog_max, reconnects, events_seen, body_bytes);
    printf(",\"cpu_us_per_request\":%.3f,\"own_cpu_us_per_request\":%.3f",
           measured > 0 ? (double)cpu_ns[0] / 1e3 / (double)measured : 0,
           measured > 0 ? (double)cpu_ns[1] / 1e3 / (double)measured : 0);
    print_hist("latency_us", &latency);
    print_hist("first_byte_us", &first_byte);
    puts("}");
    return wrong == 0;
}

/* ---- options ---- */

static const char usage_text[] =
    "usage: loadgen --url URL [options]\n"
    "  --body FILE        POST it as application/json; else GET\n"
    "  --header 'N: V'    may be repeated\n"
    "  --ca FILE          verify the server by these certificates\n"
    "  --connections N    (64)\n"
    "  --seconds S        measured, after --warmup S (5, 1)\n"
    "  --requests N       send so many instead, without a warm-up\n"
    "  --rate R           open loop: R requests a second\n"
    "  --end LINE         answers are event streams whose last event ends with LINE\n"
    "  --events N         and that hold N events\n"
    "  --status N         that a right answer has (200)\n"
    "  --pids A,B,…       processes whose CPU time is measured\n"
    "Exit status 1 when any answer was wrong.\n";

static double number(const char *text)
{
    char *end;
    double v = strtod(text, &end);
    if (end == text || *end != '\0')
        die("'%s' is not a number", text);
    return v;
}

enum option_id {
    OPT_URL = 1,
    OPT_BODY,
    OPT_HEADER,
    OPT_CA,
    OPT_CONNECTIONS,
    OPT_SECONDS,
    OPT_WARMUP,
    OPT_REQUESTS,
    OPT_RATE,
    OPT_END,
    OPT_EVENTS,
    OPT_STATUS,
    OPT_PIDS,
    OPT_HELP
};

static const struct option long_options[] = {
    {"url", required_argument, NULL, OPT_URL},
    {"body", required_argument, NULL, OPT_BODY},
    {"header", required_argument, NULL, OPT_HEADER},
    {"ca", required_argument, NULL, OPT_CA},
    {"connections", required_argument, NULL, OPT_CONNECTIONS},
    {"seconds", required_argument, NULL, OPT_SECONDS},
    {"warmup", required_argument, NULL, OPT_WARMUP},
    {"requests", required_argument, NULL, OPT_REQUESTS},
    {"rate", required_argument, NULL, OPT_RATE},
    {"end", required_argument, NULL, OPT_END},
    {"events", required_argument, NULL, OPT_EVENTS},
    {"status", required_argument, NULL, OPT_STATUS},
    {"pids", required_argument, NULL, OPT_PIDS},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static void read_pids(char *list)
{
    for (char *word; (word = strsep(&list, ",")) != NULL;) {
        if (o.npids == MAX_PIDS)
            die("at most %d pids", MAX_PIDS);
        o.pids[o.npids++] = (pid_t)strtol(word, NULL, 10);
    }
}

static void set_option(enum option_id id)
{
    switch (id) {
    case OPT_URL:
        o.url = optarg;
        break;
    case OPT_BODY:
        o.body_file = optarg;
        break;
    case OPT_HEADER:
        if (o.nheaders == MAX_HEADERS)
            die("at most %d headers", MAX_HEADERS);
        o.headers[o.nheaders++] = optarg;
        break;
    case OPT_CA:
        o.ca_file = optarg;
        break;
    case OPT_CONNECTIONS:
        o.connections = (int)number(optarg);
        break;
    case OPT_SECONDS:
        o.seconds = number(optarg);
        break;
    case OPT_WARMUP:
        o.warmup = number(optarg);
        break;
    case OPT_REQUESTS:
        o.requests = (uint64_t)number(optarg);
        o.warmup = 0;
        break;
    case OPT_RATE:
        o.rate = number(optarg);
        break;
    case OPT_END:
        o.end = optarg;
        break;
    case OPT_EVENTS:
        o.events = (uint64_t)number(optarg);
        break;
    case OPT_STATUS:
        o.status = (int)number(optarg);
        break;
    case OPT_PIDS:
        read_pids(optarg);
        break;
    case OPT_HELP:
        fputs(usage_text, stdout);
        exit(0);
    }
}

static void read_options(int argc, char **argv)
{
    int id;
    while ((id = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (id == '?')
            die("see --help");
        set_option((enum option_id)id);
    }
    if (o.url == NULL || optind < argc)
        die("see --help");
    if (o.connections < 1 || o.seconds <= 0 || o.warmup < 0 || o.rate < 0)
        die("connections, seconds and rate must be above 0");
    if (o.end != NULL && strlen(o.end) > RESPONSE_TAIL_BYTES - 2)
        die("--end: at most %d bytes", RESPONSE_TAIL_BYTES - 2);
}

int main(int argc, char **argv)
{
    struct rlimit files;
    uint64_t cpu_ns[2] = {0};
    double seconds;
    read_options(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    build_request();
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    conns = calloc((size_t)o.connections, sizeof *conns);
    if (conns == NULL)
        die("out of memory");
    for (int i = 0; i < o.connections; i++) {
        if (!conn_open(&conns[i]))
            die("cannot connect to %s: %m", o.url);
        set_free(&conns[i]);
    }
    run(cpu_ns, &seconds);
    bool good = print_result(cpu_ns, seconds);
    for (int i = 0; i < o.connections; i++)
        conn_close(&conns[i]);
    return good ? 0 : 1;
}
