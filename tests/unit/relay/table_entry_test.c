/* What the table of connected clients makes of a presence event, and says of a client. */
#include "relay/table/table_entry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COMING                                                                                                         \
	"{\"client\":\"a\\u0022\\\\\",\"user\":\"\xc3\xa4\\u0001\",\"time\":1790000000,\"time_ms\":1790000000123,"     \
	"\"node\":\"n\",\"version\":5,\"keepalive\":60,\"address\":\"[2001:db8::1]:5\",\"transport\":\"wss\"}"

static void read_text(const char *topic, const char *text, uint8_t payload[1024], struct table_event *event)
{
	size_t size = strlen(text);
	assert_true(size <= 1024);
	memcpy(payload, text, size);
	table_event_read(slice_string(topic), payload, size, event);
}

static void assert_text(struct slice text, const char *expected)
{
	assert_int_equal(text.size, strlen(expected));
	assert_memory_equal(text.data, expected, text.size);
}

static void test_coming(void **state)
{
	(void)state;
	uint8_t payload[1024];
	struct table_event event;
	struct bytes json = {0};
	read_text(TABLE_TOPIC_COMES, COMING, payload, &event);
	assert_int_equal(event.change, TABLE_COMES);
	assert_text(event.client, "a\"\\");
	table_entry_write(&event.entry, &json);
	assert_text(bytes_slice(&json), "{\"since_ms\":1790000000123,\"version\":5,\"transport\":\"wss\","
					"\"address\":\"[2001:db8::1]:5\",\"user\":\"\xc3\xa4\\u0001\"}");
	bytes_free(&json);
}

static void test_going(void **state)
{
	(void)state;
	uint8_t payload[1024];
	struct table_event event;
	read_text(TABLE_TOPIC_GOES, "{\"client\":\"c\",\"reason\":\"PEER_DEAD\"}", payload, &event);
	assert_int_equal(event.change, TABLE_GOES);
	assert_text(event.client, "c");
}

static void test_what_is_left_out(void **state)
{
	(void)state;
	const struct table_entry entry = {.since_ms = 1, .version = 4, .transport = slice_string("unix")};
	struct bytes json = {0};
	table_entry_write(&entry, &json);
	assert_text(bytes_slice(&json), "{\"since_ms\":1,\"version\":4,\"transport\":\"unix\"}");
	bytes_free(&json);
}

static void test_what_is_no_event(void **state)
{
	(void)state;
	static const char *const OTHERS[] = {"",
					     "{",
					     "[]",
					     "{}",
					     "{\"client\":7}",
					     "{\"client\":\"\"}",
					     "{\"client\":\"c\",\"client\":\"d\"}",
					     "{\"client\":\"c\"} "
					     "x"};
	uint8_t payload[1024];
	struct table_event event;
	for (size_t i = 0; i < sizeof(OTHERS) / sizeof(OTHERS[0]); i++) {
		read_text(TABLE_TOPIC_COMES, OTHERS[i], payload, &event);
		if (event.change != TABLE_NOTHING)
			fail_msg("\"%s\" was taken", OTHERS[i]);
	}
	read_text("$SYS/presence/session_ended", COMING, payload, &event);
	assert_int_equal(event.change, TABLE_NOTHING);
}

/* What is none of 64 bits counts as not there. */
static void test_numbers(void **state)
{
	(void)state;
	static const char *const NONE[] = {"-1", "1.5", "1e3", "99999999999999999999", "\"7\"", "null"};
	uint8_t payload[1024];
	char text[128];
	struct table_event event;
	for (size_t i = 0; i < sizeof(NONE) / sizeof(NONE[0]); i++) {
		snprintf(text, sizeof(text), "{\"client\":\"c\",\"time_ms\":%s}", NONE[i]);
		read_text(TABLE_TOPIC_COMES, text, payload, &event);
		assert_int_equal(event.change, TABLE_COMES);
		assert_int_equal(event.entry.since_ms, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coming),           cmocka_unit_test(test_going),
		cmocka_unit_test(test_what_is_left_out), cmocka_unit_test(test_what_is_no_event),
		cmocka_unit_test(test_numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
