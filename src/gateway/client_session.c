#include "gateway/client_session.h"

#include "base/log.h"
#include "gateway/admission.h"
#include "gateway/client_packet.h"
#include "gateway/deliver.h"
#include "gateway/handshake.h"
#include "gateway/heartbeat.h"
#include "gateway/members.h"
#include "gateway/presence.h"
#include "gateway/principal.h"
#include "gateway/queue.h"
#include "gateway/routing.h"
#include "gateway/session_cleanup.h"
#include "gateway/shard.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "net/peer.h"

#include <time.h>

/* Reads of an older connection before another one takes its session: a megabyte. */
#define READS_BEFORE_TAKE_OVER 16u
/* A session without a connection is rid of its expired messages so often. */
#define QUEUE_SWEEP_MS 60000u

/* ---- the will ---- */

/* Whether the standard has the will published when the connection ends so [MQTT-3.1.2-8, MQTT-3.1.2-10]. */
static bool will_is_due(enum error reason)
{
	return reason != ERROR_CLOSED_BY_CLIENT && reason != ERROR_SERVER_STOPPING;
}

static enum error store_will(struct shard *shard, struct client *client, const struct admission *admission)
{
	struct slice will = admission_will(admission);
	if (will.size == 0)
		return ERROR_OK;
	struct extras *extras = extras_need(shard, client);
	if (extras == NULL)
		return ERROR_NO_MEMORY;
	struct mqtt_header header;
	struct mqtt_publish publish;
	CHECK(mqtt_header_decode(will.data, will.size, &header) == ERROR_OK);
	CHECK(mqtt_publish_decode(slice_of(will.data + header.header_bytes, header.body_bytes), header.flags,
				  client->version, false, &publish) == ERROR_OK);
	struct publication publication = publication_of(&publish, client->version, will.size, header.header_bytes, 0);
	extras->will = messages_new(&shard->messages, &publication, will.data);
	extras->will_delay_s = admission->will_delay_s;
	return extras->will != 0 ? ERROR_OK : ERROR_NO_MEMORY;
}

static void forget_will(struct shard *shard, struct extras *extras)
{
	if (extras->will != 0)
		messages_put(&shard->messages, extras->will);
	extras->will = 0;
}

/* Whether the client may still publish its will: the right that it had at CONNECT may have been taken since. */
static bool may_publish_will(struct shard *shard, const struct client *client, const struct message *will)
{
	struct slice topic = publication_parts(&will->publication, will->packet).topic;
	if (principal_may_publish(shard, client, topic))
		return true;
	COUNT(&shard->counters, wills_denied);
	log_write(LOG_INFO, "a will on \"%.*s\" is left out: its client may not publish there any more",
		  (int)topic.size, (const char *)topic.data);
	return false;
}

/* The will that is due, which is the caller's now; 0: there is none, or it may not be published any more. */
static uint32_t take_will(struct shard *shard, const struct client *client)
{
	struct extras *extras = extras_of(shard, client);
	uint32_t will = extras != NULL ? extras->will : 0;
	if (will == 0)
		return 0;
	if (!may_publish_will(shard, client, message_at(&shard->messages, will))) {
		forget_will(shard, extras);
		return 0;
	}
	extras->will = 0;
	return will;
}

/* 0: there is none. */
static void publish_will(struct shard *shard, uint32_t will, uint32_t index)
{
	if (will == 0)
		return;
	/* Its time begins now [3.1.3.2.4]: it was kept with its expiry on a clock that stands at 0. */
	struct publication *publication = &message_at(&shard->messages, will)->publication;
	if (publication->expires_s != 0 && publication->expires_s < UINT32_MAX - shard->now_s)
		publication->expires_s += shard->now_s;
	COUNT(&shard->counters, wills_sent);
	routing_publish(shard, will, index);
}

/* ---- ends ---- */

/* The session is over, whether it has a connection or not: nothing of it is left but the client's place. False: of that
 * some is still to be freed, and the place with it. */
static bool end_session(struct shard *shard, uint32_t index)
{
	struct client *client = shard_client(shard, index);
	turn_work_charge(&shard->work, WORK_END);
	uint32_t will = take_will(shard, client); /* while it is known what the client may do */
	registry_remove(&shard->registry, index);
	bool is_clean = session_cleanup(shard, index);
	publish_will(shard, will, index); /* [3.1.3.2.2]: with the session at the latest */
	return is_clean;
}

static void give_place(struct shard *shard, uint32_t index)
{
	client_set_state(shard, shard_client(shard, index), CLIENT_FREE);
	pool_give(&shard->clients, index);
}

void session_is_clean(struct shard *shard, uint32_t index)
{
	if (shard_client(shard, index)->session.id == 0)
		give_place(shard, index);
}

/* One that is taken over goes on at once with its next connection: it counts among those without one for so long only.
 */
static bool may_be_kept(struct shard *shard, enum error reason)
{
	bool room = atomic_fetch_add(shard->sessions_offline, 1) < shard->settings->sessions_offline_max;
	if (room || reason == ERROR_TAKEN_OVER)
		return true;
	atomic_fetch_sub(shard->sessions_offline, 1);
	COUNT(&shard->counters, sessions_refused);
	return false;
}

void session_connection_ended(struct shard *shard, uint32_t index, bool was_active, enum error reason)
{
	struct client *client = shard_client(shard, index);
	struct extras *extras = extras_of(shard, client);
	congestion_end(shard, client);
	members_end(shard, client);
	if (extras != NULL && (!was_active || !will_is_due(reason)))
		forget_will(shard, extras);
	bool kept = extras != NULL && extras->expiry_s != 0 && client->session.id != 0 && may_be_kept(shard, reason);
	if (!kept) {
		end_session(shard, index);
		return;
	}
	if (extras->will_delay_s == 0)
		publish_will(shard, take_will(shard, client), index);
	session_cleanup(shard, index);
	extras_end_connection(shard, client);
	flow_rewind(&extras->flow, &shard->flows);
}

static uint32_t later_s(const struct shard *shard, uint32_t delay_s)
{
	uint64_t at_s = (uint64_t)shard->now_s + delay_s;
	/* The second that has begun does not count. */
	return at_s + 1 < EXTRAS_NEVER_S ? (uint32_t)at_s + 1 : EXTRAS_NEVER_S;
}

static uint64_t deadline_ms(const struct shard *shard, const struct extras *extras)
{
	uint32_t at_s = extras->ends_at_s;
	if (extras->will != 0 && extras->will_at_s < at_s)
		at_s = extras->will_at_s;
	return at_s != EXTRAS_NEVER_S ? shard_clock_ms(shard, at_s) : WHEEL_NEVER;
}

void session_goes_offline(struct shard *shard, uint32_t index)
{
	struct client *client = shard_client(shard, index);
	struct extras *extras = extras_of(shard, client);
	client_set_state(shard, client, CLIENT_OFFLINE);
	extras->ends_at_s = extras->expiry_s == EXTRAS_NEVER_S ? EXTRAS_NEVER_S : later_s(shard, extras->expiry_s);
	extras->will_at_s = later_s(shard, extras->will_delay_s);
	uint64_t deadline = deadline_ms(shard, extras);
	if (extras->flow.queued != 0 && deadline > shard->now_ms + QUEUE_SWEEP_MS)
		deadline = shard->now_ms + QUEUE_SWEEP_MS;
	if (deadline != WHEEL_NEVER)
		wheel_add(&shard->wheel, index, deadline);
}

void session_queue_begins(struct shard *shard, uint32_t index)
{
	uint64_t deadline = deadline_ms(shard, extras_of(shard, shard_client(shard, index)));
	uint64_t sweep_ms = shard->now_ms + QUEUE_SWEEP_MS;
	wheel_remove(&shard->wheel, index);
	wheel_add(&shard->wheel, index, sweep_ms < deadline ? sweep_ms : deadline);
}

/* A session without a connection is over. */
static void end_offline(struct shard *shard, uint32_t index)
{
	extras_leave_offline(extras_of(shard, shard_client(shard, index)));
	wheel_remove(&shard->wheel, index);
	bool is_clean = end_session(shard, index);
	atomic_fetch_sub(shard->sessions_offline, 1);
	if (is_clean)
		give_place(shard, index);
}

void session_end(struct shard *shard, uint32_t index, enum error reason)
{
	struct client *client = shard_client(shard, index);
	/* Its connection ended in this turn, but the session is kept: close the socket now rather than at the end. */
	if (client->state == CLIENT_CLOSING && client->session.id != 0) {
		io_flush_conn(&shard->io, &client->conn);
		client_finish(shard, index);
	}
	if (client->state == CLIENT_OFFLINE) {
		end_offline(shard, index);
		return;
	}
	struct extras *extras = extras_of(shard, client);
	if (extras != NULL)
		extras->expiry_s = 0;
	client_end(shard, index, reason);
}

uint64_t session_visit(struct shard *shard, uint32_t index)
{
	struct extras *extras = extras_of(shard, shard_client(shard, index));
	if (extras->ends_at_s <= shard->now_s) {
		COUNT(&shard->counters, sessions_expired);
		end_offline(shard, index);
		return 0;
	}
	if (extras->will != 0 && extras->will_at_s <= shard->now_s)
		publish_will(shard, take_will(shard, shard_client(shard, index)), index);
	bool whole = queue_drop_expired(shard, shard_client(shard, index));
	uint64_t sweep_ms = extras->flow.queued == 0 ? WHEEL_NEVER : shard->now_ms + (whole ? QUEUE_SWEEP_MS : 1);
	uint64_t deadline = deadline_ms(shard, extras);
	return sweep_ms < deadline ? sweep_ms : deadline;
}

/* ---- coming in ---- */

static void describe_connection(struct shard *shard, struct client *client, struct stream stream,
				const struct admission *admission)
{
	client->conn = (struct conn){.stream = stream, .generation = client->conn.generation};
	client->address = admission->address;
	client->seen_tick = (uint32_t)(shard->now_ms / WHEEL_TICK_MS);
	client->keepalive_s = admission->keepalive_s;
	client->version = admission->version & 7u;
	client->session.is_bridge = admission->is_bridge;
	client->pause = PAUSE_NONE;
	client->ready = 0;
	client->hung_up = 0;
	client->broken = 0;
	client->quick_acks = QUICK_ACKS;
	client->slowed = 0;
	client_set_state(shard, client, CLIENT_GREETING);
}

static uint32_t client_new(struct shard *shard, struct stream stream, const struct admission *admission)
{
	uint32_t index = pool_take(&shard->clients);
	if (index == 0)
		return 0;
	struct client *client = shard_client(shard, index);
	*client = (struct client){.conn = {.generation = client->conn.generation}, .state = CLIENT_FREE};
	describe_connection(shard, client, stream, admission);
	return index;
}

/* The connection's own part of the extras; what is at its default is not stored. */
static enum error describe_extras(struct shard *shard, struct client *client, const struct admission *admission)
{
	uint32_t alias_max = shard->settings->topic_alias_max;
	if (admission->topic_alias_max < alias_max)
		alias_max = admission->topic_alias_max;
	bool bounded = admission->packet_bytes_max < MQTT_BODY_BYTES_MAX + MQTT_HEADER_BYTES_MAX;
	bool plain =
		!bounded && admission->session_expiry_s == 0 && admission->receive_max == UINT16_MAX && alias_max == 0;
	struct extras *extras = plain ? extras_of(shard, client) : extras_need(shard, client);
	if (extras == NULL)
		return plain ? ERROR_OK : ERROR_NO_MEMORY;
	client->bounded = bounded;
	extras->packet_bytes_max = admission->packet_bytes_max;
	extras->expiry_s = admission->session_expiry_s;
	extras->receive_max = admission->receive_max;
	extras->alias_max = (uint16_t)alias_max;
	return ERROR_OK;
}

static struct mqtt_connack connack_of(const struct shard *shard, const struct admission *admission)
{
	const struct settings *settings = shard->settings;
	struct mqtt_connack connack = mqtt_connack_default();
	connack.packet_bytes_max = settings->packet_bytes_max;
	connack.receive_max = (uint16_t)settings->receive_max;
	connack.topic_alias_max = (uint16_t)settings->topic_alias_max;
	connack.has_session_expiry = admission->expiry_changed;
	connack.session_expiry_s = admission->session_expiry_s;
	connack.has_server_keepalive = admission->keepalive_changed;
	connack.server_keepalive_s = admission->keepalive_s;
	if (admission->assigned_id)
		connack.assigned_client_id = admission_id(admission);
	if (admission->uses_auth)
		connack.auth_method = slice_string(AUTH_METHOD_TOKEN);
	if (admission->wants_response_info)
		connack.response_information = slice_string(settings->response_information);
	return connack;
}

/* In scratch; size 0: no room. */
static struct slice encode_connack(struct shard *shard, const struct admission *admission, bool resumed)
{
	struct mqtt_connack connack = connack_of(shard, admission);
	connack.session_present = resumed && admission->version != MQTT_VERSION_3_1; /* 3.1 has no such flag */
	size_t room = 64 + connack.assigned_client_id.size + connack.response_information.size;
	uint8_t *at = io_scratch(&shard->io, room);
	return slice_of(at, at != NULL ? mqtt_connack_encode(&connack, admission->version, at, room) : 0);
}

/* False: no memory. Its size was looked at before. */
static bool greet(struct shard *shard, struct client *client, const struct admission *admission, bool resumed)
{
	struct slice connack = encode_connack(shard, admission, resumed);
	if (connack.size != 0)
		io_send(&shard->io, &client->conn, connack);
	return connack.size != 0;
}

/* Everything of a newcomer that may be wrong with it is looked at before an older connection gives way to it: what the
 * gate could not know yet, a revocation of a moment ago say, and what only the shard knows. *principal is 0, or is to
 * be set or freed. */
static enum error check_newcomer(struct shard *shard, const struct admission *admission, uint32_t *principal)
{
	struct slice id = admission_id(admission);
	*principal = 0;
	if (admission->is_beyond && seats_exceeded(shard->seats)) {
		uint32_t index = registry_find(&shard->registry, (uint32_t)admission->hash, id);
		if (index == 0 || shard_client(shard, index)->state == CLIENT_OFFLINE)
			return ERROR_SERVER_FULL;
	}
	enum error error = access_check_revoked(shard->access, admission_token(admission), admission_user(admission),
						id, (int64_t)time(NULL));
	if (error != ERROR_OK)
		return error;
	if (encode_connack(shard, admission, false).size > admission->packet_bytes_max) /* [MQTT-3.1.2-24] */
		return ERROR_PACKET_TOO_LARGE;
	return principal_new(shard, admission, principal);
}

/* A newcomer that is not let in is told as the gate would have told it, and nothing else has changed. */
static void turn_away(struct shard *shard, struct stream stream, const struct admission *admission, enum error reason)
{
	uint8_t refusal[REFUSAL_BYTES_MAX];
	char text[PEER_TEXT_BYTES_MAX];
	union peer peer = peer_of_stream(&shard->io.streams, stream);
	struct conn conn = {.stream = stream};
	log_write(LOG_INFO, "shard %u: refused a connection from %s: %s", shard->number, peer_print(&peer, text),
		  error_sentence(reason));
	size_t size = handshake_refusal(reason, admission->version, handshake_retry_ms(reason), refusal);
	if (size != 0 && size <= admission->packet_bytes_max)
		io_send_last(&shard->io, &conn, slice_of(refusal, size));
	COUNT(&shard->counters, connections_refused);
	counter_add(&shard->counters.ends[reason], 1);
	addresses_leave(shard->addresses, admission->address, true);
	io_disconnect(&shard->io, &conn);
	seats_give(shard->seats);
}

/* What the client sent behind its CONNECT; output may point to it until the flush, so it moves to scratch. */
static void consume_rest(struct shard *shard, uint32_t index, struct slice rest)
{
	if (rest.size == 0)
		return;
	io_make_room(&shard->io); /* its session's queue may have filled it */
	uint8_t *at = io_scratch(&shard->io, rest.size);
	if (at == NULL) {
		client_end(shard, index, ERROR_NO_MEMORY);
		return;
	}
	memcpy(at, rest.data, rest.size);
	client_consume(shard, index, slice_of(at, rest.size));
}

/* What the older connection has said already counts: it may be its DISCONNECT [MQTT-3.14.4-3]. */
static void hear_out(struct shard *shard, uint32_t index)
{
	struct client *client = shard_client(shard, index);
	for (uint32_t reads = 0; reads < READS_BEFORE_TAKE_OVER; reads++) {
		if (!client_is_connected(client) || client->pause != PAUSE_NONE ||
		    !io_has_input(&shard->io, &client->conn))
			return;
		client_read_now(shard, index);
	}
}

/* The session to go on with, without its connection if it had one; 0: there is none, it is not wanted, or it is another
 * user's, whose messages are not this one's to read. */
static uint32_t find_session(struct shard *shard, uint32_t hash, const struct admission *admission)
{
	struct slice id = admission_id(admission);
	uint32_t index = registry_find(&shard->registry, hash, id);
	if (index == 0)
		return 0;
	struct client *client = shard_client(shard, index);
	hear_out(shard, index);
	/* A clean start ends the session with its connection, and so its will, whatever its delay, is due [3.1.2.5]. */
	bool goes_on = !admission->clean_start && principal_is_same_user(shard, client, admission);
	if (!goes_on && client->extras != 0)
		extras_of(shard, client)->expiry_s = 0;
	client_end(shard, index, ERROR_TAKEN_OVER);
	if (client->session.id == 0) /* it has ended, with its connection or by what it said last */
		return 0;
	if (client->state == CLIENT_CLOSING) {
		io_flush_conn(&shard->io, &client->conn);
		client_finish(shard, index);
	}
	if (goes_on)
		return index;
	end_offline(shard, index);
	return 0;
}

/* The session's next connection. */
static void resume_session(struct shard *shard, uint32_t index, struct stream stream, const struct admission *admission)
{
	struct client *client = shard_client(shard, index);
	wheel_remove(&shard->wheel, index);
	atomic_fetch_sub(shard->sessions_offline, 1);
	extras_leave_offline(extras_of(shard, client));
	forget_will(shard, extras_of(shard, client)); /* [MQTT-3.1.3-9] */
	describe_connection(shard, client, stream, admission);
	session_cleanup(shard, index);
	COUNT(&shard->counters, sessions_resumed);
}

/* What is left that may fail, up to the greeting: only for want of memory. */
static enum error settle(struct shard *shard, uint32_t index, const struct admission *admission, bool resumed)
{
	struct client *client = shard_client(shard, index);
	uint64_t tag = (uint64_t)client->conn.generation << 32 | index;
	if (!resumed &&
	    registry_insert(&shard->registry, index, (uint32_t)admission->hash, admission_id(admission)) != ERROR_OK)
		return ERROR_NO_MEMORY;
	if (describe_extras(shard, client, admission) != ERROR_OK || store_will(shard, client, admission) != ERROR_OK)
		return ERROR_NO_MEMORY;
	int fd = stream_borrow(&shard->io.streams, client->conn.stream);
	enum error error = poller_add(&shard->poller, fd, tag, POLLER_EDGE_BOTH);
	stream_give_back(&shard->io.streams, client->conn.stream, fd);
	if (error != ERROR_OK)
		return error;
	heartbeat_begin(shard, index);
	io_settle(&shard->io, &client->conn);
	return greet(shard, client, admission, resumed) ? ERROR_OK : ERROR_NO_MEMORY;
}

/* Told as the gate would have told it. */
static void refuse(struct shard *shard, const struct client *client, enum error reason)
{
	uint8_t refusal[REFUSAL_BYTES_MAX];
	size_t size = handshake_refusal(reason, client->version, 0, refusal);
	if (size != 0 && extras_take_packet(shard, client, size))
		io_send_last(&shard->io, &client->conn, slice_of(refusal, size));
}

/* A session that goes on with a token that says something else may lose subscriptions. */
static void set_principal(struct shard *shard, uint32_t index, uint32_t made)
{
	struct client *client = shard_client(shard, index);
	const struct principal *before = principal_of(shard, client);
	uint32_t rules = before != NULL ? before->rules : 0;
	/* While both are there no others have their places. */
	bool changed = made != 0 && ((const struct principal *)slab_at(&shard->slab, made))->rules != rules;
	principal_set(shard, client, made);
	if (changed && client->session.subscription != 0)
		review_client(shard, index);
}

void client_admit(struct shard *shard, struct stream stream, const struct admission *admission)
{
	uint32_t principal;
	io_make_room(&shard->io);
	enum error error = check_newcomer(shard, admission, &principal);
	if (error != ERROR_OK) {
		turn_away(shard, stream, admission, error);
		return;
	}
	uint32_t index = find_session(shard, (uint32_t)admission->hash, admission);
	bool resumed = index != 0;
	if (resumed)
		resume_session(shard, index, stream, admission);
	else
		index = client_new(shard, stream, admission);
	if (index == 0) {
		principal_free(shard, principal);
		turn_away(shard, stream, admission, ERROR_SERVER_FULL);
		return;
	}
	set_principal(shard, index, principal);
	error = settle(shard, index, admission, resumed);
	struct client *client = shard_client(shard, index);
	if (error != ERROR_OK) {
		/* A session that never began is not kept. */
		if (!resumed && client->extras != 0)
			extras_of(shard, client)->expiry_s = 0;
		refuse(shard, client, error);
		client_end(shard, index, error);
		return;
	}
	client_set_state(shard, client, CLIENT_ACTIVE);
	shard_note_connected(shard, index);
	COUNT(&shard->counters, connections_signed_in);
	presence_connected(shard, client);
	deliver_queued(shard, index);
	retained_jobs_wake(shard, index);
	consume_rest(shard, index, admission_rest(admission));
}
