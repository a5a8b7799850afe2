#include "lifecycle/admit.h"

#include "access/access.h"
#include "access/addresses.h"
#include "access/admission.h"
#include "access/handshake.h"
#include "base/log.h"
#include "client/conn.h"
#include "client/keepalive.h"
#include "client/packet.h"
#include "client/presence.h"
#include "client/review.h"
#include "deliver/outgoing.h"
#include "deliver/queue.h"
#include "lifecycle/cleanup.h"
#include "lifecycle/end.h"
#include "lifecycle/moving.h"
#include "lifecycle/stored/durable.h"
#include "lifecycle/will.h"
#include "mqtt/encode.h"
#include "net/peer.h"
#include "route/retained_jobs.h"
#include "state/client_state.h"
#include "state/ending.h"
#include "state/extension.h"
#include "state/offline.h"
#include "state/principal.h"
#include "state/release.h"
#include "state/shard.h"

#include <time.h>

/* How often the older connection is read before it is taken over: a megabyte at most. */
#define READS_BEFORE_TAKE_OVER 16u

/* What a newcomer needs. All of it is made before the older connection loses anything, so nothing can fail later. */
struct newcomer {
	const struct admission *admission;
	struct stream stream;
	struct client_ref older;  /* client with the same id, connected or not; or none */
	struct client_ref client; /* the newcomer's place: the older client's if it resumes, else a new one */
	bool resumes;             /* the older client's session */
	uint16_t generation;      /* of its connection, as the poller's tag has it */
	uint32_t id;              /* for registry_file(), unless it resumes; 0: none */
	uint64_t told;            /* events of the journal, before it took anything over */
	struct message_ref will;
	struct principal_ref principal;
};

/* ---- CONNACK ---- */

static struct mqtt_connack connack_of(const struct shard *shard, const struct admission *admission)
{
	const struct settings *settings = shard->env.settings;
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

/* The CONNACK, in scratch. Size 0: no memory. */
static struct slice encode_connack(struct shard *shard, const struct admission *admission, bool resumed)
{
	struct mqtt_connack connack = connack_of(shard, admission);
	connack.session_present = resumed && admission->version != MQTT_VERSION_3_1; /* 3.1 has no such flag */
	size_t room = 64 + connack.assigned_client_id.size + connack.response_information.size;
	uint8_t *at = io_scratch(&shard->mem.io, room);
	return slice_of(at, at != NULL ? mqtt_connack_encode(&connack, admission->version, at, room) : 0);
}

/* Whether the CONNACK says something that a commit has to make safe: that there is a session from now on, or that the
 * one that was there is not any more. */
static bool tells_of_session(const struct shard *shard, const struct newcomer *newcomer)
{
	return shard_client(shard, newcomer->client)->session.journaled ||
	       shard->sessions.journal.told != newcomer->told;
}

/* False: no memory. check_newcomer() has checked the CONNACK's size. */
static bool greet(struct shard *shard, const struct newcomer *newcomer)
{
	struct slice connack = encode_connack(shard, newcomer->admission, newcomer->resumes);
	if (connack.size == 0)
		return false;
	if (commit_waits_are_on(&shard->routing.commits) && tells_of_session(shard, newcomer) &&
	    outgoing_hold(shard, newcomer->client, true) != ERROR_OK)
		return false;
	io_send(&shard->mem.io, &shard_client(shard, newcomer->client)->conn, connack);
	return true;
}

/* ---- checks ---- */

/* All checks come before an older connection gives way. They cover what the gate could not know yet, such as a
 * revocation a moment ago, and what only the shard knows. */
static enum error check_newcomer(struct shard *shard, const struct newcomer *newcomer)
{
	const struct admission *admission = newcomer->admission;
	struct slice id = admission_id(admission);
	bool takes_a_place =
		client_ref_is_none(newcomer->older) || shard_client(shard, newcomer->older)->state == CLIENT_OFFLINE;
	if (admission->is_beyond && quota_exceeded(shard->env.quota) && takes_a_place)
		return ERROR_SERVER_FULL;
	enum error error = ERROR_OK;
	if (admission->address != ADDRESSES_INTERNAL)
		error = access_check_revoked(shard->env.access, admission_token(admission), admission_user(admission),
					     id, (int64_t)time(NULL));
	if (error != ERROR_OK)
		return error;
	if (encode_connack(shard, admission, false).size > admission->packet_bytes_max) /* [MQTT-3.1.2-24] */
		return ERROR_PACKET_TOO_LARGE;
	return ERROR_OK;
}

/* A session that is to outlive its connection cannot begin while the store is full. One that is there may go on, until
 * the store's buffers are full: each connection tells of itself and of its will, and its CONNACK waits, so its client
 * gives up and comes again. That would fill the memory. */
static enum error check_room(struct shard *shard, const struct newcomer *newcomer)
{
	bool resumes = newcomer->resumes;
	if (!resumes && newcomer->admission->session_expiry_s == 0)
		return ERROR_OK;
	if (resumes ? !shard_store_is_behind(shard) : !shard_store_is_full(shard))
		return ERROR_OK;
	COUNT(&shard->counters, store_refused_sessions);
	return ERROR_STORE_FULL;
}

void client_turn_away(struct shard *shard, struct stream stream, const struct admission *admission, enum error reason)
{
	uint8_t refusal[REFUSAL_BYTES_MAX];
	char text[PEER_TEXT_BYTES_MAX];
	union peer peer = peer_of_stream(&shard->mem.io.streams, stream);
	struct conn conn = {.stream = stream};
	log_write(LOG_INFO, "shard %u: refused a connection from %s: %s", shard->env.number, peer_print(&peer, text),
		  error_sentence(reason));
	size_t size = handshake_refusal(reason, "", admission->version, handshake_retry_ms(reason), refusal);
	if (size != 0 && size <= admission->packet_bytes_max)
		io_send_last(&shard->mem.io, &conn, slice_of(refusal, size));
	COUNT(&shard->counters, connections_refused);
	counter_add(&shard->counters.ends[reason], 1);
	addresses_leave(shard->env.addresses, admission->address, true);
	io_disconnect(&shard->mem.io, &conn);
	quota_give(shard->env.quota);
}

void client_read_remaining(struct shard *shard, struct client_ref ref)
{
	struct client *client = shard_client(shard, ref);
	for (uint32_t reads = 0; reads < READS_BEFORE_TAKE_OVER; reads++) {
		if (!client_is_connected(client) || client->pause != PAUSE_NONE ||
		    !io_has_input(&shard->mem.io, &client->conn))
			return;
		client_read_now(shard, ref);
	}
}

/* Whether the newcomer resumes the older client's session: the session outlives its connection and has not expired, the
 * newcomer does not ask for a clean start, and both have the same user. Another user must not read the messages. */
static bool resumes_session(struct shard *shard, const struct newcomer *newcomer)
{
	if (client_ref_is_none(newcomer->older) || newcomer->admission->clean_start)
		return false;
	const struct client *older = shard_client(shard, newcomer->older);
	const struct extension *extension = extension_of(shard, older);
	if (extension == NULL || extension->expiry_s == 0 || !principal_is_same_user(shard, older, newcomer->admission))
		return false;
	return older->state != CLIENT_OFFLINE || !offline_is_over(shard, extension);
}

/* ---- allocations ---- */

static void describe_connection(struct shard *shard, struct client *client, const struct newcomer *newcomer)
{
	const struct admission *admission = newcomer->admission;
	client->conn = (struct conn){.stream = newcomer->stream, .generation = client->conn.generation};
	client->address = admission->address;
	client->seen_tick = (uint32_t)(shard->loop.now_ms / WHEEL_TICK_MS);
	client->keepalive_s = admission->keepalive_s;
	client->version = admission->version & 7u;
	client->session.is_bridge = admission->is_bridge;
	client->session.is_unix = admission->is_unix;
	client->pause = PAUSE_NONE;
	client->ready = 0;
	client->hung_up = 0;
	client->quick_acks = QUICK_ACKS;
	client->slowed = 0;
	client_set_state(shard, client, CLIENT_GREETING);
	connection_count(shard, client, 1);
}

/* Fills in the connection's part of the extension. Without an extension all of it has its default. */
static enum error describe_extension(struct shard *shard, struct client *client, const struct admission *admission)
{
	uint32_t alias_max = shard->env.settings->topic_alias_max;
	if (admission->topic_alias_max < alias_max)
		alias_max = admission->topic_alias_max;
	bool bounded = admission->packet_bytes_max < MQTT_BODY_BYTES_MAX + MQTT_HEADER_BYTES_MAX;
	bool plain =
		!bounded && admission->session_expiry_s == 0 && admission->receive_max == UINT16_MAX && alias_max == 0;
	struct extension *extension = plain ? extension_of(shard, client) : extension_need(shard, client);
	if (extension == NULL)
		return plain ? ERROR_OK : ERROR_NO_MEMORY;
	client->bounded = bounded;
	extension->packet_bytes_max = admission->packet_bytes_max;
	extension->expiry_s = admission->session_expiry_s;
	extension->receive_max = admission->receive_max;
	extension->alias_max = (uint16_t)alias_max;
	return ERROR_OK;
}

/* The generation of the newcomer's connection. It differs from the place's, where the older connection has yet to
 * close: closing increments it. */
static uint16_t next_generation(const struct shard *shard, const struct newcomer *newcomer)
{
	const struct client *client = shard_client(shard, newcomer->client);
	bool closes_first = newcomer->resumes && client->state != CLIENT_OFFLINE;
	return (uint16_t)(client->conn.generation + (closes_first ? 1 : 0));
}

static enum error make_place(struct shard *shard, struct newcomer *newcomer)
{
	const struct admission *admission = newcomer->admission;
	newcomer->client = newcomer->resumes ? newcomer->older : client_take(&shard->mem.clients);
	if (client_ref_is_none(newcomer->client))
		return ERROR_SERVER_FULL;
	if (newcomer->resumes)
		return ERROR_OK;
	struct client *client = shard_client(shard, newcomer->client);
	*client = (struct client){
		.conn = {.generation = client->conn.generation},
		.state = CLIENT_FREE,
		.held_acks = client->held_acks,
	};
	newcomer->id = registry_store_id(&shard->sessions.registry, admission_id(admission));
	if (newcomer->id == 0)
		return ERROR_NO_MEMORY;
	return describe_extension(shard, client, admission);
}

static enum error poll_stream(struct shard *shard, struct newcomer *newcomer)
{
	struct streams *streams = &shard->mem.io.streams;
	newcomer->generation = next_generation(shard, newcomer);
	uint64_t tag = (uint64_t)newcomer->generation << 32 | newcomer->client.index;
	int fd = stream_borrow(streams, newcomer->stream);
	enum error error = poller_add(&shard->loop.poller, fd, tag, POLLER_EDGE_BOTH);
	stream_give_back(streams, newcomer->stream, fd);
	return error;
}

/* On an error, such as ERROR_NO_MEMORY, unmake() frees what was made so far. */
static enum error make(struct shard *shard, struct newcomer *newcomer)
{
	enum error error = make_place(shard, newcomer);
	if (error == ERROR_OK)
		error = principal_new(shard, newcomer->admission, &newcomer->principal);
	if (error == ERROR_OK)
		error = will_make(shard, newcomer->admission, &newcomer->will);
	if (error == ERROR_OK && !message_ref_is_none(newcomer->will) && !newcomer->resumes &&
	    extension_need(shard, shard_client(shard, newcomer->client)) == NULL)
		error = ERROR_NO_MEMORY;
	if (error == ERROR_OK)
		error = poll_stream(shard, newcomer);
	return error;
}

static void unmake(struct shard *shard, struct newcomer *newcomer)
{
	if (!message_ref_is_none(newcomer->will))
		messages_put(&shard->mem.messages, newcomer->will);
	principal_free(shard, newcomer->principal);
	if (newcomer->id != 0)
		registry_drop_id(&shard->sessions.registry, newcomer->id);
	if (client_ref_is_none(newcomer->client) || newcomer->resumes)
		return;
	extension_drop(shard, shard_client(shard, newcomer->client));
	client_give(&shard->mem.clients, newcomer->client);
}

/* ---- take-over ---- */

/* Ends the older connection. Its session ends with it unless the newcomer resumes it. So after a clean start the will
 * is due at once, whatever its delay [3.1.2.5]. */
static void take_over(struct shard *shard, const struct newcomer *newcomer)
{
	struct client_ref ref = newcomer->older;
	const struct client *client = shard_client(shard, ref);
	if (!newcomer->resumes)
		session_end(shard, ref, ERROR_TAKEN_OVER);
	else if (client->state != CLIENT_OFFLINE)
		client_end(shard, ref, ERROR_TAKEN_OVER);
	end_for_take_over(shard, ref);
	if (!newcomer->resumes)
		moving_session_follows(shard, admission_id(newcomer->admission));
	CHECK(!newcomer->resumes || (client->state == CLIENT_OFFLINE && client->session.id != 0));
}

/* Gives the session its next connection. */
static void resume_session(struct shard *shard, const struct newcomer *newcomer)
{
	struct client *client = shard_client(shard, newcomer->client);
	struct extension *extension = extension_of(shard, client);
	wheel_remove(&shard->loop.wheel, newcomer->client.index);
	uint32_t offline = atomic_fetch_sub(shard->env.sessions_offline, 1);
	CHECK_NE(offline, 0u);
	extension_leave_offline(extension);
	will_forget(shard, client); /* [MQTT-3.1.3-9] */
	describe_connection(shard, client, newcomer);
	CHECK(describe_extension(shard, client, newcomer->admission) == ERROR_OK); /* the extension exists */
	session_cleanup(shard, newcomer->client);
	COUNT(&shard->counters, sessions_resumed);
}

static void begin_session(struct shard *shard, const struct newcomer *newcomer)
{
	struct client *client = shard_client(shard, newcomer->client);
	describe_connection(shard, client, newcomer);
	CHECK_NE(newcomer->id, 0u);
	registry_file(&shard->sessions.registry, newcomer->client, (uint32_t)newcomer->admission->hash, newcomer->id);
}

/* Handles what the client sent behind its CONNECT. Output may point to these bytes until the flush, so they are copied
 * to scratch. */
static void consume_rest(struct shard *shard, struct client_ref ref, struct slice rest)
{
	if (rest.size == 0)
		return;
	io_make_room(&shard->mem.io); /* its session's queue may have filled it */
	uint8_t *at = io_scratch(&shard->mem.io, rest.size);
	if (at == NULL) {
		client_end(shard, ref, ERROR_NO_MEMORY);
		return;
	}
	memcpy(at, rest.data, rest.size);
	client_consume(shard, ref, slice_of(at, rest.size));
}

/* A session that is resumed with other rules than before may lose subscriptions. */
static void set_principal(struct shard *shard, struct client_ref ref, struct principal_ref made)
{
	struct client *client = shard_client(shard, ref);
	const struct principal *before = principal_of(shard, client);
	uint32_t rules = before != NULL ? before->rules : 0;
	/* Equal numbers mean equal rules: both sets are still held here, so neither number was used again. */
	bool changed = !principal_ref_is_none(made) && principal_at(&shard->mem.slab, made)->rules != rules;
	principal_set(shard, client, made);
	if (changed && !subscription_ref_is_none(client->session.subscription))
		review_client(shard, ref);
}

/* Completes the client and sends CONNACK. False: there was no memory for that, and the client's end is noted. */
static bool settle(struct shard *shard, const struct newcomer *newcomer)
{
	struct client_ref ref = newcomer->client;
	struct client *client = shard_client(shard, ref);
	CHECK_EQ(client->conn.generation, newcomer->generation); /* else its events would be taken for stale ones */
	set_principal(shard, ref, newcomer->principal);
	if (!message_ref_is_none(newcomer->will)) {
		struct extension *extension = extension_of(shard, client);
		CHECK(message_ref_is_none(extension->will));
		extension->will = newcomer->will;
		extension->will_delay_s = newcomer->admission->will_delay_s;
	}
	durable_connected(shard, ref);
	keepalive_begin(shard, ref);
	io_settle(&shard->mem.io, &client->conn);
	if (greet(shard, newcomer)) {
		client_set_state(shard, client, CLIENT_ACTIVE);
		return true;
	}
	if (newcomer->resumes)
		client_end(shard, ref, ERROR_NO_MEMORY);
	else
		session_end(shard, ref, ERROR_NO_MEMORY); /* a session that never began is not kept */
	return false;
}

void client_admit(struct shard *shard, struct stream stream, const struct admission *admission)
{
	struct newcomer newcomer = {.admission = admission, .stream = stream};
	uint32_t hash = (uint32_t)admission->hash;
	io_make_room(&shard->mem.io);
	newcomer.older = registry_find(&shard->sessions.registry, hash, admission_id(admission));
	enum error error = check_newcomer(shard, &newcomer);
	if (error == ERROR_OK) {
		if (!client_ref_is_none(newcomer.older))
			client_read_remaining(shard, newcomer.older);
		newcomer.resumes = resumes_session(shard, &newcomer);
		error = check_room(shard, &newcomer);
	}
	if (error == ERROR_OK) {
		error = make(shard, &newcomer);
		if (error != ERROR_OK)
			unmake(shard, &newcomer);
	}
	if (error != ERROR_OK) {
		client_turn_away(shard, stream, admission, error);
		return;
	}
	newcomer.told = shard->sessions.journal.told;
	if (!client_ref_is_none(newcomer.older))
		take_over(shard, &newcomer);
	if (newcomer.resumes)
		resume_session(shard, &newcomer);
	else
		begin_session(shard, &newcomer);
	if (!settle(shard, &newcomer))
		return;
	struct client_ref ref = newcomer.client;
	shard_note_connected(shard, ref);
	COUNT(&shard->counters, connections_signed_in);
	presence_connected(shard, shard_client(shard, ref));
	queue_send(shard, ref);
	retained_jobs_wake(shard, ref);
	consume_rest(shard, ref, admission_rest(admission));
}
