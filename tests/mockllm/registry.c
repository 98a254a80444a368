/*
 * registry.c: see registry.h.
 */
#include "tests/mockllm/registry.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct registry_entry *entries;
static atomic_int pending; /* lets requests pass without the lock while nothing is set */

void registry_free_entry(struct registry_entry *e)
{
    free(e->model);
    free(e->credential);
    free(e->path);
    free(e->script);
    bytes_fini(&e->payload);
    free(e);
}

void registry_add(struct registry_entry *e)
{
    pthread_mutex_lock(&lock);
    struct registry_entry **at = &entries;
    while (*at != NULL)
        at = &(*at)->next;
    e->next = NULL;
    *at = e;
    atomic_fetch_add(&pending, 1);
    pthread_mutex_unlock(&lock);
}

static void remove_at(struct registry_entry **at)
{
    struct registry_entry *e = *at;
    *at = e->next;
    registry_free_entry(e);
    atomic_fetch_sub(&pending, 1);
}

void registry_clear(void)
{
    pthread_mutex_lock(&lock);
    while (entries != NULL)
        remove_at(&entries);
    pthread_mutex_unlock(&lock);
}

int registry_pending(void)
{
    return atomic_load(&pending);
}

static bool fits(const char *want, struct slice have)
{
    return want == NULL || slice_is(have, want);
}

bool registry_take(struct slice model, struct slice credential, struct slice path, struct script *s,
                   struct bytes *payload, bool *has_payload)
{
    bool found = false;
    char why[8];
    if (atomic_load(&pending) == 0)
        return false;
    pthread_mutex_lock(&lock);
    for (struct registry_entry **at = &entries; *at != NULL && !found; at = &(*at)->next) {
        struct registry_entry *e = *at;
        if (!fits(e->model, model) || !fits(e->credential, credential) || !fits(e->path, path))
            continue;
        found = true;
        script_parse(s, (struct slice){e->script, strlen(e->script)}, why, sizeof why);
        *has_payload = e->has_payload;
        bytes_add_slice(payload, bytes_slice(&e->payload));
        if (e->count > 0 && --e->count == 0) {
            remove_at(at);
            break;
        }
    }
    pthread_mutex_unlock(&lock);
    return found;
}
