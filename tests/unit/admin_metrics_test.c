/* The tables that metrics are made of: names, families and help that any scraper takes, and a documentation of all. */
#include "admin/metrics/metrics.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_rows_of_a_family_stand_together(void **state)
{
	(void)state;
	for (int i = 1; i < COUNTER_COUNT; i++) {
		const struct counter_row *row = counter_row((enum counter)i);
		if (strcmp(row->family, counter_row((enum counter)(i - 1))->family) == 0)
			continue;
		for (int j = 0; j < i; j++)
			assert_string_not_equal(row->family, counter_row((enum counter)j)->family);
	}
}

static void test_rows_of_a_family_differ_by_their_labels(void **state)
{
	(void)state;
	for (int i = 0; i < COUNTER_COUNT; i++) {
		const struct counter_row *row = counter_row((enum counter)i);
		for (int j = 0; j < i; j++) {
			const struct counter_row *other = counter_row((enum counter)j);
			if (strcmp(row->family, other->family) == 0)
				assert_string_not_equal(row->labels, other->labels);
		}
	}
}

/* A whole is never shown beside its parts: they would be counted twice. */
static void test_wholes_have_parts(void **state)
{
	(void)state;
	for (int i = 0; i + 1 < COUNTER_COUNT; i++) {
		if (counter_row((enum counter)i)->kind != COUNTER_KIND_WHOLE)
			continue;
		assert_string_equal(counter_row((enum counter)i)->family, counter_row((enum counter)(i + 1))->family);
		assert_int_equal(counter_row((enum counter)(i + 1))->kind, COUNTER_KIND_COUNT);
	}
}

static void test_names_and_help(void **state)
{
	(void)state;
	for (int i = 0; i < COUNTER_COUNT; i++) {
		const struct counter_row *row = counter_row((enum counter)i);
		assert_int_equal(strspn(row->family, "abcdefghijklmnopqrstuvwxyz_"), strlen(row->family));
		assert_null(strstr(row->family, "_total"));
		assert_true(isupper((unsigned char)row->help[0]));
		assert_null(strpbrk(row->help, "\n\\|"));
	}
}

static void test_every_family_is_documented(void **state)
{
	(void)state;
	char *text = NULL;
	size_t size;
	char name[128];
	FILE *out = open_memstream(&text, &size);
	assert_non_null(out);
	metrics_document(out);
	fclose(out);
	for (int i = 0; i < COUNTER_COUNT; i++) {
		snprintf(name, sizeof(name), "| `roost_%s", counter_row((enum counter)i)->family);
		assert_non_null(strstr(text, name));
	}
	assert_non_null(strstr(text, "| `roost_messages_received_total` | counter |  | `qos=\"0\"`, `qos=\"1\"`, "));
	assert_non_null(strstr(text, "| `roost_delivery_seconds` | histogram | seconds |"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_of_a_family_stand_together),
		cmocka_unit_test(test_rows_of_a_family_differ_by_their_labels),
		cmocka_unit_test(test_wholes_have_parts),
		cmocka_unit_test(test_names_and_help),
		cmocka_unit_test(test_every_family_is_documented),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
