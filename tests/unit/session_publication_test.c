/* What is kept of a PUBLISH packet is enough to find its parts again, and to know when it is too old. */
#include "publication_sample.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct mqtt_publish random_publish(struct random *random, uint8_t version)
{
	static const uint8_t TOPIC[200] = "a/topic", PAYLOAD[1000] = "payload";
	static const uint8_t PROPERTIES[] = "\x01\x01\x03\0\1x\x26\0\1k\0\1v";
	static uint8_t long_property[203] = {0x03, 0, 200};
	memset(long_property + 3, 'x', 200);
	struct slice lists[] = {
		slice_of(NULL, 0), slice_of(PROPERTIES, 2), slice_of(PROPERTIES, sizeof(PROPERTIES) - 1),
		slice_of(long_property, sizeof(long_property)), /* its length takes two bytes */
	};
	return (struct mqtt_publish){
		.topic = slice_of(TOPIC, 1 + random_below(random, 7)),
		.payload = slice_of(PAYLOAD, random_below(random, random_below(random, 2) == 0 ? 4 : 1000)),
		.properties = version == MQTT_VERSION_5 ? lists[random_below(random, 4)] : slice_of(NULL, 0),
		.packet_id = (uint16_t)(1 + random_below(random, 65535)),
		.qos = (uint8_t)random_below(random, 3),
		.retain = random_below(random, 2) != 0,
	};
}

static void test_parts_are_found_again(void **state)
{
	(void)state;
	static struct sample sample;
	struct random random = {21};
	for (int i = 0; i < 20000; i++) {
		uint8_t version = (uint8_t)(3 + random_below(&random, 3));
		struct mqtt_publish publish = random_publish(&random, version);
		sample_encode(&sample, &publish, version, 5);
		struct publication_parts parts = publication_parts(&sample.publication, sample.packet);
		assert_true(slice_equal(parts.topic, publish.topic));
		assert_true(slice_equal(parts.properties, publish.properties));
		assert_true(slice_equal(parts.payload, publish.payload));
		assert_int_equal(sample.publication.qos, publish.qos);
		assert_int_equal(sample.publication.retain, publish.retain);
		assert_int_equal(sample.publication.is_5, version == MQTT_VERSION_5);
		assert_int_equal(sample.publication.expires_s, 0);
		assert_false(publication_expired(&sample.publication, UINT32_MAX));
	}
}

static void test_receivers_of_each_version(void **state)
{
	(void)state;
	static struct sample sample;
	sample_expiring(&sample, "t", slice_string("hello"), 100, 1000);
	struct publication_parts parts = publication_parts(&sample.publication, sample.packet);
	struct mqtt_forward five = publication_forward(&sample.publication, &parts, MQTT_VERSION_5, 1030);
	assert_true(slice_equal(five.topic, slice_string("t")));
	assert_int_equal(five.payload_bytes, 5);
	assert_int_equal(five.properties.size, 5);
	assert_true(five.has_expiry_left);
	assert_int_equal(five.expiry_left_s, 70);
	assert_int_equal(five.expiry_at, 0);
	/* Behind 70 others it is found once. */
	uint8_t many[70 * 5 + 5];
	for (size_t i = 0; i < 70; i++)
		memcpy(many + 5 * i, "\x26\0\0\0\0", 5);
	memcpy(many + 350, parts.properties.data, 5);
	struct publication_parts longer = parts;
	longer.properties = slice_of(many, sizeof(many));
	publication_find_expiry(&longer);
	assert_int_equal(longer.expiry_at, 350);
	/* Nothing of a receiver's own. */
	assert_true(five.qos == 0 && five.packet_id == 0 && five.alias == 0 && five.subscription_id == 0);
	assert_false(five.retain || five.dup || five.strips_alias);
	/* Sent again after its time: nothing is left of it. */
	five = publication_forward(&sample.publication, &parts, MQTT_VERSION_5, 2000);
	assert_true(five.has_expiry_left);
	assert_int_equal(five.expiry_left_s, 0);
	struct mqtt_forward four = publication_forward(&sample.publication, &parts, MQTT_VERSION_3_1_1, 1030);
	assert_int_equal(four.properties.size, 0);
	assert_false(four.has_expiry_left);
	sample_plain(&sample, "t", slice_string("x"), 1);
	parts = publication_parts(&sample.publication, sample.packet);
	assert_false(publication_forward(&sample.publication, &parts, MQTT_VERSION_5, 1).has_expiry_left);
}

static void test_expiry(void **state)
{
	(void)state;
	static const struct {
		uint32_t interval_s;
		uint32_t now_s;
		uint32_t last_good_s; /* the last second in which it is delivered; 0: none */
		bool never;
	} CASES[] = {
		{10, 1000, 1009, false},
		{1, 1000, 1000, false},
		{0, 1000, 0, false}, /* at once */
		{0, 0, 0, false},    /* as a will is kept: not never */
		{1, 0, 0, false},
		{UINT32_MAX - 1001, 1000, UINT32_MAX - 2, false},
		{UINT32_MAX - 1000, 1000, 0, true}, /* beyond the clock's end */
		{UINT32_MAX, 1000, 0, true},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		static struct sample sample;
		sample_expiring(&sample, "t", slice_string("x"), CASES[i].interval_s, CASES[i].now_s);
		const struct publication *publication = &sample.publication;
		assert_int_equal(publication->expires_s == 0, CASES[i].never);
		assert_int_equal(publication_expired(publication, UINT32_MAX), !CASES[i].never);
		if (CASES[i].last_good_s == 0)
			continue;
		assert_false(publication_expired(publication, CASES[i].last_good_s));
		assert_true(publication_expired(publication, CASES[i].last_good_s + 1));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts_are_found_again),
		cmocka_unit_test(test_receivers_of_each_version),
		cmocka_unit_test(test_expiry),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
