/* The store: what the shards tell their journals (session/journal.h) is on the device, and what was told is had again
 * after a restart. docs/decisions/0017-the-store.md says why it is as it is.
 *
 * The way of an event. A shard's journal encodes it into the shard's open buffer. The buffer is the writer's whenever
 * the shard is between two turns: the writer takes those of all shards, leaves out what has become needless meanwhile
 * (commit/told/squeeze.h), writes what is left as one commit, syncs, and says how far each shard's events are safe now.
 * While it syncs, new events gather, so the commits grow with the load and need no timer. A shard neither waits for the
 * writer nor calls the file system.
 *
 * What waits for a commit asks STORE_JOURNAL_SAFETY (struct journal_safety) for its number.
 *
 * Threads: the shard's own, or the main thread, as each function says. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "session/journal.h"
#include "store/format/disk.h"
#include "store/format/segment.h"
#include "store/load.h"
#include "store/model/model.h"

#include <stdatomic.h>

struct arena;
struct store_identity;
struct trail;
struct waker;
struct store;

enum store_durability {
	STORE_ALWAYS,   /* safe: synced */
	STORE_PERIODIC, /* safe: written, so that it outlives the process; synced every sync_interval_ms */
};

struct store_settings {
	enum store_durability durability;
	uint32_t sync_interval_ms;
	uint64_t segment_bytes;    /* STORE_SEGMENT_BYTES */
	uint64_t checkpoint_bytes; /* a checkpoint begins when the log has grown by so many bytes since the last one
				    * began, and by as many as the last one wrote */
	uint64_t buffer_bytes_max; /* a shard's events that are not written yet: more, and store_is_full() */
	uint16_t shard_count;
	bool is_followed; /* somebody may read the log as it is written (store_trail()) */
	/* Where it keeps what is too much for notes, and its notes: for store_continue(). It must outlive the store.
	 * NULL: nothing outlives the program. */
	struct arena *arena;
};

/* ---- a recovery, by the main thread, before any shard runs ---- */

/* What a recovery found, for people. */
struct store_report {
	uint64_t segments;
	uint64_t bytes;
	uint64_t commits;
	uint64_t records;
	uint64_t cut_bytes; /* of a commit that was being written when the machine stopped */
	uint32_t cut_segment;
	uint64_t cut_offset;
	bool has_nothing; /* it was there before, and no commit counts: its segments may be missing */
	char damage[256]; /* what is wrong, with file and offset; "": nothing */
};
/* Called now and then while it reads: done of all bytes. */
typedef void (*store_progress)(void *context, uint64_t done, uint64_t all);

/* Opens the directory's store, or makes one in an empty directory. Logs and returns ERROR_SYSTEM for whatever it is
 * that a person has to look at: foreign, newer, damaged. The disk stays the caller's, who has locked it (disk_lock()),
 * and must outlive the store. */
enum error store_open(struct store **store, const struct disk *disk, const struct store_settings *settings);
/* Reads the log. *model is the caller's. Damage: ERROR_SYSTEM, and report->damage says it. */
enum error store_recover(struct store *store, store_progress progress, void *context, struct model **model,
			 struct store_report *report);
/* Reads the body of a message of the model; *packet is malloc()ed, of publication.packet_bytes. ERROR_NOT_FOUND: it is
 * not there as it was; ERROR_SYSTEM: the device failed, and nothing is known of it. Both are logged with file and
 * offset. ERROR_NO_MEMORY. Any thread. */
enum error store_read_body(struct store *store, struct store_place place, const struct publication *publication,
			   uint8_t **packet);
/* 16 secret bytes, made with the store and kept in it: the key of client id hashes, by which principals know their
 * tokens. */
const uint8_t *store_key(const struct store *store);

/* What the log looks like, for a replica (commit/log/trail.h); NULL: the settings want none. As long as the store. */
struct trail *store_trail(struct store *store);
/* Where the log ended that was recovered; 0 and 0: there was none, or the store was taken over from the program before.
 */
void store_recovered(const struct store *store, uint64_t *epoch, uint64_t *commit);
/* Its id and its key. As long as the store. */
const struct store_identity *store_identity(const struct store *store);

/* Begins an epoch and starts the threads. wakers: one a shard, to be woken by. The shards have to begin their first
 * checkpoint at once (store_wants_checkpoint() is true); until all have ended it nothing is safe. */
enum error store_start(struct store *store, struct waker *const *wakers);
/* After the last turn of the shards: writes and syncs what is left, notes that the stop was clean, and ends the
 * threads. */
void store_stop(struct store *store);
void store_free(struct store **store);

/* ---- the program is replaced, by the main thread (memory/memory_root.h) ----
 *
 * The shards stand still, with all that they have, and the store stands still with them: what was told is in the log
 * and synced, in the present epoch. The next program appends to the same segment. Names mean what they meant, so it
 * reads nothing of the log, nothing is told again, and no promise is held up. A kill or a loss of power at any time
 * finds on the device what it would have found without all this. A checkpoint that was under way goes on.
 *
 * Where the next program does not take the memory as it is, because its layout is another one, and makes shards anew
 * from what the previous program told it, names change. Then it has to do as after a recovery: store_open(),
 * store_recover() with a model that it only needs for the numbers in it, store_restore_place() for each message whose
 * body it left in the store, and store_start(), which begins a new epoch with a checkpoint of all. Until that is synced
 * nothing is safe, and a recovery finds the epoch before, which store_pause() has left whole. */

/* Why something was refused: a sentence for the operator, without its full stop. */
struct store_refusal {
	char why[200];
};

/* Before clients stop being read: from now on each commit is synced, whatever the durability, and no checkpoint begins
 * or goes on, so that little is left to be done when they wait. Until store_go_on(). */
void store_hurry(struct store *store);
/* Whether all that was told before store_hurry() is safe by now: the device answers. */
bool store_has_hurried(const struct store *store);
/* After the last turn of the shards, none of which waits for a body: writes and syncs all that was told, and ends the
 * threads. False: the device is full, broken, or has not answered within limit_ms; then store_go_on() is due all the
 * same, and until then it works on. */
bool store_pause(struct store *store, uint32_t limit_ms, struct store_refusal *refusal);
/* Starts the threads again. wakers: as for store_start(). ERROR_SYSTEM: the kernel refuses; call it again, or stop the
 * store. */
enum error store_go_on(struct store *store, struct waker *const *wakers);
/* Leaves in the arena what store_continue() needs. The store is paused, and stays as it is. ERROR_NO_MEMORY,
 * ERROR_LIMIT. */
enum error store_save(const struct store *store);
/* Instead of store_open(), store_recover() and store_start(): the store as store_save() left it, paused, in an arena
 * that was adopted. Writes nothing, in the directory or in the arena, and neither does store_free() before
 * store_go_on(): the previous program may still go on with it. ERROR_SYSTEM, ERROR_NO_MEMORY: refusal
 * says how the directory, the notes or the settings differ. */
enum error store_continue(struct store **store, const struct disk *disk, const struct store_settings *settings,
			  struct store_refusal *refusal);

/* ---- by a shard's thread ---- */

struct store_shard;
struct store_shard *store_shard(struct store *store, uint16_t number);

/* The journal of a shard: the context of both is its struct store_shard. */
extern const struct journal_events STORE_JOURNAL_EVENTS;
extern const struct journal_safety STORE_JOURNAL_SAFETY;
/* The functions below, as a table. */
extern const struct journal_checkpoints STORE_JOURNAL_CHECKPOINTS;

/* New messages must not be taken: the device is full or broken, or the writer is too far behind. Events are still told,
 * for what ends needs no room. Any thread; one relaxed load. */
bool store_is_full(const struct store *store);
/* It is full because more was told than the writer could write or than there is memory for: what need not be told must
 * not be. Any thread; one relaxed load. */
bool store_is_behind(const struct store *store);

/* ---- checkpoints, by a shard's thread between two events of a turn ---- */

/* The number of the checkpoint that the shard is to begin; 0: none, or it has begun that. */
uint32_t store_wants_checkpoint(const struct store_shard *shard);
/* Whether the writer keeps up: if not, the shard goes on with the checkpoint in a later turn. */
bool store_checkpoint_has_room(const struct store_shard *shard);
/* Tells all that it has again, by the events of the journal, over as many turns as it takes; `again` marks them. */
void store_checkpoint_begin(struct store_shard *shard, uint32_t checkpoint);
/* While true, `opened`, `queued`, `kept` and `retained` are told again. Turned on and off within a turn. */
void store_checkpoint_again(struct store_shard *shard, bool again);
/* The message's body is in the store alone: instead of `kept`. */
void store_checkpoint_kept_at(struct store_shard *shard, struct message_ref message,
			      const struct journal_message *told);
/* The shard has told all. */
void store_checkpoint_end(struct store_shard *shard);

/* ---- bodies that are in the store alone (session/messages.h) ---- */

/* A restored message has its body in the store, at this place. Before store_start(); several threads may restore, each
 * a shard of its own. */
enum error store_restore_place(struct store *store, uint16_t shard, struct message_ref message,
			       struct store_place place);

/* Asks for the bodies of messages whose `kept` is safe, which the caller keeps a reference to until the
 * answer. Takes the load over. */
void store_load(struct store_shard *shard, struct store_load **load);
/* Loads that are answered, first asked first; NULL: none. The shard was woken for them. */
struct store_load *store_loaded(struct store_shard *shard);
/* These two, with a struct store_shard as the context. */
extern const struct message_source STORE_MESSAGE_SOURCE;

/* ---- figures, any thread ---- */

enum store_state {
	STORE_RECOVERING,
	STORE_WORKING,
	STORE_FULL,   /* no room on the device */
	STORE_BROKEN, /* a write or a sync failed; it is tried again every second */
	STORE_STOPPED,
};
struct store_figures {
	enum store_state state;
	int error; /* errno of the last failure; 0: none yet */
	uint64_t commits;
	uint64_t records;          /* written */
	uint64_t records_squeezed; /* told, and needless before they were written */
	uint64_t written_bytes;
	uint64_t syncs;
	uint64_t sync_ns; /* sum */
	uint64_t sync_last_ns;
	uint64_t sync_max_ns; /* of the last whole minute */
	uint64_t failures;    /* writes and syncs */
	uint64_t log_bytes;   /* all segments */
	uint64_t segments;
	uint64_t room_bytes;     /* free in the file system, as looked at last */
	uint64_t buffered_bytes; /* told and not written yet */
	uint64_t checkpoints;
	uint64_t loads; /* bodies read */
	uint64_t load_failures;
	uint64_t oldest_unsafe_ms; /* how long the oldest event has waited for its commit; 0: none waits */
};
void store_figures(const struct store *store, struct store_figures *figures);
const char *store_state_name(enum store_state state);

#endif
