#include "relay/consumer/incoming.h"

#include "mqtt/encode.h"
#include "mqtt/field/property.h"
#include "mqtt/field/property_write.h"
#include "mqtt/field/topic.h"
#include "relay/consumer/properties_read.h"
#include "session/session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Message Expiry Interval, with its name [3.3.2.3.3]. */
#define EXPIRY_BYTES 5u

/* The fields that an entry may have. */
#define INCOMING_FIELD_TABLE(X)                                                                                        \
	X(COMMAND, "command")                                                                                          \
	X(TOPIC, "topic")                                                                                              \
	X(PAYLOAD, "payload")                                                                                          \
	X(QOS, "qos")                                                                                                  \
	X(RETAIN, "retain")                                                                                            \
	X(EXPIRY, "expiry_s")                                                                                          \
	X(PROPERTIES, "properties")                                                                                    \
	X(CLIENT, "client")                                                                                            \
	X(KIND, "kind")                                                                                                \
	X(ID, "id")                                                                                                    \
	X(SECONDS, "seconds")

enum incoming_name {
#define X(code, name) INCOMING_FIELD_##code,
	INCOMING_FIELD_TABLE(X)
#undef X
		INCOMING_FIELD_COUNT
};

static const char *const NAMES[] = {
#define X(code, name) [INCOMING_FIELD_##code] = (name),
	INCOMING_FIELD_TABLE(X)
#undef X
};

/* An entry's fields by their names; data NULL: it does not have it. */
struct incoming_reading {
	struct incoming *incoming;
	struct slice values[INCOMING_FIELD_COUNT];
};

static bool incoming_fail(struct incoming *incoming, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool incoming_fail(struct incoming *incoming, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(incoming->fault, sizeof(incoming->fault), format, arguments);
	va_end(arguments);
	return false;
}

static bool fail_in(struct incoming_reading *reading, enum incoming_name name, const char *what)
{
	return incoming_fail(reading->incoming, "%s: %s", NAMES[name], what);
}

/* ---- values ---- */

static bool incoming_has(const struct incoming_reading *reading, enum incoming_name name)
{
	return reading->values[name].data != NULL;
}

static bool read_incoming_number(struct incoming_reading *reading, enum incoming_name name, uint32_t most,
				 uint32_t *number)
{
	struct slice text = reading->values[name];
	uint64_t value = 0;
	bool good = text.size != 0 && text.size <= 10;
	for (size_t i = 0; i < text.size && good; i++) {
		good = text.data[i] >= '0' && text.data[i] <= '9';
		value = value * 10 + (uint64_t)(text.data[i] - '0');
	}
	*number = (uint32_t)value;
	return (good && value <= most) ||
	       incoming_fail(reading->incoming, "%s: a whole number from 0 to %u is wanted here", NAMES[name], most);
}

/* A value that must be there. */
static bool read_incoming_text(struct incoming_reading *reading, enum incoming_name name, struct slice *text)
{
	*text = reading->values[name];
	if (!incoming_has(reading, name))
		return fail_in(reading, name, "it is missing");
	if (text->size == 0 || text->size > UINT16_MAX || mqtt_string_check(*text) != ERROR_OK)
		return fail_in(reading, name, "a string of 1 to 65535 bytes of UTF-8 is wanted here");
	return true;
}

/* ---- a message ---- */

static bool read_incoming_topic(struct incoming_reading *reading)
{
	struct slice topic = reading->values[INCOMING_FIELD_TOPIC];
	if (!incoming_has(reading, INCOMING_FIELD_TOPIC))
		return fail_in(reading, INCOMING_FIELD_TOPIC, "it is missing");
	enum error error = topic.size > UINT16_MAX ? ERROR_TOPIC_LONG : mqtt_topic_check(topic);
	if (error == ERROR_OK && mqtt_topic_is_reserved(topic))
		error = ERROR_TOPIC_RESERVED;
	reading->incoming->publish.topic = topic;
	return error == ERROR_OK || fail_in(reading, INCOMING_FIELD_TOPIC, error_sentence(error));
}

static bool read_incoming_properties(struct incoming_reading *reading)
{
	struct incoming *incoming = reading->incoming;
	struct mqtt_publish *publish = &incoming->publish;
	struct slice json = reading->values[INCOMING_FIELD_PROPERTIES];
	char fault[PROPERTIES_FAULT_BYTES];
	if (!incoming_has(reading, INCOMING_FIELD_PROPERTIES))
		return true;
	bytes_clear(&incoming->scratch, PROPERTIES_BYTES_MAX);
	bytes_append(&incoming->scratch, json.data, json.size);
	if (incoming->scratch.failed)
		return fail_in(reading, INCOMING_FIELD_PROPERTIES, error_sentence(ERROR_NO_MEMORY));
	return properties_read(incoming->scratch.data, json.size, &incoming->properties, &publish->has_message_expiry,
			       &publish->message_expiry_s, fault) ||
	       fail_in(reading, INCOMING_FIELD_PROPERTIES, fault);
}

/* Of the field, or, where there is none, of the properties. */
static bool append_expiry(struct incoming_reading *reading)
{
	struct incoming *incoming = reading->incoming;
	struct mqtt_publish *publish = &incoming->publish;
	if (incoming_has(reading, INCOMING_FIELD_EXPIRY)) {
		if (!read_incoming_number(reading, INCOMING_FIELD_EXPIRY, UINT32_MAX, &publish->message_expiry_s))
			return false;
		publish->has_message_expiry = true;
	}
	if (publish->has_message_expiry) {
		uint8_t expiry[EXPIRY_BYTES];
		struct writer writer = writer_of(expiry, sizeof(expiry));
		property_write_u32(&writer, MQTT_PROPERTY_MESSAGE_EXPIRY, publish->message_expiry_s);
		bytes_append(&incoming->properties, expiry, sizeof(expiry));
	}
	if (incoming->properties.failed)
		return fail_in(reading, INCOMING_FIELD_EXPIRY, error_sentence(ERROR_NO_MEMORY));
	publish->properties = bytes_slice(&incoming->properties);
	return true;
}

static bool read_incoming_publish(struct incoming_reading *reading, const struct incoming_limits *limits)
{
	struct mqtt_publish *publish = &reading->incoming->publish;
	uint32_t qos = 1;
	uint32_t retain = 0;
	publish->payload = reading->values[INCOMING_FIELD_PAYLOAD];
	if (!read_incoming_topic(reading))
		return false;
	if (incoming_has(reading, INCOMING_FIELD_QOS) && !read_incoming_number(reading, INCOMING_FIELD_QOS, 2, &qos))
		return false;
	if (incoming_has(reading, INCOMING_FIELD_RETAIN) &&
	    !read_incoming_number(reading, INCOMING_FIELD_RETAIN, 1, &retain))
		return false;
	publish->qos = (uint8_t)qos;
	publish->retain = retain != 0;
	if (!read_incoming_properties(reading) || !append_expiry(reading))
		return false;
	/* At QoS 1 and 2 the gateway says so in its acknowledgement. At QoS 0 it can only end the connection, and would
	 * again whenever the entry is read again [3.3.2.3.2]. */
	if (publish->qos == 0 && limits->checks_format &&
	    !mqtt_payload_is_well_formed(publish->properties, publish->payload))
		return fail_in(reading, INCOMING_FIELD_PAYLOAD, error_sentence(ERROR_PAYLOAD_FORMAT));
	size_t size = mqtt_publish_size(publish, MQTT_VERSION_5);
	return (size != 0 && size <= limits->packet_bytes_max) ||
	       fail_in(reading, INCOMING_FIELD_PAYLOAD, "the packet would be larger than packet-bytes-max");
}

/* ---- commands ---- */

static bool read_incoming_revocation(struct incoming_reading *reading)
{
	struct incoming *incoming = reading->incoming;
	struct slice kind;
	if (!read_incoming_text(reading, INCOMING_FIELD_KIND, &kind))
		return false;
	if (!revocation_kind_parse(kind, &incoming->revoked))
		return fail_in(reading, INCOMING_FIELD_KIND, "token, user or client is wanted here");
	incoming->revoked_s = 0;
	if (incoming_has(reading, INCOMING_FIELD_SECONDS) &&
	    !read_incoming_number(reading, INCOMING_FIELD_SECONDS, UINT32_MAX, &incoming->revoked_s))
		return false;
	if (incoming_has(reading, INCOMING_FIELD_SECONDS) && incoming->revoked_s == 0)
		return fail_in(reading, INCOMING_FIELD_SECONDS, "1 or more is wanted here; without it: for ever");
	return read_incoming_text(reading, INCOMING_FIELD_ID, &incoming->revoked_id);
}

/* A consumer that ends its own client would read the command again for ever, and one that ends a rule's session drops
 * what waits there. */
static bool read_incoming_client(struct incoming_reading *reading)
{
	struct slice *client = &reading->incoming->client;
	if (!read_incoming_text(reading, INCOMING_FIELD_CLIENT, client))
		return false;
	return !session_id_is_internal(*client) ||
	       fail_in(reading, INCOMING_FIELD_CLIENT, error_sentence(ERROR_CLIENT_ID_RESERVED));
}

static bool read_incoming_command(struct incoming_reading *reading)
{
	static const struct {
		const char *name;
		enum incoming_kind kind;
	} COMMANDS[] = {
		{"disconnect", INCOMING_DISCONNECT},
		{"end_session", INCOMING_END_SESSION},
		{"revoke", INCOMING_REVOKE},
		{"lift", INCOMING_LIFT},
	};
	struct incoming *incoming = reading->incoming;
	struct slice name = reading->values[INCOMING_FIELD_COMMAND];
	for (size_t i = 0; i < sizeof(COMMANDS) / sizeof(COMMANDS[0]); i++) {
		if (!slice_equal(name, slice_string(COMMANDS[i].name)))
			continue;
		incoming->kind = COMMANDS[i].kind;
		if (incoming->kind == INCOMING_REVOKE || incoming->kind == INCOMING_LIFT)
			return read_incoming_revocation(reading);
		return read_incoming_client(reading);
	}
	return fail_in(reading, INCOMING_FIELD_COMMAND, "disconnect, end_session, revoke or lift is wanted here");
}

/* ---- the whole ---- */

/* A field that is there twice could mean two things. */
static bool take_fields(struct incoming_reading *reading, const struct incoming_field *fields, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (int name = 0; name < INCOMING_FIELD_COUNT; name++) {
			if (!slice_equal(fields[i].name, slice_string(NAMES[name])))
				continue;
			if (incoming_has(reading, (enum incoming_name)name))
				return fail_in(reading, (enum incoming_name)name, "it is there for the second time");
			reading->values[name] = fields[i].value;
		}
	}
	return true;
}

bool incoming_read(struct incoming *incoming, const struct incoming_field *fields, size_t count,
		   const struct incoming_limits *limits)
{
	struct incoming_reading reading = {.incoming = incoming};
	incoming->kind = INCOMING_PUBLISH;
	incoming->publish = (struct mqtt_publish){0};
	incoming->fault[0] = '\0';
	bytes_clear(&incoming->properties, PROPERTIES_BYTES_MAX);
	if (!take_fields(&reading, fields, count))
		return false;
	if (incoming_has(&reading, INCOMING_FIELD_COMMAND))
		return read_incoming_command(&reading);
	return read_incoming_publish(&reading, limits);
}

/* It stands at the end of the properties (append_expiry()). */
bool incoming_grow_older(struct incoming *incoming, uint64_t age_s)
{
	struct mqtt_publish *publish = &incoming->publish;
	if (!publish->has_message_expiry)
		return true;
	if (age_s >= publish->message_expiry_s)
		return false;
	publish->message_expiry_s -= (uint32_t)age_s;
	CHECK(incoming->properties.size >= EXPIRY_BYTES);
	struct writer writer =
		writer_of(incoming->properties.data + incoming->properties.size - EXPIRY_BYTES, EXPIRY_BYTES);
	property_write_u32(&writer, MQTT_PROPERTY_MESSAGE_EXPIRY, publish->message_expiry_s);
	return true;
}

void incoming_free(struct incoming *incoming)
{
	bytes_free(&incoming->properties);
	bytes_free(&incoming->scratch);
}
