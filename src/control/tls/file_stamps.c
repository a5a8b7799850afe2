#include "control/tls/file_stamps.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct file_stamp {
	char *path;
	dev_t device; /* all 0: there is no such file */
	ino_t inode;
	off_t size;
	struct timespec modified;
	struct timespec changed;
};

static void stamp_now(struct file_stamp *stamp)
{
	struct stat status;
	char *path = stamp->path;
	*stamp = (struct file_stamp){.path = path};
	if (stat(path, &status) != 0)
		return;
	stamp->device = status.st_dev;
	stamp->inode = status.st_ino;
	stamp->size = status.st_size;
	stamp->modified = status.st_mtim;
	stamp->changed = status.st_ctim;
}

static bool same_time(struct timespec one, struct timespec other)
{
	return one.tv_sec == other.tv_sec && one.tv_nsec == other.tv_nsec;
}

static bool same_stamp(const struct file_stamp *one, const struct file_stamp *other)
{
	return one->device == other->device && one->inode == other->inode && one->size == other->size &&
	       same_time(one->modified, other->modified) && same_time(one->changed, other->changed);
}

void file_stamps_clear(struct file_stamps *stamps)
{
	for (size_t i = 0; i < stamps->count; i++)
		free(stamps->items[i].path);
	free(stamps->items);
	*stamps = (struct file_stamps){.count = 0};
}

bool file_stamps_note(struct file_stamps *stamps, const char *path)
{
	for (size_t i = 0; i < stamps->count; i++) {
		if (strcmp(stamps->items[i].path, path) == 0)
			return true;
	}
	if (stamps->count == stamps->capacity) {
		size_t capacity = stamps->capacity == 0 ? 8 : stamps->capacity * 2;
		struct file_stamp *items = realloc(stamps->items, capacity * sizeof(*items));
		if (items == NULL)
			return false;
		stamps->items = items;
		stamps->capacity = capacity;
	}
	struct file_stamp stamp = {.path = strdup(path)};
	if (stamp.path == NULL)
		return false;
	stamp_now(&stamp);
	CHECK_LT(stamps->count, stamps->capacity);
	stamps->items[stamps->count++] = stamp;
	return true;
}

const char *file_stamps_changed(const struct file_stamps *stamps)
{
	for (size_t i = 0; i < stamps->count; i++) {
		struct file_stamp now = {.path = stamps->items[i].path};
		stamp_now(&now);
		if (!same_stamp(&stamps->items[i], &now))
			return now.path;
	}
	return NULL;
}

const char *file_stamps_path(const struct file_stamps *stamps, size_t number)
{
	CHECK_LT(number, stamps->count);
	return stamps->items[number].path;
}
