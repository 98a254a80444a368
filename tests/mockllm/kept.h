/*
 * kept.h: what a provider keeps for an account: files, batches, responses, cached content. An
 * account is a credential: what one has made doesn't exist for another.
 *
 * Shared by all threads under one lock; everything is copied in and out.
 */
#ifndef MOCKLLM_KEPT_H
#define MOCKLLM_KEPT_H

#include "tests/mockllm/bytes.h"

enum kept_kind { KEPT_FILE, KEPT_BATCH, KEPT_RESPONSE, KEPT_CACHE };

/* An id that was never given before: the prefix and 24 hexadecimal digits. */
void kept_new_id(const char *prefix, char id[64]);

struct kept {
    struct bytes json;    /* the object as the API shows it */
    struct bytes content; /* of a file: its bytes; of a batch: what it becomes once it is through */
    int64_t polls;        /* how often it is still shown as it is */
};
void kept_fini(struct kept *k);

/* Adds it, or puts it in the place of one with that id. Takes what k holds. */
void kept_put(enum kept_kind kind, struct slice account, struct slice id, struct kept *k);
bool kept_has(enum kept_kind kind, struct slice account, struct slice id);
/* A copy in *out; false where the account has none of that id. Each call counts as a poll. */
bool kept_get(enum kept_kind kind, struct slice account, struct slice id, struct kept *out);
bool kept_delete(enum kept_kind kind, struct slice account, struct slice id);

/* One page of the account's objects, the newest first. */
struct kept_page {
    struct slice after; /* id; {NULL}: from the start */
    int64_t limit;
    struct bytes items; /* objects, with commas between */
    struct bytes first, last;
    bool more, unknown; /* nothing has the id `after` */
    size_t n;
};
void kept_list(enum kept_kind kind, struct slice account, struct kept_page *page);
void kept_page_fini(struct kept_page *page);

#endif
