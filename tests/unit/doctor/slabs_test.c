/* /proc/slabinfo: what a socket costs by its objects, and what grew. */
#include "doctor/machine/slabs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define PAGE 4096u
#define HEAD                                                                                                           \
	"slabinfo - version: 2.1\n"                                                                                    \
	"# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables\n"
#define TAIL " : tunables    0    0    0 : slabdata      9      9      0\n"

static struct slabs *parse(const char *text)
{
	struct slabs *slabs = malloc(sizeof(*slabs));
	assert_non_null(slabs);
	slabs_parse(slabs, slice_string(text), PAGE);
	return slabs;
}

static void test_cost_of_a_socket(void **state)
{
	(void)state;
	struct slabs *slabs = parse(HEAD "TCP 10 13 2368 13 8" TAIL "sock_inode_cache 10 39 832 39 8" TAIL
					 "dentry 10 21 192 21 1" TAIL "filp 10 21 192 16 1" TAIL);
	assert_int_equal(slabs->count, 4);
	/* 8 pages for 13, 8 for 39, a page for 21, a page for 16; epoll's and a small one by the usual sizes. */
	double wanted = 8.0 * PAGE / 13 + 8.0 * PAGE / 39 + PAGE / 21.0 + PAGE / 16.0 + 128 + 64 + 64;
	assert_int_equal(slabs_socket_bytes(slabs), (uint64_t)(wanted + 0.5));
	free(slabs);
}

static void test_without_the_sockets_own_caches(void **state)
{
	(void)state;
	static const char *const TEXTS[] = {"", HEAD, HEAD "dentry 10 21 192 21 1" TAIL,
					    HEAD "TCP 10 13 2368 13 8" TAIL};
	for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
		struct slabs *slabs = parse(TEXTS[i]);
		assert_int_equal(slabs_socket_bytes(slabs), 0);
		free(slabs);
	}
}

static void test_growth_counts_what_belongs_to_the_sockets(void **state)
{
	(void)state;
	struct slabs *before = parse("a 100 0 8 4 1\nb 100 0 8 8 1\nc 500 0 8 8 1\nd 9 0 8 8 1\n");
	struct slabs *after = parse("a 300 0 8 4 1\nb 149 0 8 8 1\nc 100 0 8 8 1\nd 9 0 8 8 1\ne 100 0 8 2 1\n");
	/* Of 100 sockets: a gained two each, b half of them but one, c shrank, e is new with one each. */
	double bytes = slabs_growth_bytes(before, after, 100);
	assert_true(bytes > 200 * 1024.0 + 100 * 2048.0 - 1 && bytes < 200 * 1024.0 + 100 * 2048.0 + 1);
	assert_true(slabs_growth_bytes(after, after, 100) == 0);
	free(before);
	free(after);
}

static void test_lines_that_are_none(void **state)
{
	(void)state;
	static const char *const LINES[] = {
		"name",
		"name 1 2 3 4",
		"name 1 2 3 x 5",
		"name -1 2 3 4 5",
		"name 1 2 3 0 5",
		"name 1 2 3 4 0",
		"name 1 2 3 4 99999999",
		"name 1 2 3 99999999 1",
		"name-that-is-longer-than-any-cache-has 1 2 3 4 5",
		"# 1 2 3 4 5",
		"\n\n",
	};
	for (size_t i = 0; i < sizeof(LINES) / sizeof(LINES[0]); i++) {
		struct slabs *slabs = parse(LINES[i]);
		if (slabs->count != 0)
			fail_msg("\"%s\" was taken", LINES[i]);
		free(slabs);
	}
}

static void test_more_caches_than_there_is_room_for(void **state)
{
	(void)state;
	char *text = malloc((SLABS_MAX + 10u) * 32u);
	assert_non_null(text);
	int size = 0;
	for (uint32_t i = 0; i < SLABS_MAX + 10; i++)
		size += sprintf(text + size, "c%u 1 2 3 4 5\n", i);
	struct slabs *slabs = parse(text);
	assert_int_equal(slabs->count, SLABS_MAX);
	free(slabs);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cost_of_a_socket),
		cmocka_unit_test(test_without_the_sockets_own_caches),
		cmocka_unit_test(test_growth_counts_what_belongs_to_the_sockets),
		cmocka_unit_test(test_lines_that_are_none),
		cmocka_unit_test(test_more_caches_than_there_is_room_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
