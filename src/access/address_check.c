#include "access/address_check.h"

#include "base/check.h"

static bool networks_have(const struct networks *networks, const struct prefix *address)
{
	CHECK_LE(networks->count, SETTINGS_NETWORKS_MAX);
	for (uint32_t i = 0; i < networks->count; i++) {
		if (network_has(&networks->items[i], address))
			return true;
	}
	return false;
}

enum error address_check(const struct settings *settings, struct addresses *addresses,
			 const struct sockaddr_storage *peer, uint64_t now_ms, struct network *counted, uint32_t *place)
{
	CHECK_LE(settings->address_bits_v4, 32);
	CHECK_LE(settings->address_bits_v6, 128);
	uint8_t bits_v4 = (uint8_t)settings->address_bits_v4;
	uint8_t bits_v6 = (uint8_t)settings->address_bits_v6;
	struct prefix address;
	*place = 0;
	counted->bits = 0;
	if (!prefix_of(peer, 32, 128, &address))
		return ERROR_OK;
	if (networks_have(&settings->address_denied, &address))
		return ERROR_ADDRESS_DENIED;
	if (!address_limits_any(&settings->address) || networks_have(&settings->address_exempt, &address))
		return ERROR_OK;
	prefix_of(peer, bits_v4, bits_v6, &counted->prefix);
	counted->bits = peer->ss_family == AF_INET ? (uint8_t)(96 + bits_v4) : bits_v6;
	return addresses_enter(addresses, &settings->address, &counted->prefix, now_ms, place);
}
