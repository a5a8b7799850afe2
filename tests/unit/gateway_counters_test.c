/* Counters: gauges that go down, sums over threads, and what a reader of stderr is promised. */
#include "runtime/counters.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t value_of(const struct counters *counters, enum counter counter)
{
	return atomic_load(&counters->values[counter]);
}

static void test_count_up_down_and_set(void **state)
{
	(void)state;
	static struct counters counters;
	for (int i = 0; i < 5; i++)
		COUNT(&counters, connections_open);
	for (int i = 0; i < 3; i++)
		COUNT_DOWN(&counters, connections_open);
	COUNT_SET(&counters, bytes_in, 12345678901234u);
	counter_add(&counters.ends[ERROR_TAKEN_OVER], 2);
	assert_int_equal(value_of(&counters, COUNTER_connections_open), 2);
	assert_true(value_of(&counters, COUNTER_bytes_in) == 12345678901234u);
	assert_int_equal(value_of(&counters, COUNTER_bytes_out), 0);
	assert_int_equal(atomic_load(&counters.ends[ERROR_TAKEN_OVER]), 2);
}

/* A gauge of one thread may be below zero where another one's is above: the sum is right. */
static void test_sum_of_threads(void **state)
{
	(void)state;
	static struct counters sum, one, other;
	COUNT(&one, connections_open);
	COUNT_DOWN(&other, connections_open);
	for (int i = 0; i < COUNTER_COUNT; i++) {
		counter_add(&one.values[i], (uint64_t)i);
		counter_add(&other.values[i], 1000);
	}
	for (int i = 0; i < ERROR_COUNT; i++)
		counter_add(&other.ends[i], (uint64_t)i * 3);
	counters_add(&sum, &one);
	counters_add(&sum, &other);
	for (int i = 0; i < COUNTER_COUNT; i++)
		assert_int_equal(value_of(&sum, (enum counter)i), 1000 + i);
	for (int i = 0; i < ERROR_COUNT; i++)
		assert_int_equal(atomic_load(&sum.ends[i]), i * 3);
}

static void test_printed_form(void **state)
{
	(void)state;
	static struct counters counters;
	for (int i = 0; i < COUNTER_COUNT; i++)
		counter_add(&counters.values[i], (uint64_t)i + 1);
	counter_add(&counters.ends[ERROR_KEEPALIVE_TIMEOUT], 77);
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	assert_non_null(out);
	counters_print(&counters, out);
	fclose(out);
	assert_non_null(strstr(text, "counter connections_accepted 1\n"));
	assert_non_null(strstr(text, "counter end_keepalive_timeout 77\n"));
	assert_non_null(strstr(text, "counter end_taken_over 0\n"));

	char *rest = text;
	assert_string_equal(strsep(&rest, "\n"), "counters begin");
	for (int i = 0; i < COUNTER_COUNT + ERROR_COUNT - 1; i++) {
		const char *line = strsep(&rest, "\n");
		assert_memory_equal(line, "counter ", 8);
		size_t name = strspn(line + 8, "abcdefghijklmnopqrstuvwxyz0123456789_");
		assert_true(name > 0 && line[8 + name] == ' ');
		char *end;
		unsigned long value = strtoul(line + 8 + name + 1, &end, 10);
		assert_int_equal(*end, '\0');
		if (i < COUNTER_COUNT)
			assert_int_equal(value, i + 1);
	}
	assert_string_equal(strsep(&rest, "\n"), "counters end");
	assert_string_equal(rest, "");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_count_up_down_and_set),
		cmocka_unit_test(test_sum_of_threads),
		cmocka_unit_test(test_printed_form),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
