/* Clients and sessions that are to end. Whoever finds a reason notes it here and goes on: an end publishes wills, hands
 * messages on and frees the session, which must not happen in the middle of a delivery or of a loop over clients. One
 * step of the turn carries all of it out (lifecycle/end.h). By the shard's thread. */
#ifndef STATE_ENDING_H
#define STATE_ENDING_H

#include "session/refs.h"
#include "state/sessions.h"

struct shard;

/* The connection is to end for this reason; nothing is read from it, and nothing is sent to it, from now on. The first
 * reason counts. Does nothing where there is no connection. */
void client_end(struct shard *shard, struct client_ref ref, enum error reason);
/* The session is to end, with its connection where it has one. Nobody takes it over any more. */
void session_end(struct shard *shard, struct client_ref ref, enum error reason);
/* The will of a session without a connection is due. */
void session_will_is_due(struct shard *shard, struct client_ref ref);
void endings_fini(struct endings *endings);

#endif
