/* Address space that is reserved once and backed by memory as it is used, so that an array in it grows in place: no
 * copy, no pause, no doubled memory, and an index stays good for ever. Pages that were never touched cost nothing.
 *
 * The memory is anonymous, or lies in an arena under a name, and then outlives the program text (memory/memory_root.h).
 * Both grow and are used alike. What lies in an arena is shared with a child after fork(), not copied.
 *
 * The creator owns it and closes it. Not thread-safe: growing needs the owner's thread or lock; reading what was
 * already grown is free for all. */
#ifndef MEMORY_REGION_H
#define MEMORY_REGION_H

#include "base/error.h"
#include "memory/arena.h"

#include <stddef.h>
#include <stdint.h>

struct region {
	uint8_t *base;
	size_t reserved_bytes;
	size_t usable_bytes;       /* readable and writable; at most reserved_bytes */
	struct root_region *place; /* its entry in the root block; NULL: anonymous */
};

/* Reserves at least bytes_max of address space, page-aligned. ERROR_NO_MEMORY if the kernel refuses. */
enum error region_open(struct region *region, size_t bytes_max);
/* The same in an arena, under a name that is not taken there; without one, NULL, it is anonymous. ERROR_LIMIT too, as
 * with arena_add(). */
enum error region_open_in(struct region *region, struct arena *arena, const char *name, size_t bytes_max);
/* One that the program before has left in the arena, with what was usable and is in it. ERROR_NOT_FOUND. */
enum error region_adopt(struct region *region, struct arena *arena, const char *name);
/* The memory goes, in an arena too. */
void region_close(struct region *region);

/* Makes the first `bytes` usable (zeroes at first). ERROR_LIMIT beyond what was reserved, ERROR_NO_MEMORY if the
 * kernel refuses. */
enum error region_grow(struct region *region, size_t bytes);

/* Gives the pages inside [offset, offset + bytes) back to the kernel; they read as zeroes afterwards. */
void region_forget(struct region *region, size_t offset, size_t bytes);

#endif
