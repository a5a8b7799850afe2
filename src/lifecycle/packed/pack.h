/* A session as bytes, for another node: records of the store (store/format/record.h) in the order of a retold session,
 * each turn as many as its share of work allows (lifecycle/packed/unpack.h puts them together). The session is a husk
 * (runtime/nodes/moves.h): OFFLINE, with its subscriptions, and nothing leaves it. So what still comes for it is behind
 * what was told, and is told by further calls, for as long as the husk is there.
 *
 * The first bytes say the version. OPENED, CONNECTED and PRINCIPAL follow; then the queue, each message before its
 * first entry, with SENT and RELEASED behind an entry; NUMBERED; RECEIVED; the subscriptions with OWED; the will; and
 * LEFT, with which the session is whole. What is behind LEFT came later. Names count from 1. Times are seconds since
 * the pack began, so nobody's wall clock matters. A shared subscription's messages become the session's own: they are
 * about to be sent to its client. Of a principal the user goes and the time of its end. Hashes are by this gateway's
 * key: the other node makes its own of the user. What a token says counts for a connection, and the next one brings its
 * own.
 *
 * By the shard's thread. */
#ifndef LIFECYCLE_PACK_H
#define LIFECYCLE_PACK_H

#include "memory/bytes.h"
#include "runtime/nodes/moves.h"

struct shard;

/* Another one is refused. */
#define PACK_VERSION 1u
#define PACK_HEAD_BYTES 1u

enum pack_progress {
	PACK_MORE,       /* call again */
	PACK_IS_WAITING, /* for packets that are read from the store, for acknowledgements, or for something new */
};

/* The client is in a move AWAY, and has no connection any more. wait_ms: how long it may wait for acknowledgements of
 * what the client has published. */
void pack_begin(struct shard *shard, struct move *move, uint32_t wait_ms);
/* Appends records to `out` until it has about `bytes_max`, or the work is spent. Where memory is short, out->failed. */
enum pack_progress pack_some(struct shard *shard, struct move *move, struct bytes *out, size_t bytes_max,
			     uint64_t until);
/* Whether all that the session had is told. */
static inline bool pack_is_whole(const struct move *move)
{
	return move->pack.stage == PACK_LATE;
}
/* The same, and all that has come since. */
bool pack_is_through(const struct shard *shard, const struct move *move);

#endif
