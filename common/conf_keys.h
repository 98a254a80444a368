/*
 * conf_keys.h: the one table of settings.
 *
 * A row says all there is to say about a key: where it stands, its type, default and bounds, when a
 * change takes effect, one line for people. Parsing, defaults, `config show`, the reference page
 * and the commented sample are all driven by it: a new setting is a row here and a field in conf.h.
 *
 * Rows with CONF_LATER are known and not acted on by this version. They are refused wherever they
 * appear: a limit that is written down and not held would be worse than none.
 */
#ifndef GW_COMMON_CONF_KEYS_H
#define GW_COMMON_CONF_KEYS_H

#include "common/slice.h"

/* X(enum, name in the file, has a name of its own, from a later version, one line of text) */
#define CONF_SECTIONS(X)                                                                           \
    X(GATEWAY, "gateway", false, false, "Listeners, directories, who may call.")                   \
    X(ADMIN, "admin", false, false, "Access to the admin API.")                                    \
    X(HTTP, "http", false, false, "Limits and deadlines of client connections.")                   \
    X(TLS, "tls", false, false, "The certificate of listeners with the word `tls`.")               \
    X(LOG, "log", false, false, "The diagnostic log and the access log.")                          \
    X(STORE, "store", false, false, "The databases in `state_dir`.")                               \
    X(PROVIDER, "provider", true, false, "An API that requests are sent to.")                      \
    X(CREDENTIAL, "credential", true, false,                                                       \
      "One key of a provider. A provider may have several.")                                       \
    X(MODEL, "model", true, false, "A name that callers use, and the targets behind it.")          \
    X(TEAM, "team", true, false, "What a group of keys has in common.")                            \
    X(KEY, "key", true, false,                                                                     \
      "A virtual key that is declared in this file; `gwctl keys create` makes others.")            \
    X(CUSTOMER, "customer", true, true, "Limits of a customer.")                                   \
    X(LIMITS, "limits", false, true, "Limits of the whole gateway.")

enum conf_section {
#define X(up, name, named, later, doc) CONF_SECTION_##up,
    CONF_SECTIONS(X)
#undef X
        CONF_N_SECTIONS
};

struct conf_section_info {
    const char *name;
    bool named;
    bool later;
    const char *doc;
};

const struct conf_section_info *conf_section_info(enum conf_section s);

/* X(enum, what the reference page calls it) */
#define CONF_TYPES(X)                                                                              \
    X(BOOL, "on or off")                                                                           \
    X(INT, "number")                                                                               \
    X(WORKERS, "number or `auto`")                                                                 \
    X(SIZE, "size")                                                                                \
    X(DURATION, "duration")                                                                        \
    X(ENUM, "word")                                                                                \
    X(STRING, "text")                                                                              \
    X(NAME, "name of a section")                                                                   \
    X(PATH, "path")                                                                                \
    X(LIST, "list")                                                                                \
    X(NAMES, "list of names")                                                                      \
    X(ORIGINS, "list of origins")                                                                  \
    X(LISTEN, "list of addresses")                                                                 \
    X(CIDRS, "list of networks")                                                                   \
    X(SECRET, "secret reference")                                                                  \
    X(PEM, "path or secret reference")                                                             \
    X(URL, "URL")                                                                                  \
    X(HEADER, "text")                                                                              \
    X(JSON_SCALAR, "number, `true`, `false`, `null`, or text")                                     \
    X(JSON, "JSON")                                                                                \
    X(TARGETS, "list of targets")                                                                  \
    X(DIGEST, "64 hex digits")                                                                     \
    X(TIME, "date or time")                                                                        \
    X(LOG_OUTPUT, "`stderr`, `journal`, `file:/path`")

enum conf_type {
#define X(up, text) CONF_##up,
    CONF_TYPES(X)
#undef X
};

enum conf_row_flags {
    CONF_REQUIRED = 1 << 0,
    CONF_RESTART = 1 << 1, /* a change takes effect at a restart; a reload refuses it */
    CONF_LATER = 1 << 2,   /* see above */
    CONF_FAMILY = 1 << 3,  /* "header.*": the star is any name of up to 255 bytes */
    CONF_SAMPLED = 1 << 4, /* the sample has it in force, with its example */
};

/* A word of an enumeration. value < 0: known, from a later version. */
struct conf_word {
    const char *name;
    int value;
};

struct conf_row {
    enum conf_section section;
    const char *name;
    enum conf_type type;
    unsigned flags;
    const char *def;     /* as one would write it; NULL: none */
    const char *def_doc; /* what the page says instead, where the default isn't a constant */
    int64_t min, max;    /* INT; SIZE in bytes; DURATION in µs */
    const struct conf_word *words; /* ENUM; ends with a NULL name */
    size_t offset;                 /* in the structure that conf_build fills for this section */
    const char *doc;
    const char *example; /* for the sample, where the default would show nothing */
};

const struct conf_row *conf_rows(size_t *n);
/* NULL: no such key there. For a family, *suffix is what stands for the star. */
const struct conf_row *conf_row_find(enum conf_section section, struct slice key,
                                     struct slice *suffix);
/* "provider:openai" → kind and name. False: no such kind of section, or the name is missing or
 * there is one where none may be. */
bool conf_section_parse(struct slice text, enum conf_section *section, struct slice *name);
const char *conf_type_text(enum conf_type t);

#endif
