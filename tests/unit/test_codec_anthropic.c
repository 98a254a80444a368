/*
 * test_codec_anthropic.c: the Anthropic dialect to and from the internal form.
 *
 * Documents are written with ' for ", which no text here needs otherwise.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gatewayd/dialect/anthropic.h"

#include <stdio.h>
#include <stdlib.h>

static const struct codec *const codec = &codec_anthropic;
static struct json_doc doc;
static struct arena arena;
static struct ir_request req;
static struct ir_response res;
static struct dialect_refusal why;
static struct buf out, dropped;
static char text[16384], first[1024];

static int setup(void **state)
{
    arena_init(&arena, first, sizeof first, 1 << 20);
    json_doc_init(&doc, 4096);
    buf_init(&out, 1 << 20);
    buf_init(&dropped, 512);
    memset(&why, 0, sizeof why);
    return 0;
}

static int teardown(void **state)
{
    arena_reset(&arena);
    json_doc_release(&doc);
    buf_release(&out);
    buf_release(&dropped);
    return 0;
}

static struct slice quoted(const char *s)
{
    size_t n = strlen(s);
    assert_true(n < sizeof text);
    for (size_t i = 0; i <= n; i++)
        text[i] = s[i] == '\'' ? '"' : s[i];
    return slice_of(text, n);
}

static void parse(struct slice s)
{
    assert_int_equal(json_parse(&doc, s.p, s.n), 0);
}

static int read_request(const char *body, enum dialect_op op)
{
    parse(quoted(body));
    ir_request_init(&req, &arena, op);
    return codec->read_request(&doc, &req, &why);
}

static void assert_out(const char *expected)
{
    char got[16384];
    assert_true(out.len < sizeof got);
    for (size_t i = 0; i < out.len; i++)
        got[i] = out.data[i] == '"' ? '\'' : out.data[i];
    got[out.len] = '\0';
    assert_string_equal(got, expected);
}

static int write_request(const char *model)
{
    struct codec_target t = {
        .model = slice_str(model), .default_max_tokens = 8000, .dropped = &dropped};
    out.len = dropped.len = 0;
    return codec->write_request(&req, &t, &out, &why);
}

static void assert_dropped(const char *expected)
{
    assert_int_equal(dropped.len, strlen(expected));
    assert_memory_equal(dropped.data ? dropped.data : "", expected, dropped.len);
}

/* ---- requests read and written again ---- */

static const struct {
    const char *in, *out; /* NULL: the same again */
} requests[] = {
    {"{'model':'claude-sonnet-4-5','max_tokens':100,'stream':true,'stop_sequences':['\\n\\nH','x'],"
     "'temperature':0.50,'top_k':5,'metadata':{'user_id':'u-1'},'service_tier':'standard_only',"
     "'system':[{'type':'text','text':'be \\u0062rief','cache_control':{'type':'ephemeral'}},"
     "{'type':'text','text':'b','cache_control':{'type':'ephemeral','ttl':'1h'}}],"
     "'tools':[{'name':'f','description':'d','input_schema':{'type':'object','x-y':[1.50]},"
     "'strict':true,'cache_control':{'type':'ephemeral'}},{'name':'g','input_schema':{'type':'"
     "object'}}],"
     "'tool_choice':{'type':'tool','name':'f','disable_parallel_tool_use':true},"
     "'messages':["
     "{'role':'user','content':[{'type':'text','text':'hi \\uD83D\\uDE00'},"
     "{'type':'image','source':{'type':'base64','media_type':'image/png','data':'aGk='}},"
     "{'type':'image','source':{'type':'url','url':'https://x/y.png'},"
     "'cache_control':{'type':'ephemeral'}},"
     "{'type':'image','source':{'type':'file','file_id':'file_1'}},"
     "{'type':'document','source':{'type':'base64','media_type':'application/pdf','data':'JVBE'},"
     "'title':'t'},"
     "{'type':'document','source':{'type':'text','media_type':'text/plain','data':'plain'}},"
     "{'type':'document','source':{'type':'url','url':'https://x/y.pdf'}}]},"
     "{'role':'assistant','content':[{'type':'thinking','thinking':'hm\\n','signature':'c2ln=='},"
     "{'type':'redacted_thinking','data':'ZW5j'},{'type':'text','text':'let me see'},"
     "{'type':'tool_use','id':'toolu_1','name':'f','input':{'a':1.0,'b':'\\u00e9'}},"
     "{'type':'tool_use','id':'toolu_2','name':'g','input':{}}]},"
     "{'role':'user','content':[{'type':'tool_result','tool_use_id':'toolu_1','content':'42'},"
     "{'type':'tool_result','tool_use_id':'toolu_2','content':[{'type':'text','text':'see'},"
     "{'type':'image','source':{'type':'base64','media_type':'image/gif','data':'R0lG'}}],"
     "'is_error':true,'cache_control':{'type':'ephemeral'}},"
     "{'type':'text','text':'go on'}]}]}",
     NULL},
    /* Strings, a system message between, what is empty, results behind a text. */
    {"{'max_tokens':1,'model':'m','system':'s','messages':[{'role':'user','content':'a'},"
     "{'role':'system','content':'mid'},{'role':'user','content':[{'type':'text','text':' \\n'}]},"
     "{'role':'assistant','content':[{'type':'text','text':''},"
     "{'type':'tool_use','id':'t','name':'f','input':{}}]},"
     "{'role':'user','content':[{'type':'text','text':'b'},"
     "{'type':'tool_result','tool_use_id':'t'}]},{'role':'assistant','content':''}]}",
     "{'model':'m','max_tokens':1,'system':[{'type':'text','text':'s'},"
     "{'type':'text','text':'mid'}],'tools':[{'name':'f','input_schema':{'type':'object',"
     "'properties':{}}}],'tool_choice':{'type':'none'},'messages':["
     "{'role':'user','content':[{'type':'text','text':'a'}]},"
     "{'role':'assistant','content':[{'type':'tool_use','id':'t','name':'f','input':{}}]},"
     "{'role':'user','content':[{'type':'tool_result','tool_use_id':'t'},"
     "{'type':'text','text':'b'}]}]}"},
    /* A document of blocks, the request's own cache_control, a schema. */
    {"{'model':'claude-opus-4-8','messages':[{'role':'user','content':[{'type':'document',"
     "'title':'T','source':{'type':'content','content':[{'type':'text','text':'one'},"
     "{'type':'image','source':{'type':'url','url':'u'}},{'type':'text','text':'two'}]}}]}],"
     "'cache_control':{'type':'ephemeral','ttl':'1h'},"
     "'output_config':{'effort':'max','format':{'type':'json_schema','schema':{'type':'object'}}},"
     "'thinking':{'type':'adaptive','display':'summarized'}}",
     "{'model':'claude-opus-4-8','max_tokens':8000,"
     "'thinking':{'type':'adaptive','display':'summarized'},"
     "'output_config':{'effort':'max','format':{'type':'json_schema','schema':{'type':'object'}}},"
     "'messages':[{'role':'user','content':[{'type':'document','source':{'type':'text',"
     "'media_type':'text/plain','data':'one'},'title':'T'},"
     "{'type':'image','source':{'type':'url','url':'u'}},{'type':'document','source':{'type':'text'"
     ","
     "'media_type':'text/plain','data':'two'},'title':'T',"
     "'cache_control':{'type':'ephemeral','ttl':'1h'}}]}]}"},
    /* Schemas as others take them. */
    {"{'model':'m','max_tokens':5,'tools':[{'name':'a','input_schema':{}},"
     "{'name':'b','input_schema':{'properties':{'x':{'type':'string'}},'required':['x']}},"
     "{'name':'c','input_schema':{'$schema':'u','type':'object'}}],"
     "'messages':[{'role':'user','content':'x'}]}",
     "{'model':'m','max_tokens':5,'tools':[{'name':'a','input_schema':{'type':'object'}},"
     "{'name':'b','input_schema':{'type':'object','properties':{'x':{'type':'string'}},"
     "'required':['x']}},{'name':'c','input_schema':{'$schema':'u','type':'object'}}],"
     "'messages':[{'role':'user','content':[{'type':'text','text':'x'}]}]}"},
    /* The conversation doesn't begin with the user. */
    {"{'model':'m','max_tokens':5,'messages':[{'role':'assistant','content':'Hello'}]}",
     "{'model':'m','max_tokens':5,'messages':[{'role':'user','content':'.'},"
     "{'role':'assistant','content':[{'type':'text','text':'Hello'}]}]}"},
};

static void model_of(char *mem, size_t cap)
{
    size_t n = 0;
    assert_int_equal(
        json_str_decode(&doc, json_get_lit(&doc, JSON_ROOT, "model"), mem, cap - 1, &n), 0);
    mem[n] = '\0';
}

static void test_requests(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        char model[64];
        assert_int_equal(read_request(requests[i].in, DIALECT_CHAT), 0);
        model_of(model, sizeof model);
        assert_int_equal(ir_link_tools(&req, &why), 0);
        assert_int_equal(ir_check_fields(&req, codec, &dropped, &why), 0);
        assert_int_equal(write_request(model), 0);
        assert_out(requests[i].out ? requests[i].out : requests[i].in);
        assert_dropped("");
        arena_reset(&arena);
    }
}

static void test_count_tokens(void **state)
{
    assert_int_equal(read_request("{'model':'claude-3-5-haiku-1','temperature':'?','system':'s',"
                                  "'messages':[{'role':'user','content':'a'}]}",
                                  DIALECT_COUNT_TOKENS),
                     0);
    assert_int_equal(write_request("m"), 0);
    assert_out("{'model':'m','system':[{'type':'text','text':'s'}],"
               "'messages':[{'role':'user','content':[{'type':'text','text':'a'}]}]}");
    parse(quoted("{'input_tokens':2095}"));
    ir_response_init(&res, &arena, DIALECT_COUNT_TOKENS);
    assert_int_equal(codec->read_response(&doc, &res), 0);
    assert_int_equal(res.usage.input_tokens, 2095);
    out.len = 0;
    assert_int_equal(codec->write_response(&res, &(struct codec_caller){0}, &out), 0);
    assert_out("{'input_tokens':2095}");
    parse(quoted("{'type':'error'}"));
    assert_int_equal(codec->read_response(&doc, &res), -1);
}

static void test_what_a_request_notes(void **state)
{
    static const enum ir_field expected[] = {
        IR_F_SYSTEM,
        IR_F_IMAGE_BASE64,
        IR_F_IMAGE_URL,
        IR_F_IMAGE_FILE_ID,
        IR_F_FILE_BASE64,
        IR_F_FILE_URL,
        IR_F_FILE_TEXT,
        IR_F_TOOLS,
        IR_F_TOOL_STRICT,
        IR_F_TOOL_CHOICE_TOOL,
        IR_F_PARALLEL_TOOLS,
        IR_F_TOOL_RESULT_ERROR,
        IR_F_TOOL_RESULT_IMAGE,
        IR_F_MAX_TOKENS,
        IR_F_TEMPERATURE,
        IR_F_TOP_K,
        IR_F_STOP,
        IR_F_REASONING,
        IR_F_REASONING_SIGNATURE,
        IR_F_CACHE_CONTROL,
        IR_F_USER,
        IR_F_SERVICE_TIER,
    };
    uint64_t fields = 0;
    assert_int_equal(read_request(requests[0].in, DIALECT_CHAT), 0);
    for (size_t i = 0; i < ARRAY_LEN(expected); i++)
        fields |= UINT64_C(1) << expected[i];
    assert_true(req.fields == fields);
    assert_true(req.stream && req.include_usage);
    assert_null(req.unknown);
    assert_true(ir_text_is(req.service_tier, SLICE_LIT("default")));
}

static void test_splits_results_from_text(void **state)
{
    assert_int_equal(
        read_request("{'model':'m','messages':[{'role':'user','content':["
                     "{'type':'tool_result','tool_use_id':'a'},{'type':'tool_result',"
                     "'tool_use_id':'b'},{'type':'text','text':'t'},{'type':'tool_result',"
                     "'tool_use_id':'c'}]}]}",
                     DIALECT_CHAT),
        0);
    struct ir_message *m = req.messages;
    assert_int_equal(m->role, IR_TOOL);
    assert_non_null(m->parts->next);
    assert_int_equal(m->next->role, IR_USER);
    assert_int_equal(m->next->next->role, IR_TOOL);
    assert_null(m->next->next->next);
}

static void test_reports_what_has_no_place(void **state)
{
    assert_int_equal(
        read_request("{'model':'m','container':'c','context_management':{},'metadata':{'x':1},"
                     "'top_p':null,'speed':null,'output_config':{'task_budget':{}},"
                     "'tools':[{'name':'f','input_schema':{},'defer_loading':true}],"
                     "'messages':[{'role':'user','content':[{'type':'document','source':{'type':"
                     "'url','url':'u'},'context':'c','citations':{'enabled':true}}]},"
                     "{'role':'assistant','content':[{'type':'server_tool_use','id':'s',"
                     "'name':'web_search','input':{}},{'type':'web_search_tool_result',"
                     "'tool_use_id':'s','content':[]},{'type':'text','text':'x','citations':"
                     "[{'type':'web_search_result_location','url':'u','title':'t','cited_text':"
                     "'c','encrypted_index':'e'}]}]}]}",
                     DIALECT_CHAT),
        0);
    assert_int_equal(ir_check_fields(&req, codec, &dropped, &why), 0);
    assert_dropped("messages[].content[].citations, container, context_management, "
                   "messages.0.content.0.context, messages.0.content.0.citations, "
                   "messages.1.content.0, messages.1.content.1, metadata.x, "
                   "output_config.task_budget, tools.0.defer_loading");
    assert_true(ir_text_is(req.last_message->parts->citations->url, SLICE_LIT("u")));
}

static const struct {
    const char *body, *param, *message;
} refusals[] = {
    {"{}", "messages", "messages: field required."},
    {"{'messages':null}", "messages", "messages: must be an array, not null."},
    {"{'messages':[]}", "messages", "messages: at least one message is required."},
    {"{'messages':[1]}", "messages.0", "messages.0: must be an object, not a number."},
    {"{'messages':[{'role':'tool','content':'x'}]}", "messages.0",
     "messages.0: role must be \"user\", \"assistant\" or \"system\"."},
    {"{'messages':[{'role':'user'}]}", "messages.0.content",
     "messages.0.content: must be a string or an array of blocks, not nothing."},
    {"{'messages':[{'role':'user','content':[1]}]}", "messages.0.content.0",
     "messages.0.content.0: must be an object, not a number."},
    {"{'messages':[{'role':'user','content':[{'type':'video'}]}]}", "messages.0.content.0",
     "messages.0.content.0: blocks of type \"video\" can't be sent to this model's provider from "
     "here."},
    {"{'messages':[{'role':'user','content':[{'type':'tool_use'}]}]}", "messages.0.content.0",
     "messages.0.content.0: blocks of type \"tool_use\" can't be sent to this model's provider "
     "from here."},
    {"{'messages':[{'role':'user','content':[{'type':'text','text':5}]}]}", "messages.0.content.0",
     "messages.0.content.0: text must be a string, not a number."},
    {"{'messages':[{'role':'user','content':[{'type':'image','source':{'type':'gopher'}}]}]}",
     "messages.0.content.0",
     "messages.0.content.0: source.type must be \"base64\", \"url\" or \"file\"."},
    {"{'messages':[{'role':'assistant','content':[{'type':'tool_use','id':'a','name':'f',"
     "'input':'{}'}]}]}",
     "messages.0.content.0", "messages.0.content.0: input must be an object."},
    {"{'messages':[{'role':'user','content':[{'type':'tool_result','tool_use_id':'a',"
     "'content':[{'type':'thinking'}]}]}]}",
     "messages.0.content.0.content.0",
     "messages.0.content.0.content.0: a tool result may hold text, image and document blocks "
     "only."},
    {"{'messages':[{'role':'user','content':[{'type':'text','text':'x','cache_control':"
     "{'type':'ephemeral','ttl':'2h'}}]}]}",
     "messages.0.content.0", "messages.0.content.0: ttl must be \"5m\" or \"1h\"."},
    {"{'messages':[{'role':'user','content':'x'}],'max_tokens':1.5}", "max_tokens",
     "max_tokens: must be an integer from 0 to 1000000000."},
    {"{'messages':[{'role':'user','content':'x'}],'temperature':'hot'}", "temperature",
     "temperature: must be a number, not a string."},
    {"{'messages':[{'role':'user','content':'x'}],'stop_sequences':[1]}", "stop_sequences",
     "stop_sequences: must be a string, not a number."},
    {"{'messages':[{'role':'user','content':'x'}],'stream':1}", "stream",
     "stream: must be a boolean, not a number."},
    {"{'messages':[{'role':'user','content':'x'}],'stream':true,'stream':true}", "stream",
     "stream: is given more than once."},
    {"{'messages':[{'role':'user','content':'x'}],'thinking':{'type':'enabled'}}",
     "thinking.budget_tokens", "thinking.budget_tokens: must be an integer, not nothing."},
    {"{'messages':[{'role':'user','content':'x'}],'thinking':{'type':'enabled',"
     "'budget_tokens':1000}}",
     "thinking.budget_tokens", "thinking.budget_tokens: must be 1024 or more."},
    {"{'messages':[{'role':'user','content':'x'}],'tool_choice':{'type':'required'}}",
     "tool_choice.type", "tool_choice.type: must be \"auto\", \"any\", \"tool\" or \"none\"."},
    {"{'messages':[{'role':'user','content':'x'}],'tools':[{'name':'f'}]}", "tools.0",
     "tools.0: input_schema is required."},
    {"{'messages':[{'role':'user','content':'x'}],'output_config':{'effort':'huge'}}",
     "output_config.effort",
     "output_config.effort: must be \"low\", \"medium\", \"high\", \"xhigh\" or \"max\"."},
    {"{'messages':[{'role':'user','content':'x'}],'inference_geo':'us'}", "inference_geo",
     "inference_geo: this model's provider can't be told where to run it."},
};

static void test_refusals(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        memset(&why, 0, sizeof why);
        assert_int_equal(read_request(refusals[i].body, DIALECT_CHAT), -1);
        assert_string_equal(why.message, refusals[i].message);
        assert_string_equal(why.param, refusals[i].param);
        arena_reset(&arena);
    }
}

/* Tools that the provider runs are carried by no other, this table included. */
static void test_server_tools(void **state)
{
    assert_int_equal(read_request("{'model':'m','messages':[{'role':'user','content':'x'}],"
                                  "'tools':[{'type':'web_search_20250305','name':'web_search'}]}",
                                  DIALECT_CHAT),
                     0);
    assert_true(ir_text_is(req.tools->hosted_type, SLICE_LIT("web_search_20250305")));
    assert_int_equal(ir_check_fields(&req, codec, &dropped, &why), -1);
    assert_string_equal(why.param, "tools[].type");
}

/* ---- thinking, effort, sampling by generation ---- */

#define ASK(members) "{'messages':[{'role':'user','content':'x'}],'max_tokens':10000," members "}"
#define SAID         ",'messages':[{'role':'user','content':[{'type':'text','text':'x'}]}]}"

static const struct {
    const char *model, *in, *out, *dropped;
} plans[] = {
    {"claude-opus-4-8", ASK("'output_config':{'effort':'low'}"),
     "'thinking':{'type':'adaptive'},'output_config':{'effort':'low'}", ""},
    {"us.anthropic.claude-opus-4-6-v1:0", ASK("'output_config':{'effort':'xhigh'}"),
     "'thinking':{'type':'adaptive'},'output_config':{'effort':'high'}", ""},
    {"claude-sonnet-5", ASK("'output_config':{'effort':'xhigh'}"),
     "'thinking':{'type':'adaptive'},'output_config':{'effort':'xhigh'}", ""},
    {"claude-sonnet-4-20250514", ASK("'output_config':{'effort':'low'}"),
     "'thinking':{'type':'enabled','budget_tokens':2000}", ""},
    {"claude-3-7-sonnet-20250219", ASK("'output_config':{'effort':'high'}"),
     "'thinking':{'type':'enabled','budget_tokens':8000}", ""},
    {"claude-opus-4-5", ASK("'output_config':{'effort':'max'}"),
     "'thinking':{'type':'enabled','budget_tokens':9500},'output_config':{'effort':'high'}", ""},
    {"claude-3-5-sonnet-latest", ASK("'output_config':{'effort':'low'}"), "",
     "output_config.effort"},
    {"kimi-k2", ASK("'output_config':{'effort':'medium'},'temperature':1.3"),
     "'thinking':{'type':'enabled','budget_tokens':5000}", "temperature"},
    {"claude-opus-4-8", ASK("'thinking':{'type':'enabled','budget_tokens':5000}"),
     "'thinking':{'type':'adaptive'},'output_config':{'effort':'medium'}", ""},
    {"claude-opus-4-6", ASK("'thinking':{'type':'enabled','budget_tokens':5000}"),
     "'thinking':{'type':'enabled','budget_tokens':5000}", ""},
    {"claude-sonnet-4-5", ASK("'thinking':{'type':'enabled','budget_tokens':20000}"),
     "'thinking':{'type':'enabled','budget_tokens':9999}", ""},
    {"claude-sonnet-4-5", ASK("'thinking':{'type':'disabled'}"), "'thinking':{'type':'disabled'}",
     ""},
    {"claude-3-haiku-1", ASK("'thinking':{'type':'disabled'}"), "", ""},
    {"claude-sonnet-4-5",
     ASK("'thinking':{'type':'enabled','budget_tokens':2000,'display':'omitted'},"
         "'temperature':0.2,'top_k':3,'top_p':0.9"),
     "'thinking':{'type':'enabled','budget_tokens':2000,'display':'omitted'}",
     "temperature, top_p, top_k"},
    {"claude-sonnet-4-5", ASK("'temperature':0.2,'top_p':0.9"), "'temperature':0.2", "top_p"},
    {"claude-sonnet-4-5", ASK("'temperature':1,'top_p':0.9"), "'top_p':0.9", ""},
    {"claude-sonnet-4-5", ASK("'temperature':0.2,'top_p':1.0"), "'temperature':0.2", ""},
    {"claude-sonnet-4-20250514", ASK("'temperature':1.7,'top_p':0.9"),
     "'temperature':1,'top_p':0.9", ""},
    {"claude-opus-4-8", ASK("'temperature':0.7,'top_p':1,'top_k':3"), "", "temperature, top_k"},
    {"claude-opus-4-8", ASK("'temperature':1.0"), "", ""},
    {"claude-mythos-preview", ASK("'output_config':{'effort':'max'}"),
     "'thinking':{'type':'adaptive'},'output_config':{'effort':'max'}", ""},
};

static void test_plans(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(plans); i++) {
        char expected[512];
        assert_int_equal(read_request(plans[i].in, DIALECT_CHAT), 0);
        assert_int_equal(write_request(plans[i].model), 0);
        snprintf(expected, sizeof expected, "{'model':'%s','max_tokens':10000%s%s" SAID,
                 plans[i].model, *plans[i].out ? "," : "", plans[i].out);
        assert_out(expected);
        assert_dropped(plans[i].dropped);
        arena_reset(&arena);
    }
}

/* A forced tool, and calls whose thinking the caller didn't keep, leave no room for a budget. */
static void test_thinking_gives_way(void **state)
{
    assert_int_equal(
        read_request(ASK("'output_config':{'effort':'low'},'tools':[{'name':'f','input_schema':"
                         "{}}],'tool_choice':{'type':'any'}"),
                     DIALECT_CHAT),
        0);
    assert_int_equal(write_request("claude-sonnet-4-5"), 0);
    assert_dropped("output_config.effort");
    assert_null(memmem(out.data, out.len, "thinking", 8));
    assert_int_equal(write_request("claude-opus-4-8"), 0);
    assert_dropped("");
    assert_null(memmem(out.data, out.len, "thinking", 8));
    assert_int_equal(
        read_request("{'max_tokens':9000,'messages':[{'role':'user','content':'x'},"
                     "{'role':'assistant','content':[{'type':'tool_use','id':'a','name':'f',"
                     "'input':{}}]},{'role':'user','content':[{'type':'tool_result',"
                     "'tool_use_id':'a'}]}],'output_config':{'effort':'low'}}",
                     DIALECT_CHAT),
        0);
    assert_int_equal(write_request("claude-sonnet-4-5"), 0);
    assert_dropped("output_config.effort");
    assert_int_equal(write_request("claude-opus-4-8"), 0);
    assert_dropped("");
    assert_non_null(memmem(out.data, out.len, "adaptive", 8));
}

static void test_budget_beyond_the_default_maximum(void **state)
{
    assert_int_equal(read_request("{'messages':[{'role':'user','content':'x'}],'thinking':"
                                  "{'type':'enabled','budget_tokens':16000}}",
                                  DIALECT_CHAT),
                     0);
    assert_int_equal(write_request("claude-sonnet-4-5"), 0);
    assert_out("{'model':'claude-sonnet-4-5','max_tokens':20096,"
               "'thinking':{'type':'enabled','budget_tokens':16000}" SAID);
}

/* ---- what only others say ---- */

static struct ir_part *add(enum ir_role role, enum ir_part_kind kind)
{
    struct ir_message *m = req.last_message;
    if (!m || m->role != role)
        m = ir_add_message(&req, role, m ? m->index + 1 : 0);
    struct ir_part *p = ir_add_part(&arena, &m->parts, kind);
    assert_non_null(p);
    return p;
}

static void add_text(enum ir_role role, const char *s)
{
    add(role, IR_PART_TEXT)->text = ir_plain(slice_str(s));
}

static void begin_foreign(void)
{
    ir_request_init(&req, &arena, DIALECT_CHAT);
    req.names = codec->fields;
    req.max_tokens = 9;
}

static void test_foreign_conversation(void **state)
{
    begin_foreign();
    add_text(IR_SYSTEM, "s");
    add_text(IR_USER, "q");
    add_text(IR_DEVELOPER, "d");
    add(IR_ASSISTANT, IR_PART_REASONING)->text = IR_LIT("unsigned");
    add(IR_ASSISTANT, IR_PART_REFUSAL)->text = IR_LIT("no");
    struct ir_part *call = add(IR_ASSISTANT, IR_PART_TOOL_CALL);
    call->call_id = IR_LIT("call:1");
    call->name = IR_LIT("f");
    call->arguments = (struct ir_text){SLICE_LIT("{\\\"a\\\":\\\"\\\\n\\\"}"), true};
    add_text(IR_USER, "wait");
    struct ir_part *result = add(IR_TOOL, IR_PART_TOOL_RESULT);
    result->call_id = IR_LIT("call:1");
    result->result_json = SLICE_LIT("{\"r\":1}");
    req.format = IR_FORMAT_JSON;
    req.parallel_tools = 0;
    req.tool_choice = IR_CHOICE_ANY; /* without tools neither can be said */
    assert_int_equal(ir_link_tools(&req, &why), 0);
    assert_int_equal(write_request("m"), 0);
    assert_out(
        "{'model':'m','max_tokens':9,'system':[{'type':'text','text':'s'},"
        "{'type':'text','text':'d'},{'type':'text','text':'Answer with one JSON object and "
        "nothing else.'}],'tools':[{'name':'f','input_schema':{'type':'object','properties':{}}}],"
        "'tool_choice':{'type':'none'},'messages':["
        "{'role':'user','content':[{'type':'text','text':'q'}]},"
        "{'role':'assistant','content':[{'type':'text','text':'no'},"
        "{'type':'tool_use','id':'call_1_5da20468','name':'f','input':{'a':'\\n'}}]},"
        "{'role':'user','content':[{'type':'tool_result','tool_use_id':'call_1_5da20468',"
        "'content':'{\\'r\\':1}'},{'type':'text','text':'wait'}]}]}");
    assert_dropped("messages[].content[].thinking");
}

static void test_system_alone(void **state)
{
    begin_foreign();
    add_text(IR_SYSTEM, "write a poem");
    assert_int_equal(write_request("m"), 0);
    assert_out("{'model':'m','max_tokens':9,'system':[{'type':'text','text':'write a poem'}],"
               "'messages':[{'role':'user','content':'.'}]}");
}

static void test_files_of_others(void **state)
{
    begin_foreign();
    struct ir_part *p = add(IR_USER, IR_PART_FILE);
    p->source = IR_SOURCE_BASE64;
    p->media_type = IR_LIT("text/markdown");
    p->filename = IR_LIT("a.md");
    p->data = IR_LIT("aGkgIsOpIg=="); /* hi "é" */
    assert_int_equal(write_request("m"), 0);
    assert_out("{'model':'m','max_tokens':9,'messages':[{'role':'user','content':[{'type':"
               "'document','source':{'type':'text','media_type':'text/plain','data':'hi "
               "\\'\xc3\xa9\\''},'title':'a.md'}]}]}");
    p->data = IR_LIT("no base64!");
    assert_int_equal(write_request("m"), -1);
    assert_string_equal(why.message, "messages[0]: a file's data is not valid base64.");
    p->media_type = IR_LIT("application/zip");
    assert_int_equal(write_request("m"), -1);
    assert_non_null(strstr(why.message, "a file must be a PDF or text"));
    p->kind = IR_PART_IMAGE;
    p->media_type = (struct ir_text){{NULL, 0}, false};
    assert_int_equal(write_request("m"), -1);
    assert_non_null(strstr(why.message, "needs its media type"));
}

static void test_values_that_cant_be_sent(void **state)
{
    begin_foreign();
    struct ir_part *call = add(IR_ASSISTANT, IR_PART_TOOL_CALL);
    call->call_id = call->name = IR_LIT("f");
    call->arguments = IR_LIT("[1]");
    assert_int_equal(write_request("m"), -1);
    assert_string_equal(why.message,
                        "messages[0]: the arguments of a tool call must be a JSON object.");
    begin_foreign();
    add(IR_SYSTEM, IR_PART_IMAGE);
    assert_int_equal(write_request("m"), -1);
    assert_string_equal(why.message, "messages: a system message may hold text only.");
}

static void test_allowed_tools_and_what_is_left_out(void **state)
{
    struct ir_text allowed[] = {IR_LIT("b")};
    begin_foreign();
    add_text(IR_USER, "q");
    ir_add_tool(&req)->name = IR_LIT("a");
    ir_add_tool(&req)->name = IR_LIT("b");
    req.allowed_tools = allowed;
    req.n_allowed_tools = 1;
    req.tool_choice = IR_CHOICE_ANY;
    req.service_tier = IR_LIT("flex");
    struct ir_text stop[] = {{SLICE_LIT("\\n\\n"), true}, IR_LIT("END"), IR_LIT("\n")};
    req.stop = stop;
    req.n_stop = ARRAY_LEN(stop);
    assert_int_equal(write_request("m"), 0);
    assert_out("{'model':'m','max_tokens':9,'stop_sequences':['END'],'tools':[{'name':'b',"
               "'input_schema':{'type':'object',"
               "'properties':{}}}],'tool_choice':{'type':'any'},'messages':[{'role':'user',"
               "'content':[{'type':'text','text':'q'}]}]}");
    assert_dropped("stop_sequences, service_tier");
}

static void test_every_field_has_a_row(void **state)
{
    for (unsigned f = 0; f < IR_FIELD_COUNT; f++) {
        const struct ir_field_row *row = &codec->fields[f];
        assert_int_not_equal(row->fate, IR_UNSTATED);
        assert_non_null(row->note);
        if (row->fate != IR_CARRIED)
            assert_true(row->note[0] != '\0');
    }
}

/* ---- whole answers ---- */

static const char whole[] =
    "{'id':'msg_1','type':'message','role':'assistant','model':'claude-x','content':["
    "{'type':'thinking','thinking':'hm','signature':'c2ln'},"
    "{'type':'redacted_thinking','data':'ZW5j'},"
    "{'type':'text','text':'\\u00e9 yes','citations':[{'type':'web_search_result_location',"
    "'cited_text':'c','url':'u','title':null,'encrypted_index':''}]},"
    "{'type':'tool_use','id':'toolu_1','name':'f','input':{'a':[1.0]}}],"
    "'stop_reason':'tool_use','stop_sequence':null,'usage':{'input_tokens':10,"
    "'cache_creation_input_tokens':30,'cache_read_input_tokens':200,'output_tokens':7,"
    "'output_tokens_details':{'thinking_tokens':3},'cache_creation':{"
    "'ephemeral_5m_input_tokens':20,'ephemeral_1h_input_tokens':10},'service_tier':'standard'}}";

static void test_response(void **state)
{
    static const struct codec_caller caller = {.request_id = SLICE_LIT("77")};
    parse(quoted(whole));
    ir_response_init(&res, &arena, DIALECT_CHAT);
    assert_int_equal(codec->read_response(&doc, &res), 0);
    assert_int_equal(res.usage.flags, USAGE_PRESENT);
    assert_int_equal(res.usage.input_tokens, 240);
    assert_int_equal(res.usage.cached_tokens, 200);
    assert_int_equal(res.usage.cache_write_tokens, 30);
    assert_int_equal(res.usage.cache_write_1h_tokens, 10);
    assert_int_equal(res.usage.output_tokens, 7);
    assert_int_equal(res.usage.reasoning_tokens, 3);
    assert_int_equal(res.choices->finish, IR_FINISH_TOOL_CALLS);
    assert_int_equal(codec->write_response(&res, &caller, &out), 0);
    assert_out(whole);
}

static void test_response_of_others(void **state)
{
    static const struct codec_caller caller = {.request_id = SLICE_LIT("77"),
                                               .model = {SLICE_LIT("alias"), false}};
    ir_response_init(&res, &arena, DIALECT_CHAT);
    struct ir_choice *c = ir_add_choice(&res, 0);
    ir_add_part(&arena, &c->parts, IR_PART_TEXT)->text = IR_LIT("");
    struct ir_part *call = ir_add_part(&arena, &c->parts, IR_PART_TOOL_CALL);
    call->call_id = IR_LIT("c1");
    call->name = IR_LIT("f");
    call->arguments = (struct ir_text){SLICE_LIT("{\\\"a\\\": 1}"), true};
    call->signature = IR_LIT("a+b/");
    c->finish = IR_FINISH_STOP;
    res.usage =
        (struct dialect_usage){.flags = USAGE_PRESENT, .input_tokens = 5, .total_tokens = -1};
    assert_int_equal(codec->write_response(&res, &caller, &out), 0);
    assert_out("{'id':'msg_77','type':'message','role':'assistant','model':'alias','content':["
               "{'type':'tool_use','id':'c1_gwSigned_a-b_','name':'f','input':{'a': 1}}],"
               "'stop_reason':'tool_use','stop_sequence':null,'usage':{'input_tokens':5,"
               "'cache_creation_input_tokens':0,'cache_read_input_tokens':0,'output_tokens':0,"
               "'cache_creation':{'ephemeral_5m_input_tokens':0,'ephemeral_1h_input_tokens':0},"
               "'service_tier':'standard'}}");
    call->arguments = IR_LIT("{");
    assert_int_equal(codec->write_response(&res, &caller, &out), -1);
}

static void test_stop_reasons(void **state)
{
    static const struct {
        const char *word;
        enum ir_finish finish;
    } cases[] = {
        {"end_turn", IR_FINISH_STOP},
        {"max_tokens", IR_FINISH_LENGTH},
        {"stop_sequence", IR_FINISH_STOP_SEQUENCE},
        {"tool_use", IR_FINISH_TOOL_CALLS},
        {"pause_turn", IR_FINISH_PAUSE},
        {"refusal", IR_FINISH_REFUSAL},
        {"model_context_window_exceeded", IR_FINISH_CONTEXT},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char body[64];
        snprintf(body, sizeof body, "'%s'", cases[i].word);
        parse(quoted(body));
        assert_int_equal(anthropic_finish(&doc, JSON_ROOT), cases[i].finish);
        assert_string_equal(anthropic_stop_reason(cases[i].finish, false), cases[i].word);
    }
    parse(quoted("'brand_new'"));
    assert_int_equal(anthropic_finish(&doc, JSON_ROOT), IR_FINISH_OTHER);
    assert_string_equal(anthropic_stop_reason(IR_FINISH_CONTENT_FILTER, false), "refusal");
    assert_string_equal(anthropic_stop_reason(IR_FINISH_OTHER, false), "end_turn");
    assert_string_equal(anthropic_stop_reason(IR_FINISH_LENGTH, true), "max_tokens");
}

static void test_odd_usage(void **state)
{
    static const struct {
        const char *body;
        unsigned flags;
    } cases[] = {
        {"{'content':[]}", 0},
        {"{'content':[],'usage':null}", 0},
        {"{'content':[],'usage':{'input_tokens':1}}", 0},
        {"{'content':[],'usage':{'input_tokens':0,'output_tokens':0}}", USAGE_PRESENT | USAGE_ZERO},
        {"{'content':[],'usage':{'input_tokens':-1,'output_tokens':0}}", USAGE_ODD},
        {"{'content':[],'usage':{'input_tokens':1.5,'output_tokens':0}}", USAGE_ODD},
        {"{'content':[],'usage':{'input_tokens':'1','output_tokens':0}}", USAGE_ODD},
        {"{'content':[],'usage':7}", USAGE_ODD},
        {"{'content':[],'usage':{'input_tokens':1,'output_tokens':1},'usage':{}}", USAGE_ODD},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        parse(quoted(cases[i].body));
        ir_response_init(&res, &arena, DIALECT_CHAT);
        assert_int_equal(codec->read_response(&doc, &res), 0);
        assert_int_equal(res.usage.flags, cases[i].flags);
    }
}

/* ---- streams ---- */

struct relay {
    void *writer;
    struct codec_caller caller;
    char log[2048];
};

static void take(void *ctx, const struct ir_event *ev)
{
    struct relay *r = ctx;
    size_t n = strlen(r->log);
    snprintf(r->log + n, sizeof r->log - n, "%s ", ir_event_name(ev->kind));
    assert_int_equal(codec->write_event(r->writer, &r->caller, ev, &out), 0);
}

static struct relay relay;

static void relay_begin(void)
{
    memset(&relay, 0, sizeof relay);
    relay.caller.request_id = SLICE_LIT("77");
    relay.writer = calloc(1, codec->writer_bytes);
}

static void relay_end(void)
{
    codec->writer_fini(relay.writer);
    free(relay.writer);
}

/* Runs over whole frames; -1 as soon as one can't be read. */
static int run_stream(void *reader, struct slice s)
{
    while (s.n) {
        const char *end = memmem(s.p, s.n, "\n\n", 2), *data = memmem(s.p, s.n, "data: ", 6);
        struct slice type = slice_of(s.p + 7, (size_t)(data - s.p) - 8);
        struct slice json = slice_of(data + 6, (size_t)(end - data) - 6);
        bool ok = json_parse(&doc, json.p, json.n) == 0;
        if (codec->read_event(reader, ok ? &doc : NULL, type, json, take, &relay) < 0)
            return -1;
        s.n -= (size_t)(end + 2 - s.p);
        s.p = end + 2;
    }
    return 0;
}

#define EVENT(type, rest) "event: " type "\ndata: {'type':'" type "'" rest "}\n\n"
#define BEGIN                                                                                      \
    EVENT("message_start",                                                                         \
          ",'message':{'id':'msg_1','type':'message','role':'assistant','model':'claude-x',"       \
          "'content':[],'stop_reason':null,'stop_sequence':null,'usage':{'input_tokens':10,"       \
          "'cache_creation_input_tokens':0,'cache_read_input_tokens':5,'output_tokens':1,"         \
          "'cache_creation':{'ephemeral_5m_input_tokens':0,'ephemeral_1h_input_tokens':0},"        \
          "'service_tier':'standard'}}")
#define STOP(i)     EVENT("content_block_stop", ",'index':" #i)
#define DELTA(i, d) EVENT("content_block_delta", ",'index':" #i ",'delta':{" d "}")
#define START(i, b) EVENT("content_block_start", ",'index':" #i ",'content_block':{" b "}")

static const char stream[] =
    BEGIN EVENT("ping", "") START(0, "'type':'thinking','thinking':'','signature':''")
        DELTA(0, "'type':'thinking_delta','thinking':'hm \\n'") DELTA(
            0, "'type':'signature_delta','signature':'c2ln'") STOP(0)
            START(1, "'type':'redacted_thinking','data':'ZW5j'") STOP(1) START(
                2, "'type':'text','text':''") DELTA(2, "'type':'text_delta','text':'h\\u00e9'")
                DELTA(2, "'type':'citations_delta','citation':{'type':'web_search_result_location',"
                         "'cited_text':'c','url':'u','title':'t','encrypted_index':''}") STOP(2)
                    START(3, "'type':'tool_use','id':'toolu_1','name':'f','input':{}") DELTA(
                        3, "'type':'input_json_delta','partial_json':'{\\'a'")
                        DELTA(3, "'type':'input_json_delta','partial_json':'\\':1}'") STOP(3) START(
                            4, "'type':'tool_use','id':'toolu_2','name':'g','input':{}") STOP(4)
                            EVENT("message_delta",
                                  ",'delta':{'stop_reason':'tool_use','stop_sequence':null},"
                                  "'usage':{'input_tokens':10,'cache_creation_input_tokens':0,"
                                  "'cache_read_input_tokens':5,'output_tokens':20}")
                                EVENT("message_stop", "");

static void test_stream(void **state)
{
    void *reader = calloc(1, codec->reader_bytes);
    relay_begin();
    assert_int_equal(run_stream(reader, quoted(stream)), 0);
    assert_int_equal(codec->read_end(reader, take, &relay), 0);
    assert_out(stream);
    assert_string_equal(relay.log,
                        "START PING PART_START DELTA SIGNATURE PART_END PART_START SIGNATURE "
                        "PART_END PART_START DELTA CITATION PART_END PART_START DELTA DELTA "
                        "PART_END PART_START PART_END FINISH END ");
    relay_end();
    free(reader);
}

/* Unknown blocks, deltas and events, usage in pieces, a server that stops without message_stop. */
static void test_stream_of_others(void **state)
{
    static const char in[] = BEGIN EVENT("news", "") START(0, "'type':'server_tool_use','id':'s'")
        DELTA(0, "'type':'input_json_delta','partial_json':'{}'") STOP(0)
            START(1, "'type':'text','text':''") DELTA(1, "'type':'text_delta','text':''") STOP(1)
                START(2, "'type':'tool_use','id':'t','name':'f','input':{'a':1}") STOP(2)
                    EVENT("message_delta",
                          ",'delta':{'stop_reason':'stop_sequence','stop_sequence':'\\n'},"
                          "'usage':{'output_tokens':20}");
    static const char expected[] =
        BEGIN START(0, "'type':'tool_use','id':'t','name':'f','input':{}")
            DELTA(0, "'type':'input_json_delta','partial_json':'{\\'a\\':1}'") STOP(0)
                EVENT("message_delta",
                      ",'delta':{'stop_reason':'stop_sequence','stop_sequence':'\\n'},"
                      "'usage':{'input_tokens':10,'cache_creation_input_tokens':0,"
                      "'cache_read_input_tokens':5,'output_tokens':20}") EVENT("message_stop", "");
    void *reader = calloc(1, codec->reader_bytes);
    relay_begin();
    assert_int_equal(run_stream(reader, quoted(in)), 0);
    assert_int_equal(codec->read_end(reader, take, &relay), 0);
    assert_out(expected);
    relay_end();
    free(reader);
}

static void test_broken_streams(void **state)
{
    static const char *const streams[] = {
        EVENT("message_start", ""),
        START(0, "'type':'text','text':''") START(1, "'type':'text','text':''"),
        DELTA(0, "'type':'text_delta','text':'x'"),
        START(0, "'type':'text','text':''") DELTA(1, "'type':'text_delta','text':'x'"),
        STOP(0),
        EVENT("message_stop", ""),
        "event: ping\ndata: no\n\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
        void *reader = calloc(1, codec->reader_bytes);
        relay_begin();
        assert_int_equal(run_stream(reader, quoted(streams[i])), -1);
        assert_int_equal(codec->read_end(reader, take, &relay), -1);
        relay_end();
        free(reader);
    }
}

static void test_error_in_a_stream(void **state)
{
    static const char in[] =
        BEGIN EVENT("error", ",'error':{'type':'overloaded_error','message':'Over\\u006coaded'}")
            EVENT("ping", "");
    static const char expected[] =
        BEGIN EVENT("error", ",'error':{'type':'overloaded_error','message':'Over\\u006coaded'},"
                             "'request_id':'77'");
    void *reader = calloc(1, codec->reader_bytes);
    relay_begin();
    assert_int_equal(run_stream(reader, quoted(in)), 0);
    assert_out(expected);
    assert_int_equal(codec->read_end(reader, take, &relay), -1);
    relay_end();
    free(reader);
}

/* As other dialects come: signatures in pieces, parts without content, usage behind the finish,
 * no usage at the start. */
static void test_writes_what_others_emit(void **state)
{
    static const struct dialect_usage late = {
        .flags = USAGE_PRESENT, .input_tokens = 9, .cached_tokens = 4, .output_tokens = 3};
    static const struct ir_event events[] = {
        {.kind = IR_EV_START, .model = {SLICE_LIT("m"), false}},
        {.kind = IR_EV_PART_START, .part_kind = IR_PART_TEXT},
        {.kind = IR_EV_PART_END},
        {.kind = IR_EV_PART_START, .part = 1, .part_kind = IR_PART_REASONING},
        {.kind = IR_EV_SIGNATURE, .part = 1, .text = {SLICE_LIT("a\""), false}, .appends = true},
        {.kind = IR_EV_SIGNATURE, .part = 1, .text = {SLICE_LIT("b"), true}, .appends = true},
        {.kind = IR_EV_PART_END, .part = 1},
        {.kind = IR_EV_PART_START, .part = 2, .part_kind = IR_PART_IMAGE},
        {.kind = IR_EV_DELTA, .part = 2, .text = {SLICE_LIT("aGk="), false}},
        {.kind = IR_EV_PART_END, .part = 2},
        {.kind = IR_EV_PART_START, .choice = 1, .part_kind = IR_PART_TEXT},
        {.kind = IR_EV_PART_START,
         .part = 3,
         .part_kind = IR_PART_TOOL_CALL,
         .call_id = {SLICE_LIT("x y"), false},
         .name = {SLICE_LIT("f"), false}},
        {.kind = IR_EV_PART_END, .part = 3},
        {.kind = IR_EV_FINISH, .finish = IR_FINISH_STOP},
        {.kind = IR_EV_USAGE, .usage = &late},
        {.kind = IR_EV_END},
        {.kind = IR_EV_END},
    };
    relay_begin();
    for (size_t i = 0; i < ARRAY_LEN(events); i++)
        take(&relay, &events[i]);
    assert_out(
        EVENT("message_start",
              ",'message':{'id':'msg_77','type':'message','role':'assistant','model':'m',"
              "'content':[],'stop_reason':null,'stop_sequence':null,'usage':{'input_tokens':0,"
              "'cache_creation_input_tokens':0,'cache_read_input_tokens':0,'output_tokens':0,"
              "'cache_creation':{'ephemeral_5m_input_tokens':0,'ephemeral_1h_input_tokens':0},"
              "'service_tier':'standard'}}")
            START(0, "'type':'thinking','thinking':'','signature':''")
                DELTA(0, "'type':'signature_delta','signature':'a\\'b'") STOP(0)
                    START(1, "'type':'tool_use','id':'x_y_7f2b3af4','name':'f','input':{}") STOP(1)
                        EVENT("message_delta",
                              ",'delta':{'stop_reason':'tool_use','stop_sequence':null},"
                              "'usage':{'input_tokens':5,'cache_creation_input_tokens':0,"
                              "'cache_read_input_tokens':4,'output_tokens':3}")
                            EVENT("message_stop", ""));
    relay_end();
}

/* ---- errors ---- */

static void test_reads_errors(void **state)
{
#define ERR(type, message) "{'type':'error','error':{'type':'" type "','message':'" message "'}}"
    static const struct {
        int status;
        const char *body;
        enum dialect_fault fault;
    } cases[] = {
        {400, ERR("invalid_request_error", "x"), DIALECT_FAULT_INVALID_REQUEST},
        {400, ERR("invalid_request_error", "Your credit balance is too low to access the API."),
         DIALECT_FAULT_QUOTA},
        {400, ERR("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
         DIALECT_FAULT_CONTEXT_LENGTH},
        {400,
         ERR("invalid_request_error", "input length and `max_tokens` exceed context limit: 1 + 2"),
         DIALECT_FAULT_CONTEXT_LENGTH},
        {400, ERR("invalid_request_error", "Output blocked by content filtering policy"),
         DIALECT_FAULT_CONTENT_POLICY},
        {401, ERR("authentication_error", "invalid x-api-key"), DIALECT_FAULT_INVALID_KEY},
        {402, ERR("billing_error", "x"), DIALECT_FAULT_QUOTA},
        {403, ERR("permission_error", "x"), DIALECT_FAULT_PERMISSION},
        {404, ERR("not_found_error", "model: x"), DIALECT_FAULT_MODEL_NOT_FOUND},
        {413, ERR("request_too_large", "x"), DIALECT_FAULT_INVALID_REQUEST},
        {429, ERR("rate_limit_error", "x"), DIALECT_FAULT_RATE_LIMIT},
        {500, ERR("api_error", "x"), DIALECT_FAULT_SERVER},
        {504, ERR("timeout_error", "x"), DIALECT_FAULT_TIMEOUT},
        {529, ERR("overloaded_error", "Overloaded"), DIALECT_FAULT_OVERLOADED},
        {529, "<html>", DIALECT_FAULT_OVERLOADED},
        {502, "", DIALECT_FAULT_SERVER},
        {429, "{'error':'no'}", DIALECT_FAULT_RATE_LIMIT},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(anthropic_read_error(&doc, cases[i].status, quoted(cases[i].body)),
                         cases[i].fault);
}

static void test_writes_errors(void **state)
{
    struct dialect_error e = {.message = SLICE_LIT("no \"x\""),
                              .type = anthropic_error_type(402, NULL)};
    struct json_writer w;
    size_t n;
    jw_init_buf(&w, &out);
    anthropic_write_error(&w, &e);
    assert_int_equal(jw_finish(&w, &n), 0);
    assert_out("{'type':'error','error':{'type':'billing_error','message':'no \\'x\\''}}");
    out.len = 0;
    assert_int_equal(anthropic_write_stream_error(&out, &e), 0);
    assert_out("event: error\ndata: {'type':'error','error':{'type':'billing_error','message':"
               "'no \\'x\\''}}\n\n");
    assert_string_equal(anthropic_error_type(503, NULL), "overloaded_error");
    assert_string_equal(anthropic_error_type(502, NULL), "api_error");
    assert_string_equal(anthropic_error_type(422, NULL), "invalid_request_error");
    assert_string_equal(anthropic_fault_type(DIALECT_FAULT_CONTEXT_LENGTH),
                        "invalid_request_error");
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_requests),
        TEST(test_count_tokens),
        TEST(test_what_a_request_notes),
        TEST(test_splits_results_from_text),
        TEST(test_reports_what_has_no_place),
        TEST(test_refusals),
        TEST(test_server_tools),
        TEST(test_plans),
        TEST(test_thinking_gives_way),
        TEST(test_budget_beyond_the_default_maximum),
        TEST(test_foreign_conversation),
        TEST(test_system_alone),
        TEST(test_files_of_others),
        TEST(test_values_that_cant_be_sent),
        TEST(test_allowed_tools_and_what_is_left_out),
        TEST(test_every_field_has_a_row),
        TEST(test_response),
        TEST(test_response_of_others),
        TEST(test_stop_reasons),
        TEST(test_odd_usage),
        TEST(test_stream),
        TEST(test_stream_of_others),
        TEST(test_broken_streams),
        TEST(test_error_in_a_stream),
        TEST(test_writes_what_others_emit),
        TEST(test_reads_errors),
        TEST(test_writes_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
