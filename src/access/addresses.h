/* The connections and handshakes of each address, and its rate of new connections. One table for all gates and shards,
 * split into parts with a lock each. It is used only when a connection is accepted, signs in or ends. An address is a
 * prefix: /32 of IPv4 and /64 of IPv6 unless configured otherwise. Any thread. */
#ifndef ACCESS_ADDRESSES_H
#define ACCESS_ADDRESSES_H

#include "base/hash.h"
#include "net/filter/prefix.h"
#include "runtime/settings/address_limits.h"

/* The place of Roost's own connections (control/internal.h), for which nothing is counted. */
#define ADDRESSES_INTERNAL UINT32_MAX

struct addresses;
struct arena;

/* places: addresses at one time. arena: where its memory is, or NULL (memory/arena.h). Returns NULL if memory is short,
 * or if what is in an arena that was adopted is damaged. */
struct addresses *addresses_new(const struct hash_key *key, uint32_t places, struct arena *arena);
/* Notes what lies beside its memory, for the program that adopts the arena. No other thread uses it. */
enum error addresses_save(const struct addresses *addresses, const struct arena *arena);
void addresses_free(struct addresses *addresses);

/* A connection was accepted. ERROR_OK: it counts as a handshake, and *place names its address (never 0). Otherwise the
 * limit that it would exceed: ERROR_ADDRESS_CONNECTIONS, ERROR_ADDRESS_HANDSHAKES, ERROR_ADDRESS_RATE. If the table is
 * full, the connection is accepted uncounted (*place 0), because a full table must not lock anyone out. */
enum error addresses_enter(struct addresses *addresses, const struct address_limits *limits,
			   const struct prefix *prefix, uint64_t now_ms, uint32_t *place);
/* The handshake is over and the connection stays. place may be 0 or ADDRESSES_INTERNAL. */
void addresses_sign_in(struct addresses *addresses, uint32_t place);
/* The connection has ended. place may be 0 or ADDRESSES_INTERNAL. */
void addresses_leave(struct addresses *addresses, uint32_t place, bool signed_in);

/* Addresses in the table. The value may be slightly out of date. */
uint32_t addresses_count(const struct addresses *addresses);

#endif
