/* Memory of a program that is replaced, and its adoption by the next one, both in one process: the next one has it at
 * other addresses. The first one's objects may be read until the end, to compare with. */
#ifndef TESTS_UNIT_OUTLIVING_H
#define TESTS_UNIT_OUTLIVING_H

#include "memory/notes.h"

struct outliving {
	struct memory_root root;
	struct notes notes;
	struct memory_root next;
	struct notes next_notes;
	uint64_t sum; /* of all content, when it was adopted */
};

void outliving_open(struct outliving *outliving);
/* After the parts were saved. Finds the arena of that name, which the next program's parts are opened in. */
void outliving_adopt(struct outliving *outliving, struct arena *arena, const char *name);
/* Fails unless opening the next program's parts has changed nothing. */
void outliving_check_unchanged(const struct outliving *outliving);
/* All parts of the next program are closed, and those of the first one are not used any more. */
void outliving_close(struct outliving *outliving);

/* Runs it in a process of its own: what is refused is not freed, because a program ends then. */
bool outliving_in_child(bool (*check)(void *context), void *context);

/* Of everything in the root's arenas, and of the root block itself. */
uint64_t outliving_sum(const struct memory_root *root);

#endif
