#include "journal_recorded.h"
#include "route/retained_jobs.h"
#include "session/packet_ids.h"
#include "state/extension.h"
#include "state/principal.h"
#include "state/shard.h"
#include "topics/retained.h"

#define FILTER_BYTES_MAX (UINT16_MAX + 1u)

/* Of what a session is there is no deadline any more once somebody noted that it has come (state/offline.c). */
static bool deadline_is(uint32_t at_s, int64_t told_s)
{
	return at_s == 0 ||
	       (at_s == EXTENSION_NEVER_S ? told_s == RECORDED_NEVER_S || told_s >= UINT32_MAX : at_s == told_s);
}

static void check_principal(const struct shard *shard, const struct client *client,
			    const struct recorded_session *session)
{
	const struct principal *principal = principal_of(shard, client);
	CHECK(session->has_principal == (principal != NULL));
	if (principal == NULL)
		return;
	CHECK(slice_equal(session->principal.user, slice_of(principal->user, principal->user_bytes)));
	struct slice rules = acl_pool_rules(&shard->guard.token_rules, principal->rules);
	CHECK((rules.data == NULL) == (session->principal.rules.data == NULL));
	CHECK(slice_equal(session->principal.rules, rules));
	CHECK(session->principal.token_hash == principal->token_hash);
	CHECK(session->principal.user_hash == principal->user_hash);
	CHECK(session->principal.uses_auth == principal->uses_auth);
	CHECK(principal->expires_s == PRINCIPAL_NEVER_S ? session->expires_at_s == RECORDED_NEVER_S
							: session->expires_at_s == principal->expires_s);
}

static void check_will(const struct shard *shard, const struct client *client, const struct extension *extension,
		       const struct recorded_session *session)
{
	CHECK(session->has_will == !message_ref_is_none(extension->will));
	if (!session->has_will)
		return;
	CHECK(message_ref_equal(session->will.message, extension->will));
	CHECK(session->will.delay_s == extension->will_delay_s);
	CHECK(session->will.expiry_s == message_at(&shard->mem.messages, extension->will)->publication.expires_s);
	if (client->state == CLIENT_OFFLINE)
		CHECK(deadline_is(extension->will_at_s, session->will_at_s));
}

static void check_subscriptions(const struct journal_record *record, struct client_ref ref,
				const struct recorded_session *session)
{
	static uint8_t text[FILTER_BYTES_MAX];
	const struct subscriptions *subscriptions = &record->shard->sessions.subscriptions;
	uint32_t count = 0;
	for (struct subscription_ref at = shard_client(record->shard, ref)->session.subscription;
	     !subscription_ref_is_none(at); count++) {
		CHECK(at.index < record->subscription_places);
		const struct recorded_subscription *told = &record->subscriptions[at.index];
		const struct subscription *subscription = subscriptions_at(subscriptions, at);
		CHECK(client_ref_equal(told->session, ref));
		size_t bytes = index_filter_text(record->shard->env.index, subscription->node, text, sizeof(text));
		CHECK(slice_equal(slice_of(told->filter, told->filter_bytes), slice_of(text, bytes)));
		CHECK(told->identifier == subscription->identifier);
		CHECK(told->options == (subscription->options & SUBSCRIPTION_OPTIONS_ASKED));
		CHECK(told->walks == retained_jobs_walks(record->shard, ref, at));
		at = subscription->client_next;
	}
	CHECK(count == session->subscriptions);
}

static void check_entry(const struct journal_record *record, const struct client *client,
			const struct flow_entry *entry, const struct recorded_entry *told)
{
	CHECK(told->packet_id == entry->packet_id);
	CHECK(told->released == (entry->state == FLOW_RELEASED));
	CHECK(message_ref_equal(told->told.message, entry->message));
	CHECK(told->told.qos == entry->qos && told->told.retain == entry->retain && told->told.shared == entry->shared);
	if (!entry->shared) {
		CHECK(told->told.identifier == entry->identifier);
		return;
	}
	const struct subscription *subscription = subscriptions_of_client(
		&record->shard->sessions.subscriptions, entry->subscription, shard_client_ref(record->shard, client));
	bool stands = subscription != NULL && (subscription->options & SUBSCRIPTION_SHARED) != 0 &&
		      (subscription->generation & FLOW_GENERATION_MASK) == entry->generation;
	CHECK(told->told.subscription.index == (stands ? entry->subscription.index : 0));
}

static void check_queue(const struct journal_record *record, const struct client *client,
			const struct extension *extension, const struct recorded_session *session)
{
	const struct flow_store *flows = &record->shard->mem.flows;
	uint32_t told = session->first;
	for (uint32_t at = flow_first(&extension->flow, flows); at != 0; at = flow_next(&extension->flow, flows, at)) {
		const struct flow_entry *entry = flow_entry_at(flows, at);
		if (entry->state == FLOW_DONE)
			continue;
		CHECK(told == at);
		check_entry(record, client, entry, recorded_entry(record, told));
		told = record->entries[told].next;
	}
	CHECK(told == 0);
	CHECK(session->packet_id == extension->flow.packet_id);
}

/* While a message is on its way to its subscribers its identifier is noted, and is not told yet; the acknowledgement
 * waits for that. One whose acknowledgement found no memory never is told: it is better doubled after a restart than
 * lost. */
static void check_received(const struct shard *shard, struct client_ref ref, const struct extension *extension,
			   const struct recorded_session *session)
{
	uint32_t count = packet_ids_count(&shard->mem.slab, extension->received);
	bool is_told = pending_acks_of(&shard->routing.acks, ref) == 0 &&
		       atomic_load(&shard->counters.ends[ERROR_NO_MEMORY]) == 0;
	CHECK(is_told ? session->received_count == count : session->received_count <= count);
	for (uint32_t i = 0; i < session->received_count; i++)
		CHECK(packet_ids_has(&shard->mem.slab, extension->received, session->received[i]));
}

static void check_session(const struct journal_record *record, struct client_ref ref)
{
	const struct shard *shard = record->shard;
	const struct client *client = shard_client(shard, ref);
	const struct extension *extension = extension_of(shard, client);
	const struct recorded_session *session = recorded_session(record, ref);
	CHECK(extension != NULL && extension->flow.journaled && client->session.id != 0);
	struct slice id = registry_id(&shard->sessions.registry, &client->session);
	CHECK(slice_equal(slice_of(session->id, session->id_bytes), id));
	CHECK(session->connected == (client->state != CLIENT_OFFLINE));
	CHECK(session->is_bridge == client->session.is_bridge);
	CHECK(!session->connected || session->generation == client->conn.generation);
	/* DISCONNECT may have changed it, which is told when the session is left. */
	if (client->state != CLIENT_CLOSING)
		CHECK(session->expiry_s == extension->expiry_s);
	if (client->state == CLIENT_OFFLINE)
		CHECK(deadline_is(extension->ends_at_s, session->ends_at_s));
	check_principal(shard, client, session);
	check_will(shard, client, extension, session);
	check_subscriptions(record, ref, session);
	check_queue(record, client, extension, session);
	check_received(shard, ref, extension, session);
}

/* Whether the session outlives its connection, and so has to be in the journal. */
static bool is_durable(const struct shard *shard, const struct client *client)
{
	const struct extension *extension = extension_of(shard, client);
	return client->session.id != 0 && extension != NULL && extension->expiry_s != 0 &&
	       (client_is_connected(client) || client->state == CLIENT_OFFLINE);
}

static void check_messages(const struct journal_record *record)
{
	const struct messages *messages = &record->shard->mem.messages;
	CHECK(record->message_count <= messages->count);
	for (size_t i = 0; i < record->message_count; i++) {
		const struct recorded_message *told = &record->messages[i];
		const struct message *message = message_at(messages, told->name);
		CHECK(message->journaled && message->references != 0);
		CHECK(told->publication.packet_bytes == message->publication.packet_bytes);
		CHECK(told->publication.qos == message->publication.qos);
		CHECK(told->publication.retain == message->publication.retain);
		CHECK(told->publication.is_5 == message->publication.is_5);
		/* The flags of a will that is published are taken out of its first byte. */
		if (!message_is_absent(message))
			CHECK(memcmp(told->packet + 1, message_packet(messages, message) + 1,
				     told->publication.packet_bytes - 1) == 0);
		if (!told->is_will && message->publication.expires_s == 0)
			CHECK(told->expires_at_s == RECORDED_NEVER_S);
		else if (!told->is_will)
			CHECK(told->expires_at_s == message->publication.expires_s);
		/* What nobody has any more is forgotten. */
		CHECK(told->entries != 0 || told->is_will || message->references != 0);
	}
}

static void check_record(const struct journal_record *record)
{
	const struct shard *shard = record->shard;
	CHECK(!record->has_begun);
	uint32_t count = 0;
	for (uint32_t i = 1; i <= shard->mem.clients.touched; i++) {
		struct client_ref ref = {i};
		const struct client *client = shard_client(shard, ref);
		if (client->state == CLIENT_FREE)
			continue;
		CHECK(client->session.journaled || !is_durable(shard, client));
		if (!client->session.journaled)
			continue;
		check_session(record, ref);
		count++;
	}
	CHECK(count == record->session_count);
	check_messages(record);
}

static bool check_retained(void *context, const struct publication *publication, const uint8_t *packet)
{
	const struct recorded_retained *told = *(const struct recorded_retained **)context;
	CHECK(told->publication.packet_bytes == publication->packet_bytes);
	CHECK(memcmp(told->packet, packet, publication->packet_bytes) == 0);
	CHECK(told->expires_at_s == (publication->expires_s != 0 ? publication->expires_s : RECORDED_NEVER_S));
	*(const struct recorded_retained **)context = NULL;
	return true;
}

/* A topic is a filter that it alone matches. */
static void check_all_retained(const struct journal_model *model)
{
	const struct shard *shard = model->records[0].shard;
	size_t count = 0;
	for (size_t i = 0; i < model->retained_count; i++) {
		const struct recorded_retained *told = &model->retained[i];
		struct slice topic = slice_of(told->topic, told->topic_bytes);
		if (told->packet == NULL)
			continue;
		count++;
		struct retained_walk walk = {0};
		uint32_t visits = RETAINED_VISITS_MAX;
		CHECK(retained_walk_step(shard->env.retained, &walk, topic, shard->loop.now_s, &visits, check_retained,
					 &told));
		CHECK(told == NULL || told->expires_at_s <= shard->loop.now_s);
	}
	CHECK(count == retained_size(shard->env.retained).messages);
}

void journal_model_check(const struct journal_model *model)
{
	if (model->is_partial)
		return; /* not all has been told again */
	for (uint32_t i = 0; i < model->count; i++)
		check_record(&model->records[i]);
	check_all_retained(model);
	if (model->second == NULL || !journal_model_has_checkpoint(model))
		return;
	for (uint32_t i = 0; i < model->count; i++)
		recorded_compare(&model->records[i], &model->second->records[i]);
	recorded_compare_retained(model, model->second);
}

void journal_model_check_empty(const struct journal_model *model)
{
	journal_model_check(model);
	for (uint32_t i = 0; i < model->count; i++) {
		const struct journal_record *record = &model->records[i];
		CHECK(record->session_count == 0 && record->subscription_count == 0 && record->entry_count == 0);
		CHECK(record->message_count == 0);
	}
}
