#include "base/check.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "mqtt/field/property_read.h"
#include "mqtt/field/property_write.h"
#include "mqtt/field/reader.h"
#include "mqtt/field/writer.h"

/* Subscription Options [3.8.3.1]. */
#define OPTION_QOS 0x03u
#define OPTION_NO_LOCAL 0x04u
#define OPTION_RETAIN_AS_PUBLISHED 0x08u
#define OPTION_RETAIN_HANDLING_SHIFT 4
#define OPTIONS_RESERVED 0xC0u
#define OPTIONS_RESERVED_3_1_1 0xFCu /* it has QoS only */

_Static_assert((OPTION_QOS | OPTION_NO_LOCAL | OPTION_RETAIN_AS_PUBLISHED | 3u << OPTION_RETAIN_HANDLING_SHIFT |
		OPTIONS_RESERVED) == 0xFF,
	       "every bit of the byte has one meaning");

/* SUBSCRIBE's and UNSUBSCRIBE's fixed flags [MQTT-3.8.1-1, MQTT-3.10.1-1]. */
#define FLAGS 0x02

static bool subscribe_filter_is_shared(struct slice filter)
{
	struct slice group, rest;
	enum error fault;
	return mqtt_filter_share(filter, &group, &rest, &fault);
}

static enum error subscribe_options_check(uint8_t options, uint8_t version, struct slice filter)
{
	if (options & (version == MQTT_VERSION_5 ? OPTIONS_RESERVED : OPTIONS_RESERVED_3_1_1))
		return ERROR_SUBSCRIBE_OPTIONS;
	if ((options & OPTION_QOS) == 3)
		return ERROR_SUBSCRIBE_QOS;
	if (options >> OPTION_RETAIN_HANDLING_SHIFT == 3)
		return ERROR_SUBSCRIBE_RETAIN_HANDLING;
	if ((options & OPTION_NO_LOCAL) && subscribe_filter_is_shared(filter))
		return ERROR_SUBSCRIBE_NO_LOCAL;
	return ERROR_OK;
}

static struct mqtt_subscription subscribe_entry_of(struct slice filter, uint8_t options)
{
	return (struct mqtt_subscription){
		.filter = filter,
		.qos = options & OPTION_QOS,
		.no_local = options & OPTION_NO_LOCAL,
		.retain_as_published = options & OPTION_RETAIN_AS_PUBLISHED,
		.retain_handling = options >> OPTION_RETAIN_HANDLING_SHIFT & 3,
	};
}

static uint8_t subscribe_options_of(const struct mqtt_subscription *subscription, uint8_t version)
{
	CHECK(subscription->qos <= 2 && subscription->retain_handling <= 2);
	unsigned options = subscription->qos;
	if (version < MQTT_VERSION_5)
		return (uint8_t)options;
	if (subscription->no_local)
		options |= OPTION_NO_LOCAL;
	if (subscription->retain_as_published)
		options |= OPTION_RETAIN_AS_PUBLISHED;
	return (uint8_t)(options | (subscription->retain_handling & 3u) << OPTION_RETAIN_HANDLING_SHIFT);
}

/* [3.8.2.1] */
static void subscribe_properties_decode(struct reader *reader, struct mqtt_subscribe *out)
{
	out->properties = reader_properties(reader);
	struct mqtt_property_walk walk = mqtt_property_walk_of(out->properties, MQTT_SUBSCRIBE);
	struct mqtt_property property;
	while (reader_property(reader, &walk, &property))
		if (property.id == MQTT_PROPERTY_SUBSCRIPTION_ID)
			out->identifier = property.number;
}

enum error mqtt_subscribe_decode_head(struct slice body, uint8_t version, struct mqtt_subscribe *out)
{
	*out = (struct mqtt_subscribe){0};
	struct reader reader = reader_of(body);
	out->packet_id = reader_packet_id(&reader);
	if (version == MQTT_VERSION_5)
		subscribe_properties_decode(&reader, out);
	if (reader.error == ERROR_OK && reader.rest.size == 0)
		reader_fail(&reader, ERROR_SUBSCRIBE_EMPTY);
	out->filters = reader.rest;
	return reader.error;
}

/* The payload: pairs of filter and options, at least one [3.8.3]. */
enum error mqtt_subscribe_check(struct slice *unchecked, uint8_t version, uint32_t most, uint32_t *count)
{
	struct reader reader = reader_of(*unchecked);
	for (uint32_t i = 0; i < most && reader.rest.size > 0; i++) {
		struct slice filter = reader_string(&reader);
		uint8_t options = reader_u8(&reader);
		enum error error = subscribe_options_check(options, version, filter);
		if (error != ERROR_OK)
			reader_fail(&reader, error);
		(*count)++;
	}
	*unchecked = reader.rest;
	return reader.error;
}

enum error mqtt_subscribe_decode(struct slice body, uint8_t version, struct mqtt_subscribe *out)
{
	enum error error = mqtt_subscribe_decode_head(body, version, out);
	struct slice unchecked = out->filters;
	return error != ERROR_OK ? error : mqtt_subscribe_check(&unchecked, version, UINT32_MAX, &out->filter_count);
}

bool mqtt_subscribe_next(struct slice *filters, uint8_t version, struct mqtt_subscription *out)
{
	if (filters->size == 0)
		return false;
	struct reader reader = reader_of(*filters);
	struct slice filter = reader_binary(&reader);
	uint8_t options = reader_u8(&reader);
	CHECK(reader.error == ERROR_OK);
	CHECK(version == MQTT_VERSION_5 || (options & OPTIONS_RESERVED_3_1_1) == 0);
	*out = subscribe_entry_of(filter, options);
	*filters = reader.rest;
	return true;
}

enum error mqtt_unsubscribe_decode_head(struct slice body, uint8_t version, struct mqtt_unsubscribe *out)
{
	*out = (struct mqtt_unsubscribe){0};
	struct reader reader = reader_of(body);
	out->packet_id = reader_packet_id(&reader);
	if (version == MQTT_VERSION_5)
		out->properties = reader_properties_checked(&reader, MQTT_UNSUBSCRIBE);
	if (reader.error == ERROR_OK && reader.rest.size == 0)
		reader_fail(&reader, ERROR_UNSUBSCRIBE_EMPTY);
	out->filters = reader.rest;
	return reader.error;
}

enum error mqtt_unsubscribe_check(struct slice *unchecked, uint32_t most, uint32_t *count)
{
	struct reader reader = reader_of(*unchecked);
	for (uint32_t i = 0; i < most && reader.rest.size > 0; i++, (*count)++)
		reader_string(&reader);
	*unchecked = reader.rest;
	return reader.error;
}

enum error mqtt_unsubscribe_decode(struct slice body, uint8_t version, struct mqtt_unsubscribe *out)
{
	enum error error = mqtt_unsubscribe_decode_head(body, version, out);
	struct slice unchecked = out->filters;
	return error != ERROR_OK ? error : mqtt_unsubscribe_check(&unchecked, UINT32_MAX, &out->filter_count);
}

bool mqtt_unsubscribe_next(struct slice *filters, struct slice *filter)
{
	if (filters->size == 0)
		return false;
	struct reader reader = reader_of(*filters);
	*filter = reader_binary(&reader);
	CHECK(reader.error == ERROR_OK);
	*filters = reader.rest;
	return true;
}

size_t mqtt_subscribe_encode(uint16_t packet_id, uint32_t identifier, const struct mqtt_subscription *subscriptions,
			     size_t count, uint8_t version, uint8_t *out, size_t out_size)
{
	struct writer writer = writer_of(out, out_size);
	size_t start = writer_packet_open(&writer, MQTT_SUBSCRIBE, FLAGS);
	writer_u16(&writer, packet_id);
	if (version == MQTT_VERSION_5) {
		size_t properties = writer_length_open(&writer);
		if (identifier != 0)
			property_write_varint(&writer, MQTT_PROPERTY_SUBSCRIPTION_ID, identifier);
		writer_length_close(&writer, properties);
	}
	for (size_t i = 0; i < count; i++) {
		writer_binary(&writer, subscriptions[i].filter);
		writer_u8(&writer, subscribe_options_of(&subscriptions[i], version));
	}
	return count == 0 ? 0 : writer_finish(&writer, start);
}

size_t mqtt_unsubscribe_encode(uint16_t packet_id, const struct slice *filters, size_t count, uint8_t version,
			       uint8_t *out, size_t out_size)
{
	struct writer writer = writer_of(out, out_size);
	size_t start = writer_packet_open(&writer, MQTT_UNSUBSCRIBE, FLAGS);
	writer_u16(&writer, packet_id);
	if (version == MQTT_VERSION_5)
		writer_varint(&writer, 0);
	for (size_t i = 0; i < count; i++)
		writer_binary(&writer, filters[i]);
	return count == 0 ? 0 : writer_finish(&writer, start);
}
