#include "redis/redis_slots.h"

#include "base/check.h"

#define CRC16_POLYNOMIAL 0x1021u

_Static_assert(REDIS_NODES_MAX < REDIS_NO_NODE, "each node has a number");
_Static_assert((REDIS_SLOTS & (REDIS_SLOTS - 1)) == 0, "a remainder is a mask");

/* ---- keys ---- */

#define CRC16_BIT(crc) ((uint16_t)(((crc)&0x8000u) != 0 ? ((crc) << 1) ^ CRC16_POLYNOMIAL : (crc) << 1))
#define CRC16_NIBBLE(n) CRC16_BIT(CRC16_BIT(CRC16_BIT(CRC16_BIT((n) << 12))))

uint16_t redis_crc16(struct slice bytes)
{
	/* For four bits at a time: 32 bytes of table, which stay in the cache. */
	static const uint16_t TABLE[16] = {
		CRC16_NIBBLE(0u),  CRC16_NIBBLE(1u),  CRC16_NIBBLE(2u),  CRC16_NIBBLE(3u),
		CRC16_NIBBLE(4u),  CRC16_NIBBLE(5u),  CRC16_NIBBLE(6u),  CRC16_NIBBLE(7u),
		CRC16_NIBBLE(8u),  CRC16_NIBBLE(9u),  CRC16_NIBBLE(10u), CRC16_NIBBLE(11u),
		CRC16_NIBBLE(12u), CRC16_NIBBLE(13u), CRC16_NIBBLE(14u), CRC16_NIBBLE(15u),
	};
	uint16_t crc = 0;
	for (size_t i = 0; i < bytes.size; i++) {
		crc = (uint16_t)(crc << 4 ^ TABLE[(crc >> 12 ^ bytes.data[i] >> 4) & 15]);
		crc = (uint16_t)(crc << 4 ^ TABLE[(crc >> 12 ^ bytes.data[i]) & 15]);
	}
	return crc;
}

/* What stands between the first { and the first } behind it counts, unless that is nothing. */
uint16_t redis_key_slot(struct slice key)
{
	const uint8_t *open = key.size != 0 ? memchr(key.data, '{', key.size) : NULL;
	if (open != NULL) {
		size_t behind = key.size - (size_t)(open + 1 - key.data);
		const uint8_t *close = behind != 0 ? memchr(open + 1, '}', behind) : NULL;
		if (close != NULL && close != open + 1)
			key = slice_of(open + 1, (size_t)(close - open - 1));
	}
	return redis_crc16(key) & (REDIS_SLOTS - 1);
}

/* ---- the map ---- */

void redis_slots_init(struct redis_slots *slots)
{
	slots->node_count = slots->covered = 0;
	for (uint32_t i = 0; i < REDIS_SLOTS; i++)
		slots->node_of[i] = REDIS_NO_NODE;
}

uint16_t redis_slots_node(struct redis_slots *slots, const struct redis_place *place)
{
	for (uint32_t i = 0; i < slots->node_count; i++) {
		if (redis_place_equal(&slots->nodes[i], place))
			return (uint16_t)i;
	}
	if (slots->node_count == REDIS_NODES_MAX)
		return REDIS_NO_NODE;
	slots->nodes[slots->node_count] = *place;
	return (uint16_t)slots->node_count++;
}

bool redis_slots_move(struct redis_slots *slots, uint16_t slot, const struct redis_place *place)
{
	CHECK_LT(slot, REDIS_SLOTS);
	uint16_t node = redis_slots_node(slots, place);
	if (node == REDIS_NO_NODE)
		return false;
	slots->covered += slots->node_of[slot] == REDIS_NO_NODE ? 1 : 0;
	slots->node_of[slot] = node;
	return true;
}

bool redis_slots_has(const struct redis_slots *slots, uint16_t node)
{
	for (uint32_t i = 0; i < REDIS_SLOTS; i++) {
		if (slots->node_of[i] == node)
			return true;
	}
	return false;
}

/* ---- an answer to CLUSTER SLOTS ---- */

/* [host, port, id, ...]. A host that is null or empty is the one that was asked; "?" is one whose name nobody knows
 * yet. *known: whether there is a place. */
static bool read_slots_node(const redisReply *reply, const struct redis_place *asked, struct redis_place *place,
			    bool *known)
{
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2 || reply->element[1]->type != REDIS_REPLY_INTEGER)
		return false;
	const redisReply *host = reply->element[0];
	long long port = reply->element[1]->integer;
	bool is_asked = host->type == REDIS_REPLY_NIL || (host->type == REDIS_REPLY_STRING && host->len == 0);
	if ((!is_asked && host->type != REDIS_REPLY_STRING) || port < 0 || port > UINT16_MAX)
		return false;
	const char *text = is_asked ? asked->host : host->str;
	size_t size = is_asked ? strlen(text) : (size_t)host->len;
	*known = port != 0 && strcmp(text, "?") != 0;
	if (size >= sizeof(place->host) || memchr(text, '\0', size) != NULL)
		return false;
	memset(place, 0, sizeof(*place));
	memcpy(place->host, text, size);
	place->port = (uint16_t)port;
	return true;
}

/* [first, last, master, replica...]. */
static bool read_slots_range(struct redis_slots *slots, const redisReply *reply, const struct redis_place *asked)
{
	struct redis_place place;
	bool known;
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 3 || reply->element[0]->type != REDIS_REPLY_INTEGER ||
	    reply->element[1]->type != REDIS_REPLY_INTEGER)
		return false;
	long long first = reply->element[0]->integer;
	long long last = reply->element[1]->integer;
	if (first < 0 || last < first || last >= (long long)REDIS_SLOTS)
		return false;
	for (size_t i = 2; i < reply->elements; i++) {
		if (!read_slots_node(reply->element[i], asked, &place, &known))
			return false;
		if (!known)
			continue;
		if (i != 2)
			redis_slots_node(slots, &place);
		for (long long slot = first; i == 2 && slot <= last; slot++)
			redis_slots_move(slots, (uint16_t)slot, &place);
	}
	return true;
}

bool redis_slots_read(struct redis_slots *slots, const redisReply *reply, const struct redis_place *asked,
		      const char **why)
{
	redis_slots_init(slots);
	*why = "CLUSTER SLOTS answered with something that is no list of slots";
	if (reply->type != REDIS_REPLY_ARRAY)
		return false;
	for (size_t i = 0; i < reply->elements; i++) {
		if (!read_slots_range(slots, reply->element[i], asked)) {
			redis_slots_init(slots);
			return false;
		}
	}
	*why = "it knows of no slot that has a master";
	return slots->covered != 0;
}
