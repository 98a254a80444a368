/*
 * peer_yajl.c: yajl with callbacks that do nothing: validation alone, no tree.
 */
#include "perf/micro/json/peers.h"

#include <yajl/yajl_parse.h>

int peer_yajl(const char *padded, size_t n)
{
    yajl_handle h = yajl_alloc(NULL, NULL, NULL);
    int ok = yajl_parse(h, (const unsigned char *)padded, n) == yajl_status_ok &&
             yajl_complete_parse(h) == yajl_status_ok;
    yajl_free(h);
    return ok ? 0 : -1;
}
