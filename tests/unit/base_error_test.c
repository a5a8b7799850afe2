/* The error table: each row has a name of its own and a sentence; rules are written in one of three forms. */
#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_every_row_has_name_and_sentence(void **state)
{
	(void)state;
	for (int i = 0; i < ERROR_COUNT; i++) {
		const char *name = error_name((enum error)i);
		const char *sentence = error_sentence((enum error)i);
		assert_true(strlen(name) >= 2);
		assert_int_equal(strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"), strlen(name));
		assert_true(strlen(sentence) >= 8);
		assert_int_not_equal(sentence[strlen(sentence) - 1], '.');
	}
	assert_string_equal(error_name(ERROR_TAKEN_OVER), "TAKEN_OVER");
	assert_string_equal(error_sentence(ERROR_OK), "no error");
}

static void test_names_and_sentences_are_distinct(void **state)
{
	(void)state;
	for (int i = 0; i < ERROR_COUNT; i++) {
		for (int j = 0; j < i; j++) {
			assert_string_not_equal(error_name((enum error)i), error_name((enum error)j));
			assert_string_not_equal(error_sentence((enum error)i), error_sentence((enum error)j));
		}
	}
}

static void test_rules_name_statement_section_or_rfc(void **state)
{
	(void)state;
	for (int i = 0; i < ERROR_COUNT; i++) {
		const char *rule = error_rule((enum error)i);
		assert_non_null(rule);
		assert_true(*rule == '\0' || strncmp(rule, "MQTT-", 5) == 0 || strncmp(rule, "section ", 8) == 0 ||
			    strncmp(rule, "RFC ", 4) == 0);
	}
	assert_string_equal(error_rule(ERROR_CONNECT_RESERVED), "MQTT-3.1.2-3");
	assert_string_equal(error_rule(ERROR_STUCK_READER), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_row_has_name_and_sentence),
		cmocka_unit_test(test_names_and_sentences_are_distinct),
		cmocka_unit_test(test_rules_name_statement_section_or_rfc),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
