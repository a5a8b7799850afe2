/* Memory that another program left, converted to this one's layout (layout/conversion.h says when and how): pools of
 * objects whose members are elsewhere now, or more, and notes likewise. Everything else is taken as it is.
 *
 * The conversion writes nothing that the other program could see. It makes a root block of its own, and behind the end
 * of each arena a new region for each pool that it converts; the other root block does not reach that far. So until
 * memory_convert_finish() the other program can adopt its own memory again, which cuts off what is behind. Indices stay
 * as they are. By main, before threads start. */
#ifndef LAYOUT_CONVERT_H
#define LAYOUT_CONVERT_H

#include "memory/notes.h"

#include <stdbool.h>

#define CONVERT_MOVES_MAX 256u
#define CONVERT_RULES_MAX 128u

/* Bits of an object, and where they go. Numbers grow wider where the new object has zeroes above them. */
struct convert_move {
	uint32_t from_bit;
	uint32_t to_bit;
	uint32_t bits;
};

/* How objects of a type become this program's. What no move reaches is 0. */
struct convert_type {
	uint32_t from_bytes;
	uint32_t to_bytes;
	uint32_t move_count;
	struct convert_move moves[CONVERT_MOVES_MAX];
};

enum convert_kind {
	CONVERT_POOL,   /* a region of this name holds a pool of such objects, and has a note (struct pool_note) */
	CONVERT_NOTE,   /* a note of this name is one such object */
	CONVERT_OFFSET, /* a note of this name begins with the offset of a member in such objects: `offset` now */
};

struct convert_rule {
	enum convert_kind kind;
	const char *name; /* in any scope; "#" stands for a number */
	uint32_t type;    /* in struct conversion */
	uint32_t offset;
};

#define CONVERT_BLOCKS_MAX 8u
#define CONVERT_IN_OBJECT UINT32_MAX

/* Blocks of a slab, each named by a reference in one object of the pool or in another block: its holder. All offsets in
 * bytes, in objects as they are now. */
struct convert_block {
	uint32_t type;
	uint32_t holder_at; /* in the object: the reference to the block that has this one's; or CONVERT_IN_OBJECT */
	uint32_t at;        /* in the holder: the reference */
	bool has_tail;      /* bytes follow; how many, the 16 bits at tail_count_at say, before the conversion */
	uint32_t tail_count_at;
	uint32_t from_tail;
	uint32_t to_tail;
};

struct conversion {
	struct convert_type *types; /* the caller's */
	uint32_t type_count;
	uint32_t rule_count;
	struct convert_rule rules[CONVERT_RULES_MAX];
	/* Where there are blocks to convert: holders before what they hold. In each arena that has a pool of that name,
	 * for which there is a rule, the slab is copied as a whole. */
	const char *blocks_pool;
	const char *blocks_slab;
	uint32_t block_count;
	struct convert_block blocks[CONVERT_BLOCKS_MAX];
};

/* to: zero, of type->to_bytes. Moves that reach beyond either size are a broken promise. */
void convert_object(const struct convert_type *type, const void *from, void *to);

/* Makes *to of *from, whose notes are adopted (from->notes), with notes of its own. The structs must stay where they
 * are. ERROR_NOT_FOUND: a pool's note is missing or contradicts itself; ERROR_NO_MEMORY, ERROR_NO_DESCRIPTORS,
 * ERROR_SYSTEM. Then *to is closed, and nothing of *from has changed. */
enum error memory_convert(const struct conversion *conversion, const struct memory_root *from, uint64_t layout_hash,
			  struct memory_root *to, struct notes *to_notes);
/* The point of no return: gives back what only *from had, and closes its block and notes. */
void memory_convert_finish(struct memory_root *from, const struct memory_root *to);

#endif
