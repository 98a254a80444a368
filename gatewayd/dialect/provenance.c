/*
 * provenance.c: tags of signatures.
 */
#include "gatewayd/dialect/provenance.h"

static const struct slice mark = SLICE_LIT(PROVENANCE_MARK);
enum { MAKER_BYTES = 3, TAG_BYTES = sizeof PROVENANCE_MARK - 1 + MAKER_BYTES + 1 };

static const struct {
    const char *letters, *format;
} makers[] = {
    [IR_MAKER_CLAUDE] = {"Cld", "anthropic-claude-v1"},
    [IR_MAKER_GEMINI] = {"Gem", "google-gemini-v1"},
    [IR_MAKER_OPENAI] = {"Oai", "openai-responses-v1"},
    [IR_MAKER_AZURE] = {"Azu", "azure-openai-responses-v1"},
    [IR_MAKER_XAI] = {"Xai", "xai-responses-v1"},
    [IR_MAKER_CHAT] = {"Cht", NULL},
    [IR_MAKER_BEDROCK] = {"Aws", NULL},
    [IR_MAKER_COHERE] = {"Coh", NULL},
};

const char *provenance_format(enum ir_maker m)
{
    return (size_t)m < ARRAY_LEN(makers) ? makers[m].format : NULL;
}

enum ir_maker provenance_of_format(struct ir_text t)
{
    for (size_t i = 0; i < ARRAY_LEN(makers); i++)
        if (makers[i].format && ir_text_is(t, slice_str(makers[i].format)))
            return (enum ir_maker)i;
    return IR_MAKER_UNSAID;
}

/* ---- makers by model ---- */

static bool names(struct slice model, const char *word)
{
    return model.n && memmem(model.p, model.n, word, strlen(word));
}

enum ir_maker provenance_claude(struct slice model)
{
    (void)model;
    return IR_MAKER_CLAUDE;
}

enum ir_maker provenance_gemini(struct slice model)
{
    (void)model;
    return IR_MAKER_GEMINI;
}

enum ir_maker provenance_cohere(struct slice model)
{
    (void)model;
    return IR_MAKER_COHERE;
}

enum ir_maker provenance_responses(struct slice model)
{
    return names(model, "grok") ? IR_MAKER_XAI : IR_MAKER_OPENAI;
}

enum ir_maker provenance_chat(struct slice model)
{
    if (names(model, "claude"))
        return IR_MAKER_CLAUDE;
    if (names(model, "gemini"))
        return IR_MAKER_GEMINI;
    if (names(model, "grok"))
        return IR_MAKER_XAI;
    return slice_starts_with(model, SLICE_LIT("openai/")) ? IR_MAKER_OPENAI : IR_MAKER_CHAT;
}

/* ---- base64 (RFC 4648 section 4) ---- */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static bool is_base64(struct slice s)
{
    size_t n = s.n;
    for (int i = 0; i < 2 && n && s.p[n - 1] == '='; i++)
        n--;
    for (size_t i = 0; i < n; i++)
        if (s.p[i] == '\0' || !memchr(alphabet, s.p[i], 64))
            return false;
    return s.n % 4 == 0;
}

static void encode(struct slice s, char *out)
{
    const unsigned char *p = (const unsigned char *)s.p;
    for (size_t i = 0; i < s.n; i += 3, out += 4) {
        size_t left = s.n - i;
        unsigned v = (unsigned)p[i] << 16 | (left > 1 ? (unsigned)p[i + 1] << 8 : 0) |
                     (left > 2 ? p[i + 2] : 0);
        out[0] = alphabet[v >> 18];
        out[1] = alphabet[v >> 12 & 63];
        out[2] = left > 1 ? alphabet[v >> 6 & 63] : '=';
        out[3] = left > 2 ? alphabet[v & 63] : '=';
    }
}

/* Of what is_base64. Returns how many bytes. */
static size_t decode(struct slice s, char *out)
{
    size_t n = 0;
    unsigned v = 0, bits = 0;
    for (size_t i = 0; i < s.n && s.p[i] != '='; i++) {
        v = v << 6 | (unsigned)((const char *)memchr(alphabet, s.p[i], 64) - alphabet);
        bits += 6;
        if (bits < 8)
            continue;
        bits -= 8;
        out[n++] = (char)(v >> bits);
        v &= (1U << bits) - 1;
    }
    return n;
}

/* ---- tags ---- */

static enum ir_maker maker_of(const char *letters)
{
    for (size_t i = 1; i < ARRAY_LEN(makers); i++)
        if (memcmp(letters, makers[i].letters, MAKER_BYTES) == 0)
            return (enum ir_maker)i;
    return IR_MAKER_UNSAID;
}

static struct ir_text unwrap(struct arena *a, struct ir_text t)
{
    struct slice s = ir_decode(a, t);
    char *mem = s.p && is_base64(s) ? arena_alloc(a, s.n + 1) : NULL;
    return mem ? ir_plain(slice_of(mem, decode(s, mem))) : (struct ir_text){{NULL, 0}, false};
}

enum ir_maker provenance_untag(struct arena *a, struct ir_text *signature, bool *redacted)
{
    struct slice s = signature->s;
    if (s.n < TAG_BYTES || !slice_starts_with(s, mark))
        return IR_MAKER_UNSAID;
    enum ir_maker m = maker_of(s.p + mark.n);
    char form = s.p[TAG_BYTES - 1];
    if (m == IR_MAKER_UNSAID || !strchr("01AB", form))
        return IR_MAKER_UNSAID;
    /* An escaped text stands in quotes: what is behind the tag is decoded, so that it needs none.
     */
    struct slice whole = ir_decode(a, *signature);
    *signature = whole.p ? ir_plain(slice_of(whole.p + TAG_BYTES, whole.n - TAG_BYTES))
                         : (struct ir_text){{NULL, 0}, false};
    if (form >= 'A')
        *signature = unwrap(a, *signature);
    *redacted = form == '1' || form == 'B';
    return m;
}

struct ir_text provenance_tag(struct arena *a, enum ir_maker m, struct ir_text signature,
                              bool redacted, bool bytes)
{
    struct slice s = ir_decode(a, signature);
    bool wrap = bytes && s.p && !is_base64(s);
    size_t n = TAG_BYTES + (wrap ? (s.n + 2) / 3 * 4 : s.n);
    char *mem = s.p ? arena_alloc(a, n) : NULL;
    if (!mem)
        return (struct ir_text){{NULL, 0}, false};
    memcpy(mem, mark.p, mark.n);
    memcpy(mem + mark.n, makers[m].letters, MAKER_BYTES);
    mem[TAG_BYTES - 1] = (char)((wrap ? 'A' : '0') + redacted);
    if (wrap)
        encode(s, mem + TAG_BYTES);
    else
        memcpy(mem + TAG_BYTES, s.p, s.n);
    return ir_plain(slice_of(mem, n));
}

static bool has_mark(const char *p, size_t n)
{
    size_t look = GW_MIN(n, (size_t)PROVENANCE_LOOK_BYTES);
    for (size_t i = 0; i + mark.n <= look && (unsigned char)p[i] > ' '; i++)
        if (p[i] == mark.p[0] && memcmp(p + i, mark.p, mark.n) == 0)
            return true;
    return false;
}

bool provenance_in(const struct json_doc *body)
{
    for (const struct json_tok *t = body->toks, *end = t + body->n; t < end; t++) {
        bool value = (t->info & (JSON_TOK_TYPE | JSON_TOK_KEY)) == JSON_STRING;
        if (value && t->end - t->off >= mark.n + 2 &&
            has_mark(body->text + t->off + 1, t->end - t->off - 2))
            return true;
    }
    return false;
}

enum ir_maker provenance_untagged(const struct codec *c)
{
    return c->made_by ? c->made_by(slice_of(NULL, 0)) : IR_MAKER_UNSAID;
}

/* ---- requests ---- */

/* Azure's endpoints of OpenAI's models stand behind the same names of a router. */
static bool takes(const struct codec *c, struct slice model, enum ir_maker m)
{
    enum ir_maker own = c->made_by ? c->made_by(model) : IR_MAKER_UNSAID;
    return m == own || (c == &codec_openai_chat && own == IR_MAKER_OPENAI && m == IR_MAKER_AZURE);
}

struct settling {
    struct ir_request *r;
    const struct codec *caller, *provider;
    struct slice model;
    bool foreign, has_signature, has_reasoning;
};

/* Whether the signature may go there. Calls and texts are signed by Gemini alone. */
static bool is_theirs(const struct settling *s, struct ir_part *p)
{
    bool redacted = p->redacted;
    enum ir_maker tagged = provenance_untag(s->r->arena, &p->signature, &redacted);
    p->redacted = redacted;
    if (tagged != IR_MAKER_UNSAID)
        p->maker = tagged;
    else if (p->maker == IR_MAKER_UNSAID && p->kind != IR_PART_REASONING)
        p->maker = IR_MAKER_GEMINI;
    else if (p->maker == IR_MAKER_UNSAID && s->caller == s->provider)
        return true;
    else if (p->maker == IR_MAKER_UNSAID)
        p->maker = provenance_untagged(s->caller);
    return takes(s->provider, s->model, p->maker);
}

/* False: nothing is left of the part. */
static bool settle_part(struct settling *s, struct ir_part *p)
{
    if (p->signature.s.n && !is_theirs(s, p)) {
        s->foreign = true;
        p->signature = (struct ir_text){{NULL, 0}, false};
        if (p->kind == IR_PART_REASONING && (p->redacted || !p->text.s.n))
            return false;
    }
    s->has_signature |= p->signature.s.n > 0;
    s->has_reasoning |= p->kind == IR_PART_REASONING;
    return true;
}

static void settle_parts(struct settling *s, struct ir_part **list)
{
    while (*list) {
        if (settle_part(s, *list))
            list = &(*list)->next;
        else
            *list = (*list)->next;
    }
}

static void clear(struct ir_request *r, enum ir_field f)
{
    r->fields &= ~(UINT64_C(1) << f);
}

void provenance_settle(struct ir_request *r, const struct codec *caller,
                       const struct codec *provider, struct slice model, struct buf *dropped)
{
    struct settling s = {.r = r, .caller = caller, .provider = provider, .model = model};
    struct ir_message **at = &r->messages, *last = NULL;
    if (ir_op_fields(r->op) != IR_FIELD_COUNT || !ir_noted(r, IR_F_REASONING_SIGNATURE))
        return;
    while (*at) {
        struct ir_message *m = *at;
        bool had = m->parts != NULL;
        settle_parts(&s, &m->parts);
        if (had && !m->parts) {
            *at = m->next;
            continue;
        }
        last = m;
        at = &m->next;
    }
    r->last_message = last;
    if (!s.has_reasoning)
        clear(r, IR_F_REASONING);
    if (!s.has_signature)
        clear(r, IR_F_REASONING_SIGNATURE);
    bool told = s.has_signature && provider->fields[IR_F_REASONING_SIGNATURE].fate == IR_DROPPED;
    if (s.foreign && !told)
        ir_list_dropped(r, IR_F_REASONING_SIGNATURE, dropped);
}

/* ---- answers ---- */

void provenance_mark(struct ir_response *r, const struct codec *provider,
                     const struct codec *caller, struct slice model)
{
    enum ir_maker by = provider->made_by ? provider->made_by(model) : IR_MAKER_UNSAID;
    enum ir_maker own = provenance_untagged(caller);
    for (struct ir_choice *c = r->choices; c; c = c->next)
        for (struct ir_part *p = c->parts; p; p = p->next) {
            if (p->kind != IR_PART_REASONING)
                continue;
            if (p->maker == IR_MAKER_UNSAID)
                p->maker = by;
            if (p->signature.s.n && p->maker != own && p->maker != IR_MAKER_UNSAID)
                p->signature = provenance_tag(r->arena, p->maker, p->signature, p->redacted,
                                              caller->signature_is_bytes);
        }
}
