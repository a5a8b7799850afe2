#include "client/publish.h"

#include "client/acknowledge.h"
#include "deliver/resumed.h"
#include "mqtt/decode.h"
#include "mqtt/field/property.h"
#include "mqtt/field/reason.h"
#include "mqtt/field/topic.h"
#include "route/route.h"
#include "route/routing.h"
#include "session/aliases.h"
#include "session/packet_ids.h"
#include "state/client_state.h"
#include "state/extension.h"
#include "state/principal.h"
#include "state/shard.h"

#include <stdlib.h>

/* A user property may have only five bytes, and is read twice: when it is checked, and in the search for the expiry. */
#define PROPERTY_BYTES_PER_UNIT 32u

/* ---- checks ---- */

_Static_assert(COUNTER_messages_in_qos2 - COUNTER_messages_in_qos0 == 2, "counted by QoS");
_Static_assert(COUNTER_payloads_in_qos2_bytes - COUNTER_payloads_in_qos0_bytes == 2, "counted by QoS");

/* The errors for which a PUBLISH may be refused without ending the connection. */
static enum error check_publish(struct shard *shard, const struct client *client, const struct mqtt_publish *publish)
{
	if (mqtt_topic_is_reserved(publish->topic) && !mqtt_topic_is_bridge_state(publish->topic))
		return ERROR_TOPIC_RESERVED;
	if (!principal_may_publish(shard, client, publish->topic))
		return ERROR_PUBLISH_DENIED;
	if (publish->properties.size != 0 && shard->env.settings->payload_format_check &&
	    !mqtt_payload_is_well_formed(publish->properties, publish->payload))
		return ERROR_PAYLOAD_FORMAT;
	return ERROR_OK;
}

/* ---- topic aliases ---- */

/* Rewrites the packet with its topic in it, and without the alias, which belongs to this connection only. The result is
 * in scratch, or if that has no room in *own, on the heap. */
static enum error rewrite(struct shard *shard, struct packet *packet, struct mqtt_publish *publish, uint8_t **own)
{
	struct mqtt_forward forward = {
		.topic = publish->topic,
		.properties = publish->properties,
		.payload_bytes = publish->payload.size,
		.packet_id = publish->packet_id,
		.strips_alias = true,
		.retain = publish->retain,
		.qos = publish->qos,
		.version = MQTT_VERSION_5,
	};
	struct mqtt_forward_size size = mqtt_forward_measure(&forward);
	if (size.packet_bytes == 0)
		return ERROR_PACKET_TOO_LARGE;
	uint8_t *at = io_scratch(&shard->mem.io, size.packet_bytes);
	if (at == NULL)
		at = *own = malloc(size.packet_bytes);
	if (at == NULL)
		return ERROR_NO_MEMORY;
	mqtt_forward_encode(&forward, &size, at);
	if (publish->payload.size != 0)
		memcpy(at + size.head_bytes, publish->payload.data, publish->payload.size);
	packet->whole = slice_of(at, size.packet_bytes);
	CHECK(mqtt_header_decode(at, size.packet_bytes, &packet->header) == ERROR_OK);
	packet->body = slice_of(at + packet->header.header_bytes, packet->header.body_bytes);
	mqtt_forward_relocate(&forward, &size, at, publish);
	return ERROR_OK;
}

/* [3.3.2.3.4] Remembers the alias if the packet has a topic, or else replaces the alias by its topic. */
static enum error resolve_alias(struct shard *shard, struct client *client, struct packet *packet,
				struct mqtt_publish *publish, uint8_t **own)
{
	uint16_t max = (uint16_t)shard->env.settings->topic_alias_max;
	if (publish->topic_alias > max)
		return ERROR_TOPIC_ALIAS;
	struct extension *extension = extension_need(shard, client);
	if (extension == NULL)
		return ERROR_NO_MEMORY;
	if (publish->topic.size != 0 && aliases_set(&shard->mem.slab, &extension->aliases_in, max, publish->topic_alias,
						    publish->topic) != ERROR_OK)
		return ERROR_NO_MEMORY;
	publish->topic = aliases_topic(&shard->mem.slab, extension->aliases_in, publish->topic_alias);
	if (publish->topic.size == 0)
		return ERROR_TOPIC_ALIAS_UNKNOWN;
	return rewrite(shard, packet, publish, own);
}

/* ---- PUBLISH ---- */

/* At QoS 0 there is no answer. The connection ends then, but only for what no sound client does. */
static enum error publish_refuse(struct shard *shard, struct client_ref ref, const struct mqtt_publish *publish,
				 enum error reason)
{
	COUNT(&shard->counters, messages_refused);
	if (reason == ERROR_PUBLISH_DENIED)
		COUNT(&shard->counters, messages_denied);
	if (publish->qos == 0)
		return reason == ERROR_PAYLOAD_FORMAT ? reason : ERROR_OK;
	/* Before version 5 there are no reason codes: it is acknowledged, and dropped [3.3.5.2 of 3.1.1]. */
	return acknowledge_publish(shard, ref, publish->qos, publish->packet_id, (uint8_t)mqtt_reason_of(reason));
}

/* No subscriber got the message. Before version 5 an acknowledgement would say that all did, so the connection ends and
 * the client sends it again. */
static enum error refuse_without_memory(struct shard *shard, struct client_ref ref, const struct mqtt_publish *publish)
{
	if (publish->qos == 0)
		COUNT(&shard->counters, messages_dropped_memory);
	else if (shard_client(shard, ref)->version != MQTT_VERSION_5)
		return ERROR_NO_MEMORY;
	return publish_refuse(shard, ref, publish, ERROR_LIMIT);
}

/* Retained messages at QoS 0 are refused nothing but their retention (publish_retain()), unless all are to wait. */
static bool publish_needs_room(const struct shard *shard, const struct mqtt_publish *publish)
{
	bool is_retained = publish->retain && publish->payload.size != 0;
	return publish->qos != 0 || (is_retained && shard->env.settings->store.full_holds);
}

/* While the store is full. Whether a session that is kept would get the message cannot be known before it is matched,
 * and then it would be too late. ERROR_MORE: the publisher is not read from for a while, and then asked again; so it is
 * with clients that cannot be told of a refusal, and with those of Roost's own: what a consumer is refused it puts away
 * for good, which must not become of a whole stream for a disk that is full for an hour. */
static enum error refuse_without_room(struct shard *shard, struct client_ref ref, const struct mqtt_publish *publish)
{
	const struct client *client = shard_client(shard, ref);
	CHECK(publish->qos != 0 || shard->env.settings->store.full_holds);
	if (shard->env.settings->store.full_holds || client->version != MQTT_VERSION_5 || client_is_internal(client)) {
		COUNT(&shard->counters, store_pauses);
		return ERROR_MORE;
	}
	COUNT(&shard->counters, store_refused_messages);
	return publish_refuse(shard, ref, publish, ERROR_STORE_FULL);
}

/* At QoS 0 it is delivered all the same. */
static enum error publish_retain(struct shard *shard, const struct outbound *outbound,
				 const struct mqtt_publish *publish, struct route_progress *progress)
{
	if (publish->payload.size == 0 || !shard_store_is_full(shard)) /* what is deleted needs no room */
		return routing_retain(shard, &outbound->publication, outbound->packet, &progress->stamp);
	COUNT(&shard->counters, store_refused_messages);
	return ERROR_STORE_FULL;
}

/* QoS 2: whether the message came before and is not released yet. Then it is not delivered again [MQTT-4.3.3-10]. */
static bool is_duplicate(const struct shard *shard, const struct client *client, const struct mqtt_publish *publish)
{
	return publish->qos == 2 && !extension_ref_is_none(client->extension) &&
	       packet_ids_has(&shard->mem.slab, extension_of(shard, client)->received, publish->packet_id);
}

static bool exceeds_receive_max(const struct shard *shard, const struct client *client)
{
	return client->version == MQTT_VERSION_5 && !extension_ref_is_none(client->extension) &&
	       packet_ids_count(&shard->mem.slab, extension_of(shard, client)->received) >=
		       shard->env.settings->receive_max;
}

/* A QoS 2 message is remembered before it is delivered. If it cannot be remembered, it is not taken. */
static enum error publish_remember(struct shard *shard, struct client *client, uint16_t packet_id)
{
	struct extension *extension = extension_need(shard, client);
	if (extension == NULL)
		return ERROR_NO_MEMORY;
	return packet_ids_add(&shard->mem.slab, &extension->received, packet_id);
}

static void publish_forget(struct shard *shard, struct client *client, uint16_t packet_id)
{
	struct extension *extension = extension_of(shard, client);
	CHECK(extension != NULL); /* it holds the identifier, so it was not trimmed meanwhile */
	bool was_known = packet_ids_remove(&shard->mem.slab, &extension->received, packet_id);
	CHECK(was_known);
}

/* Does the first step of routing. If more is left, routing goes on in later turns with a copy of the packet: the client
 * is paused, and the routing owns the ticket. ERROR_MORE: too many messages are being routed. */
static enum error begin_routing(struct shard *shard, struct outbound *outbound, uint16_t packet_id,
				struct route_progress *progress)
{
	enum error error = route_message(shard, outbound, progress);
	if (error != ERROR_MORE)
		return error;
	COUNT(&shard->counters, publisher_pauses);
	if (progress->at_once) {
		CHECK(progress->ticket == 0 && !progress->matched); /* no subscriber has it, and it is read again */
		return ERROR_MORE;
	}
	error = routing_begin(shard, outbound, progress, packet_id);
	if (error == ERROR_OK)
		client_pause(shard_client(shard, outbound->publisher), PAUSE_ROOM);
	return error;
}

/* Takes the message. It is retained first and matched afterwards, so that a client that subscribes in between gets it
 * one way or the other. A packet that may have to be read again is retained only once it is certain that it will not
 * be. */
static enum error take_message(struct shard *shard, struct client_ref ref, const struct packet *packet,
			       const struct mqtt_publish *publish, struct route_progress *progress)
{
	const struct client *client = shard_client(shard, ref);
	struct outbound outbound = {
		.packet = packet->whole.data,
		.publication = publication_of(publish, client->version, packet->whole.size, packet->header.header_bytes,
					      shard->loop.now_s),
		.publisher = ref,
		.generation = client->conn.generation,
	};
	outbound.publication.may_return = publish->qos == 2 && client->session.journaled;
	outbound.publication.resumed = progress->resumed;
	uint64_t told = publish->retain ? shard->sessions.journal.told : 0;
	enum error error = ERROR_OK;
	if (progress->at_once && publish->retain && !route_fits(shard, &outbound)) {
		COUNT(&shard->counters, publisher_pauses);
		return ERROR_MORE;
	}
	if (publish->retain)
		error = publish_retain(shard, &outbound, publish, progress);
	progress->told = publish->retain && shard->sessions.journal.told != told;
	if (error != ERROR_OK) {
		COUNT(&shard->counters, retained_refused);
		/* The message of a client that cannot be told is delivered all the same. */
		if (publish->qos != 0 && client->version == MQTT_VERSION_5)
			return error;
	}
	error = begin_routing(shard, &outbound, publish->packet_id, progress);
	/* No subscriber has it. A publisher that can be told is told so [3.4.2.1], and may try again. */
	if (error == ERROR_OK && outbound.refused && !publish->retain && client->version == MQTT_VERSION_5)
		return ERROR_LIMIT;
	return error;
}

static void count_in(struct shard *shard, const struct mqtt_publish *publish)
{
	COUNT(&shard->counters, messages_in);
	counter_add(&shard->counters.values[COUNTER_messages_in_qos0 + publish->qos], 1);
	counter_add(&shard->counters.values[COUNTER_payloads_in_qos0_bytes + publish->qos], publish->payload.size);
}

/* Acknowledges the message when its routing is over. */
static enum error publish_answer(struct shard *shard, struct client_ref ref, const struct mqtt_publish *publish,
				 struct route_progress *progress)
{
	uint8_t reason = (uint8_t)route_reason(progress);
	CHECK(progress->acknowledged == (publish->qos != 0));
	if (publish->qos == 0)
		return ERROR_OK;
	if (route_await_commit(shard, progress) != ERROR_OK)
		return ERROR_NO_MEMORY;
	if (progress->ticket == 0)
		return acknowledge_publish(shard, ref, publish->qos, publish->packet_id, reason);
	return acknowledge_when_safe(shard, ref, progress->ticket, publish->qos, publish->packet_id, reason);
}

/* The message of QoS 2 is not taken. If its publisher is told so, its identifier is free for another message, which is
 * not to be mistaken for this one by those who have it. */
static void publish_take_back(struct shard *shard, struct client_ref ref, uint16_t packet_id, enum error error,
			      const struct route_progress *progress)
{
	struct client *client = shard_client(shard, ref);
	publish_forget(shard, client, packet_id);
	if (error != ERROR_MORE && client->version == MQTT_VERSION_5 && (progress->told || progress->ticket != 0))
		resumed_give_up(shard, ref, packet_id);
}

/* Takes and answers a message that has passed all checks. */
static enum error accept_publish(struct shard *shard, struct client_ref ref, const struct packet *packet,
				 const struct mqtt_publish *publish)
{
	struct client *client = shard_client(shard, ref);
	if (publish->qos == 2 && exceeds_receive_max(shard, client))
		return ERROR_RECEIVE_MAX;
	enum resumed_answer resumed =
		publish->qos == 2 ? resumed_publish(shard, ref, publish->packet_id, publish->dup) : RESUMED_NOT;
	if (resumed == RESUMED_WAIT)
		return ERROR_MORE;
	if (publish->qos == 2 && publish_remember(shard, client, publish->packet_id) != ERROR_OK)
		return ERROR_NO_MEMORY;
	struct route_progress progress = {
		.at_once = !routings_take(&shard->routing.routings),
		.acknowledged = publish->qos != 0,
		.resumed = resumed == RESUMED_AGAIN,
	};
	enum error error = take_message(shard, ref, packet, publish, &progress);
	if (error != ERROR_OK && publish->qos == 2)
		publish_take_back(shard, ref, publish->packet_id, error, &progress);
	if (error != ERROR_OK && progress.ticket != 0) /* some shards have it, but no answer waits for them */
		pending_acks_is_safe(&shard->routing.acks, progress.ticket);
	if (error == ERROR_MORE)
		return ERROR_MORE;
	if (error == ERROR_NO_MEMORY)
		return refuse_without_memory(shard, ref, publish);
	if (error != ERROR_OK)
		return publish_refuse(shard, ref, publish, error);
	count_in(shard, publish);
	if (client->pause == PAUSE_NONE)
		return publish_answer(shard, ref, publish, &progress);
	return ERROR_OK;
}

/* The packet has its topic in it. */
static enum error handle_publish(struct shard *shard, struct client_ref ref, const struct packet *packet,
				 const struct mqtt_publish *publish)
{
	struct client *client = shard_client(shard, ref);
	enum error error = check_publish(shard, client, publish);
	if (error != ERROR_OK)
		return publish_refuse(shard, ref, publish, error);
	if (is_duplicate(shard, client, publish)) {
		COUNT(&shard->counters, messages_duplicate);
		return acknowledge_publish(shard, ref, publish->qos, publish->packet_id, MQTT_REASON_SUCCESS);
	}
	if (publish_needs_room(shard, publish) && shard_store_is_full(shard))
		return refuse_without_room(shard, ref, publish);
	return accept_publish(shard, ref, packet, publish);
}

/* Whether only the topic is wrong. The rest was decoded, so the sender can be told which PUBLISH it was. If its
 * connection ended for this, the client would send the message again on the next one, for ever. */
static bool can_be_answered(const struct mqtt_publish *publish, enum error error)
{
	return publish->qos != 0 && (error == ERROR_TOPIC_WILDCARD || error == ERROR_TOPIC_LEVELS);
}

enum error client_publishes(struct shard *shard, struct client_ref ref, const struct packet *received)
{
	struct client *client = shard_client(shard, ref);
	struct packet packet = *received;
	struct mqtt_publish publish;
	uint8_t *own = NULL;
	if ((packet.header.flags & MQTT_PUBLISH_FLAGS_QOS) != 0 && acknowledge_holds(shard, ref, client))
		return ERROR_MORE;
	enum error error = mqtt_publish_decode(packet.body, packet.header.flags, client->version, false, &publish);
	if (error == ERROR_OK)
		turn_work_charge(&shard->loop.work, publish.properties.size / PROPERTY_BYTES_PER_UNIT);
	if (can_be_answered(&publish, error))
		return publish_refuse(shard, ref, &publish, error);
	if (error == ERROR_OK && publish.topic_alias != 0)
		error = resolve_alias(shard, client, &packet, &publish, &own);
	if (error == ERROR_OK)
		error = handle_publish(shard, ref, &packet, &publish);
	if (own != NULL) {
		io_flush(&shard->mem.io); /* output may point into it */
		free(own);
	}
	return error;
}
