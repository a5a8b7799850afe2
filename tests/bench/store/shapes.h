/* What a durable store could be built of, measured: docs/decisions/0017-the-store.md has the figures. Parts of one
 * program, store_shapes; single-threaded. A failed system call ends it (CHECK): nothing here has to survive. */
#ifndef BENCH_STORE_SHAPES_H
#define BENCH_STORE_SHAPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define SEGMENT_BYTES (64 * MIB)
#define CELLS_MAX 16u
#define NAME_BYTES 64u

/* One run's figures. */
struct row {
	char name[NAME_BYTES];
	uint32_t count;
	struct {
		const char *label; /* static */
		double value;
	} cells[CELLS_MAX];
};

/* All rounds' rows, for their medians. */
struct table {
	struct row *rows;
	uint32_t count;
};

void row_add(struct row *row, const char *label, double value);
/* Prints the row and keeps a copy. */
void table_add(struct table *table, const struct row *row);
/* Prints the median of each cell over the rows of one name, and frees the table. */
void table_end(struct table *table);

struct durations {
	uint64_t *ns;
	uint32_t count;
	uint32_t count_max;
};

void durations_init(struct durations *durations, uint32_t count_max);
void durations_add(struct durations *durations, uint64_t ns);
/* The share in 0 to 1; of none: 0. */
double durations_ms(struct durations *durations, double share);
void durations_fini(struct durations *durations);

/* What the block device below a directory has done. The whole device: other programs' writes count too. */
struct device_work {
	uint64_t written_bytes;
	uint64_t writes;
	uint64_t flushes;
	uint64_t read_bytes;
};

/* Writes back what is dirty in the directory's file system first, so that each run is charged for all that it caused.
 */
struct device_work device_settled(const char *directory);
/* Adds the p50 and p99 of write + fdatasync of one 4 KiB block that was written before. */
void probe_sync(struct row *row, const char *directory);

/* In KiB, of /proc/self/status. */
double status_kib(const char *name);
uint64_t file_disk_bytes(const char *path);
/* The kernel forgets what it caches of the file. */
void file_make_cold(const char *path);
/* Runs measure() in a process of its own, so that its memory is its own, and returns the row that it filled. */
struct row apart(void (*measure)(struct row *row, void *argument), void *argument);
/* Removes the files in the directory, not folders. */
void directory_empty(const char *directory);

static inline uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* An append-only log of checksummed frames in segment files, one frame or more a commit. Each record fills a slot; the
 * index holds 8 bytes a slot: where its record is. */
enum log_rule {
	LOG_KEEPS_ALL,
	LOG_CHECKPOINTS, /* all that is live, once the log has grown by 128 MiB and by what is live */
	LOG_BELOW_25,    /* each segment of which less than 25 % is live */
	LOG_BELOW_50,
	LOG_OLDEST_FIRST,   /* beyond 256 MiB and twice what is live: the oldest segment */
	LOG_EMPTIEST_FIRST, /* the same, but the segment of which least is live */
	LOG_RULES,
};

extern const char *const LOG_RULE_NAMES[LOG_RULES];

struct log;
struct log *log_open(const char *directory, uint32_t slots, size_t payload_bytes, enum log_rule rule);
void log_add(struct log *log, uint32_t slot, uint64_t sequence, const void *payload);
void log_acknowledge(struct log *log, uint32_t slot);
/* Writes, syncs, then compacts as the rule says. */
void log_commit(struct log *log);
/* Reads all that is in the directory, as after a restart. Returns how many slots are filled. */
uint64_t log_recover(struct log *log);
uint64_t log_peak_bytes(const struct log *log);
uint64_t log_disk_bytes(const struct log *log);
/* Of records, copies included. */
uint64_t log_copied_bytes(const struct log *log);
void log_make_cold(const struct log *log);
void log_close(struct log *log);

/* LMDB, one transaction a commit. */
enum lmdb_key { LMDB_BY_SEQUENCE, LMDB_BY_SESSION, LMDB_BY_TEXT };

struct lmdb_store;
/* NULL where the program was built without LMDB. */
struct lmdb_store *lmdb_store_open(const char *directory, enum lmdb_key key);
/* What follows up to lmdb_sync() is not synced commit by commit. */
void lmdb_fill_unsynced(struct lmdb_store *store);
void lmdb_sync(struct lmdb_store *store);
/* "append": the key is higher than all before. */
void lmdb_put(struct lmdb_store *store, const void *key, size_t key_bytes, const void *value, size_t value_bytes,
	      bool append);
void lmdb_delete(struct lmdb_store *store, const void *key, size_t key_bytes);
void lmdb_commit(struct lmdb_store *store);
/* Reads each key and value; returns how many. */
uint64_t lmdb_read_all(struct lmdb_store *store);
uint64_t lmdb_disk_bytes(const struct lmdb_store *store);
/* Closed at the time, for mapped pages stay. */
void lmdb_make_cold(const char *directory);
void lmdb_store_close(struct lmdb_store *store);

void measure_append(const char *directory, uint32_t rounds);
void measure_checksum(uint32_t rounds);
/* load: a name of QUEUE_LOADS; shapes: how the names of shapes begin. NULL: all. */
void measure_queue(const char *directory, uint32_t rounds, const char *load, const char *shapes);
void measure_rows(const char *directory, uint32_t rounds);

#endif
