/* Clients and sessions that are to end. Code that finds a reason notes it here and returns. An end publishes wills,
 * hands messages on and frees the session; in the middle of a delivery or of a loop over clients that would be unsafe.
 * One step of the turn carries out all ends (lifecycle/end.h). By the shard's thread. */
#ifndef STATE_ENDING_H
#define STATE_ENDING_H

#include "session/refs.h"
#include "state/sessions.h"

struct shard;

/* Ends the connection for this reason, which is not ERROR_OK. From now on nothing is read from the client and no
 * message is sent to it. The first reason counts. Does nothing if there is no connection. */
void client_end(struct shard *shard, struct client_ref ref, enum error reason);
/* Ends the session, and its connection if it has one. From now on no connection can resume it. Not ERROR_OK. */
void session_end(struct shard *shard, struct client_ref ref, enum error reason);
/* Notes that the will of an OFFLINE session is due. */
void session_will_is_due(struct shard *shard, struct client_ref ref);
void endings_fini(struct endings *endings);

#endif
