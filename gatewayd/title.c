/*
 * title.c: process titles by writing over the argument and environment area of the stack, which is
 * what /proc/PID/cmdline shows.
 *
 * The environment is copied away first. What was written over can't be seen in /proc/PID/environ
 * any more, which is welcome: it may hold secrets.
 */
#include "gatewayd/title.h"

#include "common/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static struct {
    char *start;
    size_t room;
} area;

/* The strings of argv and environ lie one behind the other; stops at the first that doesn't. */
static char *contiguous_end(char *end, char **strings)
{
    for (char **s = strings; *s; s++)
        if (*s == end)
            end = *s + strlen(*s) + 1;
    return end;
}

/* Both blocks stay for the life of the process, also when variables are taken out. */
static void move_environment(void)
{
    static char **pointers, *strings;
    size_t n = 0, n_bytes = 0;
    for (; environ[n]; n++)
        n_bytes += strlen(environ[n]) + 1;
    pointers = gw_xcalloc(n + 1, sizeof *pointers);
    char *to = strings = gw_xmalloc(n_bytes + 1);
    for (size_t i = 0; i < n; i++) {
        pointers[i] = to;
        to = stpcpy(to, environ[i]) + 1;
    }
    environ = pointers;
}

void title_init(int argc, char **argv)
{
    if (argc < 1 || area.start)
        return;
    char *end = contiguous_end(contiguous_end(argv[0], argv), environ);
    move_environment();
    area.start = argv[0];
    area.room = (size_t)(end - argv[0]);
}

void title_set(const char *fmt, ...)
{
    if (!area.start || area.room < 2)
        return;
    char text[256];
    int n = snprintf(text, sizeof text, "gatewayd: ");
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text + n, sizeof text - (size_t)n, fmt, ap);
    va_end(ap);
    memset(area.start, 0, area.room);
    memcpy(area.start, text, GW_MIN(strlen(text), area.room - 1));
    char comm[16]; /* TASK_COMM_LEN */
    snprintf(comm, sizeof comm, "gw-%s", text + n);
    prctl(PR_SET_NAME, comm);
}
