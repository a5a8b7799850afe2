/* Checkpoints (struct journal_checkpoints in session/journal.h): the shard tells its journal all that it has once more.
 * It does so over many turns, each of which tells some sessions, as a whole each. What changes meanwhile is told by its
 * own events, whether before or after the session is told again. Shard 0 also tells the retained messages of all
 * shards, each with the number of a change of its own.
 *
 * What is promised but belongs to no session (a will that is due, a message on its way to another member of a shared
 * subscription) is not told again. The checkpoint ends when all of this that is older than the last session to be told
 * has arrived at the shards of its subscribers; so it is with messages at QoS 2 whose publishers may send them again.
 * By the shard's thread. */
#ifndef LIFECYCLE_RETELL_H
#define LIFECYCLE_RETELL_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct shard;

/* The shard is being opened. ERROR_NO_MEMORY; retell_close() is due in any case. */
enum error retell_open(struct shard *shard);
void retell_close(struct shard *shard);
/* Between two threads: notes how far it is in the shard's arena, for retell_adopt() of the next program, which goes on
 * with a checkpoint that is under way. Nothing is on its way between shards. ERROR_NOT_FOUND: there is no such note, or
 * it contradicts itself. */
enum error retell_save(const struct shard *shard);
enum error retell_adopt(struct shard *shard);
/* Begins a checkpoint that is wanted, and does a turn's share of one that is under way. */
void retell_run(struct shard *shard);
/* Whether there is something to do now. */
bool retell_has_work(const struct shard *shard);
/* Whether it waits for batches to come back. */
bool retell_awaits_returns(const struct shard *shard);
/* How long the shard may sleep while the journal has no room; never more than limit_ms. */
uint32_t retell_wait_ms(const struct shard *shard, uint32_t limit_ms);

#endif
