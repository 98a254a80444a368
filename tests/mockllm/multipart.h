/*
 * multipart.h: multipart/form-data as RFC 7578 writes it, for the operations that take files.
 *
 * Parsed for real and apart from the gateway's parser: a boundary, a length or a part that a splice
 * has spoilt is refused here as the provider would.
 */
#ifndef MOCKLLM_MULTIPART_H
#define MOCKLLM_MULTIPART_H

#include "tests/mockllm/bytes.h"

enum { FORM_MAX_PARTS = 64 };

struct form_part {
    struct slice name, filename, type, data;
    bool is_file;
};

struct form {
    struct form_part parts[FORM_MAX_PARTS];
    size_t n;
};

/* NULL, or why it is no form; every slice points into `content_type` or `body`. */
const char *form_read(struct form *f, struct slice content_type, struct slice body);
/* The first part of that name; NULL where there is none. */
const struct form_part *form_get(const struct form *f, const char *name);
size_t form_count(const struct form *f, const char *name);

#endif
