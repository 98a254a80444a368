/*
 * test_codec_gemini.c: requests, whole answers, streams and errors of the Gemini API, in and out.
 *
 * JSON in the tables has ' for ".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gatewayd/dialect/codec.h"

#include <stdio.h>
#include <stdlib.h>

static const struct codec *const gemini = &codec_gemini;

struct fixture {
    char mem[1024];
    struct arena arena;
    struct json_doc doc;
    struct buf out, dropped;
    struct ir_request request;
    struct dialect_refusal why;
    char text[8192];
};

static void begin(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    arena_init(&f->arena, f->mem, sizeof f->mem, 1 << 20);
    json_doc_init(&f->doc, 1 << 16);
    buf_init(&f->out, 1 << 20);
    buf_init(&f->dropped, 4096);
}

static void end(struct fixture *f)
{
    arena_reset(&f->arena);
    json_doc_release(&f->doc);
    buf_release(&f->out);
    buf_release(&f->dropped);
}

static const char *unquote(const char *s, char *out, size_t cap)
{
    size_t n = strlen(s);
    assert_true(n < cap);
    for (size_t i = 0; i <= n; i++)
        out[i] = s[i] == '\'' ? '"' : s[i];
    return out;
}

static void parse(struct fixture *f, const char *json)
{
    unquote(json, f->text, sizeof f->text);
    if (json_parse(&f->doc, f->text, strlen(f->text)) < 0)
        fail_msg("not JSON: %s", f->text);
}

static int read_request(struct fixture *f, const char *json)
{
    parse(f, json);
    ir_request_init(&f->request, &f->arena, DIALECT_CHAT);
    return gemini->read_request(&f->doc, &f->request, &f->why);
}

static int write_request(struct fixture *f, const char *model)
{
    struct codec_target t = {.model = slice_str(model), .dropped = &f->dropped};
    if (ir_link_tools(&f->request, &f->why) < 0 ||
        ir_check_fields(&f->request, gemini, &f->dropped, &f->why) < 0)
        return -1;
    return gemini->write_request(&f->request, &t, &f->out, &f->why);
}

static void expect(struct fixture *f, const char *json)
{
    char want[8192];
    unquote(json, want, sizeof want);
    if (!slice_eq_str(buf_slice(&f->out), want))
        fail_msg("\n got %.*s\nwant %s", SLICE_FMT(buf_slice(&f->out)), want);
    assert_int_equal(json_parse(&f->doc, f->out.data, f->out.len), 0);
}

/* ---- requests ---- */

#define USER(text) "{'role':'user','parts':[{'text':'" text "'}]}"

static const struct {
    const char *in, *out; /* NULL: the same */
} requests[] = {
    {"{'contents':[" USER("a\\u00e9\\n") "],'generationConfig':{}}", NULL},
    /* No role, snake_case, integers in strings, null. */
    {"{'contents':[{'parts':[{'text':'x'}]}],'system_instruction':{'parts':[{'text':'s'},{'text':"
     "'t'}]},'generation_config':{'max_output_tokens':'9','top_p':0.5,'top_k':'40','seed':null,"
     "'stop_sequences':['a','b']}}",
     "{'systemInstruction':{'parts':[{'text':'s'},{'text':'t'}]},'contents':[" USER(
         "x") "],'generationConfig':{'maxOutputTokens':9,'topP':0.5,'topK':40,'stopSequences':["
              "'a','b']}}"},
    {"{'contents':[" USER(
         "x") "],'generationConfig':{'maxOutputTokens':5,'temperature':0.10,'topP':1,'topK':3,"
              "'presencePenalty':-1,'frequencyPenalty':1e0,'seed':7,'candidateCount':2,"
              "'responseLogprobs':true,'logprobs':3},'safetySettings':[{'category':'C',"
              "'threshold':'BLOCK_NONE'}],'cachedContent':'cachedContents/1',"
              "'serviceTier':'flex'}",
     NULL},
    {"{'contents':[" USER("x") "],'generationConfig':{'responseMimeType':'application/json'}}",
     NULL},
    {"{'contents':[" USER("x") "],'generationConfig':{'responseMimeType':'application/json',"
                               "'responseJsonSchema':{'type':'object','$defs':{'a':{}}}}}",
     NULL},
    /* OpenAPI's subset becomes JSON Schema; a property may be called type. */
    {"{'contents':[" USER(
         "x") "],'generationConfig':{'responseMimeType':'application/json','responseSchema':{"
              "'type':'OBJECT','properties':{'type':{'type':'STRING','nullable':true,'enum':['a']},"
              "'n':{'type':'ARRAY','items':{'type':'INTEGER'},'minItems':'2'}},"
              "'required':['type'],'propertyOrdering':['n','type'],'any_of':[{'type':'NULL'}]}}}",
     "{'contents':[" USER(
         "x") "],'generationConfig':{'responseMimeType':'application/json','responseJsonSchema':{"
              "'type':'object','properties':{'type':{'type':['string','null'],'enum':['a',null]},"
              "'n':{'type':'array','items':{'type':'integer'},'minItems':2}},"
              "'required':['type'],'anyOf':[{'type':'null'}]}}}"},
    {"{'contents':[" USER("x") "],'generationConfig':{'thinkingConfig':{'thinkingLevel':'LOW',"
                               "'includeThoughts':true},'responseModalities':['TEXT','IMAGE']}}",
     NULL},
    {"{'contents':[" USER("x") "],'generationConfig':{'thinkingConfig':{'thinkingBudget':-1}}}",
     NULL},
    /* Functions, with both kinds of schemas. */
    {"{'contents':[" USER(
         "x") "],'tools':[{'functionDeclarations':[{'name':'f','description':'d','parameters':{"
              "'type':'OBJECT'}}]},{'functionDeclarations':[{'name':'g','parametersJsonSchema':{"
              "'type':'object','if':{}}}]}],'toolConfig':{'functionCallingConfig':{'mode':'ANY'}}}",
     "{'contents':[" USER(
         "x") "],'tools':[{'functionDeclarations':[{'name':'f','description':'d',"
              "'parametersJsonSchema':{'type':'object'}},{'name':'g','parametersJsonSchema':{"
              "'type':'object','if':{}}}]}],'toolConfig':{'functionCallingConfig':{'mode':'ANY'}},"
              "'generationConfig':{}}"},
    {"{'contents':[" USER(
         "x") "],'tools':[{'functionDeclarations':[{'name':'f'}]}],'toolConfig':{"
              "'functionCallingConfig':{'mode':'ANY','allowedFunctionNames':['f']}},"
              "'generationConfig':{}}",
     NULL},
    {"{'contents':[" USER(
         "x") "],'tools':[{'functionDeclarations':[{'name':'f'},{'name':'g'}]}],'toolConfig':{"
              "'functionCallingConfig':{'mode':'VALIDATED','allowedFunctionNames':['f','g']}},"
              "'generationConfig':{}}",
     NULL},
    {"{'contents':[" USER("x") "],'tools':[{'functionDeclarations':[{'name':'f'}]}],'toolConfig':{"
                               "'functionCallingConfig':{'mode':'NONE'}},'generationConfig':{}}",
     NULL},
    /* Parallel calls and their results, signatures, thoughts, media in a result. */
    {"{'contents':[" USER(
         "x") ",{'role':'model','parts':[{'text':'t','thought':true,'thoughtSignature':'QQ=='},"
              "{'functionCall':{'id':'1','name':'f','args':{'a':[1.50,{}]}},"
              "'thoughtSignature':'Ug=='},{'functionCall':{'id':'2','name':'g','args':{}}}]},"
              "{'role':'user','parts':[{'functionResponse':{'id':'1','name':'f','response':{"
              "'output':'o'},'parts':[{'inlineData':{'mimeType':'image/png','data':'AA=='}}]}},"
              "{'functionResponse':{'id':'2','name':'g','response':{'error':'e'}}}]},"
              "{'role':'model','parts':[{'text':'done','thoughtSignature':'Uw=='}]}],"
              "'generationConfig':{}}",
     NULL},
    /* Without ids results go by their function's name; the id is made up. The base64 of the
     * clients that write the URL-safe alphabet becomes the standard one. */
    {"{'contents':[" USER(
         "x") ",{'role':'model','parts':[{'functionCall':{'name':'f','args':{'q':1}},"
              "'thoughtSignature':'-_-_QQ'}]},{'role':'function','parts':[{'functionResponse':{"
              "'name':'f','response':{'r':true}}}]},{'role':'user','parts':[{'text':'y'}]}]}",
     "{'contents':[" USER(
         "x") ",{'role':'model','parts':[{'functionCall':{'id':'call_1_0','name':'f','args':{'q':1}"
              "},'thoughtSignature':'+/+/QQ=='}]},{'role':'user','parts':[{'functionResponse':{"
              "'id':'call_1_0','name':'f','response':{'r':true}}}]}," USER(
                  "y") "],'generationConfig':{}}"},
    /* Media in line and by URI; messages of one role are one content. */
    {"{'contents':[{'role':'user','parts':[{'inlineData':{'mimeType':'image/png','data':'AAAA'}},"
     "{'inlineData':{'mimeType':'audio/wav','data':'AAAA'}},{'inlineData':{'mimeType':'video/mp4',"
     "'data':'AAAA'}},{'inlineData':{'mimeType':'application/pdf','data':'AAAA'}},{'fileData':{"
     "'mimeType':'image/png','fileUri':'https://e.org/a'}},{'fileData':{'mimeType':'video/mp4',"
     "'fileUri':'gs://b/c'}},{'fileData':{'fileUri':'https://e.org/b.PDF?x=.png'}}]}," USER(
         "x") "]}",
     "{'contents':[{'role':'user','parts':[{'inlineData':{'mimeType':'image/png','data':'AAAA'}},"
     "{'inlineData':{'mimeType':'audio/wav','data':'AAAA'}},{'inlineData':{'mimeType':'video/mp4',"
     "'data':'AAAA'}},{'inlineData':{'mimeType':'application/pdf','data':'AAAA'}},{'fileData':{"
     "'mimeType':'image/png','fileUri':'https://e.org/a'}},{'fileData':{'mimeType':'video/mp4',"
     "'fileUri':'gs://b/c'}},{'fileData':{'mimeType':'application/pdf','fileUri':"
     "'https://e.org/b.PDF?x=.png'}},{'text':'x'}]}],'generationConfig':{}}"},
};

static void test_requests(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        struct fixture f;
        begin(&f);
        if (read_request(&f, requests[i].in) < 0 || write_request(&f, "gemini-3-pro") < 0)
            fail_msg("%zu: %s (%s)", i, f.why.message, f.why.param);
        expect(&f, requests[i].out ? requests[i].out : requests[i].in);
        assert_int_equal(f.dropped.len, 0);
        end(&f);
    }
}

static void test_refusals(void **state)
{
    static const struct {
        const char *in, *param;
    } cases[] = {
        {"{}", "contents"},
        {"{'contents':[]}", "contents"},
        {"{'contents':{}}", "contents"},
        {"{'contents':[1]}", "contents[0]"},
        {"{'contents':[{'role':'assistant','parts':[]}]}", "contents[0].role"},
        {"{'contents':[{'role':7}]}", "contents[0].role"},
        {"{'contents':[{'parts':'x'}]}", "contents[0].parts"},
        {"{'contents':[{'parts':[7]}]}", "contents[0].parts[0]"},
        {"{'contents':[{'parts':[{}]}]}", "contents[0].parts[0]"},
        {"{'contents':[{'parts':[{'text':7}]}]}", "contents[0].parts[0].text"},
        {"{'contents':[{'parts':[{'text':'x'},{'text':'a','inlineData':{}}]}]}",
         "contents[0].parts[1]"},
        {"{'contents':[{'parts':[{'inlineData':{'data':'AA=='}}]}]}",
         "contents[0].parts[0].inlineData.mimeType"},
        {"{'contents':[{'parts':[{'fileData':{}}]}]}", "contents[0].parts[0].fileData.fileUri"},
        {"{'contents':[{'parts':[{'functionCall':{'name':'f'}}]}]}",
         "contents[0].parts[0].functionCall"},
        {"{'contents':[{'role':'model','parts':[{'functionCall':{'name':'f','args':'{}'}}]}]}",
         "contents[0].parts[0].functionCall.args"},
        {"{'contents':[{'role':'model','parts':[{'functionCall':{}}]}]}",
         "contents[0].parts[0].functionCall.name"},
        {"{'contents':[{'role':'model','parts':[{'text':'x','thoughtSignature':1}]}]}",
         "contents[0].parts[0].thoughtSignature"},
        {"{'contents':[{'parts':[{'functionResponse':{'name':'f','response':'x'}}]}]}",
         "contents[0].parts[0].functionResponse.response"},
        {"{'contents':[{'parts':[{'text':'x','thought':true}]}]}", "contents[0].parts[0].thought"},
        {"{'contents':[" USER("x") "],'systemInstruction':'s'}", "systemInstruction"},
        {"{'contents':[" USER("x") "],'systemInstruction':{'parts':[{'inlineData':{}}]}}",
         "systemInstruction.parts.text"},
        {"{'contents':[" USER("x") "],'tools':{}}", "tools"},
        {"{'contents':[" USER("x") "],'tools':[{'functionDeclarations':[{}]}]}",
         "tools[0].functionDeclarations[0].name"},
        {"{'contents':[" USER("x") "],'tools':[{'functionDeclarations':[{'name':'f','parameters':"
                                   "[]}]}]}",
         "tools[0].functionDeclarations[0].parameters"},
        {"{'contents':[" USER("x") "],'toolConfig':{'functionCallingConfig':{'mode':'any'}}}",
         "toolConfig.functionCallingConfig.mode"},
        {"{'contents':[" USER("x") "],'generationConfig':{'maxOutputTokens':1.5}}",
         "generationConfig.maxOutputTokens"},
        {"{'contents':[" USER("x") "],'generationConfig':{'temperature':'warm'}}",
         "generationConfig.temperature"},
        {"{'contents':[" USER("x") "],'generationConfig':{'stopSequences':[1]}}",
         "generationConfig.stopSequences"},
        {"{'contents':[" USER("x") "],'generationConfig':{'responseMimeType':'text/x.enum'}}",
         "generationConfig.responseMimeType"},
        {"{'contents':[" USER("x") "],'generationConfig':{'thinkingConfig':{'thinkingLevel':'x'}}}",
         "generationConfig.thinkingConfig.thinkingLevel"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;
        begin(&f);
        assert_int_equal(read_request(&f, cases[i].in), -1);
        assert_string_equal(f.why.param, cases[i].param);
        assert_non_null(strstr(f.why.message, cases[i].param));
        assert_non_null(f.why.code);
        end(&f);
    }
}

static void test_unknown_members_are_listed(void **state)
{
    struct fixture f;
    begin(&f);
    assert_int_equal(
        read_request(&f, "{'contents':[{'parts':[{'text':'x','videoMetadata':{},'a\\u0062':1}],"
                         "'zz':1}],'tools':[{'functionDeclarations':[{'name':'f','response':{}}]}],"
                         "'generationConfig':{'speechConfig':{},'thinkingConfig':{'w':1}},"
                         "'toolConfig':{'retrievalConfig':{}},'labels':{'a':'b'},'other':1}"),
        0);
    assert_int_equal(write_request(&f, "gemini-2.5-flash"), 0);
    assert_int_equal(buf_append(&f.dropped, "", 1), 0);
    assert_string_equal(f.dropped.data,
                        "labels, contents[0].zz, contents[0].parts[0].videoMetadata, "
                        "contents[0].parts[0].a\\u0062, "
                        "tools[0].functionDeclarations[0].response, toolConfig.retrievalConfig, "
                        "generationConfig.speechConfig, generationConfig.thinkingConfig.w, other");
    end(&f);
}

static void test_hosted_tools_are_refused(void **state)
{
    struct fixture f;
    begin(&f);
    assert_int_equal(read_request(&f, "{'contents':[" USER("x") "],'tools':[{'googleSearch':{}},{"
                                                                "'code_execution':{}}]}"),
                     0);
    assert_true(ir_text_is(f.request.tools->hosted_type, SLICE_LIT("googleSearch")));
    assert_true(slice_eq_str(f.request.tools->hosted, "{}"));
    assert_int_equal(write_request(&f, "m"), -1);
    assert_string_equal(f.why.param, "tools");
    end(&f);
}

/* ---- requests of other dialects ---- */

static struct ir_part *say(struct fixture *f, enum ir_role role, const char *text)
{
    struct ir_message *m = ir_add_message(
        &f->request, role, f->request.last_message ? f->request.last_message->index + 1 : 0);
    struct ir_part *p = ir_add_part(&f->arena, &m->parts, IR_PART_TEXT);
    p->text = ir_plain(slice_str(text));
    return p;
}

static void test_foreign_request(void **state)
{
    struct fixture f;
    begin(&f);
    struct ir_request *r = &f.request;
    ir_request_init(r, &f.arena, DIALECT_CHAT);
    say(&f, IR_SYSTEM, "one");
    say(&f, IR_USER, "hi");
    struct ir_part *p = say(&f, IR_ASSISTANT, "");
    p = ir_add_part(&f.arena, &r->last_message->parts, IR_PART_TOOL_CALL);
    p->name = IR_LIT("f");
    p->call_id = IR_LIT("c1");
    /* As the inside of a JSON string, its quotes around it. */
    static const char quoted[] = "\"{\\\"a\\\":\\\"\\u00e9\\\"}\"";
    p->arguments = (struct ir_text){slice_of(quoted + 1, sizeof quoted - 3), true};
    p = ir_add_part(&f.arena, &r->last_message->parts, IR_PART_TOOL_CALL);
    p->name = IR_LIT("g");
    p->call_id = IR_LIT("c2");
    p->arguments = IR_LIT("");
    p = say(&f, IR_TOOL, "");
    p->kind = IR_PART_TOOL_RESULT;
    p->call_id = IR_LIT("c2");
    p->is_error = true;
    ir_add_part(&f.arena, &p->content, IR_PART_TEXT)->text = IR_LIT("no \"such\"");
    p = say(&f, IR_TOOL, "");
    p->kind = IR_PART_TOOL_RESULT;
    p->call_id = IR_LIT("c1");
    ir_add_part(&f.arena, &p->content, IR_PART_TEXT)->text = IR_LIT("1");
    ir_add_part(&f.arena, &p->content, IR_PART_TEXT)->text = IR_LIT("2");
    say(&f, IR_DEVELOPER, "two");
    say(&f, IR_USER, "go");
    say(&f, IR_USER, "on");
    r->effort = IR_EFFORT_XHIGH;
    r->format = IR_FORMAT_SCHEMA;
    r->format_schema = SLICE_LIT("{\"type\":\"object\"}");
    struct ir_tool *t = ir_add_tool(r);
    t->name = IR_LIT("f");
    t->strict = 1;
    assert_int_equal(write_request(&f, "models/gemini-3-flash"), 0);
    expect(
        &f,
        "{'systemInstruction':{'parts':[{'text':'one'},{'text':'two'}]},'contents':[" USER(
            "hi") ",{'role':'model','parts':[{'functionCall':{'id':'c1','name':'f','args':{"
                  "'a':'é'}},'thoughtSignature':'skip_thought_signature_validator'},{"
                  "'functionCall':{'id':'c2','name':'g','args':{}}}]},{'role':'user','parts'"
                  ":[{'functionResponse':{'id':'c2','name':'g','response':{'error':"
                  "'no \\'such\\''}}},{'functionResponse':{'id':'c1','name':'f','response':"
                  "{'output':'1\\n2'}}}]},{'role':'user','parts':[{'text':'go'},{'text':"
                  "'on'}]}],'tools':[{'functionDeclarations':[{'name':'f'}]}],'toolConfig':"
                  "{'functionCallingConfig':{'mode':'VALIDATED'}},'generationConfig':{"
                  "'responseMimeType':'application/json','responseJsonSchema':{'type':"
                  "'object'},'thinkingConfig':{'thinkingLevel':'HIGH','includeThoughts':true}}}");
    end(&f);
}

static void test_thinking_by_model(void **state)
{
    static const struct {
        const char *model;
        enum ir_effort effort;
        int64_t budget;
        const char *want;
    } cases[] = {
        {"gemini-2.5-flash", IR_EFFORT_NONE, -1, "'thinkingBudget':0"},
        {"gemini-2.5-flash", IR_EFFORT_LOW, -1, "'thinkingBudget':1024,'includeThoughts':true"},
        {"gemini-2.5-pro", IR_EFFORT_MAX, -1, "'thinkingBudget':24576,'includeThoughts':true"},
        {"gemini-2.5-pro", IR_EFFORT_LOW, 2048, "'thinkingBudget':2048,'includeThoughts':true"},
        {"gemini-3-pro-preview", IR_EFFORT_NONE, -1, "'thinkingLevel':'MINIMAL'"},
        {"gemini-3.1-pro", IR_EFFORT_MEDIUM, 2048,
         "'thinkingLevel':'MEDIUM','includeThoughts':true"},
        {"gemini-3.1-pro", IR_EFFORT_UNSET, 2048, "'thinkingBudget':2048,'includeThoughts':true"},
        {"gemini-flash-latest", IR_EFFORT_HIGH, -1,
         "'thinkingLevel':'HIGH','includeThoughts':true"},
        {"gemini-3.1-pro", IR_EFFORT_UNSET, IR_BUDGET_DYNAMIC,
         "'thinkingBudget':-1,'includeThoughts':true"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;
        char want[256];
        begin(&f);
        ir_request_init(&f.request, &f.arena, DIALECT_CHAT);
        say(&f, IR_USER, "x");
        f.request.effort = cases[i].effort;
        f.request.thinking_budget = cases[i].budget;
        assert_int_equal(write_request(&f, cases[i].model), 0);
        snprintf(want, sizeof want,
                 "{'contents':[" USER("x") "],'generationConfig':{'thinkingConfig':{%s}}}",
                 cases[i].want);
        expect(&f, want);
        end(&f);
    }
}

static void test_values_that_cant_be_said(void **state)
{
    for (int i = 0; i < 5; i++) {
        struct fixture f;
        begin(&f);
        ir_request_init(&f.request, &f.arena, DIALECT_CHAT);
        struct ir_part *p = say(&f, IR_USER, "");
        p->kind = IR_PART_IMAGE;
        p->source = IR_SOURCE_FILE_ID;
        p->data = IR_LIT("file-123");
        if (i == 1) {
            p->source = IR_SOURCE_URL;
            p->data = IR_LIT("http://plain.example/a.png");
        } else if (i == 2) {
            p->kind = IR_PART_TEXT;
            f.request.messages->role = IR_SYSTEM;
            p->text = IR_LIT("only a system prompt");
        } else if (i == 3) {
            f.request.messages->role = IR_ASSISTANT;
            p->kind = IR_PART_TOOL_CALL;
            p->name = IR_LIT("f");
            p->arguments = IR_LIT("[1]");
        } else if (i == 4) {
            p->kind = IR_PART_TEXT;
        }
        assert_int_equal(write_request(&f, "gemini-3-pro"), -1);
        assert_true(f.why.message[0] && f.why.param[0]);
        end(&f);
    }
}

static void test_service_tiers(void **state)
{
    static const struct {
        const char *tier, *member, *dropped;
    } cases[] = {
        {"auto", "", ""},
        {"default", ",'serviceTier':'standard'", ""},
        {"priority", ",'serviceTier':'priority'", ""},
        {"scale", "", "service tier"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;
        char want[256];
        begin(&f);
        ir_request_init(&f.request, &f.arena, DIALECT_CHAT);
        say(&f, IR_USER, "x");
        f.request.service_tier = ir_plain(slice_str(cases[i].tier));
        assert_int_equal(write_request(&f, "m"), 0);
        snprintf(want, sizeof want, "{'contents':[" USER("x") "],'generationConfig':{}%s}",
                 cases[i].member);
        expect(&f, want);
        assert_true(slice_eq_str(buf_slice(&f.dropped), cases[i].dropped));
        end(&f);
    }
}

static void test_results_without_calls(void **state)
{
    struct fixture f;
    begin(&f);
    assert_int_equal(
        read_request(
            &f, "{'contents':[" USER("x") ",{'role':'user','parts':[{"
                                          "'functionResponse':{'name':'f','response':{}}}]}]}"),
        0);
    assert_int_equal(write_request(&f, "m"), -1);
    assert_string_equal(f.why.param, "contents[1]");
    assert_non_null(strstr(f.why.message, "contents[1]"));
    end(&f);
}

/* A signature of any size comes back from clients that keep nothing of a call but its id. */
static void test_signature_in_an_id(void **state)
{
    static const size_t sizes[] = {2, 255, 256, 257, 20000};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct fixture f;
        struct json_writer w;
        size_t n;
        char *signature = malloc(sizes[i] + 3);
        begin(&f);
        for (size_t j = 0; j < sizes[i]; j++)
            signature[j] = "ab+/9"[j % 5];
        size_t padded = (sizes[i] + 3) / 4 * 4;
        memset(signature + sizes[i], '=', padded - sizes[i]);
        jw_init_buf(&w, &f.out);
        ir_write_signed_id(&w, IR_LIT("id"), ir_plain(slice_of(signature, padded)));
        assert_int_equal(jw_finish(&w, &n), 0);
        assert_null(memchr(f.out.data, '+', n));
        assert_null(memchr(f.out.data, '=', n));
        ir_request_init(&f.request, &f.arena, DIALECT_CHAT);
        struct ir_part *p = say(&f, IR_ASSISTANT, "");
        p->kind = IR_PART_TOOL_CALL;
        p->name = IR_LIT("f");
        p->call_id = ir_plain(slice_of(f.out.data + 1, n - 2));
        assert_int_equal(ir_link_tools(&f.request, &f.why), 0);
        assert_true(ir_text_is(p->call_id, SLICE_LIT("id")));
        assert_true(ir_text_is(p->signature, slice_of(signature, padded)));
        free(signature);
        end(&f);
    }
}

static void test_every_field_has_a_fate(void **state)
{
    for (unsigned i = 0; i < IR_FIELD_COUNT; i++) {
        const struct ir_field_row *row = &gemini->fields[i];
        if (row->fate == IR_UNSTATED || !row->note || (row->fate != IR_CARRIED && !row->note[0]))
            fail_msg("%s", ir_field_text((enum ir_field)i));
    }
}

/* ---- whole answers ---- */

static void test_answers(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"{'candidates':[{'content':{'parts':[{'text':'hm','thought':true},{'text':'a\\ud83d\\ude00"
         "','thoughtSignature':'QQ=='}],'role':'model'},'finishReason':'STOP','index':0}],"
         "'usageMetadata':{'promptTokenCount':9,'cachedContentTokenCount':4,"
         "'candidatesTokenCount':2,'thoughtsTokenCount':3,'totalTokenCount':14},"
         "'modelVersion':'gemini-3','responseId':'r1'}",
         NULL},
        {"{'candidates':[{'content':{'parts':[{'functionCall':{'id':'x','name':'f','args':{'a':1}},"
         "'thoughtSignature':'Ug=='},{'functionCall':{'id':'y','name':'g','args':{}}}],"
         "'role':'model'},'finishReason':'STOP','index':0}],'modelVersion':'m','responseId':'r'}",
         NULL},
        /* Calls without ids get some that are the answer's own. */
        {"{'candidates':[{'content':{'parts':[{'functionCall':{'name':'f'}}]},'finishReason':"
         "'STOP'}],'responseId':'r'}",
         "{'candidates':[{'content':{'parts':[{'functionCall':{'id':'call_r_0_0','name':'f',"
         "'args':{}}}],'role':'model'},'finishReason':'STOP','index':0}],'responseId':'r'}"},
        {"{'candidates':[{'content':{'parts':[{'inlineData':{'mimeType':'image/png','data':'AAAA'"
         "}}],'role':'model'},'finishReason':'MAX_TOKENS','index':0},{'content':{'parts':[],"
         "'role':'model'},'finishReason':'SAFETY','index':1}],'responseId':'r'}",
         NULL},
        {"{'promptFeedback':{'blockReason':'PROHIBITED_CONTENT'},'usageMetadata':{"
         "'promptTokenCount':5,'totalTokenCount':5}}",
         "{'candidates':[{'content':{'parts':[],'role':'model'},'finishReason':'SAFETY','index':0"
         "}],'usageMetadata':{'promptTokenCount':5,'candidatesTokenCount':0,'totalTokenCount':5},"
         "'responseId':'ours'}"},
        {"{'candidates':[{'content':{'parts':[{'text':'a'}],'role':'model'},'finishReason':'STOP',"
         "'index':0,'logprobsResult':{'topCandidates':[{'candidates':[{'token':'a',"
         "'logProbability':-0.5},{'token':'b','logProbability':-1.25}]}],'chosenCandidates':[{"
         "'token':'a','logProbability':-0.5}]}}],'responseId':'r'}",
         NULL},
        /* Places are bytes there, characters here. */
        {"{'candidates':[{'content':{'parts':[{'text':'\\u00e9t\\u00e9 sure'}],'role':'model'},"
         "'finishReason':'STOP','index':0,'groundingMetadata':{'groundingChunks':[{'web':{'uri':"
         "'https://a','title':'A'}}],'groundingSupports':[{'segment':{'startIndex':2,'endIndex':5,"
         "'text':'t\\u00e9'},'groundingChunkIndices':[0]}]}}],'responseId':'r'}",
         NULL},
        {"{'candidates':[{'content':{'parts':[{'text':'abc'}],'role':'model'},'finishReason':"
         "'STOP','index':0,'citationMetadata':{'citationSources':[{'endIndex':2,'uri':'https://b'"
         "}]}}],'responseId':'r'}",
         "{'candidates':[{'content':{'parts':[{'text':'abc'}],'role':'model'},'finishReason':"
         "'STOP','index':0,'groundingMetadata':{'groundingChunks':[{'web':{'uri':'https://b'}}],"
         "'groundingSupports':[{'segment':{'endIndex':2},'groundingChunkIndices':[0]}]}}],"
         "'responseId':'r'}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;
        struct ir_response r;
        struct codec_caller c = {.request_id = SLICE_LIT("ours")};
        begin(&f);
        parse(&f, cases[i].in);
        ir_response_init(&r, &f.arena, DIALECT_CHAT);
        assert_int_equal(gemini->read_response(&f.doc, &r), 0);
        assert_int_equal(gemini->write_response(&r, &c, &f.out), 0);
        expect(&f, cases[i].out ? cases[i].out : cases[i].in);
        end(&f);
    }
}

static void test_what_is_no_answer(void **state)
{
    static const char *const cases[] = {"{}", "{'candidates':1}", "{'choices':[]}"};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;
        struct ir_response r;
        begin(&f);
        parse(&f, cases[i]);
        ir_response_init(&r, &f.arena, DIALECT_CHAT);
        assert_int_equal(gemini->read_response(&f.doc, &r), -1);
        end(&f);
    }
}

static void test_finish_reasons(void **state)
{
    static const struct {
        const char *word;
        enum ir_finish finish, with_calls;
    } cases[] = {
        {"STOP", IR_FINISH_STOP, IR_FINISH_TOOL_CALLS},
        {"MAX_TOKENS", IR_FINISH_LENGTH, IR_FINISH_LENGTH},
        {"SAFETY", IR_FINISH_CONTENT_FILTER, IR_FINISH_CONTENT_FILTER},
        {"RECITATION", IR_FINISH_CONTENT_FILTER, IR_FINISH_CONTENT_FILTER},
        {"BLOCKLIST", IR_FINISH_CONTENT_FILTER, IR_FINISH_CONTENT_FILTER},
        {"PROHIBITED_CONTENT", IR_FINISH_CONTENT_FILTER, IR_FINISH_CONTENT_FILTER},
        {"SPII", IR_FINISH_CONTENT_FILTER, IR_FINISH_CONTENT_FILTER},
        {"IMAGE_SAFETY", IR_FINISH_CONTENT_FILTER, IR_FINISH_CONTENT_FILTER},
        {"LANGUAGE", IR_FINISH_OTHER, IR_FINISH_OTHER},
        {"OTHER", IR_FINISH_OTHER, IR_FINISH_OTHER},
        {"MALFORMED_FUNCTION_CALL", IR_FINISH_OTHER, IR_FINISH_OTHER},
        {"UNEXPECTED_TOOL_CALL", IR_FINISH_OTHER, IR_FINISH_OTHER},
        {"SOMETHING_NEW", IR_FINISH_OTHER, IR_FINISH_OTHER},
        {"FINISH_REASON_UNSPECIFIED", IR_FINISH_NONE, IR_FINISH_NONE},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (int calls = 0; calls < 2; calls++) {
            struct fixture f;
            struct ir_response r;
            char body[256];
            begin(&f);
            snprintf(body, sizeof body,
                     "{'candidates':[{'content':{'parts':[%s]},'finishReason':'%s'}]}",
                     calls ? "{'functionCall':{'name':'f'}}" : "{'text':'x'}", cases[i].word);
            parse(&f, body);
            ir_response_init(&r, &f.arena, DIALECT_CHAT);
            assert_int_equal(gemini->read_response(&f.doc, &r), 0);
            assert_int_equal(r.choices->finish, calls ? cases[i].with_calls : cases[i].finish);
            end(&f);
        }
    }
}

static void test_usage(void **state)
{
    static const struct {
        const char *usage;
        unsigned flags;
        int64_t input, cached, output, reasoning, audio_in;
    } cases[] = {
        {"{'promptTokenCount':7,'candidatesTokenCount':2,'totalTokenCount':9}", USAGE_PRESENT, 7, 0,
         2, 0, 0},
        {"{'promptTokenCount':7,'toolUsePromptTokenCount':3,'cachedContentTokenCount':5,"
         "'candidatesTokenCount':2,'thoughtsTokenCount':4,'totalTokenCount':16,"
         "'promptTokensDetails':[{'modality':'TEXT','tokenCount':5},{'modality':'AUDIO',"
         "'tokenCount':2}]}",
         USAGE_PRESENT, 10, 5, 6, 4, 2},
        {"{'promptTokenCount':'7','totalTokenCount':'7'}", USAGE_PRESENT, 7, 0, 0, 0, 0},
        {"{'promptTokenCount':7,'candidatesTokenCount':2,'totalTokenCount':20}",
         USAGE_PRESENT | USAGE_TOTAL_OFF, 7, 0, 2, 0, 0},
        {"{'promptTokenCount':0,'candidatesTokenCount':0,'totalTokenCount':0}",
         USAGE_PRESENT | USAGE_ZERO, 0, 0, 0, 0, 0},
        {"{'promptTokenCount':7}", 0, 0, 0, 0, 0, 0},
        {"null", 0, 0, 0, 0, 0, 0},
        {"{'promptTokenCount':-1,'candidatesTokenCount':2}", USAGE_ODD, 0, 0, 0, 0, 0},
        {"{'promptTokenCount':1.5,'candidatesTokenCount':2}", USAGE_ODD, 0, 0, 0, 0, 0},
        {"{'promptTokenCount':99999999999999999999}", USAGE_ODD, 0, 0, 0, 0, 0},
        {"{'promptTokenCount':1,'cachedContentTokenCount':2,'totalTokenCount':1}", USAGE_ODD, 0, 0,
         0, 0, 0},
        {"7", USAGE_ODD, 0, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;
        struct ir_response r;
        char body[512];
        begin(&f);
        snprintf(body, sizeof body, "{'candidates':[],'usageMetadata':%s}", cases[i].usage);
        parse(&f, body);
        ir_response_init(&r, &f.arena, DIALECT_CHAT);
        assert_int_equal(gemini->read_response(&f.doc, &r), 0);
        assert_int_equal(r.usage.flags, cases[i].flags);
        assert_int_equal(r.usage.input_tokens, cases[i].input);
        assert_int_equal(r.usage.cached_tokens, cases[i].cached);
        assert_int_equal(r.usage.output_tokens, cases[i].output);
        assert_int_equal(r.usage.reasoning_tokens, cases[i].reasoning);
        assert_int_equal(r.usage.audio_input_tokens, cases[i].audio_in);
        end(&f);
    }
}

static void test_broken_arguments_are_said(void **state)
{
    struct fixture f;
    struct ir_response r;
    struct codec_caller c = {.model = IR_LIT("alias")};
    begin(&f);
    ir_response_init(&r, &f.arena, DIALECT_CHAT);
    struct ir_choice *choice = ir_add_choice(&r, 0);
    struct ir_part *p = ir_add_part(&f.arena, &choice->parts, IR_PART_TOOL_CALL);
    p->name = IR_LIT("f");
    p->arguments = IR_LIT("{\"a\":");
    choice->finish = IR_FINISH_TOOL_CALLS;
    assert_int_equal(gemini->write_response(&r, &c, &f.out), 0);
    expect(&f, "{'candidates':[{'content':{'parts':[],'role':'model'},'finishReason':"
               "'MALFORMED_FUNCTION_CALL','index':0}],'modelVersion':'alias'}");
    end(&f);
}

/* ---- streams ---- */

static const char *kind_name(enum ir_part_kind k)
{
    switch (k) {
    case IR_PART_TEXT:
        return "text";
    case IR_PART_TOOL_CALL:
        return "call";
    case IR_PART_REASONING:
        return "reasoning";
    case IR_PART_IMAGE:
        return "image";
    default:
        return "other";
    }
}

static void tell(void *ctx, const struct ir_event *ev)
{
    struct buf *b = ctx;
    int rc = buf_printf(b, "%s", ir_event_name(ev->kind));
    if (ev->kind >= IR_EV_PART_START && ev->kind <= IR_EV_PART_END)
        rc |= buf_printf(b, " %u.%u", ev->choice, ev->part);
    if (ev->kind == IR_EV_START)
        rc |= buf_printf(b, " %.*s %.*s", SLICE_FMT(ev->id.s), SLICE_FMT(ev->model.s));
    if (ev->kind == IR_EV_PART_START)
        rc |= buf_printf(b, " %s", kind_name(ev->part_kind));
    if (ev->call_id.s.n)
        rc |= buf_printf(b, " %.*s %.*s", SLICE_FMT(ev->call_id.s), SLICE_FMT(ev->name.s));
    if (ev->signature.s.n)
        rc |= buf_printf(b, " signed %.*s", SLICE_FMT(ev->signature.s));
    if (ev->text.s.n)
        rc |= buf_printf(b, " %.*s", SLICE_FMT(ev->text.s));
    if (ev->citation)
        rc |= buf_printf(b, " %.*s", SLICE_FMT(ev->citation->url.s));
    if (ev->kind == IR_EV_FINISH)
        rc |= buf_printf(b, " %u %s", ev->choice, ir_finish_name(ev->finish));
    if (ev->usage)
        rc |= buf_printf(b, " %lld/%lld", (long long)ev->usage->input_tokens,
                         (long long)ev->usage->output_tokens);
    if (ev->kind == IR_EV_ERROR)
        rc |= buf_printf(b, " (%s)", dialect_fault_name(ev->fault));
    assert_int_equal(rc | buf_append(b, "\n", 1), 0);
}

/* Runs events (one a line) through the reader into sink; what read_end says. */
static int read_stream(struct fixture *f, const char *lines, ir_sink_fn sink, void *ctx)
{
    void *state = calloc(1, gemini->reader_bytes);
    struct slice rest = slice_str(unquote(lines, f->text, sizeof f->text));
    while (rest.p) {
        struct slice line = slice_split(&rest, '\n');
        if (!line.n)
            continue;
        bool is_json = json_parse(&f->doc, line.p, line.n) == 0;
        assert_int_equal(
            gemini->read_event(state, is_json ? &f->doc : NULL, slice_str(""), line, sink, ctx),
            is_json ? 0 : -1);
    }
    int rc = gemini->read_end(state, sink, ctx);
    free(state);
    return rc;
}

#define PART(part) "{'candidates':[{'content':{'parts':[" part "]}}]}\n"
#define LAST(part, usage)                                                                          \
    "{'candidates':[{'content':{'parts':[" part "]},'finishReason':'STOP'}]" usage "}\n"
#define USAGE(p, c, t)                                                                             \
    ",'usageMetadata':{'promptTokenCount':" #p ",'candidatesTokenCount':" #c                       \
    ",'totalTokenCount':" #t "}"

static const struct {
    const char *in, *want;
    int rc;
} streams[] = {
    {"{'candidates':[{'content':{'parts':[{'text':'Hel'}],'role':'model'},'index':0}],"
     "'usageMetadata':{'promptTokenCount':3,'totalTokenCount':3},'modelVersion':'m',"
     "'responseId':'r'}\n" PART("{'text':'lo'}") LAST("{'text':''}", USAGE(3, 2, 5)),
     "START r m 3/0\nPART_START 0.0 text\nDELTA 0.0 Hel\nUSAGE 3/0\nDELTA 0.0 lo\n"
     "PART_END 0.0\nFINISH 0 stop\nUSAGE 3/2\nEND\n",
     0},
    /* Thoughts, then text, then parallel calls; a signature in a part of its own. */
    {PART("{'text':'hm','thought':true}") PART("{'text':'a'},{'text':'b'}")
         PART("{'text':'','thoughtSignature':'Ug=='}")
             PART("{'functionCall':{'id':'i','name':'f','args':{'x': 1}},'thoughtSignature':'QQ'}")
                 LAST("{'functionCall':{'name':'g'}}", ""),
     "START  \nPART_START 0.0 reasoning\nDELTA 0.0 hm\nPART_END 0.0\nPART_START 0.1 text\n"
     "DELTA 0.1 a\nDELTA 0.1 b\nSIGNATURE 0.1 Ug==\nPART_END 0.1\n"
     "PART_START 0.2 call i f signed QQ==\nDELTA 0.2 {\"x\": 1}\nPART_END 0.2\n"
     "PART_START 0.3 call call_0_1 g\nDELTA 0.3 {}\nPART_END 0.3\nFINISH 0 tool_calls\nEND\n",
     0},
    /* Candidates beside each other. */
    {"{'candidates':[{'content':{'parts':[{'text':'a'}]},'index':0},{'content':{'parts':[{'text':"
     "'b'}]},'index':1}]}\n{'candidates':[{'finishReason':'MAX_TOKENS','index':1},{'finishReason':"
     "'STOP','index':0}]}\n",
     "START  \nPART_START 0.0 text\nDELTA 0.0 a\nPART_START 1.0 text\nDELTA 1.0 b\nPART_END 1.0\n"
     "FINISH 1 length\nPART_END 0.0\nFINISH 0 stop\nEND\n",
     0},
    {PART("{'text':'a'}") "{'candidates':[{'finishReason':'STOP','groundingMetadata':{"
                          "'groundingChunks':[{'web':{'uri':'https://a'}}],'groundingSupports':[{"
                          "'segment':{'endIndex':1},'groundingChunkIndices':[0]}]}}]}\n",
     "START  \nPART_START 0.0 text\nDELTA 0.0 a\nCITATION 0.0 https://a\nPART_END 0.0\n"
     "FINISH 0 stop\nEND\n",
     0},
    {"{'promptFeedback':{'blockReason':'SAFETY'},'usageMetadata':{'promptTokenCount':4,"
     "'totalTokenCount':4}}\n",
     "START   4/0\nFINISH 0 content_filter\nUSAGE 4/0\nEND\n", 0},
    {PART("{'inlineData':{'mimeType':'image/png','data':'AA=='}}") LAST("", ""),
     "START  \nPART_START 0.0 image\nDELTA 0.0 AA==\nPART_END 0.0\nFINISH 0 stop\nEND\n", 0},
    /* Not complete: no finish, an error, nothing at all, half the candidates. */
    {PART("{'text':'a'}"), "START  \nPART_START 0.0 text\nDELTA 0.0 a\n", -1},
    {PART("{'text':'a'}") "{'error':{'code':503,'message':'busy','status':'UNAVAILABLE'}}\n" LAST(
         "", ""),
     "START  \nPART_START 0.0 text\nDELTA 0.0 a\nERROR busy (overloaded)\n", -1},
    {"", "", -1},
    {"{'candidates':[{'index':1,'content':{'parts':[{'text':'a'}]}},{'index':0,'finishReason':"
     "'STOP'}]}\n",
     "START  \nPART_START 1.0 text\nDELTA 1.0 a\nFINISH 0 stop\n", -1},
    {"[DONE]\n", "", -1},
};

static void test_stream_reader(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
        struct fixture f;
        begin(&f);
        int rc = read_stream(&f, streams[i].in, tell, &f.out);
        assert_int_equal(buf_append(&f.out, "", 1), 0);
        assert_string_equal(f.out.data, streams[i].want);
        assert_int_equal(rc, streams[i].rc);
        end(&f);
    }
}

struct writing {
    void *state;
    struct codec_caller caller;
    struct buf *out;
};

static void put(void *ctx, const struct ir_event *ev)
{
    struct writing *w = ctx;
    assert_int_equal(gemini->write_event(w->state, &w->caller, ev, w->out), 0);
}

#define CHUNK(part)                                                                                \
    "{'candidates':[{'content':{'parts':[" part                                                    \
    "],'role':'model'},'index':0}],'modelVersion':'m',"                                            \
    "'responseId':'r'}"
#define FINAL(reason, rest)                                                                        \
    "{'candidates':[{'content':{'parts':[{'text':''}],'role':'model'},'finishReason':'" reason     \
    "','index':0}]" rest ",'modelVersion':'m','responseId':'r'}"

static const char *const written[] = {
    CHUNK("{'text':'hm','thought':true}"),
    CHUNK("{'text':'','thought':true,'thoughtSignature':'QQ=='}"),
    CHUNK("{'text':'a\\ud83d\\ude00'}"),
    CHUNK("{'functionCall':{'id':'i','name':'f','args':{'x':'\\''}},'thoughtSignature':'Ug=='}"),
    FINAL("STOP", USAGE(3, 2, 5)),
};

/* Reads what stands in `written` and writes it again. */
static void rewrite(struct fixture *f, enum codec_framing framing)
{
    char lines[4096] = "";
    struct writing w = {.out = &f->out, .caller.framing = framing};
    for (size_t i = 0; i < ARRAY_LEN(written); i++) {
        strcat(lines, written[i]);
        strcat(lines, "\n");
    }
    /* The quote inside the argument is the escaped one of the table. */
    w.state = calloc(1, gemini->writer_bytes);
    assert_int_equal(read_stream(f, lines, put, &w), 0);
    gemini->writer_fini(w.state);
    free(w.state);
}

static void test_stream_writer(void **state)
{
    static const struct {
        enum codec_framing framing;
        const char *before, *between, *after;
    } cases[] = {
        {CODEC_SSE, "data: ", "\n\ndata: ", "\n\n"},
        {CODEC_JSON_ARRAY, "[", ",\r\n", "]"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;
        char want[4096], all[4096];
        begin(&f);
        rewrite(&f, cases[i].framing);
        strcpy(all, cases[i].before);
        for (size_t j = 0; j < ARRAY_LEN(written); j++) {
            strcat(all, j ? cases[i].between : "");
            strcat(all, written[j]);
        }
        strcat(all, cases[i].after);
        unquote(all, want, sizeof want);
        assert_int_equal(buf_append(&f.out, "", 1), 0);
        assert_string_equal(f.out.data, want);
        if (cases[i].framing == CODEC_JSON_ARRAY)
            assert_int_equal(json_parse(&f.doc, f.out.data, f.out.len - 1), 0);
        end(&f);
    }
}

/* Arguments that come in pieces, escaped, cut inside an escape's pair. */
static void test_argument_pieces(void **state)
{
    static const char quoted[] = "\"{\\\"k\\\":\\\"\\ud83d\\ude00\\\"}\"";
    for (size_t cut = 0; cut <= sizeof quoted - 3; cut++) {
        struct fixture f;
        struct writing w = {.out = &f.out};
        struct slice inside = slice_of(quoted + 1, sizeof quoted - 3);
        begin(&f);
        w.state = calloc(1, gemini->writer_bytes);
        put(&w, &(struct ir_event){.kind = IR_EV_START, .id = IR_LIT("r"), .model = IR_LIT("m")});
        put(&w, &(struct ir_event){.kind = IR_EV_PART_START,
                                   .part_kind = IR_PART_TOOL_CALL,
                                   .name = IR_LIT("f"),
                                   .call_id = IR_LIT("c")});
        put(&w, &(struct ir_event){.kind = IR_EV_DELTA, .text = {slice_of(inside.p, cut), true}});
        put(&w, &(struct ir_event){.kind = IR_EV_DELTA,
                                   .text = {slice_of(inside.p + cut, inside.n - cut), true}});
        assert_int_equal(f.out.len, 0);
        put(&w, &(struct ir_event){.kind = IR_EV_PART_END});
        assert_int_equal(buf_append(&f.out, "", 1), 0);
        assert_string_equal(f.out.data,
                            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{"
                            "\"id\":\"c\",\"name\":\"f\",\"args\":{\"k\":\"😀\"}}}],"
                            "\"role\":\"model\"},\"index\":0}],\"modelVersion\":\"m\","
                            "\"responseId\":\"r\"}\n\n");
        gemini->writer_fini(w.state);
        free(w.state);
        end(&f);
    }
}

static void test_stream_that_breaks(void **state)
{
    static const struct {
        enum codec_framing framing;
        const char *want;
    } cases[] = {
        {CODEC_SSE, "data: {'error':{'code':503,'message':'late','status':'UNAVAILABLE'}}\n\n"},
        {CODEC_JSON_ARRAY, "[{'error':{'code':503,'message':'late','status':'UNAVAILABLE'}}]"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;
        char want[256];
        struct writing w = {.out = &f.out, .caller.framing = cases[i].framing};
        begin(&f);
        w.state = calloc(1, gemini->writer_bytes);
        put(&w, &(struct ir_event){.kind = IR_EV_START});
        put(&w, &(struct ir_event){
                    .kind = IR_EV_PART_START, .part_kind = IR_PART_TOOL_CALL, .name = IR_LIT("f")});
        put(&w, &(struct ir_event){.kind = IR_EV_DELTA, .text = IR_LIT("{\"half")});
        put(&w, &(struct ir_event){.kind = IR_EV_PING});
        put(&w, &(struct ir_event){.kind = IR_EV_ERROR,
                                   .text = IR_LIT("late"),
                                   .fault = DIALECT_FAULT_OVERLOADED});
        unquote(cases[i].want, want, sizeof want);
        assert_true(slice_eq_str(buf_slice(&f.out), want));
        gemini->writer_fini(w.state);
        free(w.state);
        end(&f);
    }
}

/* ---- errors ---- */

static void test_errors_read(void **state)
{
    static const struct {
        int status;
        const char *body;
        enum dialect_fault fault;
    } cases[] = {
        {400, "{'error':{'code':400,'message':'m','status':'INVALID_ARGUMENT'}}",
         DIALECT_FAULT_INVALID_REQUEST},
        {400,
         "{'error':{'code':400,'message':'API key not valid. Please pass a valid API key.','status'"
         ":'INVALID_ARGUMENT','details':[{'@type':'type.googleapis.com/google.rpc.ErrorInfo',"
         "'reason':'API_KEY_INVALID','domain':'googleapis.com'}]}}",
         DIALECT_FAULT_INVALID_KEY},
        {400,
         "{'error':{'code':400,'message':'The input token count (9) exceeds the maximum number of "
         "tokens allowed (8).','status':'INVALID_ARGUMENT'}}",
         DIALECT_FAULT_CONTEXT_LENGTH},
        {400, "[{'error':{'code':400,'status':'FAILED_PRECONDITION'}}]",
         DIALECT_FAULT_INVALID_REQUEST},
        {401, "{'error':{'code':401,'status':'UNAUTHENTICATED'}}", DIALECT_FAULT_INVALID_KEY},
        {403, "{'error':{'code':403,'status':'PERMISSION_DENIED'}}", DIALECT_FAULT_PERMISSION},
        {404, "{'error':{'code':404,'status':'NOT_FOUND'}}", DIALECT_FAULT_MODEL_NOT_FOUND},
        {429,
         "{'error':{'code':429,'status':'RESOURCE_EXHAUSTED','details':[{'@type':"
         "'type.googleapis.com/google.rpc.RetryInfo','retryDelay':'12s'}]}}",
         DIALECT_FAULT_RATE_LIMIT},
        {500, "{'error':{'code':500,'status':'INTERNAL'}}", DIALECT_FAULT_SERVER},
        {503, "{'error':{'code':503,'status':'UNAVAILABLE'}}", DIALECT_FAULT_OVERLOADED},
        {504, "{'error':{'code':504,'status':'DEADLINE_EXCEEDED'}}", DIALECT_FAULT_TIMEOUT},
        {503, "<html>", DIALECT_FAULT_OVERLOADED},
        {418, "", DIALECT_FAULT_INVALID_REQUEST},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;
        begin(&f);
        unquote(cases[i].body, f.text, sizeof f.text);
        assert_int_equal(dialect_gemini.read_error(&f.doc, cases[i].status, slice_str(f.text)),
                         cases[i].fault);
        end(&f);
    }
}

static void test_retry_delay(void **state)
{
    static const struct {
        const char *body;
        int64_t us;
    } cases[] = {
        {"{'error':{'code':429,'details':[{'@type':'a'},{'@type':"
         "'type.googleapis.com/google.rpc.RetryInfo','retryDelay':'12s'}]}}",
         12000000},
        {"[{'error':{'details':[{'retryDelay':'34.074824224s'}]}}]", 34074824},
        {"{'error':{'details':[{'retryDelay':'0.5s'}]}}", 500000},
        {"{'error':{'details':[{'retryDelay':'s'}]}}", -1},
        {"{'error':{'details':[{'retryDelay':'12'}]}}", -1},
        {"{'error':{'details':[{'retryDelay':'12ms'}]}}", -1},
        {"{'error':{'details':[{'retryDelay':'99999999999999999999s'}]}}", -1},
        {"{'error':{'details':[{'retryDelay':12}]}}", -1},
        {"{'error':{'details':'x'}}", -1},
        {"{'error':'x'}", -1},
        {"<html>", -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;
        begin(&f);
        unquote(cases[i].body, f.text, sizeof f.text);
        assert_int_equal(dialect_gemini.read_retry_us(&f.doc, slice_str(f.text)), cases[i].us);
        end(&f);
    }
}

static void test_errors_written(void **state)
{
    struct fixture f;
    struct json_writer w;
    size_t n;
    struct dialect_error e = {.message = SLICE_LIT("no"),
                              .param = "contents[0].role",
                              .code = "invalid_value",
                              .status = 400};
    begin(&f);
    jw_init_buf(&w, &f.out);
    dialect_gemini.write_error(&w, &e);
    assert_int_equal(jw_finish(&w, &n), 0);
    expect(&f, "{'error':{'code':400,'message':'no','status':'INVALID_ARGUMENT','details':[{"
               "'@type':'type.googleapis.com/google.rpc.ErrorInfo','reason':'invalid_value',"
               "'domain':'gatewayd'},{'@type':'type.googleapis.com/google.rpc.BadRequest',"
               "'fieldViolations':[{'field':'contents[0].role','description':'no'}]}]}}");
    f.out.len = 0;
    e = (struct dialect_error){.message = SLICE_LIT("gone"), .status = 502};
    assert_int_equal(dialect_gemini.write_stream_error(&f.out, &e), 0);
    assert_true(slice_eq_str(buf_slice(&f.out),
                             "data: {\"error\":{\"code\":502,\"message\":\"gone\",\"status\":"
                             "\"UNAVAILABLE\"}}\n\n"));
    assert_string_equal(dialect_gemini.error_type(402, NULL), "RESOURCE_EXHAUSTED");
    assert_string_equal(dialect_gemini.error_type(429, NULL), "RESOURCE_EXHAUSTED");
    assert_string_equal(dialect_gemini.error_type(413, NULL), "INVALID_ARGUMENT");
    end(&f);
}

/* ---- the native path ---- */

static void test_native_request(void **state)
{
    struct fixture f;
    struct dialect_request r;
    struct splices cuts;
    bool injected = true;
    begin(&f);
    const char *body = unquote(
        "{'contents':[{'parts':[{'text':'0123456789'},{'inlineData':{'mimeType':'image/png','data':"
        "'AAAA'}}]},{'parts':[{'file_data':{'mime_type':'audio/wav','file_uri':'x'}},{'fileData':{"
        "'fileUri':'y'}}]}],'generation_config':{'max_output_tokens':'77','candidateCount':2},"
        "'tools':[{'functionDeclarations':[{},{}]},{'googleSearch':{}}]}",
        f.text, sizeof f.text);
    assert_int_equal(dialect_gemini.read_request(&f.doc, slice_str(body), DIALECT_CHAT,
                                                 SLICE_LIT("gemini-3"), &r, &f.why),
                     0);
    assert_true(slice_eq_str(dialect_name_slice(&r.model), "gemini-3"));
    assert_int_equal(r.max_output_tokens, 77);
    assert_int_equal(r.n, 2);
    assert_int_equal(r.messages, 2);
    assert_int_equal(r.tools, 2);
    assert_int_equal(r.images, 1);
    assert_int_equal(r.audios, 1);
    assert_int_equal(r.files, 1);
    assert_true(r.hosted_tools);
    assert_true(r.prompt_bytes > 10 && r.prompt_bytes < strlen(body));
    struct dialect_rewrite how = {.model = SLICE_LIT("other"), .inject_usage = true};
    assert_int_equal(dialect_gemini.rewrite_request(&r, &how, &cuts, &injected), 0);
    assert_int_equal(cuts.n, 0);
    assert_false(injected);
    end(&f);
}

static void test_native_refusals(void **state)
{
    static const struct {
        const char *body, *param;
    } cases[] = {
        {"{", ""},
        {"[]", ""},
        {"{}", "contents"},
        {"{'contents':1}", "contents"},
        {"{'contents':[{}],'contents':[{}]}", "contents"},
        {"{'contents':[{}],'generationConfig':{'maxOutputTokens':1,'max_output_tokens':2}}",
         "generationConfig.maxOutputTokens"},
        {"{'contents':[{}],'generationConfig':{'candidateCount':true}}",
         "generationConfig.candidateCount"},
        {"{'contents':[{}],'tools':{}}", "tools"},
        {"{'contents':[{}],'cachedContent':[]}", "cachedContent"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;
        struct dialect_request r;
        begin(&f);
        unquote(cases[i].body, f.text, sizeof f.text);
        assert_int_equal(dialect_gemini.read_request(&f.doc, slice_str(f.text), DIALECT_CHAT,
                                                     SLICE_LIT("m"), &r, &f.why),
                         -1);
        assert_string_equal(f.why.param, cases[i].param);
        end(&f);
    }
}

static void test_native_count(void **state)
{
    struct fixture f;
    struct dialect_request r;
    struct dialect_response answer;
    begin(&f);
    const char *body = unquote("{'generateContentRequest':{'model':'m','contents':[{'parts':[{"
                               "'text':'x'}]}],'tools':[{'codeExecution':{}}]}}",
                               f.text, sizeof f.text);
    assert_int_equal(dialect_gemini.read_request(&f.doc, slice_str(body), DIALECT_COUNT_TOKENS,
                                                 SLICE_LIT("m"), &r, &f.why),
                     0);
    assert_int_equal(r.messages, 1);
    assert_int_equal(dialect_gemini.read_response(&f.doc, SLICE_LIT("{\"totalTokens\":31}"),
                                                  DIALECT_COUNT_TOKENS, &answer),
                     0);
    assert_int_equal(answer.usage.input_tokens, 31);
    end(&f);
}

static void test_native_stream(void **state)
{
    struct fixture f;
    struct dialect_stream s;
    struct splices cuts;
    static const char *const events[] = {
        "{'candidates':[{'content':{'parts':[{'text':'abc'}]}}],'usageMetadata':{"
        "'promptTokenCount':4,'totalTokenCount':4},'modelVersion':'gemini-3-x','responseId':'r'}",
        "{'candidates':[{'content':{'parts':[{'text':'d'}]},'finishReason':'STOP'}],"
        "'usageMetadata':{'promptTokenCount':4,'candidatesTokenCount':2,'totalTokenCount':6}}",
    };
    begin(&f);
    dialect_gemini.stream_init(&s, DIALECT_CHAT, false);
    s.model_alias = SLICE_LIT("\"alias\"");
    for (size_t i = 0; i < ARRAY_LEN(events); i++) {
        unquote(events[i], f.text, sizeof f.text);
        enum dialect_verdict v =
            dialect_gemini.stream_event(&s, &f.doc, slice_str(""), slice_str(f.text), &cuts);
        assert_int_equal(v, i == 0 ? DIALECT_REWRITE : DIALECT_PASS);
        if (i == 0) {
            assert_int_equal(splices_append(&cuts, slice_str(f.text), &f.out), 0);
            assert_non_null(memmem(f.out.data, f.out.len, "\"modelVersion\":\"alias\"", 22));
        }
    }
    assert_true(s.finished);
    assert_int_equal(s.usage.flags, USAGE_PRESENT);
    assert_int_equal(s.usage.input_tokens, 4);
    assert_int_equal(s.usage.output_tokens, 2);
    assert_int_equal(s.output_bytes, 4);
    assert_true(slice_eq_str(dialect_name_slice(&s.finish_reason), "stop"));
    dialect_gemini.stream_fini(&s);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_unknown_members_are_listed),
        cmocka_unit_test(test_hosted_tools_are_refused),
        cmocka_unit_test(test_foreign_request),
        cmocka_unit_test(test_thinking_by_model),
        cmocka_unit_test(test_values_that_cant_be_said),
        cmocka_unit_test(test_service_tiers),
        cmocka_unit_test(test_results_without_calls),
        cmocka_unit_test(test_signature_in_an_id),
        cmocka_unit_test(test_every_field_has_a_fate),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_what_is_no_answer),
        cmocka_unit_test(test_finish_reasons),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_broken_arguments_are_said),
        cmocka_unit_test(test_stream_reader),
        cmocka_unit_test(test_stream_writer),
        cmocka_unit_test(test_argument_pieces),
        cmocka_unit_test(test_stream_that_breaks),
        cmocka_unit_test(test_errors_read),
        cmocka_unit_test(test_retry_delay),
        cmocka_unit_test(test_errors_written),
        cmocka_unit_test(test_native_request),
        cmocka_unit_test(test_native_refusals),
        cmocka_unit_test(test_native_count),
        cmocka_unit_test(test_native_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
