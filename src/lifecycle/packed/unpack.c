#include "lifecycle/packed/unpack.h"

#include "access/access.h"
#include "client/review.h"
#include "deliver/queue.h"
#include "lifecycle/packed/pack.h"
#include "lifecycle/stored/durable.h"
#include "mqtt/decode.h"
#include "mqtt/field/topic.h"
#include "route/retained_jobs.h"
#include "session/packet_ids.h"
#include "state/extension.h"
#include "state/offline.h"
#include "state/principal.h"
#include "state/shard.h"
#include "store/format/record.h"

#define SUBSCRIPTION_UNITS 16u

/* ---- beginning and end ---- */

/* A place with the client id and the extension, OFFLINE. */
static enum error unpack_make_place(struct shard *shard, struct slice id, uint64_t hash, struct client_ref *made)
{
	*made = client_take(&shard->mem.clients);
	if (client_ref_is_none(*made))
		return ERROR_SERVER_FULL;
	struct client *client = shard_client(shard, *made);
	*client = (struct client){
		.conn = {.generation = client->conn.generation}, .state = CLIENT_FREE, .held_acks = client->held_acks};
	uint32_t name = registry_store_id(&shard->sessions.registry, id);
	struct extension *extension = name != 0 ? extension_need(shard, client) : NULL;
	if (extension == NULL) {
		if (name != 0)
			registry_drop_id(&shard->sessions.registry, name);
		client_give(&shard->mem.clients, *made);
		return ERROR_NO_MEMORY;
	}
	extension->expiry_s = UNPACK_S;
	registry_file(&shard->sessions.registry, *made, (uint32_t)hash, name);
	atomic_fetch_add(shard->env.sessions_offline, 1);
	offline_restore(shard, *made, shard->loop.now_s + UNPACK_S, EXTENSION_NEVER_S);
	durable_moved_here(shard, *made);
	return ERROR_OK;
}

enum error unpack_begin(struct shard *shard, uint64_t number, struct slice id, uint64_t hash, struct move **made)
{
	struct client_ref ref = registry_find(&shard->sessions.registry, (uint32_t)hash, id);
	bool merged = !client_ref_is_none(ref);
	enum error error = merged ? ERROR_OK : unpack_make_place(shard, id, hash, &ref);
	if (error != ERROR_OK)
		return error;
	*made = moves_add(shard->sessions.moves, number, ref, MOVE_HERE);
	if (*made == NULL)
		return ERROR_LIMIT; /* what was made ends by itself */
	(*made)->generation = shard_client(shard, ref)->conn.generation;
	(*made)->unpack = (struct unpack){
		.clock = {.wall_s = 0, .now_s = shard->loop.now_s},
		.is_merged = merged,
	};
	return ERROR_OK;
}

static void put_message(struct shard *shard, struct message_ref *message)
{
	if (!message_ref_is_none(*message))
		messages_put(&shard->mem.messages, *message);
	*message = message_ref_none();
}

void unpack_end(struct shard *shard, struct move *move)
{
	put_message(shard, &move->unpack.message);
	put_message(shard, &move->unpack.entry_message);
	packet_ids_clear(&shard->mem.slab, &move->unpack.sent);
	moves_remove(shard->sessions.moves, move);
}

/* ---- who ---- */

static enum error take_opened(const struct shard *shard, const struct move *move, const struct store_record *record)
{
	struct slice id = registry_id(&shard->sessions.registry, &shard_client(shard, move->client)->session);
	return slice_equal(id, record->text) ? ERROR_OK : ERROR_NODE_SESSION;
}

static enum error take_connected(struct shard *shard, struct move *move, const struct store_record *record)
{
	if (record->expiry_s == 0)
		return ERROR_NODE_SESSION;
	move->unpack.expiry_s = record->expiry_s;
	if (!move->unpack.is_merged)
		shard_client(shard, move->client)->session.is_bridge = (record->flags & STORE_FLAG_IS_BRIDGE) != 0;
	return ERROR_OK;
}

/* The hash of the user is by this gateway's key. A revoked token ends connections alone, so of it nothing is needed. */
static enum error take_principal(struct shard *shard, struct move *move, const struct store_record *record)
{
	struct client *client = shard_client(shard, move->client);
	if (record->text.size > UINT16_MAX)
		return ERROR_NODE_SESSION;
	if (move->unpack.is_merged)
		return ERROR_OK;
	struct journal_principal told = {
		.user = record->text,
		.rules = slice_of(NULL, 0), /* its own come with its next connection */
		.user_hash = record->text.size != 0 ? access_hash(shard->env.access, REVOCATION_USER, record->text) : 0,
		.uses_auth = (record->flags & STORE_FLAG_USES_AUTH) != 0,
	};
	uint32_t expires_s = record->expires_at_s != STORE_NEVER_S
				     ? deadline_from_wall(move->unpack.clock, record->expires_at_s, UINT32_MAX)
				     : PRINCIPAL_NEVER_S;
	struct principal_ref made;
	enum error error = principal_restore(shard, &told, expires_s, &made);
	if (error != ERROR_OK)
		return error;
	principal_set(shard, client, made); /* told when the session is whole */
	return ERROR_OK;
}

/* ---- messages ---- */

/* The packet is what its description says: all code relies on that. */
static bool unpack_is_sound(const struct publication *publication, struct slice packet)
{
	struct mqtt_header header;
	struct mqtt_publish publish;
	uint8_t version = publication->is_5 ? MQTT_VERSION_5 : MQTT_VERSION_3_1_1;
	if (mqtt_header_decode(packet.data, packet.size, &header) != ERROR_OK || header.type != MQTT_PUBLISH ||
	    header.header_bytes + (size_t)header.body_bytes != packet.size ||
	    mqtt_publish_decode(slice_of(packet.data + header.header_bytes, header.body_bytes), header.flags, version,
				false, &publish) != ERROR_OK)
		return false;
	struct publication real = publication_of(&publish, version, packet.size, header.header_bytes, 0);
	return publish.topic.size != 0 && real.header_bytes == publication->header_bytes &&
	       real.topic_bytes == publication->topic_bytes && real.packet_bytes == publication->packet_bytes &&
	       real.qos == publication->qos && real.is_5 == publication->is_5;
}

static enum error take_kept(struct shard *shard, struct move *move, const struct store_record *record)
{
	struct unpack *unpack = &move->unpack;
	struct publication publication = store_record_publication(record);
	if (!unpack_is_sound(&publication, record->body) || record->message == 0)
		return ERROR_NODE_SESSION;
	publication.expires_s = deadline_expiry_from_wall(unpack->clock, record->expires_at_s);
	put_message(shard, &unpack->message);
	bool apart = shard_client(shard, move->client)->session.journaled && shard->env.message_source != NULL;
	unpack->message = apart ? messages_new_apart(&shard->mem.messages, &publication, record->body.data)
				: messages_new(&shard->mem.messages, &publication, record->body.data);
	unpack->message_name = record->message;
	turn_work_charge(&shard->loop.work, WORK_ENTRY + record->body.size / WORK_UNIT_BYTES);
	return !message_ref_is_none(unpack->message) ? ERROR_OK : ERROR_NO_MEMORY;
}

/* Puts the entry that was begun into the flow. */
static enum error put_entry(struct shard *shard, struct move *move)
{
	struct unpack *unpack = &move->unpack;
	struct client *client = shard_client(shard, move->client);
	if (!unpack->has_entry)
		return ERROR_OK;
	unpack->has_entry = false;
	struct extension *extension = extension_of(shard, client);
	struct flow_entry entry = {
		.message = unpack->entry_message,
		.identifier = unpack->entry_identifier,
		.packet_id = unpack->entry_packet_id,
		.state = unpack->entry_released ? FLOW_RELEASED : FLOW_QUEUED,
		.qos = unpack->entry_qos & 3u,
		.retain = unpack->entry_retain,
	};
	if (unpack->entry_released)
		put_message(shard, &entry.message);
	unpack->entry_message = message_ref_none();
	if (!unpack->entry_released && message_ref_is_none(entry.message))
		return ERROR_NODE_SESSION;
	uint32_t index = flow_restore(&extension->flow, &shard->mem.flows, &entry);
	if (index == 0) {
		put_message(shard, &entry.message);
		return ERROR_NO_MEMORY;
	}
	queue_tell(shard, client, index, &(struct publisher_name){0});
	struct journal *journal = &shard->sessions.journal;
	if (client->session.journaled && entry.packet_id != 0)
		journal_tell(journal)->sent(journal->context, index, entry.packet_id);
	if (client->session.journaled && unpack->entry_released)
		journal_tell(journal)->released(journal->context, index);
	turn_work_charge(&shard->loop.work, WORK_ENTRY);
	return ERROR_OK;
}

/* It was begun with QUEUED; SENT and RELEASED may follow. */
static enum error begin_entry(struct shard *shard, struct move *move, const struct store_record *record)
{
	struct unpack *unpack = &move->unpack;
	uint8_t qos = record->flags & STORE_FLAG_QOS;
	bool has_message = record->message != 0;
	if (qos > 2 ||
	    (has_message && (message_ref_is_none(unpack->message) || record->message != unpack->message_name)))
		return ERROR_NODE_SESSION;
	unpack->has_entry = true;
	unpack->entry_message = has_message ? unpack->message : message_ref_none();
	if (has_message)
		messages_get(&shard->mem.messages, unpack->message);
	unpack->entry_identifier = record->identifier;
	unpack->entry_qos = qos;
	unpack->entry_retain = (record->flags & STORE_FLAG_RETAIN) != 0;
	unpack->entry_packet_id = 0;
	unpack->entry_released = false;
	return ERROR_OK;
}

/* A message that waits behind all others of a session that is whole. */
static enum error take_late(struct shard *shard, struct move *move, const struct store_record *record)
{
	struct unpack *unpack = &move->unpack;
	const struct client *client = shard_client(shard, move->client);
	uint8_t qos = record->flags & STORE_FLAG_QOS;
	if (record->message == 0)
		return ERROR_OK; /* released: the client has it */
	if (qos > 2 || message_ref_is_none(unpack->message) || record->message != unpack->message_name)
		return ERROR_NODE_SESSION;
	const struct extension *extension = extension_of(shard, client);
	if (unpack->is_merged && (extension == NULL || extension->expiry_s == 0))
		return ERROR_OK;
	struct flow_entry entry = {.message = unpack->message,
				   .identifier = record->identifier,
				   .qos = qos & 3u,
				   .retain = (record->flags & STORE_FLAG_RETAIN) != 0};
	turn_work_charge(&shard->loop.work, WORK_ENTRY);
	queue_moved_here(shard, move->client, &entry);
	return ERROR_OK;
}

static enum error take_queued(struct shard *shard, struct move *move, const struct store_record *record)
{
	if (move->unpack.is_merged || move->unpack.is_whole)
		return take_late(shard, move, record);
	enum error error = put_entry(shard, move);
	return error == ERROR_OK ? begin_entry(shard, move, record) : error;
}

/* Identifiers are of entries in front, and none is there twice. */
static enum error take_sent(struct shard *shard, struct move *move, const struct store_record *record)
{
	struct unpack *unpack = &move->unpack;
	if (unpack->is_merged)
		return ERROR_OK;
	uint16_t id = (uint16_t)record->packet_id;
	if (!unpack->has_entry || unpack->has_unsent || record->packet_id == 0 || record->packet_id > UINT16_MAX ||
	    unpack->entry_qos == 0 || packet_ids_has(&shard->mem.slab, unpack->sent, id))
		return ERROR_NODE_SESSION;
	unpack->entry_packet_id = id;
	return packet_ids_add(&shard->mem.slab, &unpack->sent, id);
}

static enum error take_released(struct move *move)
{
	struct unpack *unpack = &move->unpack;
	if (unpack->is_merged)
		return ERROR_OK;
	if (!unpack->has_entry || unpack->entry_packet_id == 0 || unpack->entry_qos != 2)
		return ERROR_NODE_SESSION;
	unpack->entry_released = true;
	return ERROR_OK;
}

static enum error take_received(struct shard *shard, struct move *move, const struct store_record *record)
{
	struct client *client = shard_client(shard, move->client);
	if (record->packet_id == 0 || record->packet_id > UINT16_MAX)
		return ERROR_NODE_SESSION;
	uint16_t id = (uint16_t)record->packet_id;
	struct extension *extension = extension_of(shard, client);
	if (move->unpack.is_merged || packet_ids_has(&shard->mem.slab, extension->received, id))
		return ERROR_OK;
	enum error error = packet_ids_add(&shard->mem.slab, &extension->received, id);
	struct journal *journal = &shard->sessions.journal;
	if (error == ERROR_OK && client->session.journaled)
		journal_tell(journal)->received(journal->context, move->client, id);
	return error;
}

/* ---- subscriptions ---- */

static bool has_filter(const struct shard *shard, const struct client *client, struct slice filter);

static enum error take_subscribed(struct shard *shard, struct move *move, const struct store_record *record)
{
	struct unpack *unpack = &move->unpack;
	struct client *client = shard_client(shard, move->client);
	unpack->subscription = subscription_ref_none();
	if (mqtt_filter_check_whole(record->text) != ERROR_OK || (record->count & ~SUBSCRIPTION_OPTIONS_ASKED) != 0 ||
	    (record->count & SUBSCRIPTION_QOS_MASK) > 2)
		return ERROR_NODE_SESSION;
	const struct extension *extension = extension_of(shard, client);
	if (unpack->is_merged &&
	    (extension == NULL || extension->expiry_s == 0 || has_filter(shard, client, record->text)))
		return ERROR_OK;
	struct subscription_wanted wanted = {
		.filter = record->text, .identifier = record->identifier, .options = (uint8_t)record->count};
	struct subscription_made made;
	enum error error =
		subscriptions_add(&shard->sessions.subscriptions, &client->session, move->client, &wanted, &made);
	turn_work_charge(&shard->loop.work, SUBSCRIPTION_UNITS + record->text.size / WORK_UNIT_BYTES);
	if (error == ERROR_OK)
		unpack->subscription = made.ref;
	return error;
}

static enum error take_owed(struct shard *shard, struct move *move, const struct store_record *record)
{
	enum error error = ERROR_OK;
	struct subscription_ref ref = move->unpack.subscription;
	if (subscription_ref_is_none(ref) ||
	    (subscriptions_at(&shard->sessions.subscriptions, ref)->options & SUBSCRIPTION_SHARED) != 0)
		return ERROR_OK;
	for (uint32_t walks = 0; error == ERROR_OK && walks < record->count && walks < UNPACK_OWED_MAX; walks++)
		error = retained_jobs_add(shard, move->client, ref);
	return error;
}

/* By a walk: merging is rare, and so are sessions with very many. */
static bool has_filter(const struct shard *shard, const struct client *client, struct slice filter)
{
	uint8_t text[UINT16_MAX + 1u];
	const struct subscriptions *subscriptions = &shard->sessions.subscriptions;
	const struct subscription *subscription;
	for (struct subscription_ref at = client->session.subscription; !subscription_ref_is_none(at);
	     at = subscription->client_next) {
		subscription = subscriptions_at(subscriptions, at);
		size_t bytes = index_filter_text(shard->env.index, subscription->node, text, sizeof(text));
		if (slice_equal(slice_of(text, bytes), filter))
			return true;
	}
	return false;
}

/* ---- the end ---- */

static enum error unpack_take_will(struct shard *shard, struct move *move, const struct store_record *record)
{
	struct unpack *unpack = &move->unpack;
	if (message_ref_is_none(unpack->message) || record->message != unpack->message_name)
		return ERROR_NODE_SESSION;
	struct extension *extension = extension_of(shard, shard_client(shard, move->client));
	if (unpack->is_merged || !message_ref_is_none(extension->will))
		return ERROR_OK;
	/* A will is never apart, and no entry has it. */
	const struct message *message = message_at(&shard->mem.messages, unpack->message);
	struct publication publication = message->publication;
	publication.expires_s = record->expiry_s;
	extension->will =
		messages_new(&shard->mem.messages, &publication, message_packet(&shard->mem.messages, message));
	extension->will_delay_s = record->delay_s;
	return !message_ref_is_none(extension->will) ? ERROR_OK : ERROR_NO_MEMORY;
}

/* The seconds until then, rounded up: a part of the current second is over. */
static uint32_t unpack_deadline_of(const struct unpack *unpack, int64_t at_s, uint32_t interval_s)
{
	if (at_s == STORE_NEVER_S)
		return EXTENSION_NEVER_S;
	uint32_t at = deadline_from_wall(unpack->clock, at_s, interval_s < UINT32_MAX ? interval_s + 1 : interval_s);
	return at != 0 ? at : 1;
}

static enum error take_left(struct shard *shard, struct move *move, const struct store_record *record)
{
	struct unpack *unpack = &move->unpack;
	enum error error = put_entry(shard, move);
	if (error != ERROR_OK || record->expiry_s == 0)
		return error != ERROR_OK ? error : ERROR_NODE_SESSION;
	unpack->is_whole = true;
	if (unpack->is_merged)
		return ERROR_OK;
	struct client *client = shard_client(shard, move->client);
	struct extension *extension = extension_of(shard, client);
	flow_restored(&extension->flow, &shard->mem.flows, unpack->packet_id);
	extension->expiry_s = record->expiry_s;
	client->session.is_narrowed = !principal_ref_is_none(client->principal) && extension->flow.unsent != 0;
	struct subscription_ref cursor = subscription_ref_none();
	if (client->session.has_shared)
		CHECK(!subscriptions_set_live_some(&shard->sessions.subscriptions, &client->session, false, &cursor,
						   UINT32_MAX));
	bool stays = record->expiry_s == UINT32_MAX;
	offline_again(shard, move->client,
		      stays ? EXTENSION_NEVER_S : unpack_deadline_of(unpack, record->ends_at_s, record->expiry_s),
		      unpack_deadline_of(unpack, record->will_at_s, extension->will_delay_s));
	durable_moved_whole(shard, move->client, unpack->packet_id);
	review_client(shard, move->client); /* this node's rules may be others */
	return ERROR_OK;
}

/* ---- records ---- */

static enum error take_record(struct shard *shard, struct move *move, const struct store_record *record)
{
	struct unpack *unpack = &move->unpack;
	bool late = record->kind == STORE_KEPT || record->kind == STORE_QUEUED;
	if (unpack->is_whole && !late)
		return ERROR_NODE_SESSION;
	switch (record->kind) {
	case STORE_OPENED:
		return take_opened(shard, move, record);
	case STORE_CONNECTED:
		return take_connected(shard, move, record);
	case STORE_PRINCIPAL:
		return take_principal(shard, move, record);
	case STORE_KEPT:
		return take_kept(shard, move, record);
	case STORE_QUEUED:
		return take_queued(shard, move, record);
	case STORE_SENT:
		return take_sent(shard, move, record);
	case STORE_RELEASED:
		return take_released(move);
	case STORE_NUMBERED:
		if (record->packet_id > UINT16_MAX)
			return ERROR_NODE_SESSION;
		unpack->packet_id = (uint16_t)record->packet_id;
		return ERROR_OK;
	case STORE_RECEIVED:
		return take_received(shard, move, record);
	case STORE_SUBSCRIBED:
		return take_subscribed(shard, move, record);
	case STORE_OWED:
		return take_owed(shard, move, record);
	case STORE_WILL_SET:
		return unpack_take_will(shard, move, record);
	case STORE_LEFT:
		return take_left(shard, move, record);
	default:
		return ERROR_NODE_SESSION;
	}
}

static enum error unpack_take_head(struct move *move, struct slice bytes, size_t *taken)
{
	if (bytes.size < PACK_HEAD_BYTES)
		return ERROR_OK;
	if (bytes.data[0] != PACK_VERSION)
		return ERROR_NODE_SESSION;
	move->unpack.has_head = true;
	*taken = PACK_HEAD_BYTES;
	return ERROR_OK;
}

enum error unpack_some(struct shard *shard, struct move *move, struct slice bytes, uint64_t until, size_t *taken)
{
	*taken = 0;
	struct unpack *unpack = &move->unpack;
	enum error error = unpack->has_head ? ERROR_OK : unpack_take_head(move, bytes, taken);
	while (error == ERROR_OK && *taken < bytes.size && !turn_work_is_spent(&shard->loop.work, until)) {
		struct store_record record;
		size_t size = store_record_decode(slice_of(bytes.data + *taken, bytes.size - *taken), &record);
		if (size == 0)
			return ERROR_NODE_SESSION;
		/* An entry ends where something else than its own begins. */
		if (record.kind != STORE_SENT && record.kind != STORE_RELEASED) {
			if (unpack->has_entry && unpack->entry_packet_id == 0)
				unpack->has_unsent = true;
			error = put_entry(shard, move);
		}
		if (error == ERROR_OK)
			error = take_record(shard, move, &record);
		turn_work_charge(&shard->loop.work, WORK_NODE);
		*taken += size;
	}
	/* It is not given up while it comes. */
	if (error == ERROR_OK && !unpack->is_merged && !unpack->is_whole)
		offline_again(shard, move->client, shard->loop.now_s + UNPACK_S, EXTENSION_NEVER_S);
	return error;
}
