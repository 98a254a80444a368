/*
 * bedrock_model.c: what the models behind Converse take, by their names.
 *
 * The API is one, its models are not: Claude's thinking and sampling are those of Anthropic's API
 * (docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html and
 * claude-messages-adaptive-thinking.html), Nova has a top k of its own
 * (docs.aws.amazon.com/nova/latest/userguide/complete-request-schema.html).
 */
#include "gatewayd/dialect/bedrock.h"
#include "gatewayd/dialect/claude.h"

enum { THINKING_MIN = 1024, ANSWER_ROOM = 4096 };

/* What stands behind `mark`; {NULL} if it doesn't stand in name. */
static struct slice behind(struct slice name, struct slice mark)
{
    const char *at = name.n ? memmem(name.p, name.n, mark.p, mark.n) : NULL;
    if (!at)
        return slice_of(NULL, 0);
    at += mark.n;
    return slice_of(at, (size_t)(name.p + name.n - at));
}

static struct bedrock_model claude(struct slice name, struct slice rest)
{
    unsigned version = claude_of(name).version;
    struct bedrock_model m = {.family = BEDROCK_CLAUDE,
                              .version = (int)(100 * (version / 10) + version % 10)};
    bool old =
        slice_starts_with(rest, SLICE_LIT("v")) || slice_starts_with(rest, SLICE_LIT("instant"));
    m.samples = old || (m.version > 0 && m.version <= 406);
    if (old || (m.version > 0 && m.version < 307))
        m.thinking = BEDROCK_THINKING_NONE;
    else
        m.thinking =
            m.version > 0 && m.version < 406 ? BEDROCK_THINKING_BUDGET : BEDROCK_THINKING_ADAPTIVE;
    return m;
}

/* "vendor.model" or "region.vendor.model", alone or at the end of an ARN. */
static bool names_its_maker(struct slice name)
{
    const char *slash = name.n ? memrchr(name.p, '/', name.n) : NULL;
    if (slash)
        name = slice_of(slash + 1, (size_t)(name.p + name.n - slash - 1));
    return name.n && memchr(name.p, '.', name.n) != NULL;
}

struct bedrock_model bedrock_model(struct slice name)
{
    struct slice rest = behind(name, SLICE_LIT("anthropic.claude-"));
    if (rest.p)
        return claude(name, rest);
    if (behind(name, SLICE_LIT("amazon.nova-")).p)
        return (struct bedrock_model){.family = BEDROCK_NOVA, .samples = true};
    if (names_its_maker(name))
        return (struct bedrock_model){.samples = true};
    return (struct bedrock_model){
        .family = BEDROCK_CLAUDE, .thinking = BEDROCK_THINKING_BUDGET, .samples = true};
}

enum ir_maker bedrock_made_by(struct slice model)
{
    return bedrock_model(model).family == BEDROCK_CLAUDE ? IR_MAKER_CLAUDE : IR_MAKER_BEDROCK;
}

/* ---- thinking ---- */

/* Whether the turn that is being answered called tools and lacks its signed reasoning: a budget is
 * refused then. */
static bool lacks_reasoning(const struct ir_request *r)
{
    bool calls = false, signed_reasoning = false;
    for (const struct ir_message *m = r->messages; m; m = m->next) {
        if (m->role == IR_USER)
            calls = signed_reasoning = false;
        if (m->role != IR_ASSISTANT)
            continue;
        for (const struct ir_part *p = m->parts; p; p = p->next) {
            calls |= p->kind == IR_PART_TOOL_CALL;
            signed_reasoning |= p->kind == IR_PART_REASONING && ir_has(p->signature);
        }
    }
    return calls && !signed_reasoning;
}

static bool wants_thinking(const struct ir_request *r)
{
    if (r->thinking_budget != -1)
        return r->thinking_budget != 0;
    return r->effort != IR_EFFORT_UNSET && r->effort != IR_EFFORT_NONE;
}

static void plan_budget(const struct ir_request *r, const struct codec_target *t,
                        struct bedrock_plan *out)
{
    int64_t budget =
        r->thinking_budget >= 0
            ? r->thinking_budget
            : ir_budget_of_effort(r->effort != IR_EFFORT_UNSET ? r->effort : IR_EFFORT_MEDIUM);
    budget = GW_MAX(budget, (int64_t)THINKING_MIN);
    if (out->max_tokens < 0 && t->default_max_tokens > 0)
        out->max_tokens = t->default_max_tokens;
    if (out->max_tokens < 0)
        out->max_tokens = budget + ANSWER_ROOM;
    budget = GW_MIN(budget, out->max_tokens - 1);
    if (budget < THINKING_MIN || lacks_reasoning(r))
        return;
    out->thinking = BEDROCK_THINKING_BUDGET;
    out->budget = budget;
}

static void plan_adaptive(const struct ir_request *r, struct bedrock_plan *out)
{
    enum ir_effort effort = r->effort;
    out->thinking = BEDROCK_THINKING_ADAPTIVE;
    if (effort == IR_EFFORT_UNSET && r->thinking_budget >= 0)
        effort = ir_effort_of_budget(r->thinking_budget);
    if (effort == IR_EFFORT_UNSET || effort == IR_EFFORT_NONE)
        return;
    if (effort == IR_EFFORT_MINIMAL)
        effort = IR_EFFORT_LOW;
    if (effort == IR_EFFORT_XHIGH && out->model.version == 406)
        effort = IR_EFFORT_HIGH;
    out->effort = ir_effort_name(effort);
}

static void plan_thinking(const struct ir_request *r, const struct codec_target *t,
                          struct bedrock_plan *out)
{
    bool forced = r->tool_choice == IR_CHOICE_ANY || r->tool_choice == IR_CHOICE_TOOL;
    if (!wants_thinking(r))
        return;
    if (!forced && out->model.thinking == BEDROCK_THINKING_BUDGET)
        plan_budget(r, t, out);
    else if (!forced && out->model.thinking == BEDROCK_THINKING_ADAPTIVE)
        plan_adaptive(r, out);
    if (out->thinking != BEDROCK_THINKING_NONE)
        return;
    if (ir_noted(r, IR_F_EFFORT))
        ir_list_dropped(r, IR_F_EFFORT, t->dropped);
    if (ir_noted(r, IR_F_THINKING_BUDGET))
        ir_list_dropped(r, IR_F_THINKING_BUDGET, t->dropped);
}

/* ---- sampling ---- */

static bool keep(const struct ir_request *r, const struct codec_target *t, struct slice value,
                 enum ir_field f, bool takes)
{
    if (value.p && !takes)
        ir_list_dropped(r, f, t->dropped);
    return value.p && takes;
}

void bedrock_plan(const struct ir_request *r, const struct codec_target *t,
                  struct bedrock_plan *out)
{
    *out = (struct bedrock_plan){.model = bedrock_model(t->model), .max_tokens = r->max_tokens};
    plan_thinking(r, t, out);
    bool samples = out->model.samples && out->thinking == BEDROCK_THINKING_NONE;
    bool one_of_two = out->model.family == BEDROCK_CLAUDE && out->model.version >= 401;
    out->temperature = keep(r, t, r->temperature, IR_F_TEMPERATURE, samples);
    out->top_p = keep(r, t, r->top_p, IR_F_TOP_P, samples && !(out->temperature && one_of_two));
    out->top_k = keep(r, t, r->top_k, IR_F_TOP_K, samples && out->model.family != BEDROCK_OTHER);
}
