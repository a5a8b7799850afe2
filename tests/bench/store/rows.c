/* A million sessions of 180 bytes each (client identifier, expiry, one filter): writing all, reading all, and changing
 * single ones in commits of 100. */
#include "base/check.h"
#include "base/clock.h"
#include "shapes.h"

#include <stdio.h>
#include <string.h>

#define ROWS 1000000u
#define ID_BYTES ((size_t)24)
#define ROW_BYTES ((size_t)180)
#define FILL_COMMIT_ROWS 10000u
#define UPDATES 100000u
#define COMMIT_UPDATES 100u

enum shape { SHAPE_NUMBER, SHAPE_TEXT, SHAPE_LOG, SHAPES };

static const char *const NAMES[SHAPES] = {
	[SHAPE_NUMBER] = "lmdb-by-number",
	[SHAPE_TEXT] = "lmdb-by-client-id",
	[SHAPE_LOG] = "log",
};

struct run {
	const char *directory;
	enum shape shape;
	struct log *log;
	struct lmdb_store *lmdb;
};

/* The client identifier comes first. Identifiers arrive in no order. */
static void row_make(uint32_t number, uint32_t version, uint8_t bytes[static ROW_BYTES])
{
	memset(bytes, 0x5a, ROW_BYTES);
	snprintf((char *)bytes, ID_BYTES, "meter-%016llx", number * 0x9e3779b97f4a7c15llu);
	snprintf((char *)bytes + ID_BYTES, ROW_BYTES - ID_BYTES, "%u site/%u/meter/+/command", version, number);
}

static void write_row(struct run *run, uint32_t number, uint32_t version)
{
	uint8_t bytes[ROW_BYTES];
	uint64_t key = number;
	row_make(number, version, bytes);
	if (run->shape == SHAPE_LOG)
		log_add(run->log, number, version, bytes);
	else if (run->shape == SHAPE_NUMBER)
		lmdb_put(run->lmdb, &key, sizeof(key), bytes, sizeof(bytes), version == 0);
	else
		lmdb_put(run->lmdb, bytes, ID_BYTES, bytes + ID_BYTES, sizeof(bytes) - ID_BYTES, false);
}

static void commit(struct run *run)
{
	if (run->log != NULL)
		log_commit(run->log);
	else
		lmdb_commit(run->lmdb);
}

static void open_shape(struct run *run)
{
	if (run->shape == SHAPE_LOG)
		run->log = log_open(run->directory, ROWS, ROW_BYTES, LOG_KEEPS_ALL);
	else
		run->lmdb =
			lmdb_store_open(run->directory, run->shape == SHAPE_NUMBER ? LMDB_BY_SEQUENCE : LMDB_BY_TEXT);
	CHECK(run->log != NULL || run->lmdb != NULL);
}

static double disk_bytes(const struct run *run)
{
	return (double)(run->log != NULL ? log_disk_bytes(run->log) : lmdb_disk_bytes(run->lmdb));
}

static void make_cold(struct run *run)
{
	if (run->log != NULL) {
		log_make_cold(run->log);
		log_close(run->log);
	} else {
		lmdb_store_close(run->lmdb);
		lmdb_make_cold(run->directory);
	}
}

static void measure_fill(struct row *row, void *argument)
{
	struct run *run = argument;
	probe_sync(row, run->directory);
	open_shape(run);
	struct device_work before = device_settled(run->directory);
	uint64_t began_ns = clock_now_ns();
	for (uint32_t number = 0; number < ROWS; number++) {
		write_row(run, number, 0);
		if ((number + 1) % FILL_COMMIT_ROWS == 0)
			commit(run);
	}
	row_add(row, "fill_s", (double)(clock_now_ns() - began_ns) / 1e9);
	struct device_work after = device_settled(run->directory);
	row_add(row, "fill_device_per_row", (double)(after.written_bytes - before.written_bytes) / ROWS);
	row_add(row, "disk_per_row", disk_bytes(run) / ROWS);
	make_cold(run);
}

static void measure_read(struct row *row, void *argument)
{
	struct run *run = argument;
	struct device_work before = device_settled(run->directory);
	uint64_t began_ns = clock_now_ns();
	open_shape(run);
	uint64_t count = run->log != NULL ? log_recover(run->log) : lmdb_read_all(run->lmdb);
	row_add(row, "read_s", (double)(clock_now_ns() - began_ns) / 1e9);
	struct device_work after = device_settled(run->directory);
	row_add(row, "read_MiB", (double)(after.read_bytes - before.read_bytes) / (double)MIB);
	CHECK_EQ(count, ROWS);
}

static void measure_updates(struct row *row, void *argument)
{
	struct run *run = argument;
	struct durations took;
	uint64_t random = 88172645463325252u;
	directory_empty(run->directory);
	open_shape(run);
	if (run->lmdb != NULL)
		lmdb_fill_unsynced(run->lmdb);
	for (uint32_t number = 0; number < ROWS; number++) {
		write_row(run, number, 0);
		if ((number + 1) % FILL_COMMIT_ROWS == 0)
			commit(run);
	}
	if (run->lmdb != NULL)
		lmdb_sync(run->lmdb);
	durations_init(&took, UPDATES / COMMIT_UPDATES);
	struct device_work before = device_settled(run->directory);
	uint64_t began_ns = clock_now_ns(), now_ns = began_ns;
	while (took.count < took.count_max) {
		for (uint32_t i = 0; i < COMMIT_UPDATES; i++)
			write_row(run, (uint32_t)(random_next(&random) >> 16) % ROWS, 1);
		commit(run);
		uint64_t then_ns = clock_now_ns();
		durations_add(&took, then_ns - now_ns);
		now_ns = then_ns;
	}
	struct device_work after = device_settled(run->directory);
	row_add(row, "k_updates/s", UPDATES * 1e6 / (double)(now_ns - began_ns));
	row_add(row, "device_per_update", (double)(after.written_bytes - before.written_bytes) / UPDATES);
	row_add(row, "commit_p50_ms", durations_ms(&took, 0.5));
	row_add(row, "p99_ms", durations_ms(&took, 0.99));
	row_add(row, "disk_per_row_then", disk_bytes(run) / ROWS);
	durations_fini(&took);
}

static void row_join(struct row *row, const struct row *more)
{
	for (uint32_t i = 0; i < more->count; i++)
		row_add(row, more->cells[i].label, more->cells[i].value);
}

void measure_rows(const char *directory, uint32_t rounds)
{
	struct table table = {0};
	struct lmdb_store *lmdb = lmdb_store_open(directory, LMDB_BY_TEXT);
	enum shape first = lmdb != NULL ? SHAPE_NUMBER : SHAPE_LOG;
	if (lmdb != NULL)
		lmdb_store_close(lmdb);
	directory_empty(directory);
	for (uint32_t round = 0; round < rounds; round++) {
		for (enum shape shape = first; shape < SHAPES; shape++) {
			struct run run = {.directory = directory, .shape = shape};
			struct row row = apart(measure_fill, &run), more = apart(measure_read, &run);
			row_join(&row, &more);
			more = apart(measure_updates, &run);
			row_join(&row, &more);
			snprintf(row.name, sizeof(row.name), "%s", NAMES[shape]);
			directory_empty(directory);
			table_add(&table, &row);
		}
	}
	table_end(&table);
}
