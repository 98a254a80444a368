/*
 * corpus.h: the texts that the JSON benchmark reads, made from a fixed seed.
 */
#ifndef GW_PERF_MICRO_JSON_CORPUS_H
#define GW_PERF_MICRO_JSON_CORPUS_H

#include "common/buf.h"

struct corpus {
    const char *name;
    void (*make)(struct buf *out);
};

/* Ended by {NULL, NULL}. */
extern const struct corpus corpora[];

#endif
