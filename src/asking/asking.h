/* Who is asked about clients on whom neither a token nor the password file decides (access/authority.h): Redis, or an
 * HTTP server, each by a thread of its own. The main thread makes, starts and stops it. */
#ifndef ASKING_ASKING_H
#define ASKING_ASKING_H

#include "bridge/redis_revocations.h"
#include "control/gateway.h"

struct asking;

/* Whether what the settings name will do. False: after logging why it will not. */
bool asking_check(const struct settings *settings);
/* settings outlive it. redis: where Redis is; NULL: none is configured. NULL: memory is short. */
struct asking *asking_new(const struct settings *settings, const struct redis_settings *redis);
/* Called after the gateway has stopped. NULL is ignored. */
void asking_free(struct asking *asking);

/* Starts what is configured. False: after logging that it cannot. */
bool asking_start(struct asking *asking, struct gateway *gateway);
/* Ends the thread. Called before the gateway stops, which may still read the counters. */
void asking_stop(struct asking *asking);

#endif
