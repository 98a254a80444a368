/*
 * test_upstream_head.c: what of a caller's query goes on to a provider.
 */
#include "gatewayd/worker/upstream_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void what_is_ours_stays(void **state)
{
    static const char *const stay[] = {
        "key=x",
        "key",
        "Key=x",
        "%6bey=x",
        "%6Bey=x",
        "ke%79=x",
        "%6b%65%79=x",
        "$key=x",
        "%24key=x",
        "api_key=x",
        "api%5Fkey=x",
        "api-key=x",
        "apikey=x",
        "access_token=x",
        "%61ccess_token=x",
        "access%5ftoken=x",
        "oauth_token=x",
        "$oauth_token=x",
        "x-goog-api-key=x",
        "authorization=Bearer%20x",
        "api-version=2024-10-21",
        "%61pi-version=2024-10-21",
        "$httpMethod=DELETE",
        "%24httpMethod=DELETE",
    };
    for (size_t i = 0; i < ARRAY_LEN(stay); i++)
        if (upstream_query_passes(slice_str(stay[i])))
            fail_msg("%s goes on", stay[i]);
}

static void all_else_goes_on(void **state)
{
    static const char *const pass[] = {
        "limit=10",
        "after=key",
        "after=api_key=x",
        "updateMask=ttl",
        "include[]=a",
        "keys=1",
        "mykey=1",
        "%=1",
        "%6=1",
        "%zz=1",
        "% 6=1",
        "%+6=1",
        "%256bey=x",
        "=key",
        "$=1",
        "a-name-that-is-longer-than-any-that-is-compared-key=1",
    };
    for (size_t i = 0; i < ARRAY_LEN(pass); i++)
        if (!upstream_query_passes(slice_str(pass[i])))
            fail_msg("%s stays", pass[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_ours_stays),
        cmocka_unit_test(all_else_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
