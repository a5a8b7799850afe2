#include "admin/metrics/metrics.h"

#include "admin/metrics/back_ends.h"
#include "admin/metrics/certificates.h"
#include "base/check.h"
#include "control/tls/tls_keeper.h"
#include "gate/gate.h"
#include "gate/handshake/state.h"
#include "state/shard.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

#define LABELS_BYTES_MAX 96

_Static_assert(sizeof("thread=\"shard-65535\"") <= LABELS_BYTES_MAX, "the largest number of a shard fits in a label");

/* Offsets of fields. _Generic makes sure that the field has the type that the metric's writer reads. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define OFFSET_AS(type, whole, field) _Generic(&((whole *)0)->field, type * : offsetof(whole, field))
#define TIMING(field) OFFSET_AS(struct timing, struct counters, field)
#define NANOSECONDS(field) OFFSET_AS(_Atomic uint64_t, struct counters, field)
#define UNITS(field) OFFSET_AS(_Atomic uint64_t, struct counters, field)
#define COUNT_IN(field) OFFSET_AS(uint64_t, struct snapshot, field)
#define NUMBER_IN(field) OFFSET_AS(double, struct snapshot, field)
/* NOLINTEND(bugprone-macro-parentheses) */

/* ---- one sample for each shard ---- */

static const char *shard_label(uint16_t number, char labels[LABELS_BYTES_MAX])
{
	snprintf(labels, LABELS_BYTES_MAX, "shard=\"%u\"", number);
	return labels;
}

/* NOLINTBEGIN(bugprone-macro-parentheses): the names of what is declared */
#define EACH_SHARD(snapshot, number, labels)                                                                           \
	char labels[LABELS_BYTES_MAX];                                                                                 \
	for (uint16_t number = 0; number < (snapshot)->parts.shard_count && shard_label(number, labels); number++)
/* NOLINTEND(bugprone-macro-parentheses) */

static const struct counters *counters_at(const struct snapshot *snapshot, uint16_t number)
{
	return &snapshot->parts.shards[number].counters;
}

static void write_shard_counter(struct exposition *exposition, const struct snapshot *snapshot, size_t counter)
{
	CHECK(counter < COUNTER_COUNT);
	EACH_SHARD(snapshot, number, labels)
	exposition_count(exposition, labels, counter_of(counters_at(snapshot, number), (enum counter)counter));
}

static void write_shard_timing(struct exposition *exposition, const struct snapshot *snapshot, size_t at)
{
	CHECK(at + sizeof(struct timing) <= sizeof(struct counters));
	EACH_SHARD(snapshot, number, labels)
	exposition_timing(exposition, labels,
			  (const struct timing *)((const char *)counters_at(snapshot, number) + at));
}

static void write_shard_ns(struct exposition *exposition, const struct snapshot *snapshot, size_t at)
{
	EACH_SHARD(snapshot, number, labels)
	{
		const void *ns = (const char *)counters_at(snapshot, number) + at;
		uint64_t value = atomic_load_explicit((const _Atomic uint64_t *)ns, memory_order_relaxed);
		exposition_number(exposition, labels, (double)value / 1e9);
	}
}

static void write_shard_units(struct exposition *exposition, const struct snapshot *snapshot, size_t at)
{
	EACH_SHARD(snapshot, number, labels)
	{
		const void *units = (const char *)counters_at(snapshot, number) + at;
		exposition_count(exposition, labels,
				 atomic_load_explicit((const _Atomic uint64_t *)units, memory_order_relaxed));
	}
}

static void write_shard_commands(struct exposition *exposition, const struct snapshot *snapshot, size_t at)
{
	(void)at;
	EACH_SHARD(snapshot, number, labels)
	exposition_count(
		exposition, labels,
		atomic_load_explicit(&snapshot->parts.shards[number].shared.commands.count, memory_order_relaxed));
}

/* ---- threads ---- */

static void write_thread_cpu(struct exposition *exposition, const struct snapshot *snapshot, size_t at)
{
	(void)at;
	char labels[LABELS_BYTES_MAX];
	for (uint16_t i = 0; i < snapshot->parts.shard_count; i++) {
		snprintf(labels, sizeof(labels), "thread=\"shard-%u\"", i);
		exposition_number(exposition, labels, machine_thread_cpu_s(snapshot->parts.shards[i].loop.cpu_clock));
	}
	for (uint16_t i = 0; i < snapshot->parts.gate_count; i++) {
		snprintf(labels, sizeof(labels), "thread=\"gate-%u\"", i);
		exposition_number(exposition, labels, machine_thread_cpu_s(snapshot->parts.gates[i].cpu_clock));
	}
}

/* One sample per descriptor table, or one if all threads share a table. */
static void write_descriptors(struct exposition *exposition, const struct snapshot *snapshot, size_t at)
{
	(void)at;
	char labels[LABELS_BYTES_MAX];
	uint64_t all = 0;
	for (uint16_t i = 0; i < snapshot->parts.shard_count; i++) {
		all += snapshot_shard_descriptors(snapshot, i);
		snprintf(labels, sizeof(labels), "table=\"shard-%u\"", i);
		if (snapshot->parts.private_tables)
			exposition_count(exposition, labels, snapshot_shard_descriptors(snapshot, i));
	}
	for (uint16_t i = 0; i < snapshot->parts.gate_count; i++) {
		all += snapshot_gate_descriptors(snapshot, i);
		snprintf(labels, sizeof(labels), "table=\"gate-%u\"", i);
		if (snapshot->parts.private_tables)
			exposition_count(exposition, labels, snapshot_gate_descriptors(snapshot, i));
	}
	if (snapshot->parts.private_tables)
		exposition_count(exposition, "table=\"main\"", snapshot->main_descriptors);
	else
		exposition_count(exposition, "table=\"shared\"", all);
}

/* ---- the whole ---- */

static void write_count(struct exposition *exposition, const struct snapshot *snapshot, size_t at)
{
	CHECK(at + sizeof(uint64_t) <= sizeof(*snapshot));
	exposition_count(exposition, "", *(const uint64_t *)(const void *)((const char *)snapshot + at));
}

static void write_number(struct exposition *exposition, const struct snapshot *snapshot, size_t at)
{
	CHECK(at + sizeof(double) <= sizeof(*snapshot));
	exposition_number(exposition, "", *(const double *)(const void *)((const char *)snapshot + at));
}

static void write_timing(struct exposition *exposition, const struct snapshot *snapshot, size_t at)
{
	CHECK(at + sizeof(struct timing) <= sizeof(snapshot->sum));
	const void *timing = (const char *)&snapshot->sum + at;
	exposition_timing(exposition, "", (const struct timing *)timing);
}

static void write_ends(struct exposition *exposition, const struct snapshot *snapshot, size_t at)
{
	(void)at;
	char labels[LABELS_BYTES_MAX];
	for (int i = ERROR_OK + 1; i < ERROR_COUNT; i++) {
		int used = snprintf(labels, sizeof(labels), "reason=\"%s\"", error_name((enum error)i));
		CHECK(used > 0 && used < LABELS_BYTES_MAX); /* every error's name fits */
		for (int letter = 0; letter < used; letter++)
			labels[letter] = (char)tolower(labels[letter]);
		exposition_count(exposition, labels,
				 atomic_load_explicit(&snapshot->sum.ends[i], memory_order_relaxed));
	}
}

static void write_memory(struct exposition *exposition, const struct snapshot *snapshot, size_t at)
{
	(void)at;
	char labels[LABELS_BYTES_MAX];
	for (int part = 0; part < MEMORY_PART_COUNT; part++) {
		snprintf(labels, sizeof(labels), "part=\"%s\"", memory_part_name((enum memory_part)part));
		exposition_count(exposition, labels, snapshot->memory[part]);
	}
}

static void write_admin(struct exposition *exposition, const struct snapshot *snapshot, size_t at)
{
	(void)at;
	const struct admin_counts *admin = snapshot->admin;
	uint64_t refused = atomic_load_explicit(&admin->refused, memory_order_relaxed);
	uint64_t failed = atomic_load_explicit(&admin->failed, memory_order_relaxed);
	exposition_count(exposition, "result=\"answered\"",
			 atomic_load_explicit(&admin->requests, memory_order_relaxed));
	exposition_count(exposition, "result=\"refused\"", refused);
	exposition_count(exposition, "result=\"failed\"", failed);
}

static void write_admin_handshakes(struct exposition *exposition, const struct snapshot *snapshot, size_t at)
{
	(void)at;
	exposition_count(exposition, "",
			 atomic_load_explicit(&snapshot->admin->handshakes_failed, memory_order_relaxed));
}

static void write_upgrades(struct exposition *exposition, const struct snapshot *snapshot, size_t at)
{
	(void)at;
	const struct admin_counts *admin = snapshot->admin;
	exposition_count(exposition, "result=\"done\"",
			 atomic_load_explicit(&admin->upgrades_done, memory_order_relaxed));
	exposition_count(exposition, "result=\"refused\"",
			 atomic_load_explicit(&admin->upgrades_refused, memory_order_relaxed));
}

static void write_silence(struct exposition *exposition, const struct snapshot *snapshot, size_t at)
{
	(void)at;
	uint64_t silent_us = atomic_load_explicit(&snapshot->admin->upgrade_silent_us, memory_order_relaxed);
	exposition_number(exposition, "", (double)silent_us / 1e6);
}

static void write_draining(struct exposition *exposition, const struct snapshot *snapshot, size_t at)
{
	(void)at;
	exposition_count(exposition, "", gateway_settings(snapshot->gateway)->drain.number != 0);
}

static void write_build(struct exposition *exposition, const struct snapshot *snapshot, size_t at)
{
	(void)at;
	(void)snapshot;
	exposition_count(exposition, "version=\"" ROOST_VERSION "\"", 1);
}

/* ---- TLS ---- */

/* Path and subject are the operator's and a CA's: they may have anything in them. */
#define CERTIFICATE_LABELS_BYTES_MAX 2048u

/* Prometheus's escapes. Cut where there is no more room. */
static size_t add_escaped(char *labels, size_t used, const char *text)
{
	for (; *text != '\0' && used + 3 < CERTIFICATE_LABELS_BYTES_MAX; text++) {
		if (*text == '"' || *text == '\\' || *text == '\n')
			labels[used++] = '\\';
		labels[used++] = *text == '\n' ? 'n' : *text;
	}
	labels[used] = '\0';
	return used;
}

static void certificate_labels(const struct tls_certificate_facts *facts,
			       char labels[CERTIFICATE_LABELS_BYTES_MAX + 64])
{
	size_t used = (size_t)snprintf(labels, 64, "kind=\"%s\",path=\"", certificate_kind_name(facts->kind));
	used = add_escaped(labels, used, facts->path);
	used += (size_t)snprintf(labels + used, 16, "\",subject=\"");
	used = add_escaped(labels, used, facts->subject);
	snprintf(labels + used, 4, "\"");
}

static void write_expiries(struct exposition *exposition, const struct snapshot *snapshot, size_t at)
{
	(void)at;
	char labels[CERTIFICATE_LABELS_BYTES_MAX + 64];
	struct certificates certificates;
	certificates_take(&certificates, &snapshot->parts.tls->contexts);
	for (size_t i = 0; i < certificates.count; i++) {
		if (!certificate_ends(&certificates.items[i]))
			continue;
		certificate_labels(&certificates.items[i], labels);
		exposition_number(exposition, labels, (double)certificates.items[i].expires_s);
	}
	certificates_drop(&certificates);
}

static void write_tls_reloads(struct exposition *exposition, const struct snapshot *snapshot, size_t at)
{
	(void)at;
	const struct tls_keeper *tls = snapshot->parts.tls;
	exposition_count(exposition, "result=\"done\"", atomic_load_explicit(&tls->reloads, memory_order_relaxed));
	exposition_count(exposition, "result=\"failed\"",
			 atomic_load_explicit(&tls->reload_failures, memory_order_relaxed));
}

/* ---- the store ---- */

static void write_store_state(struct exposition *exposition, const struct snapshot *snapshot, size_t at)
{
	(void)at;
	char labels[LABELS_BYTES_MAX];
	for (int state = 0; state <= STORE_STOPPED; state++) {
		snprintf(labels, sizeof(labels), "state=\"%s\"", store_state_name((enum store_state)state));
		exposition_count(exposition, labels,
				 snapshot->has_store && snapshot->store.state == (enum store_state)state);
	}
	exposition_count(exposition, "state=\"none\"", !snapshot->has_store);
}

static void write_store_records(struct exposition *exposition, const struct snapshot *snapshot, size_t at)
{
	(void)at;
	exposition_count(exposition, "result=\"written\"", snapshot->store.records);
	exposition_count(exposition, "result=\"squeezed\"", snapshot->store.records_squeezed);
}

/* A metric's unit is the end of its name (exposition_unit()). */
static const struct metric METRICS[] = {
	{PREFIX "connections_ended", METRIC_COUNTER, "reason", "Connections that ended, by reason", write_ends, 0},
	{PREFIX "delivery_seconds", METRIC_HISTOGRAM, "",
	 "Time of messages inside the gateway, from when the loop turned to the publisher's socket until the end of "
	 "the turn in which they were written to the subscriber's; all messages of a turn count with the whole of it, "
	 "which is the most that any took; those that waited in a session's queue are left out",
	 write_timing, TIMING(delivery)},
	{PREFIX "filters", METRIC_GAUGE, "", "Distinct topic filters in the routing index", write_count,
	 COUNT_IN(index.filters)},
	{PREFIX "retained_messages", METRIC_GAUGE, "", "Retained messages", write_count, COUNT_IN(retained.messages)},
	{PREFIX "shard_clients", METRIC_GAUGE, "shard", "Clients connected to the shard", write_shard_counter,
	 COUNTER_connections_open},
	{PREFIX "shard_turns", METRIC_COUNTER, "shard", "Turns of the shard's loop", write_shard_counter,
	 COUNTER_turns},
	{PREFIX "shard_events", METRIC_COUNTER, "shard",
	 "Events that the kernel reported to the shard; by turns, the events a turn", write_shard_counter,
	 COUNTER_events},
	{PREFIX "shard_inbox_parcels", METRIC_GAUGE, "shard",
	 "Batches of records that the shard has sent to others and has not got back", write_shard_counter,
	 COUNTER_inbox_parcels},
	{PREFIX "shard_commands_waiting", METRIC_GAUGE, "shard", "Commands of the admin side that wait for the shard",
	 write_shard_commands, 0},
	{PREFIX "shard_turn_seconds", METRIC_HISTOGRAM, "shard",
	 "How long a turn of the shard's loop took, from its waking to the end of its writing", write_shard_timing,
	 TIMING(turn_time)},
	{PREFIX "shard_wake_lag_seconds", METRIC_HISTOGRAM, "shard",
	 "How late the shard's loop woke: behind the end of its sleep, or behind the moment in which another thread "
	 "woke it; what the kernel woke it for cannot be told",
	 write_shard_timing, TIMING(wake_lag)},
	{PREFIX "shard_longest_turn_seconds", METRIC_GAUGE, "shard", "The shard's longest turn so far", write_shard_ns,
	 NANOSECONDS(turn_max_ns)},
	{PREFIX "shard_longest_recent_turn_seconds", METRIC_GAUGE, "shard",
	 "The shard's longest turn of the last 16 to 33 seconds", write_shard_ns, NANOSECONDS(turn_recent_max_ns)},
	{PREFIX "shard_largest_turn_work_units", METRIC_GAUGE, "shard",
	 "The most work that a turn of the shard has done, in units of about 100 ns", write_shard_units,
	 UNITS(turn_work_max)},
	{PREFIX "shard_largest_step_work_units", METRIC_GAUGE, "shard",
	 "The most work that the shard has done without a chance to go on in the next turn, in the same units",
	 write_shard_units, UNITS(step_work_max)},
	{PREFIX "thread_cpu_seconds", METRIC_COUNTER, "thread", "Processor time of each shard and gate",
	 write_thread_cpu, 0},
	{PREFIX "descriptors_used", METRIC_GAUGE, "table", "Descriptors in use, by descriptor table", write_descriptors,
	 0},
	{PREFIX "descriptors_allowed", METRIC_GAUGE, "", "Descriptors that each table may hold", write_count,
	 COUNT_IN(parts.table_descriptors)},
	{PREFIX "memory_bytes", METRIC_GAUGE, "part", "User memory in use for clients and messages, by part",
	 write_memory, 0},
	{PREFIX "session_bytes", METRIC_GAUGE, "",
	 "User memory in use for one session, on average: all of memory_bytes but retained messages, by sessions",
	 write_number, NUMBER_IN(session_bytes)},
	{PREFIX "kernel_socket_buffer_bytes", METRIC_GAUGE, "",
	 "Memory in buffers of TCP sockets, of the whole network namespace; a socket's own structures, some 4 KB, come "
	 "on top of it",
	 write_count, COUNT_IN(machine.socket_buffer_bytes)},
	{PREFIX "kernel_slab_bytes", METRIC_GAUGE, "",
	 "Structures of the kernel that it cannot give back, of the whole machine: with many clients most of it is "
	 "their sockets",
	 write_count, COUNT_IN(machine.kernel_slab_bytes)},
	{PREFIX "kernel_tcp_sockets", METRIC_GAUGE, "", "TCP sockets in use, of the whole network namespace",
	 write_count, COUNT_IN(machine.tcp_sockets)},
	{PREFIX "tls_certificate_expires_timestamp_seconds", METRIC_GAUGE, "kind, path, subject",
	 "When a certificate in use ends, in seconds since 1970: own, the first of a listener's chain; client_ca, one "
	 "that signs clients'; client_crl, a list of revoked ones, after which no client's certificate is accepted",
	 write_expiries, 0},
	{PREFIX "tls_reloads", METRIC_COUNTER, "result",
	 "Times that the files of TLS listeners were read again; failed: one of them would not do, and those of before "
	 "stayed in use",
	 write_tls_reloads, 0},
	{PREFIX "store_state", METRIC_GAUGE, "state",
	 "1 for the state that the store is in, 0 for the others: working; full, no room on the device; broken, writes "
	 "or "
	 "syncs fail; recovering and stopped at the start and the end; none, sessions and messages are in memory alone",
	 write_store_state, 0},
	{PREFIX "store_commits", METRIC_COUNTER, "",
	 "Commits of the store, each of what has gathered while the one before "
	 "was being synced",
	 write_count, COUNT_IN(store.commits)},
	{PREFIX "store_records", METRIC_COUNTER, "result",
	 "Events of sessions and messages, by whether they were written or were over before they had to be",
	 write_store_records, 0},
	{PREFIX "store_written_bytes", METRIC_COUNTER, "", "Bytes written to the store's log", write_count,
	 COUNT_IN(store.written_bytes)},
	{PREFIX "store_syncs", METRIC_COUNTER, "", "Times that the log was synced to the device", write_count,
	 COUNT_IN(store.syncs)},
	{PREFIX "store_sync_seconds", METRIC_COUNTER, "", "Time that these syncs took; by syncs, the time of one",
	 write_number, NUMBER_IN(store_sync_s)},
	{PREFIX "store_last_sync_seconds", METRIC_GAUGE, "", "How long the last sync took", write_number,
	 NUMBER_IN(store_sync_last_s)},
	{PREFIX "store_longest_recent_sync_seconds", METRIC_GAUGE, "", "The longest sync of the last whole minute",
	 write_number, NUMBER_IN(store_sync_max_s)},
	{PREFIX "store_failures", METRIC_COUNTER, "", "Writes and syncs that failed", write_count,
	 COUNT_IN(store.failures)},
	{PREFIX "store_log_bytes", METRIC_GAUGE, "", "Bytes of the log's segments on the device", write_count,
	 COUNT_IN(store.log_bytes)},
	{PREFIX "store_segments", METRIC_GAUGE, "", "Segments of the log", write_count, COUNT_IN(store.segments)},
	{PREFIX "store_room_bytes", METRIC_GAUGE, "", "Bytes free in the store's file system", write_count,
	 COUNT_IN(store.room_bytes)},
	{PREFIX "store_unwritten_bytes", METRIC_GAUGE, "", "Bytes of events that are not written yet", write_count,
	 COUNT_IN(store.buffered_bytes)},
	{PREFIX "store_oldest_unsafe_seconds", METRIC_GAUGE, "",
	 "How long the oldest event has waited to be safe, and with it what is to be acknowledged", write_number,
	 NUMBER_IN(store_unsafe_s)},
	{PREFIX "store_checkpoints", METRIC_COUNTER, "",
	 "Times that all that is still needed was written anew, so that older segments could be removed", write_count,
	 COUNT_IN(store.checkpoints)},
	{PREFIX "store_loads", METRIC_COUNTER, "", "Messages read back from the log for their subscribers", write_count,
	 COUNT_IN(store.loads)},
	{PREFIX "store_load_failures", METRIC_COUNTER, "", "Messages that could not be read back, and are lost",
	 write_count, COUNT_IN(store.load_failures)},
	{PREFIX "admin_requests", METRIC_COUNTER, "result",
	 "Requests to the admin side: answered, refused for want of the right token, host or origin, failed otherwise",
	 write_admin, 0},
	{PREFIX "admin_handshakes_failed", METRIC_COUNTER, "",
	 "Connections to the admin side that came to no TLS, where it is https://", write_admin_handshakes, 0},
	{PREFIX "upgrades", METRIC_COUNTER, "result",
	 "Times that the program was to be replaced under its clients: done, or refused while the old one served on",
	 write_upgrades, 0},
	{PREFIX "upgrade_silence_seconds", METRIC_GAUGE, "", "How long no client was served in the last of them",
	 write_silence, 0},
	{PREFIX "draining", METRIC_GAUGE, "", "1 while the server is being drained, and takes no new clients",
	 write_draining, 0},
	{PREFIX "build_info", METRIC_GAUGE, "version", "Always 1; the version is in the label", write_build, 0},
	{"process_cpu_seconds", METRIC_COUNTER, "", "Processor time of the whole process", write_number,
	 NUMBER_IN(machine.cpu_s)},
	{"process_resident_memory_bytes", METRIC_GAUGE, "", "Resident memory of the process", write_count,
	 COUNT_IN(machine.resident_bytes)},
	{"process_virtual_memory_bytes", METRIC_GAUGE, "", "Address space of the process, most of it only reserved",
	 write_count, COUNT_IN(machine.virtual_bytes)},
	{"process_start_time_seconds", METRIC_GAUGE, "", "When the process began, in seconds since 1970", write_number,
	 NUMBER_IN(started_s)},
};

#define METRIC_COUNT (sizeof(METRICS) / sizeof(METRICS[0]))

/* NULL: there are no more. */
static const struct metric *metric_at(size_t number)
{
	if (number < METRIC_COUNT)
		return &METRICS[number];
	size_t behind = number - METRIC_COUNT;
	return behind < back_end_metric_count() ? back_end_metric(behind)
						: node_metric(behind - back_end_metric_count());
}

/* ---- what threads count ---- */

static enum metric_kind kind_of_counter(const struct counter_row *row)
{
	return row->kind == COUNTER_KIND_GAUGE ? METRIC_GAUGE : METRIC_COUNTER;
}

/* Returns whether the counter is the first of its family. */
static bool begins_family(int counter)
{
	return counter == 0 || strcmp(counter_row((enum counter)(counter - 1))->family,
				      counter_row((enum counter)counter)->family) != 0;
}

static void write_counters(struct exposition *exposition, const struct counters *sum)
{
	char name[LABELS_BYTES_MAX];
	for (int i = 0; i < COUNTER_COUNT; i++) {
		const struct counter_row *row = counter_row((enum counter)i);
		snprintf(name, sizeof(name), PREFIX "%s", row->family);
		if (begins_family(i))
			exposition_family(exposition, name, kind_of_counter(row), row->help);
		if (row->kind != COUNTER_KIND_WHOLE)
			exposition_count(exposition, row->labels, counter_of(sum, (enum counter)i));
	}
}

void metrics_write(struct exposition *exposition, const struct snapshot *snapshot)
{
	write_counters(exposition, &snapshot->sum);
	const struct metric *metric;
	for (size_t i = 0; (metric = metric_at(i)) != NULL; i++) {
		exposition_family(exposition, metric->name, metric->kind, metric->help);
		metric->write(exposition, snapshot, metric->at);
	}
}

/* ---- the documentation ---- */

static void document_row(FILE *out, const char *prefix, const char *name, enum metric_kind kind, const char *labels,
			 const char *help)
{
	static const char *const KINDS[] = {"counter", "gauge", "histogram"};
	fprintf(out, "| `%s%s%s` | %s | %s | %s | %s |\n", prefix, name, kind == METRIC_COUNTER ? "_total" : "",
		KINDS[kind], exposition_unit(name), labels, help);
}

/* Lists the labels of all counters of the family: `reason="a"`, `reason="b"`. */
static void labels_of_family(int counter, char *text, size_t size)
{
	size_t used = 0;
	text[0] = '\0';
	for (int i = counter; i < COUNTER_COUNT && (i == counter || !begins_family(i)); i++) {
		const char *labels = counter_row((enum counter)i)->labels;
		if (labels[0] != '\0' && used < size)
			used += (size_t)snprintf(text + used, size - used, "%s`%s`", used != 0 ? ", " : "", labels);
	}
}

void metrics_document(FILE *out)
{
	char labels[1024];
	fputs("# Metrics\n\n"
	      "`GET /metrics` on the admin side's address, in the text format of Prometheus, or of OpenMetrics where "
	      "the request asks for it. This page is made from the tables that the exposition is made from "
	      "(`src/runtime/counters.h`, `metrics.c` and `back_ends.c` in `src/admin/metrics`) by `build/roost-docs "
	      "metrics`; a test "
	      "compares "
	      "them.\n\n"
	      "No metric has a label for a client or a topic, so a scrape costs the same with a million clients as "
	      "with none.\n\n"
	      "| metric | type | unit | labels | what it says |\n|---|---|---|---|---|\n",
	      out);
	for (int i = 0; i < COUNTER_COUNT; i++) {
		const struct counter_row *row = counter_row((enum counter)i);
		labels_of_family(i, labels, sizeof(labels));
		if (begins_family(i))
			document_row(out, PREFIX, row->family, kind_of_counter(row), labels, row->help);
	}
	const struct metric *metric;
	for (size_t i = 0; (metric = metric_at(i)) != NULL; i++) {
		const char *tick = metric->labels[0] != '\0' ? "`" : "";
		snprintf(labels, sizeof(labels), "%s%s%s", tick, metric->labels, tick);
		document_row(out, "", metric->name, metric->kind, labels, metric->help);
	}
}
