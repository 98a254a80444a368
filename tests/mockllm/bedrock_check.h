/*
 * bedrock_check.h: the body of a Converse request, checked as the service checks it.
 *
 * Shapes, lengths and characters are those of the service model that Amazon's SDKs are made from
 * (github.com/boto/botocore, botocore/data/bedrock-runtime/2023-09-30/service-2.json); what has to
 * hold between blocks is what the user guide and the service's messages say. Stricter than the
 * service in one thing: a signature of reasoning must be that of its text.
 */
#ifndef MOCKLLM_BEDROCK_CHECK_H
#define MOCKLLM_BEDROCK_CHECK_H

#include "tests/mockllm/bytes.h"

/* False with `why` filled in: 400 ValidationException. The body is valid JSON. */
bool bedrock_check(struct slice body, char *why, size_t why_size);

#endif
