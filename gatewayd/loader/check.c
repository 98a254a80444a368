/*
 * check.c: `gatewayd -t`.
 *
 * Secrets and certificates are read and proven as a load does it, but no program is run (`exec:`)
 * and nothing is opened in state_dir.
 */
#include "common/clock.h"
#include "gatewayd/child.h"
#include "gatewayd/loader/gather.h"
#include "gatewayd/loader/loader.h"

#include <stdio.h>

int loader_check(const char *config_path)
{
    struct loader l;
    loader_init(&l);
    int rc = loader_read(&l, config_path);
    if (rc == 0) {
        static const uint8_t salt[CONFDB_SALT_BYTES]; /* nothing of it leaves this function */
        struct secrets_writer *out = secrets_writer_new(salt);
        struct gather g = {.conf = l.conf,
                           .entries = l.entries,
                           .out = out,
                           .errs = &l.errs,
                           .now_us = clock_wall_us()};
        rc = gather_secrets(&g) < 0 || gather_prove(&g) < 0 ? -1 : 0;
        secrets_writer_free(out);
    }
    for (uint32_t i = 0; l.conf && i < l.conf->warnings.n; i++)
        fprintf(stderr, "warning: %s\n", l.conf->warnings.v[i].p);
    if (rc == 0)
        puts("configuration OK");
    for (uint32_t i = 0; i < l.errs.n; i++)
        fprintf(stderr, "%s\n", l.errs.v[i]);
    loader_fini(&l);
    return rc == 0 ? CHILD_EXIT_OK : CHILD_EXIT_CONFIG;
}
