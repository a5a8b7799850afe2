/* The note in the directory of a copy (commit/follow/keeper.h) that says: the sessions in it are this node's own from
 * here on. It is on the device before the first of them is, so that whoever comes back with the log of that time is
 * told so, whatever happens to this node. A text of one line: "taken EPOCH COMMIT SESSIONS", and the store's id. One
 * thread, which uses files. */
#ifndef COMMIT_FOLLOW_MARK_H
#define COMMIT_FOLLOW_MARK_H

#include "base/error.h"
#include "store/format/disk.h"

#include <stdint.h>

#define MARK_NAME "taken"
#define MARK_NEW_NAME "taken.new"

struct mark {
	uint8_t store_id[16];
	uint64_t epoch;    /* of the log that was taken */
	uint64_t commit;   /* its last one */
	uint64_t sessions; /* that were taken; MARK_UNDERWAY: it is not over */
};
#define MARK_UNDERWAY UINT64_MAX

/* ERROR_NOT_FOUND: there is none, or none that can be read. ERROR_SYSTEM: the device. */
enum error mark_load(const struct disk *disk, struct mark *mark);
/* It is on the device, in place of one before. ERROR_SYSTEM. */
enum error mark_save(const struct disk *disk, const struct mark *mark);
enum error mark_remove(const struct disk *disk);

#endif
