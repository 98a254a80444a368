/*
 * ledger.c: the names behind a record's fixed part, and its checks. No I/O.
 */
#include "common/ledger.h"

#include "common/check.h"
#include "common/crypto.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the record format is little endian");

static const char *const usage_names[] = {
#define X(name, text) text,
    LEDGER_USAGES(X)
#undef X
};
static const char *const name_names[] = {
#define X(name, text) text,
    LEDGER_NAMES(X)
#undef X
};

const char *ledger_state_name(unsigned state)
{
    switch (state) {
#define X(name, number, text)                                                                      \
    case name:                                                                                     \
        return text;
        LEDGER_STATES(X)
#undef X
    }
    return "?";
}

const char *ledger_usage_name(unsigned usage)
{
    return usage < ARRAY_LEN(usage_names) ? usage_names[usage] : "?";
}

const char *ledger_name_name(unsigned name)
{
    return name < ARRAY_LEN(name_names) ? name_names[name] : "?";
}

static char *names_of(struct ledger_body *b)
{
    return (char *)b + b->fixed_bytes;
}

/* What a name looks like when not all of them fit. */
static size_t shorten(struct slice name, char out[LEDGER_NAME_SHORT_BYTES])
{
    enum { HEX_DIGITS = 8, HEAD = LEDGER_NAME_SHORT_BYTES - 1 - HEX_DIGITS };
    uint8_t digest[CRYPTO_SHA256_BYTES];
    char hex[HEX_DIGITS + 1];
    if (name.n <= LEDGER_NAME_SHORT_BYTES) {
        if (name.n)
            memcpy(out, name.p, name.n);
        return name.n;
    }
    crypto_sha256(name.p, name.n, digest);
    crypto_hex(digest, HEX_DIGITS / 2, hex);
    memcpy(out, name.p, HEAD);
    out[HEAD] = '~';
    memcpy(out + HEAD + 1, hex, HEX_DIGITS);
    return LEDGER_NAME_SHORT_BYTES;
}

_Static_assert(LEDGER_NAME_COUNT *LEDGER_NAME_SHORT_BYTES <= LEDGER_NAMES_BYTES,
               "shortened names always fit");

void ledger_body_set_names(struct ledger_body *b, const struct slice names[LEDGER_NAME_COUNT])
{
    char *at = names_of(b);
    size_t total = 0;
    for (unsigned i = 0; i < LEDGER_NAME_COUNT; i++)
        total += names[i].n;
    bool fits = total <= LEDGER_NAMES_BYTES;
    if (!fits)
        b->flags |= LEDGER_F_NAMES_SHORT;
    memset(b->name_bytes, 0, sizeof b->name_bytes);
    for (unsigned i = 0; i < LEDGER_NAME_COUNT; i++) {
        size_t n = names[i].n;
        if (!fits)
            n = shorten(names[i], at);
        else if (n)
            memcpy(at, names[i].p, n);
        b->name_bytes[i] = (uint16_t)n;
        at += n;
    }
    b->names_bytes = (uint16_t)(at - names_of(b));
}

void ledger_body_add_upstream_id(struct ledger_body *b, struct slice id)
{
    _Static_assert(LEDGER_UPSTREAM_REQUEST_ID == LEDGER_NAME_COUNT - 1, "the last name is added");
    size_t before = b->names_bytes - b->name_bytes[LEDGER_UPSTREAM_REQUEST_ID];
    if (id.n == 0 || before + id.n > LEDGER_NAMES_BYTES)
        return;
    memcpy(names_of(b) + before, id.p, id.n);
    b->name_bytes[LEDGER_UPSTREAM_REQUEST_ID] = (uint16_t)id.n;
    b->names_bytes = (uint16_t)(before + id.n);
}

struct slice ledger_body_name(const struct ledger_body *b, enum ledger_name name)
{
    const char *at = (const char *)b + b->fixed_bytes;
    for (unsigned i = 0; i < (unsigned)name; i++)
        at += b->name_bytes[i];
    return slice_of(at, b->name_bytes[name]);
}

size_t ledger_body_bytes(const struct ledger_body *b)
{
    return (size_t)b->fixed_bytes + b->names_bytes;
}

static size_t sum_of_names(const struct ledger_body *b)
{
    size_t sum = 0;
    for (unsigned i = 0; i < LEDGER_NAME_MAX; i++)
        sum += b->name_bytes[i];
    return sum;
}

bool ledger_body_valid(const void *p, size_t n)
{
    struct ledger_body b;
    if (n < sizeof b)
        return false;
    memcpy(&b, p, sizeof b);
    return b.version == LEDGER_VERSION && b.fixed_bytes >= sizeof b &&
           sum_of_names(&b) == b.names_bytes && b.attempt > 0 && n == ledger_body_bytes(&b);
}

static bool has_request_id(const struct ledger_body *b)
{
    static const uint8_t none[LEDGER_REQUEST_ID_BYTES];
    return memcmp(b->request_id, none, sizeof none) != 0;
}

const char *ledger_body_fault(const struct ledger_body *b)
{
    if (b->version != LEDGER_VERSION)
        return "unknown version";
    if (b->fixed_bytes < sizeof *b || ledger_body_bytes(b) > LEDGER_BODY_MAX)
        return "longer or shorter than a record can be";
    if (sum_of_names(b) != b->names_bytes)
        return "the lengths of its names don't add up";
    if (!has_request_id(b))
        return "no request id";
    if (b->attempt == 0)
        return "no attempt number";
    if (b->state < LEDGER_SETTLED || b->state > LEDGER_UNSETTLED)
        return "unknown state";
    return NULL;
}

bool ledger_body_mend(const struct ledger_body *b, struct ledger_body *out)
{
    /* No single attempt reserves a million dollars: such a figure is part of the damage. */
    static const int64_t PLAUSIBLE_NUSD = INT64_C(1000000) * 1000000000;
    bool priced = b->reserved_nusd >= 0 && b->reserved_nusd <= PLAUSIBLE_NUSD;
    if (!has_request_id(b) || b->attempt == 0)
        return false;
    *out = (struct ledger_body){
        .version = LEDGER_VERSION,
        .fixed_bytes = sizeof *out,
        .state = LEDGER_UNSETTLED,
        .attempt = b->attempt,
        .worker = b->worker,
        .flags = LEDGER_F_MALFORMED | (priced ? 0 : LEDGER_F_UNPRICED),
        .started_us = b->started_us,
        .ended_us = b->started_us,
        .ttfb_us = -1,
        .cost_nusd = priced ? b->reserved_nusd : 0,
        .reserved_nusd = priced ? b->reserved_nusd : 0,
        .config_generation = b->config_generation,
    };
    memcpy(out->request_id, b->request_id, sizeof out->request_id);
    if (sum_of_names(b) <= LEDGER_NAMES_BYTES && b->fixed_bytes == sizeof *b) {
        memcpy(out->name_bytes, b->name_bytes, sizeof out->name_bytes);
        out->names_bytes = (uint16_t)sum_of_names(b);
        memcpy(out + 1, b + 1, out->names_bytes);
    }
    return true;
}

void ledger_record_id(const struct ledger_body *b, uint8_t out[LEDGER_RECORD_ID_BYTES])
{
    memcpy(out, b->request_id, LEDGER_REQUEST_ID_BYTES);
    for (int i = 0; i < 4; i++)
        out[LEDGER_REQUEST_ID_BYTES + i] = (uint8_t)(b->attempt >> (24 - 8 * i));
}
