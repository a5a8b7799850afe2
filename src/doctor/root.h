/* Where /proc, /sys and /etc are read and written: below a prefix, so that a tree of files can stand for a machine; ""
 * is this machine. Blocks as files of the kernel do. Main thread. */
#ifndef DOCTOR_ROOT_H
#define DOCTOR_ROOT_H

#include "base/error.h"
#include "base/slice.h"

/* Files that say more are read to here: slabinfo of a large machine has 100 KiB. */
#define ROOT_FILE_BYTES_MAX ((size_t)256 * 1024)

struct root {
	const char *prefix;
};

/* Reads the file into buffer (at most ROOT_FILE_BYTES_MAX, which it holds). ERROR_SYSTEM: errno says why not. */
enum error root_read(const struct root *root, const char *path, uint8_t *buffer, struct slice *text);
/* Writes text into a file that is there already, in one write() as /proc/sys wants it. ERROR_SYSTEM: errno. */
enum error root_write(const struct root *root, const char *path, const char *text);

/* Calls visit for the path of each file in the directory whose name ends with suffix, in the order of their names.
 * A directory that is not there has none. */
void root_list(const struct root *root, const char *directory, const char *suffix,
	       void (*visit)(void *context, const char *path), void *context);

#endif
