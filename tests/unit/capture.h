/* What a piece of code writes to stderr, for tests of messages. */
#ifndef TESTS_UNIT_CAPTURE_H
#define TESTS_UNIT_CAPTURE_H

#include <stddef.h>

struct capture {
	int file;
	int saved;
};

/* From now on stderr goes to a file that nobody else sees. */
struct capture capture_start(void);
/* Ends it. The text, which the caller frees. */
char *capture_stop(struct capture *capture);

#endif
