#include "admin/snapshot/snapshot.h"

#include "base/check.h"
#include "gate/gate.h"
#include "gate/handshake/state.h"
#include "state/shard.h"
#include "topics/index/index.h"
#include "topics/retained.h"

/* What a thread's table holds beside the descriptors it was told to keep: 0, 1, 2 and its poller. */
#define DESCRIPTORS_OWN 4u

const char *memory_part_name(enum memory_part part)
{
	static const char *const NAMES[MEMORY_PART_COUNT] = {
		[MEMORY_CLIENTS] = "clients",   [MEMORY_SUBSCRIPTIONS] = "subscriptions",
		[MEMORY_QUEUES] = "queues",     [MEMORY_BLOCKS] = "blocks",
		[MEMORY_STREAMS] = "streams",   [MEMORY_INDEX] = "routing_index",
		[MEMORY_RETAINED] = "retained",
	};
	CHECK(part < MEMORY_PART_COUNT);
	return NAMES[part];
}

/* Memory in use: objects in the pools by their size. A session also has a bucket in the registry and its time of
 * connection, four bytes each. */
static void measure_memory(struct snapshot *snapshot)
{
	const struct counters *sum = &snapshot->sum;
	uint64_t *memory = snapshot->memory;
	memory[MEMORY_CLIENTS] = counter_of(sum, COUNTER_pool_clients_used) * (sizeof(struct client) + 8);
	memory[MEMORY_SUBSCRIPTIONS] = counter_of(sum, COUNTER_pool_subscriptions_used) * sizeof(struct subscription) +
				       counter_of(sum, COUNTER_pool_lists_used) * sizeof(struct subscriber_list);
	memory[MEMORY_QUEUES] = counter_of(sum, COUNTER_pool_queue_used) * sizeof(struct flow_entry);
	memory[MEMORY_BLOCKS] = counter_of(sum, COUNTER_slab_used_bytes);
	memory[MEMORY_STREAMS] = counter_of(sum, COUNTER_tls_stream_bytes) +
				 counter_of(sum, COUNTER_websocket_stream_bytes) +
				 counter_of(sum, COUNTER_proxied_stream_bytes);
	memory[MEMORY_INDEX] = snapshot->index.bytes;
	memory[MEMORY_RETAINED] = snapshot->retained.bytes;
	uint64_t bytes = 0;
	for (int part = 0; part < MEMORY_PART_COUNT; part++)
		bytes += part != MEMORY_RETAINED ? memory[part] : 0;
	snapshot->sessions = counter_of(sum, COUNTER_pool_clients_used);
	snapshot->session_bytes = snapshot->sessions != 0 ? (double)bytes / (double)snapshot->sessions : 0;
}

static void measure_store(struct snapshot *snapshot)
{
	struct store_figures *store = &snapshot->store;
	snapshot->has_store = gateway_store_figures(snapshot->gateway, store);
	snapshot->store_sync_s = (double)store->sync_ns / 1e9;
	snapshot->store_sync_last_s = (double)store->sync_last_ns / 1e9;
	snapshot->store_sync_max_s = (double)store->sync_max_ns / 1e9;
	snapshot->store_unsafe_s = (double)store->oldest_unsafe_ms / 1e3;
}

void snapshot_take(struct snapshot *snapshot, const struct gateway *gateway, const struct admin_counts *admin)
{
	*snapshot = (struct snapshot){.gateway = gateway, .parts = gateway_parts(gateway), .admin = admin};
	gateway_counters(gateway, &snapshot->sum);
	snapshot->machine = machine_sample();
	snapshot->started_s = machine_started_s();
	snapshot->index = index_size(snapshot->parts.index);
	snapshot->retained = retained_size(snapshot->parts.retained);
	snapshot->main_descriptors = snapshot->parts.private_tables ? machine_descriptors() : 0;
	measure_memory(snapshot);
	measure_store(snapshot);
}

uint64_t snapshot_shard_descriptors(const struct snapshot *snapshot, uint16_t number)
{
	CHECK(number < snapshot->parts.shard_count);
	const struct shard *shard = &snapshot->parts.shards[number];
	uint64_t sockets = counter_of(&shard->counters, COUNTER_connections_open);
	uint64_t elsewhere = counter_of(&shard->counters, COUNTER_connections_fixed);
	/* The shard changes them between the two reads. */
	return (sockets > elsewhere ? sockets - elsewhere : 0) + shard->env.keep_count + DESCRIPTORS_OWN;
}

uint64_t snapshot_gate_descriptors(const struct snapshot *snapshot, uint16_t number)
{
	CHECK(number < snapshot->parts.gate_count);
	const struct gate *gate = &snapshot->parts.gates[number];
	return counter_of(&gate->counters, COUNTER_handshakes_open) + gate->keep_count + DESCRIPTORS_OWN;
}

int snapshot_stalled_shard(const struct gateway *gateway, uint64_t now_ms, uint64_t limit_ms)
{
	struct gateway_parts parts = gateway_parts(gateway);
	for (uint16_t i = 0; i < parts.shard_count; i++) {
		const _Atomic uint64_t *turned_ms = &parts.shards[i].counters.turned_ms;
		if (atomic_load_explicit(turned_ms, memory_order_relaxed) + limit_ms < now_ms)
			return i;
	}
	return -1;
}
