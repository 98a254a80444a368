/*
 * suggest.c: the optimal string alignment distance, over three rows of its table.
 */
#include "common/suggest.h"

enum { WORD_MAX = 63 };

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    return GW_MIN(GW_MIN(a, b), c);
}

static unsigned distance(struct slice a, struct slice b)
{
    unsigned rows[3][WORD_MAX + 1];
    unsigned *before = rows[0], *last = rows[1], *now = rows[2];
    for (unsigned j = 0; j <= b.n; j++)
        last[j] = j;
    for (unsigned i = 1; i <= a.n; i++) {
        now[0] = i;
        for (unsigned j = 1; j <= b.n; j++) {
            bool same = a.p[i - 1] == b.p[j - 1];
            now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + !same);
            if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1])
                now[j] = GW_MIN(now[j], before[j - 2] + 1);
        }
        unsigned *reused = before;
        before = last;
        last = now;
        now = reused;
    }
    return last[b.n];
}

void suggest_init(struct suggest *s, struct slice typed)
{
    *s = (struct suggest){.typed = typed, .slips = (unsigned)(typed.n / 3) + 1};
}

void suggest_try(struct suggest *s, const char *word)
{
    struct slice w = slice_str(word);
    if (s->typed.n < 3 || s->typed.n > WORD_MAX || w.n > WORD_MAX)
        return;
    unsigned slips = distance(s->typed, w);
    if (slips < s->slips) {
        s->best = word;
        s->slips = slips;
    }
}
