/*
 * conf_environment.c: what the environment says about proxies.
 *
 * The master's environment is that of all its processes, so each of them, building the same
 * configuration, comes to the same end.
 */
#include "common/conf.h"

#include <stdlib.h>

static bool host_matches(struct slice host, struct slice pattern)
{
    if (slice_eq_str(pattern, "*") || slice_ieq(host, pattern))
        return true;
    if (pattern.n && pattern.p[0] == '.')
        pattern = slice_of(pattern.p + 1, pattern.n - 1);
    return pattern.n && host.n > pattern.n && host.p[host.n - pattern.n - 1] == '.' &&
           slice_ieq(slice_of(host.p + host.n - pattern.n, pattern.n), pattern);
}

static const char *environment(const char *upper, const char *lower)
{
    const char *v = getenv(lower);
    return v && *v ? v : getenv(upper);
}

static bool excepted_from_proxy(struct slice host)
{
    struct slice rest = slice_str(environment("NO_PROXY", "no_proxy"));
    while (rest.p)
        if (host_matches(host, slice_trim(slice_split(&rest, ','))))
            return true;
    return false;
}

const char *conf_environment_proxy(struct slice host)
{
    const char *proxy = environment("HTTPS_PROXY", "https_proxy");
    return proxy && *proxy && !excepted_from_proxy(host) ? proxy : NULL;
}
