#include "gateway/route.h"

#include "gateway/shard.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"

/* A message for more subscribers than this is delivered in slices of a turn, also on its own shard. */
#define DIRECT_SUBSCRIBERS_MAX 256u
/* Deliveries in one turn; at 2.2 us each they take 5 ms. */
#define DELIVERIES_A_TURN 2048u
/* The same for those made directly, which cost less: many messages for one subscriber leave in one write. */
#define DIRECT_DELIVERIES_A_TURN 32768u
/* A message up to this size is encoded anew in one piece; above, its parts are sent from where they are. */
#define REENCODE_BYTES_MAX 4096u

/* In a parcel: a message for one shard's subscribers, then its routes, then its packet. */
struct letter {
	uint32_t letter_bytes; /* with the padding to 8 */
	uint32_t packet_bytes;
	uint32_t publisher;
	uint32_t route_count;
	uint16_t publisher_shard;
	uint8_t version;
	route_bits routes[];
};

/* A message as one version of the protocol sees it; encoded once, sent to all. */
struct frame {
	struct slice parts[3];
	uint32_t count; /* 0: not encoded yet */
	size_t bytes;
};

/* A message on its way to this shard's subscribers. */
struct outgoing {
	struct slice packet;
	uint32_t publisher;
	uint16_t publisher_shard;
	uint8_t version;
	struct frame frames[2]; /* before version 5, version 5 */
};

static size_t letter_bytes(uint32_t routes, size_t packet_bytes)
{
	return sizeof(struct letter) + routes * sizeof(route_bits) + packet_bytes;
}

/* ---- on the subscribers' shard ---- */

static bool is_version_5(uint8_t version)
{
	return version == MQTT_VERSION_5;
}

static void frame_add(struct frame *frame, struct slice part)
{
	if (part.size == 0)
		return;
	frame->parts[frame->count++] = part;
	frame->bytes += part.size;
}

/* The same message in the other version: without its properties, or with none. */
static enum error translate(struct shard *shard, const struct outgoing *outgoing, bool to_5, struct frame *frame)
{
	struct mqtt_header header;
	struct mqtt_publish publish;
	CHECK(mqtt_header_decode(outgoing->packet.data, outgoing->packet.size, &header) == ERROR_OK);
	struct slice body = slice_of(outgoing->packet.data + header.header_bytes, header.body_bytes);
	CHECK(mqtt_publish_decode(body, header.flags, outgoing->version, false, &publish) == ERROR_OK);

	publish.properties = slice_of(NULL, 0);
	uint8_t version = to_5 ? MQTT_VERSION_5 : MQTT_VERSION_3_1_1;
	size_t bytes = mqtt_publish_size(&publish, version);
	size_t copied = bytes <= REENCODE_BYTES_MAX ? bytes : bytes - publish.payload.size;
	uint8_t *at = io_scratch(&shard->io, copied);
	if (at == NULL)
		return ERROR_NO_MEMORY;
	if (copied == bytes) {
		CHECK(mqtt_publish_encode(&publish, version, at, bytes) == bytes);
		frame_add(frame, slice_of(at, bytes));
		return ERROR_OK;
	}
	size_t head = mqtt_header_encode(MQTT_PUBLISH, 0,
					 (uint32_t)(2 + publish.topic.size + to_5 + publish.payload.size), at);
	at[head] = (uint8_t)(publish.topic.size >> 8);
	at[head + 1] = (uint8_t)publish.topic.size;
	memcpy(at + head + 2, publish.topic.data, publish.topic.size);
	if (to_5)
		at[head + 2 + publish.topic.size] = 0; /* property length */
	frame_add(frame, slice_of(at, head + 2 + publish.topic.size + to_5));
	frame_add(frame, publish.payload);
	return ERROR_OK;
}

static const struct frame *frame_for(struct shard *shard, struct outgoing *outgoing, uint8_t version)
{
	bool wants_5 = is_version_5(version);
	struct frame *frame = &outgoing->frames[wants_5];
	if (frame->count != 0)
		return frame;
	if (wants_5 == is_version_5(outgoing->version))
		frame_add(frame, outgoing->packet);
	else if (translate(shard, outgoing, wants_5, frame) != ERROR_OK)
		return NULL;
	return frame;
}

/* False when the client's queue is full even after writing what this turn has for it. */
static bool queue_has_room(struct shard *shard, struct client *client, size_t bytes)
{
	if (client->conn.backlog == 0 && client->conn.outbox == 0)
		return true;
	if (io_queued_bytes(&shard->io, &client->conn) + bytes <= shard->settings->queue_bytes_max)
		return true;
	if (client->conn.backlog != 0)
		return false;
	io_flush_conn(&shard->io, &client->conn);
	return client->conn.backlog == 0 ||
	       io_queued_bytes(&shard->io, &client->conn) + bytes <= shard->settings->queue_bytes_max;
}

static void deliver_to(struct shard *shard, struct outgoing *outgoing, const struct subscription *subscription)
{
	struct client *client = shard_client(shard, subscription->client);
	if (client->state != CLIENT_ACTIVE)
		return;
	if ((subscription->options & SUBSCRIPTION_NO_LOCAL) != 0 && subscription->client == outgoing->publisher &&
	    shard->number == outgoing->publisher_shard)
		return;
	const struct frame *frame = frame_for(shard, outgoing, client->version);
	if (frame == NULL) {
		COUNT(&shard->counters, messages_dropped_memory);
		return;
	}
	if (frame->bytes > client->packet_bytes_max) {
		COUNT(&shard->counters, messages_dropped_too_large);
		return;
	}
	if (!queue_has_room(shard, client, frame->bytes)) {
		COUNT(&shard->counters, messages_dropped_queue_full);
		return;
	}
	for (uint32_t i = 0; i < frame->count; i++)
		io_send(&shard->io, &client->conn, frame->parts[i]);
	COUNT(&shard->counters, messages_out);
}

/* Walks on from the cursor; false when the budget ended first. */
static bool walk(struct shard *shard, struct outgoing *outgoing, uint32_t *budget)
{
	const struct subscription *subscription;
	while (*budget != 0) {
		subscription = subscriptions_next(&shard->subscriptions);
		if (subscription == NULL)
			return true;
		(*budget)--;
		deliver_to(shard, outgoing, subscription);
	}
	return false;
}

/* Goes on with the letter at the delivery's place; false when the budget ended first. */
static bool deliver_letter(struct shard *shard, const struct letter *letter, uint32_t *budget)
{
	struct delivery *delivery = &shard->delivery;
	struct outgoing outgoing = {
		.packet = slice_of((const uint8_t *)&letter->routes[letter->route_count], letter->packet_bytes),
		.publisher = letter->publisher,
		.publisher_shard = letter->publisher_shard,
		.version = letter->version,
	};
	for (; delivery->route < letter->route_count; delivery->route++) {
		if (!delivery->walking)
			subscriptions_walk(&shard->subscriptions, letter->routes[delivery->route]);
		delivery->walking = !walk(shard, &outgoing, budget);
		if (delivery->walking)
			return false;
	}
	return true;
}

/* Goes on with the parcel; false when the budget ended first. */
static bool deliver_parcel(struct shard *shard, uint32_t *budget)
{
	struct delivery *delivery = &shard->delivery;
	while (delivery->offset < delivery->parcel->used_bytes) {
		const struct letter *letter = (const void *)(delivery->parcel->bytes + delivery->offset);
		io_make_room(&shard->io); /* frames are made anew for each letter; parcels live until the flush */
		if (!deliver_letter(shard, letter, budget))
			return false;
		delivery->offset += letter->letter_bytes;
		delivery->route = 0;
	}
	return true;
}

void route_turn_begin(struct shard *shard)
{
	shard->direct_budget = DIRECT_DELIVERIES_A_TURN;
}

void route_deliver_mail(struct shard *shard)
{
	struct delivery *delivery = &shard->delivery;
	uint32_t budget = DELIVERIES_A_TURN;
	while (budget != 0) {
		if (delivery->parcel == NULL) {
			*delivery = (struct delivery){.parcel = post_receive(&shard->post)};
			if (delivery->parcel == NULL)
				return;
		}
		if (!deliver_parcel(shard, &budget))
			return;
		/* The flush still reads from it. */
		delivery->parcel->next = shard->read_parcels;
		shard->read_parcels = delivery->parcel;
		delivery->parcel = NULL;
	}
}

bool route_has_mail(const struct shard *shard)
{
	return shard->delivery.parcel != NULL || post_has_mail(&shard->post);
}

void route_return_parcels(struct shard *shard)
{
	while (shard->read_parcels != NULL) {
		struct parcel *parcel = shard->read_parcels;
		shard->read_parcels = parcel->next;
		post_return(&shard->post, parcel);
	}
}

/* ---- on the publisher's shard ---- */

/* Few local subscribers, nothing under way to ourselves that this message would overtake, and no walk unfinished (there
 * is one cursor). */
static bool can_deliver_directly(struct shard *shard)
{
	if (shard->delivery.walking || post_pending(&shard->post, shard->number))
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

static void deliver_directly(struct shard *shard, const struct message *message)
{
	struct outgoing outgoing = {
		.packet = message->packet,
		.publisher = message->publisher,
		.publisher_shard = shard->number,
		.version = message->version,
	};
	uint32_t budget = UINT32_MAX;
	for (uint32_t i = 0; i < shard->routes.count; i++) {
		if (route_shard(shard->routes.items[i]) != shard->number)
			continue;
		subscriptions_walk(&shard->subscriptions, shard->routes.items[i]);
		walk(shard, &outgoing, &budget);
	}
}

static void write_letter(struct shard *shard, uint16_t to, const struct message *message)
{
	uint32_t route_count = shard->lane_routes[to];
	uint32_t bytes = (uint32_t)letter_bytes(route_count, message->packet.size);
	struct letter *letter = post_write(&shard->post, to, bytes);
	if (letter == NULL) {
		COUNT(&shard->counters, messages_dropped_memory);
		return;
	}
	letter->letter_bytes = (bytes + 7u) & ~7u;
	letter->packet_bytes = (uint32_t)message->packet.size;
	letter->publisher = message->publisher;
	letter->publisher_shard = shard->number;
	letter->version = message->version;
	letter->route_count = 0;
	for (uint32_t i = 0; i < shard->routes.count; i++) {
		if (route_shard(shard->routes.items[i]) == to)
			letter->routes[letter->route_count++] = shard->routes.items[i];
	}
	memcpy(&letter->routes[route_count], message->packet.data, message->packet.size);
}

/* Counts the routes by shard into lane_routes. */
static void count_lanes(struct shard *shard)
{
	for (uint32_t i = 0; i < shard->routes.count; i++)
		shard->lane_routes[route_shard(shard->routes.items[i])]++;
}

/* Whether each lane in use, but the one that is served directly, has room for its letter. */
static bool lanes_have_room(struct shard *shard, const struct message *message, bool directly)
{
	for (uint32_t i = 0; i < shard->routes.count; i++) {
		uint16_t to = route_shard(shard->routes.items[i]);
		if (directly && to == shard->number)
			continue;
		size_t bytes = letter_bytes(shard->lane_routes[to], message->packet.size);
		if (!post_has_room(&shard->post, to, (uint32_t)bytes))
			return false;
	}
	return true;
}

/* Writes each lane's letter once and sets the lanes' counts back to 0. */
static void write_letters(struct shard *shard, const struct message *message, bool send, bool directly)
{
	for (uint32_t i = 0; i < shard->routes.count; i++) {
		uint16_t to = route_shard(shard->routes.items[i]);
		if (shard->lane_routes[to] == 0)
			continue;
		if (send && !(directly && to == shard->number))
			write_letter(shard, to, message);
		shard->lane_routes[to] = 0;
	}
}

enum error route_message(struct shard *shard, const struct message *message)
{
	enum error error = index_match(shard->index, message->topic, &shard->routes);
	if (error != ERROR_OK)
		return error;
	if (shard->routes.count == 0) {
		COUNT(&shard->counters, messages_unrouted);
		return ERROR_OK;
	}
	bool directly = can_deliver_directly(shard);
	count_lanes(shard);
	bool room = lanes_have_room(shard, message, directly);
	write_letters(shard, message, room, directly);
	if (!room)
		return ERROR_MORE;
	if (directly)
		deliver_directly(shard, message);
	return ERROR_OK;
}
