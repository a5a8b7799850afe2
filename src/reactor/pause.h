/* Pauses between tries, each longer than the one before, up to a limit. Half of each is random, so that many gateways
 * do not come back at the same time. Owned by one thread. */
#ifndef REACTOR_PAUSE_H
#define REACTOR_PAUSE_H

#include <stdint.h>

#define PAUSE_MS_LEAST 100u
#define PAUSE_MS_MAX 5000u

struct pause {
	uint64_t until_ms; /* before which nothing is tried again, on the monotonic clock; 0: at once */
	uint32_t next_ms;  /* how long the next one is, at most */
};

/* Nothing has failed, or something has worked again: the next pause is the shortest. */
void pause_clear(struct pause *pause);
/* It has failed: a pause from now on. */
void pause_begin(struct pause *pause, uint64_t now_ms);

#endif
