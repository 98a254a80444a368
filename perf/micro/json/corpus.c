/*
 * corpus.c: chat bodies of several kinds, and one text of nothing but small tokens.
 */
#include "perf/micro/json/corpus.h"
#include "common/check.h"

#include <stdlib.h>

static uint64_t seed;

static unsigned pick(unsigned n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % n;
}

static void put(struct buf *b, const char *s)
{
    GW_REQUIRE(buf_append(b, s, strlen(s)) == 0);
}

static const char *const words[] = {"the",      "model", "answers", "with",  "a",        "table",
                                    "of",       "rates", "and",     "then",  "explains", "which",
                                    "request",  "was",   "counted", "twice", "because",  "an",
                                    "upstream", "never", "closed"};
static const char *const rare[] = {"caf\xc3\xa9",  "na\xc3\xafve", "\xe2\x80\x9cquoted\xe2\x80\x9d",
                                   "\xe2\x80\x94", "\\\"word\\\"", "\\n\\n",
                                   "\\n- ",        "\\u00e9"};
static const char *const han[] = {"\xe6\xa8\xa1\xe5\x9e\x8b",
                                  "\xe8\xaf\xb7\xe6\xb1\x82",
                                  "\xe6\x95\xb0\xe6\x8d\xae",
                                  "\xe7\x9a\x84",
                                  "\xef\xbc\x8c",
                                  "\xe8\xae\xa1\xe7\xae\x97",
                                  "\xe3\x80\x82",
                                  "\xe5\x9c\xa8"};

/* About n bytes of prose; one word in 24 is Unicode or an escape. */
static void put_prose(struct buf *b, size_t n)
{
    for (size_t stop = b->len + n; b->len < stop;) {
        put(b, pick(24) ? words[pick(ARRAY_LEN(words))] : rare[pick(ARRAY_LEN(rare))]);
        put(b, " ");
    }
}

static void put_han(struct buf *b, size_t n)
{
    for (size_t stop = b->len + n; b->len < stop;)
        put(b, han[pick(ARRAY_LEN(han))]);
}

static void put_chat(struct buf *b, size_t bytes, size_t message,
                     void (*content)(struct buf *b, size_t n))
{
    put(b, "{\"model\":\"gpt-4o\",\"temperature\":0.7,\"max_tokens\":1024,\"stream\":true,"
           "\"messages\":[{\"role\":\"system\",\"content\":\"You are a helpful assistant.\"}");
    for (int turn = 0; b->len < bytes; turn++) {
        put(b, turn % 2 ? ",{\"role\":\"assistant\",\"content\":\""
                        : ",{\"role\":\"user\",\"content\":\"");
        content(b, GW_MIN(message, bytes - b->len));
        put(b, "\"}");
    }
    put(b, "]}");
}

static void make_chat_1k(struct buf *b)
{
    put_chat(b, 1000, 200, put_prose);
}

static void make_prose_100k(struct buf *b)
{
    put_chat(b, 100000, 4000, put_prose);
}

static void make_cjk_100k(struct buf *b)
{
    put_chat(b, 100000, 4000, put_han);
}

static void make_image_1m(struct buf *b)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    put(b, "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
           "\"text\",\"text\":\"What is this?\"},{\"type\":\"image_url\",\"image_url\":{\"url\":"
           "\"data:image/png;base64,");
    for (int i = 0; i < 1 << 20; i++)
        GW_REQUIRE(buf_append(b, &digits[pick(64)], 1) == 0);
    put(b, "\"}}]}]}");
}

static void make_small_tokens(struct buf *b)
{
    put(b, "[");
    for (int i = 0; i < 5000; i++)
        GW_REQUIRE(buf_printf(b, "%s{\"i\":%u,\"a\":[%u,%u.%u,null],\"t\":\"%s\"}", i ? "," : "",
                              pick(100000), pick(10), pick(1000), pick(100),
                              words[pick(ARRAY_LEN(words))]) == 0);
    put(b, "]");
}

static void make_pretty(struct buf *b)
{
    put(b, "{\n    \"model\": \"gpt-4o\",\n    \"messages\": [\n");
    for (int i = 0; i < 200; i++) {
        put(b, i ? ",\n        {\n" : "        {\n");
        put(b, "            \"role\": \"user\",\n            \"content\": \"");
        put_prose(b, 120);
        put(b, "\"\n        }");
    }
    put(b, "\n    ]\n}\n");
}

static void make_event(struct buf *b)
{
    put(b, "{\"id\":\"chatcmpl-9xYz\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
           "\"model\":\"gpt-4o\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" table\"},"
           "\"finish_reason\":null}],\"usage\":null}");
}

const struct corpus corpora[] = {{"event 200 B", make_event},         {"chat 1 KB", make_chat_1k},
                                 {"prose 100 KB", make_prose_100k},   {"cjk 100 KB", make_cjk_100k},
                                 {"pretty 40 KB", make_pretty},       {"image 1 MB", make_image_1m},
                                 {"small tokens", make_small_tokens}, {NULL, NULL}};
