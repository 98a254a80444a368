/*
 * test_sdnotify.c: notification datagrams and sockets handed over, as systemd sends them.
 */
#include "gatewayd/master/sdnotify.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static void receive(int sock, const char *want)
{
    char text[4096] = "";
    ssize_t n = recv(sock, text, sizeof text - 1, MSG_DONTWAIT);
    assert_true(n >= 0);
    assert_string_equal(text, want);
}

static void speaks_to_the_notify_socket(void **state)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    char name[64], pid[16];
    snprintf(name, sizeof name, "@gatewayd-test-%d", (int)getpid());
    memcpy(un.sun_path, name, strlen(name));
    un.sun_path[0] = '\0';
    int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    assert_int_equal(bind(sock, (struct sockaddr *)&un, len), 0);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("NOTIFY_SOCKET", name, 1);
    setenv("WATCHDOG_USEC", "30000000", 1);
    setenv("WATCHDOG_PID", pid, 1);

    sdnotify_send("LOST=1"); /* before init: nowhere to go */
    sdnotify_init();
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_null(getenv("WATCHDOG_USEC"));
    assert_int_equal(sdnotify_watchdog_us(), 30000000);
    sdnotify_send("READY=1\nSTATUS=%d workers", 2);
    receive(sock, "READY=1\nSTATUS=2 workers");
    sdnotify_status("a\nREADY=1");
    receive(sock, "STATUS=a READY=1"); /* text from a file can't add a line of its own */
    close(sock);
    sdnotify_send("WATCHDOG=1"); /* systemd is gone: ignored */
}

/* In a process of its own: descriptors 3 and up are what systemd says they are. */
static int adopt(const char *pid_text, int n_fds, const char *names)
{
    struct sdnotify_fd got[SDNOTIFY_MAX_FDS];
    char pid[16], count[8];
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    snprintf(count, sizeof count, "%d", n_fds);
    setenv("LISTEN_PID", pid_text ? pid_text : pid, 1);
    setenv("LISTEN_FDS", count, 1);
    if (names)
        setenv("LISTEN_FDNAMES", names, 1);
    for (int i = 0; i < 2; i++)
        dup2(STDERR_FILENO, 3 + i);
    sdnotify_init();
    size_t n = sdnotify_listen_fds(got);
    if (getenv("LISTEN_FDS") || sdnotify_listen_fds(got + n) != 0)
        return 99;
    for (size_t i = 0; i < n; i++)
        if (got[i].fd < 16 || !(fcntl(got[i].fd, F_GETFD) & FD_CLOEXEC))
            return 98;
    if (n == 2 && names && (strcmp(got[0].name, "data") || strcmp(got[1].name, "admin")))
        return 97;
    return (int)n;
}

static void takes_over_sockets(void **state)
{
    static const struct {
        const char *pid;
        int n_fds;
        const char *names;
        int want;
    } rows[] = {{NULL, 2, "data:admin", 2},
                {NULL, 2, NULL, 2},
                {"1", 2, "data:admin", 0},
                {"x", 2, NULL, 0},
                {NULL, 0, "", 0}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int status;
        pid_t pid = fork();
        if (pid == 0)
            _exit(adopt(rows[i].pid, rows[i].n_fds, rows[i].names));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(speaks_to_the_notify_socket),
                                       cmocka_unit_test(takes_over_sockets)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
