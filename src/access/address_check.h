/* Whether an address may have one more connection. Checked before a byte is read. */
#ifndef ACCESS_ADDRESS_CHECK_H
#define ACCESS_ADDRESS_CHECK_H

#include "access/addresses.h"
#include "runtime/settings/settings.h"

/* ERROR_OK: the connection may stay. *place names its entry in the addresses, to be released with addresses_leave(); 0:
 * it is not counted. Otherwise the reason for a refusal; *counted is then the prefix whose limit was reached, or has 0
 * bits if no limit was involved. A denied network that the kernel let through is no offender: the prefix that limits
 * count may be wider than the network and contain others. */
enum error address_check(const struct settings *settings, struct addresses *addresses,
			 const struct sockaddr_storage *peer, uint64_t now_ms, struct network *counted,
			 uint32_t *place);

#endif
