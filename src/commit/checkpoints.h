/* When a checkpoint begins, and what its end makes needless (store/format/segment.h). The writer's thread. */
#ifndef COMMIT_CHECKPOINTS_H
#define COMMIT_CHECKPOINTS_H

#include "commit/writer_state.h"

/* Whether one is to begin, and may: all that any shard had told when it became due is in the log. Otherwise a change
 * of a retained topic could be told behind the checkpoint's beginning, and the topic's removal, which is newer and
 * another shard's, before it. Of two such changes that were both told later the same is true, so removals that are
 * committed meanwhile are told again at the checkpoint's end. */
bool checkpoints_due(struct writer *writer);
/* Begins one, in a new segment. The tail is empty. 0 or a negative errno: it has not begun. */
int checkpoints_begin(struct writer *writer);
/* After each sync: what was written of a checkpoint is safe, and segments that nobody needs are removed. */
void checkpoints_synced(struct writer *writer);

#endif
