/* Good packets decode; cut at any byte they are refused, and with any byte changed they are at least survived. Each
 * try is a block of exactly its size, so that a sanitizer sees a read past its end. */
#include "cases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_good_packets_decode(void **state)
{
	(void)state;
	for (size_t i = 0; i < MQTT_GOOD_COUNT; i++) {
		const struct mqtt_case *which = &MQTT_GOOD[i];
		struct slice body = case_bytes(which->body);
		enum error error = case_decode(which, body);
		if (error != ERROR_OK)
			fail_msg("%s (%s): %s", which->name, which->body, error_name(error));
		free((void *)body.data);
	}
}

static enum error decode_copy(const struct mqtt_case *which, struct slice bytes)
{
	uint8_t *copy = block_new(bytes.size);
	if (bytes.size > 0)
		memcpy(copy, bytes.data, bytes.size);
	enum error error = case_decode(which, slice_of(copy, bytes.size));
	free(copy);
	return error;
}

static void cut_at(const struct mqtt_case *which, struct slice body, size_t size)
{
	bool good = size < 64 && (which->good_cuts & GOOD_CUT(size)) != 0;
	enum error error = decode_copy(which, slice_of(body.data, size));
	if (good != (error == ERROR_OK))
		fail_msg("%s (%s): its first %zu bytes give %s", which->name, which->body, size, error_name(error));
}

static void test_each_cut_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < MQTT_GOOD_COUNT; i++) {
		struct slice body = case_bytes(MQTT_GOOD[i].body);
		for (size_t size = 0; size < body.size; size++)
			cut_at(&MQTT_GOOD[i], body, size);
		free((void *)body.data);
	}
}

static void test_each_further_byte_is_refused_or_payload(void **state)
{
	(void)state;
	for (size_t i = 0; i < MQTT_GOOD_COUNT; i++) {
		struct slice body = case_bytes(MQTT_GOOD[i].body);
		uint8_t *longer = block_new(body.size + 1);
		if (body.size > 0)
			memcpy(longer, body.data, body.size);
		longer[body.size] = 0xFE;
		bool is_payload = MQTT_GOOD[i].type == MQTT_PUBLISH;
		enum error error = case_decode(&MQTT_GOOD[i], slice_of(longer, body.size + 1));
		if (is_payload != (error == ERROR_OK))
			fail_msg("%s: one byte more gives %s", MQTT_GOOD[i].name, error_name(error));
		free(longer);
		free((void *)body.data);
	}
}

static void test_each_changed_byte_is_survived(void **state)
{
	(void)state;
	for (size_t i = 0; i < MQTT_GOOD_COUNT; i++) {
		struct slice body = case_bytes(MQTT_GOOD[i].body);
		uint8_t *changed = (uint8_t *)body.data;
		for (size_t at = 0; at < body.size; at++) {
			for (unsigned by = 1; by < 256; by++) {
				changed[at] ^= (uint8_t)by;
				case_decode(&MQTT_GOOD[i], body);
				changed[at] ^= (uint8_t)by;
			}
		}
		free((void *)body.data);
	}
}

/* A packet in the wrong version, from the wrong side or of the wrong type. */
static void test_each_packet_as_every_other_is_survived(void **state)
{
	(void)state;
	for (size_t i = 0; i < MQTT_GOOD_COUNT; i++) {
		struct slice body = case_bytes(MQTT_GOOD[i].body);
		for (size_t j = 0; j < MQTT_GOOD_COUNT; j++)
			decode_copy(&MQTT_GOOD[j], body);
		free((void *)body.data);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_packets_decode),
		cmocka_unit_test(test_each_cut_is_refused),
		cmocka_unit_test(test_each_further_byte_is_refused_or_payload),
		cmocka_unit_test(test_each_changed_byte_is_survived),
		cmocka_unit_test(test_each_packet_as_every_other_is_survived),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
