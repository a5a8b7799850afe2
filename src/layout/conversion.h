/* What has to be done so that this program can go on with memory that has another layout: which members of which
 * objects go where (layout/convert.h does it). Made of the two texts.
 *
 * A type may differ if its objects are in a pool, or are a note, of which the table in conversion.c has the name; or if
 * they are blocks of a slab that have one reference each, at a place which the other table knows. It may have its
 * members elsewhere and in another order, more of them, which begin as 0, and wider unsigned numbers. Counters, which
 * are arrays, are converted by the names of what they count. A member that is gone was renamed for all this file knows,
 * and what it held would be lost. So that is refused, and so is everything else, in a sentence that names it. Where 0
 * is no good beginning for a new member, raise MEMORY_LAYOUT_VERSION. Decision 0022 has the reasons. Any thread. */
#ifndef LAYOUT_CONVERSION_H
#define LAYOUT_CONVERSION_H

#include "layout/convert.h"

#include <stddef.h>

struct layout_conversion {
	struct conversion conversion; /* no rules: there is nothing to convert */
	struct convert_type types[40];
};

/* How memory with that text comes to this program's. version: the other program's MEMORY_LAYOUT_VERSION. False: it
 * cannot, and sentence says why; else it names the first type that is converted, or is empty. */
bool layout_conversion_make(struct layout_conversion *made, const char *text, uint32_t version, char *sentence,
			    size_t size);
/* The same between any two. roots: the types of `to` that are marked, one a line. */
bool layout_conversion_between(struct layout_conversion *made, const char *from, const char *to, const char *roots,
			       char *sentence, size_t size);

#endif
