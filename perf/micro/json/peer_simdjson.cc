/*
 * peer_simdjson.cc: simdjson's DOM parser, reused between texts: all of a text is validated, like
 * ours. (Its on-demand front end validates only what is looked at.)
 */
#include "perf/micro/json/peers.h"

#include <simdjson.h>

static simdjson::dom::parser parser;

extern "C" int peer_simdjson(const char *padded, size_t n)
{
    simdjson::dom::element root;
    return parser.parse(padded, n, false).get(root) ? -1 : 0;
}

extern "C" const char *peer_simdjson_kernel(void)
{
    static const std::string name = simdjson::get_active_implementation()->name();
    return name.c_str();
}
