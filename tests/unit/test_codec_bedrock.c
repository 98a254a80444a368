/*
 * test_codec_bedrock.c: Converse and ConverseStream, read into the internal form and written from
 * it; errors; the native path.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "gatewayd/dialect/bedrock.h"
#include "gatewayd/dialect/sequence.h"
#include "gatewayd/http/eventstream.h"

#define CLAUDE_37 "us.anthropic.claude-3-7-sonnet-20250219-v1:0"
#define CLAUDE_45 "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
#define CLAUDE_46 "global.anthropic.claude-opus-4-6-v1"
#define CLAUDE_5  "anthropic.claude-opus-5"
#define NOVA      "us.amazon.nova-pro-v1:0"
#define LLAMA     "us.meta.llama3-3-70b-instruct-v1:0"

static struct json_doc doc;
static struct arena arena;

static int set_up(void **state)
{
    json_doc_init(&doc, JSON_MAX_TOKENS);
    static char first[4096];
    arena_init(&arena, first, sizeof first, 1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    json_doc_release(&doc);
    arena_reset(&arena);
    return 0;
}

static int read_request(const char *body, struct ir_request *r, struct dialect_refusal *why)
{
    arena_reset(&arena);
    ir_request_init(r, &arena, DIALECT_CHAT);
    if (json_parse(&doc, body, strlen(body)) < 0)
        fail_msg("no JSON: %s", body);
    if (codec_bedrock.read_request(&doc, r, why) < 0)
        return -1;
    return ir_link_tools(r, why);
}

static int write_request(const struct ir_request *r, const char *model, struct buf *out,
                         struct buf *dropped, struct dialect_refusal *why)
{
    struct codec_target t = {.model = slice_str(model), .dropped = dropped};
    if (ir_check_fields(r, &codec_bedrock, dropped, why) < 0)
        return -1;
    return codec_bedrock.write_request(r, &t, out, why);
}

struct rewrite {
    const char *model, *in, *out, *dropped;
    void (*change)(struct ir_request *r);
};

static void expect_rewrite(const struct rewrite *row)
{
    struct ir_request r;
    struct dialect_refusal why = {.message = ""};
    struct buf out, dropped;
    buf_init(&out, 1 << 20);
    buf_init(&dropped, 512);
    if (read_request(row->in, &r, &why) < 0)
        fail_msg("%s\nrefused: %s", row->in, why.message);
    if (row->change)
        row->change(&r);
    if (write_request(&r, row->model ? row->model : CLAUDE_45, &out, &dropped, &why) < 0)
        fail_msg("%s\nrefused: %s", row->in, why.message);
    const char *expected = row->out ? row->out : row->in;
    if (!slice_eq_str(buf_slice(&out), expected))
        fail_msg("%s\nbecame   %.*s\nexpected %s", row->in, SLICE_FMT(buf_slice(&out)), expected);
    if (!slice_eq_str(buf_slice(&dropped), row->dropped ? row->dropped : ""))
        fail_msg("%s\ndropped %.*s", row->in, SLICE_FMT(buf_slice(&dropped)));
    assert_int_equal(json_parse(&doc, out.data, out.len), 0);
    buf_release(&out);
    buf_release(&dropped);
}

#define HI      "\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"hi\"}]}]"
#define USER(c) "{\"role\":\"user\",\"content\":[" c "]}"
#define ASST(c) "{\"role\":\"assistant\",\"content\":[" c "]}"
#define MSGS(c) "{\"messages\":[" c "]}"
#define TOOLS                                                                                      \
    "{\"toolSpec\":{\"name\":\"f\",\"description\":\"d\",\"inputSchema\":{\"json\":{\"type\":"     \
    "\"object\"}}}}"
#define CALL   "{\"toolUse\":{\"toolUseId\":\"t1\",\"name\":\"f\",\"input\":{\"a\":[1,2]}}}"
#define RESULT "{\"toolResult\":{\"toolUseId\":\"t1\",\"content\":[{\"text\":\"r\"}]}}"
#define AUTO_TOOL                                                                                  \
    "{\"toolSpec\":{\"name\":\"f\",\"inputSchema\":{\"json\":{\"type\":\"object\",\"properties\":" \
    "{}}}}}"

static void requests_come_back_as_they_were(void **state)
{
    static const struct rewrite rows[] = {
        {.in = "{" HI "}"},
        {.in = "{\"system\":[{\"text\":\"s\"},{\"cachePoint\":{\"type\":\"default\"}}]," HI "}"},
        {.in = MSGS(USER("{\"text\":\"a \\u00e9\\n\\\"b\\\"\"}"))},
        {.in =
             MSGS(USER("{\"text\":\"a\"},{\"cachePoint\":{\"type\":\"default\",\"ttl\":\"1h\"}}"))},
        {.in = MSGS(USER("{\"text\":\"a\"},{\"image\":{\"format\":\"png\",\"source\":{\"bytes\":"
                         "\"iVBORw0K\"}}}"))},
        {.in = MSGS(USER("{\"video\":{\"format\":\"three_gp\",\"source\":{\"bytes\":\"AAAA\"}}}"))},
        {.in = MSGS(USER("{\"audio\":{\"format\":\"wav\",\"source\":{\"bytes\":\"AAAA\"}}}"))},
        {.in =
             MSGS(USER("{\"text\":\"a\"}") "," ASST(CALL) "," USER(RESULT ",{\"text\":\"more\"}")),
         .out = "{\"messages\":[" USER("{\"text\":\"a\"}") "," ASST(CALL) "," USER(
             RESULT ",{\"text\":\"more\"}") "],\"toolConfig\":{\"tools\":[" AUTO_TOOL "]}}"},
        {.in = "{\"messages\":[" USER("{\"text\":\"a\"}") "," ASST(
             "{\"reasoningContent\":{\"reasoningText\":{\"text\":"
             "\"t\",\"signature\":\"s==\"}}},"
             "{\"reasoningContent\":{\"redactedContent\":\"cmVk\"}},{"
             "\"text\":\"b\"}") "," USER("{\"text\":\"c\"}") "]}"},
        {.in = "{" HI ",\"inferenceConfig\":{\"maxTokens\":100,\"temperature\":0.50,"
               "\"stopSequences\":[\"a\",\"b\\n\"]},\"toolConfig\":{\"tools\":[" TOOLS
               ",{\"cachePoint\":{\"type\":\"default\"}}],\"toolChoice\":{\"tool\":{\"name\":"
               "\"f\"}}},\"additionalModelResponseFieldPaths\":[\"/stop_sequence\","
               "\"/delta/stop_sequence\"]}",
         .dropped = "additionalModelResponseFieldPaths"},
        {.in = "{" HI ",\"toolConfig\":{\"tools\":[" TOOLS "],\"toolChoice\":{\"auto\":{}}}}"},
        {.in = "{" HI ",\"toolConfig\":{\"tools\":[" TOOLS "],\"toolChoice\":{\"any\":{}}}}"},
        {.in = "{" HI ",\"additionalModelRequestFields\":{\"top_k\":5}}"},
        {.model = NOVA,
         .in = "{" HI ",\"additionalModelRequestFields\":{\"inferenceConfig\":{\"topK\":5}}}"},
        {.in = "{" HI ",\"outputConfig\":{\"textFormat\":{\"type\":\"json_schema\",\"structure\":"
               "{\"jsonSchema\":{\"schema\":\"{\\\"type\\\":\\\"object\\\"}\",\"name\":\"n\","
               "\"description\":\"d\"}}}}}"},
        {.in = "{" HI ",\"requestMetadata\":{\"a\":\"b c\"},\"serviceTier\":{\"type\":\"flex\"}}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        expect_rewrite(&rows[i]);
}

static void turns_are_made_to_alternate(void **state)
{
    static const struct rewrite rows[] = {
        {.in = MSGS(USER("{\"text\":\"a\"}") "," USER("{\"text\":\"b\"}") "," ASST(
             "{\"text\":\"c\"}") "," ASST("{\"text\":\"d\"}")),
         .out = MSGS(USER("{\"text\":\"a\"},{\"text\":\"b\"}") "," ASST(
             "{\"text\":\"c\"},{\"text\":\"d\"}"))},
        {.in = MSGS(ASST("{\"text\":\"a\"}") "," USER("{\"text\":\"b\"}")),
         .out = MSGS(
             USER("{\"text\":\".\"}") "," ASST("{\"text\":\"a\"}") "," USER("{\"text\":\"b\"}"))},
        {.in = MSGS(USER("{\"text\":\"a\"}") "," ASST("{\"text\":\" \\n\"}") "," USER(
             "{\"text\":\"b\"},{\"text\":\"\"}")),
         .out = MSGS(USER("{\"text\":\"a\"},{\"text\":\"b\"}"))},
        {.in = MSGS("{\"role\":\"system\",\"content\":[{\"text\":\"s\"}]}," USER(
             "{\"text\":\"a\"}") ",{\"role\":\"system\",\"content\":[{\"text\":\"t\"}]}"),
         .out = "{\"system\":[{\"text\":\"s\"},{\"text\":\"t\"}],\"messages\":[" USER(
             "{\"text\":\"a\"}") "]}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        expect_rewrite(&rows[i]);
}

static void documents_get_names_that_are_allowed(void **state)
{
#define DOC(name, format)                                                                          \
    "{\"document\":{\"format\":\"" format "\",\"name\":\"" name                                    \
    "\",\"source\":{\"bytes\":\"JVBERg==\"}}}"
    static const struct rewrite rows[] = {
        {.in = MSGS(USER("{\"text\":\"a\"}," DOC("Q1/Q2 report_(final).v2.pdf",
                                                 "pdf") "," DOC("\\u00fc", "md"))),
         .out = MSGS(USER("{\"text\":\"a\"}," DOC("Q1 Q2 report (final) v2-1",
                                                  "pdf") "," DOC("document-2", "md")))},
        {.in = MSGS(USER(DOC("a", "pdf"))),
         .out = MSGS(USER(DOC("a-1", "pdf") ",{\"text\":\".\"}"))},
        {.in = MSGS(USER("{\"text\":\"a\"},{\"document\":{\"name\":\"n\",\"source\":{\"content\":["
                         "{\"text\":\"x\\n\"},{\"text\":\"y\"}]}}}")),
         .out = MSGS(USER("{\"text\":\"a\"},{\"document\":{\"format\":\"txt\",\"name\":\"n-1\","
                          "\"source\":{\"text\":\"x\\ny\"}}}"))},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        expect_rewrite(&rows[i]);
}

static void choose_none(struct ir_request *r)
{
    r->tool_choice = IR_CHOICE_NONE;
    ir_note(r, IR_F_TOOL_CHOICE_NONE);
}

static void allow_g(struct ir_request *r)
{
    static struct ir_text g = {{"g", 1}, false};
    r->allowed_tools = &g;
    r->n_allowed_tools = 1;
    ir_note(r, IR_F_TOOL_CHOICE_ALLOWED);
}

static void odd_call_ids(struct ir_request *r)
{
    for (struct ir_message *m = r->messages; m; m = m->next)
        for (struct ir_part *p = m->parts; p; p = p->next)
            if (p->kind == IR_PART_TOOL_CALL || p->kind == IR_PART_TOOL_RESULT)
                p->call_id = IR_LIT("functions.f:0/\xc3\xa9");
}

static void tools(void **state)
{
#define G       "{\"toolSpec\":{\"name\":\"g\",\"inputSchema\":{\"json\":{}}}}"
#define HISTORY "\"messages\":[" USER("{\"text\":\"a\"}") "," ASST(CALL) "," USER(RESULT) "]"
#define ODD     "functions.f:0/\xc3\xa9"
    static const struct rewrite rows[] = {
        {.in = "{" HI ",\"toolConfig\":{\"tools\":[" TOOLS "]}}",
         .out = "{" HI "}",
         .change = choose_none},
        {.in = "{" HISTORY ",\"toolConfig\":{\"tools\":[" TOOLS "]}}",
         .dropped = "tool choice: none",
         .change = choose_none},
        {.in = "{" HI ",\"toolConfig\":{\"tools\":[" TOOLS "," G "]}}",
         .out = "{" HI ",\"toolConfig\":{\"tools\":[" G "]}}",
         .change = allow_g},
        {.in = "{" HISTORY "}",
         .out = "{\"messages\":[" USER(
             "{\"text\":\"a\"}") ","
                                 "{\"role\":\"assistant\",\"content\":[{\"toolUse\":{\"toolUseId\":"
                                 "\"functions.f:0____f6af906cdeb170de\",\"name\":\"f\",\"input\":{"
                                 "\"a\":[1,2]}}}]},"
                                 "{\"role\":\"user\",\"content\":[{\"toolResult\":{\"toolUseId\":"
                                 "\"functions.f:0____f6af906cdeb170de\",\"content\":[{\"text\":"
                                 "\"r\"}]}}]}],"
                                 "\"toolConfig\":{\"tools\":[" AUTO_TOOL "]}}",
         .change = odd_call_ids},
        {.in = "{\"messages\":[" USER("{\"text\":\"a\"}") "," ASST(CALL) "," USER(
             "{\"toolResult\":{\"toolUseId\":\"t1\",\"content\":[{\"json\":{\"x\":1}}],\"status\":"
             "\"error\"}}") "],\"toolConfig\":{\"tools\":[" TOOLS "]}}"},
        {.in = "{\"messages\":[" USER("{\"text\":\"a\"}") "," ASST(CALL) "," USER(
             "{\"toolResult\":{\"toolUseId\":\"t1\",\"content\":[{\"json\":{\"x\":1}},{\"image\":"
             "{\"format\":\"jpeg\",\"source\":{\"bytes\":\"AA==\"}}}]}}") "],\"toolConfig\":{"
                                                                          "\"tools\":[" TOOLS "]}}",
         .out = "{\"messages\":[" USER("{\"text\":\"a\"}") "," ASST(CALL) "," USER(
             "{\"toolResult\":{\"toolUseId\":\"t1\",\"content\":[{\"text\":\"{"
             "\\\"x\\\":1}\"},"
             "{\"image\":{\"format\":\"jpeg\",\"source\":{\"bytes\":\"AA==\"}}}]"
             "}}") "],"
                   "\"toolConfig\":{\"tools\":[" TOOLS "]}}"},
        {.in = "{\"messages\":[" USER("{\"text\":\"a\"}") "," ASST(CALL) "," USER(
             "{\"toolResult\":{\"toolUseId\":\"t1\",\"content\":[]}}") "],\"toolConfig\":{"
                                                                       "\"tools\":[" TOOLS "]}}",
         .out = "{\"messages\":[" USER("{\"text\":\"a\"}") "," ASST(CALL) "," USER(
             "{\"toolResult\":{\"toolUseId\":\"t1\",\"content\":[{\"text\":\".\"}]}"
             "}") "],"
                  "\"toolConfig\":{\"tools\":[" TOOLS "]}}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        expect_rewrite(&rows[i]);
}

static void effort_high(struct ir_request *r)
{
    r->effort = IR_EFFORT_HIGH;
    ir_note(r, IR_F_EFFORT);
}

static void effort_xhigh(struct ir_request *r)
{
    r->effort = IR_EFFORT_XHIGH;
    r->include_thoughts = 1;
    ir_note(r, IR_F_EFFORT);
}

static void dynamic_budget(struct ir_request *r)
{
    r->thinking_budget = IR_BUDGET_DYNAMIC;
    ir_note(r, IR_F_THINKING_BUDGET);
}

static void json_output(struct ir_request *r)
{
    r->format = IR_FORMAT_JSON;
    ir_note(r, IR_F_FORMAT_JSON);
}

static void what_models_take(void **state)
{
#define MAX(n)   ",\"inferenceConfig\":{\"maxTokens\":" #n "}"
#define EXTRA(x) ",\"additionalModelRequestFields\":{" x "}"
    static const struct rewrite rows[] = {
        /* a budget, below the maximum */
        {CLAUDE_45,
         "{" HI MAX(4000) EXTRA("\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":"
                                "2000}") "}",
         NULL, NULL, NULL},
        {CLAUDE_37, "{" HI MAX(4000) "}",
         "{" HI MAX(4000) EXTRA("\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":3999}") "}",
         NULL, effort_high},
        {CLAUDE_45, "{" HI "}",
         "{" HI MAX(28672) EXTRA("\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":24576}") "}",
         NULL, effort_high},
        {CLAUDE_45, "{" HI MAX(1000) "}", NULL, "outputConfig.effort", effort_high},
        {CLAUDE_45, "{" HI ",\"toolConfig\":{\"tools\":[" TOOLS "],\"toolChoice\":{\"any\":{}}}}",
         NULL, "outputConfig.effort", effort_high},
        {CLAUDE_45, "{" HISTORY ",\"toolConfig\":{\"tools\":[" TOOLS "]}}",
         "{" HISTORY MAX(28672) ",\"toolConfig\":{\"tools\":[" TOOLS "]}}", "outputConfig.effort",
         effort_high},
        /* adaptive thinking */
        {CLAUDE_46, "{" HI MAX(1000) "}",
         "{" HI MAX(1000) EXTRA("\"thinking\":{\"type\":\"adaptive\",\"display\":\"summarized\"},"
                                "\"output_config\":{\"effort\":\"high\"}") "}",
         NULL, effort_xhigh},
        {CLAUDE_5, "{" HI "}",
         "{" HI EXTRA("\"thinking\":{\"type\":\"adaptive\",\"display\":\"summarized\"},"
                      "\"output_config\":{\"effort\":\"xhigh\"}") "}",
         NULL, effort_xhigh},
        {CLAUDE_5, "{" HI "}", "{" HI EXTRA("\"thinking\":{\"type\":\"adaptive\"}") "}", NULL,
         dynamic_budget},
        {CLAUDE_46, "{" HI EXTRA("\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}") "}",
         "{" HI EXTRA("\"thinking\":{\"type\":\"adaptive\"},\"output_config\":{\"effort\":"
                      "\"low\"}") "}",
         NULL, NULL},
        {CLAUDE_45, "{" HI EXTRA("\"thinking\":{\"type\":\"disabled\"}") "}", "{" HI "}", NULL,
         NULL},
        /* none */
        {LLAMA, "{" HI "}", NULL, "outputConfig.effort", effort_high},
        {"anthropic.claude-3-5-sonnet-20240620-v1:0", "{" HI "}", NULL, "outputConfig.effort",
         effort_high},
        /* sampling */
        {CLAUDE_45, "{" HI ",\"inferenceConfig\":{\"temperature\":1.5,\"topP\":0.9}}",
         "{" HI ",\"inferenceConfig\":{\"temperature\":1}}", "inferenceConfig.topP", NULL},
        {LLAMA,
         "{" HI ",\"inferenceConfig\":{\"temperature\":1e0,\"topP\":0.9}" EXTRA("\"top_k\":3") "}",
         "{" HI ",\"inferenceConfig\":{\"temperature\":1e0,\"topP\":0.9}}",
         "additionalModelRequestFields.top_k", NULL},
        {CLAUDE_5,
         "{" HI ",\"inferenceConfig\":{\"temperature\":0.1,\"topP\":0.9}" EXTRA("\"top_k\":3") "}",
         "{" HI "}",
         "inferenceConfig.temperature, inferenceConfig.topP, additionalModelRequestFields.top_k",
         NULL},
        {CLAUDE_46, "{" HI ",\"inferenceConfig\":{\"temperature\":0.1}}",
         "{" HI EXTRA("\"thinking\":{\"type\":\"adaptive\"}") "}", "inferenceConfig.temperature",
         dynamic_budget},
        /* caching */
        {LLAMA, "{\"system\":[{\"text\":\"s\"},{\"cachePoint\":{\"type\":\"default\"}}]," HI "}",
         "{\"system\":[{\"text\":\"s\"}]," HI "}", "messages[].content[].cachePoint", NULL},
        /* the rest */
        {CLAUDE_45, "{" HI "}",
         "{\"system\":[{\"text\":\"Answer with one JSON object and nothing else.\"}]," HI "}", NULL,
         json_output},
        {LLAMA,
         "{" HI ",\"requestMetadata\":{\"a\":1},\"serviceTier\":{\"type\":\"scale\"},"
         "\"performanceConfig\":{\"latency\":\"optimized\"}}",
         "{" HI "}", "performanceConfig, requestMetadata, serviceTier.type", NULL},
        {CLAUDE_45,
         MSGS(USER("{\"text\":\"a\"}") "," ASST(
             "{\"reasoningContent\":{\"reasoningText\":{"
             "\"text\":\"t\"}}},{\"text\":\"b\"}") "," USER("{\"text\":\"c\"}")),
         MSGS(USER("{\"text\":\"a\"}") "," ASST("{\"text\":\"b\"}") "," USER("{\"text\":\"c\"}")),
         "messages[].content[].reasoningContent.reasoningText", NULL},
        {CLAUDE_45,
         MSGS(USER("{\"text\":\"a\"}") "," ASST(
             "{\"citationsContent\":{\"content\":[{\"text\":\"b\"}],\"citations\":[{\"title\":"
             "\"t\"}]"
             "}}") "," USER("{\"guardContent\":{\"text\":{\"text\":\"c\"}}}")),
         MSGS(USER("{\"text\":\"a\"}") "," ASST("{\"text\":\"b\"}") "," USER("{\"text\":\"c\"}")),
         "messages[].content[].citationsContent", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        expect_rewrite(&rows[i]);
}

static void bad_requests_are_refused_by_name(void **state)
{
    static const struct {
        const char *in, *param, *words;
    } rows[] = {
        {"{}", "messages", "is required"},
        {"{\"messages\":{}}", "messages", "must be an array, not an object"},
        {"{\"messages\":[]}", "messages", "at least one"},
        {"{\"messages\":[1]}", "messages[0]", "must be an object, not a number"},
        {"{\"messages\":[{\"role\":\"tool\",\"content\":[]}]}", "messages[0].role", "user, assis"},
        {"{\"messages\":[{\"content\":[]}]}", "messages[0].role", "must be user"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", "messages[0].content",
         "must be an array"},
        {"{\"messages\":[{\"role\":\"user\"}]}", "messages[0].content", "must be an array"},
        {MSGS(USER("1")), "messages[0].content[0]", "must be an object"},
        {MSGS(USER("{}")), "messages[0].content[0]", "exactly one member"},
        {MSGS(USER("{\"text\":\"a\",\"image\":{}}")), "messages[0].content[0]", "exactly one"},
        {MSGS(USER("{\"text\":1}")), "messages[0].content[0].text", "a string, not a number"},
        {MSGS(USER("{\"searchResult\":{}}")), "messages[0].content[0]", "can't be sent"},
        {MSGS(USER(CALL)), "messages[0].content[0].toolUse", "can't stand here"},
        {MSGS(ASST("{\"image\":{}}")), "messages[0].content[0].image", "can't stand here"},
        {MSGS(USER("{\"image\":{\"format\":\"png\"}}")), "messages[0].content[0].image.source",
         "must be an object"},
        {MSGS(USER("{\"image\":{\"format\":\"bmp\",\"source\":{\"bytes\":\"\"}}}")),
         "messages[0].content[0].image.format", "a format"},
        {MSGS(
             USER("{\"image\":{\"format\":\"png\",\"source\":{\"s3Location\":{\"uri\":\"s3://b/o\"}"
                  "}}}")),
         "messages[0].content[0].image.source", "S3"},
        {MSGS(USER("{\"image\":{\"format\":\"png\",\"source\":{\"bytes\":1}}}")),
         "messages[0].content[0].image.source.bytes", "a string"},
        {MSGS(USER(RESULT)), "messages[0]", "no tool call before it"},
        {MSGS(USER("{\"text\":\"a\"}") "," ASST(CALL) "," USER(RESULT "," RESULT)), "messages[2]",
         "has its result already"},
        {MSGS(ASST("{\"toolUse\":{\"toolUseId\":\"a\",\"name\":\"f\",\"input\":\"x\"}}")),
         "messages[0].content[0].toolUse.input", "must be an object"},
        {MSGS(ASST("{\"toolUse\":{\"name\":\"f\",\"input\":{}}}")),
         "messages[0].content[0].toolUse", "are required"},
        {MSGS(ASST("{\"reasoningContent\":{\"x\":1}}")), "messages[0].content[0].reasoningContent",
         "reasoningText or"},
        {MSGS(USER("{\"cachePoint\":{\"type\":\"x\"}}")), "messages[0].content[0].cachePoint",
         "must be default"},
        {MSGS(USER("{\"cachePoint\":{\"type\":\"default\",\"ttl\":\"2h\"}}")),
         "messages[0].content[0].cachePoint.ttl", "5m or 1h"},
        {"{" HI ",\"system\":\"x\"}", "system", "must be an array"},
        {"{" HI ",\"inferenceConfig\":{\"maxTokens\":\"1\"}}", "inferenceConfig.maxTokens",
         "an integer"},
        {"{" HI ",\"inferenceConfig\":{\"maxTokens\":1.5}}", "inferenceConfig.maxTokens",
         "integer"},
        {"{" HI ",\"inferenceConfig\":{\"topP\":1,\"topP\":2}}", "inferenceConfig.topP",
         "more than once"},
        {"{" HI ",\"inferenceConfig\":{\"stopSequences\":[1]}}", "inferenceConfig.stopSequences[0]",
         "a string"},
        {"{" HI ",\"toolConfig\":{\"tools\":[{\"toolSpec\":{}}]}}",
         "toolConfig.tools[0].toolSpec.name", "is required"},
        {"{" HI ",\"toolConfig\":{\"tools\":[{\"toolSpec\":{\"name\":\"f\"}}]}}",
         "toolConfig.tools[0].toolSpec.inputSchema", "JSON schema"},
        {"{" HI ",\"toolConfig\":{\"tools\":[],\"toolChoice\":{\"none\":{}}}}",
         "toolConfig.toolChoice", "auto, any or tool"},
        {"{" HI ",\"toolConfig\":{\"tools\":[{\"systemTool\":{\"name\":\"nova_grounding\"}}]}}",
         "toolConfig.tools[].systemTool", "that provider only"},
        {"{" HI ",\"guardrailConfig\":{\"guardrailIdentifier\":\"x\"}}", "guardrailConfig",
         "Bedrock's own"},
        {"{" HI ",\"promptVariables\":{}}", "promptVariables", "Bedrock's own"},
        {"{" HI ",\"outputConfig\":{\"textFormat\":{\"type\":\"json_schema\",\"structure\":{"
         "\"jsonSchema\":{\"schema\":\"[]\"}}}}}",
         "outputConfig.textFormat.structure.jsonSchema.schema", "JSON object"},
        {"{" HI ",\"additionalModelRequestFields\":{\"thinking\":{\"type\":\"enabled\"}}}",
         "additionalModelRequestFields.thinking.budget_tokens", "required"},
        {"{" HI ",\"additionalModelRequestFields\":{\"output_config\":{\"effort\":\"huge\"}}}",
         "additionalModelRequestFields.output_config.effort", "low, medium"},
        {MSGS(USER("{\"text\":\" \"}")), "messages", "must have content"},
        {"{" HI ",\"toolConfig\":{\"tools\":[{\"toolSpec\":{\"name\":\"a.b\",\"inputSchema\":{"
         "\"json\":{}}}}]}}",
         "tools", "a tool's name"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ir_request r;
        struct dialect_refusal why = {.message = ""};
        struct buf out, dropped;
        buf_init(&out, 1 << 20);
        buf_init(&dropped, 512);
        if (read_request(rows[i].in, &r, &why) == 0 &&
            write_request(&r, CLAUDE_45, &out, &dropped, &why) == 0)
            fail_msg("%s was taken", rows[i].in);
        if (!strstr(why.message, rows[i].words) || strncmp(why.param, rows[i].param, 63) != 0)
            fail_msg("%s\nrefused with %s: %s", rows[i].in, why.param, why.message);
        buf_release(&out);
        buf_release(&dropped);
    }
}

static void unknown_members_are_reported(void **state)
{
    static const struct rewrite row = {
        .in = "{" HI ",\"foo\":1,\"inferenceConfig\":{\"bar\":{}},\"additionalModelRequestFields\":"
              "{\"anthropic_beta\":[\"x\"]}}",
        .out = "{" HI "}",
        .dropped = "foo, inferenceConfig.bar, additionalModelRequestFields.anthropic_beta"};
    expect_rewrite(&row);
}

static void every_field_has_its_row(void **state)
{
    for (unsigned f = 0; f < IR_FIELD_COUNT; f++) {
        const struct ir_field_row *row = &bedrock_fields[f];
        if (row->fate == IR_UNSTATED || !row->note || (row->fate != IR_CARRIED && !row->note[0]))
            fail_msg("%s", ir_field_text((enum ir_field)f));
    }
}

/* ---- whole answers ---- */

static void answers_come_back_as_they_were(void **state)
{
#define ANSWER(content, reason, usage)                                                             \
    "{\"output\":{\"message\":{\"role\":\"assistant\",\"content\":[" content                       \
    "]}},\"stopReason\":\"" reason "\",\"usage\":{" usage "},\"metrics\":{\"latencyMs\":0}"
#define USAGE                                                                                      \
    "\"inputTokens\":10,\"outputTokens\":5,\"totalTokens\":35,\"cacheReadInputTokens\":20,"        \
    "\"cacheWriteInputTokens\":0"
    static const char *const rows[] = {
        ANSWER("{\"text\":\"a \\u00e9\"}", "end_turn", USAGE) "}",
        ANSWER("{\"reasoningContent\":{\"reasoningText\":{\"text\":\"t\",\"signature\":\"s\"}}},"
               "{\"reasoningContent\":{\"redactedContent\":\"AA==\"}},{\"text\":\"a\"}," CALL,
               "tool_use", USAGE) "}",
        ANSWER("{\"text\":\"a\"}", "stop_sequence",
               USAGE) ",\"additionalModelResponseFields\":{\"stop_sequence\":\"x\"}}",
        ANSWER("{\"text\":\"a\"}", "max_tokens", USAGE) "}",
        ANSWER("", "content_filtered", USAGE) "}",
        ANSWER("", "model_context_window_exceeded", USAGE) "}",
        ANSWER("{\"citationsContent\":{\"content\":[{\"text\":\"a\"}],\"citations\":[{\"title\":"
               "\"t\",\"sourceContent\":[{\"text\":\"c\"}],\"location\":{\"web\":{\"url\":\"u\"}}}]"
               "}}",
               "end_turn", USAGE) "}",
        ANSWER("{\"image\":{\"format\":\"png\",\"source\":{\"bytes\":\"AA==\"}}}", "end_turn",
               USAGE) "}",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct codec_caller caller = {.framing = CODEC_EVENTSTREAM};
        struct ir_response r;
        struct buf out;
        arena_reset(&arena);
        buf_init(&out, 1 << 16);
        ir_response_init(&r, &arena, DIALECT_CHAT);
        assert_int_equal(json_parse(&doc, rows[i], strlen(rows[i])), 0);
        assert_int_equal(codec_bedrock.read_response(&doc, &r), 0);
        assert_int_equal(r.usage.input_tokens, 30);
        assert_int_equal(r.usage.cached_tokens, 20);
        assert_int_equal(r.usage.flags, USAGE_PRESENT);
        assert_int_equal(codec_bedrock.write_response(&r, &caller, &out), 0);
        if (!slice_eq_str(buf_slice(&out), rows[i]))
            fail_msg("%s\nbecame %.*s", rows[i], SLICE_FMT(buf_slice(&out)));
        buf_release(&out);
    }
}

static void usage_that_cannot_be(void **state)
{
    static const struct {
        const char *usage;
        unsigned flags;
        int64_t input, written_1h;
    } rows[] = {
        {"{\"inputTokens\":1,\"outputTokens\":2,\"totalTokens\":3}", USAGE_PRESENT, 1, 0},
        {"{\"inputTokens\":1,\"outputTokens\":2}", USAGE_PRESENT, 1, 0},
        {"{\"inputTokens\":1,\"outputTokens\":2,\"totalTokens\":9}",
         USAGE_PRESENT | USAGE_TOTAL_OFF, 1, 0},
        {"{\"inputTokens\":0,\"outputTokens\":0,\"totalTokens\":0}", USAGE_PRESENT | USAGE_ZERO, 0,
         0},
        {"{\"inputTokens\":1,\"outputTokens\":2,\"totalTokens\":9,\"cacheWriteInputTokens\":6,"
         "\"cacheDetails\":[{\"ttl\":\"1h\",\"inputTokens\":4},{\"ttl\":\"5m\",\"inputTokens\":2}]"
         "}",
         USAGE_PRESENT, 7, 4},
        {"{\"inputTokens\":1}", USAGE_ODD, 0, 0},
        {"{\"inputTokens\":-1,\"outputTokens\":2}", USAGE_ODD, 0, 0},
        {"{\"inputTokens\":\"1\",\"outputTokens\":2}", USAGE_ODD, 0, 0},
        {"{\"inputTokens\":99999999999,\"outputTokens\":2}", USAGE_ODD, 0, 0},
        {"null", 0, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct dialect_usage u = {.total_tokens = -1};
        assert_int_equal(json_parse(&doc, rows[i].usage, strlen(rows[i].usage)), 0);
        bedrock_read_usage(&doc, JSON_ROOT, &u);
        if (u.flags != rows[i].flags || u.input_tokens != rows[i].input ||
            u.cache_write_1h_tokens != rows[i].written_1h)
            fail_msg("%s: %x %" PRId64, rows[i].usage, u.flags, u.input_tokens);
    }
}

static void what_is_no_answer(void **state)
{
    static const char *const rows[] = {
        "{}",
        "{\"message\":\"x\"}",
        "{\"output\":{\"message\":{\"content\":[]}}}",
        "{\"output\":{\"message\":{\"content\":[{\"text\":1}]}},\"stopReason\":\"end_turn\"}",
        "{\"output\":{\"message\":{\"content\":{}}},\"stopReason\":\"end_turn\"}",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ir_response r;
        arena_reset(&arena);
        ir_response_init(&r, &arena, DIALECT_CHAT);
        assert_int_equal(json_parse(&doc, rows[i], strlen(rows[i])), 0);
        assert_int_equal(codec_bedrock.read_response(&doc, &r), -1);
    }
}

/* ---- streams ---- */

/* "KIND part text" a line. */
static void tell(void *ctx, const struct ir_event *ev)
{
    struct buf *b = ctx;
    int rc = buf_printf(b, "%s", ir_event_name(ev->kind));
    if (ev->kind == IR_EV_PART_START)
        rc |= buf_printf(b, " %u kind=%d%s %.*s %.*s%.*s", ev->part, (int)ev->part_kind,
                         ev->redacted ? " redacted" : "", SLICE_FMT(ev->call_id.s),
                         SLICE_FMT(ev->name.s), SLICE_FMT(ev->media_type.s));
    else if (ev->kind == IR_EV_DELTA || ev->kind == IR_EV_SIGNATURE)
        rc |= buf_printf(b, " %u %.*s", ev->part, SLICE_FMT(ev->text.s));
    else if (ev->kind == IR_EV_CITATION)
        rc |= buf_printf(b, " %u %.*s", ev->part, SLICE_FMT(ev->citation->title.s));
    else if (ev->kind == IR_EV_PART_END)
        rc |= buf_printf(b, " %u", ev->part);
    else if (ev->kind == IR_EV_FINISH)
        rc |= buf_printf(b, " %s %.*s", ir_finish_name(ev->finish), SLICE_FMT(ev->stop_sequence.s));
    else if (ev->kind == IR_EV_USAGE)
        rc |= buf_printf(b, " %" PRId64 "/%" PRId64, ev->usage->input_tokens,
                         ev->usage->output_tokens);
    else if (ev->kind == IR_EV_ERROR)
        rc |= buf_printf(b, " %s %.*s", dialect_fault_name(ev->fault), SLICE_FMT(ev->text.s));
    rc |= buf_printf(b, "\n");
    assert_int_equal(rc, 0);
}

struct event {
    const char *type, *data;
};

/* 0, or -1 where an event can't be read; then what read_end says. */
static int read_stream(const struct event *ev, size_t n, ir_sink_fn sink, void *ctx)
{
    void *state = calloc(1, codec_bedrock.reader_bytes);
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        bool json = json_parse(&doc, ev[i].data, strlen(ev[i].data)) == 0;
        rc = codec_bedrock.read_event(state, json ? &doc : NULL, slice_str(ev[i].type),
                                      slice_str(ev[i].data), sink, ctx);
    }
    if (rc == 0)
        rc = codec_bedrock.read_end(state, sink, ctx);
    free(state);
    return rc;
}

#define START                                                                                      \
    {                                                                                              \
        "messageStart", "{\"role\":\"assistant\"}"                                                 \
    }
#define DELTA(i, d)                                                                                \
    {                                                                                              \
        "contentBlockDelta", "{\"delta\":{" d "},\"contentBlockIndex\":" #i "}"                    \
    }
#define STOP(i)                                                                                    \
    {                                                                                              \
        "contentBlockStop", "{\"contentBlockIndex\":" #i "}"                                       \
    }
#define TOOL(i, id)                                                                                \
    {                                                                                              \
        "contentBlockStart", "{\"start\":{\"toolUse\":{\"toolUseId\":\"" id                        \
                             "\",\"name\":\"f\"}},\"contentBlockIndex\":" #i "}"                   \
    }
#define FINISH(reason)                                                                             \
    {                                                                                              \
        "messageStop", "{\"stopReason\":\"" reason "\"}"                                           \
    }
#define METADATA                                                                                   \
    {                                                                                              \
        "metadata", "{\"usage\":{\"inputTokens\":3,\"outputTokens\":4,\"totalTokens\":7,"          \
                    "\"cacheReadInputTokens\":0,\"cacheWriteInputTokens\":0},"                     \
                    "\"metrics\":{\"latencyMs\":0}}"                                               \
    }

static const struct event full[] = {
    START,
    DELTA(0, "\"reasoningContent\":{\"text\":\"th\"}"),
    DELTA(0, "\"reasoningContent\":{\"text\":\"ink\"}"),
    DELTA(0, "\"reasoningContent\":{\"signature\":\"c2ln\"}"),
    STOP(0),
    DELTA(1, "\"text\":\"Hi \\ud83d\\ude00\""),
    DELTA(1, "\"citation\":{\"title\":\"t\",\"sourceContent\":[{\"text\":\"c\"}]}"),
    STOP(1),
    TOOL(2, "a"),
    DELTA(2, "\"toolUse\":{\"input\":\"{\\\"x\\\":\"}"),
    DELTA(2, "\"toolUse\":{\"input\":\"1}\"}"),
    STOP(2),
    TOOL(3, "b"),
    DELTA(3, "\"toolUse\":{\"input\":\"\"}"),
    STOP(3),
    FINISH("tool_use"),
    METADATA,
};

static void streams_are_read(void **state)
{
#define EVENTS(...)                                                                                \
    (const struct event[]){__VA_ARGS__},                                                           \
        sizeof((const struct event[]){__VA_ARGS__}) / sizeof(struct event)
    const struct {
        const struct event *ev;
        size_t n;
        int rc;
        const char *story;
    } rows[] = {
        {full, ARRAY_LEN(full), 0,
         "START\nPART_START 0 kind=7  \nDELTA 0 th\nDELTA 0 ink\nSIGNATURE 0 c2ln\nPART_END 0\n"
         "PART_START 1 kind=0  \nDELTA 1 Hi \\ud83d\\ude00\nCITATION 1 t\nPART_END 1\n"
         "PART_START 2 kind=5 a f\nDELTA 2 {\\\"x\\\":\nDELTA 2 1}\nPART_END 2\n"
         "PART_START 3 kind=5 b f\nDELTA 3 \nPART_END 3\n"
         "FINISH tool_calls \nUSAGE 3/4\nEND\n"},
        {EVENTS(START, DELTA(0, "\"reasoningContent\":{\"redactedContent\":\"AA==\"}"), STOP(0),
                FINISH("end_turn"), METADATA),
         0,
         "START\nPART_START 0 kind=7 redacted  \nSIGNATURE 0 AA==\nPART_END 0\nFINISH stop \n"
         "USAGE 3/4\nEND\n"},
        {EVENTS(START, {"messageStop", "{\"stopReason\":\"stop_sequence\","
                                       "\"additionalModelResponseFields\":{\"delta\":{"
                                       "\"stop_sequence\":\"x\"}}}"}),
         0, "START\nFINISH stop_sequence x\nEND\n"},
        {EVENTS(START, DELTA(0, "\"text\":\"a\"")), -1,
         "START\nPART_START 0 kind=0  \nDELTA 0 a\n"},
        {EVENTS(START,
                {"contentBlockStart", "{\"start\":{\"toolResult\":{\"toolUseId\":\"x\"}},"
                                      "\"contentBlockIndex\":0}"},
                DELTA(0, "\"toolResult\":[{\"text\":\"x\"}]"), STOP(0), DELTA(1, "\"text\":\"a\""),
                STOP(1), FINISH("end_turn"), METADATA),
         0, "START\nPART_START 0 kind=0  \nDELTA 0 a\nPART_END 0\nFINISH stop \nUSAGE 3/4\nEND\n"},
        {EVENTS(START,
                {"contentBlockStart", "{\"start\":{\"image\":{\"format\":\"png\"}},"
                                      "\"contentBlockIndex\":0}"},
                DELTA(0, "\"image\":{\"source\":{\"bytes\":\"AA==\"}}"), STOP(0),
                FINISH("end_turn")),
         0, "START\nPART_START 0 kind=1  image/png\nDELTA 0 AA==\nPART_END 0\nFINISH stop \nEND\n"},
        {EVENTS(START, {"somethingNew", "{}"}, FINISH("end_turn"), METADATA), 0,
         "START\nFINISH stop \nUSAGE 3/4\nEND\n"},
        {EVENTS(START, {"exception:throttlingException", "{\"message\":\"slow down\"}"}), -1,
         "START\nERROR rate_limit slow down\n"},
        {EVENTS({"exception:modelStreamErrorException", "{\"message\":\"m\"}"}), -1,
         "ERROR server_error m\n"},
        {EVENTS({"exception:validationException", "{\"message\":\"Input is too long for requested "
                                                  "model.\"}"}),
         -1, "ERROR context_length_exceeded Input is too long for requested model.\n"},
        {EVENTS({"error:InternalFailure", ""}), -1, "ERROR unknown InternalFailure\n"},
        {EVENTS(START, {"contentBlockDelta", "{\"delta\":{\"text\":\"a\"}}"}), -1, "START\n"},
        {EVENTS(START, {"contentBlockDelta", "[]"}), -1, "START\n"},
        {EVENTS(START, {"contentBlockDelta", "{"}), -1, "START\n"},
        {EVENTS(START, DELTA(0, "\"toolUse\":{\"input\":\"\"}")), -1, "START\n"},
        {EVENTS(START, TOOL(0, "a"), TOOL(0, "b")), -1, "START\nPART_START 0 kind=5 a f\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf story;
        buf_init(&story, 1 << 16);
        int rc = read_stream(rows[i].ev, rows[i].n, tell, &story);
        if (rc != rows[i].rc || !slice_eq_str(buf_slice(&story), rows[i].story))
            fail_msg("row %zu: %d\n%.*s\nexpected\n%s", i, rc, SLICE_FMT(buf_slice(&story)),
                     rows[i].story);
        buf_release(&story);
    }
}

struct written {
    void *state;
    struct buf out;
};

static void write_event(void *ctx, const struct ir_event *ev)
{
    struct written *w = ctx;
    struct codec_caller caller = {.framing = CODEC_EVENTSTREAM};
    assert_int_equal(codec_bedrock.write_event(w->state, &caller, ev, &w->out), 0);
}

/* "type data" a line. */
static void tell_frames(struct slice in, struct buf *story)
{
    struct eventstream_reader r;
    struct eventstream_message m;
    char word[128];
    eventstream_reader_init(&r, EVENTSTREAM_MAX_MESSAGE_BYTES);
    while (in.n) {
        assert_int_equal(eventstream_reader_next(&r, in.p, in.n, &m), EVENTSTREAM_MESSAGE);
        struct slice type = eventstream_event_type(&m, word, sizeof word);
        assert_true(slice_eq_str(m.content_type, "application/json"));
        assert_int_equal(buf_printf(story, "%.*s %.*s\n", SLICE_FMT(type), SLICE_FMT(m.payload)),
                         0);
        in = slice_of(in.p + m.raw.n, in.n - m.raw.n);
    }
}

static void streams_come_back_as_they_were(void **state)
{
    struct written w = {.state = calloc(1, codec_bedrock.writer_bytes)};
    struct buf story, expected;
    struct sequence *s = sequence_new(write_event, &w);
    buf_init(&w.out, 1 << 16);
    buf_init(&story, 1 << 16);
    buf_init(&expected, 1 << 16);
    assert_int_equal(read_stream(full, ARRAY_LEN(full), sequence_take, s), 0);
    assert_true(sequence_ended(s));
    tell_frames(buf_slice(&w.out), &story);
    for (size_t i = 0; i < ARRAY_LEN(full); i++)
        assert_int_equal(buf_printf(&expected, "%s %s\n", full[i].type, full[i].data), 0);
    if (!slice_eq(buf_slice(&story), buf_slice(&expected)))
        fail_msg("%.*s\nexpected\n%.*s", SLICE_FMT(buf_slice(&story)),
                 SLICE_FMT(buf_slice(&expected)));
    codec_bedrock.writer_fini(w.state);
    free(w.state);
    sequence_free(s);
    buf_release(&w.out);
    buf_release(&story);
    buf_release(&expected);
}

#define TEXT(lit)                                                                                  \
    {                                                                                              \
        {lit, sizeof(lit) - 1}, false                                                              \
    }

static void events_of_other_dialects_are_written(void **state)
{
    static const struct dialect_usage usage = {
        .flags = USAGE_PRESENT, .input_tokens = 9, .cached_tokens = 4, .output_tokens = 2};
    static const struct ir_event events[] = {
        {.kind = IR_EV_START},
        {.kind = IR_EV_PING},
        {.kind = IR_EV_PART_START, .part_kind = IR_PART_TEXT},
        {.kind = IR_EV_PART_END},
        {.kind = IR_EV_PART_START, .part = 1, .part_kind = IR_PART_REASONING},
        {.kind = IR_EV_SIGNATURE, .part = 1, .text = TEXT("ab"), .appends = true},
        {.kind = IR_EV_SIGNATURE, .part = 1, .text = TEXT("cd"), .appends = true},
        {.kind = IR_EV_PART_END, .part = 1},
        {.kind = IR_EV_PART_START,
         .part = 2,
         .part_kind = IR_PART_TOOL_CALL,
         .call_id = TEXT("c"),
         .name = TEXT("f"),
         .signature = TEXT("a+b=")},
        {.kind = IR_EV_PART_END, .part = 2},
        {.kind = IR_EV_FINISH, .finish = IR_FINISH_TOOL_CALLS, .usage = &usage},
        {.kind = IR_EV_USAGE, .usage = &usage},
        {.kind = IR_EV_END},
        {.kind = IR_EV_ERROR, .fault = DIALECT_FAULT_OVERLOADED, .text = TEXT("no \"room\"")},
    };
    struct written w = {.state = calloc(1, codec_bedrock.writer_bytes)};
    struct buf story;
    buf_init(&w.out, 1 << 16);
    buf_init(&story, 1 << 16);
    for (size_t i = 0; i < ARRAY_LEN(events); i++)
        write_event(&w, &events[i]);
    tell_frames(buf_slice(&w.out), &story);
    static const char expected[] =
        "messageStart {\"role\":\"assistant\"}\n"
        "contentBlockDelta {\"delta\":{\"text\":\"\"},\"contentBlockIndex\":0}\n"
        "contentBlockStop {\"contentBlockIndex\":0}\n"
        "contentBlockDelta {\"delta\":{\"reasoningContent\":{\"signature\":\"abcd\"}},"
        "\"contentBlockIndex\":1}\n"
        "contentBlockStop {\"contentBlockIndex\":1}\n"
        "contentBlockStart {\"start\":{\"toolUse\":{\"toolUseId\":\"c_gwSigned_a-b\",\"name\":"
        "\"f\"}},\"contentBlockIndex\":2}\n"
        "contentBlockDelta {\"delta\":{\"toolUse\":{\"input\":\"\"}},\"contentBlockIndex\":2}\n"
        "contentBlockStop {\"contentBlockIndex\":2}\n"
        "messageStop {\"stopReason\":\"tool_use\"}\n"
        "metadata {\"usage\":{\"inputTokens\":5,\"outputTokens\":2,\"totalTokens\":11,"
        "\"cacheReadInputTokens\":4,\"cacheWriteInputTokens\":0},\"metrics\":{\"latencyMs\":0}}\n"
        "exception:serviceUnavailableException {\"message\":\"no \\\"room\\\"\"}\n";
    if (!slice_eq_str(buf_slice(&story), expected))
        fail_msg("%.*s\nexpected\n%s", SLICE_FMT(buf_slice(&story)), expected);
    codec_bedrock.writer_fini(w.state);
    free(w.state);
    buf_release(&w.out);
    buf_release(&story);
}

/* ---- errors ---- */

static void faults(void **state)
{
    static const struct {
        int status;
        const char *body;
        enum dialect_fault fault;
    } rows[] = {
        {429, "{\"message\":\"Too many tokens, please wait before trying again.\"}",
         DIALECT_FAULT_RATE_LIMIT},
        {400, "{\"message\":\"Input is too long for requested model.\"}",
         DIALECT_FAULT_CONTEXT_LENGTH},
        {400,
         "{\"message\":\"The model returned the following errors: prompt is too long: 216233 "
         "tokens > 200000 maximum\"}",
         DIALECT_FAULT_CONTEXT_LENGTH},
        {400, "{\"message\":\"The provided model identifier is invalid.\"}",
         DIALECT_FAULT_MODEL_NOT_FOUND},
        {400, "{\"message\":\"Malformed input request\"}", DIALECT_FAULT_INVALID_REQUEST},
        {400, "{\"__type\":\"com.amazon.coral.service#ServiceQuotaExceededException\"}",
         DIALECT_FAULT_RATE_LIMIT},
        {403, "{\"message\":\"You don't have access to the model with the specified model ID.\"}",
         DIALECT_FAULT_PERMISSION},
        {403, "{\"message\":\"The security token included in the request is invalid.\"}",
         DIALECT_FAULT_INVALID_KEY},
        {403,
         "{\"message\":\"The request signature we calculated does not match the signature you "
         "provided.\"}",
         DIALECT_FAULT_INVALID_KEY},
        {403, "{\"Message\":\"Authentication failed: Please make sure your API Key is valid.\"}",
         DIALECT_FAULT_INVALID_KEY},
        {403, "{\"__type\":\"UnrecognizedClientException\",\"message\":\"x\"}",
         DIALECT_FAULT_INVALID_KEY},
        {403, "{\"__type\":\"ExpiredTokenException:http://internal.amazon.com/\"}",
         DIALECT_FAULT_INVALID_KEY},
        {404, "{\"message\":\"x\"}", DIALECT_FAULT_MODEL_NOT_FOUND},
        {408, "{\"message\":\"x\"}", DIALECT_FAULT_TIMEOUT},
        {424, "{\"message\":\"x\"}", DIALECT_FAULT_SERVER},
        {429, "{\"__type\":\"ModelNotReadyException\"}", DIALECT_FAULT_OVERLOADED},
        {500, "", DIALECT_FAULT_SERVER},
        {503, "<html>", DIALECT_FAULT_OVERLOADED},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (bedrock_read_error(&doc, rows[i].status, slice_str(rows[i].body)) != rows[i].fault)
            fail_msg("%d %s", rows[i].status, rows[i].body);
    /* x-amzn-errortype names what the body doesn't. */
    struct slice name = SLICE_LIT("ModelNotReadyException:http://internal.amazon.com/");
    assert_int_equal(bedrock_read_named_error(&doc, 429, name, SLICE_LIT("{\"message\":\"x\"}")),
                     DIALECT_FAULT_OVERLOADED);
    assert_int_equal(bedrock_read_named_error(&doc, 429, name, SLICE_LIT("<html>")),
                     DIALECT_FAULT_OVERLOADED);
}

static void errors_are_written(void **state)
{
    static const struct dialect_error e = {.message = SLICE_LIT("say \"please\""), .status = 429};
    struct buf out, story;
    char text[128];
    struct json_writer w;
    size_t n;
    jw_init_fixed(&w, text, sizeof text);
    dialect_bedrock.write_error(&w, &e);
    assert_int_equal(jw_finish(&w, &n), 0);
    assert_true(slice_eq_str(slice_of(text, n), "{\"message\":\"say \\\"please\\\"\"}"));
    assert_string_equal(dialect_bedrock.error_type(429, NULL), "ThrottlingException");
    assert_string_equal(dialect_bedrock.error_type(400, NULL), "ValidationException");
    buf_init(&out, 1024);
    buf_init(&story, 1024);
    assert_int_equal(dialect_bedrock.write_stream_error(&out, &e), 0);
    tell_frames(buf_slice(&out), &story);
    assert_true(slice_eq_str(buf_slice(&story), "exception:throttlingException {\"message\":\"say "
                                                "\\\"please\\\"\"}\n"));
    buf_release(&out);
    buf_release(&story);
    buf_init(&out, 40);
    assert_int_equal(dialect_bedrock.write_stream_error(&out, &e), -1);
    assert_int_equal(out.len, 0);
    buf_release(&out);
}

/* ---- models ---- */

static void models_by_their_names(void **state)
{
    static const struct {
        const char *name;
        enum bedrock_family family;
        int version;
        enum bedrock_thinking thinking;
    } rows[] = {
        {"anthropic.claude-v2:1", BEDROCK_CLAUDE, 0, BEDROCK_THINKING_NONE},
        {"anthropic.claude-instant-v1", BEDROCK_CLAUDE, 0, BEDROCK_THINKING_NONE},
        {"anthropic.claude-3-haiku-20240307-v1:0", BEDROCK_CLAUDE, 300, BEDROCK_THINKING_NONE},
        {"anthropic.claude-3-5-sonnet-20241022-v2:0", BEDROCK_CLAUDE, 305, BEDROCK_THINKING_NONE},
        {CLAUDE_37, BEDROCK_CLAUDE, 307, BEDROCK_THINKING_BUDGET},
        {"anthropic.claude-opus-4-20250514-v1:0", BEDROCK_CLAUDE, 400, BEDROCK_THINKING_BUDGET},
        {"anthropic.claude-opus-4-1-20250805-v1:0", BEDROCK_CLAUDE, 401, BEDROCK_THINKING_BUDGET},
        {CLAUDE_45, BEDROCK_CLAUDE, 405, BEDROCK_THINKING_BUDGET},
        {CLAUDE_46, BEDROCK_CLAUDE, 406, BEDROCK_THINKING_ADAPTIVE},
        {"anthropic.claude-opus-4-7", BEDROCK_CLAUDE, 407, BEDROCK_THINKING_ADAPTIVE},
        {CLAUDE_5, BEDROCK_CLAUDE, 500, BEDROCK_THINKING_ADAPTIVE},
        {"anthropic.claude-mythos-preview", BEDROCK_CLAUDE, 0, BEDROCK_THINKING_ADAPTIVE},
        {"arn:aws:bedrock:us-east-1:1:inference-profile/" CLAUDE_45, BEDROCK_CLAUDE, 405,
         BEDROCK_THINKING_BUDGET},
        {NOVA, BEDROCK_NOVA, 0, BEDROCK_THINKING_NONE},
        {LLAMA, BEDROCK_OTHER, 0, BEDROCK_THINKING_NONE},
        {"arn:aws:bedrock:eu-west-1:1:inference-profile/eu.meta.llama3-2-1b-instruct-v1:0",
         BEDROCK_OTHER, 0, BEDROCK_THINKING_NONE},
        {"arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcd1234efgh",
         BEDROCK_CLAUDE, 0, BEDROCK_THINKING_BUDGET},
        {"", BEDROCK_CLAUDE, 0, BEDROCK_THINKING_BUDGET},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct bedrock_model m = bedrock_model(slice_str(rows[i].name));
        if (m.family != rows[i].family || m.version != rows[i].version ||
            m.thinking != rows[i].thinking)
            fail_msg("%s: %d %d %d", rows[i].name, (int)m.family, m.version, (int)m.thinking);
    }
}

/* ---- the native path ---- */

static int read_native(const char *body, struct dialect_request *out, struct dialect_refusal *why)
{
    return dialect_bedrock.read_request(&doc, slice_str(body), DIALECT_CHAT, SLICE_LIT(CLAUDE_45),
                                        out, why);
}

static void native_requests_are_bounded(void **state)
{
    struct dialect_request r;
    struct dialect_refusal why;
    struct splices cuts;
    bool injected = true;
    static const char image[] = "{\"format\":\"png\",\"source\":{\"bytes\":\"AAAA\"}}";
    static const char body[] = "{\"messages\":[" USER(
        "{\"text\":\"a\"},{\"image\":{\"format\":\"png\",\"source\":{\"bytes"
        "\":\"AAAA\"}}}") "," ASST(CALL) "," USER("{\"toolResult\":{\"toolUseId\":"
                                                  "\"t1\",\"content\":[{\"image\":{"
                                                  "\"format\":\"png\","
                                                  "\"source\":{\"bytes\":\"AAAA\"}}}]}"
                                                  "}") "],\"system\":[{\"text\":\"s\"}]"
                                                       ","
                                                       "\"inferenceConfig\":{"
                                                       "\"maxTokens\":100},"
                                                       "\"toolConfig\":{\"tools\":"
                                                       "[" TOOLS ",{\"cachePoint\":{\"type\":"
                                                       "\"default\"}}]},"
                                                       "\"additionalModelRequestFields"
                                                       "\":{"
                                                       "\"inferenceConfig\":{"
                                                       "\"maxTokens\":300},\"max_"
                                                       "tokens\":200}}";
    assert_int_equal(read_native(body, &r, &why), 0);
    assert_true(slice_eq_str(dialect_name_slice(&r.model), CLAUDE_45));
    assert_int_equal(r.max_output_tokens, 300);
    assert_int_equal(r.messages, 3);
    assert_int_equal(r.tools, 1);
    assert_int_equal(r.images, 2);
    assert_false(r.hosted_tools);
    assert_int_equal(json_parse(&doc, body, sizeof body - 1), 0);
    size_t prompt = json_raw(&doc, json_get_lit(&doc, JSON_ROOT, "messages")).n +
                    json_raw(&doc, json_get_lit(&doc, JSON_ROOT, "system")).n +
                    json_raw(&doc, json_get_lit(&doc, JSON_ROOT, "toolConfig")).n;
    assert_int_equal(r.prompt_bytes, prompt - 2 * (sizeof image - 1));

    struct dialect_rewrite how = {.model = SLICE_LIT("other"), .inject_usage = true};
    assert_int_equal(dialect_bedrock.rewrite_request(&r, &how, &cuts, &injected), 0);
    assert_int_equal(cuts.n, 0);
    assert_false(injected);

    assert_int_equal(
        read_native("{" HI ",\"toolConfig\":{\"tools\":[{\"systemTool\":{}}]}}", &r, &why), 0);
    assert_true(r.hosted_tools);
    assert_int_equal(r.max_output_tokens, -1);
    assert_int_equal(read_native("{\"promptVariables\":{\"a\":{\"text\":\"b\"}}}", &r, &why), 0);
    assert_true(r.hosted_tools);
}

static void bad_native_requests(void **state)
{
    static const struct {
        const char *body, *param;
    } rows[] = {
        {"", ""},
        {"[]", ""},
        {"{\"messages\":1}", "messages"},
        {"{\"messages\":[1]}", "messages[0]"},
        {"{\"messages\":[],\"messages\":[]}", "messages"},
        {"{\"system\":\"x\"}", "system"},
        {"{\"inferenceConfig\":[]}", "inferenceConfig"},
        {"{\"inferenceConfig\":{\"maxTokens\":-1}}", "inferenceConfig.maxTokens"},
        {"{\"inferenceConfig\":{\"maxTokens\":\"1\"}}", "inferenceConfig.maxTokens"},
        {"{\"toolConfig\":[]}", "toolConfig"},
        {"{\"additionalModelRequestFields\":{\"max_tokens\":1.5}}", "additionalModelRequestFields"},
    };
    struct dialect_request r;
    struct dialect_refusal why;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (read_native(rows[i].body, &r, &why) == 0)
            fail_msg("%s was taken", rows[i].body);
        assert_string_equal(why.param, rows[i].param);
    }
    assert_int_equal(
        dialect_bedrock.read_request(&doc, SLICE_LIT("{}"), DIALECT_CHAT, SLICE_LIT(""), &r, &why),
        -1);
    assert_string_equal(why.param, "modelId");
}

static void native_streams_are_metered(void **state)
{
    struct dialect_stream s;
    struct splices cuts;
    dialect_bedrock.stream_init(&s, DIALECT_CHAT, false);
    for (size_t i = 0; i < ARRAY_LEN(full); i++)
        assert_int_equal(dialect_bedrock.stream_event(&s, &doc, slice_str(full[i].type),
                                                      slice_str(full[i].data), &cuts),
                         DIALECT_PASS);
    assert_true(s.done && s.finished && !s.failed);
    assert_int_equal(s.usage.input_tokens, 3);
    assert_int_equal(s.usage.output_tokens, 4);
    assert_int_equal(s.malformed, 0);
    dialect_bedrock.stream_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_come_back_as_they_were),
        cmocka_unit_test(turns_are_made_to_alternate),
        cmocka_unit_test(documents_get_names_that_are_allowed),
        cmocka_unit_test(tools),
        cmocka_unit_test(what_models_take),
        cmocka_unit_test(bad_requests_are_refused_by_name),
        cmocka_unit_test(unknown_members_are_reported),
        cmocka_unit_test(every_field_has_its_row),
        cmocka_unit_test(answers_come_back_as_they_were),
        cmocka_unit_test(usage_that_cannot_be),
        cmocka_unit_test(what_is_no_answer),
        cmocka_unit_test(streams_are_read),
        cmocka_unit_test(streams_come_back_as_they_were),
        cmocka_unit_test(events_of_other_dialects_are_written),
        cmocka_unit_test(faults),
        cmocka_unit_test(errors_are_written),
        cmocka_unit_test(models_by_their_names),
        cmocka_unit_test(native_requests_are_bounded),
        cmocka_unit_test(bad_native_requests),
        cmocka_unit_test(native_streams_are_metered),
    };
    return cmocka_run_group_tests_name("codec_bedrock", tests, set_up, tear_down);
}
