/* A program finds the memory of the one before it, which may have another layout: adopts the root block and the notes,
 * and converts them where they differ and can be (layout/conversion.h). By main, before threads start. */
#ifndef LAYOUT_ADOPTION_H
#define LAYOUT_ADOPTION_H

#include "memory/notes.h"

#include <stdbool.h>
#include <stddef.h>

struct layout_adoption {
	struct memory_root root; /* in which parts are opened; root.notes are `notes` */
	struct notes notes;
	struct memory_root old; /* where it was converted: the other program's, which may still want it */
	struct notes old_notes;
	bool is_converted;
};

/* With the other notes: what this program's memory looks like. Needed where the layout differs only. The errors are
 * notes_put()'s. */
enum error layout_put_notes(struct notes *notes);

/* *adoption must stay where it is. fd: the root block's, which is taken on success. ERROR_NOT_FOUND, or what the kernel
 * refuses: sentence says why, and nothing of the memory has changed. On success it is empty, or the first type that was
 * converted. */
enum error layout_adopt(struct layout_adoption *adoption, int fd, char *sentence, size_t size);
/* The first turn is over: gives back what only the other program had. Nothing to do where nothing was converted. */
void layout_adoption_finish(struct layout_adoption *adoption);

/* Whether memory with this text could be adopted, before anything is: for a check. False: sentence says why. True: it
 * is empty, or the first type that would be converted. */
bool layout_accepts(const char *text, uint32_t version, char *sentence, size_t size);

#endif
