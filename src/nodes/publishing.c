#include "nodes/publishing.h"

#include "base/check.h"
#include "base/log.h"
#include "cluster/publish_message.h"
#include "cluster/wire.h"
#include "deliver/record.h"
#include "nodes/interest.h"
#include "nodes/nodes_thread.h"
#include "nodes/outgoing_queue.h"
#include "runtime/node_mail.h"

#include <stdlib.h>
#include <string.h>

/* Commits of the store wake shards, and not this thread: it looks so often while it waits for some. */
#define COMMITS_MS 1u

struct publishing_peer {
	struct node_peer *peer; /* NULL: the slot was never heard of */
	struct outgoing_queue queue;
	uint64_t numbered; /* messages sent on this link */
	uint64_t safe;     /* of these, as the peer said */
	uint64_t messages;
	uint64_t bytes;
	uint64_t dropped; /* at QoS 0, while the peer was away */
	bool is_away;
};

struct publishing {
	struct nodes_thread *thread;
	struct interest *interest;
	struct inbound inbound;
	struct publishing_peer peers[NODES_MAX];
	struct batch *unsorted; /* that was received when memory was short; NULL: none */
	uint64_t now_ms;
	uint32_t now_s; /* the gateway's clock */
};

struct publishing *publishing_new(struct nodes_thread *thread, struct interest *interest)
{
	struct publishing *publishing = calloc(1, sizeof(*publishing));
	if (publishing == NULL)
		return NULL;
	publishing->thread = thread;
	publishing->interest = interest;
	if (inbound_init(&publishing->inbound, &thread->parts, interest) == ERROR_OK)
		return publishing;
	inbound_fini(&publishing->inbound);
	free(publishing);
	return NULL;
}

void publishing_free(struct publishing *publishing)
{
	if (publishing == NULL)
		return;
	for (uint32_t slot = 0; slot < NODES_MAX; slot++)
		outgoing_queue_fini(&publishing->peers[slot].queue);
	inbound_fini(&publishing->inbound);
	free(publishing);
}

void publishing_set_retain(struct publishing *publishing, inbound_retain *retain, void *context)
{
	publishing->inbound.retain = retain;
	publishing->inbound.retain_context = context;
}

void publishing_retained_is_safe(void *context, uint64_t ticket)
{
	struct publishing *publishing = context;
	inbound_release(&publishing->inbound, (uint32_t)ticket);
}

/* ---- to a peer ---- */

static const uint8_t *packet_of(const struct record *record)
{
	return (const uint8_t *)&record->routes[record->route_count];
}

static bool is_expired(const struct publishing *publishing, const struct record *record)
{
	return publication_expired(&record->publication, publishing->now_s);
}

/* What the record says, but for its shared subscriptions. */
static void describe(const struct publishing *publishing, const struct record *record, struct publish_message *message)
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
		message->expires_s = publication->expires_s - publishing->now_s;
	if (message->has_stamp)
		memcpy(&message->stamp, packet + publication->packet_bytes, sizeof(message->stamp));
}

/* The record's routes from *next on, as many as one message takes. */
static void add_routes(const struct record *record, uint32_t *next, struct publish_message *message)
{
	message->is_plain = false;
	message->group_count = 0;
	while (*next < record->route_count && message->group_count < PUBLISH_GROUPS_MAX) {
		route_bits route = record->routes[(*next)++];
		if (route_index(route) == 0)
			message->is_plain = true;
		else
			message->groups[message->group_count++] =
				(struct publish_group){route_index(route), route_generation(route)};
	}
}

/* How many messages it takes. */
static uint32_t messages_of(const struct record *record)
{
	return (record->route_count + PUBLISH_GROUPS_MAX - 1) / PUBLISH_GROUPS_MAX;
}

/* Sends a record. False: the link has no room for it now, and nothing was sent. */
static bool send_record(struct publishing *publishing, struct publishing_peer *to, struct outgoing_batch *from,
			const struct record *record)
{
	uint8_t head[PUBLISH_HEAD_BYTES_MAX];
	struct publish_message message;
	if (peer_room(to->peer) == 0)
		return false;
	describe(publishing, record, &message);
	for (uint32_t next = 0; next < record->route_count;) {
		add_routes(record, &next, &message);
		size_t head_bytes = publish_message_head(&message, head);
		/* Beyond the room that it has the link takes what belongs to a message whose first part it has. */
		bool sent = peer_send(to->peer, PUBLISHING_MESSAGE, slice_of(head, head_bytes), message.packet);
		if (!sent && next <= PUBLISH_GROUPS_MAX)
			return false;
		to->numbered += sent;
		from->first = from->first != 0 ? from->first : to->numbered;
		from->last = to->numbered;
		message.has_stamp = false;
		to->messages++;
		to->bytes += head_bytes + message.packet.size;
	}
	from->awaits |= record->publication.qos != 0;
	return true;
}

/* Sends what is left of a batch. False: there is no more room. */
static bool send_batch(struct publishing *publishing, struct publishing_peer *to, struct outgoing_batch *from)
{
	while (from->offset < from->batch->used_bytes) {
		const struct record *record = (const void *)(from->batch->bytes + from->offset);
		CHECK(record->record_bytes >= sizeof(*record) &&
		      record->record_bytes <= from->batch->used_bytes - from->offset);
		if (messages_of(record) != 0 && !is_expired(publishing, record) &&
		    !send_record(publishing, to, from, record))
			return false;
		from->offset += record->record_bytes;
	}
	return true;
}

static void give_back_done(struct publishing *publishing, struct publishing_peer *to)
{
	struct batch *batch;
	while ((batch = outgoing_queue_pop_done(&to->queue, to->safe)) != NULL)
		outbox_return(&publishing->inbound.outbox, batch);
}

static void send_all(struct publishing *publishing, struct publishing_peer *to)
{
	struct outgoing_batch *next;
	while (peer_is_reachable(to->peer) && interest_is_told(publishing->interest, to->peer) &&
	       (next = outgoing_queue_next(&to->queue)) != NULL) {
		if (!send_batch(publishing, to, next))
			break;
		to->queue.sent++;
	}
	give_back_done(publishing, to);
}

/* Says how far the peer's messages are safe here. */
static void send_safe(struct publishing *publishing, struct publishing_peer *to)
{
	uint8_t body[sizeof(uint64_t)];
	uint64_t number;
	uint32_t slot = to->peer->slot;
	if (!peer_is_reachable(to->peer) || !inbound_owe(&publishing->inbound, slot, &number))
		return;
	wire_put_u64(body, number);
	if (peer_send(to->peer, PUBLISHING_SAFE, slice_of(body, sizeof(body)), slice_of(NULL, 0)))
		inbound_have_told(&publishing->inbound, slot, number);
}

/* ---- from shards ---- */

/* Batches for peers, and notes to publishers on other nodes, which nobody reads yet. */
static void receive_batches(struct publishing *publishing)
{
	struct outbox *outbox = &publishing->inbound.outbox;
	uint16_t shards = publishing->thread->parts.shard_count;
	for (;;) {
		struct batch *batch = publishing->unsorted != NULL ? publishing->unsorted : outbox_receive(outbox);
		publishing->unsorted = NULL;
		if (batch == NULL)
			return;
		uint32_t slot = (uint32_t)batch->receiver - shards;
		if (slot >= NODES_MAX) {
			outbox_return(outbox, batch);
		} else if (!outgoing_queue_push(&publishing->peers[slot].queue, batch)) {
			publishing->unsorted = batch;
			return;
		}
	}
}

/* ---- the service ---- */

static bool take_safe(struct publishing *publishing, struct publishing_peer *from, struct slice body)
{
	struct wire_reader reader = wire_read(body);
	uint64_t number = wire_get_u64(&reader);
	if (!wire_is_done(&reader) || number > from->numbered || number < from->safe)
		return false;
	from->safe = number;
	give_back_done(publishing, from);
	return true;
}

static bool on_received(void *context, struct node_peer *peer, uint8_t kind, struct slice body)
{
	struct publishing *publishing = context;
	switch (kind) {
	case PUBLISHING_MESSAGE:
		return inbound_receive(&publishing->inbound, peer->slot, body);
	case PUBLISHING_SAFE:
		return take_safe(publishing, &publishing->peers[peer->slot], body);
	default:
		return false;
	}
}

static void on_joined(void *context, struct node_peer *peer)
{
	struct publishing *publishing = context;
	struct publishing_peer *to = &publishing->peers[peer->slot];
	to->peer = peer;
	to->numbered = to->safe = 0;
	to->is_away = false;
	inbound_begin(&publishing->inbound, peer->slot, peer->link->own, peer->incarnation);
}

static void on_away(void *context, struct node_peer *peer)
{
	struct publishing *publishing = context;
	publishing->peers[peer->slot].is_away = true;
}

static void on_back(void *context, struct node_peer *peer)
{
	struct publishing *publishing = context;
	publishing->peers[peer->slot].is_away = false;
}

static bool on_turn(void *context, uint64_t now_ms)
{
	struct publishing *publishing = context;
	publishing->now_ms = now_ms;
	publishing->now_s = (uint32_t)(now_ms / 1000);
	inbound_run(&publishing->inbound, publishing->now_s);
	/* What a client subscribed to before it published is told first. */
	receive_batches(publishing);
	interest_send_notes(publishing->interest);
	for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
		struct publishing_peer *to = &publishing->peers[slot];
		if (to->peer == NULL)
			continue;
		send_all(publishing, to);
		send_safe(publishing, to);
	}
	return false;
}

static bool on_has_mail(const void *context)
{
	const struct publishing *publishing = context;
	return outbox_has_mail(&publishing->inbound.outbox) || outbox_has_returns(&publishing->inbound.outbox);
}

static uint64_t on_deadline(const void *context)
{
	const struct publishing *publishing = context;
	return inbound_await_commits(&publishing->inbound) ? publishing->now_ms + COMMITS_MS : UINT64_MAX;
}

static void on_status(const void *context, struct nodes_status *status)
{
	const struct publishing *publishing = context;
	for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
		const struct publishing_peer *peer = &publishing->peers[slot];
		const struct inbound_peer *inbound = &publishing->inbound.peers[slot];
		status->peers[slot].messages_out = peer->messages;
		status->peers[slot].messages_in = inbound->messages;
		status->peers[slot].bytes_in = inbound->bytes;
		status->peers[slot].dropped = peer->dropped;
	}
}

/* All that went to peers is safe there or in their spools, and what came from peers is safe here. */
static bool on_is_done(const void *context)
{
	const struct publishing *publishing = context;
	for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
		if (publishing->peers[slot].queue.count != 0)
			return false;
	}
	return inbound_are_done(&publishing->inbound) && publishing->inbound.outbox.out_batches == 0;
}

const struct node_service PUBLISHING_SERVICE = {
	.name = "publishing",
	.kind_first = MESSAGE_PUBLISHING,
	.kind_last = MESSAGE_PUBLISHING + 15,
	.joined = on_joined,
	.received = on_received,
	.away = on_away,
	.back = on_back,
	.turn = on_turn,
	.has_mail = on_has_mail,
	.deadline_ms = on_deadline,
	.status = on_status,
	.is_done = on_is_done,
};
