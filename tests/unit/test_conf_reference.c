/*
 * test_conf_reference.c: the committed reference page and sample are what the table says.
 *
 * Run with `write` in the root of the sources it writes them anew.
 */
#include "common/check.h"
#include "common/conf_reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

typedef int (*write_fn)(struct buf *out);

static const struct {
    const char *path;
    write_fn write;
} pages[] = {{"docs/configuration.md", conf_write_reference},
             {"etc/gatewayd.ini", conf_write_sample}};

static struct buf generated(write_fn write_page)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    GW_REQUIRE(write_page(&b) == 0);
    return b;
}

static void pages_are_current(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        struct buf want = generated(pages[i].write);
        char *have = gw_xcalloc(1, want.len + 2);
        FILE *f = fopen(pages[i].path, "r");
        if (!f)
            fail_msg("%s can't be read; run in the root of the sources", pages[i].path);
        size_t n = fread(have, 1, want.len + 1, f);
        fclose(f);
        if (n != want.len || memcmp(have, want.data, n) != 0)
            fail_msg("%s is not what conf_keys.c says: build/unit/test_conf_reference write",
                     pages[i].path);
        free(have);
        buf_release(&want);
    }
}

/* The sample as it is, and again with every line in force. */
static void the_sample_is_valid(void **state)
{
    struct conf_errors errs;
    conf_errors_init(&errs);
    struct conf_entries *entries = conf_read_file("etc/gatewayd.ini", &errs);
    struct conf *conf = entries ? conf_build(entries, 0, &errs) : NULL;
    if (!conf)
        fail_msg("%s", errs.v[0]);
    conf_free(conf);
    conf_entries_free(entries);
}

static struct slice uncommented(struct slice line)
{
    bool setting = line.n > 1 && line.p[0] == ';' && line.p[1] != ' ';
    return setting ? slice_of(line.p + 1, line.n - 1) : line;
}

/* Only names that the examples assume are missing then; no value and no key is wrong. */
static void every_example_is_valid(void **state)
{
    char path[] = "/tmp/gwsample.XXXXXX";
    struct buf sample = generated(conf_write_sample);
    struct conf_errors errs;
    FILE *f = fdopen(mkstemp(path), "w");
    for (struct slice rest = buf_slice(&sample); rest.p;) {
        struct slice line = uncommented(slice_split(&rest, '\n'));
        if (!slice_starts_with(line, SLICE_LIT("include")))
            fprintf(f, "%.*s\n", SLICE_FMT(line));
    }
    fclose(f);
    conf_errors_init(&errs);
    struct conf_entries *entries = conf_read_file(path, &errs);
    unlink(path);
    assert_non_null(entries);
    struct conf *conf = conf_build(entries, 0, &errs);
    for (uint32_t i = 0; i < errs.n; i++)
        if (!strstr(errs.v[i], "there is no ") &&
            !strstr(errs.v[i], "no [credential:...] section") &&
            !strstr(errs.v[i], "the kind `openai` has no") && !strstr(errs.v[i], "goes with auth"))
            fail_msg("%s", errs.v[i]);
    conf_free(conf);
    conf_entries_free(entries);
    conf_errors_fini(&errs);
    buf_release(&sample);
}

struct found {
    uint32_t n, from_file;
    bool max_url, weight, target;
};

static void look(void *arg, const struct conf_setting *s)
{
    struct found *f = arg;
    f->n++;
    f->from_file += s->entry != NULL;
    if (slice_eq_str(s->key, "max_url"))
        f->max_url = slice_eq_str(s->value, "1KiB") && s->entry && s->entry->line == 2;
    if (slice_eq_str(s->key, "weight"))
        f->weight =
            slice_eq_str(s->value, "1") && !s->entry && slice_eq_str(s->section, "credential:c");
    if (slice_eq_str(s->key, "targets"))
        f->target = slice_eq_str(s->section, "model:m");
}

static void settings_in_force_are_listed(void **state)
{
    struct conf_entry v[] = {
        {.section = SLICE_LIT("http"), .line = 1},
        {.section = SLICE_LIT("http"),
         .key = SLICE_LIT("max_url"),
         .value = SLICE_LIT("1KiB"),
         .line = 2},
        {.section = SLICE_LIT("credential:c"), .line = 3},
        {.section = SLICE_LIT("model:m"), .line = 4},
        {.section = SLICE_LIT("model:m"),
         .key = SLICE_LIT("targets"),
         .value = SLICE_LIT("p/x"),
         .line = 5},
    };
    struct conf_entries list = {.v = v, .n = ARRAY_LEN(v)};
    struct found f = {0};
    conf_each_setting(&list, look, &f);
    assert_true(f.max_url && f.weight && f.target);
    assert_int_equal(f.from_file, 2);
    assert_true(f.n > 30);
}

static int write_pages(void)
{
    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        struct buf b = generated(pages[i].write);
        FILE *f = fopen(pages[i].path, "w");
        if (!f || fwrite(b.data, 1, b.len, f) != b.len || fclose(f) != 0) {
            perror(pages[i].path);
            return 1;
        }
        buf_release(&b);
    }
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_current),
        cmocka_unit_test(the_sample_is_valid),
        cmocka_unit_test(every_example_is_valid),
        cmocka_unit_test(settings_in_force_are_listed),
    };
    if (argc > 1 && strcmp(argv[1], "write") == 0)
        return write_pages();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
