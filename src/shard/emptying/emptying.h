/* A shard's part in a drain (runtime/settings/drain_settings.h): ends its clients evenly over the time. One that has
 * output to read yet is passed over until the next round. By the shard's thread. */
#ifndef SHARD_EMPTYING_EMPTYING_H
#define SHARD_EMPTYING_EMPTYING_H

#include <stdint.h>

struct shard;

/* Once a turn: notes the ends of those whose time has come, some hundred at the most. */
void emptying_run(struct shard *shard);
/* How long the shard may sleep; never more than limit_ms. */
uint32_t emptying_wait_ms(const struct shard *shard, uint32_t limit_ms);

#endif
