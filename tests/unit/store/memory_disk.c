#include "memory_disk.h"

#include "base/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct disk_file *memory_disk_file(struct memory_disk *memory, const char *name)
{
	for (size_t i = 0; i < MEMORY_DISK_FILES; i++)
		if (memory->files[i].name[0] != '\0' && strcmp(memory->files[i].name, name) == 0)
			return &memory->files[i];
	return NULL;
}

static struct disk_file *new_file(struct memory_disk *memory, const char *name)
{
	for (size_t i = 0; i < MEMORY_DISK_FILES; i++) {
		struct disk_file *file = &memory->files[i];
		if (file->name[0] != '\0')
			continue;
		snprintf(file->name, sizeof(file->name), "%s", name);
		return file;
	}
	CHECK(false);
	return NULL;
}

static void set_size(struct disk_file *file, size_t size)
{
	if (size > file->room) {
		file->room = size * 2;
		file->bytes = realloc(file->bytes, file->room);
		CHECK(file->bytes != NULL);
	}
	if (size > file->size)
		memset(file->bytes + file->size, 0, size - file->size);
	file->size = size;
}

struct disk_file *memory_disk_put(struct memory_disk *memory, const char *name, const void *bytes, size_t size)
{
	struct disk_file *file = memory_disk_file(memory, name);
	if (file == NULL)
		file = new_file(memory, name);
	set_size(file, size);
	if (size != 0)
		memcpy(file->bytes, bytes, size);
	return file;
}

static int on_open(void *context, const char *name, bool create, struct disk_file **file)
{
	*file = memory_disk_file(context, name);
	if (create && *file != NULL)
		return -EEXIST;
	if (create)
		*file = new_file(context, name);
	return *file != NULL ? 0 : -ENOENT;
}

static void on_close(void *context, struct disk_file *file)
{
	(void)context;
	(void)file;
}

static int on_write(void *context, struct disk_file *file, const void *bytes, size_t size, uint64_t offset)
{
	(void)context;
	if (offset + size > file->size)
		set_size(file, (size_t)offset + size);
	memcpy(file->bytes + offset, bytes, size);
	return 0;
}

static int on_read(void *context, struct disk_file *file, void *bytes, size_t size, uint64_t offset, size_t *got)
{
	const struct memory_disk *memory = context;
	if (file == memory->bad_file && offset < memory->bad_to && offset + size > memory->bad_from)
		return -EIO;
	size_t rest = offset < file->size ? file->size - (size_t)offset : 0;
	*got = rest < size ? rest : size;
	if (*got != 0)
		memcpy(bytes, file->bytes + offset, *got);
	return 0;
}

static bool is_hole(const struct disk_file *file, size_t offset)
{
	for (size_t i = offset; i < file->size && i < offset + MEMORY_DISK_BLOCK; i++)
		if (file->bytes[i] != 0)
			return false;
	return offset < file->size;
}

/* As a file system has it that makes each block of zeros a hole. */
static int on_next_data(void *context, struct disk_file *file, uint64_t offset, uint64_t *next)
{
	struct memory_disk *memory = context;
	size_t at = (size_t)offset;
	if (at % MEMORY_DISK_BLOCK == 0)
		while (is_hole(file, at))
			at += MEMORY_DISK_BLOCK;
	*next = at < file->size ? at : file->size;
	memory->holes += *next > offset;
	return 0;
}

static int on_truncate(void *context, struct disk_file *file, uint64_t size)
{
	(void)context;
	set_size(file, (size_t)size);
	return 0;
}

static int on_allocate(void *context, struct disk_file *file, uint64_t size)
{
	return size > file->size ? on_truncate(context, file, size) : 0;
}

static int on_size(void *context, struct disk_file *file, uint64_t *size)
{
	(void)context;
	*size = file->size;
	return 0;
}

static int on_sync(void *context, struct disk_file *file)
{
	(void)context;
	(void)file;
	return 0;
}

static int on_sync_names(void *context)
{
	(void)context;
	return 0;
}

static int on_remove(void *context, const char *name)
{
	struct memory_disk *memory = context;
	struct disk_file *file = memory_disk_file(memory, name);
	if (file == NULL)
		return -ENOENT;
	free(file->bytes);
	*file = (struct disk_file){.bytes = NULL};
	memory->removed++;
	return 0;
}

static int on_rename(void *context, const char *from, const char *to)
{
	struct disk_file *file = memory_disk_file(context, from);
	if (file == NULL)
		return -ENOENT;
	if (memory_disk_file(context, to) != NULL)
		on_remove(context, to);
	snprintf(file->name, sizeof(file->name), "%s", to);
	return 0;
}

static int on_list(void *context, void (*visit)(void *argument, const char *name), void *argument)
{
	const struct memory_disk *memory = context;
	for (size_t i = MEMORY_DISK_FILES; i-- > 0;) /* in no order, as a file system may have it */
		if (memory->files[i].name[0] != '\0')
			visit(argument, memory->files[i].name);
	return 0;
}

static int on_room(void *context, uint64_t *bytes)
{
	(void)context;
	*bytes = UINT64_MAX;
	return 0;
}

struct disk memory_disk(struct memory_disk *memory)
{
	static const struct disk_operations OPERATIONS = {.open = on_open,
							  .close = on_close,
							  .write = on_write,
							  .read = on_read,
							  .next_data = on_next_data,
							  .allocate = on_allocate,
							  .size = on_size,
							  .truncate = on_truncate,
							  .sync = on_sync,
							  .sync_names = on_sync_names,
							  .remove = on_remove,
							  .rename = on_rename,
							  .list = on_list,
							  .room = on_room};
	return (struct disk){.operations = &OPERATIONS, .context = memory};
}

void memory_disk_fini(struct memory_disk *memory)
{
	for (size_t i = 0; i < MEMORY_DISK_FILES; i++)
		free(memory->files[i].bytes);
	*memory = (struct memory_disk){.removed = 0};
}
