/* Text about a failure, put together without stdio, malloc or locks, so that a signal handler may. What does not fit is
 * cut off. One thread each. */
#ifndef BASE_CRASH_TEXT_H
#define BASE_CRASH_TEXT_H

#include <stddef.h>
#include <stdint.h>

#define CRASH_TEXT_BYTES 4096u

struct crash_text {
	size_t used;
	char bytes[CRASH_TEXT_BYTES];
};

void crash_text_add(struct crash_text *text, const char *more);
void crash_text_decimal(struct crash_text *text, int64_t value);
/* With 0x in front. */
void crash_text_hex(struct crash_text *text, uint64_t value);
/* To stderr; empty afterwards. */
void crash_text_write(struct crash_text *text);

#endif
