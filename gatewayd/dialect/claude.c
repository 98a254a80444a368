/*
 * claude.c: names of Claude's models, taken apart.
 */
#include "gatewayd/dialect/claude.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A number of one or two digits that ends there; 100: none. Dates are longer. */
static unsigned short_number(struct slice s, size_t at, size_t *end)
{
    size_t i = at;
    while (i < s.n && is_digit(s.p[i]))
        i++;
    *end = i;
    if (i == at || i - at > 2)
        return 100;
    return (unsigned)(i - at == 1 ? s.p[at] - '0' : 10 * (s.p[at] - '0') + s.p[at + 1] - '0');
}

struct claude claude_of(struct slice model)
{
    struct claude g = {0};
    const char *claude = model.n ? memmem(model.p, model.n, "claude", 6) : NULL;
    if (!claude)
        return g;
    g.is_claude = true;
    for (size_t i = (size_t)(claude - model.p) + 6; i < model.n; i++) {
        size_t end;
        bool begins = model.p[i - 1] == '-' && is_digit(model.p[i]);
        unsigned major = begins ? short_number(model, i, &end) : 100;
        if (major > 99)
            continue;
        unsigned minor = 100;
        if (end + 1 < model.n && (model.p[end] == '-' || model.p[end] == '.'))
            minor = short_number(model, end + 1, &end);
        g.version = 10 * major + (minor < 10 ? minor : 0);
        return g;
    }
    return g;
}

/* platform.claude.com/docs/en/about-claude/models/overview, "Max output", the page of today and,
 * for models that it no longer has, as it was. Generations ascend; of those between two rows the
 * lower one counts. */
static const struct {
    unsigned version;
    int64_t opus, others;
} outputs[] = {
    {10, 4096, 4096},    /* Claude 2 and before */
    {30, 4096, 4096},    /* Opus 3, Haiku 3 */
    {35, 8192, 8192},    /* Sonnet 3.5, Haiku 3.5 */
    {37, 64000, 64000},  /* Sonnet 3.7 */
    {40, 32000, 64000},  /* Opus 4 and 4.1, Sonnet 4 */
    {45, 64000, 64000},  /* Opus 4.5, Sonnet 4.5, Haiku 4.5 */
    {46, 128000, 64000}, /* Opus 4.6, Sonnet 4.6 */
};

int64_t claude_max_output(struct slice model)
{
    struct claude g = claude_of(model);
    bool opus = model.n && memmem(model.p, model.n, "opus", 4);
    int64_t most = 0;
    for (size_t i = 0; i < ARRAY_LEN(outputs) && outputs[i].version <= g.version; i++)
        most = opus ? outputs[i].opus : outputs[i].others;
    return most;
}
