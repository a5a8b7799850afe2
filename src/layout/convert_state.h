/* What the files of a conversion share (layout/convert.h). */
#ifndef LAYOUT_CONVERT_STATE_H
#define LAYOUT_CONVERT_STATE_H

#include "memory/notes.h"
#include "memory/pool.h"

struct conversion;
struct convert_type;

struct converting {
	const struct conversion *conversion;
	const struct memory_root *from;
	struct memory_root *to;
	struct notes *to_notes;
	enum error error;
};

/* Reserves another place for a region, behind the end of its arena, and maps it. */
enum error convert_move_region(const struct converting *converting, struct root_region *place, uint64_t bytes,
			       struct region *made);
/* Maps pages that will all be read, or written: faulting one after the other takes several times as long. base: of a
 * page. The bytes have to be usable, and when read, to have been written: else that takes memory. */
void convert_populate(const uint8_t *base, size_t bytes, bool is_written);
/* The note of the old pool in that region. False: there is none, or it contradicts the region or the type. */
bool convert_get_pool_note(const struct converting *converting, const struct convert_type *type,
			   const struct root_region *place, struct pool_note *note);
/* Copies slabs, and converts blocks in the copies. After the pools that name them, and the notes. */
enum error convert_blocks(const struct converting *converting);

#endif
