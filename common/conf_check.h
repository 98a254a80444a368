/*
 * conf_check.h: `gwctl config check FILE`.
 */
#ifndef GW_COMMON_CONF_CHECK_H
#define GW_COMMON_CONF_CHECK_H

/* Reads and validates the file without looking at the secrets and certificates that it names: who
 * asks need not be allowed to read them. Prints every error to stderr, or "configuration OK" to
 * stdout. Returns the exit status, 0 or 2. */
int conf_check_main(const char *path);

#endif
