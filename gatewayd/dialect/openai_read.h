/*
 * openai_read.h: private to the OpenAI codecs: reading objects of requests by tables of their
 * members.
 *
 * A table row says what a member must be and where it goes. What stands twice is refused, what is
 * null counts as absent, what no row names is noted as unknown. A place in the body is a list of
 * frames on the stack and becomes text only when something is refused.
 */
#ifndef GW_GATEWAYD_DIALECT_OPENAI_READ_H
#define GW_GATEWAYD_DIALECT_OPENAI_READ_H

#include "gatewayd/dialect/ir.h"

#include <stddef.h>

struct openai_reader {
    const struct json_doc *d;
    struct ir_request *out;
    struct dialect_refusal *why;
};

/* "messages[2].content": the root has none. */
struct openai_at {
    const struct openai_at *up;
    struct slice name; /* {NULL}: an element */
    uint32_t index;
};

struct openai_member;
typedef int (*openai_member_fn)(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                                void *into);

enum openai_kind {
    OPENAI_TEXT,   /* string -> struct ir_text */
    OPENAI_NUMBER, /* number -> struct slice, as it is spelled */
    OPENAI_COUNT,  /* integer from 0 -> int64_t */
    OPENAI_BOOL,   /* true, false -> bool */
    OPENAI_FLAG,   /* true, false -> int */
    OPENAI_OBJECT, /* object -> struct slice, raw */
    OPENAI_VALUE,  /* anything -> uint32_t, its token */
    OPENAI_KNOWN,  /* anything; says nothing here, or is read elsewhere */
    OPENAI_FN,     /* what fn makes of it; `into` is the field at the offset */
};

struct openai_member {
    struct slice name;
    enum openai_kind kind;
    size_t offset; /* in what the table is read into */
    unsigned note; /* 1 + the field to note, 0: none */
    openai_member_fn fn;
};
#define OPENAI_MEMBER(lit, kind_, type, field)                                                     \
    {                                                                                              \
        {lit, sizeof(lit) - 1}, OPENAI_##kind_, offsetof(type, field), 0, NULL                     \
    }
#define OPENAI_MEMBER_NOTED(lit, kind_, type, field, f)                                            \
    {                                                                                              \
        {lit, sizeof(lit) - 1}, OPENAI_##kind_, offsetof(type, field), 1 + IR_F_##f, NULL          \
    }
#define OPENAI_MEMBER_FN(lit, fn_)                                                                 \
    {                                                                                              \
        {lit, sizeof(lit) - 1}, OPENAI_FN, 0, 0, fn_                                               \
    }
#define OPENAI_MEMBER_FN_AT(lit, fn_, type, field)                                                 \
    {                                                                                              \
        {lit, sizeof(lit) - 1}, OPENAI_FN, offsetof(type, field), 0, fn_                           \
    }
#define OPENAI_MEMBER_KNOWN(lit)                                                                   \
    {                                                                                              \
        {lit, sizeof(lit) - 1}, OPENAI_KNOWN, 0, 0, NULL                                           \
    }

/* Both return -1. The message begins with the quoted place. */
int openai_refuse(struct openai_reader *r, const struct openai_at *at, const char *code,
                  const char *fmt, ...) GW_PRINTF(4, 5);
int openai_wrong_type(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                      const char *expected);
/* The arena is full. */
int openai_too_large(struct openai_reader *r);
void openai_unknown(struct openai_reader *r, const struct openai_at *at);

/* Reads an object into `into`. At most 64 rows. */
int openai_read_object(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                       const struct openai_member *table, size_t n, void *into);
#define OPENAI_READ(r, at, v, table, into)                                                         \
    openai_read_object((r), (at), (v), (table), ARRAY_LEN(table), (into))
/* Checks that v is an array (or null, which is an empty one). */
int openai_need_array(struct openai_reader *r, const struct openai_at *at, uint32_t v);

static inline bool openai_given(const struct json_doc *d, uint32_t v)
{
    return v != JSON_NONE && v < d->n && !json_is_null(d, v);
}

static inline struct openai_at openai_in(const struct openai_at *up, const char *name)
{
    return (struct openai_at){up, slice_str(name), 0};
}

static inline struct openai_at openai_elem(const struct openai_at *up, uint32_t index)
{
    return (struct openai_at){up, {NULL, 0}, index};
}

/* ---- values that both APIs have ---- */

/* A `data:` URL (RFC 2397) taken apart, or any other. -1: a data: URL that isn't base64. */
int openai_read_url(struct openai_reader *r, const struct openai_at *at, struct ir_text url,
                    struct ir_part *p);
/* file_data: a data: URL, an http(s) URL (OpenRouter), else bare base64, whose type the name tells;
 * a document is a PDF where nothing says otherwise. p->filename is set already. */
int openai_read_file_data(struct openai_reader *r, const struct openai_at *at, struct ir_text data,
                          struct ir_part *p);
/* Stop sequences: a string or an array of strings. */
int openai_read_stop(struct openai_reader *r, const struct openai_at *at, uint32_t v, void *into);
int openai_read_effort(struct openai_reader *r, const struct openai_at *at, uint32_t v, void *into);
/* Notes what sets a tier apart from the default. */
int openai_read_tier(struct openai_reader *r, const struct openai_at *at, uint32_t v, void *into);
int openai_read_metadata(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                         void *into);
/* user and safety_identifier: the same in two ages of the API. */
int openai_read_user(struct openai_reader *r, const struct openai_at *at, uint32_t v, void *into);
int openai_read_parallel(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                         void *into);
/* cache_control of a part or tool, and prompt_cache_breakpoint: into an enum ir_cache. */
int openai_read_cache_control(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                              void *into);
int openai_read_breakpoint(struct openai_reader *r, const struct openai_at *at, uint32_t v,
                           void *into);
/* The strings of tool_choice: auto, none, required. False: it is none of them. */
bool openai_choice_word(struct openai_reader *r, uint32_t v);
/* The service tier as OpenAI calls it. */
struct ir_text openai_tier(struct ir_text tier);
/* The fields that a part's source stands for. */
void openai_note_media(struct ir_request *out, const struct ir_part *p);

#endif
