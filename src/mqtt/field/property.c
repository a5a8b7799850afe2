#include "mqtt/field/property.h"

#include "mqtt/field/protocol.h"
#include "mqtt/field/reader.h"
#include "mqtt/field/topic.h"

/* The types of table 2-4. Every property of type Byte is 0 or 1, hence FLAG. */
enum property_type { NONE, FLAG, TWO_BYTES, FOUR_BYTES, VARIABLE, BINARY, STRING, STRING_PAIR };

#define IN(packet) (1u << MQTT_##packet)
#define IN_WILL (1u << MQTT_PROPERTIES_OF_WILL)
#define IN_MESSAGE (IN(PUBLISH) | IN_WILL)
#define IN_ACKS (IN(PUBACK) | IN(PUBREC) | IN(PUBREL) | IN(PUBCOMP) | IN(SUBACK) | IN(UNSUBACK))
#define IN_AUTH (IN(CONNECT) | IN(CONNACK) | IN(AUTH))

/* Table 2-4 of [2.2.2.2]. */
static const struct property_rule {
	enum property_type type;
	uint32_t packets;
	uint32_t repeatable; /* the packets in which it may stand more than once */
	bool nonzero;
} RULES[] = {
	[MQTT_PROPERTY_PAYLOAD_FORMAT] = {FLAG, IN_MESSAGE, 0, false},
	[MQTT_PROPERTY_MESSAGE_EXPIRY] = {FOUR_BYTES, IN_MESSAGE, 0, false},
	[MQTT_PROPERTY_CONTENT_TYPE] = {STRING, IN_MESSAGE, 0, false},
	[MQTT_PROPERTY_RESPONSE_TOPIC] = {STRING, IN_MESSAGE, 0, false},
	[MQTT_PROPERTY_CORRELATION_DATA] = {BINARY, IN_MESSAGE, 0, false},
	[MQTT_PROPERTY_SUBSCRIPTION_ID] = {VARIABLE, IN(PUBLISH) | IN(SUBSCRIBE), IN(PUBLISH), true},
	[MQTT_PROPERTY_SESSION_EXPIRY] = {FOUR_BYTES, IN(CONNECT) | IN(CONNACK) | IN(DISCONNECT), 0, false},
	[MQTT_PROPERTY_ASSIGNED_CLIENT_ID] = {STRING, IN(CONNACK), 0, false},
	[MQTT_PROPERTY_SERVER_KEEPALIVE] = {TWO_BYTES, IN(CONNACK), 0, false},
	[MQTT_PROPERTY_AUTH_METHOD] = {STRING, IN_AUTH, 0, false},
	[MQTT_PROPERTY_AUTH_DATA] = {BINARY, IN_AUTH, 0, false},
	[MQTT_PROPERTY_REQUEST_PROBLEM_INFO] = {FLAG, IN(CONNECT), 0, false},
	[MQTT_PROPERTY_WILL_DELAY] = {FOUR_BYTES, IN_WILL, 0, false},
	[MQTT_PROPERTY_REQUEST_RESPONSE_INFO] = {FLAG, IN(CONNECT), 0, false},
	[MQTT_PROPERTY_RESPONSE_INFO] = {STRING, IN(CONNACK), 0, false},
	[MQTT_PROPERTY_SERVER_REFERENCE] = {STRING, IN(CONNACK) | IN(DISCONNECT), 0, false},
	[MQTT_PROPERTY_REASON_STRING] = {STRING, IN(CONNACK) | IN_ACKS | IN(DISCONNECT) | IN(AUTH), 0, false},
	[MQTT_PROPERTY_RECEIVE_MAX] = {TWO_BYTES, IN(CONNECT) | IN(CONNACK), 0, true},
	[MQTT_PROPERTY_TOPIC_ALIAS_MAX] = {TWO_BYTES, IN(CONNECT) | IN(CONNACK), 0, false},
	[MQTT_PROPERTY_TOPIC_ALIAS] = {TWO_BYTES, IN(PUBLISH), 0, true},
	[MQTT_PROPERTY_QOS_MAX] = {FLAG, IN(CONNACK), 0, false},
	[MQTT_PROPERTY_RETAIN_AVAILABLE] = {FLAG, IN(CONNACK), 0, false},
	[MQTT_PROPERTY_USER_PROPERTY] = {STRING_PAIR, UINT32_MAX, UINT32_MAX, false},
	[MQTT_PROPERTY_PACKET_BYTES_MAX] = {FOUR_BYTES, IN(CONNECT) | IN(CONNACK), 0, true},
	[MQTT_PROPERTY_WILDCARD_AVAILABLE] = {FLAG, IN(CONNACK), 0, false},
	[MQTT_PROPERTY_SUBSCRIPTION_ID_AVAILABLE] = {FLAG, IN(CONNACK), 0, false},
	[MQTT_PROPERTY_SHARED_AVAILABLE] = {FLAG, IN(CONNACK), 0, false},
};

/* The bits of mqtt_property_walk.seen. */
_Static_assert(sizeof(RULES) / sizeof(RULES[0]) <= 64, "property identifiers index a 64-bit set");

/* The identifier is a Variable Byte Integer [2.2.2.2], but every one that the standard knows has one byte. */
static const struct property_rule *property_rule_of(uint8_t id)
{
	return id < sizeof(RULES) / sizeof(RULES[0]) && RULES[id].type != NONE ? &RULES[id] : NULL;
}

static void property_value_read(struct reader *reader, enum property_type type, struct mqtt_property *out)
{
	switch (type) {
	case NONE:
		break;
	case FLAG:
		out->number = reader_u8(reader);
		break;
	case TWO_BYTES:
		out->number = reader_u16(reader);
		break;
	case FOUR_BYTES:
		out->number = reader_u32(reader);
		break;
	case VARIABLE:
		out->number = reader_varint(reader);
		break;
	case BINARY:
		out->data = reader_binary(reader);
		break;
	case STRING:
		out->data = reader_string(reader);
		break;
	case STRING_PAIR:
		out->data = reader_string(reader);
		out->value = reader_string(reader);
		break;
	}
}

static enum error property_value_check(const struct property_rule *rule, const struct mqtt_property *property)
{
	if (property->id == MQTT_PROPERTY_RESPONSE_TOPIC && mqtt_topic_check(property->data) != ERROR_OK)
		return ERROR_RESPONSE_TOPIC;
	if (rule->nonzero && property->number == 0)
		return property->id == MQTT_PROPERTY_TOPIC_ALIAS ? ERROR_TOPIC_ALIAS : ERROR_PROPERTY_VALUE;
	return rule->type == FLAG && property->number > 1 ? ERROR_PROPERTY_VALUE : ERROR_OK;
}

enum error mqtt_property_next(struct slice *rest, struct mqtt_property *out)
{
	if (rest->size == 0)
		return ERROR_MORE;
	struct reader reader = reader_of(*rest);
	*out = (struct mqtt_property){.id = reader_u8(&reader)};
	const struct property_rule *rule = property_rule_of(out->id);
	if (rule == NULL)
		return ERROR_PROPERTY_UNKNOWN;
	property_value_read(&reader, rule->type, out);
	if (reader.error == ERROR_PACKET_SHORT)
		return ERROR_PROPERTY_LENGTH;
	if (reader.error != ERROR_OK)
		return reader.error;
	*rest = reader.rest;
	return property_value_check(rule, out);
}

struct mqtt_property_walk mqtt_property_walk_of(struct slice properties, uint8_t packet)
{
	return (struct mqtt_property_walk){.rest = properties, .packet = packet};
}

enum error mqtt_property_walk_next(struct mqtt_property_walk *walk, struct mqtt_property *out)
{
	enum error error = mqtt_property_next(&walk->rest, out);
	if (error != ERROR_OK)
		return error;
	const struct property_rule *rule = property_rule_of(out->id);
	if ((rule->packets & 1u << walk->packet) == 0)
		return ERROR_PROPERTY_MISPLACED;
	uint64_t bit = UINT64_C(1) << out->id;
	if ((walk->seen & bit) != 0 && (rule->repeatable & 1u << walk->packet) == 0)
		return ERROR_PROPERTY_DUPLICATE;
	walk->seen |= bit;
	return ERROR_OK;
}

bool mqtt_payload_is_well_formed(struct slice properties, struct slice payload)
{
	struct mqtt_property property;
	while (properties.size != 0 && mqtt_property_next(&properties, &property) == ERROR_OK) {
		if (property.id == MQTT_PROPERTY_PAYLOAD_FORMAT)
			return property.number == 0 || mqtt_string_check(payload) != ERROR_STRING_UTF8;
	}
	return true;
}

enum error mqtt_properties_check(struct slice properties, uint8_t packet)
{
	struct mqtt_property_walk walk = mqtt_property_walk_of(properties, packet);
	struct mqtt_property property;
	enum error error;
	do
		error = mqtt_property_walk_next(&walk, &property);
	while (error == ERROR_OK);
	return error == ERROR_MORE ? ERROR_OK : error;
}
