/*
 * gemini_cache.c: cached contents as the Gemini API keeps them.
 *
 * Format: https://ai.google.dev/api/caching. The model has to be one of the mock's; what is cached
 * is billed as input once.
 */
#include "tests/mockllm/gemini.h"
#include "tests/mockllm/json.h"
#include "tests/mockllm/kept.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool unknown(struct slice id, struct error *err)
{
    *err = (struct error){.status = 403, .type = "PERMISSION_DENIED"};
    snprintf(err->message, sizeof err->message,
             "CachedContent not found (or permission denied): " SLICE_FMT, SLICE_ARG(id));
    return false;
}

bool gemini_cache_is_there(const struct call *call, struct error *err)
{
    struct slice name = gemini_get(call->req->body, "cachedContent");
    return !json_is_string(name) || kept_has(KEPT_CACHE, call->credential, json_inner(name)) ||
           unknown(json_inner(name), err);
}

static bool read_create(struct call *call, struct error *err)
{
    struct slice model = gemini_get(call->req->body, "model");
    call->from_content = true;
    if (!json_is_string(model) || json_inner(model).len < 12 ||
        memcmp(json_inner(model).p, "models/mock-", 12) != 0)
        return gemini_refuse(err, "Model does not exist or does not support caching");
    call->members[0] = model;
    call->prompt_tokens = (int64_t)(call->req->body.len + 3) / 4;
    return true;
}

static bool read_one(struct call *call, struct error *err)
{
    snprintf(call->id, sizeof call->id, "cachedContents/" SLICE_FMT, SLICE_ARG(call->suffix));
    struct slice id = {call->id, strlen(call->id)};
    call->from_content = true;
    return kept_has(KEPT_CACHE, call->credential, id) || unknown(id, err);
}

static void write_json(struct reply *out, struct slice json)
{
    out->status = 200;
    out->ctype = "application/json; charset=UTF-8";
    bytes_add_slice(&out->text, json);
    reply_end_piece(out, PIECE_WHOLE, 0);
}

static void put(const struct call *call, const char *id, struct slice model, int64_t tokens,
                const char *expires)
{
    struct kept k = {.polls = 0};
    bytes_addf(&k.json,
               "{\"name\":\"%s\",\"model\":" SLICE_FMT
               ",\"createTime\":\"2026-01-01T00:00:00Z\",\"updateTime\":\"2026-01-01T00:00:00Z\","
               "\"expireTime\":\"%s\",\"usageMetadata\":{\"totalTokenCount\":%" PRId64 "}}",
               id, SLICE_ARG(model), expires, tokens);
    kept_put(KEPT_CACHE, call->credential, (struct slice){id, strlen(id)}, &k);
}

static void write_one(const struct call *call, const struct script *s, struct reply *out)
{
    struct kept k;
    (void)s;
    kept_get(KEPT_CACHE, call->credential, (struct slice){call->id, strlen(call->id)}, &k);
    write_json(out, bytes_slice(&k.json));
    kept_fini(&k);
}

static void write_create(const struct call *call, const struct script *s, struct reply *out)
{
    struct call made = *call;
    kept_new_id("cachedContents/", made.id);
    out->prompt_tokens = call->prompt_tokens;
    put(call, made.id, call->members[0], call->prompt_tokens, "2099-01-01T00:00:00.5Z");
    write_one(&made, s, out);
}

static void write_update(const struct call *call, const struct script *s, struct reply *out)
{
    put(call, call->id, SLICE("\"models/mock-chat\""), 7, "2098-01-01T00:00:00Z");
    write_one(call, s, out);
}

static void write_delete(const struct call *call, const struct script *s, struct reply *out)
{
    (void)s;
    kept_delete(KEPT_CACHE, call->credential, (struct slice){call->id, strlen(call->id)});
    write_json(out, SLICE("{}"));
}

const struct route gemini_cache_routes[GEMINI_CACHE_ROUTES] = {
    {"POST", "/v1beta/cachedContents", read_create, write_create},
    {"GET", "/v1beta/cachedContents/*", read_one, write_one},
    {"PATCH", "/v1beta/cachedContents/*", read_one, write_update},
    {"DELETE", "/v1beta/cachedContents/*", read_one, write_delete},
};
