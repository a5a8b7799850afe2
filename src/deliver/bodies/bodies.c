#include "deliver/bodies/bodies.h"

#include "base/log.h"
#include "runtime/nodes/moves.h"
#include "state/extension.h"
#include "state/shard.h"
#include "state/tell_nodes.h"

#include <stdlib.h>

/* What one load asks for, and what while packets take as much memory as they may. One packet at least, and no more than
 * that where half of the memory is for packets that are being read: then many clients come back at once. */
#define AHEAD_BYTES (256u << 10)
#define AHEAD_BYTES_SHORT (16u << 10)
/* Entries that are looked at for one load. Some may be in memory. */
#define LOOKS_MAX (2u * STORE_LOAD_MAX)
/* In one turn. More than a turn's shares of work can queue (runtime/turn_work.h): 20,000 units of mail and as many of
 * packets, of which a message that is kept takes five at least. */
#define EVICTIONS_PER_TURN 8192u
_Static_assert((WORK_SHARE_MAIL + WORK_SHARE_PACKETS) / (WORK_PUBLISH + WORK_DELIVERY) < EVICTIONS_PER_TURN,
	       "packets leave as fast as they come");
/* Messages that are noted as safe in a turn in which packets have to leave, and in any other. There is a turn for each
 * commit, so one a turn is enough for messages_note_safe(): no list has 2^31 messages. */
#define NOTED_PER_TURN EVICTIONS_PER_TURN
#define NOTED_PER_TURN_MIN 1u
/* When memory, or what else the store's reader needs, was short for a client's load, it is tried again after this time,
 * lest the device is read in vain without end. */
#define STARVED_MS 100u
/* Clients that are looked at for that in one turn. */
#define STARVED_PER_TURN 256u
#define LOSS_LOG_S 1u

void bodies_init(struct body_loads *loads)
{
	*loads = (struct body_loads){.answered_end = &loads->answered};
}

static struct store_load *take_answered(struct body_loads *loads)
{
	struct store_load *load = loads->answered;
	if (load == NULL)
		return NULL;
	loads->answered = load->next;
	if (loads->answered == NULL)
		loads->answered_end = &loads->answered;
	return load;
}

void bodies_fini(struct body_loads *loads)
{
	struct store_load *load;
	while ((load = take_answered(loads)) != NULL) {
		for (uint32_t i = 0; i < load->count; i++)
			free(load->bodies[i].packet);
		free(load);
	}
}

/* ---- leaving memory ---- */

/* This shard's part; UINT64_MAX: no packet leaves. */
static uint64_t memory_max(const struct shard *shard)
{
	uint64_t all = shard->env.settings->queue_memory_max;
	return all != 0 && shard->env.message_source != NULL ? all / shard->env.shard_count : UINT64_MAX;
}

void bodies_evict(struct shard *shard)
{
	struct messages *messages = &shard->mem.messages;
	if (message_ref_is_none(messages->oldest))
		return;
	uint64_t bytes_max = memory_max(shard);
	bool too_much = messages->apart_bytes > bytes_max;
	const struct journal *journal = &shard->sessions.journal;
	uint64_t safe = journal->safety != NULL ? journal->safety->safe(journal->context, shard->env.number) : 0;
	messages_note_safe(messages, safe, too_much ? NOTED_PER_TURN : NOTED_PER_TURN_MIN);
	if (too_much)
		turn_work_charge(&shard->loop.work,
				 (uint64_t)messages_evict(messages, bytes_max, EVICTIONS_PER_TURN) * WORK_ENTRY);
}

/* ---- asking ---- */

/* Whether the entry's message will be sent and its packet has to be read for that. */
static bool bodies_is_wanted(const struct shard *shard, const struct flow_entry *entry)
{
	if (entry->state == FLOW_RELEASED || message_ref_is_none(entry->message))
		return false;
	const struct message *message = message_at(&shard->mem.messages, entry->message);
	return message_is_absent(message) && !message->unreadable &&
	       (entry->packet_id != 0 || !publication_expired(&message->publication, shard->loop.now_s));
}

/* Takes a reference to the message. */
static void load_add(struct shard *shard, struct store_load *load, struct message_ref message, uint32_t bytes)
{
	CHECK_LT(load->count, STORE_LOAD_MAX);
	messages_get(&shard->mem.messages, message);
	load->bodies[load->count++] = (struct store_body){.message = message, .packet_bytes = bytes};
	shard->mem.loads.bytes += bytes;
}

static uint32_t ahead_bytes(const struct shard *shard)
{
	uint64_t most = memory_max(shard);
	uint64_t loading = shard->mem.loads.bytes;
	if (loading >= most / 2)
		return 0;
	return shard->mem.messages.apart_bytes + loading < most ? AHEAD_BYTES : AHEAD_BYTES_SHORT;
}

/* Collects absent messages from the entry `at` on. A message that is there twice, for two subscriptions, is there in
 * neighbouring entries. */
static void load_fill(struct shard *shard, struct store_load *load, const struct flow *flow, uint32_t at)
{
	const struct messages *messages = &shard->mem.messages;
	uint32_t room = ahead_bytes(shard);
	for (uint32_t looks = 0; at != 0 && looks < LOOKS_MAX && load->count < STORE_LOAD_MAX; looks++) {
		const struct flow_entry *entry = flow_entry_at(&shard->mem.flows, at);
		at = flow_next(flow, &shard->mem.flows, at);
		turn_work_charge(&shard->loop.work, WORK_ENTRY);
		if (!bodies_is_wanted(shard, entry))
			continue;
		if (load->count != 0 && message_ref_equal(load->bodies[load->count - 1].message, entry->message))
			continue;
		uint32_t bytes = message_at(messages, entry->message)->publication.packet_bytes;
		if (load->count != 0 && bytes > room)
			break;
		load_add(shard, load, entry->message, bytes);
		room -= bytes < room ? bytes : room;
	}
}

/* Memory is short for a client, whose queue stops. */
static void note_starved(struct shard *shard)
{
	shard->mem.loads.starved = true;
	shard->mem.loads.starved_ms = shard->loop.now_ms;
}

/* Asks for packets of the client's next entries from `at` on, where some are absent. */
static void bodies_ask(struct shard *shard, const struct client *client, struct flow *flow, uint32_t at)
{
	if (flow->loading)
		return;
	CHECK(shard->env.message_source != NULL); /* else nothing would be absent */
	struct store_load *load = malloc(sizeof(*load));
	if (load == NULL) {
		note_starved(shard);
		return;
	}
	load->next = NULL;
	load->client = shard_client_ref(shard, client);
	load->generation = client->conn.generation;
	load->count = 0;
	load_fill(shard, load, flow, at);
	if (load->count == 0) {
		free(load);
		return;
	}
	flow->loading = 1;
	shard->mem.loads.under_way++;
	shard->env.message_source->load(shard->env.message_source_context, &load);
}

static void log_unreadable(struct shard *shard, const struct client *client, const struct message *message)
{
	if (shard->loop.now_s < shard->mem.loads.loss_log_next_s)
		return;
	shard->mem.loads.loss_log_next_s = shard->loop.now_s + LOSS_LOG_S;
	struct slice id = registry_id(&shard->sessions.registry, &client->session);
	log_write(
		LOG_WARNING,
		"a message of %u bytes, on an unknown topic, that waited for client \"%.*s\" is lost: it could not be "
		"read from the store",
		message->publication.packet_bytes, (int)id.size, (const char *)id.data);
}

bool bodies_use(struct shard *shard, struct client *client, struct flow *flow, struct message *message)
{
	if (!message_is_absent(message)) {
		if (message->halfway)
			bodies_ask(shard, client, flow, flow->unsent);
		message->halfway = 0;
		return true;
	}
	if (message->unreadable)
		log_unreadable(shard, client, message);
	else
		bodies_ask(shard, client, flow, flow->unsent);
	return false;
}

void bodies_fetch(struct shard *shard, const struct client *client, struct flow *flow, uint32_t entry)
{
	bodies_ask(shard, client, flow, entry);
}

/* ---- answers ---- */

bool bodies_collect(struct shard *shard)
{
	struct body_loads *loads = &shard->mem.loads;
	if (loads->under_way == 0)
		return false;
	struct store_load *load;
	while ((load = shard->env.message_source->loaded(shard->env.message_source_context)) != NULL) {
		load->next = NULL;
		*loads->answered_end = load;
		loads->answered_end = &load->next;
	}
	return loads->answered != NULL;
}

bool bodies_wait(const struct shard *shard)
{
	return shard->mem.loads.answered != NULL || shard->mem.loads.starved_next != 0;
}

/* Gives the message its packet. Not where the load has the last reference to it. False: no memory, here or where it was
 * read. */
static bool install(struct shard *shard, const struct store_body *body)
{
	struct messages *messages = &shard->mem.messages;
	if (message_at(messages, body->message)->references == 1)
		return true;
	if (body->packet == NULL && body->later)
		return false;
	if (body->packet == NULL) {
		messages_set_unreadable(messages, body->message);
		return true;
	}
	turn_work_charge(&shard->loop.work, WORK_ENTRY + body->packet_bytes / WORK_UNIT_BYTES);
	return messages_install(messages, body->message, body->packet) == ERROR_OK;
}

/* Whether nothing has come or gone since it was asked. */
static bool bodies_is_same(const struct shard *shard, const struct store_load *load)
{
	const struct client *client = shard_client(shard, load->client);
	return client->conn.generation == load->generation && client->session.id != 0 &&
	       (client_is_connected(client) || client->state == CLIENT_OFFLINE);
}

/* Whether the connection that asked is still there, or the husk. */
static bool is_awaited(const struct shard *shard, const struct store_load *load)
{
	return bodies_is_same(shard, load) &&
	       (client_is_connected(shard_client(shard, load->client)) || moving_away(shard, load->client));
}

/* Installs the packets where they are awaited. False: memory was short for some. */
static bool load_end(struct shard *shard, struct store_load *load, bool awaited)
{
	struct messages *messages = &shard->mem.messages;
	bool whole = true;
	for (uint32_t i = 0; i < load->count; i++) {
		struct store_body *body = &load->bodies[i];
		if (awaited)
			whole = install(shard, body) && whole;
		struct message *message = message_at(messages, body->message);
		if (awaited && i == load->count / 2 && !message_is_absent(message))
			message->halfway = message->apart;
		CHECK_GE(shard->mem.loads.bytes, body->packet_bytes);
		shard->mem.loads.bytes -= body->packet_bytes;
		free(body->packet);
		messages_put(messages, body->message);
	}
	CHECK_NE(shard->mem.loads.under_way, 0u);
	shard->mem.loads.under_way--;
	free(load);
	return whole;
}

/* Looks for clients whose queue stopped where memory was short: they have no load, and nothing else need come for them.
 * Returns one; none: the round over all clients is over, or it looked at as many as a turn allows. */
static struct client_ref next_starved(struct shard *shard)
{
	struct body_loads *loads = &shard->mem.loads;
	if (loads->starved_next == 0) {
		if (!loads->starved || shard->loop.now_ms < loads->starved_ms + STARVED_MS)
			return client_ref_none();
		loads->starved = false; /* set again where memory is still short: then another round follows */
	}
	for (uint32_t looks = 0; looks < STARVED_PER_TURN; looks++) {
		if (loads->starved_next >= shard->mem.clients.touched) {
			loads->starved_next = 0;
			break;
		}
		struct client_ref ref = {++loads->starved_next};
		const struct client *client = shard_client(shard, ref);
		const struct extension *extension = client_is_connected(client) ? extension_of(shard, client) : NULL;
		if (extension != NULL && extension->flow.unsent != 0 && !extension->flow.loading)
			return ref;
	}
	return client_ref_none();
}

bool bodies_take(struct shard *shard, struct client_ref *client)
{
	struct store_load *load = take_answered(&shard->mem.loads);
	*client = client_ref_none();
	if (load == NULL) {
		*client = next_starved(shard);
		return !client_ref_is_none(*client);
	}
	bool awaited = is_awaited(shard, load);
	struct extension *extension =
		bodies_is_same(shard, load) ? extension_of(shard, shard_client(shard, load->client)) : NULL;
	if (extension != NULL)
		extension->flow.loading = 0;
	struct client_ref asker = load->client;
	if (!load_end(shard, load, awaited))
		note_starved(shard);
	else if (awaited)
		*client = asker;
	return true;
}
