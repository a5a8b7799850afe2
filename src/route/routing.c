#include "route/routing.h"

#include "base/clock.h"
#include "deliver/origin/origin.h"
#include "mqtt/field/reason.h"
#include "state/client_state.h"
#include "state/shard.h"
#include "topics/retained_changes.h"

#include <stdlib.h>

struct routing {
	struct routing *next;
	struct route_progress progress;
	route_bits route; /* to one member; 0: to all subscribers */
	struct message_ref message;
	struct origin *origin;       /* NULL: nobody took it when the message came */
	struct client_ref publisher; /* none: the gateway itself */
	uint32_t publisher_hash;     /* of its client id: its place may be another client's when the message is sent */
	uint16_t generation;         /* of the publisher's connection on which it came */
};

void routings_init(struct routings *routings)
{
	*routings = (struct routings){.own_end = &routings->own};
}

static void routing_free(struct routing *routing)
{
	free(routing->origin);
	free(routing);
}

static uint32_t routing_packet_bytes(const struct shard *shard, const struct routing *routing)
{
	return message_at(&shard->mem.messages, routing->message)->publication.packet_bytes;
}

static struct routing *take_own(struct shard *shard)
{
	struct routings *routings = &shard->routing.routings;
	struct routing *first = routings->own;
	CHECK(first != NULL && routings->own_bytes >= sizeof(*first) + routing_packet_bytes(shard, first));
	routings->own_bytes -= sizeof(*first) + routing_packet_bytes(shard, first);
	routings->own = first->next;
	routings->own_left++;
	if (routings->own == NULL) {
		CHECK(routings->own_bytes == 0);
		routings->own_end = &routings->own;
	}
	return first;
}

void routings_fini(struct shard *shard)
{
	struct routings *routings = &shard->routing.routings;
	while (routings->own != NULL)
		routing_free(take_own(shard));
	for (uint32_t i = 0; i < routings->count; i++)
		routing_free(routings->of_publishers[i]);
	routings_init(routings);
}

static uint32_t routing_hash_of(const struct shard *shard, struct client_ref client)
{
	return !client_ref_is_none(client) ? shard_client(shard, client)->session.node.hash : 0;
}

/* The publisher, for No Local; none: its session has ended. A later session with the same client id counts as the same
 * publisher [MQTT-3.8.3-3]. */
static struct client_ref publisher_of(const struct shard *shard, const struct routing *routing)
{
	if (client_ref_is_none(routing->publisher))
		return routing->publisher;
	const struct session *session = &shard_client(shard, routing->publisher)->session;
	bool same = session->id != 0 && session->node.hash == routing->publisher_hash;
	return same ? routing->publisher : client_ref_none();
}

/* Takes one step, on a copy of the packet: output points to the packet until the flush, and the message may be freed
 * before that. */
static enum error routing_step(struct shard *shard, struct routing *routing)
{
	const struct message *message = message_at(&shard->mem.messages, routing->message);
	struct outbound outbound = {
		.packet = message_packet(&shard->mem.messages, message),
		.publication = message->publication,
		.publisher = publisher_of(shard, routing),
		.generation = routing->generation,
	};
	if (routing->origin != NULL)
		outbound.origin = slice_of(routing->origin->properties, routing->origin->bytes);
	uint8_t *copy = io_scratch(&shard->mem.io, message->publication.packet_bytes);
	if (copy != NULL)
		outbound.packet = memcpy(copy, outbound.packet, message->publication.packet_bytes);
	turn_work_step_begin(&shard->loop.work);
	enum error error = routing->route != 0 ? route_to_member(shard, &outbound, routing->route, &routing->progress)
					       : route_message(shard, &outbound, &routing->progress);
	turn_work_step_end(&shard->loop.work, &shard->counters);
	if (copy == NULL)
		io_flush(&shard->mem.io);
	return error;
}

/* The routing is over: all matching subscribers have the message, or it was dropped for lack of memory. Its publisher
 * is answered when all holders of the ticket have said that the message is safe. */
static void routing_end(struct shard *shard, struct routing *routing, enum error error)
{
	struct route_progress *progress = &routing->progress;
	if (error != ERROR_OK)
		COUNT(&shard->counters, messages_dropped_memory);
	if (progress->ticket != 0) {
		enum mqtt_reason reason = error == ERROR_OK ? route_reason(progress) : mqtt_reason_of(ERROR_LIMIT);
		pending_acks_set_reason(&shard->routing.acks, progress->ticket, (uint8_t)reason, error != ERROR_OK);
		CHECK(route_await_commit(shard, progress) == ERROR_OK); /* it has its ticket */
		pending_acks_is_safe(&shard->routing.acks, progress->ticket);
	}
	messages_put(&shard->mem.messages, routing->message);
	routing_free(routing);
}

/* The same for a message of the gateway itself. Where the journal was told that it is passed on, it is not forgotten
 * before it is safe with those who got it. */
static void own_end(struct shard *shard, const struct routing *routing, enum error error)
{
	if (error != ERROR_OK)
		COUNT(&shard->counters, messages_dropped_memory);
	if (routing->progress.ticket == 0) {
		messages_put(&shard->mem.messages, routing->message);
		return;
	}
	pending_acks_keep(&shard->routing.acks, routing->progress.ticket, routing->message);
	route_ticket_is_safe(shard, routing->progress.ticket);
}

/* ---- publishers' messages ---- */

bool routings_take(const struct routings *routings)
{
	return routings->count < ROUTINGS_MAX && routings->bytes < ROUTINGS_BYTES_MAX;
}

/* Puts a ticket into the publisher's line if the message is to be acknowledged. */
static enum error routing_file(struct shard *shard, const struct outbound *outbound, struct route_progress *progress,
			       uint16_t packet_id)
{
	if (!progress->acknowledged)
		return ERROR_OK;
	if (route_ticket(shard, progress) == 0)
		return ERROR_NO_MEMORY;
	return pending_acks_file(&shard->routing.acks, outbound->publisher, progress->ticket, outbound->publication.qos,
				 packet_id);
}

static struct routing *routing_new(struct shard *shard, const struct outbound *outbound)
{
	struct message_ref message = messages_new(&shard->mem.messages, &outbound->publication, outbound->packet);
	if (message_ref_is_none(message))
		return NULL;
	struct routing *routing = malloc(sizeof(*routing));
	if (routing == NULL) {
		messages_put(&shard->mem.messages, message);
		return NULL;
	}
	message_packet(&shard->mem.messages, message_at(&shard->mem.messages, message))[0] &=
		(uint8_t)~MQTT_PUBLISH_FLAGS_OURS;
	*routing = (struct routing){
		.message = message,
		.origin = origin_keep(shard, outbound->publisher),
		.publisher = outbound->publisher,
		.publisher_hash = routing_hash_of(shard, outbound->publisher),
		.generation = outbound->generation,
	};
	return routing;
}

enum error routing_begin(struct shard *shard, const struct outbound *outbound, struct route_progress *progress,
			 uint16_t packet_id)
{
	struct routings *routings = &shard->routing.routings;
	struct routing *routing = routing_new(shard, outbound);
	if (routing == NULL)
		return ERROR_NO_MEMORY;
	if (routing_file(shard, outbound, progress, packet_id) != ERROR_OK) {
		messages_put(&shard->mem.messages, routing->message);
		routing_free(routing);
		return ERROR_NO_MEMORY;
	}
	routing->progress = *progress;
	CHECK(routings_take(routings));
	CHECK(!client_ref_is_none(outbound->publisher));
	CHECK(progress->acknowledged == (outbound->publication.qos != 0));
	routings->publishers[routings->count] = outbound->publisher;
	routings->of_publishers[routings->count++] = routing;
	routings->bytes += routing_packet_bytes(shard, routing);
	routings->can_go_on |= !route_awaits_room(progress);
	return ERROR_OK;
}

static struct routing *remove_at(struct shard *shard, uint32_t at)
{
	struct routings *routings = &shard->routing.routings;
	CHECK(at < routings->count);
	struct routing *routing = routings->of_publishers[at];
	CHECK(routings->bytes >= routing_packet_bytes(shard, routing));
	CHECK(client_ref_equal(routings->publishers[at], routing->publisher));
	routings->count--;
	routings->publishers[at] = routings->publishers[routings->count];
	routings->of_publishers[at] = routings->of_publishers[routings->count];
	routings->bytes -= routing_packet_bytes(shard, routing);
	return routing;
}

static void append_own(struct shard *shard, struct routing *routing)
{
	struct routings *routings = &shard->routing.routings;
	routings->own_bytes += sizeof(*routing) + routing_packet_bytes(shard, routing);
	routing->next = NULL;
	CHECK(*routings->own_end == NULL);
	*routings->own_end = routing;
	routings->own_end = &routing->next;
	routings->own_queued++;
}

void routing_disown(struct shard *shard, struct client_ref client)
{
	struct routings *routings = &shard->routing.routings;
	for (uint32_t at = 0; at < routings->count; at++) {
		if (!client_ref_equal(routings->publishers[at], client))
			continue;
		append_own(shard, remove_at(shard, at));
		return;
	}
}

/* Takes one step of one publisher's message. True: it is done. */
static bool serve_publisher(struct shard *shard, uint32_t at)
{
	struct routing *routing = shard->routing.routings.of_publishers[at];
	enum error error = routing_step(shard, routing);
	if (error == ERROR_MORE)
		return false;
	remove_at(shard, at);
	if (error != ERROR_OK)
		COUNT(&shard->counters, messages_refused);
	client_resume(shard, routing->publisher, PAUSE_ROOM);
	routing_end(shard, routing, error);
	return true;
}

/* Whether a step would make progress. */
static bool is_ready(const struct shard *shard, const struct routing *routing)
{
	return !route_awaits_room(&routing->progress) ||
	       (shard->routing.routings.has_room && route_has_room(shard, &routing->progress));
}

/* Takes a step of each message. False: none could go on, or the share is spent. */
static bool run_round(struct shard *shard, uint64_t until)
{
	struct routings *routings = &shard->routing.routings;
	bool some = false;
	for (uint32_t left = routings->count; left != 0; left--) {
		if (turn_work_is_spent(&shard->loop.work, until))
			return false;
		if (routings->next >= routings->count)
			routings->next = 0;
		uint32_t at = routings->next;
		bool ready = is_ready(shard, routings->of_publishers[at]);
		/* A message that is done is replaced by the last one, which is served next. */
		if (!ready || !serve_publisher(shard, at))
			routings->next++;
		some |= ready;
	}
	return some;
}

static void run_publishers(struct shard *shard)
{
	struct routings *routings = &shard->routing.routings;
	if (routings->count == 0)
		routings->can_go_on = false; /* those that could were disowned */
	if (routings->count == 0 || (!routings->can_go_on && !routings->has_room))
		return;
	uint64_t until = turn_work_share(&shard->loop.work, WORK_SHARE_ROUTINGS);
	while (run_round(shard, until))
		;
	/* If the share was spent, some messages that were not reached may have room. */
	routings->can_go_on = turn_work_is_spent(&shard->loop.work, until) && routings->count != 0;
	routings->has_room = routings->has_room && routings->can_go_on;
}

/* ---- the gateway's own messages ---- */

/* Takes a step within the turn's share. ERROR_MORE: the message is not done, or the share is spent. */
static enum error step_own(struct shard *shard, struct routing *routing)
{
	if (shard->loop.work.own >= WORK_SHARE_OWN)
		return ERROR_MORE;
	uint64_t before = shard->loop.work.spent;
	enum error error = routing_step(shard, routing);
	shard->loop.work.own += shard->loop.work.spent - before;
	return error;
}

static bool own_can_go_on(const struct shard *shard)
{
	const struct routing *first = shard->routing.routings.own;
	return first != NULL && (!route_awaits_room(&first->progress) || route_has_room(shard, &first->progress));
}

static void run_own(struct shard *shard)
{
	while (own_can_go_on(shard) && shard->loop.work.own < WORK_SHARE_OWN) {
		struct routing *first = shard->routing.routings.own;
		enum error error = step_own(shard, first);
		if (error == ERROR_MORE)
			continue;
		take_own(shard);
		if (first->progress.acknowledged) { /* its publisher has left it to us */
			routing_end(shard, first, error);
			continue;
		}
		own_end(shard, first, error);
		routing_free(first);
	}
}

static void send_or_wait(struct shard *shard, struct routing routing)
{
	routing.progress.keeps = commit_waits_are_on(&shard->routing.commits) &&
				 message_at(&shard->mem.messages, routing.message)->journaled != 0;
	enum error error = shard->routing.routings.own != NULL ? ERROR_MORE : step_own(shard, &routing);
	if (error == ERROR_MORE) {
		struct routing *waiting = malloc(sizeof(*waiting));
		if (waiting != NULL) {
			*waiting = routing;
			append_own(shard, waiting);
			return;
		}
		error = ERROR_NO_MEMORY;
	}
	own_end(shard, &routing, error);
	free(routing.origin);
}

/* In a cluster. */
static enum error retain_stamped(struct shard *shard, const struct publication *publication, const uint8_t *packet,
				 struct stamp *stamp, uint64_t *number)
{
	struct retained_change change = {.wall_ms = clock_wall_ms(), .now_s = shard->loop.now_s};
	struct retained_result result;
	enum error error = retained_apply(shard->env.retained, publication, packet, &change, &result);
	*stamp = result.stamp;
	*number = result.number;
	return error;
}

enum error routing_retain(struct shard *shard, const struct publication *publication, const uint8_t *packet,
			  struct stamp *stamp)
{
	uint64_t number = 0;
	enum error error;
	*stamp = (struct stamp){0};
	if (shard->env.nodes != NULL)
		error = retain_stamped(shard, publication, packet, stamp, &number);
	else
		error = retained_set(shard->env.retained, publication, packet, shard->loop.now_s,
				     journal_is_on(&shard->sessions.journal) ? &number : NULL);
	routing_tell_retained(shard, publication, packet, *stamp, number);
	return error;
}

void routing_tell_retained(struct shard *shard, const struct publication *publication, const uint8_t *packet,
			   struct stamp stamp, uint64_t number)
{
	struct journal *journal = &shard->sessions.journal;
	if (number == 0 || !journal_is_on(journal))
		return;
	struct publication_parts parts = publication_parts(publication, packet);
	struct journal_message message = {
		.publication = *publication,
		.packet = packet,
		.expires_at_s = shard_message_deadline(shard, publication->expires_s),
	};
	message.publication.expires_s = 0;
	/* As in the tree: a message that has no payload or has expired removes the one that is there. */
	bool stays = parts.payload.size != 0 && !publication_expired(publication, shard->loop.now_s);
	struct journal_retained told = {
		.number = number,
		.topic = parts.topic,
		.message = stays ? &message : NULL,
		.stamp = stamp,
	};
	journal_tell(journal)->retained(journal->context, &told);
}

void routing_tell_cleared(struct shard *shard, const struct publication *publication, const uint8_t *packet,
			  struct stamp stamp, uint64_t number)
{
	struct journal *journal = &shard->sessions.journal;
	if (!journal_is_on(journal))
		return;
	struct journal_retained told = {.number = number, .stamp = stamp};
	if (publication != NULL)
		told.topic = publication_parts(publication, packet).topic;
	journal_tell(journal)->retained(journal->context, &told);
}

void routing_publish(struct shard *shard, struct message_ref ref, struct client_ref publisher, struct origin *origin)
{
	struct message *message = message_at(&shard->mem.messages, ref);
	uint8_t *packet = message_packet(&shard->mem.messages, message);
	struct route_progress progress = {0};
	if (message->publication.retain &&
	    routing_retain(shard, &message->publication, packet, &progress.stamp) != ERROR_OK)
		COUNT(&shard->counters, retained_refused);
	packet[0] &= (uint8_t)~MQTT_PUBLISH_FLAGS_OURS;
	send_or_wait(shard, (struct routing){
				    .message = ref,
				    .origin = origin != NULL ? origin : origin_keep(shard, publisher),
				    .publisher = publisher,
				    .publisher_hash = routing_hash_of(shard, publisher),
				    .progress = progress,
			    });
}

void routing_publish_again(struct shard *shard, struct message_ref ref)
{
	struct message *message = message_at(&shard->mem.messages, ref);
	message_packet(&shard->mem.messages, message)[0] &= (uint8_t)~MQTT_PUBLISH_FLAGS_OURS;
	send_or_wait(shard, (struct routing){.message = ref});
}

void routing_hand_on(struct shard *shard, struct message_ref message, route_bits route)
{
	CHECK_NE(route, 0); /* 0 would go to all subscribers */
	send_or_wait(shard, (struct routing){.message = message, .route = route});
}

bool routing_waits_for_room(const struct shard *shard)
{
	const struct routing *first = shard->routing.routings.own;
	return first != NULL && route_awaits_room(&first->progress);
}

/* ---- turns ---- */

void routings_have_room(struct shard *shard)
{
	shard->routing.routings.has_room = true;
}

void routings_run(struct shard *shard)
{
	run_own(shard);
	run_publishers(shard);
}

bool routings_can_go_on(const struct shard *shard)
{
	return shard->routing.routings.can_go_on || own_can_go_on(shard);
}

bool routings_await_room(const struct shard *shard)
{
	return shard->routing.routings.own != NULL || shard->routing.routings.count != 0;
}
