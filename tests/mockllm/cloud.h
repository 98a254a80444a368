/*
 * cloud.h: clouds that serve the dialects of others under paths, heads and members of their own:
 * Azure OpenAI and Google Vertex AI.
 *
 * What the cloud asks for is checked here; then the request is shown to the dialect as its own API
 * would get it.
 */
#ifndef MOCKLLM_CLOUD_H
#define MOCKLLM_CLOUD_H

#include "tests/mockllm/dialect.h"

struct cloud_view {
    struct request req; /* as the dialect's own API would get it */
    struct bytes path, key, version, body;
    const struct dialect *refuses; /* in whose words a refusal is given */
};

/* Whether the path is one of a cloud's. */
bool cloud_is_path(struct slice path);
/* False with `err` filled in: the cloud refuses it. `out` is to be released in any case. */
bool cloud_view(const struct request *req, struct cloud_view *out, struct error *err);
void cloud_view_fini(struct cloud_view *v);

#endif
