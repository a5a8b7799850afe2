/* A block device's account of what was read and written (Documentation/block/stat.rst of the kernel). Parsing is pure;
 * any thread. */
#ifndef DEVICE_IO_STAT_H
#define DEVICE_IO_STAT_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct io_stat {
	uint64_t writes; /* completed */
	uint64_t bytes_written;
	uint64_t flushes; /* 0 where the kernel does not count them (before 5.5) */
};

/* Reads the text of /sys/dev/block/M:N/stat. Returns false if it is not one. */
bool io_stat_parse(struct slice text, struct io_stat *out);

/* Reads the file of the device M:N. Returns false if there is none. Blocks as the kernel's files do. */
bool io_stat_read(unsigned int major, unsigned int minor, struct io_stat *out);

#endif
