#include "device/io_stat.h"

#include "base/check.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* The kernel counts in these, whatever the device's own block size. */
#define SECTOR_BYTES 512u
#define TEXT_BYTES_MAX 512u
/* Numbers of the words, from 0. Kernels before 5.5 have 11 or 15 words, others 17. */
#define WORD_WRITES 4u
#define WORD_SECTORS_WRITTEN 6u
#define WORD_FLUSHES 15u
#define WORDS_LEAST 11u
#define WORDS_MOST 32u

/* Takes the next number. Returns false at the end, or at something that is none. */
static bool next_number(struct slice *text, uint64_t *out)
{
	uint64_t value = 0;
	size_t at = 0;
	while (at < text->size && isspace(text->data[at]))
		at++;
	size_t begin = at;
	for (; at < text->size && isdigit(text->data[at]); at++) {
		if (__builtin_mul_overflow(value, 10u, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(text->data[at] - '0'), &value))
			return false;
	}
	bool is_number = at > begin && (at == text->size || isspace(text->data[at]));
	*text = slice_of(text->data + at, text->size - at);
	*out = value;
	return is_number;
}

bool io_stat_parse(struct slice text, struct io_stat *out)
{
	uint64_t words[WORDS_MOST] = {0};
	uint32_t count = 0;
	while (count < WORDS_MOST && next_number(&text, &words[count]))
		count++;
	if (count < WORDS_LEAST || words[WORD_SECTORS_WRITTEN] > UINT64_MAX / SECTOR_BYTES)
		return false;
	for (size_t i = 0; i < text.size; i++) {
		if (!isspace(text.data[i]))
			return false;
	}
	*out = (struct io_stat){
		.writes = words[WORD_WRITES],
		.bytes_written = words[WORD_SECTORS_WRITTEN] * SECTOR_BYTES,
		.flushes = count > WORD_FLUSHES ? words[WORD_FLUSHES] : 0,
	};
	return true;
}

bool io_stat_read(unsigned int major, unsigned int minor, struct io_stat *out)
{
	char path[64];
	uint8_t text[TEXT_BYTES_MAX];
	int size = snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/stat", major, minor);
	CHECK(size > 0 && (size_t)size < sizeof(path));
	int file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return false;
	ssize_t got = read(file, text, sizeof(text));
	close(file);
	return got > 0 && io_stat_parse(slice_of(text, (size_t)got), out);
}
