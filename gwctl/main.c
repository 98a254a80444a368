/*
 * main.c: parses, runs one command.
 */
#include "gwctl/gwctl.h"

#include <errno.h>
#include <signal.h>

int main(int argc, char **argv)
{
    struct ctl ctl = {.out = stdout, .err = stderr};
    signal(SIGPIPE, SIG_IGN);
    int code = ctl_parse(&ctl, argc, argv);
    if (code == CTL_DONE && ctl.help) {
        if (ctl.command)
            ctl_help(ctl.command, stdout);
        else
            ctl_help_all(stdout);
    } else if (code == CTL_DONE) {
        code = ctl.command->run(&ctl);
    }
    ctl_disconnect(&ctl);
    if (fflush(stdout) != 0 && code == CTL_DONE) {
        code = CTL_REFUSED;
        if (errno != EPIPE) /* `gwctl ... | head` is no fault */
            perror("gwctl: writing the answer");
    }
    return code;
}
