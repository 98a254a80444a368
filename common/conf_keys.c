/*
 * conf_keys.c: the rows, and finding one.
 *
 * Within a section, rows stand in the order of the reference page. `offset` is in the raw structure
 * of conf_raw.h, or in the public one of conf.h where there is no raw one.
 */
#include "common/conf_raw.h"
#include "common/log.h"

#define AT(type, field) .offset = offsetof(type, field)

#define US_PER_MS INT64_C(1000)
#define US_PER_S  INT64_C(1000000)
#define US_PER_H  (3600 * US_PER_S)
#define US_PER_D  (24 * US_PER_H)
#define KIB       INT64_C(1024)
#define MIB       (1024 * KIB)
#define GIB       (1024 * MIB)

static const struct conf_word auth_words[] = {
    {"keys", CONF_AUTH_KEYS}, {"open", CONF_AUTH_OPEN}, {NULL, 0}};
static const struct conf_word log_format_words[] = {
    {"json", LOG_FORMAT_JSON}, {"text", LOG_FORMAT_TEXT}, {NULL, 0}};
static const struct conf_word log_level_words[] = {{"error", LOG_LEVEL_ERROR},
                                                   {"warn", LOG_LEVEL_WARN},
                                                   {"info", LOG_LEVEL_INFO},
                                                   {"debug", LOG_LEVEL_DEBUG},
                                                   {NULL, 0}};
static const struct conf_word tristate_words[] = {
    {"auto", CONF_AUTO}, {"off", CONF_OFF}, {"on", CONF_ON}, {NULL, 0}};
static const struct conf_word cred_auth_words[] = {{"key", CONF_CRED_KEY},
                                                   {"none", CONF_CRED_NONE},
                                                   {"entra", CONF_CRED_ENTRA},
                                                   {"sigv4", CONF_CRED_SIGV4},
                                                   {"sigv4-container", CONF_CRED_SIGV4_CONTAINER},
                                                   {"sigv4-imds", CONF_CRED_SIGV4_IMDS},
                                                   {"gcp-sa", CONF_CRED_GCP_SA},
                                                   {"gcp-metadata", CONF_CRED_GCP_METADATA},
                                                   {NULL, 0}};
static const struct conf_word strategy_words[] = {{"weighted", RAW_STRATEGY_WEIGHTED},
                                                  {"priority", RAW_STRATEGY_PRIORITY},
                                                  {"adaptive", -1},
                                                  {"latency", -1},
                                                  {"cost", -1},
                                                  {"least-busy", -1},
                                                  {NULL, 0}};
static const struct conf_word affinity_words[] = {{"off", 0}, {"auto", -1}, {NULL, 0}};
static const struct conf_word response_model_words[] = {
    {"upstream", CONF_RESPONSE_MODEL_UPSTREAM}, {"alias", CONF_RESPONSE_MODEL_ALIAS}, {NULL, 0}};

static const struct conf_row rows[] = {
#define ROW(key, ty, ...)                                                                          \
    {                                                                                              \
        .section = CONF_SECTION_GATEWAY, .name = key, .type = ty, __VA_ARGS__                      \
    }
    ROW("listen", CONF_LISTEN, AT(struct conf_gateway, listen), .def = "127.0.0.1:8080",
        .example = "0.0.0.0:8080, [::]:8443 tls",
        .doc = "Where callers connect: `IP:PORT`, `[IPV6]:PORT` or `unix:/PATH`. Words behind an "
               "address: `tls`, `proxy_protocol` (a PROXY v1 or v2 header is required)."),
    ROW("admin", CONF_LISTEN, AT(struct conf_gateway, admin),
        .def_doc = "`unix:RUNTIME_DIR/admin.sock`",
        .example = "unix:/run/gatewayd/admin.sock, 127.0.0.1:8081",
        .doc = "Where `gwctl`, the dashboard and `/metrics` are served. Beyond loopback only with "
               "`[admin] token`, which should then be `tls`."),
    ROW("metrics", CONF_LISTEN, AT(struct conf_gateway, metrics), .example = "127.0.0.1:9464",
        .doc = "A listener of its own for `/metrics` alone."),
    ROW("workers", CONF_WORKERS, AT(struct conf_gateway, workers), .def = "auto", .min = 1,
        .max = CONF_WORKERS_MAX, .doc = "Worker processes. `auto`: one per core."),
    ROW("state_dir", CONF_PATH, AT(struct conf_gateway, state_dir), .def = "/var/lib/gatewayd",
        .flags = CONF_RESTART, .doc = "Databases and counters that outlive the process."),
    ROW("runtime_dir", CONF_PATH, AT(struct conf_gateway, runtime_dir), .def = "/run/gatewayd",
        .flags = CONF_RESTART, .doc = "Sockets and shared memory that end with the boot."),
    ROW("auth", CONF_ENUM, AT(struct conf_gateway, auth), .def = "keys", .words = auth_words,
        .doc = "`keys`: callers need a virtual key. `open`: no key; refused with a listener beyond "
               "loopback."),
    ROW("direct", CONF_BOOL, AT(struct conf_gateway, direct), .def = "off",
        .doc = "Callers may name `provider/model` without a `[model:...]` section."),
    ROW("default_model", CONF_NAME, AT(struct conf_gateway, default_model), .example = "smart",
        .doc = "Serves requests that name no model."),
    ROW("relay_provider", CONF_NAME, AT(struct conf_gateway, relay_provider), .example = "openai",
        .doc = "Serves relayed requests that need no model and name none (moderations, images), "
               "where the caller sends no `x-gw-provider`. None: the provider of `default_model`, "
               "else the only one that offers the operation."),
    ROW("trusted_proxies", CONF_CIDRS, AT(struct conf_gateway, trusted_proxies),
        .example = "10.0.0.0/8",
        .doc = "Networks whose `X-Forwarded-For` counts: the rightmost address outside them is the "
               "client."),
    ROW("drain_timeout", CONF_DURATION, AT(struct conf_gateway, drain_timeout_us), .def = "300s",
        .min = 0, .max = US_PER_D,
        .doc = "What a stopping worker may take to finish its requests."),
    ROW("ca_file", CONF_PATH, AT(struct conf_gateway, ca_file),
        .def = "/etc/ssl/certs/ca-certificates.crt",
        .doc = "Trust store for providers that have no `ca_file` of their own."),
    ROW("include", CONF_LIST, .offset = SIZE_MAX, .flags = CONF_SAMPLED, .example = "conf.d/*.ini",
        .doc = "Further files, by pattern, in the order of their names; relative to this file. May "
               "also stand before the first section."),
    ROW("timezone", CONF_STRING, .flags = CONF_LATER, .doc = "Of calendar budget windows."),
#undef ROW

#define ROW(key, ty, ...)                                                                          \
    {                                                                                              \
        .section = CONF_SECTION_ADMIN, .name = key, .type = ty, __VA_ARGS__                        \
    }
    ROW("token", CONF_SECRET, AT(struct conf_admin, token),
        .example = "file:/etc/gatewayd/admin.token",
        .doc = "Needed on TCP for everything that `viewer_token` and `metrics_token` don't open. "
               "On the unix socket the peer's user decides."),
    ROW("viewer_token", CONF_SECRET, AT(struct conf_admin, viewer_token),
        .example = "file:/etc/gatewayd/viewer.token", .doc = "Reads, changes nothing."),
    ROW("metrics_token", CONF_SECRET, AT(struct conf_admin, metrics_token),
        .example = "file:/etc/gatewayd/metrics.token",
        .doc = "Opens `/metrics`. On loopback it is open without one."),
    ROW("group", CONF_STRING, AT(struct conf_admin, group), .example = "gatewayd",
        .doc = "Group that may use the unix admin socket."),
#undef ROW

#define ROW(key, ty, ...)                                                                          \
    {                                                                                              \
        .section = CONF_SECTION_HTTP, .name = key, .type = ty, __VA_ARGS__                         \
    }
    ROW("max_body", CONF_SIZE, AT(struct conf_http, max_body), .def = "64MiB", .min = KIB,
        .max = GIB, .doc = "Largest request body; beyond it 413."),
    ROW("max_response", CONF_SIZE, AT(struct conf_http, max_response), .def = "64MiB", .min = KIB,
        .max = GIB, .doc = "Largest whole (not streamed) answer of a provider."),
    ROW("max_header", CONF_SIZE, AT(struct conf_http, max_header), .def = "32KiB", .min = KIB,
        .max = 64 * KIB, .doc = "Request line and all header fields together."),
    ROW("max_headers", CONF_INT, AT(struct conf_http, max_headers), .def = "100", .min = 8,
        .max = 100, .doc = "Header fields of a request."),
    ROW("max_url", CONF_SIZE, AT(struct conf_http, max_url), .def = "8KiB", .min = 256,
        .max = 64 * KIB, .doc = "Length of the request target; beyond it 414."),
    ROW("max_connections", CONF_INT, AT(struct conf_http, max_connections), .def = "10000",
        .min = 1, .max = 1000000, .doc = "Client connections of all workers together."),
    ROW("max_buffered", CONF_SIZE, AT(struct conf_http, max_buffered), .def = "1GiB", .min = MIB,
        .max = 1024 * GIB, .doc = "All buffers of one worker together."),
    ROW("header_timeout", CONF_DURATION, AT(struct conf_http, header_timeout_us), .def = "10s",
        .min = 100 * US_PER_MS, .max = US_PER_H,
        .doc = "From the first byte of a head to its end."),
    ROW("body_timeout", CONF_DURATION, AT(struct conf_http, body_timeout_us), .def = "60s",
        .min = 100 * US_PER_MS, .max = US_PER_H,
        .doc = "For a whole request body, however it comes; a second more for each 64 KiB that "
               "have arrived."),
    ROW("keepalive_timeout", CONF_DURATION, AT(struct conf_http, keepalive_timeout_us),
        .def = "75s", .min = 0, .max = US_PER_H,
        .doc = "How long an idle connection stays open. 0s: closed after each request."),
    ROW("write_timeout", CONF_DURATION, AT(struct conf_http, write_timeout_us), .def = "60s",
        .min = 100 * US_PER_MS, .max = US_PER_H,
        .doc = "How long a caller may take nothing of what is ready for it."),
    ROW("cors_origins", CONF_ORIGINS, AT(struct conf_http, cors_origins),
        .example = "https://app.example.com",
        .doc = "Origins of browsers that may call; `*` for all. None: no CORS headers. Answers to "
               "requests that can't be read allow none: a script sees them as network errors."),
    ROW("allow", CONF_CIDRS, AT(struct conf_http, allow), .def = "0.0.0.0/0, ::/0",
        .doc = "Networks that may connect."),
#undef ROW

#define ROW(key, ty, ...)                                                                          \
    {                                                                                              \
        .section = CONF_SECTION_TLS, .name = key, .type = ty, __VA_ARGS__                          \
    }
    ROW("certificate", CONF_PEM, AT(struct conf_tls, certificate),
        .example = "/etc/gatewayd/tls.crt",
        .doc = "PEM: the certificate, then its chain. Read again on every reload."),
    ROW("key", CONF_PEM, AT(struct conf_tls, key), .example = "/etc/gatewayd/tls.key",
        .doc = "PEM: the private key. The file may not be readable by everyone."),
    ROW("client_ca", CONF_PEM, AT(struct conf_tls, client_ca),
        .example = "/etc/gatewayd/clients.crt",
        .doc = "PEM: callers must show a certificate of one of these authorities."),
#undef ROW

#define ROW(key, ty, ...)                                                                          \
    {                                                                                              \
        .section = CONF_SECTION_LOG, .name = key, .type = ty, __VA_ARGS__                          \
    }
    ROW("output", CONF_LOG_OUTPUT, .offset = 0, .def = "stderr",
        .doc =
            "Where both logs go. `journal`: journald's own protocol, with priority and process."),
    ROW("format", CONF_ENUM, AT(struct conf_log, format), .def = "json", .words = log_format_words,
        .doc = "`json`: an object per event and request; `text`: a line for people."),
    ROW("level", CONF_ENUM, AT(struct conf_log, level), .def = "info", .words = log_level_words,
        .doc = "Least severity of diagnostics."),
#undef ROW

#define ROW(key, ty, ...)                                                                          \
    {                                                                                              \
        .section = CONF_SECTION_STORE, .name = key, .type = ty, __VA_ARGS__                        \
    }
    ROW("map_size", CONF_SIZE, AT(struct conf_store, map_size), .def = "8GiB", .min = 16 * MIB,
        .max = 1024 * GIB, .flags = CONF_RESTART, .doc = "Upper bound of the ledger's file."),
    ROW("ledger_retention", CONF_DURATION, AT(struct conf_store, ledger_retention_us),
        .def = "400d", .min = US_PER_D, .max = 36500 * US_PER_D,
        .doc = "Age at which a day of usage records is dropped."),
    ROW("commit_interval", CONF_DURATION, AT(struct conf_store, commit_interval_us), .def = "50ms",
        .min = US_PER_MS, .max = 10 * US_PER_S,
        .doc = "Pause between two commits of usage records; what a power cut may cost."),
#undef ROW

#define ROW(key, ty, ...)                                                                          \
    {                                                                                              \
        .section = CONF_SECTION_PROVIDER, .name = key, .type = ty, __VA_ARGS__                     \
    }
    ROW("kind", CONF_STRING, AT(struct raw_provider, kind), .flags = CONF_REQUIRED,
        .example = "openai", .doc = "Dialect, address and habits; see the table of kinds."),
    ROW("base_url", CONF_URL, AT(struct raw_provider, pub.base_url), .def_doc = "of the kind",
        .example = "https://api.openai.com/v1",
        .doc = "Everything in front of an operation's path."),
    ROW("host_header", CONF_STRING, AT(struct raw_provider, pub.host_header),
        .def_doc = "host of `base_url`", .example = "api.example.com",
        .doc = "Sent as `Host`. The certificate is still checked against `base_url`."),
    ROW("internal", CONF_BOOL, AT(struct raw_provider, pub.internal), .def = "off",
        .doc = "The host of an https `base_url` may resolve to a private or loopback address."),
    ROW("proxy", CONF_URL, AT(struct raw_provider, proxy),
        .def_doc = "for https `HTTPS_PROXY`, but for `NO_PROXY`",
        .example = "http://proxy.example.com:3128",
        .doc = "HTTP proxy, used by CONNECT. User names in it are refused."),
    ROW("ca_file", CONF_PEM, AT(struct raw_provider, pub.ca), .def_doc = "`[gateway] ca_file`",
        .example = "/etc/gatewayd/internal-ca.crt", .doc = "PEM: authorities of this provider."),
    ROW("client_certificate", CONF_PEM, AT(struct raw_provider, pub.client_certificate),
        .example = "/etc/gatewayd/client.crt", .doc = "PEM: shown to the provider."),
    ROW("client_key", CONF_PEM, AT(struct raw_provider, pub.client_key),
        .example = "/etc/gatewayd/client.key", .doc = "PEM: its private key."),
    ROW("header.*", CONF_HEADER, AT(struct raw_provider, headers), .flags = CONF_FAMILY,
        .example = "header.x-team = platform",
        .doc = "Sent with every request. Not for secrets: `config show` prints it."),
    ROW("forward_headers", CONF_LIST, AT(struct raw_provider, pub.forward_headers),
        .example = "x-trace-id",
        .doc = "Header fields of the caller that are passed on, besides the built-in list."),
    ROW("stream_usage", CONF_ENUM, AT(struct raw_provider, stream_usage), .def = "auto",
        .words = tristate_words,
        .doc = "Whether usage is asked for in streams (`stream_options`). `auto`: by the kind."),
    ROW("max_connections", CONF_INT, AT(struct raw_provider, pub.max_connections), .def = "1024",
        .min = 1, .max = 100000, .doc = "Connections of one worker to this provider."),
    ROW("connect_timeout", CONF_DURATION, AT(struct raw_provider, pub.connect_timeout_us),
        .def = "5s", .min = 10 * US_PER_MS, .max = 600 * US_PER_S,
        .doc = "Name, connection, proxy and TLS together."),
    ROW("pool_idle", CONF_DURATION, AT(struct raw_provider, pub.pool_idle_us), .def = "50s",
        .min = 0, .max = US_PER_H,
        .doc = "Idle connections are closed after this; stay below the provider's own timeout."),
    ROW("region", CONF_STRING, AT(struct raw_provider, pub.region), .example = "us-east-1",
        .doc = "Of `bedrock`, which needs it."),
    ROW("project", CONF_STRING, AT(struct raw_provider, pub.project), .example = "acme-prod",
        .doc = "Of `vertex`: the project's id. Without it and `location` it is express mode: "
               "Google's own models, by API key."),
    ROW("location", CONF_STRING, AT(struct raw_provider, pub.location), .example = "global",
        .doc = "Of `vertex`: `global`, `us`, `eu`, or a region such as `us-east5`."),
    ROW("api_version", CONF_STRING, AT(struct raw_provider, pub.api_version), .example = "v1",
        .doc = "Of `azure`, which needs it: `v1` or `preview` for the v1 API, or a date such as "
               "`2025-04-01-preview` for paths of deployments."),
#undef ROW

#define ROW(key, ty, ...)                                                                          \
    {                                                                                              \
        .section = CONF_SECTION_CREDENTIAL, .name = key, .type = ty, __VA_ARGS__                   \
    }
    ROW("provider", CONF_NAME, AT(struct raw_credential, provider), .flags = CONF_REQUIRED,
        .example = "openai", .doc = "Whose it is."),
    ROW("auth", CONF_ENUM, AT(struct raw_credential, auth),
        .def_doc = "`key`, or `none` without "
                   "`secret` where the kind allows it",
        .words = cred_auth_words, .example = "key",
        .doc = "How it is shown to the provider; but for `key`, `none` and `sigv4` without a role "
               "it is a token that the keeper fetches and renews (docs/credentials.md)."),
    ROW("secret", CONF_SECRET, AT(struct raw_credential, pub.secret),
        .example = "file:/etc/gatewayd/openai.key",
        .doc = "The provider's API key; of sigv4 the secret access key, of gcp-sa the service "
               "account's JSON file, of entra the client secret."),
    ROW("weight", CONF_INT, AT(struct raw_credential, pub.weight), .def = "1", .min = 0,
        .max = 1000000,
        .doc = "Share among the provider's credentials. 0: only when no other is "
               "left."),
    ROW("models", CONF_LIST, AT(struct raw_credential, pub.models),
        .example = "gpt-4o, gpt-4o-mini",
        .doc = "Models of the provider that it may be used for. None given: all."),
    ROW("parallel", CONF_INT, .flags = CONF_LATER, .doc = "Requests at a time."),
    ROW("limit.*", CONF_STRING, .flags = CONF_LATER | CONF_FAMILY,
        .doc = "The provider's own quota, per model."),
    ROW("access_key_id", CONF_STRING, AT(struct raw_credential, pub.access_key_id),
        .def_doc = "without `secret` too: the environment's keys",
        .example = "AKIAIOSFODNN7EXAMPLE", .doc = "Of `auth = sigv4`, which needs it."),
    ROW("session_token", CONF_SECRET, AT(struct raw_credential, pub.session_token),
        .example = "file:/run/aws/session-token",
        .doc = "Of `auth = sigv4` with a temporary access key."),
    ROW("role_arn", CONF_STRING, AT(struct raw_credential, pub.token.role_arn),
        .example = "arn:aws:iam::123456789012:role/bedrock",
        .doc = "Of the sigv4 ways: the role to assume with the keys; they are then used for that "
               "alone."),
    ROW("external_id", CONF_STRING, AT(struct raw_credential, pub.token.external_id),
        .example = "gateway-1", .doc = "With `role_arn`, where the role's trust policy wants one."),
    ROW("tenant", CONF_STRING, AT(struct raw_credential, pub.token.tenant),
        .example = "72f988bf-86f1-41af-91ab-2d7cd011db47",
        .def_doc = "the environment's `AZURE_TENANT_ID`",
        .doc = "Of `auth = entra`: the directory. Not used with a managed identity."),
    ROW("client_id", CONF_STRING, AT(struct raw_credential, pub.token.client_id),
        .example = "535fb089-9ff3-47b6-9bfb-4f1264799865",
        .def_doc = "the environment's `AZURE_CLIENT_ID`",
        .doc = "Of `auth = entra`: the application, or which of several managed identities."),
    ROW("scope", CONF_STRING, AT(struct raw_credential, pub.token.scope),
        .def_doc = "entra: `https://cognitiveservices.azure.com/.default`; gcp-sa: "
                   "`https://www.googleapis.com/auth/cloud-platform`",
        .example = "https://cognitiveservices.azure.us/.default",
        .doc = "Of `auth = entra` and `gcp-sa`: what the token is for."),
    ROW("token_url", CONF_URL, AT(struct raw_credential, pub.token.token_url),
        .def_doc = "`token_uri` of the file", .example = "https://oauth2.googleapis.com/token",
        .doc = "Of `auth = gcp-sa`: who gives the token."),
    ROW("authority", CONF_URL, AT(struct raw_credential, pub.token.authority),
        .def_doc = "`https://login.microsoftonline.com`",
        .example = "https://login.microsoftonline.us",
        .doc = "Of `auth = entra`: who gives the token; `TENANT/oauth2/v2.0/token` follows."),
    ROW("metadata_url", CONF_URL, AT(struct raw_credential, pub.token.metadata_url),
        .def_doc = "that of the cloud; sigv4-container: the environment's "
                   "`AWS_CONTAINER_CREDENTIALS_FULL_URI` or `..._RELATIVE_URI`",
        .example = "http://169.254.169.254",
        .doc = "Of `gcp-metadata`, `sigv4-imds` and of `entra` without a secret: the root of the "
               "metadata service. Of `sigv4-container`: the whole URL."),
    ROW("sts_url", CONF_URL, AT(struct raw_credential, pub.token.sts_url),
        .def_doc = "`https://sts.REGION.amazonaws.com`",
        .example = "https://sts.eu-west-1.amazonaws.com",
        .doc = "With `role_arn`: who gives the role's keys."),
    ROW("token_ca_file", CONF_PEM, AT(struct raw_credential, pub.token.ca),
        .def_doc = "`ca_file` of [gateway]", .example = "/etc/gatewayd/internal-ca.pem",
        .doc = "Who vouches for the certificate of the service that gives the token."),
    ROW("base_url", CONF_STRING, .flags = CONF_LATER,
        .doc = "Where it differs from the provider's."),
#undef ROW

#define ROW(key, ty, ...)                                                                          \
    {                                                                                              \
        .section = CONF_SECTION_MODEL, .name = key, .type = ty, __VA_ARGS__                        \
    }
    ROW("targets", CONF_TARGETS, AT(struct raw_model, targets), .flags = CONF_REQUIRED,
        .example = "openai/gpt-4o weight=3 tier=1, backup/gpt-4o tier=2",
        .doc = "`PROVIDER/UPSTREAM-MODEL`, each with `weight=N` (1) and `tier=N` (1) behind it. "
               "Lower tiers come first."),
    ROW("alias", CONF_NAMES, AT(struct raw_model, pub.aliases), .example = "gpt-4, gpt-4-turbo",
        .doc = "Further names of this model."),
    ROW("strategy", CONF_ENUM, AT(struct raw_model, strategy), .words = strategy_words,
        .def_doc = "`weighted`; `priority` where upstream models differ and no tier is given",
        .example = "weighted",
        .doc = "Within a tier: `weighted` by chance, `priority` in the order written."),
    ROW("fallback", CONF_NAMES, AT(struct raw_model, fallback), .example = "cheap",
        .doc = "Models that are tried when no target of this one is left."),
    ROW("retries", CONF_INT, AT(struct raw_model, pub.retries), .def = "2", .min = 0, .max = 10,
        .doc = "Tries after the first one."),
    ROW("retry_unknown", CONF_BOOL, AT(struct raw_model, pub.retry_unknown), .def = "on",
        .doc = "Try again where a provider may have received, and will bill, the request."),
    ROW("timeout", CONF_DURATION, AT(struct raw_model, pub.timeout_us), .def = "590s",
        .min = 100 * US_PER_MS, .max = US_PER_D, .doc = "Over all tries and fallbacks."),
    ROW("first_byte_timeout", CONF_DURATION, AT(struct raw_model, pub.first_byte_timeout_us),
        .def = "60s", .min = 100 * US_PER_MS, .max = US_PER_D,
        .doc = "Streams: from the request to the answer's first byte."),
    ROW("idle_timeout", CONF_DURATION, AT(struct raw_model, pub.idle_timeout_us), .def = "120s",
        .min = 100 * US_PER_MS, .max = US_PER_D, .doc = "Streams: between two events."),
    ROW("abort_drain", CONF_DURATION, AT(struct raw_model, pub.abort_drain_us), .def = "30s",
        .min = 0, .max = US_PER_H,
        .doc = "How long a whole answer is still read for its usage when the caller is gone."),
    ROW("response_model", CONF_ENUM, AT(struct raw_model, pub.response_model), .def = "upstream",
        .words = response_model_words,
        .doc = "`model` in answers: what the provider wrote, or the name the caller used."),
    ROW("default.*", CONF_JSON_SCALAR, AT(struct raw_model, defaults), .flags = CONF_FAMILY,
        .example = "default.temperature = 0.7",
        .doc = "Member of the body of a request to generate text (chat, completions, responses, "
               "messages, generateContent, converse; no other) where the caller gave none. Dots go "
               "into objects; a \"quoted\" value is text."),
    ROW("set.*", CONF_JSON_SCALAR, AT(struct raw_model, set), .flags = CONF_FAMILY,
        .example = "set.metadata.source = gateway",
        .doc = "Member that is always set, in the same requests."),
    ROW("set_json.*", CONF_JSON, AT(struct raw_model, set), .flags = CONF_FAMILY,
        .example = "set_json.provider = {\"order\":[\"a\",\"b\"]}",
        .doc = "The same, with any JSON value."),
    ROW("drop", CONF_LIST, AT(struct raw_model, pub.drop), .example = "logprobs",
        .doc = "Top-level members that are taken out of the body of the same requests."),
    ROW("affinity", CONF_ENUM, AT(struct raw_model, affinity), .def = "off",
        .words = affinity_words, .doc = "Keeping conversations on one credential."),
    ROW("fallback.*", CONF_STRING, .flags = CONF_LATER | CONF_FAMILY,
        .doc = "Fallbacks by class of failure."),
    ROW("hedge_after", CONF_DURATION, .flags = CONF_LATER, .doc = "Second try while one runs."),
    ROW("continue_streams", CONF_BOOL, .flags = CONF_LATER, .doc = "Going on with a cut stream."),
    ROW("price", CONF_STRING, .flags = CONF_LATER, .doc = "Prices."),
    ROW("unpriced", CONF_STRING, .flags = CONF_LATER, .doc = "What happens without a price."),
#undef ROW

#define ROW(key, ty, ...)                                                                          \
    {                                                                                              \
        .section = CONF_SECTION_TEAM, .name = key, .type = ty, __VA_ARGS__                         \
    }
    ROW("customer", CONF_STRING, AT(struct raw_team, pub.customer), .example = "acme",
        .doc = "A label for the log."),
    ROW("models", CONF_NAMES, AT(struct raw_team, models), .example = "smart, cheap",
        .doc = "Models that its keys may use. None given: all."),
    ROW("budget", CONF_STRING, .flags = CONF_LATER, .doc = "Money per window."),
    ROW("rpm", CONF_STRING, .flags = CONF_LATER, .doc = "Requests a minute."),
    ROW("tpm", CONF_STRING, .flags = CONF_LATER, .doc = "Tokens a minute."),
    ROW("parallel", CONF_INT, .flags = CONF_LATER, .doc = "Requests at a time."),
#undef ROW

#define ROW(key, ty, ...)                                                                          \
    {                                                                                              \
        .section = CONF_SECTION_KEY, .name = key, .type = ty, __VA_ARGS__                          \
    }
    ROW("sha256", CONF_DIGEST, AT(struct raw_key, pub.sha256), .flags = CONF_REQUIRED,
        .example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        .doc = "SHA-256 of the key, as `sha256sum` prints it. Keys of any prefix and length."),
    ROW("team", CONF_NAME, AT(struct raw_key, team), .example = "research",
        .doc = "Whose limits hold as well."),
    ROW("models", CONF_NAMES, AT(struct raw_key, models), .example = "smart, openai/gpt-4o",
        .doc = "Models, or `PROVIDER/UPSTREAM-MODEL`, that it may use. None given: every model."),
    ROW("expires", CONF_TIME, AT(struct raw_key, pub.expires_us), .example = "2030-01-31",
        .doc = "`2030-01-31` (its first moment, UTC) or `2030-01-31T12:00:00Z`."),
    ROW("enabled", CONF_BOOL, AT(struct raw_key, pub.enabled), .def = "on",
        .doc = "`off` refuses it without forgetting it."),
    ROW("budget", CONF_STRING, .flags = CONF_LATER, .doc = "Money per window."),
    ROW("rpm", CONF_STRING, .flags = CONF_LATER, .doc = "Requests a minute."),
    ROW("tpm", CONF_STRING, .flags = CONF_LATER, .doc = "Tokens a minute."),
    ROW("parallel", CONF_INT, .flags = CONF_LATER, .doc = "Requests at a time."),
#undef ROW
};

static const struct conf_section_info sections[] = {
#define X(up, name, named, later, doc) {name, named, later, doc},
    CONF_SECTIONS(X)
#undef X
};

static const char *const type_texts[] = {
#define X(up, text) text,
    CONF_TYPES(X)
#undef X
};

const struct conf_section_info *conf_section_info(enum conf_section s)
{
    return &sections[s];
}

const char *conf_type_text(enum conf_type t)
{
    return type_texts[t];
}

const struct conf_row *conf_rows(size_t *n)
{
    *n = ARRAY_LEN(rows);
    return rows;
}

static bool row_matches(const struct conf_row *row, struct slice key, struct slice *suffix)
{
    struct slice name = slice_str(row->name);
    if (!(row->flags & CONF_FAMILY))
        return slice_eq(name, key);
    name.n--;
    if (!slice_starts_with(key, name) || key.n == name.n)
        return false;
    *suffix = slice_of(key.p + name.n, key.n - name.n);
    return true;
}

const struct conf_row *conf_row_find(enum conf_section section, struct slice key,
                                     struct slice *suffix)
{
    *suffix = slice_of(NULL, 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].section == section && row_matches(&rows[i], key, suffix))
            return &rows[i];
    return NULL;
}

bool conf_section_parse(struct slice text, enum conf_section *section, struct slice *name)
{
    struct slice rest = text;
    struct slice kind = slice_trim(slice_split(&rest, ':'));
    *name = rest.p ? slice_trim(rest) : slice_of(NULL, 0);
    for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
        if (!slice_eq_str(kind, sections[i].name))
            continue;
        *section = (enum conf_section)i;
        return sections[i].named ? name->n > 0 : rest.p == NULL;
    }
    return false;
}
