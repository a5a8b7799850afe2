#include "gateway/client_session.h"

#include "gateway/admission.h"
#include "gateway/client_packet.h"
#include "gateway/deliver.h"
#include "gateway/handshake.h"
#include "gateway/heartbeat.h"
#include "gateway/members.h"
#include "gateway/presence.h"
#include "gateway/principal.h"
#include "gateway/queue.h"
#include "gateway/route.h"
#include "gateway/shard.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"

#include <sys/socket.h>
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

static void publish_will(struct shard *shard, struct extras *extras)
{
	uint32_t will = extras->will;
	if (will == 0)
		return;
	extras->will = 0;
	/* Its time begins now [3.1.3.2.4]: it was kept with its expiry on a clock that stands at 0. */
	struct publication *publication = &message_at(&shard->messages, will)->publication;
	if (publication->expires_s != 0 && publication->expires_s < UINT32_MAX - shard->now_s)
		publication->expires_s += shard->now_s;
	COUNT(&shard->counters, wills_sent);
	route_publish_kept(shard, will);
}

/* ---- ends ---- */

/* What members of shared subscriptions had under way goes to others who are there [4.8.2]. Where there is nobody else
 * it stays with a session that is kept. */
static void hand_on_shared(struct shard *shard, struct client *client)
{
	if (!client->session.has_shared)
		return;
	subscriptions_set_live(&shard->subscriptions, &client->session, false);
	struct extras *extras = extras_of(shard, client);
	if (extras == NULL)
		return;
	struct flow_walk walk = {0};
	const struct flow_entry *entry;
	while ((entry = flow_next_shared(&extras->flow, &shard->flows, &walk)) != NULL) {
		const struct subscription *subscription = queue_subscription(shard, client, entry);
		route_bits route =
			subscription != NULL
				? subscriptions_other_member(&shard->subscriptions, entry->subscription, &shard->routes)
				: 0;
		if (route == 0)
			continue;
		COUNT(&shard->counters, messages_handed_on);
		route_hand_on(shard, flow_take_shared(&extras->flow, &shard->flows, &walk), route);
	}
}

/* The session is over, whether it has a connection or not: nothing of it is left but the client's place. */
static void end_session(struct shard *shard, uint32_t index)
{
	struct client *client = shard_client(shard, index);
	hand_on_shared(shard, client);
	subscriptions_clear(&shard->subscriptions, &client->session);
	registry_remove(&shard->registry, index);
	struct extras *extras = extras_of(shard, client);
	if (extras != NULL)
		publish_will(shard, extras); /* [3.1.3.2.2]: with the session at the latest */
	extras_drop(shard, client);
	principal_drop(shard, client);
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
		publish_will(shard, extras);
	hand_on_shared(shard, client);
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
	struct client *client = shard_client(shard, index);
	extras_leave_offline(extras_of(shard, client));
	wheel_remove(&shard->wheel, index);
	end_session(shard, index);
	atomic_fetch_sub(shard->sessions_offline, 1);
	client_set_state(shard, client, CLIENT_FREE);
	pool_give(&shard->clients, index);
}

void session_end(struct shard *shard, uint32_t index, enum error reason)
{
	struct client *client = shard_client(shard, index);
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
		publish_will(shard, extras);
	bool whole = queue_drop_expired(shard, shard_client(shard, index));
	uint64_t sweep_ms = extras->flow.queued == 0 ? WHEEL_NEVER : shard->now_ms + (whole ? QUEUE_SWEEP_MS : 1);
	uint64_t deadline = deadline_ms(shard, extras);
	return sweep_ms < deadline ? sweep_ms : deadline;
}

/* ---- coming in ---- */

static void describe_connection(struct shard *shard, struct client *client, int fd, const struct admission *admission)
{
	client->conn = (struct conn){.fd = fd, .generation = client->conn.generation};
	client->address = admission->address;
	client->seen_tick = (uint32_t)(shard->now_ms / WHEEL_TICK_MS);
	client->keepalive_s = admission->keepalive_s;
	client->version = admission->version & 7u;
	client->pause = PAUSE_NONE;
	client->ready = 0;
	client->hung_up = 0;
	client->broken = 0;
	client->slowed = 0;
	client_set_state(shard, client, CLIENT_GREETING);
}

static uint32_t client_new(struct shard *shard, int fd, const struct admission *admission)
{
	uint32_t index = pool_take(&shard->clients);
	if (index == 0)
		return 0;
	struct client *client = shard_client(shard, index);
	*client = (struct client){.conn = {.generation = client->conn.generation}, .state = CLIENT_FREE};
	describe_connection(shard, client, fd, admission);
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

/* CONNACK. False when it is larger than the client takes [MQTT-3.1.2-24]. */
static bool greet(struct shard *shard, struct client *client, const struct admission *admission, bool resumed)
{
	const struct settings *settings = shard->settings;
	struct mqtt_connack connack = mqtt_connack_default();
	connack.session_present = resumed && client->version != MQTT_VERSION_3_1; /* 3.1 has no such flag */
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

	size_t room = 64 + connack.assigned_client_id.size + connack.response_information.size;
	uint8_t *at = io_scratch(&shard->io, room);
	size_t size = at != NULL ? mqtt_connack_encode(&connack, client->version, at, room) : 0;
	if (size == 0 || !extras_take_packet(shard, client, size))
		return false;
	io_send(&shard->io, &client->conn, slice_of(at, size));
	return true;
}

/* No room for it after all: it is closed. The gate counts seats, so this is rare. */
static void turn_away(struct shard *shard, int fd, uint32_t address)
{
	addresses_leave(shard->addresses, address, true);
	struct conn conn = {.fd = fd};
	io_disconnect(&shard->io, &conn);
	seats_give(shard->seats);
	counter_add(&shard->counters.ends[ERROR_SERVER_FULL], 1);
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
		client_read(shard, index);
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
static void resume_session(struct shard *shard, uint32_t index, int fd, const struct admission *admission)
{
	struct client *client = shard_client(shard, index);
	wheel_remove(&shard->wheel, index);
	atomic_fetch_sub(shard->sessions_offline, 1);
	extras_leave_offline(extras_of(shard, client));
	forget_will(shard, extras_of(shard, client)); /* [MQTT-3.1.3-9] */
	describe_connection(shard, client, fd, admission);
	subscriptions_set_live(&shard->subscriptions, &client->session, true);
	COUNT(&shard->counters, sessions_resumed);
}

/* Everything of a client that may fail, up to its greeting. */
static enum error settle(struct shard *shard, uint32_t index, const struct admission *admission, bool resumed)
{
	struct client *client = shard_client(shard, index);
	uint64_t tag = (uint64_t)client->conn.generation << 32 | index;
	if (!resumed &&
	    registry_insert(&shard->registry, index, (uint32_t)admission->hash, admission_id(admission)) != ERROR_OK)
		return ERROR_NO_MEMORY;
	enum error error = principal_take(shard, client, admission);
	if (error == ERROR_OK)
		error = access_check_revoked(shard->access, admission_token(admission), admission_user(admission),
					     admission_id(admission), (int64_t)time(NULL));
	if (error != ERROR_OK)
		return error;
	if (describe_extras(shard, client, admission) != ERROR_OK || store_will(shard, client, admission) != ERROR_OK)
		return ERROR_NO_MEMORY;
	if (poller_add(&shard->poller, client->conn.fd, tag, POLLER_EDGE_BOTH) != ERROR_OK)
		return ERROR_SYSTEM;
	heartbeat_begin(shard, index);
	io_settle(&shard->io, &client->conn);
	return greet(shard, client, admission, resumed) ? ERROR_OK : ERROR_PACKET_TOO_LARGE;
}

/* What the gate could not know yet, a revocation of a moment ago say, is told as the gate would have told it. */
static void refuse(struct shard *shard, const struct client *client, enum error reason)
{
	uint8_t refusal[REFUSAL_BYTES_MAX];
	size_t size = handshake_refusal(reason, client->version, 0, refusal);
	if (size == 0 || !extras_take_packet(shard, client, size))
		return;
	ssize_t sent = send(client->conn.fd, refusal, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)sent; /* a new socket's buffer takes it, or the peer is gone */
}

void client_admit(struct shard *shard, int fd, const struct admission *admission)
{
	io_make_room(&shard->io);
	uint32_t index = find_session(shard, (uint32_t)admission->hash, admission);
	bool resumed = index != 0;
	if (resumed)
		resume_session(shard, index, fd, admission);
	else
		index = client_new(shard, fd, admission);
	if (index == 0) {
		turn_away(shard, fd, admission->address);
		return;
	}
	enum error error = settle(shard, index, admission, resumed);
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
	consume_rest(shard, index, admission_rest(admission));
}
