/*
 * test_listen.c: sets of listening sockets from generation to generation, on loopback.
 */
#include "gatewayd/master/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

static struct listen_set none, a, b;
static struct listen_pool pool;
static struct errbuf e;
static char dir[64];

static int set_up(void **state)
{
    none.n = a.n = b.n = pool.n = 0;
    e.msg[0] = '\0';
    snprintf(dir, sizeof dir, "/tmp/test_listen.XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    for (int kind = 0; kind < LISTEN_KIND_COUNT; kind++) {
        listen_close(&a, (enum listen_kind)kind);
        listen_close(&b, (enum listen_kind)kind);
    }
    return rmdir(dir);
}

static struct ipc_listen tcp(uint16_t port)
{
    struct ipc_listen l = {.kind = LISTEN_DATA, .addr_len = sizeof(struct sockaddr_in), .gid = -1};
    struct sockaddr_in *in = (void *)&l.addr;
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return l;
}

static struct ipc_listen tcp6(uint16_t port)
{
    struct ipc_listen l = {.kind = LISTEN_DATA, .addr_len = sizeof(struct sockaddr_in6), .gid = -1};
    struct sockaddr_in6 *in6 = (void *)&l.addr;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(port);
    in6->sin6_addr = in6addr_loopback;
    return l;
}

static struct ipc_listen local(const char *name)
{
    struct ipc_listen l = {
        .kind = LISTEN_ADMIN, .addr_len = sizeof(struct sockaddr_un), .mode = 0660, .gid = -1};
    struct sockaddr_un *un = (void *)&l.addr;
    un->sun_family = AF_UNIX;
    snprintf(un->sun_path, sizeof un->sun_path, "%.60s/%.20s", dir, name);
    return l;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_in in;
    socklen_t len = sizeof in;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    return ntohs(in.sin_port);
}

/* A port that is free now: bound once by the kernel's choice. */
static uint16_t free_port(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct ipc_listen l = tcp(0);
    assert_int_equal(bind(fd, (struct sockaddr *)&l.addr, l.addr_len), 0);
    uint16_t port = port_of(fd);
    close(fd);
    return port;
}

static int dial(const struct ipc_listen *l)
{
    int fd = socket(l->addr.ss_family, SOCK_STREAM, 0);
    int rc = connect(fd, (const struct sockaddr *)&l->addr, l->addr_len);
    int err = errno;
    close(fd);
    return rc == 0 ? 0 : err;
}

static void open_a(const struct ipc_listen *spec, size_t n)
{
    assert_int_equal(listen_open(&a, spec, n, &none, &pool, &e), 0);
    listen_replace(&a, &none);
}

static void names_addresses(void **state)
{
    char text[LISTEN_TEXT_BYTES];
    struct ipc_listen l = tcp(80);
    assert_string_equal(listen_text(&l, text), "127.0.0.1:80");
    l = tcp6(8443);
    assert_string_equal(listen_text(&l, text), "[::1]:8443");
    l = local("x");
    assert_memory_equal(listen_text(&l, text), "unix:/tmp/", 10);
}

static void opens_all_kinds(void **state)
{
    uint16_t port = free_port();
    struct ipc_listen spec[] = {tcp(port), tcp6(port), local("admin.sock")};
    struct stat st;
    open_a(spec, ARRAY_LEN(spec));
    for (size_t i = 0; i < a.n; i++) {
        assert_int_equal(dial(&spec[i]), 0);
        assert_true(fcntl(a.v[i].fd, F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(a.v[i].fd, F_GETFD) & FD_CLOEXEC);
    }
    assert_int_equal(stat(((struct sockaddr_un *)&spec[2].addr)->sun_path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
    listen_close(&a, LISTEN_ADMIN);
    assert_int_equal(a.n, 2);
    assert_int_equal(dial(&spec[2]), ENOENT);
    assert_int_equal(dial(&spec[0]), 0);
}

static void keeps_what_stays(void **state)
{
    struct ipc_listen stays = tcp(free_port()), goes = local("old.sock"), comes = local("new.sock");
    struct ipc_listen first[] = {stays, goes}, second[] = {comes, stays};
    open_a(first, 2);
    int fd = a.v[0].fd;
    assert_int_equal(listen_open(&b, second, 2, &a, &pool, &e), 0);
    assert_int_equal(b.v[1].fd, fd);
    listen_replace(&b, &a);
    assert_int_equal(a.n, 0);
    assert_int_equal(dial(&stays), 0);
    assert_int_equal(dial(&comes), 0);
    assert_int_equal(dial(&goes), ENOENT);
}

/* A reload that couldn't be repeated at a restart must be refused, and one that could takes effect.
 */
static void a_kept_socket_changes_hands(void **state)
{
    struct ipc_listen l = local("admin.sock");
    const char *path = ((struct sockaddr_un *)&l.addr)->sun_path;
    struct stat st;
    open_a(&l, 1);
    l.mode = 0600;
    l.gid = 12345;
    int rc = listen_open(&b, &l, 1, &a, &pool, &e);
    if (geteuid() == 0) {
        assert_int_equal(rc, 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_gid, 12345);
        assert_int_equal(st.st_mode & 0777, 0600);
    } else {
        assert_int_equal(rc, -1);
        assert_non_null(strstr(e.msg, "must be in that group"));
        assert_int_equal(dial(&l), 0);
    }
}

static void a_discarded_set_leaves_the_old_one(void **state)
{
    struct ipc_listen stays = tcp(free_port()), comes = local("new.sock");
    struct ipc_listen second[] = {stays, comes};
    open_a(&stays, 1);
    assert_int_equal(listen_open(&b, second, 2, &a, &pool, &e), 0);
    listen_discard(&b);
    assert_int_equal(dial(&stays), 0);
    assert_int_equal(dial(&comes), ENOENT);
}

static void says_which_address_is_taken(void **state)
{
    char text[LISTEN_TEXT_BYTES];
    struct ipc_listen fine = local("fine.sock"), taken = tcp(0);
    int other = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(other, (struct sockaddr *)&taken.addr, taken.addr_len), 0);
    assert_int_equal(listen(other, 1), 0);
    taken = tcp(port_of(other));
    struct ipc_listen spec[] = {fine, taken};
    assert_int_equal(listen_open(&b, spec, 2, &none, &pool, &e), -1);
    assert_non_null(strstr(e.msg, listen_text(&taken, text)));
    assert_non_null(strstr(e.msg, "Address already in use"));
    assert_int_equal(dial(&fine), ENOENT); /* nothing of it is left */
    close(other);
}

static void replaces_a_dead_socket_file_only(void **state)
{
    struct ipc_listen l = local("x.sock");
    const char *path = ((struct sockaddr_un *)&l.addr)->sun_path;
    int old = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(old, (struct sockaddr *)&l.addr, l.addr_len), 0);
    assert_int_equal(listen(old, 1), 0);
    assert_int_equal(listen_open(&a, &l, 1, &none, &pool, &e), -1);
    assert_non_null(strstr(e.msg, "another process listens there"));
    close(old);
    open_a(&l, 1);
    assert_int_equal(dial(&l), 0);
    listen_close(&a, LISTEN_ADMIN);

    close(open(path, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(listen_open(&a, &l, 1, &none, &pool, &e), -1);
    assert_non_null(strstr(e.msg, "no socket"));
    assert_int_equal(unlink(path), 0);
}

static void adopt(struct ipc_listen l, const char *name)
{
    static const int on = 1;
    int fd = socket(l.addr.ss_family, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    assert_int_equal(bind(fd, (struct sockaddr *)&l.addr, l.addr_len), 0);
    assert_int_equal(listen(fd, 1), 0);
    pool.v[pool.n].fd = fd;
    snprintf(pool.v[pool.n].name, sizeof pool.v[0].name, "%s", name);
    pool.n++;
}

static void prefers_what_systemd_handed_over(void **state)
{
    struct ipc_listen data = tcp(free_port()), admin = local("sd.sock");
    struct ipc_listen spec[] = {data, admin};
    adopt(local("unused.sock"), "unused");
    adopt(admin, "admin");
    adopt(data, "data");
    int data_fd = pool.v[2].fd;
    open_a(spec, 2);
    assert_int_equal(a.v[0].fd, data_fd);
    assert_true(fcntl(data_fd, F_GETFL) & O_NONBLOCK);
    assert_int_equal(pool.n, 1);
    assert_string_equal(pool.v[0].name, "unused");
    const char *path = ((struct sockaddr_un *)&admin.addr)->sun_path;
    listen_close(&a, LISTEN_ADMIN);
    assert_int_equal(access(path, F_OK), 0); /* the file is systemd's */
    unlink(path);
    close(pool.v[0].fd);
    struct ipc_listen unused = local("unused.sock");
    unlink(((struct sockaddr_un *)&unused.addr)->sun_path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names_addresses),
        TEST(opens_all_kinds),
        TEST(keeps_what_stays),
        TEST(a_kept_socket_changes_hands),
        TEST(a_discarded_set_leaves_the_old_one),
        TEST(says_which_address_is_taken),
        TEST(replaces_a_dead_socket_file_only),
        TEST(prefers_what_systemd_handed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
