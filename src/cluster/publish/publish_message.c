#include "cluster/publish/publish_message.h"

#include "base/check.h"
#include "cluster/wire/wire.h"

enum publish_flags {
	FLAG_5 = 0x01,
	FLAG_PLAIN = 0x02,
	FLAG_STAMP = 0x04,
	FLAG_COPY = 0x08,
	FLAG_EXPIRY = 0x10,
	FLAGS_ALL = 0x1f,
};

size_t publish_message_head(const struct publish_message *message, uint8_t head[PUBLISH_HEAD_BYTES_MAX])
{
	CHECK_LE(message->group_count, PUBLISH_GROUPS_MAX);
	uint8_t *at =
		wire_put_u8(head, (uint8_t)((message->is_5 ? FLAG_5 : 0) | (message->is_plain ? FLAG_PLAIN : 0) |
					    (message->has_stamp ? FLAG_STAMP : 0) | (message->is_copy ? FLAG_COPY : 0) |
					    (message->has_expiry ? FLAG_EXPIRY : 0)));
	at = wire_put_u8(at, (uint8_t)message->group_count);
	at = wire_put_u32(at, message->publisher);
	at = wire_put_u16(at, message->shard);
	at = wire_put_u16(at, message->generation);
	if (message->has_expiry)
		at = wire_put_u32(at, message->expires_s);
	if (message->has_stamp) {
		at = wire_put_u64(at, message->stamp.time);
		at = wire_put_u64(at, message->stamp.node);
	}
	if (message->is_copy) {
		at = wire_put_u64(at, message->run);
		at = wire_put_u64(at, message->sender);
		at = wire_put_u64(at, message->number);
	}
	for (uint32_t i = 0; i < message->group_count; i++) {
		at = wire_put_u32(at, message->groups[i].name);
		at = wire_put_u16(at, message->groups[i].generation);
	}
	return (size_t)(at - head);
}

bool publish_message_read(struct slice body, struct publish_message *message)
{
	struct wire_reader reader = wire_read(body);
	uint8_t flags = wire_get_u8(&reader);
	message->is_5 = (flags & FLAG_5) != 0;
	message->is_plain = (flags & FLAG_PLAIN) != 0;
	message->has_stamp = (flags & FLAG_STAMP) != 0;
	message->is_copy = (flags & FLAG_COPY) != 0;
	message->has_expiry = (flags & FLAG_EXPIRY) != 0;
	message->group_count = wire_get_u8(&reader);
	message->publisher = wire_get_u32(&reader);
	message->shard = wire_get_u16(&reader);
	message->generation = wire_get_u16(&reader);
	message->expires_s = message->has_expiry ? wire_get_u32(&reader) : 0;
	if (message->has_stamp) {
		message->stamp.time = wire_get_u64(&reader);
		message->stamp.node = wire_get_u64(&reader);
	}
	message->run = message->is_copy ? wire_get_u64(&reader) : 0;
	message->sender = message->is_copy ? wire_get_u64(&reader) : 0;
	message->number = message->is_copy ? wire_get_u64(&reader) : 0;
	for (uint32_t i = 0; i < message->group_count; i++) {
		message->groups[i].name = wire_get_u32(&reader);
		message->groups[i].generation = wire_get_u16(&reader);
		if (message->groups[i].name == 0)
			return false;
	}
	message->packet = reader.rest;
	return !reader.failed && (flags & ~FLAGS_ALL) == 0 && (message->is_plain || message->group_count != 0);
}
