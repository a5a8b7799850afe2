/* Reason codes of version 5 [2.4], return codes of 3.1.1 [3.2.2.3], and the one place where our errors are mapped to
 * them. Pure; any thread. */
#ifndef MQTT_REASON_H
#define MQTT_REASON_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum mqtt_reason {
	MQTT_REASON_SUCCESS = 0x00, /* also Normal disconnection, Granted QoS 0 */
	MQTT_REASON_GRANTED_QOS_1 = 0x01,
	MQTT_REASON_GRANTED_QOS_2 = 0x02,
	MQTT_REASON_DISCONNECT_WITH_WILL = 0x04,
	MQTT_REASON_NO_MATCHING_SUBSCRIBERS = 0x10,
	MQTT_REASON_NO_SUBSCRIPTION_EXISTED = 0x11,
	MQTT_REASON_CONTINUE_AUTHENTICATION = 0x18,
	MQTT_REASON_REAUTHENTICATE = 0x19,
	MQTT_REASON_UNSPECIFIED_ERROR = 0x80,
	MQTT_REASON_MALFORMED_PACKET = 0x81,
	MQTT_REASON_PROTOCOL_ERROR = 0x82,
	MQTT_REASON_IMPLEMENTATION_SPECIFIC = 0x83,
	MQTT_REASON_UNSUPPORTED_PROTOCOL_VERSION = 0x84,
	MQTT_REASON_CLIENT_ID_NOT_VALID = 0x85,
	MQTT_REASON_BAD_USER_NAME_OR_PASSWORD = 0x86,
	MQTT_REASON_NOT_AUTHORIZED = 0x87,
	MQTT_REASON_SERVER_UNAVAILABLE = 0x88,
	MQTT_REASON_SERVER_BUSY = 0x89,
	MQTT_REASON_BANNED = 0x8A,
	MQTT_REASON_SERVER_SHUTTING_DOWN = 0x8B,
	MQTT_REASON_BAD_AUTHENTICATION_METHOD = 0x8C,
	MQTT_REASON_KEEP_ALIVE_TIMEOUT = 0x8D,
	MQTT_REASON_SESSION_TAKEN_OVER = 0x8E,
	MQTT_REASON_TOPIC_FILTER_INVALID = 0x8F,
	MQTT_REASON_TOPIC_NAME_INVALID = 0x90,
	MQTT_REASON_PACKET_ID_IN_USE = 0x91,
	MQTT_REASON_PACKET_ID_NOT_FOUND = 0x92,
	MQTT_REASON_RECEIVE_MAXIMUM_EXCEEDED = 0x93,
	MQTT_REASON_TOPIC_ALIAS_INVALID = 0x94,
	MQTT_REASON_PACKET_TOO_LARGE = 0x95,
	MQTT_REASON_MESSAGE_RATE_TOO_HIGH = 0x96,
	MQTT_REASON_QUOTA_EXCEEDED = 0x97,
	MQTT_REASON_ADMINISTRATIVE_ACTION = 0x98,
	MQTT_REASON_PAYLOAD_FORMAT_INVALID = 0x99,
	MQTT_REASON_RETAIN_NOT_SUPPORTED = 0x9A,
	MQTT_REASON_QOS_NOT_SUPPORTED = 0x9B,
	MQTT_REASON_USE_ANOTHER_SERVER = 0x9C,
	MQTT_REASON_SERVER_MOVED = 0x9D,
	MQTT_REASON_SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9E,
	MQTT_REASON_CONNECTION_RATE_EXCEEDED = 0x9F,
	MQTT_REASON_MAXIMUM_CONNECT_TIME = 0xA0,
	MQTT_REASON_SUBSCRIPTION_IDS_NOT_SUPPORTED = 0xA1,
	MQTT_REASON_WILDCARDS_NOT_SUPPORTED = 0xA2,
};

/* The code for DISCONNECT or a refusing CONNACK of version 5. Some are DISCONNECT's alone, Server shutting down among
 * them: where mqtt_reason_allowed() says no for CONNACK, Server unavailable is the code. */
enum mqtt_reason mqtt_reason_of(enum error error);

/* The same for the server's DISCONNECT, which may not carry CONNACK's codes about credentials. */
enum mqtt_reason mqtt_disconnect_reason_of(enum error error);

/* The return code 1..5 for a refusing CONNACK of 3.1.1, or 0 where 3.1.1 has none and the connection is just closed
 * [MQTT-3.2.2-6, MQTT-4.8.0-1 of 3.1.1]. */
uint8_t mqtt_return_code_of(enum error error);

/* Whether the packet (enum mqtt_type) of version 5 may carry the code when that side sends it: CONNACK [3.2.2.2], the
 * acknowledgements [3.4.2.1 to 3.7.2.1, 3.9.3, 3.11.3], DISCONNECT [3.14.2.1], AUTH [3.15.2.1]. */
bool mqtt_reason_allowed(uint8_t reason, uint8_t type, bool from_server);

/* "Packet too large"; static storage; "unknown" for a code the standard does not have. */
const char *mqtt_reason_name(uint8_t reason);

#endif
