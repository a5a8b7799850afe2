/* Base64url without padding: the standards' examples, every length, and everything that is not the one spelling. */
#include "auth/text/base64url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct {
	const char *text;
	const char *bytes;
} GOOD[] = {
	/* RFC 4648, 10, without padding */
	{"", ""},
	{"Zg", "f"},
	{"Zm8", "fo"},
	{"Zm9v", "foo"},
	{"Zm9vYg", "foob"},
	{"Zm9vYmE", "fooba"},
	{"Zm9vYmFy", "foobar"},
	/* RFC 7515, C */
	{"A-z_4ME", "\x03\xec\xff\xe0\xc1"},
};

static void test_examples(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++) {
		uint8_t bytes[16];
		char text[16];
		size_t size;
		struct slice wanted = slice_string(GOOD[i].bytes), spelled = slice_string(GOOD[i].text);
		assert_true(base64url_decode(spelled, bytes, &size));
		assert_true(slice_equal(slice_of(bytes, size), wanted));
		size = base64url_encode(wanted, text);
		assert_int_equal(size, BASE64URL_ENCODED_BYTES(wanted.size));
		assert_true(slice_equal(slice_of(text, size), spelled));
	}
}

static const char *const BAD[] = {
	"A",
	"AAAAA", /* lengths that no encoder makes */
	"Zg==",
	"Zm8=",
	"=",
	"AAA=", /* padding */
	"Zh",
	"Zn",
	"Zm9",
	"AB", /* bits left over */
	"Zm+v",
	"Zm/v", /* the other alphabet */
	" Zm9v",
	"Zm9v ",
	"Zm\n9v",
	"Zm 9",
	"Zm9v\n",
	"Zm9.",
	"Zm9*",
	"Zm9@",
	"Zm9[",
	"Zm9`",
	"Zm9{",
	"Zm9,",
	"\xc3\xa9"
	"AA",
	"Zm9\x80",
	"\xffm9v",
};

static void test_other_spellings_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		uint8_t bytes[16];
		size_t size;
		if (base64url_decode(slice_string(BAD[i]), bytes, &size))
			fail_msg("\"%s\"", BAD[i]);
	}
	uint8_t bytes[16];
	size_t size;
	assert_false(base64url_decode(slice_of("Zm\0v", 4), bytes, &size));
}

/* In blocks of exactly the promised size, so that a sanitizer sees a step past it. */
static void test_every_length_comes_back(void **state)
{
	(void)state;
	for (size_t length = 0; length < 70; length++) {
		uint8_t *bytes = test_malloc(length + 1), *back;
		char *text = test_malloc(BASE64URL_ENCODED_BYTES(length) + 1);
		for (size_t i = 0; i < length; i++)
			bytes[i] = (uint8_t)(i * 151 + length * 29);
		size_t size = base64url_encode(slice_of(bytes, length), text), decoded;
		assert_int_equal(size, BASE64URL_ENCODED_BYTES(length));
		back = test_malloc(BASE64URL_DECODED_BYTES_MAX(size));
		assert_true(base64url_decode(slice_of(text, size), back, &decoded));
		assert_true(slice_equal(slice_of(back, decoded), slice_of(bytes, length)));
		test_free(back);
		test_free(text);
		test_free(bytes);
	}
}

/* Of all 4096 endings of two characters, those decode that an encoder writes: 256. */
static void test_one_spelling_for_each_byte(void **state)
{
	(void)state;
	static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned good = 0;
	for (unsigned i = 0; i < 64 * 64; i++) {
		char text[] = {ALPHABET[i / 64], ALPHABET[i % 64]};
		uint8_t byte[2];
		size_t size;
		good += base64url_decode(slice_of(text, 2), byte, &size);
	}
	assert_int_equal(good, 256);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_other_spellings_are_refused),
		cmocka_unit_test(test_every_length_comes_back),
		cmocka_unit_test(test_one_spelling_for_each_byte),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
