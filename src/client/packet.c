#include "client/packet.h"

#include "access/handshake.h"
#include "client/acknowledge.h"
#include "client/keepalive.h"
#include "client/oversize.h"
#include "client/publish.h"
#include "client/rate.h"
#include "client/review.h"
#include "client/subscribe.h"
#include "deliver/congestion.h"
#include "deliver/send.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "mqtt/field/reason.h"
#include "state/client_state.h"
#include "state/ending.h"
#include "state/extension.h"
#include "state/principal.h"
#include "state/shard.h"

/* How long a publisher is left unread in grade HOLD. */
#define HOLD_MS 50u
/* Less than what io_receive() leaves after it has read, so at least one packet is handled in a turn. */
#define SCRATCH_PER_PACKET_BYTES (3 * IO_READ_BYTES)

_Static_assert(SCRATCH_PER_PACKET_BYTES + IO_READ_BYTES < IO_SCRATCH_BYTES, "empty scratch has room for a packet");
_Static_assert(QUICK_ACKS <= 3, "quick_acks has 2 bits");
_Static_assert(MQTT_PUBCOMP - MQTT_PUBACK == 3, "the types of acknowledgements follow each other");

static enum error handle_ping(struct shard *shard, struct client *client, const struct packet *packet)
{
	static const uint8_t PINGRESP[] = {MQTT_PINGRESP << 4, 0};
	enum error error = mqtt_empty_decode(packet->body);
	if (error == ERROR_OK)
		io_send(&shard->mem.io, &client->conn, slice_of(PINGRESP, sizeof(PINGRESP)));
	return error;
}

static enum error handle_disconnect(struct shard *shard, struct client *client, const struct packet *packet)
{
	struct mqtt_disconnect disconnect;
	enum error error = mqtt_disconnect_decode(packet->body, client->version, false, &disconnect);
	if (error != ERROR_OK)
		return error;
	struct extension *extension = extension_of(shard, client);
	if (disconnect.has_session_expiry && disconnect.session_expiry_s != 0 &&
	    (extension == NULL || extension->expiry_s == 0)) /* [3.14.2.2.2] */
		return ERROR_SESSION_EXPIRY_RAISED;
	if (disconnect.has_session_expiry && extension != NULL) {
		uint32_t most_s = shard->env.settings->session_expiry_max_s;
		extension->expiry_s = disconnect.session_expiry_s < most_s ? disconnect.session_expiry_s : most_s;
	}
	return disconnect.reason == MQTT_REASON_SUCCESS ? ERROR_CLOSED_BY_CLIENT : ERROR_CLOSED_WITH_WILL;
}

/* Answers with success, and with the method [MQTT-4.12.0-5]. */
static void answer_auth(struct shard *shard, struct client *client, struct slice method)
{
	uint8_t bytes[64];
	struct mqtt_auth auth = {.reason = MQTT_REASON_SUCCESS, .method = method};
	size_t size = mqtt_auth_encode(&auth, bytes, sizeof(bytes));
	CHECK(size != 0);
	send_bytes(shard, client, bytes, size);
}

/* [4.12.1] A client that signed in with an authentication method sends a new token. */
static enum error handle_auth(struct shard *shard, struct client_ref ref, struct client *client,
			      const struct packet *packet)
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
	uint32_t rules = principal->rules;
	error = principal_renew(shard, client, auth.data);
	if (error != ERROR_OK)
		return error;
	if (principal_of(shard, client)->rules != rules)
		review_client(shard, ref);
	COUNT(&shard->counters, sign_ins_renewed);
	answer_auth(shard, client, auth.method);
	keepalive_hurry(shard, ref, shard->loop.now_ms);
	return ERROR_OK;
}

/* ERROR_MORE: the packet has to wait, and is handled again later. Other errors: the reason why the client ends. */
static enum error handle_packet(struct shard *shard, struct client_ref ref, struct client *client,
				const struct packet *packet)
{
	if (packet->whole.size == 0)
		return oversize_answer(shard, ref, packet);
	switch (packet->header.type) {
	case MQTT_PUBLISH:
		return client_publishes(shard, ref, packet);
	case MQTT_SUBSCRIBE:
	case MQTT_UNSUBSCRIBE:
		return client_subscribes(shard, ref, packet);
	case MQTT_PINGREQ:
		return handle_ping(shard, client, packet);
	case MQTT_DISCONNECT:
		return handle_disconnect(shard, client, packet);
	case MQTT_PUBACK:
	case MQTT_PUBREC:
	case MQTT_PUBREL:
	case MQTT_PUBCOMP:
		return acknowledge_received(shard, ref, packet->header.type, packet->body);
	case MQTT_AUTH:
		return handle_auth(shard, ref, client, packet);
	case MQTT_CONNECT:
		return ERROR_CONNECT_TWICE;
	default:
		return ERROR_PACKET_TYPE;
	}
}

/* Cuts the packet off the front of `bytes`. ERROR_MORE: it is not complete; *size is how much must be there before it
 * can be handled, or 0 if that is not known yet. ERROR_OK with an empty packet->whole: it is too large, and has to be
 * skipped. */
static enum error cut_packet(const struct shard *shard, uint8_t version, struct slice bytes, struct packet *packet,
			     size_t *size)
{
	*size = 0;
	enum error error = mqtt_header_decode(bytes.data, bytes.size, &packet->header);
	if (error != ERROR_OK)
		return error;
	*size = (size_t)packet->header.header_bytes + packet->header.body_bytes;
	/* In 3.1 these packets may have DUP when they are sent again. */
	if (version == MQTT_VERSION_3_1 &&
	    (packet->header.type == MQTT_PUBREL || packet->header.type == MQTT_SUBSCRIBE ||
	     packet->header.type == MQTT_UNSUBSCRIBE))
		packet->header.flags &= 0x07u;
	error = mqtt_header_check(packet->header);
	if (error != ERROR_OK)
		return error;
	if (*size > shard->env.settings->packet_bytes_max) {
		size_t head_bytes = *size;
		packet->whole = slice_of(NULL, 0);
		error = oversize_cut(shard, version, bytes, packet, &head_bytes);
		*size = error == ERROR_MORE ? head_bytes : *size;
		return error;
	}
	if (bytes.size < *size)
		return ERROR_MORE;
	packet->whole = slice_of(bytes.data, *size);
	packet->body = slice_of(bytes.data + packet->header.header_bytes, packet->header.body_bytes);
	return ERROR_OK;
}

/* The client does not read the answers to its requests: it is not read from until it does. */
static bool must_wait_for_reader(struct shard *shard, struct client *client)
{
	return client->conn.backlog != 0 &&
	       io_queued_bytes(&shard->mem.io, &client->conn) > shard->env.settings->queue_bytes_max;
}

/* False: the client publishes faster than it may, and is paused for a while. */
static bool packet_within_rate(struct shard *shard, struct client_ref ref, struct client *client)
{
	uint64_t wait_ms;
	if (rate_allows(shard, client, &wait_ms))
		return true;
	COUNT(&shard->counters, rate_pauses);
	client_pause(client, PAUSE_RATE);
	keepalive_hurry(shard, ref, shard->loop.now_ms + wait_ms);
	return false;
}

/* The packets before this one may have used up this turn's scratch. Then there would be no room for an answer, or for a
 * packet that gets longer when its topic replaces an alias. */
static bool must_wait_for_scratch(const struct shard *shard)
{
	return io_scratch_left(&shard->mem.io) < SCRATCH_PER_PACKET_BYTES;
}

/* The first packet of what was read is handled even if the turn's work is spent, so that each turn makes some progress
 * with each client that it reads from. */
static bool must_wait_for_turn(struct shard *shard, bool first)
{
	if (first || turn_work_takes_packets(&shard->loop.work))
		return must_wait_for_scratch(shard);
	COUNT(&shard->counters, work_pauses);
	return true;
}

/* Handles one packet as a step of the turn's work. */
static enum error do_packet(struct shard *shard, struct client_ref ref, struct client *client,
			    const struct packet *packet)
{
	shard->loop.check.client = ref.index;
	shard->loop.check.packet_type = packet->header.type;
	turn_work_step_begin(&shard->loop.work);
	turn_work_charge(&shard->loop.work, WORK_PACKET);
	enum error error = handle_packet(shard, ref, client, packet);
	turn_work_step_end(&shard->loop.work, &shard->counters);
	return error;
}

/* Handles packets off the front of *rest. ERROR_OK: the rest is an incomplete packet, of *size bytes if known. If the
 * rest is empty and *size is not 0, that many bytes are still to come of a packet that is skipped. ERROR_MORE: the
 * client has to pause before the rest. */
static enum error consume_packets(struct shard *shard, struct client_ref ref, struct client *client, struct slice *rest,
				  size_t *size)
{
	struct packet packet;
	const uint8_t *start = rest->data;
	for (;;) {
		enum error error = cut_packet(shard, client->version, *rest, &packet, size);
		if (error == ERROR_MORE)
			return ERROR_OK;
		if (error != ERROR_OK)
			return error;
		if (must_wait_for_reader(shard, client)) {
			COUNT(&shard->counters, reader_pauses);
			client_pause(client, PAUSE_READER);
			return ERROR_MORE;
		}
		if (must_wait_for_turn(shard, rest->data == start)) {
			client_pause(client, PAUSE_TURN);
			return ERROR_MORE;
		}
		if (client->slowed && packet.header.type == MQTT_PUBLISH && congestion_holds(shard, ref, client, *size))
			return ERROR_MORE;
		if (packet.header.type == MQTT_PUBLISH && !packet_within_rate(shard, ref, client))
			return shard->env.settings->rate_ends_client ? ERROR_MESSAGE_RATE : ERROR_MORE;
		error = do_packet(shard, ref, client, &packet);
		if (error == ERROR_MORE && client->pause == PAUSE_NONE && client_is_connected(client)) {
			client_pause(client, PAUSE_RATE);
			keepalive_hurry(shard, ref, shard->loop.now_ms + HOLD_MS);
		}
		if (error != ERROR_OK)
			return error;
		COUNT(&shard->counters, packets_in);
		if (!client_is_connected(client)) /* a flush found that its connection is broken */
			return ERROR_OK;
		if (packet.header.type == MQTT_PUBLISH) {
			rate_count(shard, client, *size);
			client->quick_acks = QUICK_ACKS;
		}
		if (rest->size < *size) {
			CHECK(packet.whole.size == 0); /* only a packet that is skipped may be incomplete */
			*size -= rest->size;
			*rest = slice_of(NULL, 0);
			return ERROR_OK;
		}
		*rest = slice_of(rest->data + *size, rest->size - *size);
		*size = 0;
		if (client->pause != PAUSE_NONE) /* its request goes on over several turns */
			return ERROR_MORE;
	}
}

static bool begins_with_publish(const struct slice *bytes)
{
	return bytes->size != 0 && bytes->data[0] >> 4 == MQTT_PUBLISH;
}

/* The shard is overloaded: the publisher is left unread for a while. */
static void hold_publisher(struct shard *shard, struct client_ref ref, struct client *client)
{
	COUNT(&shard->counters, overload_holds);
	client_pause(client, PAUSE_RATE);
	keepalive_hurry(shard, ref, shard->loop.now_ms + HOLD_MS);
}

static bool begins_with_ack(const struct slice *bytes)
{
	uint8_t type = bytes->size != 0 ? bytes->data[0] >> 4 : 0;
	return type >= MQTT_PUBACK && type <= MQTT_PUBCOMP;
}

/* A client that answers requests acknowledges and then publishes. If it has not switched off Nagle's algorithm, it
 * holds its PUBLISH back until TCP has acknowledged its PUBACK. Our kernel delays that by 40 ms unless output carries
 * it. A client that only consumes would gain nothing and cost a system call for each read, so this is done for only a
 * few reads after each PUBLISH. */
static void acknowledge_at_once(struct shard *shard, struct client *client)
{
	if (client->quick_acks == 0 || client->conn.outbox != 0 ||
	    pending_acks_of(&shard->routing.acks, shard_client_ref(shard, client)) != 0)
		return;
	client->quick_acks = (client->quick_acks - 1u) & 3u;
	COUNT(&shard->counters, quick_acks);
	io_acknowledge(&shard->mem.io, &client->conn);
}

void client_consume(struct shard *shard, struct client_ref ref, struct slice bytes)
{
	struct client *client = shard_client(shard, ref);
	struct slice rest = bytes;
	size_t size = 0;
	if (!client_is_connected(client)) /* the flush that made room for these bytes has shown that it is gone */
		return;
	enum error error = consume_packets(shard, ref, client, &rest, &size);
	if (!client_is_connected(client))
		return;
	if (rest.size != bytes.size)
		keepalive_heard(shard, client);
	if (error != ERROR_OK && error != ERROR_MORE) {
		client_end(shard, ref, error);
		return;
	}
	if (begins_with_ack(&bytes))
		acknowledge_at_once(shard, client);
	if (shard->loop.overload.grade == OVERLOAD_HOLD && client->pause == PAUSE_NONE && begins_with_publish(&bytes))
		hold_publisher(shard, ref, client);
	error = io_keep(&shard->mem.io, &client->conn, rest, size, client->pause != PAUSE_NONE);
	if (error == ERROR_OK && rest.size == 0 && size != 0)
		error = io_skip(&shard->mem.io, &client->conn, size);
	if (error != ERROR_OK)
		client_end(shard, ref, error);
	else if (client->pause == PAUSE_TURN)
		client_resume(shard, ref, PAUSE_TURN);
}
