/* Topic names, topic filters and how they match [4.7, 4.8.2]. */
#include "cases.h"

#include "mqtt/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mqtt/field/topic.h"

static const struct {
	const char *topic;
	enum error error;
} TOPICS[] = {
	{"a", ERROR_OK},
	{"/", ERROR_OK},
	{"//", ERROR_OK},
	{"Accounts payable", ERROR_OK},
	{"$SYS/a", ERROR_OK},
	{"a/very/long/topic/name/of/many/levels", ERROR_OK},
	{"", ERROR_TOPIC_EMPTY},
	{"+", ERROR_TOPIC_WILDCARD},
	{"#", ERROR_TOPIC_WILDCARD},
	{"a+", ERROR_TOPIC_WILDCARD},
	{"sport/tennis/player1/#", ERROR_TOPIC_WILDCARD},
	{"\xc3\xa9+", ERROR_TOPIC_WILDCARD},
	{"12345678\xc3\xa9"
	 "4567#",
	 ERROR_TOPIC_WILDCARD},
	/* neighbours of the wildcards and of the separator, and each with its high bit set in a character */
	{"*,\"$.0", ERROR_OK},
	{"\xe2\xab\xa3\xc2\xab\xc2\xa3\xc2\xaf", ERROR_OK},
};

static void test_topics_are_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(TOPICS) / sizeof(TOPICS[0]); i++)
		if (mqtt_topic_check(slice_string(TOPICS[i].topic)) != TOPICS[i].error)
			fail_msg("%s", TOPICS[i].topic);
}

static const struct {
	const char *filter;
	enum error error;
} FILTERS[] = {
	/* the examples of [4.7.1] */
	{"sport/tennis/player1/#", ERROR_OK},
	{"sport/#", ERROR_OK},
	{"#", ERROR_OK},
	{"sport/tennis/#", ERROR_OK},
	{"sport/tennis#", ERROR_FILTER_MALFORMED},
	{"sport/tennis/#/ranking", ERROR_FILTER_MALFORMED},
	{"sport/tennis/+", ERROR_OK},
	{"sport/+/player1", ERROR_OK},
	{"+", ERROR_OK},
	{"+/tennis/#", ERROR_OK},
	{"sport+", ERROR_FILTER_MALFORMED},
	/* more */
	{"/", ERROR_OK},
	{"/+/", ERROR_OK},
	{"a", ERROR_OK},
	{"", ERROR_TOPIC_EMPTY},
	{"#/", ERROR_FILTER_MALFORMED},
	{"##", ERROR_FILTER_MALFORMED},
	{"+#", ERROR_FILTER_MALFORMED},
	{"a/+b/c", ERROR_FILTER_MALFORMED},
	{"a/b+/c", ERROR_FILTER_MALFORMED},
	{"\xff/#", ERROR_STRING_UTF8},
};

static void test_filters_are_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(FILTERS) / sizeof(FILTERS[0]); i++)
		if (mqtt_filter_check(slice_string(FILTERS[i].filter)) != FILTERS[i].error)
			fail_msg("%s", FILTERS[i].filter);
}

static void test_levels_are_limited(void **state)
{
	(void)state;
	uint8_t slashes[MQTT_TOPIC_LEVELS_MAX];
	memset(slashes, '/', sizeof(slashes));
	struct slice most = slice_of(slashes, MQTT_TOPIC_LEVELS_MAX - 1), more = slice_of(slashes, sizeof(slashes));
	assert_int_equal(mqtt_topic_check(most), ERROR_OK);
	assert_int_equal(mqtt_filter_check(most), ERROR_OK);
	assert_int_equal(mqtt_topic_check(more), ERROR_TOPIC_LEVELS);
	assert_int_equal(mqtt_filter_check(more), ERROR_TOPIC_LEVELS);
}

/* [MQTT-4.7.3-3] */
static void test_length_is_limited(void **state)
{
	(void)state;
	size_t size = UINT16_MAX + 1;
	uint8_t *text = block_new(size);
	memset(text, 'a', size);
	assert_int_equal(mqtt_topic_check(slice_of(text, size - 1)), ERROR_OK);
	assert_int_equal(mqtt_filter_check(slice_of(text, size - 1)), ERROR_OK);
	assert_int_equal(mqtt_topic_check(slice_of(text, size)), ERROR_TOPIC_LONG);
	assert_int_equal(mqtt_filter_check(slice_of(text, size)), ERROR_TOPIC_LONG);
	free(text);
}

static void test_wildcards_are_found(void **state)
{
	(void)state;
	assert_true(mqtt_filter_has_wildcard(slice_string("a/+")));
	assert_true(mqtt_filter_has_wildcard(slice_string("#")));
	assert_false(mqtt_filter_has_wildcard(slice_string("a/b")));
	assert_false(mqtt_filter_has_wildcard(slice_of(NULL, 0)));
}

static const struct {
	const char *filter;
	const char *group; /* NULL: not shared */
	const char *rest;
	enum error fault;
} SHARES[] = {
	{"$share/consumer1//finance", "consumer1", "/finance", ERROR_OK},
	{"$share/g/sport/tennis/+", "g", "sport/tennis/+", ERROR_OK},
	{"$share/g/#", "g", "#", ERROR_OK},
	{"$share", NULL, NULL, ERROR_OK},
	{"$shared/g/a", NULL, NULL, ERROR_OK},
	{"a/$share/g", NULL, NULL, ERROR_OK},
	{"", NULL, NULL, ERROR_OK},
	/* MQTT-4.8.2-1 */
	{"$share//a", "", NULL, ERROR_FILTER_SHARED},
	{"$share/", "", NULL, ERROR_FILTER_SHARED},
	/* MQTT-4.8.2-2 */
	{"$share/g", "g", NULL, ERROR_FILTER_SHARED},
	{"$share/g/", "g", NULL, ERROR_FILTER_SHARED},
	{"$share/+/a", "+", NULL, ERROR_FILTER_SHARED},
	{"$share/g#/a", "g#", NULL, ERROR_FILTER_SHARED},
};

static void test_shares_are_split(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(SHARES) / sizeof(SHARES[0]); i++) {
		struct slice group, rest;
		enum error fault = ERROR_OK;
		bool shared = mqtt_filter_share(slice_string(SHARES[i].filter), &group, &rest, &fault);
		assert_int_equal(shared, SHARES[i].group != NULL);
		if (SHARES[i].group == NULL)
			continue;
		assert_int_equal(fault, SHARES[i].fault);
		ASSERT_TEXT(group, SHARES[i].group);
		if (fault == ERROR_OK)
			ASSERT_TEXT(rest, SHARES[i].rest);
	}
}

static const struct {
	const char *filter;
	const char *topic;
	bool matches;
} MATCHES[] = {
	/* [4.7.1.2] */
	{"sport/tennis/player1/#", "sport/tennis/player1", true},
	{"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
	{"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
	{"sport/tennis/player1/#", "sport/tennis/player10", false},
	{"sport/#", "sport", true},
	{"sport/#", "sport/", true},
	{"sport/#", "sports", false},
	{"#", "a", true},
	{"#", "/", true},
	{"/#", "/a/b", true},
	{"/#", "a", false},
	/* [4.7.1.3] */
	{"sport/tennis/+", "sport/tennis/player1", true},
	{"sport/tennis/+", "sport/tennis/player1/ranking", false},
	{"sport/+", "sport", false},
	{"sport/+", "sport/", true},
	{"+/+", "/finance", true},
	{"/+", "/finance", true},
	{"+", "/finance", false},
	{"+", "finance", true},
	{"+/tennis/#", "sport/tennis", true},
	{"a/+/c", "a/b/c", true},
	{"a/+/c", "a//c", true},
	{"a/+/c", "a/b/b/c", false},
	/* [MQTT-4.7.2-1] */
	{"#", "$SYS/a", false},
	{"+/a", "$SYS/a", false},
	{"+", "$SYS", false},
	{"$SYS/#", "$SYS/a", true},
	{"$SYS/#", "$SYS", true},
	{"$SYS/monitor/+", "$SYS/monitor/Clients", true},
	{"a/+", "a/$b", true},
	/* [4.7.3] */
	{"ACCOUNTS", "Accounts", false},
	{"/finance", "finance", false},
	{"a", "a", true},
	{"a", "a/", false},
	{"a/", "a", false},
	{"a/b", "a", false},
	{"a", "a/b", false},
	{"/", "/", true},
};

static void test_filters_match(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(MATCHES) / sizeof(MATCHES[0]); i++) {
		struct slice filter = slice_string(MATCHES[i].filter), topic = slice_string(MATCHES[i].topic);
		assert_int_equal(mqtt_filter_check(filter), ERROR_OK);
		assert_int_equal(mqtt_topic_check(topic), ERROR_OK);
		if (mqtt_filter_matches(filter, topic) != MATCHES[i].matches)
			fail_msg("%s, %s", MATCHES[i].filter, MATCHES[i].topic);
	}
}

static void test_levels_are_taken_one_by_one(void **state)
{
	(void)state;
	static const char *const LEVELS[] = {"", "a", "", "bc", ""};
	struct slice rest = slice_string("/a//bc/"), level;
	bool more = true;
	for (size_t i = 0; i < sizeof(LEVELS) / sizeof(LEVELS[0]); i++) {
		assert_true(mqtt_topic_level(&rest, &more, &level));
		ASSERT_TEXT(level, LEVELS[i]);
	}
	assert_false(mqtt_topic_level(&rest, &more, &level));
}

static void test_reserved_topics(void **state)
{
	(void)state;
	static const char *const RESERVED[] = {"$SYS", "$SYS/", "$SYS/a", "$SYS/broker/uptime"};
	static const char *const FREE[] = {"",       "$",      "$SY",    "$SYSX",  "$SYSX/a", "$SYS+",
					   "$sys/a", "a/$SYS", "/$SYS/", "$SYST/", "SYS/a",   "$share/SYS"};
	for (size_t i = 0; i < sizeof(RESERVED) / sizeof(RESERVED[0]); i++)
		if (!mqtt_topic_is_reserved(slice_string(RESERVED[i])))
			fail_msg("%s", RESERVED[i]);
	for (size_t i = 0; i < sizeof(FREE) / sizeof(FREE[0]); i++)
		if (mqtt_topic_is_reserved(slice_string(FREE[i])))
			fail_msg("%s", FREE[i]);
}

static void test_states_of_bridges(void **state)
{
	(void)state;
	assert_true(mqtt_topic_is_bridge_state(slice_string("$SYS/broker/connection/host.name/state")));
	static const char *const OTHERS[] = {"$SYS/broker/connection/state",
					     "$SYS/broker/connection/a/b/state",
					     "$SYS/broker/connection/a/state/x",
					     "$SYS/broker/connection/a",
					     "$SYS/broker/uptime",
					     "$SYS/broker/connection/a/states",
					     "x$SYS/broker/connection/a/state"};
	for (size_t i = 0; i < sizeof(OTHERS) / sizeof(OTHERS[0]); i++)
		if (mqtt_topic_is_bridge_state(slice_string(OTHERS[i])))
			fail_msg("%s", OTHERS[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_topics_are_checked),  cmocka_unit_test(test_filters_are_checked),
		cmocka_unit_test(test_levels_are_limited),  cmocka_unit_test(test_length_is_limited),
		cmocka_unit_test(test_wildcards_are_found), cmocka_unit_test(test_shares_are_split),
		cmocka_unit_test(test_filters_match),       cmocka_unit_test(test_levels_are_taken_one_by_one),
		cmocka_unit_test(test_reserved_topics),     cmocka_unit_test(test_states_of_bridges),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
