#include "lifecycle/stored/durable.h"

#include "deliver/resumed.h"
#include "state/extension.h"
#include "state/principal.h"
#include "state/shard.h"

/* Sets the session's mark and its flow's, which always agree. */
static void set_journaled(struct client *client, struct extension *extension, bool journaled)
{
	CHECK(client->session.journaled == extension->flow.journaled);
	client->session.journaled = journaled & 1u;
	extension->flow.journaled = journaled & 1u;
}

static void tell_will(struct shard *shard, struct client_ref ref, const struct extension *extension)
{
	struct journal *journal = &shard->sessions.journal;
	/* A will's expiry counts from 0 until the will is published. */
	struct journal_will will = {
		.message = extension->will,
		.delay_s = extension->will_delay_s,
		.expiry_s = message_at(&shard->mem.messages, extension->will)->publication.expires_s,
	};
	messages_tell(&shard->mem.messages, extension->will, DEADLINE_NEVER_S, NULL);
	journal_tell(journal)->will_set(journal->context, ref, &will);
}

/* The session is new to the journal, or is told again. */
static void tell_opened(struct shard *shard, struct client_ref ref)
{
	struct journal *journal = &shard->sessions.journal;
	struct slice id = registry_id(&shard->sessions.registry, &shard_client(shard, ref)->session);
	journal_tell(journal)->opened(journal->context, ref, id);
}

/* expiry_s: not 0. generation: of the connection. */
static void tell_connected(struct shard *shard, struct client_ref ref, uint32_t expiry_s, uint16_t generation)
{
	struct journal *journal = &shard->sessions.journal;
	const struct client *client = shard_client(shard, ref);
	const struct extension *extension = extension_of(shard, client);
	struct journal_connected told = {
		.expiry_s = expiry_s, .generation = generation, .is_bridge = client->session.is_bridge};
	journal_tell(journal)->connected(journal->context, ref, &told);
	principal_tell(shard, client);
	if (!message_ref_is_none(extension->will))
		tell_will(shard, ref, extension);
}

void durable_again(struct shard *shard, struct client_ref ref)
{
	const struct client *client = shard_client(shard, ref);
	const struct extension *extension = extension_of(shard, client);
	CHECK(client->session.journaled && client->session.id != 0);
	/* A session that was told to end with its connection has no expiry, and its end comes soon. If it is lost, a
	 * restart has to carry it out. */
	uint32_t expiry_s = extension->expiry_s != 0 ? extension->expiry_s : 1;
	/* Closing has counted the generation up. */
	bool is_over = client->state == CLIENT_OFFLINE;
	uint16_t generation = (uint16_t)(client->conn.generation - (is_over ? 1 : 0));
	tell_opened(shard, ref);
	tell_connected(shard, ref, expiry_s, generation);
	resumed_tell(shard, ref, generation);
}

void durable_connected(struct shard *shard, struct client_ref ref)
{
	struct journal *journal = &shard->sessions.journal;
	struct client *client = shard_client(shard, ref);
	struct extension *extension = extension_of(shard, client);
	CHECK(client->state == CLIENT_GREETING && client->session.id != 0);
	if (client->session.journaled && extension->expiry_s == 0)
		durable_ended(shard, ref);
	if (!journal_is_on(journal) || extension == NULL || extension->expiry_s == 0)
		return;
	if (!client->session.journaled) {
		/* Otherwise the session holds something that the journal was not told. */
		CHECK(subscription_ref_is_none(client->session.subscription) && extension->flow.last == 0 &&
		      extension->received == 0);
		set_journaled(client, extension, true);
		tell_opened(shard, ref);
	}
	tell_connected(shard, ref, extension->expiry_s, client->conn.generation);
}

void durable_left(struct shard *shard, struct client_ref ref)
{
	const struct client *client = shard_client(shard, ref);
	if (!client->session.journaled)
		return;
	const struct extension *extension = extension_of(shard, client);
	CHECK(client->state == CLIENT_OFFLINE && extension->expiry_s != 0);
	struct deadline_clock clock = shard_deadline_clock(shard);
	struct journal_left left = {
		.expiry_s = extension->expiry_s,
		.ends_at_s = extension->ends_at_s != EXTENSION_NEVER_S ? deadline_to_wall(clock, extension->ends_at_s)
								       : DEADLINE_NEVER_S,
		.will_at_s = deadline_to_wall(clock, extension->will_at_s),
	};
	struct journal *journal = &shard->sessions.journal;
	journal_tell(journal)->left(journal->context, ref, &left);
}

void durable_ended(struct shard *shard, struct client_ref ref)
{
	struct client *client = shard_client(shard, ref);
	if (!client->session.journaled)
		return;
	struct journal *journal = &shard->sessions.journal;
	set_journaled(client, extension_of(shard, client), false);
	journal_tell(journal)->ended(journal->context, ref);
	resumed_end_session(shard, ref);
}

void durable_restored(struct shard *shard, struct client_ref ref)
{
	struct client *client = shard_client(shard, ref);
	CHECK(client->session.id != 0 && !client->session.journaled && journal_is_on(&shard->sessions.journal));
	set_journaled(client, extension_of(shard, client), true);
}

/* As if a connection had just been closed, which counts the generation up. */
static void tell_moved(struct shard *shard, struct client_ref ref)
{
	const struct client *client = shard_client(shard, ref);
	tell_connected(shard, ref, extension_of(shard, client)->expiry_s, (uint16_t)(client->conn.generation - 1));
	durable_left(shard, ref);
}

void durable_moved_here(struct shard *shard, struct client_ref ref)
{
	struct client *client = shard_client(shard, ref);
	CHECK(client->session.id != 0 && !client->session.journaled && client->state == CLIENT_OFFLINE);
	if (!journal_is_on(&shard->sessions.journal))
		return;
	set_journaled(client, extension_of(shard, client), true);
	tell_opened(shard, ref);
	tell_moved(shard, ref);
}

void durable_moved_whole(struct shard *shard, struct client_ref ref, uint16_t packet_id)
{
	struct journal *journal = &shard->sessions.journal;
	if (!shard_client(shard, ref)->session.journaled)
		return;
	if (packet_id != 0)
		journal_tell(journal)->numbered(journal->context, ref, packet_id);
	tell_moved(shard, ref);
}

void durable_will_published(struct shard *shard, const struct client *client)
{
	if (!client->session.journaled)
		return;
	/* Its expiry begins to run now, as in will_publish(). */
	const struct extension *extension = extension_of(shard, client);
	uint32_t expiry_s = message_at(&shard->mem.messages, extension->will)->publication.expires_s;
	int64_t expires_at_s = expiry_s != 0 ? shard->sessions.journal.wall_s + expiry_s : DEADLINE_NEVER_S;
	struct journal *journal = &shard->sessions.journal;
	journal_tell(journal)->will_published(journal->context, shard_client_ref(shard, client), expires_at_s);
}

void durable_will_dropped(struct shard *shard, const struct client *client)
{
	if (!client->session.journaled)
		return;
	struct journal *journal = &shard->sessions.journal;
	journal_tell(journal)->will_dropped(journal->context, shard_client_ref(shard, client));
}
