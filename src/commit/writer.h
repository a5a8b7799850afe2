/* The writer: takes what the shards told, leaves out what is needless, writes the rest as one commit, syncs, and says
 * what is safe. One thread; all that it does is writer_step(), which a test may call instead.
 *
 * Failures. No room (ENOSPC, EDQUOT), also for the segment after this one: STORE_FULL. Any other error of a write or a
 * sync: STORE_BROKEN. In both the commits that are not synced stay in memory (commit/log/tail.h), and every
 * WRITER_RETRY_NS they are written again, always to a new segment. As long as nothing else has failed than making the
 * next segment ready, commits go on in the present one. When it works again after an error that was not about room, a
 * checkpoint begins at once, so that soon nothing depends on the file that failed.
 *
 * Checkpoints. The writer begins a segment, which becomes the log's new base, and asks the shards to tell all again. In
 * the commit that has the last of it there is the section STORE_SECTION_CHECKPOINT. Once that is synced, the older
 * segments go in which no body lies that is still needed. Until the first checkpoint of the epoch is synced nothing is
 * safe, and no commit is synced for its own sake.
 *
 * Heartbeats. Sessions that were connected when the gateway ended without a word have lost their connections at the
 * time of the last commit, and expire from then on. So while some are connected there is a commit each
 * WRITER_HEARTBEAT_NS, which says nothing but the time if there is nothing else. A store whose sessions are all offline
 * is left alone. */
#ifndef COMMIT_WRITER_H
#define COMMIT_WRITER_H

#include "commit/writer_state.h"

struct writer_start {
	struct store_common *common;
	const struct store_settings *settings;
	struct waker *const *wakers; /* NULL: none is woken */
	struct figures *figures;
	struct bodies *bodies;
	const struct disk *disk;
	struct trail *trail; /* NULL: nobody follows the log */
	const uint8_t *store_id;
	uint64_t epoch;
	uint32_t next_segment;
	uint64_t next_commit;
	int64_t wall_s;
};

enum error writer_init(struct writer *writer, const struct writer_start *start);
void writer_fini(struct writer *writer);
/* Segments of earlier epochs, by number, with what lives in them, before writer_begin(). */
enum error writer_add_segment(struct writer *writer, uint32_t number, uint64_t bytes, uint64_t live_bytes);
/* Begins the epoch's first segment and asks for its first checkpoint. 0 or a negative errno. */
int writer_begin(struct writer *writer);

/* Does what there is to do. Returns how long the next thing may wait: 0: call again; SLEEPER_FOREVER: until a shard has
 * told something. */
uint64_t writer_step(struct writer *writer, uint64_t now_ns);
/* After the last turn of the shards: writes and syncs what is left, notes that the stop was clean. A device that fails
 * gets one more attempt. False: not all of it is safe. */
bool writer_stop(struct writer *writer, uint64_t now_ns);
/* Between turns of the shards, which tell nothing meanwhile: writes and syncs all that was told, so that nothing is
 * left in memory. False: the device fails, or memory does; the next step goes on as ever. */
bool writer_flush(struct writer *writer, uint64_t now_ns);
/* Steps until writer.stops, or until it rests. */
void writer_run(struct writer *writer);

#endif
