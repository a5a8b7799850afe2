/* The file system, as the store uses it: a table of operations, so that a test can be a disk that fails, or that keeps
 * a trace and loses power. All of it for one directory. Every operation returns 0 or a negative errno, and is called by
 * the store's own threads and tools only: never by a shard. */
#ifndef STORE_DISK_H
#define STORE_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct disk_file;

struct disk {
	const struct disk_operations *operations;
	void *context;
	const char *directory; /* its path, for people; NULL: it has none */
};

struct disk_operations {
	/* Opens for reading and writing, or (create) makes a new one, mode 0600. */
	int (*open)(void *context, const char *name, bool create, struct disk_file **file);
	void (*close)(void *context, struct disk_file *file);
	/* The whole of it: short writes and EINTR are gone on with. */
	int (*write)(void *context, struct disk_file *file, const void *bytes, size_t size, uint64_t offset);
	/* *got: less than size only at the end of the file. */
	int (*read)(void *context, struct disk_file *file, void *bytes, size_t size, uint64_t offset, size_t *got);
	/* *next: the first place at or behind offset where the file may have other bytes than zeros, or its size. It
	 * knows the holes, and the room that was allocated and not written. May be NULL: nothing is known. */
	int (*next_data)(void *context, struct disk_file *file, uint64_t offset, uint64_t *next);
	/* Room for the file up to this size. */
	int (*allocate)(void *context, struct disk_file *file, uint64_t size);
	int (*size)(void *context, struct disk_file *file, uint64_t *size);
	int (*truncate)(void *context, struct disk_file *file, uint64_t size);
	/* All that was written to the file is on the device (fdatasync). After an error nothing that was not synced
	 * before can be relied on, even if a later call succeeds. */
	int (*sync)(void *context, struct disk_file *file);
	/* Names that were made, removed or changed are on the device. */
	int (*sync_names)(void *context);
	int (*remove)(void *context, const char *name);
	int (*rename)(void *context, const char *from, const char *to);
	/* Calls visit for each name, in no order. */
	int (*list)(void *context, void (*visit)(void *argument, const char *name), void *argument);
	/* Of the file system: bytes that may still be written. */
	int (*room)(void *context, uint64_t *bytes);
};

/* The real one. directory: its path, which must outlive the disk; it is opened here, or (create) made with mode 0700.
 * Refuses one that others may write to, or that another user owns; without create root may open it all the same.
 * *why: a sentence for people, static storage; NULL where errno says it. */
int disk_open_directory(struct disk *disk, const char *directory, bool create, const char **why);
void disk_close_directory(struct disk *disk);
/* Whether this process has the directory to itself from now on, until it ends: a lock on DIR/lock, in which *holder
 * finds the process that has it otherwise (0: unknown). -EAGAIN: in use. */
int disk_lock(struct disk *disk, int *holder);

/* A locked directory, from one program of this process to the next: its descriptor and that of the lock file. The lock
 * belongs to what they refer to, so it is held all the time. */
struct disk_descriptors {
	int32_t directory;
	int32_t lock;
};
/* keep: whether they stay open across execve(). At first they do not. */
struct disk_descriptors disk_keep(const struct disk *disk, bool keep);
/* Takes them over, locked, in place of disk_open_directory() and disk_lock(), if they are of the directory of this
 * path; otherwise they stay the caller's, to be closed by execve() or by itself: closing one lets go of a lock. *why:
 * as above. */
int disk_take(struct disk *disk, const char *directory, struct disk_descriptors descriptors, const char **why);
/* In place of disk_close_directory(): the descriptors stay open, and the directory locked, for the program before. */
void disk_leave(struct disk *disk);

#endif
