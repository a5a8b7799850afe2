/* What this node answers to those who ask what it has of retained messages. */
#include "mqtt/field/protocol.h"
#include "nodes/retained/retained_sync_state.h"

#include <stdlib.h>

/* Calls of retained_list() for one answer, each of RETAINED_LIST_VISITS_MAX. */
#define LIST_CALLS_MAX 16u
#define RETRY_MS 10u

static bool answer_need_room(struct retained_sync *sync, size_t bytes)
{
	if (sync->out_room - sync->out_bytes >= bytes)
		return true;
	size_t room = sync->out_bytes + bytes;
	uint8_t *grown = realloc(sync->out, room);
	if (grown == NULL)
		return false;
	sync->out = grown;
	sync->out_room = room;
	return true;
}

/* What one very large value has needed is given back. */
static void answer_shrink(struct retained_sync *sync)
{
	if (sync->out_room <= 2 * RETAINED_VALUES_BYTES_MAX)
		return;
	free(sync->out);
	sync->out = NULL;
	sync->out_room = 0;
}

static bool answer_send_out(struct retained_sync *sync, uint8_t peer, uint8_t kind)
{
	bool sent = sync->ends.send(sync->ends.context, peer, kind, slice_of(sync->out, sync->out_bytes),
				    slice_of(NULL, 0));
	sync->out_bytes = 0;
	answer_shrink(sync);
	return sent;
}

static bool answer_digest(struct retained_sync *sync, uint8_t peer, uint32_t round)
{
	struct retained_digest_message *digest = &sync->digest;
	struct retained_state state = retained_state(sync->retained);
	*digest = (struct retained_digest_message){
		.round = round, .lacks = state.refused != 0, .time = state.time, .forgotten = state.forgotten};
	retained_digest(sync->retained, digest->digest, digest->count);
	if (!answer_need_room(sync, RETAINED_DIGEST_BYTES))
		return false;
	retained_digest_write(digest, sync->out);
	sync->out_bytes = RETAINED_DIGEST_BYTES;
	return answer_send_out(sync, peer, RETAINED_DIGEST);
}

static bool answer_list(struct retained_sync *sync, uint8_t peer, struct slice question)
{
	uint32_t round, place, count = 0;
	struct retained_buckets parts;
	struct retained_item items[RETAINED_ITEMS_MAX];
	retained_ask_list_read(question, &round, &place, parts.bits); /* it was read when it came */
	for (uint32_t calls = 0; calls < LIST_CALLS_MAX && count < RETAINED_ITEMS_MAX; calls++) {
		count += retained_list(sync->retained, &parts, &place, items + count, RETAINED_ITEMS_MAX - count);
		if (place == 0)
			break;
	}
	if (!answer_need_room(sync, RETAINED_LIST_HEAD_BYTES + (size_t)count * RETAINED_ITEM_BYTES))
		return false;
	uint8_t *at = retained_u32_write(retained_u32_write(sync->out, round), place);
	for (uint32_t i = 0; i < count; i++)
		at = retained_item_write(at, &(const struct retained_item_message){.topic = items[i].topic,
										   .stamp = items[i].stamp,
										   .is_cleared = items[i].is_cleared});
	sync->out_bytes = (size_t)(at - sync->out);
	return answer_send_out(sync, peer, RETAINED_LIST);
}

struct answering {
	struct retained_sync *sync;
	uint32_t now_s;
	bool is_first;
	bool is_full; /* there was no room for this one */
};

/* A retained_value callback: the lock is held. */
static void answer_add_value(void *context, const struct publication *publication, const uint8_t *packet,
			     struct stamp stamp)
{
	struct answering *answering = context;
	struct retained_sync *sync = answering->sync;
	struct retained_value_message value = {
		.stamp = stamp,
		.expires_in_s = publication->expires_s != 0 ? publication->expires_s - answering->now_s : 0,
		.version = publication->is_5 ? MQTT_VERSION_5 : MQTT_VERSION_3_1_1,
		.packet = slice_of(packet, publication->packet_bytes),
	};
	size_t bytes = RETAINED_VALUE_HEAD_BYTES + value.packet.size;
	bool is_too_much = !answering->is_first && sync->out_bytes + bytes > RETAINED_VALUES_BYTES_MAX;
	answering->is_full = is_too_much || !answer_need_room(sync, bytes);
	if (answering->is_full)
		return;
	uint8_t *at = retained_value_head_write(sync->out + sync->out_bytes, &value);
	memcpy(at, value.packet.data, value.packet.size);
	sync->out_bytes += bytes;
	answering->is_first = false;
}

/* What is not here any more is passed. */
static bool answer_values(struct retained_sync *sync, uint8_t peer, struct slice question, uint32_t now_s)
{
	uint32_t round, count, served = 0;
	struct answering answering = {.sync = sync, .now_s = now_s, .is_first = true};
	retained_ask_values_read(question, &round, &count);
	if (!answer_need_room(sync, RETAINED_VALUES_BYTES_MAX))
		return false;
	sync->out_bytes = RETAINED_VALUES_HEAD_BYTES;
	while (served < count && !answering.is_full) {
		retained_read(sync->retained, retained_asked_topic(question, served), now_s, answer_add_value,
			      &answering);
		served += !answering.is_full;
	}
	if (served == 0) { /* no memory for the first */
		sync->out_bytes = 0;
		return false;
	}
	retained_u32_write(retained_u32_write(sync->out, round), served);
	return answer_send_out(sync, peer, RETAINED_VALUES);
}

static bool answer(struct retained_sync *sync, uint8_t peer, uint32_t now_s)
{
	const struct sync_question *question = &sync->questions[peer];
	struct slice body = slice_of(question->body, question->bytes);
	uint32_t round = 0;
	switch (question->kind) {
	case RETAINED_ASK_DIGEST:
		retained_round_read(body, &round);
		return answer_digest(sync, peer, round);
	case RETAINED_ASK_LIST:
		return answer_list(sync, peer, body);
	default:
		return answer_values(sync, peer, body, now_s);
	}
}

bool answers_turn(struct retained_sync *sync, struct retained_clocks clocks)
{
	if (clocks.now_ms < sync->answer_ms)
		return false;
	sync->answer_ms = UINT64_MAX;
	for (uint32_t peer = 0; peer < NODES_MAX; peer++) {
		if (sync->questions[peer].kind == 0)
			continue;
		if (answer(sync, (uint8_t)peer, (uint32_t)(clocks.now_ms / 1000)))
			sync->questions[peer].kind = 0;
		else
			sync->answer_ms = clocks.now_ms + RETRY_MS;
	}
	return false;
}
