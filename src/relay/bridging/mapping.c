#include "relay/bridging/mapping.h"

#include "base/check.h"
#include "mqtt/field/property.h"
#include "mqtt/field/topic.h"

#include <stdio.h>

/* A User Property of this name, and a number of one digit. */
#define HOPS_BYTES (1 + 2 + sizeof(BRIDGE_HOPS_PROPERTY) - 1 + 2 + 1)
_Static_assert(BRIDGE_HOPS_MAX <= 9, "the number has one digit");

/* What is kept of the room when it is used again. */
#define KEEP_BYTES 65536u

void mapping_free(struct mapping *mapping)
{
	bytes_free(&mapping->topic);
	bytes_free(&mapping->properties);
}

const struct bridge_way *mapping_way(const struct bridge_ways *ways, struct slice topic, uint32_t identifier)
{
	const struct topics *filters = &ways->filters;
	CHECK_LE(filters->count, TOPICS_MAX);
	for (uint32_t i = 0; i < filters->count && identifier != 0; i++) {
		if (topics_identifier(filters->filters[i]) == identifier)
			return &ways->ways[i];
	}
	for (uint32_t i = 0; i < filters->count; i++) {
		if (mqtt_filter_matches(slice_string(filters->filters[i]), topic))
			return &ways->ways[i];
	}
	return NULL;
}

static enum mapping_result map_topic(struct mapping *mapping, const struct bridge_way *way, struct slice *topic)
{
	struct slice strip = slice_string(way->strip), add = slice_string(way->add);
	if (strip.size == 0 && add.size == 0)
		return MAPPING_DONE;
	/* The filter had the prefix in front, and the rest of the topic may be nothing: "a/" by "a/#". */
	if (topic->size < strip.size || (strip.size != 0 && memcmp(topic->data, strip.data, strip.size) != 0))
		return MAPPING_NO_WAY;
	struct slice rest = slice_of(topic->data + strip.size, topic->size - strip.size);
	if (rest.size + add.size == 0)
		return MAPPING_NO_WAY;
	if (rest.size + add.size > UINT16_MAX)
		return MAPPING_TOO_LONG;
	bytes_clear(&mapping->topic, KEEP_BYTES);
	bytes_append(&mapping->topic, add.data, add.size);
	bytes_append(&mapping->topic, rest.data, rest.size);
	if (mapping->topic.failed)
		return MAPPING_NO_MEMORY;
	*topic = bytes_slice(&mapping->topic);
	return mqtt_topic_check(*topic) == ERROR_OK ? MAPPING_DONE : MAPPING_TOO_LONG;
}

/* The number as it stands there; anything else than one digit is too many. */
static uint32_t hops_of(struct slice value)
{
	bool is_digit = value.size == 1 && value.data[0] >= '0' && value.data[0] <= '9';
	return is_digit ? (uint32_t)(value.data[0] - '0') : BRIDGE_HOPS_MAX;
}

static void append_hops(struct bytes *properties, uint32_t hops)
{
	static const uint8_t NAME_SIZE = sizeof(BRIDGE_HOPS_PROPERTY) - 1;
	const uint8_t head[] = {MQTT_PROPERTY_USER_PROPERTY, 0, NAME_SIZE};
	const uint8_t value[] = {0, 1, (uint8_t)('0' + hops)};
	bytes_append(properties, head, sizeof(head));
	bytes_append(properties, BRIDGE_HOPS_PROPERTY, NAME_SIZE);
	bytes_append(properties, value, sizeof(value));
}

/* A subscription identifier and an alias are one connection's own, and the count of bridges becomes another. */
static enum mapping_result map_properties(struct mapping *mapping, struct slice *properties)
{
	struct mqtt_property property;
	struct slice rest = *properties;
	uint32_t hops = 0;
	bytes_clear(&mapping->properties, KEEP_BYTES);
	while (rest.size != 0) {
		const uint8_t *from = rest.data;
		if (mqtt_property_next(&rest, &property) != ERROR_OK)
			break; /* the decoder has checked them */
		if (property.id == MQTT_PROPERTY_SUBSCRIPTION_ID || property.id == MQTT_PROPERTY_TOPIC_ALIAS)
			continue;
		if (property.id == MQTT_PROPERTY_USER_PROPERTY &&
		    slice_equal(property.data, slice_string(BRIDGE_HOPS_PROPERTY))) {
			uint32_t more = hops_of(property.value);
			hops = more > hops ? more : hops;
			continue;
		}
		bytes_append(&mapping->properties, from, (size_t)(rest.data - from));
	}
	if (hops >= BRIDGE_HOPS_MAX)
		return MAPPING_LOOPED;
	append_hops(&mapping->properties, hops + 1);
	if (mapping->properties.failed)
		return MAPPING_NO_MEMORY;
	CHECK_LE(mapping->properties.size, properties->size + HOPS_BYTES);
	*properties = bytes_slice(&mapping->properties);
	return MAPPING_DONE;
}

enum mapping_result mapping_apply(struct mapping *mapping, const struct bridge_way *way, struct mqtt_publish *publish)
{
	if (way == NULL)
		return MAPPING_NO_WAY;
	enum mapping_result result = map_topic(mapping, way, &publish->topic);
	return result == MAPPING_DONE ? map_properties(mapping, &publish->properties) : result;
}
