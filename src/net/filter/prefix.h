/* Addresses by prefix: the part of a peer's address that limits count by, and networks of lists. An IPv4 address is
 * kept as the IPv6 address that it is mapped to, so that one form serves both. Pure; any thread. */
#ifndef NET_FILTER_PREFIX_H
#define NET_FILTER_PREFIX_H

#include "base/error.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#define PREFIX_BITS 128u
/* Ahead of the IPv4 address in ::ffff:0:0/96. */
#define PREFIX_V4_BITS 96u

struct prefix {
	uint8_t bytes[PREFIX_BITS / 8];
};

/* An address and how many of its bits count (0..128; of an IPv4 network PREFIX_V4_BITS more than written). */
struct network {
	struct prefix prefix;
	uint8_t bits;
};

/* The peer's address, cut to v4_bits (0..32) or v6_bits (0..128). False: it has no IP address (a unix socket). */
bool prefix_of(const struct sockaddr_storage *peer, uint8_t v4_bits, uint8_t v6_bits, struct prefix *prefix);

/* "192.0.2.0/24", "2001:db8::/32", or an address alone. ERROR_LIMIT: *fault says what is wrong (static storage). */
enum error network_parse(const char *text, struct network *network, const char **fault);
/* Writes the shortest notation, so that equal networks read the same. */
#define NETWORK_TEXT_BYTES_MAX 50u
void network_print(const struct network *network, char text[NETWORK_TEXT_BYTES_MAX]);
bool network_has(const struct network *network, const struct prefix *address);

#endif
