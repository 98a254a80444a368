/*
 * listen.c: see listen.h. Binds, never accepts.
 */
#include "gatewayd/master/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096 }; /* the kernel cuts it to net.core.somaxconn */

static const char *unix_path(const struct ipc_listen *spec)
{
    return ((const struct sockaddr_un *)&spec->addr)->sun_path;
}

const char *listen_text(const struct ipc_listen *spec, char out[LISTEN_TEXT_BYTES])
{
    char ip[INET6_ADDRSTRLEN] = "?";
    const struct sockaddr_in *in = (const void *)&spec->addr;
    const struct sockaddr_in6 *in6 = (const void *)&spec->addr;
    switch (spec->addr.ss_family) {
    case AF_INET:
        inet_ntop(AF_INET, &in->sin_addr, ip, sizeof ip);
        snprintf(out, LISTEN_TEXT_BYTES, "%s:%u", ip, ntohs(in->sin_port));
        break;
    case AF_INET6:
        inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof ip);
        snprintf(out, LISTEN_TEXT_BYTES, "[%s]:%u", ip, ntohs(in6->sin6_port));
        break;
    case AF_UNIX:
        snprintf(out, LISTEN_TEXT_BYTES, "unix:%s", unix_path(spec));
        break;
    default:
        snprintf(out, LISTEN_TEXT_BYTES, "address of family %d", spec->addr.ss_family);
    }
    return out;
}

static bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;
    const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;
    const struct sockaddr_un *au = (const void *)a, *bu = (const void *)b;
    if (a->ss_family != b->ss_family)
        return false;
    switch (a->ss_family) {
    case AF_INET:
        return a4->sin_port == b4->sin_port && a4->sin_addr.s_addr == b4->sin_addr.s_addr;
    case AF_INET6:
        return a6->sin6_port == b6->sin6_port && a6->sin6_scope_id == b6->sin6_scope_id &&
               memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof a6->sin6_addr) == 0;
    case AF_UNIX:
        return strncmp(au->sun_path, bu->sun_path, sizeof au->sun_path) == 0;
    default:
        return false;
    }
}

/* `ListenStream=8080` of a socket unit is [::]:8080 for both families, which serves a configured
 * 0.0.0.0:8080 as well. */
static bool serves(int fd, const struct sockaddr_storage *wanted)
{
    struct sockaddr_storage bound;
    socklen_t len = sizeof bound;
    memset(&bound, 0, sizeof bound);
    if (getsockname(fd, (struct sockaddr *)&bound, &len) < 0)
        return false;
    if (same_address(&bound, wanted))
        return true;
    const struct sockaddr_in *w4 = (const void *)wanted;
    const struct sockaddr_in6 *b6 = (const void *)&bound;
    int v6only = 1;
    socklen_t opt_len = sizeof v6only;
    return bound.ss_family == AF_INET6 && wanted->ss_family == AF_INET &&
           w4->sin_addr.s_addr == htonl(INADDR_ANY) && b6->sin6_port == w4->sin_port &&
           IN6_IS_ADDR_UNSPECIFIED(&b6->sin6_addr) &&
           getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, &opt_len) == 0 && !v6only;
}

static bool is_stream_listener(int fd)
{
    int type = 0, listening = 0;
    socklen_t len = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_STREAM)
        return false;
    len = sizeof listening;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 && listening;
}

static int take_from_pool(struct listen_pool *pool, const struct ipc_listen *spec)
{
    for (size_t i = 0; i < pool->n; i++) {
        int fd = pool->v[i].fd;
        if (!is_stream_listener(fd) || !serves(fd, &spec->addr))
            continue;
        pool->v[i] = pool->v[--pool->n];
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        return fd;
    }
    return -1;
}

/* A socket file that nobody listens on is a leftover of a crash. Anything else in that place
 * stays. */
static int clear_stale_unix(const struct ipc_listen *spec, const char *text, struct errbuf *e)
{
    struct stat st;
    if (lstat(unix_path(spec), &st) < 0)
        return errno == ENOENT ? 0 : err_set_errno(e, "can't listen on %s", text);
    if (!S_ISSOCK(st.st_mode))
        return err_set(e, "can't listen on %s: there is a file that is no socket", text);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set_errno(e, "can't listen on %s", text);
    int rc = connect(fd, (const struct sockaddr *)&spec->addr, spec->addr_len);
    bool stale = rc < 0 && errno == ECONNREFUSED;
    close(fd);
    if (!stale)
        return err_set(e, "can't listen on %s: another process listens there", text);
    if (unlink(unix_path(spec)) < 0)
        return err_set_errno(e, "can't remove the stale socket %s", text);
    return 0;
}

/* A process without privileges may give a file to its own groups only (chown(2)). */
static int set_access(const struct ipc_listen *spec, const char *text, struct errbuf *e)
{
    const char *path = unix_path(spec);
    gid_t gid = spec->gid >= 0 ? (gid_t)spec->gid : getegid();
    struct stat st;
    if (lstat(path, &st) < 0)
        return 0; /* somebody has taken it away; there is nothing to open wide */
    if ((st.st_gid == gid || chown(path, (uid_t)-1, gid) == 0) &&
        chmod(path, (mode_t)spec->mode) == 0)
        return 0;
    return err_set(e, "can't give %s to group %u with mode %04o: %s%s", text, (unsigned)gid,
                   (unsigned)spec->mode, strerrordesc_np(errno),
                   errno == EPERM ? " (the daemon's user must be in that group, and is known to be "
                                    "from the next restart on)"
                                  : "");
}

static int bind_unix(int fd, const struct ipc_listen *spec, const char *text, struct errbuf *e)
{
    const char *path = unix_path(spec);
    if (clear_stale_unix(spec, text, e) < 0)
        return -1;
    mode_t before = umask(0177); /* nobody gets in before the mode is set */
    int rc = bind(fd, (const struct sockaddr *)&spec->addr, spec->addr_len);
    umask(before);
    if (rc < 0)
        return err_set_errno(e, "can't listen on %s", text);
    rc = set_access(spec, text, e);
    if (rc < 0)
        unlink(path);
    return rc;
}

static int bind_inet(int fd, const struct ipc_listen *spec, const char *text, struct errbuf *e)
{
    static const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (spec->addr.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, (const struct sockaddr *)&spec->addr, spec->addr_len) == 0)
        return 0;
    const char *hint = "";
    if (errno == EADDRINUSE)
        hint = " (by another process, or by this daemon on an address that covers it: changing "
               "between the two needs a restart)";
    else if (errno == EACCES)
        hint = " (ports below 1024 need CAP_NET_BIND_SERVICE or a systemd socket unit)";
    return err_set(e, "can't listen on %s: %s%s", text, strerrordesc_np(errno), hint);
}

static int open_one(const struct ipc_listen *spec, struct errbuf *e)
{
    char text[LISTEN_TEXT_BYTES];
    listen_text(spec, text);
    int fd = socket(spec->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set_errno(e, "can't listen on %s", text);
    bool local = spec->addr.ss_family == AF_UNIX;
    if ((local ? bind_unix(fd, spec, text, e) : bind_inet(fd, spec, text, e)) == 0) {
        if (listen(fd, BACKLOG) == 0)
            return fd;
        err_set_errno(e, "can't listen on %s", text);
    }
    close(fd);
    return -1;
}

static const struct listener *find(const struct listen_set *set, const struct ipc_listen *spec)
{
    for (size_t i = 0; i < set->n; i++)
        if (same_address(&set->v[i].spec.addr, &spec->addr))
            return &set->v[i];
    return NULL;
}

int listen_open(struct listen_set *set, const struct ipc_listen *spec, size_t n,
                const struct listen_set *old, struct listen_pool *pool, struct errbuf *e)
{
    char text[LISTEN_TEXT_BYTES];
    set->n = 0;
    for (size_t i = 0; i < n && i < IPC_MAX_LISTENERS; i++) {
        struct listener l = {.spec = spec[i], .fd = -1};
        const struct listener *kept = find(old, &spec[i]);
        if (kept) {
            l.fd = kept->fd;
            l.shared = true;
            l.adopted = kept->adopted;
            if (l.spec.addr.ss_family == AF_UNIX && !l.adopted &&
                set_access(&l.spec, listen_text(&l.spec, text), e) < 0) {
                listen_discard(set);
                return -1;
            }
        } else if ((l.fd = take_from_pool(pool, &spec[i])) >= 0) {
            l.adopted = true;
        } else if ((l.fd = open_one(&spec[i], e)) < 0) {
            listen_discard(set);
            return -1;
        }
        set->v[set->n++] = l;
    }
    return 0;
}

static void close_one(const struct listener *l)
{
    close(l->fd);
    if (l->spec.addr.ss_family == AF_UNIX && !l->adopted)
        unlink(unix_path(&l->spec));
}

void listen_discard(struct listen_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        if (!set->v[i].shared)
            close_one(&set->v[i]);
    set->n = 0;
}

void listen_replace(struct listen_set *set, struct listen_set *old)
{
    for (size_t i = 0; i < old->n; i++)
        if (!find(set, &old->v[i].spec))
            close_one(&old->v[i]);
    old->n = 0;
    for (size_t i = 0; i < set->n; i++)
        set->v[i].shared = false;
}

void listen_close(struct listen_set *set, enum listen_kind kind)
{
    size_t kept = 0;
    for (size_t i = 0; i < set->n; i++) {
        if (set->v[i].spec.kind == kind)
            close_one(&set->v[i]);
        else
            set->v[kept++] = set->v[i];
    }
    set->n = kept;
}
