/* A receiver's packet identifiers at QoS 2, which outlive the connection. */
#include "bench/sessions/unreleased.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_a_message_is_new_once(void **state)
{
	(void)state;
	struct unreleased unreleased = {0};
	assert_int_equal(unreleased_take(&unreleased, 1, 3, 7), UNRELEASED_NEW);
	assert_int_equal(unreleased_take(&unreleased, 1, 3, 7), UNRELEASED_AGAIN);
	unreleased_release(&unreleased, 1);
	assert_int_equal(unreleased_take(&unreleased, 1, 3, 8), UNRELEASED_NEW);
	unreleased_close(&unreleased);
}

static void test_an_identifier_in_use_must_not_name_another_message(void **state)
{
	(void)state;
	struct unreleased unreleased = {0};
	assert_int_equal(unreleased_take(&unreleased, 65535, 3, 7), UNRELEASED_NEW);
	assert_int_equal(unreleased_take(&unreleased, 65535, 3, 8), UNRELEASED_REUSED);
	assert_int_equal(unreleased_take(&unreleased, 65535, 3, 8), UNRELEASED_AGAIN);
	assert_int_equal(unreleased_take(&unreleased, 65535, 4, 8), UNRELEASED_REUSED);
	unreleased_close(&unreleased);
}

/* PUBREL may come in another order than PUBLISH; the ring wraps, and grows while it is wrapped. */
static void test_any_order_and_many(void **state)
{
	(void)state;
	struct unreleased unreleased = {0};
	for (uint16_t id = 1; id <= 12; id++)
		assert_int_equal(unreleased_take(&unreleased, id, 0, id), UNRELEASED_NEW);
	for (uint16_t id = 1; id <= 8; id++)
		unreleased_release(&unreleased, id);
	for (uint16_t id = 13; id <= 1000; id++)
		assert_int_equal(unreleased_take(&unreleased, id, 0, id), UNRELEASED_NEW);
	assert_int_equal(unreleased.count, 992);
	for (uint16_t id = 1000; id > 9; id -= 3)
		unreleased_release(&unreleased, id);
	for (uint16_t id = 9; id <= 1000; id++) {
		bool released = id > 9 && (1000 - id) % 3 == 0;
		assert_int_equal(unreleased_take(&unreleased, id, 0, id), released ? UNRELEASED_NEW : UNRELEASED_AGAIN);
	}
	unreleased_close(&unreleased);
}

static void test_a_new_session_knows_nothing(void **state)
{
	(void)state;
	struct unreleased unreleased = {0};
	unreleased_clear(&unreleased);
	unreleased_release(&unreleased, 9);
	assert_int_equal(unreleased_take(&unreleased, 9, 0, 1), UNRELEASED_NEW);
	unreleased_clear(&unreleased);
	assert_int_equal(unreleased_take(&unreleased, 9, 0, 1), UNRELEASED_NEW);
	unreleased_close(&unreleased);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_message_is_new_once),
		cmocka_unit_test(test_an_identifier_in_use_must_not_name_another_message),
		cmocka_unit_test(test_any_order_and_many),
		cmocka_unit_test(test_a_new_session_knows_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
