#include "access/address_check.h"

static bool is_in(const struct networks *networks, const struct prefix *address)
{
	for (uint32_t i = 0; i < networks->count; i++) {
		if (network_has(&networks->items[i], address))
			return true;
	}
	return false;
}

enum error address_check(const struct settings *settings, struct addresses *addresses,
			 const struct sockaddr_storage *peer, uint64_t now_ms, struct network *counted, uint32_t *place)
{
	uint8_t bits_v4 = (uint8_t)settings->address_bits_v4;
	uint8_t bits_v6 = (uint8_t)settings->address_bits_v6;
	struct prefix address;
	*place = 0;
	counted->bits = 0;
	if (!prefix_of(peer, 32, 128, &address))
		return ERROR_OK;
	if (is_in(&settings->address_denied, &address))
		return ERROR_ADDRESS_DENIED;
	if (!address_limits_any(&settings->address) || is_in(&settings->address_exempt, &address))
		return ERROR_OK;
	prefix_of(peer, bits_v4, bits_v6, &counted->prefix);
	counted->bits = peer->ss_family == AF_INET ? (uint8_t)(96 + bits_v4) : bits_v6;
	return addresses_enter(addresses, &settings->address, &counted->prefix, now_ms, place);
}
