/*
 * io.c: reads, writes, the handshake and the end of a connection, plain or TLS.
 *
 * Before each OpenSSL call its thread's error queue is emptied: SSL_get_error looks at what an
 * earlier call, on another connection even, left there.
 */
#include "gatewayd/net/io.h"

#include "common/check.h"
#include "gatewayd/net/tls_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_RECORD_BYTES = 16384, MAX_IOV = 64 };

static const char *const status_names[] = {
#define STATUS_NAME(name) #name,
    IO_STATUSES(STATUS_NAME)
#undef STATUS_NAME
};

const char *io_status_name(enum io_status st)
{
    return status_names[st];
}

void io_init(struct io *io, int fd)
{
    *io = (struct io){.fd = fd, .handshaken = true};
}

static int init_tls(struct io *io, int fd, struct tls_ctx *ctx)
{
    *io = (struct io){.fd = -1};
    ERR_clear_error();
    io->ssl = SSL_new(ctx->ssl_ctx);
    if (!io->ssl)
        return -1;
    if (!SSL_set_fd(io->ssl, fd)) {
        SSL_free(io->ssl);
        io->ssl = NULL;
        return -1;
    }
    return 0;
}

int io_init_tls_server(struct io *io, int fd, struct tls_ctx *ctx)
{
    if (init_tls(io, fd, ctx) < 0)
        return -1;
    SSL_set_accept_state(io->ssl);
    io->fd = fd;
    return 0;
}

/* SNI carries DNS names only (RFC 6066 §3); an address is matched against the certificate's
 * iPAddress names. */
static int set_peer_name(SSL *ssl, const char *host)
{
    struct in6_addr ip;
    if (inet_pton(AF_INET, host, &ip) == 1 || inet_pton(AF_INET6, host, &ip) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) ? 0 : -1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(ssl, host) && SSL_set1_host(ssl, host) ? 0 : -1;
}

static void offer_session(struct io *io, struct tls_sessions *sessions)
{
    io->sessions = tls_sessions_ref(sessions);
    SSL_set_app_data(io->ssl, sessions);
    SSL_SESSION *session = tls_sessions_take(sessions);
    if (session) {
        SSL_set_session(io->ssl, session);
        SSL_SESSION_free(session);
    }
}

int io_init_tls_client(struct io *io, int fd, struct tls_ctx *ctx, const char *host,
                       struct tls_sessions *sessions)
{
    if (init_tls(io, fd, ctx) < 0)
        return -1;
    if (set_peer_name(io->ssl, host) < 0) {
        SSL_free(io->ssl);
        io->ssl = NULL;
        return -1;
    }
    SSL_set_connect_state(io->ssl);
    offer_session(io, sessions);
    io->fd = fd;
    return 0;
}

static bool is_lost(int err)
{
    return err == ECONNRESET || err == EPIPE || err == ETIMEDOUT || err == ECONNABORTED ||
           err == ECONNREFUSED || err == ENOTCONN || err == EHOSTUNREACH || err == ENETUNREACH ||
           err == EHOSTDOWN || err == ENETDOWN || err == ENETRESET;
}

static enum io_status sys_failed(struct io *io, int err)
{
    io->broken = true;
    io->sys_errno = err;
    io->reason = strerrordesc_np(err);
    io->detail = NULL;
    return is_lost(err) ? IO_RESET : IO_ERROR;
}

static enum io_status tls_cut(struct io *io)
{
    io->broken = true;
    io->sys_errno = 0;
    io->reason = "the connection ended without TLS close_notify";
    io->detail = NULL;
    return IO_CUT;
}

static enum io_status tls_failed(struct io *io)
{
    unsigned long code = ERR_peek_last_error();
    /* How OpenSSL 3 reports an EOF without close_notify. */
    if (ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        return tls_cut(io);
    io->broken = true;
    io->sys_errno = 0;
    io->reason = code ? ERR_reason_error_string(code) : NULL;
    io->detail = NULL;
    long verified = SSL_get_verify_result(io->ssl);
    if (verified != X509_V_OK && ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED)
        io->detail = X509_verify_cert_error_string(verified);
    return IO_ERROR;
}

static enum io_status tls_status(struct io *io, int ret)
{
    int sys = errno;
    switch (SSL_get_error(io->ssl, ret)) {
    case SSL_ERROR_WANT_READ:
        return IO_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return IO_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return IO_EOF;
    case SSL_ERROR_SYSCALL:
        return sys ? sys_failed(io, sys) : tls_cut(io);
    default:
        return tls_failed(io);
    }
}

static void before_tls_call(void)
{
    ERR_clear_error();
    errno = 0;
}

enum io_status io_handshake(struct io *io)
{
    if (io->handshaken)
        return IO_OK;
    before_tls_call();
    int ret = SSL_do_handshake(io->ssl);
    if (ret != 1)
        return tls_status(io, ret);
    io->handshaken = true;
    return IO_OK;
}

bool io_session_was_resumed(const struct io *io)
{
    return io->ssl && SSL_session_reused(io->ssl);
}

static enum io_status plain_read(struct io *io, void *p, size_t cap, size_t *n)
{
    ssize_t got;
    do
        got = recv(io->fd, p, cap, 0);
    while (got < 0 && errno == EINTR);
    if (got > 0) {
        *n = (size_t)got;
        return IO_OK;
    }
    if (got == 0)
        return IO_EOF;
    return errno == EAGAIN ? IO_WANT_READ : sys_failed(io, errno);
}

/* Goes on only while decrypted or raw bytes are there: one more call would cost a system call to
 * learn that there is nothing. */
static enum io_status tls_read(struct io *io, char *p, size_t cap, size_t *n)
{
    enum io_status st = io->deferred;
    io->deferred = IO_OK;
    while (st == IO_OK) {
        size_t got;
        before_tls_call();
        int ret = SSL_read_ex(io->ssl, p + *n, cap - *n, &got);
        if (ret != 1) {
            st = tls_status(io, ret);
            break;
        }
        *n += got;
        if (*n == cap || !SSL_has_pending(io->ssl))
            return IO_OK;
    }
    if (*n == 0)
        return st;
    if (st != IO_WANT_READ && st != IO_WANT_WRITE)
        io->deferred = (uint8_t)st;
    return IO_OK;
}

enum io_status io_read(struct io *io, void *p, size_t cap, size_t *n)
{
    *n = 0;
    if (!io->ssl)
        return plain_read(io, p, cap, n);
    enum io_status st = io_handshake(io);
    return st == IO_OK ? tls_read(io, p, cap, n) : st;
}

bool io_has_buffered(const struct io *io)
{
    return io->ssl && (io->deferred != IO_OK || SSL_has_pending(io->ssl));
}

static enum io_status plain_writev(struct io *io, const struct iovec *iov, int n_iov, size_t *n)
{
    struct msghdr msg = {.msg_iov = (struct iovec *)iov,
                         .msg_iovlen = (size_t)GW_MIN(n_iov, (int)MAX_IOV)};
    ssize_t put;
    do
        put = sendmsg(io->fd, &msg, MSG_NOSIGNAL);
    while (put < 0 && errno == EINTR);
    if (put < 0)
        return errno == EAGAIN ? IO_WANT_WRITE : sys_failed(io, errno);
    *n = (size_t)put;
    return IO_OK;
}

/* What is left to write: iov[0] from `off` on, then the others. */
struct pieces {
    const struct iovec *iov;
    int n;
    size_t off;
};

static void skip_bytes(struct pieces *w, size_t n)
{
    while (w->n > 0 && n >= w->iov->iov_len - w->off) {
        n -= w->iov->iov_len - w->off;
        w->iov++;
        w->n--;
        w->off = 0;
    }
    w->off += n;
}

/* The next record's bytes: where they lie, if one piece fills it; else gathered. It is always as
 * much as there is, so that a record whose writing is resumed never gets shorter. */
static struct slice next_record(struct pieces w)
{
    static _Thread_local char gathered[MAX_RECORD_BYTES];
    size_t n = w.n > 0 ? w.iov->iov_len - w.off : 0;
    if (w.n == 1 || n >= MAX_RECORD_BYTES)
        return slice_of((char *)w.iov->iov_base + w.off, GW_MIN(n, (size_t)MAX_RECORD_BYTES));
    n = 0;
    for (; w.n > 0 && n < MAX_RECORD_BYTES; w.n--, w.iov++, w.off = 0) {
        size_t part = GW_MIN(w.iov->iov_len - w.off, MAX_RECORD_BYTES - n);
        if (part > 0)
            memcpy(gathered + n, (char *)w.iov->iov_base + w.off, part);
        n += part;
    }
    return slice_of(gathered, n);
}

static enum io_status tls_writev(struct io *io, const struct iovec *iov, int n_iov, size_t *n)
{
    struct pieces w = {iov, n_iov, 0};
    for (;;) {
        size_t put;
        skip_bytes(&w, 0);
        struct slice record = next_record(w);
        if (record.n == 0)
            return IO_OK;
        before_tls_call();
        int ret = SSL_write_ex(io->ssl, record.p, record.n, &put);
        if (ret != 1) {
            enum io_status st = tls_status(io, ret);
            return *n > 0 && (st == IO_WANT_READ || st == IO_WANT_WRITE) ? IO_OK : st;
        }
        *n += put;
        skip_bytes(&w, put);
    }
}

enum io_status io_writev(struct io *io, const struct iovec *iov, int n_iov, size_t *n)
{
    *n = 0;
    if (!io->ssl)
        return plain_writev(io, iov, n_iov, n);
    enum io_status st = io_handshake(io);
    return st == IO_OK ? tls_writev(io, iov, n_iov, n) : st;
}

enum io_status io_write(struct io *io, const void *p, size_t len, size_t *n)
{
    struct iovec iov = {(void *)p, len};
    return io_writev(io, &iov, 1, n);
}

bool io_peek_dead(struct io *io)
{
    char byte;
    if (!io->ssl) {
        ssize_t got = recv(io->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        return got >= 0 || errno != EAGAIN;
    }
    if (io->broken || !io->handshaken || io->deferred != IO_OK)
        return true;
    before_tls_call();
    int ret = SSL_peek(io->ssl, &byte, 1);
    return ret > 0 || tls_status(io, ret) != IO_WANT_READ;
}

static void send_close_notify(struct io *io)
{
    if (!io->ssl || !io->handshaken || io->broken ||
        (SSL_get_shutdown(io->ssl) & SSL_SENT_SHUTDOWN))
        return;
    before_tls_call();
    (void)SSL_shutdown(io->ssl);
    ERR_clear_error();
}

void io_shutdown(struct io *io)
{
    if (io->fd < 0)
        return;
    send_close_notify(io);
    (void)shutdown(io->fd, SHUT_WR);
}

static void free_tls(struct io *io)
{
    if (!io->ssl)
        return;
    /* Without this, freeing a connection before the peer's close_notify spoils its session for
     * resumption. */
    if (io->handshaken && !io->broken)
        SSL_set_shutdown(io->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(io->ssl);
    io->ssl = NULL;
    tls_sessions_free(io->sessions);
    io->sessions = NULL;
}

void io_close(struct io *io)
{
    if (io->fd < 0)
        return;
    send_close_notify(io);
    free_tls(io);
    close(io->fd);
    io->fd = -1;
}

void io_abort(struct io *io)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    if (io->fd < 0)
        return;
    (void)setsockopt(io->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    free_tls(io);
    close(io->fd);
    io->fd = -1;
}

char *io_reason(const struct io *io, char *out, size_t cap)
{
    snprintf(out, cap, "%s%s%s", io->reason ? io->reason : "unknown error", io->detail ? ": " : "",
             io->detail ? io->detail : "");
    return out;
}
