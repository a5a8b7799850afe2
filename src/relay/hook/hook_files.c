#include "relay/hook/hook_files.h"

#include "base/check.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

static size_t without_line_ends(const uint8_t *data, size_t size)
{
	while (size != 0 && (data[size - 1] == '\n' || data[size - 1] == '\r'))
		size--;
	return size;
}

static void free_secret(uint8_t *secret, size_t size)
{
	if (secret != NULL)
		sodium_memzero(secret, size);
	free(secret);
}

static bool read_secret(struct hook_files *files, const struct hook *hook, char *fault)
{
	if (hook->secret_file[0] == '\0')
		return true;
	const char *why =
		file_read(hook->secret_file, HOOK_SECRET_BYTES_MAX, FILE_SECRET, &files->secret, &files->secret_bytes);
	if (why != NULL)
		return item_fault(fault, "secret_file: %.160s: %s", hook->secret_file, why);
	files->secret_bytes = without_line_ends(files->secret, files->secret_bytes);
	return files->secret_bytes != 0 || item_fault(fault, "secret_file: %.160s is empty", hook->secret_file);
}

static bool is_header_value(const uint8_t *value, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (value[i] < ' ' || value[i] == 0x7f)
			return false;
	}
	return size != 0;
}

/* entry: "Name: path" */
static bool read_header_value(struct hook_files *files, const char *entry, char *fault)
{
	uint8_t *value = NULL;
	size_t size = 0, name = strcspn(entry, ":") + 2;
	const char *path = entry + name;
	CHECK_LT(files->header_count, HOOK_HEADER_FILES_MAX);
	const char *why = file_read(path, HOOK_VALUE_BYTES_MAX, FILE_SECRET, &value, &size);
	if (why != NULL)
		return item_fault(fault, "header_files: %.160s: %s", path, why);
	size = without_line_ends(value, size);
	char *line = NULL;
	if (is_header_value(value, size) &&
	    asprintf(&line, "%.*s%.*s", (int)name, entry, (int)size, (const char *)value) < 0)
		line = NULL;
	files->headers[files->header_count] = line;
	files->header_count += line != NULL;
	free_secret(value, size);
	return line != NULL || item_fault(fault, "header_files: %.160s is not one line with a value", path);
}

bool hook_files_read(struct hook_files *files, const struct hook *hook, char fault[ITEM_FAULT_BYTES_MAX])
{
	*files = (struct hook_files){0};
	bool good = read_secret(files, hook, fault);
	for (uint32_t i = 0; i < hook->header_file_count && good; i++)
		good = read_header_value(files, hook->header_files[i], fault);
	if (!good)
		hook_files_free(files);
	return good;
}

void hook_files_free(struct hook_files *files)
{
	free_secret(files->secret, files->secret_bytes);
	for (uint32_t i = 0; i < files->header_count; i++)
		free_secret((uint8_t *)files->headers[i], strlen(files->headers[i]));
	*files = (struct hook_files){0};
}

static bool check_readable(const char *key, const char *path, char *fault)
{
	if (path[0] == '\0' || access(path, R_OK) == 0)
		return true;
	return item_fault(fault, "%s: %.160s: %s", key, path, strerror(errno));
}

/* Where it is not there yet, its folder counts. */
static bool check_dead_letters(const char *path, char *fault)
{
	char folder[HOOK_PATH_BYTES_MAX];
	if (path[0] == '\0' || access(path, W_OK) == 0)
		return true;
	const char *slash = strrchr(path, '/');
	snprintf(folder, sizeof(folder), "%.*s", slash != NULL ? (int)(slash - path) + 1 : 2,
		 slash != NULL ? path : "./");
	if (errno == ENOENT && access(folder, W_OK | X_OK) == 0)
		return true;
	return item_fault(fault, "dead_letter_file: %.160s: %s", path, strerror(errno));
}

bool hook_files_check(const struct hook *hook, char fault[ITEM_FAULT_BYTES_MAX])
{
	struct hook_files files;
	if (!hook_files_read(&files, hook, fault))
		return false;
	hook_files_free(&files);
	return check_readable("ca_file", hook->ca_file, fault) &&
	       check_readable("certificate_file", hook->certificate_file, fault) &&
	       check_readable("key_file", hook->key_file, fault) && check_dead_letters(hook->dead_letter_file, fault);
}
