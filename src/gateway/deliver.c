#include "gateway/deliver.h"

#include "gateway/review.h"
#include "gateway/send.h"
#include "gateway/shard.h"

/* A frame up to this size is encoded in one piece; above, its payload is sent from where it is. */
#define FRAME_COPY_BYTES_MAX 4096u

struct delivery deliver_begin(const uint8_t *packet, const struct publication *publication, bool is_mail, uint32_t kept)
{
	struct publication_parts parts = publication_parts(publication, packet);
	if (publication->expires_s != 0)
		publication_find_expiry(&parts);
	return (struct delivery){
		.packet = packet,
		.publication = *publication,
		.parts = parts,
		.is_mail = is_mail,
		.kept = kept,
	};
}

void deliver_end(struct shard *shard, struct delivery *delivery)
{
	if (delivery->kept != 0)
		messages_put(&shard->messages, delivery->kept);
	delivery->kept = 0;
}

/* ---- QoS 0 ---- */

static void frame_add(struct frame *frame, struct slice part)
{
	if (part.size == 0)
		return;
	frame->parts[frame->count++] = part;
	frame->bytes += part.size;
}

static enum error encode_frame(struct shard *shard, const struct delivery *delivery, uint8_t version, bool retain,
			       struct frame *frame)
{
	struct mqtt_forward forward =
		publication_forward(&delivery->publication, &delivery->parts, version, shard->now_s);
	forward.retain = retain;
	struct mqtt_forward_size size = mqtt_forward_measure(&forward);
	if (size.packet_bytes == 0)
		return ERROR_PACKET_TOO_LARGE;
	bool in_one = size.packet_bytes <= FRAME_COPY_BYTES_MAX;
	uint8_t *at = io_scratch(&shard->io, in_one ? size.packet_bytes : size.head_bytes);
	if (at == NULL)
		return ERROR_NO_MEMORY;
	mqtt_forward_encode(&forward, &size, at);
	if (in_one && delivery->parts.payload.size != 0)
		memcpy(at + size.head_bytes, delivery->parts.payload.data, delivery->parts.payload.size);
	frame_add(frame, slice_of(at, in_one ? size.packet_bytes : size.head_bytes));
	if (!in_one)
		frame_add(frame, delivery->parts.payload);
	return ERROR_OK;
}

/* ERROR_NO_MEMORY: a turn's scratch is used up. ERROR_PACKET_TOO_LARGE: this version has no packet so long. */
static enum error frame_for(struct shard *shard, struct delivery *delivery, uint8_t version, bool retain,
			    const struct frame **found)
{
	bool is_5 = version == MQTT_VERSION_5;
	struct frame *frame = &delivery->frames[is_5][retain];
	*found = frame;
	if (frame->count != 0)
		return ERROR_OK;
	const struct publication *publication = &delivery->publication;
	/* A packet that came at QoS 0 in this version goes on as it is. */
	if (retain || publication->qos != 0 || is_5 != publication->is_5)
		return encode_frame(shard, delivery, version, retain, frame);
	frame_add(frame, slice_of(delivery->packet, publication->packet_bytes));
	return ERROR_OK;
}

/* Output of this turn goes out, and scratch is whole again: not while anything in it is still to be read. */
static bool empty_scratch(struct shard *shard, struct delivery *delivery)
{
	if (!delivery->is_mail)
		return false;
	io_flush(&shard->io);
	io_turn_end(&shard->io);
	memset(delivery->frames, 0, sizeof(delivery->frames));
	return true;
}

/* Who reads slowly has less of a queue while there is too much to do. */
static size_t queue_limit(const struct shard *shard)
{
	size_t most = shard->settings->queue_bytes_max;
	return shard->overload.grade >= OVERLOAD_SHED ? most / 8 : most;
}

/* False when the client's queue is full even after writing what this turn has for it. */
static bool queue_has_room(struct shard *shard, struct client *client, size_t bytes)
{
	if (client->conn.backlog == 0 && client->conn.outbox == 0)
		return true;
	if (io_queued_bytes(&shard->io, &client->conn) + bytes <= queue_limit(shard))
		return true;
	if (client->conn.backlog != 0)
		return false;
	io_flush_conn(&shard->io, &client->conn);
	return client->conn.backlog == 0 || io_queued_bytes(&shard->io, &client->conn) + bytes <= queue_limit(shard);
}

static void count_sent(struct shard *shard, uint8_t qos, struct slice payload)
{
	COUNT(&shard->counters, messages_out);
	counter_add(&shard->counters.values[COUNTER_messages_out_qos0 + qos], 1);
	counter_add(&shard->counters.values[COUNTER_payloads_out_qos0_bytes + qos], payload.size);
}

static void count_refused(struct shard *shard, enum error error)
{
	if (error == ERROR_PACKET_TOO_LARGE)
		COUNT(&shard->counters, messages_dropped_too_large);
	else if (error != ERROR_OK)
		COUNT(&shard->counters, messages_dropped_memory);
}

/* A subscriber that gets it in a form of its own. */
static void send_own(struct shard *shard, struct delivery *delivery, struct client *client, bool retain,
		     uint32_t identifier)
{
	if (!queue_has_room(shard, client, delivery->publication.packet_bytes)) {
		COUNT(&shard->counters, messages_dropped_queue_full);
		return;
	}
	struct mqtt_forward forward =
		publication_forward(&delivery->publication, &delivery->parts, client->version, shard->now_s);
	forward.retain = retain;
	forward.subscription_id = identifier;
	enum error error = send_publish(shard, client, &forward, delivery->parts.payload, false);
	if (error == ERROR_OK)
		count_sent(shard, 0, delivery->parts.payload);
	else
		count_refused(shard, error);
}

static void send_frame(struct shard *shard, struct delivery *delivery, struct client *client, bool retain)
{
	const struct frame *frame;
	enum error error = frame_for(shard, delivery, client->version, retain, &frame);
	if (error == ERROR_NO_MEMORY && empty_scratch(shard, delivery))
		error = frame_for(shard, delivery, client->version, retain, &frame);
	if (error == ERROR_NO_MEMORY) {
		send_own(shard, delivery, client, retain, 0); /* which is written at once */
		return;
	}
	if (error == ERROR_OK && !extras_take_packet(shard, client, frame->bytes))
		error = ERROR_PACKET_TOO_LARGE;
	if (error != ERROR_OK) {
		count_refused(shard, error);
		return;
	}
	if (!queue_has_room(shard, client, frame->bytes)) {
		COUNT(&shard->counters, messages_dropped_queue_full);
		return;
	}
	for (uint32_t i = 0; i < frame->count; i++)
		io_send(&shard->io, &client->conn, frame->parts[i]);
	count_sent(shard, 0, delivery->parts.payload);
}

static void deliver_plain(struct shard *shard, struct delivery *delivery, struct client *client,
			  const struct subscription *subscription, bool retain)
{
	if (!client_is_connected(client))
		return;
	bool aliased = client->extras != 0 && extras_of(shard, client)->alias_max != 0;
	uint32_t identifier = client->version == MQTT_VERSION_5 ? subscription->identifier : 0;
	if (identifier != 0 || aliased)
		send_own(shard, delivery, client, retain, identifier);
	else
		send_frame(shard, delivery, client, retain);
}

/* ---- QoS 1 and 2 ---- */

static uint32_t window_of(const struct shard *shard, const struct extras *extras)
{
	uint32_t most = shard->settings->inflight_max;
	return extras->receive_max < most ? extras->receive_max : most;
}

/* The caller gets a reference of its own; 0: no memory. */
static uint32_t keep_message(struct shard *shard, struct delivery *delivery)
{
	if (delivery->kept == 0)
		delivery->kept = messages_new(&shard->messages, &delivery->publication, delivery->packet);
	if (delivery->kept != 0)
		messages_get(&shard->messages, delivery->kept);
	return delivery->kept;
}

/* Makes room in a full queue, or says that there is none for a message of `bytes`: the policy that was configured. What
 * was sent before is never forgotten. */
static bool make_queue_room(struct shard *shard, struct extras *extras, uint32_t bytes)
{
	const struct settings *settings = shard->settings;
	struct flow *flow = &extras->flow;
	while (flow->unsent != 0 && (flow->queued >= settings->queue_messages_max ||
				     flow->queued_bytes + bytes > settings->queue_bytes_max)) {
		if (settings->queue_drops_newest || !flow_drop_oldest(flow, &shard->flows))
			return false;
		COUNT(&shard->counters, messages_dropped_queue_full);
	}
	return true;
}

/* Whether the message has to be there until it is acknowledged: the session may outlive its connection, another member
 * of the shared subscription may get it, or it cannot be sent yet. */
static bool must_keep(const struct extras *extras, const struct flow_entry *entry, bool send_now)
{
	return extras->expiry_s != 0 || entry->shared || !send_now;
}

static struct mqtt_forward forward_entry(const struct shard *shard, const struct client *client,
					 const struct flow_entry *entry, const struct publication *publication,
					 const struct publication_parts *parts)
{
	struct mqtt_forward forward = publication_forward(publication, parts, client->version, shard->now_s);
	forward.qos = entry->qos;
	forward.retain = entry->retain;
	forward.packet_id = entry->packet_id;
	if (client->version != MQTT_VERSION_5)
		return forward;
	forward.subscription_id = entry->identifier;
	if (entry->shared) {
		uint32_t index = shard_client_index(shard, client);
		const struct subscription *subscription =
			subscriptions_of_client(&shard->subscriptions, entry->subscription, index);
		forward.subscription_id = subscription != NULL ? subscription->identifier : 0;
	}
	return forward;
}

/* The new entry is the first unsent one and may go at once. */
static void send_new(struct shard *shard, struct delivery *delivery, struct client *client, struct extras *extras)
{
	flow_sent(&extras->flow, &shard->flows);
	const struct flow_entry *entry = flow_entry_at(&shard->flows, extras->flow.last);
	struct mqtt_forward forward = forward_entry(shard, client, entry, &delivery->publication, &delivery->parts);
	enum error error = send_publish(shard, client, &forward, delivery->parts.payload, false);
	if (error == ERROR_OK) {
		count_sent(shard, entry->qos, delivery->parts.payload);
		return;
	}
	/* It is as if the client had it: it cannot be sent to this client [MQTT-3.1.2-25]. */
	count_refused(shard, error);
	flow_abandon_last(&extras->flow, &shard->flows);
}

static void deliver_acknowledged(struct shard *shard, struct delivery *delivery, struct client *client,
				 const struct subscription *subscription, struct flow_entry *entry)
{
	struct extras *extras = extras_need(shard, client);
	if (extras == NULL) {
		COUNT(&shard->counters, messages_dropped_memory);
		return;
	}
	if ((subscription->options & SUBSCRIPTION_SHARED) != 0) {
		entry->shared = 1;
		entry->subscription = subscriptions_index(&shard->subscriptions, subscription);
	}
	struct flow *flow = &extras->flow;
	uint32_t bytes = delivery->publication.packet_bytes;
	bool send_now = client_is_connected(client) && flow->unsent == 0 &&
			flow_can_send(flow, &shard->flows, window_of(shard, extras)) &&
			queue_has_room(shard, client, bytes);
	if (!send_now && !make_queue_room(shard, extras, bytes)) {
		COUNT(&shard->counters, messages_dropped_queue_full);
		return;
	}
	bool keep = must_keep(extras, entry, send_now);
	entry->message = keep ? keep_message(shard, delivery) : 0;
	if ((keep && entry->message == 0) || flow_append(flow, &shard->flows, entry) == 0) {
		if (entry->message != 0)
			messages_put(&shard->messages, entry->message);
		COUNT(&shard->counters, messages_dropped_memory);
	} else if (send_now) {
		send_new(shard, delivery, client, extras);
	}
}

/* Whether the session takes messages that its client gets later. */
static bool outlives_connection(const struct shard *shard, const struct client *client)
{
	return client->session.id != 0 && client->extras != 0 && extras_of(shard, client)->expiry_s != 0;
}

/* What the client asked for with it; a bridge has asked for all of its subscriptions at once, when it connected, also
 * for those that its session has from before. A shared one has no No Local [MQTT-3.8.3-4]. */
static uint8_t options_of(const struct client *client, const struct subscription *subscription)
{
	if (!client->session.is_bridge)
		return subscription->options;
	bool shared = (subscription->options & SUBSCRIPTION_SHARED) != 0;
	return (uint8_t)(subscription->options | SUBSCRIPTION_RETAIN_AS_PUBLISHED |
			 (shared ? 0 : SUBSCRIPTION_NO_LOCAL));
}

void deliver_to(struct shard *shard, struct delivery *delivery, const struct subscription *subscription)
{
	struct client *client = shard_client(shard, subscription->client);
	if (!client_is_connected(client) && !outlives_connection(shard, client))
		return;
	uint8_t options = options_of(client, subscription);
	if ((options & SUBSCRIPTION_NO_LOCAL) != 0 && subscription->client == delivery->publisher &&
	    shard->number == delivery->publisher_shard)
		return;
	uint8_t qos = subscription->options & SUBSCRIPTION_QOS_MASK;
	if (delivery->publication.qos < qos)
		qos = delivery->publication.qos;
	bool retain = delivery->publication.retain && (options & SUBSCRIPTION_RETAIN_AS_PUBLISHED) != 0;
	if (qos == 0) {
		deliver_plain(shard, delivery, client, subscription, retain);
		return;
	}
	struct flow_entry entry = {.identifier = subscription->identifier, .qos = qos & 3u, .retain = retain};
	deliver_acknowledged(shard, delivery, client, subscription, &entry);
	/* With all that goes into scratch for each of many subscribers, it may be used up. */
	if (io_scratch_left(&shard->io) < FRAME_COPY_BYTES_MAX)
		empty_scratch(shard, delivery);
}

/* ---- the queue ---- */

static enum error send_kept(struct shard *shard, struct client *client, const struct flow_entry *entry, bool repeated)
{
	const struct message *message = message_at(&shard->messages, entry->message);
	struct publication_parts parts = publication_parts(&message->publication, message->packet);
	struct mqtt_forward forward = forward_entry(shard, client, entry, &message->publication, &parts);
	forward.dup = repeated; /* [MQTT-3.3.1-1] */
	enum error error = send_publish(shard, client, &forward, parts.payload, true);
	count_refused(shard, error);
	if (error != ERROR_OK)
		return error;
	count_sent(shard, entry->qos, parts.payload);
	if (repeated)
		COUNT(&shard->counters, messages_repeated);
	return ERROR_OK;
}

static struct slice topic_of(const struct message *message)
{
	return publication_parts(&message->publication, message->packet).topic;
}

/* Sends the first unsent entry, or finds that it cannot be sent. */
static void send_unsent(struct shard *shard, struct client *client, struct flow *flow)
{
	struct flow_entry *entry = flow_entry_at(&shard->flows, flow->unsent);
	bool repeated = entry->packet_id != 0;
	if (entry->state == FLOW_RELEASED) {
		flow_sent(flow, &shard->flows);
		send_ack(shard, client, MQTT_PUBREL, entry->packet_id, 0);
		return;
	}
	const struct message *message = message_at(&shard->messages, entry->message);
	if (!repeated && publication_expired(&message->publication, shard->now_s)) {
		COUNT(&shard->counters, messages_expired);
		flow_drop_unsent(flow, &shard->flows);
		return;
	}
	if (!repeated && client->session.is_narrowed && !review_may_send(shard, client, topic_of(message))) {
		COUNT(&shard->counters, messages_dropped_denied);
		flow_drop_unsent(flow, &shard->flows);
		return;
	}
	if (entry->qos != 0)
		flow_number(flow, &shard->flows);
	enum error error = send_kept(shard, client, entry, repeated);
	if (error != ERROR_OK || entry->qos == 0)
		flow_drop_unsent(flow, &shard->flows);
	else
		flow_sent(flow, &shard->flows);
}

void deliver_queued(struct shard *shard, uint32_t index)
{
	struct client *client = shard_client(shard, index);
	struct extras *extras = extras_of(shard, client);
	if (extras == NULL || !client_is_connected(client))
		return;
	struct flow *flow = &extras->flow;
	while (flow->unsent != 0 && queue_has_room(shard, client, FRAME_COPY_BYTES_MAX)) {
		bool numbered = flow_entry_at(&shard->flows, flow->unsent)->qos != 0;
		if (numbered && !flow_can_send(flow, &shard->flows, window_of(shard, extras)))
			break;
		turn_work_charge(&shard->work, WORK_DELIVERY);
		send_unsent(shard, client, flow);
	}
	if (flow->unsent == 0)
		client->session.is_narrowed = 0; /* what comes from now on, it may have */
	extras_trim(shard, client);
}

bool deliver_retained(struct shard *shard, uint32_t index, const struct publication *publication, const uint8_t *packet,
		      uint8_t qos, uint32_t identifier)
{
	struct client *client = shard_client(shard, index);
	struct extras *extras = extras_need(shard, client);
	struct flow_entry entry = {
		.identifier = identifier,
		.message = messages_new(&shard->messages, publication, packet),
		.qos = (publication->qos < qos ? publication->qos : qos) & 3u,
		.retain = 1,
	};
	if (extras != NULL && entry.message != 0 && flow_append(&extras->flow, &shard->flows, &entry) != 0)
		return true;
	if (entry.message != 0)
		messages_put(&shard->messages, entry.message);
	COUNT(&shard->counters, messages_dropped_memory);
	return false;
}
