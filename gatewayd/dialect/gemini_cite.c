/*
 * gemini_cite.c: the sources of an answer: groundingMetadata (web search) and citationMetadata
 * (passages taken over), see ai.google.dev/api/generate-content#GroundingMetadata and
 * #CitationMetadata. Places are counted in bytes of the part's UTF-8 text.
 */
#include "gatewayd/dialect/gemini.h"

static int64_t read_index(const struct json_doc *d, uint32_t v)
{
    int64_t n;
    return gemini_i64(d, v, &n) == 0 && n >= 0 ? n : -1;
}

/* The n-th element; JSON_NONE if there are not so many. */
static uint32_t element(const struct json_doc *d, uint32_t array, int64_t n)
{
    json_foreach_element(d, array, e)
    {
        if (n-- == 0)
            return e;
    }
    return JSON_NONE;
}

static bool read_chunk(const struct json_doc *d, uint32_t chunk, struct ir_citation *c)
{
    uint32_t web = gemini_get(d, chunk, "web");
    if (web == JSON_NONE)
        web = gemini_get(d, chunk, "retrievedContext");
    c->url = ir_text_of(d, gemini_get(d, web, "uri"));
    c->title = ir_text_of(d, gemini_get(d, web, "title"));
    return ir_has(c->url);
}

static void read_support(const struct json_doc *d, uint32_t chunks, uint32_t support,
                         gemini_cite_fn fn, void *ctx)
{
    uint32_t segment = gemini_get(d, support, "segment");
    int64_t end = read_index(d, gemini_get(d, segment, "endIndex"));
    int64_t start = read_index(d, gemini_get(d, segment, "startIndex"));
    /* A start of 0 is left out. */
    if (end >= 0 && start < 0)
        start = 0;
    json_foreach_element(d, gemini_get(d, support, "groundingChunkIndices"), i)
    {
        struct ir_citation c = {.start = -1, .end = -1};
        c.cited_text = ir_text_of(d, gemini_get(d, segment, "text"));
        if (read_chunk(d, element(d, chunks, read_index(d, i)), &c))
            fn(ctx, &c, start, end);
    }
}

void gemini_read_citations(const struct json_doc *d, uint32_t candidate, gemini_cite_fn fn,
                           void *ctx)
{
    uint32_t grounding = gemini_get(d, candidate, "groundingMetadata");
    uint32_t chunks = gemini_get(d, grounding, "groundingChunks");
    json_foreach_element(d, gemini_get(d, grounding, "groundingSupports"), s)
        read_support(d, chunks, s, fn, ctx);
    uint32_t cited = gemini_get(d, candidate, "citationMetadata");
    uint32_t sources = gemini_get(d, cited, "citationSources"); /* Vertex AI: citations */
    if (sources == JSON_NONE)
        sources = gemini_get(d, cited, "citations");
    json_foreach_element(d, sources, s)
    {
        struct ir_citation c = {.start = -1, .end = -1};
        c.url = ir_text_of(d, gemini_get(d, s, "uri"));
        c.title = ir_text_of(d, gemini_get(d, s, "title"));
        int64_t end = read_index(d, gemini_get(d, s, "endIndex"));
        int64_t start = read_index(d, gemini_get(d, s, "startIndex"));
        if (ir_has(c.url))
            fn(ctx, &c, end >= 0 && start < 0 ? 0 : start, end);
    }
}

void gemini_write_chunk(struct json_writer *w, const struct ir_citation *c)
{
    jw_object(w);
    jw_member_object(w, "web");
    ir_member(w, "uri", ir_has(c->url) ? c->url : IR_LIT(""));
    if (ir_has(c->title))
        ir_member(w, "title", c->title);
    jw_object_end(w);
    jw_object_end(w);
}

void gemini_write_support(struct json_writer *w, const struct ir_citation *c, int64_t start,
                          int64_t end, int64_t part, int64_t chunk)
{
    jw_object(w);
    jw_member_object(w, "segment");
    if (part)
        jw_member_i64(w, "partIndex", part);
    if (start > 0)
        jw_member_i64(w, "startIndex", start);
    if (end >= 0)
        jw_member_i64(w, "endIndex", end);
    if (ir_has(c->cited_text))
        ir_member(w, "text", c->cited_text);
    jw_object_end(w);
    jw_member_array(w, "groundingChunkIndices");
    jw_i64(w, chunk);
    jw_array_end(w);
    jw_object_end(w);
}
