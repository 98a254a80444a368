/*
 * gather.h: all secrets and certificates of a configuration, read and proven.
 */
#ifndef GW_GATEWAYD_LOADER_GATHER_H
#define GW_GATEWAYD_LOADER_GATHER_H

#include "common/conf.h"
#include "common/crypto.h"
#include "common/secrets.h"

struct gather {
    const struct conf *conf;
    struct secrets_writer *out; /* NULL: check only */
    struct crypto_hash *hash;   /* NULL, or gets name and content of every blob */
    struct conf_errors *errs;
    bool run_programs; /* else `exec:` is taken on trust */
    int64_t now_us;
};

/* Reads every blob once, checks that certificates, keys and trust stores can be loaded, and adds
 * session ticket keys: those of `running` (may be NULL), else new ones. 0, or -1 and errors. */
GW_MUSTUSE int gather_secrets(struct gather *g, const struct secrets *running);

#endif
