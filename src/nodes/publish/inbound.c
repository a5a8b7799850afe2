#include "nodes/publish/inbound.h"

#include "base/check.h"
#include "cluster/publish/publish_message.h"
#include "cluster/publish/topic_scope.h"
#include "deliver/record.h"
#include "mqtt/decode.h"
#include "mqtt/field/topic.h"
#include "nodes/interest/interest.h"
#include "runtime/nodes/node_mail.h"
#include "state/shard.h"

#include <stdlib.h>
#include <string.h>

/* A ticket is a slot and the end of a number. */
#define TICKET_NUMBER_BITS 25u
_Static_assert(NODES_MAX <= 1u << (31u - TICKET_NUMBER_BITS), "a ticket has room for the slot, and a bit");
_Static_assert(INBOUND_MAX < 1u << TICKET_NUMBER_BITS, "the end of a number says which one it is");
#define RING_MIN 256u
_Static_assert((RING_MIN & (RING_MIN - 1)) == 0 && (INBOUND_MAX & (INBOUND_MAX - 1)) == 0, "rings have masks");
/* Nodes and routes of the index in one step, as on shards. */
#define UNITS_PER_STEP 2048

struct waiting_arrival {
	struct waiting_arrival *next;
	uint64_t number;
	struct index_place place; /* of the match: subscribers before it have the message */
	uint32_t groups_done;
	bool is_matched;
	uint32_t bytes;
	uint8_t body[];
};

/* A message in hand: what was read of it, and how far it has come. */
struct arrival {
	struct publish_message message;
	struct publication publication;
	uint64_t number;
	uint32_t slot;
	struct index_place place;
	uint32_t groups_done;
	bool is_matched; /* the plain part */
	bool is_wanted;  /* somebody was found */
};

enum error inbound_init(struct inbound *inbound, const struct gateway_parts *parts, const struct interest *interest)
{
	uint16_t numbers = node_port_numbers(parts->nodes);
	*inbound = (struct inbound){.parts = *parts, .interest = interest};
	inbound->counts = calloc(numbers, sizeof(*inbound->counts));
	inbound->commits = calloc(parts->shard_count, sizeof(*inbound->commits));
	enum error error = outbox_init(&inbound->outbox, parts->mailboxes, numbers, (uint16_t)(numbers - 1));
	if (error == ERROR_OK)
		error = far_waits_init(&inbound->waits, parts);
	if (error != ERROR_OK || inbound->counts == NULL || inbound->commits == NULL)
		return ERROR_NO_MEMORY;
	outbox_share(&inbound->outbox, parts->shard_count);
	return ERROR_OK;
}

static void drop_waiting(struct inbound_peer *peer)
{
	while (peer->first != NULL) {
		struct waiting_arrival *next = peer->first->next;
		free(peer->first);
		peer->first = next;
	}
}

void inbound_fini(struct inbound *inbound)
{
	for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
		drop_waiting(&inbound->peers[slot]);
		free(inbound->peers[slot].holders);
	}
	for (uint16_t i = 0; inbound->commits != NULL && i < inbound->parts.shard_count; i++)
		free(inbound->commits[i].items);
	free(inbound->commits);
	free(inbound->counts);
	routes_fini(&inbound->routes);
	outbox_fini(&inbound->outbox);
	far_waits_fini(&inbound->waits);
}

void inbound_begin(struct inbound *inbound, uint32_t slot, uint64_t own_run, uint64_t run)
{
	struct inbound_peer *peer = &inbound->peers[slot];
	CHECK_LE(peer->safe, peer->received);
	peer->own_run_before = peer->own_run;
	peer->run_before = peer->run;
	peer->base_before = peer->link_base;
	peer->own_run = own_run;
	peer->run = run;
	peer->link_base = peer->told = peer->received;
	peer->owes = peer->is_deaf = false;
	far_waits_begin(&inbound->waits, slot);
}

/* ---- what is safe ---- */

static uint32_t inbound_ticket_of(uint32_t slot, uint64_t number)
{
	return slot << TICKET_NUMBER_BITS | (uint32_t)(number & ((1u << TICKET_NUMBER_BITS) - 1));
}

static uint32_t *holders_of(struct inbound_peer *peer, uint64_t number)
{
	CHECK(peer->holders != NULL && number > peer->safe && number <= peer->received);
	return &peer->holders[number & peer->ring_mask];
}

static bool ring_grow(struct inbound_peer *peer)
{
	uint64_t count = peer->received - peer->safe;
	if (peer->holders != NULL && count <= peer->ring_mask)
		return true;
	uint32_t size = peer->holders != NULL ? (peer->ring_mask + 1) * 2 : RING_MIN;
	uint32_t *grown = size <= INBOUND_MAX ? calloc(size, sizeof(*grown)) : NULL;
	if (grown == NULL)
		return false;
	for (uint64_t number = peer->safe + 1; peer->holders != NULL && number <= peer->received; number++)
		grown[number & (size - 1)] = peer->holders[number & peer->ring_mask];
	free(peer->holders);
	peer->holders = grown;
	peer->ring_mask = size - 1;
	return true;
}

void inbound_release(struct inbound *inbound, uint32_t ticket)
{
	if ((ticket & INBOUND_TICKET_OF_OTHERS) != 0) {
		inbound->release_other(inbound->other_context, ticket);
		return;
	}
	struct inbound_peer *peer = &inbound->peers[ticket >> TICKET_NUMBER_BITS];
	uint32_t mask = (1u << TICKET_NUMBER_BITS) - 1;
	uint64_t number = peer->safe + 1 + ((ticket - (uint32_t)(peer->safe + 1)) & mask);
	if (number > peer->received)
		return; /* of a thread before this one */
	uint32_t *holders = holders_of(peer, number);
	CHECK_GT(*holders, 0u);
	--*holders;
	while (peer->safe < peer->received && peer->holders[(peer->safe + 1) & peer->ring_mask] == 0)
		peer->safe++;
}

/* Nothing more of this link is taken. */
static void go_deaf(struct inbound *inbound, struct inbound_peer *peer)
{
	inbound->figures.refused++;
	peer->is_deaf = true;
	inbound->wants_new_links = true;
}

/* The same for one that has its number already: nothing of the link is said to be safe from here on, and nothing of it
 * may be taken for a copy when it comes again. Better twice than not at all. */
static void refuse_numbered(struct inbound *inbound, uint32_t ticket)
{
	if ((ticket & INBOUND_TICKET_OF_OTHERS) != 0)
		return; /* its batch does not go back */
	struct inbound_peer *peer = &inbound->peers[ticket >> TICKET_NUMBER_BITS];
	peer->own_run = peer->run = 0;
	go_deaf(inbound, peer);
	inbound_release(inbound, ticket);
}

static bool inbound_is_safe(const struct inbound *inbound, uint16_t shard, uint64_t commit)
{
	if (commit == 0)
		return true;
	const struct shard_environment *env = &inbound->parts.shards[shard].env;
	return env->journal_safety == NULL || env->journal_safety->safe(env->journal_context, shard) >= commit;
}

static bool await_commit(struct inbound *inbound, uint16_t shard, uint64_t commit, uint32_t ticket)
{
	struct inbound_commits *queue = &inbound->commits[shard];
	if (queue->count == queue->capacity) {
		uint32_t capacity = queue->capacity == 0 ? RING_MIN : queue->capacity * 2;
		struct arrival_commit *grown = malloc(capacity * sizeof(*grown));
		if (grown == NULL)
			return false;
		for (uint32_t i = 0; i < queue->count; i++)
			grown[i] = queue->items[(queue->first + i) & (queue->capacity - 1)];
		free(queue->items);
		*queue = (struct inbound_commits){.items = grown, .count = queue->count, .capacity = capacity};
	}
	queue->items[(queue->first + queue->count++) & (queue->capacity - 1)] = (struct arrival_commit){commit, ticket};
	inbound->committing++;
	return true;
}

/* Without memory to wait for a commit the message does not count as safe. */
static void inbound_returned(void *context, const struct batch *batch, const uint32_t *tickets)
{
	struct inbound *inbound = context;
	bool is_shard = batch->receiver < inbound->parts.shard_count;
	for (uint32_t i = 0; i < batch->ticket_count; i++) {
		if (!is_shard || inbound_is_safe(inbound, batch->receiver, batch->commit))
			inbound_release(inbound, tickets[i]);
		else if (!await_commit(inbound, batch->receiver, batch->commit, tickets[i]))
			refuse_numbered(inbound, tickets[i]);
	}
}

static void look_at_commits(struct inbound *inbound)
{
	for (uint16_t shard = 0; inbound->committing != 0 && shard < inbound->parts.shard_count; shard++) {
		struct inbound_commits *queue = &inbound->commits[shard];
		while (queue->count != 0) {
			struct arrival_commit first = queue->items[queue->first & (queue->capacity - 1)];
			if (!inbound_is_safe(inbound, shard, first.commit))
				break;
			queue->first++;
			queue->count--;
			CHECK_GT(inbound->committing, 0u);
			inbound->committing--;
			inbound_release(inbound, first.ticket);
		}
	}
}

/* ---- reading ---- */

/* Whether the packet is a PUBLISH that a client may have sent: nothing of what the peer says of it is believed. */
static bool inbound_read_packet(struct arrival *arrival, uint32_t now_s)
{
	const struct publish_message *message = &arrival->message;
	struct mqtt_header header;
	struct mqtt_publish publish;
	uint8_t version = message->is_5 ? MQTT_VERSION_5 : MQTT_VERSION_3_1_1;
	if (mqtt_header_decode(message->packet.data, message->packet.size, &header) != ERROR_OK ||
	    header.type != MQTT_PUBLISH || header.header_bytes + header.body_bytes != message->packet.size ||
	    (header.flags & MQTT_PUBLISH_FLAGS_OURS) != 0)
		return false;
	struct slice body = slice_of(message->packet.data + header.header_bytes, header.body_bytes);
	if (mqtt_publish_decode(body, header.flags, version, false, &publish) != ERROR_OK || publish.topic.size == 0 ||
	    !topic_leaves_node(publish.topic))
		return false;
	arrival->publication = publication_of(&publish, version, message->packet.size, header.header_bytes, now_s);
	arrival->publication.retain = message->has_stamp;
	if (!message->has_expiry)
		return true;
	uint64_t expires_s = (uint64_t)now_s + message->expires_s;
	arrival->publication.expires_s = expires_s < UINT32_MAX ? (uint32_t)expires_s : 0;
	return true;
}

/* ---- to subscribers ---- */

static void inbound_write_record(struct inbound *inbound, struct arrival *arrival, uint16_t to)
{
	uint32_t route_count = inbound->counts[to];
	const struct slice packet = arrival->message.packet;
	uint32_t bytes = (uint32_t)record_bytes(route_count, packet.size);
	struct record *record = outbox_write(&inbound->outbox, to, bytes);
	CHECK(record != NULL); /* its memory was reserved */
	*record = (struct record){
		.record_bytes = (bytes + 7u) & ~7u,
		.publisher = far_waits_name(&inbound->waits, arrival->slot, &arrival->message),
		.publication = arrival->publication,
	};
	for (uint32_t i = 0; i < inbound->routes.count; i++) {
		if (route_shard(inbound->routes.items[i]) == to)
			record->routes[record->route_count++] = inbound->routes.items[i];
	}
	memcpy(&record->routes[route_count], packet.data, packet.size);
	if (arrival->publication.qos == 0)
		return;
	++*holders_of(&inbound->peers[arrival->slot], arrival->number);
	outbox_attach(&inbound->outbox, to, inbound_ticket_of(arrival->slot, arrival->number));
}

/* Whether all that the routes lead to have room; then their memory is reserved. ERROR_MORE: one has none now. */
static enum error reserve(struct inbound *inbound, const struct arrival *arrival)
{
	for (uint32_t i = 0; i < inbound->routes.count; i++) {
		uint16_t to = route_shard(inbound->routes.items[i]);
		uint32_t bytes = (uint32_t)record_bytes(inbound->counts[to], arrival->message.packet.size);
		if (!outbox_has_room(&inbound->outbox, to, bytes))
			return ERROR_MORE;
	}
	enum error error = ERROR_OK;
	for (uint32_t i = 0; i < inbound->routes.count && error == ERROR_OK; i++) {
		uint16_t to = route_shard(inbound->routes.items[i]);
		error = outbox_reserve(&inbound->outbox, to,
				       (uint32_t)record_bytes(inbound->counts[to], arrival->message.packet.size));
	}
	return error;
}

/* To all routes, or to none. */
static enum error inbound_send_to_routes(struct inbound *inbound, struct arrival *arrival)
{
	const struct routes *routes = &inbound->routes;
	for (uint32_t i = 0; i < routes->count; i++)
		inbound->counts[route_shard(routes->items[i])]++;
	enum error error = reserve(inbound, arrival);
	for (uint32_t i = 0; i < routes->count; i++) {
		uint16_t to = route_shard(routes->items[i]);
		if (inbound->counts[to] != 0 && error == ERROR_OK)
			inbound_write_record(inbound, arrival, to);
		inbound->counts[to] = 0;
	}
	arrival->is_wanted |= routes->count != 0 && error == ERROR_OK;
	return error;
}

/* The plain part: some steps of the match. */
static enum error send_plain(struct inbound *inbound, struct arrival *arrival)
{
	struct slice topic = publication_parts(&arrival->publication, arrival->message.packet.data).topic;
	while (arrival->message.is_plain && !arrival->is_matched) {
		struct index_place place = arrival->place;
		inbound->routes.count = 0;
		inbound->routes.scope = ROUTES_ARRIVED;
		inbound->routes.units_left = UNITS_PER_STEP;
		enum error matched = index_match(inbound->parts.index, topic, &place, &inbound->routes);
		inbound->routes.scope = ROUTES_ALL;
		if (matched != ERROR_OK && matched != ERROR_MORE)
			return matched;
		enum error error = inbound_send_to_routes(inbound, arrival);
		if (error != ERROR_OK)
			return error;
		arrival->place = place;
		arrival->is_matched = matched == ERROR_OK;
	}
	return ERROR_OK;
}

/* A member of the shared subscription here; of one that has ended here meanwhile, a member anywhere. 0: none. */
static route_bits pick_member(struct inbound *inbound, const struct publish_group *named)
{
	struct slice text;
	struct slice group;
	struct slice filter;
	enum error fault;
	if (!interest_find_group(inbound->interest, named->name, named->generation, &text) ||
	    !mqtt_filter_share(text, &group, &filter, &fault))
		return 0;
	struct index_slot slot = index_find_group(inbound->parts.index, group, filter, false);
	route_bits route = 0;
	if (slot.node != 0)
		route = index_pick_here(slot, &inbound->routes);
	if (slot.node != 0 && route == 0)
		route = index_pick(slot, &inbound->routes);
	index_leave(slot);
	return route;
}

static enum error send_groups(struct inbound *inbound, struct arrival *arrival)
{
	for (; arrival->groups_done < arrival->message.group_count; arrival->groups_done++) {
		route_bits route = pick_member(inbound, &arrival->message.groups[arrival->groups_done]);
		if (route == 0)
			continue;
		enum error error = routes_set(&inbound->routes, route);
		if (error == ERROR_OK)
			error = inbound_send_to_routes(inbound, arrival);
		if (error != ERROR_OK)
			return error;
	}
	return ERROR_OK;
}

/* ERROR_MORE: it has to wait for room. */
static enum error inbound_go_on(struct inbound *inbound, struct arrival *arrival)
{
	enum error error = send_plain(inbound, arrival);
	if (error == ERROR_OK)
		error = send_groups(inbound, arrival);
	if (error == ERROR_MORE)
		return error;
	if (error != ERROR_OK && arrival->publication.qos != 0) {
		refuse_numbered(inbound, inbound_ticket_of(arrival->slot, arrival->number));
		return error;
	}
	inbound->figures.dropped += error != ERROR_OK;
	inbound->figures.unwanted += error == ERROR_OK && !arrival->is_wanted && !arrival->message.has_stamp;
	inbound_release(inbound, inbound_ticket_of(arrival->slot, arrival->number));
	return error;
}

/* ---- those that wait ---- */

static void keep_waiting(struct inbound *inbound, const struct arrival *arrival, struct slice body)
{
	struct inbound_peer *peer = &inbound->peers[arrival->slot];
	bool is_qos_0 = arrival->publication.qos == 0;
	bool has_room = !is_qos_0 || peer->waiting_bytes < INBOUND_WAITING_QOS_0_BYTES_MAX;
	struct waiting_arrival *waiting = has_room ? malloc(sizeof(*waiting) + body.size) : NULL;
	if (waiting == NULL && is_qos_0) {
		inbound->figures.dropped++;
		inbound_release(inbound, inbound_ticket_of(arrival->slot, arrival->number));
		return;
	}
	if (waiting == NULL) {
		refuse_numbered(inbound, inbound_ticket_of(arrival->slot, arrival->number));
		return;
	}
	*waiting = (struct waiting_arrival){
		.number = arrival->number,
		.place = arrival->place,
		.groups_done = arrival->groups_done,
		.is_matched = arrival->is_matched,
		.bytes = (uint32_t)body.size,
	};
	memcpy(waiting->body, body.data, body.size);
	if (peer->first == NULL)
		peer->first = waiting;
	else
		peer->last->next = waiting;
	peer->last = waiting;
	peer->waiting_bytes += body.size;
}

/* What was read once is read again: it is rare that something waits. */
static bool go_on_with_first(struct inbound *inbound, uint32_t slot)
{
	struct inbound_peer *peer = &inbound->peers[slot];
	struct waiting_arrival *first = peer->first;
	struct arrival arrival = {
		.number = first->number,
		.slot = slot,
		.place = first->place,
		.groups_done = first->groups_done,
		.is_matched = first->is_matched,
		.is_wanted = true,
	};
	bool is_sound = publish_message_read(slice_of(first->body, first->bytes), &arrival.message) &&
			inbound_read_packet(&arrival, inbound->now_s);
	CHECK(is_sound);
	if (inbound_go_on(inbound, &arrival) == ERROR_MORE) {
		first->place = arrival.place;
		first->groups_done = arrival.groups_done;
		first->is_matched = arrival.is_matched;
		return false;
	}
	peer->first = first->next;
	CHECK_GE(peer->waiting_bytes, first->bytes);
	peer->waiting_bytes -= first->bytes;
	free(first);
	return true;
}

/* ---- a message ---- */

/* Whether it came before: on this link, or on the last one of another run of the peer. */
static bool inbound_is_copy(const struct inbound_peer *peer, const struct publish_message *message)
{
	if (!message->is_copy)
		return false;
	if (message->run == peer->own_run && message->sender == peer->run)
		return message->number <= peer->received - peer->link_base;
	return message->run == peer->own_run_before && message->sender == peer->run_before &&
	       message->number <= peer->link_base - peer->base_before;
}

bool inbound_receive(struct inbound *inbound, uint32_t slot, struct slice body)
{
	struct inbound_peer *peer = &inbound->peers[slot];
	struct arrival arrival = {.slot = slot};
	if (peer->is_deaf)
		return true;
	if (peer->waiting_bytes >= INBOUND_WAITING_BYTES_MAX || !ring_grow(peer)) {
		go_deaf(inbound, peer);
		return true;
	}
	bool is_sound = publish_message_read(body, &arrival.message) && inbound_read_packet(&arrival, inbound->now_s);
	bool is_old = is_sound && inbound_is_copy(peer, &arrival.message);
	arrival.number = ++peer->received;
	*holders_of(peer, arrival.number) = 1;
	peer->messages++;
	peer->bytes += body.size;
	peer->owes |= !is_sound || arrival.publication.qos != 0;
	uint32_t ticket = inbound_ticket_of(slot, arrival.number);
	if (!is_sound || is_old) {
		inbound->figures.unsound += !is_sound;
		inbound->figures.copies += is_old;
		inbound_release(inbound, ticket);
		return is_sound;
	}
	if (arrival.message.has_stamp && inbound->retain != NULL) {
		++*holders_of(peer, arrival.number);
		if (!inbound->retain(inbound->retain_context, &arrival.publication, arrival.message.packet.data,
				     arrival.message.stamp, ticket))
			inbound_release(inbound, ticket);
	}
	if (peer->first != NULL || inbound_go_on(inbound, &arrival) == ERROR_MORE)
		keep_waiting(inbound, &arrival, body);
	return true;
}

void inbound_run(struct inbound *inbound, uint32_t now_s)
{
	inbound->now_s = now_s;
	inbound->outbox.returned = inbound_returned;
	inbound->outbox.context = inbound;
	outbox_collect(&inbound->outbox);
	look_at_commits(inbound);
	for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
		while (inbound->peers[slot].first != NULL && go_on_with_first(inbound, slot))
			continue;
	}
}

void inbound_send(struct inbound *inbound)
{
	outbox_await_returns(&inbound->outbox, inbound->outbox.out_batches != 0);
	outbox_send(&inbound->outbox);
}

bool inbound_owe(const struct inbound *inbound, uint32_t slot, uint64_t *number)
{
	const struct inbound_peer *peer = &inbound->peers[slot];
	if (!peer->owes || peer->is_deaf || peer->safe <= peer->told || peer->safe <= peer->link_base)
		return false;
	*number = peer->safe - peer->link_base;
	return true;
}

void inbound_have_told(struct inbound *inbound, uint32_t slot, uint64_t number)
{
	struct inbound_peer *peer = &inbound->peers[slot];
	CHECK_LE(number + peer->link_base, peer->safe);
	peer->told = number + peer->link_base;
	peer->owes = peer->told != peer->received;
}

bool inbound_are_done(const struct inbound *inbound)
{
	for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
		if (inbound->peers[slot].safe != inbound->peers[slot].received)
			return false;
	}
	return true;
}
