/*
 * conf_check.c: the check without the daemon.
 */
#include "common/conf_check.h"
#include "common/conf.h"

#include <stdio.h>

int conf_check_main(const char *path)
{
    struct conf_errors errs;
    conf_errors_init(&errs);
    struct conf_entries *entries = conf_read_file(path, &errs);
    struct conf *conf = entries ? conf_build(entries, 0, &errs) : NULL;
    int status = conf ? 0 : 2;
    if (conf)
        puts("configuration OK");
    for (uint32_t i = 0; i < errs.n; i++)
        fprintf(stderr, "%s\n", errs.v[i]);
    conf_free(conf);
    conf_entries_free(entries);
    conf_errors_fini(&errs);
    return status;
}
