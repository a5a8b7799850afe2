/* The journal's lines: written, read, torn and damaged. */
#include "auth/revocation/revocation_journal.h"

#include "base/hash.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW_S INT64_C(1700000000)

static const struct hash_key KEY = {{1}};

static size_t write_line(enum revocation_kind kind, const char *id, int64_t until_s, char *out)
{
	struct revocation revocation = {.kind = kind, .id = slice_string(id), .until_s = until_s};
	return revocation_line_write(&revocation, out);
}

static const struct {
	enum revocation_kind kind;
	const char *id;
	int64_t until_s;
	const char *text; /* behind the checksum */
} LINES[] = {
	{REVOCATION_TOKEN, "0f8fad5b", 1735689600, "token 1735689600 0f8fad5b"},
	{REVOCATION_USER, "alice", REVOKED_FOR_EVER, "user ever alice"},
	{REVOCATION_CLIENT, "c/1#+", REVOCATION_LIFTED_S, "client lifted c/1#+"},
	{REVOCATION_CLIENT, "c", -5, "client lifted c"},
	{REVOCATION_USER, "Ann Smith", 1, "user 1 Ann%20Smith"},
	{REVOCATION_USER, " a\tb\r\n%\x7f", 1, "user 1 %20a%09b%0d%0a%25%7f"},
	{REVOCATION_USER, "\xc3\xa9\xff", 9223372036854775806, "user 9223372036854775806 \xc3\xa9\xff"},
	{REVOCATION_USER, "#", 1, "user 1 #"},
};

static void test_lines_come_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(LINES) / sizeof(LINES[0]); i++) {
		size_t room = REVOCATION_LINE_BYTES_MAX(strlen(LINES[i].id));
		char *line = test_malloc(room);
		size_t size = write_line(LINES[i].kind, LINES[i].id, LINES[i].until_s, line);
		assert_true(size <= room);
		assert_int_equal(line[size - 1], '\n');
		assert_int_equal(line[16], ' ');
		assert_true(slice_equal(slice_of(line + 17, size - 18), slice_string(LINES[i].text)));
		struct revocation back;
		uint8_t id[64];
		assert_true(revocation_line_read(slice_of(line, size - 1), id, &back));
		assert_int_equal(back.kind, LINES[i].kind);
		assert_true(back.until_s == (LINES[i].until_s < 0 ? 0 : LINES[i].until_s));
		assert_true(slice_equal(back.id, slice_string(LINES[i].id)));
		test_free(line);
	}
}

static bool reads(const char *line)
{
	uint8_t id[256];
	struct revocation revocation;
	return revocation_line_read(slice_string(line), id, &revocation);
}

static void test_lines_without_their_checksum(void **state)
{
	(void)state;
	static const char *const BAD[] = {
		"",
		" ",
		"user 1 alice",
		"0000000000000000 user 1 alice",
		"x user 1 a",
		"0000000000000000",
		"000000000000000",
		"FFFFFFFFFFFFFFFF user 1 alice",
	};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
		assert_false(reads(BAD[i]));
}

/* With the checksum that the header documents: what is left to judge is the text. */
static bool reads_text(const char *text)
{
	static const struct hash_key ZEROES;
	char line[256];
	snprintf(line, sizeof(line), "%016" PRIx64 " %s", hash_slice(&ZEROES, slice_string(text)), text);
	return reads(line);
}

static void test_lines_that_say_nothing(void **state)
{
	(void)state;
	static const char *const BAD[] = {
		"users 1 a",
		"User 1 a",
		"user",
		"user 1",
		"user 1 ",
		"user  a",
		"user 0 a",
		"user -1 a",
		"user +1 a",
		"user 1.5 a",
		"user x a",
		"user Ever a",
		"user 9223372036854775808 a",
		"user 99999999999999999999 a",
		"user 1 %",
		"user 1 %2",
		"user 1 %2g",
		"user 1 %FF",
		"1 user a",
	};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
		if (reads_text(BAD[i]))
			fail_msg("%s", BAD[i]);
	assert_true(reads_text("user 1 a"));
	assert_true(reads_text("client lifted %00"));
}

/* Every bit of a line is under the checksum. */
static void test_no_bit_may_change(void **state)
{
	(void)state;
	char line[128];
	uint8_t id[128];
	struct revocation revocation;
	size_t size = write_line(REVOCATION_TOKEN, "abc def", 1735689600, line) - 1;
	assert_true(revocation_line_read(slice_of(line, size), id, &revocation));
	for (size_t bit = 0; bit < 8 * size; bit++) {
		line[bit / 8] = (char)(line[bit / 8] ^ 1 << bit % 8);
		assert_false(revocation_line_read(slice_of(line, size), id, &revocation));
		line[bit / 8] = (char)(line[bit / 8] ^ 1 << bit % 8);
	}
	for (size_t cut = 0; cut < size; cut++)
		assert_false(revocation_line_read(slice_of(line, cut), id, &revocation));
}

/* ---- whole journals ---- */

struct journal {
	char text[4096];
	size_t size;
};

static void append(struct journal *journal, enum revocation_kind kind, const char *id, int64_t until_s)
{
	journal->size += write_line(kind, id, until_s, journal->text + journal->size);
}

static void append_text(struct journal *journal, const char *text)
{
	memcpy(journal->text + journal->size, text, strlen(text));
	journal->size += strlen(text);
}

static struct revocations *replay(const struct journal *journal, size_t size, struct journal_result *result)
{
	struct revocations *table = revocations_new(100, &KEY);
	assert_non_null(table);
	assert_int_equal(journal_replay(slice_of(journal->text, size), NOW_S, table, result), ERROR_OK);
	return table;
}

static bool has(const struct revocations *table, enum revocation_kind kind, const char *id)
{
	return revocations_has(table, kind, slice_string(id), NOW_S);
}

static void test_the_last_line_for_an_id_holds(void **state)
{
	(void)state;
	struct journal journal = {0};
	struct journal_result result;
	append_text(&journal, "# a comment\n");
	append(&journal, REVOCATION_USER, "a", REVOKED_FOR_EVER);
	append(&journal, REVOCATION_USER, "b", NOW_S + 5);
	append(&journal, REVOCATION_USER, "a", REVOCATION_LIFTED_S);
	append(&journal, REVOCATION_USER, "c", NOW_S - 5); /* over */
	append(&journal, REVOCATION_USER, "d", REVOKED_FOR_EVER);
	append(&journal, REVOCATION_USER, "d", NOW_S - 1); /* shortened, and over */
	append(&journal, REVOCATION_TOKEN, "a", NOW_S + 5);
	struct revocations *table = replay(&journal, journal.size, &result);
	assert_false(has(table, REVOCATION_USER, "a"));
	assert_true(has(table, REVOCATION_USER, "b"));
	assert_false(has(table, REVOCATION_USER, "c"));
	assert_false(has(table, REVOCATION_USER, "d"));
	assert_true(has(table, REVOCATION_TOKEN, "a"));
	assert_int_equal(revocations_count(table), 2);
	assert_int_equal(result.lines, 7);
	assert_int_equal(result.damaged, 0);
	assert_int_equal(result.good_bytes, journal.size);
	revocations_free(table);
}

/* Cut anywhere in its last line, it holds what the lines before say, and knows where they end. */
static void test_torn_at_every_byte(void **state)
{
	(void)state;
	struct journal journal = {0};
	append(&journal, REVOCATION_USER, "first", REVOKED_FOR_EVER);
	size_t first_bytes = journal.size;
	append(&journal, REVOCATION_USER, "second", REVOKED_FOR_EVER);
	for (size_t size = first_bytes; size < journal.size; size++) {
		struct journal_result result;
		struct revocations *table = replay(&journal, size, &result);
		assert_int_equal(result.good_bytes, first_bytes);
		assert_int_equal(result.damaged, 0);
		assert_true(has(table, REVOCATION_USER, "first"));
		assert_false(has(table, REVOCATION_USER, "second"));
		revocations_free(table);
	}
}

/* After a loss of power the end of a file may be zeroes or lines of something else. */
static void test_torn_end_of_several_lines(void **state)
{
	(void)state;
	struct journal journal = {0};
	struct journal_result result;
	append(&journal, REVOCATION_USER, "first", REVOKED_FOR_EVER);
	size_t first_bytes = journal.size;
	append_text(&journal, "garbage\nmore garbage\n");
	memset(journal.text + journal.size, 0, 100);
	journal.size += 100;
	struct revocations *table = replay(&journal, journal.size, &result);
	assert_int_equal(result.good_bytes, first_bytes);
	assert_int_equal(result.damaged, 0);
	revocations_free(table);
}

static void test_damage_in_the_middle_is_told(void **state)
{
	(void)state;
	struct journal journal = {0};
	struct journal_result result;
	append(&journal, REVOCATION_USER, "first", REVOKED_FOR_EVER);
	append(&journal, REVOCATION_USER, "broken", REVOKED_FOR_EVER);
	journal.text[journal.size - 3] ^= 1;
	append_text(&journal, "nonsense\n");
	append(&journal, REVOCATION_USER, "last", REVOKED_FOR_EVER);
	append_text(&journal, "torn");
	struct revocations *table = replay(&journal, journal.size, &result);
	assert_int_equal(result.damaged, 2);
	assert_int_equal(result.first_damaged_line, 2);
	assert_int_equal(result.good_bytes, journal.size - 4);
	assert_true(has(table, REVOCATION_USER, "first"));
	assert_true(has(table, REVOCATION_USER, "last"));
	assert_false(has(table, REVOCATION_USER, "broken"));
	revocations_free(table);
}

static void test_more_than_the_table_takes(void **state)
{
	(void)state;
	struct journal journal = {0};
	struct journal_result result;
	append(&journal, REVOCATION_USER, "one", REVOKED_FOR_EVER);
	append(&journal, REVOCATION_USER, "two", REVOKED_FOR_EVER);
	struct revocations *table = revocations_new(1, &KEY);
	assert_int_equal(journal_replay(slice_of(journal.text, journal.size), NOW_S, table, &result), ERROR_OK);
	assert_true(result.full);
	assert_true(has(table, REVOCATION_USER, "one"));
	revocations_free(table);
}

static void test_empty(void **state)
{
	(void)state;
	struct journal_result result;
	struct revocations *table = revocations_new(1, &KEY);
	assert_int_equal(journal_replay(slice_of(NULL, 0), NOW_S, table, &result), ERROR_OK);
	assert_int_equal(result.lines, 0);
	assert_int_equal(result.good_bytes, 0);
	revocations_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_come_back),
		cmocka_unit_test(test_lines_without_their_checksum),
		cmocka_unit_test(test_lines_that_say_nothing),
		cmocka_unit_test(test_no_bit_may_change),
		cmocka_unit_test(test_the_last_line_for_an_id_holds),
		cmocka_unit_test(test_torn_at_every_byte),
		cmocka_unit_test(test_torn_end_of_several_lines),
		cmocka_unit_test(test_damage_in_the_middle_is_told),
		cmocka_unit_test(test_more_than_the_table_takes),
		cmocka_unit_test(test_empty),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
