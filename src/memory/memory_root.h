/* The root of memory that outlives the program text. A server that replaces its binary calls execve(), which drops
 * mappings and keeps descriptors. So memory that must survive lies in memfds, and the root block, a small memfd of its
 * own, names them. An arena (memory/arena.h) is one such memfd; its owner opens regions in it. The new program receives
 * the root's descriptor, for example as an argument, and finds everything from there.
 *
 * Before: memory_root_open(), notes_open(), arena_open(), pool_open_in() and its like; then pool_save() and its like,
 * memory_root_keep(true) and execve().
 * After: memory_root_adopt(), notes_adopt(), arena_find(); the same pool_open_in() finds the pool of that name;
 * memory_root_keep(false).
 *
 * layout_hash describes the layout of what lies in the regions: the caller hashes sizes and offsets of its structs. A
 * program with another layout is refused and changes nothing. Addresses differ after execve(), so objects in a region
 * refer to each other by index.
 *
 * The descriptors belong to the descriptor table of the thread that opened the root, which is main. Threads with a
 * table of their own need none of them: growing and forgetting work on the mapping.
 *
 * One thread at a time opens, closes and adopts: main, before its threads start and after they end. The thread that
 * grows a region writes its usable_bytes. */
#ifndef MEMORY_ROOT_H
#define MEMORY_ROOT_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define ROOT_NAME_BYTES 32u /* with the NUL */
#define ROOT_ARENAS_MAX 1024u
#define ROOT_REGIONS_MAX 32768u

/* An entry with an empty name is free. */
struct root_arena {
	char name[ROOT_NAME_BYTES];
	uint64_t end; /* size of the memfd; the next region begins here */
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
	uint32_t version; /* of these structs */
	uint32_t unused;
	uint64_t layout_hash;
	uint32_t arena_count;  /* entries ever used */
	uint32_t region_count; /* the same */
	struct root_arena arenas[ROOT_ARENAS_MAX];
	struct root_region regions[ROOT_REGIONS_MAX];
};

struct notes;

struct memory_root {
	struct root_block *block; /* untouched pages cost nothing */
	struct notes *notes;      /* memory/notes.h; NULL: none were opened or adopted */
	int fd;
};

/* ERROR_NO_DESCRIPTORS, ERROR_NO_MEMORY or ERROR_SYSTEM where the kernel refuses. */
enum error memory_root_open(struct memory_root *root, uint64_t layout_hash);
/* Closes the block and all arenas. No region of theirs is used any more. */
void memory_root_close(struct memory_root *root);

/* Maps the root block that the previous program left, and takes the descriptor on success. ERROR_NOT_FOUND: no root
 * block of this layout, or one that contradicts itself or its memfds. */
enum error memory_root_adopt(struct memory_root *root, int fd, uint64_t layout_hash);

/* The layout that a root block says it has, before it is adopted. ERROR_NOT_FOUND: it is no root block. */
enum error memory_root_layout(int fd, uint64_t *layout_hash);
/* A root block of its own with the same arenas and regions, and another layout; for layout/convert.c. The arenas'
 * descriptors are those of both. */
enum error memory_root_copy(struct memory_root *copy, const struct memory_root *from, uint64_t layout_hash);
/* Forgets the block, whose descriptor stays open. */
void memory_root_unmap(struct memory_root *root);
/* Closes the block alone. The arenas are another root's. */
void memory_root_close_block(struct memory_root *root);

/* Whether the descriptors of the root and of its present arenas stay open across execve(). At first they do not. */
void memory_root_keep(const struct memory_root *root, bool keep);

#endif
