#include "gateway/route.h"

#include "gateway/deliver.h"
#include "gateway/overlap.h"
#include "gateway/shard.h"
#include "mqtt/decode.h"

/* A message for more subscribers than this is delivered in slices of a turn, also on its own shard. */
#define DIRECT_SUBSCRIBERS_MAX 256u
/* The same for a message that is so long for all of them together. */
#define DIRECT_BYTES_MAX ((uint64_t)2 << 20)

/* Nodes and routes of the index in one step: a letter has so many routes at the most, give or take one node's. */
#define INDEX_UNITS_A_STEP 2048

/* In a parcel: a message for one shard's subscribers, then its routes, then its packet; or without routes a note to a
 * publisher that he is to wait. */
struct letter {
	uint32_t letter_bytes;           /* with the padding to 8 */
	struct publisher_name publisher; /* of the message, or who is told */
	struct publication publication;
	uint32_t route_count;
	uint16_t note_shard; /* where the client is that is waited for, and its place on that shard's board */
	uint16_t note_place;
	route_bits routes[];
};
_Static_assert(sizeof(struct letter) == 32, "a letter's head is in the way of each message between shards");

static size_t letter_bytes(uint32_t routes, size_t packet_bytes)
{
	return sizeof(struct letter) + routes * sizeof(route_bits) + packet_bytes;
}

/* ---- on the subscribers' shard ---- */

/* Walks on from the cursor; false when the share of work was spent first. Many messages for one subscriber leave in one
 * write, so that only the first of them is charged for it. */
static bool walk(struct shard *shard, struct delivery *delivery, uint64_t until)
{
	uint32_t bytes_units = delivery->publication.packet_bytes / WORK_UNIT_BYTES;
	while (!turn_work_is_spent(&shard->work, until)) {
		const struct subscription *subscription = subscriptions_next(&shard->subscriptions);
		if (subscription == NULL)
			return true;
		uint32_t outboxes = shard->io.outbox_count;
		if (delivery->routes == NULL)
			deliver_to(shard, delivery, subscription);
		else
			overlap_deliver(shard, delivery, subscription);
		if (shard->io.outbox_count > outboxes)
			turn_work_charge(&shard->work, WORK_WRITE);
		turn_work_charge(&shard->work, WORK_DELIVERY + bytes_units);
	}
	return false;
}

/* A member of a shared subscription was picked whose connection is gone, and the lists are not told yet: it is put
 * right, so that the message goes to one who is there. */
static bool put_right(struct shard *shard, uint32_t index)
{
	const struct subscription *subscription = subscriptions_at(&shard->subscriptions, index);
	struct client *client = shard_client(shard, subscription->client);
	if (client_is_connected(client) || !client->session.cleaning)
		return false;
	turn_work_charge(&shard->work, WORK_DELIVERY);
	if (client->session.id == 0)
		subscriptions_end(&shard->subscriptions, &client->session, index);
	else if ((subscription->options & SUBSCRIPTION_LIVE) != 0)
		subscriptions_unset_live(&shard->subscriptions, index);
	else
		return false;
	return true;
}

static void begin_walk(struct shard *shard, route_bits route)
{
	uint32_t picked;
	do {
		subscriptions_walk(&shard->subscriptions, route);
		picked = subscriptions_picked(&shard->subscriptions);
	} while (picked != 0 && put_right(shard, picked));
}

/* Goes on with the letter at the mail's place; false when the share of work was spent first. */
static bool deliver_letter(struct shard *shard, const struct letter *letter, uint64_t until)
{
	struct mail *mail = &shard->mail;
	const uint8_t *packet = (const uint8_t *)&letter->routes[letter->route_count];
	struct delivery delivery = deliver_begin(packet, &letter->publication, true, mail->kept);
	delivery.publisher = letter->publisher;
	overlap_begin(shard, &delivery, letter->routes, letter->route_count);
	for (; mail->route < letter->route_count; mail->route++) {
		delivery.route = mail->route;
		if (!mail->walking)
			begin_walk(shard, letter->routes[mail->route]);
		mail->walking = !walk(shard, &delivery, until);
		if (mail->walking) {
			mail->kept = delivery.kept;
			return false;
		}
	}
	deliver_end(shard, &delivery);
	mail->kept = 0;
	return true;
}

/* Goes on with the parcel; false when the share of work was spent first. */
static bool deliver_letters(struct shard *shard, uint64_t until)
{
	struct mail *mail = &shard->mail;
	while (mail->offset < mail->parcel->used_bytes) {
		const struct letter *letter = (const void *)(mail->parcel->bytes + mail->offset);
		turn_work_charge(&shard->work, WORK_PUBLISH);
		if (letter->route_count == 0) {
			congestion_note(shard, &letter->publisher, letter->note_shard, letter->note_place);
			mail->offset += letter->letter_bytes;
			continue;
		}
		io_make_room(&shard->io); /* frames are made anew for each letter; parcels live until the flush */
		if (!deliver_letter(shard, letter, until))
			return false;
		mail->offset += letter->letter_bytes;
		mail->route = 0;
	}
	return true;
}

static bool deliver_parcel(struct shard *shard, uint64_t until)
{
	uint64_t before = counter_of(&shard->counters, COUNTER_messages_out);
	bool whole = deliver_letters(shard, until);
	shard->mail.parcel->delivered += (uint32_t)(counter_of(&shard->counters, COUNTER_messages_out) - before);
	return whole;
}

void route_deliver_mail(struct shard *shard)
{
	struct mail *mail = &shard->mail;
	uint64_t until = turn_work_share(&shard->work, WORK_SHARE_MAIL);
	while (!turn_work_is_spent(&shard->work, until)) {
		if (mail->parcel == NULL) {
			*mail = (struct mail){.parcel = post_receive(&shard->post)};
			if (mail->parcel == NULL)
				return;
		}
		if (!deliver_parcel(shard, until))
			return;
		/* The flush still reads from it. */
		mail->parcel->next = shard->read_parcels;
		shard->read_parcels = mail->parcel;
		mail->parcel = NULL;
	}
}

bool route_has_mail(const struct shard *shard)
{
	return shard->mail.parcel != NULL || post_has_mail(&shard->post);
}

void route_return_parcels(struct shard *shard)
{
	while (shard->read_parcels != NULL) {
		struct parcel *parcel = shard->read_parcels;
		shard->read_parcels = parcel->next;
		if (parcel->delivered != 0)
			timing_note(&shard->counters.delivery, shard->pulse.ended_ns - parcel->opened_ns,
				    parcel->delivered);
		post_return(&shard->post, parcel);
	}
}

/* ---- on the publisher's shard ---- */

/* Few local subscribers, and few bytes for all of them, nothing under way to ourselves that this message would
 * overtake, and no walk unfinished (there is one cursor). */
static bool can_deliver_directly(struct shard *shard, const struct outbound *outbound)
{
	if (shard->mail.walking || post_pending(&shard->post, shard->number))
		return false;
	uint32_t subscribers = 0;
	if (shard->routes.count > OVERLAP_DIRECT_ROUTES_MAX && shard->settings->overlapping_one)
		return false;
	for (uint32_t i = 0; i < shard->routes.count; i++) {
		if (route_shard(shard->routes.items[i]) == shard->number)
			subscribers += subscriptions_count(&shard->subscriptions, shard->routes.items[i]);
	}
	uint64_t bytes = (uint64_t)subscribers * outbound->publication.packet_bytes;
	return subscribers <= 1 || (subscribers <= DIRECT_SUBSCRIBERS_MAX && bytes <= DIRECT_BYTES_MAX);
}

static struct publisher_name name_of(const struct shard *shard, uint32_t publisher)
{
	struct publisher_name name = {.index = publisher, .shard = shard->number};
	if (publisher != 0)
		name.generation = shard_client(shard, publisher)->conn.generation;
	return name;
}

static void deliver_directly(struct shard *shard, struct outbound *outbound)
{
	struct delivery delivery = deliver_begin(outbound->packet, &outbound->publication, false, 0);
	delivery.publisher = name_of(shard, outbound->publisher);
	overlap_begin(shard, &delivery, shard->routes.items, shard->routes.count);
	bool all_here = true;
	uint64_t before = counter_of(&shard->counters, COUNTER_messages_out);
	for (uint32_t i = 0; i < shard->routes.count; i++) {
		if (route_shard(shard->routes.items[i]) != shard->number) {
			all_here = false;
			continue;
		}
		delivery.route = i;
		begin_walk(shard, shard->routes.items[i]);
		walk(shard, &delivery, UINT64_MAX);
	}
	outbound->refused = all_here && delivery.refused && !delivery.taken;
	deliver_end(shard, &delivery);
	shard->pulse.direct += counter_of(&shard->counters, COUNTER_messages_out) - before;
}

static void write_letter(struct shard *shard, uint16_t to, const struct outbound *outbound)
{
	uint32_t route_count = shard->lane_routes[to];
	uint32_t packet_bytes = outbound->publication.packet_bytes;
	uint32_t bytes = (uint32_t)letter_bytes(route_count, packet_bytes);
	struct letter *letter = post_write(&shard->post, to, bytes);
	CHECK(letter != NULL); /* its memory was reserved */
	letter->letter_bytes = (bytes + 7u) & ~7u;
	letter->publisher = name_of(shard, outbound->publisher);
	letter->publication = outbound->publication;
	letter->route_count = 0;
	for (uint32_t i = 0; i < shard->routes.count; i++) {
		if (route_shard(shard->routes.items[i]) == to)
			letter->routes[letter->route_count++] = shard->routes.items[i];
	}
	memcpy(&letter->routes[route_count], outbound->packet, packet_bytes);
}

/* Counts the routes by shard into lane_routes. */
static void count_lanes(struct shard *shard)
{
	for (uint32_t i = 0; i < shard->routes.count; i++)
		shard->lane_routes[route_shard(shard->routes.items[i])]++;
}

/* Whether each lane in use, but the one that is served directly, has room for its letter. */
static bool lanes_have_room(struct shard *shard, const struct outbound *outbound, bool directly,
			    struct route_progress *progress)
{
	progress->lane_bytes = 0;
	for (uint32_t i = 0; i < shard->routes.count; i++) {
		uint16_t to = route_shard(shard->routes.items[i]);
		if (directly && to == shard->number)
			continue;
		size_t bytes = letter_bytes(shard->lane_routes[to], outbound->publication.packet_bytes);
		if (!post_has_room(&shard->post, to, (uint32_t)bytes)) {
			progress->lane = to;
			progress->lane_bytes = (uint32_t)bytes;
			return false;
		}
	}
	return true;
}

/* Gets the memory for all letters before the first is written: a message goes to all that subscribe, or to none. */
static enum error reserve_lanes(struct shard *shard, const struct outbound *outbound, bool directly)
{
	enum error error = ERROR_OK;
	for (uint32_t i = 0; i < shard->routes.count && error == ERROR_OK; i++) {
		uint16_t to = route_shard(shard->routes.items[i]);
		size_t bytes = letter_bytes(shard->lane_routes[to], outbound->publication.packet_bytes);
		if (!directly || to != shard->number)
			error = post_reserve(&shard->post, to, (uint32_t)bytes);
	}
	return error;
}

/* Writes each lane's letter once and sets the lanes' counts back to 0. */
static void write_letters(struct shard *shard, const struct outbound *outbound, bool send, bool directly)
{
	for (uint32_t i = 0; i < shard->routes.count; i++) {
		uint16_t to = route_shard(shard->routes.items[i]);
		if (shard->lane_routes[to] == 0)
			continue;
		if (send && !(directly && to == shard->number))
			write_letter(shard, to, outbound);
		shard->lane_routes[to] = 0;
	}
}

/* To all of shard->routes. */
static enum error send_to_routes(struct shard *shard, struct outbound *outbound, struct route_progress *progress)
{
	bool directly = can_deliver_directly(shard, outbound);
	count_lanes(shard);
	enum error error = lanes_have_room(shard, outbound, directly, progress) ? ERROR_OK : ERROR_MORE;
	if (error == ERROR_OK)
		error = reserve_lanes(shard, outbound, directly);
	write_letters(shard, outbound, error == ERROR_OK, directly);
	if (error != ERROR_OK)
		return error;
	if (directly)
		deliver_directly(shard, outbound);
	return ERROR_OK;
}

/* A slice of the match. */
static enum error match_some(struct shard *shard, struct slice topic, struct index_place *place)
{
	struct routes *routes = &shard->routes;
	routes->count = 0;
	routes->units_left = INDEX_UNITS_A_STEP;
	enum error error = index_match(shard->index, topic, place, routes);
	turn_work_charge(&shard->work, (uint64_t)(INDEX_UNITS_A_STEP - routes->units_left) * WORK_NODE);
	return error;
}

enum error route_message(struct shard *shard, struct outbound *outbound, struct route_progress *progress)
{
	struct publication_parts parts = publication_parts(&outbound->publication, outbound->packet);
	struct index_place place = progress->place;
	turn_work_charge(&shard->work, WORK_PUBLISH + outbound->publication.packet_bytes / WORK_UNIT_BYTES);
	enum error error = match_some(shard, parts.topic, &place);
	if (error != ERROR_OK && (error != ERROR_MORE || progress->at_once))
		return error;
	if (shard->routes.count != 0) {
		enum error sent = send_to_routes(shard, outbound, progress);
		if (sent != ERROR_OK)
			return sent;
		progress->matched = true;
	}
	progress->place = place;
	if (error == ERROR_MORE)
		outbound->refused = false; /* the rest of the match may find who takes it */
	if (error == ERROR_OK && !progress->matched)
		COUNT(&shard->counters, messages_unrouted);
	return error;
}

enum error route_to_member(struct shard *shard, struct outbound *outbound, route_bits route,
			   struct route_progress *progress)
{
	enum error error = routes_set(&shard->routes, route);
	return error == ERROR_OK ? send_to_routes(shard, outbound, progress) : error;
}

bool route_send_note(struct shard *shard, const struct publisher_name *publisher, uint16_t place)
{
	struct letter *letter = post_write(&shard->post, publisher->shard, sizeof(*letter));
	if (letter == NULL)
		return false;
	*letter = (struct letter){
		.letter_bytes = sizeof(*letter),
		.publisher = *publisher,
		.note_shard = shard->number,
		.note_place = place,
	};
	return true;
}

bool route_has_room(const struct shard *shard, const struct route_progress *progress)
{
	return post_has_room(&shard->post, progress->lane, progress->lane_bytes);
}
