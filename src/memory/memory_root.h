/* Where memory is found again that outlives the program text. A server that replaces its binary calls execve():
 *mappings go, descriptors stay. So what must survive lies in memfds, and the root block, a small memfd itself, names
 *them. An arena (memory/arena.h) is one such memfd, with as many regions in it as its owner opens. The new program is
 *told the root's descriptor, by an argument say, and finds everything from there:
 *
 *	before:	memory_root_open(), arena_open(), regions opened in the arena (region_open_in());
 *memory_root_keep(true); execve() after:	memory_root_adopt(), arena_find(), region_adopt() by name;
 *memory_root_keep(false)
 *
 * layout_hash says how what lies in the regions is laid out: the caller hashes sizes and offsets of its structs into
 *it. A program of another layout is refused and touches nothing. Addresses differ after execve(), so what lies in a
 *region refers to other things by index.
 *
 * The descriptors live in the table of whoever opened the root (main's, of which execve() keeps the caller's). Threads
 * with tables of their own need none of them: growing and forgetting go by the mapping.
 *
 * Opening, closing and adopting is for one thread at a time: main, before its threads start and after they have ended.
 * A region's usable_bytes is written by the thread that grows it. */
#ifndef MEMORY_ROOT_H
#define MEMORY_ROOT_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define ROOT_NAME_BYTES 32u /* with the NUL */
#define ROOT_ARENAS_MAX 1024u
#define ROOT_REGIONS_MAX 32768u

/* Entries with an empty name are free. */
struct root_arena {
	char name[ROOT_NAME_BYTES];
	uint64_t end; /* where the next region begins: the memfd's size */
	int32_t fd;
	uint32_t unused;
};

struct root_region {
	char name[ROOT_NAME_BYTES];
	uint64_t offset; /* in the arena's memfd */
	uint64_t reserved_bytes;
	uint64_t usable_bytes;
	uint32_t arena;
	uint32_t unused;
};

struct root_block {
	uint64_t magic;
	uint32_t version; /* of the block's own structs */
	uint32_t unused;
	uint64_t layout_hash;
	uint32_t arena_count;  /* entries that were ever in use */
	uint32_t region_count; /* the same */
	struct root_arena arenas[ROOT_ARENAS_MAX];
	struct root_region regions[ROOT_REGIONS_MAX];
};

struct memory_root {
	struct root_block *block; /* pages that no entry lies in cost nothing */
	int fd;
};

/* ERROR_NO_DESCRIPTORS, ERROR_NO_MEMORY or ERROR_SYSTEM where the kernel refuses. */
enum error memory_root_open(struct memory_root *root, uint64_t layout_hash);
/* Closes the block and all arenas, whose regions are closed already or are used no longer. */
void memory_root_close(struct memory_root *root);

/* Maps the block behind a descriptor that the program before left, and which it takes if it succeeds.
 * ERROR_NOT_FOUND: there is none of this layout, or one that contradicts itself or its memfds. */
enum error memory_root_adopt(struct memory_root *root, int fd, uint64_t layout_hash);

/* Whether the root's descriptor and the arenas' stay open across execve(). Those of arenas opened later do not. */
void memory_root_keep(const struct memory_root *root, bool keep);

#endif
