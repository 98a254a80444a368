/*
 * gwctl.h: what the commands of the CLI share.
 *
 * A command is a row of the table in commands.c: its words, its flags, its help, its function. The
 * function gets everything parsed and a client that connects on its first call. Exit status: 0
 * done, 1 refused or failed, 2 wrong usage, 3 the daemon isn't running.
 */
#ifndef GW_GWCTL_H
#define GW_GWCTL_H

#include "common/json.h"

#include <stdio.h>

enum { CTL_DONE = 0, CTL_REFUSED = 1, CTL_USAGE = 2, CTL_DOWN = 3 };
enum { CTL_FLAGS_MAX = 16, CTL_WORDS_MAX = 4 };

/* How a command's answer is printed. */
enum ctl_format { CTL_TABLE, CTL_JSON, CTL_CSV };

struct ctl_flag {
    const char *name;  /* "--models" */
    const char *value; /* what the help calls its value; NULL: a switch */
    const char *help;
};

struct ctl;
typedef int (*ctl_command_fn)(struct ctl *ctl);

struct ctl_command {
    const char *group; /* "keys"; NULL: the command is one word */
    const char *verb;
    const char *params; /* "ID", "FILE", "": words behind the command */
    unsigned min_words, max_words;
    const char *summary;
    const char *example;
    const struct ctl_flag *flags; /* ends with a NULL name; NULL: none */
    bool csv;                     /* a list: --csv is possible */
    ctl_command_fn run;
};

extern const struct ctl_command ctl_commands[];
extern const size_t ctl_command_count;

struct ctl {
    /* where the daemon is */
    const char *socket_path, *url, *token_file, *ca_file, *config_file;
    const char *state_dir; /* where its state is, for when it is down */
    bool offline;          /* said already that it is down and its state is read */
    const char *found_by;  /* in words, for errors: "the default path" */
    /* how to answer */
    enum ctl_format format;
    bool color;
    bool help;
    FILE *out, *err;
    /* what to do */
    const struct ctl_command *command;
    const char *word[CTL_WORDS_MAX];
    unsigned n_words;
    const char *flag[CTL_FLAGS_MAX]; /* values in the order of command->flags; "" for a switch */
    struct client *client;
    char *found, *found_token; /* the same from the configuration, owned */
};

/* ---- args.c ---- */

/* Fills ctl from the command line and the environment. CTL_DONE, or CTL_USAGE after saying why. */
int ctl_parse(struct ctl *ctl, int argc, char **argv);
/* The value of a flag of the running command, NULL: not given. */
const char *ctl_flag(const struct ctl *ctl, const char *name);
void ctl_help(const struct ctl_command *command, FILE *out);
void ctl_help_all(FILE *out);
/* Says "gwctl: ..." on err and returns CTL_USAGE. */
int ctl_usage(struct ctl *ctl, const char *fmt, ...) GW_PRINTF(2, 3);
/* The same for what was refused or failed: CTL_REFUSED. */
int ctl_fail(struct ctl *ctl, const char *fmt, ...) GW_PRINTF(2, 3);

/* ---- call.c: one request and its answer ---- */

/* Closes the connection and frees what was found for it. */
void ctl_disconnect(struct ctl *ctl);

struct ctl_answer {
    struct buf body;
    struct json_doc doc;
};
void ctl_answer_init(struct ctl_answer *a);
void ctl_answer_release(struct ctl_answer *a);
/* Sends it and parses the answer. CTL_DONE; else the exit status, and why is said already. */
int ctl_call(struct ctl *ctl, const char *method, const char *path, const struct buf *body,
             struct ctl_answer *a);
/* The same, and the answer of a refusal stays in *a, nothing is said: CTL_REFUSED. */
int ctl_call_quiet(struct ctl *ctl, const char *method, const char *path, const struct buf *body,
                   struct ctl_answer *a);
/* The answer as it came, on a line. */
void ctl_print_json(struct ctl *ctl, const struct ctl_answer *a);
/* Says what {"error":...} (and "errors":[...] beside it) says. Returns CTL_REFUSED. */
int ctl_say_error(struct ctl *ctl, const struct ctl_answer *a);
/* Appends a path segment or query value, percent-encoded. */
void ctl_put_escaped(struct buf *path, const char *text);

/* ---- the commands ---- */

int ctl_status(struct ctl *ctl);
int ctl_workers(struct ctl *ctl);
int ctl_dns(struct ctl *ctl);
int ctl_credentials(struct ctl *ctl);
int ctl_version(struct ctl *ctl);
int ctl_reload(struct ctl *ctl);
int ctl_drain(struct ctl *ctl);
int ctl_resume(struct ctl *ctl);
int ctl_config_check(struct ctl *ctl);
int ctl_config_show(struct ctl *ctl);
int ctl_config_diff(struct ctl *ctl);
int ctl_config_history(struct ctl *ctl);
int ctl_keys_create(struct ctl *ctl);
int ctl_keys_list(struct ctl *ctl);
int ctl_keys_show(struct ctl *ctl);
int ctl_keys_update(struct ctl *ctl);
int ctl_keys_enable(struct ctl *ctl);
int ctl_keys_disable(struct ctl *ctl);
int ctl_keys_rotate(struct ctl *ctl);
int ctl_keys_delete(struct ctl *ctl);
int ctl_keys_import(struct ctl *ctl);
int ctl_keys_export(struct ctl *ctl);
int ctl_usage_report(struct ctl *ctl);
int ctl_ledger(struct ctl *ctl);
int ctl_audit(struct ctl *ctl);
int ctl_show_help(struct ctl *ctl);

#endif
