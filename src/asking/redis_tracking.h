/* Hears from Redis which keys have changed: client-side caching as RESP2 has it, CLIENT TRACKING ... BCAST on the
 * connection that reads, whose messages are redirected to another one that is subscribed to __redis__:invalidate. Redis
 * 6 and later. One thread, as its links. */
#ifndef ASKING_REDIS_TRACKING_H
#define ASKING_REDIS_TRACKING_H

#include "base/slice.h"
#include "bridge/redis_connection.h"

/* A key has changed. name.data NULL: all have, for Redis was emptied. */
typedef void redis_tracking_visit(void *context, struct slice name);

struct redis_tracking {
	struct redis_connection feed; /* subscribed; the owner begins and ends it */
	redis_tracking_visit *visit;
	void *context;
	bool owes; /* an answer to PING is due */
	bool on;   /* Redis tells of changes */
};

/* Opens the second connection to the same server and has Redis tell of keys that begin with `prefix`, as of now: what
 * is read over `connection` afterwards is either so still, or a message comes. A Redis that cannot is no failure:
 * tracking->on is false, the connection is closed again, and feed.link.fault says what Redis said. False: the
 * connection is broken; feed.link.fault or connection->link.fault says why. */
bool redis_tracking_begin(struct redis_tracking *tracking, struct redis_connection *connection, struct slice prefix);
void redis_tracking_end(struct redis_tracking *tracking);

/* Receives once, if `readable`, and tells of all that has come. Does nothing where it is off. False: it is broken. */
bool redis_tracking_read(struct redis_tracking *tracking, bool readable);
/* Asks for a sign of life. False: the last one has not come. */
bool redis_tracking_ping(struct redis_tracking *tracking);

#endif
