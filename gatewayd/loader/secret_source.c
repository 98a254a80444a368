/*
 * secret_source.c: env, credential, file, exec.
 */
#include "gatewayd/loader/secret_source.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static size_t limit_of(enum secret_class class)
{
    return class == SECRET_TOKEN || class == SECRET_DOCUMENT ? (size_t)SECRET_TOKEN_MAX
                                                             : (size_t)SECRET_PEM_MAX;
}

static char *wiped(char *p, size_t n)
{
    crypto_wipe(p, n);
    free(p);
    return NULL;
}

static int check_token(const char *p, size_t *n, struct errbuf *e)
{
    while (*n && (p[*n - 1] == '\n' || p[*n - 1] == '\r'))
        (*n)--;
    if (*n == 0)
        return err_set(e, "is empty");
    for (size_t i = 0; i < *n; i++)
        if (p[i] <= ' ' || p[i] >= 0x7f)
            return err_set(e, "must be one line of printable ASCII without blanks");
    return 0;
}

static int check_mode(const struct stat *st, enum secret_class class, struct errbuf *e)
{
    if (!S_ISREG(st->st_mode))
        return err_set(e, "is not a regular file");
    if ((class == SECRET_TOKEN || class == SECRET_DOCUMENT) && (st->st_mode & 077))
        return err_set(e, "is open to group or others (mode %04o); chmod 600 it",
                       (unsigned)(st->st_mode & 07777));
    if (class == SECRET_PRIVATE_KEY && (st->st_mode & 007))
        return err_set(e, "is open to everyone (mode %04o); chmod 640 it or stricter",
                       (unsigned)(st->st_mode & 07777));
    return 0;
}

/* False: not in time. */
static bool wait_readable(int fd, int64_t deadline_us)
{
    struct pollfd pfd = {.fd = fd, .events = POLLIN};
    for (;;) {
        int64_t left_us = deadline_us - clock_mono_us();
        if (left_us <= 0)
            return false;
        if (poll(&pfd, 1, (int)(left_us / 1000) + 1) > 0)
            return true;
    }
}

/* Reads to the end, at most `limit` bytes, until the deadline (0: none). */
static char *read_all(int fd, size_t limit, int64_t deadline_us, size_t *n, struct errbuf *e)
{
    char *p = gw_xmalloc(limit + 1);
    for (*n = 0; *n <= limit;) {
        if (deadline_us && !wait_readable(fd, deadline_us))
            return err_set(e, "gave no answer in time"), wiped(p, *n);
        ssize_t got = read(fd, p + *n, limit + 1 - *n);
        if (got == 0) {
            p[*n] = '\0';
            return p;
        }
        if (got < 0 && errno != EINTR)
            return err_set_errno(e, "can't be read"), wiped(p, *n);
        *n += got > 0 ? (size_t)got : 0;
    }
    return err_set(e, "has more than %zu bytes", limit), wiped(p, *n);
}

static char *read_file(const char *path, enum secret_class class, bool check, size_t *n,
                       struct errbuf *e)
{
    struct stat st;
    char *p = NULL;
    /* O_NONBLOCK: opening a FIFO must not wait for its writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_set_errno(e, "can't be opened"), NULL;
    if (fstat(fd, &st) < 0)
        err_set_errno(e, "can't be read");
    else if (!check || check_mode(&st, class, e) == 0)
        p = read_all(fd, limit_of(class), 0, n, e);
    close(fd);
    return p;
}

static char *read_env(const char *name, enum secret_class class, size_t *n, struct errbuf *e)
{
    const char *v = getenv(name);
    if (!v)
        return err_set(e, "is not in the environment of gatewayd"), NULL;
    *n = strlen(v);
    if (*n > limit_of(class))
        return err_set(e, "has more than %zu bytes", limit_of(class)), NULL;
    return gw_xstrdup(v);
}

/* systemd has set owner and mode of the directory (0500): the files are as private as it. */
static char *read_credential(const char *name, enum secret_class class, size_t *n, struct errbuf *e)
{
    char path[4096];
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    if (!dir)
        return err_set(e, "needs LoadCredential= in the systemd unit; CREDENTIALS_DIRECTORY is "
                          "not set"),
               NULL;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, name) >= sizeof path)
        return err_set(e, "has too long a path"), NULL;
    return read_file(path, class, false, n, e);
}

static pid_t spawn_program(const char *path, int out, struct errbuf *e)
{
    char *const argv[] = {(char *)path, NULL};
    char *const envp[] = {(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none;
    pid_t pid = -1;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    /* Nothing of ours, the channel to the master above all (glibc 2.34). */
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &none);
    /* A group of its own, so that its children end with it. */
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    int rc = posix_spawn(&pid, path, &actions, &attr, argv, envp);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    if (rc == 0)
        return pid;
    errno = rc;
    return err_set_errno(e, "can't be started");
}

/* Waits for the program until the deadline, then ends its whole group. Returns the wait status. */
static int reap(pid_t pid, int64_t deadline_us)
{
    int status = 0;
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd >= 0) {
        (void)wait_readable(pidfd, deadline_us);
        close(pidfd);
    }
    kill(-pid, SIGKILL); /* a zombie keeps its group id until it is waited for */
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return status;
}

static char *read_exec(const char *path, enum secret_class class, size_t *n, struct errbuf *e)
{
    int64_t deadline_us = clock_mono_us() + SECRET_EXEC_TIMEOUT_US;
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_set_errno(e, "can't get a pipe"), NULL;
    pid_t pid = spawn_program(path, fds[1], e);
    close(fds[1]);
    char *p = pid < 0 ? NULL : read_all(fds[0], limit_of(class), deadline_us, n, e);
    close(fds[0]);
    if (pid < 0)
        return NULL;
    int status = reap(pid, p ? deadline_us : 0);
    if (!p || (WIFEXITED(status) && WEXITSTATUS(status) == 0))
        return p;
    if (WIFEXITED(status))
        err_set(e, "ended with exit status %d", WEXITSTATUS(status));
    else
        err_set(e, "was ended by signal %d", WTERMSIG(status));
    return wiped(p, *n);
}

char *secret_source_read(struct slice ref, enum secret_class class, size_t *n, struct errbuf *e)
{
    struct slice rest = ref;
    struct slice scheme = slice_split(&rest, ':');
    char *name = gw_xstrndup(rest.p, rest.n), *p;
    *n = 0;
    if (slice_eq_str(scheme, "env"))
        p = read_env(name, class, n, e);
    else if (slice_eq_str(scheme, "credential"))
        p = read_credential(name, class, n, e);
    else if (slice_eq_str(scheme, "exec"))
        p = read_exec(name, class, n, e);
    else
        p = read_file(name, class, true, n, e);
    free(name);
    if (p && class == SECRET_TOKEN && check_token(p, n, e) < 0)
        return wiped(p, *n);
    return p;
}
