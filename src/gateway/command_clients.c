#include "gateway/command_clients.h"

#include "gateway/client_session.h"
#include "gateway/shard.h"
#include "net/health.h"
#include "session/packet_ids.h"

/* ---- a client in short ---- */

static struct client_row describe(struct shard *shard, uint32_t index)
{
	const struct client *client = shard_client(shard, index);
	const struct extras *extras = extras_of(shard, client);
	struct client_row row = {
		.keepalive_s = client->keepalive_s,
		.state = client->state,
		.version = client->version,
		.subscriptions = client->session.subscription_count,
	};
	if (extras != NULL) {
		row.inflight = extras->flow.inflight;
		row.queued = extras->flow.queued;
		row.queued_bytes = extras->flow.queued_bytes;
	}
	const struct account *account = account_of(shard, client);
	if (account != NULL)
		row.dropped = account->dropped;
	if (!client_is_connected(client))
		return row;
	uint32_t at_s = shard_connected_at_s(shard, index);
	uint64_t seen_ms = (uint64_t)client->seen_tick * WHEEL_TICK_MS;
	row.connected_s = at_s != 0 && at_s <= shard->now_s ? shard->now_s - at_s : 0;
	row.silent_ms = seen_ms < shard->now_ms ? (uint32_t)(shard->now_ms - seen_ms) : 0;
	row.output_bytes = (uint32_t)io_queued_bytes(&shard->io, &client->conn);
	row.address = peer_of_stream(&shard->io.streams, client->conn.stream);
	return row;
}

/* ---- some of them ---- */

static bool state_is_wanted(const struct client *client, uint32_t states)
{
	return (client_is_connected(client) && (states & LIST_CONNECTED) != 0) ||
	       (client->state == CLIENT_OFFLINE && (states & LIST_OFFLINE) != 0);
}

static bool begins_with(struct slice id, struct slice prefix)
{
	return id.size >= prefix.size && (prefix.size == 0 || memcmp(id.data, prefix.data, prefix.size) == 0);
}

/* False when there is no room for its id. */
static bool add_row(struct shard *shard, struct command_list *list, uint32_t index, struct slice id)
{
	if (list->ids_capacity - list->ids_used < id.size)
		return false;
	struct client_row *row = &list->rows[list->row_count++];
	*row = describe(shard, index);
	row->id_offset = (uint32_t)list->ids_used;
	row->id_bytes = (uint16_t)id.size;
	memcpy(list->ids + list->ids_used, id.data, id.size);
	list->ids_used += id.size;
	return true;
}

enum error command_list_clients(struct shard *shard, struct command_list *list)
{
	list->row_count = 0;
	list->ids_used = 0;
	list->ended = false;
	for (uint32_t places = 0; places < COMMAND_PLACES_MAX && list->row_count < list->row_max; places++) {
		uint32_t index = list->cursor + 1;
		if (list->cursor >= shard->clients.touched) {
			list->ended = true;
			return ERROR_OK;
		}
		const struct client *client = shard_client(shard, index);
		if (state_is_wanted(client, list->states) && client->session.id != 0) {
			struct slice id = registry_id(&shard->registry, &client->session);
			if (begins_with(id, list->prefix) && !add_row(shard, list, index, id))
				return ERROR_OK;
		}
		list->cursor = index;
	}
	list->ended = list->cursor >= shard->clients.touched;
	return ERROR_OK;
}

/* ---- one of them ---- */

static void list_subscriptions(const struct shard *shard, const struct session *session, struct command_client *answer)
{
	const struct subscription *subscription;
	uint32_t index = session->subscription;
	answer->subscription_rows = 0;
	answer->filters_used = 0;
	for (; index != 0 && answer->subscription_rows < COMMAND_SUBSCRIPTIONS_MAX; index = subscription->client_next) {
		subscription = pool_at(&shard->subscriptions.pool, index);
		uint8_t *at = answer->filters + answer->filters_used;
		size_t size = index_filter_text(shard->index, subscription->node, at,
						answer->filters_capacity - answer->filters_used);
		if (size == 0)
			return; /* no more room */
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
	answer->has_tcp = health_read(&shard->io.streams, client->conn.stream, &health);
	if (!answer->has_tcp)
		return;
	answer->rtt_us = health.rtt_us;
	answer->unacknowledged = health.unacknowledged;
	answer->retransmits = health.retransmits;
	answer->last_ack_ms = health.last_ack_ms;
}

enum error command_inspect_client(struct shard *shard, struct command_client *answer)
{
	uint32_t index = registry_find(&shard->registry, (uint32_t)answer->hash, answer->id);
	if (index == 0)
		return ERROR_NOT_FOUND;
	const struct client *client = shard_client(shard, index);
	const struct extras *extras = extras_of(shard, client);
	answer->row = describe(shard, index);
	answer->packet_bytes_max = MQTT_BODY_BYTES_MAX + MQTT_HEADER_BYTES_MAX;
	answer->paused = client->pause != PAUSE_NONE;
	if (extras != NULL) {
		if (client->bounded)
			answer->packet_bytes_max = extras->packet_bytes_max;
		answer->session_expiry_s = extras->expiry_s;
		answer->has_will = extras->will != 0;
		answer->will_delay_s = extras->will_delay_s;
		answer->unreleased = packet_ids_count(&shard->slab, extras->received);
		uint32_t ends_at_s = extras->ends_at_s;
		if (client->state == CLIENT_OFFLINE && ends_at_s != EXTRAS_NEVER_S)
			answer->ends_in_s = ends_at_s > shard->now_s ? ends_at_s - shard->now_s : 0;
		else if (client->state == CLIENT_OFFLINE)
			answer->ends_in_s = EXTRAS_NEVER_S;
	}
	list_subscriptions(shard, &client->session, answer);
	ask_kernel(shard, client, answer);
	return ERROR_OK;
}

enum error command_end_client(struct shard *shard, const struct command_client *wanted, bool session_too)
{
	uint32_t index = registry_find(&shard->registry, (uint32_t)wanted->hash, wanted->id);
	if (index == 0)
		return ERROR_NOT_FOUND;
	const struct client *client = shard_client(shard, index);
	if (session_too) {
		session_end(shard, index, ERROR_ADMINISTRATIVE);
		return ERROR_OK;
	}
	if (!client_is_connected(client))
		return ERROR_NOT_FOUND;
	client_end(shard, index, ERROR_ADMINISTRATIVE);
	return ERROR_OK;
}
