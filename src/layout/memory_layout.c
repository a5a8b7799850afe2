#include "layout/memory_layout.h"

#include "base/check.h"
#include "layout/layout_text.h"

#include <stdio.h>
#include <string.h>

const char *memory_layout_text(void)
{
	return LAYOUT_TEXT;
}

uint64_t memory_layout_hash(void)
{
	return LAYOUT_TEXT_HASH ^ ((uint64_t)MEMORY_LAYOUT_VERSION << 56);
}

/* A line of a text: "NAME BYTES: MEMBERS". */
struct layout_line {
	const char *begin;
	size_t name_size; /* with "struct", "union" or "enum" */
	size_t size;      /* without the newline; 0: the text is over */
};

/* A text of another program is not trusted to have lines of this form: one that has not is a name alone. */
static struct layout_line layout_line_at(const char *text)
{
	struct layout_line line = {.begin = text, .size = strcspn(text, "\n")};
	const char *colon = memchr(text, ':', line.size);
	line.name_size = colon != NULL ? (size_t)(colon - text) : line.size;
	while (line.name_size != 0 && text[line.name_size] != ' ')
		line.name_size--;
	if (line.name_size == 0)
		line.name_size = line.size;
	CHECK_LE(line.name_size, line.size);
	return line;
}

static const char *layout_line_behind(struct layout_line line)
{
	const char *end = line.begin + line.size;
	return *end == '\n' ? end + 1 : end;
}

static int layout_line_compare_names(struct layout_line one, struct layout_line other)
{
	size_t least = one.name_size < other.name_size ? one.name_size : other.name_size;
	int order = memcmp(one.begin, other.begin, least);
	return order != 0 ? order : (one.name_size > other.name_size) - (one.name_size < other.name_size);
}

static const char *layout_line_members(struct layout_line line)
{
	const char *colon = memchr(line.begin, ':', line.size);
	return colon != NULL ? colon + 1 : line.begin + line.size;
}

/* A member that both have is passed, until one has another than the other, or none. */
static void layout_skip_equal_members(const char **one, const char **other)
{
	for (;;) {
		size_t size = strcspn(*one, ";\n");
		if (size == 0 || size != strcspn(*other, ";\n") || memcmp(*one, *other, size) != 0)
			return;
		*one += size + ((*one)[size] == ';');
		*other += size + ((*other)[size] == ';');
	}
}

static void layout_say_changed(struct layout_line before, struct layout_line after, char *sentence, size_t size)
{
	const char *old = layout_line_members(before);
	const char *new = layout_line_members(after);
	layout_skip_equal_members(&old, &new);
	int old_size = (int)strcspn(old, ";\n");
	int new_size = (int)strcspn(new, ";\n");
	snprintf(sentence, size, "%.*s differs: it has%.*s where it had%.*s", (int)after.name_size, after.begin,
		 new_size != 0 ? new_size : 8, new_size != 0 ? new : " nothing", old_size != 0 ? old_size : 8,
		 old_size != 0 ? old : " nothing");
}

bool memory_layout_difference(const char *before, const char *after, char *sentence, size_t size)
{
	CHECK(size != 0);
	while (*before != '\0' || *after != '\0') {
		struct layout_line old = layout_line_at(before);
		struct layout_line new = layout_line_at(after);
		int order = *before == '\0' ? 1 : *after == '\0' ? -1 : layout_line_compare_names(old, new);
		if (order < 0) {
			snprintf(sentence, size, "%.*s is gone", (int)old.name_size, old.begin);
			return true;
		}
		if (order > 0) {
			snprintf(sentence, size, "%.*s is new", (int)new.name_size, new.begin);
			return true;
		}
		if (old.size != new.size || memcmp(old.begin, new.begin, old.size) != 0) {
			layout_say_changed(old, new, sentence, size);
			return true;
		}
		before = layout_line_behind(old);
		after = layout_line_behind(new);
	}
	return false;
}
