/*
 * bound.h: how many tokens a request can cost at most, and what an unfinished one is charged.
 *
 * The published rule (docs/ledger.md): a byte-level token is at least one byte, so the raw JSON
 * bytes of the prompt-bearing members, with an overhead per message and tool and a maximum per part
 * that isn't text, bound the input; the caller's cap bounds the output. Counted output is bytes
 * likewise.
 */
#ifndef GW_WORKER_BOUND_H
#define GW_WORKER_BOUND_H

#include "common/ledger.h"
#include "gatewayd/dialect/dialect.h"

/* Worst case of one try. */
void bound_reserve(const struct dialect_request *ask, int64_t usage[LEDGER_USAGE_MAX]);
/* About how many input tokens there are: for people and clients, never for money. */
int64_t bound_estimate_input(const struct dialect_request *ask);
/* The provider's own figures in the ledger's kinds. */
void bound_from_usage(const struct dialect_usage *u, int64_t usage[LEDGER_USAGE_MAX]);
/* What came when the figures are missing: the input bound and the output counted in bytes, but no
 * more than was reserved. */
void bound_counted(const int64_t reserved[LEDGER_USAGE_MAX], uint64_t output_bytes,
                   int64_t usage[LEDGER_USAGE_MAX]);

#endif
