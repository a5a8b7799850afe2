#include "fetch/caching.h"

#include <strings.h>

#define SECONDS_MAX (UINT32_C(1) << 31)

static bool is_space(uint8_t byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static struct slice trim(struct slice text)
{
	while (text.size != 0 && is_space(text.data[0]))
		text = slice_of(text.data + 1, text.size - 1);
	while (text.size != 0 && is_space(text.data[text.size - 1]))
		text.size--;
	return text;
}

/* Cuts the name and the sign after it off the front. */
static bool take_name(struct slice *text, const char *name, uint8_t sign)
{
	size_t size = strlen(name);
	if (text->size <= size || strncasecmp((const char *)text->data, name, size) != 0 || text->data[size] != sign)
		return false;
	*text = slice_of(text->data + size + 1, text->size - size - 1);
	return true;
}

bool header_line_value(struct slice line, const char *name, struct slice *value)
{
	if (!take_name(&line, name, ':'))
		return false;
	*value = trim(line);
	return true;
}

/* Reads digits, which may be quoted. */
static bool read_age_seconds(struct slice text, uint32_t *seconds)
{
	if (text.size > 1 && text.data[0] == '"' && text.data[text.size - 1] == '"')
		text = slice_of(text.data + 1, text.size - 2);
	uint64_t sum = 0;
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		if (sum < SECONDS_MAX)
			sum = sum * 10 + (uint64_t)(text.data[i] - '0');
	}
	*seconds = sum < SECONDS_MAX ? (uint32_t)sum : SECONDS_MAX;
	return text.size != 0;
}

bool cache_control_max_age(struct slice value, uint32_t *seconds)
{
	while (value.size != 0) {
		const uint8_t *comma = memchr(value.data, ',', value.size);
		size_t size = comma != NULL ? (size_t)(comma - value.data) : value.size;
		struct slice part = trim(slice_of(value.data, size));
		if (take_name(&part, "max-age", '='))
			return read_age_seconds(part, seconds);
		size_t step = comma != NULL ? size + 1 : size;
		value = slice_of(value.data + step, value.size - step);
	}
	return false;
}
