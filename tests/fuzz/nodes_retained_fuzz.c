/* What another node says of retained messages: a node that compares with it, and answers it, keeps its promises
 * whatever comes. The input is messages: kind, length (two bytes), body; the round of the comparison is put in, so that
 * answers are taken for what was asked. */
#include "fuzz.h"

#include "nodes/retained/retained_sync.h"
#include "nodes/retained/retained_sync_state.h"

#include <stddef.h>

#define PEER 1u

static bool fuzz_send(void *context, uint8_t peer, uint8_t kind, struct slice head, struct slice body)
{
	(void)context;
	CHECK(peer == PEER && kind >= RETAINED_ASK_DIGEST && kind <= RETAINED_VALUES);
	CHECK(head.size + body.size <= RETAINED_VALUES_HEAD_BYTES + RETAINED_VALUES_BYTES_MAX + RETAINED_DIGEST_BYTES);
	return true;
}

static void fuzz_changed(void *context, const struct publication *publication, const uint8_t *packet,
			 struct stamp stamp, uint64_t number, bool clears)
{
	(void)context, (void)clears;
	CHECK(!stamp_is_none(stamp) && number != 0);
	if (publication != NULL)
		CHECK(publication_parts(publication, packet).topic.size != 0);
}

static size_t fuzz_telling(const void *context)
{
	(void)context;
	return 0;
}

static void set_some(struct retained *retained)
{
	static const uint8_t PACKETS[][10] = {{0x31, 6, 0, 3, 'a', '/', 'b', 'x'}, {0x31, 4, 0, 1, 'c', 'y'}};
	static const uint8_t BYTES[] = {8, 6}, TOPIC[] = {3, 1};
	struct retained_change change = {.wall_ms = 1700000000000u, .now_s = 100};
	for (unsigned i = 0; i < 2; i++) {
		struct publication publication = {
			.packet_bytes = BYTES[i], .topic_bytes = TOPIC[i], .header_bytes = 2, .retain = 1};
		struct retained_result result;
		CHECK(retained_apply(retained, &publication, PACKETS[i], &change, &result) == ERROR_OK);
	}
}

static void feed(struct retained_sync *sync, struct slice input)
{
	struct retained_clocks clocks = {.now_ms = 100000, .wall_ms = 1700000000000u};
	while (input.size >= 3) {
		uint8_t kind = (uint8_t)(RETAINED_ASK_DIGEST + input.data[0] % 8);
		size_t bytes = input.data[1] | (size_t)input.data[2] << 8;
		if (bytes > input.size - 3)
			bytes = input.size - 3;
		uint8_t *body = block_new(bytes);
		memcpy(body, input.data + 3, bytes);
		if (bytes >= RETAINED_ROUND_BYTES)
			retained_u32_write(body, sync->pulls[PEER].round);
		retained_sync_receive(sync, PEER, kind, slice_of(body, bytes), clocks);
		free(body);
		input = slice_of(input.data + 3 + bytes, input.size - 3 - bytes);
		clocks.now_ms += 50;
		for (unsigned i = 0; i < 4; i++)
			retained_sync_turn(sync, clocks);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct hash_key key = {{1}};
	struct retained *retained = retained_new(&key, 20, 4096, NULL);
	CHECK(retained != NULL && retained_stamp(retained, &key, 1, NULL) == ERROR_OK);
	set_some(retained);
	const struct retained_sync_ends ends = {
		.send = fuzz_send, .changed = fuzz_changed, .telling = fuzz_telling, .context = NULL};
	struct retained_sync *sync = retained_sync_new(retained, &ends);
	CHECK(sync != NULL);
	retained_sync_joined(sync, PEER, 0);
	retained_sync_turn(sync, (struct retained_clocks){.now_ms = 100000, .wall_ms = 1700000000000u});
	feed(sync, slice_of(data, size));
	retained_sync_free(sync);
	retained_free(retained);
	return 0;
}
