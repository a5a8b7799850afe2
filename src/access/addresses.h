/* What each address has: connections, handshakes, and how fast it makes new ones. One table for all gates and shards,
 * in parts with a lock each; nothing is asked of it but when a connection comes and goes. An address is a prefix (/32
 * of IPv4, /64 of IPv6 unless configured otherwise). Any thread. */
#ifndef ACCESS_ADDRESSES_H
#define ACCESS_ADDRESSES_H

#include "base/hash.h"
#include "net/filter/prefix.h"
#include "runtime/address_limits.h"

struct addresses;

/* places: addresses at one time. NULL: no memory. */
struct addresses *addresses_new(const struct hash_key *key, uint32_t places);
void addresses_free(struct addresses *addresses);

/* A connection comes. ERROR_OK: it counts as a handshake, *place names its address (never 0). Otherwise the limit that
 * it would pass: ERROR_ADDRESS_CONNECTIONS, ERROR_ADDRESS_HANDSHAKES, ERROR_ADDRESS_RATE. When there is no place left
 * the connection is let in uncounted (*place 0): a full table must not keep anyone out. */
enum error addresses_enter(struct addresses *addresses, const struct address_limits *limits,
			   const struct prefix *prefix, uint64_t now_ms, uint32_t *place);
/* The handshake is over: the connection stays. place may be 0. */
void addresses_sign_in(struct addresses *addresses, uint32_t place);
/* The connection is gone. */
void addresses_leave(struct addresses *addresses, uint32_t place, bool signed_in);

/* Addresses in the table, nearly exact. */
uint32_t addresses_count(const struct addresses *addresses);

#endif
