/* Commits of records of 230 bytes to one file, a sync each, by how the file's blocks came to be. */
#include "base/check.h"
#include "base/clock.h"
#include "shapes.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECORD_BYTES ((size_t)230)
#define BLOCK_BYTES ((size_t)4096)
#define COMMITS_MAX 2000u
#define RUN_NS 350000000u

enum blocks { APPENDED, UNWRITTEN, ZEROED, RECYCLED, RECYCLED_COLD, RECYCLED_BLOCKS, DIRECT, SHAPES };

static const char *const NAMES[SHAPES] = {
	[APPENDED] = "append",
	[UNWRITTEN] = "fallocate",
	[ZEROED] = "zeros",
	[RECYCLED] = "recycled",
	[RECYCLED_COLD] = "recycled-cold",        /* none of the old content is cached */
	[RECYCLED_BLOCKS] = "recycled-cold-4KiB", /* whole blocks written, the last one again with the next commit */
	[DIRECT] = "zeros-O_DIRECT|O_DSYNC",
};

static void fill(int descriptor, uint8_t byte)
{
	uint8_t *bytes = malloc(MIB);
	CHECK(bytes != NULL);
	memset(bytes, byte, MIB);
	for (size_t at = 0; at < SEGMENT_BYTES; at += MIB)
		CHECK_EQ(pwrite(descriptor, bytes, MIB, (off_t)at), (ssize_t)MIB);
	free(bytes);
	CHECK_EQ(fsync(descriptor), 0);
}

static int open_new(const char *path)
{
	int descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CHECK(descriptor >= 0);
	return descriptor;
}

static void sync_directory(const char *directory)
{
	int descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(descriptor >= 0 && fsync(descriptor) == 0);
	close(descriptor);
}

/* Leaves the file as it is before its first commit. */
static int prepare(const char *directory, const char *path, enum blocks blocks, struct row *row)
{
	char old[4096];
	bool recycled = blocks == RECYCLED || blocks == RECYCLED_COLD || blocks == RECYCLED_BLOCKS;
	snprintf(old, sizeof(old), "%s/old", directory);
	if (recycled) {
		int descriptor = open_new(old);
		fill(descriptor, 0x5a);
		close(descriptor);
		sync_directory(directory);
		if (blocks != RECYCLED)
			file_make_cold(old);
	}
	uint64_t began_ns = clock_now_ns();
	int descriptor = -1;
	if (recycled) {
		CHECK_EQ(rename(old, path), 0);
		descriptor = open(path, O_RDWR | O_CLOEXEC);
	} else {
		descriptor = open_new(path);
		if (blocks == UNWRITTEN)
			CHECK_EQ(posix_fallocate(descriptor, 0, (off_t)SEGMENT_BYTES), 0);
		if (blocks == ZEROED || blocks == DIRECT)
			fill(descriptor, 0);
		CHECK_EQ(fsync(descriptor), 0);
	}
	sync_directory(directory);
	row_add(row, "prepare_ms", (double)(clock_now_ns() - began_ns) / 1e6);
	if (blocks == DIRECT) {
		close(descriptor);
		descriptor = open(path, O_RDWR | O_DIRECT | O_DSYNC | O_CLOEXEC);
	}
	CHECK(descriptor >= 0);
	return descriptor;
}

static void commit(int descriptor, enum blocks blocks, const uint8_t *segment, size_t from, size_t to)
{
	if (blocks == DIRECT || blocks == RECYCLED_BLOCKS) {
		from -= from % BLOCK_BYTES;
		to += (BLOCK_BYTES - to % BLOCK_BYTES) % BLOCK_BYTES;
	}
	CHECK_EQ(pwrite(descriptor, segment + from, to - from, (off_t)from), (ssize_t)(to - from));
	if (blocks != DIRECT)
		CHECK_EQ(fdatasync(descriptor), 0);
}

static void measure(struct table *table, const char *directory, const uint8_t *segment, enum blocks blocks,
		    uint32_t records)
{
	struct row row = {0};
	struct durations took;
	char path[4096];
	snprintf(row.name, sizeof(row.name), "%s %u", NAMES[blocks], records);
	snprintf(path, sizeof(path), "%s/segment", directory);
	int descriptor = prepare(directory, path, blocks, &row);
	size_t bytes = records * RECORD_BYTES, at = 0;
	probe_sync(&row, directory);
	durations_init(&took, COMMITS_MAX);
	struct device_work before = device_settled(directory);
	uint64_t began_ns = clock_now_ns(), now_ns = began_ns;
	while (took.count < COMMITS_MAX && at + bytes + BLOCK_BYTES < SEGMENT_BYTES && now_ns - began_ns < RUN_NS) {
		commit(descriptor, blocks, segment, at, at + bytes);
		at += bytes;
		uint64_t then_ns = clock_now_ns();
		durations_add(&took, then_ns - now_ns);
		now_ns = then_ns;
	}
	struct device_work after = device_settled(directory);
	double commits = took.count;
	row_add(&row, "p50_ms", durations_ms(&took, 0.5));
	row_add(&row, "p99_ms", durations_ms(&took, 0.99));
	row_add(&row, "MB/s", (double)at * 1e3 / (double)(now_ns - began_ns));
	row_add(&row, "device_per_byte", (double)(after.written_bytes - before.written_bytes) / (double)at);
	row_add(&row, "device_per_commit", (double)(after.written_bytes - before.written_bytes) / commits);
	row_add(&row, "writes_per_commit", (double)(after.writes - before.writes) / commits);
	row_add(&row, "flushes_per_commit", (double)(after.flushes - before.flushes) / commits);
	row_add(&row, "read_per_byte", (double)(after.read_bytes - before.read_bytes) / (double)at);
	durations_fini(&took);
	close(descriptor);
	unlink(path);
	table_add(table, &row);
}

void measure_append(const char *directory, uint32_t rounds)
{
	struct table table = {0};
	uint8_t *segment = aligned_alloc(BLOCK_BYTES, SEGMENT_BYTES);
	uint64_t random = 88172645463325252u;
	CHECK(segment != NULL);
	for (size_t at = 0; at < SEGMENT_BYTES; at += sizeof(random)) {
		random_next(&random);
		memcpy(segment + at, &random, sizeof(random));
	}
	for (uint32_t round = 0; round < rounds; round++) {
		for (uint32_t records = 1; records <= 1000; records *= 10) {
			for (enum blocks blocks = 0; blocks < SHAPES; blocks++)
				measure(&table, directory, segment, blocks, records);
		}
	}
	free(segment);
	table_end(&table);
}
