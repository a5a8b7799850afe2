/* The bench's packet identifiers: never in use twice, acknowledged in any order, and only if they are in flight. */
#include "bench/measure/inflight.h"

#include "mqtt/packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct inflight open_inflight(uint32_t window)
{
	struct inflight inflight;
	assert_true(inflight_open(&inflight, window));
	return inflight;
}

static void test_qos_1_waits_for_puback(void **state)
{
	(void)state;
	struct inflight inflight = open_inflight(2);
	assert_int_equal(inflight_room(&inflight), 2);
	assert_int_equal(inflight_take(&inflight, 1), 1);
	assert_int_equal(inflight_take(&inflight, 1), 2);
	assert_int_equal(inflight_room(&inflight), 0);
	assert_false(inflight_answer(&inflight, MQTT_PUBREC, 1));
	assert_false(inflight_answer(&inflight, MQTT_PUBCOMP, 1));
	assert_true(inflight_answer(&inflight, MQTT_PUBACK, 1));
	assert_false(inflight_answer(&inflight, MQTT_PUBACK, 1));
	assert_int_equal(inflight_room(&inflight), 1);
	assert_int_equal(inflight_take(&inflight, 1), 3);
	inflight_close(&inflight);
}

static void test_qos_2_waits_for_pubrec_then_pubcomp(void **state)
{
	(void)state;
	struct inflight inflight = open_inflight(1);
	assert_int_equal(inflight_take(&inflight, 2), 1);
	assert_false(inflight_answer(&inflight, MQTT_PUBACK, 1));
	assert_false(inflight_answer(&inflight, MQTT_PUBCOMP, 1));
	assert_true(inflight_answer(&inflight, MQTT_PUBREC, 1));
	assert_false(inflight_answer(&inflight, MQTT_PUBREC, 1));
	assert_int_equal(inflight_room(&inflight), 0);
	assert_true(inflight_answer(&inflight, MQTT_PUBCOMP, 1));
	assert_int_equal(inflight_room(&inflight), 1);
	inflight_close(&inflight);
}

/* The window begins at the oldest unacknowledged message: acknowledgements behind it make no room yet. */
static void test_any_order_is_taken(void **state)
{
	(void)state;
	struct inflight inflight = open_inflight(3);
	for (uint16_t id = 1; id <= 3; id++)
		assert_int_equal(inflight_take(&inflight, 1), id);
	assert_true(inflight_answer(&inflight, MQTT_PUBACK, 3));
	assert_true(inflight_answer(&inflight, MQTT_PUBACK, 2));
	assert_int_equal(inflight_room(&inflight), 0);
	assert_true(inflight_answer(&inflight, MQTT_PUBACK, 1));
	assert_int_equal(inflight_room(&inflight), 3);
	inflight_close(&inflight);
}

static void test_what_nothing_waits_for_is_refused(void **state)
{
	(void)state;
	struct inflight inflight = open_inflight(4);
	assert_false(inflight_answer(&inflight, MQTT_PUBACK, 1));
	inflight_take(&inflight, 1);
	assert_false(inflight_answer(&inflight, MQTT_PUBACK, 0));
	assert_false(inflight_answer(&inflight, MQTT_PUBACK, 2));
	assert_false(inflight_answer(&inflight, MQTT_PUBACK, UINT16_MAX));
	assert_false(inflight_answer(&inflight, MQTT_SUBACK, 1));
	assert_int_equal(inflight_room(&inflight), 3);
	inflight_close(&inflight);
}

/* Identifiers wrap at 65535 and are never 0. */
static void test_identifiers_go_round(void **state)
{
	(void)state;
	struct inflight inflight = open_inflight(7);
	uint16_t expected = 0;
	for (uint32_t i = 0; i < 3 * 65536; i++) {
		expected = expected == UINT16_MAX ? 1 : (uint16_t)(expected + 1);
		if (inflight_room(&inflight) == 0)
			assert_true(inflight_answer(&inflight, MQTT_PUBACK,
						    expected > 7 ? (uint16_t)(expected - 7)
								 : (uint16_t)(expected + UINT16_MAX - 7)));
		assert_int_equal(inflight_take(&inflight, 1), expected);
	}
	inflight_close(&inflight);
}

static void test_messages_are_found_by_their_identifiers(void **state)
{
	(void)state;
	struct inflight inflight = open_inflight(4);
	uint64_t number = 0;
	for (int i = 0; i < 3; i++)
		inflight_take(&inflight, 2);
	assert_false(inflight_find(&inflight, 0, &number));
	assert_false(inflight_find(&inflight, 4, &number));
	assert_true(inflight_find(&inflight, 2, &number));
	assert_int_equal(number, 1);
	assert_int_equal(inflight_packet_id(number), 2);
	/* A message that the server refuses is not in flight any more, and the window moves on. */
	inflight_drop(&inflight, 1);
	assert_false(inflight_find(&inflight, 2, &number));
	assert_int_equal(inflight_room(&inflight), 1);
	inflight_drop(&inflight, 0);
	assert_int_equal(inflight_room(&inflight), 3);
	inflight_close(&inflight);
}

static void test_largest_window(void **state)
{
	(void)state;
	struct inflight inflight = open_inflight(INFLIGHT_WINDOW_MAX);
	for (uint32_t id = 1; id <= INFLIGHT_WINDOW_MAX; id++)
		assert_int_equal(inflight_take(&inflight, 1), id);
	assert_int_equal(inflight_room(&inflight), 0);
	for (uint32_t id = INFLIGHT_WINDOW_MAX; id > 0; id--)
		assert_true(inflight_answer(&inflight, MQTT_PUBACK, (uint16_t)id));
	assert_int_equal(inflight_room(&inflight), INFLIGHT_WINDOW_MAX);
	inflight_close(&inflight);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_qos_1_waits_for_puback),
		cmocka_unit_test(test_qos_2_waits_for_pubrec_then_pubcomp),
		cmocka_unit_test(test_any_order_is_taken),
		cmocka_unit_test(test_what_nothing_waits_for_is_refused),
		cmocka_unit_test(test_identifiers_go_round),
		cmocka_unit_test(test_messages_are_found_by_their_identifiers),
		cmocka_unit_test(test_largest_window),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
