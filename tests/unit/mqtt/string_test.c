/* UTF-8 Encoded Strings [1.5.4], at every offset from the eight-byte steps of the check. */
#include "cases.h"

#include "mqtt/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mqtt/field/topic.h"

static const struct {
	const char *name;
	const char *bytes;
	enum error error;
} STRINGS[] = {
	{"empty", "", ERROR_OK},
	{"ASCII", "<abc>", ERROR_OK},
	{"control characters", "01 1F 7F", ERROR_OK},
	{"U+0080", "C280", ERROR_OK},
	{"U+009F", "C29F", ERROR_OK},
	{"U+07FF", "DFBF", ERROR_OK},
	{"U+0800", "E0A080", ERROR_OK},
	{"U+CFFF", "ECBFBF", ERROR_OK},
	{"U+D7FF", "ED9FBF", ERROR_OK},
	{"U+E000", "EE8080", ERROR_OK},
	{"MQTT-1.5.4-3 U+FEFF", "EFBBBF", ERROR_OK},
	{"U+FFFE, not a character", "EFBFBE", ERROR_OK},
	{"U+FFFF, not a character", "EFBFBF", ERROR_OK},
	{"U+10000", "F0908080", ERROR_OK},
	{"U+3FFFF", "F0BFBFBF", ERROR_OK},
	{"U+2A6D4, the standard's example", "41 F0AA9B94", ERROR_OK},
	{"U+40000", "F1808080", ERROR_OK},
	{"U+10FFFF", "F48FBFBF", ERROR_OK},
	{"MQTT-1.5.4-2 U+0000", "00", ERROR_STRING_NUL},
	{"MQTT-1.5.4-2 after a character", "C280 00", ERROR_STRING_NUL},
	{"MQTT-1.5.4-1 U+D800", "EDA080", ERROR_STRING_UTF8},
	{"MQTT-1.5.4-1 U+DFFF", "EDBFBF", ERROR_STRING_UTF8},
	{"MQTT-1.5.4-1 surrogate pair", "EDA081EDB080", ERROR_STRING_UTF8},
	{"overlong U+0000", "C080", ERROR_STRING_UTF8},
	{"overlong U+007F", "C1BF", ERROR_STRING_UTF8},
	{"overlong U+07FF", "E09FBF", ERROR_STRING_UTF8},
	{"overlong U+FFFF", "F08FBFBF", ERROR_STRING_UTF8},
	{"U+110000", "F4908080", ERROR_STRING_UTF8},
	{"lead of five bytes", "F888808080", ERROR_STRING_UTF8},
	{"0xFE", "FE", ERROR_STRING_UTF8},
	{"0xFF", "FF", ERROR_STRING_UTF8},
	{"continuation alone", "80", ERROR_STRING_UTF8},
	{"second byte below", "C27F", ERROR_STRING_UTF8},
	{"second byte above", "C2C0", ERROR_STRING_UTF8},
	{"third byte below", "E1807F", ERROR_STRING_UTF8},
	{"third byte above", "E180C0", ERROR_STRING_UTF8},
	{"fourth byte below", "F180807F", ERROR_STRING_UTF8},
	{"fourth byte above", "F18080C0", ERROR_STRING_UTF8},
	{"two bytes cut", "C2", ERROR_STRING_UTF8},
	{"three bytes cut", "E180", ERROR_STRING_UTF8},
	{"four bytes cut", "F18080", ERROR_STRING_UTF8},
};

/* With ASCII around it, so that it falls on every place of a step. */
static void check_at(size_t row, struct slice bytes, size_t before, size_t after)
{
	size_t size = before + bytes.size + after;
	uint8_t *text = block_new(size);
	memset(text, 'x', size);
	if (bytes.size > 0)
		memcpy(text + before, bytes.data, bytes.size);
	enum error error = mqtt_string_check(slice_of(text, size));
	if (error != STRINGS[row].error)
		fail_msg("%s, %zu before, %zu after: %s", STRINGS[row].name, before, after, error_name(error));
	if (size > 0)
		assert_int_equal(mqtt_topic_check(slice_of(text, size)), STRINGS[row].error);
	free(text);
}

static void test_strings_are_checked_at_every_offset(void **state)
{
	(void)state;
	for (size_t row = 0; row < sizeof(STRINGS) / sizeof(STRINGS[0]); row++) {
		struct slice bytes = case_bytes(STRINGS[row].bytes);
		for (size_t before = 0; before < 18; before++)
			for (size_t after = 0; after < 18; after++)
				check_at(row, bytes, before, after);
		free((void *)bytes.data);
	}
}

/* Every code point, written out by the definition. */
static size_t code_point_write(uint32_t point, uint8_t *out)
{
	if (point < 0x80) {
		out[0] = (uint8_t)point;
		return 1;
	}
	size_t bytes = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
	for (size_t i = bytes; i-- > 1; point >>= 6)
		out[i] = (uint8_t)(0x80 | (point & 0x3F));
	out[0] = (uint8_t)(0xF00u >> bytes | point);
	return bytes;
}

static void test_every_code_point(void **state)
{
	(void)state;
	for (uint32_t point = 1; point < 0x120000; point++) {
		uint8_t bytes[4];
		size_t size = code_point_write(point, bytes);
		bool good = point <= 0x10FFFF && (point < 0xD800 || point > 0xDFFF);
		if (mqtt_string_check(slice_of(bytes, size)) != (good ? ERROR_OK : ERROR_STRING_UTF8))
			fail_msg("U+%04X", point);
	}
}

/* One byte that a check is after, at every place of texts that fill their block. */
static void test_each_byte_at_each_place(void **state)
{
	(void)state;
	for (size_t size = 1; size <= 26; size++) {
		uint8_t *text = block_new(size);
		for (size_t at = 0; at < size; at++) {
			for (unsigned byte = 0; byte < 256; byte++) {
				memset(text, 'x', size);
				text[at] = (uint8_t)byte;
				enum error error = byte == 0      ? ERROR_STRING_NUL
						   : byte >= 0x80 ? ERROR_STRING_UTF8
								  : ERROR_OK;
				assert_int_equal(mqtt_string_check(slice_of(text, size)), error);
				if (byte == '+' || byte == '#')
					error = ERROR_TOPIC_WILDCARD;
				assert_int_equal(mqtt_topic_check(slice_of(text, size)), error);
			}
		}
		free(text);
	}
}

/* Every separator is counted once, whatever the steps of the scan. */
static void test_levels_are_counted(void **state)
{
	(void)state;
	for (size_t size = MQTT_TOPIC_LEVELS_MAX; size < MQTT_TOPIC_LEVELS_MAX + 20; size++) {
		uint8_t *text = block_new(size);
		for (size_t front = 0; front <= size - MQTT_TOPIC_LEVELS_MAX; front++) {
			memset(text, 'x', size);
			memset(text + front, '/', MQTT_TOPIC_LEVELS_MAX - 1);
			assert_int_equal(mqtt_topic_check(slice_of(text, size)), ERROR_OK);
			text[front + MQTT_TOPIC_LEVELS_MAX - 1] = '/';
			assert_int_equal(mqtt_topic_check(slice_of(text, size)), ERROR_TOPIC_LEVELS);
		}
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strings_are_checked_at_every_offset),
		cmocka_unit_test(test_every_code_point),
		cmocka_unit_test(test_each_byte_at_each_place),
		cmocka_unit_test(test_levels_are_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
