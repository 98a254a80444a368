/*
 * conf.h: the configuration of one generation, typed and immutable.
 *
 * Built from entries (section, key, value, file, line) by one function, conf_build(): the loader
 * validates with it what it is about to store, a worker builds with it what it read back, and `-t`
 * calls it on a file. So what was accepted once can't be refused later.
 *
 * Invariants of a built snapshot: every reference is resolved, every number is within the bounds of
 * its row in conf_keys, names are unique (aliases included), `auth = open` stands on loopback only.
 * All memory is one arena: pointers and slices live until conf_free() and nothing may be written.
 * Each slice is followed by a NUL that it doesn't count, so `.p` can be passed as a C string.
 * Durations are microseconds (`_us`), sizes bytes. An absent text is a slice with n == 0, and
 * its p may be NULL.
 *
 * Secrets are not in here, only the names of their blobs (common/secrets.h).
 */
#ifndef GW_COMMON_CONF_H
#define GW_COMMON_CONF_H

#include "common/provider_kinds.h"
#include "common/slice.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <netinet/in.h>

enum {
    CONF_NAME_MAX = 255,
    CONF_VALUE_MAX = 64 * 1024,
    CONF_KEY_DIGEST_BYTES = 32,
    CONF_LISTENERS_MAX = 16, /* of each kind */
    CONF_WORKERS_MAX = 64,
};

struct conf_slices {
    const struct slice *v;
    uint32_t n;
};

/* ---- addresses ---- */

union conf_sockaddr {
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
};

struct conf_listener {
    union conf_sockaddr addr;
    socklen_t addr_len;
    bool tls;
    bool proxy_protocol; /* a PROXY v1 or v2 header is required on every connection */
    struct slice text;   /* as written, for messages */
};

struct conf_listeners {
    const struct conf_listener *v;
    uint32_t n;
};

/* A network; IPv4 in its v4-mapped form. The layout is that of struct cidr (gatewayd/net/cidr.h),
 * whose functions match addresses against it. */
struct conf_cidr {
    uint8_t addr[16];
    uint8_t bits; /* 0..128, in the mapped form */
};

struct conf_cidrs {
    const struct conf_cidr *v;
    uint32_t n;
};

/* ---- sections ---- */

enum conf_auth { CONF_AUTH_KEYS, CONF_AUTH_OPEN };
enum conf_response_model { CONF_RESPONSE_MODEL_UPSTREAM, CONF_RESPONSE_MODEL_ALIAS };
enum conf_cred_auth {
    CONF_CRED_KEY,
    CONF_CRED_NONE,
    CONF_CRED_SIGV4,
    CONF_CRED_SIGV4_CONTAINER,
    CONF_CRED_SIGV4_IMDS,
    CONF_CRED_GCP_SA,
    CONF_CRED_GCP_METADATA,
    CONF_CRED_ENTRA,
};
/* From where the keeper fetches what is shown to the provider. */
enum conf_token_source {
    CONF_TOKEN_NONE, /* nothing is fetched: the secret itself, or none */
    CONF_TOKEN_GCP_SA,
    CONF_TOKEN_GCP_METADATA,
    CONF_TOKEN_ENTRA_SECRET,
    CONF_TOKEN_ENTRA_FEDERATED, /* a token of another issuer in token_file */
    CONF_TOKEN_ENTRA_METADATA,  /* managed identity */
    CONF_TOKEN_AWS_STATIC,      /* of sigv4 with role_arn: the base keys are in the configuration */
    CONF_TOKEN_AWS_CONTAINER,
    CONF_TOKEN_AWS_METADATA,
};
enum conf_tristate { CONF_AUTO, CONF_OFF, CONF_ON };

/* Where a secret or a PEM file comes from and under which name the loader put it into the memfd. */
struct conf_secret {
    struct slice ref;  /* "env:NAME", "file:/path", "credential:NAME", "exec:/path", or a path */
    struct slice blob; /* for secrets_get(); n == 0: not configured */
    bool optional;     /* of the environment, where it may be missing: then there is no blob */
};

struct conf_gateway {
    struct conf_listeners listen;
    struct conf_listeners admin;
    struct conf_listeners metrics;
    int64_t workers; /* 0: one per core */
    struct slice state_dir;
    struct slice runtime_dir;
    int auth; /* enum conf_auth */
    bool direct;
    struct slice default_model;
    struct conf_cidrs trusted_proxies;
    int64_t drain_timeout_us;
    struct slice ca_file;                       /* the system's trust store */
    struct conf_secret ca;                      /* its blob; set where a provider needs it */
    const struct conf_model *default_model_ref; /* NULL: none */
    struct slice relay_provider;
    const struct conf_provider *relay_provider_ref; /* NULL: none */
};

struct conf_admin {
    struct conf_secret token;
    struct conf_secret viewer_token;
    struct conf_secret metrics_token;
    struct slice group; /* owner group of the unix admin socket; n == 0: the daemon's own */
};

struct conf_http {
    int64_t max_body;
    int64_t max_header;
    int64_t max_headers;
    int64_t max_url;
    int64_t max_response;
    int64_t max_connections;
    int64_t max_buffered;
    int64_t header_timeout_us;
    int64_t body_timeout_us;
    int64_t keepalive_timeout_us;
    int64_t write_timeout_us;
    struct conf_slices cors_origins;
    struct conf_cidrs allow;
};

struct conf_tls {
    struct conf_secret certificate;
    struct conf_secret key;
    struct conf_secret client_ca;
    struct conf_secret tickets; /* two session ticket keys; set where a listener speaks TLS */
};

struct conf_log {
    int output;             /* enum log_output */
    struct slice file_path; /* of LOG_TO_FILE */
    int format;             /* enum log_format */
    int level;              /* enum log_level */
};

struct conf_store {
    int64_t map_size;
    int64_t ledger_retention_us;
    int64_t commit_interval_us;
};

/* ---- providers and credentials ---- */

struct conf_url {
    bool tls;
    bool is_ip; /* host is an address literal: no DNS, and no brackets in `host` */
    uint16_t port;
    struct slice host;      /* lower case */
    struct slice path;      /* prefix, "" or "/v1": no slash at its end */
    struct slice authority; /* value of the Host header: port only where it isn't the default */
};

struct conf_pair {
    struct slice name;
    struct slice value;
};

struct conf_pairs {
    const struct conf_pair *v;
    uint32_t n;
};

/* How a credential's token is fetched. URLs have a host where their source uses them, but for
 * token_url: without one the service account's file says it. */
struct conf_token {
    int source;                   /* enum conf_token_source */
    struct conf_url token_url;    /* of gcp-sa */
    struct conf_url authority;    /* of entra: TENANT/oauth2/v2.0/token is below it */
    struct conf_url metadata_url; /* its root; of sigv4-container all of the URL */
    struct conf_url sts_url;      /* with role_arn */
    struct slice tenant, client_id, scope;
    struct slice role_arn, external_id;
    struct conf_secret container_token; /* $AWS_CONTAINER_AUTHORIZATION_TOKEN */
    struct slice token_file;            /* read before every fetch: others renew it */
    struct conf_secret ca;              /* token_ca_file, else that of [gateway] */
};

struct conf_credential {
    uint32_t index; /* dense, 0.. over conf->credentials */
    struct slice name;
    const struct conf_provider *provider;
    int auth; /* enum conf_cred_auth */
    struct conf_secret secret;
    struct slice access_key_id; /* of CONF_CRED_SIGV4, as is the next */
    struct conf_secret session_token;
    struct conf_token token;
    int64_t weight;
    struct conf_slices models; /* upstream models that it serves; n == 0: all */
};

/* "gcp-sa": the word of the setting. */
const char *conf_cred_auth_name(enum conf_cred_auth a);

/* Whether its requests are signed with AWS keys, fetched or configured. */
static inline bool conf_credential_signs(const struct conf_credential *c)
{
    return c->auth == CONF_CRED_SIGV4 || c->auth == CONF_CRED_SIGV4_CONTAINER ||
           c->auth == CONF_CRED_SIGV4_IMDS;
}

/* Whether what it shows comes from the table of tokens (token_shm.h). */
static inline bool conf_credential_fetched(const struct conf_credential *c)
{
    return c->token.source != CONF_TOKEN_NONE;
}

struct conf_provider {
    uint32_t index;
    struct slice name;
    const struct provider_kind *kind;
    uint32_t quirks; /* of the kind, as changed by stream_usage: PROVIDER_QUIRK_* */
    struct conf_url base_url;
    struct slice region;      /* of kinds whose base_url has it, and of sigv4; else n == 0 */
    struct slice api_version; /* of kinds whose paths have it; else n == 0 */
    struct slice project;     /* of kinds with locations; n == 0: none is named in paths */
    struct slice location;    /* goes with it */
    struct slice host_header; /* value of the Host header: `host_header`, else the authority */
    bool internal; /* base_url's host may resolve to an address of the operator's own network */
    /* The HTTP proxy, used by CONNECT: `proxy`, else for https HTTPS_PROXY but for NO_PROXY. */
    bool has_proxy;
    bool own_proxy; /* `proxy` is set: for its credentials' token services too */
    struct conf_url proxy;
    struct conf_secret ca;
    struct conf_secret client_certificate;
    struct conf_secret client_key;
    struct conf_pairs headers;          /* header.NAME: sent with every request */
    struct conf_slices forward_headers; /* lower case; of the caller, besides the allow-list */
    int64_t max_connections;            /* a worker */
    int64_t connect_timeout_us;
    int64_t pool_idle_us; /* idle kept-alive connections are closed after this */
    const struct conf_credential *const *credentials; /* at least one */
    uint32_t n_credentials;
};

/* ---- models ---- */

struct conf_target {
    uint32_t index; /* dense over all targets of all models */
    const struct conf_provider *provider;
    struct slice upstream_model;
    uint32_t weight; /* share within the tier; 0: only when the rest of the tier is gone */
    uint32_t tier;   /* dense from 0; lower is tried first */
    const struct conf_credential *const *credentials; /* those that serve upstream_model; >= 1 */
    uint32_t n_credentials;
};

/* One member to put into the request body: path "a.b" is {"a":{"b":json}}. */
struct conf_json_member {
    struct slice path;
    struct slice json; /* valid JSON text */
};

struct conf_json_members {
    const struct conf_json_member *v;
    uint32_t n;
};

struct conf_model {
    uint32_t index;
    struct slice name;
    struct conf_slices aliases;
    const struct conf_target *targets; /* by tier, then as written; at least one */
    uint32_t n_targets;
    uint32_t n_tiers;
    const struct conf_model *const *fallbacks; /* tried in this order, no cycles */
    uint32_t n_fallbacks;
    int64_t retries; /* further tries after the first one */
    bool retry_unknown;
    int64_t timeout_us; /* over all tries and fallbacks */
    int64_t first_byte_timeout_us;
    int64_t idle_timeout_us;
    int64_t abort_drain_us;
    int response_model;                /* enum conf_response_model */
    struct conf_json_members defaults; /* where the caller gave none */
    struct conf_json_members set;      /* always; set.* and set_json.* */
    struct conf_slices drop;           /* top-level members taken out */
};

/* ---- who may ---- */

struct conf_team {
    uint32_t index;
    struct slice name;
    struct slice customer; /* a label of the log line */
    const struct conf_model *const *models;
    uint32_t n_models; /* 0: every model */
};

struct conf_key {
    uint32_t index;
    struct slice name;
    uint8_t sha256[CONF_KEY_DIGEST_BYTES];
    const struct conf_team *team; /* NULL: none */
    /* What the key may use: names of models (not aliases) and `provider/model` pairs. n == 0:
     * every model. The team's list holds as well. */
    struct conf_slices models;
    int64_t expires_us; /* wall clock; 0: never */
    bool enabled;
    struct slice file; /* where its section stands, for who wants to change it elsewhere */
    uint32_t line;
};

struct conf {
    uint64_t generation;
    struct conf_gateway gateway;
    struct conf_admin admin;
    struct conf_http http;
    struct conf_tls tls;
    struct conf_log log;
    struct conf_store store;
    const struct conf_provider *providers;
    const struct conf_credential *credentials;
    const struct conf_model *models;
    const struct conf_team *teams;
    const struct conf_key *keys;
    uint32_t n_providers, n_credentials, n_models, n_teams, n_keys;
    uint32_t n_targets;
    /* The defaults of [model:...]: policy of requests that name provider/model directly. It has no
     * name, no targets, no fallbacks. */
    const struct conf_model *direct_model;
    /* What is allowed and should be looked at, "FILE:LINE: [section] key: text" each. */
    struct conf_slices warnings;
    struct conf_index *index; /* hash tables of the functions below */
    struct arena *arena;
};

/* ---- entries ---- */

/* One key of the INI as it is stored: nothing interpreted but the quotes. A section head is an
 * entry without a key, in front of its keys, so that an empty section isn't lost. */
struct conf_entry {
    struct slice section; /* "gateway", "model:smart" */
    struct slice key;
    struct slice value; /* without its quotes */
    struct slice file;
    uint32_t line;
    bool quoted;
};

struct conf_entries {
    struct conf_entry *v;
    uint32_t n;
    struct arena *arena; /* owns every slice and v */
};

/* Every error of a file, "FILE:LINE: text" each. */
struct conf_errors {
    char **v;
    uint32_t n;
};

void conf_errors_init(struct conf_errors *errs);
void conf_errors_fini(struct conf_errors *errs);
/* file.n == 0: without a place. */
void conf_errors_add(struct conf_errors *errs, struct slice file, uint32_t line, const char *fmt,
                     ...) GW_PRINTF(4, 5);

/* Reads an INI file and what it includes. Returns the entries, or NULL and every error. The caller
 * frees them. */
struct conf_entries *conf_read_file(const char *path, struct conf_errors *errs);
void conf_entries_free(struct conf_entries *entries);
/* Where a setting of a section ("tls", "credential:openai") stands, for errors: its entry, else the
 * head of its section, else NULL: it is a default. */
const struct conf_entry *conf_entry_find(const struct conf_entries *entries, struct slice section,
                                         struct slice key);

/* Builds the snapshot; borrows nothing of `entries` beyond the call. Returns owned, or NULL and
 * every error. */
struct conf *conf_build(const struct conf_entries *entries, uint64_t generation,
                        struct conf_errors *errs);
void conf_free(struct conf *conf);

/* Calls fn for every secret reference and PEM path that can be read, also where conf_build()
 * refuses something else. fn gets the reference as conf_build() would make it, borrowed for the
 * call. */
typedef void (*conf_secret_fn)(void *arg, const struct conf_entry *at, struct slice ref, bool pem);
void conf_each_secret(const struct conf_entries *entries, conf_secret_fn fn, void *arg);

/* HTTPS_PROXY of the environment for a host, but for those that NO_PROXY names; NULL: none. */
const char *conf_environment_proxy(struct slice host);

/* ---- lookups: O(1), no allocation ---- */

/* By name or alias. */
const struct conf_model *conf_model_find(const struct conf *conf, struct slice name);
const struct conf_provider *conf_provider_find(const struct conf *conf, struct slice name);
const struct conf_credential *conf_credential_find(const struct conf *conf, struct slice name);
const struct conf_team *conf_team_find(const struct conf *conf, struct slice name);
const struct conf_key *conf_key_find(const struct conf *conf,
                                     const uint8_t sha256[CONF_KEY_DIGEST_BYTES]);
const struct conf_key *conf_key_find_name(const struct conf *conf, struct slice name);

#endif
