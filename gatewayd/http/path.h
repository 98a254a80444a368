/*
 * path.h: the one normalisation of a request path, done before anything is decided by it.
 *
 * Afterwards paths are compared byte by byte. Whatever two readers could take for different paths
 * is refused, not repaired: empty segments, dot segments, backslash, ';', and encoded '/', '\',
 * '.',
 * '%' or bytes outside printable ASCII. Other encodings (%3A) are decoded. An encoded slash inside
 * the segment behind `model`, `models` or `deployments` is part of a name: it stays encoded, so
 * that no route is chosen by it, and is decoded in the name alone.
 */
#ifndef GW_HTTP_PATH_H
#define GW_HTTP_PATH_H

#include "gatewayd/http/head.h"

/* path: as http_request_path gives it. Without '%' *out is path itself; else it is decoded into
 * scratch (at least path.n bytes). 0, or -1 with a 400 in *err whose offset counts from the path's
 * first byte. The path "*" passes unchanged. */
GW_MUSTUSE int http_path_normalise(struct slice path, char *scratch, struct slice *out,
                                   struct http_error *err);

/* How an encoded slash of a name is spelled in a normalised path. */
#define HTTP_PATH_SLASH "%2F"
/* Decodes a name out of a normalised path into out (name.n bytes at most); returns its length. */
size_t http_path_name(struct slice name, char *out);

#endif
