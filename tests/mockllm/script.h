/*
 * script.h: what one answer shall do wrong, and how fast: the script language.
 *
 * A script is `key=value` words separated by ',', ';', '&' or white space; README.md lists the
 * keys. Scripts are laid over each other (command line, model name, x-mock header, control port): a
 * later one changes only the keys that it names.
 */
#ifndef MOCKLLM_SCRIPT_H
#define MOCKLLM_SCRIPT_H

#include "tests/mockllm/bytes.h"

/* A place in an answer. */
enum pos_kind {
    POS_NONE,
    POS_START, /* before its first byte */
    POS_HEAD,  /* inside the head */
    POS_BODY,  /* between head and body */
    POS_HALF,  /* in the middle of the body */
    POS_EVENT, /* after n events */
    POS_DONE,  /* before the stream's terminator ([DONE]) */
    POS_END,   /* before the framing's end: last chunk or last byte */
    POS_BYTE,  /* after n bytes */
};

struct pos {
    enum pos_kind kind;
    int64_t n;
};

enum framing { FRAMING_AUTO, FRAMING_LENGTH, FRAMING_CHUNKED, FRAMING_CLOSE };
enum eol { EOL_LF, EOL_CRLF, EOL_CR };
enum split { SPLIT_NONE, SPLIT_UTF8, SPLIT_EOL };
enum usage {
    USAGE_RIGHT,      /* as asked for */
    USAGE_ABSENT,     /* never */
    USAGE_NULL,       /* null where it belongs */
    USAGE_ALWAYS,     /* in a stream although nobody asked */
    USAGE_ZERO,       /* all figures 0 */
    USAGE_NEGATIVE,   /* all figures below 0 */
    USAGE_HUGE,       /* beyond 64 bits */
    USAGE_FRACTION,   /* 1.5 */
    USAGE_STRING,     /* figures as strings */
    USAGE_PARTIAL,    /* completion_tokens missing */
    USAGE_EVERY,      /* growing, in every event */
    USAGE_DECREASING, /* shrinking, in every event */
    USAGE_FIRST,      /* in the first event */
    USAGE_LAST,       /* in the event that carries finish_reason */
    USAGE_TWICE,      /* the usage event twice, the second time with other figures */
};
enum length_fault {
    LENGTH_RIGHT,
    LENGTH_SHORT,
    LENGTH_LONG,
    LENGTH_TWICE,
    LENGTH_TWICE_SAME,
    LENGTH_WITH_TE,
    LENGTH_NEGATIVE,
    LENGTH_HUGE,
    LENGTH_WORD,
    LENGTH_PLUS,
};
enum inject {
    INJECT_NONE,
    INJECT_CR,      /* a bare CR in a value */
    INJECT_LF,      /* a bare LF that begins another field */
    INJECT_NUL,     /* a NUL in a value */
    INJECT_FOLD,    /* obsolete line folding */
    INJECT_SPACE,   /* white space before the colon */
    INJECT_NOCOLON, /* a line without a colon */
    INJECT_NAME,    /* a byte that no field name may hold */
    INJECT_STATUS,  /* a status line that is none */
    INJECT_COOKIE,  /* set-cookie and other fields that mustn't reach a client */
};
enum body_fault {
    BODY_RIGHT,
    BODY_EMPTY,
    BODY_TRUNCATED, /* valid framing around half a JSON text */
    BODY_HTML,
    BODY_DEEP,
    BODY_DUPLICATE, /* members twice */
    BODY_NUL,       /* a NUL in the text */
    BODY_UTF8,      /* a byte that is no UTF-8 */
    BODY_SUFFIX,    /* bytes after the JSON value */
};
enum idle_fault {
    IDLE_KEEP,
    IDLE_CLOSE, /* FIN as soon as the answer is out, without Connection: close */
    IDLE_NEXT,  /* FIN without an answer when the next request arrives */
    IDLE_RESET, /* RST without an answer when the next request arrives */
    IDLE_STRAY, /* bytes that nobody asked for */
};

struct script {
    int64_t ttft_us, body_delay_us, gap_us, drip_us, idle_us;
    int64_t tokens, token_size, size, burst, chunk, hchunk, comments, interim, extra;
    int64_t header_size, headers, status, error_after;
    int64_t prompt, completion, cached, cache_write, reasoning;
    int64_t tools, reason, cite; /* calls side by side; pieces of reasoning; citations */
    int64_t refusal, unicode, empty;
    int64_t polls; /* how often what goes on in the background is seen before it is through */
    enum framing framing;
    enum eol eol;
    enum split split;
    enum usage usage;
    enum length_fault length;
    enum inject inject;
    enum body_fault body;
    enum idle_fault idle;
    struct pos cut, reset, hang, hold, garbage;
    int64_t keepalive, http10, gzip, done, bom, chunk_ext, trailer, raw;
    char error[64], retry_after[64], retry_after_ms[24], ctype[80], location[200];
    char should_retry[8], finish[32], reply_model[80], tool[80];
};

void script_init(struct script *s);
/* Lays `text` over the script. False, with the reason in `why`, at the first word that is wrong. */
bool script_parse(struct script *s, struct slice text, char *why, size_t why_size);

#endif
