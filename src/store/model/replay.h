/* Reads a store's segments by the rules of store/format/segment.h and rebuilds the model from them: for the server's
 * recovery and for the tools. It changes nothing on the disk. One thread.
 *
 * Two passes. The first one goes from the newest segment back until it finds the end of a checkpoint, which says where
 * the log begins. The second one goes forward from there: it checks that no commit is missing or damaged, up to the end
 * of the store, and applies those of the checkpoint's epoch. Segments of a later epoch, whose first checkpoint is not
 * complete, are checked and otherwise passed over. Memory: one segment at a time, beside the model. */
#ifndef STORE_REPLAY_H
#define STORE_REPLAY_H

#include "store/format/disk.h"
#include "store/format/identity.h"
#include "store/format/segment_file.h"
#include "store/model/model.h"

enum replay_role {
	REPLAY_NEEDLESS, /* older than the log, and nobody's body is in it; or its creation was cut short */
	REPLAY_BODIES,   /* older than the log; messages of the model have their bodies in it */
	REPLAY_LOG,      /* the model was rebuilt from it */
	REPLAY_LATER,    /* of an epoch whose first checkpoint is not complete */
};

struct replay_segment {
	uint32_t number;
	enum replay_role role;
	uint64_t epoch;        /* 0: it has no header */
	uint64_t first_commit; /* as its header says */
	uint64_t file_bytes;
	uint64_t good_bytes; /* of _LOG and _LATER: up to the end of the last commit that counts */
	uint64_t body_bytes; /* of messages of the model whose bodies lie in it */
	bool is_damaged;
};

/* What was found. */
struct replay {
	struct replay_segment *segments; /* by number */
	uint32_t segment_count;
	uint32_t base_segment;    /* the log's first; 0: there is no log, and the model is empty */
	uint32_t highest_segment; /* a new one gets a higher number */
	uint64_t epoch;           /* of the log */
	uint64_t highest_epoch;   /* a new one is higher */
	uint64_t last_commit;     /* the next one is 1 higher; those of _LATER segments are counted */
	uint64_t log_commit;      /* the last one of the log */
	int64_t wall_s;           /* of the log's last commit; 0: none */
	uint64_t bytes;           /* of the log and of what is later: what was read */
	uint64_t commits;         /* of the log */
	uint64_t records;         /* of the log */
	bool stopped;             /* the gateway stopped as it should after the log's last commit */
	/* What was being written when the machine stopped, at the end of the last segment. */
	uint64_t cut_bytes; /* 0: nothing */
	uint32_t cut_segment;
	uint64_t cut_offset;
	uint64_t damages;
	char damage[256]; /* the first, with file and offset; "": none */
};

struct replay_hooks {
	void *context;
	/* Now and then, and with done == all once everything was read. Any of these may be NULL. */
	void (*progress)(void *context, uint64_t done, uint64_t all);
	/* Each damage: a sentence with file and offset. */
	void (*damage)(void *context, const char *what);
	/* Each record of the log, in its order. Its text and body are good until the function returns. */
	void (*record)(void *context, uint64_t commit, uint16_t shard, const struct store_record *record,
		       struct store_place place);
	/* Whether to go on behind a damage with what can be read; otherwise it ends there. */
	bool go_on;
};

/* model: an empty one, finished afterwards; NULL: none is wanted. hooks: NULL: none. ERROR_SYSTEM: something is
 * damaged, foreign or of another format, and replay->damage says it; with go_on only where nothing at all can be read.
 * ERROR_NO_MEMORY. replay_fini() is due in any case. */
enum error replay_run(const struct disk *disk, const struct store_identity *identity, const struct replay_hooks *hooks,
		      struct model *model, struct replay *replay);
void replay_fini(struct replay *replay);

/* Whether no commit counts, in whatever segments there are. */
bool replay_has_nothing(const struct replay *replay);
/* Whether there are segments, and none of them has a header of this store. */
bool replay_is_foreign(const struct replay *replay);

/* Removes the segments of later epochs, newest first and each for good before the next, so that a new epoch follows the
 * log's last commit; updates the result. 0 or a negative errno. */
int replay_remove_later(const struct disk *disk, struct replay *replay);

/* Syncs the log's last segment. Where a process was killed, its last commits may be in the kernel alone; once a segment
 * of a later epoch says that it follows them, a loss of power that took them would be damage. 0 or a negative errno. */
int replay_sync_log(const struct disk *disk, const struct replay *replay);

/* Reads the body of the record KEPT that lies in this file at this offset; *packet is malloc()ed. ERROR_NOT_FOUND:
 * there is no such record there, it is another one's, or its checksum does not match. ERROR_SYSTEM: *error is the
 * errno. ERROR_NO_MEMORY. */
enum error replay_read_body(const struct disk *disk, struct disk_file *file, uint32_t offset,
			    const struct publication *publication, uint8_t **packet, int *error);

#endif
