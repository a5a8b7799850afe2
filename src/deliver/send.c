#include "deliver/send.h"

#include "mqtt/encode.h"
#include "session/aliases.h"
#include "state/extension.h"
#include "state/shard.h"

#include <stdlib.h>

/* A payload up to this size is copied behind its head, since one piece is cheaper than two. */
#define COPY_BYTES_MAX 1024u
#define ACK_BYTES_MAX 8u
/* A topic alias takes three bytes of properties, so it must replace more than that. */
#define ALIAS_TOPIC_BYTES_MIN 4u

void send_bytes(struct shard *shard, struct client *client, const uint8_t *bytes, size_t size)
{
	uint8_t *at = io_scratch(&shard->mem.io, size);
	if (at != NULL) {
		memcpy(at, bytes, size);
		io_send(&shard->mem.io, &client->conn, slice_of(at, size));
		return;
	}
	io_send(&shard->mem.io, &client->conn, slice_of(bytes, size));
	io_flush_conn(&shard->mem.io, &client->conn);
}

void send_ack(struct shard *shard, struct client *client, uint8_t type, uint16_t packet_id, uint8_t reason)
{
	uint8_t bytes[ACK_BYTES_MAX];
	struct mqtt_ack ack = {.packet_id = packet_id, .reason = reason};
	size_t size = mqtt_ack_encode(&ack, type, client->version, bytes, sizeof(bytes));
	CHECK(size != 0);
	send_bytes(shard, client, bytes, size);
}

/* Finds the topic's alias, or takes a free one. */
static void choose_alias(struct shard *shard, const struct extension *extension, struct mqtt_forward *forward)
{
	forward->alias = aliases_find(&shard->mem.slab, extension->aliases_out, forward->topic);
	forward->alias_known = forward->alias != 0;
	if (!forward->alias_known)
		forward->alias = aliases_unused(&shard->mem.slab, extension->aliases_out, extension->alias_max);
}

/* The packet was sent: the client knows the alias from now on. */
static void remember_alias(struct shard *shard, struct extension *extension, const struct mqtt_forward *forward)
{
	if (forward->alias == 0 || forward->alias_known)
		return;
	CHECK_LE(forward->alias, extension->alias_max); /* [MQTT-3.3.2-11] */
	aliases_set(&shard->mem.slab, &extension->aliases_out, extension->alias_max, forward->alias, forward->topic);
}

/* Scratch is used up: puts the packet together on the heap and writes it at once. */
static enum error send_at_once(struct shard *shard, struct client *client, const struct mqtt_forward *forward,
			       const struct mqtt_forward_size *size, struct slice payload)
{
	uint8_t *head = malloc(size->head_bytes);
	if (head == NULL)
		return ERROR_NO_MEMORY;
	mqtt_forward_encode(forward, size, head);
	io_send(&shard->mem.io, &client->conn, slice_of(head, size->head_bytes));
	if (payload.size != 0)
		io_send(&shard->mem.io, &client->conn, payload);
	io_flush_conn(&shard->mem.io, &client->conn);
	free(head);
	return ERROR_OK;
}

static enum error send_encoded(struct shard *shard, struct client *client, const struct mqtt_forward *forward,
			       const struct mqtt_forward_size *size, struct slice payload, bool brief)
{
	bool in_one = payload.size <= COPY_BYTES_MAX;
	size_t bytes = in_one ? size->packet_bytes : size->head_bytes;
	uint8_t *at = io_scratch(&shard->mem.io, bytes);
	if (at == NULL)
		return send_at_once(shard, client, forward, size, payload);
	mqtt_forward_encode(forward, size, at);
	if (in_one && payload.size != 0)
		memcpy(at + size->head_bytes, payload.data, payload.size);
	io_send(&shard->mem.io, &client->conn, slice_of(at, bytes));
	if (in_one)
		return ERROR_OK;
	io_send(&shard->mem.io, &client->conn, payload);
	if (brief)
		io_flush_conn(&shard->mem.io, &client->conn);
	return ERROR_OK;
}

static bool send_fits(const struct shard *shard, const struct client *client, const struct mqtt_forward_size *size)
{
	return size->packet_bytes != 0 && extension_take_packet(shard, client, size->packet_bytes);
}

enum error send_publish(struct shard *shard, struct client *client, struct mqtt_forward *forward, struct slice payload,
			bool brief)
{
	struct extension *extension = extension_of(shard, client);
	if (extension != NULL && extension->alias_max != 0 && forward->topic.size >= ALIAS_TOPIC_BYTES_MIN)
		choose_alias(shard, extension, forward);
	struct mqtt_forward_size size = mqtt_forward_measure(forward);
	if (!send_fits(shard, client, &size) && forward->alias != 0 && !forward->alias_known) {
		forward->alias = 0; /* a new alias makes the packet longer: the topic is sent with it */
		size = mqtt_forward_measure(forward);
	}
	if (!send_fits(shard, client, &size))
		return ERROR_PACKET_TOO_LARGE;
	enum error error = send_encoded(shard, client, forward, &size, payload, brief);
	if (error == ERROR_OK && extension != NULL)
		remember_alias(shard, extension, forward);
	return error;
}
