/* A verdict as a table and as JSON. */
#include "fake_root.h"

#include "doctor/show/show.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct shown {
	char *people;
	json_t *json;
};

static struct shown show(const struct fake_file *files, uint64_t connections, bool colour)
{
	struct fake_root fake = fake_root_make(files);
	struct machine *machine = fake_root_machine(&fake);
	struct verdict verdict;
	struct shown shown;
	size_t size;
	FILE *out = open_memstream(&shown.people, &size);
	assert_non_null(out);
	verdict_make(&verdict, machine, connections);
	show_people(&verdict, colour, out);
	fclose(out);
	shown.json = show_json(&verdict);
	assert_non_null(shown.json);
	machine_free(machine);
	fake_root_remove(&fake);
	return shown;
}

static void shown_free(struct shown *shown)
{
	free(shown->people);
	json_decref(shown->json);
}

static void assert_says(const char *text, const char *wanted)
{
	if (strstr(text, wanted) == NULL)
		fail_msg("\"%s\" is not in:\n%s", wanted, text);
}

static void test_table(void **state)
{
	(void)state;
	struct shown shown = show(FAKE_DEBIAN, 1000000, false);
	assert_says(shown.people, "This machine, for 1,000,000 connections: they do not fit. "
				  "net.netfilter.nf_conntrack_max breaks first, at 262,100.\n");
	assert_says(shown.people, "!       262,100  net.netfilter.nf_conntrack_max  262,144               1,000,044\n");
	assert_says(shown.people, "!                transparent huge pages          [always] madvise never\n");
	assert_says(shown.people, "What breaks, in order:\n1. net.netfilter.nf_conntrack_max allows 262,100 "
				  "(/proc/sys/net/netfilter/nf_conntrack_max)\n");
	assert_says(shown.people, "   fix: sysctl -w net.netfilter.nf_conntrack_max='1125376'; or do not track");
	assert_says(shown.people, "no limit  fs.file-max                     unlimited\n");
	assert_null(strchr(shown.people, '\033'));
	assert_null(strstr(shown.people, " \n"));
	shown_free(&shown);
}

static void test_colour(void **state)
{
	(void)state;
	struct shown shown = show(FAKE_DEBIAN, 1000000, true);
	assert_says(shown.people, "\033[1;31m!       262,100  net.netfilter");
	assert_says(shown.people, "\033[0m\n");
	shown_free(&shown);
}

static void test_without_a_number(void **state)
{
	(void)state;
	static const struct fake_file NOTHING[] = {{NULL, NULL}};
	struct shown shown = show(FAKE_DEBIAN, 0, false);
	assert_says(shown.people,
		    "This machine: net.netfilter.nf_conntrack_max breaks first, at 262,100 connections.\n");
	assert_null(strstr(shown.people, "What breaks"));
	assert_true(json_is_null(json_object_get(shown.json, "connections")));
	shown_free(&shown);
	shown = show(NOTHING, 0, false);
	assert_says(shown.people, "nothing that is known here limits them");
	assert_says(shown.people, "?      no limit  memory                          not readable\n");
	assert_true(json_is_null(json_object_get(shown.json, "holds")));
	assert_null(json_object_get(shown.json, "breaks_first"));
	shown_free(&shown);
}

static const json_t *json_limit(const json_t *json, const char *key)
{
	size_t i;
	json_t *limit;
	json_array_foreach(json_object_get(json, "limits"), i, limit)
	{
		if (strcmp(json_string_value(json_object_get(limit, "key")), key) == 0)
			return limit;
	}
	fail_msg("no limit \"%s\"", key);
	return NULL;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	assert_non_null(text);
	return text;
}

static void test_json(void **state)
{
	(void)state;
	struct shown shown = show(FAKE_DEBIAN, 1000000, false);
	assert_int_equal(json_integer_value(json_object_get(shown.json, "connections")), 1000000);
	assert_int_equal(json_integer_value(json_object_get(shown.json, "holds")), 262100);
	assert_true(json_is_false(json_object_get(shown.json, "fits")));
	assert_string_equal(text_of(shown.json, "breaks_first"), "net.netfilter.nf_conntrack_max");
	assert_int_equal(json_array_size(json_object_get(shown.json, "limits")), LIMIT_TABLE_SIZE);

	const json_t *limit = json_limit(shown.json, "net.netfilter.nf_conntrack_max");
	assert_string_equal(text_of(limit, "kind"), "holds");
	assert_string_equal(text_of(limit, "state"), "short");
	assert_string_equal(text_of(limit, "reading"), "known");
	assert_string_equal(text_of(limit, "wanted"), "1125376");
	assert_int_equal(json_integer_value(json_object_get(limit, "now")), 262144);
	assert_int_equal(json_integer_value(json_object_get(limit, "needed")), 1000044);

	limit = json_limit(shown.json, "fs.file-max");
	assert_string_equal(text_of(limit, "reading"), "unlimited");
	assert_true(json_is_null(json_object_get(limit, "now")));
	assert_true(json_is_null(json_object_get(limit, "allows")));
	assert_null(json_object_get(limit, "mend"));
	assert_string_equal(text_of(json_limit(shown.json, "transparent huge pages"), "now"), "[always] madvise never");
	assert_string_equal(text_of(json_limit(shown.json, "CAP_SYS_RESOURCE"), "now"), "no");
	shown_free(&shown);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_colour),
		cmocka_unit_test(test_without_a_number),
		cmocka_unit_test(test_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
