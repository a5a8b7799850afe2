#include "nodes/publish/far_waits.h"

#include "base/check.h"
#include "cluster/publish/publish_message.h"
#include "cluster/wire/wire.h"
#include "control/gateway.h"
#include "runtime/nodes/node_mail.h"

#include <stdlib.h>
#include <string.h>

#define WORDS (CONGESTION_PLACES / 64)
/* By how much the places of two shards are apart in a node's row, and the rows of two peers on this thread's board:
 * clients that are congested mostly have low places. */
#define SHARD_STRIDE 37u
#define PEER_STRIDE 61u

_Static_assert((FAR_PUBLISHERS & (FAR_PUBLISHERS - 1)) == 0, "the end of a hash is a place in the table");
_Static_assert(CONGESTION_PLACES == 256, "a place has 8 bits in a message, and a row whole words");
_Static_assert(FAR_AGAIN_MS < FAR_SILENT_MS, "a peer hears in time of what it waits for");

struct far_publisher {
	uint32_t index; /* as its node calls it */
	uint16_t shard;
	uint16_t generation;
	uint8_t slot;
	bool is_used;
	uint16_t version; /* how often the place has had another one */
};

enum error far_waits_init(struct far_waits *waits, const struct gateway_parts *parts)
{
	*waits = (struct far_waits){
		.boards = parts->boards,
		.publishers = calloc(FAR_PUBLISHERS, sizeof(struct far_publisher)),
		.shard_count = parts->shard_count,
		.self = (uint16_t)(node_port_numbers(parts->nodes) - 1),
	};
	return waits->publishers != NULL ? ERROR_OK : ERROR_NO_MEMORY;
}

/* ---- places ---- */

static bool has_place(const struct far_places *places, uint32_t place)
{
	return (places->bits[place / 64] >> (place % 64) & 1u) != 0;
}

static void add_place(struct far_places *places, uint32_t place)
{
	places->bits[place / 64] |= UINT64_C(1) << (place % 64);
}

static bool is_empty(const struct far_places *places)
{
	uint64_t all = 0;
	for (uint32_t i = 0; i < WORDS; i++)
		all |= places->bits[i];
	return all == 0;
}

/* Counts on this thread's board what has changed. */
static void set_heard(struct far_waits *waits, uint32_t slot, const struct far_places *now)
{
	struct far_peer *peer = &waits->peers[slot];
	for (uint32_t place = 0; place < CONGESTION_PLACES; place++) {
		bool is_raised = has_place(now, place);
		if (is_raised == has_place(&peer->heard, place))
			continue;
		uint32_t at = (place + slot * PEER_STRIDE) % CONGESTION_PLACES;
		_Atomic uint16_t *count = &waits->boards[waits->shard_count].congested[at];
		uint16_t before = atomic_load_explicit(count, memory_order_relaxed);
		CHECK(is_raised || before != 0);
		atomic_store(count, (uint16_t)(is_raised ? before + 1u : before - 1u));
	}
	peer->heard = *now;
	for (uint32_t i = 0; i < WORDS; i++)
		peer->spooled.bits[i] &= now->bits[i];
}

static void lower_all(struct far_waits *waits, uint32_t slot)
{
	set_heard(waits, slot, &(struct far_places){{0}});
}

void far_waits_begin(struct far_waits *waits, uint32_t slot)
{
	lower_all(waits, slot);
	waits->peers[slot] = (struct far_peer){.told_ms = 0};
}

void far_waits_fini(struct far_waits *waits)
{
	for (uint32_t slot = 0; slot < NODES_MAX && waits->publishers != NULL; slot++)
		lower_all(waits, slot);
	free(waits->publishers);
	waits->publishers = NULL;
}

/* ---- the subscriber's node ---- */

static uint32_t publisher_hash(uint32_t slot, const struct publish_message *message)
{
	uint64_t word = (uint64_t)message->publisher << 32 | (uint32_t)message->shard << 16 | message->generation;
	word = (word ^ slot) * UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(word >> 40);
}

struct publisher_name far_waits_name(struct far_waits *waits, uint32_t slot, const struct publish_message *message)
{
	uint32_t at = publisher_hash(slot, message) & (FAR_PUBLISHERS - 1);
	struct far_publisher *publisher = &waits->publishers[at];
	if (!publisher->is_used || publisher->index != message->publisher || publisher->shard != message->shard ||
	    publisher->generation != message->generation || publisher->slot != slot)
		*publisher = (struct far_publisher){
			.index = message->publisher,
			.shard = message->shard,
			.generation = message->generation,
			.slot = (uint8_t)slot,
			.is_used = true,
			.version = (uint16_t)(publisher->version + 1u),
		};
	return (struct publisher_name){.index = at + 1, .shard = waits->self, .generation = publisher->version};
}

static uint32_t fold(uint16_t shard, uint16_t place)
{
	return (place + shard * SHARD_STRIDE) % CONGESTION_PLACES;
}

/* Whether anything is congested that falls on this place of the node. */
static bool is_congested(const struct far_waits *waits, uint32_t place)
{
	for (uint32_t shard = 0; shard < waits->shard_count; shard++) {
		uint32_t at = (place - shard * SHARD_STRIDE) % CONGESTION_PLACES;
		if (atomic_load_explicit(&waits->boards[shard].congested[at], memory_order_relaxed) != 0)
			return true;
	}
	return false;
}

bool far_waits_pass(const struct far_waits *waits, const struct record *note, uint32_t *slot,
		    uint8_t body[FAR_NOTE_BYTES])
{
	CHECK(note->publisher.index - 1 < FAR_PUBLISHERS && note->note.shard < waits->shard_count);
	const struct far_publisher *publisher = &waits->publishers[note->publisher.index - 1];
	if (!publisher->is_used || publisher->version != note->publisher.generation)
		return false;
	*slot = publisher->slot;
	uint8_t *at = wire_put_u8(body, (uint8_t)fold(note->note.shard, note->note.place));
	at = wire_put_u32(at, publisher->index);
	at = wire_put_u16(at, publisher->shard);
	at = wire_put_u16(at, publisher->generation);
	CHECK(at == body + FAR_NOTE_BYTES);
	return true;
}

void far_waits_have_passed(struct far_waits *waits, uint32_t slot, const uint8_t body[FAR_NOTE_BYTES], uint64_t now_ms)
{
	struct far_peer *peer = &waits->peers[slot];
	if (is_empty(&peer->told))
		peer->told_ms = now_ms;
	add_place(&peer->told, body[0]);
}

bool far_waits_look(struct far_waits *waits, uint64_t now_ms)
{
	if (now_ms < waits->looked_ms + FAR_LOOK_MS)
		return false;
	waits->looked_ms = now_ms;
	return true;
}

bool far_waits_owe(const struct far_waits *waits, uint32_t slot, uint64_t now_ms, uint8_t body[FAR_PLACES_BYTES])
{
	const struct far_peer *peer = &waits->peers[slot];
	struct far_places still = {{0}};
	if (is_empty(&peer->told))
		return false;
	for (uint32_t place = 0; place < CONGESTION_PLACES; place++) {
		if (has_place(&peer->told, place) && is_congested(waits, place))
			add_place(&still, place);
	}
	for (uint32_t i = 0; i < WORDS; i++)
		body = wire_put_u64(body, still.bits[i]);
	return memcmp(&still, &peer->told, sizeof(still)) != 0 || now_ms >= peer->told_ms + FAR_AGAIN_MS;
}

static void read_places(struct wire_reader *reader, struct far_places *places)
{
	for (uint32_t i = 0; i < WORDS; i++)
		places->bits[i] = wire_get_u64(reader);
}

void far_waits_have_told(struct far_waits *waits, uint32_t slot, const uint8_t body[FAR_PLACES_BYTES], uint64_t now_ms)
{
	struct far_peer *peer = &waits->peers[slot];
	struct wire_reader reader = wire_read(slice_of(body, FAR_PLACES_BYTES));
	read_places(&reader, &peer->told);
	peer->told_ms = now_ms;
}

/* ---- the publisher's node ---- */

bool far_waits_hear_note(struct far_waits *waits, uint32_t slot, struct slice body, bool of_spool, uint64_t now_ms,
			 struct record *note)
{
	struct wire_reader reader = wire_read(body);
	uint8_t place = wire_get_u8(&reader);
	struct publisher_name name;
	name.index = wire_get_u32(&reader);
	name.shard = wire_get_u16(&reader);
	name.generation = wire_get_u16(&reader);
	*note = (struct record){.record_bytes = 0};
	if (!wire_is_done(&reader) || (name.index != 0 && name.shard >= waits->shard_count))
		return false;
	struct far_peer *peer = &waits->peers[slot];
	struct far_places heard = peer->heard;
	add_place(&heard, place);
	set_heard(waits, slot, &heard);
	peer->heard_ms = now_ms;
	if (of_spool)
		add_place(&peer->spooled, place);
	if (name.index == 0)
		return true;
	uint32_t at = (place + slot * PEER_STRIDE) % CONGESTION_PLACES;
	*note = (struct record){
		.record_bytes = sizeof(*note),
		.publisher = name,
		.note = {.shard = waits->shard_count, .place = (uint16_t)at},
	};
	return true;
}

bool far_waits_hear_places(struct far_waits *waits, uint32_t slot, struct slice body, uint64_t now_ms)
{
	struct wire_reader reader = wire_read(body);
	struct far_places heard;
	read_places(&reader, &heard);
	if (!wire_is_done(&reader))
		return false;
	set_heard(waits, slot, &heard);
	waits->peers[slot].heard_ms = now_ms;
	return true;
}

bool far_waits_hold_spool(const struct far_waits *waits, uint32_t slot)
{
	return !is_empty(&waits->peers[slot].spooled);
}

void far_waits_expire(struct far_waits *waits, uint64_t now_ms)
{
	for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
		const struct far_peer *peer = &waits->peers[slot];
		if (!is_empty(&peer->heard) && now_ms >= peer->heard_ms + FAR_SILENT_MS)
			lower_all(waits, slot);
	}
}

uint64_t far_waits_deadline(const struct far_waits *waits)
{
	uint64_t deadline_ms = UINT64_MAX;
	for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
		const struct far_peer *peer = &waits->peers[slot];
		if (!is_empty(&peer->told))
			return waits->looked_ms + FAR_LOOK_MS;
		if (!is_empty(&peer->heard) && peer->heard_ms + FAR_SILENT_MS < deadline_ms)
			deadline_ms = peer->heard_ms + FAR_SILENT_MS;
	}
	return deadline_ms;
}
