/* What the replica worker consists of. For its own files: nodes/replica_worker.c has the thread, its queues and the own
 * log, nodes/replica/replica_copies.c the copies of others. That thread alone, where a member does not say otherwise.
 */
#ifndef NODES_REPLICA_WORKER_STATE_H
#define NODES_REPLICA_WORKER_STATE_H

#include "commit/follow/follower.h"
#include "commit/follow/keeper.h"
#include "commit/told/sleeper.h"
#include "nodes/replica/replica_worker.h"

#include <pthread.h>

#define PATH_BYTES_MAX 4096u

/* First in, first out. */
struct work_queue {
	pthread_mutex_t lock;
	struct replica_work *first;
	struct replica_work *last;
	_Atomic uint32_t count;
};

/* The copy of one node's log. */
struct kept {
	struct keeper keeper;
	struct disk disk;
	char path[PATH_BYTES_MAX];
	uint32_t stream;
	uint64_t position; /* of what was applied last */
	uint64_t pieces;
	bool is_told; /* all that was applied is confirmed */
};

struct replica_worker {
	char directory[PATH_BYTES_MAX / 2];
	struct store_identity identity;
	struct trail *trail;
	struct waker *waker;
	struct work_queue jobs;
	struct work_queue notes;
	struct sleeper sleeper;
	_Atomic bool stops;
	_Atomic uint64_t taken; /* pieces that the replica has taken */
	pthread_t thread;
	/* The thread's own. */
	struct disk disk; /* of the own store, for reading */
	bool has_disk;
	struct follower follower;
	bool follows;
	uint32_t stream;
	uint64_t pieces; /* that were made */
	struct kept *kept[NODES_MAX];
};

/* Leaves a note, which the nodes thread owns. */
void replica_worker_note(struct replica_worker *worker, struct replica_work *note);
void replica_worker_refuse(struct replica_worker *worker, uint8_t slot, uint32_t stream, const char *why);

/* ---- nodes/replica/replica_copies.c: the jobs of these names ---- */

void replica_copies_keep(struct replica_worker *worker, const struct replica_work *job);
void replica_copies_apply(struct replica_worker *worker, const struct replica_work *job);
void replica_copies_let_go(struct replica_worker *worker, uint8_t slot);
void replica_copies_drop(struct replica_worker *worker, const char *name);
void replica_copies_list(struct replica_worker *worker);
/* One sync for all that was applied, and a note that says so. */
void replica_copies_confirm(struct replica_worker *worker, uint8_t slot);

#endif
