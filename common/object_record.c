/*
 * object_record.c: names of a record, its lengths, its owner.
 */
#include "common/object_record.h"

#include "common/crypto.h"

enum { FIXED_BYTES = offsetof(struct object_record, text) };

const char *object_kind_name(unsigned kind)
{
    static const char *const names[] = {
#define X(name, text) [OBJECT_##name] = text,
        OBJECT_KINDS(X)
#undef X
    };
    return kind < ARRAY_LEN(names) ? names[kind] : "?";
}

enum object_kind object_kind_find(struct slice name)
{
    unsigned k = 0;
    while (k < OBJECT_KIND_COUNT && !slice_eq_str(name, object_kind_name(k)))
        k++;
    return (enum object_kind)k;
}

const char *object_state_name(unsigned state)
{
    static const char *const names[] = {
#define X(name, text) [OBJECT_##name] = text,
        OBJECT_STATES(X)
#undef X
    };
    return state < ARRAY_LEN(names) ? names[state] : "?";
}

/* A team and a key of one name are two owners. */
void object_owner_of(struct slice key, struct slice team, struct object_owner *out)
{
    uint8_t digest[CRYPTO_SHA256_BYTES];
    const struct slice parts[] = {team.n ? SLICE_LIT("team\n") : SLICE_LIT("key\n"),
                                  team.n ? team : key};
    crypto_sha256_parts(parts, ARRAY_LEN(parts), digest);
    memcpy(out->digest, digest, sizeof out->digest);
}

bool object_owner_eq(const struct object_owner *a, const struct object_owner *b)
{
    return memcmp(a->digest, b->digest, sizeof a->digest) == 0;
}

int object_record_init(struct object_record *r, enum object_kind kind,
                       const struct slice names[OBJECT_NAME_COUNT])
{
    size_t n = 0;
    memset(r, 0, FIXED_BYTES);
    r->version = OBJECT_VERSION;
    r->fixed_bytes = FIXED_BYTES;
    r->kind = (uint8_t)kind;
    r->state = kind == OBJECT_BATCH ? OBJECT_OPEN : OBJECT_PLAIN;
    if (names[OBJECT_ID].n == 0 || names[OBJECT_ID].n > OBJECT_ID_MAX)
        return -1;
    for (unsigned i = 0; i < OBJECT_NAME_COUNT; i++) {
        if (names[i].n > sizeof r->text - n)
            return -1;
        if (names[i].n)
            memcpy(r->text + n, names[i].p, names[i].n);
        r->name_bytes[i] = (uint16_t)names[i].n;
        n += names[i].n;
    }
    return 0;
}

struct slice object_name(const struct object_record *r, enum object_name name)
{
    size_t at = 0;
    for (unsigned i = 0; i < (unsigned)name; i++)
        at += r->name_bytes[i];
    return slice_of(r->text + at, r->name_bytes[name]);
}

static size_t text_bytes(const struct object_record *r)
{
    size_t n = 0;
    for (unsigned i = 0; i < OBJECT_NAME_MAX; i++)
        n += r->name_bytes[i];
    return n;
}

size_t object_record_bytes(const struct object_record *r)
{
    return FIXED_BYTES + text_bytes(r);
}

bool object_record_decode(const void *p, size_t n, struct object_record *out)
{
    if (n < FIXED_BYTES || n > sizeof *out)
        return false;
    memcpy(out, p, n);
    return out->version == OBJECT_VERSION && out->fixed_bytes == FIXED_BYTES &&
           out->kind < OBJECT_KIND_COUNT && out->state < OBJECT_STATE_COUNT &&
           FIXED_BYTES + text_bytes(out) == n;
}

void object_record_owner(const struct object_record *r, struct object_owner *out)
{
    object_owner_of(object_name(r, OBJECT_KEY), object_name(r, OBJECT_TEAM), out);
}
