#include "cluster/common/retained_format.h"

#include "mqtt/field/protocol.h"

#include <endian.h>

uint8_t *retained_u32_write(uint8_t *to, uint32_t value)
{
	value = htole32(value);
	memcpy(to, &value, sizeof(value));
	return to + sizeof(value);
}

uint8_t *retained_u64_write(uint8_t *to, uint64_t value)
{
	value = htole64(value);
	memcpy(to, &value, sizeof(value));
	return to + sizeof(value);
}

static uint32_t retained_u32_read(const uint8_t *at)
{
	uint32_t value;
	memcpy(&value, at, sizeof(value));
	return le32toh(value);
}

static uint64_t retained_u64_read(const uint8_t *at)
{
	uint64_t value;
	memcpy(&value, at, sizeof(value));
	return le64toh(value);
}

bool retained_round_read(struct slice body, uint32_t *round)
{
	if (body.size != RETAINED_ROUND_BYTES)
		return false;
	*round = retained_u32_read(body.data);
	return true;
}

/* ---- digests ---- */

void retained_digest_write(const struct retained_digest_message *digest, uint8_t *to)
{
	to = retained_u32_write(to, digest->round);
	*to++ = digest->lacks ? RETAINED_DIGEST_LACKS : 0;
	to = retained_u64_write(to, digest->time);
	to = retained_u64_write(to, digest->forgotten);
	for (uint32_t i = 0; i < RETAINED_PARTS; i++)
		to = retained_u64_write(to, digest->digest[i]);
	for (uint32_t i = 0; i < RETAINED_PARTS; i++)
		to = retained_u32_write(to, digest->count[i]);
}

bool retained_digest_read(struct slice body, struct retained_digest_message *digest)
{
	if (body.size != RETAINED_DIGEST_BYTES)
		return false;
	const uint8_t *at = body.data;
	digest->round = retained_u32_read(at);
	digest->lacks = (at[4] & RETAINED_DIGEST_LACKS) != 0; /* other bits: what later versions say */
	digest->time = retained_u64_read(at + 5);
	digest->forgotten = retained_u64_read(at + 13);
	at += 21;
	for (uint32_t i = 0; i < RETAINED_PARTS; i++, at += 8)
		digest->digest[i] = retained_u64_read(at);
	for (uint32_t i = 0; i < RETAINED_PARTS; i++, at += 4)
		digest->count[i] = retained_u32_read(at);
	return digest->time <= STAMP_TIME_MAX && digest->forgotten <= STAMP_TIME_MAX;
}

/* ---- lists ---- */

void retained_ask_list_write(uint32_t round, uint32_t place, const uint64_t parts[RETAINED_PARTS / 64], uint8_t *to)
{
	to = retained_u32_write(to, round);
	to = retained_u32_write(to, place);
	for (uint32_t i = 0; i < RETAINED_PARTS / 64; i++)
		to = retained_u64_write(to, parts[i]);
}

bool retained_ask_list_read(struct slice body, uint32_t *round, uint32_t *place, uint64_t parts[RETAINED_PARTS / 64])
{
	if (body.size != RETAINED_ASK_LIST_BYTES)
		return false;
	*round = retained_u32_read(body.data);
	*place = retained_u32_read(body.data + 4);
	for (uint32_t i = 0; i < RETAINED_PARTS / 64; i++)
		parts[i] = retained_u64_read(body.data + 8 + 8 * i);
	return true;
}

uint8_t *retained_item_write(uint8_t *to, const struct retained_item_message *item)
{
	to = retained_u64_write(to, item->topic);
	stamp_put(item->stamp, to);
	to += STAMP_BYTES;
	*to++ = item->is_cleared ? 1 : 0;
	return to;
}

bool retained_list_read(struct slice body, uint32_t *round, uint32_t *next, uint32_t *count)
{
	if (body.size < RETAINED_LIST_HEAD_BYTES || (body.size - RETAINED_LIST_HEAD_BYTES) % RETAINED_ITEM_BYTES != 0)
		return false;
	*round = retained_u32_read(body.data);
	*next = retained_u32_read(body.data + 4);
	size_t items = (body.size - RETAINED_LIST_HEAD_BYTES) / RETAINED_ITEM_BYTES;
	*count = (uint32_t)items;
	return items <= RETAINED_ITEMS_MAX;
}

bool retained_item_read(struct slice body, uint32_t at, struct retained_item_message *item)
{
	const uint8_t *from = body.data + RETAINED_LIST_HEAD_BYTES + (size_t)at * RETAINED_ITEM_BYTES;
	item->topic = retained_u64_read(from);
	item->is_cleared = from[8 + STAMP_BYTES] == 1;
	return stamp_get(from + 8, &item->stamp) && !stamp_is_none(item->stamp) && from[8 + STAMP_BYTES] <= 1;
}

/* ---- values ---- */

bool retained_ask_values_read(struct slice body, uint32_t *round, uint32_t *count)
{
	if (body.size < RETAINED_ROUND_BYTES || (body.size - RETAINED_ROUND_BYTES) % 8 != 0)
		return false;
	*round = retained_u32_read(body.data);
	size_t topics = (body.size - RETAINED_ROUND_BYTES) / 8;
	*count = (uint32_t)topics;
	return topics != 0 && topics <= RETAINED_TOPICS_MAX;
}

uint64_t retained_asked_topic(struct slice body, uint32_t at)
{
	return retained_u64_read(body.data + RETAINED_ROUND_BYTES + (size_t)at * 8);
}

uint8_t *retained_value_head_write(uint8_t *to, const struct retained_value_message *value)
{
	stamp_put(value->stamp, to);
	to = retained_u32_write(to + STAMP_BYTES, value->expires_in_s);
	*to++ = value->version;
	return retained_u32_write(to, (uint32_t)value->packet.size);
}

bool retained_values_read(struct slice body, uint32_t *round, uint32_t *served, struct slice *rest)
{
	if (body.size < RETAINED_VALUES_HEAD_BYTES)
		return false;
	*round = retained_u32_read(body.data);
	*served = retained_u32_read(body.data + 4);
	*rest = slice_of(body.data + RETAINED_VALUES_HEAD_BYTES, body.size - RETAINED_VALUES_HEAD_BYTES);
	return *served != 0 && *served <= RETAINED_TOPICS_MAX;
}

bool retained_value_read(struct slice *rest, struct retained_value_message *value)
{
	if (rest->size < RETAINED_VALUE_HEAD_BYTES)
		return false;
	const uint8_t *at = rest->data;
	value->expires_in_s = retained_u32_read(at + STAMP_BYTES);
	value->version = at[STAMP_BYTES + 4];
	uint32_t bytes = retained_u32_read(at + STAMP_BYTES + 5);
	if (!stamp_get(at, &value->stamp) || stamp_is_none(value->stamp) ||
	    (value->version != MQTT_VERSION_3_1_1 && value->version != MQTT_VERSION_5) ||
	    bytes > rest->size - RETAINED_VALUE_HEAD_BYTES)
		return false;
	value->packet = slice_of(at + RETAINED_VALUE_HEAD_BYTES, bytes);
	*rest = slice_of(at + RETAINED_VALUE_HEAD_BYTES + bytes, rest->size - RETAINED_VALUE_HEAD_BYTES - bytes);
	return true;
}
