/* The head of a PUBLISH between nodes: there and back, and cut at every byte. */
#include "cluster/publish/publish_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t PACKET[] = {0x30, 4, 0, 1, 't', 'x'};

static struct publish_message some_message(uint32_t flags)
{
	struct publish_message message = {
		.packet = slice_of(PACKET, sizeof(PACKET)),
		.is_5 = (flags & 1) != 0,
		.is_plain = (flags & 2) != 0,
		.has_stamp = (flags & 4) != 0,
		.is_copy = (flags & 8) != 0,
		.has_expiry = (flags & 16) != 0,
		.publisher = 0x01020304,
		.shard = 5,
		.generation = 6,
	};
	if (message.has_expiry)
		message.expires_s = 77;
	if (message.has_stamp)
		message.stamp = (struct stamp){.time = 88, .node = 99};
	if (message.is_copy) {
		message.run = 1;
		message.sender = 2;
		message.number = UINT64_MAX;
	}
	message.group_count = (flags & 32) != 0 ? PUBLISH_GROUPS_MAX : (flags & 2) != 0 ? 0 : 1;
	for (uint32_t i = 0; i < message.group_count; i++)
		message.groups[i] = (struct publish_group){.name = i + 1, .generation = (uint16_t)(i * 3)};
	return message;
}

static size_t write_whole(const struct publish_message *message, uint8_t *body)
{
	size_t head = publish_message_head(message, body);
	memcpy(body + head, message->packet.data, message->packet.size);
	return head + message->packet.size;
}

static void test_there_and_back(void **state)
{
	(void)state;
	uint8_t body[PUBLISH_HEAD_BYTES_MAX + sizeof(PACKET)];
	for (uint32_t flags = 0; flags < 64; flags++) {
		struct publish_message message = some_message(flags);
		struct publish_message read;
		size_t size = write_whole(&message, body);
		assert_true(publish_message_read(slice_of(body, size), &read));
		assert_int_equal(read.is_5, message.is_5);
		assert_int_equal(read.is_plain, message.is_plain);
		assert_int_equal(read.publisher, message.publisher);
		assert_int_equal(read.shard, message.shard);
		assert_int_equal(read.generation, message.generation);
		assert_int_equal(read.has_expiry, message.has_expiry);
		assert_int_equal(read.expires_s, message.expires_s);
		assert_int_equal(read.has_stamp, message.has_stamp);
		if (message.has_stamp)
			assert_int_equal(stamp_compare(read.stamp, message.stamp), 0);
		assert_int_equal(read.is_copy, message.is_copy);
		assert_true(read.run == message.run && read.sender == message.sender && read.number == message.number);
		assert_int_equal(read.group_count, message.group_count);
		for (uint32_t i = 0; i < message.group_count; i++) {
			assert_int_equal(read.groups[i].name, message.groups[i].name);
			assert_int_equal(read.groups[i].generation, message.groups[i].generation);
		}
		assert_true(slice_equal(read.packet, message.packet));
	}
}

static void test_cut_at_every_byte(void **state)
{
	(void)state;
	uint8_t body[PUBLISH_HEAD_BYTES_MAX + sizeof(PACKET)];
	struct publish_message message = some_message(63);
	size_t head = publish_message_head(&message, body);
	for (size_t size = 0; size < head; size++) {
		struct publish_message read;
		uint8_t *cut = malloc(size + 1); /* so that a sanitizer sees what is read behind it */
		memcpy(cut, body, size);
		assert_false(publish_message_read(slice_of(cut, size), &read));
		free(cut);
	}
}

static void test_what_no_node_sends(void **state)
{
	(void)state;
	uint8_t body[PUBLISH_HEAD_BYTES_MAX + sizeof(PACKET)];
	struct publish_message read;
	struct publish_message message = some_message(2);
	size_t size = write_whole(&message, body);
	body[0] |= 0x80; /* a flag that there is not */
	assert_false(publish_message_read(slice_of(body, size), &read));
	body[0] = 0; /* for nobody */
	assert_false(publish_message_read(slice_of(body, size), &read));
	message = some_message(0);
	message.groups[0].name = 0;
	size = write_whole(&message, body);
	assert_false(publish_message_read(slice_of(body, size), &read));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_cut_at_every_byte),
		cmocka_unit_test(test_what_no_node_sends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
