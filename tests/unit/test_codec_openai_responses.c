/*
 * test_codec_openai_responses.c: the Responses API into the internal form and out of it again, and
 * across to chat completions and back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/codec_fixture.h"

static const struct codec *const chat = &codec_openai_chat, *const responses =
                                                                &codec_openai_responses;
enum { OWN = PROVIDER_QUIRK_NEW_NAMES };

#define ASK(input, more) "{\"model\":\"m\",\"input\":" input more "}"
#define UP(input, more)  "{\"model\":\"up\",\"input\":" input more "}"
#define UNKEPT           ",\"store\":false"
#define HI               "{\"role\":\"user\",\"content\":\"hi\"}"
#define TOOL                                                                                       \
    "{\"type\":\"function\",\"name\":\"f\",\"description\":\"d\",\"parameters\":{\"type\":"        \
    "\"object\"},\"strict\":true}"
#define CALL(id)                                                                                   \
    "{\"type\":\"function_call\",\"call_id\":\"" id                                                \
    "\",\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}"
#define OUTPUT(id, text)                                                                           \
    "{\"type\":\"function_call_output\",\"call_id\":\"" id "\",\"output\":" text "}"

static void same_again(void **state)
{
    (void)state;
    static const char *const inputs[] = {
        "[" HI "]",
        "[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"developer\",\"content\":\"d\"}," HI
        "]",
        "[{\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"a\"},{\"type\":"
        "\"input_image\",\"detail\":\"low\",\"image_url\":\"https://e.test/a.png\"},{\"type\":"
        "\"input_image\",\"detail\":\"auto\",\"image_url\":\"data:image/png;base64,iVBO\"},"
        "{\"type\":\"input_image\",\"detail\":\"auto\",\"file_id\":\"file-1\"},{\"type\":"
        "\"input_file\",\"filename\":\"a.pdf\",\"file_data\":\"data:application/pdf;base64,JVBE\"},"
        "{\"type\":\"input_file\",\"file_url\":\"https://e.test/a.pdf\"},{\"type\":\"input_file\","
        "\"file_id\":\"file-2\"}]}]",
        "[" HI ",{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[{\"type\":\"summary_text\","
        "\"text\":\"one\"},{\"type\":\"summary_text\",\"text\":\"two\"}],\"encrypted_content\":"
        "\"gAAA-_=\"},{\"role\":\"assistant\",\"content\":\"t\"}," CALL("c1") "," CALL(
            "c2") "," OUTPUT("c2", "\"r\"") "," OUTPUT("c1", "[{\"type\":\"input_text\",\"text\":"
                                                             "\"x\"},{\"type\":"
                                                             "\"input_image\",\"detail\":\"auto\","
                                                             "\"image_url\":"
                                                             "\"https://e.test/i\"}]") "]",
        "[" HI ",{\"type\":\"reasoning\",\"id\":\"rs_2\",\"summary\":[],\"encrypted_content\":"
        "\"gBBB\"},{\"role\":\"assistant\",\"content\":[{\"type\":\"refusal\",\"refusal\":"
        "\"no\"}]}," HI "]",
    };
    static const char *const members[] = {
        "",
        ",\"tools\":[" TOOL "],\"tool_choice\":\"required\",\"parallel_tool_calls\":false",
        ",\"tools\":[" TOOL "],\"tool_choice\":{\"type\":\"function\",\"name\":\"f\"}",
        ",\"tools\":[" TOOL "],\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"auto\","
        "\"tools\":[{\"type\":\"function\",\"name\":\"f\"}]}",
        ",\"max_output_tokens\":50,\"temperature\":0.70,\"top_p\":1e-1",
        ",\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\",\"description\":\"d\","
        "\"schema\":{\"type\":\"object\"},\"strict\":true},\"verbosity\":\"low\"}",
        ",\"text\":{\"format\":{\"type\":\"json_object\"}}",
        ",\"reasoning\":{\"effort\":\"high\",\"summary\":\"auto\"},\"include\":["
        "\"reasoning.encrypted_content\"],\"user\":\"u\",\"metadata\":{\"k\":\"v\"},"
        "\"service_tier\":\"flex\",\"prompt_cache_key\":\"k\"",
    };
    char in[8192], out[8192];
    for (size_t i = 0; i < ARRAY_LEN(inputs); i++) {
        bool reasons = strstr(inputs[i], "encrypted") != NULL;
        const char *include = reasons ? ",\"include\":[\"reasoning.encrypted_content\"]" : "";
        snprintf(in, sizeof in, ASK("%s", ""), inputs[i]);
        snprintf(out, sizeof out, UP("%s", "%s" UNKEPT), inputs[i], include);
        assert_string_equal(codec_request(responses, responses, in, OWN), out);
    }
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        snprintf(in, sizeof in, ASK("[" HI "]", "%s"), members[i]);
        snprintf(out, sizeof out, UP("[" HI "]", "%s" UNKEPT), members[i]);
        assert_string_equal(codec_request(responses, responses, in, OWN), out);
    }
}

static void across(void **state)
{
    (void)state;
    const struct {
        const struct codec *from, *to;
        const char *in, *out;
    } rows[] = {
        {responses, chat, ASK("\"hi\"", ",\"instructions\":\"be\",\"store\":false"),
         "{\"model\":\"up\",\"messages\":[{\"role\":\"system\",\"content\":\"be\"}," HI "]}"},
        {responses, chat,
         ASK("[" HI
             "," CALL("c1") "," CALL("c2") "," OUTPUT("c1", "\"r\"") "," OUTPUT("c2", "\"s\"") "]",
             ",\"tools\":[" TOOL "],\"max_output_tokens\":9,\"reasoning\":{\"effort\":\"low\"}"),
         "{\"model\":\"up\",\"messages\":[" HI ",{\"role\":\"assistant\",\"content\":null,"
         "\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\","
         "\"arguments\":\"{\\\"a\\\":1}\"}},{\"id\":\"c2\",\"type\":\"function\",\"function\":{"
         "\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}]},{\"role\":\"tool\",\"tool_call_id\":"
         "\"c1\",\"content\":\"r\"},{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":\"s\"}],"
         "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\","
         "\"parameters\":{\"type\":\"object\"},\"strict\":true}}],\"max_completion_tokens\":9,"
         "\"reasoning_effort\":\"low\"}"},
        {chat, responses,
         "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"be\"}," HI
         ",{\"role\":\"assistant\",\"content\":\"t\",\"reasoning_details\":[{\"type\":"
         "\"reasoning.text\",\"text\":\"why\",\"signature\":\"rs_1-gAAA\"}],\"tool_calls\":["
         "{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":"
         "\"{\\\"a\\\":1}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"r\"}],"
         "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"seed\":1,"
         "\"logprobs\":true,\"top_logprobs\":2,\"response_format\":{\"type\":\"json_object\"}}",
         UP("[{\"role\":\"system\",\"content\":\"be\"}," HI ",{\"type\":\"reasoning\",\"id\":"
            "\"rs_1\",\"summary\":[{\"type\":\"summary_text\",\"text\":\"why\"}],"
            "\"encrypted_content\":\"gAAA\"},{\"role\":\"assistant\",\"content\":\"t\"}," CALL(
                "c1") "," OUTPUT("c1", "\"r\"") "]",
            ",\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"parameters\":{\"type\":\"object\","
            "\"properties\":{}},\"strict\":false}],\"top_logprobs\":2,\"text\":{\"format\":{"
            "\"type\":\"json_object\"}},\"include\":[\"reasoning.encrypted_content\","
            "\"message.output_text.logprobs\"]" UNKEPT) " | dropped: seed"},
        /* Reasoning that OpenAI didn't sign stays away from it. */
        {chat, responses,
         "{\"model\":\"m\",\"messages\":[" HI ",{\"role\":\"assistant\",\"content\":\"t\","
         "\"reasoning_content\":\"why\"}]}",
         UP("[" HI ",{\"role\":\"assistant\",\"content\":\"t\"}]",
            UNKEPT) " | dropped: messages[].reasoning_content"},
        /* Where an item was made here, its content is the other provider's signature. */
        {responses, responses,
         ASK("[" HI ",{\"type\":\"reasoning\",\"id\":\"rs_gw_req_0\",\"summary\":[],"
             "\"encrypted_content\":\"rs_7-gCCC\"}]",
             ""),
         UP("[" HI ",{\"type\":\"reasoning\",\"id\":\"rs_7\",\"summary\":[],"
            "\"encrypted_content\":\"gCCC\"}]",
            ",\"include\":[\"reasoning.encrypted_content\"]" UNKEPT)},
        {chat, responses, "{\"model\":\"m\",\"messages\":[" HI "],\"stop\":[\"x\"]}",
         "stop: 'stop' can't be sent to this model, whose provider speaks openai.responses: it "
         "knows no stop sequences."},
        {responses, chat, ASK("\"hi\"", ",\"previous_response_id\":\"resp_1\""),
         "previous_response_id: 'previous_response_id' can't be sent to this model, whose provider "
         "speaks openai.chat: it keeps no responses."},
        {responses, chat, ASK("\"hi\"", ",\"background\":true"),
         "background: 'background' can't be sent to this model, whose provider speaks openai.chat: "
         "it answers only while the caller waits."},
        {responses, chat, ASK("\"hi\"", ",\"tools\":[{\"type\":\"web_search\"}]"),
         "tools: 'tools' can't be sent to this model, whose provider speaks openai.chat: no "
         "provider has another's tools."},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_string_equal(codec_request(rows[i].from, rows[i].to, rows[i].in, OWN), rows[i].out);
}

static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *in, *why;
    } rows[] = {
        {"{\"model\":\"m\"}", "input: 'input' is required."},
        {ASK("7", ""), "input: 'input' must be a string or an array of items, not a number."},
        {ASK("[7]", ""), "input[0]: 'input[0]' must be an object, not a number."},
        {ASK("[{\"content\":\"x\"}]", ""), "input[0].role: 'input[0].role' is required."},
        {ASK("[{\"role\":\"tool\",\"content\":\"x\"}]", ""),
         "input[0].role: 'input[0].role' must be user, assistant, system or developer."},
        {ASK("[{\"role\":\"user\"}]", ""), "input[0].content: 'input[0].content' is required."},
        {ASK("[{\"type\":\"item_reference\",\"id\":\"x\"}]", ""),
         "input[0].type: 'input[0].type' is of a kind that can't be sent to this model's provider: "
         "only messages, function calls, their outputs and reasoning can."},
        {ASK("[{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\"}]}]", ""),
         "input[0].content[0].type: 'input[0].content[0].type' must be input_text, input_image, "
         "input_file, output_text or refusal."},
        {ASK("[{\"role\":\"user\",\"content\":[{\"type\":\"input_image\"}]}]", ""),
         "input[0].content[0].image_url: 'input[0].content[0].image_url' is required."},
        {ASK("[{\"type\":\"function_call\",\"name\":\"f\"}]", ""),
         "input[0].call_id: 'input[0].call_id' is required."},
        {ASK("[" OUTPUT("c1", "\"r\"") "]", ""),
         "input[0]: The tool result in input[0] has no tool call before it that it answers."},
        {ASK("\"hi\"", ",\"instructions\":7"),
         "instructions: 'instructions' must be a string, not a number."},
        {ASK("\"hi\"", ",\"tools\":[{\"type\":\"custom\",\"name\":\"c\"}]"),
         "tools[0].type: 'tools[0].type' is custom: such tools can't be sent to this model's "
         "provider."},
        {ASK("\"hi\"", ",\"tool_choice\":{\"type\":\"web_search_preview\"}"),
         "tool_choice: 'tool_choice' asks for a tool that this model's provider doesn't have."},
        {ASK("\"hi\"", ",\"text\":{\"format\":{\"type\":\"xml\"}}"),
         "text.format.type: 'text.format.type' must be text, json_object or json_schema."},
        {ASK("\"hi\"", ",\"max_output_tokens\":-1"),
         "max_output_tokens: 'max_output_tokens' must be an integer from 0."},
        {ASK("\"hi\"", ",\"input\":\"again\""), "input: 'input' is given more than once."},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_string_equal(codec_request(responses, responses, rows[i].in, OWN), rows[i].why);
}

/* ---- whole answers ---- */

#define OBJECT(status, incomplete, output, usage)                                                  \
    "{\"id\":\"resp_1\",\"object\":\"response\",\"created_at\":5,\"status\":\"" status             \
    "\",\"background\":false,\"error\":null,\"incomplete_details\":" incomplete                    \
    ",\"instructions\":null,\"model\":\"m\",\"output\":[" output                                   \
    "],\"max_output_tokens\":null,\"parallel_tool_calls\":true,\"previous_response_id\":null,"     \
    "\"reasoning\":{\"effort\":null,\"summary\":null},\"store\":false,\"temperature\":1.0,"        \
    "\"text\":{\"format\":{\"type\":\"text\"}},\"tool_choice\":\"auto\",\"tools\":[],\"top_p\":"   \
    "1.0,\"truncation\":\"disabled\",\"user\":null,\"metadata\":{},\"usage\":" usage "}"
#define MESSAGE(n, content)                                                                        \
    "{\"id\":\"msg_req_" n "\",\"type\":\"message\",\"status\":\"completed\",\"role\":"            \
    "\"assistant\",\"content\":[" content "]}"
#define TEXT(text)                                                                                 \
    "{\"type\":\"output_text\",\"text\":\"" text "\",\"annotations\":[],\"logprobs\":[]}"
#define CALLED(n, id)                                                                              \
    "{\"id\":\"fc_req_" n "\",\"type\":\"function_call\",\"status\":\"completed\",\"arguments\":"  \
    "\"{}\",\"call_id\":\"" id "\",\"name\":\"f\"}"
#define THOUGHT(n, text, signature)                                                                \
    "{\"id\":\"rs_gw_req_" n "\",\"type\":\"reasoning\",\"summary\":[{\"type\":\"summary_text\","  \
    "\"text\":\"" text "\"}],\"encrypted_content\":\"" signature "\"}"
#define COUNTED                                                                                    \
    "{\"input_tokens\":9,\"input_tokens_details\":{\"cached_tokens\":3,\"cache_write_tokens\":2}," \
    "\"output_tokens\":4,\"output_tokens_details\":{\"reasoning_tokens\":1},\"total_tokens\":13}"

static void answers(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {OBJECT("completed", "null", MESSAGE("0", TEXT("h\\u00e9")), COUNTED), NULL},
        {OBJECT("completed", "null", "", "null"), NULL},
        {OBJECT("completed", "null", MESSAGE("0", "{\"type\":\"refusal\",\"refusal\":\"no\"}"),
                "null"),
         NULL},
        {OBJECT("incomplete", "{\"reason\":\"max_output_tokens\"}", MESSAGE("0", TEXT("a")),
                "null"),
         NULL},
        {OBJECT("incomplete", "{\"reason\":\"content_filter\"}", MESSAGE("0", TEXT("a")), "null"),
         NULL},
        {OBJECT("completed", "null",
                THOUGHT("0", "why", "s1") "," MESSAGE("1", TEXT("a")) "," CALLED(
                    "2", "c1") "," CALLED("3", "c2"),
                COUNTED),
         NULL},
        /* The id of OpenAI's own item goes along with its content. */
        {OBJECT("completed", "null",
                "{\"id\":\"rs_9\",\"type\":\"reasoning\",\"summary\":[{\"type\":\"summary_text\","
                "\"text\":\"why\"}],\"encrypted_content\":\"gA\"}",
                "null"),
         OBJECT("completed", "null", THOUGHT("0", "why", "rs_9-gA"), "null")},
        {OBJECT("failed", "null", "", "null"), "not read"},
        {"{\"error\":{\"message\":\"x\"},\"output\":[]}", "not read"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_string_equal(codec_response(responses, responses, rows[i].in),
                            rows[i].out ? rows[i].out : rows[i].in);
    assert_string_equal(
        codec_response(
            responses, chat,
            OBJECT("completed", "null",
                   THOUGHT("0", "why", "s1") "," MESSAGE("1", TEXT("a")) "," CALLED("2", "c1"),
                   COUNTED)),
        "{\"id\":\"resp_1\",\"object\":\"chat.completion\",\"created\":5,\"model\":\"m\","
        "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"a\","
        "\"refusal\":null,\"annotations\":[],\"reasoning_content\":\"why\",\"reasoning_details\":["
        "{\"type\":\"reasoning.text\",\"text\":\"why\",\"signature\":\"s1\",\"index\":0}],"
        "\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\","
        "\"arguments\":\"{}\"}}]},\"logprobs\":null,\"finish_reason\":\"tool_calls\"}],\"usage\":{"
        "\"prompt_tokens\":9,\"completion_tokens\":4,\"total_tokens\":13,\"prompt_tokens_details\":"
        "{\"cached_tokens\":3,\"cache_write_tokens\":2,\"audio_tokens\":0},"
        "\"completion_tokens_details\":{\"reasoning_tokens\":1,\"audio_tokens\":0,"
        "\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}}");
}

/* ---- streams ---- */

#define EVENT(type, n, more)                                                                       \
    "event: " type "\ndata: {\"type\":\"" type "\",\"sequence_number\":" n more "}\n\n"
#define BEGIN                                                                                      \
    EVENT("response.created", "0", ",\"response\":" OBJECT("in_progress", "null", "", "null"))     \
    EVENT("response.in_progress", "1", ",\"response\":" OBJECT("in_progress", "null", "", "null"))
#define AT(item, output)     ",\"item_id\":\"" item "\",\"output_index\":" output
#define MSG(output, content) AT("msg_req_" output, output) ",\"content_index\":" content
#define RS(output, summary)  AT("rs_gw_req_" output, output) ",\"summary_index\":" summary

static void streams(void **state)
{
    (void)state;
    static const char rich[] = BEGIN
        /* reasoning */
        EVENT(
            "response.output_item.added", "2",
            ",\"output_index\":0,\"item\":{\"id\":\"rs_gw_req_0\",\"type\":\"reasoning\","
            "\"summary\":[]}") EVENT("response.reasoning_summary_part.added", "3",
                                     RS("0",
                                        "0") ",\"part\":{\"type\":\"summary_text\",\"text\":\"\"}")
            EVENT("response.reasoning_summary_text.delta", "4", RS("0", "0") ",\"delta\":\"wh\"")
                EVENT("response.reasoning_summary_text.delta", "5", RS("0", "0") ",\"delta\":\"y\"")
                    EVENT("response.reasoning_summary_text.done", "6",
                          RS("0", "0") ",\"text\":\"why\"")
                        EVENT("response.reasoning_summary_part.done", "7",
                              RS("0", "0") ",\"part\":{\"type\":\"summary_text\",\"text\":\"why\"}")
                            EVENT("response.output_item.done", "8",
                                  ",\"output_index\":0,\"item\":" THOUGHT("0", "why", "s1"))
        /* text */
        EVENT("response.output_item.added", "9",
              ",\"output_index\":1,\"item\":{\"id\":\"msg_req_1\",\"type\":\"message\",\"status\":"
              "\"in_progress\",\"role\":\"assistant\",\"content\":[]}")
            EVENT("response.content_part.added", "10", MSG("1", "0") ",\"part\":" TEXT("")) EVENT(
                "response.output_text.delta", "11",
                MSG("1", "0") ",\"delta\":\"h\\u00e9\",\"logprobs\":[]")
                EVENT("response.output_text.delta", "12",
                      MSG("1", "0") ",\"delta\":\"!\",\"logprobs\":[]")
                    EVENT("response.output_text.done", "13",
                          MSG("1", "0") ",\"text\":\"h\\u00e9!\",\"logprobs\":[]")
                        EVENT("response.content_part.done", "14",
                              MSG("1", "0") ",\"part\":" TEXT("h\\u00e9!"))
                            EVENT("response.output_item.done", "15",
                                  ",\"output_index\":1,\"item\":" MESSAGE("1", TEXT("h\\u00e9!")))
        /* a call */
        EVENT("response.output_item.added", "16",
              ",\"output_index\":2,\"item\":{\"id\":\"fc_req_2\",\"type\":\"function_call\","
              "\"status\":\"in_progress\",\"arguments\":\"\",\"call_id\":\"c1\",\"name\":\"f\"}")
            EVENT("response.function_call_arguments.delta", "17",
                  AT("fc_req_2", "2") ",\"delta\":\"{\"")
                EVENT("response.function_call_arguments.delta", "18",
                      AT("fc_req_2", "2") ",\"delta\":\"}\"")
                    EVENT("response.function_call_arguments.done", "19",
                          AT("fc_req_2", "2") ",\"name\":\"f\",\"arguments\":\"{}\"")
                        EVENT("response.output_item.done", "20",
                              ",\"output_index\":2,\"item\":" CALLED("2", "c1"))
                            EVENT("response.completed", "21",
                                  ",\"response\":" OBJECT(
                                      "completed", "null",
                                      THOUGHT("0", "why", "s1") "," MESSAGE(
                                          "1", TEXT("h\\u00e9!")) "," CALLED("2", "c1"),
                                      COUNTED));
    static const char cut[] = BEGIN EVENT(
        "response.incomplete", "2",
        ",\"response\":" OBJECT("incomplete", "{\"reason\":\"max_output_tokens\"}", "", "null"));
    const struct codec_caller caller = {.request_id = SLICE_LIT("req")};
    assert_string_equal(codec_stream_with(responses, responses, rich, &caller), rich);
    assert_string_equal(codec_stream_with(responses, responses, cut, &caller), cut);
    /* Whatever stands before the end, a stream without one is incomplete. */
    char head[sizeof rich];
    snprintf(head, sizeof head, "%.*s", (int)(strstr(rich, "event: response.completed") - rich),
             rich);
    const char *told = codec_stream_with(responses, responses, head, &caller);
    assert_string_equal(told + strlen(told) - strlen("incomplete\n"), "incomplete\n");
}

#define CHUNK(delta, finish)                                                                       \
    "data: {\"id\":\"resp_1\",\"object\":\"chat.completion.chunk\",\"created\":5,\"model\":\"m\"," \
    "\"choices\":[{\"index\":0,\"delta\":{" delta "},\"logprobs\":null,\"finish_reason\":" finish  \
    "}]}\n\n"
#define ROLE CHUNK("\"role\":\"assistant\",\"content\":\"\",\"refusal\":null", "null")

static void streams_across(void **state)
{
    (void)state;
    const struct codec_caller caller = {.request_id = SLICE_LIT("req")};
    static const char refusal[] =
        ROLE CHUNK("\"refusal\":\"n\"", "null") CHUNK("", "\"stop\"") "data: [DONE]\n\n";
    char kept[sizeof codec_text];
    snprintf(kept, sizeof kept, "%s", codec_stream_with(chat, responses, refusal, &caller));
    assert_non_null(strstr(kept, "event: response.refusal.done\n"));
    assert_string_equal(codec_stream_with(responses, chat, kept, &caller), refusal);
    /* Two calls, and the item of a call that has its arguments only at its end. */
    static const char whole[] = BEGIN EVENT(
        "response.output_item.added", "2",
        ",\"output_index\":0,\"item\":{\"id\":\"fc_1\",\"type\":\"function_call\",\"status\":"
        "\"in_progress\",\"arguments\":\"\",\"call_id\":\"c1\",\"name\":\"f\"}")
        EVENT("response.output_item.done", "3", ",\"output_index\":0,\"item\":" CALLED("0", "c1"))
            EVENT("response.completed", "4",
                  ",\"response\":" OBJECT("completed", "null", "", "null"));
    assert_string_equal(
        codec_stream_with(responses, chat, whole, &caller),
        ROLE CHUNK("\"tool_calls\":[{\"index\":0,\"id\":\"c1\",\"type\":\"function\",\"function\":{"
                   "\"name\":\"f\",\"arguments\":\"\"}}]",
                   "null")
            CHUNK("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{}\"}}]", "null")
                CHUNK("", "\"tool_calls\"") "data: [DONE]\n\n");
    /* Encrypted reasoning without a summary, in OpenAI's own item. */
    static const char hidden[] = BEGIN EVENT(
        "response.output_item.added", "2",
        ",\"output_index\":0,\"item\":{\"id\":\"rs_5\",\"type\":\"reasoning\",\"summary\":[]}")
        EVENT("response.output_item.done", "3",
              ",\"output_index\":0,\"item\":{\"id\":\"rs_5\",\"type\":\"reasoning\",\"summary\":[],"
              "\"encrypted_content\":\"gA\"}")
            EVENT("response.completed", "4",
                  ",\"response\":" OBJECT("completed", "null", "", "null"));
    assert_string_equal(
        codec_stream_with(responses, chat, hidden, &caller),
        ROLE CHUNK("\"reasoning_details\":[{\"type\":\"reasoning.encrypted\",\"data\":\"rs_5-gA\","
                   "\"index\":0}]",
                   "null") CHUNK("", "\"stop\"") "data: [DONE]\n\n");
}

static void errors_in_streams(void **state)
{
    (void)state;
    const struct codec_caller caller = {.request_id = SLICE_LIT("req")};
    static const char *const rows[] = {
        EVENT("error", "2",
              ",\"code\":\"rate_limit_exceeded\",\"message\":\"slow\",\"param\":null"),
        EVENT("error", "2",
              ",\"error\":{\"type\":\"x\",\"code\":\"rate_limit_exceeded\",\"message\":\"slow\"}"),
        EVENT("response.failed", "2",
              ",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"rate_limit_exceeded\","
              "\"message\":\"slow\"}}"),
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char in[8192];
        snprintf(in, sizeof in, "%s%s", BEGIN, rows[i]);
        assert_string_equal(codec_stream_with(responses, chat, in, &caller), ROLE
                            "data: {\"error\":{\"message\":\"slow\",\"type\":\"rate_limit_error\","
                            "\"param\":null,\"code\":\"rate_limit_exceeded\"}}\n\nincomplete\n");
    }
    const char *told = codec_stream_with(
        chat, responses, ROLE "data: {\"error\":{\"message\":\"slow\",\"code\":429}}\n\n", &caller);
    assert_non_null(strstr(told, "event: error\ndata: {\"type\":\"error\",\"sequence_number\":2,"
                                 "\"code\":\"rate_limit_exceeded\",\"message\":\"slow\",\"param\":"
                                 "null}\n\nevent: response.failed\ndata: {\"type\":"
                                 "\"response.failed\",\"sequence_number\":3,\"response\":{"));
    assert_non_null(strstr(told, "\"status\":\"failed\",\"background\":false,\"error\":{\"code\":"
                                 "\"rate_limit_exceeded\",\"message\":\"slow\"},"));
    /* Before a response was created there is none that could fail. */
    told =
        codec_stream_with(chat, responses, "data: {\"error\":{\"message\":\"slow\"}}\n\n", &caller);
    assert_non_null(strstr(told, "\"sequence_number\":0,"));
    assert_null(strstr(told, "response.failed"));
}

/* The numbering goes on from what the provider sent. */
static void own_error_natively(void **state)
{
    (void)state;
    struct dialect_stream s = {.events = 7, .created_s = 12};
    struct dialect_error e = {.message = SLICE_LIT("gone"),
                              .type = "server_error",
                              .code = "upstream_cut",
                              .status = 502,
                              .stream = &s};
    struct buf out;
    buf_init(&out, 65536);
    s.id.n = 6;
    memcpy(s.id.s, "resp_1", 6);
    s.model.n = 1;
    s.model.s[0] = 'm';
    assert_int_equal(dialect_openai_responses.write_stream_error(&out, &e), 0);
    const char *told = codec_told(&out);
    static const char begin[] =
        "event: error\ndata: {\"type\":\"error\",\"sequence_number\":7,\"code\":\"upstream_cut\","
        "\"message\":\"gone\",\"param\":null}\n\nevent: response.failed\ndata: {\"type\":"
        "\"response.failed\",\"sequence_number\":8,\"response\":{\"id\":\"resp_1\",\"object\":"
        "\"response\",\"created_at\":12,\"status\":\"failed\",";
    assert_memory_equal(told, begin, sizeof begin - 1);
    assert_non_null(strstr(told, "\"error\":{\"code\":\"server_error\",\"message\":\"gone\"}"));
    out.len = 0;
    e.stream = NULL;
    assert_int_equal(dialect_openai_responses.write_stream_error(&out, &e), 0);
    assert_string_equal(codec_told(&out),
                        "event: error\ndata: {\"type\":\"error\",\"sequence_number\":0,\"code\":"
                        "\"upstream_cut\",\"message\":\"gone\",\"param\":null}\n\n");
    buf_release(&out);
}

/* ---- the native path ---- */

static void natively(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out; /* as spliced; or the refusal */
        uint32_t messages, images, files;
        int64_t max;
        bool unbounded;
    } rows[] = {
        {"{ \"model\":\"m\", \"input\":\"hi\",\"max_output_tokens\":5 }",
         "{ \"model\":\"up\", \"input\":\"hi\",\"max_output_tokens\":5 }", 1, 0, 0, 5, false},
        {"{\"model\":\"m\",\"stream\":true,\"input\":[{\"role\":\"user\",\"content\":[{\"type\":"
         "\"input_image\"},{\"type\":\"input_file\"},{\"type\":\"input_text\"}]}],\"odd\":1.50}",
         "{\"model\":\"up\",\"stream\":true,\"input\":[{\"role\":\"user\",\"content\":[{\"type\":"
         "\"input_image\"},{\"type\":\"input_file\"},{\"type\":\"input_text\"}]}],\"odd\":1.50}",
         1, 1, 1, -1, false},
        {"{\"model\":\"m\",\"previous_response_id\":\"resp_1\"}",
         "{\"model\":\"up\",\"previous_response_id\":\"resp_1\"}", 0, 0, 0, -1, true},
        {"{\"model\":\"m\",\"input\":[{\"type\":\"item_reference\",\"id\":\"x\"}]}",
         "{\"model\":\"up\",\"input\":[{\"type\":\"item_reference\",\"id\":\"x\"}]}", 1, 0, 0, -1,
         true},
        {"{\"model\":\"m\",\"input\":\"hi\",\"tools\":[{\"type\":\"web_search\"}]}",
         "{\"model\":\"up\",\"input\":\"hi\",\"tools\":[{\"type\":\"web_search\"}]}", 1, 0, 0, -1,
         true},
        {"{\"model\":\"m\",\"input\":\"hi\",\"background\":true}",
         "{\"model\":\"up\",\"input\":\"hi\",\"background\":true}", 1, 0, 0, -1, true},
        {"{\"model\":\"m\",\"input\":7}", "'input' must be a string or an array, not a number.", 0,
         0, 0, -1, false},
        {"{\"model\":\"m\",\"input\":\"a\",\"input\":\"b\"}", "'input' is given more than once.", 0,
         0, 0, -1, false},
    };
    const struct dialect *native = &dialect_openai_responses;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct json_doc d;
        struct dialect_request req;
        struct dialect_refusal why;
        struct splices cuts;
        struct buf out;
        bool injected;
        json_doc_init(&d, JSON_MAX_TOKENS);
        buf_init(&out, 4096);
        if (native->read_request(&d, slice_str(rows[i].in), DIALECT_CHAT, slice_str(""), &req,
                                 &why) < 0) {
            assert_string_equal(why.message, rows[i].out);
        } else {
            struct dialect_rewrite how = {.model = SLICE_LIT("up"), .inject_usage = true};
            assert_int_equal(native->rewrite_request(&req, &how, &cuts, &injected), 0);
            assert_false(injected);
            assert_int_equal(splices_append(&cuts, slice_str(rows[i].in), &out), 0);
            assert_string_equal(codec_told(&out), rows[i].out);
            assert_int_equal(req.messages, rows[i].messages);
            assert_int_equal(req.images, rows[i].images);
            assert_int_equal(req.files, rows[i].files);
            assert_int_equal(req.max_output_tokens, rows[i].max);
            assert_int_equal(req.hosted_tools, rows[i].unbounded);
        }
        buf_release(&out);
        json_doc_release(&d);
    }
}

static void fields_are_stated(void **state)
{
    (void)state;
    for (unsigned f = 0; f < IR_FIELD_COUNT; f++) {
        assert_int_not_equal(responses->fields[f].fate, IR_UNSTATED);
        if (responses->fields[f].fate != IR_CARRIED)
            assert_int_not_equal(strlen(responses->fields[f].note), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_again),        cmocka_unit_test(across),
        cmocka_unit_test(refused),           cmocka_unit_test(answers),
        cmocka_unit_test(streams),           cmocka_unit_test(streams_across),
        cmocka_unit_test(errors_in_streams), cmocka_unit_test(own_error_natively),
        cmocka_unit_test(natively),          cmocka_unit_test(fields_are_stated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
