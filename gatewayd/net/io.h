/*
 * io.h: one transport object for both sides of the gateway: a non-blocking stream socket, plain or
 * TLS.
 *
 * Knows no events: the caller owns the event loop and waits for what the status says. Note that in
 * TLS a read may want the socket writable and the reverse.
 *
 * Reading rule: after IO_OK with a full buffer more may be waiting inside TLS without the socket
 * becoming readable again: read on until IO_WANT_READ, or ask io_has_buffered before going to wait.
 * Writing rule: bytes that io_writev was given and did not count in *n come first in the next call,
 * unchanged (they may lie elsewhere, and more may follow them): TLS may have them in a record.
 *
 * The process must ignore SIGPIPE: OpenSSL writes with write(2).
 */
#ifndef GW_NET_IO_H
#define GW_NET_IO_H

#include "common/base.h"

#include <sys/uio.h>

#define IO_STATUSES(X)                                                                             \
    X(OK)         /* n bytes went; n > 0 unless nothing was asked for */                           \
    X(WANT_READ)  /* nothing went; wait until readable */                                          \
    X(WANT_WRITE) /* nothing went; wait until writable */                                          \
    X(EOF)        /* the peer closed properly (TLS: with close_notify) */                          \
    X(CUT)        /* TLS only: the connection ended without close_notify, maybe cut by someone */  \
    X(RESET)      /* ECONNRESET, EPIPE, ETIMEDOUT, ...: the connection is lost */                  \
    X(ERROR)      /* anything else: a TLS fault, an errno that means a mistake; io_reason says */

enum io_status {
#define IO_STATUS_ENUM(name) IO_##name,
    IO_STATUSES(IO_STATUS_ENUM)
#undef IO_STATUS_ENUM
};

const char *io_status_name(enum io_status st);

struct ssl_st;
struct tls_ctx;
struct tls_sessions;

struct io {
    int fd; /* -1: closed */
    bool handshaken;
    bool broken;      /* no close_notify any more, and its session isn't used again */
    uint8_t deferred; /* enum io_status that the next read returns; IO_OK: none */
    int sys_errno;    /* of the last RESET or ERROR, or 0 */
    const char
        *reason; /* of the last CUT, RESET or ERROR: static text, as is detail (may be NULL) */
    const char *detail;
    struct ssl_st *ssl; /* NULL: plain */
    struct tls_sessions *sessions;
};

/* Takes the non-blocking fd in all three. The TLS ones return -1 only when memory is short; fd is
 * then still the caller's. */
void io_init(struct io *io, int fd);
GW_MUSTUSE int io_init_tls_server(struct io *io, int fd, struct tls_ctx *ctx);
/* `host` is verified against the certificate: a DNS name (sent as SNI too) or an IP address
 * literal without brackets. `sessions` (may be NULL) offers one to resume and collects new ones; a
 * reference is held while the connection lives. */
GW_MUSTUSE int io_init_tls_client(struct io *io, int fd, struct tls_ctx *ctx, const char *host,
                                  struct tls_sessions *sessions);

/* TLS: drives the handshake; IO_OK when it is done. Plain: IO_OK. */
enum io_status io_handshake(struct io *io);
bool io_session_was_resumed(const struct io *io);

/* Reads up to cap > 0 bytes. A TLS handshake that isn't done is driven first. */
enum io_status io_read(struct io *io, void *p, size_t cap, size_t *n);
/* Decrypted or raw bytes are held inside: a read may succeed without waiting. */
bool io_has_buffered(const struct io *io);
/* Writes as much as goes. TLS: small pieces leave in one record of at most 16 KiB, not in a record
 * each. */
enum io_status io_writev(struct io *io, const struct iovec *iov, int n_iov, size_t *n);
enum io_status io_write(struct io *io, const void *p, size_t len, size_t *n);

/* For a pooled connection, before it is used again and whenever it becomes readable: true if the
 * peer has closed it or has sent anything that nobody asked for. TLS session tickets and key
 * updates are taken in and don't count. One system call. */
bool io_peek_dead(struct io *io);

/* Tells the peer that nothing more is sent: close_notify (once, not waited for) and SHUT_WR.
 * Reading goes on. */
void io_shutdown(struct io *io);
/* close_notify where the connection is sound, then frees and closes. Twice is harmless. */
void io_close(struct io *io);
/* Closes so that the peer sees a reset and can't take what it has for complete. */
void io_abort(struct io *io);

/* What the last CUT, RESET or ERROR was, for the log: "certificate verify failed: certificate has
 * expired", "Connection reset by peer". Returns out. */
char *io_reason(const struct io *io, char *out, size_t cap);

#endif
