/* Messages that the gateway had promised to pass on when it stopped: wills that were due, and messages of shared
 * subscriptions on their way to another member. They were restored (lifecycle/stored/restore.h), and are passed on in
 * the shard's first turns. Some of them may arrive twice. By the shard's thread. */
#ifndef LIFECYCLE_PROMISED_H
#define LIFECYCLE_PROMISED_H

#include "base/error.h"
#include "base/slice.h"
#include "session/refs.h"

#include <stdbool.h>

struct shard;

/* Before the shard runs. Takes over the caller's reference. filter: of the shared subscription, any member of which may
 * get the message; empty: a will. ERROR_NO_MEMORY: the reference is the caller's. */
enum error promised_add(struct shard *shard, struct message_ref message, struct slice filter);
/* Passes some of them on. */
void promised_run(struct shard *shard);
/* Whether some can be passed on now. */
bool promised_can_go_on(const struct shard *shard);
void promised_fini(struct shard *shard);

#endif
