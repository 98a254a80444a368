/*
 * shape.h: whether the members of a small object are those that an API has, and of their types.
 */
#ifndef MOCKLLM_SHAPE_H
#define MOCKLLM_SHAPE_H

#include "tests/mockllm/bytes.h"

enum shape_type { SHAPE_STRING, SHAPE_INT, SHAPE_BOOL, SHAPE_STRINGS, SHAPE_ANY };

/* A table ends with a row without a name. */
struct shape_member {
    const char *name;
    enum shape_type type;
    bool required;
    const char *const *words; /* of a string: it must be one of; ends with NULL. NULL: any */
};

enum shape_fault { SHAPE_FITS, SHAPE_EXTRA, SHAPE_TYPE, SHAPE_MISSING };

/* The body is a valid JSON object. *name is what the fault is about. */
enum shape_fault shape_check(struct slice body, const struct shape_member *table,
                             struct slice *name);

#endif
