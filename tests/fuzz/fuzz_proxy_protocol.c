/*
 * fuzz_proxy_protocol.c: PROXY headers: the verdict on a prefix never contradicts that on more.
 */
#include "common/check.h"
#include "gatewayd/http/proxy_protocol.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_protocol whole, part;
    enum proxy_protocol_result res = proxy_protocol_parse((const char *)data, size, &whole);
    if (res == PROXY_PROTOCOL_OK) {
        GW_REQUIRE(whole.len <= size && whole.len <= PROXY_PROTOCOL_MAX_BYTES);
        sa_family_t family = whole.src.sa.sa_family;
        if (whole.has_addresses)
            GW_REQUIRE(family == whole.dst.sa.sa_family &&
                       (family == AF_INET || family == AF_INET6));
    }
    for (size_t n = 0; n < GW_MIN(size, 300u); n++) {
        char *copy = malloc(n + 1);
        memcpy(copy, data, n);
        enum proxy_protocol_result early = proxy_protocol_parse(copy, n, &part);
        GW_REQUIRE(early == PROXY_PROTOCOL_MORE || early == res);
        free(copy);
    }
    return 0;
}
