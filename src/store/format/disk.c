#include "store/format/disk.h"

#include "base/check.h"
#include "base/layout_root.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define LOCK_NAME "lock"

struct disk_file {
	int descriptor;
};

struct disk_directory {
	int descriptor;
	int lock; /* of the file DIR/lock, which is ours; -1: not locked */
};

static int disk_at(void *context)
{
	const struct disk_directory *directory = context;
	CHECK_GE(directory->descriptor, 0);
	return directory->descriptor;
}

static int disk_result(int result)
{
	return result < 0 ? -errno : 0;
}

/* ---- a file ---- */

static int real_open(void *context, const char *name, bool create, struct disk_file **file)
{
	int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT | O_EXCL : 0);
	*file = malloc(sizeof(**file));
	if (*file == NULL)
		return -ENOMEM;
	do {
		(*file)->descriptor = openat(disk_at(context), name, flags, S_IRUSR | S_IWUSR);
	} while ((*file)->descriptor < 0 && errno == EINTR);
	int error = disk_result((*file)->descriptor);
	struct stat status;
	if (error == 0) {
		error = disk_result(fstat((*file)->descriptor, &status));
		if (error == 0 && !S_ISREG(status.st_mode))
			error = -EINVAL;
		if (error != 0)
			close((*file)->descriptor);
	}
	if (error != 0) {
		free(*file);
		*file = NULL;
	}
	return error;
}

static void real_close(void *context, struct disk_file *file)
{
	(void)context;
	close(file->descriptor); /* an error tells nothing of the data: what matters was synced */
	free(file);
}

static int real_write(void *context, struct disk_file *file, const void *bytes, size_t size, uint64_t offset)
{
	(void)context;
	CHECK_LE(offset, (uint64_t)INT64_MAX - size);
	for (size_t done = 0; done < size;) {
		ssize_t written =
			pwrite(file->descriptor, (const uint8_t *)bytes + done, size - done, (off_t)(offset + done));
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		if (written == 0)
			return -ENOSPC; /* POSIX knows no other reason for it */
		done += (size_t)written;
	}
	return 0;
}

static int real_read(void *context, struct disk_file *file, void *bytes, size_t size, uint64_t offset, size_t *got)
{
	(void)context;
	CHECK_LE(offset, (uint64_t)INT64_MAX - size);
	*got = 0;
	while (*got < size) {
		ssize_t count = pread(file->descriptor, (uint8_t *)bytes + *got, size - *got, (off_t)(offset + *got));
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return -errno;
		if (count == 0)
			break;
		*got += (size_t)count;
	}
	return 0;
}

static int real_size(void *context, struct disk_file *file, uint64_t *size)
{
	(void)context;
	struct stat status;
	if (fstat(file->descriptor, &status) < 0)
		return -errno;
	*size = (uint64_t)status.st_size;
	return 0;
}

static int real_next_data(void *context, struct disk_file *file, uint64_t offset, uint64_t *next)
{
	uint64_t size;
	int error = real_size(context, file, &size);
	if (error != 0)
		return error;
	/* Where the file system has no holes to tell of, all of the file is data. Allocated room becomes data too once
	 * it was read through the page cache. */
	off_t found = offset < size ? lseek(file->descriptor, (off_t)offset, SEEK_DATA) : (off_t)size;
	if (found < 0 && errno != ENXIO)
		return -errno;
	*next = found < 0 || (uint64_t)found > size ? size : (uint64_t)found;
	return 0;
}

static int real_allocate(void *context, struct disk_file *file, uint64_t size)
{
	(void)context;
	int result;
	do {
		result = fallocate(file->descriptor, 0, 0, (off_t)size);
	} while (result < 0 && errno == EINTR);
	/* A file system that cannot do it says ENOSPC when it is written to. */
	return result < 0 && errno == EOPNOTSUPP ? 0 : disk_result(result);
}

static int real_truncate(void *context, struct disk_file *file, uint64_t size)
{
	(void)context;
	int result;
	do {
		result = ftruncate(file->descriptor, (off_t)size);
	} while (result < 0 && errno == EINTR);
	return disk_result(result);
}

static int real_sync(void *context, struct disk_file *file)
{
	(void)context;
	/* Not again after EINTR: whether the first call has lost an error is not known. */
	return disk_result(fdatasync(file->descriptor));
}

/* ---- the directory ---- */

static int real_sync_names(void *context)
{
	return disk_result(fsync(disk_at(context)));
}

static int real_remove(void *context, const char *name)
{
	return disk_result(unlinkat(disk_at(context), name, 0));
}

static int real_rename(void *context, const char *from, const char *to)
{
	return disk_result(renameat(disk_at(context), from, disk_at(context), to));
}

static int real_list(void *context, void (*visit)(void *argument, const char *name), void *argument)
{
	/* With a position of its own. */
	int descriptor = openat(disk_at(context), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *entries = descriptor < 0 ? NULL : fdopendir(descriptor);
	if (entries == NULL) {
		int error = -errno;
		if (descriptor >= 0)
			close(descriptor);
		return error;
	}
	const struct dirent *entry;
	for (errno = 0; (entry = readdir(entries)) != NULL; errno = 0) /* NOLINT(concurrency-mt-unsafe): our own */
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			visit(argument, entry->d_name);
	int error = -errno;
	closedir(entries);
	return error;
}

static int real_room(void *context, uint64_t *bytes)
{
	struct statvfs status;
	int result;
	do {
		result = fstatvfs(disk_at(context), &status);
	} while (result < 0 && errno == EINTR);
	if (result < 0)
		return -errno;
	*bytes = (uint64_t)status.f_bavail * status.f_frsize;
	return 0;
}

static const struct disk_operations REAL_OPERATIONS = {
	.open = real_open,
	.close = real_close,
	.write = real_write,
	.read = real_read,
	.next_data = real_next_data,
	.allocate = real_allocate,
	.size = real_size,
	.truncate = real_truncate,
	.sync = real_sync,
	.sync_names = real_sync_names,
	.remove = real_remove,
	.rename = real_rename,
	.list = real_list,
	.room = real_room,
};

/* ---- opening ---- */

/* A new directory is there after a loss of power once its parent is synced. */
static int disk_sync_parent(const char *path)
{
	char *copy = strdup(path);
	if (copy == NULL)
		return -ENOMEM;
	int descriptor = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(copy);
	if (descriptor < 0)
		return -errno;
	int error = disk_result(fsync(descriptor));
	close(descriptor);
	return error;
}

static int disk_check_owner(int descriptor, bool root_may, const char **why)
{
	struct stat status;
	if (fstat(descriptor, &status) < 0)
		return -errno;
	if (status.st_uid != geteuid() && !(root_may && geteuid() == 0)) {
		*why = "another user owns it; run as that user, or chown it";
		return -EPERM;
	}
	if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
		*why = "others than its owner may write to it; chmod go-w";
		return -EPERM;
	}
	return 0;
}

int disk_open_directory(struct disk *disk, const char *directory, bool create, const char **why)
{
	*disk = (struct disk){0};
	*why = NULL;
	if (create && mkdir(directory, S_IRWXU) == 0) {
		int error = disk_sync_parent(directory);
		if (error != 0)
			return error;
	} else if (create && errno != EEXIST) {
		return -errno;
	}
	int descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (descriptor < 0)
		return -errno;
	int error = disk_check_owner(descriptor, !create, why);
	struct disk_directory *opened = error == 0 ? malloc(sizeof(*opened)) : NULL;
	if (opened == NULL) {
		close(descriptor);
		return error == 0 ? -ENOMEM : error;
	}
	*opened = (struct disk_directory){.descriptor = descriptor, .lock = -1};
	*disk = (struct disk){.operations = &REAL_OPERATIONS, .context = opened, .directory = directory};
	return 0;
}

void disk_close_directory(struct disk *disk)
{
	struct disk_directory *directory = disk->context;
	if (directory == NULL)
		return;
	CHECK(disk->operations == &REAL_OPERATIONS);
	if (directory->lock >= 0)
		close(directory->lock);
	close(directory->descriptor);
	free(directory);
	*disk = (struct disk){0};
}

static int disk_read_holder(int descriptor)
{
	char text[16] = "";
	ssize_t got = pread(descriptor, text, sizeof(text) - 1, 0);
	int holder = got > 0 ? atoi(text) : 0; /* NOLINT(cert-err34-c): 0 where there is no number */
	return holder > 0 ? holder : 0;
}

int disk_lock(struct disk *disk, int *holder)
{
	CHECK(disk->operations == &REAL_OPERATIONS);
	struct disk_directory *directory = disk->context;
	CHECK_LT(directory->lock, 0);
	*holder = 0;
	/* The directory too: somebody may have taken the file away, for a lock that was left over. */
	bool is_free = flock(directory->descriptor, LOCK_EX | LOCK_NB) == 0;
	if (!is_free && errno != EWOULDBLOCK)
		return -errno;
	int descriptor =
		openat(directory->descriptor, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
	if (descriptor < 0)
		return -errno;
	if (!is_free || flock(descriptor, LOCK_EX | LOCK_NB) < 0) {
		int error = is_free ? -errno : -EWOULDBLOCK;
		if (error == -EWOULDBLOCK)
			*holder = disk_read_holder(descriptor);
		close(descriptor);
		return error;
	}
	/* For people and for a second process that wants the lock; the lock itself is the kernel's. */
	char text[16];
	int size = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	CHECK(size > 0 && (size_t)size < sizeof(text));
	if (ftruncate(descriptor, 0) < 0 || pwrite(descriptor, text, (size_t)size, 0) < 0) {
		int error = -errno;
		close(descriptor);
		return error;
	}
	directory->lock = descriptor;
	return 0;
}

/* ---- from one program to the next ---- */

LAYOUT_ROOT(disk_descriptors);

static void disk_keep_one(int descriptor, bool keep)
{
	int flags = fcntl(descriptor, F_GETFD);
	CHECK(flags >= 0);
	CHECK(fcntl(descriptor, F_SETFD, keep ? flags & ~FD_CLOEXEC : flags | FD_CLOEXEC) == 0);
}

struct disk_descriptors disk_keep(const struct disk *disk, bool keep)
{
	const struct disk_directory *directory = disk->context;
	CHECK(disk->operations == &REAL_OPERATIONS && directory->lock >= 0);
	disk_keep_one(directory->descriptor, keep);
	disk_keep_one(directory->lock, keep);
	return (struct disk_descriptors){.directory = directory->descriptor, .lock = directory->lock};
}

static bool disk_is_same(const struct stat *one, const struct stat *other)
{
	return one->st_dev == other->st_dev && one->st_ino == other->st_ino;
}

/* The directory of this path, its lock file, and both locked by what is referred to. 0 or a negative errno. */
static int disk_check_taken(const char *directory, struct disk_descriptors descriptors, const char **why)
{
	struct stat named, kept;
	if (stat(directory, &named) < 0 || fstat(descriptors.directory, &kept) < 0)
		return -errno;
	*why = "it is not the directory that the program before has";
	if (!disk_is_same(&named, &kept))
		return -EINVAL;
	*why = "its lock is not the one that the program before has";
	if (fstatat(descriptors.directory, LOCK_NAME, &named, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fstat(descriptors.lock, &kept) < 0 || !disk_is_same(&named, &kept) ||
	    flock(descriptors.directory, LOCK_EX | LOCK_NB) < 0 || flock(descriptors.lock, LOCK_EX | LOCK_NB) < 0)
		return -EINVAL;
	*why = NULL;
	return 0;
}

int disk_take(struct disk *disk, const char *directory, struct disk_descriptors descriptors, const char **why)
{
	*disk = (struct disk){0};
	*why = NULL;
	int error = disk_check_taken(directory, descriptors, why);
	struct disk_directory *taken = error == 0 ? malloc(sizeof(*taken)) : NULL;
	if (taken == NULL)
		return error == 0 ? -ENOMEM : error;
	*taken = (struct disk_directory){.descriptor = descriptors.directory, .lock = descriptors.lock};
	*disk = (struct disk){.operations = &REAL_OPERATIONS, .context = taken, .directory = directory};
	return 0;
}

void disk_leave(struct disk *disk)
{
	CHECK(disk->operations == &REAL_OPERATIONS);
	free(disk->context);
	*disk = (struct disk){0};
}
