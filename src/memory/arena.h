/* A memfd in which regions lie that outlive the program text (memory/memory_root.h). One descriptor holds all regions
 * of its owner, a shard say: the memfd is as long as what was reserved, and costs only the pages that were written.
 *
 * What opens regions for others (pools, slabs, tables) takes a `struct arena *` and a name; without an arena, NULL, the
 * memory is anonymous and ends with the program. So a shard chooses in one place. Threads: as with the root. */
#ifndef MEMORY_ARENA_H
#define MEMORY_ARENA_H

#include "memory/memory_root.h"

#include <stddef.h>

struct arena {
	struct memory_root *root;
	uint32_t number; /* of the root's arenas */
};

/* A new one. The name is not taken, and shorter than ROOT_NAME_BYTES. ERROR_LIMIT: the root has no entry left;
 * ERROR_NO_DESCRIPTORS, ERROR_SYSTEM. */
enum error arena_open(struct arena *arena, struct memory_root *root, const char *name);
/* One that the program before has opened. ERROR_NOT_FOUND. */
enum error arena_find(struct arena *arena, struct memory_root *root, const char *name);
/* Its regions are closed. */
void arena_close(struct arena *arena);

int arena_fd(const struct arena *arena);

/* What region.c calls. A place for a region under a name that is not taken in this arena. ERROR_LIMIT: the root has no
 * entry left, or RLIMIT_FSIZE ends before. */
enum error arena_add(struct arena *arena, const char *name, size_t bytes, struct root_region **place);
/* NULL: there is none. */
struct root_region *arena_region(const struct arena *arena, const char *name);
/* Its place in the memfd is not used again, and costs nothing once its pages were given back. */
void arena_remove(struct root_region *place);

#endif
