/* Events on their way: which go with the next request, what leaves, and how a poison entry is found. */
#include "relay/hook/hook_batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct hook_batch batch;

static int clear(void **state)
{
	(void)state;
	hook_batch_free(&batch);
	return 0;
}

/* The events are the numbers from `first` on. */
static void fill(uint32_t first, uint32_t count)
{
	char text[16];
	for (uint32_t n = first; n < first + count; n++) {
		struct hook_event *event = hook_batch_place(&batch);
		assert_non_null(event);
		event->packet_id = (uint16_t)n;
		bytes_append(&batch.text, text, (size_t)snprintf(text, sizeof(text), "%u", n));
		assert_true(hook_batch_added(&batch, event));
	}
}

static void assert_body(const char *expected)
{
	struct bytes body = {0};
	hook_batch_write(&batch, &body);
	assert_int_equal(body.size, hook_batch_body_bytes(&batch));
	assert_int_equal(body.size, strlen(expected));
	assert_memory_equal(body.data, expected, body.size);
	bytes_free(&body);
}

static void test_all_go_together(void **state)
{
	(void)state;
	fill(0, 1);
	assert_body("[0]");
	fill(1, 4);
	assert_body("[0,1,2,3,4]");
	assert_true(slice_equal(hook_batch_event(&batch, 3), slice_string("3")));
	hook_batch_taken(&batch);
	assert_int_equal(batch.count, 0);
	fill(10, 2);
	assert_body("[10,11]");
}

static void test_as_many_as_bytes_hold(void **state)
{
	(void)state;
	fill(0, 5);
	hook_batch_limit(&batch, 5);
	assert_body("[0,1,2]");
	hook_batch_limit(&batch, 0);
	assert_body("[0]");
	hook_batch_taken(&batch);
	assert_body("[1,2]"); /* twice as many */
	hook_batch_taken(&batch);
	assert_body("[3,4]");
	assert_int_equal(batch.events[0].packet_id, 3);
}

/* The poison entry stands alone after some halvings, and all before it were taken in order. */
static void test_poison(void **state)
{
	(void)state;
	for (uint32_t poison = 0; poison < 100; poison++) {
		uint32_t next = 0, requests = 0;
		fill(0, 100);
		while (batch.count != 0) {
			assert_int_equal(batch.events[0].packet_id, next);
			bool is_in = poison >= next && poison < next + batch.send_count;
			requests++;
			if (is_in && hook_batch_halve(&batch))
				continue;
			if (is_in) /* put aside */
				assert_int_equal(next, poison);
			next += batch.send_count;
			hook_batch_taken(&batch);
		}
		assert_int_equal(next, 100);
		assert_true(requests <= 40);
	}
}

static void test_added_while_halved(void **state)
{
	(void)state;
	fill(0, 4);
	assert_true(hook_batch_halve(&batch));
	fill(4, 2);
	assert_body("[0,1]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_all_go_together, clear),
		cmocka_unit_test_teardown(test_as_many_as_bytes_hold, clear),
		cmocka_unit_test_teardown(test_poison, clear),
		cmocka_unit_test_teardown(test_added_while_halved, clear),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
