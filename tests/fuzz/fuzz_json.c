/*
 * fuzz_json.c: the JSON reader on any bytes.
 *
 * All scanners agree on every text. Of an accepted one, the tape's spans nest and follow each
 * other, and what is written from the tape with the text's own spans reads as the same tape. Of a
 * refused one, the error lies inside the text.
 */
#include "common/check.h"
#include "common/json_scan.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_nesting(const struct json_doc *d, size_t size)
{
    for (uint32_t i = 0; i < d->n; i++) {
        const struct json_tok *t = &d->toks[i];
        enum json_type type = (enum json_type)(t->info & JSON_TOK_TYPE);
        uint32_t children = 0, at = t->off;
        GW_REQUIRE(t->off < t->end && t->end <= size && t->next > i && t->next <= d->n);
        if (type != JSON_ARRAY && type != JSON_OBJECT) {
            GW_REQUIRE(t->next == i + 1);
            continue;
        }
        for (uint32_t c = i + 1; c < t->next; c = d->toks[c].next) {
            bool key = d->toks[c].info & JSON_TOK_KEY;
            GW_REQUIRE(d->toks[c].off > at && d->toks[c].end < t->end);
            at = d->toks[c].end - 1;
            children += !key;
        }
        GW_REQUIRE(children == json_count(d, i));
    }
}

static void write_value(struct json_writer *w, const struct json_doc *d, uint32_t v)
{
    switch (json_type(d, v)) {
    case JSON_ARRAY:
        jw_array(w);
        json_foreach_element(d, v, e)
        {
            write_value(w, d, e);
        }
        jw_array_end(w);
        return;
    case JSON_OBJECT:
        jw_object(w);
        json_foreach_member(d, v, k)
        {
            struct slice raw = json_raw(d, k);
            jw_key_plain(w, slice_of(raw.p + 1, raw.n - 2));
            write_value(w, d, k + 1);
        }
        jw_object_end(w);
        return;
    default:
        jw_raw(w, json_raw(d, v));
    }
}

static void check_strings(const struct json_doc *d)
{
    char out[256];
    for (uint32_t i = 0; i < d->n; i++) {
        struct slice s;
        int64_t number;
        (void)!json_i64(d, i, &number);
        if (json_str(d, i, out, sizeof out, &s) < 0)
            continue;
        GW_REQUIRE(s.n == json_str_bytes(d, i) && json_str_eq(d, i, s));
    }
}

static void check_round_trip(const struct json_doc *d, size_t size)
{
    struct json_doc again;
    struct json_writer w;
    size_t n;
    char *text = malloc(size);
    GW_REQUIRE(text);
    jw_init_fixed(&w, text, size);
    write_value(&w, d, JSON_ROOT);
    GW_REQUIRE(jw_finish(&w, &n) == 0);
    json_doc_init(&again, JSON_MAX_TOKENS);
    GW_REQUIRE(json_parse(&again, text, n) == 0 && again.n == d->n);
    for (uint32_t i = 0; i < d->n; i++) {
        GW_REQUIRE(again.toks[i].info == d->toks[i].info && again.toks[i].next == d->toks[i].next);
        if (json_type(d, i) < JSON_ARRAY)
            GW_REQUIRE(slice_eq(json_raw(&again, i), json_raw(d, i)));
    }
    json_doc_release(&again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_doc d, other;
    json_doc_init(&d, JSON_MAX_TOKENS);
    json_doc_init(&other, JSON_MAX_TOKENS);
    enum json_error err = JSON_ERR_OK;
    size_t at = 0;
    d.text = other.text = (const char *)data;
    for (const struct json_scanner *s = json_scanners(); s->name; s++) {
        size_t other_at = 0;
        bool first = s == json_scanners();
        struct json_doc *use = first ? &d : &other;
        use->n = 0;
        enum json_error e = s->scan(use, size, &other_at);
        if (first) {
            err = e;
            at = other_at;
        }
        GW_REQUIRE(e == err && other_at == at && use->n == d.n);
        GW_REQUIRE(d.n == 0 || memcmp(use->toks, d.toks, d.n * sizeof *d.toks) == 0);
    }
    GW_REQUIRE(at <= size);
    if (err == JSON_ERR_OK) {
        check_nesting(&d, size);
        check_strings(&d);
        check_round_trip(&d, size);
    }
    json_doc_release(&d);
    json_doc_release(&other);
    return 0;
}
