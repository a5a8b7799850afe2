#include "shard/gauges.h"

#include "state/shard.h"

#define COUNT_POOL(counters, name, pool)                                                                               \
	do {                                                                                                           \
		CHECK_LE((pool)->used, (pool)->touched);                                                               \
		COUNT_SET(counters, name##_used, (pool)->used);                                                        \
		COUNT_SET(counters, name##_free, (pool)->touched - (pool)->used);                                      \
	} while (0)

void gauges_publish(struct shard *shard)
{
	struct counters *counters = &shard->counters;
	COUNT(counters, turns);
	COUNT_SET(counters, stalled_turns, shard->loop.overload.stall_count);
	COUNT_SET(counters, reads, shard->mem.io.read_count);
	COUNT_SET(counters, writes, shard->mem.io.write_count);
	COUNT_SET(counters, bytes_in, shard->mem.io.bytes_in);
	COUNT_SET(counters, bytes_out, shard->mem.io.bytes_out);
	COUNT_SET(counters, backlog_bytes, shard->mem.io.backlog_bytes);
	COUNT_SET(counters, connections_fixed, fixed_files_count(&shard->mem.io.fixed_files));
	COUNT_SET(counters, fixed_file_failures, shard->mem.io.fixed_files.failure_count);
	const struct transports *transports = &shard->mem.transports;
	COUNT_SET(counters, tls_stream_bytes, transports->tls.slab.used_bytes);
	COUNT_SET(counters, websocket_stream_bytes,
		  (uint64_t)transports->websockets.pool.used * transports->websockets.pool.object_bytes +
			  transports->websockets.slab.used_bytes);
	COUNT_SET(counters, proxied_stream_bytes,
		  (uint64_t)transports->proxied.pool.used * transports->proxied.pool.object_bytes);
	COUNT_SET(counters, tls_key_updates, transports->tls.key_updates);
	COUNT_SET(counters, subscriptions_open, shard->sessions.subscriptions.pool.used);
	COUNT_SET(counters, retained_owed, shard->sessions.retained_jobs.jobs.used);
	COUNT_SET(counters, queue_messages, shard->mem.flows.entries.used);
	COUNT_SET(counters, stored_messages, shard->mem.messages.count);
	COUNT_SET(counters, stored_bytes, shard->mem.messages.bytes);
	COUNT_SET(counters, stored_absent_messages, shard->mem.messages.absent_count);
	COUNT_SET(counters, stored_absent_bytes, shard->mem.messages.absent_bytes);
	COUNT_SET(counters, stored_evicted, shard->mem.messages.evicted);
	COUNT_SET(counters, stored_loads, shard->mem.loads.under_way);
	COUNT_SET(counters, acks_waiting, shard->routing.acks.tickets.used);
	COUNT_SET(counters, acks_waiting_clients, shard->routing.acks.lines.used);
	COUNT_SET(counters, commits_waiting, shard->routing.commits.waiting);
	COUNT_SET(counters, inbox_parcels, shard->routing.outbox.out_batches);
	COUNT_SET(counters, inbox_bytes, shard->routing.outbox.out_bytes);
	COUNT_POOL(counters, pool_clients, &shard->mem.clients);
	COUNT_POOL(counters, pool_subscriptions, &shard->sessions.subscriptions.pool);
	COUNT_POOL(counters, pool_lists, &shard->sessions.subscriptions.lists);
	COUNT_POOL(counters, pool_queue, &shard->mem.flows.entries);
	COUNT_SET(counters, tokens_verified, shard->guard.sign_in.tokens_verified);
	COUNT_SET(counters, acl_cache_hits, shard->guard.acl_cache.hits);
	COUNT_SET(counters, acl_cache_misses, shard->guard.acl_cache.misses);
	CHECK_LE(shard->mem.slab.used_bytes, shard->mem.slab.top_bytes);
	COUNT_SET(counters, slab_used_bytes, shard->mem.slab.used_bytes);
	COUNT_SET(counters, slab_free_bytes, shard->mem.slab.top_bytes - shard->mem.slab.used_bytes);
	COUNT_SET(counters, allocations,
		  shard->mem.slab.fresh_count + shard->routing.outbox.allocation_count + shard->mem.clients.touched +
			  shard->sessions.subscriptions.pool.touched + shard->sessions.subscriptions.lists.touched +
			  shard->sessions.retained_jobs.jobs.touched + shard->sessions.retained_jobs.queues.touched +
			  shard->mem.flows.entries.touched + shard->routing.routes.capacity +
			  shard->routing.acks.tickets.touched + shard->routing.acks.lines.touched +
			  shard->loop.ready.capacity + shard->sessions.closing.capacity +
			  shard->sessions.endings.capacity);
}
