/* Address space that is reserved once and backed by memory as it is used. An array in it grows in place: no copy, no
 * pause, no doubled memory, and an index stays valid. Pages that were never touched cost nothing.
 *
 * The memory is anonymous, or it lies in an arena under a name and outlives the program text (memory/memory_root.h).
 * Both grow alike. Two things differ in an arena: after fork() the child shares the memory instead of getting a copy,
 * and a page that is only read takes memory too.
 *
 * The creator owns it and closes it. Not thread-safe: growing needs the owner's thread or lock. Any thread may read
 * what has been grown. */
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
	struct root_region *place; /* in the root block; NULL: anonymous */
	bool adopted;              /* the previous program made it: closing leaves the memory to the root */
};

/* Reserves at least bytes_max of address space, page-aligned. ERROR_NO_MEMORY if the kernel refuses. */
enum error region_open(struct region *region, size_t bytes_max);
/* The same in an arena, under a name that is new there. With a NULL arena the memory is anonymous. Also ERROR_LIMIT, as
 * from arena_add(). In an arena that was adopted it is region_adopt(), and bytes_max does not matter. A region needs no
 * note: the root block has all there is to know. */
enum error region_open_in(struct region *region, struct arena *arena, const char *name, size_t bytes_max);
/* Maps a region that the previous program left in the arena, with its content. ERROR_NOT_FOUND. */
enum error region_adopt(struct region *region, struct arena *arena, const char *name);
/* Frees the memory, in an arena too. One that was adopted is only unmapped: opening what stands on it may have failed,
 * and then the previous program wants it again. */
void region_close(struct region *region);
/* Drops the mapping of a region in an arena, which keeps the memory for another program to adopt. */
void region_unmap(struct region *region);

/* Makes the first `bytes` usable (zeroes at first). ERROR_LIMIT beyond what was reserved, ERROR_NO_MEMORY if the
 * kernel refuses. */
enum error region_grow(struct region *region, size_t bytes);

/* Gives the pages inside [offset, offset + bytes) back to the kernel; they read as zeroes afterwards. */
void region_forget(struct region *region, size_t offset, size_t bytes);

#endif
