#include "bench/client/packets.h"

#include "base/check.h"
#include "mqtt/encode.h"

#define NUMBER_DIGITS_MAX 10u

size_t client_name(const char *prefix, uint32_t number, uint8_t *out)
{
	uint8_t digits[NUMBER_DIGITS_MAX];
	size_t count = 0;
	size_t size = strlen(prefix);
	CHECK(size <= CLIENT_PREFIX_BYTES_MAX);
	memcpy(out, prefix, size);
	do {
		digits[count++] = (uint8_t)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	while (count > 0)
		out[size++] = digits[--count];
	return size;
}

/* out holds two prefixes and the digits. */
static size_t topic_name(const struct client_plan *plan, uint32_t number, uint8_t *out)
{
	size_t size = strlen(plan->topic_prefix);
	size_t suffix_size = plan->topic_suffix != NULL ? strlen(plan->topic_suffix) : 0;
	CHECK(size <= CLIENT_PREFIX_BYTES_MAX && suffix_size <= CLIENT_PREFIX_BYTES_MAX);
	if (plan->topic_fixed)
		memcpy(out, plan->topic_prefix, size);
	else
		size = client_name(plan->topic_prefix, number, out);
	memcpy(out + size, suffix_size > 0 ? plan->topic_suffix : "", suffix_size);
	return size + suffix_size;
}

size_t client_filter_encode(const struct client_plan *plan, struct slice filter, uint8_t *out, size_t out_size)
{
	struct mqtt_subscription subscription = {.filter = filter, .qos = plan->qos};
	size_t size = mqtt_subscribe_encode(1, 0, &subscription, 1, plan->version, out, out_size);
	CHECK(size > 0);
	return size;
}

size_t client_subscribe_encode(const struct client_plan *plan, uint32_t topic, uint8_t *out, size_t out_size)
{
	uint8_t filter[sizeof(CLIENT_SHARE_PREFIX) + 2 * CLIENT_PREFIX_BYTES_MAX + NUMBER_DIGITS_MAX];
	size_t prefix_size = (topic & CLIENT_TOPIC_SHARED) != 0 ? sizeof(CLIENT_SHARE_PREFIX) - 1 : 0;
	memcpy(filter, CLIENT_SHARE_PREFIX, prefix_size);
	size_t name_size = topic_name(plan, topic & ~CLIENT_TOPIC_SHARED, filter + prefix_size);
	return client_filter_encode(plan, slice_of(filter, prefix_size + name_size), out, out_size);
}

size_t client_greeting_encode(const struct client_plan *plan, uint32_t number, uint32_t topic, uint8_t *out)
{
	uint8_t name[CLIENT_PREFIX_BYTES_MAX + NUMBER_DIGITS_MAX];
	uint8_t password[CREDENTIALS_PASSWORD_BYTES_MAX];
	struct mqtt_connect connect = {
		.client_id = slice_of(name, client_name(plan->client_prefix, number, name)),
		.packet_bytes_max = MQTT_BODY_BYTES_MAX + MQTT_HEADER_BYTES_MAX,
		.receive_max = UINT16_MAX,
		.keepalive_s = plan->keepalive_s,
		.version = plan->version,
		.clean_start = plan->session_expiry_s == 0,
		.session_expiry_s = plan->session_expiry_s,
		.request_problem_info = true,
	};
	if (plan->credentials != NULL) {
		connect.has_user_name = connect.has_password = true;
		connect.user_name = slice_string(plan->credentials->user_name);
		connect.password = slice_of(
			password, credentials_password(plan->credentials, number, connect.client_id, password));
	}
	size_t size = mqtt_connect_encode(&connect, out, CLIENT_GREETING_BYTES_MAX);
	CHECK(size > 0);
	if (topic != CLIENT_NO_TOPIC)
		size += client_subscribe_encode(plan, topic, out + size, CLIENT_GREETING_BYTES_MAX - size);
	return size;
}
