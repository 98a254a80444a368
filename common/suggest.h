/*
 * suggest.h: which known word a mistyped one was meant to be.
 *
 * For error texts only. A word is offered if few slips lead to it: a letter wrong, missing, too
 * many, or two neighbours swapped count one each, and one in three letters may be wrong.
 */
#ifndef GW_COMMON_SUGGEST_H
#define GW_COMMON_SUGGEST_H

#include "common/slice.h"

struct suggest {
    struct slice typed;
    const char *best; /* borrowed from suggest_try(); NULL: nothing is near */
    unsigned slips;   /* from typed to best */
};

void suggest_init(struct suggest *s, struct slice typed);
/* Keeps `word` if it is nearer than what was tried before. */
void suggest_try(struct suggest *s, const char *word);

#endif
