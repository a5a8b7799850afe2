/* Every malformed packet is refused for the right reason, and every reason has a packet. */
#include "cases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_each_refused_packet_gives_its_error(void **state)
{
	(void)state;
	for (size_t i = 0; i < MQTT_REFUSED_COUNT; i++) {
		const struct mqtt_case *which = &MQTT_REFUSED[i];
		struct slice body = case_bytes(which->body);
		enum error error = case_decode(which, body);
		if (error != which->error)
			fail_msg("%s (%s): %s instead of %s", which->name, which->body, error_name(error),
				 error_name(which->error));
		free((void *)body.data);
	}
}

static bool is_tested(enum error error)
{
	for (size_t i = 0; i < MQTT_REFUSED_COUNT; i++)
		if (MQTT_REFUSED[i].error == error)
			return true;
	return false;
}

/* What a decoder of packets can give. Header, topic and filter checks have their own tests. */
static const enum error DECODER_ERRORS[] = {
	ERROR_LENGTH_MALFORMED,   ERROR_PACKET_TYPE,          ERROR_FLAGS_RESERVED,
	ERROR_PACKET_SHORT,       ERROR_PACKET_TRAILING,      ERROR_STRING_UTF8,
	ERROR_STRING_NUL,         ERROR_PROPERTY_UNKNOWN,     ERROR_PROPERTY_MISPLACED,
	ERROR_PROPERTY_DUPLICATE, ERROR_PROPERTY_VALUE,       ERROR_PROPERTY_LENGTH,
	ERROR_PROTOCOL_NAME,      ERROR_PROTOCOL_LEVEL,       ERROR_CONNECT_RESERVED,
	ERROR_WILL_QOS,           ERROR_WILL_RETAIN,          ERROR_WILL_TOPIC,
	ERROR_PASSWORD_ALONE,     ERROR_CLIENT_ID_EMPTY,      ERROR_AUTH_DATA_ALONE,
	ERROR_PUBLISH_QOS,        ERROR_PUBLISH_DUP,          ERROR_TOPIC_EMPTY,
	ERROR_TOPIC_WILDCARD,     ERROR_TOPIC_LEVELS,         ERROR_TOPIC_ALIAS,
	ERROR_RESPONSE_TOPIC,     ERROR_SUBSCRIPTION_ID_SENT, ERROR_PACKET_ID_ZERO,
	ERROR_SUBSCRIBE_EMPTY,    ERROR_UNSUBSCRIBE_EMPTY,    ERROR_SUBSCRIBE_OPTIONS,
	ERROR_SUBSCRIBE_QOS,      ERROR_SUBSCRIBE_NO_LOCAL,   ERROR_SUBSCRIBE_RETAIN_HANDLING,
	ERROR_REASON_CODE,        ERROR_SESSION_EXPIRY_SENT,  ERROR_AUTH_METHOD_MISSING,
	ERROR_CONNACK_FLAGS,      ERROR_CONNACK_SESSION,
};

static void test_each_error_of_the_decoders_has_a_packet(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(DECODER_ERRORS) / sizeof(DECODER_ERRORS[0]); i++)
		if (!is_tested(DECODER_ERRORS[i]))
			fail_msg("no packet gives %s", error_name(DECODER_ERRORS[i]));
}

static bool is_decoder_error(enum error error)
{
	for (size_t i = 0; i < sizeof(DECODER_ERRORS) / sizeof(DECODER_ERRORS[0]); i++)
		if (DECODER_ERRORS[i] == error)
			return true;
	return false;
}

static void test_no_packet_gives_an_error_that_is_not_listed(void **state)
{
	(void)state;
	for (size_t i = 0; i < MQTT_REFUSED_COUNT; i++)
		if (!is_decoder_error(MQTT_REFUSED[i].error))
			fail_msg("%s is not listed", error_name(MQTT_REFUSED[i].error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_refused_packet_gives_its_error),
		cmocka_unit_test(test_each_error_of_the_decoders_has_a_packet),
		cmocka_unit_test(test_no_packet_gives_an_error_that_is_not_listed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
