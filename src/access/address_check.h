/* Whether an address may have one more connection: looked at before a byte is read. */
#ifndef ACCESS_ADDRESS_CHECK_H
#define ACCESS_ADDRESS_CHECK_H

#include "access/addresses.h"
#include "runtime/settings.h"

/* ERROR_OK, and *place is to be given back (0: it is not counted). Otherwise why not; *counted is the prefix that the
 * limits count, or has 0 bits where it was not they: denied networks that the kernel did not keep out are no offenders,
 * as what counts of their address may be a prefix with others in it. */
enum error address_check(const struct settings *settings, struct addresses *addresses,
			 const struct sockaddr_storage *peer, uint64_t now_ms, struct network *counted,
			 uint32_t *place);

#endif
