/*
 * fetch_curl.c: dlopen and the table of functions.
 */
#include "gatewayd/keeper/fetch_curl.h"

#include <dlfcn.h>

#define LIBRARY "libcurl.so.4"

static int find(void *library, const char *name, void *function, struct errbuf *e)
{
    /* A pointer to a function, as dlsym(3) gives it. */
    *(void **)function = dlsym(library, name);
    return *(void **)function ? 0 : err_set(e, LIBRARY " has no %s", name);
}

const struct fetch_curl *fetch_curl_load(struct errbuf *e)
{
    static struct fetch_curl lib;
    static bool loaded;
    if (loaded)
        return &lib;
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        err_set(e, LIBRARY " can't be loaded (Debian package libcurl4): %s", dlerror());
        return NULL;
    }
#define X(name)                                                                                    \
    if (find(library, "curl_" #name, &lib.name, e) < 0)                                            \
        return NULL;
    FETCH_CURL_FUNCTIONS(X)
#undef X
    if (lib.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        err_set(e, "libcurl can't be initialised");
        return NULL;
    }
    loaded = true;
    return &lib;
}
