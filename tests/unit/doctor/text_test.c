/* Lines and words, of any bytes. */
#include "doctor/machine/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void assert_text(struct slice got, const char *wanted)
{
	if (!text_is(got, wanted))
		fail_msg("\"%.*s\" instead of \"%s\"", (int)got.size, (const char *)got.data, wanted);
}

static void test_lines(void **state)
{
	(void)state;
	struct slice rest = slice_string("one\n\nthree");
	struct slice line;
	assert_true(text_line(&rest, &line));
	assert_text(line, "one");
	assert_true(text_line(&rest, &line));
	assert_text(line, "");
	assert_true(text_line(&rest, &line));
	assert_text(line, "three");
	assert_false(text_line(&rest, &line));
	rest = slice_string("one\n");
	assert_true(text_line(&rest, &line));
	assert_false(text_line(&rest, &line));
}

static void test_words(void **state)
{
	(void)state;
	struct slice rest = slice_string(" a\tbc \n d");
	struct slice word;
	static const char *const WANTED[] = {"a", "bc", "d"};
	for (size_t i = 0; i < 3; i++) {
		assert_true(text_word(&rest, &word));
		assert_text(word, WANTED[i]);
	}
	assert_false(text_word(&rest, &word));
	rest = slice_of(NULL, 0);
	assert_false(text_word(&rest, &word));
	assert_text(text_trim(slice_string("\t x y \n")), "x y");
	assert_text(text_trim(slice_string(" \n ")), "");
}

static void test_find_takes_the_first_line_with_the_key(void **state)
{
	(void)state;
	struct slice rest;
	struct slice text = slice_string("XMem: 1\nMem: 2\nMem: 3\nMemory 4");
	assert_true(text_find(text, "Mem:", &rest));
	assert_text(rest, " 2");
	assert_true(text_find(text, "Memory", &rest));
	assert_text(rest, " 4");
	assert_false(text_find(text, "Slab:", &rest));
	assert_false(text_find(slice_of(NULL, 0), "Slab:", &rest));
}

static void test_copy_is_bounded_and_printable(void **state)
{
	(void)state;
	char out[6];
	text_copy(slice_string("abcdefgh"), out, sizeof(out));
	assert_string_equal(out, "abcde");
	text_copy(slice_of("a\033\0\xff", 4), out, sizeof(out));
	assert_string_equal(out, "a???");
	text_copy(slice_of(NULL, 0), out, sizeof(out));
	assert_string_equal(out, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_find_takes_the_first_line_with_the_key),
		cmocka_unit_test(test_copy_is_bounded_and_printable),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
