#include "deliver/overlap.h"

#include "deliver/outgoing.h"
#include "mqtt/field/property_write.h"
#include "state/shard.h"

#include <stdlib.h>

void overlap_begin(const struct shard *shard, struct delivery *delivery, const route_bits *routes, uint32_t count)
{
	if (count <= 1 || !shard->env.settings->overlapping_one)
		return;
	delivery->routes = routes;
	delivery->route_count = count;
}

/* The client's own subscription that this route of the message leads to. NULL: it has none there, or that one does not
 * get the message. */
static const struct subscription *overlap_own(struct shard *shard, const struct delivery *delivery,
					      struct client_ref ref, uint32_t route)
{
	if (route_shard(delivery->routes[route]) != shard->env.number)
		return NULL;
	const struct client *client = shard_client(shard, ref);
	const struct subscription *subscription =
		subscriptions_own(&shard->sessions.subscriptions, &client->session, ref, delivery->routes[route]);
	if (subscription == NULL || deliver_is_no_local(shard, delivery, subscription))
		return NULL;
	return subscription;
}

/* Whether the message went to the client through an earlier route. */
static bool was_delivered(struct shard *shard, const struct delivery *delivery, struct client_ref ref)
{
	for (uint32_t i = 0; i < delivery->route; i++) {
		if (overlap_own(shard, delivery, ref, i) != NULL)
			return true;
	}
	return false;
}

/* What the client's matching subscriptions ask for together. */
struct merged {
	struct subscription subscription;
	uint32_t identifiers; /* how many of the subscriptions have one */
	size_t more_bytes;    /* of properties, for all identifiers but the first */
};

static size_t identifier_bytes(uint32_t identifier)
{
	return 1 + varint_bytes(identifier);
}

static void merge(struct merged *merged, const struct subscription *other)
{
	struct subscription *subscription = &merged->subscription;
	uint8_t qos = subscription->options & SUBSCRIPTION_QOS_MASK;
	uint8_t other_qos = other->options & SUBSCRIPTION_QOS_MASK;
	uint8_t options = subscription->options | (other->options & SUBSCRIPTION_RETAIN_AS_PUBLISHED);
	subscription->options = (uint8_t)((options & ~SUBSCRIPTION_QOS_MASK) | (other_qos > qos ? other_qos : qos));
	if (other->identifier == 0)
		return;
	if (merged->identifiers++ == 0)
		subscription->identifier = other->identifier;
	else
		merged->more_bytes += identifier_bytes(other->identifier);
}

static struct merged merge_all(struct shard *shard, const struct delivery *delivery,
			       const struct subscription *subscription)
{
	struct merged merged = {.subscription = *subscription, .identifiers = subscription->identifier != 0};
	for (uint32_t i = delivery->route + 1; i < delivery->route_count; i++) {
		const struct subscription *other = overlap_own(shard, delivery, subscription->client, i);
		if (other != NULL)
			merge(&merged, other);
	}
	return merged;
}

/* Writes all identifiers but the first, which is written when the merged subscription is delivered. */
static void write_identifiers(struct shard *shard, const struct delivery *delivery, const struct merged *merged,
			      bool has_first, struct writer *writer)
{
	for (uint32_t i = delivery->route + 1; i < delivery->route_count; i++) {
		const struct subscription *other = overlap_own(shard, delivery, merged->subscription.client, i);
		if (other == NULL || other->identifier == 0)
			continue;
		if (has_first)
			property_write_varint(writer, MQTT_PROPERTY_SUBSCRIPTION_ID, other->identifier);
		has_first = true;
	}
	CHECK(!writer->failed && writer->used == writer->size); /* as they were measured */
}

/* Makes a copy of the message in version 5's form, with the further identifiers among its properties. *bytes holds the
 * packet, then the properties; the caller frees it. */
static enum error make_copy(struct shard *shard, const struct delivery *delivery, const struct merged *merged,
			    bool has_first, uint8_t **bytes, struct publication *publication)
{
	const struct publication_parts *parts = &delivery->parts;
	size_t property_bytes = parts->properties.size + merged->more_bytes;
	struct mqtt_forward forward = {
		.topic = parts->topic,
		.properties = slice_of(NULL, property_bytes),
		.payload_bytes = parts->payload.size,
		.packet_id = delivery->publication.qos != 0
				     ? publication_packet_id(&delivery->publication, delivery->packet)
				     : (uint16_t)1,
		.retain = delivery->publication.retain,
		.qos = delivery->publication.qos,
		.version = MQTT_VERSION_5,
	};
	struct mqtt_forward_size size = mqtt_forward_measure(&forward);
	if (size.packet_bytes == 0)
		return ERROR_PACKET_TOO_LARGE;
	size_t header_bytes = size.packet_id_at - 2 - parts->topic.size;
	CHECK_LE(header_bytes, MQTT_HEADER_BYTES_MAX);
	uint8_t *packet = malloc(size.packet_bytes + property_bytes);
	if (packet == NULL)
		return ERROR_NO_MEMORY;
	forward.properties.data = packet + size.packet_bytes;
	struct writer writer = writer_of(packet + size.packet_bytes, property_bytes);
	writer_bytes(&writer, parts->properties);
	write_identifiers(shard, delivery, merged, has_first, &writer);
	mqtt_forward_encode(&forward, &size, packet);
	if (parts->payload.size != 0)
		memcpy(packet + size.head_bytes, parts->payload.data, parts->payload.size);
	*publication = delivery->publication;
	publication->packet_bytes = (uint32_t)size.packet_bytes;
	publication->header_bytes = (uint8_t)header_bytes;
	publication->is_5 = 1;
	*bytes = packet;
	return ERROR_OK;
}

/* Delivers a copy of its own to a client that needs several identifiers: a delivery can carry only one. */
static void deliver_copy(struct shard *shard, struct delivery *delivery, const struct merged *merged, bool has_first)
{
	struct client *client = shard_client(shard, merged->subscription.client);
	CHECK_GT(merged->more_bytes, 0);
	struct publication publication;
	uint8_t *bytes;
	enum error error = make_copy(shard, delivery, merged, has_first, &bytes, &publication);
	if (error != ERROR_OK) {
		outgoing_count_refused(shard, error);
		return;
	}
	/* Not as mail: that could empty scratch, where the frames of the common message are. */
	struct delivery copy = deliver_begin(bytes, &publication, false, NULL);
	copy.publisher = delivery->publisher;
	copy.origin = delivery->origin;
	deliver_to(shard, &copy, &merged->subscription);
	deliver_end(shard, &copy);
	/* A long payload goes out from where it is; to a client that turned out to be gone, too: its outbox has it. */
	io_flush_conn(&shard->mem.io, &client->conn);
	free(bytes);
	delivery->taken |= copy.taken;
	delivery->refused |= copy.refused;
}

void overlap_deliver(struct shard *shard, struct delivery *delivery, const struct subscription *subscription)
{
	struct client_ref ref = subscription->client;
	if ((subscription->options & SUBSCRIPTION_SHARED) != 0 || deliver_is_no_local(shard, delivery, subscription)) {
		deliver_to(shard, delivery, subscription);
		return;
	}
	uint64_t looks = shard->sessions.subscriptions.looks;
	if (!was_delivered(shard, delivery, ref)) {
		struct merged merged = merge_all(shard, delivery, subscription);
		bool is_5 = shard_client(shard, ref)->version == MQTT_VERSION_5;
		if (is_5 && merged.identifiers > 1)
			deliver_copy(shard, delivery, &merged, subscription->identifier != 0);
		else
			deliver_to(shard, delivery, &merged.subscription);
	}
	turn_work_charge(&shard->loop.work,
			 (delivery->route_count + shard->sessions.subscriptions.looks - looks) * (uint64_t)WORK_NODE);
}
