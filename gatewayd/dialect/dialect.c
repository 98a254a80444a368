/*
 * dialect.c: the names that all dialects share.
 */
#include "gatewayd/dialect/dialect.h"

const char *dialect_op_name(enum dialect_op op)
{
    static const char *const names[] = {
        [DIALECT_CHAT] = "chat.completions",     [DIALECT_COMPLETIONS] = "completions",
        [DIALECT_EMBEDDINGS] = "embeddings",     [DIALECT_RERANK] = "rerank",
        [DIALECT_COUNT_TOKENS] = "count_tokens",
    };
    return (size_t)op < ARRAY_LEN(names) ? names[op] : "unknown";
}

const char *dialect_fault_name(enum dialect_fault f)
{
    static const char *const names[] = {
#define X(name, text) [DIALECT_FAULT_##name] = text,
        DIALECT_FAULT_MAP(X)
#undef X
    };
    return (size_t)f < ARRAY_LEN(names) ? names[f] : "unknown";
}
