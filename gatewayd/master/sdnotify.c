/*
 * sdnotify.c: see sdnotify.h.
 */
#include "gatewayd/master/sdnotify.h"

#include "common/slice.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { LISTEN_FDS_START = 3, FD_FLOOR = 16 };

static struct {
    int sock;
    struct sockaddr_un addr;
    socklen_t addr_len;
    int64_t watchdog_us;
    unsigned n_fds;
    char fd_names[2048];
} sd = {.sock = -1};

static uint64_t env_number(const char *name)
{
    uint64_t v;
    const char *text = getenv(name);
    return text && slice_to_u64(slice_str(text), INT64_MAX, &v) == 0 ? v : 0;
}

/* `absent`: what it means that the variable isn't set (only $WATCHDOG_PID may be absent). */
static bool is_for_us(const char *pid_variable, bool absent)
{
    return getenv(pid_variable) ? env_number(pid_variable) == (uint64_t)getpid() : absent;
}

static void open_notify_socket(const char *path)
{
    size_t n = strlen(path);
    if (n < 2 || n >= sizeof sd.addr.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    sd.addr.sun_family = AF_UNIX;
    memcpy(sd.addr.sun_path, path, n);
    if (path[0] == '@') /* abstract */
        sd.addr.sun_path[0] = '\0';
    sd.addr_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    sd.sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

void sdnotify_init(void)
{
    static const char *const variables[] = {"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC",
                                            "LISTEN_PID",    "LISTEN_FDS",   "LISTEN_FDNAMES"};
    const char *path = getenv("NOTIFY_SOCKET");
    if (path)
        open_notify_socket(path);
    if (is_for_us("WATCHDOG_PID", true))
        sd.watchdog_us = (int64_t)env_number("WATCHDOG_USEC");
    if (is_for_us("LISTEN_PID", false)) {
        const char *names = getenv("LISTEN_FDNAMES");
        sd.n_fds = (unsigned)GW_MIN(env_number("LISTEN_FDS"), (uint64_t)SDNOTIFY_MAX_FDS);
        snprintf(sd.fd_names, sizeof sd.fd_names, "%s", names ? names : "");
    }
    for (size_t i = 0; i < ARRAY_LEN(variables); i++)
        unsetenv(variables[i]);
}

void sdnotify_send(const char *fmt, ...)
{
    char text[2048];
    if (sd.sock < 0)
        return;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n <= 0)
        return;
    ssize_t ignored = sendto(sd.sock, text, GW_MIN((size_t)n, sizeof text - 1), MSG_NOSIGNAL,
                             (struct sockaddr *)&sd.addr, sd.addr_len);
    (void)ignored;
}

void sdnotify_status(const char *text)
{
    char line[512];
    snprintf(line, sizeof line, "%s", text);
    for (char *p = line; *p; p++)
        if ((unsigned char)*p < 0x20)
            *p = ' ';
    sdnotify_send("STATUS=%s", line);
}

int64_t sdnotify_watchdog_us(void)
{
    return sd.watchdog_us;
}

size_t sdnotify_listen_fds(struct sdnotify_fd out[SDNOTIFY_MAX_FDS])
{
    struct slice names = slice_str(sd.fd_names);
    size_t n = 0;
    for (unsigned i = 0; i < sd.n_fds; i++) {
        struct slice name = names.p ? slice_split(&names, ':') : slice_str("");
        int handed = LISTEN_FDS_START + (int)i;
        int fd = fcntl(handed, F_DUPFD_CLOEXEC, FD_FLOOR);
        if (fd < 0)
            continue;
        close(handed);
        out[n].fd = fd;
        snprintf(out[n].name, sizeof out[n].name, "%.*s", SLICE_FMT(name));
        n++;
    }
    sd.n_fds = 0;
    return n;
}
