/* Reads the text of a layout (layout/memory_layout.h), which another program may have written: whatever is not of the
 * form is simply not there. Pure; any thread. */
#ifndef LAYOUT_TYPE_TEXT_H
#define LAYOUT_TYPE_TEXT_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* How deep types may contain each other. */
#define TYPE_TEXT_DEPTH_MAX 8u

/* "struct a", "u32", "enum e", "union {a@0 u32; b@0 f32}", and arrays of these. */
struct type_word {
	struct slice whole;
	struct slice element; /* without the bounds */
	uint64_t count;       /* of elements in an array; 1: it is none, or has one */
};

/* A line: a type with a name. */
struct type_line {
	struct slice members; /* or an enumeration's values */
	uint64_t bytes;
};

struct type_member {
	struct slice name; /* empty: none */
	struct type_word word;
	uint64_t at_bit;
	uint64_t bits; /* of a bit-field; 0: it is none */
};

/* The name of the next line's type, "struct a"; moves *text behind the line. False: the text is over. */
bool type_text_next(const char **text, struct slice *name);
bool type_text_find(const char *text, struct slice name, struct type_line *line);
/* Takes the next member of *rest. False: there is no more, or it is not of the form. */
bool type_text_member(struct slice *rest, struct type_member *member);
/* Takes the next value of an enumeration, of *rest. False: there is no more, or it is not of the form. */
bool type_text_value(struct slice *rest, struct slice *name, uint64_t *value);
/* In bytes; an unnamed record's without padding at its end. 0: it is not known. */
uint64_t type_text_bytes(const char *text, struct slice element, uint32_t depth);
/* Has the element a line of its own? */
bool type_text_is_named(struct slice element);
/* The members of "struct {...}" or "union {...}". */
bool type_text_unnamed(struct slice element, struct slice *members);

/* Whether the word means the same in both texts, in all that it contains. Of an enumeration a value may be new. */
bool type_text_is_same(const char *one, const char *other, struct slice word, uint32_t depth);

#endif
