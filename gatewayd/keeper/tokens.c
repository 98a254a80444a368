/*
 * tokens.c: one entry for each identity that a generation needs: when it is asked next, the round
 * that runs, how the last one ended.
 *
 * Invariants: an entry has a round while it is reading a file or fetching, and only then; its timer
 * is armed whenever it hasn't. An entry that no generation wants any more is done with its round,
 * and its timer ends it.
 */
#include "gatewayd/keeper/tokens.h"

#include "common/check.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/log.h"
#include "common/token_identity.h"
#include "gatewayd/keeper/keeper.h"
#include "gatewayd/keeper/token_answer.h"
#include "gatewayd/keeper/token_round.h"
#include "gatewayd/net/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LOOK_US = 250 * 1000 };

struct file_job;

struct entry {
    struct list node;
    struct tokens *t;
    uint8_t identity[TOKEN_IDENTITY_BYTES];
    struct keeper_gen *gen; /* counted; holds the next */
    const struct conf_credential *credential;
    struct tls_ca *ca; /* owned */
    bool wanted;
    int64_t unwanted_us;
    int slot; /* in the table; -1: none */
    struct event *timer;
    int64_t next_us; /* when the timer comes */

    struct token_round *round; /* owned; NULL: nothing is asked */
    int64_t asked_us;          /* when the last round began */
    struct fetch *fetch;
    struct file_job *reading;
    bool brought_forward; /* by a refusal */
    unsigned refused;     /* tokens in a row that were replaced because of that */
    unsigned failures;
    char error[192];
};

struct tokens {
    struct event_base *base;
    struct token_seg *seg;
    struct fetcher *fetcher;
    struct jobs *files;
    struct list entries;
    struct event *look, *sweep;
    uint64_t refusals_seen;
};

const char *token_state_name(enum token_state s)
{
    static const char *const names[] = {
#define X(name, text) [TOKEN_##name] = text,
        TOKEN_STATES(X)
#undef X
    };
    return (unsigned)s < ARRAY_LEN(names) ? names[s] : "invalid";
}

/* ---- time ---- */

static void come_back(struct entry *en, int64_t delay_us)
{
    delay_us = GW_MAX(delay_us, INT64_C(0));
    struct timeval at = {.tv_sec = delay_us / 1000000, .tv_usec = delay_us % 1000000};
    en->next_us = clock_mono_us() + delay_us;
    event_add(en->timer, &at);
}

/* Between 1 - 1/part and 1 of it, by chance. */
static int64_t jittered(int64_t us, int part)
{
    uint32_t bits;
    crypto_random(&bits, sizeof bits);
    return us - us / part * (int64_t)(bits % 1024) / 1024;
}

static int64_t retry_delay(unsigned failures)
{
    int64_t us = TOKENS_RETRY_MIN_US;
    for (unsigned i = 1; i < failures && us < TOKENS_RETRY_MAX_US; i++)
        us *= 2;
    return jittered(GW_MIN(us, (int64_t)TOKENS_RETRY_MAX_US), 4);
}

/* ---- the table ---- */

static bool known_head(const struct entry *en, struct token_head *h)
{
    return en->slot >= 0 && token_peek(en->t->seg, en->slot, h) &&
           memcmp(h->identity, en->identity, sizeof h->identity) == 0;
}

static int64_t usable_until(const struct entry *en)
{
    struct token_head h;
    return known_head(en, &h) ? h.usable_until_us : 0;
}

static void publish(struct entry *en, struct token_record *r)
{
    memcpy(r->head.identity, en->identity, sizeof r->head.identity);
    en->slot = token_publish(en->t->seg, r);
    if (en->slot < 0)
        log_error("no room for the token of a credential",
                  LOG_SL("credential", en->credential->name));
}

/* Workers wait a moment for a token that is on its way; this says that it isn't. */
static void publish_none(struct entry *en)
{
    struct token_head h;
    if (known_head(en, &h))
        return;
    struct token_record *r = gw_xcalloc(1, sizeof *r);
    publish(en, r);
    free(r);
}

/* ---- a round ---- */

static void run(struct entry *en);

static void end_round(struct entry *en)
{
    token_round_end(en->round);
    free(en->round);
    en->round = NULL;
}

static void round_failed(struct entry *en, const char *why)
{
    int64_t left_us = usable_until(en) - clock_mono_us();
    en->failures++;
    snprintf(en->error, sizeof en->error, "%s", why);
    publish_none(en);
    end_round(en);
    int64_t delay_us = retry_delay(en->failures);
    log_warn("the token of a credential can't be fetched",
             LOG_SL("credential", en->credential->name),
             LOG_SL("provider", en->credential->provider->name), LOG_S("why", en->error),
             LOG_U("failures", en->failures), LOG_I("again_in_ms", delay_us / 1000),
             LOG_I("old_one_good_for_s", GW_MAX(left_us, INT64_C(0)) / 1000000));
    come_back(en, delay_us);
}

static void round_done(struct entry *en)
{
    struct token_record *r = &en->round->got;
    int64_t life_us = en->round->life_s * 1000000, now = clock_mono_us();
    /* A token must still be good when it arrives: half a minute is for clocks that differ, and of
     * short lives a tenth. */
    r->head.usable_until_us = en->asked_us + life_us - GW_MIN(life_us / 10, INT64_C(30000000));
    r->head.fetched_us = now;
    r->head.refresh_us = en->asked_us + jittered(life_us * 3 / 4, 10);
    r->head.refresh_us = GW_MAX(r->head.refresh_us, now + TOKENS_RETRY_MIN_US);
    publish(en, r);
    int64_t delay_us = r->head.refresh_us - now;
    if (en->failures || r->head.serial == 1)
        log_info("token fetched", LOG_SL("credential", en->credential->name),
                 LOG_I("good_for_s", life_us / 1000000), LOG_I("again_in_s", delay_us / 1000000));
    en->failures = 0;
    en->error[0] = '\0';
    end_round(en);
    come_back(en, delay_us);
}

static void on_answer(void *arg, const struct fetch_answer *a)
{
    struct entry *en = arg;
    struct errbuf why;
    en->fetch = NULL;
    int rc = token_round_answer(en->round, a, clock_wall_us(), &why);
    if (rc < 0)
        round_failed(en, why.msg);
    else if (rc > 0)
        round_done(en);
    else
        run(en);
}

/* The provider's own proxy for its tokens too, else what the environment says; metadata services
 * are near. */
static const char *proxy_of(const struct entry *en, const char *url, char *text, size_t cap)
{
    const struct conf_provider *p = en->credential->provider;
    struct slice rest = slice_str(url);
    if (!slice_starts_with(rest, SLICE_LIT("https://")))
        return NULL;
    if (p->own_proxy) {
        snprintf(text, cap, "http://%.*s", SLICE_FMT(p->proxy.authority));
        return text;
    }
    rest = slice_of(rest.p + 8, rest.n - 8);
    struct slice host = slice_split(&rest, '/');
    return conf_environment_proxy(slice_split(&host, ':'));
}

static void ask(struct entry *en)
{
    struct token_ask a;
    struct errbuf why;
    char proxy[CONF_NAME_MAX + 64];
    if (token_round_ask(en->round, clock_wall_us(), &a, &why) < 0) {
        round_failed(en, why.msg);
    } else {
        struct fetch_request q = {
            .method = a.method,
            .url = a.url.data,
            .fields = a.fields,
            .n_fields = a.n_fields,
            .body = buf_slice(&a.body),
            .proxy = proxy_of(en, a.url.data, proxy, sizeof proxy),
            .ca = en->ca,
            .want = a.want,
            .n_want = a.n_want,
            .max_body_bytes = TOKEN_ANSWER_MAX_BYTES,
            .timeout_us = TOKENS_TIMEOUT_US,
        };
        en->fetch = fetch_start(en->t->fetcher, &q, on_answer, en);
    }
    token_ask_release(&a);
}

/* ---- files that others renew ---- */

struct file_job {
    struct job job;
    struct entry *entry; /* NULL: gone meanwhile */
    char *path;
    char content[TOKEN_FILE_MAX_BYTES];
    ssize_t n;
    int error;
};

static void read_file(struct job *j)
{
    struct file_job *f = container_of(j, struct file_job, job);
    int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    f->n = fd < 0 ? -1 : read(fd, f->content, sizeof f->content);
    f->error = errno;
    if (fd >= 0)
        close(fd);
}

static void file_was_read(struct job *j)
{
    struct file_job *f = container_of(j, struct file_job, job);
    struct entry *en = f->entry;
    struct errbuf why;
    if (en) {
        en->reading = NULL;
        errno = f->error;
        if (f->n < 0)
            err_set_errno(&why, "%s can't be read", f->path);
        if (f->n < 0 || token_round_file(en->round, slice_of(f->content, (size_t)f->n), &why) < 0)
            round_failed(en, why.msg);
        else
            run(en);
    }
    crypto_wipe(f->content, sizeof f->content);
    free(f->path);
    free(f);
}

static void start_reading(struct entry *en)
{
    struct file_job *f = gw_xcalloc(1, sizeof *f);
    f->job = (struct job){.run = read_file, .finish = file_was_read};
    f->entry = en;
    f->path = gw_xstrdup(en->credential->token.token_file.p);
    if (jobs_submit(en->t->files, &f->job) < 0) {
        free(f->path);
        free(f);
        round_failed(en, "too many files wait to be read");
        return;
    }
    en->reading = f;
}

static void run(struct entry *en)
{
    if (en->round->step == TOKEN_STEP_FILE)
        start_reading(en);
    else
        ask(en);
}

static void begin_round(struct entry *en)
{
    event_del(en->timer);
    en->refused = en->brought_forward ? en->refused + 1 : 0;
    en->brought_forward = false;
    en->asked_us = clock_mono_us();
    en->round = gw_xcalloc(1, sizeof *en->round);
    token_round_begin(en->round, en->credential, en->gen->secrets);
    run(en);
}

/* ---- entries ---- */

static void stop_round(struct entry *en)
{
    if (en->fetch)
        fetch_cancel(en->fetch);
    en->fetch = NULL;
    if (en->reading)
        en->reading->entry = NULL;
    en->reading = NULL;
    if (en->round)
        end_round(en);
}

static void entry_free(struct entry *en)
{
    stop_round(en);
    list_del(&en->node);
    event_free(en->timer);
    tls_ca_free(en->ca);
    keeper_gen_unref(en->gen);
    free(en);
}

static void on_entry_timer(evutil_socket_t fd, short what, void *arg)
{
    struct entry *en = arg;
    if (en->wanted) {
        begin_round(en);
        return;
    }
    if (en->slot >= 0)
        token_forget(en->t->seg, en->slot);
    entry_free(en);
}

static struct entry *find(const struct tokens *t, const uint8_t identity[TOKEN_IDENTITY_BYTES])
{
    list_foreach(it, &t->entries)
    {
        struct entry *en = list_entry(it, struct entry, node);
        if (memcmp(en->identity, identity, sizeof en->identity) == 0)
            return en;
    }
    return NULL;
}

static struct tls_ca *load_ca(struct keeper_gen *gen, const struct conf_credential *c)
{
    struct secret pem;
    struct errbuf why;
    if (!secrets_get(gen->secrets, c->token.ca.blob, &pem))
        return NULL;
    struct tls_ca *ca = tls_ca_load((struct tls_pem){pem.data, "token_ca_file"}, &why);
    if (!ca)
        log_error("no trust store for a token service", LOG_SL("credential", c->name),
                  LOG_S("why", why.msg));
    return ca;
}

/* The newest generation that has it: the older one can go. */
static void adopt(struct entry *en, struct keeper_gen *gen, const struct conf_credential *c)
{
    struct keeper_gen *old = en->gen;
    struct tls_ca *old_ca = en->ca;
    if (old == gen || en->round)
        return; /* a round borrows of its generation */
    en->gen = keeper_gen_ref(gen);
    en->credential = c;
    en->ca = load_ca(gen, c);
    keeper_gen_unref(old);
    tls_ca_free(old_ca);
    if (en->failures) /* what was wrong may have been mended */
        come_back(en, 0);
}

/* What a keeper before this one has fetched goes on to count. */
static void start_entry(struct entry *en)
{
    struct token_head h;
    uint32_t hint = UINT32_MAX;
    int64_t now = clock_mono_us();
    en->slot = token_find(en->t->seg, en->identity, &hint);
    bool good = known_head(en, &h) && h.usable_until_us > now;
    come_back(en, good ? h.refresh_us - now : 0);
}

static struct entry *entry_new(struct tokens *t, const uint8_t identity[TOKEN_IDENTITY_BYTES])
{
    struct entry *en = gw_xcalloc(1, sizeof *en);
    en->t = t;
    en->slot = -1;
    memcpy(en->identity, identity, sizeof en->identity);
    en->timer = event_new(t->base, -1, 0, on_entry_timer, en);
    GW_REQUIRE(en->timer != NULL);
    list_append(&t->entries, &en->node);
    return en;
}

static void want(struct tokens *t, struct keeper_gen *gen)
{
    uint8_t identity[TOKEN_IDENTITY_BYTES];
    for (uint32_t i = 0; gen && i < gen->conf->n_credentials; i++) {
        const struct conf_credential *c = &gen->conf->credentials[i];
        if (!conf_credential_fetched(c))
            continue;
        token_identity(c, gen->secrets, identity);
        struct entry *en = find(t, identity);
        bool fresh = !en || (!en->wanted && en->unwanted_us);
        if (!en)
            en = entry_new(t, identity);
        adopt(en, gen, c);
        en->wanted = true;
        if (fresh) {
            en->unwanted_us = 0;
            start_entry(en);
        }
    }
}

void tokens_want(struct tokens *t, struct keeper_gen *running, struct keeper_gen *built)
{
    int64_t now = clock_mono_us();
    list_foreach(it, &t->entries) list_entry(it, struct entry, node)->wanted = false;
    want(t, running);
    want(t, built);
    list_foreach(it, &t->entries)
    {
        struct entry *en = list_entry(it, struct entry, node);
        if (en->wanted || en->unwanted_us)
            continue;
        en->unwanted_us = now;
        stop_round(en);
        come_back(en, TOKENS_GRACE_US);
    }
}

/* ---- refusals ---- */

static void look_at_refusal(struct entry *en, int64_t now)
{
    struct token_head h;
    if (!en->wanted || en->round || !known_head(en, &h) ||
        token_refused_serial(en->t->seg, en->slot) != h.serial || h.usable_until_us <= now)
        return;
    int64_t earliest = en->asked_us + ((int64_t)TOKENS_EARLY_US
                                       << GW_MIN(en->refused, (unsigned)TOKENS_EARLY_DOUBLINGS));
    if (en->next_us <= GW_MAX(earliest, now))
        return;
    en->brought_forward = true;
    log_info("a provider refused a token: another one is fetched",
             LOG_SL("credential", en->credential->name));
    come_back(en, earliest - now);
}

/* Workers only raise a count. */
static void on_look(evutil_socket_t fd, short what, void *arg)
{
    struct tokens *t = arg;
    uint64_t refusals = token_refusals(t->seg);
    int64_t now = clock_mono_us();
    if (refusals == t->refusals_seen)
        return;
    t->refusals_seen = refusals;
    list_foreach(it, &t->entries) look_at_refusal(list_entry(it, struct entry, node), now);
}

/* ---- life ---- */

/* What the keeper before this one left of generations that are gone. */
static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
    struct tokens *t = arg;
    struct token_head h;
    for (int slot = 0; slot < TOKEN_SLOTS; slot++)
        if (token_peek(t->seg, slot, &h) && !find(t, h.identity))
            token_forget(t->seg, slot);
}

struct tokens *tokens_new(struct event_base *base, struct token_seg *seg, struct fetcher *fetcher,
                          struct jobs *files)
{
    struct tokens *t = gw_xcalloc(1, sizeof *t);
    t->base = base;
    t->seg = seg;
    t->fetcher = fetcher;
    t->files = files;
    list_init(&t->entries);
    t->look = event_new(base, -1, EV_PERSIST, on_look, t);
    t->sweep = event_new(base, -1, 0, on_sweep, t);
    GW_REQUIRE(t->look != NULL && t->sweep != NULL);
    event_add(t->look, &(struct timeval){.tv_usec = LOOK_US});
    event_add(t->sweep, &(struct timeval){.tv_sec = TOKENS_GRACE_US / 1000000});
    return t;
}

void tokens_free(struct tokens *t)
{
    if (!t)
        return;
    while (!list_empty(&t->entries))
        entry_free(list_entry(t->entries.next, struct entry, node));
    event_free(t->look);
    event_free(t->sweep);
    free(t);
}

void tokens_status(const struct tokens *t, const struct keeper_gen *gen,
                   const struct conf_credential *c, struct token_status *out)
{
    uint8_t identity[TOKEN_IDENTITY_BYTES];
    struct token_head h;
    token_identity(c, gen->secrets, identity);
    const struct entry *en = find(t, identity);
    *out = (struct token_status){.state = TOKEN_MISSING, .error = ""};
    if (!en)
        return;
    out->failures = en->failures;
    out->error = en->error;
    out->next_us = en->round ? 0 : en->next_us;
    if (known_head(en, &h) && h.usable_until_us > clock_mono_us()) {
        out->expires_us = h.usable_until_us;
        out->fetched_us = h.fetched_us;
        out->state = en->failures ? TOKEN_FAILING : TOKEN_OK;
    } else if (!en->failures) {
        out->state = TOKEN_FETCHING;
    }
}

void tokens_count(const struct tokens *t, const struct keeper_gen *gen, struct token_counts *out)
{
    struct token_status st;
    *out = (struct token_counts){0};
    for (uint32_t i = 0; i < gen->conf->n_credentials; i++) {
        if (!conf_credential_fetched(&gen->conf->credentials[i]))
            continue;
        tokens_status(t, gen, &gen->conf->credentials[i], &st);
        out->n[st.state]++;
    }
}
