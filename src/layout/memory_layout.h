/* What lies where in memory that outlives the program: every type that base/layout_root.h marks, with all types in it,
 * as the compiler laid them out. tools/memory_layout.py makes the text while this program is built. Immutable; any
 * thread. */
#ifndef LAYOUT_MEMORY_LAYOUT_H
#define LAYOUT_MEMORY_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Part of the text and of the hash. To be raised where the meaning of what is kept changes and its type does not: the
 * bits of a number, the size classes of a slab, the order of a list. Also where a region or a note is new or has
 * another name: a program that misses one does not adopt the memory. */
#define MEMORY_LAYOUT_VERSION 1u

/* One line a type, in order of their names: "struct ack_line 16: node@0 struct table_node; first@8 u32; ...". */
const char *memory_layout_text(void);
/* Of the text and the version. */
uint64_t memory_layout_hash(void);

/* Says in `sentence` what makes the two texts differ, beginning with the first type that does: "struct client has 72
 * bytes, not 64: ...". False: nothing does. */
bool memory_layout_difference(const char *before, const char *after, char *sentence, size_t size);

#endif
