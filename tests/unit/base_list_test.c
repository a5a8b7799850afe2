/* Lists of indices: order kept, growth, nothing left behind. */
#include "memory/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_keeps_order_while_it_grows(void **state)
{
	(void)state;
	struct list list = {0};
	for (uint32_t i = 0; i < 10000; i++)
		list_push(&list, i * 3);
	assert_int_equal(list.count, 10000);
	for (uint32_t i = 0; i < 10000; i++)
		assert_int_equal(list.items[i], i * 3);
	list_fini(&list);
	assert_null(list.items);
	assert_int_equal(list.count, 0);
}

static void test_emptied_list_keeps_its_room(void **state)
{
	(void)state;
	struct list list = {0};
	for (uint32_t i = 0; i < 500; i++)
		list_push(&list, i);
	uint32_t capacity = list.capacity;
	list.count = 0;
	for (uint32_t i = 0; i < 500; i++)
		list_push(&list, i);
	assert_int_equal(list.capacity, capacity);
	list_fini(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keeps_order_while_it_grows),
		cmocka_unit_test(test_emptied_list_keeps_its_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
