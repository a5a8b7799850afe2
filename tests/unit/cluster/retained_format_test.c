/* What nodes say of retained messages: written and read, cut at every byte, and with what it may not have. */
#include "cluster/common/retained_format.h"

#include "mqtt/field/protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_digest(void **state)
{
	(void)state;
	struct retained_digest_message digest = {.round = 7, .lacks = true, .time = 99, .forgotten = 98}, read;
	for (uint32_t i = 0; i < RETAINED_PARTS; i++) {
		digest.digest[i] = i * 0x0101010101010101u;
		digest.count[i] = i;
	}
	uint8_t *body = malloc(RETAINED_DIGEST_BYTES);
	retained_digest_write(&digest, body);
	memset(&read, 0, sizeof(read));
	assert_true(retained_digest_read(slice_of(body, RETAINED_DIGEST_BYTES), &read));
	assert_int_equal(read.round, 7);
	assert_true(read.lacks);
	assert_int_equal(read.time, 99);
	assert_int_equal(read.forgotten, 98);
	assert_memory_equal(read.digest, digest.digest, sizeof(digest.digest));
	assert_memory_equal(read.count, digest.count, sizeof(digest.count));
	assert_false(retained_digest_read(slice_of(body, RETAINED_DIGEST_BYTES - 1), &read));
	assert_false(retained_digest_read(slice_of(body, 0), &read));
	body[5 + 7] = 0x80; /* a time that is none */
	assert_false(retained_digest_read(slice_of(body, RETAINED_DIGEST_BYTES), &read));
	free(body);
}

static void test_ask_list(void **state)
{
	(void)state;
	uint64_t parts[RETAINED_PARTS / 64] = {1, 2, 3}, read[RETAINED_PARTS / 64];
	uint8_t body[RETAINED_ASK_LIST_BYTES];
	uint32_t round, place;
	retained_ask_list_write(1, 2, parts, body);
	assert_true(retained_ask_list_read(slice_of(body, sizeof(body)), &round, &place, read));
	assert_int_equal(round, 1);
	assert_int_equal(place, 2);
	assert_memory_equal(parts, read, sizeof(parts));
	for (size_t size = 0; size < sizeof(body); size++)
		assert_false(retained_ask_list_read(slice_of(body, size), &round, &place, read));
}

static void test_list(void **state)
{
	(void)state;
	uint8_t body[RETAINED_LIST_HEAD_BYTES + 2 * RETAINED_ITEM_BYTES];
	struct retained_item_message item = {.topic = 5, .stamp = {.time = 6, .node = 7}, .is_cleared = true}, read;
	uint8_t *at = retained_u32_write(retained_u32_write(body, 3), 4);
	at = retained_item_write(at, &item);
	item.is_cleared = false;
	assert_ptr_equal(retained_item_write(at, &item), body + sizeof(body));
	uint32_t round, next, count;
	for (size_t size = 0; size <= sizeof(body); size++)
		assert_int_equal(retained_list_read(slice_of(body, size), &round, &next, &count),
				 size >= RETAINED_LIST_HEAD_BYTES &&
					 (size - RETAINED_LIST_HEAD_BYTES) % RETAINED_ITEM_BYTES == 0);
	assert_int_equal(round, 3);
	assert_int_equal(next, 4);
	assert_int_equal(count, 2);
	assert_true(retained_item_read(slice_of(body, sizeof(body)), 0, &read));
	assert_true(read.is_cleared);
	assert_int_equal(read.topic, 5);
	assert_int_equal(stamp_compare(read.stamp, item.stamp), 0);
	assert_true(retained_item_read(slice_of(body, sizeof(body)), 1, &read));
	assert_false(read.is_cleared);
	body[sizeof(body) - 1] = 2;
	assert_false(retained_item_read(slice_of(body, sizeof(body)), 1, &read));
	memset(body + RETAINED_LIST_HEAD_BYTES + 8, 0, STAMP_BYTES);
	assert_false(retained_item_read(slice_of(body, sizeof(body)), 0, &read)); /* no stamp */
}

static void test_values(void **state)
{
	(void)state;
	uint8_t body[256];
	struct retained_value_message value = {.stamp = {.time = 6, .node = 7},
					       .expires_in_s = 8,
					       .version = MQTT_VERSION_5,
					       .packet = slice_string("packet")},
				      read;
	uint8_t *at = retained_u32_write(retained_u32_write(body, 3), 2);
	for (unsigned i = 0; i < 2; i++) {
		at = retained_value_head_write(at, &value);
		memcpy(at, value.packet.data, value.packet.size);
		at += value.packet.size;
	}
	size_t size = (size_t)(at - body);
	uint32_t round, served;
	struct slice rest;
	assert_true(retained_values_read(slice_of(body, size), &round, &served, &rest));
	assert_int_equal(round, 3);
	assert_int_equal(served, 2);
	assert_true(retained_value_read(&rest, &read));
	assert_true(slice_equal(read.packet, value.packet));
	assert_int_equal(read.expires_in_s, 8);
	assert_int_equal(read.version, MQTT_VERSION_5);
	for (size_t cut = 0; cut < rest.size; cut++) {
		struct slice part = slice_of(rest.data, cut);
		assert_false(retained_value_read(&part, &read));
	}
	assert_true(retained_value_read(&rest, &read));
	assert_int_equal(rest.size, 0);
	body[RETAINED_VALUES_HEAD_BYTES + STAMP_BYTES + 4] = 3; /* a version that packets are not kept in */
	rest = slice_of(body + RETAINED_VALUES_HEAD_BYTES, size - RETAINED_VALUES_HEAD_BYTES);
	assert_false(retained_value_read(&rest, &read));
	retained_u32_write(body + 4, 0);
	assert_false(retained_values_read(slice_of(body, size), &round, &served, &rest));
}

static void test_ask_values(void **state)
{
	(void)state;
	uint8_t body[RETAINED_ROUND_BYTES + 8 * (RETAINED_TOPICS_MAX + 1)] = {9};
	uint32_t round, count;
	retained_u64_write(body + RETAINED_ROUND_BYTES + 8, 77);
	assert_true(retained_ask_values_read(slice_of(body, RETAINED_ROUND_BYTES + 16), &round, &count));
	assert_int_equal(round, 9);
	assert_int_equal(count, 2);
	assert_int_equal(retained_asked_topic(slice_of(body, RETAINED_ROUND_BYTES + 16), 1), 77);
	assert_false(retained_ask_values_read(slice_of(body, RETAINED_ROUND_BYTES), &round, &count));
	assert_false(retained_ask_values_read(slice_of(body, RETAINED_ROUND_BYTES + 9), &round, &count));
	assert_false(retained_ask_values_read(slice_of(body, sizeof(body)), &round, &count));
	assert_false(retained_round_read(slice_of(body, 3), &round));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_digest), cmocka_unit_test(test_ask_list),   cmocka_unit_test(test_list),
		cmocka_unit_test(test_values), cmocka_unit_test(test_ask_values),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
