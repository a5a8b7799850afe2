#include "access/handshake.h"

#include "access/access.h"
#include "access/admission.h"
#include "auth/rules/client_id_pattern.h"
#include "base/check.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "mqtt/field/property.h"
#include "mqtt/field/reason.h"
#include "mqtt/field/topic.h"
#include "runtime/overload.h"
#include "session/session.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

/* An assigned client id: a fixed prefix, then 96 random bits in hexadecimal, so that it collides with no other id. */
#define ASSIGNED_PREFIX "roost-"
#define ASSIGNED_RANDOM_BYTES 12u
#define ASSIGNED_ID_BYTES (sizeof(ASSIGNED_PREFIX) - 1 + 2 * ASSIGNED_RANDOM_BYTES)

/* A client refused for lack of room reconnects after one to four times this. */
#define RETRY_MS_MIN 2000u

static void assign_id(char id[ASSIGNED_ID_BYTES + 1])
{
	uint8_t random[ASSIGNED_RANDOM_BYTES];
	randombytes_buf(random, sizeof(random));
	memcpy(id, ASSIGNED_PREFIX, sizeof(ASSIGNED_PREFIX) - 1);
	sodium_bin2hex(id + sizeof(ASSIGNED_PREFIX) - 1, 2 * ASSIGNED_RANDOM_BYTES + 1, random, sizeof(random));
}

static enum error check_connect(const struct sign_in_environment *environment, const struct mqtt_connect *connect)
{
	if (connect->client_id.size > environment->settings->client_id_bytes_max)
		return ERROR_CLIENT_ID_LONG;
	if (connect->auth_method.data != NULL &&
	    (environment->sign_in == NULL || !slice_equal(connect->auth_method, slice_string(AUTH_METHOD_TOKEN))))
		return ERROR_AUTH_METHOD;
	if (connect->has_will && mqtt_topic_is_reserved(connect->will.topic) &&
	    !mqtt_topic_is_bridge_state(connect->will.topic))
		return ERROR_TOPIC_RESERVED;
	/* A will that would be refused as a PUBLISH is refused now, because later there is nobody to be told. */
	if (connect->has_will && environment->settings->payload_format_check &&
	    !mqtt_payload_is_well_formed(connect->will.properties, connect->will.payload))
		return ERROR_PAYLOAD_FORMAT;
	return ERROR_OK;
}

static bool may_be_anonymous(const struct settings *settings, bool loopback)
{
	enum access_anonymous policy = access_anonymous(&settings->access);
	return policy == ANONYMOUS_ALWAYS || (policy == ANONYMOUS_LOOPBACK && loopback);
}

/* A client that signs in with nothing is told as others are that it, or its user, was revoked. */
static enum error check_revoked(const struct sign_in_environment *environment, const struct identity *identity)
{
	if (environment->access == NULL)
		return ERROR_OK;
	return access_check_revoked(environment->access, slice_of(NULL, 0), identity->user, identity->client_id,
				    environment->wall_s);
}

/* By credentials in CONNECT. Where no sign-in is configured, user name and password are ignored. */
static enum error sign_in_by_connect(const struct sign_in_environment *environment,
				     const struct handshake_origin *origin, const struct mqtt_connect *connect,
				     struct identity *identity)
{
	bool anonymous = may_be_anonymous(environment->settings, origin->loopback);
	struct slice client_id = identity->client_id;
	if (environment->sign_in == NULL)
		return anonymous || origin->client_id.size != 0 ? check_revoked(environment, identity)
								: ERROR_NOT_AUTHORIZED;
	struct credentials credentials = {
		.client_id = client_id,
		.user_name = connect->has_user_name ? connect->user_name : slice_of(NULL, 0),
		.password = connect->has_password ? connect->password : slice_of(NULL, 0),
		.may_be_anonymous = anonymous,
	};
	if (connect->auth_method.data != NULL)
		credentials.password = connect->auth_data;
	return sign_in_check(environment->sign_in, &credentials, environment->wall_s, identity);
}

/* Determines the client's identity. */
static enum error authenticate(const struct sign_in_environment *environment, const struct handshake_origin *origin,
			       const struct mqtt_connect *connect, struct identity *identity)
{
	*identity = (struct identity){.client_id = connect->client_id, .expires_s = CLAIM_NEVER};
	if (origin->is_internal) {
		identity->client_id_is_meant = true;
		return ERROR_OK;
	}
	if (origin->client_id.size != 0) {
		if (connect->client_id.size != 0 && !slice_equal(connect->client_id, origin->client_id))
			return ERROR_CERTIFICATE_CLIENT_ID;
		if (origin->client_id.size > environment->settings->client_id_bytes_max)
			return ERROR_CLIENT_ID_LONG;
		identity->client_id = origin->client_id;
	}
	enum error error;
	if (origin->user.size != 0) {
		identity->user = origin->user;
		error = check_revoked(environment, identity);
	} else {
		error = sign_in_by_connect(environment, origin, connect, identity);
	}
	if (origin->client_id.size != 0)
		identity->client_id_is_meant = true;
	return error;
}

/* Stops a user from taking another user's client id, and its session with it. Assigned ids always fit the pattern. */
static enum error check_client_id(const struct sign_in_environment *environment, const struct identity *identity)
{
	struct slice pattern = slice_string(environment->settings->access.client_id_pattern);
	if (pattern.size == 0 || identity->client_id_is_meant || identity->client_id.size == 0)
		return ERROR_OK;
	return client_id_pattern_allows(pattern, identity->user, identity->client_id) ? ERROR_OK : ERROR_CLIENT_ID_USER;
}

/* A will that the client may not publish is refused now rather than dropped later [MQTT-3.1.2-8]. */
static enum error check_will(const struct sign_in_environment *environment, const struct mqtt_connect *connect,
			     const struct identity *identity)
{
	if (!connect->has_will || environment->acl == NULL)
		return ERROR_OK;
	struct acl_identity who = {identity->client_id, identity->user};
	return acl_check(environment->acl, identity->permissions, &who, ACL_PUBLISH, connect->will.topic)
		       ? ERROR_OK
		       : ERROR_PUBLISH_DENIED;
}

/* Copies the will's properties except the delay, which is no property of the message [3.1.3.2.2]. Returns their size;
 * out may be NULL. */
static size_t copy_will_properties(struct slice properties, uint8_t *out)
{
	size_t size = 0;
	struct mqtt_property property;
	struct slice rest = properties;
	while (rest.size != 0) {
		const uint8_t *begin = rest.data;
		enum error error = mqtt_property_next(&rest, &property);
		CHECK_EQ(error, ERROR_OK); /* mqtt_connect_decode() has read them all */
		size_t length = (size_t)(rest.data - begin);
		if (property.id == MQTT_PROPERTY_WILL_DELAY)
			continue;
		if (out != NULL)
			memcpy(out + size, begin, length);
		size += length;
	}
	return size;
}

/* Encodes the will as the PUBLISH that it will become. */
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
		.packet_id = 1, /* never read; each delivery gets its own */
	};
	size_t properties_bytes = copy_will_properties(connect->will.properties, NULL);
	uint8_t *properties = malloc(properties_bytes + 1);
	if (properties == NULL)
		return ERROR_NO_MEMORY;
	size_t copied_bytes = copy_will_properties(connect->will.properties, properties);
	CHECK_EQ(copied_bytes, properties_bytes);
	publish.properties = slice_of(properties, properties_bytes);
	size_t size = mqtt_publish_size(&publish, connect->version);
	uint8_t *packet = malloc(size);
	if (packet != NULL) {
		*encoded = slice_of(packet, mqtt_publish_encode(&publish, connect->version, packet, size));
		CHECK_EQ(encoded->size, size);
	}
	free(properties);
	return packet != NULL ? ERROR_OK : ERROR_NO_MEMORY;
}

/* How long the session may outlive its connection [3.1.2.11.2]. Before version 5: for ever, unless it is clean. */
static uint32_t granted_expiry_s(const struct settings *settings, const struct mqtt_connect *connect, bool is_internal)
{
	uint32_t asked_s = connect->session_expiry_s;
	if (connect->version != MQTT_VERSION_5)
		asked_s = connect->clean_start ? 0 : UINT32_MAX;
	if (is_internal)
		return asked_s;
	return asked_s < settings->session_expiry_max_s ? asked_s : settings->session_expiry_max_s;
}

/* Only version 5 clients can be told a keepalive other than they asked for [3.2.2.3.14]. */
static uint16_t granted_keepalive_s(const struct settings *settings, const struct mqtt_connect *connect,
				    bool is_internal)
{
	uint32_t most_s = settings->keepalive_max_s;
	bool bounded = connect->version == MQTT_VERSION_5 && most_s != 0 && !is_internal &&
		       (connect->keepalive_s == 0 || connect->keepalive_s > most_s);
	return bounded ? (uint16_t)most_s : connect->keepalive_s;
}

/* Copies the texts behind the struct, in the order that struct admission documents. */
static void copy_parts(struct admission *admission, struct slice rules, struct slice id, struct slice will,
		       struct slice rest, struct slice user, struct slice token)
{
	const struct slice PARTS[] = {rules, id, will, rest, user, token};
	uint8_t *at = admission->bytes;
	for (size_t i = 0; i < sizeof(PARTS) / sizeof(PARTS[0]); i++) {
		if (PARTS[i].data != NULL)
			memcpy(at, PARTS[i].data, PARTS[i].size);
		at += PARTS[i].size;
	}
}

static uint32_t expires_in_s(const struct sign_in_environment *environment, const struct identity *identity)
{
	if (identity->expires_s == CLAIM_NEVER)
		return ADMISSION_NEVER_S;
	/* The leeway that let a client in also counts for its end: else it would be ended at once. */
	int64_t left_s = identity->expires_s + environment->settings->access.token_leeway_s - environment->wall_s;
	if (left_s < 0)
		return 0;
	return left_s < (int64_t)ADMISSION_NEVER_S ? (uint32_t)left_s : ADMISSION_NEVER_S - 1;
}

static uint64_t hash_or_0(const struct sign_in_environment *environment, enum revocation_kind kind, struct slice text)
{
	return text.size != 0 ? revocation_hash(environment->key, kind, text) : 0;
}

static struct admission *admission_new(const struct sign_in_environment *environment,
				       const struct mqtt_connect *connect, const struct identity *identity,
				       struct slice id, struct slice will, struct slice rest)
{
	const struct settings *settings = environment->settings;
	struct slice rules = identity->permissions;
	bool is_internal = session_id_is_internal(id); /* check_reserved() */
	/* An MQTT string has at most 65535 bytes, and so has a text of a token (token_bytes_max). */
	CHECK_LE(id.size, UINT16_MAX);
	CHECK_LE(identity->user.size, UINT16_MAX);
	CHECK_LE(identity->token_id.size, UINT16_MAX);
	struct admission *admission = malloc(sizeof(*admission) + rules.size + id.size + will.size + rest.size +
					     identity->user.size + identity->token_id.size);
	if (admission == NULL)
		return NULL;
	*admission = (struct admission){
		.hash = hash_slice(environment->key, id),
		.token_hash = hash_or_0(environment, REVOCATION_TOKEN, identity->token_id),
		.user_hash = hash_or_0(environment, REVOCATION_USER, identity->user),
		.packet_bytes_max = connect->packet_bytes_max,
		.session_expiry_s = granted_expiry_s(settings, connect, is_internal),
		.expires_in_s = expires_in_s(environment, identity),
		.will_delay_s = connect->has_will ? connect->will.delay_s : 0,
		.rules_bytes = (uint32_t)rules.size,
		.will_bytes = (uint32_t)will.size,
		.rest_bytes = (uint32_t)rest.size,
		.user_bytes = (uint16_t)identity->user.size,
		.token_bytes = (uint16_t)identity->token_id.size,
		.keepalive_s = granted_keepalive_s(settings, connect, is_internal),
		.receive_max = connect->receive_max,
		.topic_alias_max = connect->topic_alias_max,
		.id_bytes = (uint16_t)id.size,
		.version = connect->version,
		.is_bridge = connect->is_bridge,
		.clean_start = connect->clean_start,
		.assigned_id = connect->client_id.size == 0, /* also if its token names the id [MQTT-3.2.2-16] */
		.wants_response_info = connect->request_response_info,
		.has_principal = (environment->acl != NULL && !is_internal) || identity->user.size != 0 ||
				 identity->token_id.size != 0 || identity->expires_s != CLAIM_NEVER,
		.has_rules = rules.data != NULL,
		.uses_auth = connect->auth_method.data != NULL,
	};
	admission->expiry_changed = admission->session_expiry_s != connect->session_expiry_s;
	admission->keepalive_changed = admission->keepalive_s != connect->keepalive_s;
	copy_parts(admission, rules, id, will, rest, identity->user, identity->token_id);
	CHECK_EQ(admission_bytes(admission), sizeof(*admission) + rules.size + id.size + will.size + rest.size +
						     identity->user.size + identity->token_id.size);
	return admission;
}

/* Makes an id that the user may have: the expanded pattern and, if that ends with '*', a random id. *made is on the
 * heap. ERROR_CLIENT_ID_LONG: it would be too long; ERROR_NO_MEMORY. */
static enum error assign_permitted_id(const struct sign_in_environment *environment, struct slice user, uint8_t **made,
				      size_t *size)
{
	struct slice pattern = slice_string(environment->settings->access.client_id_pattern);
	size_t room = environment->settings->client_id_bytes_max;
	char random[ASSIGNED_ID_BYTES + 1];
	bool open = true;
	*size = 0;
	uint8_t *id = malloc(room + ASSIGNED_ID_BYTES);
	if (id == NULL)
		return ERROR_NO_MEMORY;
	/* A client without a user name gets a random id. */
	bool by_pattern = pattern.size != 0 && user.size != 0;
	if (by_pattern && !client_id_pattern_expand(pattern, user, id, room, size, &open)) {
		free(id);
		return ERROR_CLIENT_ID_LONG;
	}
	/* An id is an MQTT string of at most 65535 bytes [1.5.4]. */
	if (open && *size > UINT16_MAX - ASSIGNED_ID_BYTES) {
		free(id);
		return ERROR_CLIENT_ID_LONG;
	}
	if (open) {
		assign_id(random);
		memcpy(id + *size, random, ASSIGNED_ID_BYTES);
		*size += ASSIGNED_ID_BYTES;
	}
	*made = id;
	return ERROR_OK;
}

/* Whoever has such an id gets what is kept for a rule. An id comes from CONNECT, a certificate or a token, or is made
 * from the user's name: this is where all of them have come to. */
static enum error check_reserved(const struct handshake_origin *origin, struct slice id)
{
	return session_id_is_internal(id) == origin->is_internal ? ERROR_OK : ERROR_CLIENT_ID_RESERVED;
}

static enum error handshake_admit(const struct sign_in_environment *environment, const struct handshake_origin *origin,
				  const struct mqtt_connect *connect, const struct identity *identity,
				  struct slice rest, struct admission **admission)
{
	struct slice id = identity->client_id;
	uint8_t *assigned = NULL;
	enum error error = ERROR_OK;
	if (id.size == 0)
		error = assign_permitted_id(environment, identity->user, &assigned, &id.size);
	if (error != ERROR_OK)
		return error;
	if (assigned != NULL)
		id.data = assigned;
	struct slice will;
	error = check_reserved(origin, id);
	if (error == ERROR_OK)
		error = encode_will(connect, &will);
	if (error == ERROR_OK) {
		*admission = admission_new(environment, connect, identity, id, will, rest);
		free((void *)(uintptr_t)will.data);
	}
	free(assigned);
	if (error != ERROR_OK)
		return error;
	return *admission != NULL ? ERROR_OK : ERROR_NO_MEMORY;
}

static bool handshake_begins_with(struct slice bytes, const char *text, size_t size)
{
	return bytes.size >= size && memcmp(bytes.data, text, size) == 0;
}

/* Recognises other protocols by their first bytes, so that the log names what was sent to the wrong port rather than
 * saying that it is not MQTT. */
static enum error other_protocol(struct slice bytes)
{
	static const struct {
		const char *text;
		uint8_t size;
		enum error error;
	} BEGINNINGS[] = {
		{"\x16\x03", 2, ERROR_TLS_UNEXPECTED}, /* a TLS handshake record, of any version since SSL 3 */
		{"GET ", 4, ERROR_HTTP_UNEXPECTED},
		{"HEAD ", 5, ERROR_HTTP_UNEXPECTED},
		{"POST ", 5, ERROR_HTTP_UNEXPECTED},
		{"PUT ", 4, ERROR_HTTP_UNEXPECTED},
		{"OPTIONS ", 8, ERROR_HTTP_UNEXPECTED},
		{"CONNECT ", 8, ERROR_HTTP_UNEXPECTED},
		{"PRI * HTTP/2", 12, ERROR_HTTP_UNEXPECTED},
		{"PROXY ", 6, ERROR_PROXY_UNEXPECTED},
		{"\r\n\r\n\0\r\nQUIT\n", 12, ERROR_PROXY_UNEXPECTED},
	};
	for (size_t i = 0; i < sizeof(BEGINNINGS) / sizeof(BEGINNINGS[0]); i++)
		if (handshake_begins_with(bytes, BEGINNINGS[i].text, BEGINNINGS[i].size))
			return BEGINNINGS[i].error;
	return ERROR_OK;
}

static size_t connect_bytes_limit(const struct settings *settings)
{
	return settings->connect_bytes_max < settings->packet_bytes_max ? settings->connect_bytes_max
									: settings->packet_bytes_max;
}

enum error handshake_read(const struct sign_in_environment *environment, const struct handshake_origin *origin,
			  struct slice bytes, struct admission **admission, size_t *packet_bytes, uint8_t *version)
{
	const struct settings *settings = environment->settings;
	*packet_bytes = 0;
	*version = 0;
	struct mqtt_header header;
	enum error error = other_protocol(bytes);
	if (error != ERROR_OK)
		return error;
	error = mqtt_header_decode(bytes.data, bytes.size, &header);
	/* The packet type is checked first: the length of what is no CONNECT may never arrive [MQTT-3.1.0-1]. */
	if (bytes.size != 0 && bytes.data[0] >> 4 != MQTT_CONNECT)
		return ERROR_NOT_CONNECT;
	if (error == ERROR_OK)
		error = mqtt_header_check(header);
	if (error != ERROR_OK)
		return error;
	CHECK_LE(header.header_bytes, bytes.size);
	*packet_bytes = (size_t)header.header_bytes + header.body_bytes;
	*version = mqtt_connect_version(
		slice_of(bytes.data + header.header_bytes, bytes.size - (size_t)header.header_bytes));
	if (*packet_bytes > connect_bytes_limit(settings))
		return ERROR_CONNECT_TOO_LARGE;
	if (bytes.size < *packet_bytes)
		return ERROR_MORE;

	struct mqtt_connect connect;
	error = mqtt_connect_decode(slice_of(bytes.data + header.header_bytes, header.body_bytes), &connect);
	*version = connect.version;
	if (error == ERROR_OK && !origin->is_internal)
		error = environment->refusal;
	if (error == ERROR_OK)
		error = check_connect(environment, &connect);
	struct identity identity = {0};
	if (error == ERROR_OK)
		error = authenticate(environment, origin, &connect, &identity);
	if (error == ERROR_OK)
		error = check_client_id(environment, &identity);
	if (error == ERROR_OK)
		error = check_will(environment, &connect, &identity);
	if (error != ERROR_OK)
		return error;
	struct slice rest = slice_of(bytes.data + *packet_bytes, bytes.size - *packet_bytes);
	return handshake_admit(environment, origin, &connect, &identity, rest, admission);
}

/* Some reason codes are allowed in DISCONNECT only, and some errors are no refusal [3.2.2.2]. */
static uint8_t connack_reason_of(enum error error)
{
	uint8_t reason = (uint8_t)mqtt_reason_of(error);
	bool refuses = reason >= MQTT_REASON_UNSPECIFIED_ERROR && mqtt_reason_allowed(reason, MQTT_CONNACK, true);
	return refuses ? reason : MQTT_REASON_SERVER_UNAVAILABLE;
}

uint32_t handshake_retry_ms(enum error reason)
{
	switch (reason) {
	case ERROR_OVERLOADED:
	case ERROR_SERVER_FULL:
	case ERROR_REVOCATIONS_AWAY:
	case ERROR_HANDSHAKE_BYTES:
	case ERROR_PASSWORD_QUEUE:
	case ERROR_AUTHORITY_AWAY:
	case ERROR_AUTHORITY_QUEUE:
		return overload_retry_ms(RETRY_MS_MIN, randombytes_random());
	default:
		return 0;
	}
}

size_t handshake_refusal(enum error reason, const char *server_reference, uint8_t version, uint32_t retry_ms,
			 uint8_t *out)
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
		connack.server_reference = slice_string(server_reference);
		return mqtt_connack_encode(&connack, MQTT_VERSION_5, out, REFUSAL_BYTES_MAX);
	}
	/* An unknown version gets the answer in its oldest form [MQTT-3.1.2-2 of 3.1.1]. */
	connack.reason = mqtt_return_code_of(reason);
	if (connack.reason == 0 || (version == 0 && reason != ERROR_PROTOCOL_LEVEL))
		return 0;
	return mqtt_connack_encode(&connack, MQTT_VERSION_3_1_1, out, REFUSAL_BYTES_MAX);
}
