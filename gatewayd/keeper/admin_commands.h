/*
 * admin_commands.h: the handlers of the command table in admin_route.c, by the file they live in.
 */
#ifndef GW_KEEPER_ADMIN_COMMANDS_H
#define GW_KEEPER_ADMIN_COMMANDS_H

struct admin_call;
struct keeper;

/* admin_status.c */
void admin_healthz(struct admin_call *call);
void admin_version(struct admin_call *call);
void admin_status(struct admin_call *call);
void admin_workers(struct admin_call *call);
void admin_dns(struct admin_call *call);

/* admin_credentials.c */
void admin_credentials(struct admin_call *call);

/* admin_metrics.c */
void admin_metrics(struct admin_call *call);

/* admin_control.c */
void admin_reload(struct admin_call *call);
void admin_drain(struct admin_call *call);
void admin_resume(struct admin_call *call);

/* admin_reports.c */
void admin_config_show(struct admin_call *call);
void admin_config_diff(struct admin_call *call);
void admin_config_history(struct admin_call *call);
void admin_config_check(struct admin_call *call);

void admin_keys_list(struct admin_call *call);
void admin_keys_show(struct admin_call *call);
void admin_audit_list(struct admin_call *call);
void admin_usage(struct admin_call *call);
void admin_ledger_list(struct admin_call *call);
void admin_ledger_verify(struct admin_call *call);

/* admin_keys.c */
void admin_keys_create(struct admin_call *call);
void admin_keys_import(struct admin_call *call);
void admin_keys_update(struct admin_call *call);
void admin_keys_delete(struct admin_call *call);
void admin_keys_enable(struct admin_call *call);
void admin_keys_disable(struct admin_call *call);
void admin_keys_rotate(struct admin_call *call);

#endif
