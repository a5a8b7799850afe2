/* Where /proc, /sys and /etc are read and written: below a prefix, so that a tree of files can stand in for a machine;
 * "" is this machine. Blocks as the kernel's files do. Main thread. */
#ifndef DOCTOR_MACHINE_ROOT_H
#define DOCTOR_MACHINE_ROOT_H

#include "base/error.h"
#include "base/slice.h"

/* Longer files are cut off here: slabinfo of a large machine has 100 KiB. */
#define ROOT_FILE_BYTES_MAX ((size_t)256 * 1024)

struct root {
	const char *prefix;
};

/* Reads the file into buffer, which holds ROOT_FILE_BYTES_MAX; path begins with "/". ERROR_SYSTEM: see errno. */
enum error root_read(const struct root *root, const char *path, uint8_t *buffer, struct slice *text);
/* Writes text into a file that exists, in one write() as /proc/sys requires. ERROR_SYSTEM: see errno. */
enum error root_write(const struct root *root, const char *path, const char *text);

/* Calls visit for the path of each file in the directory whose name ends with suffix, in the order of the names. A
 * directory that does not exist has none. */
void root_list(const struct root *root, const char *directory, const char *suffix,
	       void (*visit)(void *context, const char *path), void *context);

#endif
