#include "deliver/deliver.h"

#include "deliver/origin/origin.h"
#include "deliver/outgoing.h"
#include "deliver/queue.h"
#include "deliver/resumed.h"
#include "deliver/send.h"
#include "state/account.h"
#include "state/extension.h"
#include "state/shard.h"

struct delivery deliver_begin(const uint8_t *packet, const struct publication *publication, bool is_mail,
			      const struct kept_message *kept)
{
	struct publication_parts parts = publication_parts(publication, packet);
	if (publication->expires_s != 0)
		publication_find_expiry(&parts);
	return (struct delivery){
		.packet = packet,
		.publication = *publication,
		.parts = parts,
		.is_mail = is_mail,
		.kept = kept != NULL ? *kept : (struct kept_message){.plain = message_ref_none()},
	};
}

void deliver_end(struct shard *shard, struct delivery *delivery)
{
	if (!message_ref_is_none(delivery->kept.plain))
		messages_put(&shard->mem.messages, delivery->kept.plain);
	if (!message_ref_is_none(delivery->kept.apart))
		messages_put(&shard->mem.messages, delivery->kept.apart);
	delivery->kept = (struct kept_message){.plain = message_ref_none()};
}

/* ---- QoS 0 ---- */

_Static_assert(FRAME_COPY_BYTES_MAX <= IO_SCRATCH_BYTES, "a frame fits into scratch that is empty");

static void frame_add(struct frame *frame, struct slice part)
{
	if (part.size == 0)
		return;
	CHECK(frame->count < sizeof(frame->parts) / sizeof(frame->parts[0]));
	frame->parts[frame->count++] = part;
	frame->bytes += part.size;
}

static enum error encode_frame(struct shard *shard, const struct delivery *delivery, uint8_t version, bool retain,
			       struct frame *frame)
{
	struct mqtt_forward forward =
		publication_forward(&delivery->publication, &delivery->parts, version, shard->loop.now_s);
	forward.retain = retain;
	struct mqtt_forward_size size = mqtt_forward_measure(&forward);
	if (size.packet_bytes == 0)
		return ERROR_PACKET_TOO_LARGE;
	bool in_one = size.packet_bytes <= FRAME_COPY_BYTES_MAX;
	uint8_t *at = io_scratch(&shard->mem.io, in_one ? size.packet_bytes : size.head_bytes);
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

/* ERROR_NO_MEMORY: the turn's scratch is used up. ERROR_PACKET_TOO_LARGE: longer than a packet can be in this version.
 */
static enum error frame_for(struct shard *shard, struct delivery *delivery, uint8_t version, bool retain,
			    const struct frame **found)
{
	bool is_5 = version == MQTT_VERSION_5;
	struct frame *frame = &delivery->frames[is_5][retain];
	*found = frame;
	if (frame->count != 0)
		return ERROR_OK;
	const struct publication *publication = &delivery->publication;
	/* A packet that came at QoS 0 in this version goes out as it came, unless it has a flag that is for us alone.
	 */
	bool flagged = (delivery->packet[0] & MQTT_PUBLISH_FLAGS_OURS) != 0;
	if (retain || flagged || publication->qos != 0 || is_5 != publication->is_5)
		return encode_frame(shard, delivery, version, retain, frame);
	frame_add(frame, slice_of(delivery->packet, publication->packet_bytes));
	return ERROR_OK;
}

/* Writes this turn's output, so that all of scratch is free again. False: the packet itself may be in scratch. */
static bool empty_scratch(struct shard *shard, struct delivery *delivery)
{
	if (!delivery->is_mail)
		return false;
	io_flush(&shard->mem.io);
	io_turn_end(&shard->mem.io);
	memset(delivery->frames, 0, sizeof(delivery->frames));
	CHECK_GE(io_scratch_left(&shard->mem.io), FRAME_COPY_BYTES_MAX);
	return true;
}

/* Sends the message in a form of the subscriber's own. */
static void send_own(struct shard *shard, struct delivery *delivery, struct client *client, bool retain,
		     uint32_t identifier)
{
	if (!outgoing_has_room(shard, client, delivery->publication.packet_bytes)) {
		account_lost(shard, client);
		return;
	}
	struct mqtt_forward forward =
		publication_forward(&delivery->publication, &delivery->parts, client->version, shard->loop.now_s);
	forward.retain = retain;
	forward.subscription_id = identifier;
	enum error error = send_publish(shard, client, &forward, delivery->parts.payload, false);
	if (error == ERROR_OK)
		outgoing_count_sent(shard, 0, delivery->parts.payload);
	else
		outgoing_count_refused(shard, error);
}

static void send_frame(struct shard *shard, struct delivery *delivery, struct client *client, bool retain)
{
	const struct frame *frame;
	enum error error = frame_for(shard, delivery, client->version, retain, &frame);
	if (error == ERROR_NO_MEMORY && empty_scratch(shard, delivery))
		error = frame_for(shard, delivery, client->version, retain, &frame);
	if (error == ERROR_NO_MEMORY) {
		send_own(shard, delivery, client, retain, 0); /* it writes at once */
		return;
	}
	if (error == ERROR_OK && !extension_take_packet(shard, client, frame->bytes))
		error = ERROR_PACKET_TOO_LARGE;
	if (error != ERROR_OK) {
		outgoing_count_refused(shard, error);
		return;
	}
	if (!outgoing_has_room(shard, client, frame->bytes)) {
		account_lost(shard, client);
		return;
	}
	for (uint32_t i = 0; i < frame->count; i++)
		io_send(&shard->mem.io, &client->conn, frame->parts[i]);
	outgoing_count_sent(shard, 0, delivery->parts.payload);
}

static void deliver_plain(struct shard *shard, struct delivery *delivery, struct client *client,
			  const struct subscription *subscription, bool retain)
{
	if (!client_is_connected(client))
		return;
	bool aliased = !extension_ref_is_none(client->extension) && extension_of(shard, client)->alias_max != 0;
	uint32_t identifier = client->version == MQTT_VERSION_5 ? subscription->identifier : 0;
	if (identifier != 0 || aliased || subscription->takes_origin)
		send_own(shard, delivery, client, retain, identifier);
	else
		send_frame(shard, delivery, client, retain);
}

/* Whether the session takes messages without a connection: either its client gets them later, or the session is about
 * to end and its cleanup passes on what its shared subscriptions got. */
static bool takes_offline(const struct shard *shard, const struct client *client,
			  const struct subscription *subscription)
{
	if (client->session.id == 0)
		return false;
	if (client->state == CLIENT_CLOSING && (subscription->options & SUBSCRIPTION_SHARED) != 0)
		return true;
	return !extension_ref_is_none(client->extension) && extension_of(shard, client)->expiry_s != 0;
}

/* The options that the client asked for. A bridge asks for No Local and Retain As Published when it connects, for all
 * its subscriptions, those of an earlier connection included. A shared subscription has no No Local [MQTT-3.8.3-4]. */
static uint8_t deliver_options_of(const struct client *client, const struct subscription *subscription)
{
	if (!client->session.is_bridge)
		return subscription->options;
	bool shared = (subscription->options & SUBSCRIPTION_SHARED) != 0;
	return (uint8_t)(subscription->options | SUBSCRIPTION_RETAIN_AS_PUBLISHED |
			 (shared ? 0 : SUBSCRIPTION_NO_LOCAL));
}

bool deliver_is_no_local(const struct shard *shard, const struct delivery *delivery,
			 const struct subscription *subscription)
{
	if (subscription->client.index != delivery->publisher.index || shard->env.number != delivery->publisher.shard)
		return false;
	return (deliver_options_of(shard_client(shard, subscription->client), subscription) & SUBSCRIPTION_NO_LOCAL) !=
	       0;
}

static void deliver_one(struct shard *shard, struct delivery *delivery, const struct subscription *subscription)
{
	struct client *client = shard_client(shard, subscription->client);
	if (!client_is_connected(client) && !takes_offline(shard, client, subscription))
		return;
	if (deliver_is_no_local(shard, delivery, subscription))
		return;
	uint8_t options = deliver_options_of(client, subscription);
	uint8_t qos = subscription->options & SUBSCRIPTION_QOS_MASK;
	if (delivery->publication.qos < qos)
		qos = delivery->publication.qos;
	bool retain = delivery->publication.retain && (options & SUBSCRIPTION_RETAIN_AS_PUBLISHED) != 0;
	if (qos == 0) {
		delivery->taken = true;
		deliver_plain(shard, delivery, client, subscription, retain);
		return;
	}
	if (delivery->publication.resumed && resumed_is_taken(shard, delivery, subscription)) {
		delivery->taken = true;
		return;
	}
	queue_deliver(shard, delivery, client, subscription, qos, retain);
	/* Each of many subscribers uses some scratch; make room before it is used up. */
	if (io_scratch_left(&shard->mem.io) < FRAME_COPY_BYTES_MAX)
		empty_scratch(shard, delivery);
}

/* What came by a record has it, and so has what was routed in several turns; what is delivered directly has its
 * publisher here. */
static struct slice origin_for(struct shard *shard, const struct delivery *delivery)
{
	if (delivery->origin.size != 0)
		return delivery->origin;
	struct client_ref publisher = {delivery->publisher.index};
	bool is_here = delivery->publisher.shard == shard->env.number && !client_ref_is_none(publisher) &&
		       shard_client(shard, publisher)->conn.generation == delivery->publisher.generation;
	return origin_make(shard, is_here ? publisher : client_ref_none());
}

/* A subscriber of Roost's own gets a copy that says where the message comes from. */
static void deliver_with_origin(struct shard *shard, struct delivery *delivery, const struct subscription *subscription)
{
	/* Not as mail: that could empty scratch, where the frames of the common message are. */
	struct delivery made = {
		.publication = delivery->publication,
		.parts = delivery->parts,
		.publisher = delivery->publisher,
	};
	struct slice origin = origin_for(shard, delivery);
	enum error error = ERROR_NO_MEMORY;
	if (origin.size != 0)
		made.packet = origin_write(shard, origin, delivery->packet, &made.publication, &made.parts, &error);
	if (error != ERROR_OK) {
		delivery->refused = true;
		outgoing_count_refused(shard, error);
		return;
	}
	deliver_one(shard, &made, subscription);
	delivery->taken |= made.taken;
	delivery->refused |= made.refused;
	deliver_end(shard, &made);
	if (io_scratch_left(&shard->mem.io) < FRAME_COPY_BYTES_MAX)
		empty_scratch(shard, delivery);
}

/* What is published on another node is for its own rules and the like, and not for those here. The nodes thread, which
 * sends it, has origins only for what it sends to spools. */
static bool is_of_another_node(const struct shard *shard, const struct delivery *delivery)
{
	return delivery->publisher.shard >= shard->env.shard_count && delivery->origin.size == 0;
}

void deliver_to(struct shard *shard, struct delivery *delivery, const struct subscription *subscription)
{
	if (subscription->takes_origin && is_of_another_node(shard, delivery))
		return;
	if (subscription->takes_origin)
		deliver_with_origin(shard, delivery, subscription);
	else
		deliver_one(shard, delivery, subscription);
}
