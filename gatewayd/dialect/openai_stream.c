/*
 * openai_stream.c: runs over the events of a stream: takes what they say, and takes out again what
 * they say only because the gateway asked for usage.
 *
 * With include_usage every chunk has a `usage` member, null in all but the last, and the last has
 * an empty `choices` (API reference, chat.completions, stream_options). So the member is cut
 * wherever it stands, and a chunk is dropped when it has counts and no choice; Azure's first chunk
 * has no choice either, but prompt_filter_results and no counts, and stays.
 */
#include "gatewayd/dialect/openai.h"

#include "gatewayd/dialect/edit.h"

void openai_stream_init(struct dialect_stream *s, enum dialect_op op, bool usage_injected)
{
    memset(s, 0, sizeof *s);
    s->op = op;
    s->usage_injected = usage_injected;
    s->usage.total_tokens = -1;
}

struct chunk {
    uint32_t id, model, choices, usage;
    bool usage_twice; /* with counts in any of them */
};

/* One run over the members instead of a look-up each: this is done for every event. */
static struct chunk read_chunk(const struct json_doc *d)
{
    struct chunk c = {JSON_NONE, JSON_NONE, JSON_NONE, JSON_NONE, false};
    bool counts = false;
    json_foreach_member(d, JSON_ROOT, k)
    {
        if (json_str_eq_lit(d, k, "choices"))
            c.choices = k + 1;
        else if (json_str_eq_lit(d, k, "usage")) {
            counts |= !json_is_null(d, k + 1);
            c.usage_twice = c.usage != JSON_NONE && counts;
            c.usage = k + 1;
        } else if (json_str_eq_lit(d, k, "id"))
            c.id = k + 1;
        else if (json_str_eq_lit(d, k, "model"))
            c.model = k + 1;
    }
    return c;
}

static void read_choices(struct dialect_stream *s, const struct json_doc *d, uint32_t choices)
{
    json_foreach_element(d, choices, c)
    {
        uint32_t reason = json_get_lit(d, c, "finish_reason");
        s->output_bytes += openai_choice_bytes(d, c);
        if (json_type(d, reason) == JSON_STRING) {
            s->finished = true;
            openai_copy_name(d, reason, &s->finish_reason);
        }
    }
}

static void read_failure(struct dialect_stream *s, const struct json_doc *d, struct slice event)
{
    uint32_t error = openai_error_object(d);
    if (error == JSON_NONE && !slice_eq_str(event, "error"))
        return;
    s->failed = true;
    s->fault = openai_fault(d, error == JSON_NONE ? JSON_ROOT : error, 200);
}

static bool is_terminator(struct slice data)
{
    return data.n >= 6 && data.n <= 16 && slice_eq_str(slice_trim(data), "[DONE]");
}

/* What was injected goes out again; true if that leaves nothing of the event. */
static bool take_out_usage(const struct json_doc *d, const struct chunk *c, struct splices *cuts)
{
    bool counts = json_type(d, c->usage) == JSON_OBJECT;
    bool no_choice = c->choices == JSON_NONE || json_is_null(d, c->choices) ||
                     (json_type(d, c->choices) == JSON_ARRAY && json_count(d, c->choices) == 0);
    if (counts && no_choice)
        return true;
    if (edit_cut_members(d, JSON_ROOT, SLICE_LIT("usage"), cuts) < 0)
        splices_reset(cuts);
    return false;
}

/* A full list of cuts leaves the provider's name. */
static void put_alias(const struct json_doc *d, uint32_t model, struct slice alias,
                      struct splices *cuts)
{
    struct slice raw = json_raw(d, model);
    uint32_t at = (uint32_t)(raw.p - d->text);
    if (json_type(d, model) == JSON_STRING && splices_add(cuts, at, (uint32_t)raw.n, alias) < 0)
        return;
}

enum dialect_verdict openai_stream_event(struct dialect_stream *s, struct json_doc *d,
                                         struct slice event, struct slice data,
                                         struct splices *cuts)
{
    splices_reset(cuts);
    s->events++;
    if (is_terminator(data)) {
        s->done = true;
        return DIALECT_PASS;
    }
    if (json_parse(d, data.p, data.n) < 0 || json_type(d, JSON_ROOT) != JSON_OBJECT) {
        s->malformed++;
        return DIALECT_PASS;
    }
    struct chunk c = read_chunk(d);
    bool was_failed = s->failed;
    read_failure(s, d, event);
    if (s->id.n == 0)
        openai_copy_name(d, c.id, &s->id);
    if (s->model.n == 0)
        openai_copy_name(d, c.model, &s->model);
    read_choices(s, d, c.choices);
    if (c.usage_twice)
        openai_usage_is_odd(&s->usage);
    else
        openai_read_usage(d, c.usage, &s->usage);
    if (s->failed != was_failed)
        return DIALECT_PASS;
    if (s->usage_injected && c.usage != JSON_NONE && take_out_usage(d, &c, cuts))
        return DIALECT_DROP;
    if (s->model_alias.n)
        put_alias(d, c.model, s->model_alias, cuts);
    return cuts->n ? DIALECT_REWRITE : DIALECT_PASS;
}
