/* A session of a store's model as bytes: put together on a shard and told again, it is the same. */
#include "lifecycle/packed/model_pack.h"

#include "base/hash.h"
#include "lifecycle/packed/pack.h"
#include "lifecycle/packed/unpack.h"
#include "mover.h"
#include "peer.h"
#include "state/offline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* A PUBLISH at QoS 2 on "t", as in version 5. */
static const uint8_t PACKET[] = {0x34, 7, 0, 1, 't', 0, 1, 0, 'x'};
static const struct publication PUBLICATION = {
	.packet_bytes = sizeof(PACKET), .topic_bytes = 1, .header_bytes = 2, .qos = 2, .is_5 = 1};
#define NOW_S 5000

static enum error read_packet(void *context, struct store_place place, const struct publication *publication,
			      uint8_t **packet)
{
	(void)context;
	if (place.segment == 0)
		return ERROR_NOT_FOUND;
	*packet = malloc(publication->packet_bytes);
	memcpy(*packet, PACKET, publication->packet_bytes);
	return ERROR_OK;
}

static struct model_message message_of(uint32_t segment, int64_t expires_at_s)
{
	return (struct model_message){.publication = PUBLICATION,
				      .expires_at_s = expires_at_s,
				      .place = {.segment = segment, .offset = 1},
				      .references = 1};
}

/* Queue, subscriptions, will, received identifiers: some of everything. */
struct full {
	struct model_message messages[5];
	struct model_message will;
	struct model_entry entries[5];
	struct model_subscription subscriptions[2];
	uint16_t received[2];
	struct model_session session;
	struct model model;
};

static void fill(struct full *full)
{
	*full = (struct full){.will = message_of(1, STORE_NEVER_S), .received = {3, 9}};
	full->messages[1] = message_of(1, NOW_S + 50);
	full->messages[2] = message_of(1, STORE_NEVER_S);
	full->messages[3] = message_of(1, NOW_S - 1);     /* expired */
	full->messages[4] = message_of(0, STORE_NEVER_S); /* cannot be read */
	full->entries[0] = (struct model_entry){.packet_id = 7, .flags = 2, .released = true};
	full->entries[1] = (struct model_entry){.packet_id = 8, .flags = 1, .message = &full->messages[1]};
	full->entries[2] =
		(struct model_entry){.flags = 2 | STORE_FLAG_SHARED, .subscription = 2, .message = &full->messages[2]};
	full->entries[3] = (struct model_entry){.flags = 1, .message = &full->messages[3]};
	full->entries[4] = (struct model_entry){.flags = 1, .message = &full->messages[4]};
	for (int i = 0; i < 4; i++)
		full->entries[i].next = &full->entries[i + 1];
	full->subscriptions[0] = (struct model_subscription){
		.filter = slice_string("a/+"), .identifier = 5, .options = 1, .next = &full->subscriptions[1]};
	full->subscriptions[1] =
		(struct model_subscription){.filter = slice_string("$share/g/b"), .identifier = 6, .options = 2};
	full->session = (struct model_session){.client_id = slice_string("mover"),
					       .user = slice_string("somebody"),
					       .has_principal = true,
					       .token_expires_at_s = NOW_S + 500,
					       .expiry_s = 1000,
					       .ends_at_s = NOW_S + 900,
					       .will_at_s = NOW_S + 30,
					       .will = &full->will,
					       .will_delay_s = 60,
					       .will_expiry_s = 70,
					       .subscriptions = full->subscriptions,
					       .queue = full->entries,
					       .queue_count = 5,
					       .packet_id = 8,
					       .received = full->received,
					       .received_count = 2};
	full->model = (struct model){.sessions = &full->session, .session_count = 1, .wall_s = NOW_S};
}

static uint64_t pack_all(const struct full *full, size_t slice, struct bytes *out)
{
	struct model_pack pack;
	model_pack_begin(&pack, &full->model, &full->session, NOW_S, read_packet, NULL);
	while (pack.stage != MODEL_PACK_DONE) {
		struct bytes some = {.data = NULL};
		assert_int_equal(model_pack_some(&pack, &some, slice), ERROR_OK);
		assert_false(some.failed);
		bytes_append(out, some.data, some.size);
		bytes_free(&some);
	}
	return pack.lost;
}

/* Of a record in words, what is the same whoever tells it. */
static size_t next_text(struct slice bytes, size_t at, char text[512])
{
	struct store_record record;
	size_t size = store_record_decode(slice_of(bytes.data + at, bytes.size - at), &record);
	assert_int_not_equal(size, 0);
	store_record_format(&record, text, 512);
	return at + size;
}

static void test_what_was_packed_is_told_again(void **state)
{
	(void)state;
	static const size_t SLICES[] = {1, 100, 100000};
	for (size_t i = 0; i < sizeof(SLICES) / sizeof(SLICES[0]); i++) {
		struct full full;
		struct bytes before = {.data = NULL}, after = {.data = NULL};
		struct shard_scene *scene = shard_scene_new(1);
		struct shard *shard = &scene->shards[0];
		struct move *move = NULL;
		mover_open(scene);
		fill(&full);
		assert_int_equal(pack_all(&full, SLICES[i], &before), 1);
		assert_int_equal(mover_unpack(scene, 0, "mover", bytes_slice(&before), 1000, &move), ERROR_OK);
		assert_true(unpack_is_whole(move));
		struct client_ref ref = move->client;
		unpack_end(shard, move);
		assert_non_null(move = moves_add(shard->sessions.moves, 77, ref, MOVE_AWAY));
		pack_begin(shard, move, 0);
		offline_halt(shard, ref);
		mover_pack(scene, 0, move, 1000, &after);
		moves_remove(shard->sessions.moves, move);
		const struct extension *extension = extension_of(shard, shard_client(shard, ref));
		offline_again(shard, ref, extension->ends_at_s, extension->will_at_s);
		size_t at = PACK_HEAD_BYTES, at_again = PACK_HEAD_BYTES;
		while (at < before.size && at_again < after.size) {
			char text[512], again[512];
			at = next_text(bytes_slice(&before), at, text);
			at_again = next_text(bytes_slice(&after), at_again, again);
			/* Deadlines are rounded up by a second; subscriptions are a list that grows in front. */
			bool is_rounded = strstr(text, "left") == text || strstr(text, "principal") == text ||
					  strstr(text, "kept") == text || strstr(text, "subscribed") == text;
			if (!is_rounded)
				assert_string_equal(text, again);
		}
		assert_true(at == before.size && at_again == after.size);
		bytes_free(&before);
		bytes_free(&after);
		shard_scene_turn_one(scene, 0);
		mover_close(scene);
		shard_scene_free(scene);
	}
}

/* A client that was connected lost that with its node: its will and its expiry run since. */
static void test_times_of_a_client_that_was_connected(void **state)
{
	(void)state;
	struct full full;
	struct bytes bytes = {.data = NULL};
	struct store_record record = {.kind = STORE_DEAD};
	fill(&full);
	full.session.connected = true;
	full.model.wall_s = NOW_S - 20;
	pack_all(&full, 100000, &bytes);
	for (size_t at = PACK_HEAD_BYTES; at < bytes.size;)
		at += store_record_decode(slice_of(bytes.data + at, bytes.size - at), &record);
	assert_int_equal(record.kind, STORE_LEFT);
	int64_t lost_s = (int64_t)STORE_HEARTBEAT_S + 1 - 20;
	assert_int_equal(record.ends_at_s, lost_s + 1000);
	assert_int_equal(record.will_at_s, lost_s + 60);
	bytes_free(&bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_packed_is_told_again),
		cmocka_unit_test(test_times_of_a_client_that_was_connected),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
