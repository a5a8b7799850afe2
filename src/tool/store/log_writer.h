/* Writes an epoch of a store that no process uses: commits into segments, one shard, no threads. Main thread. */
#ifndef TOOL_STORE_LOG_WRITER_H
#define TOOL_STORE_LOG_WRITER_H

#include "store/format/identity.h"
#include "store/format/record.h"
#include "store/format/segment.h"

struct log_writer {
	const struct disk *disk;
	struct store_segment_header segment; /* that is written to */
	struct disk_file *file;              /* NULL: none is open */
	uint64_t offset;
	uint64_t next_commit;
	int64_t wall_s; /* of all its commits */
	uint32_t first_segment;
	uint8_t *commit; /* that is being made */
	size_t size;
	size_t room;
	uint64_t bytes; /* written */
	int error;      /* the first failure, a negative errno; nothing is written after it */
};

/* after: the highest numbers of the store so far. wall_s: of the last commit before. */
void log_writer_open(struct log_writer *writer, const struct disk *disk, const struct store_identity *identity,
		     uint32_t after_segment, uint64_t after_epoch, uint64_t after_commit, int64_t wall_s);
void log_writer_add(struct log_writer *writer, const struct store_record *record);
/* Ends the checkpoint with all that was added, and returns once that is on the device. stopped: notes that the stop
 * was clean. 0 or a negative errno. */
int log_writer_end(struct log_writer *writer, bool stopped);
/* undo: removes what was written. */
void log_writer_close(struct log_writer *writer, bool undo);

#endif
