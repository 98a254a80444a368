/*
 * json_scan_string.h: scan_string and scan_blanks for the scanners without a vector UTF-8 check.
 *
 * The including file defines skip_ordinary(p, end): the first byte from p on that is a quote, a
 * backslash, below space or not ASCII; end if there is none.
 */

SCAN_INLINE enum json_error scan_string(struct scan *s, uint32_t *info)
{
    s->p++;
    for (;;) {
        s->p = skip_ordinary(s->p, s->end);
        if (s->p == s->end)
            return JSON_ERR_END;
        uint8_t c = *s->p;
        unsigned n;
        if (c == '"') {
            s->p++;
            return JSON_ERR_OK;
        } else if (c == '\\') {
            *info |= JSON_TOK_ESCAPED;
            n = scan_escape_length(s->p, s->end);
            if (n == 0)
                return JSON_ERR_ESCAPE;
        } else if (c < ' ') {
            return JSON_ERR_CONTROL;
        } else {
            n = json_utf8_length(s->p, s->end);
            if (n == 0)
                return JSON_ERR_UTF8;
        }
        s->p += n;
    }
}

SCAN_INLINE void scan_blanks(struct scan *s)
{
    const uint8_t *p = s->p;
    while (p < s->end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
        p++;
    s->p = p;
}
