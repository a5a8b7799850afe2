/* What becomes of a message's topic and properties on its way over a bridge. */
#include "mqtt/field/property.h"
#include "relay/bridging/mapping.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct bridge_ways ways_of(const char *filter, const char *strip, const char *add)
{
	struct bridge_ways ways = {.filters.count = 1};
	strcpy(ways.filters.filters[0], filter);
	strcpy(ways.ways[0].strip, strip);
	strcpy(ways.ways[0].add, add);
	return ways;
}

static const struct {
	const char *filter, *strip, *add, *topic, *result;
	enum mapping_result fate;
} TOPICS[] = {
	{"a/#", "", "", "a/b", "a/b", MAPPING_DONE},
	{"a/#", "", "site7/", "a/b", "site7/a/b", MAPPING_DONE},
	{"a/#", "", "site7/", "a", "site7/a", MAPPING_DONE},
	{"site7/a/#", "site7/", "", "site7/a/b", "a/b", MAPPING_DONE},
	{"site7/a/#", "site7/", "from/", "site7/a", "from/a", MAPPING_DONE},
	{"site7/#", "site7/", "", "site7/", NULL, MAPPING_NO_WAY},
	{"site7/#", "site7/", "", "site7", NULL, MAPPING_NO_WAY},
	{"site7/#", "site7/", "x/", "site7/", "x/", MAPPING_DONE},
	{"a/#", "", "", "b", NULL, MAPPING_NO_WAY},
	{"+/b", "a/", "", "c/b", NULL, MAPPING_NO_WAY},
};

static void topics_get_other_prefixes(void **state)
{
	(void)state;
	struct mapping mapping = {0};
	for (size_t i = 0; i < sizeof(TOPICS) / sizeof(TOPICS[0]); i++) {
		struct bridge_ways ways = ways_of(TOPICS[i].filter, TOPICS[i].strip, TOPICS[i].add);
		struct mqtt_publish publish = {.topic = slice_string(TOPICS[i].topic)};
		const struct bridge_way *way = mapping_way(&ways, publish.topic, 0);
		assert_int_equal(mapping_apply(&mapping, way, &publish), TOPICS[i].fate);
		if (TOPICS[i].result != NULL)
			assert_true(slice_equal(publish.topic, slice_string(TOPICS[i].result)));
	}
	mapping_free(&mapping);
}

static void a_topic_that_would_be_too_long_has_no_way(void **state)
{
	(void)state;
	static char topic[UINT16_MAX];
	struct mapping mapping = {0};
	struct bridge_ways ways = ways_of("#", "", "x/");
	memset(topic, 'a', sizeof(topic));
	struct mqtt_publish publish = {.topic = slice_of(topic, sizeof(topic))};
	assert_int_equal(mapping_apply(&mapping, &ways.ways[0], &publish), MAPPING_TOO_LONG);
	publish.topic = slice_of(topic, sizeof(topic) - 2);
	assert_int_equal(mapping_apply(&mapping, &ways.ways[0], &publish), MAPPING_DONE);
	assert_int_equal(publish.topic.size, UINT16_MAX);
	mapping_free(&mapping);
}

static void a_topic_with_too_many_levels_has_no_way(void **state)
{
	(void)state;
	char topic[2 * MQTT_TOPIC_LEVELS_MAX];
	struct mapping mapping = {0};
	struct bridge_ways ways = ways_of("#", "", "x/");
	for (size_t i = 0; i < sizeof(topic); i++)
		topic[i] = i % 2 == 0 ? 'a' : '/';
	struct mqtt_publish publish = {.topic = slice_of(topic, sizeof(topic) - 1)};
	assert_int_equal(mapping_apply(&mapping, &ways.ways[0], &publish), MAPPING_TOO_LONG);
	mapping_free(&mapping);
}

/* Of several filters that match, the one by whose identifier the message came. */
static void the_identifier_tells_the_way(void **state)
{
	(void)state;
	struct bridge_ways ways = {.filters.count = 2};
	strcpy(ways.filters.filters[0], "a/#");
	strcpy(ways.filters.filters[1], "a/b");
	struct slice topic = slice_string("a/b");
	assert_ptr_equal(mapping_way(&ways, topic, 0), &ways.ways[0]);
	assert_ptr_equal(mapping_way(&ways, topic, topics_identifier("a/b")), &ways.ways[1]);
	assert_ptr_equal(mapping_way(&ways, topic, topics_identifier("another")), &ways.ways[0]);
	assert_null(mapping_way(&ways, slice_string("b"), topics_identifier("another")));
}

/* A subscription identifier of 5, a content type, and two other User Properties. */
static const uint8_t PROPERTIES[] = "\x0b\x05\x03\0\x03x/y\x26\0\x01"
				    "a\0\x01"
				    "b\x26\0\x03"
				    "abc\0\0";

static void what_is_the_connections_own_stays_behind(void **state)
{
	(void)state;
	static const uint8_t LEFT[] = "\x03\0\x03x/y\x26\0\x01"
				      "a\0\x01"
				      "b\x26\0\x03"
				      "abc\0\0\x26\0\x0aroost-hops\0\x01"
				      "1";
	struct mapping mapping = {0};
	struct bridge_ways ways = ways_of("#", "", "");
	struct mqtt_publish publish = {.topic = slice_string("a"),
				       .properties = slice_of(PROPERTIES, sizeof(PROPERTIES) - 1)};
	assert_int_equal(mapping_apply(&mapping, &ways.ways[0], &publish), MAPPING_DONE);
	assert_true(slice_equal(publish.properties, slice_of(LEFT, sizeof(LEFT) - 1)));
	assert_int_equal(mqtt_properties_check(publish.properties, MQTT_PUBLISH), ERROR_OK);
	mapping_free(&mapping);
}

static enum mapping_result pass(struct mapping *mapping, struct bytes *properties)
{
	struct bridge_ways ways = ways_of("#", "", "");
	struct mqtt_publish publish = {.topic = slice_string("a"), .properties = bytes_slice(properties)};
	enum mapping_result result = mapping_apply(mapping, &ways.ways[0], &publish);
	bytes_clear(properties, SIZE_MAX);
	bytes_append(properties, publish.properties.data, publish.properties.size);
	return result;
}

static void a_message_passes_so_many_bridges(void **state)
{
	(void)state;
	struct mapping mapping = {0};
	struct bytes properties = {0};
	for (uint32_t i = 0; i < BRIDGE_HOPS_MAX; i++)
		assert_int_equal(pass(&mapping, &properties), MAPPING_DONE);
	assert_int_equal(pass(&mapping, &properties), MAPPING_LOOPED);
	/* A count that cannot be read is none that goes on. */
	static const char *const COUNTS[] = {"", "x", "-1", "10", "9", "8"};
	for (size_t i = 0; i < sizeof(COUNTS) / sizeof(COUNTS[0]); i++) {
		const uint8_t head[] = {0x26, 0, 10};
		const uint8_t size[] = {0, (uint8_t)strlen(COUNTS[i])};
		bytes_clear(&properties, SIZE_MAX);
		bytes_append(&properties, head, sizeof(head));
		bytes_append(&properties, BRIDGE_HOPS_PROPERTY, 10);
		bytes_append(&properties, size, sizeof(size));
		bytes_append(&properties, COUNTS[i], strlen(COUNTS[i]));
		assert_int_equal(pass(&mapping, &properties), MAPPING_LOOPED);
	}
	bytes_free(&properties);
	mapping_free(&mapping);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(topics_get_other_prefixes),
		cmocka_unit_test(a_topic_that_would_be_too_long_has_no_way),
		cmocka_unit_test(a_topic_with_too_many_levels_has_no_way),
		cmocka_unit_test(the_identifier_tells_the_way),
		cmocka_unit_test(what_is_the_connections_own_stays_behind),
		cmocka_unit_test(a_message_passes_so_many_bridges),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
