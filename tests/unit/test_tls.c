/*
 * test_tls.c: contexts, verification, resumption, and the transport with TLS on both ends of a
 * socket pair. Certificates are made here, at every run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "gatewayd/net/io.h"
#include "gatewayd/net/tls_internal.h"
#include "gatewayd/net/tls_tickets.h"

struct identity {
    EVP_PKEY *key;
    X509 *cert;
    char cert_pem[4096], key_pem[1024];
};

static struct identity ca, other_ca, server, expired, client;

static void to_pem(struct identity *id)
{
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509(bio, id->cert), 1);
    id->cert_pem[BIO_read(bio, id->cert_pem, sizeof id->cert_pem - 1)] = '\0';
    assert_int_equal(PEM_write_bio_PrivateKey(bio, id->key, NULL, NULL, 0, NULL, NULL), 1);
    id->key_pem[BIO_read(bio, id->key_pem, sizeof id->key_pem - 1)] = '\0';
    BIO_free(bio);
}

static void add_extension(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    assert_non_null(ext);
    X509_add_ext(cert, ext, -1);
    X509_EXTENSION_free(ext);
}

/* san NULL: a CA. issuer NULL: self-signed. */
static void make(struct identity *id, const char *name, const char *san,
                 const struct identity *issuer, long seconds_left)
{
    static long serial = 1;
    id->key = EVP_EC_gen("P-256");
    id->cert = X509_new();
    X509_set_version(id->cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(id->cert), serial++);
    X509_gmtime_adj(X509_getm_notBefore(id->cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(id->cert), seconds_left);
    X509_set_pubkey(id->cert, id->key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(id->cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(id->cert, X509_get_subject_name(issuer ? issuer->cert : id->cert));
    add_extension(id->cert, NID_basic_constraints, san ? "CA:FALSE" : "critical,CA:TRUE");
    if (san)
        add_extension(id->cert, NID_subject_alt_name, san);
    assert_true(X509_sign(id->cert, issuer ? issuer->key : id->key, EVP_sha256()) > 0);
    to_pem(id);
}

static int make_identities(void **state)
{
    signal(SIGPIPE, SIG_IGN);
    make(&ca, "test ca", NULL, NULL, 3600);
    make(&other_ca, "other ca", NULL, NULL, 3600);
    make(&server, "server", "DNS:api.example,DNS:*.wild.example,IP:127.0.0.1,IP:::1", &ca, 3600);
    make(&expired, "expired", "DNS:api.example", &ca, -60);
    make(&client, "client", "DNS:client", &ca, 3600);
    return 0;
}

static void release(struct identity *id)
{
    EVP_PKEY_free(id->key);
    X509_free(id->cert);
}

static int free_identities(void **state)
{
    release(&ca);
    release(&other_ca);
    release(&server);
    release(&expired);
    release(&client);
    return 0;
}

static struct tls_pem pem(const char *text, const char *setting)
{
    return (struct tls_pem){slice_str(text), setting};
}

static const char secret[] = "0123456789abcdef0123456789abcdef";

static struct tls_ctx *server_ctx(const struct identity *id, const struct identity *client_ca,
                                  const char *ticket_secret)
{
    struct errbuf err = {""};
    struct tls_server_options o = {
        .certificate = pem(id->cert_pem, "[tls] certificate"),
        .key = pem(id->key_pem, "[tls] key"),
        .client_ca = pem(client_ca ? client_ca->cert_pem : NULL, "[tls] client_ca"),
        .ticket_secret = slice_str(ticket_secret),
    };
    struct tls_ctx *ctx = tls_server_new(&o, &err);
    if (!ctx)
        fail_msg("%s", err.msg);
    return ctx;
}

static struct tls_ctx *client_ctx(const struct identity *root, const struct identity *own)
{
    struct errbuf err = {""};
    struct tls_ca *roots = tls_ca_load(pem(root->cert_pem, "ca_file"), &err);
    assert_non_null(roots);
    struct tls_client_options o = {
        .ca = roots,
        .client_certificate = pem(own ? own->cert_pem : NULL, "client_certificate"),
        .client_key = pem(own ? own->key_pem : NULL, "client_key"),
    };
    struct tls_ctx *ctx = tls_client_new(&o, &err);
    if (!ctx)
        fail_msg("%s", err.msg);
    tls_ca_free(roots);
    return ctx;
}

struct pair {
    struct io c, s;
    enum io_status c_st, s_st;
};

static bool is_over(enum io_status st)
{
    return st != IO_WANT_READ && st != IO_WANT_WRITE;
}

static void start(struct pair *p, struct tls_ctx *c, struct tls_ctx *s, const char *host,
                  struct tls_sessions *sessions)
{
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    assert_int_equal(io_init_tls_client(&p->c, fd[0], c, host, sessions), 0);
    assert_int_equal(io_init_tls_server(&p->s, fd[1], s), 0);
    p->c_st = p->s_st = IO_WANT_READ;
}

static void shake(struct pair *p)
{
    for (int i = 0; i < 20 && !(is_over(p->c_st) && is_over(p->s_st)); i++) {
        if (!is_over(p->c_st))
            p->c_st = io_handshake(&p->c);
        if (!is_over(p->s_st))
            p->s_st = io_handshake(&p->s);
    }
}

static void stop(struct pair *p)
{
    io_close(&p->c);
    io_close(&p->s);
}

static void open_pair(struct pair *p, struct tls_ctx *c, struct tls_ctx *s,
                      struct tls_sessions *sessions)
{
    char text[128];
    start(p, c, s, "api.example", sessions);
    shake(p);
    if (p->c_st != IO_OK || p->s_st != IO_OK)
        fail_msg("handshake: %s", io_reason(p->c_st != IO_OK ? &p->c : &p->s, text, sizeof text));
}

/* Reads all that is there; returns the status that ended it. */
static enum io_status swallow(struct io *io, char *out, size_t cap, size_t *n_out)
{
    enum io_status st;
    size_t n;
    *n_out = 0;
    while ((st = io_read(io, out + *n_out, cap - *n_out, &n)) == IO_OK)
        *n_out += n;
    return st;
}

static void verification(void **state)
{
    struct identity self_signed;
    make(&self_signed, "self", "DNS:api.example", NULL, 3600);
    const struct {
        const struct identity *server, *root;
        const char *host, *reason; /* NULL: verified */
    } rows[] = {
        {&server, &ca, "api.example", NULL},
        {&server, &ca, "API.EXAMPLE", NULL},
        {&server, &ca, "a.wild.example", NULL},
        {&server, &ca, "127.0.0.1", NULL},
        {&server, &ca, "::1", NULL},
        {&self_signed, &self_signed, "api.example", NULL},
        {&server, &ca, "evil.example", "certificate verify failed: hostname mismatch"},
        {&server, &ca, "a.b.wild.example", "certificate verify failed: hostname mismatch"},
        {&server, &ca, "127.0.0.2", "certificate verify failed: IP address mismatch"},
        {&server, &other_ca, "api.example",
         "certificate verify failed: unable to get local issuer certificate"},
        {&self_signed, &ca, "api.example", "certificate verify failed: self-signed certificate"},
        {&expired, &ca, "api.example", "certificate verify failed: certificate has expired"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct tls_ctx *s = server_ctx(rows[i].server, NULL, secret);
        struct tls_ctx *c = client_ctx(rows[i].root, NULL);
        struct pair p;
        char text[128];
        start(&p, c, s, rows[i].host, NULL);
        tls_ctx_free(s); /* the connection holds on to it */
        tls_ctx_free(c);
        shake(&p);
        if (!rows[i].reason) {
            assert_int_equal(p.c_st, IO_OK);
            assert_int_equal(p.s_st, IO_OK);
        } else {
            assert_int_equal(p.c_st, IO_ERROR);
            assert_string_equal(io_reason(&p.c, text, sizeof text), rows[i].reason);
            assert_int_equal(p.s_st, IO_ERROR);
        }
        stop(&p);
    }
    release(&self_signed);
}

/* Sends `len` bytes in odd pieces that are moved after every short write, as a queue does. */
static void send_all(struct pair *p, struct io *from, struct io *to, size_t len)
{
    char *out = malloc(len), *in = malloc(len + 1);
    size_t sent = 0, got = 0, n;
    for (size_t i = 0; i < len; i++)
        out[i] = (char)(i * 31 + i / 251);
    while (got < len) {
        size_t left = len - sent, first = left / 3, second = left / 7;
        char *moved = malloc(left + 1);
        memcpy(moved, out + sent, left);
        struct iovec iov[] = {{moved, first},
                              {moved + first, 0},
                              {moved + first, second},
                              {moved + first + second, left - first - second}};
        enum io_status st = io_writev(from, iov, 4, &n);
        assert_true(st == IO_OK || st == IO_WANT_WRITE);
        sent += n;
        free(moved);
        do {
            st = io_read(to, in + got, GW_MIN(len + 1 - got, (size_t)5000), &n);
            got += n;
        } while (st == IO_OK);
        assert_int_equal(st, IO_WANT_READ);
    }
    assert_int_equal(got, len);
    assert_memory_equal(in, out, len);
    free(in);
    free(out);
}

static void bytes_go_both_ways(void **state)
{
    static const size_t sizes[] = {1, 100, 16383, 16384, 16385, 50000, 1000000};
    struct tls_ctx *s = server_ctx(&server, NULL, secret), *c = client_ctx(&ca, NULL);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct pair p;
        int small = 8192;
        SSL_CTX_set_max_proto_version(s->ssl_ctx, version);
        open_pair(&p, c, s, NULL);
        assert_int_equal(SSL_version(p.c.ssl), version);
        setsockopt(p.c.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
        setsockopt(p.s.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            send_all(&p, &p.c, &p.s, sizes[i]);
            send_all(&p, &p.s, &p.c, sizes[i]);
        }
        stop(&p);
    }
    tls_ctx_free(s);
    tls_ctx_free(c);
}

static void small_pieces_leave_in_one_record(void **state)
{
    struct tls_ctx *s = server_ctx(&server, NULL, secret), *c = client_ctx(&ca, NULL);
    struct pair p;
    struct iovec iov[] = {{(char *)"5\r\n", 3}, {(char *)"hello", 5}, {(char *)"\r\n", 2}};
    char raw[256];
    size_t n;
    open_pair(&p, c, s, NULL);
    assert_int_equal(io_writev(&p.c, iov, 3, &n), IO_OK);
    assert_int_equal(n, 10);
    /* record header, data, content type, tag: RFC 8446 §5.2 */
    assert_int_equal(recv(p.s.fd, raw, sizeof raw, MSG_PEEK), 5 + 10 + 1 + 16);
    stop(&p);
    tls_ctx_free(s);
    tls_ctx_free(c);
}

static void buffered_bytes_are_known(void **state)
{
    struct tls_ctx *s = server_ctx(&server, NULL, secret), *c = client_ctx(&ca, NULL);
    struct pair p;
    char in[4];
    size_t n;
    open_pair(&p, c, s, NULL);
    assert_int_equal(io_write(&p.c, "0123456789", 10, &n), IO_OK);
    assert_int_equal(io_read(&p.s, in, 4, &n), IO_OK);
    assert_true(io_has_buffered(&p.s));
    assert_int_equal(io_read(&p.s, in, 4, &n), IO_OK);
    assert_int_equal(io_read(&p.s, in, 4, &n), IO_OK);
    assert_int_equal(n, 2);
    assert_false(io_has_buffered(&p.s));
    assert_int_equal(io_read(&p.s, in, 4, &n), IO_WANT_READ);
    stop(&p);
    tls_ctx_free(s);
    tls_ctx_free(c);
}

static void ends_are_told_apart(void **state)
{
    struct tls_ctx *s = server_ctx(&server, NULL, secret), *c = client_ctx(&ca, NULL);
    for (int clean = 0; clean < 2; clean++) {
        struct pair p;
        char in[64];
        size_t n;
        open_pair(&p, c, s, NULL);
        assert_int_equal(io_write(&p.s, "last", 4, &n), IO_OK);
        if (clean)
            io_shutdown(&p.s);
        else
            shutdown(p.s.fd, SHUT_WR);
        enum io_status st = swallow(&p.c, in, sizeof in, &n);
        assert_int_equal(n, 4);
        assert_int_equal(st, clean ? IO_EOF : IO_CUT);
        if (clean) {
            assert_int_equal(io_write(&p.c, "reply", 5, &n), IO_OK);
            assert_int_equal(io_read(&p.s, in, sizeof in, &n), IO_OK);
            assert_int_equal(n, 5);
        }
        stop(&p);
    }
    tls_ctx_free(s);
    tls_ctx_free(c);
}

static void garbage_is_an_error(void **state)
{
    struct tls_ctx *s = server_ctx(&server, NULL, secret);
    int fd[2];
    struct io io;
    char text[128];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    assert_int_equal(io_init_tls_server(&io, fd[0], s), 0);
    assert_int_equal(write(fd[1], "GET / HTTP/1.1\r\n\r\n", 18), 18);
    assert_int_equal(io_handshake(&io), IO_ERROR);
    assert_string_equal(io_reason(&io, text, sizeof text), "http request");
    io_close(&io);
    close(fd[1]);
    tls_ctx_free(s);
}

static void dead_pooled_connections_are_found(void **state)
{
    struct tls_ctx *s = server_ctx(&server, NULL, secret), *c = client_ctx(&ca, NULL);
    struct tls_sessions *sessions = tls_sessions_new();
    struct pair p;
    char in[8];
    size_t n;
    open_pair(&p, c, s, sessions);
    /* the server's session ticket lies unread in the socket */
    assert_true(recv(p.c.fd, in, 1, MSG_PEEK) == 1);
    assert_false(io_peek_dead(&p.c));
    assert_true(recv(p.c.fd, in, 1, MSG_PEEK) < 0);
    SSL_key_update(p.s.ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
    assert_int_equal(SSL_do_handshake(p.s.ssl), 1);
    assert_false(io_peek_dead(&p.c));

    assert_int_equal(io_write(&p.s, "stray", 5, &n), IO_OK);
    assert_true(io_peek_dead(&p.c));
    assert_int_equal(io_read(&p.c, in, sizeof in, &n), IO_OK);
    assert_false(io_peek_dead(&p.c));
    io_close(&p.s);
    assert_true(io_peek_dead(&p.c));
    stop(&p);

    open_pair(&p, c, s, sessions);
    close(p.s.fd);
    assert_true(io_peek_dead(&p.c));
    SSL_free(p.s.ssl);
    io_close(&p.c);
    tls_sessions_free(sessions);
    tls_ctx_free(s);
    tls_ctx_free(c);
}

/* One exchange, so that the ticket is read; returns whether a session was resumed. */
static bool visit(struct tls_ctx *c, struct tls_ctx *s, struct tls_sessions *sessions)
{
    struct pair p;
    char in[8];
    size_t n;
    open_pair(&p, c, s, sessions);
    assert_int_equal(io_write(&p.s, "hi", 2, &n), IO_OK);
    assert_int_equal(io_read(&p.c, in, sizeof in, &n), IO_OK);
    bool resumed = io_session_was_resumed(&p.c);
    assert_int_equal(resumed, io_session_was_resumed(&p.s));
    stop(&p);
    return resumed;
}

static void sessions_resume_in_every_worker(void **state)
{
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct tls_ctx *one = server_ctx(&server, NULL, secret);
        struct tls_ctx *two = server_ctx(&server, NULL, secret);
        struct tls_ctx *foreign = server_ctx(&server, NULL, "another secret of at least 32 bytes!");
        struct tls_ctx *silent = server_ctx(&server, NULL, NULL);
        struct tls_ctx *c = client_ctx(&ca, NULL);
        struct tls_sessions *sessions = tls_sessions_new();
        SSL_CTX_set_max_proto_version(c->ssl_ctx, version);
        assert_false(visit(c, one, sessions));
        assert_true(visit(c, one, sessions));
        assert_true(visit(c, two, sessions));
        assert_false(visit(c, foreign, sessions));
        assert_false(visit(c, one, NULL));
        tls_sessions_free(sessions);

        sessions = tls_sessions_new();
        assert_false(visit(c, silent, sessions));
        assert_false(visit(c, silent, sessions));
        tls_sessions_free(sessions);
        tls_ctx_free(one);
        tls_ctx_free(two);
        tls_ctx_free(foreign);
        tls_ctx_free(silent);
        tls_ctx_free(c);
    }
}

static void ticket_keys_change_with_time(void **state)
{
    static const struct {
        int64_t later_us;
        bool resumed;
    } rows[] = {
        {0, true},
        {TLS_TICKET_EPOCH_US - 1, true},
        {TLS_TICKET_EPOCH_US, true},
        {2 * TLS_TICKET_EPOCH_US - 1, true},
        {2 * TLS_TICKET_EPOCH_US, false},
        {30 * TLS_TICKET_EPOCH_US, false},
        {-1, false}, /* a clock that was set back: a full handshake, no more */
    };
    for (size_t i = 0; i < 2 * ARRAY_LEN(rows); i++) {
        struct tls_ctx *one = server_ctx(&server, NULL, secret);
        struct tls_ctx *two = server_ctx(&server, NULL, secret);
        struct tls_ctx *c = client_ctx(&ca, NULL);
        struct tls_sessions *sessions = tls_sessions_new();
        SSL_CTX_set_max_proto_version(c->ssl_ctx, i % 2 ? TLS1_2_VERSION : TLS1_3_VERSION);
        int64_t now_us = 40000 * TLS_TICKET_EPOCH_US;
        clock_fake_set(-1, now_us);
        assert_false(visit(c, one, sessions));
        now_us += rows[i / 2].later_us;
        clock_fake_set(-1, now_us);
        assert_int_equal(visit(c, two, sessions), rows[i / 2].resumed);
        /* Whatever came of the old ticket, there is a new one, which any worker takes. (The
         * library's TLS 1.2 client doesn't tell of one that replaces the ticket it came with.) */
        clock_fake_set(-1, now_us + TLS_TICKET_EPOCH_US);
        if (i % 2 == 0 || !rows[i / 2].resumed)
            assert_true(visit(c, one, sessions));
        tls_sessions_free(sessions);
        tls_ctx_free(one);
        tls_ctx_free(two);
        tls_ctx_free(c);
    }
    clock_fake_set(-1, -1);
}

static void a_tls13_ticket_is_offered_once(void **state)
{
    struct tls_ctx *s = server_ctx(&server, NULL, secret), *c = client_ctx(&ca, NULL);
    struct tls_sessions *sessions = tls_sessions_new();
    struct pair first, second;
    assert_false(visit(c, s, sessions));
    open_pair(&first, c, s, sessions);
    open_pair(&second, c, s, sessions);
    assert_true(io_session_was_resumed(&first.c));
    assert_false(io_session_was_resumed(&second.c));
    /* freed before its connections: they hold on to it, and still put their tickets there */
    tls_sessions_free(sessions);
    assert_false(io_peek_dead(&first.c));
    stop(&first);
    stop(&second);
    tls_ctx_free(s);
    tls_ctx_free(c);
}

static void client_certificates(void **state)
{
    struct tls_ctx *s = server_ctx(&server, &ca, secret);
    struct tls_ctx *with = client_ctx(&ca, &client), *without = client_ctx(&ca, NULL);
    struct tls_sessions *sessions = tls_sessions_new();
    struct pair p;
    char text[128];
    assert_false(visit(with, s, sessions));
    assert_true(visit(with, s, sessions));
    tls_sessions_free(sessions);

    start(&p, without, s, "api.example", NULL);
    shake(&p);
    assert_int_equal(p.s_st, IO_ERROR);
    assert_string_equal(io_reason(&p.s, text, sizeof text), "peer did not return a certificate");
    stop(&p);
    tls_ctx_free(with);
    tls_ctx_free(without);
    tls_ctx_free(s);
}

static void alpn(void **state)
{
    struct tls_ctx *s = server_ctx(&server, NULL, secret), *c = client_ctx(&ca, NULL);
    struct pair p;
    const unsigned char *chosen;
    unsigned n;
    open_pair(&p, c, s, NULL);
    SSL_get0_alpn_selected(p.c.ssl, &chosen, &n);
    assert_true(slice_eq_str(slice_of((const char *)chosen, n), "http/1.1"));
    stop(&p);
    start(&p, c, s, "api.example", NULL);
    SSL_set_alpn_protos(p.c.ssl, (const unsigned char *)"\x02h2", 3);
    shake(&p);
    assert_int_equal(p.s_st, IO_ERROR);
    stop(&p);
    tls_ctx_free(s);
    tls_ctx_free(c);
}

static void old_versions_are_refused(void **state)
{
    struct tls_ctx *s = server_ctx(&server, NULL, secret), *c = client_ctx(&ca, NULL);
    struct pair p;
    start(&p, c, s, "api.example", NULL);
    SSL_set_min_proto_version(p.c.ssl, TLS1_VERSION);
    SSL_set_max_proto_version(p.c.ssl, TLS1_1_VERSION);
    SSL_set_cipher_list(p.c.ssl, "ALL:@SECLEVEL=0");
    shake(&p);
    assert_int_equal(p.s_st, IO_ERROR);
    stop(&p);
    tls_ctx_free(s);
    tls_ctx_free(c);
}

static void errors_name_the_setting(void **state)
{
    char encrypted[2048], broken[4096];
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PKCS8PrivateKey(bio, server.key, EVP_aes_128_cbc(), "pw", 2, NULL, NULL);
    encrypted[BIO_read(bio, encrypted, sizeof encrypted - 1)] = '\0';
    BIO_free(bio);
    strcpy(broken, server.cert_pem);
    broken[60] = '*';

    const struct {
        const char *cert, *key, *client_ca, *secret, *message;
    } rows[] = {
        {"", server.key_pem, "", secret, "[tls] certificate: holds no certificate"},
        {server.key_pem, server.key_pem, "", secret, "[tls] certificate: holds no certificate"},
        {broken, server.key_pem, "", secret, "[tls] certificate: certificate 1 is broken"},
        {server.cert_pem, "", "", secret, "[tls] key: holds no private key"},
        {server.cert_pem, server.cert_pem, "", secret, "[tls] key: holds no private key"},
        {server.cert_pem, encrypted, "", secret, "[tls] key: the key is encrypted"},
        {server.cert_pem, client.key_pem, "", secret,
         "[tls] key: the key doesn't belong to the first certificate of [tls] certificate"},
        {server.cert_pem, server.key_pem, "x", secret, "[tls] client_ca: holds no certificate"},
        {server.cert_pem, server.key_pem, "", "short", "the session ticket secret has 5 bytes"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct errbuf err = {""};
        struct tls_server_options o = {
            .certificate = pem(rows[i].cert, "[tls] certificate"),
            .key = pem(rows[i].key, "[tls] key"),
            .client_ca = pem(rows[i].client_ca, "[tls] client_ca"),
            .ticket_secret = slice_str(rows[i].secret),
        };
        assert_null(tls_server_new(&o, &err));
        if (strncmp(err.msg, rows[i].message, strlen(rows[i].message)) != 0)
            fail_msg("row %zu: %s", i, err.msg);
        assert_null(strstr(err.msg, "PRIVATE KEY-----\n"));
    }
}

static void equal_roots_are_one_store(void **state)
{
    struct errbuf err;
    struct tls_ca *a = tls_ca_load(pem(ca.cert_pem, "ca_file"), &err);
    struct tls_ca *b = tls_ca_load(pem(ca.cert_pem, "ca_file"), &err);
    struct tls_ca *c = tls_ca_load(pem(other_ca.cert_pem, "ca_file"), &err);
    assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, c);
    assert_ptr_equal(tls_ca_ref(a), a);
    tls_ca_free(a);
    tls_ca_free(b);
    tls_ca_free(a);
    tls_ca_free(c);
    assert_null(tls_ca_load(pem("nothing", "ca_file"), &err));
    assert_string_equal(err.msg, "ca_file: holds no certificate (-----BEGIN CERTIFICATE-----)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verification),
        cmocka_unit_test(bytes_go_both_ways),
        cmocka_unit_test(small_pieces_leave_in_one_record),
        cmocka_unit_test(buffered_bytes_are_known),
        cmocka_unit_test(ends_are_told_apart),
        cmocka_unit_test(garbage_is_an_error),
        cmocka_unit_test(dead_pooled_connections_are_found),
        cmocka_unit_test(sessions_resume_in_every_worker),
        cmocka_unit_test(ticket_keys_change_with_time),
        cmocka_unit_test(a_tls13_ticket_is_offered_once),
        cmocka_unit_test(client_certificates),
        cmocka_unit_test(alpn),
        cmocka_unit_test(old_versions_are_refused),
        cmocka_unit_test(errors_name_the_setting),
        cmocka_unit_test(equal_roots_are_one_store),
    };
    return cmocka_run_group_tests_name("tls", tests, make_identities, free_identities);
}
