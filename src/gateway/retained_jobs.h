/* Retained messages for new subscriptions [3.3.1.3, 3.8.3.1]: each subscription's walk through the retained messages
 * goes on for some messages a turn, and no faster than its client takes them. By the shard's thread. */
#ifndef GATEWAY_RETAINED_JOBS_H
#define GATEWAY_RETAINED_JOBS_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct shard;

/* The client's subscription is new, or was asked for again: then a job that is under way for it goes on only while the
 * client takes what it sends. Jobs end with their subscription [MQTT-3.10.4-2]. filter: the subscription's; not of a
 * shared one, which gets none. */
void retained_jobs_add(struct shard *shard, uint32_t client, uint32_t subscription, struct slice filter);
/* Some steps of each job that can go on. */
void retained_jobs_run(struct shard *shard);
/* Whether one can go on now. */
bool retained_jobs_ready(const struct shard *shard);
void retained_jobs_fini(struct shard *shard);

#endif
