/* Addresses by prefix: the part of a peer's address that limits count by, and lists of networks. IPv4 is kept as its
 * IPv4-mapped IPv6 address, so that one form serves both. Pure but for the system's own types; any thread. */
#ifndef NET_PREFIX_H
#define NET_PREFIX_H

#include "base/error.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct prefix {
	uint8_t bytes[16];
};

/* An address and how many bits of it count (0..128; of IPv4 96 more than written). */
struct network {
	struct prefix prefix;
	uint8_t bits;
};

/* The peer's address, cut to v4_bits (0..32) or v6_bits (0..128). False: it has no IP address (a unix socket). */
bool prefix_of(const struct sockaddr_storage *peer, uint8_t v4_bits, uint8_t v6_bits, struct prefix *prefix);

/* "192.0.2.0/24", "2001:db8::/32", or an address alone. On a fault *fault names it (static storage). */
enum error network_parse(const char *text, struct network *network, const char **fault);
/* The shortest way to write it, so that equal networks read the same. */
#define NETWORK_TEXT_BYTES_MAX 50u
void network_print(const struct network *network, char text[NETWORK_TEXT_BYTES_MAX]);
bool network_has(const struct network *network, const struct prefix *address);

#endif
