/*
 * dialect.c: what all dialects share: names, and the splice of the model.
 */
#include "gatewayd/dialect/dialect.h"

#include <stdarg.h>
#include <stdio.h>

const char *dialect_op_name(enum dialect_op op)
{
    static const char *const names[] = {
        [DIALECT_CHAT] = "chat.completions",
        [DIALECT_COMPLETIONS] = "completions",
        [DIALECT_EMBEDDINGS] = "embeddings",
        [DIALECT_EMBED_CONTENT] = "embeddings",
        [DIALECT_RERANK] = "rerank",
        [DIALECT_COUNT_TOKENS] = "count_tokens",
        [DIALECT_MODERATIONS] = "moderations",
        [DIALECT_SPEECH] = "audio.speech",
        [DIALECT_TRANSCRIPTIONS] = "audio.transcriptions",
        [DIALECT_TRANSLATIONS] = "audio.translations",
        [DIALECT_IMAGES] = "images.generations",
        [DIALECT_IMAGE_EDITS] = "images.edits",
        [DIALECT_IMAGE_VARIATIONS] = "images.variations",
        [DIALECT_FILE_CREATE] = "files.create",
        [DIALECT_FILES] = "files.list",
        [DIALECT_FILE] = "files.retrieve",
        [DIALECT_FILE_DELETE] = "files.delete",
        [DIALECT_FILE_CONTENT] = "files.content",
        [DIALECT_BATCH_CREATE] = "batches.create",
        [DIALECT_BATCHES] = "batches.list",
        [DIALECT_BATCH] = "batches.retrieve",
        [DIALECT_BATCH_CANCEL] = "batches.cancel",
        [DIALECT_RESPONSE] = "responses.retrieve",
        [DIALECT_RESPONSE_DELETE] = "responses.delete",
        [DIALECT_RESPONSE_CANCEL] = "responses.cancel",
        [DIALECT_RESPONSE_ITEMS] = "responses.input_items",
        [DIALECT_CACHE_CREATE] = "cachedContents.create",
        [DIALECT_CACHE] = "cachedContents.get",
        [DIALECT_CACHE_UPDATE] = "cachedContents.patch",
        [DIALECT_CACHE_DELETE] = "cachedContents.delete",
    };
    return (size_t)op < ARRAY_LEN(names) ? names[op] : "unknown";
}

const char *dialect_fault_name(enum dialect_fault f)
{
    static const char *const names[] = {
#define X(name, text) [DIALECT_FAULT_##name] = text,
        DIALECT_FAULT_MAP(X)
#undef X
    };
    return (size_t)f < ARRAY_LEN(names) ? names[f] : "unknown";
}

/* Adds bytes made here; they are copied. */
static int add_made(struct splices *l, uint32_t off, uint32_t cut, struct slice bytes)
{
    struct slice own = splices_note(l, bytes);
    return own.p ? splices_add(l, off, cut, own) : -1;
}

/* Neither root nor an object that has a member is empty, so what is put first takes a comma. */
int dialect_splice_model(const struct dialect_request *req, struct slice model, struct splices *out)
{
    char text[6 * DIALECT_NAME_BYTES + 32];
    struct json_writer w;
    size_t n;
    bool present = req->model_value.end != 0;
    if (present && slice_eq(model, dialect_name_slice(&req->model)))
        return 0;
    jw_init_fixed(&w, text, sizeof text);
    if (!present)
        jw_raw(&w, SLICE_LIT("\"model\":"));
    w.comma = false;
    jw_str(&w, model);
    w.comma = false;
    if (!present)
        jw_raw(&w, SLICE_LIT(","));
    if (jw_finish(&w, &n) < 0)
        return -1;
    if (!present)
        return add_made(out, req->root.off + 1, 0, slice_of(text, n));
    return add_made(out, req->model_value.off, req->model_value.end - req->model_value.off,
                    slice_of(text, n));
}

int dialect_refuse(struct dialect_refusal *why, const char *code, const char *param,
                   const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why->message, sizeof why->message, fmt, ap);
    va_end(ap);
    snprintf(why->param, sizeof why->param, "%s", param);
    why->code = code;
    return -1;
}

void dialect_add_ref(struct dialect_request *req, const struct json_doc *d, uint32_t v,
                     enum object_kind kind, const char *param)
{
    if (req->n_refs < DIALECT_REFS_MAX)
        req->refs[req->n_refs] =
            (struct dialect_ref){{d->toks[v].off, d->toks[v].end}, (uint8_t)kind, param};
    req->n_refs++;
}
