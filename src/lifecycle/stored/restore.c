#include "lifecycle/stored/restore.h"

#include "access/access.h"
#include "base/hash.h"
#include "base/log.h"
#include "client/review.h"
#include "deliver/origin/origin.h"
#include "deliver/resumed.h"
#include "lifecycle/stored/durable.h"
#include "lifecycle/stored/promised.h"
#include "lifecycle/stored/restore_retained.h"
#include "mqtt/field/topic.h"
#include "route/retained_jobs.h"
#include "session/packet_ids.h"
#include "session/session.h"
#include "state/ending.h"
#include "state/extension.h"
#include "state/offline.h"
#include "state/principal.h"
#include "state/shard.h"
#include "topics/index/rcu.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

/* The routing index grows only as its readers report that they hold nothing of it. */
#define SESSIONS_PER_GRACE 64u

/* A stored session and the hash of its client id. */
struct stored_session {
	const struct model_session *session;
	uint64_t hash;
};

/* A stored message that several entries have, and what it is on this shard. */
struct shared_message {
	const struct model_message *stored; /* NULL: a free slot */
	struct message_ref message;         /* a reference of the table's own */
};

/* What one shard is filled with, by a thread of its own. */
struct restoring {
	struct shard *shard;
	const struct restore_bodies *bodies;
	const struct model *model;
	struct stored_session *sessions; /* the shard's */
	uint64_t count;
	struct deadline_clock clock;
	/* Open-addressed, with twice as many slots as there are messages: memory is taken as slots are used. */
	struct shared_message *shared;
	uint64_t shared_slots; /* a power of two */
	bool shared_used;
	struct subscription_ref *subscriptions; /* of one session, in their stored order */
	uint32_t subscriptions_room;
	struct resumed_list *claims; /* of the shard's sessions */
	bool reviews;                /* rules are configured, and may be others than before */
	struct restore_report report;
	enum error error;
	bool started;
	pthread_t thread;
};

/* ---- times ---- */

/* A deadline of a session: the part of a second that was over when it was set is not lost (state/offline.c). */
static uint32_t session_deadline_s(const struct restoring *restoring, int64_t at_s, uint32_t interval_s)
{
	uint32_t most_s = interval_s < UINT32_MAX ? interval_s + 1 : interval_s;
	uint32_t deadline_s = deadline_from_wall(restoring->clock, at_s, most_s);
	return deadline_s != 0 ? deadline_s : 1;
}

/* ---- messages ---- */

static bool open_shared(struct restoring *restoring)
{
	restoring->shared_slots = 2;
	while (restoring->shared_slots < 2 * restoring->model->message_count)
		restoring->shared_slots *= 2;
	restoring->shared = calloc(restoring->shared_slots, sizeof(*restoring->shared));
	return restoring->shared != NULL;
}

/* The message's slot, or the free one where it belongs. */
static struct shared_message *shared_slot(const struct restoring *restoring, const struct model_message *stored)
{
	uint64_t at = ((uint64_t)(uintptr_t)stored * 0x9E3779B97F4A7C15u >> 24) & (restoring->shared_slots - 1);
	while (restoring->shared[at].stored != NULL && restoring->shared[at].stored != stored)
		at = (at + 1) & (restoring->shared_slots - 1);
	return &restoring->shared[at];
}

/* The message with its packet, which is read now. ERROR_NOT_FOUND: it is lost. */
static enum error make_whole(struct restoring *restoring, const struct model_message *stored,
			     const struct publication *publication, struct message_ref *made)
{
	uint8_t *packet;
	const struct restore_bodies *bodies = restoring->bodies;
	enum error error = bodies->read(bodies->context, stored->place, publication, &packet);
	if (error != ERROR_OK)
		return error;
	*made = messages_new(&restoring->shard->mem.messages, publication, packet);
	free(packet);
	return !message_ref_is_none(*made) ? ERROR_OK : ERROR_NO_MEMORY;
}

static enum error make_absent(struct restoring *restoring, const struct model_message *stored,
			      const struct publication *publication, struct message_ref *made)
{
	const struct restore_bodies *bodies = restoring->bodies;
	struct messages *messages = &restoring->shard->mem.messages;
	*made = messages_new_absent(messages, publication);
	return !message_ref_is_none(*made)
		       ? bodies->place(bodies->context, restoring->shard->env.number, *made, stored->place)
		       : ERROR_NO_MEMORY;
}

/* A message that is lost is counted, and missed by nobody else. */
static enum error note_lost(struct restoring *restoring, enum error error)
{
	restoring->report.lost += error == ERROR_NOT_FOUND;
	return error == ERROR_NOT_FOUND ? ERROR_OK : error;
}

/* The caller gets a reference of its own. whole: its packet must be in memory. */
static enum error restore_message(struct restoring *restoring, const struct model_message *stored, bool whole,
				  struct message_ref *made)
{
	struct shared_message *slot = stored->references > 1 ? shared_slot(restoring, stored) : NULL;
	if (slot != NULL && slot->stored != NULL) {
		*made = slot->message;
		messages_get(&restoring->shard->mem.messages, *made);
		return ERROR_OK;
	}
	struct publication publication = stored->publication;
	publication.expires_s = deadline_expiry_from_wall(restoring->clock, stored->expires_at_s);
	enum error error = whole ? make_whole(restoring, stored, &publication, made)
				 : make_absent(restoring, stored, &publication, made);
	if (error != ERROR_OK || slot == NULL)
		return error;
	*slot = (struct shared_message){.stored = stored, .message = *made};
	restoring->shared_used = true;
	messages_get(&restoring->shard->mem.messages, *made);
	return ERROR_OK;
}

/* Messages of which some entry came through a shared subscription are whole for all who have them, so these are made
 * first. */
static enum error restore_handed_on(struct restoring *restoring, const struct model_session *stored)
{
	enum error error = ERROR_OK;
	for (const struct model_entry *entry = stored->queue; entry != NULL && error == ERROR_OK; entry = entry->next) {
		if ((entry->flags & STORE_FLAG_SHARED) == 0 || entry->message == NULL || entry->message->references < 2)
			continue;
		struct message_ref made;
		error = restore_message(restoring, entry->message, true, &made);
		if (error == ERROR_OK)
			messages_put(&restoring->shard->mem.messages, made); /* the table has one */
		error = error == ERROR_NOT_FOUND ? ERROR_OK : error;         /* it is missed again with its entry */
	}
	return error;
}

/* ---- a session's parts ---- */

static enum error restore_principal(struct restoring *restoring, struct client *client,
				    const struct model_session *stored)
{
	struct shard *shard = restoring->shard;
	if (!stored->has_principal && (!restoring->reviews || session_id_is_internal(stored->client_id)))
		return ERROR_OK; /* to Roost's own clients no rules apply */
	bool expires = stored->has_principal && stored->token_expires_at_s != DEADLINE_NEVER_S;
	struct journal_principal told = {
		.user = stored->user,
		.rules = stored->rules,
		.token_hash = stored->token_hash,
		.user_hash = stored->user_hash,
		.uses_auth = stored->uses_auth,
	};
	uint32_t expires_s = expires ? deadline_from_wall(restoring->clock, stored->token_expires_at_s, UINT32_MAX)
				     : PRINCIPAL_NEVER_S;
	struct principal_ref made;
	enum error error = principal_restore(shard, &told, expires_s, &made);
	if (error == ERROR_OK)
		principal_set(shard, client, made);
	return error;
}

static bool subscriptions_have_room(struct restoring *restoring, uint32_t count)
{
	if (count < restoring->subscriptions_room)
		return true;
	uint32_t room = restoring->subscriptions_room * 2 + 64;
	struct subscription_ref *grown = reallocarray(restoring->subscriptions, room, sizeof(*grown));
	if (grown == NULL)
		return false;
	restoring->subscriptions = grown;
	restoring->subscriptions_room = room;
	return true;
}

static enum error restore_subscription(struct restoring *restoring, struct client_ref ref,
				       const struct model_subscription *stored, struct subscription_ref *place)
{
	struct shard *shard = restoring->shard;
	struct subscription_wanted wanted = {
		.filter = stored->filter, .identifier = stored->identifier, .options = stored->options};
	struct subscription_made made;
	wanted.takes_origin = origins_take_if_internal(shard, ref);
	enum error error = mqtt_filter_check_whole(stored->filter); /* the index relies on it */
	if (error == ERROR_OK)
		error = subscriptions_add(&shard->sessions.subscriptions, &shard_client(shard, ref)->session, ref,
					  &wanted, &made);
	for (uint32_t walks = 0; error == ERROR_OK && walks < stored->owed && walks < UINT16_MAX; walks++)
		error = retained_jobs_add(shard, ref, made.ref);
	if (error == ERROR_OK)
		*place = made.ref;
	return error;
}

/* In restoring->subscriptions afterwards. */
static enum error restore_subscriptions(struct restoring *restoring, struct client_ref ref,
					const struct model_session *stored)
{
	struct shard *shard = restoring->shard;
	struct subscriptions *subscriptions = &shard->sessions.subscriptions;
	const struct session *session = &shard_client(shard, ref)->session;
	uint32_t count = 0;
	for (const struct model_subscription *at = stored->subscriptions; at != NULL; at = at->next, count++) {
		if (!subscriptions_have_room(restoring, count))
			return ERROR_NO_MEMORY;
		enum error error = restore_subscription(restoring, ref, at, &restoring->subscriptions[count]);
		if (error != ERROR_OK)
			return error;
	}
	struct subscription_ref cursor = subscription_ref_none();
	if (session->has_shared)
		CHECK(!subscriptions_set_live_some(subscriptions, session, false, &cursor, UINT32_MAX));
	restoring->report.subscriptions += count;
	return ERROR_OK;
}

static void fill_entry(const struct restoring *restoring, const struct model_entry *from, struct flow_entry *entry)
{
	*entry = (struct flow_entry){
		.packet_id = from->packet_id,
		.state = from->released ? FLOW_RELEASED : FLOW_QUEUED,
		.qos = from->flags & STORE_FLAG_QOS,
		.retain = (from->flags & STORE_FLAG_RETAIN) != 0,
		.shared = (from->flags & STORE_FLAG_SHARED) != 0,
	};
	if (!entry->shared) {
		entry->identifier = from->identifier;
		return;
	}
	if (from->subscription == 0)
		return; /* it has ended */
	entry->subscription = restoring->subscriptions[from->subscription - 1];
	entry->generation =
		subscriptions_at(&restoring->shard->sessions.subscriptions, entry->subscription)->generation &
		FLOW_GENERATION_MASK;
}

static enum error restore_entry(struct restoring *restoring, struct extension *extension,
				const struct model_entry *from)
{
	struct flow_entry entry;
	struct shard *shard = restoring->shard;
	fill_entry(restoring, from, &entry);
	if (!from->released) {
		enum error error = restore_message(restoring, from->message, entry.shared, &entry.message);
		if (error != ERROR_OK)
			return note_lost(restoring, error);
		message_at(&shard->mem.messages, entry.message)->journaled = 1;
	}
	restoring->report.messages++;
	return flow_restore(&extension->flow, &shard->mem.flows, &entry) != 0 ? ERROR_OK : ERROR_NO_MEMORY;
}

static enum error restore_queue(struct restoring *restoring, struct extension *extension,
				const struct model_session *stored)
{
	struct shard *shard = restoring->shard;
	enum error error = ERROR_OK;
	for (const struct model_entry *entry = stored->queue; entry != NULL && error == ERROR_OK; entry = entry->next)
		error = restore_entry(restoring, extension, entry);
	flow_restored(&extension->flow, &shard->mem.flows, stored->packet_id);
	for (uint32_t i = 0; i < stored->received_count && error == ERROR_OK; i++) {
		if (!packet_ids_has(&shard->mem.slab, extension->received, stored->received[i]))
			error = packet_ids_add(&shard->mem.slab, &extension->received, stored->received[i]);
	}
	return error;
}

static enum error restore_will(struct restoring *restoring, struct extension *extension,
			       const struct model_session *stored)
{
	if (stored->will == NULL)
		return ERROR_OK;
	/* Its expiry counts from 0 until it is published. */
	struct publication publication = stored->will->publication;
	publication.expires_s = stored->will_expiry_s;
	enum error error = make_whole(restoring, stored->will, &publication, &extension->will);
	if (error != ERROR_OK)
		return note_lost(restoring, error);
	message_at(&restoring->shard->mem.messages, extension->will)->journaled = 1;
	extension->will_delay_s = stored->will_delay_s;
	return ERROR_OK;
}

/* ---- a session ---- */

/* A place with the client id and the extension. */
static enum error restore_place(struct restoring *restoring, const struct stored_session *from, struct client_ref *made)
{
	struct shard *shard = restoring->shard;
	*made = client_take(&shard->mem.clients);
	if (client_ref_is_none(*made))
		return ERROR_NO_MEMORY; /* the places were counted before */
	struct client *client = shard_client(shard, *made);
	*client = (struct client){.state = CLIENT_FREE};
	uint32_t id = registry_store_id(&shard->sessions.registry, from->session->client_id);
	if (id == 0 || extension_need(shard, client) == NULL)
		return ERROR_NO_MEMORY;
	registry_file(&shard->sessions.registry, *made, (uint32_t)from->hash, id);
	return ERROR_OK;
}

/* Its connection was lost before the next commit was due, or has ended before. Some seconds too many are no loss. */
static void restore_deadlines(const struct restoring *restoring, struct client_ref ref,
			      const struct model_session *stored)
{
	int64_t lost_s = restoring->model->wall_s + STORE_HEARTBEAT_S + 1;
	int64_t ends_at_s = stored->connected ? lost_s + stored->expiry_s : stored->ends_at_s;
	int64_t will_at_s = stored->connected ? lost_s + stored->will_delay_s : stored->will_at_s;
	bool stays = stored->expiry_s == UINT32_MAX || ends_at_s == DEADLINE_NEVER_S;
	bool has_will_time = will_at_s != DEADLINE_NEVER_S;
	offline_restore(restoring->shard, ref,
			stays ? EXTENSION_NEVER_S : session_deadline_s(restoring, ends_at_s, stored->expiry_s),
			has_will_time ? session_deadline_s(restoring, will_at_s, stored->will_delay_s)
				      : EXTENSION_NEVER_S);
}

static enum error restore_parts(struct restoring *restoring, struct client_ref ref, const struct model_session *stored)
{
	struct client *client = shard_client(restoring->shard, ref);
	struct extension *extension = extension_of(restoring->shard, client);
	extension->expiry_s = stored->expiry_s;
	client->session.is_bridge = stored->is_bridge;
	enum error error = restore_principal(restoring, client, stored);
	if (error == ERROR_OK)
		error = restore_subscriptions(restoring, ref, stored);
	if (error == ERROR_OK)
		error = restore_queue(restoring, extension, stored);
	if (error == ERROR_OK)
		error = restore_will(restoring, extension, stored);
	if (error == ERROR_OK)
		error = resumed_list_add(restoring->claims, restoring->shard->env.number, ref, stored->claims);
	/* Its rights may have become fewer, at any time before or since. */
	client->session.is_narrowed = !principal_ref_is_none(client->principal) && extension->flow.unsent != 0;
	return error;
}

static enum error restore_session(struct restoring *restoring, const struct stored_session *from)
{
	struct client_ref ref;
	struct shard *shard = restoring->shard;
	const struct model_session *stored = from->session;
	if (stored->expiry_s == 0 || stored->client_id.size == 0 || stored->client_id.size > UINT16_MAX)
		return ERROR_LIMIT; /* no session that outlives its connection */
	enum error error = restore_place(restoring, from, &ref);
	if (error == ERROR_OK)
		error = restore_parts(restoring, ref, stored);
	if (error != ERROR_OK)
		return error;
	durable_restored(shard, ref);
	restore_deadlines(restoring, ref, stored);
	atomic_fetch_add(shard->env.sessions_offline, 1);
	restoring->report.sessions++;
	if (!session_id_is_internal(stored->client_id))
		error = access_check_revoked(shard->env.access, slice_of(NULL, 0), stored->user, stored->client_id,
					     restoring->clock.wall_s);
	if (error != ERROR_OK)
		session_end(shard, ref, error);
	return ERROR_OK;
}

/* ---- what was promised ---- */

static enum error restore_promised(struct restoring *restoring)
{
	struct shard *shard = restoring->shard;
	uint64_t at = 0;
	enum error error = ERROR_OK;
	for (const struct model_promised *from = restoring->model->promised; from != NULL && error == ERROR_OK;
	     from = from->next) {
		struct message_ref message;
		if (at++ % shard->env.shard_count != shard->env.number)
			continue;
		struct publication publication = from->message->publication;
		publication.expires_s = deadline_expiry_from_wall(restoring->clock, from->message->expires_at_s);
		error = make_whole(restoring, from->message, &publication, &message);
		restoring->report.promised += error == ERROR_OK;
		error = error == ERROR_OK ? promised_add(shard, message, from->filter) : note_lost(restoring, error);
	}
	return error;
}

/* ---- a shard ---- */

static enum error restore_sessions(struct restoring *restoring)
{
	enum error error = ERROR_OK;
	CHECK_LE(restoring->count, (uint64_t)restoring->shard->mem.clients.limit);
	registry_expect(&restoring->shard->sessions.registry, (uint32_t)restoring->count);
	for (uint64_t i = 0; i < restoring->count && error == ERROR_OK; i++)
		error = restore_handed_on(restoring, restoring->sessions[i].session);
	for (uint64_t i = 0; i < restoring->count && error == ERROR_OK; i++) {
		const struct model_session *stored = restoring->sessions[i].session;
		if (i % SESSIONS_PER_GRACE == 0)
			reader_quiescent();
		error = restore_session(restoring, &restoring->sessions[i]);
		if (error != ERROR_OK)
			log_write(LOG_ERROR, "cannot restore the session of client \"%.*s\" with %u messages: %s",
				  (int)stored->client_id.size, (const char *)stored->client_id.data,
				  stored->queue_count, error_sentence(error));
	}
	return error;
}

static void give_shared(struct restoring *restoring)
{
	for (uint64_t i = 0; restoring->shared_used && i < restoring->shared_slots; i++) {
		if (restoring->shared[i].stored == NULL)
			continue;
		CHECK(message_at(&restoring->shard->mem.messages, restoring->shared[i].message)->references > 1);
		messages_put(&restoring->shard->mem.messages, restoring->shared[i].message);
	}
}

static void *restore_main(void *argument)
{
	struct restoring *restoring = argument;
	struct shard *shard = restoring->shard;
	reader_register();
	/* A limit that has become lower since ends no subscription. */
	shard->sessions.subscriptions.client_max = UINT32_MAX;
	shard->sessions.subscriptions.client_bytes_max = UINT32_MAX;
	restoring->error = open_shared(restoring) ? restore_sessions(restoring) : ERROR_NO_MEMORY;
	if (restoring->error == ERROR_OK)
		restoring->error = restore_promised(restoring);
	if (restoring->error == ERROR_OK) {
		give_shared(restoring);
		if (restoring->reviews)
			review_all(shard);
	}
	shard->sessions.subscriptions.client_max = shard->env.settings->client_subscriptions_max;
	shard->sessions.subscriptions.client_bytes_max = shard->env.settings->client_subscription_bytes_max;
	free(restoring->shared);
	free(restoring->subscriptions);
	reader_unregister();
	return NULL;
}

/* ---- the gateway ---- */

/* Sorts the sessions by their shards. *sorted: on the heap. */
static enum error sort_sessions(const struct hash_key *key, const struct model *model, struct restoring *restoring,
				uint16_t shard_count, struct stored_session **sorted)
{
	struct stored_session *found = calloc(model->session_count + 1, sizeof(*found));
	struct stored_session *to = calloc(model->session_count + 1, sizeof(*to));
	*sorted = to; /* the caller frees it */
	if (found == NULL || to == NULL) {
		free(found);
		return ERROR_NO_MEMORY;
	}
	uint64_t count = 0;
	for (const struct model_session *session = model->sessions; session != NULL; session = session->next) {
		CHECK_LT(count, model->session_count);
		uint64_t hash = hash_slice(key, session->client_id);
		found[count++] = (struct stored_session){.session = session, .hash = hash};
		restoring[shard_of_hash(hash, shard_count)].count++;
	}
	struct stored_session *place = to;
	for (uint16_t i = 0; i < shard_count; place += restoring[i++].count)
		restoring[i].sessions = place;
	for (uint16_t i = 0; i < shard_count; i++)
		restoring[i].count = 0;
	for (uint64_t i = 0; i < count; i++) {
		struct restoring *shard = &restoring[shard_of_hash(found[i].hash, shard_count)];
		shard->sessions[shard->count++] = found[i];
	}
	free(found);
	return ERROR_OK;
}

/* Whether each shard has a place for each of its sessions. */
static enum error check_places(const struct restoring *restoring, uint16_t shard_count, const struct model *model)
{
	for (uint16_t i = 0; i < shard_count; i++) {
		uint32_t places = restoring[i].shard->mem.clients.limit;
		if (restoring[i].count <= places)
			continue;
		log_write(LOG_ERROR,
			  "the store has %" PRIu64 " sessions, %" PRIu64
			  " of them on shard %u, which has %u places: set "
			  "sessions-offline-max to %" PRIu64 " or more",
			  model->session_count, restoring[i].count, i, places, model->session_count);
		return ERROR_LIMIT;
	}
	return ERROR_OK;
}

/* Each shard by a thread of its own. */
static enum error run_all(struct restoring *restoring, uint16_t shard_count, struct restore_report *report)
{
	enum error error = ERROR_OK;
	for (uint16_t i = 0; i < shard_count; i++)
		restoring[i].started = pthread_create(&restoring[i].thread, NULL, restore_main, &restoring[i]) == 0;
	for (uint16_t i = 0; i < shard_count; i++) {
		if (restoring[i].started)
			pthread_join(restoring[i].thread, NULL);
		else
			restoring[i].error = ERROR_SYSTEM;
		if (error == ERROR_OK)
			error = restoring[i].error;
		report->sessions += restoring[i].report.sessions;
		report->subscriptions += restoring[i].report.subscriptions;
		report->messages += restoring[i].report.messages;
		report->promised += restoring[i].report.promised;
		report->lost += restoring[i].report.lost;
	}
	return error;
}

enum error restore_shards(struct shard *shards, const struct hash_key *key, const struct model *model,
			  const struct restore_bodies *bodies, struct restore_report *report)
{
	uint16_t shard_count = shards[0].env.shard_count;
	*report = (struct restore_report){0};
	for (uint16_t i = 0; i < shard_count; i++)
		shard_deadline_clock_read(&shards[i], model->wall_s);
	enum error error = restore_retained(&shards[0], model, &report->retained);
	if (error != ERROR_OK)
		return error;
	struct restoring *restoring = calloc(shard_count, sizeof(*restoring));
	struct resumed_list *claims = restoring != NULL ? calloc(shard_count, sizeof(*claims)) : NULL;
	if (claims == NULL) {
		free(restoring);
		return ERROR_NO_MEMORY;
	}
	for (uint16_t i = 0; i < shard_count; i++) {
		restoring[i].shard = &shards[i];
		restoring[i].claims = &claims[i];
		restoring[i].bodies = bodies;
		restoring[i].model = model;
		restoring[i].clock = shard_deadline_clock(&shards[i]);
		restoring[i].reviews = access_has_rules(shards[i].env.access);
	}
	struct stored_session *sorted = NULL;
	error = sort_sessions(key, model, restoring, shard_count, &sorted);
	if (error == ERROR_OK)
		error = check_places(restoring, shard_count, model);
	if (error == ERROR_OK)
		error = run_all(restoring, shard_count, report);
	if (error == ERROR_OK)
		error = resumed_make(claims, shards, shard_count);
	if (error != ERROR_OK)
		log_write(LOG_ERROR, "cannot restore the store's %" PRIu64 " sessions: %s", model->session_count,
			  error_sentence(error));
	resumed_lists_free(&claims, shard_count);
	free(sorted);
	free(restoring);
	return error;
}
