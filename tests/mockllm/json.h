/*
 * json.h: a strict RFC 8259 scanner over bytes in memory, in one pass and without a tree.
 *
 * Values are handed out as slices of the input, so that an answer can repeat what was asked byte
 * for byte. Depth is capped at JSON_DEPTH; strings must be UTF-8 and hold no control bytes.
 */
#ifndef MOCKLLM_JSON_H
#define MOCKLLM_JSON_H

#include "tests/mockllm/bytes.h"

enum { JSON_DEPTH = 128 };

struct json {
    const char *start, *p, *end;
    const char *error; /* NULL while all is well; else a static text */
};

void json_init(struct json *j, struct slice text);
size_t json_offset(const struct json *j);

/* Steps into an object or array. False and an error where it is something else. */
bool json_enter(struct json *j, char open);
/* The next member or element; `*started` is false before the first call. False at the end and on an
 * error. The key is the raw text between its quotes. */
bool json_next_member(struct json *j, bool *started, struct slice *key, struct slice *value);
bool json_next_element(struct json *j, bool *started, struct slice *value);
/* Nothing but white space may be left. */
bool json_finish(struct json *j);

/* Of text that has been validated: the raw value of a member, {NULL,0} where there is none. */
struct slice json_get(struct slice object, const char *key);
bool json_is_string(struct slice value);
/* The raw text between the quotes of a string. */
struct slice json_inner(struct slice string);
/* The decoded text of a string, added to `out`. */
void json_decode(struct slice string, struct bytes *out);
/* The longest prefix of a string's raw text of at most `max` bytes (never less than one character)
 * that ends neither inside an escape, nor a surrogate pair, nor a UTF-8 sequence. */
size_t json_safe_prefix(struct slice raw, size_t max);

#endif
