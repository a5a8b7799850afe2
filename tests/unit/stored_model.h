/* What a store would have of a scene's journal (store/model/model.h), made from the journal's model, for restarts in
 * tests. One thread. */
#ifndef TESTS_UNIT_STORED_MODEL_H
#define TESTS_UNIT_STORED_MODEL_H

#include "lifecycle/stored/restore.h"
#include "store/deadline.h"

struct journal_model;

struct stored_model {
	struct model model;
	struct slice *packets; /* a place's offset is an index */
	uint32_t packet_count;
	void **blocks; /* all of its memory */
	size_t block_count;
	struct journal_model *journal; /* that learns which messages were restored without their packets */
};

/* clock: of now. */
void stored_model_make(struct stored_model *stored, const struct journal_model *journal, struct deadline_clock clock);
void stored_model_free(struct stored_model *stored);
/* Bodies for restore_shards(). */
struct restore_bodies stored_model_bodies(struct stored_model *stored);
/* That a gateway which was restored from the first has told the second. wall_s: when it was. */
void stored_model_check_restored(const struct stored_model *stored, const struct stored_model *told, int64_t wall_s);

#endif
