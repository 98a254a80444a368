/*
 * tmpdir.h: a scratch directory for tests that need files, and its removal.
 */
#ifndef GW_TESTS_UNIT_TMPDIR_H
#define GW_TESTS_UNIT_TMPDIR_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

static inline int tmpdir_remove_one(const char *path, const struct stat *st, int type,
                                    struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* Makes a new directory below $TMPDIR or /tmp; the path lives in out. */
static inline char *tmpdir_make(char out[256])
{
    const char *base = getenv("TMPDIR");
    snprintf(out, 256, "%s/gwtest.XXXXXX", base ? base : "/tmp");
    return mkdtemp(out);
}

static inline void tmpdir_remove(const char *path)
{
    nftw(path, tmpdir_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
