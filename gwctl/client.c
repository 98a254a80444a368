/*
 * client.c: libcurl, one handle, one request at a time.
 */
#include "gwctl/client.h"

#include "common/check.h"
#include "common/crypto.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECT_TIMEOUT_S = 5, TOTAL_TIMEOUT_S = 600 };

struct client {
    CURL *curl;
    char *base; /* "http://localhost" for a socket */
    char *authorization;
    char *socket_path;
    char *ca_file; /* NULL: the system's */
};

int client_check_url(const char *url, struct errbuf *e)
{
    CURLU *u = curl_url();
    char *scheme = NULL;
    GW_REQUIRE(u != NULL);
    CURLUcode rc = curl_url_set(u, CURLUPART_URL, url, 0);
    if (rc == CURLUE_OK)
        rc = curl_url_get(u, CURLUPART_SCHEME, &scheme, 0);
    int result = 0;
    if (rc != CURLUE_OK)
        result = err_set(e, "%s", curl_url_strerror(rc));
    else if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
        result = err_set(e, "gatewayd doesn't speak %s", scheme);
    curl_free(scheme);
    curl_url_cleanup(u);
    return result;
}

struct client *client_new(const char *socket_path, const char *url, const char *token,
                          const char *ca_file)
{
    struct client *c = gw_xcalloc(1, sizeof(*c));
    c->base = gw_xstrdup(socket_path ? "http://localhost" : url);
    size_t n = strlen(c->base);
    while (n && c->base[n - 1] == '/')
        c->base[--n] = '\0';
    c->socket_path = socket_path ? gw_xstrdup(socket_path) : NULL;
    c->ca_file = ca_file ? gw_xstrdup(ca_file) : NULL;
    if (token) {
        static const char head[] = "Authorization: Bearer ";
        size_t n_token = strlen(token);
        c->authorization = gw_xmalloc(sizeof(head) + n_token);
        memcpy(c->authorization, head, sizeof(head) - 1);
        memcpy(c->authorization + sizeof(head) - 1, token, n_token + 1);
    }
    GW_REQUIRE(curl_global_init(CURL_GLOBAL_DEFAULT) == 0);
    c->curl = curl_easy_init();
    GW_REQUIRE(c->curl != NULL);
    return c;
}

void client_free(struct client *c)
{
    if (!c)
        return;
    curl_easy_cleanup(c->curl);
    curl_global_cleanup();
    if (c->authorization)
        crypto_wipe(c->authorization, strlen(c->authorization));
    free(c->authorization);
    free(c->socket_path);
    free(c->ca_file);
    free(c->base);
    free(c);
}

static size_t take(char *p, size_t size, size_t n, void *arg)
{
    return buf_append(arg, p, size * n) < 0 ? 0 : size * n;
}

static enum client_result result_of(CURL *curl, CURLcode rc)
{
    long os_errno = 0;
    if (rc == CURLE_OK)
        return CLIENT_OK;
    curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &os_errno);
    if (rc == CURLE_COULDNT_CONNECT || rc == CURLE_COULDNT_RESOLVE_HOST)
        return os_errno == 13 || os_errno == 1 ? CLIENT_DENIED : CLIENT_DOWN;
    return CLIENT_FAILED;
}

enum client_result client_call(struct client *c, const char *method, const char *path,
                               const struct buf *body, long *status, struct buf *out,
                               struct errbuf *e)
{
    char why[CURL_ERROR_SIZE] = "";
    struct buf url;
    struct curl_slist *headers = NULL;
    buf_init(&url, 65536);
    if (buf_printf(&url, "%s%s", c->base, path) < 0) {
        err_set(e, "the request is too long");
        return CLIENT_FAILED;
    }
    if (body)
        headers = curl_slist_append(headers, "Content-Type: application/json");
    if (c->authorization)
        headers = curl_slist_append(headers, c->authorization);
    CURL *h = c->curl;
    curl_easy_reset(h);
    curl_easy_setopt(h, CURLOPT_URL, url.data);
    curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(h, CURLOPT_USERAGENT, "gwctl/" GW_VERSION);
    curl_easy_setopt(h, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    curl_easy_setopt(h, CURLOPT_TIMEOUT, (long)TOTAL_TIMEOUT_S);
    curl_easy_setopt(h, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, out);
    if (c->ca_file)
        curl_easy_setopt(h, CURLOPT_CAINFO, c->ca_file);
    if (c->socket_path)
        curl_easy_setopt(h, CURLOPT_UNIX_SOCKET_PATH, c->socket_path);
    if (body) {
        curl_easy_setopt(h, CURLOPT_POSTFIELDS, body->data ? body->data : "");
        curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->len);
    }
    CURLcode rc = curl_easy_perform(h);
    curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, status);
    curl_slist_free_all(headers);
    buf_release(&url);
    if (rc != CURLE_OK)
        err_set(e, "%s", why[0] ? why : curl_easy_strerror(rc));
    return result_of(h, rc);
}
