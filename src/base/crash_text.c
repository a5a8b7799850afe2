#include "base/crash_text.h"

#include <errno.h>
#include <unistd.h>

_Static_assert(CRASH_TEXT_BYTES <= 4096, "PIPE_BUF, so that reports of two threads do not mix");

static void crash_text_bytes(struct crash_text *text, const char *bytes, size_t size)
{
	for (size_t i = 0; i < size && text->used < sizeof(text->bytes); i++)
		text->bytes[text->used++] = bytes[i];
}

void crash_text_add(struct crash_text *text, const char *more)
{
	size_t size = 0;
	while (more[size] != '\0')
		size++;
	crash_text_bytes(text, more, size);
}

static void crash_text_digits(struct crash_text *text, uint64_t value, unsigned base)
{
	char digits[20]; /* 2^64 has 20 in base 10 */
	size_t first = sizeof(digits);
	do {
		digits[--first] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value != 0);
	crash_text_bytes(text, digits + first, sizeof(digits) - first);
}

void crash_text_decimal(struct crash_text *text, int64_t value)
{
	if (value < 0)
		crash_text_add(text, "-");
	crash_text_digits(text, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10);
}

void crash_text_hex(struct crash_text *text, uint64_t value)
{
	crash_text_add(text, "0x");
	crash_text_digits(text, value, 16);
}

void crash_text_write(struct crash_text *text)
{
	size_t written = 0;
	while (written < text->used) {
		ssize_t more = write(STDERR_FILENO, text->bytes + written, text->used - written);
		if (more < 0 && errno == EINTR)
			continue;
		if (more <= 0)
			break;
		written += (size_t)more;
	}
	text->used = 0;
}
