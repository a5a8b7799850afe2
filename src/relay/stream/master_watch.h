/* A subscription at a Sentinel, which tells when another server becomes the master: the old one, where it is still
 * there, goes on taking entries for seconds, which are lost when it becomes a replica. Owned by the relay's thread,
 * which it never holds up. */
#ifndef RELAY_STREAM_MASTER_WATCH_H
#define RELAY_STREAM_MASTER_WATCH_H

#include "bridge/redis_dial.h"
#include "reactor/pause.h"

/* It is pinged so often, and lost where it has not answered until then. */
#define MASTER_WATCH_PING_MS 2000u

struct master_watch {
	const char *name; /* of the master */
	struct redis_connection connection;
	struct redis_dial dial;
	struct redis_place master; /* as it was told last */
	bool connected;
	bool owes; /* an answer to PING is due */
	uint64_t ping_ms;
	struct pause pause;
};

/* target outlives it. false: memory is short. */
bool master_watch_init(struct master_watch *watch, const struct redis_target *target);
/* done_fd: an eventfd, written to when it is to be tended at once. */
void master_watch_begin(struct master_watch *watch, int done_fd);
/* Waits for its thread, if that connects just now. */
void master_watch_fini(struct master_watch *watch);

/* Connects where it is time, and pings. true: watch->master is news. */
bool master_watch_tend(struct master_watch *watch, uint64_t now_ms);
uint64_t master_watch_due_ms(const struct master_watch *watch);
/* -1: not connected. */
int master_watch_fd(const struct master_watch *watch);
/* Receives what there is. true: watch->master is news. */
bool master_watch_hear(struct master_watch *watch, uint64_t now_ms);

#endif
