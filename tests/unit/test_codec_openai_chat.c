/*
 * test_codec_openai_chat.c: chat completions into the internal form and out of it again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/codec_fixture.h"

static const struct codec *const chat = &codec_openai_chat;

enum {
    OWN = PROVIDER_QUIRK_NEW_NAMES,
    ROUTER = PROVIDER_QUIRK_TOP_K | PROVIDER_QUIRK_REASONING_BACK | PROVIDER_QUIRK_CACHE_CONTROL,
};

#define U(text)              "{\"role\":\"user\",\"content\":" text "}"
#define HI                   U("\"hi\"")
#define BODY(messages, more) "{\"model\":\"m\",\"messages\":[" messages "]" more "}"
#define UP(messages, more)   "{\"model\":\"up\",\"messages\":[" messages "]" more "}"
#define TOOL                                                                                       \
    "{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\\n\",\"parameters\":" \
    "{\"type\":\"object\"},\"strict\":true}}"
#define CALL(id)                                                                                   \
    "{\"id\":\"" id                                                                                \
    "\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}"

/* What the reference's own members say arrives as it was sent, at a provider that has them. */
static void same_again(void **state)
{
    (void)state;
    static const char *const messages[] = {
        HI,
        "{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"developer\",\"name\":\"ops\","
        "\"content\":\"d\\u00e9\"}," HI,
        U("[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"image_url\",\"image_url\":{\"url\":"
          "\"https://e.test/a.png\",\"detail\":\"low\"}}]"),
        U("[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,iVBORw0=\"}}]"),
        U("[{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"UklGRg==\",\"format\":\"wav\"}},"
          "{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"SUQz\",\"format\":\"mp3\"}}]"),
        U("[{\"type\":\"file\",\"file\":{\"filename\":\"a.pdf\",\"file_data\":"
          "\"data:application/pdf;base64,JVBERg==\"}}]"),
        U("[{\"type\":\"file\",\"file\":{\"file_id\":\"file-1\"}}]"),
        HI ",{\"role\":\"assistant\",\"content\":null,\"refusal\":\"no\"}," HI,
        HI ",{\"role\":\"assistant\",\"content\":\"t\",\"tool_calls\":[" CALL("c1") "," CALL(
            "c2") "]},{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":\"r\"},"
                  "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":[{\"type\":\"text\","
                  "\"text\":\"x\"},{\"type\":\"text\",\"text\":\"y\"}]}",
    };
    static const char *const members[] = {
        "",
        ",\"tools\":[" TOOL "],\"tool_choice\":\"required\",\"parallel_tool_calls\":false",
        ",\"tools\":[" TOOL "],\"tool_choice\":\"none\"",
        ",\"tools\":[" TOOL
        "],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}",
        ",\"tools\":[" TOOL
        "],\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"auto\","
        "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]}}",
        ",\"max_completion_tokens\":5,\"temperature\":0.70,\"top_p\":1e-1,\"presence_penalty\":-1,"
        "\"frequency_penalty\":2,\"seed\":-7,\"stop\":[\"a\",\"\\u0000b\"],\"n\":3,"
        "\"logprobs\":true,\"top_logprobs\":2,\"logit_bias\":{\"50256\":-100}",
        ",\"response_format\":{\"type\":\"json_object\"}",
        ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\","
        "\"description\":\"d\",\"schema\":{\"type\":\"object\",\"properties\":{}},\"strict\":true}"
        "}",
        ",\"reasoning_effort\":\"xhigh\",\"user\":\"u\",\"service_tier\":\"flex\",\"metadata\":"
        "{\"k\":\"v\"},\"store\":true,\"prediction\":{\"type\":\"content\",\"content\":\"p\"},"
        "\"verbosity\":\"low\",\"prompt_cache_key\":\"k\",\"prompt_cache_retention\":\"24h\","
        "\"stream\":true",
    };
    char in[8192], out[8192];
    for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
        snprintf(in, sizeof in, BODY("%s", ""), messages[i]);
        snprintf(out, sizeof out, UP("%s", ""), messages[i]);
        assert_string_equal(codec_request(chat, chat, in, OWN), out);
    }
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        snprintf(in, sizeof in, BODY(HI, "%s"), members[i]);
        snprintf(out, sizeof out, UP(HI, "%s"), members[i]);
        assert_string_equal(codec_request(chat, chat, in, OWN), out);
    }
}

static void told_otherwise(void **state)
{
    (void)state;
    static const struct {
        uint32_t quirks;
        const char *in, *out;
    } rows[] = {
        /* Names that compatible servers know. */
        {0, BODY("{\"role\":\"developer\",\"content\":\"d\"}", ",\"max_completion_tokens\":5"),
         UP("{\"role\":\"system\",\"content\":\"d\"}", ",\"max_tokens\":5")},
        {OWN, BODY(HI, ",\"max_tokens\":5"), UP(HI, ",\"max_completion_tokens\":5")},
        {0, BODY(HI, ",\"top_k\":4,\"store\":true,\"verbosity\":\"low\""),
         UP(HI, "") " | dropped: top_k, store, verbosity"},
        {ROUTER, BODY(HI, ",\"top_k\":4"), UP(HI, ",\"top_k\":4")},
        {0,
         BODY(HI, ",\"tools\":[" TOOL ",{\"type\":\"function\",\"function\":{\"name\":\"g\"}}],"
                  "\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":"
                  "\"required\",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":"
                  "\"g\"}}]}}"),
         UP(HI, ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"g\"}}],"
                "\"tool_choice\":\"required\"")},
        /* Two spellings, and defaults that ask for nothing. */
        {OWN,
         BODY(HI, ",\"stop\":\"x\",\"safety_identifier\":\"s\",\"n\":1,\"logprobs\":false,"
                  "\"stream\":false,\"modalities\":[\"text\"],\"store\":false,\"tools\":null"),
         UP(HI, ",\"stop\":[\"x\"],\"user\":\"s\"")},
        {OWN, BODY(HI, ",\"user\":\"u\",\"safety_identifier\":\"s\",\"nonsense\":1"),
         UP(HI, ",\"user\":\"u\"") " | dropped: safety_identifier, nonsense"},
        {OWN, BODY("{\"role\":\"user\",\"content\":\"hi\",\"mood\":2}", ""),
         UP(HI, "") " | dropped: messages[0].mood"},
        {OWN, BODY(U("[{\"type\":\"text\",\"text\":\"hi\"}]"), ""), UP(HI, "")},
        {OWN,
         BODY(U("[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image\\/png;base64,"
                "aa\\/bb\"}}]"),
              ""),
         UP(U("[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image\\/png;base64,"
              "aa\\/bb\"}}]"),
            "")},
        {OWN,
         BODY(U("[{\"type\":\"file\",\"file\":{\"filename\":\"a.csv\",\"file_data\":"
                "\"YTti\"}}]"),
              ""),
         UP(U("[{\"type\":\"file\",\"file\":{\"filename\":\"a.csv\",\"file_data\":"
              "\"data:text/csv;base64,YTti\"}}]"),
            "")},
        /* The first form of tools. */
        {OWN,
         BODY(HI ",{\"role\":\"assistant\",\"content\":\"\",\"function_call\":{\"name\":\"f\","
                 "\"arguments\":\"{}\"}},{\"role\":\"function\",\"name\":\"f\",\"content\":\"r\"}",
              ",\"functions\":[{\"name\":\"f\"}],\"function_call\":{\"name\":\"f\"}"),
         UP(HI ",{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"call_1_0\","
               "\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"
               "{\"role\":\"tool\",\"tool_call_id\":\"call_1_0\",\"content\":\"r\"}",
            ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"tool_choice\":"
            "{\"type\":\"function\",\"function\":{\"name\":\"f\"}}")},
        /* An image in a result. */
        {OWN,
         BODY("{\"role\":\"assistant\",\"tool_calls\":[" CALL(
                  "c1") "]},{\"role\":\"tool\","
                        "\"tool_call_id\":\"c1\",\"content\":[{\"type\":\"text\",\"text\":\"see\"},"
                        "{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://e.test/"
                        "i\"}}]}," HI,
              ""),
         UP("{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[" CALL(
                "c1") "]},"
                      "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"see\"},{\"role\":"
                      "\"user\","
                      "\"content\":[{\"type\":\"text\",\"text\":\"Shown by the result of call "
                      "c1:\"},"
                      "{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://e.test/i\"}}]}," HI,
            "")},
        /* Reasoning of an earlier turn: back where it is wanted, else named. */
        {ROUTER,
         BODY(HI ",{\"role\":\"assistant\",\"content\":\"a\",\"reasoning_content\":\"r\"}", ""),
         UP(HI ",{\"role\":\"assistant\",\"content\":\"a\",\"reasoning_content\":\"r\"}", "")},
        {ROUTER,
         BODY(HI ",{\"role\":\"assistant\",\"content\":\"a\",\"reasoning_details\":[{\"type\":"
                 "\"reasoning.text\",\"text\":\"r\",\"signature\":\"sig\",\"index\":0},{\"type\":"
                 "\"reasoning.encrypted\",\"data\":\"enc\",\"index\":1}]}",
              ""),
         UP(HI ",{\"role\":\"assistant\",\"content\":\"a\",\"reasoning_content\":\"r\","
               "\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"r\",\"signature\":"
               "\"sig\",\"index\":0},{\"type\":\"reasoning.encrypted\",\"data\":\"enc\",\"index\":"
               "1}]}",
            "")},
        {ROUTER,
         BODY(HI ",{\"role\":\"assistant\",\"content\":\"a\",\"reasoning_content\":\"r\","
                 "\"reasoning_details\":[{\"type\":\"reasoning.text\",\"signature\":\"sig\"}]}",
              ""),
         UP(HI ",{\"role\":\"assistant\",\"content\":\"a\",\"reasoning_content\":\"r\","
               "\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"r\",\"signature\":"
               "\"sig\",\"index\":0}]}",
            "")},
        {OWN, BODY(HI ",{\"role\":\"assistant\",\"content\":\"a\",\"reasoning\":\"r\"}", ""),
         UP(HI ",{\"role\":\"assistant\",\"content\":\"a\"}",
            "") " | dropped: messages[].reasoning_content"},
        {ROUTER,
         BODY(U("[{\"type\":\"text\",\"text\":\"hi\",\"cache_control\":{\"type\":\"ephemeral\","
                "\"ttl\":\"1h\"}}]"),
              ",\"reasoning\":{\"max_tokens\":9000}"),
         UP(U("[{\"type\":\"text\",\"text\":\"hi\",\"cache_control\":{\"type\":\"ephemeral\","
              "\"ttl\":\"1h\"}}]"),
            ",\"reasoning_effort\":\"high\"")},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_string_equal(codec_request(chat, chat, rows[i].in, rows[i].quirks), rows[i].out);
}

static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *in, *why;
    } rows[] = {
        {"{\"model\":\"m\"}", "messages: 'messages' is required."},
        {"{\"messages\":{}}", "messages: 'messages' must be an array, not an object."},
        {BODY("", ""), "messages: 'messages' must hold at least one message."},
        {BODY("7", ""), "messages[0]: 'messages[0]' must be an object, not a number."},
        {BODY(HI ",{\"role\":\"owner\",\"content\":\"x\"}", ""),
         "messages[1].role: 'messages[1].role' must be system, developer, user, assistant, tool or "
         "function."},
        {BODY("{\"content\":\"x\"}", ""), "messages[0].role: 'messages[0].role' is required."},
        {BODY("{\"role\":\"user\"}", ""),
         "messages[0].content: 'messages[0].content' is required."},
        {BODY(U("7"), ""), "messages[0].content: 'messages[0].content' must be a string or an "
                           "array of parts, not a number."},
        {BODY(U("[{\"type\":\"video\"}]"), ""),
         "messages[0].content[0].type: 'messages[0].content[0].type' must be text, image_url, "
         "input_audio, video_url, file or refusal."},
        {BODY(U("[{\"type\":\"text\"}]"), ""),
         "messages[0].content[0].text: 'messages[0].content[0].text' is required."},
        {BODY(U("[{\"type\":\"image_url\",\"image_url\":\"x\"}]"), ""),
         "messages[0].content[0].image_url: 'messages[0].content[0].image_url' must be an object, "
         "not a string."},
        {BODY(U("[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png,x\"}}]"), ""),
         "messages[0].content[0].image_url.url: 'messages[0].content[0].image_url.url' is a data: "
         "URL that isn't of the form data:TYPE;base64,DATA."},
        {BODY(U("[{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"\",\"format\":\"x\"}}]"),
              ""),
         "messages[0].content[0].input_audio.format: 'messages[0].content[0].input_audio.format' "
         "must name a format of audio: wav or mp3."},
        {BODY(HI ",{\"role\":\"tool\",\"content\":\"x\"}", ""),
         "messages[1].tool_call_id: 'messages[1].tool_call_id' is required."},
        {BODY(HI ",{\"role\":\"tool\",\"tool_call_id\":\"c9\",\"content\":\"x\"}", ""),
         "messages[1]: The tool result in messages[1] has no tool call before it that it answers."},
        {BODY(HI, ",\"tools\":[{\"type\":\"custom\",\"custom\":{\"name\":\"c\"}}]"),
         "tools[0].type: 'tools[0].type' is custom: such tools can't be sent to this model's "
         "provider."},
        {BODY(HI, ",\"tools\":[{\"type\":\"function\",\"function\":{}}]"),
         "tools[0].function.name: 'tools[0].function.name' is required."},
        {BODY(HI, ",\"tool_choice\":\"any\""),
         "tool_choice: 'tool_choice' must be none, auto, required, or an object of type function "
         "or allowed_tools."},
        {BODY(HI, ",\"response_format\":{\"type\":\"xml\"}"),
         "response_format.type: 'response_format.type' must be text, json_object or json_schema."},
        {BODY(HI, ",\"temperature\":\"hot\""),
         "temperature: 'temperature' must be a number, not a string."},
        {BODY(HI, ",\"temperature\":1,\"temperature\":2"),
         "temperature: 'temperature' is given more than once."},
        {BODY(HI, ",\"max_tokens\":1.5"), "max_tokens: 'max_tokens' must be an integer from 0."},
        {BODY(HI, ",\"stop\":[1]"), "stop[0]: 'stop[0]' must be a string, not a number."},
        {BODY(HI, ",\"reasoning_effort\":\"huge\""),
         "reasoning_effort: 'reasoning_effort' must be none, minimal, low, medium, high, xhigh or "
         "max."},
        {BODY(HI, ",\"web_search_options\":{}"),
         "tools, web_search_options: 'tools, web_search_options' can't be sent to this model, "
         "whose provider speaks openai.chat: no provider has another's tools."},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_string_equal(codec_request(chat, chat, rows[i].in, OWN), rows[i].why);
}

/* ---- whole answers ---- */

#define ANSWER(message, finish)                                                                    \
    "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":5,\"model\":\"m\","         \
    "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\"," message                       \
    "},\"logprobs\":null,\"finish_reason\":\"" finish "\"}]}"

static void answers(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {ANSWER("\"content\":\"h\\u00e9\",\"refusal\":null,\"annotations\":[]", "stop"), NULL},
        {ANSWER("\"content\":\"\",\"refusal\":null,\"annotations\":[]", "length"), NULL},
        {ANSWER("\"content\":null,\"refusal\":\"no\",\"annotations\":[]", "stop"), NULL},
        {ANSWER("\"content\":null,\"refusal\":null,\"annotations\":[],\"tool_calls\":[" CALL(
                    "a") "," CALL("b") "]",
                "tool_calls"),
         NULL},
        {ANSWER("\"content\":\"see\",\"refusal\":null,\"annotations\":[{\"type\":\"url_citation\","
                "\"url_citation\":{\"start_index\":0,\"end_index\":3,\"url\":\"https://e.test\","
                "\"title\":\"t\"}}]",
                "content_filter"),
         NULL},
        {ANSWER("\"content\":\"a\",\"refusal\":null,\"annotations\":[],\"reasoning_content\":\"r\","
                "\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"r\",\"signature\":"
                "\"s\",\"index\":0},{\"type\":\"reasoning.encrypted\",\"data\":\"e\",\"index\":1}]",
                "stop"),
         NULL},
        /* Other providers' habits. */
        {ANSWER("\"content\":\"a\",\"reasoning\":\"r\"", "eos_token"),
         ANSWER("\"content\":\"a\",\"refusal\":null,\"annotations\":[],\"reasoning_content\":\"r\","
                "\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"r\",\"index\":0}]",
                "stop")},
        {ANSWER("\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":"
                "\"r\"}]},{\"type\":\"text\",\"text\":\"a\"}]",
                "stop"),
         ANSWER("\"content\":\"a\",\"refusal\":null,\"annotations\":[],\"reasoning_content\":\"r\","
                "\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"r\",\"index\":0}]",
                "stop")},
        {ANSWER("\"content\":\"\",\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":\"f\","
                "\"arguments\":{\"a\":1}}}]",
                "stop"),
         ANSWER(
             "\"content\":null,\"refusal\":null,\"annotations\":[],\"tool_calls\":[" CALL("a") "]",
             "tool_calls")},
        {ANSWER("\"content\":\"a\"", "insufficient_system_resource"),
         ANSWER("\"content\":\"a\",\"refusal\":null,\"annotations\":[]", "length")},
        {"{\"error\":{\"message\":\"x\"}}", "not read"},
        {"{\"choices\":[{\"message\":{\"content\":\"a\"},\"logprobs\":{\"content\":[]}}],\"usage\":"
         "{\"prompt_tokens\":9,\"completion_tokens\":4,\"total_tokens\":13,"
         "\"prompt_tokens_details\":{\"cached_tokens\":3,\"cache_write_tokens\":2,\"audio_tokens\":"
         "1},\"completion_tokens_details\":{\"reasoning_tokens\":1}},\"system_fingerprint\":\"f\","
         "\"service_tier\":\"flex\"}",
         "{\"id\":\"chatcmpl-req\",\"object\":\"chat.completion\",\"created\":7,\"model\":\"\","
         "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"a\","
         "\"refusal\":null,\"annotations\":[]},\"logprobs\":{\"content\":[]},\"finish_reason\":"
         "\"stop\"}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4,\"total_tokens\":13,"
         "\"prompt_tokens_details\":{\"cached_tokens\":3,\"cache_write_tokens\":2,\"audio_tokens\":"
         "1},\"completion_tokens_details\":{\"reasoning_tokens\":1,\"audio_tokens\":0,"
         "\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}},\"service_tier\":"
         "\"flex\",\"system_fingerprint\":\"f\"}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_string_equal(codec_response(chat, chat, rows[i].in),
                            rows[i].out ? rows[i].out : rows[i].in);
}

/* ---- streams ---- */

#define HEAD                                                                                       \
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":5,\"model\":\"m\","
#define CHUNK_OF(index, delta, finish)                                                             \
    HEAD "\"choices\":[{\"index\":" index ",\"delta\":{" delta                                     \
         "},\"logprobs\":null,\"finish_reason\":" finish "}]}\n\n"
#define CHUNK(delta) CHUNK_OF("0", delta, "null")
#define ROLE         CHUNK("\"role\":\"assistant\",\"content\":\"\",\"refusal\":null")
#define END(finish)  CHUNK_OF("0", "", "\"" finish "\"") "data: [DONE]\n\n"
#define CALL_START(index, id)                                                                      \
    "\"tool_calls\":[{\"index\":" index ",\"id\":\"" id                                            \
    "\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]"
#define CALL_MORE(index, text)                                                                     \
    "\"tool_calls\":[{\"index\":" index ",\"function\":{\"arguments\":\"" text "\"}}]"
#define THOUGHT(text, more)                                                                        \
    "\"reasoning_content\":\"" text                                                                \
    "\",\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"" text "\"" more            \
    ",\"index\":0}]"

static void streams(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {ROLE CHUNK("\"content\":\"a\\n\"") CHUNK("\"content\":\"\\ud83d\\ude00\"") END("stop"),
         NULL},
        {ROLE CHUNK("\"refusal\":\"n\"") CHUNK("\"refusal\":\"o\"") END("stop"), NULL},
        {ROLE END("length"), NULL},
        {ROLE CHUNK("\"content\":\"t\"") CHUNK(CALL_START("0", "a")) CHUNK(CALL_MORE("0", "{"))
             CHUNK(CALL_MORE("0", "}")) CHUNK(CALL_START("1", "b")) CHUNK(CALL_MORE("1", "{}"))
                 END("tool_calls"),
         NULL},
        /* The reasoning of OpenRouter, with its signature, and encrypted. */
        {ROLE CHUNK("\"reasoning\":\"r\",\"reasoning_details\":[{\"type\":\"reasoning.text\","
                    "\"text\":\"r\",\"index\":0}]")
             CHUNK("\"reasoning_details\":[{\"type\":\"reasoning.text\",\"signature\":\"s\","
                   "\"index\":0}]") CHUNK("\"reasoning_details\":[{\"type\":"
                                          "\"reasoning.encrypted\",\"data\":\"e\",\"index\":1}]")
                 CHUNK("\"content\":\"a\"") END("stop"),
         ROLE CHUNK(THOUGHT("r", ""))
             CHUNK("\"reasoning_details\":[{\"type\":\"reasoning.text\",\"signature\":\"s\","
                   "\"index\":0}]") CHUNK("\"reasoning_details\":[{\"type\":"
                                          "\"reasoning.encrypted\",\"data\":\"e\",\"index\":1}]")
                 CHUNK("\"content\":\"a\"") END("stop")},
        {ROLE CHUNK("\"reasoning_content\":\"r\"") CHUNK("\"content\":\"a\"") END("stop"),
         ROLE CHUNK(THOUGHT("r", "")) CHUNK("\"content\":\"a\"") END("stop")},
        /* Calls overlap, come whole, without an index, repeat their id, say "stop". */
        {ROLE CHUNK(CALL_START("0", "a")) CHUNK(CALL_START("1", "b")) CHUNK(CALL_MORE("1", "{}"))
             CHUNK(CALL_MORE("0", "{}")) END("stop"),
         ROLE CHUNK(CALL_START("0", "a")) CHUNK(CALL_MORE("0", "{}")) CHUNK(CALL_START("1", "b"))
             CHUNK(CALL_MORE("1", "{}")) END("tool_calls")},
        {ROLE CHUNK("\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":"
                    "\"{}\"}},{\"id\":\"b\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]")
             END("stop"),
         ROLE CHUNK(CALL_START("0", "a")) CHUNK(CALL_MORE("0", "{}")) CHUNK(CALL_START("1", "b"))
             CHUNK(CALL_MORE("1", "{}")) END("tool_calls")},
        {ROLE CHUNK("\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\","
                    "\"arguments\":\"{\"}}]")
             CHUNK("\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":null,"
                   "\"arguments\":\"}\"}}]") CHUNK("\"tool_calls\":[{\"index\":0,\"id\":\"b\","
                                                   "\"function\":{\"name\":\"f\",\"arguments\":"
                                                   "\"{}\"}}]") END("tool_calls"),
         ROLE CHUNK(CALL_START("0", "a")) CHUNK(CALL_MORE("0", "{")) CHUNK(CALL_MORE("0", "}"))
             CHUNK(CALL_START("1", "b")) CHUNK(CALL_MORE("1", "{}")) END("tool_calls")},
        {ROLE CHUNK("\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{}}]")
             CHUNK("\"tool_calls\":[{\"index\":0,\"function\":{\"name\":\"f\"}}]")
                 CHUNK(CALL_MORE("0", "{}")) END("tool_calls"),
         ROLE CHUNK(CALL_START("0", "a")) CHUNK(CALL_MORE("0", "{}")) END("tool_calls")},
        /* Text goes on behind a call. */
        {ROLE CHUNK("\"content\":\"a\"") CHUNK(CALL_START("0", "x")) CHUNK(CALL_MORE("0", "{}"))
             CHUNK("\"content\":\"b\"") END("tool_calls"),
         NULL},
        {ROLE CHUNK("\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\","
                    "\"text\":\"r\"}]}]") CHUNK("\"content\":\"a\"") END("model_length"),
         ROLE CHUNK(THOUGHT("r", "")) CHUNK("\"content\":\"a\"") END("length")},
        {ROLE CHUNK("\"content\":\"a\"") CHUNK(
             "\"annotations\":[{\"type\":\"url_citation\",\"url_citation\":{\"start_index\":0,"
             "\"end_index\":1,\"url\":\"https://e.test\",\"title\":\"t\"}}]") END("stop"),
         NULL},
        /* A stream of two choices. */
        {ROLE CHUNK_OF("1", "\"role\":\"assistant\",\"content\":\"\",\"refusal\":null", "null")
             CHUNK("\"content\":\"a\"") CHUNK_OF("1", "\"content\":\"b\"", "null")
                 CHUNK_OF("0", "", "\"stop\"") CHUNK_OF("1", "", "\"length\"") "data: [DONE]\n\n",
         ROLE CHUNK("\"content\":\"a\"")
             CHUNK_OF("1", "\"role\":\"assistant\",\"content\":\"\",\"refusal\":null", "null")
                 CHUNK_OF("1", "\"content\":\"b\"", "null") CHUNK_OF("0", "", "\"stop\"")
                     CHUNK_OF("1", "", "\"length\"") "data: [DONE]\n\n"},
        /* No [DONE], but a finish; neither; an error; Azure's first chunk. */
        {ROLE CHUNK("\"content\":\"a\"") CHUNK_OF("0", "", "\"stop\""),
         ROLE CHUNK("\"content\":\"a\"") END("stop")},
        {ROLE CHUNK("\"content\":\"a\""), ROLE CHUNK("\"content\":\"a\"") "incomplete\n"},
        {ROLE "data: {\"error\":{\"message\":\"b\\u00f6se\",\"code\":\"server_error\"}}\n\n",
         ROLE "data: {\"error\":{\"message\":\"b\\u00f6se\",\"type\":\"server_error\",\"param\":"
              "null,\"code\":\"server_error\"}}\n\nincomplete\n"},
        {"data: {\"id\":\"\",\"choices\":[],\"prompt_filter_results\":[]}\n\n" ROLE END("stop"),
         ROLE END("stop")},
        {"data: nonsense\n\n", "incomplete\n"},
    };
    const struct codec_caller caller = {.request_id = SLICE_LIT("req")};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_string_equal(codec_stream_with(chat, chat, rows[i].in, &caller),
                            rows[i].out ? rows[i].out : rows[i].in);
}

static void usage_in_streams(void **state)
{
    (void)state;
#define NULLED(delta, finish)                                                                      \
    HEAD "\"choices\":[{\"index\":0,\"delta\":{" delta                                             \
         "},\"logprobs\":null,\"finish_reason\":" finish "}],\"usage\":null}\n\n"
#define COUNTS(in, out, total)                                                                     \
    "\"usage\":{\"prompt_tokens\":" in ",\"completion_tokens\":" out ",\"total_tokens\":" total
    static const char out[] =
        NULLED("\"role\":\"assistant\",\"content\":\"\",\"refusal\":null", "null")
            NULLED("\"content\":\"a\"", "null") NULLED("", "\"stop\"") HEAD
        "\"choices\":[]," COUNTS(
            "3", "2",
            "5") ",\"prompt_tokens_details\":{\"cached_tokens\":0,"
                 "\"cache_write_tokens\":0,\"audio_tokens\":0},\"completion_tokens_details\":{"
                 "\"reasoning_tokens\":0,\"audio_tokens\":0,\"accepted_prediction_tokens\":0,"
                 "\"rejected_prediction_tokens\":0}}}\n\ndata: [DONE]\n\n";
    static const char *const rows[] = {
        ROLE CHUNK("\"content\":\"a\"") CHUNK_OF("0", "", "\"stop\"") HEAD
        "\"choices\":[]," COUNTS("3", "2", "5") "}}\n\ndata: [DONE]\n\n",
        ROLE CHUNK("\"content\":\"a\"") HEAD
        "\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]," COUNTS(
            "3", "2", "5") "}}\n\ndata: [DONE]\n\n",
        HEAD "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]," COUNTS(
            "3", "1", "4") "}}\n\n" HEAD "\"choices\":[{\"index\":0,\"delta\":{},"
                           "\"finish_reason\":\"stop\"}]," COUNTS("3", "2",
                                                                  "5") "}}\n\ndata: [DONE]\n\n",
    };
    const struct codec_caller caller = {.request_id = SLICE_LIT("req"), .include_usage = true};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_string_equal(codec_stream_with(chat, chat, rows[i], &caller), out);
}

/* A call without an id gets one, the same in all of its chunks' answers and of the usual form. */
static void ids_are_made(void **state)
{
    (void)state;
    const struct codec_caller caller = {.request_id = SLICE_LIT("req")};
    const char *out = codec_stream_with(
        chat, chat,
        ROLE CHUNK("\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},"
                   "{\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}]") END("tool_calls"),
        &caller);
    const char *first = strstr(out, "\"id\":\"call_"),
               *second = strstr(first + 1, "\"id\":\"call_");
    assert_non_null(second);
    assert_memory_not_equal(first, second, 24);
}

/* Every field has its row: the documentation is made of them. */
static void fields_are_stated(void **state)
{
    (void)state;
    for (unsigned f = 0; f < IR_FIELD_COUNT; f++) {
        assert_int_not_equal(chat->fields[f].fate, IR_UNSTATED);
        assert_non_null(chat->fields[f].note);
        if (chat->fields[f].fate != IR_CARRIED)
            assert_int_not_equal(strlen(chat->fields[f].note), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_again),   cmocka_unit_test(told_otherwise),
        cmocka_unit_test(refused),      cmocka_unit_test(answers),
        cmocka_unit_test(streams),      cmocka_unit_test(usage_in_streams),
        cmocka_unit_test(ids_are_made), cmocka_unit_test(fields_are_stated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
