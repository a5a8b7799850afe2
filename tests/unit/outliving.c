#include "outliving.h"

#include "base/check.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define LAYOUT 7u

void outliving_open(struct outliving *outliving)
{
	*outliving = (struct outliving){0};
	CHECK(memory_root_open(&outliving->root, LAYOUT) == ERROR_OK);
	CHECK(notes_open(&outliving->notes, &outliving->root) == ERROR_OK);
}

bool outliving_in_child(bool (*check)(void *context), void *context)
{
	int status;
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0)
		_exit(check(context) ? 0 : 1);
	CHECK(waitpid(child, &status, 0) == child);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static uint64_t sum_more(uint64_t sum, const void *bytes, size_t size)
{
	const uint64_t *words = bytes;
	for (size_t i = 0; i < size / sizeof(*words); i++)
		sum = (sum ^ words[i]) * UINT64_C(0x100000001b3);
	return sum;
}

uint64_t outliving_sum(const struct memory_root *root)
{
	uint64_t sum = sum_more(UINT64_C(0xcbf29ce484222325), root->block, sizeof(*root->block));
	for (uint32_t i = 0; i < root->block->region_count; i++) {
		const struct root_region *region = &root->block->regions[i];
		if (region->usable_bytes == 0)
			continue;
		void *bytes = mmap(NULL, region->usable_bytes, PROT_READ, MAP_SHARED,
				   root->block->arenas[region->arena].fd, (off_t)region->offset);
		CHECK(bytes != MAP_FAILED);
		sum = sum_more(sum, bytes, region->usable_bytes);
		CHECK(munmap(bytes, region->usable_bytes) == 0);
	}
	return sum;
}

void outliving_adopt(struct outliving *outliving, struct arena *arena, const char *name)
{
	outliving->sum = outliving_sum(&outliving->root);
	CHECK(memory_root_adopt(&outliving->next, outliving->root.fd, LAYOUT) == ERROR_OK);
	CHECK(notes_adopt(&outliving->next_notes, &outliving->next) == ERROR_OK);
	CHECK(arena_find(arena, &outliving->next, name) == ERROR_OK);
}

void outliving_check_unchanged(const struct outliving *outliving)
{
	CHECK_EQ(outliving_sum(&outliving->root), outliving->sum);
}

void outliving_close(struct outliving *outliving)
{
	if (outliving->next.block != NULL) {
		notes_close(&outliving->next_notes);
		CHECK(munmap(outliving->next.block, sizeof(*outliving->next.block)) == 0);
	}
	notes_close(&outliving->notes);
	memory_root_close(&outliving->root); /* has the descriptors of both */
}
