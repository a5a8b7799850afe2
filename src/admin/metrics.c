#include "admin/metrics.h"

#include "gateway/gate.h"
#include "gateway/shard.h"

#include <ctype.h>
#include <string.h>

#define PREFIX "roost_"
#define LABELS_BYTES_MAX 96

/* A family that is not counted by the threads. */
struct metric {
	const char *name; /* in full */
	enum metric_kind kind;
	const char *labels; /* their names, for the documentation */
	const char *help;
	void (*write)(struct exposition *exposition, const struct snapshot *snapshot);
};

static double seconds_of_ns(const _Atomic uint64_t *ns)
{
	return (double)atomic_load_explicit(ns, memory_order_relaxed) / 1e9;
}

/* ---- one sample for each shard ---- */

static const char *shard_label(uint16_t number, char labels[LABELS_BYTES_MAX])
{
	snprintf(labels, LABELS_BYTES_MAX, "shard=\"%u\"", number);
	return labels;
}

#define EACH_SHARD(snapshot, number, labels)                                                                           \
	char labels[LABELS_BYTES_MAX];                                                                                 \
	for (uint16_t number = 0; number < (snapshot)->parts.shard_count && shard_label(number, labels); number++)

static const struct counters *counters_at(const struct snapshot *snapshot, uint16_t number)
{
	return &snapshot->parts.shards[number].counters;
}

static void write_shard_clients(struct exposition *exposition, const struct snapshot *snapshot)
{
	EACH_SHARD(snapshot, number, labels)
	exposition_count(exposition, labels, counter_of(counters_at(snapshot, number), COUNTER_connections_open));
}

static void write_shard_turns(struct exposition *exposition, const struct snapshot *snapshot)
{
	EACH_SHARD(snapshot, number, labels)
	exposition_count(exposition, labels, counter_of(counters_at(snapshot, number), COUNTER_turns));
}

static void write_shard_events(struct exposition *exposition, const struct snapshot *snapshot)
{
	EACH_SHARD(snapshot, number, labels)
	exposition_count(exposition, labels, counter_of(counters_at(snapshot, number), COUNTER_events));
}

static void write_shard_inbox(struct exposition *exposition, const struct snapshot *snapshot)
{
	EACH_SHARD(snapshot, number, labels)
	exposition_count(exposition, labels, counter_of(counters_at(snapshot, number), COUNTER_inbox_parcels));
}

static void write_shard_commands(struct exposition *exposition, const struct snapshot *snapshot)
{
	EACH_SHARD(snapshot, number, labels)
	exposition_count(exposition, labels,
			 atomic_load_explicit(&snapshot->parts.shards[number].commands.count, memory_order_relaxed));
}

static void write_shard_turn_time(struct exposition *exposition, const struct snapshot *snapshot)
{
	EACH_SHARD(snapshot, number, labels)
	exposition_timing(exposition, labels, &counters_at(snapshot, number)->turn_time);
}

static void write_shard_lag(struct exposition *exposition, const struct snapshot *snapshot)
{
	EACH_SHARD(snapshot, number, labels)
	exposition_timing(exposition, labels, &counters_at(snapshot, number)->wake_lag);
}

static void write_shard_longest(struct exposition *exposition, const struct snapshot *snapshot)
{
	EACH_SHARD(snapshot, number, labels)
	exposition_number(exposition, labels, seconds_of_ns(&counters_at(snapshot, number)->turn_max_ns));
}

static void write_shard_recent(struct exposition *exposition, const struct snapshot *snapshot)
{
	EACH_SHARD(snapshot, number, labels)
	exposition_number(exposition, labels, seconds_of_ns(&counters_at(snapshot, number)->turn_recent_max_ns));
}

/* ---- threads ---- */

static void write_thread_cpu(struct exposition *exposition, const struct snapshot *snapshot)
{
	char labels[LABELS_BYTES_MAX];
	for (uint16_t i = 0; i < snapshot->parts.shard_count; i++) {
		snprintf(labels, sizeof(labels), "thread=\"shard-%u\"", i);
		exposition_number(exposition, labels, machine_thread_cpu_s(snapshot->parts.shards[i].cpu_clock));
	}
	for (uint16_t i = 0; i < snapshot->parts.gate_count; i++) {
		snprintf(labels, sizeof(labels), "thread=\"gate-%u\"", i);
		exposition_number(exposition, labels, machine_thread_cpu_s(snapshot->parts.gates[i].cpu_clock));
	}
}

/* One table for each thread, or one for all. */
static void write_descriptors(struct exposition *exposition, const struct snapshot *snapshot)
{
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

static void write_descriptors_allowed(struct exposition *exposition, const struct snapshot *snapshot)
{
	exposition_count(exposition, "", snapshot->parts.table_descriptors);
}

/* ---- the whole ---- */

static void write_ends(struct exposition *exposition, const struct snapshot *snapshot)
{
	char labels[LABELS_BYTES_MAX];
	for (int i = ERROR_OK + 1; i < ERROR_COUNT; i++) {
		int used = snprintf(labels, sizeof(labels), "reason=\"%s\"", error_name((enum error)i));
		for (int at = 0; at < used; at++)
			labels[at] = (char)tolower(labels[at]);
		exposition_count(exposition, labels,
				 atomic_load_explicit(&snapshot->sum.ends[i], memory_order_relaxed));
	}
}

static void write_delivery(struct exposition *exposition, const struct snapshot *snapshot)
{
	exposition_timing(exposition, "", &snapshot->sum.delivery);
}

static void write_filters(struct exposition *exposition, const struct snapshot *snapshot)
{
	exposition_count(exposition, "", snapshot->index.filters);
}

static void write_retained(struct exposition *exposition, const struct snapshot *snapshot)
{
	exposition_count(exposition, "", snapshot->retained.messages);
}

static void write_memory(struct exposition *exposition, const struct snapshot *snapshot)
{
	char labels[LABELS_BYTES_MAX];
	for (int part = 0; part < MEMORY_PART_COUNT; part++) {
		snprintf(labels, sizeof(labels), "part=\"%s\"", memory_part_name((enum memory_part)part));
		exposition_count(exposition, labels, snapshot->memory[part]);
	}
}

static void write_session_bytes(struct exposition *exposition, const struct snapshot *snapshot)
{
	exposition_number(exposition, "", snapshot->session_bytes);
}

static void write_socket_buffers(struct exposition *exposition, const struct snapshot *snapshot)
{
	exposition_count(exposition, "", snapshot->machine.socket_buffer_bytes);
}

static void write_tcp_sockets(struct exposition *exposition, const struct snapshot *snapshot)
{
	exposition_count(exposition, "", snapshot->machine.tcp_sockets);
}

static void write_admin(struct exposition *exposition, const struct snapshot *snapshot)
{
	const struct admin_counts *admin = snapshot->admin;
	uint64_t refused = atomic_load_explicit(&admin->refused, memory_order_relaxed);
	uint64_t failed = atomic_load_explicit(&admin->failed, memory_order_relaxed);
	exposition_count(exposition, "result=\"answered\"",
			 atomic_load_explicit(&admin->requests, memory_order_relaxed));
	exposition_count(exposition, "result=\"refused\"", refused);
	exposition_count(exposition, "result=\"failed\"", failed);
}

static void write_build(struct exposition *exposition, const struct snapshot *snapshot)
{
	(void)snapshot;
	exposition_count(exposition, "version=\"" ROOST_VERSION "\"", 1);
}

static void write_cpu(struct exposition *exposition, const struct snapshot *snapshot)
{
	exposition_number(exposition, "", snapshot->machine.cpu_s);
}

static void write_resident(struct exposition *exposition, const struct snapshot *snapshot)
{
	exposition_count(exposition, "", snapshot->machine.resident_bytes);
}

static void write_virtual(struct exposition *exposition, const struct snapshot *snapshot)
{
	exposition_count(exposition, "", snapshot->machine.virtual_bytes);
}

static void write_started(struct exposition *exposition, const struct snapshot *snapshot)
{
	exposition_number(exposition, "", snapshot->started_s);
}

static const struct metric METRICS[] = {
	{PREFIX "connections_ended", METRIC_COUNTER, "reason", "Connections that ended, by reason", write_ends},
	{PREFIX "delivery_seconds", METRIC_HISTOGRAM, "",
	 "Time of messages inside the gateway, from when the loop turned to the publisher's socket until the end of "
	 "the "
	 "turn in which they were written to the subscriber's; all messages of a turn count with the whole of it, "
	 "which is "
	 "the most that any took; those that waited in a session's queue are left out",
	 write_delivery},
	{PREFIX "filters", METRIC_GAUGE, "", "Distinct topic filters in the routing index", write_filters},
	{PREFIX "retained_messages", METRIC_GAUGE, "", "Retained messages", write_retained},
	{PREFIX "shard_clients", METRIC_GAUGE, "shard", "Clients connected to the shard", write_shard_clients},
	{PREFIX "shard_turns", METRIC_COUNTER, "shard", "Turns of the shard's loop", write_shard_turns},
	{PREFIX "shard_events", METRIC_COUNTER, "shard",
	 "Events that the kernel reported to the shard; by turns, the events a turn", write_shard_events},
	{PREFIX "shard_inbox_parcels", METRIC_GAUGE, "shard",
	 "Parcels of letters that the shard has sent to others and has not got back", write_shard_inbox},
	{PREFIX "shard_commands_waiting", METRIC_GAUGE, "shard", "Commands of the admin side that wait for the shard",
	 write_shard_commands},
	{PREFIX "shard_turn_seconds", METRIC_HISTOGRAM, "shard",
	 "How long a turn of the shard's loop took, from its waking to the end of its writing", write_shard_turn_time},
	{PREFIX "shard_wake_lag_seconds", METRIC_HISTOGRAM, "shard",
	 "How late the shard's loop woke: behind the end of its sleep, or behind the moment in which another thread "
	 "woke "
	 "it; what the kernel woke it for cannot be told",
	 write_shard_lag},
	{PREFIX "shard_longest_turn_seconds", METRIC_GAUGE, "shard", "The shard's longest turn so far",
	 write_shard_longest},
	{PREFIX "shard_longest_recent_turn_seconds", METRIC_GAUGE, "shard",
	 "The shard's longest turn of the last 16 to 33 seconds", write_shard_recent},
	{PREFIX "thread_cpu_seconds", METRIC_COUNTER, "thread", "Processor time of each shard and gate",
	 write_thread_cpu},
	{PREFIX "descriptors_used", METRIC_GAUGE, "table", "Descriptors in use, by descriptor table",
	 write_descriptors},
	{PREFIX "descriptors_allowed", METRIC_GAUGE, "", "Descriptors that each table may hold",
	 write_descriptors_allowed},
	{PREFIX "memory_bytes", METRIC_GAUGE, "part", "User memory in use for clients and messages, by part",
	 write_memory},
	{PREFIX "session_bytes", METRIC_GAUGE, "",
	 "User memory in use for one session, on average: all of memory_bytes but retained messages, by sessions",
	 write_session_bytes},
	{PREFIX "kernel_socket_buffer_bytes", METRIC_GAUGE, "",
	 "Memory in buffers of TCP sockets, of the whole network namespace; a socket's own structures, some 4 KB, come "
	 "on "
	 "top of it",
	 write_socket_buffers},
	{PREFIX "kernel_tcp_sockets", METRIC_GAUGE, "", "TCP sockets in use, of the whole network namespace",
	 write_tcp_sockets},
	{PREFIX "admin_requests", METRIC_COUNTER, "result",
	 "Requests to the admin side: answered, refused for want of the right token, host or origin, failed otherwise",
	 write_admin},
	{PREFIX "build_info", METRIC_GAUGE, "version", "Always 1; the version is in the label", write_build},
	{"process_cpu_seconds", METRIC_COUNTER, "", "Processor time of the whole process", write_cpu},
	{"process_resident_memory_bytes", METRIC_GAUGE, "", "Resident memory of the process", write_resident},
	{"process_virtual_memory_bytes", METRIC_GAUGE, "", "Address space of the process, most of it only reserved",
	 write_virtual},
	{"process_start_time_seconds", METRIC_GAUGE, "", "When the process began, in seconds since 1970",
	 write_started},
};

#define METRIC_COUNT (sizeof(METRICS) / sizeof(METRICS[0]))

/* ---- what threads count ---- */

static enum metric_kind kind_of(const struct counter_row *row)
{
	return row->kind == COUNTER_KIND_GAUGE ? METRIC_GAUGE : METRIC_COUNTER;
}

/* Whether the row is the first of its family. */
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
			exposition_family(exposition, name, kind_of(row), row->help);
		if (row->kind != COUNTER_KIND_WHOLE)
			exposition_count(exposition, row->labels, counter_of(sum, (enum counter)i));
	}
}

void metrics_write(struct exposition *exposition, const struct snapshot *snapshot)
{
	write_counters(exposition, &snapshot->sum);
	for (size_t i = 0; i < METRIC_COUNT; i++) {
		exposition_family(exposition, METRICS[i].name, METRICS[i].kind, METRICS[i].help);
		METRICS[i].write(exposition, snapshot);
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

/* "reason="a"" and its like, of all rows of the family: "reason: a, b". */
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
	      "the "
	      "request asks for it. This page is made from the tables that the exposition is made from "
	      "(`src/gateway/counters.h`, `src/admin/metrics.c`) by `build/roost-docs metrics`; a test compares "
	      "them.\n\n"
	      "No metric has a label for a client or a topic, so a scrape costs the same with a million clients as "
	      "with "
	      "none.\n\n"
	      "| metric | type | unit | labels | what it says |\n|---|---|---|---|---|\n",
	      out);
	for (int i = 0; i < COUNTER_COUNT; i++) {
		const struct counter_row *row = counter_row((enum counter)i);
		labels_of_family(i, labels, sizeof(labels));
		if (begins_family(i))
			document_row(out, PREFIX, row->family, kind_of(row), labels, row->help);
	}
	for (size_t i = 0; i < METRIC_COUNT; i++) {
		snprintf(labels, sizeof(labels), "%s%s%s", METRICS[i].labels[0] != '\0' ? "`" : "", METRICS[i].labels,
			 METRICS[i].labels[0] != '\0' ? "`" : "");
		document_row(out, "", METRICS[i].name, METRICS[i].kind, labels, METRICS[i].help);
	}
}
