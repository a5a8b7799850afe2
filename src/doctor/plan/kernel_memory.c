#include "doctor/plan/kernel_memory.h"

#include "base/check.h"
#include "doctor/machine/reading.h"
#include "doctor/machine/root.h"
#include "doctor/machine/text.h"

#include <stdlib.h>
#include <unistd.h>

static void read_slabs(struct kernel_memory *memory, const struct root *root, uint8_t *buffer)
{
	struct slice text;
	if (root_read(root, "/proc/slabinfo", buffer, &text) != ERROR_OK)
		return;
	memory->slabs = malloc(sizeof(*memory->slabs));
	if (memory->slabs != NULL)
		slabs_parse(memory->slabs, text, (uint32_t)sysconf(_SC_PAGESIZE));
}

void kernel_memory_read(struct kernel_memory *memory)
{
	struct root root = {.prefix = ""};
	uint8_t *buffer = malloc(ROOT_FILE_BYTES_MAX);
	struct slice text;
	*memory = (struct kernel_memory){0};
	if (buffer == NULL)
		return;
	read_slabs(memory, &root, buffer);
	if (root_read(&root, "/proc/meminfo", buffer, &text) == ERROR_OK && text_find(text, "Slab:", &text))
		memory->slab_bytes = reading_used(reading_word(text, 0));
	free(buffer);
}

void kernel_memory_free(struct kernel_memory *memory)
{
	free(memory->slabs);
	memory->slabs = NULL;
}

double kernel_memory_growth(const struct kernel_memory *before, uint32_t sockets, bool *by_objects)
{
	CHECK(sockets > 0);
	struct kernel_memory after;
	kernel_memory_read(&after);
	double bytes = 0;
	if (before->slabs != NULL && after.slabs != NULL)
		bytes = slabs_growth_bytes(before->slabs, after.slabs, sockets);
	*by_objects = bytes > 0;
	if (!*by_objects && after.slab_bytes > before->slab_bytes)
		bytes = (double)(after.slab_bytes - before->slab_bytes);
	kernel_memory_free(&after);
	return bytes / sockets;
}
