/*
 * log.c: formatting of log lines, the ring they wait in, and the writers for each kind of sink.
 *
 * Everything under one mutex: only the keeper has a second thread. Nothing here waits: a sink that
 * takes no bytes leaves them in the ring, a full ring drops the newest line. The ring is linear; it
 * is moved to its front when its end is reached, so that lines are always in one piece.
 */
#include "common/log.h"

#include "common/check.h"
#include "common/clock.h"
#include "common/log_text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

enum { FILE_BATCH_BYTES = 256 * 1024, WHO_BYTES = 32 };

/* How bytes get into the sink. */
enum sink_kind {
    SINK_NONE,    /* diagnostics to descriptor 2, one write each */
    SINK_FILE,    /* O_APPEND: any size is written in one piece */
    SINK_PIPE,    /* also terminals: own non-blocking description */
    SINK_POLLED,  /* a pipe or terminal that couldn't be opened again: ask before each write */
    SINK_STREAM,  /* a connected stream socket, as systemd gives for stdout and stderr */
    SINK_JOURNAL, /* datagrams in journald's native protocol */
};

static struct {
    pthread_mutex_t lock;
    enum sink_kind kind;
    int fd;
    enum log_format format;
    _Atomic int level;
    char *ring;
    size_t head, tail; /* [head, tail) waits */
    bool torn;         /* the first waiting line was written in part: finish it first */
    _Atomic uint64_t dropped;
    _Atomic uint64_t *shared_dropped;
    char who[WHO_BYTES];
} lg = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1, .level = LOG_LEVEL_INFO, .who = "gatewayd"};

static const char *const level_names[] = {"error", "warn", "info", "debug"};

const char *log_level_name(enum log_level level)
{
    return level <= LOG_LEVEL_DEBUG ? level_names[level] : "?";
}

void log_init(const char *who)
{
    pthread_mutex_lock(&lg.lock);
    snprintf(lg.who, sizeof lg.who, "%s", who);
    pthread_mutex_unlock(&lg.lock);
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&lg.level, (int)level, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&lg.level, memory_order_relaxed);
}

void log_set_drop_counter(_Atomic uint64_t *counter)
{
    pthread_mutex_lock(&lg.lock);
    lg.shared_dropped = counter;
    pthread_mutex_unlock(&lg.lock);
}

uint64_t log_dropped(void)
{
    return atomic_load_explicit(&lg.dropped, memory_order_relaxed);
}

static void count_dropped(uint64_t n)
{
    atomic_fetch_add_explicit(&lg.dropped, n, memory_order_relaxed);
    if (lg.shared_dropped)
        atomic_fetch_add_explicit(lg.shared_dropped, n, memory_order_relaxed);
}

/* ---- formatting ---- */

/* A line under construction; what doesn't fit is cut. `limit` keeps room for the closing. */
struct line {
    char *p;
    size_t n, limit;
};

static void put(struct line *l, const char *p, size_t n)
{
    n = GW_MIN(n, l->limit - l->n);
    memcpy(l->p + l->n, p, n);
    l->n += n;
}

static void put_str(struct line *l, const char *s)
{
    put(l, s, strlen(s));
}

/* Length of the well-formed UTF-8 sequence at p (RFC 3629), 0 if there is none. */
static size_t utf8_len(const unsigned char *p, size_t n)
{
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (len == 0 || p[0] > 0xf4 || len > n)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return len;
}

/* What stands for the character at p within a JSON string (RFC 8259 §7); *used bytes of p. Bytes
 * that aren't UTF-8 become U+FFFD. */
static size_t escape(const char *p, size_t n, char out[8], size_t *used)
{
    unsigned char c = (unsigned char)p[0];
    *used = 1;
    if (c == '"' || c == '\\' || c == '\n') {
        out[0] = '\\';
        out[1] = c == '\n' ? 'n' : (char)c;
        return 2;
    }
    if (c < 0x20 || c == 0x7f)
        return (size_t)snprintf(out, 8, "\\u%04x", c);
    size_t len = utf8_len((const unsigned char *)p, n);
    if (len == 0)
        return (size_t)snprintf(out, 8, "\\ufffd");
    memcpy(out, p, len);
    *used = len;
    return len;
}

/* Needs room for two bytes; the closing quote always gets one. */
static void put_quoted(struct line *l, struct slice s)
{
    put(l, "\"", 1);
    for (size_t i = 0, used; i < s.n; i += used) {
        char text[8];
        size_t n = escape(s.p + i, s.n - i, text, &used);
        if (l->limit - l->n < n + 1)
            break;
        put(l, text, n);
    }
    put(l, "\"", 1);
}

static bool is_plain(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c <= 0x20 || c >= 0x7f || c == '"' || c == '=' || c == '\\')
            return false;
    }
    return s.n > 0;
}

static void put_value(struct line *l, const struct log_field *f, bool json)
{
    char num[24];
    switch (f->kind) {
    case LOG_FIELD_STR:
        if (!json && is_plain(f->str))
            put(l, f->str.p, f->str.n);
        else
            put_quoted(l, f->str);
        break;
    case LOG_FIELD_INT:
        snprintf(num, sizeof num, "%lld", (long long)f->i);
        put_str(l, num);
        break;
    case LOG_FIELD_UINT:
        snprintf(num, sizeof num, "%llu", (unsigned long long)f->u);
        put_str(l, num);
        break;
    case LOG_FIELD_BOOL:
        put_str(l, f->i ? "true" : "false");
        break;
    case LOG_FIELD_NONE:
        break;
    }
}

static void put_head(struct line *l, enum log_level level, const char *msg, bool json)
{
    char ts[CLOCK_RFC3339_BYTES], head[128];
    clock_format_rfc3339(clock_wall_us(), ts);
    if (json)
        snprintf(head, sizeof head, "{\"ts\":\"%s\",\"level\":\"%s\",\"pid\":%d,\"proc\":\"%s\",",
                 ts, log_level_name(level), (int)getpid(), lg.who);
    else
        snprintf(head, sizeof head, "%s %s gatewayd[%d] %s: ", ts, log_level_name(level),
                 (int)getpid(), lg.who);
    put_str(l, head);
    if (json) {
        put_str(l, "\"msg\":");
        put_quoted(l, slice_str(msg));
    } else {
        put_str(l, msg);
    }
}

/* A field for which there is no room left is left out whole, so that a cut line is valid JSON. */
static void put_field(struct line *l, const struct log_field *f, bool json)
{
    enum { VALUE_BYTES = 32 }; /* a number with its signs, or the beginning of a text */
    if (f->kind == LOG_FIELD_NONE || l->limit - l->n < strlen(f->key) + VALUE_BYTES)
        return;
    put_str(l, json ? ",\"" : " ");
    put_str(l, f->key);
    put_str(l, json ? "\":" : "=");
    put_value(l, f, json);
}

static size_t format_line(char *out, size_t cap, enum log_level level, const char *msg,
                          const struct log_field *f, size_t n)
{
    bool json = lg.format == LOG_FORMAT_JSON && lg.kind != SINK_NONE;
    struct line l = {out, 0, cap - 2};
    put_head(&l, level, msg, json);
    for (size_t i = 0; i < n; i++)
        put_field(&l, &f[i], json);
    if (json)
        out[l.n++] = '}';
    out[l.n++] = '\n';
    return l.n;
}

/* ---- the journal ---- */

/* https://systemd.io/JOURNAL_NATIVE_PROTOCOL/: "KEY=value\n"; a value with a newline has to go as
 * "KEY\n" + 64-bit little-endian length + value + "\n". */
static void journal_put(struct line *l, const char *key, struct slice value)
{
    for (const char *k = key; *k; k++)
        put(l, (char[]){*k >= 'a' && *k <= 'z' ? (char)(*k - 'a' + 'A') : *k}, 1);
    if (memchr(value.p, '\n', value.n)) {
        uint64_t n = value.n;
        put(l, "\n", 1);
        for (int i = 0; i < 8; i++, n >>= 8)
            put(l, (char[]){(char)(n & 0xff)}, 1);
    } else {
        put(l, "=", 1);
    }
    put(l, value.p, value.n);
    put(l, "\n", 1);
}

static const struct sockaddr_un journald = {.sun_family = AF_UNIX,
                                            .sun_path = "/run/systemd/journal/socket"};

/* false: it doesn't take any now. */
static bool journal_send(const char *p, size_t n)
{
    ssize_t sent =
        sendto(lg.fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL, (const void *)&journald, sizeof journald);
    if (sent >= 0)
        return true;
    if (errno != EAGAIN && errno != ENOBUFS)
        count_dropped(1); /* not there, or too large for a datagram */
    return errno != EAGAIN && errno != ENOBUFS;
}

static void journal_head(struct line *l, enum log_level level)
{
    static const char *const priority[] = {"3", "4", "6", "7"}; /* syslog(3) */
    journal_put(l, "SYSLOG_IDENTIFIER", SLICE_LIT("gatewayd"));
    journal_put(l, "PRIORITY", slice_str(priority[level]));
    journal_put(l, "GATEWAYD_PROCESS", slice_str(lg.who));
}

static void journal_emit(enum log_level level, const char *msg, const struct log_field *f, size_t n)
{
    char text[8192], packet[16384];
    struct line t = {text, 0, sizeof text}, l = {packet, 0, sizeof packet};
    put_str(&t, msg);
    for (size_t i = 0; i < n; i++)
        put_field(&t, &f[i], false);
    journal_head(&l, level);
    journal_put(&l, "MESSAGE", slice_of(text, t.n));
    if (!journal_send(packet, l.n))
        count_dropped(1);
}

static bool journal_line(const char *p, size_t n)
{
    static char packet[LOG_LINE_MAX_BYTES + 1024];
    struct line l = {packet, 0, sizeof packet};
    journal_head(&l, LOG_LEVEL_INFO);
    journal_put(&l, "MESSAGE", slice_of(p, n));
    return journal_send(packet, l.n);
}

/* ---- the sink ---- */

static bool would_block(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == ENOBUFS;
}

/* Bytes taken; 0 = not now; -1 = never (counted by the caller). */
static ssize_t sink_write(const char *p, size_t n)
{
    struct pollfd pfd = {.fd = lg.fd, .events = POLLOUT};
    ssize_t done;
    if (lg.kind == SINK_STREAM)
        done = send(lg.fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    else if (lg.kind == SINK_POLLED)
        done = poll(&pfd, 1, 0) <= 0 ? 0 : write(lg.fd, p, GW_MIN(n, (size_t)PIPE_BUF));
    else
        done = write(lg.fd, p, n);
    if (done < 0)
        return would_block() ? 0 : -1;
    return done;
}

/* The longest run of whole lines within max bytes; at least one line, or its torn rest. */
static size_t batch(const char *p, size_t n, size_t max)
{
    if (n > max) {
        const char *end = lg.torn ? NULL : memrchr(p, '\n', max);
        if (!end)
            end = memchr(p, '\n', n);
        n = (size_t)(end - p) + 1;
    }
    return n;
}

static size_t count_lines(const char *p, size_t n)
{
    size_t lines = 0;
    for (const char *end = p + n; (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++)
        lines++;
    return lines;
}

static void flush_journal(void)
{
    while (lg.head < lg.tail) {
        const char *p = lg.ring + lg.head;
        size_t n = (size_t)((char *)memchr(p, '\n', lg.tail - lg.head) - p);
        if (!journal_line(p, n))
            return;
        lg.head += n + 1;
    }
}

static void flush_stream(void)
{
    size_t max = lg.kind == SINK_FILE ? FILE_BATCH_BYTES : PIPE_BUF;
    while (lg.head < lg.tail) {
        const char *p = lg.ring + lg.head;
        size_t n = batch(p, lg.tail - lg.head, max);
        ssize_t done = sink_write(p, n);
        if (done == 0)
            return;
        if (done < 0) {
            count_dropped(count_lines(p, n));
            done = (ssize_t)n;
        }
        lg.head += (size_t)done;
        lg.torn = p[done - 1] != '\n';
    }
}

static void flush_locked(void)
{
    if (lg.head == lg.tail || lg.kind == SINK_NONE)
        return;
    if (lg.kind == SINK_JOURNAL)
        flush_journal();
    else
        flush_stream();
    if (lg.head == lg.tail)
        lg.head = lg.tail = 0;
}

/* Room for n bytes at the tail, or NULL: counted as dropped. */
static char *ring_room(size_t n)
{
    if (!lg.ring)
        lg.ring = gw_xmalloc(LOG_RING_BYTES);
    if (LOG_RING_BYTES - lg.tail < n)
        flush_locked();
    if (LOG_RING_BYTES - lg.tail < n && lg.head > LOG_RING_BYTES / 4) {
        memmove(lg.ring, lg.ring + lg.head, lg.tail - lg.head);
        lg.tail -= lg.head;
        lg.head = 0;
    }
    if (LOG_RING_BYTES - lg.tail < n) {
        count_dropped(1);
        return NULL;
    }
    return lg.ring + lg.tail;
}

void log_emit(enum log_level level, const char *msg, const struct log_field *fields, size_t n)
{
    int saved_errno = errno;
    char text[8192];
    pthread_mutex_lock(&lg.lock);
    if (lg.kind == SINK_JOURNAL) {
        journal_emit(level, msg, fields, n);
    } else {
        size_t len = format_line(text, sizeof text, level, msg, fields, n);
        if (lg.kind == SINK_NONE) {
            if (write(STDERR_FILENO, text, len) < 0)
                count_dropped(1);
        } else {
            char *room = ring_room(len);
            if (room) {
                memcpy(room, text, len);
                lg.tail += len;
            }
            flush_locked();
        }
    }
    pthread_mutex_unlock(&lg.lock);
    errno = saved_errno;
}

bool log_every_pass(struct log_every *every, int64_t interval_us, uint64_t *held)
{
    int64_t now = clock_mono_us();
    int64_t next = atomic_load_explicit(&every->next_us, memory_order_relaxed);
    if (now < next || !atomic_compare_exchange_strong(&every->next_us, &next, now + interval_us)) {
        atomic_fetch_add_explicit(&every->held, 1, memory_order_relaxed);
        return false;
    }
    *held = atomic_exchange_explicit(&every->held, 0, memory_order_relaxed);
    return true;
}

/* As the format has it; returns its length. */
static size_t put_access_line(char *room, struct slice line)
{
    char who[WHO_BYTES + 32] = "";
    if (lg.format == LOG_FORMAT_JSON) {
        memcpy(room, line.p, line.n);
        return line.n;
    }
    if (lg.kind != SINK_JOURNAL)
        snprintf(who, sizeof who, "gatewayd[%d] %s: ", (int)getpid(), lg.who);
    return log_text_of(line, slice_str(who), room);
}

void log_line(const char *p, size_t n)
{
    enum { MORE = WHO_BYTES + 32 + LOG_TEXT_MORE_BYTES };
    pthread_mutex_lock(&lg.lock);
    char *room = NULL;
    if (n >= LOG_LINE_MAX_BYTES || lg.kind == SINK_NONE)
        count_dropped(1);
    else
        room = ring_room(n + 1 + (lg.format == LOG_FORMAT_TEXT ? MORE : 0));
    if (room) {
        size_t len = put_access_line(room, slice_of(p, n));
        room[len] = '\n';
        lg.tail += len + 1;
    }
    pthread_mutex_unlock(&lg.lock);
}

void log_flush(void)
{
    pthread_mutex_lock(&lg.lock);
    flush_locked();
    pthread_mutex_unlock(&lg.lock);
}

size_t log_pending(void)
{
    pthread_mutex_lock(&lg.lock);
    size_t n = lg.tail - lg.head;
    pthread_mutex_unlock(&lg.lock);
    return n;
}

/* ---- opening ---- */

/* A description of our own for the same object: O_NONBLOCK then binds nobody else. */
static int open_again(int fd, int flags)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY | flags);
}

static int prepare(int fd, enum sink_kind *kind, struct errbuf *e)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set_errno(e, "log descriptor %d", fd);
    int own = -1;
    if (S_ISSOCK(st.st_mode)) {
        *kind = SINK_STREAM;
    } else if (S_ISREG(st.st_mode)) {
        /* Of all who write through this description: a shell's `>` gives us one without it, and
         * whoever shares that (the shell, our own stderr) would write over lines. */
        int flags = fcntl(fd, F_GETFL);
        *kind = SINK_FILE;
        if (flags < 0 || fcntl(fd, F_SETFL, flags | O_APPEND) < 0)
            return err_set_errno(e, "log descriptor %d", fd);
    } else {
        *kind = SINK_PIPE;
        own = open_again(fd, O_NONBLOCK);
        if (own < 0)
            *kind = SINK_POLLED;
    }
    if (own < 0)
        own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (own < 0)
        return err_set_errno(e, "log descriptor %d", fd);
    return own;
}

static void replace_sink(int fd, enum sink_kind kind)
{
    flush_locked();
    if (lg.torn) { /* its rest would be garbage in the new sink */
        const char *p = lg.ring + lg.head;
        lg.head += (size_t)((char *)memchr(p, '\n', lg.tail - lg.head) - p) + 1;
        lg.torn = false;
        count_dropped(1);
    }
    if (lg.fd >= 0)
        close(lg.fd);
    lg.fd = fd;
    lg.kind = kind;
}

int log_open(int fd, enum log_output output, enum log_format format, enum log_level level,
             struct errbuf *e)
{
    enum sink_kind kind = SINK_JOURNAL;
    int own = output == LOG_TO_JOURNAL ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)
                                       : prepare(fd, &kind, e);
    if (own < 0)
        return output == LOG_TO_JOURNAL ? err_set_errno(e, "log: journal socket") : -1;
    log_set_level(level);
    pthread_mutex_lock(&lg.lock);
    replace_sink(own, kind);
    lg.format = format;
    pthread_mutex_unlock(&lg.lock);
    return 0;
}

void log_close(void)
{
    pthread_mutex_lock(&lg.lock);
    replace_sink(-1, SINK_NONE);
    if (lg.ring)
        count_dropped(count_lines(lg.ring + lg.head, lg.tail - lg.head));
    free(lg.ring);
    lg.ring = NULL;
    lg.head = lg.tail = 0;
    pthread_mutex_unlock(&lg.lock);
}

/* Asked once, when the configuration that names it is read: later it may come and go. */
static int check_journal(struct errbuf *e)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int rc = fd < 0 ? -1 : connect(fd, (const void *)&journald, sizeof journald);
    if (rc < 0)
        err_set_errno(e, "log: no journal answers at %s", journald.sun_path);
    if (fd >= 0)
        close(fd);
    return rc;
}

int log_sink_open(enum log_output output, const char *path, struct errbuf *e)
{
    if (output == LOG_TO_JOURNAL) {
        if (check_journal(e) == 0)
            errno = 0;
        return -1;
    }
    if (output == LOG_TO_STDERR) {
        int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
        return fd >= 0 ? fd : err_set_errno(e, "log: stderr");
    }
    /* O_NONBLOCK: a FIFO without a reader must be an error, not a wait. */
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    return fd >= 0 ? fd : err_set_errno(e, "log: can't open %s", path);
}
