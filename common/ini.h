/*
 * ini.h: reader of INI text: sections, keys, values, with line numbers, and nothing lost.
 *
 * No files, no meaning: who calls decides what a section or a key is. The text:
 *
 *   [section]                   in the first column; up to INI_NAME_MAX bytes
 *   key = value ; comment       the key starts in the first column; a comment is a ';' at the start
 *     more of the value         or behind a blank. Indented lines go on, joined by one blank.
 *   key = "va;lue \"x\" "       quotes keep blanks and ';'; \" \\ \n \t inside; one line only
 *   ; comment, # comment
 *
 * UTF-8 without control characters. A blank line ends a value.
 *
 * Debian's inih 55 does the splitting. On its own it would cut section names at 49 bytes and lines
 * at 200 in silence, take "a:b = c" for key "a", and tell no line. So it is fed by a reader that
 * works out each line first, hands over section heads as ordinals and keys without colons, and
 * compares what comes back: a difference is an error of that line, never a shorter value.
 */
#ifndef GW_COMMON_INI_H
#define GW_COMMON_INI_H

#include "common/slice.h"

enum {
    INI_NAME_MAX = 320, /* of a section head or a key: a kind or family prefix and 255 of a name */
    INI_VALUE_MAX = 64 * 1024,
};

struct ini_entry {
    struct slice section; /* n == 0: before the first head */
    struct slice key;
    struct slice value; /* followed by a NUL; blanks at both ends removed, quotes resolved */
    uint32_t line;      /* where the key stands, from 1 */
    bool quoted;
};

/* Slices are valid during the call only. */
struct ini_sink {
    void (*on_section)(void *user, struct slice section, uint32_t line);
    void (*on_entry)(void *user, const struct ini_entry *e);
    void (*on_error)(void *user, uint32_t line, const char *text);
};

/* Reads all of `text`; goes on behind an error so that every one is reported. Keys under a head
 * that was refused are not reported. Returns the number of errors. Not reentrant. */
uint32_t ini_read(struct slice text, const struct ini_sink *sink, void *user) GW_MUSTUSE;

#endif
