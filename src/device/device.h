/* What lies below a directory: its file system, the block device, how much room there is. Blocks as the kernel's files
 * do; any thread. */
#ifndef DEVICE_DEVICE_H
#define DEVICE_DEVICE_H

#include "base/error.h"
#include "device/io_stat.h"

#define DEVICE_NAME_BYTES 64u

enum device_kind {
	DEVICE_DISK,    /* a file system on a block device */
	DEVICE_MEMORY,  /* tmpfs, ramfs: gone when the machine stops */
	DEVICE_OVERLAY, /* a container's upper layer: gone with the container, as a rule */
	DEVICE_NETWORK, /* NFS, SMB, FUSE and the like: what a sync promises is the server's affair */
	DEVICE_KINDS,
};

struct device {
	enum device_kind kind;
	char file_system[DEVICE_NAME_BYTES]; /* "ext4" */
	char name[DEVICE_NAME_BYTES];        /* of the block device, "vda"; "" where there is none */
	unsigned int major;
	unsigned int minor;
	bool has_stat;       /* io_stat_read() knows the device */
	bool rotates;        /* a disk that turns */
	uint64_t free_bytes; /* for who is not root */
	uint64_t size_bytes;
};

/* ERROR_NOT_FOUND: there is no such path. ERROR_SYSTEM: see errno. */
enum error device_of(const char *path, struct device *out);

/* The kind of a file system by its name in /proc/self/mountinfo. Pure. */
enum device_kind device_kind_of(const char *file_system);

/* Finds the mount of M:N in the text of /proc/self/mountinfo: its file system and its source ("/dev/vda"). Both hold
 * DEVICE_NAME_BYTES; longer ones are cut off. Returns false if there is none. Pure. */
bool device_find_mount(const char *mountinfo, unsigned int major, unsigned int minor, char *file_system, char *source);

#endif
