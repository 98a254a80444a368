/*
 * reloads.h: what gwctl asks of the master, and who waits for the answer.
 *
 * A reload that was asked for while one is running waits for the next one: the running one may have
 * read the file before the asker changed it. All who wait share that next one, so a storm of
 * requests is at most two reloads deep.
 */
#ifndef GW_KEEPER_RELOADS_H
#define GW_KEEPER_RELOADS_H

#include "gatewayd/ipc.h"

struct keeper;
struct reloads;
struct admin_call;

struct reloads *reloads_new(struct keeper *k);
/* Answers everybody who still waits: the keeper is stopping. */
void reloads_free(struct reloads *r);
/* The call becomes pending; its answer is built when the master's comes. */
void reloads_ask(struct reloads *r, enum ipc_verb verb, struct admin_call *call);
/* The master's RESULT. */
void reloads_result(struct reloads *r, uint32_t id, bool ok, const char *text);

#endif
