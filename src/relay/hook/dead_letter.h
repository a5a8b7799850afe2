/* Events that an endpoint will never take, in a file: a line of JSON for each, with the hook's name, the reason, the
 * time when it was given up, and the event as it was sent. The file is opened for each write, so that it may be moved
 * away. Thread of hooks, which waits for the disk. */
#ifndef RELAY_HOOK_DEAD_LETTER_H
#define RELAY_HOOK_DEAD_LETTER_H

#include "relay/hook/hook_batch.h"

/* A file takes no more when it is so large. */
#define DEAD_LETTER_BYTES_MAX ((size_t)256 << 20)

/* Appends the batch's next events, as many as go with its next request. Returns once they are on the disk; or why they
 * are not. */
const char *dead_letter_write(const char *path, const char *hook, const char *reason, uint64_t time_s,
			      const struct hook_batch *batch);

#endif
