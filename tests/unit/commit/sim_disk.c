#include "sim_disk.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR_BYTES 512u

static struct sim_operation *sim_note(struct sim_disk *sim, enum sim_kind kind, uint32_t file)
{
	if (sim->count == sim->capacity) {
		sim->capacity = sim->capacity * 2 + 64;
		sim->trace = reallocarray(sim->trace, sim->capacity, sizeof(*sim->trace));
		CHECK(sim->trace != NULL);
	}
	sim->trace[sim->count] = (struct sim_operation){.kind = kind, .file = file};
	return &sim->trace[sim->count++];
}

static uint32_t sim_index(const struct sim_disk *sim, const struct disk_file *file)
{
	uint32_t i = 0;
	while (sim->files[i] != file)
		i++;
	return i;
}

static struct disk_file *sim_find(const struct sim_disk *sim, const char *name)
{
	for (uint32_t i = 0; i < sim->file_count; i++) {
		if (sim->files[i]->there && strcmp(sim->files[i]->name, name) == 0)
			return sim->files[i];
	}
	return NULL;
}

static void sim_resize(struct disk_file *file, uint64_t size)
{
	if (size > file->size) {
		file->bytes = realloc(file->bytes, size);
		CHECK(file->bytes != NULL);
		memset(file->bytes + file->size, 0, size - file->size);
	}
	file->size = size;
}

static uint64_t sim_used(const struct sim_disk *sim)
{
	uint64_t used = 0;
	for (uint32_t i = 0; i < sim->file_count; i++)
		used += sim->files[i]->there ? sim->files[i]->size : 0;
	return used;
}

static int sim_open(void *context, const char *name, bool create, struct disk_file **file)
{
	struct sim_disk *sim = context;
	*file = sim_find(sim, name);
	if (!create && *file == NULL)
		return -ENOENT;
	if (create && *file != NULL)
		return -EEXIST;
	sim->open_count++;
	if (!create)
		return 0;
	CHECK(sim->file_count < sizeof(sim->files) / sizeof(sim->files[0]) && strlen(name) < sizeof((*file)->name));
	*file = calloc(1, sizeof(**file));
	strcpy((*file)->name, name);
	(*file)->there = true;
	sim->files[sim->file_count] = *file;
	sim_note(sim, SIM_CREATE, sim->file_count++);
	return 0;
}

static void sim_close(void *context, struct disk_file *file)
{
	struct sim_disk *sim = context;
	(void)file;
	CHECK(sim->open_count > 0);
	sim->open_count--;
}

static bool sim_fails(int *in)
{
	if (*in == 0)
		return false;
	if (*in > 1)
		(*in)--;
	return *in == 1;
}

static void sim_put(struct sim_disk *sim, struct disk_file *file, const void *bytes, size_t size, uint64_t offset)
{
	struct sim_operation *operation = sim_note(sim, SIM_WRITE, sim_index(sim, file));
	operation->offset = offset;
	operation->size = size;
	if (size == 0)
		return; /* neither has bytes */
	operation->bytes = malloc(size);
	memcpy(operation->bytes, bytes, size);
	if (offset + size > file->size)
		sim_resize(file, offset + size);
	memcpy(file->bytes + offset, bytes, size);
}

static int sim_write(void *context, struct disk_file *file, const void *bytes, size_t size, uint64_t offset)
{
	struct sim_disk *sim = context;
	if (sim_fails(&sim->fail_write_in)) {
		size_t part = size / 2 / SECTOR_BYTES * SECTOR_BYTES;
		if (sim->torn && part != 0)
			sim_put(sim, file, bytes, part, offset);
		return -sim->fail_error;
	}
	if (offset + size > file->size && sim_used(sim) + offset + size - file->size > sim->room)
		return -ENOSPC;
	sim_put(sim, file, bytes, size, offset);
	return 0;
}

static int sim_read(void *context, struct disk_file *file, void *bytes, size_t size, uint64_t offset, size_t *got)
{
	struct sim_disk *sim = context;
	*got = 0;
	if (sim_fails(&sim->fail_read_in))
		return -sim->fail_error;
	*got = offset >= file->size ? 0 : file->size - offset < size ? (size_t)(file->size - offset) : size;
	if (*got != 0)
		memcpy(bytes, file->bytes + offset, *got);
	return 0;
}

static int sim_set_size(struct sim_disk *sim, struct disk_file *file, uint64_t size)
{
	sim_note(sim, SIM_SIZE, sim_index(sim, file))->offset = size;
	sim_resize(file, size);
	return 0;
}

static int sim_allocate(void *context, struct disk_file *file, uint64_t size)
{
	struct sim_disk *sim = context;
	if (size <= file->size)
		return 0;
	if (sim_used(sim) + size - file->size > sim->room)
		return -ENOSPC;
	return sim_set_size(sim, file, size);
}

static int sim_size(void *context, struct disk_file *file, uint64_t *size)
{
	(void)context;
	*size = file->size;
	return 0;
}

static int sim_truncate(void *context, struct disk_file *file, uint64_t size)
{
	return sim_set_size(context, file, size);
}

static int sim_sync(void *context, struct disk_file *file)
{
	struct sim_disk *sim = context;
	bool fails = sim_fails(&sim->fail_sync_in);
	sim_note(sim, fails ? SIM_SYNC_FAILED : SIM_SYNC, sim_index(sim, file));
	return fails ? -sim->fail_error : 0;
}

static int sim_sync_names(void *context)
{
	sim_note(context, SIM_SYNC_NAMES, 0);
	return 0;
}

static int sim_remove(void *context, const char *name)
{
	struct sim_disk *sim = context;
	struct disk_file *file = sim_find(sim, name);
	if (file == NULL)
		return -ENOENT;
	file->there = false;
	sim_note(sim, SIM_REMOVE, sim_index(sim, file));
	return 0;
}

/* The identity is written under another name first. As if it were synced. */
static int sim_rename(void *context, const char *from, const char *to)
{
	struct disk_file *file = sim_find(context, from);
	if (file == NULL)
		return -ENOENT;
	sim_remove(context, to); /* what has that name is replaced */
	strcpy(file->name, to);
	return 0;
}

static int sim_list(void *context, void (*visit)(void *argument, const char *name), void *argument)
{
	struct sim_disk *sim = context;
	for (uint32_t i = 0; i < sim->file_count; i++) {
		if (sim->files[i]->there)
			visit(argument, sim->files[i]->name);
	}
	return 0;
}

static int sim_room(void *context, uint64_t *bytes)
{
	struct sim_disk *sim = context;
	uint64_t used = sim_used(sim);
	*bytes = used < sim->room ? sim->room - used : 0;
	return 0;
}

static const struct disk_operations SIM_OPERATIONS = {
	.open = sim_open,
	.close = sim_close,
	.write = sim_write,
	.read = sim_read,
	.allocate = sim_allocate,
	.size = sim_size,
	.truncate = sim_truncate,
	.sync = sim_sync,
	.sync_names = sim_sync_names,
	.remove = sim_remove,
	.rename = sim_rename,
	.list = sim_list,
	.room = sim_room,
};

struct sim_disk *sim_disk_new(void)
{
	struct sim_disk *sim = calloc(1, sizeof(*sim));
	CHECK(sim != NULL);
	sim->disk = (struct disk){.operations = &SIM_OPERATIONS, .context = sim};
	sim->room = UINT64_MAX / 2;
	return sim;
}

void sim_disk_free(struct sim_disk *sim)
{
	CHECK_EQ(sim->open_count, 0u);
	for (uint32_t i = 0; i < sim->file_count; i++) {
		free(sim->files[i]->bytes);
		free(sim->files[i]);
	}
	for (size_t i = 0; i < sim->count; i++)
		free(sim->trace[i].bytes);
	free(sim->trace);
	free(sim);
}

/* ---- power cuts ---- */

/* A sync of this file between the two operations, that succeeded; none failed before it, which would have dropped what
 * was not synced. */
static bool sim_is_synced(const struct sim_disk *sim, size_t from, size_t count, uint32_t file)
{
	for (size_t i = from + 1; i < count; i++) {
		if (sim->trace[i].file != file)
			continue;
		if (sim->trace[i].kind == SIM_SYNC_FAILED)
			return false;
		if (sim->trace[i].kind == SIM_SYNC)
			return true;
	}
	return false;
}

static bool sim_is_named(const struct sim_disk *sim, size_t from, size_t count)
{
	for (size_t i = from + 1; i < count; i++) {
		if (sim->trace[i].kind == SIM_SYNC_NAMES)
			return true;
	}
	return false;
}

static bool sim_chance(enum sim_unsynced unsynced, unsigned *seed)
{
	return unsynced == SIM_ALL || (unsynced == SIM_SOME && rand_r(seed) % 2 == 0);
}

static void sim_cut_write(struct disk_file *file, const struct sim_operation *operation, bool synced,
			  enum sim_unsynced unsynced, unsigned *seed)
{
	for (size_t at = 0; at < operation->size;) {
		uint64_t offset = operation->offset + at;
		size_t bytes = SECTOR_BYTES - offset % SECTOR_BYTES;
		if (bytes > operation->size - at)
			bytes = operation->size - at;
		if (synced || sim_chance(unsynced, seed)) {
			if (offset + bytes > file->size)
				sim_resize(file, offset + bytes);
			memcpy(file->bytes + offset, operation->bytes + at, bytes);
		}
		at += bytes;
	}
}

struct sim_disk *sim_disk_cut(const struct sim_disk *sim, size_t count, enum sim_unsynced unsynced, unsigned *seed)
{
	struct sim_disk *cut = sim_disk_new();
	for (size_t i = 0; i < count; i++) {
		const struct sim_operation *operation = &sim->trace[i];
		struct disk_file *file = operation->kind != SIM_SYNC_NAMES && operation->file < cut->file_count
						 ? cut->files[operation->file]
						 : NULL;
		bool named = sim_is_named(sim, i, count) || sim_chance(unsynced, seed);
		bool synced = sim_is_synced(sim, i, count, operation->file);
		switch (operation->kind) {
		case SIM_CREATE:
			file = calloc(1, sizeof(*file));
			strcpy(file->name, sim->files[operation->file]->name);
			/* What a sync of its own says of a file holds for its name too, on Linux's file systems. */
			file->there = named || synced;
			cut->files[cut->file_count++] = file;
			break;
		case SIM_WRITE:
			sim_cut_write(file, operation, synced, unsynced, seed);
			break;
		case SIM_SIZE:
			if (synced || sim_chance(unsynced, seed))
				sim_resize(file, operation->offset);
			break;
		case SIM_REMOVE:
			file->there &= !named;
			break;
		default:
			break;
		}
	}
	return cut;
}
