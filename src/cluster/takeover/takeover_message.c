#include "cluster/takeover/takeover_message.h"

_Static_assert((unsigned)TAKEOVER_KIND_LIMIT <= (unsigned)MESSAGE_RETAINED, "the kinds stay in their range");
_Static_assert(((SESSION_CLEAN | SESSION_MERGES) & (SESSION_WHOLE | SESSION_LAST)) == 0,
	       "flags of both kinds share a byte");
_Static_assert(TAKEOVER_HELD_BYTES == 4 + 1 + 2, "what stands before an id in HELD");

static uint8_t *takeover_message_put(uint8_t *to, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		*to++ = (uint8_t)(value >> 8 * i);
	return to;
}

static uint64_t takeover_message_get(const uint8_t *at, unsigned bytes)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < bytes; i++)
		value |= (uint64_t)at[i] << 8 * i;
	return value;
}

static uint8_t *takeover_message_put_slice(uint8_t *to, struct slice bytes, unsigned length_bytes)
{
	to = takeover_message_put(to, bytes.size, length_bytes);
	if (bytes.size != 0)
		memcpy(to, bytes.data, bytes.size);
	return to + bytes.size;
}

size_t takeover_encode(const struct takeover_message *message, uint8_t *to)
{
	uint8_t *at = to;
	at = takeover_message_put(at, message->view, 8);
	at = takeover_message_put(at, message->number, 8);
	at = takeover_message_put(at, message->claim, 8);
	at = takeover_message_put(at, message->age_s, 4);
	at = takeover_message_put(at, message->sequence, 4);
	at = takeover_message_put(at, message->flags, 1);
	at = takeover_message_put_slice(at, message->node, 1);
	at = takeover_message_put_slice(at, message->user, 2);
	at = takeover_message_put_slice(at, message->id, 2);
	return (size_t)(at - to);
}

static bool get_slice(struct slice bytes, size_t *at, unsigned length_bytes, struct slice *slice)
{
	if (bytes.size - *at < length_bytes)
		return false;
	size_t size = takeover_message_get(bytes.data + *at, length_bytes);
	if (bytes.size - *at - length_bytes < size)
		return false;
	*slice = slice_of(bytes.data + *at + length_bytes, size);
	*at += length_bytes + size;
	return true;
}

#define FIXED_BYTES (8u * 3 + 4u * 2 + 1)
_Static_assert(FIXED_BYTES == 32u + 1, "the flags are the last of what is always there");

bool takeover_decode(struct slice bytes, struct takeover_message *message)
{
	size_t at = FIXED_BYTES;
	if (bytes.size < FIXED_BYTES)
		return false;
	*message = (struct takeover_message){
		.view = takeover_message_get(bytes.data, 8),
		.number = takeover_message_get(bytes.data + 8, 8),
		.claim = takeover_message_get(bytes.data + 16, 8),
		.age_s = (uint32_t)takeover_message_get(bytes.data + 24, 4),
		.sequence = (uint32_t)takeover_message_get(bytes.data + 28, 4),
		.flags = bytes.data[32],
	};
	if (!get_slice(bytes, &at, 1, &message->node) || !get_slice(bytes, &at, 2, &message->user) ||
	    !get_slice(bytes, &at, 2, &message->id))
		return false;
	message->body = slice_of(bytes.data + at, bytes.size - at);
	return true;
}

bool takeover_held_next(struct slice body, size_t *at, uint32_t *age_s, bool *is_husk, struct slice *id)
{
	size_t next = *at + 5;
	if (body.size - *at < TAKEOVER_HELD_BYTES || !get_slice(body, &next, 2, id) || id->size == 0)
		return false;
	*age_s = (uint32_t)takeover_message_get(body.data + *at, 4);
	*is_husk = body.data[*at + 4] != 0;
	*at = next;
	return true;
}

bool takeover_ended_next(struct slice body, size_t *at, struct slice *id)
{
	size_t next = *at;
	if (!get_slice(body, &next, 2, id) || id->size == 0)
		return false;
	*at = next;
	return true;
}

size_t takeover_held_put(uint8_t *to, uint32_t age_s, bool is_husk, struct slice id)
{
	uint8_t *at = takeover_message_put(to, age_s, 4);
	*at++ = is_husk;
	return (size_t)(takeover_message_put_slice(at, id, 2) - to);
}
