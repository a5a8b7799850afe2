#include "base/check.h"
#include "base/clock.h"
#include "shapes.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROBE_SYNCS 100u
#define BLOCK_BYTES 4096u
#define SECTOR_BYTES 512u

void row_add(struct row *row, const char *label, double value)
{
	CHECK_LT(row->count, CELLS_MAX);
	row->cells[row->count].label = label;
	row->cells[row->count].value = value;
	row->count++;
}

static void row_print(const char *kind, const struct row *row)
{
	printf("%s %-30s", kind, row->name);
	for (uint32_t i = 0; i < row->count; i++)
		printf("  %s=%.*f", row->cells[i].label, row->cells[i].value < 10 ? 3 : 0, row->cells[i].value);
	printf("\n");
	fflush(stdout);
}

void table_add(struct table *table, const struct row *row)
{
	row_print("run   ", row);
	table->rows = reallocarray(table->rows, table->count + 1, sizeof(*table->rows));
	CHECK(table->rows != NULL);
	table->rows[table->count++] = *row;
}

static int double_compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;
	return (a > b) - (a < b);
}

static void median_print(const struct table *table, uint32_t first)
{
	struct row row = table->rows[first];
	double *values = calloc(table->count, sizeof(*values));
	CHECK(values != NULL);
	for (uint32_t cell = 0; cell < row.count; cell++) {
		uint32_t count = 0;
		for (uint32_t i = first; i < table->count; i++) {
			if (strcmp(table->rows[i].name, row.name) == 0)
				values[count++] = table->rows[i].cells[cell].value;
		}
		qsort(values, count, sizeof(*values), double_compare);
		row.cells[cell].value = values[count / 2];
	}
	free(values);
	row_print("median", &row);
}

void table_end(struct table *table)
{
	for (uint32_t i = 0; i < table->count; i++) {
		uint32_t same = 0;
		while (strcmp(table->rows[same].name, table->rows[i].name) != 0)
			same++;
		if (same == i)
			median_print(table, i);
	}
	free(table->rows);
	table->rows = NULL;
	table->count = 0;
}

void durations_init(struct durations *durations, uint32_t count_max)
{
	durations->ns = calloc(count_max, sizeof(*durations->ns));
	CHECK(durations->ns != NULL);
	durations->count = 0;
	durations->count_max = count_max;
}

void durations_add(struct durations *durations, uint64_t ns)
{
	CHECK_LT(durations->count, durations->count_max);
	durations->ns[durations->count++] = ns;
}

static int uint64_compare(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
	return (a > b) - (a < b);
}

double durations_ms(struct durations *durations, double share)
{
	if (durations->count == 0)
		return 0;
	qsort(durations->ns, durations->count, sizeof(*durations->ns), uint64_compare);
	return (double)durations->ns[(uint32_t)(share * (durations->count - 1))] / 1e6;
}

void durations_fini(struct durations *durations)
{
	free(durations->ns);
}

struct device_work device_settled(const char *directory)
{
	struct device_work work;
	struct stat about;
	char path[64];
	int descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(descriptor >= 0 && fstat(descriptor, &about) == 0 && syncfs(descriptor) == 0);
	close(descriptor);
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/stat", major(about.st_dev), minor(about.st_dev));
	FILE *file = fopen(path, "r");
	CHECK(file != NULL); /* a file system without a block device is no place for a store's figures */
	unsigned long long fields[17] = {0};
	for (uint32_t i = 0; i < 17; i++)
		CHECK_EQ(fscanf(file, "%llu", &fields[i]), 1);
	fclose(file);
	work.read_bytes = fields[2] * SECTOR_BYTES;
	work.writes = fields[4];
	work.written_bytes = fields[6] * SECTOR_BYTES;
	work.flushes = fields[15];
	return work;
}

void probe_sync(struct row *row, const char *directory)
{
	char path[4096];
	uint8_t block[BLOCK_BYTES] = {1};
	struct durations took;
	snprintf(path, sizeof(path), "%s/probe", directory);
	int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK(descriptor >= 0);
	CHECK_EQ(pwrite(descriptor, block, sizeof(block), 0), (ssize_t)sizeof(block));
	CHECK_EQ(fsync(descriptor), 0);
	durations_init(&took, PROBE_SYNCS);
	for (uint32_t i = 0; i < PROBE_SYNCS; i++) {
		uint64_t began_ns = clock_now_ns();
		block[0]++;
		CHECK_EQ(pwrite(descriptor, block, sizeof(block), 0), (ssize_t)sizeof(block));
		CHECK_EQ(fdatasync(descriptor), 0);
		durations_add(&took, clock_now_ns() - began_ns);
	}
	close(descriptor);
	unlink(path);
	row_add(row, "sync_p50_ms", durations_ms(&took, 0.5));
	row_add(row, "sync_p99_ms", durations_ms(&took, 0.99));
	durations_fini(&took);
}

double status_kib(const char *name)
{
	char line[256];
	double value = 0;
	FILE *file = fopen("/proc/self/status", "r");
	CHECK(file != NULL);
	while (fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, name, strlen(name)) == 0)
			value = strtod(line + strlen(name) + 1, NULL);
	}
	fclose(file);
	return value;
}

uint64_t file_disk_bytes(const char *path)
{
	struct stat about;
	CHECK_EQ(stat(path, &about), 0);
	return (uint64_t)about.st_blocks * SECTOR_BYTES;
}

void file_make_cold(const char *path)
{
	int descriptor = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(descriptor >= 0);
	CHECK_EQ(fdatasync(descriptor), 0); /* what is dirty is not forgotten */
	CHECK_EQ(posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED), 0);
	close(descriptor);
}

struct row apart(void (*measure)(struct row *row, void *argument), void *argument)
{
	struct row row = {0};
	int ends[2], status;
	CHECK_EQ(pipe(ends), 0);
	fflush(stdout);
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		measure(&row, argument);
		CHECK_EQ(write(ends[1], &row, sizeof(row)), (ssize_t)sizeof(row));
		_exit(0);
	}
	close(ends[1]);
	CHECK_EQ(read(ends[0], &row, sizeof(row)), (ssize_t)sizeof(row));
	close(ends[0]);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	return row;
}

void directory_empty(const char *directory)
{
	DIR *files = opendir(directory);
	CHECK(files != NULL);
	for (struct dirent *entry = readdir(files); entry != NULL; entry = readdir(files)) {
		if (entry->d_type == DT_REG)
			CHECK_EQ(unlinkat(dirfd(files), entry->d_name, 0), 0);
	}
	closedir(files);
}
