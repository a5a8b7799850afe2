/* The commands of the table of connected clients, and what its answers say of it. */
#include "relay/table/table_writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define WALL_MS UINT64_C(1700000000000)

/* The commands as they are typed, a line each; they are gone then. */
static const char *typed(struct table_writer *writer)
{
	static char text[4096];
	size_t used = 0;
	const char *at = (const char *)writer->out.data;
	const char *end = at + writer->out.size;
	while (at < end) {
		unsigned words;
		int read;
		assert_int_equal(sscanf(at, "*%u\r\n%n", &words, &read), 1);
		at += read;
		for (unsigned i = 0; i < words; i++) {
			unsigned size;
			assert_int_equal(sscanf(at, "$%u\r\n%n", &size, &read), 1);
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%.*s%s", (int)size, at + read,
						 i + 1 < words ? " " : "\n");
			at += read + (int)size + 2;
		}
	}
	assert_true(used < sizeof(text));
	text[used] = '\0';
	writer->out.size = 0;
	return text;
}

static void hear_numbers(struct table_writer *writer, const int64_t *numbers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_true(table_writer_hear(writer, true, numbers[i]));
}

#define HEAR(writer, ...)                                                                                              \
	hear_numbers(writer, (const int64_t[]){__VA_ARGS__}, sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static void open_writer(struct table_writer *writer)
{
	table_writer_init(writer, "on", "n");
	table_writer_begin(writer);
	assert_string_equal(typed(writer), "DEL on:n:new\n");
	HEAR(writer, 0);
}

/* A table that is made grows beside the one that is there. */
static void test_making(void **state)
{
	(void)state;
	struct table_writer writer;
	open_writer(&writer);
	table_writer_put(&writer, slice_string("a"), slice_string("{}"));
	table_writer_put(&writer, slice_string("b"), slice_string("{}"));
	table_writer_remove(&writer, slice_string("b"));
	table_writer_put(&writer, slice_string("a"), slice_string("{1}"));
	table_writer_end_batch(&writer);
	table_writer_end_batch(&writer);
	assert_string_equal(typed(&writer), "HSET on:n:new a {}\nHSET on:n:new b {}\nHDEL on:n:new b\n"
					    "HSET on:n:new a {1}\nEXPIRE on:n:new 60\n");
	HEAR(&writer, 1, 1, 1, 0, 1);
	assert_int_equal(writer.clients, 1);
	table_writer_finish(&writer, WALL_MS);
	assert_string_equal(typed(&writer), "RENAME on:n:new on:n\nEXPIRE on:n 60\nZADD on 1700000000000 n\n"
					    "ZREMRANGEBYSCORE on -inf 1699996400000\nHLEN on:n\n");
	assert_true(table_writer_hear(&writer, false, 0));
	HEAR(&writer, 1, 1, 0, 1);
	assert_false(table_writer_owes(&writer) || writer.is_wrong);
	assert_int_equal(writer.renewals, 1);
	table_writer_put(&writer, slice_string("c"), slice_string("{}"));
	table_writer_remove(&writer, slice_string("a"));
	assert_string_equal(typed(&writer), "HSET on:n c {}\nHDEL on:n a\n");
	table_writer_free(&writer);
}

/* A hash without fields is none. */
static void test_nobody(void **state)
{
	(void)state;
	struct table_writer writer;
	open_writer(&writer);
	table_writer_finish(&writer, WALL_MS);
	assert_memory_equal(typed(&writer), "DEL on:n\nEXPIRE on:n 60\n", 24);
	HEAR(&writer, 1, 0, 1, 0, 0);
	assert_false(writer.is_wrong);
	table_writer_free(&writer);
}

/* Redis has lost it, or somebody else has written to it. */
static void test_another_number(void **state)
{
	(void)state;
	struct table_writer writer;
	open_writer(&writer);
	table_writer_finish(&writer, WALL_MS);
	table_writer_put(&writer, slice_string("a"), slice_string("{}"));
	table_writer_renew(&writer, WALL_MS);
	table_writer_remove(&writer, slice_string("a"));
	HEAR(&writer, 1, 0, 1, 0, 0, 1);
	/* The number is that of its moment: the client that goes behind it does not count yet. */
	HEAR(&writer, 1, 1, 0, 1);
	assert_false(writer.is_wrong);
	HEAR(&writer, 1);
	assert_int_equal(writer.clients, 0);
	table_writer_renew(&writer, WALL_MS);
	HEAR(&writer, 0, 1, 0, 7);
	assert_true(writer.is_wrong);
	table_writer_begin(&writer);
	assert_false(writer.is_wrong);
	table_writer_free(&writer);
}

static void test_renewed_while_it_is_made(void **state)
{
	(void)state;
	struct table_writer writer;
	open_writer(&writer);
	table_writer_renew(&writer, 1000);
	assert_string_equal(typed(&writer), "EXPIRE on:n 60\nZADD on 1000 n\nEXPIRE on:n:new 60\n");
	HEAR(&writer, 0, 1, 0);
	assert_false(writer.is_wrong);
	table_writer_free(&writer);
}

static void test_leaving(void **state)
{
	(void)state;
	struct table_writer writer;
	open_writer(&writer);
	table_writer_leave(&writer);
	assert_string_equal(typed(&writer), "DEL on:n on:n:new\nZREM on n\n");
	table_writer_reset(&writer);
	assert_false(table_writer_owes(&writer));
	table_writer_free(&writer);
}

static void test_answers_that_are_none(void **state)
{
	(void)state;
	struct table_writer writer;
	open_writer(&writer);
	assert_false(table_writer_hear(&writer, true, 1)); /* none is due */
	table_writer_put(&writer, slice_string("a"), slice_string("{}"));
	assert_false(table_writer_hear(&writer, false, 0)); /* a number is */
	assert_false(table_writer_hear(&writer, true, -1));
	assert_true(table_writer_hear(&writer, true, 1));
	table_writer_free(&writer);
}

/* So many that those which have come are forgotten on the way. */
static void test_many_answers(void **state)
{
	(void)state;
	struct table_writer writer;
	open_writer(&writer);
	for (int round = 0; round < 300; round++) {
		for (int i = 0; i < 1000; i++)
			table_writer_put(&writer, slice_string("a"), slice_string("{}"));
		writer.out.size = 0;
		for (int i = 0; i < 999; i++)
			HEAR(&writer, 1);
	}
	assert_int_equal(writer.clients, 299700);
	assert_true(table_writer_owes(&writer) && writer.due.size - writer.heard == 300 && writer.due.size < 100000);
	table_writer_free(&writer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_making),         cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_another_number), cmocka_unit_test(test_renewed_while_it_is_made),
		cmocka_unit_test(test_leaving),        cmocka_unit_test(test_answers_that_are_none),
		cmocka_unit_test(test_many_answers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
