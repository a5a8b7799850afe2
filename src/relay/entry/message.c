#include "relay/entry/message.h"

#include "base/check.h"
#include "mqtt/field/property.h"

/* Where a property of the origin goes; NULL: it is none. */
static struct slice *origin_member(struct relay_message *message, struct slice name)
{
	if (slice_equal(name, slice_string("roost-client")))
		return &message->client;
	if (slice_equal(name, slice_string("roost-user")))
		return &message->user;
	if (slice_equal(name, slice_string("roost-address")))
		return &message->address;
	if (slice_equal(name, slice_string("roost-time")))
		return &message->time;
	return NULL;
}

/* The gateway writes each of them once, in this order. What a publisher gives such a name comes behind them, and is its
 * own: the first of each counts. A publisher's stands first only where the gateway knows none of them. */
static void take_origin(struct relay_message *message)
{
	struct mqtt_property property;
	struct slice rest = message->properties;
	const struct slice *last = NULL;
	while (rest.size != 0) {
		struct slice before = rest;
		if (mqtt_property_next(&rest, &property) != ERROR_OK)
			break; /* the decoder has checked them */
		struct slice *member = NULL;
		if (property.id == MQTT_PROPERTY_SUBSCRIPTION_ID)
			continue; /* it is each delivery's own, in front of what the message has */
		if (property.id == MQTT_PROPERTY_USER_PROPERTY)
			member = origin_member(message, property.data);
		if (member == NULL || (last != NULL && member <= last)) {
			rest = before;
			break;
		}
		CHECK(member->data == NULL);
		*member = property.value;
		last = member;
	}
	message->properties = rest;
}

static void take_subscription(struct relay_message *message, struct slice properties)
{
	struct mqtt_property property;
	size_t at = mqtt_property_find(properties, 0, MQTT_PROPERTY_SUBSCRIPTION_ID);
	struct slice rest = slice_of(properties.data + at, properties.size - at);
	if (at != properties.size && mqtt_property_next(&rest, &property) == ERROR_OK)
		message->subscription = property.number;
}

void relay_message_read(const struct mqtt_publish *publish, struct relay_message *message)
{
	_Static_assert(offsetof(struct relay_message, client) < offsetof(struct relay_message, user) &&
			       offsetof(struct relay_message, user) < offsetof(struct relay_message, address) &&
			       offsetof(struct relay_message, address) < offsetof(struct relay_message, time),
		       "they stand in the order of the wire");
	*message = (struct relay_message){
		.topic = publish->topic,
		.payload = publish->payload,
		.properties = publish->properties,
		.qos = publish->qos,
		.retain = publish->retain,
	};
	if (publish->properties.size == 0)
		return;
	take_subscription(message, publish->properties);
	take_origin(message);
}

uint64_t relay_message_time_ms(const struct relay_message *message)
{
	uint64_t time_ms = 0;
	for (size_t i = 0; i < message->time.size && i < 19; i++) {
		uint8_t letter = message->time.data[i];
		if (letter < '0' || letter > '9')
			return 0;
		time_ms = time_ms * 10 + (letter - '0');
	}
	return time_ms;
}
