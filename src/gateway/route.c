#include "gateway/route.h"

#include "gateway/deliver.h"
#include "gateway/shard.h"
#include "mqtt/decode.h"

/* A message for more subscribers than this is delivered in slices of a turn, also on its own shard. */
#define DIRECT_SUBSCRIBERS_MAX 256u
/* Deliveries in one turn; at 2.2 us each they take 5 ms. */
#define DELIVERIES_A_TURN 2048u
/* The same for those made directly, which cost less: many messages for one subscriber leave in one write. */
#define DIRECT_DELIVERIES_A_TURN 32768u

/* Messages of the gateway's own: a member of a shared subscription may leave a whole window of them behind. */
#define OWN_A_TURN 2048u

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

/* Walks on from the cursor; false when the budget ended first. */
static bool walk(struct shard *shard, struct delivery *delivery, uint32_t *budget)
{
	while (*budget != 0) {
		const struct subscription *subscription = subscriptions_next(&shard->subscriptions);
		if (subscription == NULL)
			return true;
		(*budget)--;
		deliver_to(shard, delivery, subscription);
	}
	return false;
}

/* Goes on with the letter at the mail's place; false when the budget ended first. */
static bool deliver_letter(struct shard *shard, const struct letter *letter, uint32_t *budget)
{
	struct mail *mail = &shard->mail;
	const uint8_t *packet = (const uint8_t *)&letter->routes[letter->route_count];
	struct delivery delivery = deliver_begin(packet, &letter->publication, true, mail->kept);
	delivery.publisher = letter->publisher;
	for (; mail->route < letter->route_count; mail->route++) {
		if (!mail->walking)
			subscriptions_walk(&shard->subscriptions, letter->routes[mail->route]);
		mail->walking = !walk(shard, &delivery, budget);
		if (mail->walking) {
			mail->kept = delivery.kept;
			return false;
		}
	}
	deliver_end(shard, &delivery);
	mail->kept = 0;
	return true;
}

/* Goes on with the parcel; false when the budget ended first. */
static bool deliver_letters(struct shard *shard, uint32_t *budget)
{
	struct mail *mail = &shard->mail;
	while (mail->offset < mail->parcel->used_bytes) {
		const struct letter *letter = (const void *)(mail->parcel->bytes + mail->offset);
		if (letter->route_count == 0) {
			congestion_note(shard, &letter->publisher, letter->note_shard, letter->note_place);
			mail->offset += letter->letter_bytes;
			continue;
		}
		io_make_room(&shard->io); /* frames are made anew for each letter; parcels live until the flush */
		if (!deliver_letter(shard, letter, budget))
			return false;
		mail->offset += letter->letter_bytes;
		mail->route = 0;
	}
	return true;
}

static bool deliver_parcel(struct shard *shard, uint32_t *budget)
{
	uint64_t before = counter_of(&shard->counters, COUNTER_messages_out);
	bool whole = deliver_letters(shard, budget);
	shard->mail.parcel->delivered += (uint32_t)(counter_of(&shard->counters, COUNTER_messages_out) - before);
	return whole;
}

void route_deliver_mail(struct shard *shard)
{
	struct mail *mail = &shard->mail;
	uint32_t budget = DELIVERIES_A_TURN;
	while (budget != 0) {
		if (mail->parcel == NULL) {
			*mail = (struct mail){.parcel = post_receive(&shard->post)};
			if (mail->parcel == NULL)
				return;
		}
		if (!deliver_parcel(shard, &budget))
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

/* Few local subscribers, nothing under way to ourselves that this message would overtake, and no walk unfinished (there
 * is one cursor). */
static bool can_deliver_directly(struct shard *shard)
{
	if (shard->mail.walking || post_pending(&shard->post, shard->number))
		return false;
	uint32_t subscribers = 0;
	for (uint32_t i = 0; i < shard->routes.count; i++) {
		if (route_shard(shard->routes.items[i]) == shard->number)
			subscribers += subscriptions_count(&shard->subscriptions, shard->routes.items[i]);
	}
	if (subscribers > DIRECT_SUBSCRIBERS_MAX || subscribers > shard->direct_budget)
		return false;
	shard->direct_budget -= subscribers;
	return true;
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
	bool all_here = true;
	uint32_t budget = UINT32_MAX;
	uint64_t before = counter_of(&shard->counters, COUNTER_messages_out);
	for (uint32_t i = 0; i < shard->routes.count; i++) {
		if (route_shard(shard->routes.items[i]) != shard->number) {
			all_here = false;
			continue;
		}
		subscriptions_walk(&shard->subscriptions, shard->routes.items[i]);
		walk(shard, &delivery, &budget);
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
	if (letter == NULL) {
		COUNT(&shard->counters, messages_dropped_memory);
		return;
	}
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
static bool lanes_have_room(struct shard *shard, const struct outbound *outbound, bool directly)
{
	for (uint32_t i = 0; i < shard->routes.count; i++) {
		uint16_t to = route_shard(shard->routes.items[i]);
		if (directly && to == shard->number)
			continue;
		size_t bytes = letter_bytes(shard->lane_routes[to], outbound->publication.packet_bytes);
		if (!post_has_room(&shard->post, to, (uint32_t)bytes))
			return false;
	}
	return true;
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
static enum error send_to_routes(struct shard *shard, struct outbound *outbound)
{
	bool directly = can_deliver_directly(shard);
	count_lanes(shard);
	bool room = lanes_have_room(shard, outbound, directly);
	write_letters(shard, outbound, room, directly);
	if (!room)
		return ERROR_MORE;
	if (directly)
		deliver_directly(shard, outbound);
	return ERROR_OK;
}

enum error route_message(struct shard *shard, struct outbound *outbound, bool *matched)
{
	struct publication_parts parts = publication_parts(&outbound->publication, outbound->packet);
	enum error error = index_match(shard->index, parts.topic, &shard->routes);
	*matched = shard->routes.count != 0;
	if (error != ERROR_OK)
		return error;
	if (!*matched) {
		COUNT(&shard->counters, messages_unrouted);
		return ERROR_OK;
	}
	return send_to_routes(shard, outbound);
}

enum error route_to_member(struct shard *shard, struct outbound *outbound, route_bits route)
{
	enum error error = routes_set(&shard->routes, route);
	return error == ERROR_OK ? send_to_routes(shard, outbound) : error;
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

/* ---- messages of the gateway's own ---- */

/* A message that waits for room in an inbox; on the heap, in the order in which they came to wait. */
struct waiting {
	struct waiting *next;
	route_bits route; /* to one member; 0: to all that subscribe */
	uint32_t message;
};

/* ERROR_MORE: it has to wait. The reference is still the caller's. */
static enum error send_kept(struct shard *shard, uint32_t ref, route_bits route)
{
	const struct message *message = message_at(&shard->messages, ref);
	struct outbound outbound = {.packet = message->packet, .publication = message->publication};
	uint8_t *copy = io_scratch(&shard->io, message->publication.packet_bytes);
	if (copy != NULL)
		outbound.packet = memcpy(copy, message->packet, message->publication.packet_bytes);
	bool matched;
	enum error error =
		route != 0 ? route_to_member(shard, &outbound, route) : route_message(shard, &outbound, &matched);
	if (copy == NULL) /* output points to the message itself, which may go now */
		io_flush(&shard->io);
	return error;
}

static void send_or_wait(struct shard *shard, uint32_t message, route_bits route)
{
	bool waits = shard->waiting != NULL || shard->own_budget == 0;
	enum error error = waits ? ERROR_MORE : send_kept(shard, message, route);
	if (!waits) {
		shard->own_budget--;
		shard->waiting_for_room = error == ERROR_MORE;
	}
	struct waiting *waiting = error == ERROR_MORE ? malloc(sizeof(*waiting)) : NULL;
	if (waiting != NULL) {
		*waiting = (struct waiting){.route = route, .message = message};
		*shard->waiting_end = waiting;
		shard->waiting_end = &waiting->next;
		return;
	}
	if (error != ERROR_OK)
		COUNT(&shard->counters, messages_dropped_memory);
	messages_put(&shard->messages, message);
}

void route_publish_kept(struct shard *shard, uint32_t ref)
{
	struct message *message = message_at(&shard->messages, ref);
	if (message->publication.retain &&
	    retained_set(shard->retained, &message->publication, message->packet, shard->now_s) != ERROR_OK)
		COUNT(&shard->counters, retained_refused);
	message->packet[0] &= (uint8_t)~MQTT_PUBLISH_FLAGS_OURS;
	send_or_wait(shard, ref, 0);
}

void route_hand_on(struct shard *shard, uint32_t message, route_bits route)
{
	send_or_wait(shard, message, route);
}

static struct waiting *take_waiting(struct shard *shard)
{
	struct waiting *first = shard->waiting;
	shard->waiting = first->next;
	if (shard->waiting == NULL)
		shard->waiting_end = &shard->waiting;
	return first;
}

bool route_has_own(const struct shard *shard)
{
	return shard->waiting != NULL && !shard->waiting_for_room;
}

static void publish_waiting(struct shard *shard)
{
	for (; shard->waiting != NULL && shard->own_budget != 0; shard->own_budget--) {
		enum error error = send_kept(shard, shard->waiting->message, shard->waiting->route);
		shard->waiting_for_room = error == ERROR_MORE;
		if (error == ERROR_MORE)
			return;
		if (error != ERROR_OK)
			COUNT(&shard->counters, messages_dropped_memory);
		struct waiting *sent = take_waiting(shard);
		messages_put(&shard->messages, sent->message);
		free(sent);
	}
}

void route_turn_begin(struct shard *shard)
{
	shard->direct_budget = DIRECT_DELIVERIES_A_TURN;
	shard->own_budget = OWN_A_TURN;
	if (route_has_own(shard))
		publish_waiting(shard);
}

void route_forget_waiting(struct shard *shard)
{
	while (shard->waiting != NULL)
		free(take_waiting(shard));
}
