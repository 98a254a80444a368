/*
 * fuzz_token_answer.c: answers of token services: whatever they say, what is taken of it can stand
 * in a header field.
 *
 * The first byte chooses the kind.
 */
#include "common/check.h"
#include "gatewayd/keeper/token_answer.h"
#include "gatewayd/keeper/token_xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct token_record *r, int64_t life_s)
{
    GW_REQUIRE(life_s >= 0 && life_s <= TOKEN_LIFE_MAX_S);
    GW_REQUIRE(token_answer_is_plain(token_part(r, TOKEN_SECRET)));
    for (int p = TOKEN_ACCESS_KEY_ID; p < TOKEN_N_PARTS; p++)
        GW_REQUIRE(r->head.length[p] == 0 ||
                   token_answer_is_plain(token_part(r, (enum token_part)p)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t wall_us = INT64_C(1767225600000000);
    static struct token_record r;
    struct errbuf e;
    int64_t life_s = 0;
    char code[TOKEN_ERROR_CODE_BYTES], text[8];
    if (size < 1)
        return 0;
    struct slice body = slice_of((const char *)data + 1, size - 1);
    int rc = -1;
    switch (data[0] % 4) {
    case 0:
        rc = token_answer_oauth(body, &r, &life_s, &e);
        break;
    case 1:
        rc = token_answer_keys(body, wall_us, &r, &life_s, &e);
        break;
    case 2:
        rc = token_answer_sts(body, wall_us, &r, &life_s, &e);
        break;
    default:
        token_answer_error(body, code);
        GW_REQUIRE(strlen(code) < sizeof code);
        GW_REQUIRE(token_xml_text(body, "a/b", text, sizeof text) <= (int)sizeof text);
        break;
    }
    if (rc == 0)
        check(&r, life_s);
    return 0;
}
