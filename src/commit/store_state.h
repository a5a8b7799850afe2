/* A store as a whole, as commit/start.c, commit/pause.c and commit/carry.c share it. The main thread. */
#ifndef COMMIT_STORE_STATE_H
#define COMMIT_STORE_STATE_H

#include "commit/reader.h"
#include "commit/writer.h"
#include "store/format/identity.h"
#include "store/model/replay.h"

struct store {
	const struct disk *disk;
	struct store_settings settings;
	struct store_identity identity;
	struct store_common common;
	struct replay replay;
	bool is_new; /* made by this process */
	bool has_recovered;
	bool has_started; /* there are a writer and a reader; their threads run unless it is paused */
	bool is_adopted;  /* and as the previous program left them: nothing was changed on the device */
	struct bodies bodies;
	struct figures figures;
	struct trail trail; /* where the settings want one */
	struct writer writer;
	struct reader reader;
	bool writer_runs, reader_runs; /* there are these threads */
	pthread_t writer_thread;
	pthread_t reader_thread;
	/* Of each segment of the replay: bytes of the bodies that were restored, with all of one size. */
	_Atomic uint64_t *restored_bytes;
	uint32_t restored_body_bytes;
};

/* The shards and the places of bodies, in the arena of the settings. ERROR_NO_MEMORY, or as from commit_bodies_init().
 */
enum error store_open_parts(struct store *store);
/* Those threads that do not run. ERROR_SYSTEM: one of them does not start; the other may run. */
enum error store_start_threads(struct store *store);

#endif
