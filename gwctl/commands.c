/*
 * commands.c: the table of commands.
 */
#include "gwctl/gwctl.h"

#define KEY_FLAGS                                                                                  \
    {"--team", "TEAM", "a [team:TEAM] of the configuration; \"\" for none"},                       \
        {"--customer", "NAME", "a label for the log and the roll-ups"},                            \
        {"--models", "A,B", "what it may use: model names, provider/model; \"\" for all"},         \
        {"--expires", "WHEN", "30d from now, 2026-12-31, an RFC 3339 time, or never"},             \
        {"--tags", "A=B,C=D", "for the log and the roll-ups"},                                     \
    {                                                                                              \
        "--metadata", "JSON", "an object of your own, kept as it is"                               \
    }

static const struct ctl_flag create_flags[] = {
    {"--name", "NAME", "what it is called; unique"}, KEY_FLAGS, {NULL, NULL, NULL}};
static const struct ctl_flag update_flags[] = {
    {"--name", "NAME", "a new name"}, KEY_FLAGS, {NULL, NULL, NULL}};
static const struct ctl_flag rotate_flags[] = {
    {"--grace", "TIME", "how long the old key goes on working: 1h, 7d; default 0s"},
    {NULL, NULL, NULL}};
static const struct ctl_flag import_flags[] = {
    {"--sha256", NULL, "lines hold NAME and the SHA-256 of a key instead of the key"},
    {NULL, NULL, NULL}};
static const struct ctl_flag diff_flags[] = {
    {"--from", "N", "this generation instead of the active one"},
    {"--to", "N", "this generation instead of the file"},
    {NULL, NULL, NULL}};
static const struct ctl_flag audit_flags[] = {
    {"--limit", "N", "this many, newest first; default 50"}, {NULL, NULL, NULL}};

static const struct ctl_flag usage_flags[] = {
    {"--by", "NAME", "day (default), key, team, customer, model, provider, credential, tags"},
    {"--since", "WHEN", "a date, a time, or how long ago: 7d; default 30d"},
    {"--until", "WHEN", "likewise; default now"},
    {NULL, NULL, NULL}};
static const struct ctl_flag ledger_flags[] = {
    {"--key", "ID", "only this key's"},
    {"--model", "NAME", "only of this model, as callers name it"},
    {"--since", "WHEN", "a date, a time, or how long ago: 1h"},
    {"--until", "WHEN", "likewise"},
    {"--limit", "N", "at most this many; default all"},
    {"--verify", NULL, "recompute hashes, index and sums instead of listing"},
    {NULL, NULL, NULL}};

const struct ctl_command ctl_commands[] = {
    {NULL, "status", "", 0, 0, "Whether it runs, how, since when.", "gwctl status", NULL, false,
     ctl_status},
    {NULL, "workers", "", 0, 0, "One line a process.", "gwctl workers --json", NULL, true,
     ctl_workers},
    {NULL, "dns", "", 0, 0, "The resolved names of the providers.", "gwctl dns", NULL, true,
     ctl_dns},
    {NULL, "credentials", "", 0, 0, "The providers' credentials, and how their tokens do.",
     "gwctl credentials", NULL, true, ctl_credentials},
    {NULL, "reload", "", 0, 0, "Read the configuration again; waits, says what changed or why not.",
     "gwctl reload && echo taken", NULL, false, ctl_reload},
    {NULL, "drain", "", 0, 0, "Say not ready and close idle connections; go on serving.",
     "gwctl drain", NULL, false, ctl_drain},
    {NULL, "resume", "", 0, 0, "Take a drain back.", "gwctl resume", NULL, false, ctl_resume},
    {"config", "check", "FILE", 1, 1, "Check a file without a daemon; every error with its line.",
     "gwctl config check /etc/gatewayd/gatewayd.ini", NULL, false, ctl_config_check},
    {"config", "show", "", 0, 0, "Every setting in force and where it stands; no secret.",
     "gwctl config show --csv", NULL, true, ctl_config_show},
    {"config", "diff", "", 0, 0, "What a reload would change.", "gwctl config diff", diff_flags,
     true, ctl_config_diff},
    {"config", "history", "", 0, 0, "The generations that were active.", "gwctl config history",
     NULL, true, ctl_config_history},
    {"keys", "create", "", 0, 0, "Make a key. It is shown this once.",
     "gwctl keys create --name ci --models smart,cheap --expires 30d", create_flags, false,
     ctl_keys_create},
    {"keys", "list", "", 0, 0, "All keys, those of the configuration too.", "gwctl keys list", NULL,
     true, ctl_keys_list},
    {"keys", "show", "ID", 1, 1, "One key, by id or name.", "gwctl keys show ci", NULL, false,
     ctl_keys_show},
    {"keys", "update", "ID", 1, 1, "Change what is given, leave the rest.",
     "gwctl keys update ci --models smart --expires never", update_flags, false, ctl_keys_update},
    {"keys", "disable", "ID", 1, 1, "Refuse it from now on.", "gwctl keys disable ci", NULL, false,
     ctl_keys_disable},
    {"keys", "enable", "ID", 1, 1, "Take it again.", "gwctl keys enable ci", NULL, false,
     ctl_keys_enable},
    {"keys", "rotate", "ID", 1, 1, "Give it a new text, shown this once.",
     "gwctl keys rotate ci --grace 1h", rotate_flags, false, ctl_keys_rotate},
    {"keys", "delete", "ID", 1, 1, "Remove it; the ledger keeps its records.",
     "gwctl keys delete ci", NULL, false, ctl_keys_delete},
    {"keys", "import", "FILE", 1, 1,
     "Keys from elsewhere: JSON lines, or NAME KEY a line; - for standard input.",
     "gwctl keys import keys.jsonl", import_flags, false, ctl_keys_import},
    {"keys", "export", "", 0, 0, "All keys as JSON lines that import reads: hashes, never texts.",
     "gwctl keys export > keys.jsonl", NULL, false, ctl_keys_export},
    {NULL, "usage", "", 0, 0, "Requests, tokens and cost, summed by a name or by day.",
     "gwctl usage --by model --since 7d", usage_flags, true, ctl_usage_report},
    {NULL, "ledger", "", 0, 0, "The records of attempts, oldest first; or the proof of them.",
     "gwctl ledger --key key_4pNw --since 1h --json", ledger_flags, true, ctl_ledger},
    {NULL, "audit", "", 0, 0, "Who changed which key, when.", "gwctl audit --limit 10", audit_flags,
     true, ctl_audit},
    {NULL, "version", "", 0, 0, "Of gwctl, and of the daemon if it runs.", "gwctl version", NULL,
     false, ctl_version},
    {NULL, "help", "COMMAND", 0, 2, "This, or the help of a command.", "gwctl help keys create",
     NULL, false, ctl_show_help},
};
const size_t ctl_command_count = ARRAY_LEN(ctl_commands);
