/* The thread that uses files for replication: it follows this node's log for its replica (commit/follow/follower.h),
 * and keeps the copies of other nodes' logs (commit/follow/keeper.h), below this node's own store: DIR/replicas/NAME,
 * each a store directory of its own. The nodes thread gives it jobs, and takes notes of what has become of them;
 * neither waits for the other. All jobs that have come are done before one sync, and are then confirmed together.
 *
 * Bounds. Of the own log no more pieces are made than REPLICA_PIECES_MAX beyond those that the replica has taken. What
 * other nodes send is bounded by the same number at their end; who sends more than twice that is refused (nodes/
 * replication.h). */
#ifndef NODES_REPLICA_WORKER_H
#define NODES_REPLICA_WORKER_H

#include "base/slice.h"
#include "cluster/copy/replication.h"
#include "cluster/wire/message.h"
#include "runtime/settings/cluster_settings.h"
#include "store/format/identity.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define REPLICA_NOT_TAKEN (UINT64_MAX - 1)

struct replica_worker;
struct trail;
struct waker;

/* Pieces of at most FOLLOW_PIECE_BYTES, but for a commit that is longer alone. */
#define REPLICA_PIECES_MAX 32u

enum replica_job_kind {
	/* Follow the own log, for somebody who has what `body` says: a message REPLICATION_HELD. Made: PIECE, FAILED.
	 */
	REPLICA_FOLLOW,
	REPLICA_UNFOLLOW,
	/* Keep a copy of the log of the node `name`, of the store `identity`. Made: HELD, or REFUSED. */
	REPLICA_KEEP,
	/* Of that log. `body`: a message REPLICATION_BYTES, _GONE or _MARK, of this kind. Made: SAFE after a sync, or
	 * REFUSED; behind that the copy is closed. */
	REPLICA_APPLY,
	REPLICA_LET_GO, /* the copy is closed, and stays */
	REPLICA_DROP,   /* the copy goes. name alone */
	/* Which copies there are. Made: FOUND for each, and one without a name at the end. */
	REPLICA_LIST,
};

enum replica_note_kind {
	REPLICA_NOTE_PIECE, /* body: the message; kind: of it; pieces, behind_bytes, last_commit */
	REPLICA_NOTE_FAILED,
	REPLICA_NOTE_HELD,    /* body: the message REPLICATION_HELD; last_commit and bytes of the copy */
	REPLICA_NOTE_SAFE,    /* position, pieces, last_commit, bytes */
	REPLICA_NOTE_REFUSED, /* reason; body: words */
	REPLICA_NOTE_FOUND,   /* name, identity, last_commit, epoch, bytes, sessions */
};

/* A job, or a note. */
struct replica_work {
	struct replica_work *next;
	uint32_t kind; /* enum replica_job_kind or replica_note_kind */
	uint32_t stream;
	uint8_t slot;
	uint8_t message; /* enum replication_kind, of the body */
	uint32_t reason; /* enum replication_refusal */
	uint64_t position;
	uint64_t pieces;
	uint64_t last_commit;
	uint64_t bytes;
	uint64_t behind_bytes;
	uint64_t epoch;
	uint64_t sessions; /* FOUND: that were taken over; REPLICA_NOT_TAKEN; MARK_UNDERWAY of commit/follow/mark.h */
	struct store_identity identity;
	char name[CLUSTER_NAME_BYTES_MAX];
	uint32_t body_bytes;
	uint8_t body[];
};

struct replica_worker_settings {
	const char *directory; /* of the own store */
	struct trail *trail;   /* of the own store; NULL: it is not followed */
	struct store_identity identity;
	struct waker *waker; /* of the thread that takes the notes */
};

/* Copies the settings. NULL: no memory, or the kernel refuses a thread. */
struct replica_worker *replica_worker_start(const struct replica_worker_settings *settings);
/* Does what it has, without making more, and ends the thread. worker may be NULL. */
void replica_worker_stop(struct replica_worker *worker);

/* NULL: no memory. */
struct replica_work *replica_work_new(uint32_t kind, struct slice head, struct slice body);
void replica_work_free(struct replica_work *work);
/* Takes the job over. */
void replica_worker_give(struct replica_worker *worker, struct replica_work *job);
/* The next note, which is the caller's; NULL: none. */
struct replica_work *replica_worker_take(struct replica_worker *worker);
bool replica_worker_has_notes(const struct replica_worker *worker);
/* The replica has taken so many pieces of the stream: more may be made. */
void replica_worker_taken(struct replica_worker *worker, uint64_t pieces);

/* A node's name that can be a directory's. */
bool replica_name_is_good(const char *name);

#endif
