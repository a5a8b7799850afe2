#include "route/route.h"

#include "cluster/wire/message.h"
#include "deliver/congestion.h"
#include "deliver/deliver.h"
#include "deliver/origin/origin.h"
#include "deliver/overlap.h"
#include "deliver/record.h"
#include "route/other_nodes.h"
#include "runtime/nodes/node_filters.h"
#include "runtime/nodes/node_mail.h"
#include "state/shard.h"
#include "subscriptions/subscriber_lists.h"
#include "topics/index/index.h"

/* A message with more subscribers than this goes through a record even to its own shard, because records are delivered
 * in slices of a turn. */
#define DIRECT_SUBSCRIBERS_MAX 256u
/* The same for a message that has this many bytes for all of them together. */
#define DIRECT_BYTES_MAX ((uint64_t)2 << 20)

/* Nodes and routes of the index in one step. A record has at most this many routes, plus those of one node. */
#define INDEX_UNITS_PER_STEP 2048
_Static_assert(INDEX_UNITS_PER_STEP >= INDEX_UNITS_MIN, "a slice of the match makes progress");
_Static_assert(sizeof(struct record) + (UINT64_C(2) * INDEX_UNITS_PER_STEP + INDEX_SHARDS_MAX) * sizeof(route_bits) +
			       MQTT_HEADER_BYTES_MAX + MQTT_BODY_BYTES_MAX + ORIGIN_BYTES_MAX <=
		       UINT32_MAX - 7,
	       "a record's size, padded to 8, fits into 32 bits");

/* ---- on the subscribers' shard ---- */

/* Continues the walk from the cursor. False: the share of work was spent first. Many messages to one subscriber leave
 * in one write, so only the first of them is charged for it. */
static bool route_walk(struct shard *shard, struct delivery *delivery, uint64_t until)
{
	uint32_t bytes_units = delivery->publication.packet_bytes / WORK_UNIT_BYTES;
	while (!turn_work_is_spent(&shard->loop.work, until)) {
		const struct subscription *subscription = subscriptions_next(&shard->sessions.subscriptions);
		if (subscription == NULL)
			return true;
		uint32_t outboxes = shard->mem.io.outbox_count;
		if (delivery->routes == NULL)
			deliver_to(shard, delivery, subscription);
		else
			overlap_deliver(shard, delivery, subscription);
		if (shard->mem.io.outbox_count > outboxes)
			turn_work_charge(&shard->loop.work, WORK_WRITE);
		turn_work_charge(&shard->loop.work, WORK_DELIVERY + bytes_units);
	}
	return false;
}

/* The picked member of a shared subscription may have lost its connection, and its cleanup may not have reached this
 * subscription yet. Then its place in the list is corrected here, so that another pick finds a member that is
 * connected. True: pick again. */
static bool correct_picked(struct shard *shard, struct subscription_ref picked)
{
	const struct subscription *subscription = subscriptions_at(&shard->sessions.subscriptions, picked);
	struct client *client = shard_client(shard, subscription->client);
	if (client_is_connected(client) || (!client->session.cleaning && client->state != CLIENT_CLOSING))
		return false;
	turn_work_charge(&shard->loop.work, WORK_DELIVERY);
	if (client->session.id == 0)
		subscriptions_end(&shard->sessions.subscriptions, &client->session, picked);
	else if ((subscription->options & SUBSCRIPTION_LIVE) != 0)
		subscriptions_unset_live(&shard->sessions.subscriptions, picked);
	else
		return false;
	return true;
}

static void begin_walk(struct shard *shard, route_bits route)
{
	struct subscription_ref picked;
	do {
		subscriptions_walk(&shard->sessions.subscriptions, route);
		picked = subscriptions_picked(&shard->sessions.subscriptions);
	} while (!subscription_ref_is_none(picked) && correct_picked(shard, picked));
}

/* Continues the record at the mail's place. False: the share of work was spent first. */
static bool deliver_record(struct shard *shard, const struct record *record, uint64_t until)
{
	struct mail *mail = &shard->routing.mail;
	const uint8_t *packet = (const uint8_t *)&record->routes[record->route_count];
	struct delivery delivery = deliver_begin(packet, &record->publication, true, &mail->kept);
	delivery.publisher = record->publisher;
	delivery.origin = slice_of(packet + record->publication.packet_bytes, record->origin_bytes);
	overlap_begin(shard, &delivery, record->routes, record->route_count);
	for (; mail->route < record->route_count; mail->route++) {
		delivery.route = mail->route;
		if (!mail->walking)
			begin_walk(shard, record->routes[mail->route]);
		mail->walking = !route_walk(shard, &delivery, until);
		if (mail->walking) {
			mail->kept = delivery.kept;
			return false;
		}
	}
	deliver_end(shard, &delivery);
	mail->kept = (struct kept_message){.plain = message_ref_none()};
	return true;
}

/* Continues the batch. False: the share of work was spent first. */
static bool deliver_records(struct shard *shard, uint64_t until)
{
	struct mail *mail = &shard->routing.mail;
	while (mail->offset < mail->batch->used_bytes) {
		const struct record *record = (const void *)(mail->batch->bytes + mail->offset);
		CHECK(record->record_bytes >= sizeof(*record) &&
		      record->record_bytes <= mail->batch->used_bytes - mail->offset);
		turn_work_charge(&shard->loop.work, WORK_PUBLISH);
		if (record->route_count == 0) {
			congestion_note(shard, &record->publisher, record->note.shard, record->note.place);
			mail->offset += record->record_bytes;
			continue;
		}
		io_make_room(&shard->mem.io); /* each record encodes its own frames; batches live until the flush */
		if (!deliver_record(shard, record, until))
			return false;
		mail->offset += record->record_bytes;
		mail->route = 0;
	}
	return true;
}

static bool deliver_batch(struct shard *shard, uint64_t until)
{
	uint64_t before = counter_of(&shard->counters, COUNTER_messages_out);
	uint64_t told = shard->sessions.journal.told;
	bool whole = deliver_records(shard, until);
	if (commit_waits_are_on(&shard->routing.commits) && shard->sessions.journal.told != told)
		shard->routing.mail.batch->commit = commit_waits_unsafe(&shard->routing.commits);
	shard->routing.mail.batch->delivered += (uint32_t)(counter_of(&shard->counters, COUNTER_messages_out) - before);
	return whole;
}

void route_deliver_mail(struct shard *shard)
{
	struct mail *mail = &shard->routing.mail;
	uint64_t until = turn_work_share(&shard->loop.work, WORK_SHARE_MAIL);
	while (!turn_work_is_spent(&shard->loop.work, until)) {
		if (mail->batch == NULL) {
			*mail = (struct mail){.batch = outbox_receive(&shard->routing.outbox)};
			if (mail->batch == NULL)
				return;
		}
		if (!deliver_batch(shard, until))
			return;
		/* Output still points into it until the flush. */
		mail->batch->next = shard->routing.read_batches;
		shard->routing.read_batches = mail->batch;
		mail->batch = NULL;
	}
}

bool route_has_mail(const struct shard *shard)
{
	return shard->routing.mail.batch != NULL || outbox_has_mail(&shard->routing.outbox);
}

void route_return_batches(struct shard *shard)
{
	while (shard->routing.read_batches != NULL) {
		struct batch *batch = shard->routing.read_batches;
		shard->routing.read_batches = batch->next;
		if (batch->delivered != 0)
			timing_note(&shard->counters.delivery, shard->loop.stats.ended_ns - batch->opened_ns,
				    batch->delivered);
		outbox_return(&shard->routing.outbox, batch);
	}
}

/* ---- on the publisher's shard ---- */

/* What a match found is in shard->routing.routes, which is used within one step of one message. */

/* Whether local subscribers get the message at once: they, and the bytes for all of them, are few; no record is under
 * way to ourselves that this message would overtake; and no walk is unfinished, since there is one cursor. */
static bool can_deliver_directly(struct shard *shard, const struct routes *routes, const struct outbound *outbound)
{
	if (shard->routing.mail.walking || outbox_pending(&shard->routing.outbox, shard->env.number))
		return false;
	uint32_t subscribers = 0;
	if (routes->count > OVERLAP_DIRECT_ROUTES_MAX && shard->env.settings->overlapping_one)
		return false;
	for (uint32_t i = 0; i < routes->count; i++) {
		if (route_shard(routes->items[i]) == shard->env.number)
			subscribers += subscriptions_count(&shard->sessions.subscriptions, routes->items[i]);
	}
	uint64_t bytes = (uint64_t)subscribers * outbound->publication.packet_bytes;
	return subscribers <= 1 || (subscribers <= DIRECT_SUBSCRIBERS_MAX && bytes <= DIRECT_BYTES_MAX);
}

static struct publisher_name name_of(const struct shard *shard, const struct outbound *outbound)
{
	return (struct publisher_name){
		.index = outbound->publisher.index, .shard = shard->env.number, .generation = outbound->generation};
}

static void deliver_directly(struct shard *shard, const struct routes *routes, struct outbound *outbound)
{
	struct delivery delivery = deliver_begin(outbound->packet, &outbound->publication, false, NULL);
	delivery.publisher = name_of(shard, outbound);
	delivery.origin = outbound->origin;
	overlap_begin(shard, &delivery, routes->items, routes->count);
	bool all_here = true;
	uint64_t before = counter_of(&shard->counters, COUNTER_messages_out);
	for (uint32_t i = 0; i < routes->count; i++) {
		if (route_shard(routes->items[i]) != shard->env.number) {
			all_here = false;
			continue;
		}
		delivery.route = i;
		begin_walk(shard, routes->items[i]);
		route_walk(shard, &delivery, UINT64_MAX);
	}
	outbound->refused = all_here && delivery.refused && !delivery.taken;
	deliver_end(shard, &delivery);
	shard->loop.stats.direct += counter_of(&shard->counters, COUNTER_messages_out) - before;
}

/* Makes the message's origin, if one of its records goes to a shard that takes it. */
static enum error route_add_origin(struct shard *shard, const struct routes *routes, struct outbound *outbound,
				   bool directly)
{
	if (!origins_are_taken(shard) || outbound->origin.size != 0)
		return ERROR_OK;
	for (uint32_t i = 0; i < routes->count; i++) {
		uint16_t to = route_shard(routes->items[i]);
		if (to >= shard->env.shard_count || !origins_are_taken_by(shard, to) ||
		    (directly && to == shard->env.number))
			continue;
		outbound->origin = origin_make(shard, outbound->publisher);
		return outbound->origin.size != 0 ? ERROR_OK : ERROR_NO_MEMORY;
	}
	return ERROR_OK;
}

/* What stands behind the packet in the record for that shard or node. */
static struct slice origin_to(const struct shard *shard, uint16_t to, const struct outbound *outbound,
			      const struct route_progress *progress)
{
	if (to < shard->env.shard_count)
		return outbound->origin;
	return slice_of(&progress->stamp, outbound->publication.retain ? RECORD_STAMP_BYTES : 0);
}

/* The size of that record. */
static uint32_t record_bytes_to(const struct shard *shard, uint16_t to, const struct outbound *outbound,
				const struct route_progress *progress)
{
	return (uint32_t)record_bytes(shard->routing.peer_routes[to],
				      (size_t)outbound->publication.packet_bytes +
					      origin_to(shard, to, outbound, progress).size);
}

static void write_record(struct shard *shard, const struct routes *routes, uint16_t to, const struct outbound *outbound,
			 const struct route_progress *progress)
{
	uint32_t route_count = shard->routing.peer_routes[to];
	uint32_t packet_bytes = outbound->publication.packet_bytes;
	uint32_t bytes = record_bytes_to(shard, to, outbound, progress);
	struct slice origin = origin_to(shard, to, outbound, progress);
	struct record *record = outbox_write(&shard->routing.outbox, to, bytes);
	CHECK(record != NULL); /* its memory was reserved */
	record->record_bytes = (bytes + 7u) & ~7u;
	record->publisher = name_of(shard, outbound);
	record->publication = outbound->publication;
	record->route_count = 0;
	for (uint32_t i = 0; i < routes->count; i++) {
		if (route_shard(routes->items[i]) == to)
			record->routes[record->route_count++] = routes->items[i];
	}
	CHECK(record->route_count == route_count); /* as counted for the record's size */
	uint8_t *packet = memcpy(&record->routes[route_count], outbound->packet, packet_bytes);
	packet[0] &= (uint8_t)~MQTT_PUBLISH_FLAGS_OURS;
	record->origin_bytes = (uint32_t)origin.size;
	if (origin.size != 0)
		memcpy(packet + packet_bytes, origin.data, origin.size);
	if (progress->ticket == 0)
		return;
	pending_acks_hold(&shard->routing.acks, progress->ticket);
	outbox_attach(&shard->routing.outbox, to, progress->ticket);
}

/* Counts the routes by shard into peer_routes. */
static void count_peer_routes(struct shard *shard, const struct routes *routes)
{
	for (uint32_t i = 0; i < routes->count; i++)
		shard->routing.peer_routes[route_shard(routes->items[i])]++;
}

/* Whether each shard that has routes has room for its record. This shard needs none if it is served directly. */
static bool peers_have_room(const struct shard *shard, const struct routes *routes, const struct outbound *outbound,
			    bool directly, struct route_progress *progress)
{
	progress->peer_bytes = 0;
	for (uint32_t i = 0; i < routes->count; i++) {
		uint16_t to = route_shard(routes->items[i]);
		if (directly && to == shard->env.number)
			continue;
		uint32_t bytes = record_bytes_to(shard, to, outbound, progress);
		if (!outbox_has_room(&shard->routing.outbox, to, bytes)) {
			progress->peer = to;
			progress->peer_bytes = bytes;
			return false;
		}
	}
	return true;
}

/* Gets the memory for all records before the first is written: a message goes to all its subscribers, or to none. */
static enum error reserve_records(struct shard *shard, const struct routes *routes, const struct outbound *outbound,
				  bool directly, struct route_progress *progress)
{
	bool some = false;
	enum error error = ERROR_OK;
	for (uint32_t i = 0; i < routes->count && error == ERROR_OK; i++) {
		uint16_t to = route_shard(routes->items[i]);
		if (directly && to == shard->env.number)
			continue;
		error = outbox_reserve(&shard->routing.outbox, to, record_bytes_to(shard, to, outbound, progress));
		some = true;
	}
	if (error != ERROR_OK || !some || (!progress->acknowledged && !progress->keeps))
		return error;
	/* What the gateway passes on is passed on without one, too. */
	return route_ticket(shard, progress) != 0 || !progress->acknowledged ? ERROR_OK : ERROR_NO_MEMORY;
}

/* Writes one record for each shard if `send`, and resets the counts of count_peer_routes(). */
static void write_records(struct shard *shard, const struct routes *routes, const struct outbound *outbound, bool send,
			  bool directly, const struct route_progress *progress)
{
	for (uint32_t i = 0; i < routes->count; i++) {
		uint16_t to = route_shard(routes->items[i]);
		if (shard->routing.peer_routes[to] == 0)
			continue;
		if (send && !(directly && to == shard->env.number))
			write_record(shard, routes, to, outbound, progress);
		shard->routing.peer_routes[to] = 0;
	}
}

/* Sends the message to all of these routes. */
static enum error send_to_routes(struct shard *shard, const struct routes *routes, struct outbound *outbound,
				 struct route_progress *progress)
{
	bool directly = can_deliver_directly(shard, routes, outbound);
	enum error error = route_add_origin(shard, routes, outbound, directly);
	if (error != ERROR_OK)
		return error;
	count_peer_routes(shard, routes);
	error = peers_have_room(shard, routes, outbound, directly, progress) ? ERROR_OK : ERROR_MORE;
	if (error == ERROR_OK)
		error = reserve_records(shard, routes, outbound, directly, progress);
	write_records(shard, routes, outbound, error == ERROR_OK, directly, progress);
	if (error != ERROR_OK)
		return error;
	if (!directly)
		return ERROR_OK;
	uint64_t told = commit_waits_are_on(&shard->routing.commits) ? shard->sessions.journal.told : 0;
	deliver_directly(shard, routes, outbound);
	if (commit_waits_are_on(&shard->routing.commits) && shard->sessions.journal.told != told)
		progress->told = true;
	return ERROR_OK;
}

/* ---- acknowledgements ---- */

uint32_t route_ticket(struct shard *shard, struct route_progress *progress)
{
	CHECK(progress->acknowledged || progress->keeps);
	if (progress->ticket == 0)
		progress->ticket = pending_acks_take(&shard->routing.acks);
	return progress->ticket;
}

void route_ticket_is_safe(struct shard *shard, uint32_t ticket)
{
	struct message_ref kept = pending_acks_is_safe(&shard->routing.acks, ticket);
	if (!message_ref_is_none(kept))
		messages_put(&shard->mem.messages, kept);
}

void route_release_ticket(struct shard *shard, uint32_t ticket, uint16_t holder, uint64_t commit)
{
	struct pending_acks *acks = &shard->routing.acks;
	struct commit_waits *commits = &shard->routing.commits;
	if (commit == BATCH_LOST) {
		pending_acks_set_reason(acks, ticket, (uint8_t)mqtt_reason_of(ERROR_LIMIT), true);
	} else if (commit != 0 && !commit_waits_is_safe(commits, holder, commit)) {
		struct commit_wait wait = {.ticket = ticket, .kind = COMMIT_WAIT_TICKET};
		if (commit_waits_push(commits, holder, commit, &wait) == ERROR_OK)
			return;
		/* The publisher sends it again: it may come twice, but is not lost. */
		pending_acks_set_reason(acks, ticket, (uint8_t)mqtt_reason_of(ERROR_LIMIT), true);
	}
	route_ticket_is_safe(shard, ticket);
}

enum error route_await_commit(struct shard *shard, struct route_progress *progress)
{
	uint64_t commit = progress->told && progress->acknowledged ? commit_waits_unsafe(&shard->routing.commits) : 0;
	if (commit == 0)
		return ERROR_OK;
	if (route_ticket(shard, progress) == 0)
		return ERROR_NO_MEMORY;
	pending_acks_hold(&shard->routing.acks, progress->ticket);
	route_release_ticket(shard, progress->ticket, shard->env.number, commit);
	return ERROR_OK;
}

/* ---- routing ---- */

/* One slice of the match, with a route to each other node that is to get the message in this step. */
static enum error match_some(struct shard *shard, const struct outbound *outbound, struct route_progress *progress,
			     struct index_place *place)
{
	struct slice topic = publication_parts(&outbound->publication, outbound->packet).topic;
	struct routes *routes = &shard->routing.routes;
	routes->count = 0;
	routes->units_left = INDEX_UNITS_PER_STEP;
	if (__builtin_expect(shard->env.nodes != NULL, 0))
		other_nodes_begin(shard, topic);
	enum error error = index_match(shard->env.index, topic, place, routes);
	if (__builtin_expect(shard->env.nodes != NULL, 0) && (error == ERROR_OK || error == ERROR_MORE))
		error = other_nodes_add(shard, outbound, topic, progress, error);
	turn_work_charge(&shard->loop.work, (uint64_t)(INDEX_UNITS_PER_STEP - routes->units_left) * WORK_NODE);
	return error;
}

static bool is_held(const struct shard *shard, const struct outbound *outbound, struct route_progress *progress)
{
	return __builtin_expect(shard->env.nodes != NULL, 0) &&
	       other_nodes_hold(shard, outbound, publication_parts(&outbound->publication, outbound->packet).topic,
				progress);
}

enum error route_message(struct shard *shard, struct outbound *outbound, struct route_progress *progress)
{
	struct index_place place = progress->place;
	turn_work_charge(&shard->loop.work, WORK_PUBLISH + outbound->publication.packet_bytes / WORK_UNIT_BYTES);
	if (is_held(shard, outbound, progress))
		return ERROR_MORE;
	enum error error = match_some(shard, outbound, progress, &place);
	if (error != ERROR_OK && (error != ERROR_MORE || progress->at_once))
		return error;
	if (shard->routing.routes.count != 0) {
		enum error sent = send_to_routes(shard, &shard->routing.routes, outbound, progress);
		if (sent != ERROR_OK)
			return sent;
		progress->matched = true;
	}
	if (__builtin_expect(shard->env.nodes != NULL, 0))
		other_nodes_done(shard, progress);
	progress->place = place;
	if (error == ERROR_MORE)
		outbound->refused = false; /* the rest of the match may find a subscriber that takes it */
	if (error == ERROR_OK && !progress->matched)
		COUNT(&shard->counters, messages_unrouted);
	return error;
}

bool route_fits(struct shard *shard, struct outbound *outbound)
{
	const struct routes *routes = &shard->routing.routes;
	struct index_place place = {0};
	struct route_progress progress = {0};
	if (match_some(shard, outbound, &progress, &place) != ERROR_OK)
		return false;
	bool directly = can_deliver_directly(shard, routes, outbound);
	if (route_add_origin(shard, routes, outbound, directly) != ERROR_OK)
		return false;
	count_peer_routes(shard, routes);
	bool fits = peers_have_room(shard, routes, outbound, directly, &progress);
	write_records(shard, routes, outbound, false, false, &progress);
	return fits;
}

enum error route_to_member(struct shard *shard, struct outbound *outbound, route_bits route,
			   struct route_progress *progress)
{
	CHECK_LT(route_shard(route), shard->env.shard_count + (shard->env.nodes != NULL ? NODES_MAX : 0u));
	enum error error = routes_set(&shard->routing.routes, route);
	return error == ERROR_OK ? send_to_routes(shard, &shard->routing.routes, outbound, progress) : error;
}

bool route_has_room(const struct shard *shard, const struct route_progress *progress)
{
	CHECK(route_awaits_room(progress));
	if (progress->peer == ROUTE_PEER_HELD)
		return !node_filters_hold(shard->env.nodes->filters);
	return outbox_has_room(&shard->routing.outbox, progress->peer, progress->peer_bytes);
}
