/*
 * json_scan_core.h: the scanner's grammar, compiled once an instruction set.
 *
 * The including file defines SCAN_TARGET (the target attribute of its functions, may be empty) and,
 * before including,
 *
 *   scan_string(s, &info)  s->p stands on the opening quote; leaves it behind the closing one and
 *                          ors JSON_TOK_ESCAPED into info; on an error s->p is where it is.
 *   scan_blanks(s)         moves s->p over white space.
 *
 * No recursion: open containers are linked through their tokens.
 */

SCAN_TARGET SCAN_INLINE void scan_next(struct scan *s)
{
    if (s->p < s->end && *s->p <= ' ') {
        /* A single space behind a comma or colon is by far the commonest. */
        s->p += *s->p == ' ';
        if (GW_UNLIKELY(s->p < s->end && *s->p <= ' '))
            scan_blanks(s);
    }
}

SCAN_TARGET SCAN_INLINE const uint8_t *skip_digits(const uint8_t *p, const uint8_t *end)
{
    while (p < end && (uint8_t)(*p - '0') < 10)
        p++;
    return p;
}

/* s->p stands on a minus or a digit. */
SCAN_TARGET SCAN_INLINE enum json_error scan_number(struct scan *s, uint32_t *info)
{
    const uint8_t *p = s->p, *end = s->end, *digits;
    p += *p == '-';
    digits = p;
    p = skip_digits(p, end);
    if (p == digits || (*digits == '0' && p - digits > 1))
        goto malformed;
    *info |= JSON_TOK_PLAIN;
    if (p < end && *p == '.') {
        digits = ++p;
        p = skip_digits(p, end);
        if (p == digits)
            goto malformed;
        *info &= ~(uint32_t)JSON_TOK_PLAIN;
    }
    if (p < end && (*p | 0x20) == 'e') {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        digits = p;
        p = skip_digits(p, end);
        if (p == digits)
            goto malformed;
        *info &= ~(uint32_t)JSON_TOK_PLAIN;
    }
    s->p = p;
    return JSON_ERR_OK;
malformed:
    s->p = p;
    return p == digits && p == end ? JSON_ERR_END : JSON_ERR_NUMBER;
}

SCAN_TARGET SCAN_INLINE enum json_error scan_word(struct scan *s, const char *word, size_t n)
{
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
        return JSON_ERR_LITERAL;
    s->p += n;
    return JSON_ERR_OK;
}

/* Everything but a string or a container. */
SCAN_TARGET SCAN_INLINE enum json_error scan_atom(struct scan *s, uint32_t *info)
{
    switch (*s->p) {
    case 't':
        *info = JSON_TRUE;
        return scan_word(s, "true", 4);
    case 'f':
        *info = JSON_FALSE;
        return scan_word(s, "false", 5);
    case 'n':
        *info = JSON_NULL;
        return scan_word(s, "null", 4);
    case '-':
    case '0' ... '9':
        *info = JSON_NUMBER;
        return scan_number(s, info);
    default:
        return JSON_ERR_VALUE;
    }
}

SCAN_TARGET SCAN_INLINE void scan_open(struct scan *s, uint32_t type)
{
    if (s->open != JSON_NONE)
        s->toks[s->open].info |= s->count << JSON_TOK_COUNT_SHIFT;
    s->toks[s->n] =
        (struct json_tok){.off = (uint32_t)(s->p - s->base), .next = s->open, .info = type};
    s->open = s->n++;
    s->count = 0;
    s->depth++;
    s->p++;
}

/* s->p stands on the closing bracket. */
SCAN_TARGET SCAN_INLINE void scan_close(struct scan *s)
{
    struct json_tok *t = &s->toks[s->open];
    s->p++;
    t->end = (uint32_t)(s->p - s->base);
    t->info |= s->count << JSON_TOK_COUNT_SHIFT;
    s->open = t->next;
    t->next = s->n;
    s->depth--;
    if (s->open != JSON_NONE) {
        struct json_tok *outer = &s->toks[s->open];
        s->count = outer->info >> JSON_TOK_COUNT_SHIFT;
        outer->info &= (1u << JSON_TOK_COUNT_SHIFT) - 1;
    }
}

SCAN_TARGET SCAN_INLINE enum json_error scan_text(struct json_doc *d, size_t n, size_t *at)
{
    const uint8_t *text = (const uint8_t *)d->text;
    struct scan s = {.base = text,
                     .p = text,
                     .end = text + n,
                     .toks = d->toks,
                     .cap = d->cap,
                     .open = JSON_NONE};
    enum json_error err;
    uint32_t off, info;

#define FAIL_IF(cond, error)                                                                       \
    do {                                                                                           \
        if (GW_UNLIKELY(cond)) {                                                                   \
            err = (error);                                                                         \
            goto fail;                                                                             \
        }                                                                                          \
    } while (0)
#define RESERVE_TOKEN()                                                                            \
    do {                                                                                           \
        if (GW_UNLIKELY(s.n == s.cap)) {                                                           \
            err = json_tape_grow(d);                                                               \
            if (err)                                                                               \
                goto fail;                                                                         \
            s.toks = d->toks;                                                                      \
            s.cap = d->cap;                                                                        \
        }                                                                                          \
    } while (0)
#define EMIT()                                                                                     \
    (s.toks[s.n] = (struct json_tok){off, (uint32_t)(s.p - s.base), s.n + 1, info}, s.n++)

value:
    scan_next(&s);
value_here:
    FAIL_IF(s.p == s.end, JSON_ERR_END);
    RESERVE_TOKEN();
    off = (uint32_t)(s.p - s.base);
    if (*s.p == '"') {
        info = JSON_STRING;
        err = scan_string(&s, &info);
    } else if (*s.p == '{' || *s.p == '[') {
        FAIL_IF(s.depth == JSON_MAX_DEPTH, JSON_ERR_DEPTH);
        if (*s.p == '{') {
            scan_open(&s, JSON_OBJECT);
            goto first_key;
        }
        scan_open(&s, JSON_ARRAY);
        scan_next(&s);
        if (s.p < s.end && *s.p == ']')
            goto close;
        s.count = 1;
        goto value_here;
    } else {
        err = scan_atom(&s, &info);
    }
    if (GW_UNLIKELY(err))
        goto fail;
    EMIT();

after_value:
    if (GW_UNLIKELY(s.open == JSON_NONE))
        goto done;
    scan_next(&s);
    FAIL_IF(s.p == s.end, JSON_ERR_END);
    if ((s.toks[s.open].info & JSON_TOK_TYPE) == JSON_OBJECT) {
        if (*s.p == ',') {
            s.p++;
            scan_next(&s);
            goto key;
        }
        FAIL_IF(*s.p != '}', JSON_ERR_COMMA);
    } else {
        if (*s.p == ',') {
            s.p++;
            s.count++;
            goto value;
        }
        FAIL_IF(*s.p != ']', JSON_ERR_COMMA);
    }
close:
    scan_close(&s);
    goto after_value;

first_key:
    scan_next(&s);
    if (s.p < s.end && *s.p == '}')
        goto close;
key:
    FAIL_IF(s.p == s.end, JSON_ERR_END);
    FAIL_IF(*s.p != '"', JSON_ERR_KEY);
    RESERVE_TOKEN();
    s.count++;
    off = (uint32_t)(s.p - s.base);
    info = JSON_STRING | JSON_TOK_KEY;
    err = scan_string(&s, &info);
    if (GW_UNLIKELY(err))
        goto fail;
    EMIT();
    scan_next(&s);
    FAIL_IF(s.p == s.end, JSON_ERR_END);
    FAIL_IF(*s.p != ':', JSON_ERR_COLON);
    s.p++;
    goto value;

done:
    scan_next(&s);
    FAIL_IF(s.p != s.end, JSON_ERR_TRAILING);
    d->n = s.n;
    return JSON_ERR_OK;
fail:
    *at = (size_t)(s.p - s.base);
    return err;
#undef FAIL_IF
#undef RESERVE_TOKEN
#undef EMIT
}
