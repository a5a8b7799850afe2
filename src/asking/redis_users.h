/* The thread that looks users up in Redis for the gates (access/authority.h): all questions that wait go in one
 * pipeline of HMGET (asking/redis_user.h). What it has learnt the authority keeps; Redis tells of changes
 * (asking/redis_tracking.h), and what was changed is forgotten at once. A user who turns out to be disabled then loses
 * his sessions as if he was revoked.
 *
 * If a connection fails, or Redis does not answer within some seconds, the authority is away: what is kept is not known
 * to be so any more, and the thread connects again after pauses that grow (reactor/pause.h). */
#ifndef ASKING_REDIS_USERS_H
#define ASKING_REDIS_USERS_H

#include "bridge/redis_revocations.h"

struct gateway;
struct redis_users;

/* Starts the thread. Copies settings; gateway, which has an authority, and counters must outlive it, and it is the only
 * writer of counters. Returns NULL if memory, descriptors or threads are short. */
struct redis_users *redis_users_start(const struct redis_settings *settings, struct gateway *gateway,
				      struct counters *counters);
/* Ends the thread within little more than REDIS_TIMEOUT_MS; who waits is refused. *users may be NULL. */
void redis_users_stop(struct redis_users **users);

#endif
