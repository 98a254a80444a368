/*
 * json_scan_string.h: going through a string and through white space without a vector UTF-8 check.
 *
 * The including file defines skip_ordinary(p, end): the first byte from p on that is a quote, a
 * backslash, below space or not ASCII; end if there is none.
 */

/* p stands inside a string; info is carried through. */
SCAN_INLINE struct string_end run_string(const uint8_t *p, const uint8_t *end, uint32_t info)
{
    for (;;) {
        p = skip_ordinary(p, end);
        if (p == end)
            return (struct string_end){p, info, JSON_ERR_END};
        unsigned n;
        if (*p == '"') {
            return (struct string_end){p + 1, info, JSON_ERR_OK};
        } else if (*p == '\\') {
            info |= JSON_TOK_ESCAPED;
            n = scan_escape_length(p, end);
            if (n == 0)
                return (struct string_end){p, info, JSON_ERR_ESCAPE};
        } else if (*p < ' ') {
            return (struct string_end){p, info, JSON_ERR_CONTROL};
        } else {
            n = json_utf8_length(p, end);
            if (n == 0)
                return (struct string_end){p, info, JSON_ERR_UTF8};
        }
        p += n;
    }
}

SCAN_INLINE const uint8_t *skip_blanks(const uint8_t *p, const uint8_t *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
        p++;
    return p;
}
