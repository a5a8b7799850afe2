/* What tools/memory_layout.py makes while the program is built. */
#ifndef LAYOUT_LAYOUT_TEXT_H
#define LAYOUT_LAYOUT_TEXT_H

#include <stdint.h>

extern const char LAYOUT_TEXT[];
extern const char LAYOUT_ROOTS[]; /* the types that are marked, one a line */
extern const uint64_t LAYOUT_TEXT_HASH;

#endif
