/*
 * secret_source.h: reading what a secret reference names.
 *
 *   env:NAME         of the daemon's environment
 *   credential:NAME  $CREDENTIALS_DIRECTORY/NAME, systemd's LoadCredential
 *   file:/PATH       a regular file; a secret's may not be readable by group or others
 *   exec:/PATH       what the program prints: no shell, no arguments, an almost empty environment,
 *                    stdin and stderr on /dev/null, 10 s, exit status 0
 *
 * Secrets lose the line breaks at their end and are then one line of printable ASCII. Documents and
 * certificates are taken as they are. No error repeats content.
 */
#ifndef GW_GATEWAYD_LOADER_SECRET_SOURCE_H
#define GW_GATEWAYD_LOADER_SECRET_SOURCE_H

#include "common/errbuf.h"
#include "common/slice.h"

enum secret_class {
    SECRET_TOKEN,       /* key or password: one line; file 0600 or stricter */
    SECRET_DOCUMENT,    /* a secret of many lines; file 0600 or stricter */
    SECRET_PRIVATE_KEY, /* PEM; file not readable by everyone */
    SECRET_PUBLIC,      /* PEM certificates */
};

enum {
    SECRET_TOKEN_MAX = 16 * 1024,
    SECRET_PEM_MAX = 8 * 1024 * 1024,
    SECRET_EXEC_TIMEOUT_US = 10 * 1000 * 1000,
};

/* Returns the bytes (malloc'ed; wipe before free) and their number, or NULL and *e, which begins
 * with a verb: the caller has the reference. */
char *secret_source_read(struct slice ref, enum secret_class class, size_t *n,
                         struct errbuf *e) GW_MUSTUSE;

#endif
