#include "control/folder.h"

#include "tls/certificate/development.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

int folder_make(void **state)
{
	struct folder *folder = calloc(1, sizeof(*folder));
	assert_non_null(folder);
	snprintf(folder->path, sizeof(folder->path), "/tmp/roost-control-XXXXXX");
	assert_non_null(mkdtemp(folder->path));
	*state = folder;
	return 0;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void)status;
	(void)kind;
	(void)where;
	return remove(path);
}

int folder_remove(void **state)
{
	struct folder *folder = *state;
	int error = nftw(folder->path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	free(folder);
	return error;
}

const char *folder_path(const struct folder *folder, const char *name, char text[PATH_MAX])
{
	int size = snprintf(text, PATH_MAX, "%s/%s", folder->path, name);
	assert_true(size > 0 && size < PATH_MAX);
	return text;
}

void folder_directory(const struct folder *folder, const char *name)
{
	char path[PATH_MAX];
	assert_int_equal(mkdir(folder_path(folder, name, path), 0700), 0);
}

void folder_write(const struct folder *folder, const char *name, const void *bytes, size_t size, unsigned mode)
{
	char path[PATH_MAX];
	int fd = open(folder_path(folder, name, path), O_WRONLY | O_CREAT | O_TRUNC, mode);
	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, mode), 0);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
}

void folder_replace(const struct folder *folder, const char *name, const void *bytes, size_t size, unsigned mode)
{
	char path[PATH_MAX], beside[PATH_MAX], other[NAME_MAX];
	snprintf(other, sizeof(other), "%s.new", name);
	folder_write(folder, other, bytes, size, mode);
	assert_int_equal(rename(folder_path(folder, other, beside), folder_path(folder, name, path)), 0);
}

void folder_link(const struct folder *folder, const char *name, const char *target)
{
	char path[PATH_MAX], beside[PATH_MAX], other[NAME_MAX];
	snprintf(other, sizeof(other), "%s.new", name);
	assert_int_equal(symlink(target, folder_path(folder, other, beside)), 0);
	assert_int_equal(rename(beside, folder_path(folder, name, path)), 0);
}

size_t folder_read(const struct folder *folder, const char *name, void *bytes, size_t capacity)
{
	char path[PATH_MAX];
	int fd = open(folder_path(folder, name, path), O_RDONLY);
	assert_true(fd >= 0);
	ssize_t size = read(fd, bytes, capacity);
	assert_true(size >= 0);
	close(fd);
	return (size_t)size;
}

void folder_certificate(const struct folder *folder, const char *name, const char *host, int64_t begins_s,
			uint32_t days)
{
	char file[NAME_MAX], fault[TLS_FAULT_BYTES_MAX];
	struct tls_development made;
	struct tls_development_options options = {.names = &host, .name_count = 1, .begins_s = begins_s, .days = days};
	assert_true(tls_development_make(&options, NULL, &made, fault));
	struct slice chain = made.pem[TLS_DEVELOPMENT_SERVER], key = made.pem[TLS_DEVELOPMENT_SERVER_KEY];
	snprintf(file, sizeof(file), "%s-chain.pem", name);
	folder_replace(folder, file, chain.data, chain.size, 0644);
	snprintf(file, sizeof(file), "%s-key.pem", name);
	folder_replace(folder, file, key.data, key.size, 0600);
	tls_development_fini(&made);
}
