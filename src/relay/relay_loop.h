/* The relay's thread: it reads what rules' sessions have, hands it to Redis in batches, and acknowledges what Redis has
 * confirmed. It waits in poll() for its sessions, for Redis and for its end. Messages are gathered for some
 * milliseconds before they are read, so that many go with one system call. */
#ifndef RELAY_RELAY_LOOP_H
#define RELAY_RELAY_LOOP_H

#include "reactor/waker.h"
#include "relay/lane.h"
#include "relay/redis_side.h"
#include "relay/rule_session.h"
#include "relay/status.h"

#include <pthread.h>
#include <semaphore.h>

/* How long messages gather before they are read. No publisher waits for it: the store has them. */
#define RELAY_GATHER_MS 5u
/* Where Redis has many answers to give they gather, too. */
#define RELAY_HEAR_MS 2u
/* At its end it waits for so long for what Redis owes. */
#define RELAY_STOP_MS 2000u
/* A session that is lost is opened again when the thread is started anew, so many times in a second at most. */
#define RELAY_RESTART_MS 1000u

struct relay_loop {
	/* Set before the thread starts. */
	const struct rules *rules;
	struct gateway *gateway;
	const struct redis_side_settings *redis;
	struct session_asker *asker;
	int attention_fd; /* an eventfd: a session is lost, and the thread is to be started anew */
	bool private_table;
	int fds[RULES_MAX]; /* of the sessions, by rule; the thread takes them over */
	struct waker waker;
	sem_t begun;      /* posted when the thread has its descriptors */
	bool owns_copies; /* then: the thread has a table of its own, and the starter is to close its descriptors */
	_Atomic bool stopping;
	/* Shared with whoever shows it. */
	pthread_mutex_t *lock;
	struct relay_status *status;
	/* The thread's own. */
	struct lane lanes[RULES_MAX];
	struct redis_side side;
	uint64_t started_ms;
	uint64_t read_ms; /* when what has gathered is to be read; 0: nothing has */
	uint64_t hear_ms; /* when Redis is to be read; 0: as soon as it says something */
	bool lost;        /* a session is */
	bool has_called;
};

/* The thread's main function; argument is the loop. It closes the sessions at the end, and leaves the last status. */
void *relay_loop_main(void *argument);

#endif
