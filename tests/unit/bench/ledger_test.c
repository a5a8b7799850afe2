/* The bench's account of what was acknowledged and what arrived, across restarts. */
#include "bench/sessions/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* One publisher with one stream. */
static struct ledger one_stream(uint8_t qos)
{
	struct ledger ledger;
	assert_true(ledger_open(&ledger, 1, 1));
	ledger.publishers[0].qos = qos;
	*ledger_stream_at(&ledger, 0, 0) = (struct ledger_stream){.wanted = true, .ordered = true};
	return ledger;
}

static void assert_faults(const struct ledger *ledger, uint64_t missing, uint64_t doubled, uint64_t reordered,
			  uint64_t late)
{
	assert_int_equal(ledger->sums.faults[LEDGER_MISSING], missing);
	assert_int_equal(ledger->sums.faults[LEDGER_DOUBLED], doubled);
	assert_int_equal(ledger->sums.faults[LEDGER_REORDERED], reordered);
	assert_int_equal(ledger->sums.faults[LEDGER_LATE], late);
	assert_int_equal(ledger_is_clean(ledger), missing + doubled + reordered + late == 0);
}

static void test_acknowledged_messages_must_arrive(void **state)
{
	(void)state;
	struct ledger ledger = one_stream(2);
	for (uint64_t number = 0; number < 300; number++)
		ledger_acknowledge(&ledger, 0, number);
	assert_int_equal(ledger.outstanding, 300);
	for (uint64_t number = 0; number < 300; number++) {
		if (number != 7 && number != 299)
			ledger_receive(&ledger, 0, 0, number);
	}
	assert_int_equal(ledger.outstanding, 2);
	ledger_give_up(&ledger);
	assert_faults(&ledger, 2, 0, 0, 0);
	assert_int_equal(ledger.outstanding, 0);
	assert_int_equal(ledger.fault_count, 2);
	assert_int_equal(ledger.faults[0].kind, LEDGER_MISSING);
	assert_int_equal(ledger.faults[0].number, 7);
	assert_int_equal(ledger.faults[1].number, 299);
	struct ledger_losers losers = ledger_losers(&ledger);
	assert_int_equal(losers.count, 1);
	assert_int_equal(losers.least, 298);
	assert_int_equal(losers.most, 298);
	ledger_close(&ledger);
}

/* The PUBACK may be lost with the connection. */
static void test_what_is_not_acknowledged_may_arrive_or_not(void **state)
{
	(void)state;
	struct ledger ledger = one_stream(1);
	ledger_receive(&ledger, 0, 0, 0);
	ledger_receive(&ledger, 0, 0, 2);
	ledger_give_up(&ledger);
	assert_faults(&ledger, 0, 0, 0, 0);
	ledger_acknowledge(&ledger, 0, 0);
	assert_int_equal(ledger.outstanding, 0);
	assert_int_equal(ledger_acknowledged_until(&ledger, 0), 1);
	ledger_close(&ledger);
}

static void test_again_is_a_fault_but_for_qos_1(void **state)
{
	(void)state;
	for (uint8_t qos = 0; qos <= 2; qos++) {
		struct ledger ledger = one_stream(qos);
		ledger_receive(&ledger, 0, 0, 5);
		ledger_receive(&ledger, 0, 0, 5);
		assert_faults(&ledger, 0, qos != 1, 0, 0);
		assert_int_equal(ledger.sums.repeated, qos == 1);
		assert_int_equal(ledger.sums.arrived, 1);
		ledger_close(&ledger);
	}
}

static void test_order_is_that_of_first_arrivals(void **state)
{
	(void)state;
	struct ledger ledger = one_stream(1);
	for (uint64_t number = 3; number < 6; number++)
		ledger_receive(&ledger, 0, 0, number);
	/* Sent again after a break, then on. */
	for (uint64_t number = 3; number < 8; number++)
		ledger_receive(&ledger, 0, 0, number);
	assert_faults(&ledger, 0, 0, 0, 0);
	ledger_receive(&ledger, 0, 0, 1);
	assert_faults(&ledger, 0, 0, 1, 0);
	ledger_close(&ledger);
}

static void test_a_shared_subscription_as_a_whole_has_no_order(void **state)
{
	(void)state;
	struct ledger ledger = one_stream(2);
	ledger_stream_at(&ledger, 0, 0)->ordered = false;
	ledger_receive(&ledger, 0, 0, 1);
	ledger_receive(&ledger, 0, 0, 0);
	assert_faults(&ledger, 0, 0, 0, 0);
	ledger_close(&ledger);
}

static void test_what_was_given_up_is_late_when_it_comes(void **state)
{
	(void)state;
	struct ledger ledger = one_stream(2);
	ledger_acknowledge(&ledger, 0, 100);
	ledger_give_up(&ledger);
	ledger_receive(&ledger, 0, 0, 100);
	assert_faults(&ledger, 1, 0, 0, 1);
	/* It is counted once, however often one gives up. */
	ledger_give_up(&ledger);
	assert_faults(&ledger, 1, 0, 0, 1);
	ledger_close(&ledger);
}

static void test_every_stream_of_the_publisher_must_have_it(void **state)
{
	(void)state;
	struct ledger ledger;
	assert_true(ledger_open(&ledger, 2, 3));
	/* Publisher 1 has two streams, publisher 0 has none. */
	ledger_stream_at(&ledger, 1, 0)->wanted = true;
	ledger_stream_at(&ledger, 1, 2)->wanted = true;
	ledger_acknowledge(&ledger, 0, 0);
	ledger_acknowledge(&ledger, 1, 0);
	assert_int_equal(ledger.outstanding, 2);
	ledger_receive(&ledger, 1, 2, 0);
	ledger_give_up(&ledger);
	assert_int_equal(ledger.sums.faults[LEDGER_MISSING], 1);
	assert_int_equal(ledger.faults[0].publisher, 1);
	assert_int_equal(ledger.faults[0].slot, 0);
	ledger_close(&ledger);
}

static void test_the_highest_acknowledged_number(void **state)
{
	(void)state;
	struct ledger ledger = one_stream(1);
	assert_int_equal(ledger_acknowledged_until(&ledger, 0), 0);
	static const uint64_t numbers[] = {0, 63, 64, 1000, 70};
	static const uint64_t until[] = {1, 64, 65, 1001, 1001};
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		ledger_acknowledge(&ledger, 0, numbers[i]);
		assert_int_equal(ledger_acknowledged_until(&ledger, 0), until[i]);
	}
	ledger_close(&ledger);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_acknowledged_messages_must_arrive),
		cmocka_unit_test(test_what_is_not_acknowledged_may_arrive_or_not),
		cmocka_unit_test(test_again_is_a_fault_but_for_qos_1),
		cmocka_unit_test(test_order_is_that_of_first_arrivals),
		cmocka_unit_test(test_a_shared_subscription_as_a_whole_has_no_order),
		cmocka_unit_test(test_what_was_given_up_is_late_when_it_comes),
		cmocka_unit_test(test_every_stream_of_the_publisher_must_have_it),
		cmocka_unit_test(test_the_highest_acknowledged_number),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
