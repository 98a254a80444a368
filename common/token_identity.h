/*
 * token_identity.h: the name under which a credential's token lies in shared memory.
 *
 * It is a hash of everything that the token is made of: who it is for, the secrets, the services
 * asked. The keeper and each worker compute it from their own copy of a generation, so they agree
 * without a word, and a credential that was changed by a reload has another one.
 */
#ifndef GW_COMMON_TOKEN_IDENTITY_H
#define GW_COMMON_TOKEN_IDENTITY_H

#include "common/conf.h"
#include "common/secrets.h"
#include "common/token_shm.h"

/* Of a credential with conf_credential_fetched. */
void token_identity(const struct conf_credential *c, const struct secrets *secrets,
                    uint8_t out[TOKEN_IDENTITY_BYTES]);

#endif
