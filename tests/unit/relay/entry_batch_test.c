/* Batches: what goes to Redis for a message, and what is sent again, acknowledged or buried after each kind of answer.
 */
#include "relay/entry/entry_batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOW_MS 1700000000000u

static struct rule a_rule(const char *stream)
{
	struct rule rule;
	rule_init(&rule);
	snprintf(rule.name, sizeof(rule.name), "r");
	snprintf(rule.stream, sizeof(rule.stream), "%s", stream);
	rule.fields = 1u << RULE_FIELD_PAYLOAD;
	return rule;
}

static void add(struct entry_batch *batch, const struct rule *rule, const char *topic, const char *payload, uint16_t id)
{
	const struct relay_message message = {
		.topic = slice_string(topic),
		.payload = slice_string(payload),
		.time = slice_string("17"),
		.qos = id != 0 ? 1 : 0,
	};
	assert_true(entry_batch_add(batch, rule, &message, id, NOW_MS));
}

static void assert_commands(const struct entry_batch *batch, const char *expected)
{
	if (batch->commands.size != strlen(expected) ||
	    memcmp(batch->commands.data, expected, batch->commands.size) != 0)
		fail_msg("%.*s\ninstead of\n%s", (int)batch->commands.size, (const char *)batch->commands.data,
			 expected);
}

static void test_entry(void **state)
{
	(void)state;
	struct entry_batch batch = {0};
	struct rule rule = a_rule("s:{topic.1}");
	add(&batch, &rule, "a/b", "xyz", 7);
	assert_commands(&batch, "*5\r\n$4\r\nXADD\r\n$3\r\ns:a\r\n$1\r\n*\r\n$7\r\npayload\r\n$3\r\nxyz\r\n");
	assert_int_equal(batch.entries[0].packet_id, 7);
	assert_int_equal(batch.entries[0].message_bytes, 6);
	assert_int_equal(batch.entries[0].time_ms, 17);
	entry_batch_free(&batch);
}

static void test_all_fields(void **state)
{
	(void)state;
	static const uint8_t PROPERTIES[] = {0x01, 1};
	struct entry_batch batch = {0};
	struct rule rule = a_rule("s");
	const struct relay_message message = {
		.topic = slice_string("t"),
		.payload = slice_of("\0\r\n", 3),
		.properties = slice_of(PROPERTIES, sizeof(PROPERTIES)),
		.client = slice_string("c"),
		.user = slice_string(""),
		.address = slice_string("1.2.3.4:5"),
		.time = slice_string("9"),
		.qos = 1,
		.retain = true,
	};
	rule.fields = (1u << RULE_FIELD_COUNT) - 1;
	assert_true(entry_batch_add(&batch, &rule, &message, 1, NOW_MS));
	static const char EXPECTED[] =
		"*21\r\n$4\r\nXADD\r\n$1\r\ns\r\n$1\r\n*\r\n$5\r\ntopic\r\n$1\r\nt\r\n$7\r\npayload\r\n$3\r\n\0\r\n\r\n"
		"$3\r\nqos\r\n$1\r\n1\r\n$6\r\nretain\r\n$1\r\n1\r\n$10\r\nproperties\r\n$20\r\n{\"payload_format\":1}"
		"\r\n"
		"$6\r\nclient\r\n$1\r\nc\r\n$4\r\nuser\r\n$0\r\n\r\n$7\r\naddress\r\n$9\r\n1.2.3.4:5\r\n$4\r\ntime\r\n$"
		"1\r\n9\r\n";
	assert_int_equal(batch.commands.size, sizeof(EXPECTED) - 1);
	assert_memory_equal(batch.commands.data, EXPECTED, sizeof(EXPECTED) - 1);
	entry_batch_free(&batch);
}

/* Redis takes no entry without a field. */
static void test_fields_that_nothing_is_known_of(void **state)
{
	(void)state;
	struct entry_batch batch = {0};
	struct rule rule = a_rule("s");
	rule.fields = 1u << RULE_FIELD_USER | 1u << RULE_FIELD_PROPERTIES;
	add(&batch, &rule, "t", "p", 1);
	assert_commands(&batch, "*5\r\n$4\r\nXADD\r\n$1\r\ns\r\n$1\r\n*\r\n$5\r\ntopic\r\n$1\r\nt\r\n");
	entry_batch_free(&batch);
}

static void test_limits_of_streams(void **state)
{
	(void)state;
	struct entry_batch batch = {0};
	struct rule rule = a_rule("s");
	rule.max_length = 1000;
	add(&batch, &rule, "t", "p", 1);
	assert_commands(&batch, "*8\r\n$4\r\nXADD\r\n$1\r\ns\r\n$6\r\nMAXLEN\r\n$1\r\n~\r\n$4\r\n1000\r\n$1\r\n*\r\n"
				"$7\r\npayload\r\n$1\r\np\r\n");
	entry_batch_free(&batch);
	rule.max_length = 0;
	rule.max_age_s = 60;
	add(&batch, &rule, "t", "p", 1);
	assert_commands(&batch,
			"*8\r\n$4\r\nXADD\r\n$1\r\ns\r\n$5\r\nMINID\r\n$1\r\n~\r\n$13\r\n1699999940000\r\n$1\r\n*\r\n"
			"$7\r\npayload\r\n$1\r\np\r\n");
	entry_batch_free(&batch);
}

static void test_transaction(void **state)
{
	(void)state;
	struct entry_batch batch = {0};
	struct bytes out = {0};
	struct rule rule = a_rule("s");
	add(&batch, &rule, "t", "p", 1);
	entry_batch_write(&batch, 0, 1, &out);
	assert_int_equal(out.size, 15 + batch.commands.size + 14);
	assert_memory_equal(out.data, "*1\r\n$5\r\nMULTI\r\n", 15);
	assert_memory_equal(out.data + 15, batch.commands.data, batch.commands.size);
	assert_memory_equal(out.data + 15 + batch.commands.size, "*1\r\n$4\r\nEXEC\r\n", 14);
	bytes_free(&out);
	entry_batch_free(&batch);
}

/* ---- what becomes of them ---- */

struct done {
	uint16_t ids[8];
	uint32_t count;
};

static void note(void *context, const struct batch_entry *entry)
{
	struct done *done = context;
	done->ids[done->count++] = entry->packet_id;
}

static struct entry_batch three(const struct rule *rule)
{
	struct entry_batch batch = {0};
	add(&batch, rule, "t", "one", 1);
	add(&batch, rule, "t", "two", 2);
	add(&batch, rule, "t", "three", 3);
	return batch;
}

static void hear_all(struct entry_batch *batch, enum batch_fate fate)
{
	for (uint32_t i = 0; i < batch->count; i++)
		entry_batch_heard(batch, i, fate);
}

static void test_all_is_done(void **state)
{
	(void)state;
	struct rule rule = a_rule("s");
	struct entry_batch batch = three(&rule);
	struct entry_batch rest = {0};
	struct done done = {0};
	hear_all(&batch, BATCH_QUEUED);
	for (uint32_t i = 0; i < 3; i++)
		entry_batch_executed(&batch, i, "");
	assert_true(entry_batch_settle(&batch, &rule, "", &rest, note, &done));
	assert_int_equal(done.count, 3);
	assert_int_equal(done.ids[2], 3);
	assert_int_equal(rest.count, 0);
	assert_int_equal(batch.count, 0);
	entry_batch_free(&batch);
	entry_batch_free(&rest);
}

static void test_nothing_was_heard(void **state)
{
	(void)state;
	struct rule rule = a_rule("s");
	struct entry_batch batch = three(&rule);
	struct entry_batch copy = three(&rule);
	struct entry_batch rest = {0};
	struct done done = {0};
	entry_batch_heard(&batch, 0, BATCH_QUEUED);
	assert_true(entry_batch_settle(&batch, &rule, "", &rest, note, &done));
	assert_int_equal(done.count, 0);
	assert_int_equal(rest.count, 3);
	assert_int_equal(rest.commands.size, copy.commands.size);
	assert_memory_equal(rest.commands.data, copy.commands.data, copy.commands.size);
	entry_batch_free(&batch);
	entry_batch_free(&copy);
	entry_batch_free(&rest);
}

/* MULTI was refused, and the commands behind it were carried out one by one, but for the first. */
static void test_without_a_transaction(void **state)
{
	(void)state;
	struct rule rule = a_rule("s");
	struct entry_batch batch = three(&rule);
	struct entry_batch rest = {0};
	struct done done = {0};
	entry_batch_heard(&batch, 0, BATCH_REFUSED);
	entry_batch_heard(&batch, 1, BATCH_DONE);
	entry_batch_heard(&batch, 2, BATCH_DONE);
	assert_true(entry_batch_settle(&batch, &rule, "", &rest, note, &done));
	assert_int_equal(done.count, 2);
	assert_int_equal(rest.count, 1);
	assert_int_equal(rest.entries[0].packet_id, 1);
	assert_commands(&rest, "*5\r\n$4\r\nXADD\r\n$1\r\ns\r\n$1\r\n*\r\n$7\r\npayload\r\n$3\r\none\r\n");
	entry_batch_free(&batch);
	entry_batch_free(&rest);
}

static void test_one_is_buried(void **state)
{
	(void)state;
	struct rule rule = a_rule("s");
	struct entry_batch batch = three(&rule);
	struct entry_batch rest = {0};
	struct entry_batch last = {0};
	struct done done = {0};
	hear_all(&batch, BATCH_QUEUED);
	entry_batch_executed(&batch, 0, "");
	entry_batch_executed(&batch, 1, "WRONGTYPE Operation");
	entry_batch_executed(&batch, 2, "");
	assert_true(entry_batch_settle(&batch, &rule, "WRONGTYPE Operation", &rest, note, &done));
	assert_int_equal(done.count, 2);
	assert_int_equal(rest.count, 1);
	assert_true(rest.entries[0].is_dead_letter);
	assert_commands(&rest,
			"*11\r\n$4\r\nXADD\r\n$10\r\nroost:dead\r\n$1\r\n*\r\n$4\r\nrule\r\n$1\r\nr\r\n$6\r\nreason\r\n"
			"$19\r\nWRONGTYPE Operation\r\n$6\r\nstream\r\n$1\r\ns\r\n$7\r\npayload\r\n$3\r\ntwo\r\n");
	/* Where even that is refused, it waits. */
	hear_all(&rest, BATCH_QUEUED);
	entry_batch_executed(&rest, 0, "WRONGTYPE Operation");
	assert_true(entry_batch_settle(&rest, &rule, "", &last, note, &done));
	assert_int_equal(done.count, 2);
	assert_int_equal(last.count, 1);
	assert_true(last.entries[0].is_dead_letter);
	hear_all(&last, BATCH_QUEUED);
	entry_batch_executed(&last, 0, "");
	assert_true(entry_batch_settle(&last, &rule, "", &rest, note, &done));
	assert_int_equal(done.ids[2], 2);
	entry_batch_free(&batch);
	entry_batch_free(&rest);
	entry_batch_free(&last);
}

static void test_stream_without_a_name(void **state)
{
	(void)state;
	struct entry_batch batch = {0};
	struct rule rule = a_rule("{user}");
	add(&batch, &rule, "t", "p", 1);
	assert_true(batch.entries[0].is_dead_letter);
	assert_commands(&batch,
			"*11\r\n$4\r\nXADD\r\n$10\r\nroost:dead\r\n$1\r\n*\r\n$4\r\nrule\r\n$1\r\nr\r\n$6\r\nreason\r\n"
			"$32\r\nthe stream's name would be empty\r\n$6\r\nstream\r\n$6\r\n{user}\r\n"
			"$7\r\npayload\r\n$1\r\np\r\n");
	entry_batch_free(&batch);
}

/* What goes elsewhere is copied, with what is known of it but where it was asked to go. */
static void test_copies(void **state)
{
	(void)state;
	struct rule rule = a_rule("s:{topic}");
	struct entry_batch batch = three(&rule);
	struct entry_batch copy = {0};
	struct entry_batch both = {0};
	batch.entries[1].asked = 7;
	batch.entries[1].redirects = 2;
	assert_true(entry_batch_copy(&copy, &batch, 1));
	assert_commands(&copy, "*5\r\n$4\r\nXADD\r\n$3\r\ns:t\r\n$1\r\n*\r\n$7\r\npayload\r\n$3\r\ntwo\r\n");
	assert_int_equal(copy.entries[0].packet_id, 2);
	assert_int_equal(copy.entries[0].asked, BATCH_NOT_ASKED);
	assert_int_equal(copy.entries[0].redirects, 2);
	assert_true(slice_equal(entry_batch_stream(&copy, 0), slice_string("s:t")));
	assert_true(entry_batch_append(&both, &copy));
	assert_true(entry_batch_append(&both, &batch));
	assert_int_equal(both.count, 4);
	assert_int_equal(both.entries[2].asked, 7);
	assert_int_equal(both.commands.size, copy.commands.size + batch.commands.size);
	entry_batch_truncate(&both, 1);
	assert_commands(&both, "*5\r\n$4\r\nXADD\r\n$3\r\ns:t\r\n$1\r\n*\r\n$7\r\npayload\r\n$3\r\ntwo\r\n");
	entry_batch_free(&batch);
	entry_batch_free(&copy);
	entry_batch_free(&both);
}

static void test_errors_that_pass(void **state)
{
	(void)state;
	static const char *const PASSING[] = {"OOM command not allowed",
					      "READONLY You can't write",
					      "LOADING Redis",
					      "MISCONF Redis is",
					      "NOPERM this user",
					      "EXECABORT Transaction",
					      "OOM"};
	static const char *const LASTING[] = {"WRONGTYPE Operation", "ERR Elements are too large", "OOMX", "", "LOAD"};
	for (size_t i = 0; i < sizeof(PASSING) / sizeof(PASSING[0]); i++)
		assert_true(entry_batch_error_is_passing(PASSING[i]));
	for (size_t i = 0; i < sizeof(LASTING) / sizeof(LASTING[0]); i++)
		assert_false(entry_batch_error_is_passing(LASTING[i]));
}

static void test_full(void **state)
{
	(void)state;
	struct entry_batch batch = {0};
	struct rule rule = a_rule("s");
	for (uint32_t i = 0; i < BATCH_ENTRIES_MAX; i++) {
		assert_false(entry_batch_is_full(&batch));
		add(&batch, &rule, "t", "p", 0);
	}
	assert_true(entry_batch_is_full(&batch));
	entry_batch_free(&batch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entry),
		cmocka_unit_test(test_all_fields),
		cmocka_unit_test(test_fields_that_nothing_is_known_of),
		cmocka_unit_test(test_limits_of_streams),
		cmocka_unit_test(test_transaction),
		cmocka_unit_test(test_all_is_done),
		cmocka_unit_test(test_nothing_was_heard),
		cmocka_unit_test(test_without_a_transaction),
		cmocka_unit_test(test_one_is_buried),
		cmocka_unit_test(test_stream_without_a_name),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_errors_that_pass),
		cmocka_unit_test(test_full),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
