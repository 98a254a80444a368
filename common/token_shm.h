/*
 * token_shm.h: the shared table of credentials that are fetched: access tokens and temporary keys.
 *
 * One writer, the keeper; the workers read when they write the head of a try. Readers take no lock,
 * make no system call and never wait: each slot holds two copies of its record and a counter that
 * says which of them is published (as in dns_shm.h), so a reader always finds a whole record, also
 * when the keeper is killed in the middle of a write or is not running at all.
 *
 * A slot belongs to an identity: the hash of everything that its token is made of
 * (token_identity.h). A reload that changes a credential changes its identity, so what was fetched
 * with the old secret can't be found under the new one.
 *
 * The memory is a memfd of the master's: no file under any name ever holds a token, and nothing is
 * left of it when the last process of the daemon is gone. It is kept out of core dumps. What dies
 * with a keeper or a worker is nothing: the next one finds the table as it was.
 *
 * Invariants: fixed size, indexes only; a slot that was ever used stays in use or vacant, so that a
 * probe chain never breaks; times are CLOCK_MONOTONIC µs.
 */
#ifndef GW_COMMON_TOKEN_SHM_H
#define GW_COMMON_TOKEN_SHM_H

#include "common/errbuf.h"
#include "common/shm.h"
#include "common/slice.h"

#include <stdatomic.h>

enum {
    TOKEN_LAYOUT = 1,
    TOKEN_SLOTS = 2048, /* two generations of TOKEN_CREDENTIALS_MAX */
    TOKEN_CREDENTIALS_MAX = 1024,
    TOKEN_IDENTITY_BYTES = 32,
    /* All parts of a token together. Entra's and Google's are some 2 KiB. AWS names no bound for
     * its session tokens (docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html); as a
     * header field they couldn't be longer than this either. */
    TOKEN_TEXT_BYTES = 16 * 1024 - 80,
};

/* What a token consists of. An access token is one part; temporary AWS keys are three. */
enum token_part { TOKEN_SECRET, TOKEN_ACCESS_KEY_ID, TOKEN_SESSION, TOKEN_N_PARTS };

struct token_head {
    uint8_t identity[TOKEN_IDENTITY_BYTES]; /* all zero: vacant */
    int64_t usable_until_us; /* it isn't shown to a provider from then on; 0: there is none yet */
    int64_t fetched_us;
    int64_t refresh_us; /* when the keeper means to replace it */
    uint32_t serial;    /* of the token in this slot, from 1 */
    uint16_t length[TOKEN_N_PARTS];
    uint16_t pad[7];
};

struct token_record {
    struct token_head head;
    char text[TOKEN_TEXT_BYTES]; /* the parts one behind the other */
};
_Static_assert(sizeof(struct token_head) == 80, "shared layout");
_Static_assert(sizeof(struct token_record) == 16 * 1024, "shared layout");

struct token_seg; /* the mapped segment */

/* What the segment is called and how big it is: for the master, which makes it (shm_create_memory),
 * and for those who attach. */
struct shm_spec token_seg_spec(void);
/* Out of a mapping: takes it out of core dumps. */
struct token_seg *token_seg_of(const struct shm *s);

/* ---- workers ---- */

/* The slot of an identity, or -1. *hint is where it was last time (any value at first) and is
 * brought up to date. */
int token_find(const struct token_seg *seg, const uint8_t identity[TOKEN_IDENTITY_BYTES],
               uint32_t *hint);
/* The serial of the token in `slot` if it still belongs to that identity and can be used at now_us;
 * else 0. Loads a few words. */
uint32_t token_serial(const struct token_seg *seg, int slot,
                      const uint8_t identity[TOKEN_IDENTITY_BYTES], int64_t now_us);
/* The same, and a copy of the whole record. False: none that can be used. Who gets it wipes it. */
bool token_read(const struct token_seg *seg, int slot, const uint8_t identity[TOKEN_IDENTITY_BYTES],
                int64_t now_us, struct token_record *out);
/* Borrowed from the record. */
struct slice token_part(const struct token_record *r, enum token_part p);
/* A provider has refused the token `serial` of a slot: the keeper may fetch another one early. */
void token_refused(struct token_seg *seg, int slot, uint32_t serial);

/* ---- the writer: one process, one thread ---- */

/* Publishes r under its identity, taking a free slot if it is new, with the next serial. The slot,
 * or -1: the table is full. */
GW_MUSTUSE int token_publish(struct token_seg *seg, struct token_record *r);
/* Makes the slot vacant and wipes both copies. */
void token_forget(struct token_seg *seg, int slot);
/* What is known of a slot, whatever its age; false: vacant. */
bool token_peek(const struct token_seg *seg, int slot, struct token_head *out);
/* How often token_refused was called, ever: a change means that some slot's token was refused. */
uint64_t token_refusals(const struct token_seg *seg);
/* The last serial of the slot that was refused; 0: none. */
uint32_t token_refused_serial(const struct token_seg *seg, int slot);

#endif
