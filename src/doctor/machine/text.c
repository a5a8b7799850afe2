#include "doctor/machine/text.h"

#include "base/check.h"

static bool is_blank(uint8_t byte)
{
	return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static struct slice skip(struct slice text, size_t bytes)
{
	CHECK(bytes <= text.size);
	return slice_of(text.data + bytes, text.size - bytes);
}

bool text_line(struct slice *rest, struct slice *line)
{
	if (rest->size == 0)
		return false;
	const uint8_t *newline = memchr(rest->data, '\n', rest->size);
	size_t size = newline != NULL ? (size_t)(newline - rest->data) : rest->size;
	*line = slice_of(rest->data, size);
	*rest = skip(*rest, newline != NULL ? size + 1 : size);
	return true;
}

bool text_word(struct slice *rest, struct slice *word)
{
	while (rest->size > 0 && is_blank(rest->data[0]))
		*rest = skip(*rest, 1);
	size_t size = 0;
	while (size < rest->size && !is_blank(rest->data[size]))
		size++;
	*word = slice_of(rest->data, size);
	*rest = skip(*rest, size);
	return size > 0;
}

struct slice text_trim(struct slice text)
{
	while (text.size > 0 && is_blank(text.data[0]))
		text = skip(text, 1);
	while (text.size > 0 && is_blank(text.data[text.size - 1]))
		text.size--;
	return text;
}

bool text_is(struct slice text, const char *wanted)
{
	return slice_equal(text, slice_string(wanted));
}

bool text_begins(struct slice text, const char *prefix)
{
	size_t size = strlen(prefix);
	return text.size >= size && (size == 0 || memcmp(text.data, prefix, size) == 0);
}

bool text_find(struct slice text, const char *key, struct slice *rest)
{
	CHECK(*key != '\0');
	struct slice line;
	while (text_line(&text, &line)) {
		if (text_begins(line, key)) {
			*rest = skip(line, strlen(key));
			return true;
		}
	}
	return false;
}

void text_copy(struct slice text, char *out, size_t out_size)
{
	CHECK(out_size > 0);
	size_t size = text.size < out_size ? text.size : out_size - 1;
	for (size_t i = 0; i < size; i++) {
		uint8_t byte = text.data[i];
		out[i] = byte < 0x20 || byte >= 0x7F ? '?' : (char)byte;
	}
	out[size] = '\0';
}
