/* Reason codes [2.4] by packet and side, and what our errors become. */
#include "cases.h"

#include "mqtt/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mqtt/field/reason.h"

/* The tables of [3.2.2.2], [3.4.2.1], ... : every code that the packet may carry. */
static const struct {
	uint8_t type;
	bool from_server;
	const char *codes;
} ALLOWED[] = {
	{MQTT_CONNACK, true, "00 80 81 82 83 84 85 86 87 88 89 8A 8C 90 95 97 99 9A 9B 9C 9D 9F"},
	{MQTT_PUBACK, true, "00 10 80 83 87 90 91 97 99"},
	{MQTT_PUBREC, true, "00 10 80 83 87 90 91 97 99"},
	{MQTT_PUBREL, true, "00 92"},
	{MQTT_PUBCOMP, true, "00 92"},
	{MQTT_SUBACK, true, "00 01 02 80 83 87 8F 91 97 9E A1 A2"},
	{MQTT_UNSUBACK, true, "00 11 80 83 87 8F 91"},
	{MQTT_DISCONNECT, false, "00 04 80 81 82 83 90 93 94 95 96 97 98 99"},
	{MQTT_DISCONNECT, true,
	 "00 80 81 82 83 87 89 8B 8C 8D 8E 8F 90 93 94 95 96 97 98 99 9A 9B 9C 9D 9E 9F A0 A1 A2"},
	{MQTT_AUTH, false, "18 19"},
	{MQTT_AUTH, true, "00 18"},
	{MQTT_CONNECT, false, ""},
	{MQTT_PUBLISH, true, ""},
};

static void test_codes_are_allowed_by_packet_and_side(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(ALLOWED) / sizeof(ALLOWED[0]); i++) {
		struct slice codes = case_bytes(ALLOWED[i].codes);
		for (unsigned code = 0; code < 256; code++) {
			bool listed = codes.size > 0 && memchr(codes.data, (int)code, codes.size) != NULL;
			if (mqtt_reason_allowed((uint8_t)code, ALLOWED[i].type, ALLOWED[i].from_server) != listed)
				fail_msg("type %u, code %02X", ALLOWED[i].type, code);
		}
		free((void *)codes.data);
	}
}

static void test_names_are_the_standards(void **state)
{
	(void)state;
	assert_string_equal(mqtt_reason_name(MQTT_REASON_SUCCESS), "Success");
	assert_string_equal(mqtt_reason_name(MQTT_REASON_PACKET_TOO_LARGE), "Packet too large");
	assert_string_equal(mqtt_reason_name(MQTT_REASON_WILDCARDS_NOT_SUPPORTED),
			    "Wildcard Subscriptions not supported");
	assert_string_equal(mqtt_reason_name(0x03), "unknown");
	assert_string_equal(mqtt_reason_name(0x7F), "unknown");
	assert_string_equal(mqtt_reason_name(0xA3), "unknown");
	assert_string_equal(mqtt_reason_name(0xFF), "unknown");
}

static void test_every_error_has_a_code_that_a_server_may_send(void **state)
{
	(void)state;
	for (unsigned error = 0; error < ERROR_COUNT; error++) {
		uint8_t reason = (uint8_t)mqtt_reason_of((enum error)error);
		if (!mqtt_reason_allowed(reason, MQTT_DISCONNECT, true) &&
		    !mqtt_reason_allowed(reason, MQTT_CONNACK, true))
			fail_msg("%s: %02X", error_name((enum error)error), reason);
		assert_true(mqtt_return_code_of((enum error)error) <= 5);
	}
}

/* What no peer is told, or nothing more exact than this. A new error is here or has a code of its own. */
static const enum error UNSPECIFIED[] = {
	ERROR_MORE,         ERROR_PEER_DEAD,       ERROR_SYSTEM,           ERROR_TIMEOUT,
	ERROR_NOT_FOUND,    ERROR_CONNECTION_LOST, ERROR_PASSWORD_PENDING, ERROR_AUTHORITY_PENDING,
	ERROR_NODE_SESSION,
};

static void test_every_other_error_has_a_code_of_its_own(void **state)
{
	(void)state;
	for (unsigned error = 0; error < ERROR_COUNT; error++) {
		/* Below MQTT nobody is told in MQTT's words. */
		bool unspecified = error >= ERROR_PROXY_MISSING && error < ERROR_CERTIFICATE_CLIENT_ID;
		for (size_t i = 0; i < sizeof(UNSPECIFIED) / sizeof(UNSPECIFIED[0]); i++)
			unspecified = unspecified || UNSPECIFIED[i] == (enum error)error;
		if ((mqtt_reason_of((enum error)error) == MQTT_REASON_UNSPECIFIED_ERROR) != unspecified)
			fail_msg("%s has no place in the table", error_name((enum error)error));
	}
}

/* A session may end for any of them [3.14.2.1]; a reason that is CONNACK's alone has another word there. */
static void test_credentials_have_other_words_in_disconnect(void **state)
{
	(void)state;
	static const struct {
		enum error error;
		enum mqtt_reason reason;
	} SAID[] = {
		{ERROR_TOKEN_SIGNATURE, MQTT_REASON_NOT_AUTHORIZED},
		{ERROR_PASSWORD_WRONG, MQTT_REASON_NOT_AUTHORIZED},
		{ERROR_TOKEN_EXPIRED, MQTT_REASON_NOT_AUTHORIZED},
		{ERROR_TOKEN_REVOKED, MQTT_REASON_NOT_AUTHORIZED},
		{ERROR_USER_REVOKED, MQTT_REASON_ADMINISTRATIVE_ACTION},
		{ERROR_CLIENT_REVOKED, MQTT_REASON_ADMINISTRATIVE_ACTION},
		{ERROR_KEEPALIVE_TIMEOUT, MQTT_REASON_KEEP_ALIVE_TIMEOUT},
		{ERROR_SERVER_STOPPING, MQTT_REASON_SERVER_SHUTTING_DOWN},
	};
	for (size_t i = 0; i < sizeof(SAID) / sizeof(SAID[0]); i++) {
		enum mqtt_reason reason = mqtt_disconnect_reason_of(SAID[i].error);
		assert_int_equal(reason, SAID[i].reason);
		assert_true(mqtt_reason_allowed((uint8_t)reason, MQTT_DISCONNECT, true));
	}
}

static const struct {
	enum error error;
	enum mqtt_reason reason;
	uint8_t return_code;
} MAPPED[] = {
	{ERROR_OK, MQTT_REASON_SUCCESS, 0},
	{ERROR_CLOSED_BY_CLIENT, MQTT_REASON_SUCCESS, 0},
	{ERROR_STRING_UTF8, MQTT_REASON_MALFORMED_PACKET, 0},
	{ERROR_PROPERTY_DUPLICATE, MQTT_REASON_PROTOCOL_ERROR, 0},
	{ERROR_PROTOCOL_LEVEL, MQTT_REASON_UNSUPPORTED_PROTOCOL_VERSION, 1},
	{ERROR_PROTOCOL_NAME, MQTT_REASON_UNSUPPORTED_PROTOCOL_VERSION, 0},
	{ERROR_CLIENT_ID_EMPTY, MQTT_REASON_CLIENT_ID_NOT_VALID, 2},
	{ERROR_SERVER_FULL, MQTT_REASON_SERVER_BUSY, 3},
	{ERROR_SERVER_STOPPING, MQTT_REASON_SERVER_SHUTTING_DOWN, 3},
	{ERROR_NOT_AUTHORIZED, MQTT_REASON_NOT_AUTHORIZED, 5},
	{ERROR_PACKET_TOO_LARGE, MQTT_REASON_PACKET_TOO_LARGE, 0},
	{ERROR_TOPIC_ALIAS, MQTT_REASON_TOPIC_ALIAS_INVALID, 0},
	{ERROR_TOPIC_ALIAS_UNKNOWN, MQTT_REASON_PROTOCOL_ERROR, 0},
	{ERROR_PAYLOAD_FORMAT, MQTT_REASON_PAYLOAD_FORMAT_INVALID, 0},
	{ERROR_RECEIVE_MAX, MQTT_REASON_RECEIVE_MAXIMUM_EXCEEDED, 0},
	{ERROR_TOPIC_RESERVED, MQTT_REASON_NOT_AUTHORIZED, 5},
	{ERROR_KEEPALIVE_TIMEOUT, MQTT_REASON_KEEP_ALIVE_TIMEOUT, 0},
	{ERROR_ADMINISTRATIVE, MQTT_REASON_ADMINISTRATIVE_ACTION, 0},
	{ERROR_TAKEN_OVER, MQTT_REASON_SESSION_TAKEN_OVER, 0},
	{ERROR_TOKEN_SIGNATURE, MQTT_REASON_BAD_USER_NAME_OR_PASSWORD, 4},
	{ERROR_PASSWORD_WRONG, MQTT_REASON_BAD_USER_NAME_OR_PASSWORD, 4},
	{ERROR_TOKEN_EXPIRED, MQTT_REASON_NOT_AUTHORIZED, 5},
	{ERROR_TOKEN_REVOKED, MQTT_REASON_NOT_AUTHORIZED, 5},
	{ERROR_USER_REVOKED, MQTT_REASON_BANNED, 5},
	{ERROR_SUBSCRIBE_DENIED, MQTT_REASON_NOT_AUTHORIZED, 5},
};

static void test_errors_become_codes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(MAPPED) / sizeof(MAPPED[0]); i++) {
		assert_int_equal(mqtt_reason_of(MAPPED[i].error), MAPPED[i].reason);
		assert_int_equal(mqtt_return_code_of(MAPPED[i].error), MAPPED[i].return_code);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_codes_are_allowed_by_packet_and_side),
		cmocka_unit_test(test_names_are_the_standards),
		cmocka_unit_test(test_every_error_has_a_code_that_a_server_may_send),
		cmocka_unit_test(test_every_other_error_has_a_code_of_its_own),
		cmocka_unit_test(test_errors_become_codes),
		cmocka_unit_test(test_credentials_have_other_words_in_disconnect),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
