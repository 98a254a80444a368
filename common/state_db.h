/*
 * state_db.h: which databases the LMDB environment `state` holds; keystore_open opens them all.
 */
#ifndef GW_COMMON_STATE_DB_H
#define GW_COMMON_STATE_DB_H

#define STATE_DBS(X)                                                                               \
    X(KEYS, "keys")       /* keystore.c */                                                         \
    X(DIGESTS, "digests") /* keystore.c */                                                         \
    X(NAMES, "names")     /* keystore.c */                                                         \
    X(AUDIT, "audit")     /* keystore.c */                                                         \
    X(OBJECTS, "objects") /* objects_store.c, like those that follow */                            \
    X(OBJECT_EXPIRY, "object_expiry")                                                              \
    X(OBJECT_BILLS, "object_bills")
enum state_db {
#define X(id, name) STATE_DB_##id,
    STATE_DBS(X)
#undef X
        STATE_DB_COUNT
};

#endif
