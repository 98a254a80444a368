/*
 * test_replay.c: runs every script in tests/replay, or those named on the command line.
 *
 * A script is a configuration, then what clients and providers do and what must follow, one
 * statement a line; tests/replay/README.md has the words. Each runs a whole worker (see
 * tests/replay/world.h). At the end nothing may be left of it: no request, no buffered byte, no
 * timer, no open attempt, no ledger record that the script didn't name.
 */
#include "common/check.h"
#include "gatewayd/worker/conn.h"
#include "gatewayd/worker/outcome.h"
#include "tests/replay/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <glob.h>
#include <linux/sockios.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

enum { MAX_PEERS = 32, MAX_PROVIDERS = 8, MAX_ARGS = 24, MAX_SCRIPTS = 512, SCRIPT_SECONDS = 120 };

struct provider {
    char name[16];
    int fd;
    uint16_t port;
};

static struct {
    const char *path;
    unsigned line;
    char *text, *at;
    struct peer peers[MAX_PEERS];
    size_t n_peers;
    struct provider providers[MAX_PROVIDERS];
    size_t n_providers;
    char *args[MAX_ARGS]; /* unescaped; lengths beside */
    size_t arg_n[MAX_ARGS];
    size_t n_args;
    uint32_t ledger_seen; /* slots drained so far */
    int accepted_fd;
    struct provider *accepting;
} run;

static GW_NORETURN void GW_PRINTF(1, 2) give_up(const char *fmt, ...)
{
    char text[4096];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    log_flush();
    fprintf(stderr, "%s:%u: %s\n", run.path, run.line, text);
    _exit(1);
}

/* ---- the text of a script ---- */

static char *read_file(const char *path)
{
    size_t cap = 1 << 20;
    char *p = gw_xmalloc(cap);
    FILE *f = fopen(path, "r");
    if (!f)
        give_up("can't be read");
    p[fread(p, 1, cap - 1, f)] = '\0';
    fclose(f);
    return p;
}

/* The next line, NUL-terminated in place; NULL at the end. */
static char *next_line(void)
{
    char *line = run.at;
    if (!*line)
        return NULL;
    char *end = strchrnul(line, '\n');
    run.at = *end ? end + 1 : end;
    *end = '\0';
    run.line++;
    return line;
}

static char unescape_one(char c)
{
    static const char from[] = "rnt0\\\"", to[] = "\r\n\t\0\\\"";
    const char *p = c ? strchr(from, c) : NULL;
    if (!p)
        give_up("no such escape: \\%c", c);
    return to[p - from];
}

/* "text" with escapes, in place; returns where it ends. */
static char *take_quoted(char *p, size_t *n)
{
    char *out = p, *from = p;
    while (*p != '"') {
        if (!*p)
            give_up("a \" is missing");
        if (*p == '\\')
            *out++ = unescape_one(*++p);
        else
            *out++ = *p;
        p++;
    }
    *n = (size_t)(out - from);
    return p + 1;
}

/* Words, "quoted words", and {JSON or [JSON up to the end of the line. */
static void split_args(char *line)
{
    for (char *p = line + strspn(line, " "); *p; p += strspn(p, " ")) {
        if (run.n_args == MAX_ARGS)
            give_up("too many words");
        char **arg = &run.args[run.n_args];
        size_t *n = &run.arg_n[run.n_args++];
        if (*p == '"') {
            *arg = p + 1;
            p = take_quoted(p + 1, n);
        } else {
            *arg = p;
            *n = *p == '{' || *p == '[' ? strlen(p) : strcspn(p, " ");
            p += *n;
            if (*p)
                *p++ = '\0';
        }
    }
}

static struct slice arg(size_t i)
{
    if (i >= run.n_args)
        give_up("something is missing at the end");
    return slice_of(run.args[i], run.arg_n[i]);
}

static bool arg_is(size_t i, const char *word)
{
    return i < run.n_args && slice_eq_str(arg(i), word);
}

static int64_t arg_number(size_t i)
{
    uint64_t v;
    if (slice_to_u64(arg(i), INT64_MAX, &v) < 0)
        give_up("`%s` is no number", run.args[i]);
    return (int64_t)v;
}

static int64_t arg_us(size_t i)
{
    char *unit;
    long v = strtol(arg(i).p, &unit, 10);
    if (strncmp(unit, "ms", 2) == 0)
        return v * INT64_C(1000);
    if (*unit == 's')
        return v * INT64_C(1000000);
    give_up("`%s` is no duration", run.args[i]);
}

/* The arguments from i on, put together. */
static struct slice args_from(size_t i)
{
    static char all[65536];
    size_t n = 0;
    for (; i < run.n_args; i++) {
        struct slice a = arg(i);
        if (a.n)
            memcpy(all + n, a.p, a.n);
        n += a.n;
    }
    return slice_of(all, n);
}

/* ---- who takes part ---- */

static struct provider *provider_get(struct slice name)
{
    for (size_t i = 0; i < run.n_providers; i++)
        if (slice_eq_str(name, run.providers[i].name))
            return &run.providers[i];
    if (run.n_providers == MAX_PROVIDERS)
        give_up("too many providers");
    struct provider *p = &run.providers[run.n_providers++];
    snprintf(p->name, sizeof p->name, "%.*s", SLICE_FMT(name));
    p->fd = world_bind(p->name[0] != '!', &p->port);
    return p;
}

/* @a@ in a configuration is the address of provider a; @!a@ refuses every connection. */
static void add_config_line(struct buf *conf, const char *line)
{
    const char *at, *end;
    while ((at = strchr(line, '@')) && (end = strchr(at + 1, '@'))) {
        struct provider *p = provider_get(slice_of(at + 1, (size_t)(end - at - 1)));
        (void)!buf_printf(conf, "%.*s127.0.0.1:%u", (int)(at - line), line, p->port);
        line = end + 1;
    }
    (void)!buf_printf(conf, "%s\n", line);
}

static struct peer *peer_find(struct slice name)
{
    for (size_t i = run.n_peers; i-- > 0;)
        if (slice_eq_str(name, run.peers[i].name))
            return &run.peers[i];
    return NULL;
}

static struct peer *peer_add(struct slice name, int fd)
{
    char text[32];
    if (run.n_peers == MAX_PEERS)
        give_up("too many connections");
    snprintf(text, sizeof text, "%.*s", SLICE_FMT(name));
    struct peer *p = &run.peers[run.n_peers++];
    peer_init(p, text, fd);
    return p;
}

static bool head_is(const struct peer *p, struct slice first_line)
{
    return slice_starts_with(buf_slice(&p->head), first_line);
}

static void must_equal(struct slice got, struct slice want)
{
    if (!slice_eq(got, want))
        give_up("wanted %zu bytes\n%.*s\ngot %zu bytes\n%.*s", want.n, SLICE_FMT(want), got.n,
                SLICE_FMT(got));
}

/* ---- statements of the world ---- */

/* The gateway's end of the newest connection holds little too, as it does on a long line. */
static void shrink_newest(void)
{
    int small = 16384;
    world_turn();
    struct conn *c = list_entry(world.w->conns.prev, struct conn, node);
    setsockopt(c->io.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
}

static void do_connect(void)
{
    struct sockaddr_in sin = {.sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                              .sin_port = htons(world.listen_port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int small = 16384;
    if (arg_is(2, "small"))
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if (connect(fd, (struct sockaddr *)&sin, sizeof sin) < 0)
        give_up("connect: %m");
    fcntl(fd, F_SETFL, O_NONBLOCK);
    peer_add(arg(1), fd);
    world_turn();
    if (arg_is(2, "small"))
        shrink_newest();
}

static bool try_accept(void *unused)
{
    run.accepted_fd = accept4(run.accepting->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return run.accepted_fd >= 0;
}

/* accept CONNECTION PROVIDER */
static void do_accept(void)
{
    run.accepting = provider_get(arg(2));
    if (!world_wait(try_accept, NULL))
        give_up("the gateway doesn't connect to %s", run.accepting->name);
    peer_add(arg(1), run.accepted_fd);
}

static void do_no_accept(void)
{
    run.accepting = provider_get(arg(1));
    world_turn();
    if (try_accept(NULL))
        give_up("the gateway connects to %s", run.accepting->name);
}

static void do_wait(void)
{
    world_advance(arg_us(1));
}

static void do_drain(void)
{
    world.ops->drain(&world.child, world.now_us + arg_us(1));
    world_turn();
}

static void do_stop(void)
{
    world.ops->stop(&world.child);
    world_turn();
    if (!world.left)
        give_up("the worker stays");
}

/* The same configuration again: the next generation. */
static void do_reload(void)
{
    struct errbuf e = {""};
    struct child_build b = {.n_workers = 1, .n_listeners = 1};
    b.listener[0] = (struct child_listener){.kind = LISTEN_DATA, .fd = dup(world.listen_fd)};
    if (world_load(&b, &e) < 0 || world.ops->build(&world.child, &b, &e) < 0)
        give_up("%s", e.msg);
    world.ops->swap(&world.child);
    world_turn();
}

static bool a_slot_waits(void *unused)
{
    int64_t first;
    return money_drain_pending(&world.w->money, world.w->owner.index, &first) > run.ledger_seen;
}

/* The next attempt that has ended, in the order of their ends. */
static const struct money_slot *next_slot(void)
{
    struct money *m = &world.w->money;
    uint32_t region = world.w->owner.index;
    int64_t first;
    if (!world_wait(a_slot_waits, NULL))
        give_up("no further attempt has ended");
    (void)money_drain_pending(m, region, &first);
    return money_slot_at(m, region, money_drain_slot(m, region, first + run.ledger_seen++));
}

static void check_tokens(size_t i, const char *what, int64_t got)
{
    if (i < run.n_args && !arg_is(i, "-") && arg_number(i) != got)
        give_up("%s: %lld", what, (long long)got);
}

/* ledger void | ledger STATE END [INPUT OUTPUT] */
static void do_ledger(void)
{
    const struct money_slot *s = next_slot();
    bool is_void = money_state_of(atomic_load(&s->state)) == MONEY_VOIDED;
    const char *state = is_void ? "void" : ledger_state_name(s->body.state);
    const char *end = attempt_end_name((enum attempt_end)s->body.reason);
    if (!slice_eq_str(arg(1), state))
        give_up("the attempt is %s (%s)", state, is_void ? "" : end);
    if (is_void)
        return;
    if (!slice_eq_str(arg(2), end))
        give_up("the attempt ended with %s", end);
    check_tokens(3, "input", s->body.usage[LEDGER_INPUT]);
    check_tokens(4, "output", s->body.usage[LEDGER_OUTPUT]);
}

static void do_log(void)
{
    world_advance(50000);
    char *text = read_file(world.log_path);
    bool found = memmem(text, strlen(text), arg(2).p, arg(2).n) != NULL;
    free(text);
    if (found != arg_is(1, "has"))
        give_up("the log %s it", found ? "has" : "doesn't have");
}

static void do_buffered(void)
{
    if ((int64_t)world.buffered_peak > arg_number(1))
        give_up("up to %zu bytes were buffered", world.buffered_peak);
}

static void do_buffered_now(void)
{
    if ((int64_t)world.w->buffered_bytes > arg_number(1))
        give_up("%zu bytes are buffered", world.w->buffered_bytes);
}

static void do_stage(void)
{
    buf_release(&world.w->stage);
    buf_init(&world.w->stage, (size_t)arg_number(1));
}

/* ---- statements of a connection ---- */

static struct peer *who;

static void send_bytes(struct slice bytes)
{
    if (!peer_send(who, bytes))
        give_up("%s can't send: %m", who->name);
    world_turn();
}

static void do_sends(void)
{
    send_bytes(args_from(2));
}

static void send_message(const char *first_line, size_t from, bool with_type)
{
    static char text[65536 * 2];
    size_t n = (size_t)snprintf(text, sizeof text, "%s\r\n", first_line);
    struct slice body = arg(run.n_args - 1);
    for (size_t i = from; i + 1 < run.n_args; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%.*s\r\n", SLICE_FMT(arg(i)));
    if (with_type)
        n += (size_t)snprintf(text + n, sizeof text - n, "Content-Type: application/json\r\n");
    n += (size_t)snprintf(text + n, sizeof text - n, "Content-Length: %zu\r\n\r\n%.*s", body.n,
                          SLICE_FMT(body));
    send_bytes(slice_of(text, n));
}

/* posts PATH ["field: value"...] BODY */
static void do_posts(void)
{
    char line[512];
    snprintf(line, sizeof line, "POST %.*s HTTP/1.1\r\nHost: gateway", SLICE_FMT(arg(2)));
    send_message(line, 3, true);
}

/* answers STATUS ["field: value"...] BODY */
static void do_answers(void)
{
    char line[64];
    snprintf(line, sizeof line, "HTTP/1.1 %.*s Some", SLICE_FMT(arg(2)));
    send_message(line, 3, true);
}

static void do_closes(void)
{
    peer_close(who, false);
    world_turn();
}

/* So that the gateway finds both at once, with its own bytes unread: a reset is on the way. */
static void do_answers_and_closes(void)
{
    static char text[4096];
    struct slice body = arg(3);
    int n = snprintf(text, sizeof text,
                     "HTTP/1.1 %.*s Some\r\nContent-Type: application/json\r\n"
                     "Content-Length: %zu\r\n\r\n%.*s",
                     SLICE_FMT(arg(2)), body.n, SLICE_FMT(body));
    if (send(who->fd, text, (size_t)n, MSG_NOSIGNAL) != n)
        give_up("%s can't send: %m", who->name);
    do_closes();
}

static void do_starts(void)
{
    send_bytes(SLICE_LIT("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                         "Transfer-Encoding: chunked\r\n\r\n"));
}

static void send_chunk(struct slice data)
{
    static char text[65536 * 2];
    int n = snprintf(text, sizeof text, "%zx\r\n%.*s\r\n", data.n, SLICE_FMT(data));
    send_bytes(slice_of(text, (size_t)n));
}

static void do_chunk(void)
{
    send_chunk(args_from(2));
}

static void do_event(void)
{
    char text[8192];
    struct slice a = args_from(2);
    int n = snprintf(text, sizeof text, "data: %.*s\n\n", SLICE_FMT(a));
    send_chunk(slice_of(text, (size_t)n));
}

static void do_ends(void)
{
    send_bytes(SLICE_LIT("0\r\n\r\n"));
}

/* Each byte is a read of its own at the other end. */
static void do_drips(void)
{
    struct slice all = args_from(2);
    for (size_t i = 0; i < all.n; i++)
        send_bytes(slice_of(all.p + i, 1));
}

static void do_pads(void)
{
    size_t n = (size_t)arg_number(2);
    char *p = gw_xmalloc(n);
    memset(p, 'x', n);
    send_bytes(slice_of(p, n));
    free(p);
}

static void do_head(void)
{
    if (!peer_read_head(who))
        give_up("%s gets no head%s", who->name, who->reset ? ", but a reset" : "");
    if (!head_is(who, arg(2)) &&
        !(who->head.len > 9 &&
          slice_starts_with(slice_of(who->head.data + 9, who->head.len - 9), arg(2))))
        give_up("the head is\n%.*s%.*s", SLICE_FMT(buf_slice(&who->head)),
                SLICE_FMT(buf_slice(&who->in)));
}

/* field NAME VALUE */
static void do_field(void)
{
    struct slice v = peer_field(who, run.args[2]);
    if (!slice_eq(v, arg(3)))
        give_up("%s: `%.*s`", run.args[2], SLICE_FMT(v));
}

static void do_no_field(void)
{
    if (peer_field(who, run.args[2]).p)
        give_up("there is a field %s", run.args[2]);
}

static void do_body(void)
{
    struct slice body;
    if (!peer_wait_body(who, &body))
        give_up("the body doesn't come: %zu bytes", who->in.len);
    must_equal(body, args_from(2));
    buf_consume(&who->in, body.n);
}

static void do_body_has(void)
{
    struct slice body, want = arg(2);
    if (!peer_wait_body(who, &body))
        give_up("the body doesn't come: %zu bytes", who->in.len);
    if (!memmem(body.p, body.n, want.p, want.n))
        give_up("the body is\n%.*s", SLICE_FMT(body));
    buf_consume(&who->in, body.n);
}

/* request FIRST-LINE: head and the whole body, whatever it is */
static void do_request(void)
{
    struct slice body;
    do_head();
    if (!peer_wait_body(who, &body))
        give_up("the body doesn't come: %zu bytes", who->in.len);
    buf_consume(&who->in, body.n);
}

/* gets BYTES: just these, as they are on the wire */
static void do_gets(void)
{
    struct slice want = args_from(2);
    (void)peer_wait_bytes(who, want.n);
    must_equal(slice_of(who->in.data, GW_MIN(who->in.len, want.n)), want);
    buf_consume(&who->in, want.n);
}

/* streams DATA: out of chunks */
static void do_streams(void)
{
    struct slice want = args_from(2);
    who->want = want.n;
    (void)world_wait(peer_has_data, who);
    must_equal(slice_of(who->data.data, GW_MIN(who->data.len, want.n)), want);
    buf_consume(&who->data, want.n);
}

/* skips N: of what is in chunks */
static void do_skips(void)
{
    who->want = (size_t)arg_number(2);
    (void)world_wait(peer_has_data, who);
    if (who->data.len < who->want)
        give_up("%zu bytes come", who->data.len);
    buf_consume(&who->data, who->want);
}

static void do_last_chunk(void)
{
    who->want = SIZE_MAX;
    (void)world_wait(peer_has_data, who);
    if (!who->last_chunk || who->data.len || who->in.len)
        give_up("%s: %zu bytes more: %.*s", who->last_chunk ? "ended" : "goes on", who->data.len,
                SLICE_FMT(buf_slice(&who->data)));
}

static void do_quiet(void)
{
    world_turn();
    if (peer_take(who, SIZE_MAX) || who->in.len || who->eof || who->reset)
        give_up("%s isn't quiet:%s%s %.*s", who->name, who->eof ? " end" : "",
                who->reset ? " reset" : "", SLICE_FMT(buf_slice(&who->in)));
}

static void must_end(bool eof_ok, bool reset_ok)
{
    if (!world_wait(peer_ended, who))
        give_up("%s goes on: %.*s", who->name, SLICE_FMT(buf_slice(&who->in)));
    if (who->in.len || (who->eof && !eof_ok) || (who->reset && !reset_ok))
        give_up("%s sees %s%s%.*s", who->name, who->eof ? "an end" : "a reset",
                who->in.len ? " behind " : "", SLICE_FMT(buf_slice(&who->in)));
}

static void do_eof(void)
{
    must_end(true, false);
}

static void do_reset(void)
{
    must_end(false, true);
}

static void do_gone(void)
{
    must_end(true, true);
}

/* What a stream that was cut looks like: no last chunk. */
static void do_cut(void)
{
    must_end(true, true);
    if (!peer_decode(who) || who->last_chunk || who->data.len)
        give_up("%s: %s %.*s", who->name, who->last_chunk ? "the last chunk came" : "more came:",
                SLICE_FMT(buf_slice(&who->data)));
}

static void do_resets(void)
{
    peer_close(who, true);
    world_turn();
}

static void do_half_closes(void)
{
    shutdown(who->fd, SHUT_WR);
    world_turn();
}

/* takes N: reads that many bytes and forgets them */
static void do_takes(void)
{
    size_t n = (size_t)arg_number(2);
    if (!peer_wait_bytes(who, n))
        give_up("%zu bytes come", who->in.len);
    buf_consume(&who->in, n);
}

/* Sends events of 1 KiB, n bytes in all. Whenever the gateway takes no more, `reader` reads a
 * little, and never all that waits for it; without one that is the end. */
static void flood(struct peer *from, int64_t n_bytes, struct peer *reader)
{
    static const char begin[] = "400\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"";
    static const char end[] = "\"}}]}\n\n\r\n";
    char chunk[5 + 1024 + 2];
    memset(chunk, 'x', sizeof chunk);
    memcpy(chunk, begin, sizeof begin - 1);
    memcpy(chunk + sizeof chunk - (sizeof end - 1), end, sizeof end - 1);
    size_t at = 0;
    for (int stuck = 0; n_bytes > 0 && stuck < 3;) {
        ssize_t n = send(from->fd, chunk + at, sizeof chunk - at, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            give_up("%s can't send: %m", from->name);
        if (n > 0) {
            at = (at + (size_t)n) % sizeof chunk;
            n_bytes -= n;
            stuck = 0;
            continue;
        }
        world_turn();
        if (reader) {
            (void)peer_take(reader, 16384);
            reader->in.len = 0;
        } else {
            stuck++;
        }
    }
}

/* CLIENT relays PROVIDER N */
static void do_relays(void)
{
    flood(peer_find(arg(2)), arg_number(3), who);
}

static void do_floods(void)
{
    flood(who, arg_number(2), NULL);
}

static bool all_arrived(void *arg)
{
    const struct peer *p = arg;
    int unacknowledged;
    return ioctl(p->fd, SIOCOUTQ, &unacknowledged) == 0 && unacknowledged == 0;
}

/* All that was sent is at the gateway's end, read or not (tcp(7), SIOCOUTQ). */
static void do_arrives(void)
{
    if (!world_wait(all_arrived, who))
        give_up("what %s sends doesn't arrive", who->name);
}

/* ---- running ---- */

static const struct {
    const char *word;
    void (*fn)(void);
} of_world[] =
    {
        {"connect", do_connect},
        {"accept", do_accept},
        {"no-accept", do_no_accept},
        {"wait", do_wait},
        {"drain", do_drain},
        {"stop", do_stop},
        {"reload", do_reload},
        {"ledger", do_ledger},
        {"log", do_log},
        {"buffered-peak", do_buffered},
        {"buffered", do_buffered_now},
        {"stage", do_stage},
},
  of_peer[] = {
      {"sends", do_sends},
      {"posts", do_posts},
      {"answers", do_answers},
      {"starts", do_starts},
      {"chunk", do_chunk},
      {"event", do_event},
      {"ends", do_ends},
      {"pads", do_pads},
      {"drips", do_drips},
      {"head", do_head},
      {"field", do_field},
      {"no-field", do_no_field},
      {"body", do_body},
      {"body-has", do_body_has},
      {"request", do_request},
      {"gets", do_gets},
      {"streams", do_streams},
      {"skips", do_skips},
      {"last-chunk", do_last_chunk},
      {"quiet", do_quiet},
      {"eof", do_eof},
      {"reset", do_reset},
      {"gone", do_gone},
      {"cut", do_cut},
      {"closes", do_closes},
      {"resets", do_resets},
      {"half-closes", do_half_closes},
      {"takes", do_takes},
      {"relays", do_relays},
      {"floods", do_floods},
      {"arrives", do_arrives},
      {"answers-and-closes", do_answers_and_closes},
};

static void perform(void)
{
    for (size_t i = 0; i < ARRAY_LEN(of_world); i++)
        if (arg_is(0, of_world[i].word)) {
            of_world[i].fn();
            return;
        }
    who = peer_find(arg(0));
    for (size_t i = 0; who && i < ARRAY_LEN(of_peer); i++)
        if (arg_is(1, of_peer[i].word)) {
            of_peer[i].fn();
            return;
        }
    give_up("`%s %s`: no such statement", run.args[0], run.n_args > 1 ? run.args[1] : "");
}

static bool all_over(void *unused)
{
    return world.w->n_reqs == 0 && world.w->n_conns == 0;
}

/* Everyone leaves; then nothing may be left of anything. */
static void check_leftovers(void)
{
    struct errbuf e;
    struct worker *w = world.w;
    for (size_t i = 0; i < run.n_peers; i++)
        peer_close(&run.peers[i], false);
    if (!world_wait(all_over, NULL))
        give_up("%zu requests and %zu connections are left", w->n_reqs, w->n_conns);
    world_advance(3000000);
    if (w->buffered_bytes)
        give_up("%zu bytes are still accounted for", w->buffered_bytes);
    if (w->wheel.armed > wheel_is_armed(&w->drain_timer))
        give_up("%zu timers are left", w->wheel.armed);
    if (w->owner.region && a_slot_waits(NULL))
        give_up("an attempt isn't accounted for: %s", attempt_end_name(next_slot()->body.reason));
    if (w->owner.region && w->owner.region->counters[MONEY_C_OPENED] !=
                               w->owner.region->counters[MONEY_C_SETTLED] +
                                   w->owner.region->counters[MONEY_C_RELEASED])
        give_up("an attempt is still open");
    if (money_check(&w->money, &e) < 0)
        give_up("%s", e.msg);
}

static void world_script(void)
{
    char *line;
    while ((line = next_line())) {
        if (*line == '#' || !*line)
            continue;
        run.n_args = 0;
        split_args(line);
        while (*run.at == '+') {
            char *more = next_line();
            split_args(more + 1);
        }
        perform();
    }
    check_leftovers();
}

/* The lines up to `---` are the configuration. */
static void read_config(void)
{
    char *line;
    struct buf conf;
    buf_init(&conf, 1 << 20);
    while ((line = next_line()) && strcmp(line, "---") != 0)
        add_config_line(&conf, line);
    if (!line)
        give_up("there is no `---` behind the configuration");
    world_write_config(conf.data);
    buf_release(&conf);
}

static void play(const char *path, const char *dir)
{
    memset(&run, 0, sizeof run);
    run.path = path;
    run.text = run.at = read_file(path);
    world_open(dir);
    read_config();
    if (!world_run())
        give_up("%s", world.why);
    for (size_t i = 0; i < run.n_peers; i++)
        peer_fini(&run.peers[i]);
    for (size_t i = 0; i < run.n_providers; i++)
        close(run.providers[i].fd);
    free(run.text);
    world_close();
}

/* In a process of its own: what one script breaks doesn't matter to the next, and its directory
 * goes however it ends. */
static void replay(void **state)
{
    char dir[256];
    int status;
    assert_non_null(tmpdir_make(dir));
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(SCRIPT_SECONDS);
        play(*state, dir);
        exit(0);
    }
    pid_t ended = waitpid(pid, &status, 0);
    tmpdir_remove(dir);
    assert_int_equal(ended, pid);
    if (WIFSIGNALED(status))
        print_error("%s: %s\n", (const char *)*state, strsignal(WTERMSIG(status)));
    assert_int_equal(status, 0);
}

int main(int argc, char **argv)
{
    static struct CMUnitTest tests[MAX_SCRIPTS];
    glob_t found = {.gl_pathv = argv + 1, .gl_pathc = (size_t)(argc - 1)};
    if (argc < 2 && glob("tests/replay/*.rpl", 0, NULL, &found) != 0) {
        fprintf(stderr, "no tests/replay/*.rpl here; run from the top of the tree\n");
        return 1;
    }
    size_t n = GW_MIN(found.gl_pathc, (size_t)MAX_SCRIPTS);
    for (size_t i = 0; i < n; i++)
        tests[i] = (struct CMUnitTest){
            .name = found.gl_pathv[i], .test_func = replay, .initial_state = found.gl_pathv[i]};
    setenv("GW_TEST_K1", "sk-one-0123456789", 1);
    setenv("GW_TEST_K2", "sk-two-0123456789", 1);
    signal(SIGPIPE, SIG_IGN);
    log_init("replay");
    int failed = _cmocka_run_group_tests("replay", tests, n, NULL, NULL);
    if (argc < 2)
        globfree(&found);
    return failed;
}
