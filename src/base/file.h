/* Whole files: reads them into memory, replaces them in one step, and appends so that the bytes survive a loss of
 * power. Each call may block on the disk, so gates and shards make none. Any thread; a file has one user at a time.
 *
 * Each call returns NULL, or the reason why it failed: the system's sentence for errno, or one of ours in static
 * storage. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/slice.h"

enum file_secrecy {
	FILE_PUBLIC, /* refused where everyone may write to it: the file decides what others may do */
	FILE_SECRET, /* refused also where everyone may read it, or its group may write to it */
};

/* Reads at most bytes_max. The caller frees *data, which ends with a NUL that *size does not count. A path that is not
 * a regular file, such as a pipe, is read to its end; its permissions do not matter. */
const char *file_read(const char *path, size_t bytes_max, enum file_secrecy secrecy, uint8_t **data, size_t *size);

/* Writes a new file beside the old one, syncs it to the disk and renames it. A reader finds the old content or the new,
 * also after a loss of power. The new file keeps the mode and owner of the old one. Without an old one, everyone may
 * read it, or only its owner where it is secret. A device or directory is left alone. */
const char *file_replace(const char *path, struct slice content, enum file_secrecy secrecy);

/* Opens the file for appending, or creates it so that only its owner may read it. */
const char *file_append_open(const char *path, int *descriptor);
/* Returns once the bytes are on the disk. After a failure some of them may be. */
const char *file_append(int descriptor, struct slice bytes);
/* Truncates the file to so many bytes. */
const char *file_append_cut(int descriptor, size_t bytes);
void file_append_close(int descriptor);

#endif
