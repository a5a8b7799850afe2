/* The thread of hooks: it reads what their sessions have, posts it to their endpoints in batches, and acknowledges what
 * they have taken. It waits in poll() for its sessions, for the process that sends requests (fetch/fetcher.h), and for
 * its end. One endpoint that is slow or away costs the others nothing: each hook has requests of its own under way, and
 * a share of the memory that no other takes. */
#ifndef RELAY_HOOK_HOOK_LOOP_H
#define RELAY_HOOK_HOOK_LOOP_H

#include "relay/hook/hook_lane.h"
#include "relay/session/session_thread.h"

/* How long messages gather before they are read, but of hooks without a delay: many come with one system call. */
#define HOOK_LOOP_GATHER_MS 5u
/* At its end it waits for so long for answers. */
#define HOOK_LOOP_STOP_MS 2000u
/* What each hook may have under way whatever the others have; more than that comes out of what is left, which all share
 * and any event fits in. */
#define HOOK_SHARE_BYTES ((size_t)1280 << 10)
#define HOOK_COMMON_BYTES ((size_t)20 << 20)
#define HOOK_SOURCE_BYTES 128u

struct hook_loop {
	struct session_thread thread;
	/* Set before the thread starts. */
	const struct hooks *hooks;
	const char *node; /* the gateway's name */
	/* Shared with whoever shows it. */
	pthread_mutex_t *lock;
	struct hooks_status *status;
	/* The thread's own. */
	struct hook_lane lanes[HOOKS_MAX];
	struct fetcher fetcher;
	struct bytes body;              /* room for a request's */
	size_t common_bytes;            /* that are under way beyond the hooks' shares */
	char source[HOOK_SOURCE_BYTES]; /* of events */
	bool lost;                      /* a session is */
};

/* The thread's main function; argument is the loop. It closes the sessions at the end, and leaves the last status. */
void *hook_loop_main(void *argument);

#endif
