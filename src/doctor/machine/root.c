#include "doctor/machine/root.h"

#include "base/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PATH_BYTES 4096

static int open_below(const struct root *root, const char *path, int flags)
{
	/* Without the slash a prefix would run into the name, and the path would be relative without one. */
	CHECK(path[0] == '/');
	char whole[PATH_BYTES];
	int size = snprintf(whole, sizeof(whole), "%s%s", root->prefix, path);
	if (size < 0 || (size_t)size >= sizeof(whole)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	/* Not blocking: a pipe in a copied tree must not hold us up. */
	return open(whole, flags | O_CLOEXEC | O_NONBLOCK);
}

enum error root_read(const struct root *root, const char *path, uint8_t *buffer, struct slice *text)
{
	int fd = open_below(root, path, O_RDONLY);
	size_t size = 0;
	ssize_t got = fd < 0 ? -1 : 1;
	while (got > 0 && size < ROOT_FILE_BYTES_MAX) {
		got = read(fd, buffer + size, ROOT_FILE_BYTES_MAX - size);
		size += got > 0 ? (size_t)got : 0;
	}
	int failure = errno;
	if (fd >= 0)
		close(fd);
	errno = failure;
	*text = slice_of(buffer, size);
	return got < 0 ? ERROR_SYSTEM : ERROR_OK;
}

enum error root_write(const struct root *root, const char *path, const char *text)
{
	int fd = open_below(root, path, O_WRONLY | O_TRUNC);
	if (fd < 0)
		return ERROR_SYSTEM;
	size_t size = strlen(text);
	ssize_t written = write(fd, text, size);
	int failure = written >= 0 && (size_t)written < size ? EIO : errno;
	close(fd);
	errno = failure;
	return written == (ssize_t)size ? ERROR_OK : ERROR_SYSTEM;
}

static bool ends_with(const char *name, const char *suffix)
{
	size_t size = strlen(name);
	size_t suffix_size = strlen(suffix);
	return size > suffix_size && strcmp(name + size - suffix_size, suffix) == 0;
}

void root_list(const struct root *root, const char *directory, const char *suffix,
	       void (*visit)(void *context, const char *path), void *context)
{
	CHECK(directory[0] == '/');
	char path[PATH_BYTES];
	struct dirent **entries;
	if ((size_t)snprintf(path, sizeof(path), "%s%s", root->prefix, directory) >= sizeof(path))
		return;
	int count = scandir(path, &entries, NULL, alphasort);
	for (int i = 0; i < count; i++) {
		int size = snprintf(path, sizeof(path), "%s/%s", directory, entries[i]->d_name);
		if (ends_with(entries[i]->d_name, suffix) && (size_t)size < sizeof(path))
			visit(context, path);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
}
