/*
 * openai_request.c: reads the members of a request that the gateway acts on, and splices it.
 *
 * Every member that is read is checked for its type and must stand once: a second one would let
 * the gateway and the provider act on different values. All others pass unread. null counts as
 * absent for the optional ones, as it does upstream.
 */
#include "gatewayd/dialect/openai.h"
#include "gatewayd/dialect/relay.h"

#include <stdio.h>

enum {
    IN_CHAT = 1 << DIALECT_CHAT,
    IN_COMPLETIONS = 1 << DIALECT_COMPLETIONS,
    IN_EMBEDDINGS = 1 << DIALECT_EMBEDDINGS,
    IN_RERANK = 1 << DIALECT_RERANK,
    GENERATING = IN_CHAT | IN_COMPLETIONS,
    IN_RESPONSES = 1 << 16, /* an API of its own, of the operation DIALECT_CHAT */
    EVERYWHERE = GENERATING | IN_EMBEDDINGS | IN_RERANK | IN_RESPONSES,
};

struct member;

struct reader {
    const struct json_doc *d;
    unsigned in;                /* IN_*: which API's members are read */
    const struct member *table; /* the rows among which they are */
    size_t n_table;
    bool model_optional;
    bool bound;         /* it goes on from what is kept for its owner */
    char container[48]; /* member path of the first container that a tool names; "" */
    struct dialect_request *out;
    struct dialect_refusal *why;
};

static int wrong_type(const struct reader *r, const char *param, uint32_t v, const char *expected)
{
    return dialect_refuse(r->why, "invalid_type", param, "'%s' must be %s, not %s.", param,
                          expected, json_type_name(json_type(r->d, v)));
}

/* Names go into header fields and logs. */
static bool has_control(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
            return true;
    return false;
}

static int read_model(struct reader *r, const char *param, uint32_t v)
{
    struct dialect_name *m = &r->out->model;
    size_t n;
    if (json_type(r->d, v) != JSON_STRING)
        return wrong_type(r, param, v, "a string");
    if (json_str_decode(r->d, v, m->s, sizeof m->s, &n) < 0 || n == 0)
        return dialect_refuse(r->why, "invalid_value", param,
                              "'%s' must be a name of 1 to %d bytes of valid Unicode.", param,
                              DIALECT_NAME_BYTES);
    if (has_control(m->s, n))
        return dialect_refuse(r->why, "invalid_value", param,
                              "'%s' must not hold control characters.", param);
    m->n = (uint8_t)n;
    r->out->model_value = openai_span(r->d, v);
    return 0;
}

static int read_flag(struct reader *r, const char *param, uint32_t v, bool *out)
{
    if (json_is_null(r->d, v) || json_bool(r->d, v, out) == 0)
        return 0;
    return wrong_type(r, param, v, "a boolean");
}

static int read_stream(struct reader *r, const char *param, uint32_t v)
{
    return read_flag(r, param, v, &r->out->stream);
}

static int read_stream_options(struct reader *r, const char *param, uint32_t v)
{
    static const char inner[] = "stream_options.include_usage";
    enum json_type t = json_type(r->d, v);
    bool more;
    if (t != JSON_OBJECT && t != JSON_NULL)
        return wrong_type(r, param, v, "an object");
    r->out->stream_options = openai_span(r->d, v);
    r->out->stream_options_empty = json_count(r->d, v) == 0;
    uint32_t asked = json_get_unique(r->d, v, SLICE_LIT("include_usage"), &more);
    if (more)
        return dialect_refuse(r->why, "duplicate_member", inner, "'%s' is given more than once.",
                              inner);
    if (asked == JSON_NONE)
        return 0;
    r->out->include_usage_value = openai_span(r->d, asked);
    return read_flag(r, inner, asked, &r->out->include_usage);
}

enum { COUNT_MAX = 1000000000 };

static int read_count(struct reader *r, const char *param, uint32_t v, int64_t min, int64_t *out)
{
    if (json_is_null(r->d, v))
        return 0;
    if (json_type(r->d, v) != JSON_NUMBER)
        return wrong_type(r, param, v, "an integer");
    if (json_i64(r->d, v, out) < 0 || *out < min || *out > COUNT_MAX)
        return dialect_refuse(r->why, "invalid_value", param,
                              "'%s' must be an integer from %d to %d.", param, (int)min, COUNT_MAX);
    return 0;
}

static int read_max_tokens(struct reader *r, const char *param, uint32_t v)
{
    int64_t n = -1;
    if (read_count(r, param, v, 0, &n) < 0)
        return -1;
    r->out->max_output_tokens = GW_MAX(r->out->max_output_tokens, n);
    return 0;
}

static int read_n(struct reader *r, const char *param, uint32_t v)
{
    return read_count(r, param, v, 1, &r->out->n);
}

static int read_best_of(struct reader *r, const char *param, uint32_t v)
{
    return read_count(r, param, v, 0, &r->out->best_of);
}

static int read_user(struct reader *r, const char *param, uint32_t v)
{
    if (json_is_null(r->d, v))
        return 0;
    if (json_type(r->d, v) != JSON_STRING)
        return wrong_type(r, param, v, "a string");
    size_t n;
    if (json_str_decode(r->d, v, r->out->user.s, sizeof r->out->user.s, &n) < 0)
        return dialect_refuse(r->why, "invalid_value", param,
                              "'%s' must be at most %d bytes of valid Unicode.", param,
                              DIALECT_NAME_BYTES);
    r->out->user.n = (uint8_t)n;
    return 0;
}

static void add_prompt_bytes(struct reader *r, uint32_t v)
{
    if (!json_is_null(r->d, v))
        r->out->prompt_bytes += json_raw(r->d, v).n;
}

static int read_prompt_part(struct reader *r, const char *param, uint32_t v)
{
    add_prompt_bytes(r, v);
    return 0;
}

static void note_ids(const struct json_doc *d, uint32_t list, struct dialect_request *out)
{
    json_foreach_element(d, list, e)
    {
        if (json_type(d, e) == JSON_STRING)
            dialect_add_ref(out, d, e, OBJECT_FILE, "file_ids");
    }
}

/* `file_id` stands in a part (Responses), in its `file` (chat), in a computer's output, in a tool's
 * mask; `file_ids` in a tool's container. Annotations only cite. */
void openai_note_files(const struct json_doc *d, uint32_t v, struct dialect_request *out)
{
    json_foreach_element(d, v, e)
    {
        openai_note_files(d, e, out);
    }
    json_foreach_member(d, v, k)
    {
        uint32_t value = k + 1;
        if (json_type(d, value) == JSON_STRING) {
            if (json_str_eq_lit(d, k, "file_id"))
                dialect_add_ref(out, d, value, OBJECT_FILE, "file_id");
        } else if (json_str_eq_lit(d, k, "file_ids")) {
            note_ids(d, value, out);
        } else if (!json_str_eq_lit(d, k, "annotations")) {
            openai_note_files(d, value, out);
        }
    }
}

/* Content parts that a provider meters by what they show or hold, not by their bytes here. */
static void count_part(struct reader *r, uint32_t part)
{
    struct dialect_request *out = r->out;
    bool more;
    uint32_t type = json_get_unique(r->d, part, SLICE_LIT("type"), &more);
    if (json_str_eq_lit(r->d, type, "image_url"))
        out->images++;
    else if (json_str_eq_lit(r->d, type, "input_audio"))
        out->audios++;
    else if (json_str_eq_lit(r->d, type, "file"))
        out->files++;
    else if (json_str_eq_lit(r->d, type, "input_image"))
        out->images++;
    else if (json_str_eq_lit(r->d, type, "input_file"))
        out->files++;
    else
        return;
    if (!more) /* with two types it may still be read as text */
        out->prompt_bytes -= json_raw(r->d, part).n;
}

static int read_messages(struct reader *r, const char *param, uint32_t v)
{
    if (json_type(r->d, v) != JSON_ARRAY)
        return wrong_type(r, param, v, "an array");
    r->out->messages = json_count(r->d, v);
    add_prompt_bytes(r, v);
    uint32_t index = 0;
    json_foreach_element(r->d, v, m)
    {
        if (json_type(r->d, m) != JSON_OBJECT) {
            char at[32];
            snprintf(at, sizeof at, "messages[%u]", index);
            return wrong_type(r, at, m, "an object");
        }
        index++;
        json_foreach_member(r->d, m, k)
        {
            if (!json_str_eq_lit(r->d, k, "content"))
                continue;
            json_foreach_element(r->d, k + 1, part)
            {
                count_part(r, part);
            }
            openai_note_files(r->d, k + 1, r->out);
        }
    }
    return 0;
}

static int read_prompts(struct reader *r, const char *param, uint32_t v)
{
    enum json_type t = json_type(r->d, v);
    if (t != JSON_STRING && t != JSON_ARRAY)
        return wrong_type(r, param, v, "a string or an array");
    /* An array of numbers is one prompt given as tokens; any other holds one prompt an element. */
    bool tokens = t == JSON_ARRAY && json_count(r->d, v) && json_type(r->d, v + 1) == JSON_NUMBER;
    r->out->prompts = t == JSON_ARRAY && !tokens ? json_count(r->d, v) : 1;
    add_prompt_bytes(r, v);
    return 0;
}

static int read_documents(struct reader *r, const char *param, uint32_t v)
{
    if (json_type(r->d, v) != JSON_ARRAY)
        return wrong_type(r, param, v, "an array");
    r->out->prompts = json_count(r->d, v);
    add_prompt_bytes(r, v);
    return 0;
}

/* ---- containers that the provider keeps ---- */

/* A container has an id that no record knows: whose it is follows from the answer before, which has
 * one. Items of earlier answers pass: clients that keep the conversation themselves send them back
 * as they came, or by reference, and their ids were told to nobody but their owner. */
static void note_container(struct reader *r, uint32_t index, const char *name)
{
    if (!r->container[0])
        snprintf(r->container, sizeof r->container, "tools[%u].%s", index, name);
}

/* `container` of a code interpreter that isn't an object with how to make one; `container_id` of a
 * shell's environment (responses/create of OpenAI's reference). */
static void note_containers(struct reader *r, uint32_t index, uint32_t v)
{
    json_foreach_member(r->d, v, k)
    {
        bool named = json_type(r->d, k + 1) == JSON_STRING;
        if (named && json_str_eq_lit(r->d, k, "container"))
            note_container(r, index, "container");
        else if (named && json_str_eq_lit(r->d, k, "container_id"))
            note_container(r, index, "container_id");
        else if (json_str_eq_lit(r->d, k, "environment"))
            note_containers(r, index, k + 1);
    }
}

static int check_container(struct reader *r)
{
    if (r->in != IN_RESPONSES || r->bound || !r->container[0])
        return 0;
    return dialect_refuse(
        r->why, "object_not_found", r->container,
        "'%s' names a container that an answer has made. Name that answer too, by "
        "'previous_response_id' or 'conversation'.",
        r->container);
}

static int read_tools(struct reader *r, const char *param, uint32_t v)
{
    enum json_type t = json_type(r->d, v);
    uint32_t index = 0;
    if (t != JSON_ARRAY && t != JSON_NULL)
        return wrong_type(r, param, v, "an array");
    r->out->tools += json_count(r->d, v);
    add_prompt_bytes(r, v);
    json_foreach_element(r->d, v, tool)
    {
        bool more;
        note_containers(r, index++, tool);
        uint32_t type = json_get_unique(r->d, tool, SLICE_LIT("type"), &more);
        if (more || (type != JSON_NONE && !json_str_eq_lit(r->d, type, "function") &&
                     !json_str_eq_lit(r->d, type, "custom"))) {
            r->out->hosted_tools = true;
            openai_note_files(r->d, tool, r->out);
        }
    }
    return 0;
}

static int read_functions(struct reader *r, const char *param, uint32_t v)
{
    enum json_type t = json_type(r->d, v);
    if (t != JSON_ARRAY && t != JSON_NULL)
        return wrong_type(r, param, v, "an array");
    r->out->tools += json_count(r->d, v);
    add_prompt_bytes(r, v);
    return 0;
}

static int read_web_search(struct reader *r, const char *param, uint32_t v)
{
    r->out->hosted_tools |= !json_is_null(r->d, v);
    return 0;
}

/* The items of a response's input. */
static int read_items(struct reader *r, const char *param, uint32_t v)
{
    enum json_type t = json_type(r->d, v);
    if (t != JSON_STRING && t != JSON_ARRAY && t != JSON_NULL)
        return wrong_type(r, param, v, "a string or an array");
    r->out->messages = t == JSON_ARRAY ? json_count(r->d, v) : 1;
    add_prompt_bytes(r, v);
    json_foreach_element(r->d, v, item)
    {
        json_foreach_member(r->d, item, k)
        {
            if (json_str_eq_lit(r->d, k, "type") && json_str_eq_lit(r->d, k + 1, "item_reference"))
                r->out->hosted_tools = true;
            if (!json_str_eq_lit(r->d, k, "content") && !json_str_eq_lit(r->d, k, "output"))
                continue;
            json_foreach_element(r->d, k + 1, part)
            {
                count_part(r, part);
            }
            openai_note_files(r->d, k + 1, r->out);
        }
    }
    return 0;
}

/* What the provider keeps, and runs that go on without the caller: neither can be bounded. The
 * variables of a kept prompt may be files. */
static int read_kept(struct reader *r, const char *param, uint32_t v)
{
    (void)param;
    r->out->hosted_tools |= !json_is_null(r->d, v);
    openai_note_files(r->d, v, r->out);
    return 0;
}

static int read_previous(struct reader *r, const char *param, uint32_t v)
{
    if (json_is_null(r->d, v))
        return 0;
    if (json_type(r->d, v) != JSON_STRING)
        return wrong_type(r, param, v, "a string");
    dialect_add_ref(r->out, r->d, v, OBJECT_RESPONSE, param);
    r->bound = true;
    return read_kept(r, param, v);
}

/* Its id, or an object with it. */
static int read_conversation(struct reader *r, const char *param, uint32_t v)
{
    uint32_t id = json_type(r->d, v) == JSON_OBJECT ? json_get_lit(r->d, v, "id") : v;
    if (json_is_null(r->d, v))
        return 0;
    if (json_type(r->d, id) != JSON_STRING)
        return wrong_type(r, param, v, "an id or an object with one");
    dialect_add_ref(r->out, r->d, id, OBJECT_CONVERSATION, param);
    r->bound = true;
    return read_kept(r, param, v);
}

/* platform.openai.com/docs/api-reference/responses/create: true unless said otherwise. */
static int read_store(struct reader *r, const char *param, uint32_t v)
{
    return read_flag(r, param, v, &r->out->keeps);
}

static int read_background(struct reader *r, const char *param, uint32_t v)
{
    bool background = false;
    if (read_flag(r, param, v, &background) < 0)
        return -1;
    r->out->hosted_tools |= background;
    r->out->background = background;
    return 0;
}

/* What is spoken is billed by the character: code points, whatever their number of bytes. */
static int read_spoken(struct reader *r, const char *param, uint32_t v)
{
    if (json_type(r->d, v) != JSON_STRING)
        return wrong_type(r, param, v, "a string");
    r->out->characters = json_str_chars(r->d, v);
    add_prompt_bytes(r, v);
    return 0;
}

static int read_stream_format(struct reader *r, const char *param, uint32_t v)
{
    if (!json_is_null(r->d, v) && json_type(r->d, v) != JSON_STRING)
        return wrong_type(r, param, v, "a string");
    r->out->stream = json_str_eq_lit(r->d, v, "sse");
    return 0;
}

static int read_prompt_text(struct reader *r, const char *param, uint32_t v)
{
    if (json_type(r->d, v) != JSON_STRING)
        return wrong_type(r, param, v, "a string");
    add_prompt_bytes(r, v);
    return 0;
}

static int read_images(struct reader *r, const char *param, uint32_t v)
{
    if (json_type(r->d, v) != JSON_ARRAY)
        return wrong_type(r, param, v, "an array");
    r->out->images += json_count(r->d, v);
    openai_note_files(r->d, v, r->out);
    return 0;
}

static int read_mask(struct reader *r, const char *param, uint32_t v)
{
    (void)param;
    r->out->images += !json_is_null(r->d, v);
    openai_note_files(r->d, v, r->out);
    return 0;
}

/* Of a batch; what it costs isn't known before it is through. */
static int read_input_file(struct reader *r, const char *param, uint32_t v)
{
    if (json_type(r->d, v) != JSON_STRING)
        return wrong_type(r, param, v, "a string");
    dialect_add_ref(r->out, r->d, v, OBJECT_FILE, param);
    r->out->hosted_tools = true;
    return 0;
}

/* Of a batch, that of all its lines. */
static int read_endpoint(struct reader *r, const char *param, uint32_t v)
{
    if (json_type(r->d, v) != JSON_STRING)
        return wrong_type(r, param, v, "a string");
    r->out->batch_url = openai_batch_url(r->d, v);
    if (r->out->batch_url == OPENAI_BATCH_NO_URL)
        return dialect_refuse(
            r->why, "invalid_value", param,
            "'%s' must be a path that batches take, such as '/v1/chat/completions'.", param);
    return 0;
}

struct member {
    struct slice name;
    unsigned ops;      /* where it is read */
    unsigned required; /* where it must stand */
    int (*read)(struct reader *r, const char *param, uint32_t v);
};
#define MEMBER(lit, ops, required, fn)                                                             \
    {                                                                                              \
        {lit, sizeof(lit) - 1}, ops, required, fn                                                  \
    }

/* ---- what batches take ---- */

static const struct slice batch_urls[OPENAI_BATCH_URLS] = {
#define X(name, path) [OPENAI_BATCH_##name] = SLICE_LIT(path),
    OPENAI_BATCH_PATHS(X)
#undef X
};

uint8_t openai_batch_url(const struct json_doc *d, uint32_t v)
{
    struct slice path;
    if (!json_str_plain(d, v, &path))
        return OPENAI_BATCH_NO_URL;
    if (slice_starts_with(path, SLICE_LIT("/v1/")))
        path = slice_of(path.p + 3, path.n - 3);
    for (uint8_t i = OPENAI_BATCH_NO_URL + 1; i < OPENAI_BATCH_URLS; i++)
        if (slice_eq(path, batch_urls[i]))
            return i;
    return OPENAI_BATCH_NO_URL;
}

const char *openai_batch_url_name(uint8_t url)
{
    return url < OPENAI_BATCH_URLS && url != OPENAI_BATCH_NO_URL ? batch_urls[url].p : "?";
}

/* ---- members ---- */

enum { MODEL = 0 };
static const struct member members[] = {
    [MODEL] = MEMBER("model", EVERYWHERE, 0, read_model),
    MEMBER("messages", IN_CHAT, IN_CHAT, read_messages),
    MEMBER("prompt", IN_COMPLETIONS, IN_COMPLETIONS, read_prompts),
    MEMBER("input", IN_EMBEDDINGS, IN_EMBEDDINGS, read_prompts),
    MEMBER("query", IN_RERANK, IN_RERANK, read_prompt_part),
    MEMBER("documents", IN_RERANK, IN_RERANK, read_documents),
    MEMBER("stream", GENERATING | IN_RESPONSES, 0, read_stream),
    MEMBER("stream_options", GENERATING, 0, read_stream_options),
    MEMBER("max_tokens", GENERATING, 0, read_max_tokens),
    MEMBER("max_completion_tokens", IN_CHAT, 0, read_max_tokens),
    MEMBER("n", GENERATING, 0, read_n),
    MEMBER("best_of", IN_COMPLETIONS, 0, read_best_of),
    MEMBER("user", EVERYWHERE, 0, read_user),
    MEMBER("tools", IN_CHAT | IN_RESPONSES, 0, read_tools),
    MEMBER("functions", IN_CHAT, 0, read_functions),
    MEMBER("tool_choice", IN_CHAT | IN_RESPONSES, 0, read_prompt_part),
    MEMBER("function_call", IN_CHAT, 0, read_prompt_part),
    MEMBER("response_format", IN_CHAT, 0, read_prompt_part),
    MEMBER("prediction", IN_CHAT, 0, read_prompt_part),
    MEMBER("suffix", IN_COMPLETIONS, 0, read_prompt_part),
    MEMBER("web_search_options", IN_CHAT, 0, read_web_search),
    MEMBER("input", IN_RESPONSES, 0, read_items),
    MEMBER("instructions", IN_RESPONSES, 0, read_prompt_part),
    MEMBER("text", IN_RESPONSES, 0, read_prompt_part),
    MEMBER("max_output_tokens", IN_RESPONSES, 0, read_max_tokens),
    MEMBER("previous_response_id", IN_RESPONSES, 0, read_previous),
    MEMBER("conversation", IN_RESPONSES, 0, read_conversation),
    MEMBER("store", IN_RESPONSES, 0, read_store),
    MEMBER("prompt", IN_RESPONSES, 0, read_kept),
    MEMBER("background", IN_RESPONSES, 0, read_background),
};

/* Of what is relayed. */
enum {
    IN_MODERATIONS = 1 << 0,
    IN_SPEECH = 1 << 1,
    IN_IMAGES = 1 << 2,
    IN_IMAGE_EDITS = 1 << 3,
    IN_BATCH = 1 << 4,
    IN_ANY_IMAGES = IN_IMAGES | IN_IMAGE_EDITS,
    IN_RELAYED = IN_MODERATIONS | IN_SPEECH | IN_ANY_IMAGES,
};

static const struct member relayed[] = {
    [MODEL] = MEMBER("model", IN_RELAYED, 0, read_model),
    MEMBER("input", IN_MODERATIONS, IN_MODERATIONS, read_prompts),
    MEMBER("input", IN_SPEECH, IN_SPEECH, read_spoken),
    MEMBER("instructions", IN_SPEECH, 0, read_prompt_part),
    MEMBER("input_file_id", IN_BATCH, IN_BATCH, read_input_file),
    MEMBER("endpoint", IN_BATCH, IN_BATCH, read_endpoint),
    MEMBER("stream_format", IN_SPEECH, 0, read_stream_format),
    MEMBER("prompt", IN_ANY_IMAGES, IN_ANY_IMAGES, read_prompt_text),
    MEMBER("images", IN_IMAGE_EDITS, 0, read_images),
    MEMBER("mask", IN_IMAGE_EDITS, 0, read_mask),
    MEMBER("n", IN_ANY_IMAGES, 0, read_n),
    MEMBER("stream", IN_ANY_IMAGES, 0, read_stream),
    MEMBER("user", IN_ANY_IMAGES, 0, read_user),
};

static int find_member(const struct reader *r, uint32_t key)
{
    for (size_t i = 0; i < r->n_table; i++)
        if ((r->table[i].ops & r->in) && json_str_eq(r->d, key, r->table[i].name))
            return (int)i;
    return -1;
}

static int read_members(struct reader *r, uint32_t *seen)
{
    json_foreach_member(r->d, JSON_ROOT, k)
    {
        int i = find_member(r, k);
        if (i < 0)
            continue;
        const char *name = r->table[i].name.p;
        if (*seen >> i & 1)
            return dialect_refuse(r->why, "duplicate_member", name, "'%s' is given more than once.",
                                  name);
        *seen |= UINT32_C(1) << i;
        if (r->table[i].read(r, name, k + 1) < 0)
            return -1;
    }
    return 0;
}

static int check_required(struct reader *r, uint32_t seen, struct slice default_model)
{
    for (size_t i = 0; i < r->n_table; i++) {
        const char *name = r->table[i].name.p;
        if ((r->table[i].required & r->in) && !(seen >> i & 1))
            return dialect_refuse(r->why, "missing_required_parameter", name, "'%s' is required.",
                                  name);
    }
    if (seen >> MODEL & 1)
        return 0;
    if (default_model.n == 0 && r->model_optional)
        return 0;
    if (default_model.n == 0 || default_model.n > DIALECT_NAME_BYTES)
        return dialect_refuse(r->why, "missing_required_parameter", "model",
                              "'model' is required.");
    memcpy(r->out->model.s, default_model.p, default_model.n);
    r->out->model.n = (uint8_t)default_model.n;
    return 0;
}

static int read_object(struct reader *r, struct json_doc *d, struct slice body, enum dialect_op op,
                       struct slice default_model)
{
    struct dialect_request *out = r->out;
    struct dialect_refusal *why = r->why;
    uint32_t seen = 0;
    struct errbuf e;
    memset(out, 0, sizeof *out);
    out->op = op;
    out->max_output_tokens = out->n = out->best_of = -1;
    out->keeps = r->table == members && r->in == IN_RESPONSES;
    if (json_parse(d, body.p, body.n) < 0) {
        json_parse_error(d, &e);
        return dialect_refuse(why, "invalid_json", "", "The request body is not valid JSON: %s.",
                              e.msg);
    }
    if (json_type(d, JSON_ROOT) != JSON_OBJECT)
        return dialect_refuse(why, "invalid_json", "",
                              "The request body must be a JSON object, not %s.",
                              json_type_name(json_type(d, JSON_ROOT)));
    out->root = openai_span(d, JSON_ROOT);
    if (read_members(r, &seen) < 0 || check_container(r) < 0)
        return -1;
    out->keeps &= op == DIALECT_CHAT;
    return check_required(r, seen, default_model);
}

static int read_request(struct json_doc *d, struct slice body, enum dialect_op op, unsigned in,
                        struct slice default_model, struct dialect_request *out,
                        struct dialect_refusal *why)
{
    struct reader r = {
        .d = d, .in = in, .table = members, .n_table = ARRAY_LEN(members), .out = out, .why = why};
    return read_object(&r, d, body, op, default_model);
}

int openai_relay_read_request(struct json_doc *d, struct slice body, enum dialect_op op,
                              struct slice default_model, struct dialect_request *out,
                              struct dialect_refusal *why)
{
    static const unsigned in[DIALECT_N_OPS] = {
        [DIALECT_MODERATIONS] = IN_MODERATIONS, [DIALECT_SPEECH] = IN_SPEECH,
        [DIALECT_BATCH_CREATE] = IN_BATCH,      [DIALECT_IMAGES] = IN_IMAGES,
        [DIALECT_IMAGE_EDITS] = IN_IMAGE_EDITS,
    };
    struct reader r = {.d = d,
                       .in = in[op],
                       .table = relayed,
                       .n_table = ARRAY_LEN(relayed),
                       .model_optional = relay_of(op)->model != RELAY_MODEL_NEEDED,
                       .out = out,
                       .why = why};
    return read_object(&r, d, body, op, default_model);
}

int openai_read_request(struct json_doc *d, struct slice body, enum dialect_op op,
                        struct slice default_model, struct dialect_request *out,
                        struct dialect_refusal *why)
{
    return read_request(d, body, op, 1u << op, default_model, out, why);
}

int openai_responses_read_native(struct json_doc *d, struct slice body, enum dialect_op op,
                                 struct slice default_model, struct dialect_request *out,
                                 struct dialect_refusal *why)
{
    return read_request(d, body, op, IN_RESPONSES, default_model, out, why);
}

static int splice_usage(const struct dialect_request *req, struct splices *out)
{
    static const char member[] = "\"include_usage\":true,";
    static const char object[] = "{\"include_usage\":true}";
    const struct dialect_span *options = &req->stream_options, *asked = &req->include_usage_value;
    if (!options->end)
        return splices_add(out, req->root.off + 1, 0,
                           SLICE_LIT("\"stream_options\":{\"include_usage\":true},"));
    if (asked->end)
        return splices_add(out, asked->off, asked->end - asked->off, SLICE_LIT("true"));
    if (req->stream_options_empty)
        return splices_add(out, options->off, options->end - options->off,
                           slice_of(object, sizeof object - 1));
    return splices_add(out, options->off + 1, 0, slice_of(member, sizeof member - 1));
}

int openai_rewrite_request(const struct dialect_request *req, const struct dialect_rewrite *how,
                           struct splices *out, bool *injected)
{
    splices_reset(out);
    *injected =
        how->inject_usage && req->stream && !req->include_usage && req->op != DIALECT_EMBEDDINGS;
    if (dialect_splice_model(req, how->model, out) < 0)
        return -1;
    return *injected ? splice_usage(req, out) : 0;
}
