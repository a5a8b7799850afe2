#include "admin/api/handlers.h"

#include "admin/metrics/certificates.h"
#include "base/check.h"
#include "control/tls/tls_keeper.h"
#include "gate/gate.h"
#include "gate/handshake/state.h"
#include "runtime/client_transport.h"
#include "state/shard.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

static json_t *json_of_count(const _Atomic uint64_t *value)
{
	return json_integer((json_int_t)atomic_load_explicit(value, memory_order_relaxed));
}

/* The bucket counts. The bounds are the same for all timings and listed once. */
static json_t *json_of_timing(const struct timing *timing)
{
	json_t *counts = json_array();
	_Static_assert(TIMING_BUCKETS == TIMING_BOUNDS + 1, "counts and bounds are read side by side");
	for (uint32_t i = 0; i < TIMING_BUCKETS; i++)
		json_array_append_new(counts, json_of_count(&timing->counts[i]));
	return counts;
}

static json_t *json_of_bounds(void)
{
	json_t *bounds = json_array();
	for (uint32_t i = 0; i < TIMING_BOUNDS; i++)
		json_array_append_new(bounds, json_real(TIMING_BOUNDS_US[i] / 1e6));
	return bounds;
}

static json_t *json_of_counters(const struct counters *sum)
{
	json_t *counters = json_object();
	for (int i = 0; i < COUNTER_COUNT; i++)
		json_object_set_new(counters, counter_row((enum counter)i)->name, json_of_count(&sum->values[i]));
	return counters;
}

static json_t *json_of_ends(const struct counters *sum)
{
	json_t *ends = json_object();
	for (int i = ERROR_OK + 1; i < ERROR_COUNT; i++) {
		if (atomic_load_explicit(&sum->ends[i], memory_order_relaxed) == 0)
			continue;
		char name[64];
		snprintf(name, sizeof(name), "%s", error_name((enum error)i));
		for (char *letter = name; *letter != '\0'; letter++)
			*letter = (char)tolower(*letter);
		json_object_set_new(ends, name,
				    json_pack("{s:o, s:s}", "count", json_of_count(&sum->ends[i]), "meaning",
					      error_sentence((enum error)i)));
	}
	return ends;
}

static json_t *json_of_memory(const struct snapshot *snapshot)
{
	json_t *parts = json_object();
	for (int part = 0; part < MEMORY_PART_COUNT; part++)
		json_object_set_new(parts, memory_part_name((enum memory_part)part),
				    json_integer((json_int_t)snapshot->memory[part]));
	return json_pack("{s:I, s:I, s:f, s:o}", "resident_bytes", (json_int_t)snapshot->machine.resident_bytes,
			 "kernel_socket_buffer_bytes", (json_int_t)snapshot->machine.socket_buffer_bytes,
			 "session_bytes", snapshot->session_bytes, "parts", parts);
}

static double seconds_of(const _Atomic uint64_t *ns)
{
	return (double)atomic_load_explicit(ns, memory_order_relaxed) / 1e9;
}

static json_t *json_of_shard(const struct snapshot *snapshot, uint16_t number)
{
	CHECK(number < snapshot->parts.shard_count);
	const struct shard *shard = &snapshot->parts.shards[number];
	const struct counters *counters = &shard->counters;
	return json_pack("{s:i, s:o, s:o, s:o, s:f, s:f, s:f, s:o, s:I, s:I, s:o, s:o}", "shard", number, "clients",
			 json_of_count(&counters->values[COUNTER_connections_open]), "turns",
			 json_of_count(&counters->values[COUNTER_turns]), "events",
			 json_of_count(&counters->values[COUNTER_events]), "cpu_seconds",
			 machine_thread_cpu_s(shard->loop.cpu_clock), "longest_turn_seconds",
			 seconds_of(&counters->turn_max_ns), "longest_recent_turn_seconds",
			 seconds_of(&counters->turn_recent_max_ns), "inbox_parcels",
			 json_of_count(&counters->values[COUNTER_inbox_parcels]), "descriptors",
			 (json_int_t)snapshot_shard_descriptors(snapshot, number), "descriptors_allowed",
			 (json_int_t)snapshot->parts.table_descriptors, "turn_counts",
			 json_of_timing(&counters->turn_time), "wake_lag_counts", json_of_timing(&counters->wake_lag));
}

static json_t *json_of_shards(const struct snapshot *snapshot)
{
	json_t *shards = json_array();
	for (uint16_t i = 0; i < snapshot->parts.shard_count; i++)
		json_array_append_new(shards, json_of_shard(snapshot, i));
	return shards;
}

static json_t *json_of_store(const struct snapshot *snapshot)
{
	const struct store_figures *store = &snapshot->store;
	if (!snapshot->has_store)
		return json_pack("{s:s, s:s}", "state", "none", "promise", "memory");
	const struct store_options *options = &gateway_settings(snapshot->gateway)->store;
	return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:I, s:I, s:I, s:I, s:f}", "state",
			 store_state_name(store->state), "promise", options->periodic ? "written" : "synced",
			 "directory", options->directory, "last_error", store->error != 0 ? strerror(store->error) : "",
			 "commits", (json_int_t)store->commits, "records", (json_int_t)store->records, "written_bytes",
			 (json_int_t)store->written_bytes, "syncs", (json_int_t)store->syncs, "failures",
			 (json_int_t)store->failures, "last_sync_seconds", snapshot->store_sync_last_s,
			 "longest_recent_sync_seconds", snapshot->store_sync_max_s, "log_bytes",
			 (json_int_t)store->log_bytes, "room_bytes", (json_int_t)store->room_bytes, "unwritten_bytes",
			 (json_int_t)store->buffered_bytes, "checkpoints", (json_int_t)store->checkpoints,
			 "oldest_unsafe_seconds", snapshot->store_unsafe_s);
}

static json_t *json_of_clients(const struct counters *sum)
{
	json_t *transports = json_object();
	for (int i = 0; i < CLIENT_TRANSPORTS; i++)
		json_object_set_new(transports, client_transport_name((enum client_transport)i),
				    json_of_count(&sum->values[COUNTER_connections_tcp + i]));
	return json_pack("{s:o, s:o, s:o, s:o}", "connected", json_of_count(&sum->values[COUNTER_connections_open]),
			 "offline", json_of_count(&sum->values[COUNTER_sessions_offline]), "handshaking",
			 json_of_count(&sum->values[COUNTER_handshakes_open]), "by_transport", transports);
}

static json_t *json_of_certificates(const struct snapshot *snapshot)
{
	struct certificates certificates;
	json_t *json = json_array();
	certificates_take(&certificates, &snapshot->parts.tls->contexts);
	for (size_t i = 0; i < certificates.count; i++) {
		const struct tls_certificate_facts *facts = &certificates.items[i];
		json_array_append_new(
			json, json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:I, s:o}", "kind",
					certificate_kind_name(facts->kind), "path", facts->path, "subject",
					facts->subject, "names", facts->names, "key", facts->key, "self_signed",
					facts->self_signed, "begins", (json_int_t)facts->begins_s, "expires",
					certificate_ends(facts) ? json_integer(facts->expires_s) : json_null()));
	}
	certificates_drop(&certificates);
	return json;
}

static json_t *json_of_tls(const struct snapshot *snapshot)
{
	const struct tls_keeper *tls = snapshot->parts.tls;
	return json_pack("{s:o, s:o, s:o}", "certificates", json_of_certificates(snapshot), "reloads",
			 json_of_count(&tls->reloads), "reload_failures", json_of_count(&tls->reload_failures));
}

/* null: nobody was looked for yet. */
static json_t *json_of_hit_rate(const struct counters *sum)
{
	uint64_t hits = counter_of(sum, COUNTER_authority_hits), misses = counter_of(sum, COUNTER_authority_misses);
	return hits + misses != 0 ? json_real((double)hits / (double)(hits + misses)) : json_null();
}

static json_t *json_of_authority(const struct snapshot *snapshot)
{
	const struct access_settings *access = &gateway_settings(snapshot->gateway)->access;
	const struct counters *sum = &snapshot->sum;
	const char *asks = access->auth_http[0] != '\0' ? "http" : "none";
	if (access->auth_redis[0] != '\0')
		asks = "redis";
	return json_pack("{s:s, s:b, s:b, s:o, s:o, s:o}", "asks", asks, "connected",
			 counter_of(sum, COUNTER_authority_connected) != 0, "follows",
			 counter_of(sum, COUNTER_authority_follows) != 0, "waiting",
			 json_of_count(&sum->values[COUNTER_authority_waiting]), "entries",
			 json_of_count(&sum->values[COUNTER_authority_entries]), "hit_rate", json_of_hit_rate(sum));
}

void serve_stats(struct request *request)
{
	struct snapshot snapshot;
	snapshot_take(&snapshot, request->api->gateway, &request->api->counts);
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	double now_s = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
	json_t *json = json_pack(
		"{s:s, s:f, s:f, s:o, s:I, s:I, s:f, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "version",
		ROOST_VERSION, "time", now_s, "uptime_seconds", now_s - snapshot.started_s, "clients",
		json_of_clients(&snapshot.sum), "filters", (json_int_t)snapshot.index.filters, "retained_messages",
		(json_int_t)snapshot.retained.messages, "cpu_seconds", snapshot.machine.cpu_s, "memory",
		json_of_memory(&snapshot), "store", json_of_store(&snapshot), "tls", json_of_tls(&snapshot),
		"authority", json_of_authority(&snapshot), "counters", json_of_counters(&snapshot.sum), "ends",
		json_of_ends(&snapshot.sum), "timing_bounds_seconds", json_of_bounds(), "delivery_counts",
		json_of_timing(&snapshot.sum.delivery), "shards", json_of_shards(&snapshot));
	request_answer(request, HTTP_OK, json);
}
