/* What is wrong with a file that an operator wrote: a sentence and, where the file has lines, the line. The caller puts
 * the file's name in front: "roost: rules:40: ...". Owned by the caller. */
#ifndef AUTH_FAULT_H
#define AUTH_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#define FAULT_TEXT_BYTES 200

struct fault {
	uint32_t line; /* from 1; 0: the file as a whole */
	char text[FAULT_TEXT_BYTES];
};

/* Returns false, so that `return fault_set(...)` ends a reader. A text that is too long is cut. */
bool fault_set(struct fault *fault, uint32_t line, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
