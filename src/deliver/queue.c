#include "deliver/queue.h"

#include "deliver/bodies/bodies.h"
#include "deliver/congestion.h"
#include "deliver/members.h"
#include "deliver/outgoing.h"
#include "deliver/own_queue.h"
#include "deliver/resumed.h"
#include "deliver/send.h"
#include "runtime/nodes/moves.h"
#include "state/account.h"
#include "state/client_state.h"
#include "state/ending.h"
#include "state/extension.h"
#include "state/offline.h"
#include "state/principal.h"
#include "state/release.h"
#include "state/shard.h"
#include "state/tell_nodes.h"

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

/* A message that is sent at once is acknowledged soon, as a rule, and lies in one block. A client that has so much in
 * flight may be gone: what it gets from there on may leave memory too, so that sessions whose connections are lost keep
 * no more than this in it. */
#define PLAIN_INFLIGHT_MAX 16u
#define PLAIN_SENT_BYTES_MAX 4096u

/* Whether the entry's packet may leave memory while it is in the client's list. Not that of a shared entry, which may
 * be handed on and is then routed anew. */
static bool is_apart(const struct shard *shard, const struct client *client, const struct flow *flow,
		     const struct flow_entry *entry, uint32_t bytes, bool send_now)
{
	if (!client->session.journaled || entry->shared || shard->env.message_source == NULL)
		return false;
	return !send_now || flow->inflight >= PLAIN_INFLIGHT_MAX || flow->sent_bytes + bytes > PLAIN_SENT_BYTES_MAX;
}

/* Returns a reference of the caller's own; none: no memory. A shard keeps a message at most twice: apart for sessions
 * in which it may wait long, and in one piece for those that had it before them or have it as a shared one. */
static struct message_ref keep_message(struct shard *shard, struct delivery *delivery, bool shared, bool apart)
{
	struct messages *messages = &shard->mem.messages;
	bool has_apart = !message_ref_is_none(delivery->kept.apart);
	struct message_ref *kept = apart || (has_apart && !shared) ? &delivery->kept.apart : &delivery->kept.plain;
	struct publication publication = delivery->publication;
	publication.may_return = publication.resumed = 0; /* no longer its publisher's */
	if (message_ref_is_none(*kept))
		*kept = apart ? messages_new_apart(messages, &publication, delivery->packet)
			      : messages_new(messages, &publication, delivery->packet);
	if (!message_ref_is_none(*kept))
		messages_get(messages, *kept);
	return *kept;
}

void queue_tell(struct shard *shard, const struct client *client, uint32_t index,
		const struct publisher_name *publisher)
{
	if (!client->session.journaled)
		return;
	const struct flow_entry *entry = flow_entry_at(&shard->mem.flows, index);
	CHECK(message_ref_is_none(entry->message) == (entry->state == FLOW_RELEASED));
	if (!message_ref_is_none(entry->message)) {
		const struct publication *publication = &message_at(&shard->mem.messages, entry->message)->publication;
		struct journal_publisher by = {{publisher->index}, publisher->shard, publisher->generation};
		CHECK(publisher->index == 0 || publication->qos == 2);
		messages_tell(&shard->mem.messages, entry->message,
			      shard_message_deadline(shard, publication->expires_s),
			      publisher->index != 0 ? &by : NULL);
	}
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
	if (publisher->index != 0 && !subscription_ref_is_none(told.subscription))
		resumed_tell_group(shard, publisher, entry->message, told.subscription);
}

/* ---- room in the queue ---- */

/* Messages that were sent on an earlier connection do not count: they were in the window, and are not dropped. */
static bool queue_fits(const struct shard *shard, const struct flow *flow, struct queue_limits limits, uint32_t bytes)
{
	if (flow->queued < limits.messages && flow->queued_bytes + bytes <= limits.bytes)
		return true;
	struct flow_repeats repeats = flow_repeats(flow, &shard->mem.flows);
	return flow->queued - repeats.messages < limits.messages &&
	       flow->queued_bytes - repeats.bytes + bytes <= limits.bytes;
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
	       moving_away(shard, shard_client_ref(shard, client)) ||
	       drop_expired(shard, &extension->flow, EXPIRED_LOOKS_PER_VISIT);
}

/* The same for a session with bounds of its own. */
static bool own_queue_make_room(struct shard *shard, struct client *client, struct flow *flow,
				const struct own_queue *own, uint32_t bytes)
{
	struct queue_limits limits = own_queue_limits(shard, own);
	if (queue_fits(shard, flow, limits, bytes))
		return true;
	drop_expired(shard, flow, EXPIRED_LOOKS);
	if (bytes > limits.bytes || !own->drops_oldest)
		return queue_fits(shard, flow, limits, bytes);
	for (uint32_t drops = 0; drops < OWN_QUEUE_DROPS_MAX && !queue_fits(shard, flow, limits, bytes); drops++) {
		if (!flow_drop_oldest(flow, &shard->mem.flows))
			return false;
		account_lost(shard, client);
	}
	return true;
}

/* Makes room for a message of `bytes`. False: there is none. Nothing is dropped for a message that would not fit even
 * then, and nothing from a rule's backlog: it was acknowledged, and nobody would send it again. */
static bool queue_make_room(struct shard *shard, struct client *client, struct flow *flow, bool is_internal,
			    uint32_t bytes)
{
	const struct own_queue *own = is_internal ? own_queue_of(shard, client) : NULL;
	struct queue_limits limits = outgoing_queue_limits(shard, is_internal);
	if (own != NULL)
		return own_queue_make_room(shard, client, flow, own, bytes);
	if (queue_fits(shard, flow, limits, bytes) || congestion_takes(shard, client, bytes))
		return true;
	if (moving_away(shard, shard_client_ref(shard, client)))
		return false;
	drop_expired(shard, flow, EXPIRED_LOOKS);
	if (queue_fits(shard, flow, limits, bytes))
		return true;
	if (bytes > limits.bytes || shard->env.settings->queue_drops_newest || is_internal)
		return false;
	do {
		if (!flow_drop_oldest(flow, &shard->mem.flows))
			return false;
		account_lost(shard, client);
	} while (!queue_fits(shard, flow, limits, bytes));
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

/* At QoS 2 a client remembers the identifier of what it got. If a PUBLISH left before its `sent` is safe, a restart
 * could give the identifier to another message, which the client would take for this one. So its output waits. False:
 * there is no memory for that, and its connection ends. */
static bool queue_hold_output(struct shard *shard, const struct client *client, const struct flow_entry *entry)
{
	if (entry->qos != 2 || !client->session.journaled)
		return true;
	CHECK(entry->packet_id != 0);
	struct client_ref ref = shard_client_ref(shard, client);
	if (outgoing_hold(shard, ref, false) == ERROR_OK)
		return true;
	client_end(shard, ref, ERROR_NO_MEMORY);
	return false;
}

/* Sends the new entry, which is the first unsent one. */
static void send_new(struct shard *shard, struct delivery *delivery, struct client *client, struct extension *extension)
{
	flow_sent(&extension->flow, &shard->mem.flows);
	const struct flow_entry *entry = flow_entry_at(&shard->mem.flows, extension->flow.last);
	if (!queue_hold_output(shard, client, entry))
		return;
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
	bool apart = is_apart(shard, client, &extension->flow, entry, delivery->publication.packet_bytes, send_now);
	entry->message = keep ? keep_message(shard, delivery, entry->shared, apart) : message_ref_none();
	bool has_message = !keep || !message_ref_is_none(entry->message);
	uint32_t index = has_message ? flow_append(&extension->flow, &shard->mem.flows, entry) : 0;
	if (index == 0) {
		if (!message_ref_is_none(entry->message))
			messages_put(&shard->mem.messages, entry->message);
		COUNT(&shard->counters, messages_dropped_memory);
		return;
	}
	delivery->taken = true;
	queue_tell(shard, client, index,
		   delivery->publication.may_return ? &delivery->publisher : &(struct publisher_name){0});
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
			flow_can_send(flow, &shard->mem.flows, outgoing_window(shard, client, extension)) &&
			outgoing_has_room(shard, client, bytes);
	if (send_now || queue_make_room(shard, client, flow, subscription->takes_origin, bytes)) {
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
	struct publication_parts parts =
		publication_parts(&message->publication, message_packet(&shard->mem.messages, message));
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

static struct slice topic_of(const struct shard *shard, const struct message *message)
{
	return publication_parts(&message->publication, message_packet(&shard->mem.messages, message)).topic;
}

/* Drops the first unsent entry, whose message cannot be sent. */
static void drop_unsent(struct shard *shard, struct flow *flow, enum counter reason)
{
	counter_add(&shard->counters.values[reason], 1);
	flow_drop_unsent(flow, &shard->mem.flows);
}

/* Sends the first unsent entry, or drops it if it cannot be sent. False: its packet has to be read first. */
static bool send_unsent(struct shard *shard, struct client *client, struct extension *extension)
{
	struct flow *flow = &extension->flow;
	struct flow_entry *entry = flow_entry_at(&shard->mem.flows, flow->unsent);
	bool repeated = entry->packet_id != 0;
	if (entry->state == FLOW_RELEASED) {
		flow_sent(flow, &shard->mem.flows);
		send_ack(shard, client, MQTT_PUBREL, entry->packet_id, 0);
		return true;
	}
	struct message *message = message_at(&shard->mem.messages, entry->message);
	if (!repeated && publication_expired(&message->publication, shard->loop.now_s)) {
		drop_unsent(shard, flow, COUNTER_messages_expired);
		return true;
	}
	if (message->apart && !bodies_use(shard, client, flow, message)) {
		if (!message->unreadable)
			return false;
		drop_unsent(shard, flow, COUNTER_messages_lost_unreadable);
		return true;
	}
	if (!repeated && client->session.is_narrowed &&
	    !principal_may_subscribe(shard, client, topic_of(shard, message))) {
		drop_unsent(shard, flow, COUNTER_messages_dropped_denied);
		return true;
	}
	if (entry->qos != 0)
		flow_number(flow, &shard->mem.flows);
	if (!queue_hold_output(shard, client, entry))
		return false;
	enum error error = send_kept(shard, client, entry, repeated);
	if (error != ERROR_OK || entry->qos == 0) {
		flow_drop_unsent(flow, &shard->mem.flows);
		return true;
	}
	if (!repeated && !must_keep(extension, entry, true))
		flow_forget_unsent(flow, &shard->mem.flows);
	flow_sent(flow, &shard->mem.flows);
	return true;
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
		if (numbered && !flow_can_send(flow, &shard->mem.flows, outgoing_window(shard, client, extension)))
			break;
		turn_work_charge(&shard->loop.work, WORK_DELIVERY);
		if (!send_unsent(shard, client, extension))
			break;
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
		.qos = (publication->qos < qos ? publication->qos : qos) & 3u,
		.retain = 1,
	};
	bool apart = extension != NULL && is_apart(shard, client, &extension->flow, &entry, publication->packet_bytes,
						   extension->flow.unsent == 0);
	entry.message = apart ? messages_new_apart(&shard->mem.messages, publication, packet)
			      : messages_new(&shard->mem.messages, publication, packet);
	bool can = extension != NULL && !message_ref_is_none(entry.message);
	uint32_t index = can ? flow_append(&extension->flow, &shard->mem.flows, &entry) : 0;
	if (index != 0) {
		queue_tell(shard, client, index, &(struct publisher_name){0});
		return true;
	}
	if (!message_ref_is_none(entry.message))
		messages_put(&shard->mem.messages, entry.message);
	COUNT(&shard->counters, messages_dropped_memory);
	return false;
}

void queue_moved_here(struct shard *shard, struct client_ref ref, const struct flow_entry *entry)
{
	struct client *client = shard_client(shard, ref);
	struct extension *extension = extension_need(shard, client);
	uint32_t bytes = message_at(&shard->mem.messages, entry->message)->publication.packet_bytes;
	if (extension == NULL) {
		COUNT(&shard->counters, messages_dropped_memory);
		return;
	}
	if (!queue_make_room(shard, client, &extension->flow, client_is_internal(client), bytes)) {
		account_lost(shard, client);
		return;
	}
	uint32_t index = flow_append(&extension->flow, &shard->mem.flows, entry);
	if (index == 0) {
		COUNT(&shard->counters, messages_dropped_memory);
		return;
	}
	messages_get(&shard->mem.messages, entry->message);
	queue_tell(shard, client, index, &(struct publisher_name){0});
	if (client->state == CLIENT_OFFLINE && extension->flow.queued == 1)
		offline_queue_begins(shard, ref);
	queue_send(shard, ref);
}
