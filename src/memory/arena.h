/* A memfd that holds regions which outlive the program text (memory/memory_root.h). One descriptor serves all regions
 * of an owner, such as a shard. The memfd is as long as what is reserved in it, and takes memory only for pages that
 * were written.
 *
 * Functions that open memory for others (pools, slabs, tables) take a `struct arena *` and a name. With NULL the memory
 * is anonymous and ends with the program. So a shard decides in one place. Threads: as for the root. */
#ifndef MEMORY_ARENA_H
#define MEMORY_ARENA_H

#include "memory/memory_root.h"

#include <stddef.h>

struct arena {
	struct memory_root *root;
	uint32_t number; /* of the root's arenas */
};

/* Creates an arena. The name must be new in the root, and shorter than ROOT_NAME_BYTES. ERROR_LIMIT: the root has no
 * free entry; ERROR_NO_DESCRIPTORS, ERROR_SYSTEM. */
enum error arena_open(struct arena *arena, struct memory_root *root, const char *name);
/* Finds an arena by name after memory_root_adopt(). ERROR_NOT_FOUND. */
enum error arena_find(struct arena *arena, struct memory_root *root, const char *name);
/* All its regions must be closed. */
void arena_close(struct arena *arena);

int arena_fd(const struct arena *arena);

/* For region.c: reserves a place for a region whose name is new in this arena. ERROR_LIMIT: the root has no free entry,
 * or the memfd would exceed RLIMIT_FSIZE. */
enum error arena_add(struct arena *arena, const char *name, size_t bytes, struct root_region **place);
/* NULL: there is none. */
struct root_region *arena_region(const struct arena *arena, const char *name);
/* The place in the memfd is not reused; it costs nothing once its pages are given back. */
void arena_remove(struct root_region *place);

#endif
