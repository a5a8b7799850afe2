#include "shard/command_clients.h"

#include "net/health.h"
#include "runtime/client_transport.h"
#include "session/packet_ids.h"
#include "state/account.h"
#include "state/ending.h"
#include "state/extension.h"
#include "state/principal.h"
#include "state/shard.h"
#include "topics/index/index.h"

/* ---- a client's row ---- */

static struct client_row describe(struct shard *shard, struct client_ref ref)
{
	const struct client *client = shard_client(shard, ref);
	const struct extension *extension = extension_of(shard, client);
	struct client_row row = {
		.keepalive_s = client->keepalive_s,
		.state = client->state,
		.version = client->version,
		.subscriptions = client->session.subscription_count,
	};
	if (extension != NULL) {
		row.inflight = extension->flow.inflight;
		row.queued = extension->flow.queued;
		row.queued_bytes = extension->flow.queued_bytes;
	}
	const struct account *account = account_of(shard, client);
	if (account != NULL)
		row.dropped = account->dropped;
	if (!client_is_connected(client))
		return row;
	uint32_t at_s = shard_connected_at_s(shard, ref);
	uint64_t seen_ms = (uint64_t)client->seen_tick * WHEEL_TICK_MS;
	row.connected_s = at_s != 0 && at_s <= shard->loop.now_s ? shard->loop.now_s - at_s : 0;
	row.silent_ms = seen_ms < shard->loop.now_ms ? (uint32_t)(shard->loop.now_ms - seen_ms) : 0;
	row.output_bytes = (uint32_t)io_queued_bytes(&shard->mem.io, &client->conn);
	row.address = peer_of_stream(&shard->mem.io.streams, client->conn.stream);
	struct stream_facts facts = stream_facts(&shard->mem.io.streams, client->conn.stream);
	row.transport = (uint8_t)client_transport(&facts, client->session.is_unix);
	row.tls_version = facts.tls_version;
	row.tls_cipher = facts.tls_cipher;
	return row;
}

/* ---- list ---- */

static bool state_is_wanted(const struct client *client, uint32_t states)
{
	return (client_is_connected(client) && (states & LIST_CONNECTED) != 0) ||
	       (client->state == CLIENT_OFFLINE && (states & LIST_OFFLINE) != 0) ||
	       (client->state == CLIENT_CLOSING && (states & LIST_CLOSING) != 0);
}

static bool command_list_begins_with(struct slice id, struct slice prefix)
{
	return id.size >= prefix.size && (prefix.size == 0 || memcmp(id.data, prefix.data, prefix.size) == 0);
}

static struct slice user_of(const struct shard *shard, struct client_ref ref)
{
	const struct principal *principal = principal_of(shard, shard_client(shard, ref));
	return principal != NULL ? slice_of(principal->user, principal->user_bytes) : slice_of(NULL, 0);
}

/* False: there is no room for the client id and the user. */
static bool command_list_add_row(struct shard *shard, struct command_list *list, struct client_ref ref, struct slice id)
{
	struct slice user = list->with_users ? user_of(shard, ref) : slice_of(NULL, 0);
	CHECK_LE(list->ids_used, list->ids_capacity);
	if (list->ids_capacity - list->ids_used < id.size + user.size)
		return false;
	CHECK_LT(list->row_count, list->row_max);
	struct client_row *row = &list->rows[list->row_count++];
	*row = describe(shard, ref);
	row->id_offset = (uint32_t)list->ids_used;
	row->id_bytes = (uint16_t)id.size;
	row->user_bytes = (uint16_t)user.size;
	memcpy(list->ids + list->ids_used, id.data, id.size);
	list->ids_used += id.size;
	if (user.size != 0)
		memcpy(list->ids + list->ids_used, user.data, user.size);
	list->ids_used += user.size;
	return true;
}

enum error command_list_clients(struct shard *shard, struct command_list *list)
{
	list->row_count = 0;
	list->ids_used = 0;
	list->ended = false;
	for (uint32_t places = 0; places < COMMAND_PLACES_MAX && list->row_count < list->row_max; places++) {
		struct client_ref ref = {list->cursor + 1};
		if (list->cursor >= shard->mem.clients.touched) {
			list->ended = true;
			return ERROR_OK;
		}
		const struct client *client = shard_client(shard, ref);
		if (state_is_wanted(client, list->states) && client->session.id != 0) {
			struct slice id = registry_id(&shard->sessions.registry, &client->session);
			if (command_list_begins_with(id, list->prefix) && !command_list_add_row(shard, list, ref, id))
				return ERROR_OK;
		}
		list->cursor = ref.index;
	}
	list->ended = list->cursor >= shard->mem.clients.touched;
	return ERROR_OK;
}

/* ---- inspect and end ---- */

static void list_subscriptions(const struct shard *shard, const struct session *session, struct command_client *answer)
{
	const struct subscription *subscription;
	struct subscription_ref ref = session->subscription;
	answer->subscription_rows = 0;
	answer->filters_used = 0;
	for (; !subscription_ref_is_none(ref) && answer->subscription_rows < COMMAND_SUBSCRIPTIONS_MAX;
	     ref = subscription->client_next) {
		subscription = subscriptions_at(&shard->sessions.subscriptions, ref);
		uint8_t *at = answer->filters + answer->filters_used;
		size_t size = index_filter_text(shard->env.index, subscription->node, at,
						answer->filters_capacity - answer->filters_used);
		if (size == 0)
			return; /* no more room */
		CHECK_LE(size, answer->filters_capacity - answer->filters_used);
		answer->subscriptions[answer->subscription_rows++] = (struct subscription_row){
			.filter_offset = (uint32_t)answer->filters_used,
			.filter_bytes = (uint32_t)size,
			.identifier = subscription->identifier,
			.qos = subscription->options & SUBSCRIPTION_QOS_MASK,
			.no_local = (subscription->options & SUBSCRIPTION_NO_LOCAL) != 0,
			.retain_as_published = (subscription->options & SUBSCRIPTION_RETAIN_AS_PUBLISHED) != 0,
		};
		answer->filters_used += size;
	}
}

static void ask_kernel(struct shard *shard, const struct client *client, struct command_client *answer)
{
	struct health health;
	answer->has_tcp = health_read(&shard->mem.io.streams, client->conn.stream, &health);
	if (!answer->has_tcp)
		return;
	answer->rtt_us = health.rtt_us;
	answer->unacknowledged = health.unacknowledged;
	answer->retransmits = health.retransmits;
	answer->last_ack_ms = health.last_ack_ms;
}

static void tell_subject(const struct shard *shard, const struct client *client, struct command_client *answer)
{
	answer->subject[0] = '\0';
	if (!client_is_connected(client))
		return;
	struct slice subject = stream_facts(&shard->mem.io.streams, client->conn.stream).subject;
	size_t size = subject.size < COMMAND_SUBJECT_BYTES_MAX ? subject.size : COMMAND_SUBJECT_BYTES_MAX - 1;
	if (size != 0)
		memcpy(answer->subject, subject.data, size);
	answer->subject[size] = '\0';
}

enum error command_inspect_client(struct shard *shard, struct command_client *answer)
{
	struct client_ref ref = registry_find(&shard->sessions.registry, (uint32_t)answer->hash, answer->id);
	if (client_ref_is_none(ref))
		return ERROR_NOT_FOUND;
	const struct client *client = shard_client(shard, ref);
	const struct extension *extension = extension_of(shard, client);
	answer->row = describe(shard, ref);
	answer->packet_bytes_max = MQTT_BODY_BYTES_MAX + MQTT_HEADER_BYTES_MAX;
	answer->paused = client->pause != PAUSE_NONE;
	if (extension != NULL) {
		if (client->bounded)
			answer->packet_bytes_max = extension->packet_bytes_max;
		answer->session_expiry_s = extension->expiry_s;
		answer->has_will = !message_ref_is_none(extension->will);
		answer->will_delay_s = extension->will_delay_s;
		answer->unreleased = packet_ids_count(&shard->mem.slab, extension->received);
		uint32_t ends_at_s = extension->ends_at_s;
		if (client->state == CLIENT_OFFLINE && ends_at_s != EXTENSION_NEVER_S)
			answer->ends_in_s = ends_at_s > shard->loop.now_s ? ends_at_s - shard->loop.now_s : 0;
		else if (client->state == CLIENT_OFFLINE)
			answer->ends_in_s = EXTENSION_NEVER_S;
	}
	list_subscriptions(shard, &client->session, answer);
	ask_kernel(shard, client, answer);
	tell_subject(shard, client, answer);
	return ERROR_OK;
}

enum error command_end_client(struct shard *shard, const struct command_client *wanted, bool session_too)
{
	struct client_ref ref = registry_find(&shard->sessions.registry, (uint32_t)wanted->hash, wanted->id);
	if (client_ref_is_none(ref))
		return ERROR_NOT_FOUND;
	const struct client *client = shard_client(shard, ref);
	if (session_too) {
		session_end(shard, ref, ERROR_ADMINISTRATIVE);
		return ERROR_OK;
	}
	if (!client_is_connected(client))
		return ERROR_NOT_FOUND;
	client_end(shard, ref, ERROR_ADMINISTRATIVE);
	return ERROR_OK;
}
