/* Numbers as files of the kernel and of administrators write them, and what is none. */
#include "doctor/machine/reading.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct reading_case {
	const char *text;
	enum reading_state state;
	uint64_t value;
};

static void check(const char *text, struct reading got, enum reading_state state, uint64_t value)
{
	if (got.state != state || (state == READING_KNOWN && got.value != value))
		fail_msg("\"%s\" gave state %d, value %llu", text, (int)got.state, (unsigned long long)got.value);
}

static void test_one_number(void **state)
{
	(void)state;
	static const struct reading_case CASES[] = {
		{"0", READING_KNOWN, 0},
		{"4096\n", READING_KNOWN, 4096},
		{" \t 7 \r\n", READING_KNOWN, 7},
		{"4611686018427387903", READING_KNOWN, ((uint64_t)1 << 62) - 1},
		{"9223372036854775807", READING_UNLIMITED, 0},
		{"9223372036854771712", READING_UNLIMITED, 0},
		{"max\n", READING_UNLIMITED, 0},
		{"unlimited", READING_UNLIMITED, 0},
		{"infinity", READING_UNLIMITED, 0},
		{"", READING_UNREADABLE, 0},
		{"\n", READING_UNREADABLE, 0},
		{"-1", READING_UNREADABLE, 0},
		{"+1", READING_UNREADABLE, 0},
		{"1 2", READING_UNREADABLE, 0},
		{"1x", READING_UNREADABLE, 0},
		{"0x10", READING_UNREADABLE, 0},
		{"maximum", READING_UNREADABLE, 0},
		{"18446744073709551616", READING_UNREADABLE, 0},
		{"99999999999999999999999999999999999999999999999999", READING_UNREADABLE, 0},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++)
		check(CASES[i].text, reading_parse(slice_string(CASES[i].text)), CASES[i].state, CASES[i].value);
}

static void test_bytes_that_are_no_text(void **state)
{
	(void)state;
	static const char NUL[] = "12\0"
				  "34";
	check("12, NUL, 34", reading_parse(slice_of(NUL, sizeof(NUL) - 1)), READING_UNREADABLE, 0);
	check("ff", reading_parse(slice_of("\xff\xfe", 2)), READING_UNREADABLE, 0);
	char digits[70000];
	memset(digits, '1', sizeof(digits));
	check("70,000 digits", reading_parse(slice_of(digits, sizeof(digits))), READING_UNREADABLE, 0);
}

static void test_words_of_a_line(void **state)
{
	(void)state;
	struct slice line = slice_string("287898\t383865\t575796\n");
	check("0", reading_word(line, 0), READING_KNOWN, 287898);
	check("2", reading_word(line, 2), READING_KNOWN, 575796);
	check("3", reading_word(line, 3), READING_ABSENT, 0);
	check("empty", reading_word(slice_string(" \n"), 0), READING_ABSENT, 0);
	check("kB", reading_word(slice_string("   24683620 kB\n"), 0), READING_KNOWN, (uint64_t)24683620 * 1024);
	check("kB too large", reading_word(slice_string("4611686018427387903 kB"), 0), READING_UNREADABLE, 0);
	check("no kB", reading_word(slice_string("5 MB"), 0), READING_KNOWN, 5);
	check("second", reading_word(slice_string("20000 many files"), 1), READING_UNREADABLE, 0);
}

static void test_masks(void **state)
{
	(void)state;
	check("caps", reading_mask(slice_string("\t000001fffeffffff\n")), READING_KNOWN, 0x1fffeffffff);
	check("commas", reading_mask(slice_string("1,00000003")), READING_KNOWN, 0x100000003);
	check("upper", reading_mask(slice_string("FF")), READING_KNOWN, 255);
	check("empty", reading_mask(slice_string("")), READING_UNREADABLE, 0);
	check("no hex", reading_mask(slice_string("12g4")), READING_UNREADABLE, 0);
}

static void test_sizes_as_systemd_takes_them(void **state)
{
	(void)state;
	struct reading whole = reading_known(2000);
	struct reading unknown = {.state = READING_ABSENT};
	check("4G", reading_size(slice_string("4G"), whole), READING_KNOWN, (uint64_t)4 << 30);
	check("1K", reading_size(slice_string(" 1K "), whole), READING_KNOWN, 1024);
	check("2T", reading_size(slice_string("2T"), whole), READING_KNOWN, (uint64_t)2 << 40);
	check("512", reading_size(slice_string("512"), whole), READING_KNOWN, 512);
	check("50%", reading_size(slice_string("50%"), whole), READING_KNOWN, 1000);
	check("15%", reading_size(slice_string("15%"), reading_known(7)), READING_KNOWN, 1);
	check("50% of what", reading_size(slice_string("50%"), unknown), READING_UNREADABLE, 0);
	check("101%", reading_size(slice_string("101%"), whole), READING_UNREADABLE, 0);
	check("infinity", reading_size(slice_string("infinity"), whole), READING_UNLIMITED, 0);
	check("", reading_size(slice_string(""), whole), READING_UNREADABLE, 0);
	check("G", reading_size(slice_string("G"), whole), READING_UNREADABLE, 0);
	check("4GB", reading_size(slice_string("4GB"), whole), READING_UNREADABLE, 0);
	check("4\\0", reading_size(slice_of("4\0", 2), whole), READING_UNREADABLE, 0);
	check("99999999T", reading_size(slice_string("99999999T"), whole), READING_UNREADABLE, 0);
}

static void test_what_bounds_and_what_is_used(void **state)
{
	(void)state;
	struct reading unlimited = {.state = READING_UNLIMITED};
	struct reading unreadable = {.state = READING_UNREADABLE, .value = 5};
	assert_true(reading_bound(reading_known(5)) == 5);
	assert_true(reading_bound(unlimited) == UINT64_MAX);
	assert_true(reading_bound(unreadable) == UINT64_MAX);
	assert_true(reading_used(reading_known(5)) == 5);
	assert_true(reading_used(unlimited) == 0);
	assert_true(reading_used(unreadable) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_number),
		cmocka_unit_test(test_bytes_that_are_no_text),
		cmocka_unit_test(test_words_of_a_line),
		cmocka_unit_test(test_masks),
		cmocka_unit_test(test_sizes_as_systemd_takes_them),
		cmocka_unit_test(test_what_bounds_and_what_is_used),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
