/* Records: what is written is read again, whatever the kind; bytes that are not such a record are refused. */
#include "store/format/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint8_t PACKET[200] = {0x32, 0xc5, 0x01, 0, 3, 'a', '/', 'b', 0, 1, 'x'};

/* A session and an entry further, twice. */
static const uint8_t RUN_BODY[] = {2 * 2 + 1, 2, 2};

static const struct store_record RECORDS[] = {
	{.kind = STORE_OPENED, .session = 1, .text = {(const uint8_t *)"client", 6}},
	{.kind = STORE_OPENED, .session = UINT32_MAX, .flags = STORE_FLAG_AGAIN, .text = {(const uint8_t *)"c", 1}},
	{.kind = STORE_CONNECTED,
	 .session = 128,
	 .flags = STORE_FLAG_IS_BRIDGE,
	 .expiry_s = UINT32_MAX,
	 .publisher_generation = 65535},
	{.kind = STORE_PRINCIPAL,
	 .session = 127,
	 .flags = STORE_FLAG_USES_AUTH | STORE_FLAG_HAS_RULES,
	 .expires_at_s = 1800000000,
	 .token_hash = UINT64_C(0x123456789abcdef0),
	 .user_hash = UINT64_MAX,
	 .text = {(const uint8_t *)"user", 4},
	 .body = {PACKET, 30}},
	{.kind = STORE_LEFT, .session = 5, .expiry_s = 60, .ends_at_s = STORE_NEVER_S, .will_at_s = -1},
	{.kind = STORE_ENDED, .session = 5},
	{.kind = STORE_SUBSCRIBED,
	 .session = 5,
	 .subscription = 16384,
	 .identifier = 268435455,
	 .count = 255,
	 .text = {(const uint8_t *)"$share/g/a/#", 12}},
	{.kind = STORE_UNSUBSCRIBED, .session = 5, .subscription = 3},
	{.kind = STORE_OWED, .session = 5, .subscription = 3, .count = UINT32_MAX},
	{.kind = STORE_WILL_SET, .session = 5, .message = 9, .delay_s = 30, .expiry_s = 3600},
	{.kind = STORE_WILL_PUBLISHED, .session = 5, .expires_at_s = STORE_NEVER_S},
	{.kind = STORE_WILL_DROPPED, .session = 5},
	{.kind = STORE_KEPT,
	 .message = 77,
	 .flags = 1 | STORE_FLAG_RETAIN | STORE_FLAG_IS_5,
	 .expires_at_s = STORE_NEVER_S,
	 .topic_bytes = 3,
	 .header_bytes = 3,
	 .packet_bytes = sizeof(PACKET),
	 .body = {PACKET, sizeof(PACKET)}},
	{.kind = STORE_KEPT,
	 .message = 77,
	 .flags = 2 | STORE_FLAG_AGAIN,
	 .expires_at_s = INT64_MAX - 1,
	 .publisher = 4,
	 .publisher_shard = 65535,
	 .publisher_generation = 7,
	 .topic_bytes = 3,
	 .header_bytes = 3,
	 .packet_bytes = 11,
	 .body = {PACKET, 11}},
	{.kind = STORE_KEPT_AT,
	 .message = 78,
	 .flags = STORE_FLAG_AGAIN,
	 .expires_at_s = INT64_MIN + 1,
	 .segment = UINT32_MAX,
	 .offset = UINT32_MAX,
	 .topic_bytes = 65535,
	 .header_bytes = 5,
	 .packet_bytes = UINT32_MAX},
	{.kind = STORE_FORGOTTEN, .message = 78},
	{.kind = STORE_QUEUED,
	 .session = 1,
	 .entry = 2,
	 .message = 3,
	 .subscription = 4,
	 .flags = 2 | STORE_FLAG_RETAIN | STORE_FLAG_SHARED | STORE_FLAG_AGAIN,
	 .identifier = 5},
	{.kind = STORE_SENT, .entry = 2, .packet_id = 65535},
	{.kind = STORE_RELEASED, .entry = 2},
	{.kind = STORE_DONE, .entry = 2},
	{.kind = STORE_DROPPED, .entry = 2},
	{.kind = STORE_HANDED_ON, .entry = 2},
	{.kind = STORE_MOVED, .entry = 2, .entry_to = 3},
	{.kind = STORE_NUMBERED, .session = 1, .packet_id = 9},
	{.kind = STORE_RECEIVED, .session = 1, .packet_id = 9},
	{.kind = STORE_RECEIVED_FROM,
	 .packet_id = 9,
	 .flags = STORE_FLAG_SHARED,
	 .publisher = 1,
	 .publisher_shard = 2,
	 .publisher_generation = 3,
	 .text = {(const uint8_t *)"$share/g/f", 10}},
	{.kind = STORE_COMPLETED, .session = 1, .packet_id = 9},
	{.kind = STORE_RETAINED,
	 .number = UINT64_MAX,
	 .flags = 1,
	 .expires_at_s = 1800000000,
	 .topic_bytes = 3,
	 .header_bytes = 3,
	 .packet_bytes = 11,
	 .text = {PACKET + 5, 3},
	 .body = {PACKET, 11}},
	{.kind = STORE_RETAINED_GONE, .number = 7, .text = {(const uint8_t *)"a/b", 3}},
	{.kind = STORE_QUEUED_RUN,
	 .session = 1,
	 .entry = 2,
	 .message = 3,
	 .flags = 2 | STORE_FLAG_RETAIN,
	 .identifier = 5,
	 .count = 3,
	 .body = {RUN_BODY, sizeof(RUN_BODY)}},
	{.kind = STORE_RETAINED_STAMPED,
	 .number = 8,
	 .stamp_time = UINT64_MAX,
	 .stamp_node = 5,
	 .flags = 1,
	 .expires_at_s = STORE_NEVER_S,
	 .topic_bytes = 3,
	 .header_bytes = 3,
	 .packet_bytes = 11,
	 .text = {PACKET + 5, 3},
	 .body = {PACKET, 11}},
	{.kind = STORE_RETAINED_CLEARED,
	 .number = 7,
	 .stamp_time = 1,
	 .stamp_node = UINT64_MAX,
	 .text = {(const uint8_t *)"a/b", 3}},
};
#define RECORD_COUNT (sizeof(RECORDS) / sizeof(RECORDS[0]))

static void assert_record_equal(struct store_record left, struct store_record right)
{
	assert_true(slice_equal(left.text, right.text));
	assert_true(slice_equal(left.body, right.body));
	left.text = right.text;
	left.body = right.body;
	left.checksum = right.checksum; /* encoding computes it */
	assert_memory_equal(&left, &right, sizeof(left));
}

static void test_what_is_written_is_read(void **state)
{
	(void)state;
	bool seen[STORE_KIND_COUNT] = {false};
	for (size_t i = 0; i < RECORD_COUNT; i++) {
		/* Copied whole, padding too. */
		struct store_record record, read;
		memset(&record, 0, sizeof(record));
		memcpy(&record, &RECORDS[i], sizeof(record));
		uint8_t bytes[1024];
		size_t size = store_record_encode(&record, bytes);
		assert_true(size <= store_record_bytes_max(&record));
		assert_int_equal(store_record_decode(slice_of(bytes, size + 5), &read), size);
		assert_record_equal(record, read);
		assert_true(read.kind != STORE_KEPT || store_record_is_intact(&read));
		seen[record.kind] = true;
	}
	for (int kind = STORE_DEAD + 1; kind < STORE_KIND_COUNT; kind++)
		assert_true(seen[kind]);
}

static void test_a_record_that_is_cut_is_none(void **state)
{
	(void)state;
	for (size_t i = 0; i < RECORD_COUNT; i++) {
		struct store_record read;
		uint8_t bytes[1024];
		size_t size = store_record_encode(&RECORDS[i], bytes);
		for (size_t cut = 0; cut < size; cut++) {
			/* A block of its own, so that a sanitizer sees a step past its end. */
			uint8_t *part = malloc(cut + 1);
			memcpy(part, bytes, cut);
			uint8_t *exact = realloc(part, cut != 0 ? cut : 1);
			assert_int_equal(store_record_decode(slice_of(exact, cut), &read), 0);
			free(exact);
		}
	}
}

static void test_one_way_to_write_each_record(void **state)
{
	(void)state;
	/* Each flip of a bit gives another record or none; what is read is written as the same bytes, unless its body
	 * does not match its checksum. */
	for (size_t i = 0; i < RECORD_COUNT; i++) {
		uint8_t bytes[1024], again[1024];
		size_t size = store_record_encode(&RECORDS[i], bytes);
		for (size_t bit = 0; bit < size * 8; bit++) {
			struct store_record read;
			bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
			size_t got = store_record_decode(slice_of(bytes, size), &read);
			if (got != 0 && read.kind == STORE_KEPT && !store_record_is_intact(&read)) {
				assert_int_equal(store_record_encode(&read, again), got);
				assert_memory_not_equal(again, bytes, got);
			} else if (got != 0) {
				assert_int_equal(store_record_encode(&read, again), got);
				assert_memory_equal(again, bytes, got);
			}
			bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
}

static void test_what_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		uint8_t bytes[24];
		size_t size;
	} CASES[] = {
		{"no kind", {0}, 1},
		{"a kind that is not known", {STORE_KIND_COUNT, 1}, 2},
		{"a number that is not minimal", {STORE_DONE, 0x81, 0x00}, 3},
		{"a number above 32 bits", {STORE_DONE, 0x80, 0x80, 0x80, 0x80, 0x10}, 6},
		{"a number above 64 bits",
		 {STORE_RETAINED_GONE, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02, 0},
		 12},
		{"a packet identifier above 16 bits", {STORE_SENT, 1, 0x80, 0x80, 0x04}, 5},
		{"a flag of another kind", {STORE_OPENED, 1, STORE_FLAG_RETAIN, 1, 'c'}, 5},
		{"a QoS of 3", {STORE_QUEUED, 1, 1, 1, 0, 3, 0}, 7},
		{"options above 8 bits", {STORE_SUBSCRIBED, 1, 1, 0, 0x80, 0x02, 1, 'a'}, 8},
		{"a second way to say never",
		 {STORE_WILL_PUBLISHED, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
		 12},
		{"a topic beyond the packet", {STORE_KEPT, 1, 0, 0, 0, 4, 2, 0, 0, 0, 0, 5, 0x30, 3, 0, 1, 'a'}, 17},
		{"a packet identifier beyond the packet",
		 {STORE_KEPT, 1, 1, 0, 0, 1, 2, 0, 0, 0, 0, 5, 0x32, 3, 0, 1, 'a'},
		 17},
		{"rules without the flag",
		 {STORE_PRINCIPAL, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 'r'},
		 22},
		{"a text beyond the end", {STORE_OPENED, 1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f}, 8},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct store_record record;
		if (store_record_decode(slice_of(CASES[i].bytes, CASES[i].size), &record) != 0)
			fail_msg("%s was taken", CASES[i].what);
	}
	/* The same with one thing put right. */
	struct store_record record;
	static const uint8_t GOOD[] = {STORE_KEPT, 1, 0, 0, 0, 1, 2, 0, 0, 0, 0, 5, 0x30, 3, 0, 1, 'a'};
	assert_int_equal(store_record_decode(slice_of(GOOD, sizeof(GOOD)), &record), sizeof(GOOD));
}

static void test_a_changed_body_is_found(void **state)
{
	(void)state;
	const struct store_record kept = {.kind = STORE_KEPT,
					  .message = 1,
					  .expires_at_s = STORE_NEVER_S,
					  .topic_bytes = 3,
					  .header_bytes = 3,
					  .body = {PACKET, sizeof(PACKET)}};
	uint8_t bytes[1024];
	size_t size = store_record_encode(&kept, bytes);
	for (size_t bit = (size - sizeof(PACKET)) * 8; bit < size * 8; bit++) {
		struct store_record read;
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(store_record_decode(slice_of(bytes, size), &read), size);
		assert_false(store_record_is_intact(&read));
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void test_records_are_small(void **state)
{
	(void)state;
	uint8_t bytes[1024];
	const struct store_record done = {.kind = STORE_DONE, .entry = 100};
	assert_int_equal(store_record_encode(&done, bytes), 2);
	const struct store_record sent = {.kind = STORE_SENT, .entry = 100, .packet_id = 100};
	assert_int_equal(store_record_encode(&sent, bytes), 3);
	const struct store_record queued = {
		.kind = STORE_QUEUED, .session = 100, .entry = 100, .message = 100, .flags = 1};
	assert_int_equal(store_record_encode(&queued, bytes), 7);
	const struct store_record kept = {.kind = STORE_KEPT,
					  .message = 100,
					  .expires_at_s = STORE_NEVER_S,
					  .topic_bytes = 3,
					  .header_bytes = 3,
					  .packet_bytes = sizeof(PACKET),
					  .body = {PACKET, sizeof(PACKET)}};
	assert_int_equal(store_record_encode(&kept, bytes), sizeof(PACKET) + 13);
}

static void test_for_people(void **state)
{
	(void)state;
	char text[200];
	const struct store_record opened = {
		.kind = STORE_OPENED, .session = 12, .text = {(const uint8_t *)"a\"b\n\xc3\xa4", 6}};
	store_record_format(&opened, text, sizeof(text));
	assert_string_equal(text, "opened session 12 flags 0 text \"a\\x22b\\x0a\xc3\xa4\"");
	const struct store_record left = {
		.kind = STORE_LEFT, .session = 1, .expiry_s = 9, .ends_at_s = STORE_NEVER_S, .will_at_s = 7};
	store_record_format(&left, text, sizeof(text));
	assert_string_equal(text, "left session 1 expiry_s 9 ends_at_s never will_at_s 7");
	for (size_t size = 1; size < 40; size++) {
		memset(text, '!', sizeof(text));
		store_record_format(&left, text, size);
		assert_true(memchr(text, '\0', size) != NULL);
		assert_int_equal(text[size], '!');
	}
	assert_string_equal(store_kind_name(STORE_KIND_COUNT), "unknown");
}

static void test_a_publication_is_kept(void **state)
{
	(void)state;
	const struct publication publication = {
		.packet_bytes = 11, .topic_bytes = 3, .header_bytes = 3, .qos = 2, .retain = 1, .is_5 = 1};
	struct store_record record = {.kind = STORE_KEPT, .flags = STORE_FLAG_AGAIN};
	store_record_set_publication(&record, &publication);
	assert_int_equal(record.flags, 2 | STORE_FLAG_RETAIN | STORE_FLAG_IS_5 | STORE_FLAG_AGAIN);
	struct publication again = store_record_publication(&record);
	assert_memory_equal(&again, &publication, sizeof(again));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_written_is_read),
		cmocka_unit_test(test_a_record_that_is_cut_is_none),
		cmocka_unit_test(test_one_way_to_write_each_record),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_a_changed_body_is_found),
		cmocka_unit_test(test_records_are_small),
		cmocka_unit_test(test_for_people),
		cmocka_unit_test(test_a_publication_is_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
