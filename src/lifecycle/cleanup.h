/* Long work after a session has lost its connection, got another one, or ended. Its shared subscriptions become live or
 * not, messages that came through them go to other members [4.8.2], and an ended session's subscriptions and queue are
 * freed. As much as the turn's share of work allows is done at once, which is enough for nearly all sessions. The rest
 * follows in later turns. A client's place stays taken until its cleanup is done. By the shard's thread. */
#ifndef LIFECYCLE_CLEANUP_H
#define LIFECYCLE_CLEANUP_H

#include "session/refs.h"
#include <stdbool.h>
#include <stdint.h>

struct shard;

/* The client's connection or session has come or gone. A session that has ended has no id any more. False: there is
 * more to do (client->session.cleaning), and session_cleanups_run() gives an ended session's place away. */
bool session_cleanup(struct shard *shard, struct client_ref ref);
/* Frees the place of a session that has ended and is cleaned up. */
void session_give_place(struct shard *shard, struct client_ref ref);
/* Continues unfinished cleanups until the turn's share of work for ends is spent. */
void session_cleanups_run(struct shard *shard);
void session_cleanups_fini(struct shard *shard);

#endif
