/*
 * test_net_io.c: the plain transport over real sockets (TLS: test_tls.c).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gatewayd/net/io.h"

struct pair {
    struct io a, b;
};

static void open_unix(struct pair *p)
{
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    io_init(&p->a, fd[0]);
    io_init(&p->b, fd[1]);
}

static void open_tcp(struct pair *p)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;
    int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(l, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(listen(l, 1), 0);
    assert_int_equal(getsockname(l, (struct sockaddr *)&addr, &len), 0);
    assert_int_equal(connect(c, (struct sockaddr *)&addr, len), 0);
    io_init(&p->a, c);
    io_init(&p->b, accept(l, NULL, NULL));
    assert_true(p->b.fd >= 0);
    fcntl(p->a.fd, F_SETFL, O_NONBLOCK);
    fcntl(p->b.fd, F_SETFL, O_NONBLOCK);
    close(l);
}

static void close_pair(struct pair *p)
{
    io_close(&p->a);
    io_close(&p->b);
}

static void reads_and_writes(void **state)
{
    struct pair p;
    char in[32];
    size_t n;
    struct iovec iov[] = {{(char *)"ab", 2}, {(char *)"", 0}, {(char *)"cde", 3}};
    open_unix(&p);
    assert_int_equal(io_handshake(&p.a), IO_OK);
    assert_int_equal(io_read(&p.b, in, sizeof in, &n), IO_WANT_READ);
    assert_int_equal(io_writev(&p.a, iov, 3, &n), IO_OK);
    assert_int_equal(n, 5);
    assert_int_equal(io_read(&p.b, in, 3, &n), IO_OK);
    assert_memory_equal(in, "abc", 3);
    assert_false(io_has_buffered(&p.b));
    assert_int_equal(io_read(&p.b, in, sizeof in, &n), IO_OK);
    assert_memory_equal(in, "de", 2);
    io_shutdown(&p.a);
    assert_int_equal(io_read(&p.b, in, sizeof in, &n), IO_EOF);
    assert_int_equal(io_write(&p.b, "x", 1, &n), IO_OK);
    assert_int_equal(io_read(&p.a, in, sizeof in, &n), IO_OK);
    close_pair(&p);
    close_pair(&p);
}

static void a_full_socket_wants_write(void **state)
{
    static char block[1 << 20];
    struct pair p;
    size_t n, total = 0;
    enum io_status st;
    open_unix(&p);
    while ((st = io_write(&p.a, block, sizeof block, &n)) == IO_OK)
        total += n;
    assert_int_equal(st, IO_WANT_WRITE);
    assert_int_equal(n, 0);
    assert_true(total > 0);
    close_pair(&p);
}

static void writing_to_the_gone_is_a_reset_not_a_signal(void **state)
{
    struct pair p;
    size_t n;
    char text[64];
    open_unix(&p);
    io_close(&p.b);
    assert_int_equal(io_write(&p.a, "x", 1, &n), IO_RESET);
    assert_string_equal(io_reason(&p.a, text, sizeof text), "Broken pipe");
    assert_string_equal(io_status_name(IO_RESET), "RESET");
    close_pair(&p);
}

static void abort_is_seen_as_reset(void **state)
{
    struct pair p;
    char in[8];
    size_t n;
    open_tcp(&p);
    assert_int_equal(io_write(&p.a, "cut", 3, &n), IO_OK);
    io_abort(&p.a);
    enum io_status st = io_read(&p.b, in, sizeof in, &n);
    if (st == IO_OK)
        st = io_read(&p.b, in, sizeof in, &n);
    assert_int_equal(st, IO_RESET);
    close_pair(&p);
}

static void dead_pooled_connections_are_found(void **state)
{
    struct pair p;
    char in[8];
    size_t n;
    open_unix(&p);
    assert_false(io_peek_dead(&p.a));
    assert_int_equal(io_write(&p.b, "x", 1, &n), IO_OK);
    assert_true(io_peek_dead(&p.a));
    assert_int_equal(io_read(&p.a, in, sizeof in, &n), IO_OK);
    assert_int_equal(n, 1);
    assert_false(io_peek_dead(&p.a));
    io_close(&p.b);
    assert_true(io_peek_dead(&p.a));
    close_pair(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_writes),
        cmocka_unit_test(a_full_socket_wants_write),
        cmocka_unit_test(writing_to_the_gone_is_a_reset_not_a_signal),
        cmocka_unit_test(abort_is_seen_as_reset),
        cmocka_unit_test(dead_pooled_connections_are_found),
    };
    return cmocka_run_group_tests_name("net_io", tests, NULL, NULL);
}
