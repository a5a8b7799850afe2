#include "relay/entry/bytes.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

#define CAPACITY_LEAST 4096u
/* "$18446744073709551615\r\n" */
#define HEAD_BYTES_MAX 24u

bool bytes_reserve(struct bytes *bytes, size_t more)
{
	size_t wanted = bytes->size + more;
	size_t capacity = bytes->capacity != 0 ? bytes->capacity : CAPACITY_LEAST;
	CHECK_GE(wanted, more);
	if (wanted <= bytes->capacity)
		return true;
	while (capacity < wanted)
		capacity += capacity / 2;
	uint8_t *data = realloc(bytes->data, capacity);
	if (data == NULL)
		return false;
	bytes->data = data;
	bytes->capacity = capacity;
	return true;
}

void bytes_append(struct bytes *bytes, const void *data, size_t size)
{
	if (bytes->failed || !bytes_reserve(bytes, size)) {
		bytes->failed = true;
		return;
	}
	if (size != 0)
		memcpy(bytes->data + bytes->size, data, size);
	bytes->size += size;
}

void bytes_drop(struct bytes *bytes, size_t size)
{
	CHECK_LE(size, bytes->size);
	bytes->size -= size;
	if (size != 0 && bytes->size != 0)
		memmove(bytes->data, bytes->data + size, bytes->size);
}

void bytes_clear(struct bytes *bytes, size_t keep)
{
	bytes->size = 0;
	bytes->failed = false;
	if (bytes->capacity > keep)
		bytes_free(bytes);
}

void bytes_free(struct bytes *bytes)
{
	free(bytes->data);
	*bytes = (struct bytes){0};
}

/* A letter, a number and the end of the line. */
static void append_head(struct bytes *bytes, char kind, uint64_t number)
{
	char text[HEAD_BYTES_MAX];
	char *at = text + sizeof(text);
	*--at = '\n';
	*--at = '\r';
	do {
		*--at = (char)('0' + number % 10);
		number /= 10;
	} while (number != 0);
	*--at = kind;
	CHECK(at >= text);
	bytes_append(bytes, at, (size_t)(text + sizeof(text) - at));
}

void bytes_append_array(struct bytes *bytes, uint32_t words)
{
	append_head(bytes, '*', words);
}

void bytes_append_word(struct bytes *bytes, struct slice word)
{
	append_head(bytes, '$', word.size);
	bytes_append(bytes, word.data, word.size);
	bytes_append(bytes, "\r\n", 2);
}

void bytes_append_text(struct bytes *bytes, const char *word)
{
	bytes_append_word(bytes, slice_string(word));
}

void bytes_append_number(struct bytes *bytes, uint64_t number)
{
	char text[HEAD_BYTES_MAX];
	char *at = text + sizeof(text);
	do {
		*--at = (char)('0' + number % 10);
		number /= 10;
	} while (number != 0);
	bytes_append_word(bytes, slice_of(at, (size_t)(text + sizeof(text) - at)));
}
