/* Whole files: read into memory, put in another's place in one step, and appended to so that what was appended survives
 * a loss of power. Each call may block on the disk: not for gates and shards. Any thread; a file has one user at a
 * time.
 *
 * Each returns NULL, or why it failed: the system's sentence for errno, or one of ours in static storage. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/slice.h"

enum file_secrecy {
	FILE_PUBLIC, /* what decides about others must not be writable by them: refused where everyone may write to it
		      */
	FILE_SECRET, /* refused too where everyone may read it, or its group may write to it */
};

/* The content of at most bytes_max, which the caller frees; a NUL stands behind it, not counted in *size. A path that
 * is no regular file, a pipe for one, is read to its end, and has no permissions that matter. */
const char *file_read(const char *path, size_t bytes_max, enum file_secrecy secrecy, uint8_t **data, size_t *size);

/* Writes a file beside it, makes sure that it is on the disk and renames it. Whoever reads the path finds the old
 * content or the new, also after a loss of power. A file that was there hands its mode and owner on; a new one can be
 * read by everyone or, where it is secret, by its owner alone. A device or directory is left alone. */
const char *file_replace(const char *path, struct slice content, enum file_secrecy secrecy);

/* Opens the file for appending, or makes it, readable by its owner alone. */
const char *file_append_open(const char *path, int *descriptor);
/* Returns when the bytes are on the disk. After a failure some of them may be there. */
const char *file_append(int descriptor, struct slice bytes);
/* Cuts the file off behind so many bytes. */
const char *file_append_cut(int descriptor, size_t bytes);
void file_append_close(int descriptor);

#endif
