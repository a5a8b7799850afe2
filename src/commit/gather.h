/* From what the shards told to a commit of the writer's tail. The writer's thread. */
#ifndef COMMIT_GATHER_H
#define COMMIT_GATHER_H

#include "commit/writer_state.h"

/* Takes the shards' buffers. False: there is nothing, also from before. */
bool gather_take(struct writer *writer);
/* Whether a shard has told something that was not taken. */
bool gather_waiting(const struct writer *writer);
enum gather_scope {
	GATHER_NEEDED, /* not what may wait for a commit with something else */
	GATHER_ALL,
	GATHER_STOP, /* all, and the section that says that the stop was clean */
};
/* Makes a commit of what was taken, at most STORE_COMMIT_BYTES_MAX where more than one buffer is in it. Returns whether
 * there is one, in the tail: otherwise nothing that was taken needs to be written. *error: ERROR_NO_MEMORY: not all
 * that was taken, and would have fitted, is in it. */
bool gather_commit(struct writer *writer, enum gather_scope scope, enum error *error);
/* Makes a commit that says nothing but the time. False: no memory. */
bool gather_heartbeat(struct writer *writer);

#endif
