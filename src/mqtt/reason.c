#include "mqtt/reason.h"

#include "mqtt/packet.h"

/* Who may send a code. DISCONNECT and AUTH have codes that are one side's alone; the others go one way only, or allow
 * both sides the same. */
#define IN(packet) (1u << MQTT_##packet)
#define FROM_SERVER_SHIFT 16
#define SERVER(packet) (IN(packet) << FROM_SERVER_SHIFT)
#define BOTH(packet) (IN(packet) | SERVER(packet))
#define ACKS_OF_PUBLISH (BOTH(PUBACK) | BOTH(PUBREC))
#define ACKS_OF_PUBREC (BOTH(PUBREL) | BOTH(PUBCOMP))
#define ACKS_OF_SUBSCRIBE (SERVER(SUBACK) | SERVER(UNSUBACK))

/* The table of [2.4], with the sides that [3.14.2.1] gives DISCONNECT and [3.15.2.1] AUTH. */
static const struct {
	const char *name;
	uint32_t packets;
} CODES[] = {
	[0x00] = {"Success", SERVER(CONNACK) | ACKS_OF_PUBLISH | ACKS_OF_PUBREC | ACKS_OF_SUBSCRIBE | BOTH(DISCONNECT) |
				     SERVER(AUTH)},
	[0x01] = {"Granted QoS 1", SERVER(SUBACK)},
	[0x02] = {"Granted QoS 2", SERVER(SUBACK)},
	[0x04] = {"Disconnect with Will Message", IN(DISCONNECT)},
	[0x10] = {"No matching subscribers", ACKS_OF_PUBLISH},
	[0x11] = {"No subscription existed", SERVER(UNSUBACK)},
	[0x18] = {"Continue authentication", BOTH(AUTH)},
	[0x19] = {"Re-authenticate", IN(AUTH)},
	[0x80] = {"Unspecified error", SERVER(CONNACK) | ACKS_OF_PUBLISH | ACKS_OF_SUBSCRIBE | BOTH(DISCONNECT)},
	[0x81] = {"Malformed Packet", SERVER(CONNACK) | BOTH(DISCONNECT)},
	[0x82] = {"Protocol Error", SERVER(CONNACK) | BOTH(DISCONNECT)},
	[0x83] = {"Implementation specific error",
		  SERVER(CONNACK) | ACKS_OF_PUBLISH | ACKS_OF_SUBSCRIBE | BOTH(DISCONNECT)},
	[0x84] = {"Unsupported Protocol Version", SERVER(CONNACK)},
	[0x85] = {"Client Identifier not valid", SERVER(CONNACK)},
	[0x86] = {"Bad User Name or Password", SERVER(CONNACK)},
	[0x87] = {"Not authorized", SERVER(CONNACK) | ACKS_OF_PUBLISH | ACKS_OF_SUBSCRIBE | SERVER(DISCONNECT)},
	[0x88] = {"Server unavailable", SERVER(CONNACK)},
	[0x89] = {"Server busy", SERVER(CONNACK) | SERVER(DISCONNECT)},
	[0x8A] = {"Banned", SERVER(CONNACK)},
	[0x8B] = {"Server shutting down", SERVER(DISCONNECT)},
	[0x8C] = {"Bad authentication method", SERVER(CONNACK) | SERVER(DISCONNECT)},
	[0x8D] = {"Keep Alive timeout", SERVER(DISCONNECT)},
	[0x8E] = {"Session taken over", SERVER(DISCONNECT)},
	[0x8F] = {"Topic Filter invalid", ACKS_OF_SUBSCRIBE | SERVER(DISCONNECT)},
	[0x90] = {"Topic Name invalid", SERVER(CONNACK) | ACKS_OF_PUBLISH | BOTH(DISCONNECT)},
	[0x91] = {"Packet Identifier in use", ACKS_OF_PUBLISH | ACKS_OF_SUBSCRIBE},
	[0x92] = {"Packet Identifier not found", ACKS_OF_PUBREC},
	[0x93] = {"Receive Maximum exceeded", BOTH(DISCONNECT)},
	[0x94] = {"Topic Alias invalid", BOTH(DISCONNECT)},
	[0x95] = {"Packet too large", SERVER(CONNACK) | BOTH(DISCONNECT)},
	[0x96] = {"Message rate too high", BOTH(DISCONNECT)},
	[0x97] = {"Quota exceeded", SERVER(CONNACK) | ACKS_OF_PUBLISH | SERVER(SUBACK) | BOTH(DISCONNECT)},
	[0x98] = {"Administrative action", BOTH(DISCONNECT)},
	[0x99] = {"Payload format invalid", SERVER(CONNACK) | ACKS_OF_PUBLISH | BOTH(DISCONNECT)},
	[0x9A] = {"Retain not supported", SERVER(CONNACK) | SERVER(DISCONNECT)},
	[0x9B] = {"QoS not supported", SERVER(CONNACK) | SERVER(DISCONNECT)},
	[0x9C] = {"Use another server", SERVER(CONNACK) | SERVER(DISCONNECT)},
	[0x9D] = {"Server moved", SERVER(CONNACK) | SERVER(DISCONNECT)},
	[0x9E] = {"Shared Subscriptions not supported", SERVER(SUBACK) | SERVER(DISCONNECT)},
	[0x9F] = {"Connection rate exceeded", SERVER(CONNACK) | SERVER(DISCONNECT)},
	[0xA0] = {"Maximum connect time", SERVER(DISCONNECT)},
	[0xA1] = {"Subscription Identifiers not supported", SERVER(SUBACK) | SERVER(DISCONNECT)},
	[0xA2] = {"Wildcard Subscriptions not supported", SERVER(SUBACK) | SERVER(DISCONNECT)},
};

#define CODE_COUNT (sizeof(CODES) / sizeof(CODES[0]))

bool mqtt_reason_allowed(uint8_t reason, uint8_t type, bool from_server)
{
	unsigned side = from_server ? FROM_SERVER_SHIFT : 0;
	return reason < CODE_COUNT && type <= MQTT_AUTH && (CODES[reason].packets >> side & 1u << type) != 0;
}

const char *mqtt_reason_name(uint8_t reason)
{
	return reason < CODE_COUNT && CODES[reason].name != NULL ? CODES[reason].name : "unknown";
}

/* Malformed Packet is for bytes that cannot be read by the standard's rules, Protocol Error for what can be read but
 * may not be said [1.2]; each group follows what the standard says beside the field. Longer than a screen because it
 * is a table: as a switch without a default, the compiler finds the error that has no place in it. */
enum mqtt_reason mqtt_reason_of(enum error error) /* NOLINT(readability-function-size) */
{
	switch (error) {
	case ERROR_OK:
	case ERROR_CLOSED_BY_CLIENT:
	case ERROR_CLOSED_WITH_WILL:
		return MQTT_REASON_SUCCESS;
	case ERROR_LENGTH_MALFORMED:
	case ERROR_FLAGS_RESERVED:
	case ERROR_PACKET_SHORT:
	case ERROR_PACKET_TRAILING:
	case ERROR_STRING_UTF8:
	case ERROR_STRING_NUL:
	case ERROR_PROPERTY_UNKNOWN:
	case ERROR_PROPERTY_MISPLACED:
	case ERROR_PROPERTY_LENGTH:
	case ERROR_CONNECT_RESERVED:
	case ERROR_WILL_QOS:
	case ERROR_WILL_RETAIN:
	case ERROR_PUBLISH_QOS:
	case ERROR_PUBLISH_DUP:
	case ERROR_SUBSCRIBE_OPTIONS:
	case ERROR_CONNACK_FLAGS:
		return MQTT_REASON_MALFORMED_PACKET;
	case ERROR_PACKET_TYPE:
	case ERROR_PROPERTY_DUPLICATE:
	case ERROR_PROPERTY_VALUE:
	case ERROR_PASSWORD_ALONE:
	case ERROR_AUTH_DATA_ALONE:
	case ERROR_NOT_CONNECT:
	case ERROR_CONNECT_TWICE:
	case ERROR_CONNECT_TIMEOUT:
	case ERROR_TOPIC_EMPTY:
	case ERROR_TOPIC_ALIAS_UNKNOWN:
	case ERROR_RESPONSE_TOPIC:
	case ERROR_SUBSCRIPTION_ID_SENT:
	case ERROR_PACKET_ID_ZERO:
	case ERROR_PACKET_ID_UNKNOWN:
	case ERROR_ACK_UNEXPECTED:
	case ERROR_SUBSCRIBE_EMPTY:
	case ERROR_UNSUBSCRIBE_EMPTY:
	case ERROR_SUBSCRIBE_QOS:
	case ERROR_SUBSCRIBE_NO_LOCAL:
	case ERROR_SUBSCRIBE_RETAIN_HANDLING:
	case ERROR_REASON_CODE:
	case ERROR_SESSION_EXPIRY_RAISED:
	case ERROR_SESSION_EXPIRY_SENT:
	case ERROR_AUTH_UNEXPECTED:
	case ERROR_AUTH_METHOD_MISSING:
	case ERROR_CONNACK_SESSION:
		return MQTT_REASON_PROTOCOL_ERROR;
	case ERROR_PROTOCOL_NAME:
	case ERROR_PROTOCOL_LEVEL:
		return MQTT_REASON_UNSUPPORTED_PROTOCOL_VERSION;
	case ERROR_CLIENT_ID_EMPTY:
	case ERROR_CLIENT_ID_LONG:
		return MQTT_REASON_CLIENT_ID_NOT_VALID;
	case ERROR_AUTH_METHOD:
		return MQTT_REASON_BAD_AUTHENTICATION_METHOD;
	case ERROR_TOKEN_MALFORMED:
	case ERROR_TOKEN_TOO_LARGE:
	case ERROR_TOKEN_CRITICAL:
	case ERROR_TOKEN_ALGORITHM:
	case ERROR_TOKEN_KEY_UNKNOWN:
	case ERROR_TOKEN_SIGNATURE:
	case ERROR_TOKEN_CLAIM:
	case ERROR_PASSWORD_WRONG:
		return MQTT_REASON_BAD_USER_NAME_OR_PASSWORD;
	/* Genuine, but it does not let this client in here and now. Ends of live sessions among them: Bad User Name or
	 * Password and Banned are CONNACK's alone. */
	case ERROR_TOKEN_EXPIRED:
	case ERROR_TOKEN_NOT_YET:
	case ERROR_TOKEN_ISSUER:
	case ERROR_TOKEN_AUDIENCE:
	case ERROR_TOKEN_CLIENT_ID:
	case ERROR_TOKEN_USER:
	case ERROR_TOKEN_REVOKED:
	case ERROR_CREDENTIALS_MISSING:
	case ERROR_PUBLISH_DENIED:
	case ERROR_SUBSCRIBE_DENIED:
	case ERROR_NOT_AUTHORIZED:
	case ERROR_TOPIC_RESERVED:
		return MQTT_REASON_NOT_AUTHORIZED;
	case ERROR_USER_REVOKED:
	case ERROR_CLIENT_REVOKED:
		return MQTT_REASON_BANNED;
	case ERROR_WILL_TOPIC:
	case ERROR_TOPIC_LONG:
	case ERROR_TOPIC_WILDCARD:
	case ERROR_TOPIC_LEVELS:
		return MQTT_REASON_TOPIC_NAME_INVALID;
	case ERROR_FILTER_MALFORMED:
	case ERROR_FILTER_SHARED:
		return MQTT_REASON_TOPIC_FILTER_INVALID;
	case ERROR_TOPIC_ALIAS:
		return MQTT_REASON_TOPIC_ALIAS_INVALID;
	case ERROR_PAYLOAD_FORMAT:
		return MQTT_REASON_PAYLOAD_FORMAT_INVALID;
	case ERROR_RECEIVE_MAX:
		return MQTT_REASON_RECEIVE_MAXIMUM_EXCEEDED;
	case ERROR_PACKET_TOO_LARGE:
		return MQTT_REASON_PACKET_TOO_LARGE;
	case ERROR_KEEPALIVE_TIMEOUT:
		return MQTT_REASON_KEEP_ALIVE_TIMEOUT;
	case ERROR_ADMINISTRATIVE:
		return MQTT_REASON_ADMINISTRATIVE_ACTION;
	case ERROR_TAKEN_OVER:
		return MQTT_REASON_SESSION_TAKEN_OVER;
	case ERROR_LIMIT:
	case ERROR_STUCK_READER:
		return MQTT_REASON_QUOTA_EXCEEDED;
	case ERROR_SIGN_IN_EXPIRED:
		return MQTT_REASON_MAXIMUM_CONNECT_TIME;
	case ERROR_ADDRESS_DENIED:
		return MQTT_REASON_BANNED;
	case ERROR_ADDRESS_CONNECTIONS:
	case ERROR_ADDRESS_HANDSHAKES:
	case ERROR_ADDRESS_RATE:
		return MQTT_REASON_CONNECTION_RATE_EXCEEDED;
	case ERROR_MESSAGE_RATE:
		return MQTT_REASON_MESSAGE_RATE_TOO_HIGH;
	case ERROR_NO_MEMORY:
	case ERROR_NO_DESCRIPTORS:
	case ERROR_REVOCATIONS_AWAY:
	case ERROR_OVERLOADED:
	case ERROR_SERVER_FULL:
		return MQTT_REASON_SERVER_BUSY;
	case ERROR_SERVER_STOPPING:
		return MQTT_REASON_SERVER_SHUTTING_DOWN;
	case ERROR_MORE:
	case ERROR_PEER_DEAD:
	case ERROR_SYSTEM:
	case ERROR_TIMEOUT:
	case ERROR_NOT_FOUND:
	case ERROR_CONNECTION_LOST:
	case ERROR_COUNT:
		break;
	}
	return MQTT_REASON_UNSPECIFIED_ERROR;
}

enum mqtt_reason mqtt_disconnect_reason_of(enum error error)
{
	enum mqtt_reason reason = mqtt_reason_of(error);
	switch (reason) {
	case MQTT_REASON_BAD_USER_NAME_OR_PASSWORD:
		return MQTT_REASON_NOT_AUTHORIZED;
	case MQTT_REASON_BANNED:
		return MQTT_REASON_ADMINISTRATIVE_ACTION;
	default:
		return reason;
	}
}

uint8_t mqtt_return_code_of(enum error error)
{
	/* Whoever does not say "MQTT" may not speak MQTT at all: no CONNACK [3.1.2.1 of 3.1.1]. */
	if (error == ERROR_PROTOCOL_NAME)
		return 0;
	switch (mqtt_reason_of(error)) {
	case MQTT_REASON_UNSUPPORTED_PROTOCOL_VERSION:
		return 1;
	case MQTT_REASON_CLIENT_ID_NOT_VALID:
		return 2;
	case MQTT_REASON_SERVER_UNAVAILABLE:
	case MQTT_REASON_SERVER_BUSY:
	case MQTT_REASON_SERVER_SHUTTING_DOWN:
	case MQTT_REASON_QUOTA_EXCEEDED:
		return 3;
	case MQTT_REASON_BAD_USER_NAME_OR_PASSWORD:
		return 4;
	case MQTT_REASON_NOT_AUTHORIZED:
	case MQTT_REASON_BANNED:
		return 5;
	default:
		return 0;
	}
}
