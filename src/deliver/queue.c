#include "deliver/queue.h"

#include "deliver/congestion.h"
#include "deliver/members.h"
#include "deliver/outgoing.h"
#include "deliver/send.h"
#include "state/account.h"
#include "state/extension.h"
#include "state/offline.h"
#include "state/principal.h"
#include "state/release.h"
#include "state/shard.h"

/* Entries that are checked for expiry: of a full queue for each new message, and of any queue in one visit. */
#define EXPIRED_LOOKS 64u
#define EXPIRED_LOOKS_PER_VISIT 1024u
_Static_assert(EXPIRED_LOOKS <= EXPIRED_LOOKS_PER_VISIT, "a new message costs no more than a visit");

const struct subscription *queue_subscription(const struct shard *shard, const struct client *client,
					      const struct flow_entry *entry)
{
	CHECK(entry->shared);
	const struct subscription *subscription = subscriptions_of_client(
		&shard->sessions.subscriptions, entry->subscription, shard_client_ref(shard, client));
	bool same = subscription != NULL && (subscription->options & SUBSCRIPTION_SHARED) != 0 &&
		    (subscription->generation & FLOW_GENERATION_MASK) == entry->generation;
	return same ? subscription : NULL;
}

/* Returns a reference of the caller's own; none: no memory. */
static struct message_ref keep_message(struct shard *shard, struct delivery *delivery)
{
	if (message_ref_is_none(delivery->kept))
		delivery->kept = messages_new(&shard->mem.messages, &delivery->publication, delivery->packet);
	if (!message_ref_is_none(delivery->kept))
		messages_get(&shard->mem.messages, delivery->kept);
	return delivery->kept;
}

/* Tells the journal of the entry that was just appended. */
static void queue_tell(struct shard *shard, const struct client *client, uint32_t index)
{
	if (!client->session.journaled)
		return;
	const struct flow_entry *entry = flow_entry_at(&shard->mem.flows, index);
	CHECK(!message_ref_is_none(entry->message) && entry->state == FLOW_QUEUED);
	const struct publication *publication = &message_at(&shard->mem.messages, entry->message)->publication;
	messages_tell(&shard->mem.messages, entry->message, shard_message_deadline(shard, publication->expires_s));
	struct journal_entry told = {
		.message = entry->message,
		.identifier = entry->shared ? 0 : entry->identifier,
		.qos = entry->qos,
		.retain = entry->retain,
		.shared = entry->shared,
	};
	if (entry->shared && queue_subscription(shard, client, entry) != NULL)
		told.subscription = entry->subscription;
	struct journal *journal = &shard->sessions.journal;
	journal_tell(journal)->queued(journal->context, shard_client_ref(shard, client), index, &told);
}

/* ---- room in the queue ---- */

/* Messages that were sent on an earlier connection do not count: they were in the window, and are not dropped. */
static bool queue_fits(const struct shard *shard, const struct flow *flow, uint32_t bytes)
{
	const struct settings *settings = shard->env.settings;
	if (flow->queued < settings->queue_messages_max && flow->queued_bytes + bytes <= settings->queue_bytes_max)
		return true;
	struct flow_repeats repeats = flow_repeats(flow, &shard->mem.flows);
	return flow->queued - repeats.messages < settings->queue_messages_max &&
	       flow->queued_bytes - repeats.bytes + bytes <= settings->queue_bytes_max;
}

static bool drop_expired(struct shard *shard, struct flow *flow, uint32_t looks)
{
	bool whole;
	uint32_t dropped = flow_drop_expired(flow, &shard->mem.flows, shard->loop.now_s, looks, &whole);
	counter_add(&shard->counters.values[COUNTER_messages_expired], dropped);
	return whole;
}

bool queue_drop_expired(struct shard *shard, struct client *client)
{
	struct extension *extension = extension_of(shard, client);
	return extension == NULL || extension->flow.queued == 0 ||
	       drop_expired(shard, &extension->flow, EXPIRED_LOOKS_PER_VISIT);
}

/* Makes room for a message of `bytes`. False: there is none. Nothing is dropped for a message that would not fit even
 * then. */
static bool queue_make_room(struct shard *shard, struct client *client, struct flow *flow, uint32_t bytes)
{
	if (queue_fits(shard, flow, bytes) || congestion_takes(shard, client, bytes))
		return true;
	drop_expired(shard, flow, EXPIRED_LOOKS);
	if (queue_fits(shard, flow, bytes))
		return true;
	if (bytes > shard->env.settings->queue_bytes_max || shard->env.settings->queue_drops_newest)
		return false;
	do {
		if (!flow_drop_oldest(flow, &shard->mem.flows))
			return false;
		account_lost(shard, client);
	} while (!queue_fits(shard, flow, bytes));
	return true;
}

/* ---- a new message ---- */

/* Whether the message must be kept until it is acknowledged: the session may outlive its connection, another member of
 * the shared subscription may get the message, or it cannot be sent yet. */
static bool must_keep(const struct extension *extension, const struct flow_entry *entry, bool send_now)
{
	return extension->expiry_s != 0 || entry->shared || !send_now;
}

static struct mqtt_forward forward_entry(const struct shard *shard, const struct client *client,
					 const struct flow_entry *entry, const struct publication *publication,
					 const struct publication_parts *parts)
{
	struct mqtt_forward forward = publication_forward(publication, parts, client->version, shard->loop.now_s);
	forward.qos = entry->qos;
	forward.retain = entry->retain;
	forward.packet_id = entry->packet_id;
	if (client->version != MQTT_VERSION_5)
		return forward;
	forward.subscription_id = entry->identifier;
	if (entry->shared) {
		const struct subscription *subscription = queue_subscription(shard, client, entry);
		forward.subscription_id = subscription != NULL ? subscription->identifier : 0;
	}
	return forward;
}

/* Sends the new entry, which is the first unsent one. */
static void send_new(struct shard *shard, struct delivery *delivery, struct client *client, struct extension *extension)
{
	flow_sent(&extension->flow, &shard->mem.flows);
	const struct flow_entry *entry = flow_entry_at(&shard->mem.flows, extension->flow.last);
	struct mqtt_forward forward = forward_entry(shard, client, entry, &delivery->publication, &delivery->parts);
	enum error error = send_publish(shard, client, &forward, delivery->parts.payload, false);
	if (error == ERROR_OK) {
		outgoing_count_sent(shard, entry->qos, delivery->parts.payload);
		return;
	}
	/* The message cannot be sent to this client: it counts as acknowledged [MQTT-3.1.2-25]. */
	outgoing_count_refused(shard, error);
	flow_abandon_last(&extension->flow, &shard->mem.flows);
}

/* The message waits in the queue: tells those who act on that. */
static void note_waiting(struct shard *shard, const struct delivery *delivery, struct client *client,
			 const struct extension *extension, const struct subscription *subscription)
{
	congestion_queued(shard, client, &delivery->publisher);
	if ((subscription->options & SUBSCRIPTION_SHARED) != 0)
		members_queued(shard, client, subscriptions_ref(&shard->sessions.subscriptions, subscription));
	if (client->state == CLIENT_OFFLINE && extension->flow.queued == 1)
		offline_queue_begins(shard, shard_client_ref(shard, client));
}

static void queue_link_entry(struct shard *shard, struct delivery *delivery, struct client *client,
			     struct extension *extension, const struct subscription *subscription,
			     struct flow_entry *entry, bool send_now)
{
	bool keep = must_keep(extension, entry, send_now);
	entry->message = keep ? keep_message(shard, delivery) : message_ref_none();
	bool has_message = !keep || !message_ref_is_none(entry->message);
	uint32_t index = has_message ? flow_append(&extension->flow, &shard->mem.flows, entry) : 0;
	if (index == 0) {
		if (!message_ref_is_none(entry->message))
			messages_put(&shard->mem.messages, entry->message);
		COUNT(&shard->counters, messages_dropped_memory);
		return;
	}
	delivery->taken = true;
	queue_tell(shard, client, index);
	if (send_now)
		send_new(shard, delivery, client, extension);
	else
		note_waiting(shard, delivery, client, extension, subscription);
}

void queue_deliver(struct shard *shard, struct delivery *delivery, struct client *client,
		   const struct subscription *subscription, uint8_t qos, bool retain)
{
	struct extension *extension = extension_need(shard, client);
	if (extension == NULL) {
		COUNT(&shard->counters, messages_dropped_memory);
		return;
	}
	struct flow_entry entry = {.identifier = subscription->identifier, .qos = qos & 3u, .retain = retain};
	if ((subscription->options & SUBSCRIPTION_SHARED) != 0) {
		entry.shared = 1;
		entry.subscription = subscriptions_ref(&shard->sessions.subscriptions, subscription);
		entry.generation = subscription->generation & FLOW_GENERATION_MASK;
	}
	struct flow *flow = &extension->flow;
	uint32_t bytes = delivery->publication.packet_bytes;
	bool send_now = client_is_connected(client) && flow->unsent == 0 &&
			flow_can_send(flow, &shard->mem.flows, outgoing_window(shard, extension)) &&
			outgoing_has_room(shard, client, bytes);
	if (send_now || queue_make_room(shard, client, flow, bytes)) {
		queue_link_entry(shard, delivery, client, extension, subscription, &entry, send_now);
		return;
	}
	delivery->refused = true;
	account_lost(shard, client);
}

/* ---- the queue ---- */

static enum error send_kept(struct shard *shard, struct client *client, const struct flow_entry *entry, bool repeated)
{
	const struct message *message = message_at(&shard->mem.messages, entry->message);
	struct publication_parts parts = publication_parts(&message->publication, message->packet);
	struct mqtt_forward forward = forward_entry(shard, client, entry, &message->publication, &parts);
	forward.dup = repeated; /* [MQTT-3.3.1-1] */
	enum error error = send_publish(shard, client, &forward, parts.payload, true);
	outgoing_count_refused(shard, error);
	if (error != ERROR_OK)
		return error;
	outgoing_count_sent(shard, entry->qos, parts.payload);
	if (repeated)
		COUNT(&shard->counters, messages_repeated);
	return ERROR_OK;
}

static struct slice topic_of(const struct message *message)
{
	return publication_parts(&message->publication, message->packet).topic;
}

/* Sends the first unsent entry, or drops it if it cannot be sent. */
static void send_unsent(struct shard *shard, struct client *client, struct extension *extension)
{
	struct flow *flow = &extension->flow;
	struct flow_entry *entry = flow_entry_at(&shard->mem.flows, flow->unsent);
	bool repeated = entry->packet_id != 0;
	if (entry->state == FLOW_RELEASED) {
		flow_sent(flow, &shard->mem.flows);
		send_ack(shard, client, MQTT_PUBREL, entry->packet_id, 0);
		return;
	}
	const struct message *message = message_at(&shard->mem.messages, entry->message);
	if (!repeated && publication_expired(&message->publication, shard->loop.now_s)) {
		COUNT(&shard->counters, messages_expired);
		flow_drop_unsent(flow, &shard->mem.flows);
		return;
	}
	if (!repeated && client->session.is_narrowed && !principal_may_subscribe(shard, client, topic_of(message))) {
		COUNT(&shard->counters, messages_dropped_denied);
		flow_drop_unsent(flow, &shard->mem.flows);
		return;
	}
	if (entry->qos != 0)
		flow_number(flow, &shard->mem.flows);
	enum error error = send_kept(shard, client, entry, repeated);
	if (error != ERROR_OK || entry->qos == 0) {
		flow_drop_unsent(flow, &shard->mem.flows);
		return;
	}
	if (!repeated && !must_keep(extension, entry, true))
		flow_forget_unsent(flow, &shard->mem.flows);
	flow_sent(flow, &shard->mem.flows);
}

void queue_send(struct shard *shard, struct client_ref ref)
{
	struct client *client = shard_client(shard, ref);
	struct extension *extension = extension_of(shard, client);
	if (extension == NULL || !client_is_connected(client))
		return;
	struct flow *flow = &extension->flow;
	uint32_t messages = flow->queued;
	uint32_t bytes = flow->queued_bytes;
	while (flow->unsent != 0 && outgoing_has_room(shard, client, FRAME_COPY_BYTES_MAX)) {
		bool numbered = flow_entry_at(&shard->mem.flows, flow->unsent)->qos != 0;
		if (numbered && !flow_can_send(flow, &shard->mem.flows, outgoing_window(shard, extension)))
			break;
		turn_work_charge(&shard->loop.work, WORK_DELIVERY);
		send_unsent(shard, client, extension);
	}
	if (flow->unsent == 0)
		client->session.is_narrowed = 0; /* what comes from now on came by the rights that it has now */
	if (!account_ref_is_none(extension->account)) {
		CHECK_GE(messages, flow->queued); /* sending appends nothing */
		CHECK_GE(bytes, flow->queued_bytes);
		congestion_sent(shard, client, messages - flow->queued, bytes - flow->queued_bytes);
		members_sent(shard, client, flow);
	}
	extension_trim(shard, client);
}

bool queue_retained(struct shard *shard, struct client_ref ref, const struct publication *publication,
		    const uint8_t *packet, uint8_t qos, uint32_t identifier)
{
	CHECK_LE(qos, 2);
	struct client *client = shard_client(shard, ref);
	struct extension *extension = extension_need(shard, client);
	struct flow_entry entry = {
		.identifier = identifier,
		.message = messages_new(&shard->mem.messages, publication, packet),
		.qos = (publication->qos < qos ? publication->qos : qos) & 3u,
		.retain = 1,
	};
	bool can = extension != NULL && !message_ref_is_none(entry.message);
	uint32_t index = can ? flow_append(&extension->flow, &shard->mem.flows, &entry) : 0;
	if (index != 0) {
		queue_tell(shard, client, index);
		return true;
	}
	if (!message_ref_is_none(entry.message))
		messages_put(&shard->mem.messages, entry.message);
	COUNT(&shard->counters, messages_dropped_memory);
	return false;
}
