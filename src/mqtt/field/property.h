/* Properties of version 5 [2.2.2]: one table says each one's type, the packets that may carry it and whether it may
 * repeat; reading walks the wire form. Pure; any thread. */
#ifndef MQTT_PROPERTY_H
#define MQTT_PROPERTY_H

#include "base/error.h"
#include "base/slice.h"

enum mqtt_property_id {
	MQTT_PROPERTY_PAYLOAD_FORMAT = 0x01,
	MQTT_PROPERTY_MESSAGE_EXPIRY = 0x02,
	MQTT_PROPERTY_CONTENT_TYPE = 0x03,
	MQTT_PROPERTY_RESPONSE_TOPIC = 0x08,
	MQTT_PROPERTY_CORRELATION_DATA = 0x09,
	MQTT_PROPERTY_SUBSCRIPTION_ID = 0x0B,
	MQTT_PROPERTY_SESSION_EXPIRY = 0x11,
	MQTT_PROPERTY_ASSIGNED_CLIENT_ID = 0x12,
	MQTT_PROPERTY_SERVER_KEEPALIVE = 0x13,
	MQTT_PROPERTY_AUTH_METHOD = 0x15,
	MQTT_PROPERTY_AUTH_DATA = 0x16,
	MQTT_PROPERTY_REQUEST_PROBLEM_INFO = 0x17,
	MQTT_PROPERTY_WILL_DELAY = 0x18,
	MQTT_PROPERTY_REQUEST_RESPONSE_INFO = 0x19,
	MQTT_PROPERTY_RESPONSE_INFO = 0x1A,
	MQTT_PROPERTY_SERVER_REFERENCE = 0x1C,
	MQTT_PROPERTY_REASON_STRING = 0x1F,
	MQTT_PROPERTY_RECEIVE_MAX = 0x21,
	MQTT_PROPERTY_TOPIC_ALIAS_MAX = 0x22,
	MQTT_PROPERTY_TOPIC_ALIAS = 0x23,
	MQTT_PROPERTY_QOS_MAX = 0x24,
	MQTT_PROPERTY_RETAIN_AVAILABLE = 0x25,
	MQTT_PROPERTY_USER_PROPERTY = 0x26,
	MQTT_PROPERTY_PACKET_BYTES_MAX = 0x27,
	MQTT_PROPERTY_WILDCARD_AVAILABLE = 0x28,
	MQTT_PROPERTY_SUBSCRIPTION_ID_AVAILABLE = 0x29,
	MQTT_PROPERTY_SHARED_AVAILABLE = 0x2A,
};

/* Which packet's properties: enum mqtt_type, and one more for the will's. */
#define MQTT_PROPERTIES_OF_WILL 0

struct mqtt_property {
	uint8_t id;         /* enum mqtt_property_id */
	uint32_t number;    /* byte, two-byte, four-byte and variable-byte integers */
	struct slice data;  /* binary data and strings; the name of a user property */
	struct slice value; /* the value of a user property */
};

/* Takes the first property off *rest (wire form without the length prefix) into *out. Returns ERROR_OK, ERROR_MORE at
 * the end of *rest, or what is wrong with it. It checks the type and the value's range, not the packet. */
enum error mqtt_property_next(struct slice *rest, struct mqtt_property *out);

/* A walk over the properties of one packet that also checks what mqtt_property_next() cannot know: that each one is
 * allowed there, and not doubled where doubling is an error. Owned by the caller's stack frame. */
struct mqtt_property_walk {
	struct slice rest;
	uint64_t seen; /* bit i: property i was there */
	uint8_t packet;
};

/* packet: enum mqtt_type or MQTT_PROPERTIES_OF_WILL. */
struct mqtt_property_walk mqtt_property_walk_of(struct slice properties, uint8_t packet);
/* As mqtt_property_next(). */
enum error mqtt_property_walk_next(struct mqtt_property_walk *walk, struct mqtt_property *out);

/* Whether a message's payload is what its Payload Format Indicator says [3.3.2.3.2]: only one that is said to be UTF-8
 * is looked at. properties: checked; of a PUBLISH or a will. */
bool mqtt_payload_is_well_formed(struct slice properties, struct slice payload);

/* Checks a whole list of properties for the packet (enum mqtt_type or MQTT_PROPERTIES_OF_WILL): each is known, allowed
 * there, in range, and not doubled where doubling is an error. */
enum error mqtt_properties_check(struct slice properties, uint8_t packet);

#endif
