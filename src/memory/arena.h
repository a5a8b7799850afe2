/* A memfd that holds regions which outlive the program text (memory/memory_root.h). One descriptor serves all regions
 * of an owner, such as a shard. The memfd is as long as what is reserved in it, and takes memory only for pages that
 * were written.
 *
 * Functions that open memory for others (pools, slabs, tables) take a `struct arena *` and a name. With NULL the memory
 * is anonymous and ends with the program. So a shard decides in one place.
 *
 * In an arena that was adopted they find what the previous program left there under the name, instead of making it.
 * What lies beside the memory, such as the head of a free list, is a note (memory/notes.h) that pool_save() and its
 * like put before the program is replaced. Finding changes nothing, so that the previous program could find it all
 * again.
 *
 * Threads: as for the root. Any thread may put notes. */
#ifndef MEMORY_ARENA_H
#define MEMORY_ARENA_H

#include "memory/memory_root.h"

#include <stddef.h>

struct arena {
	struct memory_root *root;
	uint32_t number; /* of the root's arenas */
	bool adopted;    /* the previous program made it */
};

/* Creates an arena. The name must be new in the root, and shorter than ROOT_NAME_BYTES. ERROR_LIMIT: the root has no
 * free entry; ERROR_NO_DESCRIPTORS, ERROR_SYSTEM. */
enum error arena_open(struct arena *arena, struct memory_root *root, const char *name);
/* Finds an arena by name after memory_root_adopt(), and says that it was adopted. ERROR_NOT_FOUND. */
enum error arena_find(struct arena *arena, struct memory_root *root, const char *name);
/* All its regions must be closed. */
void arena_close(struct arena *arena);

int arena_fd(const struct arena *arena);
const char *arena_name(const struct arena *arena);

/* Whether `*_open_in()` and its like find their memory instead of making it. */
static inline bool arena_is_adopted(const struct arena *arena)
{
	return arena != NULL && arena->adopted;
}

/* For region.c: reserves a place for a region whose name is new in this arena. ERROR_LIMIT: the root has no free entry,
 * or the memfd would exceed RLIMIT_FSIZE. */
enum error arena_add(struct arena *arena, const char *name, size_t bytes, struct root_region **place);
/* Makes the memfd longer by so many bytes (whole pages), which are zero. Returns where they begin; 0 is a place too.
 * ERROR_LIMIT: beyond RLIMIT_FSIZE; ERROR_NO_MEMORY. */
enum error arena_reserve(struct arena *arena, size_t bytes, uint64_t *offset);
/* NULL: there is none. */
struct root_region *arena_region(const struct arena *arena, const char *name);
/* The place in the memfd is not reused; it costs nothing once its pages are given back. */
void arena_remove(struct root_region *place);

#endif
