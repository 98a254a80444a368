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
    const struct conf_entries *entries; /* that conf was built of: errors name their lines */
    struct secrets_writer *out;
    const struct secrets *running; /* of the generation that serves, or NULL */
    struct crypto_hash *hash;      /* gets name and content of every blob; may be NULL */
    struct conf_errors *errs;
    bool run_programs; /* else `exec:` is taken on trust */
    int64_t now_us;
};

/* For a file whose text is refused already: adds what is wrong with the secrets and PEM files that
 * it names, so that all is said at once. No program is run. */
void gather_try_secrets(const struct conf_entries *entries, struct conf_errors *errs);
/* Reads every blob once and adds session ticket keys: the running ones, else new ones. 0, or -1 and
 * errors. */
GW_MUSTUSE int gather_secrets(struct gather *g);

/* Whether TLS contexts can be made of the certificates, keys and trust stores that were read. What
 * is the same as in `running` was proven when that was loaded. 0, or -1 and errors. */
GW_MUSTUSE int gather_prove(struct gather *g);

#endif
