/* What a shard has beside its arena, from one program to the next: its loop's clock and timers, the clients that had
 * more to read, publishers that wait, the sockets' rings, counters. By the main thread, while the shard has no thread.
 */
#ifndef SHARD_FREEZE_CARRY_H
#define SHARD_FREEZE_CARRY_H

#include "base/error.h"

struct shard;

/* Notes it all in the shard's arena, with what shard_save_memory() leaves there. The shard is frozen. ERROR_NO_MEMORY.
 */
enum error carry_save(struct shard *shard);
/* After shard_open() with an arena that was adopted. shard_start() goes on with it then. Nothing is changed that the
 * previous program would miss. ERROR_NOT_FOUND: a note is missing or contradicts itself; ERROR_SYSTEM, ERROR_NO_MEMORY.
 */
enum error carry_adopt(struct shard *shard);

#endif
