/* What should be alike on all nodes: each part changes with what belongs to it, and with nothing else. */
#include "nodes/thread/agreement.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Which parts differ, a bit each. */
static uint32_t differing(const struct settings *a, const struct settings *b)
{
	struct agreement of_a[AGREEMENTS], of_b[AGREEMENTS];
	agreement_of(a, of_a);
	agreement_of(b, of_b);
	uint32_t found = 0;
	for (uint32_t i = 0; i < AGREEMENTS; i++) {
		assert_true(slice_equal(of_a[i].name, of_b[i].name));
		found |= (uint32_t)(of_a[i].hash != of_b[i].hash) << i;
	}
	return found;
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void test_settings(void **state)
{
	(void)state;
	struct settings *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b));
	snprintf(a->cluster.name, sizeof(a->cluster.name), "c");
	*b = *a;
	assert_int_equal(differing(a, b), 0);
	b->receive_max = 7;
	assert_int_equal(differing(a, b), 1u << 3);
	b->retained_max = 7;
	assert_int_equal(differing(a, b), 1u << 3 | 1u << 4);
	*b = *a;
	b->access.allow_by_default = true;
	assert_int_equal(differing(a, b), 1u << 0);
	*b = *a;
	snprintf(b->access.token_issuer, sizeof(b->access.token_issuer), "x");
	assert_int_equal(differing(a, b), 1u << 1);
	*b = *a;
	snprintf(b->node, sizeof(b->node), "other");
	b->connections = 5;
	assert_int_equal(differing(a, b), 0);
	free(a);
	free(b);
}

static void test_files_count_by_their_content(void **state)
{
	(void)state;
	char directory[] = "/tmp/roost-agreement-XXXXXX";
	assert_non_null(mkdtemp(directory));
	struct settings *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b));
	snprintf(a->access.rule_file, sizeof(a->access.rule_file), "%s/one", directory);
	snprintf(b->access.rule_file, sizeof(b->access.rule_file), "%s/two", directory);
	write_file(a->access.rule_file, "topic read a\n");
	assert_int_equal(differing(a, b), 1u << 0);
	write_file(b->access.rule_file, "topic read a\n");
	assert_int_equal(differing(a, b), 0);
	write_file(b->access.rule_file, "topic read b\n");
	assert_int_equal(differing(a, b), 1u << 0);
	remove(a->access.rule_file);
	remove(b->access.rule_file);
	remove(directory);
	free(a);
	free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_files_count_by_their_content),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
