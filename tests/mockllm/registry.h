/*
 * registry.h: scripts set over the control port for requests to come.
 */
#ifndef MOCKLLM_REGISTRY_H
#define MOCKLLM_REGISTRY_H

#include "tests/mockllm/script.h"

struct registry_entry {
    char *model, *credential, *path; /* NULL: any; compared in whole */
    char *script;
    struct bytes payload;
    bool has_payload;
    int64_t count; /* requests that it still serves; < 0: all until reset */
    struct registry_entry *next;
};

/* Takes the entry. Entries are asked in the order in which they came. */
void registry_add(struct registry_entry *e);
void registry_free_entry(struct registry_entry *e);
void registry_clear(void);
/* Entries not used up yet. */
int registry_pending(void);
/* Lays the first entry that fits over `s` and copies its payload. False where none fits. */
bool registry_take(struct slice model, struct slice credential, struct slice path, struct script *s,
                   struct bytes *payload, bool *has_payload);

#endif
