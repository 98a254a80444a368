/*
 * args.c: the command line against the table of commands, and the help that comes from it.
 */
#include "gwctl/gwctl.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int say(struct ctl *ctl, int code, const char *fmt, va_list ap)
{
    fputs("gwctl: ", ctl->err);
    vfprintf(ctl->err, fmt, ap);
    fputc('\n', ctl->err);
    return code;
}

int ctl_usage(struct ctl *ctl, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int code = say(ctl, CTL_USAGE, fmt, ap);
    va_end(ap);
    const struct ctl_command *c = ctl->command;
    if (c)
        fprintf(ctl->err, "usage: gwctl %s%s%s%s%s; gwctl %s%s%s --help says more\n",
                c->group ? c->group : "", c->group ? " " : "", c->verb, *c->params ? " " : "",
                c->params, c->group ? c->group : "", c->group ? " " : "", c->verb);
    else
        fprintf(ctl->err, "`gwctl help` lists the commands\n");
    return code;
}

int ctl_fail(struct ctl *ctl, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int code = say(ctl, CTL_REFUSED, fmt, ap);
    va_end(ap);
    return code;
}

static const struct ctl_command *find_command(const char *first, const char *second)
{
    for (size_t i = 0; i < ctl_command_count; i++) {
        const struct ctl_command *c = &ctl_commands[i];
        if (!c->group ? strcmp(c->verb, first) == 0
                      : second && strcmp(c->group, first) == 0 && strcmp(c->verb, second) == 0)
            return c;
    }
    return NULL;
}

static bool is_group(const char *word)
{
    for (size_t i = 0; i < ctl_command_count; i++)
        if (ctl_commands[i].group && strcmp(ctl_commands[i].group, word) == 0)
            return true;
    return false;
}

const char *ctl_flag(const struct ctl *ctl, const char *name)
{
    for (unsigned i = 0; ctl->command->flags && ctl->command->flags[i].name; i++)
        if (strcmp(ctl->command->flags[i].name, name) == 0)
            return ctl->flag[i];
    return NULL;
}

struct cursor {
    int argc, at;
    char **argv;
};

static bool is_flag(const struct cursor *c, const char *name)
{
    size_t n = strlen(name);
    const char *arg = c->argv[c->at];
    return strncmp(arg, name, n) == 0 && (arg[n] == '\0' || (arg[n] == '=' && n > 2));
}

/* Of "--name=value" or "--name value". NULL: there is none. */
static const char *flag_value(struct cursor *c)
{
    const char *eq = strchr(c->argv[c->at], '=');
    if (eq && c->argv[c->at][1] == '-')
        return eq + 1;
    return c->at + 1 < c->argc ? c->argv[++c->at] : NULL;
}

/* The flags that every command has. 1: taken, 0: not one of them, -1: its value is missing. */
static int take_global(struct ctl *ctl, struct cursor *c)
{
    const struct {
        const char *name;
        const char **to;
    } rows[] = {
        {"--socket", &ctl->socket_path},    {"--url", &ctl->url},
        {"--token-file", &ctl->token_file}, {"-c", &ctl->config_file},
        {"--config", &ctl->config_file},    {"--state-dir", &ctl->state_dir},
        {"--ca-file", &ctl->ca_file},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (is_flag(c, rows[i].name)) {
            *rows[i].to = flag_value(c);
            return *rows[i].to ? 1 : -1;
        }
    if (is_flag(c, "--json"))
        ctl->format = CTL_JSON;
    else if (is_flag(c, "--csv"))
        ctl->format = CTL_CSV;
    else if (is_flag(c, "--help") || is_flag(c, "-h"))
        ctl->help = true;
    else
        return 0;
    return 1;
}

static int take_flag(struct ctl *ctl, struct cursor *c)
{
    const struct ctl_flag *flags = ctl->command ? ctl->command->flags : NULL;
    const char *arg = c->argv[c->at];
    for (unsigned i = 0; flags && flags[i].name; i++)
        if (is_flag(c, flags[i].name)) {
            if (ctl->flag[i])
                return ctl_usage(ctl, "%s is given twice", flags[i].name);
            ctl->flag[i] = flags[i].value ? flag_value(c) : "";
            return ctl->flag[i] ? CTL_DONE
                                : ctl_usage(ctl, "%s needs a value: %s", arg, flags[i].value);
        }
    int taken = take_global(ctl, c);
    if (taken == 1)
        return CTL_DONE;
    return ctl_usage(ctl, taken < 0 ? "%s needs a value" : "there is no option %s here", arg);
}

static int take_word(struct ctl *ctl, struct cursor *c, const char **group)
{
    const char *arg = c->argv[c->at];
    if (ctl->command) {
        if (ctl->n_words == ctl->command->max_words)
            return ctl_usage(ctl, "\"%s\" is one word too many", arg);
        ctl->word[ctl->n_words++] = arg;
        return CTL_DONE;
    }
    ctl->command = find_command(*group ? *group : arg, *group ? arg : NULL);
    if (ctl->command)
        return CTL_DONE;
    if (*group)
        return ctl_usage(ctl, "there is no command \"%s %s\"", *group, arg);
    if (!is_group(arg))
        return ctl_usage(ctl, "there is no command \"%s\"", arg);
    *group = arg;
    return CTL_DONE;
}

static int check_parsed(struct ctl *ctl, const char *group)
{
    if (ctl->help)
        return CTL_DONE;
    if (!ctl->command)
        return group ? ctl_usage(ctl, "%s: which command?", group) : ctl_usage(ctl, "no command");
    if (ctl->n_words < ctl->command->min_words)
        return ctl_usage(ctl, "%s is missing", ctl->command->params);
    if (ctl->format == CTL_CSV && !ctl->command->csv)
        return ctl_usage(ctl, "--csv is for lists; --json is possible here");
    if (ctl->socket_path && ctl->url)
        return ctl_usage(ctl, "give either --socket or --url");
    return CTL_DONE;
}

int ctl_parse(struct ctl *ctl, int argc, char **argv)
{
    struct cursor c = {.argc = argc, .at = 1, .argv = argv};
    const char *group = NULL;
    bool only_words = false;
    const char *no_color = getenv("NO_COLOR");
    ctl->color = isatty(fileno(ctl->out)) && !(no_color && *no_color);
    for (; c.at < argc; c.at++) {
        const char *arg = argv[c.at];
        int rc;
        if (!only_words && strcmp(arg, "--") == 0) {
            only_words = true;
            continue;
        }
        if (!only_words && arg[0] == '-' && arg[1])
            rc = take_flag(ctl, &c);
        else
            rc = take_word(ctl, &c, &group);
        if (rc != CTL_DONE)
            return rc;
    }
    return check_parsed(ctl, group);
}

/* ---- help ---- */

static void print_usage(const struct ctl_command *c, FILE *out)
{
    fprintf(out, "gwctl %s%s%s%s%s", c->group ? c->group : "", c->group ? " " : "", c->verb,
            *c->params ? " " : "", c->params);
}

void ctl_help(const struct ctl_command *c, FILE *out)
{
    fputs("usage: ", out);
    print_usage(c, out);
    fprintf(out, "%s\n\n%s\n", c->flags ? " [options]" : "", c->summary);
    for (const struct ctl_flag *f = c->flags; f && f->name; f++)
        fprintf(out, "%s  %-10s %-12s %s\n", f == c->flags ? "\n" : "", f->name,
                f->value ? f->value : "", f->help);
    fprintf(out, "\n  %-10s %-12s %s\n", "--json", "", "answer as JSON");
    if (c->csv)
        fprintf(out, "  %-10s %-12s %s\n", "--csv", "", "answer as CSV");
    fprintf(out, "\nexample: %s\n", c->example);
}

void ctl_help_all(FILE *out)
{
    fputs("gwctl steers gatewayd over its admin API.\n\n", out);
    for (size_t i = 0; i < ctl_command_count; i++) {
        const struct ctl_command *c = &ctl_commands[i];
        char words[64];
        snprintf(words, sizeof(words), "%s%s%s%s%s", c->group ? c->group : "", c->group ? " " : "",
                 c->verb, *c->params ? " " : "", c->params);
        fprintf(out, "  %-26s %s\n", words, c->summary);
    }
    fputs(
        "\nWhere the daemon is:\n"
        "  --socket PATH       its admin socket (or GWCTL_SOCKET)\n"
        "  --url URL           its admin address (or GWCTL_URL), with\n"
        "  --token-file FILE   the token of [admin] token (or GWCTL_TOKEN_FILE), and\n"
        "  --ca-file FILE      who signed its certificate (or GWCTL_CA_FILE), if not a public CA\n"
        "  -c FILE             the first `admin` address of this configuration, given or implied\n"
        "  otherwise           /run/gatewayd/admin.sock\n"
        "While it is down, keys list|show|export, ledger, usage, audit and config "
        "show|history|diff\nread its state, if one says where that is:\n"
        "  -c FILE             by the `state_dir` of this configuration\n"
        "  --state-dir DIR     here\n\n"
        "  --json everywhere, --csv on lists, --help for each command.\n"
        "Exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 gatewayd is not running.\n",
        out);
}
