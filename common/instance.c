/*
 * instance.c: the lock files of instance.h.
 */
#include "common/instance.h"

#include "common/slice.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

static int open_lock_file(const char *dir, int flags, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/gatewayd.lock", dir);
    return open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static pid_t read_holder(int fd)
{
    char text[24];
    ssize_t n = pread(fd, text, sizeof text, 0);
    uint64_t pid;
    if (n <= 0 || slice_to_u64(slice_trim(slice_of(text, (size_t)n - 1)), INT_MAX, &pid) < 0)
        return 0;
    return (pid_t)pid;
}

int instance_lock(const char *dir, int *fd_out, pid_t *holder, struct errbuf *e)
{
    char path[PATH_MAX];
    int fd = open_lock_file(dir, O_RDWR | O_CREAT, path);
    if (fd < 0)
        return err_set_errno(e, "can't open %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int err = errno;
        *holder = read_holder(fd);
        close(fd);
        errno = err;
        return err == EWOULDBLOCK ? 0 : err_set_errno(e, "can't lock %s", path);
    }
    char text[24];
    int n = snprintf(text, sizeof text, "%d\n", (int)getpid());
    if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) != n) {
        err_set_errno(e, "can't write %s", path);
        close(fd);
        return -1;
    }
    *fd_out = fd;
    return 1;
}

bool instance_runs(const char *dir, pid_t *holder)
{
    char path[PATH_MAX];
    int fd = open_lock_file(dir, O_RDONLY, path);
    if (fd < 0)
        return false;
    bool runs = flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
    if (runs && holder)
        *holder = read_holder(fd);
    close(fd);
    return runs;
}
