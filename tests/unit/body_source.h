/* The store's part in a shard scene: it has the packets that the journal's model was told, and gives them back when a
 * shard asks for those that left its memory: late, and in any order between clients. One thread. */
#ifndef TESTS_UNIT_BODY_SOURCE_H
#define TESTS_UNIT_BODY_SOURCE_H

#include "journal_model.h"
#include "random.h"
#include "store/load.h"

struct body_source {
	const struct journal_record *record;
	struct random random;
	struct store_load *asked;
	uint32_t asked_count;
	uint32_t lateness;  /* an answer comes with one in so many looks for it; 0: with the first */
	uint32_t fails_one; /* one in so many packets cannot be read; 0: all can */
	bool fails_for_now; /* those that fail may be asked for again */
	bool holds;         /* nothing is answered for now */
	uint64_t loads;     /* since the start */
	uint64_t bodies;
	uint64_t failed;
	uint32_t bodies_max; /* the most in one load */
	uint64_t bytes_max;
};

/* What a shard asks; the context is a struct body_source. */
extern const struct message_source BODY_SOURCE;

void body_source_begin(struct body_source *source, const struct journal_record *record);
/* What was asked and not answered is dropped. */
void body_source_end(struct body_source *source);

#endif
