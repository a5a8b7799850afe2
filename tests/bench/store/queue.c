/* Messages of 200 bytes to 10,000 sessions, each acknowledged after others have come: what a steady queue costs each
 * shape. A commit holds 1000 acknowledgements and 1000 messages. */
#include "base/check.h"
#include "base/clock.h"
#include "shapes.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMIT_MESSAGES 1000u
#define MESSAGE_BYTES ((size_t)200)
#define SESSIONS 10000u
#define FILL_COMMIT_MESSAGES 10000u
#define LOG_MESSAGES 4000000u
#define LMDB_MESSAGES 1000000u
#define RUN_NS 4000000000u
/* Until each log has compacted once, and LMDB's pages are as a steady run leaves them. */
#define WARM_MESSAGES 1200000u

/* A slot is a message that waits. */
static const struct load {
	const char *name;
	uint32_t cold_slots; /* nobody takes them */
	uint32_t slots;      /* taken at random, so after as many others on average; at most a commit's: in order */
} QUEUE_LOADS[] = {
	{"hot", 0, 1000},
	{"steady", 0, 100000},
	{"backlog", 0, 1000000},
	{"cold+hot", 1000000, 1000},
};

enum shape { SHAPE_SEQUENCE, SHAPE_SESSION, SHAPE_LOGS };

static const char *shape_name(uint32_t shape)
{
	if (shape >= SHAPE_LOGS)
		return LOG_RULE_NAMES[shape - SHAPE_LOGS + LOG_CHECKPOINTS];
	return shape == SHAPE_SEQUENCE ? "lmdb-by-sequence" : "lmdb-by-session";
}

struct run {
	const char *directory;
	const struct load *load;
	uint32_t shape;
	struct log *log;
	struct lmdb_store *lmdb;
	uint64_t *sequences; /* LMDB's: of the message in each slot, what its index would hold */
	uint64_t sequence;
	uint64_t random;
	uint32_t next;
};

/* Session and sequence as bytes that sort. */
struct session_key {
	uint32_t session;
	uint32_t sequence_high;
	uint32_t sequence_low;
};

static struct session_key session_key(uint64_t sequence)
{
	uint32_t session = (uint32_t)((sequence * 0x9e3779b97f4a7c15u) >> 32) % SESSIONS;
	return (struct session_key){htobe32(session), htobe32((uint32_t)(sequence >> 32)), htobe32((uint32_t)sequence)};
}

static void add(struct run *run, uint32_t slot, const uint8_t *payload)
{
	uint64_t sequence = ++run->sequence;
	if (run->log != NULL) {
		log_add(run->log, slot, sequence, payload);
		return;
	}
	run->sequences[slot] = sequence;
	if (run->shape == SHAPE_SEQUENCE) {
		lmdb_put(run->lmdb, &sequence, sizeof(sequence), payload, MESSAGE_BYTES, true);
		return;
	}
	struct session_key key = session_key(sequence);
	lmdb_put(run->lmdb, &key, sizeof(key), payload, MESSAGE_BYTES, false);
}

static void acknowledge(struct run *run, uint32_t slot)
{
	struct session_key key;
	if (run->log != NULL) {
		log_acknowledge(run->log, slot);
		return;
	}
	key = session_key(run->sequences[slot]);
	if (run->shape == SHAPE_SEQUENCE)
		lmdb_delete(run->lmdb, &run->sequences[slot], sizeof(run->sequences[slot]));
	else
		lmdb_delete(run->lmdb, &key, sizeof(key));
}

static void commit(struct run *run)
{
	if (run->log != NULL)
		log_commit(run->log);
	else
		lmdb_commit(run->lmdb);
}

static uint32_t slots_of(const struct load *load)
{
	return load->cold_slots + load->slots;
}

static uint32_t slot_taken(struct run *run)
{
	const struct load *load = run->load;
	if (load->slots <= COMMIT_MESSAGES)
		return load->cold_slots + run->next++ % load->slots;
	return load->cold_slots + (uint32_t)(random_next(&run->random) >> 16) % load->slots;
}

/* Until enough commits are done, or the time is over. */
static uint64_t steady(struct run *run, struct durations *took, const uint8_t *payload)
{
	uint64_t began_ns = clock_now_ns(), now_ns = began_ns;
	while (took->count < took->count_max && now_ns - began_ns < RUN_NS) {
		for (uint32_t i = 0; i < COMMIT_MESSAGES; i++) {
			uint32_t slot = slot_taken(run);
			acknowledge(run, slot);
			add(run, slot, payload);
		}
		commit(run);
		uint64_t then_ns = clock_now_ns();
		durations_add(took, then_ns - now_ns);
		now_ns = then_ns;
	}
	return now_ns - began_ns;
}

static void fill(struct run *run, const uint8_t *payload)
{
	struct durations took;
	uint32_t slots = slots_of(run->load);
	if (run->lmdb != NULL)
		lmdb_fill_unsynced(run->lmdb);
	for (uint32_t slot = 0; slot < slots; slot++) {
		add(run, slot, payload);
		if ((slot + 1) % FILL_COMMIT_MESSAGES == 0 || slot + 1 == slots)
			commit(run);
	}
	durations_init(&took, WARM_MESSAGES / COMMIT_MESSAGES);
	steady(run, &took, payload);
	durations_fini(&took);
	if (run->lmdb != NULL)
		lmdb_sync(run->lmdb);
}

static void open_shape(struct run *run)
{
	if (run->shape >= SHAPE_LOGS) {
		run->log = log_open(run->directory, slots_of(run->load), MESSAGE_BYTES,
				    (enum log_rule)(run->shape - SHAPE_LOGS + LOG_CHECKPOINTS));
		return;
	}
	run->lmdb = lmdb_store_open(run->directory, run->shape == SHAPE_SEQUENCE ? LMDB_BY_SEQUENCE : LMDB_BY_SESSION);
	run->sequences = calloc(slots_of(run->load), sizeof(*run->sequences));
	CHECK(run->lmdb != NULL && run->sequences != NULL);
}

static void measure_steady(struct row *row, void *argument)
{
	struct run *run = argument;
	struct durations took;
	uint8_t payload[MESSAGE_BYTES];
	memset(payload, 0x5a, sizeof(payload));
	probe_sync(row, run->directory);
	open_shape(run);
	fill(run, payload);
	durations_init(&took, (run->log != NULL ? LOG_MESSAGES : LMDB_MESSAGES) / COMMIT_MESSAGES);
	uint64_t copied_bytes = run->log != NULL ? log_copied_bytes(run->log) : 0;
	struct device_work before = device_settled(run->directory);
	uint64_t took_ns = steady(run, &took, payload);
	struct device_work after = device_settled(run->directory);
	double messages = (double)took.count * COMMIT_MESSAGES;
	row_add(row, "k_messages/s", messages * 1e6 / (double)took_ns);
	row_add(row, "device_per_message", (double)(after.written_bytes - before.written_bytes) / messages);
	row_add(row, "commit_p50_ms", durations_ms(&took, 0.5));
	row_add(row, "p99_ms", durations_ms(&took, 0.99));
	row_add(row, "max_ms", durations_ms(&took, 1));
	if (run->log != NULL) {
		row_add(row, "copied_per_message", (double)(log_copied_bytes(run->log) - copied_bytes) / messages);
		row_add(row, "peak_MiB", (double)log_peak_bytes(run->log) / (double)MIB);
	} else {
		row_add(row, "copied_per_message", 0);
		row_add(row, "peak_MiB", (double)lmdb_disk_bytes(run->lmdb) / (double)MIB);
	}
	row_add(row, "rss_anon_MiB", status_kib("RssAnon") / 1024);
	row_add(row, "rss_file_MiB", status_kib("RssFile") / 1024);
	row_add(row, "k_messages", messages / 1000);
	durations_fini(&took);
	if (run->log != NULL) {
		log_make_cold(run->log);
		log_close(run->log);
	} else {
		lmdb_store_close(run->lmdb);
		lmdb_make_cold(run->directory);
	}
}

/* What is on the disk is what waits: this is also the proof that no rule of compaction loses or revives a message. */
static void measure_recovery(struct row *row, void *argument)
{
	struct run *run = argument;
	uint64_t began_ns = clock_now_ns(), count;
	open_shape(run);
	count = run->log != NULL ? log_recover(run->log) : lmdb_read_all(run->lmdb);
	row_add(row, "recovery_ms", (double)(clock_now_ns() - began_ns) / 1e6);
	CHECK_EQ(count, slots_of(run->load));
}

static void measure_one(struct table *table, const char *directory, const struct load *load, uint32_t shape)
{
	struct run run = {.directory = directory, .load = load, .shape = shape, .random = 88172645463325252u};
	struct row row = apart(measure_steady, &run);
	struct row recovery = apart(measure_recovery, &run);
	row_add(&row, recovery.cells[0].label, recovery.cells[0].value);
	snprintf(row.name, sizeof(row.name), "%s %s", load->name, shape_name(shape));
	directory_empty(directory);
	table_add(table, &row);
}

void measure_queue(const char *directory, uint32_t rounds, const char *load, const char *shapes)
{
	struct table table = {0};
	struct lmdb_store *lmdb = lmdb_store_open(directory, LMDB_BY_SEQUENCE);
	uint32_t first = lmdb != NULL ? SHAPE_SEQUENCE : SHAPE_LOGS;
	uint32_t end = SHAPE_LOGS + LOG_RULES - LOG_CHECKPOINTS;
	if (lmdb != NULL)
		lmdb_store_close(lmdb);
	directory_empty(directory);
	for (uint32_t round = 0; round < rounds; round++) {
		for (uint32_t i = 0; i < sizeof(QUEUE_LOADS) / sizeof(*QUEUE_LOADS); i++) {
			if (load != NULL && strcmp(load, QUEUE_LOADS[i].name) != 0)
				continue;
			for (uint32_t shape = first; shape < end; shape++) {
				if (shapes == NULL || strncmp(shape_name(shape), shapes, strlen(shapes)) == 0)
					measure_one(&table, directory, &QUEUE_LOADS[i], shape);
			}
		}
	}
	table_end(&table);
}
