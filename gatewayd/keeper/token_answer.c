/*
 * token_answer.c: JSON and XML of token services.
 */
#include "gatewayd/keeper/token_answer.h"

#include "common/crypto.h"
#include "common/json.h"
#include "common/when.h"
#include "gatewayd/keeper/token_xml.h"

#include <stdio.h>

enum { MEMBERS_MAX = 512, NUMBER_BYTES = 24, TIME_BYTES = 64 };

bool token_answer_is_plain(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 0x7f)
            return false;
    return s.n > 0;
}

/* ---- putting a token together ---- */

/* In the order of enum token_part. */
static int put_part(struct token_record *out, enum token_part part, struct slice s,
                    const char *name, struct errbuf *e)
{
    size_t at = 0;
    for (int before = 0; before < (int)part; before++)
        at += out->head.length[before];
    if (!token_answer_is_plain(s))
        return err_set(e, "`%s` is missing, or holds more than printable ASCII", name);
    if (s.n > TOKEN_TEXT_BYTES - at)
        return err_set(e, "`%s` is too long", name);
    memcpy(out->text + at, s.p, s.n);
    out->head.length[part] = (uint16_t)s.n;
    return 0;
}

static int put_expiration(struct slice text, int64_t wall_us, int64_t *life_s, struct errbuf *e)
{
    int64_t at_us;
    if (when_parse_time(text, &at_us) < 0)
        return err_set(e, "`Expiration` is no time");
    if (at_us <= wall_us)
        return err_set(e, "the keys have expired already, or this machine's clock is wrong");
    *life_s = GW_MIN((at_us - wall_us) / 1000000, (int64_t)TOKEN_LIFE_MAX_S);
    return 0;
}

/* ---- JSON ---- */

static int take(const struct json_doc *d, const char *name, enum token_part part,
                struct token_record *out, struct errbuf *e)
{
    char scratch[TOKEN_TEXT_BYTES];
    struct slice s = {NULL, 0};
    uint32_t v = json_get(d, JSON_ROOT, slice_str(name));
    if (v != JSON_NONE && json_str(d, v, scratch, sizeof scratch, &s) < 0)
        return err_set(e, "`%s` is too long, or no text", name);
    int rc = put_part(out, part, s, name, e);
    crypto_wipe(scratch, sizeof scratch);
    return rc;
}

static int take_life(const struct json_doc *d, int64_t *life_s, struct errbuf *e)
{
    char scratch[NUMBER_BYTES];
    struct slice text;
    uint64_t number;
    uint32_t v = json_get_lit(d, JSON_ROOT, "expires_in");
    if (json_type(d, v) == JSON_STRING) {
        if (json_str(d, v, scratch, sizeof scratch, &text) < 0 ||
            slice_to_u64(text, INT64_MAX, &number) < 0)
            return err_set(e, "`expires_in` is no number of seconds");
        *life_s = (int64_t)number;
    } else if (json_i64(d, v, life_s) < 0) {
        return err_set(e, "`expires_in` is missing, or no number of seconds");
    }
    if (*life_s <= 0)
        return err_set(e, "`expires_in` isn't above 0: the token has expired already");
    *life_s = GW_MIN(*life_s, (int64_t)TOKEN_LIFE_MAX_S);
    return 0;
}

static int read_oauth(const struct json_doc *d, struct token_record *out, int64_t *life_s,
                      struct errbuf *e)
{
    char type[NUMBER_BYTES];
    struct slice text;
    uint32_t v = json_get_lit(d, JSON_ROOT, "token_type");
    /* RFC 6749 §5.1: not case sensitive. */
    if (v != JSON_NONE &&
        (json_str(d, v, type, sizeof type, &text) < 0 || !slice_ieq(text, SLICE_LIT("bearer"))))
        return err_set(e, "`token_type` isn't Bearer");
    if (take(d, "access_token", TOKEN_SECRET, out, e) < 0)
        return -1;
    return take_life(d, life_s, e);
}

static int read_keys(const struct json_doc *d, int64_t wall_us, struct token_record *out,
                     int64_t *life_s, struct errbuf *e)
{
    char scratch[TIME_BYTES];
    struct slice text;
    uint32_t code = json_get_lit(d, JSON_ROOT, "Code"),
             at = json_get_lit(d, JSON_ROOT, "Expiration");
    if (code != JSON_NONE && !json_str_eq_lit(d, code, "Success"))
        return err_set(e, "`Code` isn't Success");
    if (take(d, "SecretAccessKey", TOKEN_SECRET, out, e) < 0 ||
        take(d, "AccessKeyId", TOKEN_ACCESS_KEY_ID, out, e) < 0)
        return -1;
    if (json_get_lit(d, JSON_ROOT, "Token") != JSON_NONE &&
        take(d, "Token", TOKEN_SESSION, out, e) < 0)
        return -1;
    *life_s = TOKEN_LIFE_UNSAID_S;
    if (at == JSON_NONE || json_is_null(d, at))
        return 0;
    if (json_str(d, at, scratch, sizeof scratch, &text) < 0)
        return err_set(e, "`Expiration` is no text");
    return put_expiration(text, wall_us, life_s, e);
}

static int parse(struct json_doc *d, struct slice json, struct errbuf *e)
{
    json_doc_init(d, MEMBERS_MAX);
    if (json_parse(d, json.p, json.n) < 0)
        return err_set(e, "the answer is no JSON: %s", json_error_text(d->err));
    if (json_type(d, JSON_ROOT) != JSON_OBJECT)
        return err_set(e, "the answer is no JSON object");
    return 0;
}

int token_answer_oauth(struct slice json, struct token_record *out, int64_t *life_s,
                       struct errbuf *e)
{
    struct json_doc d;
    memset(out, 0, sizeof *out);
    int rc = parse(&d, json, e);
    if (rc == 0)
        rc = read_oauth(&d, out, life_s, e);
    json_doc_release(&d);
    return rc;
}

int token_answer_keys(struct slice json, int64_t wall_us, struct token_record *out, int64_t *life_s,
                      struct errbuf *e)
{
    struct json_doc d;
    memset(out, 0, sizeof *out);
    int rc = parse(&d, json, e);
    if (rc == 0)
        rc = read_keys(&d, wall_us, out, life_s, e);
    json_doc_release(&d);
    return rc;
}

/* ---- STS ---- */

static int take_xml(struct slice xml, const char *name, enum token_part part,
                    struct token_record *out, struct errbuf *e)
{
    char path[96], text[TOKEN_TEXT_BYTES];
    snprintf(path, sizeof path, "AssumeRoleResponse/AssumeRoleResult/Credentials/%s", name);
    int n = token_xml_text(xml, path, text, sizeof text);
    int rc = put_part(out, part, slice_of(text, n > 0 ? (size_t)n : 0), name, e);
    crypto_wipe(text, sizeof text);
    return rc;
}

int token_answer_sts(struct slice xml, int64_t wall_us, struct token_record *out, int64_t *life_s,
                     struct errbuf *e)
{
    char at[TIME_BYTES];
    memset(out, 0, sizeof *out);
    if (take_xml(xml, "SecretAccessKey", TOKEN_SECRET, out, e) < 0 ||
        take_xml(xml, "AccessKeyId", TOKEN_ACCESS_KEY_ID, out, e) < 0 ||
        take_xml(xml, "SessionToken", TOKEN_SESSION, out, e) < 0)
        return -1;
    int n = token_xml_text(xml, "AssumeRoleResponse/AssumeRoleResult/Credentials/Expiration", at,
                           sizeof at);
    return put_expiration(slice_of(at, n > 0 ? (size_t)n : 0), wall_us, life_s, e);
}

/* ---- errors ---- */

static bool is_word(struct slice s)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789_-.";
    for (size_t i = 0; i < s.n; i++)
        if (!s.p[i] || !strchr(letters, s.p[i]))
            return false;
    return s.n > 0;
}

/* OAuth: {"error":"..."}; containers and IMDS: {"code":"..."}, {"Code":"..."}; Google's other APIs:
 * {"error":{"status":"..."}}. */
static int json_code(const struct json_doc *d, char *out, size_t cap, struct slice *code)
{
    static const char *const names[] = {"error", "code", "Code"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        uint32_t v = json_get(d, JSON_ROOT, slice_str(names[i]));
        if (json_type(d, v) == JSON_OBJECT)
            v = json_get_lit(d, v, "status");
        if (json_str(d, v, out, cap, code) == 0)
            return 0;
    }
    return -1;
}

void token_answer_error(struct slice body, char out[TOKEN_ERROR_CODE_BYTES])
{
    char text[TOKEN_ERROR_CODE_BYTES - 1];
    struct slice code = {NULL, 0};
    struct json_doc d;
    out[0] = '\0';
    if (body.n && body.p[0] == '<') {
        int n = token_xml_text(body, "ErrorResponse/Error/Code", text, sizeof text);
        code = slice_of(text, n > 0 ? (size_t)n : 0);
        if (is_word(code))
            snprintf(out, TOKEN_ERROR_CODE_BYTES, "%.*s", SLICE_FMT(code));
        return;
    }
    if (parse(&d, body, NULL) == 0 && json_code(&d, text, sizeof text, &code) == 0 && is_word(code))
        snprintf(out, TOKEN_ERROR_CODE_BYTES, "%.*s", SLICE_FMT(code));
    json_doc_release(&d);
}
