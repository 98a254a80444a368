/*
 * check.c: what happens when an assertion or an allocation fails.
 *
 * Writes with plain write(2) to stderr: it must work when the log, the heap or the event loop is
 * what broke.
 */
#include "common/check.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void say(const char *what, const char *expr, const char *file, int line)
{
    char msg[512];
    int n = snprintf(msg, sizeof msg, "gatewayd[%d]: %s: %s at %s:%d\n", (int)getpid(), what, expr,
                     file, line);
    if (n > 0) {
        ssize_t ignored = write(STDERR_FILENO, msg, GW_MIN((size_t)n, sizeof msg - 1));
        (void)ignored;
    }
}

void gw_require_failed(const char *expr, const char *file, int line)
{
    say("requirement failed", expr, file, line);
    abort();
}

bool gw_check_failed(const char *expr, const char *file, int line)
{
    static atomic_uint said;
    if (atomic_fetch_add_explicit(&said, 1, memory_order_relaxed) < 100)
        say("check failed, carrying on", expr, file, line);
    return true;
}

static void *checked(void *p, size_t n_bytes)
{
    GW_REQUIRE(p != NULL || n_bytes == 0);
    return p;
}

void *gw_xmalloc(size_t n_bytes)
{
    return checked(malloc(n_bytes), n_bytes);
}

void *gw_xcalloc(size_t count, size_t size_bytes)
{
    return checked(calloc(count, size_bytes), count && size_bytes);
}

void *gw_xrealloc(void *p, size_t n_bytes)
{
    return checked(realloc(p, n_bytes), n_bytes);
}

char *gw_xstrdup(const char *s)
{
    return gw_xstrndup(s, strlen(s));
}

char *gw_xstrndup(const char *s, size_t n_bytes)
{
    char *p = gw_xmalloc(n_bytes + 1);
    memcpy(p, s, n_bytes);
    p[n_bytes] = '\0';
    return p;
}
