/* A heartbeat in bytes: what is written is read, cut and spoilt ones are refused, and later ones may say more. */
#include "cluster/members/heartbeat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct heartbeat sample(void)
{
	struct heartbeat heartbeat = {
		.flags = HEARTBEAT_STORE,
		.incarnation = 0x0102030405060708u,
		.age_ms = 5000,
		.sent_ms = 123456,
		.wall_ms = 1700000000000u,
		.view_hash = 99,
		.protocol_min = 1,
		.protocol_max = 3,
		.name = slice_string("node-1.example"),
		.version = slice_string("0.3.0"),
		.agreement_count = 2,
		.heard_count = 1,
		.given_up_count = 2,
	};
	heartbeat.agreements[0] = (struct agreement){slice_string("rules"), 11};
	heartbeat.agreements[1] = (struct agreement){slice_string("keys"), 12};
	heartbeat.heard[0] = (struct heard){slice_string("node-2"), 22, 33, 44};
	heartbeat.given_up[0] = 55;
	heartbeat.given_up[1] = 66;
	return heartbeat;
}

static void test_what_is_written_is_read(void **state)
{
	struct heartbeat written = sample();
	struct heartbeat read;
	struct bytes bytes = {0};
	(void)state;
	heartbeat_write(&written, &bytes);
	assert_int_equal(heartbeat_read(bytes_slice(&bytes), &read), HEARTBEAT_FAULT_NONE);
	assert_true(read.flags == written.flags && read.incarnation == written.incarnation);
	assert_true(read.age_ms == 5000 && read.sent_ms == 123456 && read.wall_ms == 1700000000000u);
	assert_true(read.view_hash == 99 && read.protocol_min == 1 && read.protocol_max == 3);
	assert_true(slice_equal(read.name, written.name) && slice_equal(read.version, written.version));
	assert_int_equal(read.agreement_count, 2);
	assert_true(slice_equal(read.agreements[1].name, slice_string("keys")) && read.agreements[1].hash == 12);
	assert_int_equal(read.heard_count, 1);
	assert_true(slice_equal(read.heard[0].name, slice_string("node-2")));
	assert_true(read.heard[0].incarnation == 22 && read.heard[0].sent_ms == 33 && read.heard[0].held_ms == 44);
	assert_int_equal(read.given_up_count, 2);
	assert_true(read.given_up[0] == 55 && read.given_up[1] == 66);
	bytes_free(&bytes);
}

static void test_any_other_byte_and_any_cut_is_a_fault(void **state)
{
	struct heartbeat heartbeat = sample();
	struct heartbeat read;
	struct bytes bytes = {0};
	(void)state;
	heartbeat_write(&heartbeat, &bytes);
	for (size_t at = 0; at < bytes.size; at++) {
		bytes.data[at] ^= 0x20;
		enum heartbeat_fault wanted = at < 2    ? HEARTBEAT_FAULT_MAGIC
					      : at == 2 ? HEARTBEAT_FAULT_FORMAT
							: HEARTBEAT_FAULT_CHECK;
		assert_int_equal(heartbeat_read(bytes_slice(&bytes), &read), wanted);
		bytes.data[at] ^= 0x20;
		assert_int_not_equal(heartbeat_read(slice_of(bytes.data, at), &read), HEARTBEAT_FAULT_NONE);
	}
	bytes_free(&bytes);
}

/* Written with a field that no reader may accept, or with more behind it. */
static enum heartbeat_fault fault_of(const struct heartbeat *heartbeat)
{
	struct bytes bytes = {0};
	struct heartbeat read;
	heartbeat_write(heartbeat, &bytes);
	enum heartbeat_fault fault = heartbeat_read(bytes_slice(&bytes), &read);
	bytes_free(&bytes);
	return fault;
}

static void test_values_that_no_node_may_have(void **state)
{
	struct heartbeat heartbeat = sample();
	(void)state;
	heartbeat.incarnation = 0;
	assert_int_equal(fault_of(&heartbeat), HEARTBEAT_FAULT_MALFORMED);
	heartbeat = sample();
	heartbeat.protocol_min = 4;
	assert_int_equal(fault_of(&heartbeat), HEARTBEAT_FAULT_MALFORMED);
	heartbeat = sample();
	heartbeat.name = slice_string("a b");
	assert_int_equal(fault_of(&heartbeat), HEARTBEAT_FAULT_NAME);
	heartbeat.name = slice_string("");
	assert_int_equal(fault_of(&heartbeat), HEARTBEAT_FAULT_NAME);
}

static void test_names(void **state)
{
	static const struct {
		const char *name;
		bool is_valid;
	} CASES[] = {
		{"a", true},         {"host.example.org", true},
		{"A_b-9", true},     {"", false},
		{"a b", false},      {"a*", false},
		{">", false},        {"a~", false},
		{"\xc3\xa4", false}, {"a\n", false},
	};
	char longest[NODE_NAME_BYTES_MAX + 1];
	(void)state;
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++)
		assert_int_equal(node_name_is_valid(slice_string(CASES[i].name)), CASES[i].is_valid);
	memset(longest, 'x', sizeof(longest));
	assert_true(node_name_is_valid(slice_of(longest, NODE_NAME_BYTES_MAX)));
	assert_false(node_name_is_valid(slice_of(longest, NODE_NAME_BYTES_MAX + 1)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_written_is_read),
		cmocka_unit_test(test_any_other_byte_and_any_cut_is_a_fault),
		cmocka_unit_test(test_values_that_no_node_may_have),
		cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
