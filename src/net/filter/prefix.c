#include "net/filter/prefix.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void prefix_cut(struct prefix *prefix, uint32_t bits)
{
	CHECK(bits <= PREFIX_BITS);
	for (uint32_t i = 0; i < sizeof(prefix->bytes); i++) {
		uint32_t before = i * 8;
		if (before >= bits)
			prefix->bytes[i] = 0;
		else if (bits - before < 8)
			prefix->bytes[i] &= (uint8_t)(0xff00u >> (bits - before));
	}
}

static void map_v4(struct prefix *prefix, const struct in_addr *address)
{
	memset(prefix->bytes, 0, 10);
	memset(prefix->bytes + 10, 0xff, 2);
	memcpy(prefix->bytes + 12, address, 4);
}

static bool prefix_is_v4(const struct prefix *prefix)
{
	static const uint8_t MAPPED[12] = {[10] = 0xff, [11] = 0xff};
	_Static_assert(sizeof(MAPPED) * 8 == PREFIX_V4_BITS, "the bits ahead of an IPv4 address");
	return memcmp(prefix->bytes, MAPPED, sizeof(MAPPED)) == 0;
}

bool prefix_of(const struct sockaddr_storage *peer, uint8_t v4_bits, uint8_t v6_bits, struct prefix *prefix)
{
	CHECK(v4_bits <= 32 && v6_bits <= PREFIX_BITS);
	if (peer->ss_family == AF_INET)
		map_v4(prefix, &((const struct sockaddr_in *)(const void *)peer)->sin_addr);
	else if (peer->ss_family == AF_INET6)
		memcpy(prefix->bytes, &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr, 16);
	else
		return false;
	prefix_cut(prefix, prefix_is_v4(prefix) ? PREFIX_V4_BITS + v4_bits : v6_bits);
	return true;
}

static bool parse_bits(const char *text, uint32_t most, uint32_t *bits)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || value > most)
		return false;
	*bits = (uint32_t)value;
	return true;
}

enum error network_parse(const char *text, struct network *network, const char **fault)
{
	char address[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	size_t size = slash != NULL ? (size_t)(slash - text) : strlen(text);
	*fault = "";
	if (size >= sizeof(address)) {
		*fault = "the address is too long";
		return ERROR_LIMIT;
	}
	memcpy(address, text, size);
	address[size] = '\0';
	struct in_addr v4;
	bool four = inet_pton(AF_INET, address, &v4) == 1;
	if (four) {
		map_v4(&network->prefix, &v4);
	} else if (inet_pton(AF_INET6, address, network->prefix.bytes) != 1) {
		*fault = "it is not a numeric IPv4 or IPv6 address";
		return ERROR_LIMIT;
	}
	uint32_t most = four ? 32 : 128;
	uint32_t bits = most;
	if (slash != NULL && !parse_bits(slash + 1, most, &bits)) {
		*fault = "the prefix length is not a number of the address's bits";
		return ERROR_LIMIT;
	}
	network->bits = (uint8_t)(four ? PREFIX_V4_BITS + bits : bits);
	prefix_cut(&network->prefix, network->bits);
	return ERROR_OK;
}

void network_print(const struct network *network, char text[NETWORK_TEXT_BYTES_MAX])
{
	char address[INET6_ADDRSTRLEN];
	bool four = prefix_is_v4(&network->prefix) && network->bits >= PREFIX_V4_BITS;
	const uint8_t *bytes = network->prefix.bytes;
	inet_ntop(four ? AF_INET : AF_INET6, four ? bytes + 12 : bytes, address, sizeof(address));
	snprintf(text, NETWORK_TEXT_BYTES_MAX, "%s/%u", address,
		 four ? (unsigned)(network->bits - PREFIX_V4_BITS) : (unsigned)network->bits);
}

bool network_has(const struct network *network, const struct prefix *address)
{
	struct prefix candidate = *address;
	prefix_cut(&candidate, network->bits);
	return memcmp(candidate.bytes, network->prefix.bytes, sizeof(candidate.bytes)) == 0;
}
