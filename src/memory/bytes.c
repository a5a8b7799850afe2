#include "memory/bytes.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

#define CAPACITY_LEAST 4096u

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
