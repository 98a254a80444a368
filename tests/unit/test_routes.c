/*
 * test_routes.c: what each path means, every alias, and what must not match.
 */
#include "gatewayd/worker/routes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct match {
    enum http_method_id method;
    const char *path;
    enum route_result result;
    enum route_id id;
    const char *model; /* NULL: none */
} matches[] = {
    {HTTP_M_GET, "/healthz", ROUTE_FOUND, ROUTE_HEALTHZ, NULL},
    {HTTP_M_HEAD, "/healthz", ROUTE_FOUND, ROUTE_HEALTHZ, NULL},
    {HTTP_M_GET, "/readyz", ROUTE_FOUND, ROUTE_READYZ, NULL},
    {HTTP_M_POST, "/v1/chat/completions", ROUTE_FOUND, ROUTE_CHAT, NULL},
    {HTTP_M_POST, "/chat/completions", ROUTE_FOUND, ROUTE_CHAT, NULL},
    {HTTP_M_POST, "/openai/v1/chat/completions", ROUTE_FOUND, ROUTE_CHAT, NULL},
    {HTTP_M_POST, "/openai/chat/completions", ROUTE_FOUND, ROUTE_CHAT, NULL},
    {HTTP_M_POST, "/openai/deployments/gpt-4o/chat/completions", ROUTE_FOUND, ROUTE_CHAT, "gpt-4o"},
    {HTTP_M_POST, "/v1/completions", ROUTE_FOUND, ROUTE_COMPLETIONS, NULL},
    {HTTP_M_POST, "/completions", ROUTE_FOUND, ROUTE_COMPLETIONS, NULL},
    {HTTP_M_POST, "/openai/deployments/d/completions", ROUTE_FOUND, ROUTE_COMPLETIONS, "d"},
    {HTTP_M_POST, "/v1/embeddings", ROUTE_FOUND, ROUTE_EMBEDDINGS, NULL},
    {HTTP_M_POST, "/embeddings", ROUTE_FOUND, ROUTE_EMBEDDINGS, NULL},
    {HTTP_M_POST, "/openai/deployments/d/embeddings", ROUTE_FOUND, ROUTE_EMBEDDINGS, "d"},
    {HTTP_M_POST, "/v1/moderations", ROUTE_FOUND, ROUTE_MODERATIONS, NULL},
    {HTTP_M_POST, "/audio/speech", ROUTE_FOUND, ROUTE_SPEECH, NULL},
    {HTTP_M_POST, "/openai/v1/audio/transcriptions", ROUTE_FOUND, ROUTE_TRANSCRIPTIONS, NULL},
    {HTTP_M_POST, "/openai/deployments/w/audio/translations", ROUTE_FOUND, ROUTE_TRANSLATIONS, "w"},
    {HTTP_M_POST, "/openai/deployments/i/images/generations", ROUTE_FOUND, ROUTE_IMAGES, "i"},
    {HTTP_M_POST, "/v1/images/edits", ROUTE_FOUND, ROUTE_IMAGE_EDITS, NULL},
    {HTTP_M_POST, "/images/variations", ROUTE_FOUND, ROUTE_IMAGE_VARIATIONS, NULL},
    {HTTP_M_GET, "/v1/models", ROUTE_FOUND, ROUTE_MODELS, NULL},
    {HTTP_M_GET, "/models", ROUTE_FOUND, ROUTE_MODELS, NULL},
    {HTTP_M_HEAD, "/openai/v1/models", ROUTE_FOUND, ROUTE_MODELS, NULL},
    {HTTP_M_GET, "/v1/models/smart", ROUTE_FOUND, ROUTE_MODEL, "smart"},
    {HTTP_M_GET, "/models/smart", ROUTE_FOUND, ROUTE_MODEL, "smart"},
    {HTTP_M_GET, "/v1/models/openai/gpt-4o", ROUTE_FOUND, ROUTE_MODEL, "openai/gpt-4o"},

    {HTTP_M_GET, "/v1/chat/completions", ROUTE_NO_METHOD, ROUTE_CHAT, NULL},
    {HTTP_M_HEAD, "/v1/chat/completions", ROUTE_NO_METHOD, ROUTE_CHAT, NULL},
    {HTTP_M_GET, "/v1/images/edits", ROUTE_NO_METHOD, ROUTE_IMAGE_EDITS, NULL},
    {HTTP_M_DELETE, "/v1/embeddings", ROUTE_NO_METHOD, ROUTE_EMBEDDINGS, NULL},
    {HTTP_M_POST, "/v1/models", ROUTE_NO_METHOD, ROUTE_MODELS, NULL},
    {HTTP_M_DELETE, "/v1/models/smart", ROUTE_NO_METHOD, ROUTE_MODEL, "smart"},
    {HTTP_M_POST, "/healthz", ROUTE_NO_METHOD, ROUTE_HEALTHZ, NULL},
};

static const char *const nothing[] = {
    "/",
    "*",
    "",
    "/v1",
    "/v1/",
    "/v1/chat",
    "/v1/chat/completions/",
    "/v1/chat/completionsx",
    "/v1/Chat/completions",
    "/V1/chat/completions",
    "/v2/chat/completions",
    "/v1/v1/chat/completions",
    "v1/chat/completions",
    "/v1chat/completions",
    "/openai",
    "/openai/",
    "/openaiv1/chat/completions",
    "/openai/openai/v1/chat/completions",
    "/openai/deployments",
    "/openai/deployments/",
    "/openai/deployments/d",
    "/openai/deployments/d/",
    "/openai/deployments//chat/completions",
    "/openai/deployments/a/b/chat/completions",
    "/openai/deployments/d/models",
    "/openai/deployments/d/models/m",
    "/openai/deployments/d/healthz",
    "/openai/deployments/d/openai/chat/completions",
    "/deployments/d/chat/completions",
    "/v1/healthz",
    "/v1/readyz",
    "/openai/healthz",
    "/healthz/",
    "/v1/models/",
    "/models/",
    "/v1/modelsx",
    "/admin/v1/status",
    "/metrics",
};

static void paths_mean_what_the_table_says(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(matches); i++) {
        const struct match *m = &matches[i];
        const struct route *r = NULL;
        struct slice model;
        enum route_result res = route_find(m->method, slice_str(m->path), &r, &model);
        if (res != m->result || !r || r->id != m->id)
            fail_msg("%s", m->path);
        if (!slice_eq_str(model, m->model))
            fail_msg("%s: model `%.*s`", m->path, SLICE_FMT(model));
    }
}

static void nothing_else_matches(void **state)
{
    static const enum http_method_id methods[] = {HTTP_M_GET, HTTP_M_POST, HTTP_M_HEAD};
    for (size_t i = 0; i < ARRAY_LEN(nothing); i++)
        for (size_t k = 0; k < ARRAY_LEN(methods); k++) {
            const struct route *r;
            struct slice model;
            if (route_find(methods[k], slice_str(nothing[i]), &r, &model) != ROUTE_NO_PATH)
                fail_msg("%s", nothing[i]);
            assert_null(r);
        }
}

static void what_reaches_a_provider_is_metered_and_needs_a_key(void **state)
{
    static const char *const metered[] = {"/v1/chat/completions", "/v1/completions",
                                          "/v1/embeddings"};
    const struct route *r;
    struct slice model;
    for (size_t i = 0; i < ARRAY_LEN(metered); i++) {
        assert_int_equal(route_find(HTTP_M_POST, slice_str(metered[i]), &r, &model), ROUTE_FOUND);
        assert_int_equal(r->metering, ROUTE_METERED);
        assert_int_equal(r->auth, ROUTE_AUTH_KEY);
    }
    assert_int_equal(route_find(HTTP_M_GET, SLICE_LIT("/v1/models"), &r, &model), ROUTE_FOUND);
    assert_int_equal(r->auth, ROUTE_AUTH_KEY);
}

/* Routes of other dialects are there as soon as their dialect is served. */
static void routes_of_dialects(void **state)
{
    static const struct {
        const char *path;
        enum route_id id;
        enum dialect_id dialect;
        const char *model;
    } cases[] = {
        {"/v1/responses", ROUTE_RESPONSES, DIALECT_OPENAI_RESPONSES, NULL},
        {"/openai/v1/responses", ROUTE_RESPONSES, DIALECT_OPENAI_RESPONSES, NULL},
        {"/responses", ROUTE_RESPONSES, DIALECT_OPENAI_RESPONSES, NULL},
        {"/v1/messages", ROUTE_MESSAGES, DIALECT_ANTHROPIC, NULL},
        {"/messages", ROUTE_MESSAGES, DIALECT_ANTHROPIC, NULL},
        {"/anthropic/v1/messages", ROUTE_MESSAGES, DIALECT_ANTHROPIC, NULL},
        {"/v1/messages/count_tokens", ROUTE_COUNT_TOKENS, DIALECT_ANTHROPIC, NULL},
        {"/anthropic/v1/messages/count_tokens", ROUTE_COUNT_TOKENS, DIALECT_ANTHROPIC, NULL},
        {"/v1beta/models/gemini-2.5-pro:generateContent", ROUTE_GENERATE, DIALECT_GEMINI,
         "gemini-2.5-pro"},
        {"/genai/v1beta/models/a/b:streamGenerateContent", ROUTE_STREAM_GENERATE, DIALECT_GEMINI,
         "a/b"},
        {"/v1/models/m:generateContent", ROUTE_GENERATE, DIALECT_GEMINI, "m"},
        {"/genai/v1/models/m:countTokens", ROUTE_GENERATE_COUNT, DIALECT_GEMINI, "m"},
        {"/models/m:countTokens", ROUTE_GENERATE_COUNT, DIALECT_GEMINI, "m"},
        {"/model/us.x:0/converse", ROUTE_CONVERSE, DIALECT_BEDROCK, "us.x:0"},
        {"/bedrock/model/us.x:0/converse-stream", ROUTE_CONVERSE_STREAM, DIALECT_BEDROCK, "us.x:0"},
        {"/v2/chat", ROUTE_COHERE_CHAT, DIALECT_COHERE, NULL},
        {"/cohere/v2/chat", ROUTE_COHERE_CHAT, DIALECT_COHERE, NULL},
    };
    static const char *const never[] = {
        "/openai/v1/messages",
        "/anthropic/v1/chat/completions",
        "/anthropic/v1/responses",
        "/genai/v1/chat/completions",
        "/bedrock/v1/messages",
        "/v1beta/models/:generateContent",
        "/v1/v1beta/models/m:generateContent",
        "/v1beta/models/m:generate",
        "/model//converse",
        "/model/m/invoke",
        "/openai/deployments/d/responses",
        "/openai/deployments/d/messages",
        "/anthropic/anthropic/v1/messages",
    };
    const struct route *r;
    struct slice model;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum route_result res = route_find(HTTP_M_POST, slice_str(cases[i].path), &r, &model);
        if (!dialects_native(cases[i].dialect)) {
            assert_int_not_equal(res, ROUTE_FOUND);
            continue;
        }
        if (res != ROUTE_FOUND || r->id != cases[i].id || r->metering != ROUTE_METERED ||
            r->auth != ROUTE_AUTH_KEY || !slice_eq_str(model, cases[i].model))
            fail_msg("%s", cases[i].path);
    }
    for (size_t i = 0; i < ARRAY_LEN(never); i++)
        if (route_find(HTTP_M_POST, slice_str(never[i]), &r, &model) == ROUTE_FOUND)
            fail_msg("%s", never[i]);
}

static void errors_are_in_the_callers_dialect(void **state)
{
    static const struct {
        const char *path;
        enum dialect_id dialect;
    } cases[] = {
        {"/", DIALECT_OPENAI},
        {"/v1/nothing", DIALECT_OPENAI},
        {"/v1/messages/batches", DIALECT_ANTHROPIC},
        {"/anthropic/v1/nothing", DIALECT_ANTHROPIC},
        {"/v1beta/nothing", DIALECT_GEMINI},
        {"/genai/nothing", DIALECT_GEMINI},
        {"/model/m/invoke", DIALECT_BEDROCK},
        {"/v2/nothing", DIALECT_COHERE},
        {"/cohere/nothing", DIALECT_COHERE},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct dialect *want = dialects_native(cases[i].dialect);
        assert_ptr_equal(route_error_dialect(slice_str(cases[i].path)),
                         want ? want : &dialect_openai);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_mean_what_the_table_says),
        cmocka_unit_test(nothing_else_matches),
        cmocka_unit_test(what_reaches_a_provider_is_metered_and_needs_a_key),
        cmocka_unit_test(routes_of_dialects),
        cmocka_unit_test(errors_are_in_the_callers_dialect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
