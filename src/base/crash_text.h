/* Builds the text of a crash report without stdio, malloc or locks, so a signal handler may use it. Text that does not
 * fit is cut off. One thread at a time. */
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
/* With a leading 0x. */
void crash_text_hex(struct crash_text *text, uint64_t value);
/* Writes to stderr and empties the text. */
void crash_text_write(struct crash_text *text);

#endif
