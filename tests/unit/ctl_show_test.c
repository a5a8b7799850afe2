/* What `roost ctl` prints, and how it writes client ids into paths. */
#include "ctl/http_client.h"
#include "ctl/show.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *shown(void (*show)(const json_t *answer, FILE *out), const char *text)
{
	char *out_text = NULL;
	size_t size;
	json_t *json = json_loads(text, 0, NULL);
	FILE *out = open_memstream(&out_text, &size);
	assert_non_null(json);
	assert_non_null(out);
	show(json, out);
	fclose(out);
	json_decref(json);
	return out_text;
}

static void test_clients(void **state)
{
	(void)state;
	char *text = shown(show_clients, "{\"clients\": [{\"client_id\": \"a\\tb\\u001b[2J\", \"state\": \"offline\", "
					 "\"protocol\": \"5.0\", \"address\": null, \"subscriptions\": 2, "
					 "\"queued_messages\": 7, \"dropped_messages\": 3}], \"next\": null}");
	assert_string_equal(text, "a?b?[2J\toffline\t5.0\t-\t2\t7\t3\n");
	free(text);
}

static void test_client(void **state)
{
	(void)state;
	char *text = shown(show_client,
			   "{\"client_id\": \"x\", \"paused\": true, \"silent_seconds\": 1.5, \"tcp\": {\"a\": 1}, "
			   "\"subscription_list\": [{\"filter\": \"a/#\", \"qos\": 1}]}");
	assert_non_null(strstr(text, "paused                     yes\n"));
	assert_non_null(strstr(text, "silent_seconds             1.5\n"));
	assert_non_null(strstr(text, "subscription at QoS 1      a/#\n"));
	free(text);
}

static void test_fields(void **state)
{
	(void)state;
	char *text = shown(show_fields, "{\"changed\": [\"one\", \"two\"]}");
	assert_string_equal(text, "one\ntwo\n");
	free(text);
}

static void test_escape(void **state)
{
	(void)state;
	static const char *const CASES[][2] = {
		{"", ""}, {"abc-1._~", "abc-1._~"}, {"a/b?c#d%e", "a%2Fb%3Fc%23d%25e"}, {"\xc3\xa4 +", "%C3%A4%20%2B"}};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		char *escaped = http_client_escape(CASES[i][0]);
		assert_string_equal(escaped, CASES[i][1]);
		free(escaped);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clients),
		cmocka_unit_test(test_client),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_escape),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
