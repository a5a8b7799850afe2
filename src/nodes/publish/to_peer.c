#include "nodes/publish/to_peer.h"

#include "base/check.h"
#include "base/log.h"
#include "cluster/link/link.h"
#include "deliver/record.h"
#include "nodes/interest/interest.h"
#include "nodes/publish/publishing_kinds.h"
#include "nodes/thread/peer.h"

#include <string.h>

/* With so few messages of this run in the spool what comes may wait until they are through. */
#define LAST_MESSAGES 64u
/* And no longer than so. */
#define LAST_MS 1000u
#define SERIAL_BITS 25u
_Static_assert(NODES_MAX <= 1u << (31u - SERIAL_BITS), "and the peer's slot, and a bit");
_Static_assert(OUTGOING_SERIAL_MASK >> SERIAL_BITS == 0, "a ticket has the batch's serial number");

static void set_passage(const struct to_peer_scene *scene, struct to_peer *to, enum passage passage)
{
	to->passage = passage;
	to->passage_ms = scene->now_ms;
	to->has_settled = false;
}

/* ---- records ---- */

static const uint8_t *packet_of(const struct record *record)
{
	return (const uint8_t *)&record->routes[record->route_count];
}

static struct record *record_at(const struct outgoing_batch *item)
{
	struct record *record = (void *)(item->batch->bytes + item->offset);
	CHECK(record->record_bytes >= sizeof(*record) &&
	      record->record_bytes <= item->batch->used_bytes - item->offset);
	return record;
}

/* Of a record that goes to another node, this bit says that it was sent there once. Shards use it for messages that
 * come again after a crash, and not in records to other nodes. */
static bool was_sent(const struct record *record)
{
	return record->publication.resumed;
}

/* A record that was sent on a link which is not known to have brought it: its number there says which one it is. */
static bool to_peer_is_copy(const struct outgoing_batch *item, const struct record *record)
{
	return was_sent(record) && item->copies != 0 && item->copies <= item->copies_last;
}

static void name_copy(const struct outgoing_batch *item, const struct record *record, struct publish_message *message)
{
	message->is_copy = to_peer_is_copy(item, record);
	message->run = item->copies_runs.peer;
	message->sender = item->copies_runs.own;
	message->number = item->copies;
}

static void pass_record(struct outgoing_batch *item, const struct record *record, bool was_copy)
{
	item->copies += was_copy;
	item->offset += record->record_bytes;
}

static bool is_for_nobody(const struct to_peer_scene *scene, const struct record *record)
{
	return record->route_count == 0 || publication_expired(&record->publication, scene->now_s);
}

/* What the record says, but for its routes. */
static void to_peer_describe(const struct to_peer_scene *scene, const struct record *record,
			     struct publish_message *message)
{
	const struct publication *publication = &record->publication;
	const uint8_t *packet = packet_of(record);
	*message = (struct publish_message){
		.packet = slice_of(packet, publication->packet_bytes),
		.is_5 = publication->is_5,
		.has_stamp = record->origin_bytes == RECORD_STAMP_BYTES,
		.has_expiry = publication->expires_s != 0,
		.publisher = record->publisher.index,
		.shard = record->publisher.shard,
		.generation = record->publisher.generation,
	};
	if (message->has_expiry)
		message->expires_s = publication->expires_s - scene->now_s;
	if (message->has_stamp)
		memcpy(&message->stamp, packet + publication->packet_bytes, sizeof(message->stamp));
}

/* The record's routes from *next on, as many as one message takes; 0 is one that somebody else has taken. */
static void add_routes(const struct record *record, uint32_t *next, struct publish_message *message)
{
	message->is_plain = false;
	message->group_count = 0;
	while (*next < record->route_count && message->group_count < PUBLISH_GROUPS_MAX) {
		route_bits route = record->routes[(*next)++];
		if (route == 0)
			continue;
		if (route_index(route) == 0)
			message->is_plain = true;
		else
			message->groups[message->group_count++] =
				(struct publish_group){route_index(route), route_generation(route)};
	}
}

/* ---- to the link ---- */

static bool send_message(struct to_peer *to, const struct publish_message *message)
{
	uint8_t head[PUBLISH_HEAD_BYTES_MAX];
	size_t head_bytes = publish_message_head(message, head);
	if (!peer_send(to->peer, PUBLISHING_MESSAGE, slice_of(head, head_bytes), message->packet))
		return false;
	to->numbered++;
	to->messages++;
	to->bytes += head_bytes + message->packet.size;
	return true;
}

/* A record takes several messages only where it names very many shared subscriptions. Then its first one alone is asked
 * whether there is room: beyond it the link takes some. */
static bool send_record(const struct to_peer_scene *scene, struct to_peer *to, struct outgoing_batch *item,
			struct record *record)
{
	struct publish_message message;
	if (peer_room(to->peer) <= PEER_ROOM_NOT_FOR_MESSAGES)
		return false;
	to_peer_describe(scene, record, &message);
	name_copy(item, record, &message);
	for (uint32_t next = 0; next < record->route_count;) {
		bool is_first = next == 0;
		add_routes(record, &next, &message);
		if (!send_message(to, &message) && is_first)
			return false;
		item->first = item->first != 0 ? item->first : to->numbered;
		item->last = to->numbered;
		message.has_stamp = false;
	}
	record->publication.resumed = 1;
	item->awaits |= record->publication.qos != 0;
	return true;
}

static void to_peer_send_batches(const struct to_peer_scene *scene, struct to_peer *to)
{
	struct outgoing_batch *item;
	while ((item = outgoing_queue_next(&to->queue)) != NULL) {
		while (item->offset < item->batch->used_bytes) {
			struct record *record = record_at(item);
			bool was_copy = to_peer_is_copy(item, record);
			if (!is_for_nobody(scene, record) && !send_record(scene, to, item, record))
				return;
			pass_record(item, record, was_copy);
		}
		CHECK_EQ(item->offset, item->batch->used_bytes);
		to->queue.sent++;
	}
}

static void give_back_done(const struct to_peer_scene *scene, struct to_peer *to)
{
	struct batch *batch;
	CHECK_LE(to->safe, to->numbered);
	while ((batch = outgoing_queue_pop_done(&to->queue, to->safe)) != NULL)
		outbox_return(&scene->inbound->outbox, batch);
}

bool to_peer_is_safe(struct to_peer_scene *scene, struct to_peer *to, uint64_t number)
{
	if (number > to->numbered || number < to->safe)
		return false;
	to->safe = number;
	spool_is_safe(&to->spool, number);
	give_back_done(scene, to);
	return true;
}

/* ---- to the spool ---- */

/* Writes a record of its own for one route, with what stands in front of its properties. False: no room now. */
static bool write_own(const struct to_peer_scene *scene, struct to_peer *to, struct outgoing_batch *item,
		      const struct record *from, route_bits route, struct slice origin)
{
	struct outbox *outbox = &scene->inbound->outbox;
	uint16_t number = route_shard(route);
	uint32_t packet_bytes = from->publication.packet_bytes;
	uint32_t bytes = (uint32_t)record_bytes(1, (size_t)packet_bytes + origin.size);
	if (!outbox_has_room(outbox, number, bytes) || outbox_reserve(outbox, number, bytes) != ERROR_OK)
		return false;
	struct record *record = outbox_write(outbox, number, bytes);
	CHECK(record != NULL);
	*record = (struct record){
		.record_bytes = (bytes + 7u) & ~7u,
		.publisher = {.shard = outbox->self},
		.publication = from->publication,
		.route_count = 1,
		.origin_bytes = (uint32_t)origin.size,
	};
	record->publication.resumed = 0;
	record->routes[0] = route;
	uint8_t *packet = memcpy(&record->routes[1], packet_of(from), packet_bytes);
	if (origin.size != 0)
		memcpy(packet + packet_bytes, origin.data, origin.size);
	if (from->publication.qos == 0)
		return true;
	uint32_t at = ((uint32_t)(item - to->queue.items) - to->queue.first) & (to->queue.capacity - 1);
	uint32_t serial = (to->queue.serial + at) & OUTGOING_SERIAL_MASK;
	outbox_attach(outbox, number, INBOUND_TICKET_OF_OTHERS | (uint32_t)to->peer->slot << SERIAL_BITS | serial);
	item->holders++;
	return true;
}

uint32_t to_peer_slot_of(uint32_t ticket)
{
	return (ticket & ~INBOUND_TICKET_OF_OTHERS) >> SERIAL_BITS;
}

void to_peer_release(struct to_peer_scene *scene, struct to_peer *to, uint32_t ticket)
{
	struct outgoing_batch *item = outgoing_queue_find(&to->queue, ticket & OUTGOING_SERIAL_MASK);
	if (item == NULL || item->holders == 0)
		return; /* of a thread before this one */
	item->holders--;
	give_back_done(scene, to);
}

/* Other members of shared subscriptions get what the peer's will not. False: one has no room now. */
static bool hand_to_others(const struct to_peer_scene *scene, struct to_peer *to, struct outgoing_batch *item,
			   struct record *record)
{
	for (uint32_t i = 0; i < record->route_count; i++) {
		route_bits group = record->routes[i];
		if (route_index(group) == 0)
			continue;
		route_bits route = interest_pick_other(scene->interest, to->peer, group, &scene->inbound->routes);
		if (route == 0)
			continue;
		if (!write_own(scene, to, item, record, route, slice_of(NULL, 0)))
			return false;
		record->routes[i] = 0;
	}
	return true;
}

static bool spool_record(struct to_peer_scene *scene, struct to_peer *to, struct outgoing_batch *item,
			 struct record *record, route_bits route)
{
	struct publish_message message;
	uint32_t next = 0;
	if (!hand_to_others(scene, to, item, record))
		return false;
	to_peer_describe(scene, record, &message);
	add_routes(record, &next, &message);
	if (!message.is_plain && message.group_count == 0)
		return true;
	if (record->publication.qos == 0) {
		to->dropped++;
		return true;
	}
	if (spool_waiting(&to->spool) >= scene->spool_messages_max) {
		item->batch->commit = BATCH_LOST; /* the session would drop it: it is not acknowledged */
		to->refused++;
		return true;
	}
	name_copy(item, record, &message);
	spool_origin(&to->spool, &message, record->publication.qos, &scene->origin);
	if (scene->origin.failed || !write_own(scene, to, item, record, route, bytes_slice(&scene->origin)))
		return false;
	to->spooled++;
	return true;
}

static void spool_batches(struct to_peer_scene *scene, struct to_peer *to)
{
	struct outgoing_batch *item = outgoing_queue_next(&to->queue);
	route_bits route = item != NULL ? spool_route(&to->spool, scene->index, scene->shard_count) : 0;
	if (item != NULL && route == 0)
		to->spool.is_made = false; /* somebody has ended the session: it is made anew */
	for (; item != NULL && route != 0; item = outgoing_queue_next(&to->queue)) {
		while (item->offset < item->batch->used_bytes) {
			struct record *record = record_at(item);
			if (!is_for_nobody(scene, record) && !spool_record(scene, to, item, record, route))
				return;
			pass_record(item, record, to_peer_is_copy(item, record));
			item->kept = item->offset;
		}
		CHECK_EQ(item->offset, item->batch->used_bytes);
		to->queue.sent++;
	}
}

/* ---- from the spool ---- */

/* A subscriber there that has to be waited for holds all of it up: what comes out comes in order. */
static bool to_peer_has_to_wait(const struct to_peer_scene *scene, const struct to_peer *to)
{
	return far_waits_hold_spool(&scene->inbound->waits, to->peer->slot);
}

static void drain(struct to_peer *to)
{
	struct publish_message message;
	uint16_t packet_id;
	while (peer_room(to->peer) > PEER_ROOM_NOT_FOR_MESSAGES && spool_may_send(&to->spool) &&
	       spool_next(&to->spool, &message, &packet_id)) {
		if (!send_message(to, &message)) {
			spool_restart(&to->spool); /* it comes again */
			return;
		}
		if (!spool_sent(&to->spool, packet_id, to->numbered, message.packet.size))
			return;
	}
}

/* What was written to the spool before is there; then it is empty when nothing more comes out of it. */
static bool is_through(struct to_peer *to)
{
	if (to->queue.sent != 0)
		return false;
	if (!to->has_settled) {
		to->has_settled = true;
		to->spool.is_empty = to->spool.has_asked = false;
	}
	return spool_is_drained(&to->spool);
}

static void choose_passage(const struct to_peer_scene *scene, struct to_peer *to)
{
	if (to->passage == PASSAGE_LAST && is_through(to)) {
		spool_nothing_waits(&to->spool);
		set_passage(scene, to, PASSAGE_DIRECT);
	} else if (to->passage == PASSAGE_LAST && scene->now_ms - to->passage_ms > LAST_MS && to->spool.is_made) {
		set_passage(scene, to, PASSAGE_DRAIN);
	} else if (to->passage == PASSAGE_DRAIN && !to_peer_has_to_wait(scene, to) &&
		   scene->now_ms - to->passage_ms > LAST_MS && to->spool.written - to->spool.drained <= LAST_MESSAGES) {
		set_passage(scene, to, PASSAGE_LAST);
	}
}

/* ---- the peer ---- */

bool to_peer_joined(struct to_peer_scene *scene, struct to_peer *to, struct node_peer *peer)
{
	bool is_new = to->peer == NULL;
	to->peer = peer;
	to->numbered = to->safe = 0;
	to->runs = (struct outgoing_runs){peer->incarnation, peer->link->own};
	set_passage(scene, to, PASSAGE_LAST);
	return !is_new || spool_init(&to->spool, scene->gateway, peer->name, scene->run);
}

static void give_back_lost(struct to_peer_scene *scene, struct to_peer *to)
{
	struct batch *batch;
	while ((batch = outgoing_queue_pop(&to->queue)) != NULL) {
		batch->commit = BATCH_LOST;
		outbox_return(&scene->inbound->outbox, batch);
	}
}

bool to_peer_remembered(struct to_peer_scene *scene, struct to_peer *to, struct node_peer *peer, uint64_t waiting)
{
	CHECK(to->peer == NULL);
	to->peer = peer;
	set_passage(scene, to, PASSAGE_SPOOL);
	if (!spool_init(&to->spool, scene->gateway, peer->name, scene->run))
		return false;
	to->spool.is_made = true;
	to->spool.older = waiting;
	return true;
}

void to_peer_forget(struct to_peer_scene *scene, struct to_peer *to)
{
	give_back_lost(scene, to);
	spool_fini(&to->spool);
	to->spool = (struct spool){.link.fd = -1};
	to->peer = NULL;
	to->passage = PASSAGE_NONE;
}

void to_peer_away(struct to_peer_scene *scene, struct to_peer *to)
{
	if (to->passage == PASSAGE_DIRECT)
		outgoing_queue_rewind(&to->queue, to->runs);
	set_passage(scene, to, PASSAGE_SPOOL);
}

void to_peer_back(struct to_peer_scene *scene, struct to_peer *to)
{
	set_passage(scene, to, PASSAGE_LAST);
}

void to_peer_gone(struct to_peer *to)
{
	spool_restart(&to->spool);
}

void to_peer_close(struct to_peer *to)
{
	if (to->peer != NULL)
		spool_restart(&to->spool);
}

void to_peer_fini(struct to_peer_scene *scene, struct to_peer *to)
{
	give_back_lost(scene, to);
	if (to->peer != NULL)
		spool_fini(&to->spool);
	outgoing_queue_fini(&to->queue);
}

void to_peer_run(struct to_peer_scene *scene, struct to_peer *to)
{
	bool may_send = peer_is_reachable(to->peer) && interest_is_told(scene->interest, to->peer);
	bool drains = to->passage == PASSAGE_DRAIN || to->passage == PASSAGE_LAST;
	spool_run(&to->spool, drains, scene->now_ms);
	if (to->passage == PASSAGE_SPOOL || to->passage == PASSAGE_DRAIN)
		spool_batches(scene, to);
	if (drains && may_send && !to_peer_has_to_wait(scene, to))
		drain(to);
	if (drains)
		choose_passage(scene, to);
	if (to->passage == PASSAGE_DIRECT && may_send)
		to_peer_send_batches(scene, to);
	give_back_done(scene, to);
	if (to->spool.state != SPOOL_CLOSED && !session_link_is_broken(&to->spool.link))
		session_link_flush(&to->spool.link);
}
