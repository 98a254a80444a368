/*
 * relay.c: the rows.
 */
#include "gatewayd/dialect/relay.h"

#define POST .method = SLICE_LIT("POST")
#define GET  .method = SLICE_LIT("GET"), .model = RELAY_MODEL_NONE, .role = RELAY_USES, .query = true
#define LIST                                                                                       \
    .method = SLICE_LIT("GET"), .model = RELAY_MODEL_NONE, .role = RELAY_LISTS, .query = true
#define DELETE .method = SLICE_LIT("DELETE"), .model = RELAY_MODEL_NONE, .role = RELAY_DELETES
#define CANCEL POST, .model = RELAY_MODEL_NONE, .role = RELAY_USES

static const struct relay rows[DIALECT_N_OPS] = {
    [DIALECT_MODERATIONS] = {POST, .body = RELAY_JSON, .model = RELAY_MODEL_OPTIONAL},
    /* The audio itself, or with stream_format = sse events (audio/createSpeech). */
    [DIALECT_SPEECH] = {POST, .body = RELAY_JSON, .opaque = true},
    /* JSON, with response_format = text, srt or vtt text, with stream = true events
     * (audio/createTranscription). */
    [DIALECT_TRANSCRIPTIONS] = {POST, .body = RELAY_FORM, .opaque = true},
    [DIALECT_TRANSLATIONS] = {POST, .body = RELAY_FORM, .opaque = true},
    [DIALECT_IMAGES] = {POST, .body = RELAY_JSON, .model = RELAY_MODEL_OPTIONAL},
    /* images/createEdit: a form, or JSON whose images are URLs or ids of files. */
    [DIALECT_IMAGE_EDITS] = {POST, .body = RELAY_EITHER, .model = RELAY_MODEL_OPTIONAL},
    [DIALECT_IMAGE_VARIATIONS] = {POST, .body = RELAY_FORM, .model = RELAY_MODEL_OPTIONAL},
    [DIALECT_FILE_CREATE] = {POST, .body = RELAY_FORM, .model = RELAY_MODEL_NONE,
                             .role = RELAY_MAKES, .kind = OBJECT_FILE},
    [DIALECT_FILES] = {LIST, .kind = OBJECT_FILE},
    [DIALECT_FILE] = {GET, .kind = OBJECT_FILE},
    [DIALECT_FILE_DELETE] = {DELETE, .kind = OBJECT_FILE},
    [DIALECT_FILE_CONTENT] = {GET, .kind = OBJECT_FILE, .raw = true},
    [DIALECT_BATCH_CREATE] = {POST, .body = RELAY_JSON, .model = RELAY_MODEL_NONE,
                              .role = RELAY_MAKES, .kind = OBJECT_BATCH},
    [DIALECT_BATCHES] = {LIST, .kind = OBJECT_BATCH},
    [DIALECT_BATCH] = {GET, .kind = OBJECT_BATCH},
    [DIALECT_BATCH_CANCEL] = {CANCEL, .kind = OBJECT_BATCH},
    [DIALECT_RESPONSE] = {GET, .kind = OBJECT_RESPONSE},
    [DIALECT_RESPONSE_DELETE] = {DELETE, .kind = OBJECT_RESPONSE},
    [DIALECT_RESPONSE_CANCEL] = {CANCEL, .kind = OBJECT_RESPONSE},
    [DIALECT_RESPONSE_ITEMS] = {GET, .kind = OBJECT_RESPONSE},
    /* ai.google.dev/api/caching */
    [DIALECT_CACHE_CREATE] = {POST, .body = RELAY_JSON, .role = RELAY_MAKES, .kind = OBJECT_CACHE},
    [DIALECT_CACHE] = {GET, .kind = OBJECT_CACHE},
    [DIALECT_CACHE_UPDATE] = {.method = SLICE_LIT("PATCH"),
                              .body = RELAY_JSON,
                              .model = RELAY_MODEL_NONE,
                              .role = RELAY_USES,
                              .query = true,
                              .kind = OBJECT_CACHE},
    [DIALECT_CACHE_DELETE] = {DELETE, .kind = OBJECT_CACHE},
};

const struct relay *relay_of(enum dialect_op op)
{
    return (size_t)op < ARRAY_LEN(rows) && rows[op].method.n ? &rows[op] : NULL;
}
