/* Tells a model once more, as the records of an epoch that holds it alone. Main thread. */
#ifndef TOOL_STORE_RETELL_H
#define TOOL_STORE_RETELL_H

#include "tool/store/log_writer.h"
#include "tool/store/opened.h"

struct retelling {
	struct log_writer log;
	uint64_t lost_messages; /* whose bodies could not be read */
	uint64_t lost_entries;  /* and what refers to them: entries, wills and promises */
};

/* Writes the model of a store that was replayed as a new epoch, with progress. may_lose: leaves out messages whose
 * bodies cannot be read, instead of failing. False: said, and nothing has changed. */
bool retell_store(struct opened_store *store, bool may_lose, struct retelling *retelling);
/* Removes the segments before the new epoch. keep_damaged: renames those that are damaged, to NAME.damaged. False:
 * said. */
bool retell_remove_rest(struct opened_store *store, const struct retelling *retelling, bool keep_damaged);

#endif
