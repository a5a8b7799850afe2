/* Names of keys in the order in which they came. */
#include "asking/key_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void test_order(void **state)
{
	(void)state;
	struct key_list list = {0};
	for (unsigned i = 0; i < 1000; i++) {
		char name[16];
		snprintf(name, sizeof(name), "k%u", i);
		assert_true(key_list_add(&list, slice_string(name)));
		if (i % 3 == 2)
			key_list_drop(&list, 2);
	}
	assert_int_equal(key_list_count(&list), 1000 - 2 * 333);
	assert_true(slice_equal(key_list_at(&list, 0), slice_string("k666")));
	assert_true(slice_equal(key_list_at(&list, 333), slice_string("k999")));
	key_list_clear(&list);
	assert_int_equal(key_list_count(&list), 0);
	assert_true(key_list_add(&list, slice_of(NULL, 0)));
	assert_int_equal(key_list_at(&list, 0).size, 0);
	key_list_free(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_order)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
