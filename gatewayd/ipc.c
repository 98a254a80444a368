/*
 * ipc.c: packing, sending and checking of the messages of ipc.h. No policy, no state.
 *
 * Every length is checked against the table below before a field is looked at; descriptors of a
 * message that is refused are closed.
 */
#include "gatewayd/ipc.h"

#include "common/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const uint32_t IPC_MAGIC = 0x47574d31; /* "GWM1": a stray writer on the socket is noticed */

#define BODY(member) sizeof(((struct ipc_msg *)0)->member)

static const struct {
    const char *name;
    size_t body_bytes; /* of a text: the most */
    bool text;
    uint16_t max_fds;
} type_info[IPC_TYPE_COUNT] = {
    [IPC_START] = {"START", BODY(start), false, IPC_MAX_FDS},
    [IPC_READY] = {"READY", BODY(generation), false, 0},
    [IPC_BUILD] = {"BUILD", BODY(build), false, IPC_MAX_FDS},
    [IPC_BUILT] = {"BUILT", BODY(built), false, 0},
    [IPC_SWAP] = {"SWAP", BODY(generation), false, 0},
    [IPC_DISCARD] = {"DISCARD", BODY(generation), false, 0},
    [IPC_DRAIN] = {"DRAIN", BODY(drain), false, 0},
    [IPC_DRAINED] = {"DRAINED", 0, false, 0},
    [IPC_RESUME] = {"RESUME", 0, false, 0},
    [IPC_STOP] = {"STOP", 0, false, 0},
    [IPC_REOPEN_LOG] = {"REOPEN_LOG", BODY(reopen_log), false, 1},
    [IPC_CHILD_DIED] = {"CHILD_DIED", BODY(child_died), false, 0},
    [IPC_REQUEST] = {"REQUEST", BODY(request), false, 0},
    [IPC_RESULT] = {"RESULT", BODY(result), true, 0},
    [IPC_DIRS] = {"DIRS", BODY(dirs), false, 0},
    [IPC_GO] = {"GO", 0, false, 0},
    [IPC_DIFF] = {"DIFF", BODY(text), true, 0},
    [IPC_PREPARED] = {"PREPARED", BODY(prepared), false, 1},
    [IPC_UNCHANGED] = {"UNCHANGED", BODY(generation), false, 0},
    [IPC_FAILED] = {"FAILED", BODY(text), true, 0},
    [IPC_COMMIT] = {"COMMIT", BODY(generation), false, 0},
    [IPC_COMMITTED] = {"COMMITTED", BODY(generation), false, 0},
    [IPC_ABORT] = {"ABORT", BODY(generation), false, 0},
};

static const char *const role_names[ROLE_COUNT] = {
#define X(up, low) [ROLE_##up] = #low,
    ROLE_LIST(X)
#undef X
};

const char *role_name(enum role r)
{
    return r < ROLE_COUNT ? role_names[r] : "?";
}

int role_by_name(const char *name)
{
    for (int r = 0; r < ROLE_COUNT; r++)
        if (strcmp(role_names[r], name) == 0)
            return r;
    return -1;
}

const char *ipc_type_name(enum ipc_type t)
{
    return t > IPC_NONE && t < IPC_TYPE_COUNT ? type_info[t].name : "?";
}

const char *ipc_verb_name(enum ipc_verb v)
{
    static const char *const names[IPC_VERB_COUNT] = {
#define X(name, text) [IPC_VERB_##name] = text,
        IPC_VERBS(X)
#undef X
    };
    return v < IPC_VERB_COUNT ? names[v] : "?";
}

int ipc_pair(int fd[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd);
}

static const struct ipc_text *text_of(enum ipc_type type, const struct ipc_msg *msg)
{
    return type == IPC_RESULT ? &msg->result.text : &msg->text;
}

static size_t packet_bytes(enum ipc_type type, const struct ipc_msg *msg)
{
    size_t n = sizeof msg->head + type_info[type].body_bytes;
    if (type_info[type].text)
        n -= IPC_TEXT_BYTES - text_of(type, msg)->len;
    return n;
}

union ipc_control {
    char buf[CMSG_SPACE(IPC_MAX_FDS * sizeof(int))];
    struct cmsghdr align;
};

int ipc_send(int sock, enum ipc_type type, struct ipc_msg *msg, const int *fds, size_t n_fds)
{
    GW_REQUIRE(type > IPC_NONE && type < IPC_TYPE_COUNT && n_fds <= type_info[type].max_fds);
    GW_REQUIRE(!type_info[type].text || text_of(type, msg)->len <= IPC_TEXT_BYTES);
    msg->head = (struct ipc_head){.magic = IPC_MAGIC, .type = type, .n_fds = (uint16_t)n_fds};
    struct iovec iov = {msg, packet_bytes(type, msg)};
    union ipc_control control;
    struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
    if (n_fds) {
        memset(&control, 0, sizeof control);
        mh.msg_control = control.buf;
        mh.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
    }
    ssize_t n;
    do
        n = sendmsg(sock, &mh, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -1 : 0;
}

int ipc_send_generation(int sock, enum ipc_type type, uint64_t generation)
{
    struct ipc_msg msg = {.generation.generation = generation};
    return ipc_send(sock, type, &msg, NULL, 0);
}

int ipc_send_text(int sock, enum ipc_type type, uint32_t id, bool ok, const char *text, size_t len)
{
    GW_REQUIRE(type_info[type].text);
    len = GW_MIN(len, (size_t)IPC_TEXT_MAX_BYTES);
    struct ipc_msg msg;
    memset(&msg, 0, sizeof msg);
    struct ipc_text *piece = &msg.text;
    if (type == IPC_RESULT) {
        msg.result.id = id;
        msg.result.ok = ok;
        piece = &msg.result.text;
    }
    do {
        size_t n = GW_MIN(len, (size_t)IPC_TEXT_BYTES);
        if (n)
            memcpy(piece->text, text, n);
        text += n;
        len -= n;
        piece->len = (uint16_t)n;
        piece->more = len > 0;
        if (ipc_send(sock, type, &msg, NULL, 0) < 0)
            return -1;
    } while (len > 0);
    return 0;
}

static size_t take_fds(struct msghdr *mh, int fds[IPC_MAX_FDS])
{
    size_t n = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t k = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        k = GW_MIN(k, IPC_MAX_FDS - n);
        memcpy(fds + n, CMSG_DATA(c), k * sizeof(int));
        n += k;
    }
    return n;
}

static bool well_formed(const struct ipc_msg *msg, size_t n_bytes, size_t n_fds)
{
    const struct ipc_head *h = &msg->head;
    if (n_bytes < sizeof *h || h->magic != IPC_MAGIC || h->type == IPC_NONE ||
        h->type >= IPC_TYPE_COUNT || h->n_fds != n_fds || n_fds > type_info[h->type].max_fds)
        return false;
    if (!type_info[h->type].text)
        return n_bytes == sizeof *h + type_info[h->type].body_bytes;
    size_t least = sizeof *h + type_info[h->type].body_bytes - IPC_TEXT_BYTES;
    return n_bytes >= least && text_of(h->type, msg)->len <= IPC_TEXT_BYTES &&
           n_bytes == packet_bytes(h->type, msg);
}

int ipc_recv(int sock, struct ipc_msg *msg, int fds[IPC_MAX_FDS])
{
    union ipc_control control;
    struct iovec iov = {msg, sizeof *msg};
    struct msghdr mh = {.msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = control.buf,
                        .msg_controllen = sizeof control.buf};
    ssize_t n;
    do
        n = recvmsg(sock, &mh, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == ECONNRESET) /* the other end closed with our messages unread */
        return 0;
    if (n <= 0)
        return (int)n;
    size_t n_fds = take_fds(&mh, fds);
    if ((mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || !well_formed(msg, (size_t)n, n_fds)) {
        for (size_t i = 0; i < n_fds; i++)
            close(fds[i]);
        errno = EPROTO;
        return -1;
    }
    return 1;
}

bool ipc_text_add(struct ipc_text_acc *acc, const struct ipc_text *piece)
{
    size_t n = GW_MIN((size_t)piece->len, IPC_TEXT_MAX_BYTES - acc->len);
    acc->data = gw_xrealloc(acc->data, acc->len + n + 1);
    memcpy(acc->data + acc->len, piece->text, n);
    acc->len += n;
    acc->data[acc->len] = '\0';
    return !piece->more;
}

void ipc_text_release(struct ipc_text_acc *acc)
{
    free(acc->data);
    *acc = (struct ipc_text_acc){0};
}
