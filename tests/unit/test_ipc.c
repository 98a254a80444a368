/*
 * test_ipc.c: messages over a real socketpair; what is malformed is refused and leaks nothing.
 */
#include "gatewayd/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static int pair[2];
static struct ipc_msg out, in;
static int fds[IPC_MAX_FDS];

static int set_up(void **state)
{
    memset(&out, 0, sizeof out);
    return ipc_pair(pair) || fcntl(pair[1], F_SETFL, O_NONBLOCK);
}

static int tear_down(void **state)
{
    close(pair[0]);
    close(pair[1]);
    return 0;
}

static int count_open_fds(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void carries_every_type(void **state)
{
    for (int t = IPC_NONE + 1; t < IPC_TYPE_COUNT; t++) {
        memset(&out, 0, sizeof out);
        out.head.type = 0;
        assert_int_equal(ipc_send(pair[0], (enum ipc_type)t, &out, NULL, 0), 0);
        assert_int_equal(ipc_recv(pair[1], &in, fds), 1);
        assert_int_equal(in.head.type, t);
        assert_int_equal(in.head.n_fds, 0);
        assert_string_not_equal(ipc_type_name((enum ipc_type)t), "?");
    }
    assert_int_equal(ipc_recv(pair[1], &in, fds), -1);
    assert_int_equal(errno, EAGAIN);
}

static void carries_descriptors(void **state)
{
    int sent[IPC_MAX_FDS];
    for (int i = 0; i < IPC_MAX_FDS; i++)
        sent[i] = pair[0];
    out.start.slot = 7;
    int before = count_open_fds();
    assert_int_equal(ipc_send(pair[0], IPC_START, &out, sent, IPC_MAX_FDS), 0);
    assert_int_equal(ipc_recv(pair[1], &in, fds), 1);
    assert_int_equal(in.start.slot, 7);
    assert_int_equal(in.head.n_fds, IPC_MAX_FDS);
    struct stat a, b;
    fstat(pair[0], &a);
    for (int i = 0; i < IPC_MAX_FDS; i++) {
        fstat(fds[i], &b);
        assert_int_equal(a.st_ino, b.st_ino);
        assert_int_equal(fcntl(fds[i], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        close(fds[i]);
    }
    assert_int_equal(count_open_fds(), before);
}

static void cuts_text_into_pieces(void **state)
{
    static const size_t lengths[] = {0,
                                     1,
                                     IPC_TEXT_BYTES,
                                     IPC_TEXT_BYTES + 1,
                                     3 * IPC_TEXT_BYTES,
                                     IPC_TEXT_MAX_BYTES,
                                     IPC_TEXT_MAX_BYTES + 1};
    char *text = malloc(IPC_TEXT_MAX_BYTES + 1);
    for (int i = 0; i <= IPC_TEXT_MAX_BYTES; i++)
        text[i] = (char)('a' + i % 26);
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        struct ipc_text_acc acc = {0};
        size_t want = GW_MIN(lengths[i], (size_t)IPC_TEXT_MAX_BYTES);
        bool whole = false;
        assert_int_equal(ipc_send_text(pair[0], IPC_RESULT, 42, true, text, lengths[i]), 0);
        while (!whole) {
            assert_int_equal(ipc_recv(pair[1], &in, fds), 1);
            assert_int_equal(in.head.type, IPC_RESULT);
            assert_int_equal(in.result.id, 42);
            assert_true(in.result.ok);
            whole = ipc_text_add(&acc, &in.result.text);
        }
        assert_int_equal(acc.len, want);
        assert_memory_equal(acc.data, text, want);
        assert_int_equal(acc.data[want], '\0');
        ipc_text_release(&acc);
    }
    free(text);
}

/* What a sender of another version, or garbage, could put on the socket. */
static void refuses_what_is_malformed(void **state)
{
    out.generation.generation = 5;
    assert_int_equal(ipc_send(pair[0], IPC_SWAP, &out, NULL, 0), 0);
    ssize_t whole = recv(pair[1], &out, sizeof out, 0);
    assert_true(whole > (ssize_t)sizeof out.head);
    const struct {
        const char *what;
        struct ipc_head head;
        size_t bytes;
    } rows[] = {
        {"short", out.head, (size_t)whole - 1},
        {"long", out.head, (size_t)whole + 1},
        {"head alone", out.head, sizeof out.head},
        {"less than a head", out.head, 3},
        {"other magic", {out.head.magic + 1, out.head.type, 0}, (size_t)whole},
        {"type 0", {out.head.magic, IPC_NONE, 0}, (size_t)whole},
        {"unknown type", {out.head.magic, IPC_TYPE_COUNT, 0}, (size_t)whole},
        {"descriptors announced, none there", {out.head.magic, IPC_SWAP, 1}, (size_t)whole},
        {"text shorter than its length", {out.head.magic, IPC_FAILED, 0}, (size_t)whole},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        print_message("%s\n", rows[i].what);
        out.head = rows[i].head;
        assert_int_equal(send(pair[0], &out, rows[i].bytes, 0), rows[i].bytes);
        assert_int_equal(ipc_recv(pair[1], &in, fds), -1);
        assert_int_equal(errno, EPROTO);
    }
}

static void closes_descriptors_of_what_it_refuses(void **state)
{
    int before = count_open_fds();
    struct {
        struct ipc_head head;
        uint64_t generation;
    } raw;
    assert_int_equal(ipc_send(pair[0], IPC_SWAP, &out, NULL, 0), 0);
    assert_int_equal(recv(pair[1], &raw, sizeof raw, 0), sizeof raw);
    raw.head.n_fds = 1; /* SWAP takes none */
    struct iovec iov = {&raw, sizeof raw};
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct msghdr mh = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &pair[0], sizeof(int));
    assert_int_equal(sendmsg(pair[0], &mh, 0), sizeof raw);
    assert_int_equal(ipc_recv(pair[1], &in, fds), -1);
    assert_int_equal(errno, EPROTO);
    assert_int_equal(count_open_fds(), before);
}

static void tells_the_end_and_a_full_socket(void **state)
{
    fcntl(pair[0], F_SETFL, O_NONBLOCK);
    int sent = 0;
    while (ipc_send(pair[0], IPC_START, &out, NULL, 0) == 0)
        sent++;
    assert_int_equal(errno, EAGAIN);
    assert_true(sent >= 8); /* room for what the master may have outstanding */
    close(pair[0]);
    while (sent-- > 0)
        assert_int_equal(ipc_recv(pair[1], &in, fds), 1);
    assert_int_equal(ipc_recv(pair[1], &in, fds), 0);
    assert_int_equal(ipc_send(pair[1], IPC_START, &out, NULL, 0), -1);
    assert_int_equal(errno, EPIPE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(carries_every_type, set_up, tear_down),
        cmocka_unit_test_setup_teardown(carries_descriptors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cuts_text_into_pieces, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_what_is_malformed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(closes_descriptors_of_what_it_refuses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tells_the_end_and_a_full_socket, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
