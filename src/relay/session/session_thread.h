/* A thread that serves clients of Roost's own: what all parts of the relay have in common. The main thread opens the
 * clients' connections (control/internal.h), starts the thread and ends it. The thread waits in poll() for them, for
 * its waker and for whatever else it serves. */
#ifndef RELAY_SESSION_THREAD_H
#define RELAY_SESSION_THREAD_H

#include "reactor/waker.h"
#include "relay/session/session_asker.h"

#include <pthread.h>
#include <semaphore.h>

#define THREAD_SESSIONS_MAX 32u
/* A session that is lost is opened again when the thread is started anew, so many times in a second at most. */
#define THREAD_RESTART_MS 1000u

struct session_thread {
	/* Set before the thread starts. */
	struct gateway *gateway;
	struct session_asker *asker;  /* the thread's */
	int attention_fd;             /* an eventfd of the relay's, which is the caller's to close */
	uint32_t count;               /* of connections */
	int fds[THREAD_SESSIONS_MAX]; /* which the thread takes over */
	struct waker waker;
	bool private_table;
	bool opens; /* it opens connections by itself, too: gateway_open_internal() */
	/* Between the two threads. */
	sem_t begun;      /* posted when the thread has its descriptors */
	bool owns_copies; /* then: the thread has a table of its own, and the starter is to close its descriptors */
	_Atomic bool stopping;
	_Atomic bool calls; /* it asks to be started anew */
	pthread_t thread;
	uint64_t started_ms; /* the thread's, on the monotonic clock */
};

/* Opens so many connections. False: memory or descriptors are short, and nothing is to be undone. Main thread. */
bool session_thread_init(struct session_thread *thread, struct gateway *gateway, uint32_t count, int attention_fd,
			 bool private_table);
/* Starts main(argument), which calls session_thread_begin() first and closes the connections at its end. False: there
 * can be no thread, and all is as it was before session_thread_init(). */
bool session_thread_start(struct session_thread *thread, void *(*main)(void *argument), void *argument);
/* The same for one that opens its connections by itself (control/internal.h). */
bool session_thread_start_opening(struct session_thread *thread, void *(*main)(void *argument), void *argument);
/* Has the thread end, without waiting for it. */
void session_thread_ask_to_stop(struct session_thread *thread);
/* Likewise, waits for it, and frees what session_thread_init() made. */
void session_thread_stop(struct session_thread *thread);

/* ---- the thread itself ---- */

/* With a private table it keeps its connections, the shards' wakers, and what session_thread_start() was given. */
void session_thread_begin(struct session_thread *thread);
static inline bool session_thread_is_stopping(const struct session_thread *thread)
{
	return atomic_load(&thread->stopping);
}
/* A session is lost: asks, once, to be started anew, though not too soon after the last time. To be called until then
 * in each turn. */
void session_thread_call(struct session_thread *thread, uint64_t now_ms);
/* At the end: waits until the gateway has read what was acknowledged, since it may stop at once, and what it has not
 * read comes again. What it sends meanwhile does, too. until_ms: on the monotonic clock. */
void session_thread_finish(struct session_link *const *sessions, uint32_t count, uint64_t until_ms);

#endif
