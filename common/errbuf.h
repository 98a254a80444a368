/*
 * errbuf.h: the human half of an error: what, where, what to do.
 *
 * Functions that can fail return 0 or -1 (or an enum where the caller decides by it) and, on cold
 * paths, take a struct errbuf * that they fill on failure only. NULL is allowed: then nobody reads
 * it.
 */
#ifndef GW_COMMON_ERRBUF_H
#define GW_COMMON_ERRBUF_H

#include "common/base.h"

struct errbuf {
    char msg[512];
};

/* Formats into e (if any) and returns -1, so that `return err_set(e, "...")` is the idiom. */
int err_set(struct errbuf *e, const char *fmt, ...) GW_PRINTF(2, 3);
/* Like err_set, with ": " and strerror(errno) behind it; keeps errno. */
int err_set_errno(struct errbuf *e, const char *fmt, ...) GW_PRINTF(2, 3);

#endif
