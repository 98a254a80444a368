/*
 * sigv4.h: checks AWS Signature Version 4 of a request, as the provider does it
 * (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv4-create-signed-request.html).
 *
 * The secret of an access key id is "secret-of-ID". Ids that begin with ASIA are temporary: their
 * requests must carry the session token "token-of-ID", others none.
 */
#ifndef MOCKLLM_SIGV4_H
#define MOCKLLM_SIGV4_H

#include "tests/mockllm/http.h"

/* The access key id of the Authorization field; {NULL,0}: it isn't of this kind. */
struct slice sigv4_access_key_id(const struct request *req);
/* NULL: the signature is right. Else why not, with the name of the exception in *name. Both are
 * static text. */
const char *sigv4_check(const struct request *req, const char *service, const char **name);

#endif
