/*
 * kept.c: see kept.h.
 */
#include "tests/mockllm/kept.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct entry {
    enum kept_kind kind;
    char *account, *id;
    struct kept kept;
    struct entry *next; /* older */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct entry *entries; /* the newest first */
static uint64_t ids;

void kept_new_id(const char *prefix, char id[64])
{
    pthread_mutex_lock(&lock);
    if (ids == 0)
        ids = (uint64_t)time(NULL) << 20;
    uint64_t n = ids++;
    pthread_mutex_unlock(&lock);
    snprintf(id, 64, "%s%08x%016" PRIx64, prefix, (unsigned)(n * 2654435761u), n);
}

void kept_fini(struct kept *k)
{
    bytes_fini(&k->json);
    bytes_fini(&k->content);
}

static bool is(const struct entry *e, enum kept_kind kind, struct slice account)
{
    return e->kind == kind && slice_is(account, e->account);
}

static struct entry **find(enum kept_kind kind, struct slice account, struct slice id)
{
    struct entry **at = &entries;
    while (*at != NULL && !(is(*at, kind, account) && slice_is(id, (*at)->id)))
        at = &(*at)->next;
    return at;
}

void kept_put(enum kept_kind kind, struct slice account, struct slice id, struct kept *k)
{
    pthread_mutex_lock(&lock);
    struct entry *e = *find(kind, account, id);
    if (e == NULL) {
        e = xcalloc(1, sizeof *e);
        e->kind = kind;
        e->account = xstrndup(account.p, account.len);
        e->id = xstrndup(id.p, id.len);
        e->next = entries;
        entries = e;
    }
    kept_fini(&e->kept);
    e->kept = *k;
    *k = (struct kept){0};
    pthread_mutex_unlock(&lock);
}

bool kept_has(enum kept_kind kind, struct slice account, struct slice id)
{
    pthread_mutex_lock(&lock);
    bool there = *find(kind, account, id) != NULL;
    pthread_mutex_unlock(&lock);
    return there;
}

bool kept_get(enum kept_kind kind, struct slice account, struct slice id, struct kept *out)
{
    *out = (struct kept){0};
    pthread_mutex_lock(&lock);
    struct entry *e = *find(kind, account, id);
    if (e != NULL) {
        bytes_add_slice(&out->json, bytes_slice(&e->kept.json));
        bytes_add_slice(&out->content, bytes_slice(&e->kept.content));
        out->polls = e->kept.polls;
        if (e->kept.polls > 0)
            e->kept.polls--;
    }
    pthread_mutex_unlock(&lock);
    return e != NULL;
}

bool kept_delete(enum kept_kind kind, struct slice account, struct slice id)
{
    pthread_mutex_lock(&lock);
    struct entry **at = find(kind, account, id), *e = *at;
    if (e != NULL) {
        *at = e->next;
        free(e->account);
        free(e->id);
        kept_fini(&e->kept);
        free(e);
    }
    pthread_mutex_unlock(&lock);
    return e != NULL;
}

void kept_list(enum kept_kind kind, struct slice account, struct kept_page *page)
{
    pthread_mutex_lock(&lock);
    struct entry *e = entries;
    if (page->after.p != NULL) {
        e = *find(kind, account, page->after);
        page->unknown = e == NULL;
        e = e != NULL ? e->next : NULL;
    }
    for (; e != NULL; e = e->next) {
        if (!is(e, kind, account))
            continue;
        page->more = (int64_t)page->n == page->limit;
        if (page->more)
            break;
        bytes_adds(&page->items, page->n > 0 ? "," : "");
        bytes_add_slice(&page->items, bytes_slice(&e->kept.json));
        struct bytes *end = page->n++ == 0 ? &page->first : &page->last;
        end->len = 0;
        bytes_adds(end, e->id);
    }
    if (page->n == 1)
        bytes_add_slice(&page->last, bytes_slice(&page->first));
    pthread_mutex_unlock(&lock);
}

void kept_page_fini(struct kept_page *page)
{
    bytes_fini(&page->items);
    bytes_fini(&page->first);
    bytes_fini(&page->last);
}
