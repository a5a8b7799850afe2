/* Sessions that move between nodes, on their shards: what the nodes thread asks for, and what a turn does for it
 * (docs/decisions/0033-sessions-of-a-cluster.md; who gets a session is decided in cluster/takeover/home.h).
 *
 * Away: the session's connection is taken over, what it sent before counts, and the session becomes a husk
 * (runtime/nodes/moves.h). It is told in parts, of which a few may be on their way at a time. When the other node has
 * it safely the husk stays for MOVING_GRACE_MS: until then publishers anywhere may have sent to it, and what comes
 * follows. Then it ends, and nobody is told. If that word does not come within MOVING_LIMIT_MS, or the node is gone, it
 * is an ordinary session again. A session that ends with its connection does not move: it ends.
 *
 * Here: parts are put together (lifecycle/packed/unpack.h), and a CONNECT that waits for the session is admitted as
 * soon as it is whole. CONNACK waits for the commit, as for any session.
 *
 * By the shard's thread. */
#ifndef LIFECYCLE_MOVING_H
#define LIFECYCLE_MOVING_H

#include "base/error.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct node_mail;
struct shard;

#define MOVING_GRACE_MS 1000u
#define MOVING_LIMIT_MS 15000u
/* How much of a session a part has, and how many parts may be on their way. */
#define MOVING_PART_BYTES 32768u
#define MOVING_PARTS_MAX 8u

/* A piece of the range MESSAGE_SESSIONS (runtime/nodes/session_mail.h), which is the shard's from now on. */
void moving_take_mail(struct shard *shard, struct node_mail *mail);
/* Goes on with what is on its way, and tells the nodes thread what it wants to know. */
void moving_run(struct shard *shard);
/* Where clients are admitted: connections that give way end, and CONNECTs that have waited are admitted. */
void moving_serve(struct shard *shard);
/* Whether there is something to do at once. */
bool moving_has_work(const struct shard *shard);
/* How long the shard may sleep: limit_ms, or less. */
uint32_t moving_wait_ms(const struct shard *shard, uint32_t limit_ms);
/* Whether something is on its way, or waits. */
bool moving_any(const struct shard *shard);
/* The shard stops, or is about to rest: sessions that are on their way stay where they are, and CONNECTs are refused.
 */
void moving_stop(struct shard *shard, enum error reason);

/* A session has ended here, and is nowhere else: the home is told with this turn. */
void moving_session_ended(struct shard *shard, struct slice id);
/* The session that ended last, if it had this id, gave way to a new one of the same id on this shard: the home, which
 * is not asked, is not told of the end either. */
void moving_session_follows(struct shard *shard, struct slice id);
/* A client of this id is about to be admitted, whatever is on its way: what has come in part is given up, a husk that
 * has arrived elsewhere ends, and one of which that is not known is an ordinary session again. */
void moving_make_way(struct shard *shard, uint64_t hash, struct slice id);

#endif
