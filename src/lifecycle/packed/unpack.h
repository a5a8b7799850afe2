/* A session of another node put together from its bytes (lifecycle/packed/pack.h), each turn as much as its share of
 * work allows. The bytes are another node's: whatever they are, nothing is asserted on them, and what would break a
 * promise of the shard is refused.
 *
 * The session is here from the first record on, OFFLINE and journaled, but it has no subscriptions and no will before
 * all else is there, and it ends by itself after UNPACK_S without another record: if either node dies half-way, what
 * came until then is gone soon, and the other node still has it all. With LEFT it is whole, and an ordinary session.
 *
 * Merged: where this node has a session of that client id already, after a time limit or a split. Its own
 * subscriptions, will and state stay. What waited in the other one waits behind its own messages, with identifiers of
 * its own; and it gets the filters that it does not have. A session that ends with its connection gets nothing.
 *
 * By the shard's thread. */
#ifndef LIFECYCLE_UNPACK_H
#define LIFECYCLE_UNPACK_H

#include "base/slice.h"
#include "runtime/nodes/moves.h"

struct shard;

/* Far longer than two nodes need for a slice. */
#define UNPACK_S 60u
/* Walks through the retained messages that a subscription may be owed. */
#define UNPACK_OWED_MAX 100u

/* Makes the session, or finds the one to merge into, and a move HERE. hash: of the id, as it is filed. The id is none
 * of Roost's own. ERROR_NO_MEMORY, ERROR_SERVER_FULL; ERROR_LIMIT: there are too many moves. */
enum error unpack_begin(struct shard *shard, uint64_t number, struct slice id, uint64_t hash, struct move **made);
/* Takes records from the front of `bytes`; *taken: of how many bytes. ERROR_OK: also where the work was spent before
 * all were taken. ERROR_NODE_SESSION: what is there is no such session, or of another version; ERROR_NO_MEMORY. After
 * an error the move has to be given up. */
enum error unpack_some(struct shard *shard, struct move *move, struct slice bytes, uint64_t until, size_t *taken);
/* Whether LEFT has come. */
static inline bool unpack_is_whole(const struct move *move)
{
	return move->unpack.is_whole;
}
/* Ends the move, and gives back what it held; the session stays as it is. */
void unpack_end(struct shard *shard, struct move *move);

#endif
