#include "mqtt/field/property.h"

#include "base/check.h"
#include "mqtt/field/lanes.h"
#include "mqtt/field/protocol.h"
#include "mqtt/field/reader.h"
#include "mqtt/field/topic.h"

/* The types of table 2-4. Every property of type Byte is 0 or 1, hence FLAG. */
enum property_type { NONE, FLAG, TWO_BYTES, FOUR_BYTES, VARIABLE, BINARY, STRING, STRING_PAIR };

/* Identifier and two lengths. */
#define USER_PROPERTY_BYTES_MIN 5

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

_Static_assert(sizeof(RULES) / sizeof(RULES[0]) == MQTT_PROPERTY_SHARED_AVAILABLE + 1, "the table ends with the enum");
_Static_assert(MQTT_PROPERTIES_OF_WILL < MQTT_CONNECT && MQTT_AUTH < 32, "each packet has a bit of its own");
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

/* ---- user properties ----
 * A packet may have 200,000 of them, and only its receivers read them. So they are checked in one pass that builds no
 * struct. What it costs is the chain from one length to the next: 3 to 4 ns a property. */

static inline size_t u16_at(const uint8_t *at)
{
	return (size_t)at[0] << 8 | at[1];
}

/* Whether the text, which lies before end, is a valid string. Short ones, which are nearly all, are checked without a
 * branch on their size: a hostile sender can make that branch unpredictable. */
static inline bool text_is_good(const uint8_t *text, size_t size, const uint8_t *end)
{
	const uint8_t *at = text, *text_end = text + size;
	while ((size_t)(text_end - at) >= LANE_COUNT && lanes_are_plain(lanes_load(at)))
		at += LANE_COUNT;
	size_t left = (size_t)(text_end - at);
	if (left < LANE_COUNT && (size_t)(end - at) >= LANE_COUNT && lanes_are_plain(lanes_keep(lanes_load(at), left)))
		return true;
	/* From the start: `at` may be within a character. */
	return mqtt_string_check(slice_of(text, size)) == ERROR_OK;
}

/* Passes over the well-formed user properties at the start of rest. */
static struct slice user_properties_skip(struct slice rest)
{
	if (rest.size < USER_PROPERTY_BYTES_MIN) /* data may be NULL, and NULL + 0 is undefined */
		return rest;
	const uint8_t *at = rest.data, *end = at + rest.size;
	while (end - at >= USER_PROPERTY_BYTES_MIN && *at == MQTT_PROPERTY_USER_PROPERTY) {
		size_t name_bytes = u16_at(at + 1), left = (size_t)(end - at) - USER_PROPERTY_BYTES_MIN;
		if (name_bytes > left)
			break;
		const uint8_t *value = at + 3 + name_bytes;
		size_t value_bytes = u16_at(value);
		if (value_bytes > left - name_bytes)
			break;
		if (!text_is_good(at + 3, name_bytes, end) || !text_is_good(value + 2, value_bytes, end))
			break;
		at = value + 2 + value_bytes;
	}
	return slice_of(at, (size_t)(end - at));
}

struct mqtt_property_walk mqtt_property_walk_of(struct slice properties, uint8_t packet)
{
	CHECK(packet <= MQTT_AUTH);
	return (struct mqtt_property_walk){.rest = properties, .packet = packet};
}

enum error mqtt_property_walk_next(struct mqtt_property_walk *walk, struct mqtt_property *out)
{
	/* Allowed in every packet, in any number. An ill-formed one stays, and mqtt_property_next() says why. */
	walk->rest = user_properties_skip(walk->rest);
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

/* Bytes of a string or binary data at `at`, with its length. */
static inline size_t binary_bytes_at(const uint8_t *at)
{
	return 2 + u16_at(at);
}

static size_t varint_bytes_at(const uint8_t *at)
{
	size_t bytes = 1;
	while (at[bytes - 1] & 0x80)
		bytes++;
	return bytes;
}

static inline size_t user_property_bytes_at(const uint8_t *at)
{
	size_t name_end = 1 + binary_bytes_at(at + 1);
	return name_end + binary_bytes_at(at + name_end);
}

/* Bytes of the checked property at `at`. */
static size_t property_bytes_at(const uint8_t *at)
{
	const struct property_rule *rule = property_rule_of(*at);
	CHECK(rule != NULL);
	switch (rule->type) {
	case NONE:
		break;
	case FLAG:
		return 2;
	case TWO_BYTES:
		return 3;
	case FOUR_BYTES:
		return 5;
	case VARIABLE:
		return 1 + varint_bytes_at(at + 1);
	case BINARY:
	case STRING:
		return 1 + binary_bytes_at(at + 1);
	case STRING_PAIR:
		return user_property_bytes_at(at);
	}
	return 1;
}

size_t mqtt_property_find(struct slice checked, size_t from, enum mqtt_property_id id)
{
	CHECK(from <= checked.size);
	if (from == checked.size)
		return from;
	const uint8_t *at = checked.data + from, *end = checked.data + checked.size;
	while (at < end && *at != id)
		at += *at == MQTT_PROPERTY_USER_PROPERTY ? user_property_bytes_at(at) : property_bytes_at(at);
	from = (size_t)(at - checked.data);
	CHECK(from <= checked.size);
	return from;
}

bool mqtt_payload_is_well_formed(struct slice properties, struct slice payload)
{
	size_t at = mqtt_property_find(properties, 0, MQTT_PROPERTY_PAYLOAD_FORMAT);
	bool is_text = at < properties.size && properties.data[at + 1] != 0;
	return !is_text || mqtt_string_check(payload) != ERROR_STRING_UTF8;
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
