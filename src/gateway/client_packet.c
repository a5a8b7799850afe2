#include "gateway/client_packet.h"

#include "gateway/route.h"
#include "gateway/shard.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "mqtt/reason.h"
#include "mqtt/topic.h"

/* A packet in its bytes. */
struct packet {
	struct mqtt_header header;
	struct slice whole;
	struct slice body;
};

static enum error handle_publish(struct shard *shard, uint32_t index, struct client *client,
				 const struct packet *packet)
{
	struct mqtt_publish publish;
	enum error error = mqtt_publish_decode(packet->body, packet->header.flags, client->version, false, &publish);
	if (error != ERROR_OK)
		return error;
	if (publish.qos != 0)
		return ERROR_PUBLISH_QOS_LIMIT;
	if (publish.retain && client->version == MQTT_VERSION_5)
		return ERROR_PUBLISH_RETAIN;
	if (publish.topic_alias != 0) /* we named no maximum, so it is 0 [MQTT-3.3.2-9] */
		return ERROR_TOPIC_ALIAS;

	/* It goes out as it came in, but for the retain flag [MQTT-3.3.1-9]; the bytes are ours. */
	*(uint8_t *)(uintptr_t)packet->whole.data = MQTT_PUBLISH << 4;
	struct message message = {packet->whole, publish.topic, index, client->version};
	error = route_message(shard, &message);
	if (error == ERROR_MORE)
		return ERROR_MORE;
	if (error != ERROR_OK)
		COUNT(&shard->counters, messages_dropped_memory);
	COUNT(&shard->counters, messages_in);
	return ERROR_OK;
}

static uint8_t refusal_code(const struct client *client)
{
	return client->version == MQTT_VERSION_5 ? MQTT_REASON_QUOTA_EXCEEDED : MQTT_REASON_UNSPECIFIED_ERROR;
}

/* The code that SUBACK has for this filter [3.9.3]. Before version 5 every failure is 0x80. */
static uint8_t subscribe_one(struct shard *shard, uint32_t index, struct client *client,
			     const struct mqtt_subscription *wanted)
{
	struct slice group;
	struct slice rest;
	enum error fault;
	bool replaced;
	uint8_t code = 0; /* granted QoS 0, whatever was asked for */
	uint8_t options = (uint8_t)((wanted->no_local ? SUBSCRIPTION_NO_LOCAL : 0) |
				    (wanted->retain_as_published ? SUBSCRIPTION_RETAIN_AS_PUBLISHED : 0));
	if (mqtt_filter_share(wanted->filter, &group, &rest, &fault)) {
		code = MQTT_REASON_SHARED_SUBSCRIPTIONS_NOT_SUPPORTED;
	} else if (mqtt_filter_check(wanted->filter) != ERROR_OK) {
		code = MQTT_REASON_TOPIC_FILTER_INVALID;
	} else if (subscriptions_add(&shard->subscriptions, &client->session, index, wanted->filter, options,
				     &replaced) != ERROR_OK) {
		code = MQTT_REASON_QUOTA_EXCEEDED;
	}
	return client->version == MQTT_VERSION_5 || code == 0 ? code : MQTT_REASON_UNSPECIFIED_ERROR;
}

/* SUBACK or UNSUBACK with codes at the end of `at`. */
static enum error answer_codes(struct shard *shard, struct client *client, uint8_t type, uint16_t packet_id,
			       const uint8_t *codes, uint32_t count)
{
	size_t room = count + 16;
	uint8_t *at = io_scratch(&shard->io, room);
	size_t size = at != NULL ? mqtt_suback_encode(packet_id, codes, count, type, client->version, at, room) : 0;
	if (size == 0)
		return ERROR_LIMIT;
	if (size > client->packet_bytes_max) /* [MQTT-3.1.2-24]: what does not fit may not be sent */
		return ERROR_PACKET_TOO_LARGE;
	io_send(&shard->io, &client->conn, slice_of(at, size));
	return ERROR_OK;
}

static enum error handle_subscribe(struct shard *shard, uint32_t index, struct client *client,
				   const struct packet *packet)
{
	struct mqtt_subscribe subscribe;
	enum error error = mqtt_subscribe_decode(packet->body, client->version, &subscribe);
	if (error != ERROR_OK)
		return error;
	if (subscribe.identifier != 0)
		return ERROR_SUBSCRIPTION_ID;
	uint8_t *codes = io_scratch(&shard->io, subscribe.filter_count);
	if (codes == NULL)
		return ERROR_LIMIT;
	struct mqtt_subscription wanted;
	uint32_t count = 0;
	while (mqtt_subscribe_next(&subscribe.filters, client->version, &wanted)) {
		/* More in one packet than a client may have: bounded work, also for one that repeats itself. */
		bool within = count < shard->settings->client_subscriptions_max;
		codes[count++] = within ? subscribe_one(shard, index, client, &wanted) : refusal_code(client);
	}
	return answer_codes(shard, client, MQTT_SUBACK, subscribe.packet_id, codes, count);
}

static enum error handle_unsubscribe(struct shard *shard, uint32_t index, struct client *client,
				     const struct packet *packet)
{
	struct mqtt_unsubscribe unsubscribe;
	enum error error = mqtt_unsubscribe_decode(packet->body, client->version, &unsubscribe);
	if (error != ERROR_OK)
		return error;
	uint8_t *codes = io_scratch(&shard->io, unsubscribe.filter_count);
	if (codes == NULL)
		return ERROR_LIMIT;
	struct slice filter;
	uint32_t count = 0;
	while (mqtt_unsubscribe_next(&unsubscribe.filters, &filter)) {
		if (mqtt_filter_check(filter) != ERROR_OK)
			codes[count++] = MQTT_REASON_TOPIC_FILTER_INVALID;
		else if (subscriptions_remove(&shard->subscriptions, &client->session, index, filter))
			codes[count++] = MQTT_REASON_SUCCESS;
		else
			codes[count++] = MQTT_REASON_NO_SUBSCRIPTION_EXISTED;
	}
	return answer_codes(shard, client, MQTT_UNSUBACK, unsubscribe.packet_id, codes, count);
}

static enum error handle_ping(struct shard *shard, struct client *client, const struct packet *packet)
{
	static const uint8_t PINGRESP[] = {MQTT_PINGRESP << 4, 0};
	enum error error = mqtt_empty_decode(packet->body);
	if (error == ERROR_OK)
		io_send(&shard->io, &client->conn, slice_of(PINGRESP, sizeof(PINGRESP)));
	return error;
}

static enum error handle_disconnect(struct client *client, const struct packet *packet)
{
	struct mqtt_disconnect disconnect;
	enum error error = mqtt_disconnect_decode(packet->body, client->version, false, &disconnect);
	if (error != ERROR_OK)
		return error;
	/* Our sessions end with their connection: the expiry is 0 and may not be raised now [3.14.2.2.2]. */
	if (disconnect.has_session_expiry && disconnect.session_expiry_s != 0)
		return ERROR_SESSION_EXPIRY_RAISED;
	return disconnect.reason == MQTT_REASON_SUCCESS ? ERROR_CLOSED_BY_CLIENT : ERROR_CLOSED_WITH_WILL;
}

/* Acknowledgements: of what? There is nothing at QoS 1 or 2 that they could mean. */
static enum error handle_ack(struct client *client, const struct packet *packet)
{
	struct mqtt_ack ack;
	enum error error = mqtt_ack_decode(packet->body, packet->header.type, client->version, &ack);
	return error != ERROR_OK ? error : ERROR_PACKET_ID_UNKNOWN;
}

static enum error handle_auth(struct client *client, const struct packet *packet)
{
	struct mqtt_auth auth;
	if (client->version != MQTT_VERSION_5)
		return ERROR_PACKET_TYPE;
	enum error error = mqtt_auth_decode(packet->body, &auth);
	return error != ERROR_OK ? error : ERROR_AUTH_UNEXPECTED;
}

/* ERROR_OK; ERROR_MORE: an inbox is full, the packet has to wait; otherwise the reason why the client ends. */
static enum error handle_packet(struct shard *shard, uint32_t index, struct client *client, const struct packet *packet)
{
	switch (packet->header.type) {
	case MQTT_PUBLISH:
		return handle_publish(shard, index, client, packet);
	case MQTT_SUBSCRIBE:
		return handle_subscribe(shard, index, client, packet);
	case MQTT_UNSUBSCRIBE:
		return handle_unsubscribe(shard, index, client, packet);
	case MQTT_PINGREQ:
		return handle_ping(shard, client, packet);
	case MQTT_DISCONNECT:
		return handle_disconnect(client, packet);
	case MQTT_PUBACK:
	case MQTT_PUBREC:
	case MQTT_PUBREL:
	case MQTT_PUBCOMP:
		return handle_ack(client, packet);
	case MQTT_AUTH:
		return handle_auth(client, packet);
	case MQTT_CONNECT:
		return ERROR_CONNECT_TWICE;
	default:
		return ERROR_PACKET_TYPE;
	}
}

/* The packet at the front of bytes. ERROR_MORE: it is not whole; *size then is its size as far as known, or 0. */
static enum error cut_packet(const struct shard *shard, struct slice bytes, struct packet *packet, size_t *size)
{
	*size = 0;
	enum error error = mqtt_header_decode(bytes.data, bytes.size, &packet->header);
	if (error != ERROR_OK)
		return error;
	*size = (size_t)packet->header.header_bytes + packet->header.body_bytes;
	error = mqtt_header_check(packet->header);
	if (error != ERROR_OK)
		return error;
	if (*size > shard->settings->packet_bytes_max)
		return ERROR_PACKET_TOO_LARGE;
	if (bytes.size < *size)
		return ERROR_MORE;
	packet->whole = slice_of(bytes.data, *size);
	packet->body = slice_of(bytes.data + packet->header.header_bytes, packet->header.body_bytes);
	return ERROR_OK;
}

/* The client does not read what it asks for: neither do we, until it does. */
static bool must_wait_for_reader(struct shard *shard, struct client *client)
{
	return client->conn.backlog != 0 &&
	       io_queued_bytes(&shard->io, &client->conn) > shard->settings->queue_bytes_max;
}

/* Handles packets off the front of *rest. ERROR_OK: the rest is not a whole packet, of *size bytes if known.
 * ERROR_MORE: the client has to pause before the rest. */
static enum error consume_packets(struct shard *shard, uint32_t index, struct client *client, struct slice *rest,
				  size_t *size)
{
	struct packet packet;
	for (;;) {
		enum error error = cut_packet(shard, *rest, &packet, size);
		if (error == ERROR_MORE)
			return ERROR_OK;
		if (error != ERROR_OK)
			return error;
		if (must_wait_for_reader(shard, client)) {
			COUNT(&shard->counters, reader_pauses);
			client->pause = PAUSE_READER;
			return ERROR_MORE;
		}
		error = handle_packet(shard, index, client, &packet);
		if (error == ERROR_MORE) {
			COUNT(&shard->counters, publisher_pauses);
			client->pause = PAUSE_ROOM;
			list_push(&shard->paused, index);
		}
		if (error != ERROR_OK)
			return error;
		COUNT(&shard->counters, packets_in);
		*rest = slice_of(rest->data + *size, rest->size - *size);
	}
}

void client_consume(struct shard *shard, uint32_t index, struct slice bytes)
{
	struct client *client = shard_client(shard, index);
	struct slice rest = bytes;
	size_t size = 0;
	enum error error = consume_packets(shard, index, client, &rest, &size);
	if (rest.size != bytes.size)
		client->seen_tick = (uint32_t)(shard->now_ms / WHEEL_TICK_MS);
	if (error != ERROR_OK && error != ERROR_MORE) {
		client_end(shard, index, error);
		return;
	}
	if (io_keep(&shard->io, &client->conn, rest, size, client->pause != PAUSE_NONE) != ERROR_OK)
		client_end(shard, index, ERROR_NO_MEMORY);
}
