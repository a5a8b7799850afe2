/* `roost store backup`: copies a store, also while a server uses it. */
#include "tool/store/commands.h"

#include "base/check.h"
#include "base/format.h"
#include "cli/command.h"
#include "store/format/identity.h"
#include "tool/store/opened.h"

#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define COMMAND "store backup"
#define COPY_BYTES ((size_t)1 << 20)
#define ATTEMPTS 100u /* a server removes segments now and then, and never many times in a row */

static const char USAGE[] =
	"Usage: roost store backup DIR TO\n\n"
	"Copies a store to a directory that does not exist or is empty, also while a server uses it. "
	"The copy holds all that was\n"
	"safe when it began, and the revocations. It is read and checked before it is finished, and is a "
	"store like any other:\n"
	"`roost serve --store TO`.\n\n"
	"      --help\n";

static const struct option OPTIONS[] = {{"help", no_argument, NULL, CLI_HELP}, {0}};

struct source {
	uint32_t *numbers;
	struct disk_file **files; /* opened all together, so that what the server removes meanwhile can be read still */
	uint64_t *sizes;
	uint32_t count;
	uint64_t bytes;
};

static void source_close(const struct opened_store *store, struct source *source)
{
	for (uint32_t i = 0; i < source->count && source->files != NULL; i++)
		if (source->files[i] != NULL)
			store->disk.operations->close(store->disk.context, source->files[i]);
	free(source->numbers);
	free(source->files);
	free(source->sizes);
	*source = (struct source){.count = 0};
}

/* -ENOENT: a segment was removed between being listed and being opened. */
static int source_open(const struct opened_store *store, struct source *source)
{
	const struct disk *disk = &store->disk;
	char name[STORE_SEGMENT_NAME_BYTES];
	*source = (struct source){.count = 0};
	int error = segment_file_list(disk, &source->numbers, &source->count);
	if (error != 0)
		return error;
	source->files = calloc((size_t)source->count + 1, sizeof(struct disk_file *));
	source->sizes = calloc((size_t)source->count + 1, sizeof(*source->sizes));
	if (source->files == NULL || source->sizes == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; error == 0 && i < source->count; i++) {
		error = disk->operations->open(disk->context, store_segment_name(source->numbers[i], name), false,
					       &source->files[i]);
		if (error == 0)
			error = disk->operations->size(disk->context, source->files[i], &source->sizes[i]);
		source->bytes += source->sizes[i];
	}
	return error;
}

static bool source_find(struct opened_store *store, struct source *source)
{
	/* A descriptor for each segment. */
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	int error = -ENOENT;
	for (uint32_t attempt = 0; error == -ENOENT && attempt < ATTEMPTS; attempt++) {
		if (attempt != 0)
			source_close(store, source);
		error = source_open(store, source);
	}
	return error == 0 || opened_complain_errno(store, error);
}

/* ---- the copy ---- */

static bool is_zeros(const uint8_t *bytes, size_t size)
{
	return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

/* What was allocated ahead and not written yet is left out. */
static int copy_segment(struct opened_store *store, const struct source *source, uint32_t index, const struct disk *to,
			uint8_t *buffer, uint64_t *done)
{
	const struct disk *from = &store->disk;
	char name[STORE_SEGMENT_NAME_BYTES];
	struct disk_file *file;
	int error = to->operations->open(to->context, store_segment_name(source->numbers[index], name), true, &file);
	if (error != 0)
		return error;
	size_t got = COPY_BYTES;
	for (uint64_t at = 0; error == 0 && got == COPY_BYTES && at < source->sizes[index]; at += got) {
		error = from->operations->read(from->context, source->files[index], buffer, COPY_BYTES, at, &got);
		if (error == 0 && !is_zeros(buffer, got))
			error = to->operations->write(to->context, file, buffer, got, at);
		*done += got;
		store_progress_update(&store->progress, *done, source->bytes);
	}
	if (error == 0)
		error = to->operations->sync(to->context, file);
	to->operations->close(to->context, file);
	return error;
}

/* What is revoked, unless the server keeps that elsewhere: a copy without it would let in whom the store shuts out. The
 * server appends whole lines to the file, and reads past one that was cut. */
static int copy_revocations(struct opened_store *store, const struct disk *to, uint8_t *buffer)
{
	const struct disk *from = &store->disk;
	struct disk_file *source;
	struct disk_file *file;
	int error = from->operations->open(from->context, STORE_REVOCATIONS_NAME, false, &source);
	if (error != 0)
		return error == -ENOENT ? 0 : error;
	error = to->operations->open(to->context, STORE_REVOCATIONS_NAME, true, &file);
	if (error == 0) {
		size_t got = COPY_BYTES;
		for (uint64_t at = 0; error == 0 && got == COPY_BYTES; at += got) {
			error = from->operations->read(from->context, source, buffer, COPY_BYTES, at, &got);
			if (error == 0)
				error = to->operations->write(to->context, file, buffer, got, at);
		}
		if (error == 0)
			error = to->operations->sync(to->context, file);
		to->operations->close(to->context, file);
	}
	from->operations->close(from->context, source);
	return error;
}

static bool copy_all(struct opened_store *store, const struct source *source, struct opened_store *to)
{
	uint8_t *buffer = malloc(COPY_BYTES);
	uint64_t done = 0;
	int error = buffer != NULL ? 0 : -ENOMEM;
	store->progress = store_progress_begin("copying");
	for (uint32_t i = 0; error == 0 && i < source->count; i++)
		error = copy_segment(store, source, i, &to->disk, buffer, &done);
	store_progress_end(&store->progress);
	if (error == 0)
		error = copy_revocations(store, &to->disk, buffer);
	free(buffer);
	if (error == 0)
		error = to->disk.operations->sync_names(to->disk.context);
	return error == 0 || opened_complain_errno(to, error);
}

/* The identity comes last: without it the directory is no store. */
static bool finish_copy(struct opened_store *to)
{
	struct replay_hooks hooks = {.go_on = false};
	const char *why;
	uint64_t lost;
	if (!opened_replay(to, &hooks) || !opened_verify_bodies(to, &lost))
		return false;
	if (store_identity_save(&to->disk, &to->identity, &why) != ERROR_OK)
		return opened_complain(to, why);
	opened_print_summary(to);
	printf("copied to      %s\n", to->directory);
	return true;
}

/* ---- where to ---- */

static void see_name(void *argument, const char *name)
{
	(void)name;
	*(bool *)argument = true;
}

/* The directory, or the one that it would be made in, is the store's or lies below it. */
static bool lies_within(const char *directory, const char *store)
{
	char *outer = realpath(store, NULL);
	char *inner = realpath(directory, NULL);
	char *copy = inner == NULL ? strdup(directory) : NULL;
	if (copy != NULL)
		inner = realpath(dirname(copy), NULL);
	size_t size = outer != NULL ? strlen(outer) : 0;
	bool within = outer != NULL && inner != NULL && strncmp(inner, outer, size) == 0 &&
		      (inner[size] == '\0' || inner[size] == '/');
	free(copy);
	free(inner);
	free(outer);
	return within;
}

static bool open_target(struct opened_store *to, const char *directory, const char *store)
{
	*to = (struct opened_store){.command = COMMAND, .directory = directory};
	if (lies_within(directory, store))
		return opened_complain(to, "it lies in the store itself");
	const char *why;
	bool has_names = false;
	int holder;
	int error = disk_open_directory(&to->disk, directory, true, &why);
	if (why != NULL)
		return opened_complain(to, why);
	if (error == 0)
		error = to->disk.operations->list(to->disk.context, see_name, &has_names);
	if (error == 0 && has_names)
		return opened_complain(to, "it is not empty");
	if (error == 0)
		error = disk_lock(&to->disk, &holder);
	return error == 0 || opened_complain_errno(to, error);
}

static bool backup(struct opened_store *store, const char *target)
{
	struct opened_store to;
	struct source source = {.count = 0};
	bool good = open_target(&to, target, store->directory);
	to.identity = store->identity;
	good = good && source_find(store, &source) && copy_all(store, &source, &to) && finish_copy(&to);
	source_close(store, &source);
	opened_close(&to);
	return good;
}

int store_backup_main(int argc, char **argv)
{
	static const struct cli_command CLI = {.name = COMMAND, .options = OPTIONS, .usage = USAGE, .words_max = 2};
	int status;
	if (!cli_parse(argc, argv, &CLI, NULL, &status))
		return status;
	if (argc - optind != 2)
		return store_command_wants(COMMAND, "two directories are required");
	struct opened_store store;
	bool good = opened_open(&store, COMMAND, argv[optind], OPENED_SHARED) && backup(&store, argv[optind + 1]);
	opened_close(&store);
	return good ? CLI_EXIT_OK : CLI_EXIT_FAILED;
}
