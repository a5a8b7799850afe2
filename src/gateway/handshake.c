#include "gateway/handshake.h"

#include "base/check.h"
#include "gateway/admission.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "mqtt/property.h"
#include "mqtt/reason.h"
#include "mqtt/topic.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

/* An id of our own: a fixed beginning, then 96 random bits in hexadecimal; nobody else's id by any chance. */
#define ASSIGNED_PREFIX "roost-"
#define ASSIGNED_RANDOM_BYTES 12u
#define ASSIGNED_ID_BYTES (sizeof(ASSIGNED_PREFIX) - 1 + 2 * ASSIGNED_RANDOM_BYTES)

static void assign_id(char id[ASSIGNED_ID_BYTES + 1])
{
	uint8_t random[ASSIGNED_RANDOM_BYTES];
	randombytes_buf(random, sizeof(random));
	memcpy(id, ASSIGNED_PREFIX, sizeof(ASSIGNED_PREFIX) - 1);
	sodium_bin2hex(id + sizeof(ASSIGNED_PREFIX) - 1, 2 * ASSIGNED_RANDOM_BYTES + 1, random, sizeof(random));
}

/* What is asked for and not there is refused rather than passed over. */
static enum error check_offer(const struct settings *settings, bool loopback, const struct mqtt_connect *connect)
{
	if (connect->client_id.size > settings->client_id_bytes_max)
		return ERROR_CLIENT_ID_LONG;
	if (connect->auth_method.data != NULL)
		return ERROR_AUTH_METHOD;
	if (!loopback)
		return ERROR_NOT_AUTHORIZED;
	if (connect->has_will && mqtt_topic_is_reserved(connect->will.topic))
		return ERROR_TOPIC_RESERVED;
	return ERROR_OK;
}

/* The will's properties but the delay, which is not the message's [3.1.3.2.2]. Returns their size; out may be NULL. */
static size_t copy_will_properties(struct slice properties, uint8_t *out)
{
	size_t size = 0;
	struct mqtt_property property;
	struct slice rest = properties;
	while (rest.size != 0) {
		const uint8_t *begin = rest.data;
		CHECK(mqtt_property_next(&rest, &property) == ERROR_OK);
		size_t length = (size_t)(rest.data - begin);
		if (property.id == MQTT_PROPERTY_WILL_DELAY)
			continue;
		if (out != NULL)
			memcpy(out + size, begin, length);
		size += length;
	}
	return size;
}

/* The will as the PUBLISH that it will be. */
static enum error encode_will(const struct mqtt_connect *connect, struct slice *encoded)
{
	*encoded = slice_of(NULL, 0);
	if (!connect->has_will)
		return ERROR_OK;
	struct mqtt_publish publish = {
		.topic = connect->will.topic,
		.payload = connect->will.payload,
		.qos = connect->will.qos,
		.retain = connect->will.retain,
		.packet_id = 1, /* nobody reads it */
	};
	size_t properties_bytes = copy_will_properties(connect->will.properties, NULL);
	uint8_t *properties = malloc(properties_bytes + 1);
	if (properties == NULL)
		return ERROR_NO_MEMORY;
	copy_will_properties(connect->will.properties, properties);
	publish.properties = slice_of(properties, properties_bytes);
	size_t size = mqtt_publish_size(&publish, connect->version);
	uint8_t *packet = malloc(size);
	if (packet != NULL)
		*encoded = slice_of(packet, mqtt_publish_encode(&publish, connect->version, packet, size));
	free(properties);
	return packet != NULL ? ERROR_OK : ERROR_NO_MEMORY;
}

/* How long the session may outlive its connection. Before version 5 it does so for ever unless it is clean. */
static uint32_t granted_expiry_s(const struct settings *settings, const struct mqtt_connect *connect)
{
	uint32_t asked_s = connect->session_expiry_s;
	if (connect->version != MQTT_VERSION_5)
		asked_s = connect->clean_start ? 0 : UINT32_MAX;
	return asked_s < settings->session_expiry_max_s ? asked_s : settings->session_expiry_max_s;
}

/* Only version 5 can be told of another one than it asked for [3.2.2.3.14]. */
static uint16_t granted_keepalive_s(const struct settings *settings, const struct mqtt_connect *connect)
{
	uint32_t most_s = settings->keepalive_max_s;
	bool bounded = connect->version == MQTT_VERSION_5 && most_s != 0 &&
		       (connect->keepalive_s == 0 || connect->keepalive_s > most_s);
	return bounded ? (uint16_t)most_s : connect->keepalive_s;
}

static struct admission *admission_new(const struct settings *settings, const struct hash_key *key,
				       const struct mqtt_connect *connect, struct slice id, struct slice will,
				       struct slice rest)
{
	struct admission *admission = malloc(sizeof(*admission) + id.size + will.size + rest.size);
	if (admission == NULL)
		return NULL;
	*admission = (struct admission){
		.hash = hash_slice(key, id),
		.packet_bytes_max = connect->packet_bytes_max,
		.session_expiry_s = granted_expiry_s(settings, connect),
		.will_delay_s = connect->has_will ? connect->will.delay_s : 0,
		.will_bytes = (uint32_t)will.size,
		.rest_bytes = (uint32_t)rest.size,
		.keepalive_s = granted_keepalive_s(settings, connect),
		.receive_max = connect->receive_max,
		.topic_alias_max = connect->topic_alias_max,
		.id_bytes = (uint16_t)id.size,
		.version = connect->version,
		.clean_start = connect->clean_start,
		.assigned_id = connect->client_id.size == 0,
		.wants_response_info = connect->request_response_info,
	};
	admission->expiry_changed = admission->session_expiry_s != connect->session_expiry_s;
	admission->keepalive_changed = admission->keepalive_s != connect->keepalive_s;
	uint8_t *at = admission->bytes;
	memcpy(at, id.data, id.size);
	if (will.size != 0)
		memcpy(at + id.size, will.data, will.size);
	if (rest.size != 0)
		memcpy(at + id.size + will.size, rest.data, rest.size);
	return admission;
}

static enum error admit(const struct settings *settings, const struct hash_key *key, const struct mqtt_connect *connect,
			struct slice rest, struct admission **admission)
{
	char assigned[ASSIGNED_ID_BYTES + 1];
	struct slice id = connect->client_id;
	if (id.size == 0) {
		assign_id(assigned);
		id = slice_of(assigned, ASSIGNED_ID_BYTES);
	}
	struct slice will;
	enum error error = encode_will(connect, &will);
	if (error != ERROR_OK)
		return error;
	*admission = admission_new(settings, key, connect, id, will, rest);
	free((void *)(uintptr_t)will.data);
	return *admission != NULL ? ERROR_OK : ERROR_NO_MEMORY;
}

enum error handshake_read(const struct doorway *doorway, bool loopback, struct slice bytes,
			  struct admission **admission, size_t *packet_bytes, uint8_t *version)
{
	const struct settings *settings = doorway->settings;
	*packet_bytes = 0;
	*version = 0;
	struct mqtt_header header;
	enum error error = mqtt_header_decode(bytes.data, bytes.size, &header);
	/* A first byte that is no CONNECT's is answered before a length that may never come. */
	if (bytes.size != 0 && bytes.data[0] >> 4 != MQTT_CONNECT)
		return ERROR_NOT_CONNECT;
	if (error == ERROR_OK)
		error = mqtt_header_check(header);
	if (error != ERROR_OK)
		return error;
	*packet_bytes = (size_t)header.header_bytes + header.body_bytes;
	if (*packet_bytes > settings->packet_bytes_max)
		return ERROR_PACKET_TOO_LARGE;
	if (bytes.size < *packet_bytes)
		return ERROR_MORE;

	struct mqtt_connect connect;
	error = mqtt_connect_decode(slice_of(bytes.data + header.header_bytes, header.body_bytes), &connect);
	*version = connect.version;
	if (error == ERROR_OK)
		error = doorway->refusal;
	if (error == ERROR_OK)
		error = check_offer(settings, loopback, &connect);
	if (error != ERROR_OK)
		return error;
	struct slice rest = slice_of(bytes.data + *packet_bytes, bytes.size - *packet_bytes);
	return admit(settings, doorway->key, &connect, rest, admission);
}

/* Some codes are DISCONNECT's alone, and some ends are no refusal. */
static uint8_t connack_reason_of(enum error error)
{
	uint8_t reason = (uint8_t)mqtt_reason_of(error);
	bool refuses = reason >= MQTT_REASON_UNSPECIFIED_ERROR && mqtt_reason_allowed(reason, MQTT_CONNACK, true);
	return refuses ? reason : MQTT_REASON_SERVER_UNAVAILABLE;
}

size_t handshake_refusal(enum error reason, uint8_t version, uint32_t retry_ms, uint8_t *out)
{
	struct mqtt_connack connack = mqtt_connack_default();
	char retry[16];
	if (version == MQTT_VERSION_5 && retry_ms != 0) {
		snprintf(retry, sizeof(retry), "%u", retry_ms);
		connack.user_name = slice_string("retry-after-ms");
		connack.user_value = slice_string(retry);
	}
	if (version == MQTT_VERSION_5) {
		connack.reason = connack_reason_of(reason);
		connack.reason_string = slice_string(error_sentence(reason));
		return mqtt_connack_encode(&connack, MQTT_VERSION_5, out, REFUSAL_BYTES_MAX);
	}
	/* A version that nobody knows gets the oldest form of the answer [3.1.1, MQTT-3.1.2-2]. */
	connack.reason = mqtt_return_code_of(reason);
	if (connack.reason == 0 || (version == 0 && reason != ERROR_PROTOCOL_LEVEL))
		return 0;
	return mqtt_connack_encode(&connack, MQTT_VERSION_3_1_1, out, REFUSAL_BYTES_MAX);
}
