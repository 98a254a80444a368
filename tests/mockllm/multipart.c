/*
 * multipart.c: see multipart.h.
 */
#include "tests/mockllm/multipart.h"

#include <string.h>

static bool starts(struct slice s, const char *text)
{
    size_t n = strlen(text);
    return s.len >= n && memcmp(s.p, text, n) == 0;
}

static struct slice skip(struct slice s, size_t n)
{
    return (struct slice){s.p + n, s.len - n};
}

/* Takes everything up to `end` off the front of `*rest`, and `end` with it. */
static bool until(struct slice *rest, struct slice end, struct slice *out)
{
    const char *at = rest->len > 0 ? memmem(rest->p, rest->len, end.p, end.len) : NULL;
    if (at == NULL)
        return false;
    *out = (struct slice){rest->p, (size_t)(at - rest->p)};
    *rest = skip(*rest, out->len + end.len);
    return true;
}

/* The value of `; name="…"` or `; name=…` in a field. */
static bool parameter(struct slice field, const char *name, struct slice *out)
{
    struct slice part;
    size_t n = strlen(name);
    while (slice_split(&field, ";", &part)) {
        part = slice_trim(part);
        if (!starts(part, name) || part.len <= n || part.p[n] != '=')
            continue;
        *out = skip(part, n + 1);
        if (out->len >= 2 && out->p[0] == '"' && out->p[out->len - 1] == '"')
            *out = (struct slice){out->p + 1, out->len - 2};
        return true;
    }
    return false;
}

static const char *read_head(struct slice head, struct form_part *part)
{
    struct slice line;
    bool disposed = false;
    while (head.len > 0) {
        if (!until(&head, SLICE("\r\n"), &line))
            return "a part's header line has no end";
        const char *colon = memchr(line.p, ':', line.len);
        if (colon == NULL)
            return "a part's header line has no colon";
        struct slice name = {line.p, (size_t)(colon - line.p)};
        struct slice value = slice_trim(skip(line, name.len + 1));
        if (slice_is_nocase(name, "content-type"))
            part->type = value;
        if (!slice_is_nocase(name, "content-disposition"))
            continue;
        if (disposed || !starts(value, "form-data"))
            return "a part's Content-Disposition is not form-data, or is there twice";
        disposed = true;
        if (!parameter(value, "name", &part->name))
            return "a part has no name";
        part->is_file = parameter(value, "filename", &part->filename);
    }
    return disposed ? NULL : "a part has no Content-Disposition";
}

const char *form_read(struct form *f, struct slice content_type, struct slice body)
{
    char mark[80] = "\r\n--";
    struct slice boundary, head, data;
    f->n = 0;
    if (!parameter(content_type, "boundary", &boundary) || boundary.len == 0 || boundary.len > 70)
        return "the content type has no boundary";
    memcpy(mark + 4, boundary.p, boundary.len);
    struct slice delimiter = {mark, boundary.len + 4}, first = skip(delimiter, 2);
    if (body.len < first.len || memcmp(body.p, first.p, first.len) != 0)
        return "the body does not begin with the boundary";
    for (body = skip(body, first.len); starts(body, "\r\n");) {
        struct form_part *part = &f->parts[f->n];
        if (f->n++ == FORM_MAX_PARTS)
            return "too many parts";
        *part = (struct form_part){0};
        if (!until(&body, SLICE("\r\n\r\n"), &head) || !until(&body, delimiter, &data))
            return "a part has no end";
        /* the line end that until() took belongs to the last header line */
        const char *why = read_head((struct slice){head.p + 2, head.len}, part);
        if (why != NULL)
            return why;
        part->data = data;
    }
    return slice_is(body, "--") || slice_is(body, "--\r\n") ? NULL
                                                            : "the body has no last boundary";
}

const struct form_part *form_get(const struct form *f, const char *name)
{
    for (size_t i = 0; i < f->n; i++)
        if (slice_is(f->parts[i].name, name))
            return &f->parts[i];
    return NULL;
}

size_t form_count(const struct form *f, const char *name)
{
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++)
        n += slice_is(f->parts[i].name, name);
    return n;
}
