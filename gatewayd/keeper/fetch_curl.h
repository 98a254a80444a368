/*
 * fetch_curl.h: libcurl, loaded when it is first needed.
 *
 * Linked, it and the two dozen libraries that Debian's needs would be mapped and relocated in every
 * process of the daemon: measured with two workers, 8.4 MiB of idle memory became 15.6 MiB, and a
 * third of the time to start came on top, for what only the keeper uses and most configurations
 * never do.
 */
#ifndef GW_KEEPER_FETCH_CURL_H
#define GW_KEEPER_FETCH_CURL_H

#include "common/errbuf.h"

#include <curl/curl.h>

#define FETCH_CURL_FUNCTIONS(X)                                                                    \
    X(global_init)                                                                                 \
    X(easy_init)                                                                                   \
    X(easy_cleanup)                                                                                \
    X(easy_setopt)                                                                                 \
    X(easy_getinfo)                                                                                \
    X(multi_init)                                                                                  \
    X(multi_cleanup)                                                                               \
    X(multi_setopt)                                                                                \
    X(multi_add_handle)                                                                            \
    X(multi_remove_handle)                                                                         \
    X(multi_assign)                                                                                \
    X(multi_info_read)                                                                             \
    X(multi_socket_action)                                                                         \
    X(slist_append)                                                                                \
    X(slist_free_all)

/* lib.easy_init is curl_easy_init. */
struct fetch_curl {
#define X(name) __typeof__(&curl_##name) name;
    FETCH_CURL_FUNCTIONS(X)
#undef X
};

/* The library, initialised; it stays loaded. NULL and *e. */
const struct fetch_curl *fetch_curl_load(struct errbuf *e);

#endif
