#include "gateway/client_packet.h"

#include "gateway/client_publish.h"
#include "gateway/handshake.h"
#include "gateway/heartbeat.h"
#include "gateway/principal.h"
#include "gateway/rate.h"
#include "gateway/retained_jobs.h"
#include "gateway/send.h"
#include "gateway/shard.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "mqtt/reason.h"
#include "mqtt/topic.h"

/* How long a publisher is left unread in grade HOLD. */
#define HOLD_MS 50u
/* Less than what io_receive() leaves when it has read: at least one packet is handled in a turn. */
#define SCRATCH_A_PACKET_BYTES (3 * IO_READ_BYTES)

/* ---- SUBSCRIBE and UNSUBSCRIBE ---- */

static uint8_t subscribe_code(enum error error, uint8_t qos)
{
	switch (error) {
	case ERROR_OK:
		return qos;
	case ERROR_LIMIT:
	case ERROR_NO_MEMORY:
		return MQTT_REASON_QUOTA_EXCEEDED;
	case ERROR_SUBSCRIBE_DENIED:
		return MQTT_REASON_NOT_AUTHORIZED;
	default:
		return MQTT_REASON_TOPIC_FILTER_INVALID;
	}
}

/* The filter of a shared subscription is what stands behind its name [4.8.2]. */
static enum error check_filter(struct slice filter, struct slice *topics, bool *shared)
{
	struct slice group;
	enum error fault;
	*topics = filter;
	*shared = mqtt_filter_share(filter, &group, topics, &fault);
	if (*shared && fault != ERROR_OK)
		return fault;
	return mqtt_filter_check(*topics);
}

/* Whether the subscription is to be told of retained messages: shared ones never are [4.8.2]. */
static bool wants_retained(const struct mqtt_subscription *wanted, bool shared, bool replaced)
{
	return !shared && (wanted->retain_handling == 0 || (wanted->retain_handling == 1 && !replaced));
}

static enum error subscribe_one(struct shard *shard, uint32_t index, const struct mqtt_subscription *asked,
				uint32_t identifier)
{
	bool shared;
	struct slice topics;
	enum error error = check_filter(asked->filter, &topics, &shared);
	if (error == ERROR_OK && !principal_may_subscribe(shard, shard_client(shard, index), topics))
		error = ERROR_SUBSCRIBE_DENIED;
	if (error != ERROR_OK)
		return error;
	struct subscription_wanted wanted = {
		.filter = asked->filter,
		.identifier = identifier,
		.options = (uint8_t)(asked->qos | (asked->no_local ? SUBSCRIPTION_NO_LOCAL : 0) |
				     (asked->retain_as_published ? SUBSCRIPTION_RETAIN_AS_PUBLISHED : 0)),
	};
	struct subscription_made made;
	struct session *session = &shard_client(shard, index)->session;
	error = subscriptions_add(&shard->subscriptions, session, index, &wanted, &made);
	if (error == ERROR_OK && wants_retained(asked, shared, made.replaced))
		retained_jobs_add(shard, index, made.index, topics);
	return error;
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
	if (!extras_take_packet(shard, client, size)) /* [MQTT-3.1.2-24]: what does not fit may not be sent */
		return ERROR_PACKET_TOO_LARGE;
	io_send(&shard->io, &client->conn, slice_of(at, size));
	return ERROR_OK;
}

/* Codes before version 5 [3.9.3 of 3.1.1]. */
static uint8_t code_for(const struct client *client, uint8_t code)
{
	bool failed = code > MQTT_REASON_GRANTED_QOS_2;
	return failed && client->version != MQTT_VERSION_5 ? MQTT_REASON_UNSPECIFIED_ERROR : code;
}

static enum error handle_subscribe(struct shard *shard, uint32_t index, struct client *client,
				   const struct packet *packet)
{
	struct mqtt_subscribe subscribe;
	enum error error = mqtt_subscribe_decode(packet->body, client->version, &subscribe);
	if (error != ERROR_OK)
		return error;
	uint8_t *codes = io_scratch(&shard->io, subscribe.filter_count);
	if (codes == NULL)
		return ERROR_LIMIT;
	struct mqtt_subscription asked;
	struct slice filters = subscribe.filters;
	uint32_t count = 0;
	while (mqtt_subscribe_next(&filters, client->version, &asked)) {
		/* More in one packet than a client may have: bounded work, also for one that repeats itself. */
		bool within = count < shard->settings->client_subscriptions_max;
		error = within ? subscribe_one(shard, index, &asked, subscribe.identifier) : ERROR_LIMIT;
		if (error == ERROR_SUBSCRIBE_DENIED)
			COUNT(&shard->counters, subscriptions_denied);
		codes[count++] = code_for(client, subscribe_code(error, asked.qos));
	}
	return answer_codes(shard, client, MQTT_SUBACK, subscribe.packet_id, codes, count);
}

static uint8_t unsubscribe_one(struct shard *shard, uint32_t index, struct slice filter)
{
	bool shared;
	struct slice topics;
	struct client *client = shard_client(shard, index);
	if (check_filter(filter, &topics, &shared) != ERROR_OK)
		return MQTT_REASON_TOPIC_FILTER_INVALID;
	uint32_t ended = subscriptions_remove(&shard->subscriptions, &client->session, index, filter);
	if (ended == 0)
		return MQTT_REASON_NO_SUBSCRIPTION_EXISTED;
	return MQTT_REASON_SUCCESS;
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
	while (mqtt_unsubscribe_next(&unsubscribe.filters, &filter))
		codes[count++] = unsubscribe_one(shard, index, filter);
	return answer_codes(shard, client, MQTT_UNSUBACK, unsubscribe.packet_id, codes, count);
}

/* ---- the rest ---- */

static enum error handle_ping(struct shard *shard, struct client *client, const struct packet *packet)
{
	static const uint8_t PINGRESP[] = {MQTT_PINGRESP << 4, 0};
	enum error error = mqtt_empty_decode(packet->body);
	if (error == ERROR_OK)
		io_send(&shard->io, &client->conn, slice_of(PINGRESP, sizeof(PINGRESP)));
	return error;
}

static enum error handle_disconnect(struct shard *shard, struct client *client, const struct packet *packet)
{
	struct mqtt_disconnect disconnect;
	enum error error = mqtt_disconnect_decode(packet->body, client->version, false, &disconnect);
	if (error != ERROR_OK)
		return error;
	struct extras *extras = extras_of(shard, client);
	if (disconnect.has_session_expiry && disconnect.session_expiry_s != 0 &&
	    (extras == NULL || extras->expiry_s == 0)) /* [3.14.2.2.2] */
		return ERROR_SESSION_EXPIRY_RAISED;
	if (disconnect.has_session_expiry && extras != NULL) {
		uint32_t most_s = shard->settings->session_expiry_max_s;
		extras->expiry_s = disconnect.session_expiry_s < most_s ? disconnect.session_expiry_s : most_s;
	}
	return disconnect.reason == MQTT_REASON_SUCCESS ? ERROR_CLOSED_BY_CLIENT : ERROR_CLOSED_WITH_WILL;
}

/* Success, with the method [MQTT-4.12.0-5]. */
static void answer_auth(struct shard *shard, struct client *client, struct slice method)
{
	uint8_t bytes[64];
	struct mqtt_auth auth = {.reason = MQTT_REASON_SUCCESS, .method = method};
	size_t size = mqtt_auth_encode(&auth, bytes, sizeof(bytes));
	CHECK(size != 0);
	send_bytes(shard, client, bytes, size);
}

/* [4.12.1] A client that signed in with an authentication method brings another token. */
static enum error handle_auth(struct shard *shard, uint32_t index, struct client *client, const struct packet *packet)
{
	struct mqtt_auth auth;
	if (client->version != MQTT_VERSION_5)
		return ERROR_PACKET_TYPE;
	enum error error = mqtt_auth_decode(packet->body, &auth);
	if (error != ERROR_OK)
		return error;
	const struct principal *principal = principal_of(shard, client);
	if (principal == NULL || !principal->uses_auth || auth.reason != MQTT_REASON_REAUTHENTICATE)
		return ERROR_AUTH_UNEXPECTED;
	if (!slice_equal(auth.method, slice_string(AUTH_METHOD_TOKEN))) /* [MQTT-4.12.1-1] */
		return ERROR_AUTH_METHOD;
	error = principal_renew(shard, client, auth.data);
	if (error != ERROR_OK)
		return error;
	COUNT(&shard->counters, sign_ins_renewed);
	answer_auth(shard, client, auth.method);
	heartbeat_hurry(shard, index, shard->now_ms);
	return ERROR_OK;
}

/* ERROR_OK; ERROR_MORE: an inbox is full, the packet has to wait; otherwise the reason why the client ends. */
static enum error handle_packet(struct shard *shard, uint32_t index, struct client *client, const struct packet *packet)
{
	switch (packet->header.type) {
	case MQTT_PUBLISH:
		return client_publishes(shard, index, packet);
	case MQTT_SUBSCRIBE:
		return handle_subscribe(shard, index, client, packet);
	case MQTT_UNSUBSCRIBE:
		return handle_unsubscribe(shard, index, client, packet);
	case MQTT_PINGREQ:
		return handle_ping(shard, client, packet);
	case MQTT_DISCONNECT:
		return handle_disconnect(shard, client, packet);
	case MQTT_PUBACK:
	case MQTT_PUBREC:
	case MQTT_PUBREL:
	case MQTT_PUBCOMP:
		return client_acknowledges(shard, index, packet);
	case MQTT_AUTH:
		return handle_auth(shard, index, client, packet);
	case MQTT_CONNECT:
		return ERROR_CONNECT_TWICE;
	default:
		return ERROR_PACKET_TYPE;
	}
}

/* The packet at the front of bytes. ERROR_MORE: it is not whole; *size then is its size as far as known, or 0. */
static enum error cut_packet(const struct shard *shard, uint8_t version, struct slice bytes, struct packet *packet,
			     size_t *size)
{
	*size = 0;
	enum error error = mqtt_header_decode(bytes.data, bytes.size, &packet->header);
	if (error != ERROR_OK)
		return error;
	*size = (size_t)packet->header.header_bytes + packet->header.body_bytes;
	/* 3.1 has DUP on what is sent again, too. */
	if (version == MQTT_VERSION_3_1 &&
	    (packet->header.type == MQTT_PUBREL || packet->header.type == MQTT_SUBSCRIBE ||
	     packet->header.type == MQTT_UNSUBSCRIBE))
		packet->header.flags &= 0x07u;
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

/* False: the client publishes faster than it may, and is not read from for a while. */
static bool within_rate(struct shard *shard, uint32_t index, struct client *client)
{
	uint64_t wait_ms;
	if (rate_allows(shard, client, &wait_ms))
		return true;
	COUNT(&shard->counters, rate_pauses);
	client->pause = PAUSE_RATE;
	heartbeat_hurry(shard, index, shard->now_ms + wait_ms);
	return false;
}

/* What the packets before it have sent to others may have used this turn's scratch up: with all that goes there a
 * packet that is answered, or is longer with its topic in the place of an alias, would find no room. */
static bool must_wait_for_scratch(const struct shard *shard)
{
	return io_scratch_left(&shard->io) < SCRATCH_A_PACKET_BYTES;
}

/* Handles packets off the front of *rest. ERROR_OK: the rest is not a whole packet, of *size bytes if known.
 * ERROR_MORE: the client has to pause before the rest. */
static enum error consume_packets(struct shard *shard, uint32_t index, struct client *client, struct slice *rest,
				  size_t *size)
{
	struct packet packet;
	for (;;) {
		enum error error = cut_packet(shard, client->version, *rest, &packet, size);
		if (error == ERROR_MORE)
			return ERROR_OK;
		if (error != ERROR_OK)
			return error;
		if (must_wait_for_reader(shard, client)) {
			COUNT(&shard->counters, reader_pauses);
			client->pause = PAUSE_READER;
			return ERROR_MORE;
		}
		if (must_wait_for_scratch(shard)) {
			client->pause = PAUSE_TURN;
			return ERROR_MORE;
		}
		if (client->slowed && packet.header.type == MQTT_PUBLISH && congestion_holds(shard, index, client))
			return ERROR_MORE;
		if (packet.header.type == MQTT_PUBLISH && !within_rate(shard, index, client))
			return shard->settings->rate_ends_client ? ERROR_MESSAGE_RATE : ERROR_MORE;
		error = handle_packet(shard, index, client, &packet);
		if (error == ERROR_MORE) {
			COUNT(&shard->counters, publisher_pauses);
			client->pause = PAUSE_ROOM;
			list_push(&shard->paused, index);
		}
		if (error != ERROR_OK)
			return error;
		COUNT(&shard->counters, packets_in);
		if (packet.header.type == MQTT_PUBLISH)
			rate_count(shard, client, *size);
		*rest = slice_of(rest->data + *size, rest->size - *size);
	}
}

static bool published(const struct slice *bytes)
{
	return bytes->size != 0 && bytes->data[0] >> 4 == MQTT_PUBLISH;
}

/* There is too much to do: a publisher is read from again in a while. */
static void hold(struct shard *shard, uint32_t index, struct client *client)
{
	COUNT(&shard->counters, overload_holds);
	client->pause = PAUSE_RATE;
	heartbeat_hurry(shard, index, shard->now_ms + HOLD_MS);
}

void client_consume(struct shard *shard, uint32_t index, struct slice bytes)
{
	struct client *client = shard_client(shard, index);
	struct slice rest = bytes;
	size_t size = 0;
	enum error error = consume_packets(shard, index, client, &rest, &size);
	if (rest.size != bytes.size)
		heartbeat_heard(shard, client);
	if (error != ERROR_OK && error != ERROR_MORE) {
		client_end(shard, index, error);
		return;
	}
	if (shard->overload.grade == OVERLOAD_HOLD && client->pause == PAUSE_NONE && published(&bytes))
		hold(shard, index, client);
	if (io_keep(&shard->io, &client->conn, rest, size, client->pause != PAUSE_NONE) != ERROR_OK)
		client_end(shard, index, ERROR_NO_MEMORY);
	else if (client->pause == PAUSE_TURN)
		client_resume(shard, index);
}
