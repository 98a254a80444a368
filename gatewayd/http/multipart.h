/*
 * multipart.h: the parts of a multipart/form-data body (RFC 7578, RFC 2046 section 5.1).
 *
 * Pure, over a body that is there in whole; copies nothing, allocates nothing. Stricter than the
 * RFCs where a reader on the other side might see other parts than this one: no preamble and no
 * epilogue but one CRLF, no transport padding, nowhere a delimiter that isn't one, lines end in
 * CRLF, one Content-Disposition a part, no backslash in a name, no transfer encoding. What every
 * client writes passes.
 */
#ifndef GW_HTTP_MULTIPART_H
#define GW_HTTP_MULTIPART_H

#include "common/slice.h"

enum {
    MULTIPART_BOUNDARY_MAX_BYTES = 70, /* RFC 2046 section 5.1.1 */
    MULTIPART_HEAD_MAX_BYTES = 4096,   /* all header lines of a part */
    MULTIPART_PARTS_MAX = 256,
};

struct multipart_part {
    struct slice name; /* as it stands between the quotes */
    bool is_file;      /* it has a filename */
    struct slice data;
};

struct multipart {
    struct slice body;
    size_t at;                                        /* behind the delimiter that was read last */
    char delimiter[MULTIPART_BOUNDARY_MAX_BYTES + 4]; /* CRLF "--" boundary */
    size_t delimiter_bytes;
    unsigned parts;
    bool done;
    const char *why; /* after MULTIPART_BAD: static text */
    size_t why_at;   /* the byte of the body that it is about */
};

enum multipart_step { MULTIPART_PART, MULTIPART_END, MULTIPART_BAD };

/* The boundary of a Content-Type whose media type is multipart/form-data, borrowed from it. NULL,
 * or what is wrong with it. */
const char *multipart_boundary(struct slice content_type, struct slice *boundary);

/* boundary: 1 to MULTIPART_BOUNDARY_MAX_BYTES bytes, copied. The body is borrowed. */
void multipart_init(struct multipart *m, struct slice boundary, struct slice body);
/* The next part; borrowed from the body. END and BAD are said again by later calls. */
enum multipart_step multipart_next(struct multipart *m, struct multipart_part *part);

#endif
