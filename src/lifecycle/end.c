#include "lifecycle/end.h"

#include "access/addresses.h"
#include "base/log.h"
#include "client/presence.h"
#include "deliver/congestion.h"
#include "deliver/members.h"
#include "deliver/origin/origin.h"
#include "lifecycle/cleanup.h"
#include "lifecycle/moving.h"
#include "lifecycle/stored/durable.h"
#include "lifecycle/will.h"
#include "mqtt/encode.h"
#include "mqtt/field/reason.h"
#include "net/peer.h"
#include "route/routing.h"
#include "runtime/client_transport.h"
#include "runtime/nodes/moves.h"
#include "state/client_state.h"
#include "state/extension.h"
#include "state/offline.h"
#include "state/release.h"
#include "state/shard.h"
#include "state/tell_nodes.h"

/* ---- DISCONNECT ---- */

/* Either the peer is gone, or the server stops and wants its clients back. Some clients take any DISCONNECT as a
 * request to stay away, while all of them reconnect after a connection that just closes. */
static bool ends_silently(const struct shard *shard, enum error reason)
{
	bool gone = reason == ERROR_CLOSED_BY_CLIENT || reason == ERROR_CLOSED_WITH_WILL ||
		    reason == ERROR_CONNECTION_LOST || reason == ERROR_STUCK_READER || reason == ERROR_PEER_DEAD;
	return gone || (reason == ERROR_SERVER_STOPPING && !shard->env.settings->disconnect_on_stop);
}

/* Tells a version 5 client why its connection ends [3.14]; not before it was sent its CONNACK [MQTT-3.14.0-1]. */
static void send_disconnect(struct shard *shard, struct client *client, enum error reason)
{
	/* What was to wait for a commit never leaves. */
	if (io_held(&shard->mem.io, &client->conn) != 0 && !io_drop_held(&shard->mem.io, &client->conn))
		return;
	if (ends_silently(shard, reason) || client->version != MQTT_VERSION_5)
		return;
	struct slice sentence = slice_string(error_sentence(reason));
	struct slice reference = slice_string(drain_reference_for(&shard->env.settings->drain, reason));
	size_t room = sentence.size + reference.size + 32;
	uint8_t *at = io_scratch(&shard->mem.io, room);
	if (at == NULL)
		return;
	uint8_t code = (uint8_t)mqtt_disconnect_reason_of(reason);
	size_t size = mqtt_disconnect_encode(code, sentence, reference, client->version, at, room);
	/* The reason string is left out if the packet would be too large for the client [MQTT-3.14.2-3]. */
	if (!extension_take_packet(shard, client, size))
		size = mqtt_disconnect_encode(code, slice_of(NULL, 0), reference, client->version, at, room);
	if (size != 0 && extension_take_packet(shard, client, size))
		io_send(&shard->mem.io, &client->conn, slice_of(at, size));
}

static void log_end(struct shard *shard, const struct client *client, enum error reason)
{
	enum log_level level = error_rule(reason)[0] != '\0' && reason != ERROR_CLOSED_BY_CLIENT ? LOG_INFO : LOG_DEBUG;
	if (!log_enabled(level) || client->session.id == 0)
		return;
	struct slice id = registry_id(&shard->sessions.registry, &client->session);
	char text[PEER_TEXT_BYTES_MAX];
	union peer peer = peer_of_stream(&shard->mem.io.streams, client->conn.stream);
	/* The address comes first, because the client chose its id: a line must not be able to fake another address. */
	log_write(level, "%s: client \"%.*s\" ended: %s [%s]", peer_print(&peer, text), (int)id.size,
		  (const char *)id.data, error_sentence(reason), error_rule(reason));
}

/* ---- the session ---- */

/* Takes the will that is published now, and tells of it while the client still has its id. */
static struct message_ref take_will(struct shard *shard, const struct client *client)
{
	struct message_ref will = will_take(shard, client);
	if (!message_ref_is_none(will))
		presence_will_published(shard, client, will);
	return will;
}

/* Ends the session, with or without a connection; only the client's place remains. ERROR_OK: nobody was told that it
 * had begun, nor is of its end. False: some of the session is still to be freed, and its place goes then. */
static bool end_session(struct shard *shard, struct client_ref ref, enum error reason)
{
	struct client *client = shard_client(shard, ref);
	turn_work_charge(&shard->loop.work, WORK_END);
	struct message_ref will = take_will(shard, client); /* before the principal is freed */
	if (reason != ERROR_OK)
		presence_session_ended(shard, client, reason);
	struct origin *origin = !message_ref_is_none(will) ? origin_keep(shard, ref) : NULL;
	durable_ended(shard, ref);
	if (shard->sessions.moves != NULL && client->session.id != 0 && !is_moving(shard, ref))
		moving_session_ended(shard, registry_id(&shard->sessions.registry, &client->session));
	registry_remove(&shard->sessions.registry, ref);
	pending_acks_drop(&shard->routing.acks, ref);
	bool is_clean = session_cleanup(shard, ref);
	will_publish(shard, will, ref, origin); /* no later than the end of the session [3.1.3.2.2] */
	return is_clean;
}

static void end_offline(struct shard *shard, struct client_ref ref, enum error reason)
{
	CHECK(shard_client(shard, ref)->state == CLIENT_OFFLINE);
	extension_leave_offline(extension_of(shard, shard_client(shard, ref)));
	wheel_remove(&shard->loop.wheel, ref.index);
	bool is_clean = end_session(shard, ref, reason);
	uint32_t offline = atomic_fetch_sub(shard->env.sessions_offline, 1);
	CHECK_NE(offline, 0u);
	if (is_clean)
		session_give_place(shard, ref);
}

void end_moved(struct shard *shard, struct client_ref ref)
{
	will_forget(shard, shard_client(shard, ref));
	end_offline(shard, ref, ERROR_OK);
}

/* Whether the limit of OFFLINE sessions allows one more, which is counted then. A session that is taken over may pass
 * the limit, since its next connection resumes it at once; and so may one of Roost's own. */
static bool may_be_kept(struct shard *shard, bool passes)
{
	bool room = atomic_fetch_add(shard->env.sessions_offline, 1) < shard->env.settings->sessions_offline_max;
	if (room || passes)
		return true;
	atomic_fetch_sub(shard->env.sessions_offline, 1);
	COUNT(&shard->counters, sessions_refused);
	return false;
}

/* Ends what the session has of the connection. The session itself is kept or ends. */
static void leave_connection(struct shard *shard, struct client_ref ref, bool greeted, enum error reason,
			     bool is_taken_over)
{
	struct client *client = shard_client(shard, ref);
	struct extension *extension = extension_of(shard, client);
	congestion_end(shard, client);
	members_end(shard, client);
	if (extension != NULL && (!greeted || !will_is_due(reason)))
		will_forget(shard, client);
	bool lasts = extension != NULL && extension->expiry_s != 0 && client->session.id != 0;
	if (!lasts || !may_be_kept(shard, is_taken_over || client_is_internal(client))) {
		end_session(shard, ref, lasts ? ERROR_LIMIT : greeted ? reason : ERROR_OK);
		return;
	}
	if (extension->will_delay_s == 0)
		will_publish(shard, take_will(shard, client), ref, NULL);
	session_cleanup(shard, ref);
	extension_end_connection(shard, client);
	flow_rewind(&extension->flow, &shard->mem.flows);
}

/* ---- the step ---- */

static void end_connection(struct shard *shard, struct client_ref ref, bool greeted, enum error reason,
			   bool is_taken_over)
{
	struct client *client = shard_client(shard, ref);
	CHECK(client->state == CLIENT_CLOSING && stream_exists(client->conn.stream));
	turn_work_charge(&shard->loop.work, WORK_END);
	if (client->pause == PAUSE_ROOM)
		routing_disown(shard, ref);
	pending_acks_forget(&shard->routing.acks, ref);
	counter_add(&shard->counters.ends[reason], 1);
	log_end(shard, client, reason);
	if (greeted) {
		send_disconnect(shard, client, reason);
		presence_disconnected(shard, client, reason);
	}
	leave_connection(shard, ref, greeted, reason, is_taken_over);
	client_list_push(&shard->sessions.closing, ref);
}

static void end_carry_out(struct shard *shard, const struct ending *ending, bool is_taken_over)
{
	struct client_ref ref = ending->client;
	struct extension *extension = extension_of(shard, shard_client(shard, ref));
	switch ((enum ending_kind)ending->kind) {
	case ENDING_CONNECTION:
	case ENDING_GREETING:
		end_connection(shard, ref, ending->kind == ENDING_CONNECTION, (enum error)ending->reason,
			       is_taken_over);
		break;
	case ENDING_SESSION:
		end_offline(shard, ref, (enum error)ending->reason);
		break;
	case ENDING_WILL:
		/* The will may have been published or dropped since it was noted. */
		if (shard_client(shard, ref)->state == CLIENT_OFFLINE && offline_will_is_due(shard, extension))
			will_publish(shard, take_will(shard, shard_client(shard, ref)), ref, NULL);
		break;
	}
}

/* False: a take-over carried it out already. */
static bool is_current(const struct shard *shard, const struct ending *ending)
{
	return !client_ref_is_none(ending->client) &&
	       shard_client(shard, ending->client)->conn.generation == ending->generation;
}

void end_run(struct shard *shard)
{
	struct endings *endings = &shard->sessions.endings;
	uint64_t until = turn_work_share(&shard->loop.work, WORK_SHARE_ENDS);
	/* This step may note further ends, such as a subscriber that is found broken while a will is sent. They join
	 * the end of the queue. */
	while (endings->first != endings->count && !turn_work_is_spent(&shard->loop.work, until)) {
		struct ending ending = endings->items[endings->first++];
		if (!is_current(shard, &ending))
			continue;
		turn_work_step_begin(&shard->loop.work);
		end_carry_out(shard, &ending, false);
		turn_work_step_end(&shard->loop.work, &shard->counters);
	}
}

void connection_count(struct shard *shard, const struct client *client, int64_t change)
{
	if (client_is_internal(client)) {
		counter_add(&shard->counters.values[COUNTER_connections_internal], (uint64_t)change);
		return;
	}
	struct stream_facts facts = stream_facts(&shard->mem.io.streams, client->conn.stream);
	enum client_transport transport = client_transport(&facts, client->session.is_unix);
	_Static_assert(COUNTER_connections_unix - COUNTER_connections_tcp == CLIENT_UNIX - CLIENT_TCP,
		       "in the same order");
	counter_add(&shard->counters.values[COUNTER_connections_open], (uint64_t)change);
	counter_add(&shard->counters.values[COUNTER_connections_tcp + transport], (uint64_t)change);
}

static void close_connection(struct shard *shard, struct client_ref ref)
{
	struct client *client = shard_client(shard, ref);
	CHECK(client->state == CLIENT_CLOSING);
	/* First what others count: a peer that sees the end of its connection finds its place free. */
	addresses_leave(shard->env.addresses, client->address, true);
	quota_give(shard->env.quota);
	connection_count(shard, client, -1);
	client->address = 0;
	io_disconnect(&shard->mem.io, &client->conn);
	client->conn.generation++;
	if (client->session.id != 0) {
		offline_begin(shard, ref);
		durable_left(shard, ref);
	} else if (!client->session.cleaning) { /* else the cleanup frees the place */
		session_give_place(shard, ref);
	}
}

void end_close(struct shard *shard)
{
	struct client_list *closing = &shard->sessions.closing;
	for (uint32_t i = 0; i < closing->count; i++)
		close_connection(shard, closing->items[i]);
	closing->count = 0;
}

/* ---- take-over ---- */

/* Looking through the queue costs little an entry, but it may be long, and many clients take over in a turn. */
#define LOOKED_AT_PER_WORK_ENTRY 64u

/* Takes the client's next noted end out of the queue. False: there is none. */
static bool take_noted(struct shard *shard, struct client_ref ref, struct ending *noted)
{
	struct endings *endings = &shard->sessions.endings;
	turn_work_charge(&shard->loop.work, (endings->count - endings->first) / LOOKED_AT_PER_WORK_ENTRY * WORK_ENTRY);
	for (uint32_t i = endings->first; i < endings->count; i++) {
		if (!client_ref_equal(endings->items[i].client, ref) || !is_current(shard, &endings->items[i]))
			continue;
		*noted = endings->items[i];
		endings->items[i].client = client_ref_none();
		return true;
	}
	return false;
}

void end_for_take_over(struct shard *shard, struct client_ref ref)
{
	struct ending noted;
	while (take_noted(shard, ref, &noted)) {
		end_carry_out(shard, &noted, true);
		if (noted.kind != ENDING_CONNECTION && noted.kind != ENDING_GREETING)
			continue;
		struct client_list *closing = &shard->sessions.closing;
		CHECK(closing->count != 0 && client_ref_equal(closing->items[closing->count - 1], ref));
		closing->count--;
		struct conn *conn = &shard_client(shard, ref)->conn;
		if (conn->kept != 0)
			io_flush(&shard->mem.io); /* others' output may point into its input, which goes now */
		else
			io_flush_conn(&shard->mem.io, conn);
		close_connection(shard, ref);
	}
}
