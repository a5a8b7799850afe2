#include "cluster/members/heartbeat.h"

#include "base/check.h"
#include "cluster/wire/numbers.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define FLAGS_AT 3u
#define CHECK_AT 4u
#define CHECKED_AT 8u
#define FIXED_BYTES 52u

static uint32_t heartbeat_check(const uint8_t *data, size_t size)
{
	return (uint32_t)XXH3_64bits_withSeed(data + CHECKED_AT, size - CHECKED_AT, get_u32(data));
}

static bool is_alphanumeric(uint8_t byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9');
}

bool node_name_is_valid(struct slice name)
{
	if (name.size == 0 || name.size > NODE_NAME_BYTES_MAX)
		return false;
	for (size_t i = 0; i < name.size; i++) {
		uint8_t byte = name.data[i];
		if (!is_alphanumeric(byte) && byte != '.' && byte != '_' && byte != '-')
			return false;
	}
	return true;
}

/* ---- to bytes ---- */

static void append_u8(struct bytes *bytes, uint32_t value)
{
	uint8_t byte = (uint8_t)value;
	bytes_append(bytes, &byte, 1);
}

static void append_u32(struct bytes *bytes, uint32_t value)
{
	uint8_t field[4];
	put_u32(field, value);
	bytes_append(bytes, field, sizeof(field));
}

static void append_u64(struct bytes *bytes, uint64_t value)
{
	uint8_t field[8];
	put_u64(field, value);
	bytes_append(bytes, field, sizeof(field));
}

static void append_text(struct bytes *bytes, struct slice text)
{
	CHECK_LE(text.size, UINT8_MAX);
	append_u8(bytes, (uint32_t)text.size);
	bytes_append(bytes, text.data, text.size);
}

static void append_fixed(struct bytes *bytes, const struct heartbeat *heartbeat)
{
	uint8_t versions[4];
	const uint8_t start[] = {'R', 'H', HEARTBEAT_FORMAT, heartbeat->flags, 0, 0, 0, 0};
	bytes_append(bytes, start, sizeof(start));
	append_u64(bytes, heartbeat->incarnation);
	append_u64(bytes, heartbeat->age_ms);
	append_u64(bytes, heartbeat->sent_ms);
	append_u64(bytes, heartbeat->wall_ms);
	append_u64(bytes, heartbeat->view_hash);
	put_u16(versions, heartbeat->protocol_min);
	put_u16(versions + 2, heartbeat->protocol_max);
	bytes_append(bytes, versions, sizeof(versions));
}

void heartbeat_write(const struct heartbeat *heartbeat, struct bytes *bytes)
{
	size_t begin = bytes->size;
	CHECK_LE(heartbeat->agreement_count, HEARTBEAT_AGREEMENTS_MAX);
	CHECK_LE(heartbeat->heard_count, HEARTBEAT_HEARD_MAX);
	CHECK_LE(heartbeat->given_up_count, HEARTBEAT_GIVEN_UP_MAX);
	append_fixed(bytes, heartbeat);
	append_text(bytes, heartbeat->name);
	append_text(bytes, heartbeat->version);
	append_u8(bytes, heartbeat->agreement_count);
	for (uint32_t i = 0; i < heartbeat->agreement_count; i++) {
		append_text(bytes, heartbeat->agreements[i].name);
		append_u64(bytes, heartbeat->agreements[i].hash);
	}
	append_u8(bytes, heartbeat->heard_count);
	for (uint32_t i = 0; i < heartbeat->heard_count; i++) {
		const struct heard *heard = &heartbeat->heard[i];
		append_text(bytes, heard->name);
		append_u64(bytes, heard->incarnation);
		append_u64(bytes, heard->sent_ms);
		append_u32(bytes, heard->held_ms);
	}
	append_u8(bytes, heartbeat->given_up_count);
	for (uint32_t i = 0; i < heartbeat->given_up_count; i++)
		append_u64(bytes, heartbeat->given_up[i]);
	if (!bytes->failed)
		put_u32(bytes->data + begin + CHECK_AT, heartbeat_check(bytes->data + begin, bytes->size - begin));
}

/* ---- from bytes ---- */

/* What is left. A read past the end leaves a mark, and reads zeros. */
struct rest {
	struct slice bytes;
	bool failed;
};

static const uint8_t *take_raw(struct rest *rest, size_t size)
{
	static const uint8_t ZEROS[8];
	if (rest->failed || rest->bytes.size < size) {
		rest->failed = true;
		return ZEROS;
	}
	const uint8_t *at = rest->bytes.data;
	rest->bytes = slice_of(at + size, rest->bytes.size - size);
	return at;
}

static struct slice take_short_text(struct rest *rest)
{
	size_t size = *take_raw(rest, 1);
	if (rest->failed || rest->bytes.size < size) {
		rest->failed = true;
		return slice_of(NULL, 0);
	}
	struct slice text = slice_of(rest->bytes.data, size);
	rest->bytes = slice_of(rest->bytes.data + size, rest->bytes.size - size);
	return text;
}

static uint32_t take_count(struct rest *rest, uint32_t most)
{
	uint32_t count = *take_raw(rest, 1);
	if (count > most)
		rest->failed = true;
	return rest->failed ? 0 : count;
}

static void read_fixed(const uint8_t *at, struct heartbeat *heartbeat)
{
	heartbeat->flags = at[FLAGS_AT];
	heartbeat->incarnation = get_u64(at + 8);
	heartbeat->age_ms = get_u64(at + 16);
	heartbeat->sent_ms = get_u64(at + 24);
	heartbeat->wall_ms = get_u64(at + 32);
	heartbeat->view_hash = get_u64(at + 40);
	heartbeat->protocol_min = get_u16(at + 48);
	heartbeat->protocol_max = get_u16(at + 50);
}

static void read_lists(struct rest *rest, struct heartbeat *heartbeat)
{
	heartbeat->agreement_count = take_count(rest, HEARTBEAT_AGREEMENTS_MAX);
	for (uint32_t i = 0; i < heartbeat->agreement_count; i++) {
		heartbeat->agreements[i].name = take_short_text(rest);
		heartbeat->agreements[i].hash = get_u64(take_raw(rest, 8));
	}
	heartbeat->heard_count = take_count(rest, HEARTBEAT_HEARD_MAX);
	for (uint32_t i = 0; i < heartbeat->heard_count; i++) {
		struct heard *heard = &heartbeat->heard[i];
		heard->name = take_short_text(rest);
		heard->incarnation = get_u64(take_raw(rest, 8));
		heard->sent_ms = get_u64(take_raw(rest, 8));
		heard->held_ms = get_u32(take_raw(rest, 4));
	}
	heartbeat->given_up_count = take_count(rest, HEARTBEAT_GIVEN_UP_MAX);
	for (uint32_t i = 0; i < heartbeat->given_up_count; i++)
		heartbeat->given_up[i] = get_u64(take_raw(rest, 8));
}

enum heartbeat_fault heartbeat_read(struct slice bytes, struct heartbeat *heartbeat)
{
	const uint8_t *at = bytes.data;
	if (bytes.size < FIXED_BYTES)
		return HEARTBEAT_FAULT_SHORT;
	if (at[0] != 'R' || at[1] != 'H')
		return HEARTBEAT_FAULT_MAGIC;
	if (at[2] != HEARTBEAT_FORMAT)
		return HEARTBEAT_FAULT_FORMAT;
	if (get_u32(at + CHECK_AT) != heartbeat_check(at, bytes.size))
		return HEARTBEAT_FAULT_CHECK;
	struct rest rest = {.bytes = slice_of(at + FIXED_BYTES, bytes.size - FIXED_BYTES)};
	read_fixed(at, heartbeat);
	heartbeat->name = take_short_text(&rest);
	heartbeat->version = take_short_text(&rest);
	read_lists(&rest, heartbeat);
	if (rest.failed || heartbeat->incarnation == 0 || heartbeat->protocol_min > heartbeat->protocol_max)
		return HEARTBEAT_FAULT_MALFORMED;
	return node_name_is_valid(heartbeat->name) ? HEARTBEAT_FAULT_NONE : HEARTBEAT_FAULT_NAME;
}
