/*
 * dns_policy.h: which addresses a name may resolve to.
 *
 * Whoever answers for a provider's name must not be able to point the gateway, with the provider's
 * credential in its hand, at the machine itself, at the networks behind it or at a cloud's metadata
 * service. The rule holds for answers of name servers only. What the operator wrote is meant: an
 * address or localhost in the INI, and an entry of /etc/hosts, never come here.
 */
#ifndef GW_KEEPER_DNS_POLICY_H
#define GW_KEEPER_DNS_POLICY_H

#include "common/dns_shm.h"

/*
 * Why the address is refused, as a noun for people ("loopback", "private network"), or NULL: it is
 * allowed. `internal` (a provider on the operator's own network) allows loopback, private, shared
 * and unique local addresses; link-local, metadata, multicast and unspecified ones never pass.
 */
const char *dns_policy_refuses(const struct dns_addr *a, bool internal);

#endif
