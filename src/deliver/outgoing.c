#include "deliver/outgoing.h"

#include "state/client_state.h"
#include "state/extension.h"
#include "state/shard.h"

_Static_assert(COUNTER_messages_out_qos2 - COUNTER_messages_out_qos0 == 2, "counted by QoS");
_Static_assert(COUNTER_payloads_out_qos2_bytes - COUNTER_payloads_out_qos0_bytes == 2, "counted by QoS");

/* Under way to one of Roost's own clients, at least: it acknowledges what another server has confirmed, many at a time,
 * and takes the next ones meanwhile. */
#define INTERNAL_WINDOW_BYTES (4u << 20)

/* While the shard is overloaded a client that reads slowly may have less output waiting. */
static size_t output_limit(const struct shard *shard)
{
	size_t most = shard->env.settings->queue_bytes_max;
	return shard->loop.overload.grade >= OVERLOAD_SHED ? most / 8 : most;
}

bool outgoing_has_room(struct shard *shard, struct client *client, size_t bytes)
{
	if (client->conn.backlog == 0 && client->conn.outbox == 0)
		return true;
	if (io_queued_bytes(&shard->mem.io, &client->conn) + bytes <= output_limit(shard))
		return true;
	if (client->conn.backlog != 0)
		return false;
	io_flush_conn(&shard->mem.io, &client->conn);
	return client->conn.backlog == 0 ||
	       io_queued_bytes(&shard->mem.io, &client->conn) + bytes <= output_limit(shard);
}

enum error outgoing_hold(struct shard *shard, struct client_ref ref, bool is_first)
{
	struct commit_waits *commits = &shard->routing.commits;
	struct conn *conn = &shard_client(shard, ref)->conn;
	uint64_t commit = commit_waits_unsafe(commits);
	if (commit == 0 || io_held_last(&shard->mem.io, conn) == commit)
		return ERROR_OK;
	enum error error = io_hold(&shard->mem.io, conn, commit, is_first);
	if (error != ERROR_OK)
		return error;
	struct commit_wait wait = {.client = ref, .generation = conn->generation, .kind = COMMIT_WAIT_OUTPUT};
	return commit_waits_push(commits, shard->env.number, commit, &wait);
}

void outgoing_count_sent(struct shard *shard, uint8_t qos, struct slice payload)
{
	COUNT(&shard->counters, messages_out);
	counter_add(&shard->counters.values[COUNTER_messages_out_qos0 + qos], 1);
	counter_add(&shard->counters.values[COUNTER_payloads_out_qos0_bytes + qos], payload.size);
}

void outgoing_count_refused(struct shard *shard, enum error error)
{
	if (error == ERROR_PACKET_TOO_LARGE)
		COUNT(&shard->counters, messages_dropped_too_large);
	else if (error != ERROR_OK)
		COUNT(&shard->counters, messages_dropped_memory);
}

struct flow_bounds outgoing_window(const struct shard *shard, const struct client *client,
				   const struct extension *extension)
{
	uint32_t most = shard->env.settings->inflight_max;
	uint32_t bytes = shard->env.settings->queue_bytes_max;
	if (client_is_internal(client) && bytes < INTERNAL_WINDOW_BYTES)
		bytes = INTERNAL_WINDOW_BYTES;
	return (struct flow_bounds){
		.messages = extension->receive_max < most ? extension->receive_max : most,
		.bytes = bytes,
	};
}

bool outgoing_awaits_acks(const struct shard *shard, const struct client *client)
{
	const struct extension *extension = extension_of(shard, client);
	return extension != NULL && extension->flow.unsent != 0 &&
	       !flow_can_send(&extension->flow, &shard->mem.flows, outgoing_window(shard, client, extension));
}

struct queue_limits outgoing_queue_limits(const struct shard *shard, bool is_internal)
{
	const struct settings *settings = shard->env.settings;
	struct queue_limits limits = {settings->queue_messages_max, settings->queue_bytes_max};
	if (is_internal && settings->internal_queue_messages_max != 0)
		limits.messages = settings->internal_queue_messages_max;
	if (is_internal && settings->internal_queue_bytes_max != 0)
		limits.bytes = settings->internal_queue_bytes_max;
	return limits;
}
