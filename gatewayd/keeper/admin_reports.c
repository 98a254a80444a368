/*
 * admin_reports.c: the reading commands: common/report*.c over the keeper's stores.
 *
 * Entries come from config.mdb on the loop (a memory map, a few pages); files are read on the
 * reader thread.
 */
#include "gatewayd/keeper/admin.h"
#include "gatewayd/keeper/admin_commands.h"

void admin_keys_list(struct admin_call *call)
{
    report_keys_list(&call->report);
}

void admin_keys_show(struct admin_call *call)
{
    report_keys_show(&call->report, call->param[0]);
}

void admin_audit_list(struct admin_call *call)
{
    report_audit(&call->report);
}

void admin_usage(struct admin_call *call)
{
    report_usage(&call->report);
}

void admin_ledger_list(struct admin_call *call)
{
    report_ledger_list(&call->report);
}

void admin_ledger_verify(struct admin_call *call)
{
    report_ledger_verify(&call->report);
}

void admin_config_show(struct admin_call *call)
{
    report_config(&call->report);
}

void admin_config_history(struct admin_call *call)
{
    report_config_history(&call->report);
}

/* On the reader thread: the entries of the running generation against the file as it is now. */
static void diff_with_file(struct admin_call *call)
{
    report_config_diff_file(&call->report, call->entries, call->entries_generation);
}

void admin_config_diff(struct admin_call *call)
{
    call->entries = report_config_diff(&call->report, &call->entries_generation);
    if (call->entries)
        admin_call_on_reader(call, diff_with_file);
}

/* The daemon's own file and what it includes; not the secrets and certificates that it names: a
 * reload reads those. */
void admin_config_check(struct admin_call *call)
{
    struct conf_errors errs;
    conf_errors_init(&errs);
    struct conf_entries *entries = conf_read_file(call->keeper->child->config_path, &errs);
    struct conf *conf = entries ? conf_build(entries, 0, &errs) : NULL;
    if (conf) {
        struct json_writer *w = admin_json(call);
        jw_member_bool(w, "valid", true);
        jw_member_str(w, "config_file", slice_str(call->keeper->child->config_path));
        jw_member_array(w, "warnings");
        for (uint32_t i = 0; i < conf->warnings.n; i++)
            jw_str(w, conf->warnings.v[i]);
        jw_array_end(w);
    } else {
        report_config_errors(&call->report, &errs);
    }
    conf_free(conf);
    conf_entries_free(entries);
    conf_errors_fini(&errs);
}
