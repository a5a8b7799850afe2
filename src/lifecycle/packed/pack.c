#include "lifecycle/packed/pack.h"

#include "deliver/bodies/bodies.h"
#include "deliver/queue.h"
#include "route/retained_jobs.h"
#include "session/packet_ids.h"
#include "session/pending_acks.h"
#include "state/extension.h"
#include "state/principal.h"
#include "state/shard.h"
#include "store/format/record.h"
#include "topics/index/index.h"

/* Prices, as in retell.c. */
#define SUBSCRIPTION_UNITS 4u
#define ENTRY_UNITS 3u
#define RECEIVED_PER_UNIT 4u
/* The longest filter, with the name of its group in front. */
#define FILTER_BYTES_MAX (UINT16_MAX + 1u)
/* The session's name. */
#define NAME 1u

static void pack_put(struct bytes *out, const struct store_record *record)
{
	if (bytes_reserve(out, store_record_bytes_max(record)))
		out->size += store_record_encode(record, out->data + out->size);
	else
		out->failed = true;
}

/* What is past is due now. */
static int64_t time_of(const struct pack *pack, uint32_t at_s)
{
	if (at_s == EXTENSION_NEVER_S)
		return STORE_NEVER_S;
	int64_t left_s = deadline_to_wall(pack->clock, at_s);
	return left_s > 0 ? left_s : 0;
}

void pack_begin(struct shard *shard, struct move *move, uint32_t wait_ms)
{
	move->pack = (struct pack){
		.clock = {.wall_s = 0, .now_s = shard->loop.now_s},
		.wait_until_ms = shard->loop.now_ms + wait_ms,
		.stage = PACK_WAITS,
	};
}

/* ---- who ---- */

static void pack_principal(const struct shard *shard, const struct client *client, const struct pack *pack,
			   struct bytes *out)
{
	const struct principal *principal = principal_of(shard, client);
	if (principal == NULL)
		return;
	struct store_record record = {
		.kind = STORE_PRINCIPAL,
		.session = NAME,
		.flags = principal->uses_auth ? STORE_FLAG_USES_AUTH : 0,
		.expires_at_s = time_of(pack, principal->expires_s),
		.text = slice_of(principal->user, principal->user_bytes),
	};
	pack_put(out, &record);
}

static void pack_head(struct shard *shard, const struct client *client, const struct pack *pack, struct bytes *out)
{
	const uint8_t version = PACK_VERSION;
	bytes_append(out, &version, PACK_HEAD_BYTES);
	struct store_record opened = {.kind = STORE_OPENED,
				      .session = NAME,
				      .text = registry_id(&shard->sessions.registry, &client->session)};
	pack_put(out, &opened);
	struct store_record connected = {
		.kind = STORE_CONNECTED,
		.session = NAME,
		.flags = client->session.is_bridge ? STORE_FLAG_IS_BRIDGE : 0,
		.expiry_s = extension_of(shard, client)->expiry_s,
	};
	pack_put(out, &connected);
	pack_principal(shard, client, pack, out);
}

/* ---- messages ---- */

/* Tells the message, unless it was the last one told. expires_s: as the journal has it, 0 for a will. */
static void pack_message(struct shard *shard, struct pack *pack, struct message_ref ref, uint32_t expires_s,
			 struct bytes *out)
{
	if (message_ref_equal(pack->message, ref))
		return;
	const struct message *message = message_at(&shard->mem.messages, ref);
	struct store_record record = {
		.kind = STORE_KEPT,
		.message = ++pack->messages,
		.expires_at_s = time_of(pack, expires_s != 0 ? expires_s : EXTENSION_NEVER_S),
	};
	store_record_set_publication(&record, &message->publication);
	record.body = slice_of(message_packet(&shard->mem.messages, message), message->publication.packet_bytes);
	pack_put(out, &record);
	turn_work_charge(&shard->loop.work, record.body.size / WORK_UNIT_BYTES);
	pack->message = ref;
}

static uint32_t identifier_of(const struct shard *shard, const struct client *client, const struct flow_entry *entry)
{
	if (!entry->shared)
		return entry->identifier;
	const struct subscription *subscription = queue_subscription(shard, client, entry);
	return subscription != NULL ? subscription->identifier : 0;
}

static void pack_entry(struct shard *shard, const struct client *client, struct pack *pack,
		       const struct flow_entry *entry, struct bytes *out)
{
	bool released = entry->state == FLOW_RELEASED;
	if (!released)
		pack_message(shard, pack, entry->message,
			     message_at(&shard->mem.messages, entry->message)->publication.expires_s, out);
	uint32_t name = ++pack->entries;
	struct store_record queued = {
		.kind = STORE_QUEUED,
		.session = NAME,
		.entry = name,
		.message = released ? 0 : pack->messages,
		.flags = entry->qos | (entry->retain ? STORE_FLAG_RETAIN : 0),
		.identifier = identifier_of(shard, client, entry),
	};
	pack_put(out, &queued);
	if (entry->packet_id != 0)
		pack_put(out, &(struct store_record){.kind = STORE_SENT, .entry = name, .packet_id = entry->packet_id});
	if (released)
		pack_put(out, &(struct store_record){.kind = STORE_RELEASED, .entry = name});
	turn_work_charge(&shard->loop.work, ENTRY_UNITS);
}

/* Whether the entry can be told. False: its packet is being read. */
static bool entry_is_here(struct shard *shard, const struct client *client, struct flow *flow, uint32_t index)
{
	const struct flow_entry *entry = flow_entry_at(&shard->mem.flows, index);
	if (entry->state == FLOW_RELEASED)
		return true;
	const struct message *message = message_at(&shard->mem.messages, entry->message);
	if (!message_is_absent(message) || message->unreadable)
		return true;
	bodies_fetch(shard, client, flow, index);
	return false;
}

static bool pack_is_wanted(const struct shard *shard, const struct flow_entry *entry)
{
	return entry->packet_id != 0 ||
	       !publication_expired(&message_at(&shard->mem.messages, entry->message)->publication, shard->loop.now_s);
}

static bool is_readable(const struct shard *shard, const struct flow_entry *entry)
{
	return entry->state == FLOW_RELEASED || !messages_is_absent(&shard->mem.messages, entry->message);
}

/* What is in the queue behind the entry that was told last. */
static enum pack_progress pack_queue(struct shard *shard, const struct client *client, struct pack *pack,
				     struct bytes *out, size_t bytes_max, uint64_t until)
{
	struct flow *flow = &extension_of(shard, client)->flow;
	const struct flow_store *flows = &shard->mem.flows;
	for (;;) {
		uint32_t next = pack->entry != 0 ? flow_next(flow, flows, pack->entry) : flow_first(flow, flows);
		if (next == 0)
			return PACK_IS_WAITING;
		if (out->size >= bytes_max || turn_work_is_spent(&shard->loop.work, until))
			return PACK_MORE;
		const struct flow_entry *entry = flow_entry_at(flows, next);
		CHECK(entry->state == FLOW_QUEUED || entry->state == FLOW_RELEASED); /* all was rewound */
		bool wanted = pack_is_wanted(shard, entry);
		if (wanted && !entry_is_here(shard, client, flow, next))
			return PACK_IS_WAITING;
		if (!wanted)
			COUNT(&shard->counters, messages_expired);
		else if (is_readable(shard, entry))
			pack_entry(shard, client, pack, entry, out);
		else
			COUNT(&shard->counters, messages_lost_unreadable);
		pack->entry = next;
	}
}

static bool queue_is_told(const struct shard *shard, const struct client *client, const struct pack *pack)
{
	const struct flow *flow = &extension_of(shard, client)->flow;
	return pack->entry != 0 ? pack->entry == flow->last : flow->last == 0;
}

/* ---- the rest ---- */

static bool pack_received(struct shard *shard, const struct client *client, struct pack *pack, struct bytes *out,
			  size_t bytes_max)
{
	const struct extension *extension = extension_of(shard, client);
	uint16_t id;
	uint32_t count = 0;
	while ((id = packet_ids_next(&shard->mem.slab, extension->received, pack->received)) != 0) {
		if (out->size >= bytes_max)
			return false;
		pack_put(out, &(struct store_record){.kind = STORE_RECEIVED, .session = NAME, .packet_id = id});
		pack->received = id;
		count++;
	}
	turn_work_charge(&shard->loop.work, count / RECEIVED_PER_UNIT);
	return true;
}

static void pack_subscription(struct shard *shard, struct client_ref ref, struct pack *pack,
			      const struct subscription *subscription, struct bytes *out)
{
	uint8_t text[FILTER_BYTES_MAX];
	size_t bytes = index_filter_text(shard->env.index, subscription->node, text, sizeof(text));
	CHECK(bytes != 0);
	struct store_record record = {
		.kind = STORE_SUBSCRIBED,
		.session = NAME,
		.subscription = ++pack->subscriptions,
		.identifier = subscription->identifier,
		.count = subscription->options & SUBSCRIPTION_OPTIONS_ASKED,
		.text = slice_of(text, bytes),
	};
	pack_put(out, &record);
	uint32_t walks = retained_jobs_walks(shard, ref, pack->subscription);
	if (walks != 0)
		pack_put(out, &(struct store_record){.kind = STORE_OWED,
						     .session = NAME,
						     .subscription = pack->subscriptions,
						     .count = walks});
	turn_work_charge(&shard->loop.work, SUBSCRIPTION_UNITS + bytes / WORK_UNIT_BYTES);
}

/* The next one may have ended meanwhile: then all are told again, which changes nothing where they come twice. */
static bool pack_subscriptions(struct shard *shard, struct client_ref ref, struct pack *pack, struct bytes *out,
			       size_t bytes_max, uint64_t until)
{
	const struct subscriptions *subscriptions = &shard->sessions.subscriptions;
	while (!subscription_ref_is_none(pack->subscription)) {
		if (out->size >= bytes_max || turn_work_is_spent(&shard->loop.work, until))
			return false;
		const struct subscription *subscription =
			subscriptions_of_client(subscriptions, pack->subscription, ref);
		if (subscription == NULL) {
			pack->subscription = shard_client(shard, ref)->session.subscription;
			continue;
		}
		pack_subscription(shard, ref, pack, subscription, out);
		pack->subscription = subscription->client_next;
	}
	return true;
}

static void pack_rest(struct shard *shard, const struct client *client, struct pack *pack, struct bytes *out)
{
	const struct extension *extension = extension_of(shard, client);
	if (!message_ref_is_none(extension->will)) {
		/* Its expiry counts from 0 until it is published. */
		pack_message(shard, pack, extension->will, 0, out);
		struct store_record will = {
			.kind = STORE_WILL_SET,
			.session = NAME,
			.message = pack->messages,
			.delay_s = extension->will_delay_s,
			.expiry_s = message_at(&shard->mem.messages, extension->will)->publication.expires_s,
		};
		pack_put(out, &will);
	}
	struct store_record left = {
		.kind = STORE_LEFT,
		.session = NAME,
		.expiry_s = extension->expiry_s,
		.ends_at_s = time_of(pack, extension->ends_at_s),
		.will_at_s = message_ref_is_none(extension->will) ? STORE_NEVER_S : time_of(pack, extension->will_at_s),
	};
	pack_put(out, &left);
}

/* ---- all of it ---- */

/* What its client has published is acknowledged elsewhere, or never: an identifier at QoS 2 moves when its message is
 * with all who subscribe. */
static bool pack_may_begin(const struct shard *shard, const struct move *move)
{
	const struct client *client = shard_client(shard, move->client);
	if (client->session.cleaning)
		return false;
	return pending_acks_of(&shard->routing.acks, move->client) == 0 ||
	       shard->loop.now_ms >= move->pack.wait_until_ms;
}

enum pack_progress pack_some(struct shard *shard, struct move *move, struct bytes *out, size_t bytes_max,
			     uint64_t until)
{
	struct pack *pack = &move->pack;
	const struct client *client = shard_client(shard, move->client);
	CHECK(client->state == CLIENT_OFFLINE && move->kind == MOVE_AWAY);
	switch (pack->stage) {
	case PACK_WAITS:
		if (!pack_may_begin(shard, move))
			return PACK_IS_WAITING;
		pack->stage = PACK_HEAD;
		return PACK_MORE;
	case PACK_HEAD:
		pack_head(shard, client, pack, out);
		pack->stage = PACK_QUEUE;
		return PACK_MORE;
	case PACK_QUEUE:
		if (pack_queue(shard, client, pack, out, bytes_max, until) == PACK_MORE)
			return PACK_MORE;
		if (!queue_is_told(shard, client, pack))
			return PACK_IS_WAITING;
		uint16_t last = extension_of(shard, client)->flow.packet_id;
		if (last != 0)
			pack_put(out,
				 &(struct store_record){.kind = STORE_NUMBERED, .session = NAME, .packet_id = last});
		pack->stage = PACK_RECEIVED;
		return PACK_MORE;
	case PACK_RECEIVED:
		if (pack_received(shard, client, pack, out, bytes_max)) {
			pack->subscription = client->session.subscription;
			pack->stage = PACK_SUBSCRIPTIONS;
		}
		return PACK_MORE;
	case PACK_SUBSCRIPTIONS:
		if (pack_subscriptions(shard, move->client, pack, out, bytes_max, until))
			pack->stage = PACK_REST;
		return PACK_MORE;
	case PACK_REST:
		pack_rest(shard, client, pack, out);
		pack->stage = PACK_LATE;
		return PACK_MORE;
	case PACK_LATE:
		break;
	}
	return pack_queue(shard, client, pack, out, bytes_max, until);
}

bool pack_is_through(const struct shard *shard, const struct move *move)
{
	return pack_is_whole(move) && queue_is_told(shard, shard_client(shard, move->client), &move->pack);
}
