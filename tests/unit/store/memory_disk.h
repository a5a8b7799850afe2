/* A disk in memory, for tests of what is read from one: files that can be looked at and spoilt. One thread. */
#ifndef UNIT_STORE_MEMORY_DISK_H
#define UNIT_STORE_MEMORY_DISK_H

#include "store/format/disk.h"

#define MEMORY_DISK_FILES 64u
#define MEMORY_DISK_BLOCK 4096u

struct disk_file {
	char name[32]; /* "": the place is free */
	uint8_t *bytes;
	size_t size;
	size_t room;
};

struct memory_disk {
	struct disk_file files[MEMORY_DISK_FILES];
	uint32_t removed;
	uint32_t holes; /* that were skipped */
	/* Reading these bytes of the file is -EIO; NULL: nothing is. */
	const struct disk_file *bad_file;
	uint64_t bad_from;
	uint64_t bad_to;
};

struct disk memory_disk(struct memory_disk *memory);
void memory_disk_fini(struct memory_disk *memory);
/* NULL: there is none. */
struct disk_file *memory_disk_file(struct memory_disk *memory, const char *name);
/* Makes it, or writes it anew. */
struct disk_file *memory_disk_put(struct memory_disk *memory, const char *name, const void *bytes, size_t size);

#endif
