/* The reader: reads bodies that are in the store alone, for the shards. One thread; shards hand it loads by a list
 * without a lock, and it never makes the writer wait longer than for a few places. */
#ifndef COMMIT_READER_H
#define COMMIT_READER_H

#include "commit/figures.h"
#include "commit/log/bodies.h"
#include "commit/rest.h"
#include "commit/told/shard.h"

#define READER_FILES 8u
/* A read that fails may succeed a little later. So often, and so far apart, before its message counts as lost. */
#define READER_TRIES 4u
#define READER_RETRY_NS 1000000000u

struct reader_file {
	uint32_t segment; /* 0: none */
	struct disk_file *file;
	uint64_t used; /* the reader's count of reads */
};

struct reader {
	struct store_common *common;
	struct bodies *bodies;
	const struct disk *disk;
	struct figures *figures;
	struct waker *const *wakers; /* NULL: none is woken */
	struct reader_file files[READER_FILES];
	uint64_t reads;
	struct store_load *retries; /* some of their bodies could not be read; the next one to try first */
	struct store_load *retries_last;
	_Atomic bool stops;
	struct rest rest;
};

void reader_init(struct reader *reader, struct store_common *common, struct bodies *bodies, const struct disk *disk,
		 struct figures *figures, struct waker *const *wakers);
/* Loads that wait to be tried again are answered without. */
void reader_fini(struct reader *reader);
/* Answers the loads that were asked for, and those that are to be tried again by now. Others are not kept waiting for
 * these. False: there was none. */
bool reader_step(struct reader *reader, uint64_t now_ns);
/* Steps until reader.stops, or until it rests, which it does when nothing is asked for and no file is open. */
void reader_run(struct reader *reader);

#endif
