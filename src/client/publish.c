#include "client/publish.h"

#include "client/conn.h"
#include "mqtt/decode.h"
#include "mqtt/field/property.h"
#include "mqtt/field/reason.h"
#include "mqtt/field/topic.h"
#include "route/deliver.h"
#include "route/retained_jobs.h"
#include "route/routing.h"
#include "route/send.h"
#include "session/aliases.h"
#include "session/packet_ids.h"
#include "state/client_state.h"
#include "state/ending.h"
#include "state/extension.h"
#include "state/principal.h"
#include "state/release.h"
#include "state/shard.h"

#include <stdlib.h>

/* A user property may have five bytes, and is looked at twice: checked, and when the expiry is looked for. */
#define PROPERTY_BYTES_PER_UNIT 32u

/* ---- what is wrong with it ---- */

/* What a PUBLISH may be refused for without ending the connection. */
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

/* The packet with its topic in it and without the alias, which is this connection's alone; in scratch, or where that
 * has no room in *own, on the heap. */
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

/* [3.3.2.3.4] Remembers an alias with a topic, or puts the topic in the place of an alias alone. */
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

static void answer_id(struct shard *shard, struct client *client, uint8_t qos, uint16_t packet_id, uint8_t reason)
{
	if (qos != 0)
		send_ack(shard, client, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, packet_id, reason);
}

static void publish_answer(struct shard *shard, struct client *client, const struct mqtt_publish *publish,
			   uint8_t reason)
{
	answer_id(shard, client, publish->qos, publish->packet_id, reason);
}

/* At QoS 0 nobody can be told but by ending the connection, for what only a broken client does. */
static enum error publish_refuse(struct shard *shard, struct client *client, const struct mqtt_publish *publish,
				 enum error reason)
{
	COUNT(&shard->counters, messages_refused);
	if (reason == ERROR_PUBLISH_DENIED)
		COUNT(&shard->counters, messages_denied);
	if (publish->qos == 0)
		return reason == ERROR_PAYLOAD_FORMAT ? reason : ERROR_OK;
	/* Before version 5 there are no reasons: it is acknowledged and left out [3.3.5.2 of 3.1.1]. */
	publish_answer(shard, client, publish, (uint8_t)mqtt_reason_of(reason));
	return ERROR_OK;
}

/* Nobody got it. An acknowledgement before version 5 would say that all did: the connection ends instead, and the
 * client sends it again. */
static enum error refuse_without_memory(struct shard *shard, struct client *client, const struct mqtt_publish *publish)
{
	if (publish->qos == 0)
		COUNT(&shard->counters, messages_dropped_memory);
	else if (client->version != MQTT_VERSION_5)
		return ERROR_NO_MEMORY;
	return publish_refuse(shard, client, publish, ERROR_LIMIT);
}

/* QoS 2: whether it came before and was not released yet; then it is not delivered again [MQTT-4.3.3-10]. */
static bool is_duplicate(const struct shard *shard, const struct client *client, const struct mqtt_publish *publish)
{
	return publish->qos == 2 && client->extension != 0 &&
	       packet_ids_has(&shard->mem.slab, extension_of(shard, client)->received, publish->packet_id);
}

static bool exceeds_receive_max(const struct shard *shard, const struct client *client)
{
	return client->version == MQTT_VERSION_5 && client->extension != 0 &&
	       packet_ids_count(&shard->mem.slab, extension_of(shard, client)->received) >=
		       shard->env.settings->receive_max;
}

/* QoS 2 is remembered before it is delivered: what cannot be remembered is not taken. */
static enum error publish_remember(struct shard *shard, struct client *client, uint16_t packet_id)
{
	struct extension *extension = extension_need(shard, client);
	if (extension == NULL)
		return ERROR_NO_MEMORY;
	return packet_ids_add(&shard->mem.slab, &extension->received, packet_id);
}

static void publish_forget(struct shard *shard, struct client *client, uint16_t packet_id)
{
	packet_ids_remove(&shard->mem.slab, &extension_of(shard, client)->received, packet_id);
}

/* The first step of routing it. What is left to do goes on without the packet: the client is paused. ERROR_MORE: that
 * cannot be, for so many are under way. */
static enum error begin_routing(struct shard *shard, struct outbound *outbound, uint16_t packet_id, bool *matched)
{
	struct route_progress progress = {.at_once = !routings_take(&shard->routing.routings)};
	enum error error = route_message(shard, outbound, &progress);
	*matched = progress.matched;
	if (error != ERROR_MORE)
		return error;
	COUNT(&shard->counters, publisher_pauses);
	if (progress.at_once)
		return ERROR_MORE;
	error = routing_begin(shard, outbound, &progress, packet_id);
	if (error == ERROR_OK)
		shard_client(shard, outbound->publisher)->pause = PAUSE_ROOM;
	return error;
}

/* Takes the message in: retained first, so that who subscribes now gets the newest. */
static enum error take_message(struct shard *shard, struct client_ref ref, const struct packet *packet,
			       const struct mqtt_publish *publish, bool *matched)
{
	const struct client *client = shard_client(shard, ref);
	uint8_t *bytes = (uint8_t *)(uintptr_t)packet->whole.data; /* scratch: they are ours */
	struct outbound outbound = {
		.packet = bytes,
		.publication = publication_of(publish, client->version, packet->whole.size, packet->header.header_bytes,
					      shard->loop.now_s),
		.publisher = ref,
	};
	enum error error = ERROR_OK;
	if (publish->retain)
		error = routing_retain(shard, &outbound.publication, bytes);
	if (error != ERROR_OK) {
		COUNT(&shard->counters, retained_refused);
		/* Who cannot be told has it delivered at least. */
		if (publish->qos != 0 && client->version == MQTT_VERSION_5)
			return error;
	}
	bytes[0] &= (uint8_t)~MQTT_PUBLISH_FLAGS_OURS;
	error = begin_routing(shard, &outbound, publish->packet_id, matched);
	/* Nobody has it, so a publisher that can be told is [3.4.2.1]: it may try again. */
	if (error == ERROR_OK && outbound.refused && !publish->retain && client->version == MQTT_VERSION_5)
		return ERROR_LIMIT;
	if (error == ERROR_MORE && publish->retain)
		bytes[0] |= 1u; /* it is read again */
	return error;
}

static void count_in(struct shard *shard, const struct mqtt_publish *publish)
{
	COUNT(&shard->counters, messages_in);
	counter_add(&shard->counters.values[COUNTER_messages_in_qos0 + publish->qos], 1);
	counter_add(&shard->counters.values[COUNTER_payloads_in_qos0_bytes + publish->qos], publish->payload.size);
}

/* The message is with all who subscribe: it is not taken a second time, after a restart either. */
static void publish_tell_received(struct shard *shard, struct client_ref ref, uint8_t qos, uint16_t packet_id)
{
	struct journal *journal = &shard->sessions.journal;
	if (qos == 2 && shard_client(shard, ref)->session.journaled)
		journal_tell(journal)->received(journal->context, ref, packet_id);
}

static uint8_t reason_of_match(bool matched)
{
	return matched ? MQTT_REASON_SUCCESS : MQTT_REASON_NO_MATCHING_SUBSCRIBERS;
}

/* The rest of the way, for a message that nothing is wrong with. */
static enum error accept_publish(struct shard *shard, struct client_ref ref, const struct packet *packet,
				 const struct mqtt_publish *publish)
{
	struct client *client = shard_client(shard, ref);
	if (publish->qos == 2 && exceeds_receive_max(shard, client))
		return ERROR_RECEIVE_MAX;
	if (publish->qos == 2 && publish_remember(shard, client, publish->packet_id) != ERROR_OK)
		return ERROR_NO_MEMORY;
	bool matched = false;
	enum error error = take_message(shard, ref, packet, publish, &matched);
	if (error != ERROR_OK && publish->qos == 2)
		publish_forget(shard, client, publish->packet_id);
	if (error == ERROR_MORE)
		return ERROR_MORE;
	if (error == ERROR_NO_MEMORY)
		return refuse_without_memory(shard, client, publish);
	if (error != ERROR_OK)
		return publish_refuse(shard, client, publish, error);
	count_in(shard, publish);
	if (client->pause == PAUSE_NONE)
		publish_tell_received(shard, ref, publish->qos, publish->packet_id);
	if (client->pause == PAUSE_NONE)
		publish_answer(shard, client, publish, reason_of_match(matched));
	return ERROR_OK;
}

void client_published(struct shard *shard, struct client_ref ref, uint8_t qos, uint16_t packet_id, bool matched,
		      enum error error)
{
	struct client *client = shard_client(shard, ref);
	if (error == ERROR_OK) {
		publish_tell_received(shard, ref, qos, packet_id);
		answer_id(shard, client, qos, packet_id, reason_of_match(matched));
	} else {
		COUNT(&shard->counters, messages_refused);
		if (qos == 2)
			publish_forget(shard, client, packet_id);
		if (qos != 0 && client->version != MQTT_VERSION_5) { /* as refuse_without_memory() */
			client_end(shard, ref, ERROR_NO_MEMORY);
			return;
		}
		answer_id(shard, client, qos, packet_id, (uint8_t)mqtt_reason_of(ERROR_LIMIT));
	}
	client_resume(shard, ref);
}

/* The packet has its topic in it. */
static enum error handle_publish(struct shard *shard, struct client_ref ref, const struct packet *packet,
				 const struct mqtt_publish *publish)
{
	struct client *client = shard_client(shard, ref);
	enum error error = check_publish(shard, client, publish);
	if (error != ERROR_OK)
		return publish_refuse(shard, client, publish, error);
	if (is_duplicate(shard, client, publish)) {
		COUNT(&shard->counters, messages_duplicate);
		publish_answer(shard, client, publish, MQTT_REASON_SUCCESS);
		return ERROR_OK;
	}
	return accept_publish(shard, ref, packet, publish);
}

/* What the topic alone is wrong in: the rest was read, and its sender can be told which PUBLISH it was. A client whose
 * connection ended for it would send it again with the next one, for ever. */
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
	enum error error = mqtt_publish_decode(packet.body, packet.header.flags, client->version, false, &publish);
	if (error == ERROR_OK)
		turn_work_charge(&shard->loop.work, publish.properties.size / PROPERTY_BYTES_PER_UNIT);
	if (can_be_answered(&publish, error))
		return publish_refuse(shard, client, &publish, error);
	if (error == ERROR_OK && publish.topic_alias != 0)
		error = resolve_alias(shard, client, &packet, &publish, &own);
	if (error == ERROR_OK)
		error = handle_publish(shard, ref, &packet, &publish);
	if (own != NULL) {
		io_flush(&shard->mem.io); /* output may point to it */
		free(own);
	}
	return error;
}

/* ---- acknowledgements ---- */

static void release(struct shard *shard, struct client *client, uint16_t packet_id)
{
	struct extension *extension = extension_of(shard, client);
	bool known = extension != NULL && packet_ids_remove(&shard->mem.slab, &extension->received, packet_id);
	if (!known)
		COUNT(&shard->counters, acks_unknown);
	if (known && client->session.journaled)
		journal_tell(&shard->sessions.journal)
			->completed(shard->sessions.journal.context, shard_client_ref(shard, client), packet_id);
	send_ack(shard, client, MQTT_PUBCOMP, packet_id, known ? MQTT_REASON_SUCCESS : MQTT_REASON_PACKET_ID_NOT_FOUND);
	extension_trim(shard, client);
}

/* A client that answers with another packet than is due has lost track of the exchange: what either side made of it
 * from here on would be a guess. One that answers to what is not under way may speak of a session that we have not any
 * more. */
static enum error take_ack(struct shard *shard, struct client_ref ref, uint8_t type, const struct mqtt_ack *ack)
{
	struct client *client = shard_client(shard, ref);
	struct extension *extension = extension_of(shard, client);
	enum flow_ack result = FLOW_ACK_UNKNOWN;
	uint64_t looks = shard->mem.flows.looks;
	if (extension != NULL)
		result = flow_acknowledge(&extension->flow, &shard->mem.flows, type, ack->packet_id,
					  ack->reason >= MQTT_REASON_UNSPECIFIED_ERROR);
	turn_work_charge(&shard->loop.work, (shard->mem.flows.looks - looks) / 16 * WORK_ENTRY);
	switch (result) {
	case FLOW_ACK_DONE:
		deliver_queued(shard, ref);
		retained_jobs_wake(shard, ref);
		return ERROR_OK;
	case FLOW_ACK_RELEASE:
		send_ack(shard, client, MQTT_PUBREL, ack->packet_id, MQTT_REASON_SUCCESS);
		return ERROR_OK;
	case FLOW_ACK_UNEXPECTED:
		return ERROR_ACK_UNEXPECTED;
	case FLOW_ACK_UNKNOWN:
		COUNT(&shard->counters, acks_unknown);
		if (type == MQTT_PUBREC && ack->reason < MQTT_REASON_UNSPECIFIED_ERROR)
			send_ack(shard, client, MQTT_PUBREL, ack->packet_id, MQTT_REASON_PACKET_ID_NOT_FOUND);
		return ERROR_OK;
	}
	return ERROR_OK;
}

enum error client_acknowledges(struct shard *shard, struct client_ref ref, const struct packet *packet)
{
	struct client *client = shard_client(shard, ref);
	struct mqtt_ack ack;
	enum error error = mqtt_ack_decode(packet->body, packet->header.type, client->version, &ack);
	if (error != ERROR_OK)
		return error;
	if (packet->header.type != MQTT_PUBREL)
		return take_ack(shard, ref, packet->header.type, &ack);
	release(shard, client, ack.packet_id);
	return ERROR_OK;
}
