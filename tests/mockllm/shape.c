/*
 * shape.c: see shape.h.
 */
#include "tests/mockllm/shape.h"

#include "tests/mockllm/json.h"

#include <string.h>

static bool is_strings(struct slice v)
{
    struct slice one;
    struct json j;
    bool started = false;
    json_init(&j, v);
    if (v.p[0] != '[' || !json_enter(&j, '['))
        return false;
    while (json_next_element(&j, &started, &one))
        if (!json_is_string(one))
            return false;
    return true;
}

static bool is_word(struct slice v, const char *const *words)
{
    if (!json_is_string(v))
        return false;
    for (const char *const *w = words; w != NULL && *w != NULL; w++)
        if (slice_is(json_inner(v), *w))
            return true;
    return words == NULL;
}

static bool fits(const struct shape_member *m, struct slice v)
{
    int64_t n;
    switch (m->type) {
    case SHAPE_STRING:
        return is_word(v, m->words);
    case SHAPE_INT:
        return slice_to_int(v, &n);
    case SHAPE_BOOL:
        return slice_is(v, "true") || slice_is(v, "false");
    case SHAPE_STRINGS:
        return is_strings(v);
    case SHAPE_ANY:
        break;
    }
    return true;
}

enum shape_fault shape_check(struct slice body, const struct shape_member *table,
                             struct slice *name)
{
    struct json j;
    struct slice value;
    bool started = false;
    json_init(&j, body);
    json_enter(&j, '{');
    while (json_next_member(&j, &started, name, &value)) {
        const struct shape_member *m = table;
        while (m->name != NULL && !slice_is(*name, m->name))
            m++;
        if (m->name == NULL)
            return SHAPE_EXTRA;
        if (!fits(m, value))
            return SHAPE_TYPE;
    }
    for (const struct shape_member *m = table; m->name != NULL; m++)
        if (m->required && json_get(body, m->name).p == NULL) {
            *name = (struct slice){m->name, strlen(m->name)};
            return SHAPE_MISSING;
        }
    return SHAPE_FITS;
}
