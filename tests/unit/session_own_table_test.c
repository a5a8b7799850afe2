/* A client's own subscriptions by client and node, against a plain table of them. */
#include "random.h"
#include "subscriptions/own_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define CLIENTS 20u
#define NODES 50u

static void test_against_a_model(void **state)
{
	(void)state;
	struct own_table own;
	struct random random = {.state = 3};
	static uint32_t model[CLIENTS][NODES];
	uint32_t count = 0;
	assert_int_equal(own_table_open(&own, NULL, CLIENTS * NODES), ERROR_OK);
	for (uint32_t step = 1; step < 50000; step++) {
		uint32_t client = random_below(&random, CLIENTS);
		uint32_t node = random_below(&random, NODES);
		assert_int_equal(own_table_find(&own, (struct client_ref){client + 1}, node + 1), model[client][node]);
		if (model[client][node] == 0) {
			assert_int_equal(own_table_add(&own, (struct client_ref){client + 1}, node + 1, step),
					 ERROR_OK);
			model[client][node] = step;
			count++;
		} else if (random_below(&random, 3) == 0) {
			own_table_remove(&own, (struct client_ref){client + 1}, node + 1);
			model[client][node] = 0;
			count--;
		}
		assert_int_equal(own.entries.used, count);
	}
	own_table_close(&own);
}

static void test_limit(void **state)
{
	(void)state;
	struct own_table own;
	assert_int_equal(own_table_open(&own, NULL, 2), ERROR_OK);
	assert_int_equal(own_table_add(&own, (struct client_ref){1}, 1, 7), ERROR_OK);
	assert_int_equal(own_table_add(&own, (struct client_ref){1}, 2, 8), ERROR_OK);
	assert_int_equal(own_table_add(&own, (struct client_ref){1}, 3, 9), ERROR_NO_MEMORY);
	own_table_remove(&own, (struct client_ref){1}, 1);
	assert_int_equal(own_table_add(&own, (struct client_ref){1}, 3, 9), ERROR_OK);
	assert_int_equal(own_table_find(&own, (struct client_ref){1}, 1), 0);
	assert_int_equal(own_table_find(&own, (struct client_ref){1}, 2), 8);
	assert_int_equal(own_table_find(&own, (struct client_ref){1}, 3), 9);
	own_table_close(&own);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_a_model),
		cmocka_unit_test(test_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
