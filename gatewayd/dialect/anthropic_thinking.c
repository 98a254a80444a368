/*
 * anthropic_thinking.c: what a request may say of thinking, effort and sampling depends on the
 * generation of the model, and each of them on the others.
 *
 * Sources (platform.claude.com/docs/en/build-with-claude): extended-thinking (budget of 1024 or
 * more and below max_tokens; neither temperature nor top_k beside it, top_p from 0.95 to 1; no
 * forced tool; a turn that answers tool calls begins with its thinking block), adaptive-thinking
 * (from Claude 4.6, the only kind for later ones; earlier turns needn't hold their thinking),
 * effort (from Claude Opus 4.5), and the API reference on temperature, top_p and top_k (refused by
 * models later than Opus 4.6).
 */
#include "gatewayd/dialect/anthropic.h"
#include "gatewayd/dialect/claude.h"

#include <stdlib.h>

enum {
    BUDGET_MIN = 1024,
    BUDGET_MAX = 32000, /* of an effort: beyond it the reference advises batches */
    ANSWER_TOKENS = 4096,
};

/* ---- generations ---- */

static bool thinks(struct claude g)
{
    return !g.is_claude || g.version == 0 || g.version >= 37;
}

static bool takes_budget(struct claude g)
{
    return !g.is_claude || (g.version >= 37 && g.version <= 46);
}

static bool takes_adaptive(struct claude g)
{
    return g.is_claude && (g.version == 0 || g.version >= 46);
}

static bool takes_sampling(struct claude g)
{
    return !g.is_claude || (g.version != 0 && g.version <= 46);
}

static bool takes_effort(struct claude g, struct slice model)
{
    return takes_adaptive(g) || (g.version == 45 && memmem(model.p, model.n, "opus", 4));
}

/* ---- effort ---- */

static const struct {
    enum ir_effort effort;
    const char *word;
    unsigned percent; /* of max_tokens */
} efforts[] = {
    {IR_EFFORT_LOW, "low", 20},   {IR_EFFORT_MINIMAL, "low", 20}, {IR_EFFORT_MEDIUM, "medium", 50},
    {IR_EFFORT_HIGH, "high", 80}, {IR_EFFORT_XHIGH, "xhigh", 95}, {IR_EFFORT_MAX, "max", 95},
};

enum ir_effort anthropic_effort(const struct json_doc *d, uint32_t v)
{
    for (size_t i = 0; i < ARRAY_LEN(efforts); i++)
        if (json_str_eq(d, v, slice_str(efforts[i].word)))
            return efforts[i].effort;
    return IR_EFFORT_UNSET;
}

static const char *effort_word(enum ir_effort e, struct claude g, struct slice model)
{
    if (!takes_effort(g, model))
        return NULL;
    bool has_xhigh = g.version == 0 || g.version >= 47;
    if (e == IR_EFFORT_XHIGH && !has_xhigh)
        e = IR_EFFORT_HIGH;
    if (e == IR_EFFORT_MAX && g.version == 45)
        e = IR_EFFORT_HIGH;
    for (size_t i = 0; i < ARRAY_LEN(efforts); i++)
        if (efforts[i].effort == e)
            return efforts[i].word;
    return NULL;
}

static const char *effort_of_budget(int64_t budget)
{
    return budget <= 4096 ? "low" : budget <= 16384 ? "medium" : "high";
}

static int64_t budget_of_effort(enum ir_effort e, int64_t max_tokens)
{
    unsigned percent = 50;
    for (size_t i = 0; i < ARRAY_LEN(efforts); i++)
        if (efforts[i].effort == e)
            percent = efforts[i].percent;
    int64_t share = max_tokens * percent / 100;
    return GW_MIN(GW_MAX(share, BUDGET_MIN), BUDGET_MAX);
}

/* ---- what stands in the way ---- */

static bool forces_tool(const struct ir_request *r)
{
    return r->tools && (r->tool_choice == IR_CHOICE_ANY || r->tool_choice == IR_CHOICE_TOOL);
}

static const struct ir_part *first_block(const struct ir_message *m)
{
    for (const struct ir_part *p = m->parts; p; p = p->next)
        if (anthropic_has_block(p))
            return p;
    return NULL;
}

static bool has_call(const struct ir_message *m)
{
    for (const struct ir_part *p = m->parts; p; p = p->next)
        if (p->kind == IR_PART_TOOL_CALL)
            return true;
    return false;
}

/* The calls that the conversation ends with the results of came without their thinking. */
static bool lost_thinking(const struct ir_request *r)
{
    bool lost = false;
    for (const struct ir_message *m = r->messages; m; m = m->next) {
        const struct ir_part *first = first_block(m);
        if (m->role == IR_ASSISTANT && has_call(m))
            lost |= first->kind != IR_PART_REASONING;
        else if (m->role == IR_USER && first)
            lost = false;
    }
    return lost;
}

/* ---- the plan ---- */

static void plan_budget(const struct ir_request *r, struct claude g, struct anthropic_plan *out)
{
    int64_t budget = r->thinking_budget > 0 ? GW_MAX(r->thinking_budget, BUDGET_MIN) : 0;
    if (forces_tool(r) || lost_thinking(r))
        return;
    if (!budget)
        budget = budget_of_effort(r->effort, out->max_tokens);
    if (budget >= out->max_tokens && r->max_tokens < 0)
        out->max_tokens = budget + ANSWER_TOKENS;
    budget = GW_MIN(budget, out->max_tokens - 1);
    if (budget < BUDGET_MIN)
        return;
    out->thinking = ANTHROPIC_THINKING_BUDGET;
    out->budget = budget;
}

static void plan_thinking(const struct ir_request *r, const struct codec_target *t, struct claude g,
                          struct anthropic_plan *out)
{
    bool off = r->thinking_budget == 0 || r->effort == IR_EFFORT_NONE;
    bool wants = !off && (r->thinking_budget != -1 || r->effort != IR_EFFORT_UNSET);
    out->effort = effort_word(r->effort, g, t->model);
    if (off && thinks(g))
        out->thinking = ANTHROPIC_THINKING_OFF;
    if (!wants)
        return;
    /* Effort alone is the answer's too, where the caller said nothing of a budget. */
    if (takes_adaptive(g) && (r->thinking_budget <= 0 || !takes_budget(g))) {
        if (!out->effort && r->thinking_budget > 0)
            out->effort = effort_of_budget(r->thinking_budget);
        if (!forces_tool(r))
            out->thinking = ANTHROPIC_THINKING_ADAPTIVE;
        else if (!out->effort)
            ir_list_dropped(r, IR_F_THINKING_BUDGET, t->dropped);
        return;
    }
    if (takes_budget(g))
        plan_budget(r, g, out);
    if (out->thinking == ANTHROPIC_THINKING_BUDGET)
        return;
    if (r->effort != IR_EFFORT_UNSET && !out->effort)
        ir_list_dropped(r, IR_F_EFFORT, t->dropped);
    if (r->thinking_budget > 0)
        ir_list_dropped(r, IR_F_THINKING_BUDGET, t->dropped);
}

/* -1: not given. Spelled numbers are valid JSON and short of a hundred digits, or no figure. */
static double number_of(struct slice s)
{
    char text[64];
    if (!s.p || s.n >= sizeof text)
        return -1;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    return strtod(text, NULL);
}

static void plan_sampling(const struct ir_request *r, const struct codec_target *t, struct claude g,
                          struct anthropic_plan *out)
{
    double temperature = number_of(r->temperature), top_p = number_of(r->top_p);
    bool thinking =
        out->thinking == ANTHROPIC_THINKING_BUDGET || out->thinking == ANTHROPIC_THINKING_ADAPTIVE;
    bool free = takes_sampling(g) && !thinking;
    out->temperature_is_1 = temperature > 1;
    out->temperature = r->temperature.p && free;
    /* Claude 4.1 and later take one of the two; 1 is what each is without being said. */
    bool both = g.is_claude && g.version >= 41 && r->temperature.p && free;
    out->top_p = r->top_p.p && takes_sampling(g) && (!thinking || top_p >= 0.95) && !both;
    out->top_k = r->top_k.p && free;
    if (both && temperature == 1 && top_p >= 0 && top_p != 1) {
        out->temperature = false;
        out->top_p = true;
    }
    if (r->temperature.p && !out->temperature && temperature != 1)
        ir_list_dropped(r, IR_F_TEMPERATURE, t->dropped);
    if (r->top_p.p && !out->top_p && top_p != 1)
        ir_list_dropped(r, IR_F_TOP_P, t->dropped);
    if (r->top_k.p && !out->top_k)
        ir_list_dropped(r, IR_F_TOP_K, t->dropped);
}

void anthropic_plan(const struct ir_request *r, const struct codec_target *t,
                    struct anthropic_plan *out)
{
    struct claude g = claude_of(t->model);
    memset(out, 0, sizeof *out);
    out->max_tokens = r->max_tokens >= 0          ? r->max_tokens
                      : t->default_max_tokens > 0 ? t->default_max_tokens
                                                  : ANSWER_TOKENS;
    plan_thinking(r, t, g, out);
    plan_sampling(r, t, g, out);
}
