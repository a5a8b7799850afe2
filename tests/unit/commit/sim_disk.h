/* A disk in memory that keeps a trace of what is done to it, fails on demand, and can be looked at as if the power had
 * failed after any operation. */
#ifndef COMMIT_SIM_DISK_H
#define COMMIT_SIM_DISK_H

#include "store/format/disk.h"

enum sim_kind { SIM_CREATE, SIM_WRITE, SIM_SIZE, SIM_SYNC, SIM_SYNC_FAILED, SIM_SYNC_NAMES, SIM_REMOVE };

struct sim_operation {
	enum sim_kind kind;
	uint32_t file;
	uint64_t offset; /* SIM_SIZE: the new size */
	size_t size;
	uint8_t *bytes;
};

struct disk_file {
	char name[32];
	uint8_t *bytes;
	uint64_t size;
	bool there;
};

struct sim_disk {
	struct disk disk;
	struct disk_file *files[4096];
	uint32_t file_count;
	struct sim_operation *trace;
	size_t count;
	size_t capacity;
	uint64_t room; /* of all files together */
	uint32_t open_count;
	/* Counted down by the calls; the one that reaches 0 fails, and so do all after it until it is set again. */
	int fail_write_in; /* 0: never */
	int fail_sync_in;
	int fail_read_in;
	int fail_error;
	bool torn; /* a write that fails has written a part */
};

struct sim_disk *sim_disk_new(void);
void sim_disk_free(struct sim_disk *sim);

enum sim_unsynced { SIM_NONE, SIM_ALL, SIM_SOME };
/* What is on the disk if the power fails after the first `count` operations. What was not synced is there not at all,
 * wholly, or by chance, torn at 512 bytes. */
struct sim_disk *sim_disk_cut(const struct sim_disk *sim, size_t count, enum sim_unsynced unsynced, unsigned *seed);

#endif
