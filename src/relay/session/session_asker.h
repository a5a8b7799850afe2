/* What the gateway knows of sessions of Roost's own clients, asked by commands to shards (runtime/command.h). Any
 * thread but a shard's, with the shards' wakers in its descriptor table. Each call waits for a turn of a shard, and for
 * SESSION_ASKER_WAIT_MS at most. */
#ifndef RELAY_SESSION_SESSION_ASKER_H
#define RELAY_SESSION_SESSION_ASKER_H

#include "base/error.h"
#include "relay/session/session_link.h"

#define SESSION_ASKER_WAIT_MS 2000u

struct gateway;
struct session_asker;

struct session_facts {
	uint64_t messages; /* that wait, or that are sent and not acknowledged */
	uint64_t bytes;    /* of those that wait */
	uint64_t dropped;  /* that it missed because its queue was full */
	/* Filters that it should not have; they point into the asker. */
	struct slice stale[SESSION_STALE_MAX];
	uint32_t stale_count;
};

/* Room for answers. NULL: memory is short. */
struct session_asker *session_asker_new(struct gateway *gateway);
void session_asker_free(struct session_asker *asker);

/* client_id: of the session. topics: others are stale; NULL: all are. ERROR_NOT_FOUND: there is no such session. */
enum error session_asker_inspect(struct session_asker *asker, struct slice client_id, const struct topics *topics,
				 struct session_facts *session);
/* Ends the connection. ERROR_NOT_FOUND: there is none. */
enum error session_asker_disconnect(struct session_asker *asker, struct slice client_id);
/* Ends the session, and drops what waits in it. */
enum error session_asker_end(struct session_asker *asker, struct slice client_id);
/* Calls visit() for the client id of each session that there is and whose client id begins with the prefix, one of
 * Roost's own clients'. visit() may use the asker, but not for this. */
enum error session_asker_list(struct session_asker *asker, const char *prefix,
			      void (*visit)(void *context, struct slice client_id), void *context);

/* The shards' wakers, for a descriptor table. Returns how many there are; fds: NULL, or room for so many. */
size_t session_waker_fds(const struct gateway *gateway, int *fds);

#endif
