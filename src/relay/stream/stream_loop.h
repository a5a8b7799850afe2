/* The thread of rules: it reads what their sessions have, hands it to Redis in batches, and acknowledges what Redis has
 * confirmed. It waits in poll() for its sessions, for Redis and for its end. Messages are gathered for some
 * milliseconds before they are read, so that many go with one system call. */
#ifndef RELAY_STREAM_STREAM_LOOP_H
#define RELAY_STREAM_STREAM_LOOP_H

#include "relay/session/session_thread.h"
#include "relay/stream/redis_side.h"

/* How long messages gather before they are read. No publisher waits for it: the store has them. */
#define STREAM_LOOP_GATHER_MS 5u
/* At its end it waits for so long for what Redis owes. */
#define STREAM_LOOP_STOP_MS 2000u

struct stream_loop {
	struct session_thread thread;
	/* Set before the thread starts. */
	const struct rules *rules;
	/* Shared with whoever shows it. */
	pthread_mutex_t *lock;
	struct stream_status *status;
	/* The thread's own. */
	struct lane lanes[RULES_MAX];
	struct redis_side side;
	uint64_t read_ms; /* when what has gathered is to be read; 0: nothing has */
	bool lost;        /* a session is */
};

/* The thread's main function; argument is the loop. It closes the sessions at the end, and leaves the last status. */
void *stream_loop_main(void *argument);

#endif
