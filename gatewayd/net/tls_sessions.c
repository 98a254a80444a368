/*
 * tls_sessions.c: the client's session cache of one target.
 */
#include "gatewayd/net/tls_internal.h"

#include "common/check.h"

#include <stdlib.h>
#include <time.h>

enum { MAX_SESSIONS = 8 };

struct tls_sessions {
    unsigned refs;
    unsigned n;
    SSL_SESSION *v[MAX_SESSIONS]; /* oldest first */
};

struct tls_sessions *tls_sessions_new(void)
{
    struct tls_sessions *s = gw_xcalloc(1, sizeof *s);
    s->refs = 1;
    return s;
}

struct tls_sessions *tls_sessions_ref(struct tls_sessions *s)
{
    if (s)
        s->refs++;
    return s;
}

void tls_sessions_free(struct tls_sessions *s)
{
    if (!s || --s->refs > 0)
        return;
    for (unsigned i = 0; i < s->n; i++)
        SSL_SESSION_free(s->v[i]);
    free(s);
}

void tls_sessions_put(struct tls_sessions *s, SSL_SESSION *session)
{
    if (s->n == MAX_SESSIONS) {
        SSL_SESSION_free(s->v[0]);
        memmove(s->v, s->v + 1, (MAX_SESSIONS - 1) * sizeof s->v[0]);
        s->n--;
    }
    s->v[s->n++] = session;
}

static bool is_usable(const SSL_SESSION *session)
{
    return SSL_SESSION_is_resumable(session) &&
           SSL_SESSION_get_time(session) + SSL_SESSION_get_timeout(session) > time(NULL);
}

SSL_SESSION *tls_sessions_take(struct tls_sessions *s)
{
    while (s && s->n > 0) {
        SSL_SESSION *newest = s->v[s->n - 1];
        bool usable = is_usable(newest);
        if (usable && SSL_SESSION_get_protocol_version(newest) < TLS1_3_VERSION) {
            SSL_SESSION_up_ref(newest);
            return newest;
        }
        s->n--;
        if (usable)
            return newest;
        SSL_SESSION_free(newest);
    }
    return NULL;
}
