#include "base/file.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_READ_BYTES ((size_t)16 << 10)

static const char *file_system_fault(void)
{
	return strerror(errno); /* NOLINT(concurrency-mt-unsafe): glibc's is safe for errors that it knows */
}

static const char *file_check_mode(const struct stat *status, enum file_secrecy secrecy)
{
	if (!S_ISREG(status->st_mode))
		return S_ISDIR(status->st_mode) ? "it is a directory" : NULL;
	if (status->st_mode & S_IWOTH)
		return "everyone may write to it, and so it is not read; chmod o-w";
	if (secrecy == FILE_SECRET && status->st_mode & S_IROTH)
		return "everyone may read it, and it is secret; chmod o=";
	if (secrecy == FILE_SECRET && status->st_mode & S_IWGRP)
		return "its group may write to it, and it is secret; chmod g-w";
	return NULL;
}

/* Reads to the end. *data grows, and always has room for one byte more. */
static const char *file_read_all(int descriptor, size_t bytes_max, uint8_t **data, size_t *size)
{
	CHECK_LT(bytes_max, SIZE_MAX - 1); /* room + 1 must not wrap */
	size_t room = 0;
	*size = 0;
	for (;;) {
		if (*size == room) {
			if (room > bytes_max)
				return "it is too large";
			room = room == 0 ? FIRST_READ_BYTES : room * 2;
			if (room > bytes_max)
				room = bytes_max + 1; /* one more byte shows that the file is too large */
			uint8_t *grown = realloc(*data, room + 1);
			if (grown == NULL)
				return "out of memory";
			*data = grown;
		}
		ssize_t got = read(descriptor, *data + *size, room - *size);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return file_system_fault();
		if (got == 0)
			break;
		*size += (size_t)got;
	}
	CHECK_LE(*size, room);
	(*data)[*size] = '\0';
	return *size > bytes_max ? "it is too large" : NULL;
}

const char *file_read(const char *path, size_t bytes_max, enum file_secrecy secrecy, uint8_t **data, size_t *size)
{
	*data = NULL;
	*size = 0;
	int descriptor = open(path, O_RDONLY | O_CLOEXEC);
	if (descriptor < 0)
		return file_system_fault();
	struct stat status;
	const char *fault = fstat(descriptor, &status) == 0 ? file_check_mode(&status, secrecy) : file_system_fault();
	if (fault == NULL)
		fault = file_read_all(descriptor, bytes_max, data, size);
	close(descriptor);
	if (fault != NULL) {
		free(*data);
		*data = NULL;
	}
	return fault;
}

static const char *file_write_all(int descriptor, struct slice bytes)
{
	while (bytes.size > 0) {
		ssize_t wrote = write(descriptor, bytes.data, bytes.size);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0)
			return file_system_fault();
		bytes = slice_of(bytes.data + wrote, bytes.size - (size_t)wrote);
	}
	return NULL;
}

/* A rename is on the disk once its directory is. */
static const char *file_sync_directory(const char *path)
{
	char directory[PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t size = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
	if (size >= sizeof(directory))
		return "its path is too long";
	memcpy(directory, path, size);
	directory[size] = '\0';
	int descriptor = open(size == 0 ? "." : directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (descriptor < 0)
		return file_system_fault();
	const char *fault = fsync(descriptor) == 0 ? NULL : file_system_fault();
	close(descriptor);
	return fault;
}

/* Whoever could read the old file can read the new one: the server may run as another user. */
static const char *file_inherit_mode(int descriptor, const char *path, enum file_secrecy secrecy)
{
	struct stat old;
	mode_t mode = secrecy == FILE_SECRET ? S_IRUSR | S_IWUSR : S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH;
	if (stat(path, &old) != 0) {
		if (errno != ENOENT)
			return file_system_fault();
	} else {
		if (!S_ISREG(old.st_mode))
			return "it is there, and no regular file";
		mode = old.st_mode & 07777;
		bool others = old.st_uid != geteuid() || old.st_gid != getegid();
		if (others && fchown(descriptor, old.st_uid, old.st_gid) != 0)
			return file_system_fault();
	}
	return fchmod(descriptor, mode) == 0 ? NULL : file_system_fault();
}

static const char *file_replace_real(const char *path, struct slice content, enum file_secrecy secrecy)
{
	char beside[PATH_MAX];
	int length = snprintf(beside, sizeof(beside), "%s.XXXXXX", path);
	if (length < 0 || (size_t)length >= sizeof(beside))
		return "its path is too long";
	int descriptor = mkostemp(beside, O_CLOEXEC);
	if (descriptor < 0)
		return file_system_fault();
	const char *fault = file_inherit_mode(descriptor, path, secrecy);
	if (fault == NULL)
		fault = file_write_all(descriptor, content);
	if (fault == NULL && fsync(descriptor) != 0)
		fault = file_system_fault();
	if (close(descriptor) != 0 && fault == NULL)
		fault = file_system_fault();
	if (fault == NULL && rename(beside, path) != 0)
		fault = file_system_fault();
	if (fault != NULL) {
		unlink(beside);
		return fault;
	}
	return file_sync_directory(path);
}

const char *file_replace(const char *path, struct slice content, enum file_secrecy secrecy)
{
	/* Replaces what a symbolic link leads to, not the link. */
	char *real = realpath(path, NULL);
	const char *fault = file_replace_real(real != NULL ? real : path, content, secrecy);
	free(real);
	return fault;
}

const char *file_append_open(const char *path, int *descriptor)
{
	*descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
	if (*descriptor < 0)
		return file_system_fault();
	const char *fault = file_sync_directory(path);
	if (fault != NULL) {
		close(*descriptor);
		*descriptor = -1;
	}
	return fault;
}

const char *file_append(int descriptor, struct slice bytes)
{
	CHECK_GE(descriptor, 0);
	const char *fault = file_write_all(descriptor, bytes);
	if (fault == NULL && fdatasync(descriptor) != 0)
		fault = file_system_fault();
	return fault;
}

const char *file_append_cut(int descriptor, size_t bytes)
{
	CHECK_LE(bytes, INT64_MAX);
	return ftruncate(descriptor, (off_t)bytes) == 0 && fsync(descriptor) == 0 ? NULL : file_system_fault();
}

void file_append_close(int descriptor)
{
	CHECK(close(descriptor) == 0 || errno != EBADF);
}
