/*
 * main.c: the command line, and the choice between master, check and a child's role.
 */
#include "gatewayd/child.h"
#include "gatewayd/master/master.h"
#include "gatewayd/title.h"

#include "common/slice.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct options {
    const char *config_path;
    bool check_only;
    int role;
    unsigned slot;
};

/* Roles of children; the master has none of them. */
static int (*const role_main[ROLE_COUNT])(struct child *) = {
    [ROLE_LOADER] = loader_main,
    [ROLE_WORKER] = worker_main,
    [ROLE_KEEPER] = keeper_main,
};

static void usage(FILE *out)
{
    fputs("usage: gatewayd -c FILE        run in the foreground with this configuration\n"
          "       gatewayd -c FILE -t     check the configuration, say all that is wrong, exit 0 "
          "or 2\n"
          "       gatewayd --version\n"
          "signals: HUP reload, TERM or INT drain then stop (a second one stops at once),\n"
          "         USR1 reopen the log\n",
          out);
}

GW_NORETURN static void bad_usage(const char *what, const char *value)
{
    fprintf(stderr, "gatewayd: %s%s%s\n", what, value ? ": " : "", value ? value : "");
    usage(stderr);
    exit(CHILD_EXIT_CONFIG);
}

static unsigned parse_slot(const char *text)
{
    uint64_t slot;
    if (slice_to_u64(slice_str(text), CONTROL_SLOTS - 1, &slot) < 0)
        bad_usage("bad slot", text);
    return (unsigned)slot;
}

static struct options parse(int argc, char **argv)
{
    enum { OPT_VERSION = 256, OPT_ROLE, OPT_SLOT };
    static const struct option long_options[] = {
        {"config", required_argument, NULL, 'c'},
        {"test", no_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, OPT_VERSION},
        {"role", required_argument, NULL, OPT_ROLE},
        {"slot", required_argument, NULL, OPT_SLOT},
        {NULL, 0, NULL, 0},
    };
    struct options o = {.role = ROLE_MASTER};
    for (int c; (c = getopt_long(argc, argv, "c:th", long_options, NULL)) != -1;) {
        switch (c) {
        case 'c':
            o.config_path = optarg;
            break;
        case 't':
            o.check_only = true;
            break;
        case 'h':
            usage(stdout);
            exit(EXIT_SUCCESS);
        case OPT_VERSION:
            puts("gatewayd " GW_VERSION);
            exit(EXIT_SUCCESS);
        case OPT_ROLE:
            o.role = role_by_name(optarg);
            if (o.role < 0 || !role_main[o.role])
                bad_usage("unknown role", optarg);
            break;
        case OPT_SLOT:
            o.slot = parse_slot(optarg);
            break;
        default:
            bad_usage("unknown option, or one without its value", NULL);
        }
    }
    if (optind < argc)
        bad_usage("unexpected argument", argv[optind]);
    return o;
}

static int run_child(const struct options *o)
{
    static struct child child; /* large, and lives as long as the process */
    if (child_open(&child, (enum role)o->role, o->slot) < 0)
        return CHILD_EXIT_FAULT;
    return role_main[o->role](&child);
}

/* Children and reloads must find it wherever they stand; a symlink in it is followed by each reload
 * anew, so that switching it is a way to deploy. */
static void absolute(const char *path, char out[PATH_MAX])
{
    char cwd[PATH_MAX] = "";
    if (path[0] != '/' && !getcwd(cwd, sizeof cwd))
        bad_usage("can't tell the current directory for", path);
    if (snprintf(out, PATH_MAX, "%s%s%s", cwd, cwd[0] ? "/" : "", path) >= IPC_PATH_BYTES)
        bad_usage("path is too long", path);
}

int main(int argc, char **argv)
{
    struct options o = parse(argc, argv);
    if (o.role != ROLE_MASTER) {
        title_init(argc, argv);
        return run_child(&o);
    }
    if (!o.config_path)
        bad_usage("-c FILE is missing", NULL);
    if (o.check_only)
        return loader_check(o.config_path);
    char path[PATH_MAX];
    absolute(o.config_path, path);
    title_init(argc, argv);
    return master_main(path);
}
