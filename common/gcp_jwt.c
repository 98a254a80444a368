/*
 * gcp_jwt.c: service account files and the assertions signed with them.
 *
 * A JWT is three texts in base64url without padding, a dot between them: header, claims, and the
 * signature of the two before it (RFC 7515 §3.1, RFC 7519).
 */
#include "common/gcp_jwt.h"

#include "common/crypto.h"

static int take(const struct json_doc *d, const char *name, char *out, size_t cap, bool required,
                struct errbuf *e)
{
    uint32_t v = json_get(d, JSON_ROOT, slice_str(name));
    size_t n = 0;
    out[0] = '\0';
    if (v == JSON_NONE && !required)
        return 0;
    if (json_str_decode(d, v, out, cap - 1, &n) < 0 || n == 0 || memchr(out, '\0', n))
        return err_set(e, "service account: `%s` must be a text of 1 to %zu bytes", name, cap - 1);
    out[n] = '\0';
    return 0;
}

static int read_members(const struct json_doc *d, struct gcp_account *a, struct errbuf *e)
{
    uint32_t type = json_get_lit(d, JSON_ROOT, "type");
    if (json_type(d, JSON_ROOT) != JSON_OBJECT)
        return err_set(e, "service account: the file must hold a JSON object");
    if (type != JSON_NONE && !json_str_eq_lit(d, type, "service_account"))
        return err_set(e, "service account: `type` must be service_account");
    if (take(d, "client_email", a->email, sizeof a->email, true, e) < 0 ||
        take(d, "private_key", a->key_pem, sizeof a->key_pem, true, e) < 0 ||
        take(d, "private_key_id", a->key_id, sizeof a->key_id, false, e) < 0 ||
        take(d, "project_id", a->project, sizeof a->project, false, e) < 0 ||
        take(d, "token_uri", a->token_uri, sizeof a->token_uri, false, e) < 0)
        return -1;
    if (!a->token_uri[0])
        strcpy(a->token_uri, "https://oauth2.googleapis.com/token");
    return 0;
}

int gcp_account_read(struct gcp_account *a, struct slice json, struct errbuf *e)
{
    enum { MEMBERS_MAX = 256 };
    struct json_doc d;
    int rc;
    memset(a, 0, sizeof *a);
    json_doc_init(&d, MEMBERS_MAX);
    if (json_parse(&d, json.p, json.n) < 0)
        rc = err_set(e, "service account: the file is no JSON: %s", json_error_text(d.err));
    else
        rc = read_members(&d, a, e);
    json_doc_release(&d);
    if (rc < 0)
        gcp_account_wipe(a);
    return rc;
}

void gcp_account_wipe(struct gcp_account *a)
{
    crypto_wipe(a, sizeof *a);
}

/* RFC 4648 §5, without padding. */
static int add_base64url(struct buf *out, const void *p, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const unsigned char *s = p;
    if (buf_reserve(out, n / 3 * 4 + 4) < 0)
        return -1;
    char *to = out->data + out->len;
    for (; n >= 3; s += 3, n -= 3) {
        *to++ = digits[s[0] >> 2];
        *to++ = digits[(s[0] & 3) << 4 | s[1] >> 4];
        *to++ = digits[(s[1] & 15) << 2 | s[2] >> 6];
        *to++ = digits[s[2] & 63];
    }
    if (n > 0) {
        *to++ = digits[s[0] >> 2];
        *to++ = digits[(s[0] & 3) << 4 | (n > 1 ? s[1] >> 4 : 0)];
        if (n > 1)
            *to++ = digits[(s[1] & 15) << 2];
    }
    out->len = (size_t)(to - out->data);
    return 0;
}

enum { PART_BYTES = 8 * GCP_NAME_BYTES };

static int add_header(struct buf *out, const struct gcp_account *a)
{
    char text[PART_BYTES];
    struct json_writer w;
    size_t n;
    jw_init_fixed(&w, text, sizeof text);
    jw_object(&w);
    jw_member_str(&w, "alg", SLICE_LIT("RS256"));
    jw_member_str(&w, "typ", SLICE_LIT("JWT"));
    if (a->key_id[0])
        jw_member_str(&w, "kid", slice_str(a->key_id));
    jw_object_end(&w);
    return jw_finish(&w, &n) < 0 ? -1 : add_base64url(out, text, n);
}

static int add_claims(struct buf *out, const struct gcp_account *a, struct slice scope,
                      int64_t now_s)
{
    char text[3 * PART_BYTES];
    struct json_writer w;
    size_t n;
    jw_init_fixed(&w, text, sizeof text);
    jw_object(&w);
    jw_member_str(&w, "iss", slice_str(a->email));
    jw_member_str(&w, "scope", scope);
    jw_member_str(&w, "aud", slice_str(a->token_uri));
    jw_member_i64(&w, "iat", now_s);
    jw_member_i64(&w, "exp", now_s + GCP_JWT_LIFE_S);
    jw_object_end(&w);
    return jw_finish(&w, &n) < 0 ? -1 : add_base64url(out, text, n);
}

int gcp_jwt_write(const struct gcp_account *a, struct slice scope, int64_t now_s, struct buf *out,
                  struct errbuf *e)
{
    uint8_t signature[CRYPTO_RSA_MAX_BYTES];
    size_t before = out->len, n;
    if (add_header(out, a) < 0 || buf_append(out, ".", 1) < 0 ||
        add_claims(out, a, scope, now_s) < 0) {
        err_set(e, "service account: the assertion is too long");
        goto fail;
    }
    struct slice text = slice_of(out->data + before, out->len - before);
    if (crypto_rs256_sign(slice_str(a->key_pem), text, signature, &n) < 0) {
        err_set(e, "service account: `private_key` is no RSA key in PEM");
        goto fail;
    }
    if (buf_append(out, ".", 1) == 0 && add_base64url(out, signature, n) == 0)
        return 0;
    err_set(e, "service account: the assertion is too long");
fail:
    out->len = before;
    return -1;
}
