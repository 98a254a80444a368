/*
 * peers.h: the other readers, each behind one function: reads a text once into whatever it makes of
 * it; 0 or -1. Present where its library is installed.
 */
#ifndef GW_PERF_MICRO_JSON_PEERS_H
#define GW_PERF_MICRO_JSON_PEERS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
int peer_simdjson(const char *padded, size_t n);
const char *peer_simdjson_kernel(void);
int peer_yajl(const char *padded, size_t n);
/* Room that must be readable behind a text. */
enum { PEER_PADDING = 64 };
#ifdef __cplusplus
}
#endif

#endif
