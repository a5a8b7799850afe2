/* What files looked like when they were read, so that a change shows: their number, size and times. Owned by one thread
 * at a time; may block on the disk. */
#ifndef CONTROL_FILE_STAMPS_H
#define CONTROL_FILE_STAMPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct file_stamp;

struct file_stamps {
	struct file_stamp *items;
	size_t count;
	size_t capacity;
};

void file_stamps_clear(struct file_stamps *stamps);
/* Notes how the file looks now, before it is read; a path that was noted already keeps its stamp. False: no memory. */
bool file_stamps_note(struct file_stamps *stamps, const char *path);
/* The path of the first file that looks different; a file that is not there does so once it is. NULL: none. */
const char *file_stamps_changed(const struct file_stamps *stamps);
const char *file_stamps_path(const struct file_stamps *stamps, size_t number);

#endif
