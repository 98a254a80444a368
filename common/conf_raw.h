/*
 * conf_raw.h: what the rows of conf_keys point into, for conf_*.c only.
 *
 * The public structures hold resolved references; while a file is read there are only names. Each
 * section with references has a raw form around its public one; the other sections are read into
 * the public structures themselves.
 */
#ifndef GW_COMMON_CONF_RAW_H
#define GW_COMMON_CONF_RAW_H

#include "common/conf.h"
#include "common/conf_keys.h"

/* Lists that families append to; grown in the arena. */
struct raw_pairs {
    struct conf_pair *v;
    uint32_t n, cap;
};

struct raw_members {
    struct conf_json_member *v;
    uint32_t n, cap;
};

struct raw_target {
    struct slice provider;
    struct slice upstream_model;
    uint32_t weight;
    uint32_t tier; /* as written; 0: not written */
};

struct raw_targets {
    struct raw_target *v;
    uint32_t n;
};

enum raw_strategy { RAW_STRATEGY_UNSET, RAW_STRATEGY_WEIGHTED, RAW_STRATEGY_PRIORITY };

struct raw_provider {
    struct conf_provider pub;
    struct slice kind;
    struct conf_url proxy;
    struct raw_pairs headers;
    int stream_usage; /* enum conf_tristate */
};

struct raw_credential {
    struct conf_credential pub;
    struct slice provider;
    int auth; /* enum conf_cred_auth, or -1: by the kind */
};

struct raw_model {
    struct conf_model pub;
    struct raw_targets targets;
    struct conf_slices fallback;
    int strategy; /* enum raw_strategy */
    int affinity;
    struct raw_members defaults;
    struct raw_members set;
};

struct raw_team {
    struct conf_team pub;
    struct conf_slices models;
};

struct raw_key {
    struct conf_key pub;
    struct slice team;
    struct conf_slices models;
};

#endif
