/* CONNECTs that wait for their sessions: in a cluster a client id belongs to one node, and who connects with an id that
 * this node has no session of asks for it first (docs/decisions/0033-sessions-of-a-cluster.md). The socket is not read
 * meanwhile; that its client has hung up is found when it is admitted. What is kept is bounded (runtime/nodes/moves.h),
 * and so is the time: after cluster-claim-timeout-ms without anything of a session the client gets a new one.
 *
 * By the shard's thread. */
#ifndef LIFECYCLE_CLAIM_H
#define LIFECYCLE_CLAIM_H

#include "net/stream.h"
#include "runtime/nodes/moves.h"

struct admission;
struct shard;

/* True: it waits, and stream and admission are the claim's from now on; or it was refused, and they are gone. False: it
 * is to be admitted now. rests: the program is about to be replaced, so nobody may be asked. */
bool claim_begin(struct shard *shard, struct stream stream, struct admission *admission, bool rests);
/* NULL: none waits for this id. */
struct claim *claim_of(const struct shard *shard, uint64_t hash, struct slice id);
/* Something of its session has come: its time begins anew. */
void claim_goes_on(const struct shard *shard, struct claim *claim);
/* It is admitted in this turn or the next. */
void claim_is_ready(struct shard *shard, struct claim *claim);
/* Refuses it. */
void claim_refuse(struct shard *shard, struct claim *claim, enum error reason);

/* Admits those that are ready or have waited for too long, within the turn's share of work for admissions. */
void claims_run(struct shard *shard);
bool claims_are_ready(const struct shard *shard);
/* Admits the client of this id at once, if the home has said that it may come: whoever gets the id next takes it from
 * that client, and not past it. */
void claim_admit_ready(struct shard *shard, uint64_t hash, struct slice id);
/* When the next one has waited for too long; UINT64_MAX: none waits. */
uint64_t claims_deadline_ms(const struct shard *shard);
/* Other nodes cannot be asked any more: all are refused, and come again. */
void claims_refuse_all(struct shard *shard, enum error reason);

#endif
