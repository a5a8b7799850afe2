/* Properties [2.2.2]: each one in each packet, and how they are read. */
#include "cases.h"

#include "mqtt/encode.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mqtt/field/property.h"

/* Table 2-4 of [2.2.2.2], by the letters of the packets: C CONNECT, A CONNACK, P PUBLISH, W will, K PUBACK, R PUBREC,
 * L PUBREL, M PUBCOMP, S SUBSCRIBE, s SUBACK, U UNSUBSCRIBE, u UNSUBACK, D DISCONNECT, H AUTH. */
static const struct {
	uint8_t id;
	const char *bytes; /* with the least value that is allowed */
	const char *packets;
	const char *repeatable;
} PROPERTIES[] = {
	{0x01, "01 00", "PW", ""},
	{0x02, "02 00000000", "PW", ""},
	{0x03, "03 ''", "PW", ""},
	{0x08, "08 'a'", "PW", ""},
	{0x09, "09 0000", "PW", ""},
	{0x0B, "0B 01", "PS", "P"},
	{0x11, "11 00000000", "CAD", ""},
	{0x12, "12 ''", "A", ""},
	{0x13, "13 0000", "A", ""},
	{0x15, "15 ''", "CAH", ""},
	{0x16, "16 0000", "CAH", ""},
	{0x17, "17 00", "C", ""},
	{0x18, "18 00000000", "W", ""},
	{0x19, "19 00", "C", ""},
	{0x1A, "1A ''", "A", ""},
	{0x1C, "1C ''", "AD", ""},
	{0x1F, "1F ''", "AKRLMsuDH", ""},
	{0x21, "21 0001", "CA", ""},
	{0x22, "22 0000", "CA", ""},
	{0x23, "23 0001", "P", ""},
	{0x24, "24 00", "A", ""},
	{0x25, "25 00", "A", ""},
	{0x26, "26 '' ''", "CAPWKRLMSsUuDH", "CAPWKRLMSsUuDH"},
	{0x27, "27 00000001", "CA", ""},
	{0x28, "28 00", "A", ""},
	{0x29, "29 00", "A", ""},
	{0x2A, "2A 00", "A", ""},
};

#define PROPERTY_COUNT (sizeof(PROPERTIES) / sizeof(PROPERTIES[0]))

static const struct {
	char letter;
	uint8_t packet;
} PACKETS[] = {
	{'C', MQTT_CONNECT},    {'A', MQTT_CONNACK}, {'P', MQTT_PUBLISH},     {'W', MQTT_PROPERTIES_OF_WILL},
	{'K', MQTT_PUBACK},     {'R', MQTT_PUBREC},  {'L', MQTT_PUBREL},      {'M', MQTT_PUBCOMP},
	{'S', MQTT_SUBSCRIBE},  {'s', MQTT_SUBACK},  {'U', MQTT_UNSUBSCRIBE}, {'u', MQTT_UNSUBACK},
	{'D', MQTT_DISCONNECT}, {'H', MQTT_AUTH},
};

#define PACKET_COUNT (sizeof(PACKETS) / sizeof(PACKETS[0]))

static enum error check(const char *first, const char *second, uint8_t packet)
{
	char text[64];
	snprintf(text, sizeof(text), "%s %s", first, second);
	struct slice bytes = case_bytes(text);
	enum error error = mqtt_properties_check(bytes, packet);
	free((void *)bytes.data);
	return error;
}

static void test_each_property_in_each_packet(void **state)
{
	(void)state;
	for (size_t i = 0; i < PROPERTY_COUNT; i++) {
		for (size_t j = 0; j < PACKET_COUNT; j++) {
			bool allowed = strchr(PROPERTIES[i].packets, PACKETS[j].letter) != NULL;
			enum error error = check(PROPERTIES[i].bytes, "", PACKETS[j].packet);
			if (error != (allowed ? ERROR_OK : ERROR_PROPERTY_MISPLACED))
				fail_msg("%02X in %c: %s", PROPERTIES[i].id, PACKETS[j].letter, error_name(error));
		}
	}
}

static void test_each_property_twice(void **state)
{
	(void)state;
	for (size_t i = 0; i < PROPERTY_COUNT; i++) {
		for (size_t j = 0; j < PACKET_COUNT; j++) {
			if (strchr(PROPERTIES[i].packets, PACKETS[j].letter) == NULL)
				continue;
			bool repeatable = strchr(PROPERTIES[i].repeatable, PACKETS[j].letter) != NULL;
			enum error error = check(PROPERTIES[i].bytes, PROPERTIES[i].bytes, PACKETS[j].packet);
			if (error != (repeatable ? ERROR_OK : ERROR_PROPERTY_DUPLICATE))
				fail_msg("%02X in %c: %s", PROPERTIES[i].id, PACKETS[j].letter, error_name(error));
		}
	}
}

static bool is_known(unsigned id)
{
	for (size_t i = 0; i < PROPERTY_COUNT; i++)
		if (PROPERTIES[i].id == id)
			return true;
	return false;
}

static void test_every_other_identifier_is_unknown(void **state)
{
	(void)state;
	for (unsigned id = 0; id < 256; id++) {
		const uint8_t bytes[] = {(uint8_t)id, 0, 1, 'a', 1, 0, 0};
		struct slice rest = slice_of(bytes, sizeof(bytes));
		struct mqtt_property property;
		bool unknown = mqtt_property_next(&rest, &property) == ERROR_PROPERTY_UNKNOWN;
		assert_int_equal(unknown, !is_known(id));
	}
}

static void test_each_cut_is_noticed(void **state)
{
	(void)state;
	for (size_t i = 0; i < PROPERTY_COUNT; i++) {
		struct slice bytes = case_bytes(PROPERTIES[i].bytes);
		for (size_t size = 1; size < bytes.size; size++) {
			uint8_t *cut = block_new(size);
			memcpy(cut, bytes.data, size);
			struct slice rest = slice_of(cut, size);
			struct mqtt_property property;
			assert_int_equal(mqtt_property_next(&rest, &property), ERROR_PROPERTY_LENGTH);
			free(cut);
		}
		free((void *)bytes.data);
	}
}

static const struct {
	const char *bytes;
	enum error error;
} VALUES[] = {
	{"01 01", ERROR_OK},
	{"01 02", ERROR_PROPERTY_VALUE},
	{"17 01", ERROR_OK},
	{"17 02", ERROR_PROPERTY_VALUE},
	{"19 01", ERROR_OK},
	{"19 FF", ERROR_PROPERTY_VALUE},
	{"24 01", ERROR_OK},
	{"24 02", ERROR_PROPERTY_VALUE},
	{"25 01", ERROR_OK},
	{"25 02", ERROR_PROPERTY_VALUE},
	{"28 01", ERROR_OK},
	{"28 02", ERROR_PROPERTY_VALUE},
	{"29 01", ERROR_OK},
	{"29 02", ERROR_PROPERTY_VALUE},
	{"2A 01", ERROR_OK},
	{"2A 02", ERROR_PROPERTY_VALUE},
	{"21 FFFF", ERROR_OK},
	{"21 0000", ERROR_PROPERTY_VALUE},
	{"27 FFFFFFFF", ERROR_OK},
	{"27 00000000", ERROR_PROPERTY_VALUE},
	{"0B FFFFFF7F", ERROR_OK},
	{"0B 00", ERROR_PROPERTY_VALUE},
	{"0B FF00", ERROR_LENGTH_MALFORMED},
	{"0B FFFFFFFF01", ERROR_LENGTH_MALFORMED},
	{"23 FFFF", ERROR_OK},
	{"23 0000", ERROR_TOPIC_ALIAS},
	{"08 'a/b'", ERROR_OK},
	{"08 'a/#'", ERROR_RESPONSE_TOPIC},
	{"1F '\xff'", ERROR_STRING_UTF8},
	{"26 '\xff' 'v'", ERROR_STRING_UTF8},
	{"26 'k' '\xff'", ERROR_STRING_UTF8},
	{"12 000100", ERROR_STRING_NUL},
	{"09 0001 00", ERROR_OK},
	{"16 0001 FF", ERROR_OK},
};

static void test_values_are_in_range(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(VALUES) / sizeof(VALUES[0]); i++) {
		struct slice bytes = case_bytes(VALUES[i].bytes), rest = bytes;
		struct mqtt_property property;
		enum error error = mqtt_property_next(&rest, &property);
		if (error != VALUES[i].error)
			fail_msg("%s: %s", VALUES[i].bytes, error_name(error));
		free((void *)bytes.data);
	}
}

static void test_properties_are_read_in_order(void **state)
{
	(void)state;
	struct slice bytes = case_bytes("02 01020304 26 'k' 'v' 0B 8001 09 0002 00FF"), rest = bytes;
	struct mqtt_property property;
	assert_int_equal(mqtt_property_next(&rest, &property), ERROR_OK);
	assert_int_equal(property.id, MQTT_PROPERTY_MESSAGE_EXPIRY);
	assert_int_equal(property.number, 0x01020304);
	assert_int_equal(mqtt_property_next(&rest, &property), ERROR_OK);
	assert_int_equal(property.id, MQTT_PROPERTY_USER_PROPERTY);
	ASSERT_TEXT(property.data, "k");
	ASSERT_TEXT(property.value, "v");
	assert_int_equal(mqtt_property_next(&rest, &property), ERROR_OK);
	assert_int_equal(property.number, 128);
	assert_int_equal(mqtt_property_next(&rest, &property), ERROR_OK);
	assert_true(slice_equal(property.data, slice_of("\x00\xff", 2)));
	assert_int_equal(mqtt_property_next(&rest, &property), ERROR_MORE);
	free((void *)bytes.data);
}

/* ---- lists at random, against the plain definition ---- */

#define LIST_BYTES_MAX 256

/* A list that is good, or has one byte changed, or is cut. */
static size_t choose_list(struct random *random, uint8_t *list)
{
	size_t size = 0;
	for (uint32_t count = random_below(random, 8); count > 0 && size < LIST_BYTES_MAX - 64; count--) {
		if (random_below(random, 3) == 0) {
			const char *row = PROPERTIES[random_below(random, PROPERTY_COUNT)].bytes;
			struct slice bytes = case_bytes(row);
			memcpy(list + size, bytes.data, bytes.size);
			size += bytes.size;
			free((void *)bytes.data);
			continue;
		}
		list[size++] = MQTT_PROPERTY_USER_PROPERTY;
		for (int part = 0; part < 2; part++) {
			uint8_t length = (uint8_t)random_below(random, 22);
			list[size++] = 0;
			list[size++] = length;
			memset(list + size, 'x', length);
			if (length >= 2 && random_below(random, 4) == 0)
				memcpy(list + size + random_below(random, length - 1u), "\xC3\xA9", 2);
			size += length;
		}
	}
	if (size > 0 && random_below(random, 2) == 0)
		list[random_below(random, (uint32_t)size)] = (uint8_t)random_next(random);
	return random_below(random, 4) == 0 ? random_below(random, (uint32_t)size + 1) : size;
}

static bool is_in(const char *packets, uint8_t packet)
{
	for (size_t j = 0; j < PACKET_COUNT; j++)
		if (PACKETS[j].packet == packet)
			return strchr(packets, PACKETS[j].letter) != NULL;
	return false;
}

/* Property by property, as the table above says. */
static enum error check_plainly(struct slice rest, uint8_t packet)
{
	bool seen[256] = {false};
	struct mqtt_property property;
	enum error error;
	while ((error = mqtt_property_next(&rest, &property)) == ERROR_OK) {
		for (size_t i = 0; i < PROPERTY_COUNT; i++) {
			if (PROPERTIES[i].id != property.id)
				continue;
			if (!is_in(PROPERTIES[i].packets, packet))
				return ERROR_PROPERTY_MISPLACED;
			if (seen[property.id] && !is_in(PROPERTIES[i].repeatable, packet))
				return ERROR_PROPERTY_DUPLICATE;
		}
		seen[property.id] = true;
	}
	return error == ERROR_MORE ? ERROR_OK : error;
}

/* Each identifier is found where it first stands, from every property on. */
static void check_find(struct slice list)
{
	struct slice rest = list;
	struct mqtt_property property;
	do {
		size_t from = list.size - rest.size;
		for (unsigned id = 0; id < 0x30; id++) {
			struct slice after = rest;
			size_t at = list.size;
			while (after.size != 0 && at == list.size) {
				size_t begin = list.size - after.size;
				assert_int_equal(mqtt_property_next(&after, &property), ERROR_OK);
				at = property.id == id ? begin : list.size;
			}
			assert_int_equal(mqtt_property_find(list, from, (enum mqtt_property_id)id), at);
		}
	} while (mqtt_property_next(&rest, &property) == ERROR_OK);
}

static void test_lists_at_random(void **state)
{
	(void)state;
	static const uint8_t OF[] = {MQTT_PUBLISH, MQTT_PROPERTIES_OF_WILL, MQTT_CONNECT, MQTT_SUBSCRIBE};
	struct random random = {23};
	unsigned good = 0, refused = 0;
	for (int i = 0; i < 40000; i++) {
		uint8_t list[LIST_BYTES_MAX], packet = OF[random_below(&random, sizeof(OF))];
		size_t size = choose_list(&random, list);
		uint8_t *block = block_new(size); /* so that a sanitizer sees a step past the end */
		memcpy(block, list, size);
		struct slice properties = slice_of(block, size);
		enum error error = mqtt_properties_check(properties, packet);
		assert_int_equal(error, check_plainly(properties, packet));
		if (error == ERROR_OK)
			check_find(properties);
		good += error == ERROR_OK;
		refused += error != ERROR_OK;
		free(block);
	}
	assert_true(good > 5000 && refused > 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_property_in_each_packet),
		cmocka_unit_test(test_each_property_twice),
		cmocka_unit_test(test_every_other_identifier_is_unknown),
		cmocka_unit_test(test_each_cut_is_noticed),
		cmocka_unit_test(test_values_are_in_range),
		cmocka_unit_test(test_properties_are_read_in_order),
		cmocka_unit_test(test_lists_at_random),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
