/*
 * fault.h: named points at which a test may end the process.
 *
 * GW_FAULT("module.step") calls gw_fault_point() where a test program defines it. The shipped
 * programs don't: the weak symbol is NULL there and a point costs one predicted branch.
 */
#ifndef GW_COMMON_FAULT_H
#define GW_COMMON_FAULT_H

#include "common/base.h"

__attribute__((weak)) void gw_fault_point(const char *where);

#define GW_FAULT(where)                                                                            \
    do {                                                                                           \
        if (GW_UNLIKELY(gw_fault_point != NULL))                                                   \
            gw_fault_point(where);                                                                 \
    } while (0)

#endif
