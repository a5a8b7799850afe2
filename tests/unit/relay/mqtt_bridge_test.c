/* A bridge as the configuration says it: which texts are taken, and what is made of them. */
#include "relay/item/mqtt_bridge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct mqtt_bridge fresh(void)
{
	struct mqtt_bridge bridge;
	mqtt_bridge_init(&bridge);
	strcpy(bridge.name, "hq");
	return bridge;
}

static bool set(struct mqtt_bridge *bridge, const char *key, const char *text)
{
	char fault[ITEM_FAULT_BYTES_MAX] = "";
	const struct item_key *found = mqtt_bridge_key(key);
	assert_non_null(found);
	bool good = found->set(bridge, text, fault);
	assert_true(good == (fault[0] == '\0'));
	return good;
}

static void urls_have_a_host_and_a_port(void **state)
{
	(void)state;
	static const struct {
		const char *url, *host;
		uint16_t port;
		bool is_tls;
	} GOOD[] = {
		{"mqtt://h", "h", 1883, false},
		{"mqtts://h", "h", 8883, true},
		{"mqtt://example.org:1", "example.org", 1, false},
		{"mqtts://[2001:db8::1]:65535", "2001:db8::1", 65535, true},
		{"mqtt://[::1]", "::1", 1883, false},
	};
	static const char *const BAD[] = {
		"",          "h",         "http://h",    "mqtt://",     "mqtt://:1883",  "mqtt://h:",  "mqtt://h:0",
		"mqtt://[]", "mqtt://[h", "mqtt://h/x",  "mqtt://u@h",  "mqtt://u:p@h",  "mqtt://h h", "mqtt://h:65536",
		"mqtt://h?", "mqtt://h#", "mqtt://\x7f", "mqtt://h:1x", "mqtt://[::1]x",
	};
	for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++) {
		struct mqtt_bridge bridge = fresh();
		assert_true(set(&bridge, "url", GOOD[i].url));
		assert_string_equal(bridge.host, GOOD[i].host);
		assert_int_equal(bridge.port, GOOD[i].port);
		assert_int_equal(bridge.is_tls, GOOD[i].is_tls);
	}
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		struct mqtt_bridge bridge = fresh();
		assert_false(set(&bridge, "url", BAD[i]));
	}
}

static void filters_stand_behind_the_prefix_of_where_messages_come_from(void **state)
{
	(void)state;
	struct mqtt_bridge bridge = fresh();
	assert_true(set(&bridge, "up", "a/#  qos=2 local=here/ remote=there/"));
	assert_true(set(&bridge, "up", "b"));
	assert_true(set(&bridge, "down", "c/+ remote=there/ local=here/ qos=0"));
	assert_string_equal(bridge.up.filters.filters[0], "here/a/#");
	assert_string_equal(bridge.up.ways[0].strip, "here/");
	assert_string_equal(bridge.up.ways[0].add, "there/");
	assert_int_equal(bridge.up.ways[0].qos, 2);
	assert_string_equal(bridge.up.filters.filters[1], "b");
	assert_string_equal(bridge.up.ways[1].strip, "");
	assert_int_equal(bridge.up.ways[1].qos, 1);
	assert_string_equal(bridge.down.filters.filters[0], "there/c/+");
	assert_string_equal(bridge.down.ways[0].strip, "there/");
	assert_string_equal(bridge.down.ways[0].add, "here/");
	assert_int_equal(bridge.down.ways[0].qos, 0);
}

static void ways_that_are_none_are_refused(void **state)
{
	(void)state;
	static const char *const BAD[] = {
		"",           " ",         "a/#/b",     "a qos=3",        "a qos=",
		"a qos=11",   "a local=",  "a remote",  "a remote=x/+/y", "a x=y",
		"$share/g/a", "a local=#", "a qos=1 b",
	};
	char text[512];
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		struct mqtt_bridge bridge = fresh();
		assert_false(set(&bridge, "up", BAD[i]));
	}
	struct mqtt_bridge bridge = fresh();
	memset(text, 'a', sizeof(text));
	text[TOPICS_FILTER_BYTES_MAX] = '\0';
	assert_false(set(&bridge, "up", text));
	memcpy(text, "a remote=", 9);
	text[9 + MQTT_BRIDGE_PREFIX_BYTES_MAX] = '\0';
	assert_false(set(&bridge, "up", text));
	text[9 + MQTT_BRIDGE_PREFIX_BYTES_MAX - 1] = '\0';
	assert_true(set(&bridge, "up", text));
}

static void a_bridge_has_to_be_whole(void **state)
{
	(void)state;
	char fault[ITEM_FAULT_BYTES_MAX];
	struct mqtt_bridge bridge = fresh();
	assert_false(mqtt_bridge_complete(&bridge, fault));
	assert_true(set(&bridge, "url", "mqtt://h"));
	assert_false(mqtt_bridge_complete(&bridge, fault));
	assert_true(set(&bridge, "down", "a"));
	assert_true(mqtt_bridge_complete(&bridge, fault));
	assert_true(set(&bridge, "password_file", "/p"));
	assert_false(mqtt_bridge_complete(&bridge, fault));
	assert_true(set(&bridge, "user", "u"));
	assert_true(mqtt_bridge_complete(&bridge, fault));
	assert_true(set(&bridge, "ca_file", "/ca"));
	assert_false(mqtt_bridge_complete(&bridge, fault));
	assert_true(set(&bridge, "url", "mqtts://h"));
	assert_true(mqtt_bridge_complete(&bridge, fault));
	assert_true(set(&bridge, "key_file", "/key"));
	assert_false(mqtt_bridge_complete(&bridge, fault));
	assert_true(set(&bridge, "certificate_file", "/certificate"));
	assert_true(mqtt_bridge_complete(&bridge, fault));
}

/* Each key makes another bridge. */
static void what_differs_is_not_equal(void **state)
{
	(void)state;
	static const char *const OTHERS[][2] = {
		{"name", "other"},
		{"url", "mqtt://other"},
		{"up", "b"},
		{"down", "b"},
		{"client_id", "id"},
		{"user", "u"},
		{"password_file", "p"},
		{"ca_file", "c"},
		{"certificate_file", "c"},
		{"key_file", "k"},
		{"protocol", "5"},
		{"keepalive_s", "5"},
		{"clean", "true"},
		{"session_expiry_s", "1"},
		{"retain", "false"},
		{"inflight", "1"},
		{"queue_messages", "1"},
		{"queue_bytes", "1048576"},
		{"when_full", "drop_newest"},
	};
	struct mqtt_bridge one = fresh();
	assert_true(set(&one, "url", "mqtt://h"));
	for (size_t i = 0; i < sizeof(OTHERS) / sizeof(OTHERS[0]); i++) {
		struct mqtt_bridge other = one;
		other.line = 17;
		assert_true(mqtt_bridge_equal(&one, &other));
		assert_true(set(&other, OTHERS[i][0], OTHERS[i][1]));
		assert_false(mqtt_bridge_equal(&one, &other));
	}
	assert_null(mqtt_bridge_key("topics"));
}

static void what_an_earlier_one_had_is_withdrawn(void **state)
{
	(void)state;
	struct mqtt_bridge first = fresh(), second = fresh(), third = fresh();
	assert_true(set(&first, "down", "a") && set(&first, "down", "b") && set(&first, "down", "c"));
	assert_true(set(&second, "down", "b"));
	mqtt_bridge_succeed(&second, &first);
	assert_int_equal(second.withdrawn.count, 2);
	assert_true(set(&third, "down", "c") && set(&third, "down", "d"));
	mqtt_bridge_succeed(&third, &second);
	assert_int_equal(third.withdrawn.count, 2);
	assert_true(topics_has(&third.withdrawn, slice_string("a")) && topics_has(&third.withdrawn, slice_string("b")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls_have_a_host_and_a_port),
		cmocka_unit_test(filters_stand_behind_the_prefix_of_where_messages_come_from),
		cmocka_unit_test(ways_that_are_none_are_refused),
		cmocka_unit_test(a_bridge_has_to_be_whole),
		cmocka_unit_test(what_differs_is_not_equal),
		cmocka_unit_test(what_an_earlier_one_had_is_withdrawn),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
