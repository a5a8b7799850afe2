#include "layout/type_text.h"

#include "base/check.h"

#include <ctype.h>

static bool type_begins(struct slice text, const char *prefix)
{
	size_t size = strlen(prefix);
	return text.size >= size && memcmp(text.data, prefix, size) == 0;
}

static struct slice type_skip(struct slice text, size_t bytes)
{
	CHECK_LE(bytes, text.size);
	return slice_of(text.data + bytes, text.size - bytes);
}

/* Takes a decimal number from the front. */
static bool type_number(struct slice *text, uint64_t *number)
{
	size_t digits = 0;
	for (*number = 0; digits < text->size && digits < 9 && isdigit(text->data[digits]); digits++)
		*number = *number * 10 + (uint64_t)(text->data[digits] - '0');
	*text = type_skip(*text, digits);
	return digits != 0;
}

bool type_text_next(const char **text, struct slice *name)
{
	if (**text == '\0')
		return false;
	size_t size = strcspn(*text, "\n");
	const char *colon = memchr(*text, ':', size);
	*name = slice_of(*text, colon != NULL ? (size_t)(colon - *text) : size);
	while (name->size != 0 && name->data[name->size - 1] != ' ')
		name->size--;
	name->size -= name->size != 0;
	*text += size + ((*text)[size] == '\n');
	return true;
}

bool type_text_find(const char *text, struct slice name, struct type_line *line)
{
	while (*text != '\0') {
		size_t size = strcspn(text, "\n");
		struct slice rest = slice_of(text, size);
		text += size + (text[size] == '\n');
		if (rest.size <= name.size || memcmp(rest.data, name.data, name.size) != 0 ||
		    rest.data[name.size] != ' ')
			continue;
		rest = type_skip(rest, name.size + 1);
		if (!type_number(&rest, &line->bytes) || !type_begins(rest, ":"))
			return false;
		rest = type_skip(rest, 1);
		line->members = type_begins(rest, " ") ? type_skip(rest, 1) : rest;
		return true;
	}
	return false;
}

/* The size of the first word of the text: up to "; " outside of braces. */
static size_t type_word_size(struct slice text)
{
	uint32_t depth = 0;
	for (size_t at = 0; at < text.size; at++) {
		depth += text.data[at] == '{';
		if (text.data[at] == '}' && depth != 0)
			depth--;
		if (text.data[at] == ';' && depth == 0)
			return at;
	}
	return text.size;
}

/* Splits the bounds of an array off. */
static struct type_word type_word_of(struct slice whole)
{
	struct type_word word = {.whole = whole, .element = whole, .count = 1};
	while (word.element.size != 0 && word.element.data[word.element.size - 1] == ']') {
		size_t begin = word.element.size - 1;
		while (begin != 0 && word.element.data[begin] != '[')
			begin--;
		struct slice bound = type_skip(word.element, begin);
		uint64_t count;
		if (bound.size == 0 || bound.data[0] != '[')
			break;
		bound = type_skip(bound, 1);
		if (!type_number(&bound, &count) || word.count * count > UINT32_MAX)
			break;
		word.count *= count;
		word.element.size = begin;
	}
	return word;
}

bool type_text_member(struct slice *rest, struct type_member *member)
{
	const uint8_t *sign = rest->size != 0 ? memchr(rest->data, '@', rest->size) : NULL;
	if (sign == NULL)
		return false;
	size_t name_size = (size_t)(sign - rest->data);
	*member = (struct type_member){.name = slice_of(rest->data, name_size)};
	struct slice text = type_skip(*rest, name_size + 1);
	if (!type_number(&text, &member->at_bit))
		return false;
	if (type_begins(text, "b")) {
		text = type_skip(text, 1);
		if (!type_number(&text, &member->bits) || member->bits == 0)
			return false;
	} else {
		member->at_bit *= 8;
	}
	if (!type_begins(text, " "))
		return false;
	text = type_skip(text, 1);
	size_t size = type_word_size(text);
	member->word = type_word_of(slice_of(text.data, size));
	text = type_skip(text, size);
	*rest = type_begins(text, "; ") ? type_skip(text, 2) : slice_of(text.data, 0);
	return true;
}

bool type_text_is_named(struct slice element)
{
	return (type_begins(element, "struct ") || type_begins(element, "union ") || type_begins(element, "enum ")) &&
	       memchr(element.data, '{', element.size) == NULL;
}

bool type_text_unnamed(struct slice element, struct slice *members)
{
	const uint8_t *brace = element.size != 0 ? memchr(element.data, '{', element.size) : NULL;
	if (brace == NULL || element.data[element.size - 1] != '}')
		return false;
	size_t begin = (size_t)(brace - element.data) + 1;
	*members = slice_of(element.data + begin, element.size - begin - 1);
	return true;
}

/* To the end of the member that ends last. */
static uint64_t type_members_bytes(const char *text, struct slice members, uint32_t depth)
{
	uint64_t end = 0;
	struct type_member member;
	while (type_text_member(&members, &member)) {
		uint64_t bits = member.bits != 0
					? member.bits
					: type_text_bytes(text, member.word.element, depth + 1) * member.word.count * 8;
		if (member.at_bit + bits > end)
			end = member.at_bit + bits;
	}
	return (end + 7) / 8;
}

uint64_t type_text_bytes(const char *text, struct slice element, uint32_t depth)
{
	struct type_line line;
	struct slice members;
	if (depth > TYPE_TEXT_DEPTH_MAX)
		return 0;
	if (type_text_is_named(element))
		return type_text_find(text, element, &line) ? line.bytes : 0;
	if (type_text_unnamed(element, &members))
		return type_members_bytes(text, members, depth);
	while (element.size != 0 && isalpha(element.data[0]))
		element = type_skip(element, 1);
	uint64_t bits;
	return type_number(&element, &bits) && element.size == 0 && bits % 8 == 0 ? bits / 8 : 0;
}

bool type_text_value(struct slice *rest, struct slice *name, uint64_t *value)
{
	const uint8_t *sign = rest->size != 0 ? memchr(rest->data, '=', rest->size) : NULL;
	if (sign == NULL)
		return false;
	*name = slice_of(rest->data, (size_t)(sign - rest->data));
	struct slice text = type_skip(*rest, name->size + 1);
	if (!type_number(&text, value))
		return false;
	*rest = type_begins(text, "; ") ? type_skip(text, 2) : slice_of(text.data, 0);
	return true;
}

/* ---- comparing ---- */

static bool type_ends(struct slice text, const char *suffix)
{
	size_t size = strlen(suffix);
	return text.size >= size && memcmp(text.data + text.size - size, suffix, size) == 0;
}

/* "NAME=VALUE" is among the values. */
static bool type_has_value(struct slice values, struct slice wanted)
{
	while (values.size != 0) {
		size_t size = type_word_size(values);
		if (slice_equal(slice_of(values.data, size), wanted))
			return true;
		values = type_skip(values, size);
		values = type_begins(values, "; ") ? type_skip(values, 2) : slice_of(values.data, 0);
	}
	return false;
}

/* All of the first one's values are the other's. How many there are is not kept anywhere. */
static bool type_values_are_kept(struct slice values, struct slice other)
{
	while (values.size != 0) {
		size_t size = type_word_size(values);
		struct slice value = slice_of(values.data, size);
		const uint8_t *sign = size != 0 ? memchr(value.data, '=', size) : NULL;
		if (sign == NULL)
			return false;
		if (!type_ends(slice_of(value.data, (size_t)(sign - value.data)), "_COUNT") &&
		    !type_has_value(other, value))
			return false;
		values = type_skip(values, size);
		values = type_begins(values, "; ") ? type_skip(values, 2) : slice_of(values.data, 0);
	}
	return true;
}

static bool type_members_are_same(const char *one, const char *other, struct slice members, uint32_t depth)
{
	struct type_member member;
	while (members.size != 0) {
		if (!type_text_member(&members, &member) ||
		    !type_text_is_same(one, other, member.word.element, depth + 1))
			return false;
	}
	return true;
}

bool type_text_is_same(const char *one, const char *other, struct slice word, uint32_t depth)
{
	struct type_line line, other_line;
	struct slice members;
	struct slice element = type_word_of(word).element;
	if (depth > TYPE_TEXT_DEPTH_MAX)
		return false;
	if (type_text_unnamed(element, &members))
		return type_members_are_same(one, other, members, depth);
	if (!type_text_is_named(element))
		return true;
	if (!type_text_find(one, element, &line) || !type_text_find(other, element, &other_line) ||
	    line.bytes != other_line.bytes)
		return false;
	if (type_begins(element, "enum "))
		return type_values_are_kept(line.members, other_line.members);
	return slice_equal(line.members, other_line.members) && type_members_are_same(one, other, line.members, depth);
}
