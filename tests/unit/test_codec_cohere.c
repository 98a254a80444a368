/*
 * test_codec_cohere.c: the Cohere dialect to and from the internal form, by itself and through the
 * dialect of OpenAI.
 *
 * Documents are written with ' for ", which no text here needs otherwise.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gatewayd/dialect/cohere.h"
#include "gatewayd/dialect/meter.h"

#include "tests/unit/codec_fixture.h"

static char text[65536], want[65536];

static const char *quoted_into(char *to, size_t size, const char *s)
{
    assert_true(strlen(s) < size);
    for (size_t i = 0; i <= strlen(s); i++)
        to[i] = s[i] == '\'' ? '"' : s[i];
    return to;
}

static const char *quoted(const char *s)
{
    return quoted_into(text, sizeof text, s);
}

static void assert_text(const char *got, const char *expected)
{
    assert_string_equal(got, quoted_into(want, sizeof want, expected));
}

/* ---- requests ---- */

static const struct {
    const struct codec *from, *to;
    const char *in, *out;
} requests[] = {
    /* All that both sides of the dialect know. */
    {&codec_cohere, &codec_cohere,
     "{'model':'m','stream':true,'max_tokens':100,'temperature':0.50,'p':0.9,'k':5,'seed':7,"
     "'frequency_penalty':0.25,'stop_sequences':['a','b'],'logprobs':true,"
     "'thinking':{'type':'enabled','token_budget':500},'strict_tools':true,"
     "'tools':[{'type':'function','function':{'name':'f','description':'d','parameters':"
     "{'type':'object','x-y':[1.50]}}}],'tool_choice':'REQUIRED','messages':["
     "{'role':'system','content':'be \\u0062rief'},"
     "{'role':'user','content':[{'type':'text','text':'hi \\uD83D\\uDE00'},"
     "{'type':'image_url','image_url':{'url':'data:image/png;base64,aGk=','detail':'low'}},"
     "{'type':'image_url','image_url':{'url':'https://x/y.png'}}]},"
     "{'role':'assistant','content':[{'type':'thinking','thinking':'hm'}],'tool_plan':'I will.',"
     "'tool_calls':[{'id':'f_1','type':'function','function':{'name':'f','arguments':"
     "'{\\u0022a\\u0022:1}'}},{'id':'f_2','type':'function','function':{'name':'f',"
     "'arguments':''}}]},"
     "{'role':'tool','tool_call_id':'f_1','content':'42'},"
     "{'role':'tool','tool_call_id':'f_2','content':[{'type':'document','document':"
     "{'data':{'a':1}}}]},{'role':'assistant','content':[{'type':'text','text':'done'}]},"
     "{'role':'user','content':'and?'}]}",
     "{'model':'up','stream':true,'max_tokens':100,'temperature':0.50,'p':0.9,'k':5,'seed':7,"
     "'frequency_penalty':0.25,'thinking':{'type':'enabled','token_budget':500},"
     "'stop_sequences':['a','b'],'logprobs':true,'tools':[{'type':'function','function':"
     "{'name':'f','description':'d','parameters':{'type':'object','x-y':[1.50]}}}],"
     "'strict_tools':true,'tool_choice':'REQUIRED','messages':["
     "{'role':'system','content':[{'type':'text','text':'be \\u0062rief'}]},"
     "{'role':'user','content':[{'type':'text','text':'hi \\uD83D\\uDE00'},"
     "{'type':'image_url','image_url':{'url':'data:image/png;base64,aGk=','detail':'low'}},"
     "{'type':'image_url','image_url':{'url':'https://x/y.png'}}]},"
     "{'role':'assistant','content':[{'type':'thinking','thinking':'hm'}],'tool_plan':'I will.',"
     "'tool_calls':[{'id':'f_1','type':'function','function':{'name':'f','arguments':"
     "'{\\u0022a\\u0022:1}'}},{'id':'f_2','type':'function','function':{'name':'f',"
     "'arguments':'{}'}}]},"
     "{'role':'tool','tool_call_id':'f_1','content':'42'},"
     "{'role':'tool','tool_call_id':'f_2','content':'{\\'a\\':1}'},"
     "{'role':'assistant','content':'done'},{'role':'user','content':'and?'}]}"},
    /* Systems are joined in front, empty turns left out, numbers kept within their bounds. */
    {&codec_openai_chat, &codec_cohere,
     "{'model':'m','temperature':1.5,'top_p':1,'top_k':900,'presence_penalty':-0.5,"
     "'frequency_penalty':0,'seed':-3,'user':'u','messages':[{'role':'user','content':'a'},"
     "{'role':'developer','content':'s1'},{'role':'assistant','content':''},"
     "{'role':'user','content':[{'type':'text','text':''}]},{'role':'system','content':'s2'},"
     "{'role':'user','content':'b','name':'n'}]}",
     "{'model':'up','temperature':1,'p':0.99,'k':500,'messages':[{'role':'system','content':["
     "{'type':'text','text':'s1'},{'type':'text','text':'s2'}]},{'role':'user','content':'a'},"
     "{'role':'user','content':'b'}]} | dropped: messages[].name, user, seed, presence_penalty"},
    {&codec_openai_chat, &codec_cohere,
     "{'model':'m','presence_penalty':0.5,'frequency_penalty':1.5,'messages':[{'role':'user',"
     "'content':'a'}]}",
     "{'model':'up','frequency_penalty':1,'messages':[{'role':'user','content':'a'}]} | dropped: "
     "presence_penalty"},
    /* A named tool is the only one that is sent; some are strict, so none is said to be. */
    {&codec_openai_chat, &codec_cohere,
     "{'model':'m','tools':[{'type':'function','function':{'name':'f','strict':true}},"
     "{'type':'function','function':{'name':'g'}}],'tool_choice':{'type':'function','function':"
     "{'name':'g'}},'messages':[{'role':'user','content':'a'}]}",
     "{'model':'up','tools':[{'type':'function','function':{'name':'g','parameters':{'type':"
     "'object','properties':{}}}}],'tool_choice':'REQUIRED','messages':[{'role':'user','content':"
     "'a'}]}"},
    {&codec_openai_chat, &codec_cohere,
     "{'model':'m','tools':[{'type':'function','function':{'name':'f','strict':true}},"
     "{'type':'function','function':{'name':'g'}}],'tool_choice':'none','messages':[{'role':"
     "'user','content':'a'}]}",
     "{'model':'up','tools':[{'type':'function','function':{'name':'f','parameters':{'type':"
     "'object','properties':{}}}},{'type':'function','function':{'name':'g','parameters':{'type':"
     "'object','properties':{}}}}],'tool_choice':'NONE','messages':[{'role':'user','content':'a'}]}"
     " | dropped: tools[].function.strict"},
    {&codec_openai_chat, &codec_cohere,
     "{'model':'m','reasoning_effort':'none','messages':[{'role':'user','content':'a'}]}",
     "{'model':'up','thinking':{'type':'disabled'},'messages':[{'role':'user','content':'a'}]}"},
    {&codec_openai_chat, &codec_cohere,
     "{'model':'m','reasoning_effort':'low','messages':[{'role':'user','content':'a'}]}",
     "{'model':'up','thinking':{'type':'enabled','token_budget':2048},'messages':[{'role':'user',"
     "'content':'a'}]}"},
    {&codec_openai_chat, &codec_cohere,
     "{'model':'m','response_format':{'type':'json_schema','json_schema':{'name':'n','schema':"
     "{'type':'object'}}},'messages':[{'role':'user','content':'a'}]}",
     "{'model':'up','response_format':{'type':'json_object','json_schema':{'type':'object'}},"
     "'messages':[{'role':'user','content':'a'}]}"},
    /* What was said beside calls; a result that holds nothing; a signed call. */
    {&codec_openai_chat, &codec_cohere,
     "{'model':'m','messages':[{'role':'user','content':'a'},{'role':'assistant','content':"
     "[{'type':'text','text':'I '},{'type':'text','text':'\\u0077ill.'}],'tool_calls':[{'id':"
     "'c_gwSigned_c2ln','type':'function','function':{'name':'f','arguments':'{}'}}]},"
     "{'role':'tool','tool_call_id':'c_gwSigned_c2ln','content':''}]}",
     "{'model':'up','messages':[{'role':'user','content':'a'},{'role':'assistant','tool_plan':"
     "'I \\u0077ill.','tool_calls':[{'id':'c','type':'function','function':{'name':'f',"
     "'arguments':'{}'}}]},{'role':'tool','tool_call_id':'c','content':'{}'}]}"},
    /* As others get it. */
    {&codec_cohere, &codec_openai_chat,
     "{'model':'m','p':0.9,'stop_sequences':['x'],'response_format':{'type':'json_object',"
     "'json_schema':{'type':'object'}},'safety_mode':'STRICT','citation_options':{'mode':'FAST'},"
     "'documents':['one',{'id':'d','data':{'text':'two'}}],'messages':[{'role':'user','content':"
     "'a'},{'role':'assistant','tool_plan':'p','tool_calls':[{'id':'1','type':'function',"
     "'function':{'name':'f','arguments':'{}'}}]},{'role':'tool','tool_call_id':'1','content':["
     "{'type':'text','text':'x'},{'type':'document','document':{'data':'y','id':'i'}}]},"
     "{'role':'user','content':'b'}]}",
     "{'model':'up','messages':[{'role':'user','content':'a'},{'role':'assistant','content':'p',"
     "'tool_calls':[{'id':'1','type':'function','function':{'name':'f','arguments':'{}'}}]},"
     "{'role':'tool','tool_call_id':'1','content':[{'type':'text','text':'x'},{'type':'text',"
     "'text':'y'}]},{'role':'user','content':[{'type':'text','text':'one'},{'type':'text','text':"
     "'{\\'text\\':\\'two\\'}'},{'type':'text','text':'b'}]}],'top_p':0.9,'stop':['x'],"
     "'response_format':{'type':'json_schema','json_schema':{'name':'response','schema':{'type':"
     "'object'},'strict':true}}} | dropped: safety_mode, citation_options"},
    /* Thinking that another provider has signed comes back signed. */
    {&codec_cohere, &codec_anthropic,
     "{'model':'m','max_tokens':9,'messages':[{'role':'user','content':'a'},{'role':'assistant',"
     "'content':[{'type':'thinking','thinking':'t','signature':'c2ln'},{'type':'text','text':'b'}]}"
     ",{'role':'user',"
     "'content':'c'}]}",
     "{'model':'up','max_tokens':9,'messages':[{'role':'user','content':[{'type':'text','text':"
     "'a'}]},{'role':'assistant','content':[{'type':'thinking','thinking':'t','signature':'c2ln'},"
     "{'type':'text','text':'b'}]},{'role':'user',"
     "'content':[{'type':'text','text':'c'}]}]}"},
};

static void test_requests(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(requests); i++)
        assert_text(codec_request(requests[i].from, requests[i].to, quoted(requests[i].in), 0),
                    requests[i].out);
}

#define HI "'messages':[{'role':'user','content':'a'}]"
static const struct {
    const struct codec *from;
    const char *in, *refusal;
} refused[] = {
    {&codec_cohere, "{'model':'m'}", "messages: invalid request: messages: is required."},
    {&codec_cohere, "{'messages':[]}",
     "messages: invalid request: messages: at least one message is required."},
    {&codec_cohere, "{'messages':[{'role':'x'}]}",
     "messages[0]: invalid request: messages[0]: role must be 'user', 'assistant', 'system' or "
     "'tool'."},
    {&codec_cohere, "{'messages':[{'role':'user','content':[{'type':'video'}]}]}",
     "messages[0].content[0]: invalid request: messages[0].content[0]: type isn't one that a "
     "message of this role may hold."},
    {&codec_cohere, "{'messages':[{'role':'user','content':5}]}",
     "messages[0].content: invalid request: messages[0].content: must be a string or an array, "
     "not a number."},
    {&codec_cohere,
     "{'messages':[{'role':'user','content':[{'type':'image_url','image_url':{'url':'data:x'}}]}]}",
     "messages[0].content[0].image_url.url: invalid request: messages[0].content[0].image_url.url: "
     "a data: URL must be of the form data:TYPE;base64,DATA."},
    {&codec_cohere, "{'messages':[{'role':'tool','content':'x'}]}",
     "messages[0]: invalid request: messages[0]: tool_call_id is required."},
    {&codec_cohere, "{" HI ",'p':'x'}", "p: invalid request: p: must be a number, not a string."},
    {&codec_cohere, "{" HI ",'p':1,'p':2}", ": invalid request: p is given more than once."},
    {&codec_cohere, "{" HI ",'tool_choice':'auto'}",
     "tool_choice: invalid request: tool_choice: must be 'REQUIRED' or 'NONE'."},
    {&codec_cohere, "{" HI ",'tools':[{'type':'function','function':{}}]}",
     "tools[0]: invalid request: tools[0]: function.name is required."},
    {&codec_cohere, "{" HI ",'thinking':{'type':'maybe'}}",
     "thinking: invalid request: thinking: type must be 'enabled' or 'disabled'."},
    {&codec_cohere, "{" HI ",'response_format':{'type':'xml'}}",
     "response_format: invalid request: response_format: type must be 'text', without a schema, "
     "or 'json_object'."},
    {&codec_cohere, "{" HI ",'documents':[{'id':'x'}]}",
     "documents[0]: invalid request: documents[0]: data is required."},
    {&codec_openai_chat, "{" HI ",'model':'m','stop':['1','2','3','4','5','6']}",
     "stop: invalid request: stop: this model's provider takes at most 5 stop sequences."},
    {&codec_openai_chat, "{" HI ",'model':'m','logprobs':true,'top_logprobs':2}",
     "logprobs: invalid request: logprobs: this model's provider gives log probabilities of the "
     "tokens chosen, and none of alternatives."},
    {&codec_openai_chat,
     "{" HI ",'model':'m','response_format':{'type':'json_object'},'tools':[{'type':'function',"
     "'function':{'name':'f'}}]}",
     "response_format: json_object: invalid request: response_format: json_object: this model's "
     "provider takes no response format beside tools."},
    {&codec_openai_chat, "{" HI ",'model':'m','n':2}",
     "n: 'n' can't be sent to this model, whose provider speaks cohere.chat: it gives one answer a "
     "request."},
};

static void test_refused(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        const char *got = codec_request(refused[i].from, &codec_cohere, quoted(refused[i].in), 0);
        quoted_into(text, sizeof text, got);
        assert_text(text, refused[i].refusal);
    }
}

/* ---- whole answers ---- */

static const struct {
    const struct codec *from, *to;
    const char *in, *out;
} responses[] = {
    {&codec_cohere, &codec_cohere,
     "{'id':'a','message':{'role':'assistant','content':[{'type':'thinking','thinking':'t'},"
     "{'type':'text','text':'x'}],'citations':[{'start':0,'end':1,'text':'x','sources':[{'type':"
     "'document','id':'d','document':{'title':'T','url':'u','snippet':'s'}}],'content_index':1,"
     "'type':'TEXT_CONTENT'},{'start':0,'end':1,'type':'PLAN','text':'p','sources':[]}]},"
     "'finish_reason':'COMPLETE','usage':{'billed_units':{'input_tokens':5,'output_tokens':2},"
     "'tokens':{'input_tokens':70,'output_tokens':3},'cached_tokens':2},'logprobs':[{'text':'x',"
     "'token_ids':[1],'logprobs':[-0.50]}]}",
     "{'id':'a','message':{'role':'assistant','content':[{'type':'thinking','thinking':'t'},"
     "{'type':'text','text':'x'}],'citations':[{'start':0,'end':1,'text':'s','sources':[{'type':"
     "'document','id':'u','document':{'title':'T','url':'u'}}],'content_index':1,'type':"
     "'TEXT_CONTENT'}]},'finish_reason':'COMPLETE','usage':{'billed_units':{'input_tokens':5,"
     "'output_tokens':2},'tokens':{'input_tokens':5,'output_tokens':2},'cached_tokens':2},"
     "'logprobs':[{'text':'x','token_ids':[],'logprobs':[-0.50]}]}"},
    {&codec_cohere, &codec_openai_chat,
     "{'id':'a','message':{'role':'assistant','tool_plan':'I will.','tool_calls':[{'id':'1','type':"
     "'function','function':{'name':'f','arguments':'{}'}}]},'finish_reason':'TOOL_CALL','usage':"
     "{'billed_units':{'input_tokens':5,'output_tokens':2},'tokens':{'input_tokens':70,"
     "'output_tokens':3},'cached_tokens':60},'logprobs':[{'text':'ab','token_ids':[1,2],'logprobs':"
     "[-0.5,-0.25]},{'text':'c','token_ids':[]}]}",
     "{'id':'a','object':'chat.completion','created':7,'model':'','choices':[{'index':0,'message':"
     "{'role':'assistant','content':'I will.','refusal':null,'annotations':[],'tool_calls':[{'id':"
     "'1','type':'function','function':{'name':'f','arguments':'{}'}}]},'logprobs':{'content':["
     "{'token':'ab','logprob':-0.75,'bytes':null,'top_logprobs':[]}]},'finish_reason':"
     "'tool_calls'}],'usage':{'prompt_tokens':5,'completion_tokens':2,'total_tokens':7,"
     "'prompt_tokens_details':{'cached_tokens':5,'cache_write_tokens':0,'audio_tokens':0},'"
     "completion_tokens_details':"
     "{'reasoning_tokens':0,'audio_tokens':0,'accepted_prediction_tokens':0,"
     "'rejected_prediction_tokens':0}}}"},
    {&codec_anthropic, &codec_cohere,
     "{'id':'a','type':'message','role':'assistant','model':'m','content':[{'type':'thinking',"
     "'thinking':'t','signature':'c2ln'},{'type':'redacted_thinking','data':'ZW5j'},{'type':"
     "'tool_use','id':'1','name':'f','input':{'a':1}}],'stop_reason':'tool_use','usage':"
     "{'input_tokens':5,'output_tokens':2}}",
     "{'id':'a','message':{'role':'assistant','content':[{'type':'thinking','thinking':'t',"
     "'signature':'c2ln'},{'type':'thinking','thinking':'','signature':'ZW5j'}],"
     "'tool_calls':[{'id':'1','type':'function','function':{'name':'f','arguments':'{\\'a\\':1}'}}]"
     "},"
     "'finish_reason':'TOOL_CALL','usage':{'billed_units':{'input_tokens':5,'output_tokens':2},"
     "'tokens':{'input_tokens':5,'output_tokens':2},'cached_tokens':0}}"},
    {&codec_cohere, &codec_cohere, "{'message':'no such model'}", "not read"},
    {&codec_cohere, &codec_cohere,
     "{'id':'a','message':{'role':'assistant','content':[]},'finish_reason':'ERROR',"
     "'usage':{'billed_units':{'input_tokens':5,'output_tokens':2}}}",
     "failed, 5 in, 2 out"},
    {&codec_cohere, &codec_cohere, "{'finish_reason':'TIMEOUT'}", "failed, 0 in, 0 out"},
};

static void test_responses(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(responses); i++)
        assert_text(codec_response(responses[i].from, responses[i].to, quoted(responses[i].in)),
                    responses[i].out);
}

static void test_usage(void **state)
{
    static const struct {
        const char *in;
        unsigned flags;
        int64_t input, cached, output;
    } cases[] = {
        {"{}", 0, 0, 0, 0},
        {"{'usage':null}", 0, 0, 0, 0},
        {"{'usage':{}}", 0, 0, 0, 0},
        {"{'usage':{'tokens':{'input_tokens':37.0,'output_tokens':28}}}", USAGE_PRESENT, 37, 0, 28},
        {"{'usage':{'billed_units':{'input_tokens':3},'tokens':{'input_tokens':37,'output_tokens':"
         "28},'cached_tokens':9}}",
         USAGE_PRESENT, 3, 3, 0},
        {"{'usage':{'billed_units':{'search_units':1},'tokens':{'input_tokens':0,'output_tokens':"
         "0}}}",
         USAGE_PRESENT | USAGE_ZERO, 0, 0, 0},
        {"{'usage':{'billed_units':{'input_tokens':-3}}}", USAGE_ODD, 0, 0, 0},
        {"{'usage':{'billed_units':{'input_tokens':'3'}}}", USAGE_ODD, 0, 0, 0},
        {"{'usage':{},'usage':{}}", USAGE_ODD, 0, 0, 0},
        {"{'usage':[]}", USAGE_ODD, 0, 0, 0},
    };
    struct json_doc d;
    json_doc_init(&d, 1000);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_usage u;
        const char *in = quoted(cases[i].in);
        assert_int_equal(json_parse(&d, in, strlen(in)), 0);
        cohere_read_usage(&d, JSON_ROOT, &u);
        assert_int_equal(u.flags, cases[i].flags);
        assert_int_equal(u.input_tokens, cases[i].input);
        assert_int_equal(u.cached_tokens, cases[i].cached);
        assert_int_equal(u.output_tokens, cases[i].output);
        assert_int_equal(u.total_tokens, -1);
    }
    json_doc_release(&d);
}

/* ---- streams ---- */

#define EVENT(type, rest)  "event: " type "\ndata: {'type':'" type "'" rest "}\n\n"
#define IN(index, content) ",'index':" #index ",'delta':{'message':" content "}"
#define START                                                                                      \
    EVENT("message-start",                                                                         \
          ",'id':'i','delta':{'message':{'role':'assistant','content':[],'tool_plan':'',"          \
          "'tool_calls':[],'citations':[]}}")
#define THOUGHT(index, t) EVENT("content-delta", IN(index, "{'content':{'thinking':'" t "'}}"))
#define TEXT(index, t)    EVENT("content-delta", IN(index, "{'content':{'text':'" t "'}}"))
#define BEGIN_TEXT(index) EVENT("content-start", IN(index, "{'content':{'type':'text','text':''}}"))
#define BEGIN_THOUGHT(index)                                                                       \
    EVENT("content-start", IN(index, "{'content':{'type':'thinking','thinking':''}}"))
#define END_OF(what, index) EVENT(what "-end", ",'index':" #index)
#define CALL(index, id)                                                                            \
    EVENT("tool-call-start", IN(index, "{'tool_calls':{'id':'" id "','type':'function','function'" \
                                       ":{'name':'f','arguments':''}}}"))
#define ARGUMENTS(index, t)                                                                        \
    EVENT("tool-call-delta", IN(index, "{'tool_calls':{'function':{'arguments':'" t "'}}}"))
#define PLAN(t) EVENT("tool-plan-delta", ",'delta':{'message':{'tool_plan':'" t "'}}")
#define FINISH(reason)                                                                             \
    EVENT("message-end", ",'delta':{'finish_reason':'" reason "','usage':{'billed_units':"         \
                         "{'input_tokens':5,'output_tokens':2},'tokens':{'input_tokens':5,"        \
                         "'output_tokens':2},'cached_tokens':0}}")
#define DONE "data: [DONE]\n\n"

static const struct {
    const char *in, *out; /* NULL: the same again */
} streams[] = {
    {START BEGIN_THOUGHT(0) THOUGHT(0, "h") THOUGHT(0, "m") END_OF("content", 0) BEGIN_TEXT(1)
         TEXT(1, "a") TEXT(1, "\\u0062") END_OF("content", 1) FINISH("COMPLETE") DONE,
     NULL},
    {START CALL(0, "x") ARGUMENTS(0, "{") ARGUMENTS(0, "}") END_OF("tool-call", 0) CALL(1, "y")
         ARGUMENTS(1, "{}") END_OF("tool-call", 1) FINISH("TOOL_CALL") DONE,
     NULL},
    {START BEGIN_TEXT(0)
         EVENT("content-delta",
               IN(0, "{'content':{'text':'ab'}}") ",'logprobs':{'text':'ab','token_ids':[],"
                                                  "'logprobs':[-0.5]}")
             EVENT("citation-start",
                   IN(0, "{'citations':{'start':0,'end':1,'text':'s','sources':[{'type':"
                         "'document','id':'u','document':{'title':'T','url':'u'}}],"
                         "'content_index':0,'type':'TEXT_CONTENT'}}")) END_OF("citation", 0)
                 END_OF("content", 0) FINISH("MAX_TOKENS") DONE,
     NULL},
    /* A plan is text; the end may lack its mark; texts in starts; events that nobody knows. */
    {START PLAN("I ") PLAN("will.") CALL(0, "x") ARGUMENTS(0, "{}") END_OF("tool-call", 0)
         EVENT("debug", ",'prompt':'p'") FINISH("TOOL_CALL"),
     START BEGIN_TEXT(0) TEXT(0, "I ") TEXT(0, "will.") END_OF("content", 0) CALL(0, "x")
         ARGUMENTS(0, "{}") END_OF("tool-call", 0) FINISH("TOOL_CALL") DONE},
    /* Without starts, indexes and ends, and calls in lists. */
    {START EVENT("content-delta", ",'delta':{'message':{'content':{'thinking':'h'}}}")
         EVENT("content-delta", ",'delta':{'message':{'content':{'text':'a'}}}")
             EVENT("tool-call-start",
                   ",'delta':{'message':{'tool_calls':[{'id':'x','function':{'name':'f'}}]}}")
                 EVENT("tool-call-delta", ",'delta':{'message':{'tool_calls':[{'function':"
                                          "{'arguments':'{}'}}]}}")
                     EVENT("tool-call-start", ",'delta':{'message':{'tool_calls':{'id':'y',"
                                              "'function':{'name':'f','arguments':'{}'}}}}")
                         FINISH("TOOL_CALL"),
     START BEGIN_THOUGHT(0) THOUGHT(0, "h") END_OF("content", 0) BEGIN_TEXT(1) TEXT(1, "a")
         END_OF("content", 1) CALL(0, "x") ARGUMENTS(0, "{}") END_OF("tool-call", 0) CALL(1, "y")
             ARGUMENTS(1, "{}") END_OF("tool-call", 1) FINISH("TOOL_CALL") DONE},
    /* Ends that are none. */
    {START BEGIN_TEXT(0) TEXT(0, "a"), START BEGIN_TEXT(0) TEXT(0, "a") "incomplete\n"},
    {START BEGIN_TEXT(0) TEXT(0, "a") DONE, START BEGIN_TEXT(0) TEXT(0, "a") "incomplete\n"},
    {START BEGIN_TEXT(0) TEXT(0, "a")
         EVENT("message-end", ",'delta':{'error':'it broke','finish_reason':'ERROR'}"),
     START BEGIN_TEXT(0) TEXT(0, "a") EVENT(
         "message-end", ",'delta':{'error':'it broke','finish_reason':'ERROR'}") "incomplete\n"},
    {START EVENT("message-end", ",'delta':{'finish_reason':'TIMEOUT'}"),
     START EVENT("message-end",
                 ",'delta':{'error':'the answer failed','finish_reason':'ERROR'}") "incomplete\n"},
};

static void test_streams(void **state)
{
    static const struct codec_caller caller = {.request_id = SLICE_LIT("req")};
    for (size_t i = 0; i < ARRAY_LEN(streams); i++)
        assert_text(codec_stream_with(&codec_cohere, &codec_cohere, quoted(streams[i].in), &caller),
                    streams[i].out ? streams[i].out : streams[i].in);
}

static void test_signed_stream(void **state)
{
    static const struct codec_caller caller = {.request_id = SLICE_LIT("req")};
    static const char in[] =
        "data: {'type':'message_start','message':{'id':'i','model':'m','usage':{'input_tokens':5,"
        "'output_tokens':1}}}\n\n"
        "data: {'type':'content_block_start','index':0,'content_block':{'type':'thinking',"
        "'thinking':'h','signature':''}}\n\n"
        "data: {'type':'content_block_delta','index':0,'delta':{'type':'signature_delta',"
        "'signature':'c2ln'}}\n\n"
        "data: {'type':'content_block_stop','index':0}\n\n"
        "data: {'type':'content_block_start','index':1,'content_block':{'type':"
        "'redacted_thinking','data':'ZW5j'}}\n\n"
        "data: {'type':'content_block_stop','index':1}\n\n"
        "data: {'type':'message_delta','delta':{'stop_reason':'end_turn'},'usage':"
        "{'output_tokens':2}}\n\n"
        "data: {'type':'message_stop'}\n\n";
    assert_text(
        codec_stream_with(&codec_anthropic, &codec_cohere, quoted(in), &caller),
        START BEGIN_THOUGHT(0) THOUGHT(0, "h")
            EVENT("content-delta", IN(0, "{'content':{'thinking':'','signature':'c2ln'}}"))
                END_OF("content", 0) BEGIN_THOUGHT(1)
                    EVENT("content-delta", IN(1, "{'content':{'thinking':'','signature':'ZW5j'}}"))
                        END_OF("content", 1) FINISH("COMPLETE") DONE);
}

/* ---- errors ---- */

static void test_errors(void **state)
{
    static const struct {
        int status;
        const char *body;
        enum dialect_fault fault;
    } cases[] = {
        {400, "{'message':'invalid request: x'}", DIALECT_FAULT_INVALID_REQUEST},
        {400, "{'message':'too many tokens: total number of tokens in the prompt cannot exceed 4'}",
         DIALECT_FAULT_CONTEXT_LENGTH},
        {401, "{'message':'invalid api token'}", DIALECT_FAULT_INVALID_KEY},
        {402, "", DIALECT_FAULT_QUOTA},
        {403, "<html>", DIALECT_FAULT_PERMISSION},
        {404, "{'id':'x','message':'model \\'m\\' not found'}", DIALECT_FAULT_MODEL_NOT_FOUND},
        {404, "{'message':'page not found'}", DIALECT_FAULT_INVALID_REQUEST},
        {422, "{'message':'x'}", DIALECT_FAULT_INVALID_REQUEST},
        {429, "{'message':'trial token rate limit exceeded'}", DIALECT_FAULT_RATE_LIMIT},
        {429, "{'message':'You are using a Trial key, which is limited to 1000 API calls / month'}",
         DIALECT_FAULT_QUOTA},
        {498, "{'message':'blocked'}", DIALECT_FAULT_CONTENT_POLICY},
        {500, "{'message':['x']}", DIALECT_FAULT_SERVER},
        {503, "", DIALECT_FAULT_OVERLOADED},
        {504, "", DIALECT_FAULT_TIMEOUT},
        {302, "", DIALECT_FAULT_UNKNOWN},
    };
    struct json_doc d;
    json_doc_init(&d, 1000);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(
            dialect_cohere.read_error(&d, cases[i].status, slice_str(quoted(cases[i].body))),
            cases[i].fault);
    json_doc_release(&d);
}

static void test_written_errors(void **state)
{
    struct dialect_error e = {.message = SLICE_LIT("no \"such\""), .type = "", .status = 404};
    struct json_writer w;
    struct buf out;
    size_t n;
    buf_init(&out, 200);
    jw_init_buf(&w, &out);
    dialect_cohere.write_error(&w, &e);
    assert_int_equal(jw_finish(&w, &n), 0);
    assert_string_equal(codec_told(&out), "{\"message\":\"no \\\"such\\\"\"}");
    out.len = 0;
    assert_int_equal(dialect_cohere.write_stream_error(&out, &e), 0);
    assert_string_equal(codec_told(&out),
                        "event: message-end\ndata: {\"type\":\"message-end\",\"delta\":{\"error\":"
                        "\"no \\\"such\\\"\",\"finish_reason\":\"ERROR\"}}\n\n");
    assert_int_equal(dialect_cohere.write_stream_error(&out, &e), -1);
    buf_release(&out);
}

/* ---- the native path ---- */

static struct dialect_request native;
static struct dialect_refusal why;

static int read_native(const char *body, const char *default_model)
{
    struct json_doc d;
    json_doc_init(&d, 1000);
    int rc = dialect_cohere.read_request(&d, slice_str(quoted(body)), DIALECT_CHAT,
                                         slice_str(default_model), &native, &why);
    json_doc_release(&d);
    return rc;
}

static void test_native_request(void **state)
{
    struct splices cuts;
    bool injected = true;
    assert_int_equal(
        read_native("{'messages':[{'role':'user','content':[{'type':'text','text':'x'},{'type':"
                    "'image_url','image_url':{'url':'data:'}}]}],'model':'a','max_tokens':9,"
                    "'stream':true,'tools':[{},{}],'documents':['d'],'foo':1}",
                    ""),
        0);
    assert_memory_equal(native.model.s, "a", native.model.n);
    assert_int_equal(native.max_output_tokens, 9);
    assert_true(native.stream && native.include_usage && !native.hosted_tools);
    assert_int_equal(native.messages, 1);
    assert_int_equal(native.tools, 2);
    assert_int_equal(native.images, 1);
    assert_int_equal(native.n, -1);
    struct dialect_rewrite how = {.model = SLICE_LIT("up"), .inject_usage = true};
    assert_int_equal(dialect_cohere.rewrite_request(&native, &how, &cuts, &injected), 0);
    assert_false(injected);
    assert_int_equal(cuts.n, 1);
    assert_int_equal(read_native("{'messages':[]}", "dflt"), 0);
    assert_memory_equal(native.model.s, "dflt", native.model.n);
}

static void test_native_refusals(void **state)
{
    static const struct {
        const char *body, *message;
    } cases[] = {
        {"{", "invalid request: the body is not valid JSON: "},
        {"[]", "invalid request: the body must be a JSON object, not an array."},
        {"{'messages':[]}", "invalid request: model: is required."},
        {"{'model':'m'}", "invalid request: messages: is required."},
        {"{'model':5}", "invalid request: model: must be a string, not a number."},
        {"{'model':''}", "invalid request: model: must be a name without control characters."},
        {"{'model':'a','model':'b'}", "invalid request: model: is given more than once."},
        {"{'messages':{}}", "invalid request: messages: must be an array, not an object."},
        {"{'messages':[5]}", "invalid request: messages[]: must be an object, not a number."},
        {"{'stream':1}", "invalid request: stream: must be a boolean, not a number."},
        {"{'max_tokens':-1}", "invalid request: max_tokens: must be an integer from 0 to "},
        {"{'max_tokens':'1'}", "invalid request: max_tokens: must be an integer, not a string."},
        {"{'tools':{}}", "invalid request: tools: must be an array, not an object."},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(read_native(cases[i].body, ""), -1);
        assert_memory_equal(why.message, cases[i].message, strlen(cases[i].message));
        assert_non_null(why.code);
    }
}

static int read_answer(const char *body, struct dialect_response *out)
{
    struct json_doc d;
    json_doc_init(&d, 1000);
    int rc = dialect_cohere.read_response(&d, slice_str(quoted(body)), DIALECT_CHAT, out);
    json_doc_release(&d);
    return rc;
}

static void test_native_answers(void **state)
{
    struct dialect_response r;
    assert_int_equal(read_answer("{'id':'i','message':{'content':[{'type':'text','text':'abc'}]},"
                                 "'finish_reason':'COMPLETE','usage':{'billed_units':"
                                 "{'input_tokens':3,'output_tokens':2}}}",
                                 &r),
                     0);
    assert_int_equal(r.usage.flags, USAGE_PRESENT);
    assert_int_equal(r.output_bytes, 3);
    assert_int_equal(r.fault, DIALECT_FAULT_NONE);
    assert_memory_equal(r.finish_reason.s, "stop", r.finish_reason.n);
    assert_int_equal(read_answer("{'message':{},'finish_reason':'TIMEOUT','usage':{'billed_units':"
                                 "{'input_tokens':3,'output_tokens':2}}}",
                                 &r),
                     0);
    assert_int_equal(r.fault, DIALECT_FAULT_TIMEOUT);
    assert_int_equal(r.usage.input_tokens, 3);
    assert_int_equal(read_answer("[]", &r), -1);
}

static void feed(struct dialect_stream *s, const char *events)
{
    struct json_doc d;
    struct splices cuts;
    struct slice rest = slice_str(quoted(events));
    json_doc_init(&d, 1000);
    while (rest.p) {
        struct slice line = slice_split(&rest, '\n');
        if (slice_starts_with(line, SLICE_LIT("data: ")))
            assert_int_equal(dialect_cohere.stream_event(s, &d, slice_of("", 0),
                                                         slice_of(line.p + 6, line.n - 6), &cuts),
                             DIALECT_PASS);
    }
    json_doc_release(&d);
}

static void test_native_stream(void **state)
{
    struct dialect_stream s;
    dialect_cohere.stream_init(&s, DIALECT_CHAT, false);
    feed(&s, START BEGIN_TEXT(0) TEXT(0, "abc") END_OF("content", 0));
    assert_true(!s.finished && !s.done && s.output_bytes == 3);
    feed(&s, FINISH("COMPLETE"));
    assert_true(s.finished && !s.done && s.usage.flags == USAGE_PRESENT);
    assert_int_equal(s.usage.input_tokens, 5);
    feed(&s, DONE);
    assert_true(s.done && !s.failed && s.malformed == 0);
    dialect_cohere.stream_fini(&s);
    dialect_cohere.stream_init(&s, DIALECT_CHAT, false);
    feed(&s, START EVENT("message-end", ",'delta':{'error':'x','finish_reason':'ERROR'}"));
    assert_true(s.failed && s.fault == DIALECT_FAULT_SERVER);
    dialect_cohere.stream_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),       cmocka_unit_test(test_refused),
        cmocka_unit_test(test_responses),      cmocka_unit_test(test_usage),
        cmocka_unit_test(test_streams),        cmocka_unit_test(test_signed_stream),
        cmocka_unit_test(test_errors),         cmocka_unit_test(test_written_errors),
        cmocka_unit_test(test_native_request), cmocka_unit_test(test_native_refusals),
        cmocka_unit_test(test_native_answers), cmocka_unit_test(test_native_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
