/* A shard that stops without letting go of its clients: its thread ends at the end of a turn, and all that the shard
 * has stays as it is, until another thread goes on with it, of this program or of the next one (control/freeze.h).
 *
 * In steps, which the main thread sets and the shard reports. While it prepares, the shard serves its clients as ever,
 * and moves their sockets out of its descriptor table, which ends with the thread. From SHARD_QUIETENS on it reads no
 * client any more: events stay in the kernel, and what is in transit between shards, to commits and to those who
 * publish is brought to its end. SHARD_FREEZES ends the thread as soon as nothing is. Each step may be taken back until
 * the thread has ended; after that shard_start() goes on.
 *
 * By the shard's thread, unless a function says otherwise. */
#ifndef SHARD_FREEZE_FREEZE_H
#define SHARD_FREEZE_FREEZE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct shard;

enum shard_halt {
	SHARD_RUNS,
	SHARD_PREPARES,
	SHARD_QUIETENS,
	SHARD_FREEZES,
};

/* ---- by the main thread ---- */

/* Any step, at any time while the thread runs. */
void freeze_ask(struct shard *shard, enum shard_halt halt);
/* Whether the shard has no client's socket in its descriptor table. SHARD_PREPARES and later. */
bool freeze_is_prepared(const struct shard *shard);
/* How many sockets could not be moved out of it when the shard had gone through all. */
uint64_t freeze_immovable(const struct shard *shard);
/* What is still in transit, in words to follow "there are"; NULL: nothing was when the shard looked last. Static
 * storage. SHARD_QUIETENS and later. */
const char *freeze_unquiet(const struct shard *shard);
/* Grows with each turn that found something in transit. A shard that was quiet when it was asked may have got a batch
 * from the next one since; then its number has changed. */
uint64_t freeze_activity(const struct shard *shard);
/* Whether the thread has left its loop with everything quiet, and waits for its descriptors to be taken. */
bool freeze_is_frozen(const struct shard *shard);
/* Whether freeze_take_descriptors() can work with private tables: the kernel is new enough, and no filter of system
 * calls is in the way. False: errno says why. */
bool freeze_can_take_descriptors(void);
/* Takes the descriptors that hold the shard's sockets into the caller's table, and lets the thread end, which is to be
 * joined then. shard_start() goes on with them. ERROR_SYSTEM, ERROR_NO_DESCRIPTORS: errno says why; the thread still
 * waits. */
enum error freeze_take_descriptors(struct shard *shard);
/* Lets a thread that waits go on as if it had never been asked to freeze. */
void freeze_give_up(struct shard *shard);
/* How many descriptors that are, and their numbers (may be NULL). */
size_t freeze_descriptors(const struct shard *shard, int *fds);
/* The thread that goes on has its own by now: closes the caller's. */
void freeze_close_copies(struct shard *shard);

/* ---- by the shard's thread ---- */

/* Whether the shard must not sleep: costs a load. */
bool freeze_wants_turn(const struct shard *shard);
/* Moves some more sockets. In SHARD_PREPARES and later, once a turn. */
void freeze_prepare_some(struct shard *shard);
/* After an upgrade: some sockets go back to the descriptor table, where writes to many leave together
 * (net/write_ring.h). Once a turn. */
void freeze_return_some(struct shard *shard);
/* The thread begins, and goes on with what another one has left. */
void freeze_resume(struct shard *shard);
/* Looks for what is in transit, and lets the main thread know. At the end of a turn, before batches go back: whoever
 * gets his back must not believe that this shard is quiet still. Returns whether nothing is. */
bool freeze_look(struct shard *shard);
/* Notes that the turn which ends was the last one, and whether one did. Its own note, not what the main thread asks
 * for, which may be taken back between the two. */
void freeze_leave(struct shard *shard);
bool freeze_is_over(const struct shard *shard);
/* Waits until the main thread has taken the descriptors. False: it has given up, and the loop goes on. After
 * freeze_leave(). */
bool freeze_wait_taken(struct shard *shard);

#endif
