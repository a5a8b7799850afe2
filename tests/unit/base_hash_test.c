/* The keyed hash: SipHash-2-4's own test vectors, and keys that are not alike. */
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* From the appendix of "SipHash: a fast short-input PRF": key 00..0f, input 00..0e. */
static void test_vector_of_the_paper(void **state)
{
	(void)state;
	struct hash_key key;
	uint8_t input[15];
	for (size_t i = 0; i < sizeof(key.bytes); i++)
		key.bytes[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(input); i++)
		input[i] = (uint8_t)i;
	assert_true(hash_slice(&key, slice_of(input, sizeof(input))) == 0xa129ca6149be45e5u);
	assert_true(hash_slice(&key, slice_of(input, 0)) == 0x726fdb47dd0e0e31u);
}

static void test_each_key_hashes_otherwise(void **state)
{
	(void)state;
	struct hash_key one = hash_key_random();
	struct hash_key other = hash_key_random();
	assert_memory_not_equal(one.bytes, other.bytes, sizeof(one.bytes));
	struct slice text = slice_string("client-1");
	assert_true(hash_slice(&one, text) == hash_slice(&one, text));
	assert_true(hash_slice(&one, text) != hash_slice(&other, text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vector_of_the_paper),
		cmocka_unit_test(test_each_key_hashes_otherwise),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
