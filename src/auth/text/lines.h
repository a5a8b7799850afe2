/* A text file line by line, with numbers. Private to its reader. */
#ifndef AUTH_LINES_H
#define AUTH_LINES_H

#include "base/slice.h"

struct lines {
	struct slice rest;
	uint32_t number; /* of the line last read, from 1 */
};

/* The next line, without its end ("\n", and a "\r" before it). False: there is none left. What stands behind the last
 * "\n" is a line where it is not empty. */
static inline bool lines_next(struct lines *lines, struct slice *line)
{
	if (lines->rest.size == 0)
		return false;
	const uint8_t *begin = lines->rest.data, *newline = memchr(begin, '\n', lines->rest.size);
	size_t size = newline == NULL ? lines->rest.size : (size_t)(newline - begin);
	size_t step = newline == NULL ? size : size + 1;
	lines->rest = slice_of(begin + step, lines->rest.size - step);
	lines->number++;
	if (newline != NULL && size > 0 && begin[size - 1] == '\r')
		size--;
	*line = slice_of(begin, size);
	return true;
}

static inline bool is_blank(uint8_t byte)
{
	return byte == ' ' || byte == '\t';
}

/* Without blanks at either end. */
static inline struct slice slice_trim(struct slice text)
{
	while (text.size > 0 && is_blank(text.data[0]))
		text = slice_of(text.data + 1, text.size - 1);
	while (text.size > 0 && is_blank(text.data[text.size - 1]))
		text.size--;
	return text;
}

/* Splits the first word off a trimmed text; *text is what is left, trimmed. */
static inline struct slice slice_word(struct slice *text)
{
	size_t size = 0;
	while (size < text->size && !is_blank(text->data[size]))
		size++;
	struct slice word = slice_of(text->data, size);
	*text = slice_trim(slice_of(text->data + size, text->size - size));
	return word;
}

/* Whether nothing stands in the (trimmed) line that means anything: it is empty or a comment. */
static inline bool line_is_void(struct slice line)
{
	return line.size == 0 || line.data[0] == '#';
}

#endif
