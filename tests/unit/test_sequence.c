/*
 * test_sequence.c: whatever a reader overlaps, a writer sees one part after the other.
 *
 * A script is words: S start, T2 a text part numbered 2 begins, C a tool call, R reasoning, D2:x a
 * delta, G2:x a signature, E2 its end, F finish, U usage, P ping, X error, Z end. "/1" behind a
 * number is the choice. What comes out is told in the same words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gatewayd/dialect/sequence.h"

#include <stdio.h>
#include <stdlib.h>

static char told[4096];
static bool escaped;

static void tell(const char *fmt, ...) GW_PRINTF(1, 2);
static void tell(const char *fmt, ...)
{
    size_t n = strlen(told);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(told + n, sizeof told - n, fmt, ap);
    va_end(ap);
}

static void tell_place(const struct ir_event *ev, char what)
{
    tell("%s%c%u", told[0] ? " " : "", what, ev->part);
    if (ev->choice)
        tell("/%u", ev->choice);
}

static char letter_of(enum ir_part_kind k)
{
    return k == IR_PART_TOOL_CALL ? 'C' : k == IR_PART_REASONING ? 'R' : 'T';
}

static void record(void *ctx, const struct ir_event *ev)
{
    switch (ev->kind) {
    case IR_EV_PART_START:
        tell_place(ev, letter_of(ev->part_kind));
        break;
    case IR_EV_DELTA:
        tell_place(ev, 'D');
        tell(":%.*s", SLICE_FMT(ev->text.s));
        break;
    case IR_EV_SIGNATURE:
        tell_place(ev, 'G');
        tell(":%.*s", SLICE_FMT(ev->text.s));
        break;
    case IR_EV_PART_END:
        tell_place(ev, 'E');
        break;
    case IR_EV_FINISH:
        tell(ev->choice ? " F/%u" : " F", ev->choice);
        if (ev->usage)
            tell("(%d)", (int)ev->usage->output_tokens);
        break;
    default:
        tell("%s%c", told[0] ? " " : "",
             ev->kind == IR_EV_START   ? 'S'
             : ev->kind == IR_EV_END   ? 'Z'
             : ev->kind == IR_EV_USAGE ? 'U'
             : ev->kind == IR_EV_PING  ? 'P'
                                       : 'X');
        break;
    }
}

static void play_word(struct sequence *s, const char *word)
{
    static const struct {
        char c;
        enum ir_event_kind kind;
        enum ir_part_kind part;
    } words[] = {
        {'S', IR_EV_START, 0},    {'T', IR_EV_PART_START, IR_PART_TEXT},
        {'D', IR_EV_DELTA, 0},    {'C', IR_EV_PART_START, IR_PART_TOOL_CALL},
        {'E', IR_EV_PART_END, 0}, {'R', IR_EV_PART_START, IR_PART_REASONING},
        {'F', IR_EV_FINISH, 0},   {'G', IR_EV_SIGNATURE, 0},
        {'U', IR_EV_USAGE, 0},    {'P', IR_EV_PING, 0},
        {'X', IR_EV_ERROR, 0},    {'Z', IR_EV_END, 0},
    };
    static const struct dialect_usage usage = {.flags = USAGE_PRESENT, .output_tokens = 7};
    struct ir_event ev = {0};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (words[i].c == word[0]) {
            ev.kind = words[i].kind;
            ev.part_kind = words[i].part;
        }
    char *rest = (char *)word + 1;
    ev.part = (uint32_t)strtoul(rest, &rest, 10);
    if (*rest == '/')
        ev.choice = (uint32_t)strtoul(rest + 1, &rest, 10);
    /* On the heap and alone, so that a text that is borrowed for too long is seen. */
    char *own = malloc(strlen(rest) + 2);
    strcpy(own, *rest == ':' ? rest + 1 : "");
    ev.text = (struct ir_text){slice_of(own, strlen(own)), escaped};
    ev.finish = IR_FINISH_STOP;
    ev.usage = ev.kind == IR_EV_USAGE ? &usage : NULL;
    sequence_take(s, &ev);
    memset(own, '!', strlen(own));
    free(own);
}

static struct sequence *play(const char *script)
{
    struct sequence *s = sequence_new(record, NULL);
    char copy[2048];
    snprintf(copy, sizeof copy, "%s", script);
    told[0] = 0;
    for (char *at, *word = strtok_r(copy, " ", &at); word; word = strtok_r(NULL, " ", &at))
        play_word(s, word);
    return s;
}

static void test_order(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"S T0 D0:a D0:b E0 F Z", "S T0 D0:a D0:b E0 F Z"},
        /* a part left open at the finish, and at the end */
        {"S T0 D0:a F Z", "S T0 D0:a E0 F Z"},
        {"S C4 D4:{} F Z", "S C0 D0:{} E0 F Z"},
        /* a text ends where another part begins */
        {"S R0 D0:why T1 D1:a F Z", "S R0 D0:why E0 T1 D1:a E1 F Z"},
        {"S R0 D0:why G0:sig T1 D1:a F Z", "S R0 D0:why G0:sig E0 T1 D1:a E1 F Z"},
        /* two calls whose arguments interleave */
        {"S C0 C1 D0:{\"a\": D1:{\"b\": D0:1} D1:2} F Z",
         "S C0 D0:{\"a\": D0:1} E0 C1 D1:{\"b\": D1:2} E1 F Z"},
        /* the second is through before the first */
        {"S C0 D0:{ C1 D1:{} E1 D0:} F Z", "S C0 D0:{ D0:} E0 C1 D1:{} E1 F Z"},
        /* three, the middle one without arguments: it waits for the finish */
        {"S C0 D0:{} C1 C2 D2:{} F Z", "S C0 D0:{} E0 C1 E1 C2 D2:{} E2 F Z"},
        /* text between and behind calls */
        {"S T0 D0:a C1 D1:{ D0:b D1:} F Z", "S T0 D0:a E0 C1 D1:{ D1:} E1 T2 D2:b E2 F Z"},
        {"S C0 D0:{ T1 D1:a D0:} D1:b E1 F Z", "S C0 D0:{ D0:} E0 T1 D1:a D1:b E1 F Z"},
        /* brackets inside strings are none */
        {"S C0 D0:{\"}\":\"\\\" C1 D0:}\"} D1:[] F Z",
         "S C0 D0:{\"}\":\"\\\" D0:}\"} E0 C1 D1:[] E1 F Z"},
        /* several choices, each with an order of its own */
        {"S T0 T0/1 D0:a D0/1:x D0:b F F/1 Z", "S T0 T0/1 D0:a D0/1:x D0:b E0 E0/1 F F/1 Z"},
        /* usage and finish in either order */
        {"S T0 U F Z", "S T0 E0 F(7) U Z"},
        {"S T0 F U Z", "S T0 E0 F(7) U Z"},
        /* an end twice, an empty delta behind it */
        {"S T0 D0:a E0 E0 D0: F Z", "S T0 D0:a E0 F Z"},
        {"P S P T0 P F Z", "S P T0 P E0 F Z"},
        /* nothing was generated */
        {"S F Z", "S F Z"},
        {"S T0 D0:a X D0:b F Z", "S T0 D0:a X"},
        /* nothing behind the end */
        {"S F Z T0 D0:a", "S F Z"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sequence *s = play(cases[i].in);
        assert_string_equal(told, cases[i].out);
        assert_null(sequence_fault(s));
        assert_int_equal(sequence_ended(s), strchr(cases[i].out, 'Z') != NULL);
        sequence_free(s);
    }
}

/* Arguments that came inside a JSON string: quotes are \" or \u0022 there. */
static void test_escaped_arguments(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"S C0 D0:{\\\"a\\\":\\\"}\\\"} C1 D1:{} F Z",
         "S C0 D0:{\\\"a\\\":\\\"}\\\"} E0 C1 D1:{} E1 F Z"},
        {"S C0 D0:{\\u0022\\\\\\\"}\\u0022 C1 D0::1} F Z",
         "S C0 D0:{\\u0022\\\\\\\"}\\u0022 D0::1} E0 C1 E1 F Z"},
        {"S C0 D0:{\\\"\\u00e9}\\\" C1 D0::1}\\n F Z",
         "S C0 D0:{\\\"\\u00e9}\\\" D0::1}\\n E0 C1 E1 F Z"},
    };
    escaped = true;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sequence *s = play(cases[i].in);
        assert_string_equal(told, cases[i].out);
        sequence_free(s);
    }
    escaped = false;
}

static void test_broken_grammar(void **state)
{
    static const struct {
        const char *in, *out, *fault;
    } cases[] = {
        {"T0 D0:a", "", "the stream doesn't begin with its start"},
        {"S S", "S", "the stream begins twice"},
        {"S D0:a", "S", "an event belongs to no open part"},
        {"S T0 T0", "S T0", "a part begins twice"},
        {"S C0 D0:{} E0 D0:{}", "S C0 D0:{} E0", "an event belongs to no open part"},
        {"S T0 Z", "S T0", "the stream ends without a finish reason"},
        {"S T0 F D0:a Z", "S T0 E0", "a choice goes on behind its finish reason"},
        {"S T0/4000", "S", "too many choices"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sequence *s = play(cases[i].in);
        assert_string_equal(told, cases[i].out);
        assert_non_null(sequence_fault(s));
        assert_string_equal(sequence_fault(s), cases[i].fault);
        assert_false(sequence_ended(s));
        sequence_free(s);
    }
}

static void test_bounds(void **state)
{
    struct sequence *s = play("S C0 D0:{ C1");
    for (int i = 0; !sequence_fault(s) && i < SEQUENCE_HELD_MAX_BYTES; i++)
        play_word(s, "D1:aaaaaaaaaaaaaaaaaaaaaaaa");
    assert_string_equal(sequence_fault(s), "overlapping parts hold back more than is allowed");
    sequence_free(s);
    s = play("S");
    for (int i = 0; i <= SEQUENCE_OPEN_MAX; i++) {
        char word[16];
        snprintf(word, sizeof word, "C%d", i);
        assert_null(sequence_fault(s));
        play_word(s, word);
    }
    assert_string_equal(sequence_fault(s), "too many parts are open");
    sequence_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_escaped_arguments),
        cmocka_unit_test(test_broken_grammar),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
