/* Named byte strings that outlive the program text: what memory in arenas does not hold, such as the head of a free
 * list or a counter. The program writes them when it is about to be replaced, in a region of an arena of their own. The
 * next one reads them while it opens its parts. A name has a scope: that of an arena (memory/arena.h has functions for
 * these), or another one.
 *
 * Another program wrote what notes_adopt() reads. So it trusts nothing: a note that reaches beyond the region, or comes
 * twice, is an error. NOTES_VERSION is that of the frame. What the notes mean has the root's layout hash.
 *
 * Any thread may put notes. Only main opens, adopts, clears and closes, when no other thread uses them. */
#ifndef MEMORY_NOTES_H
#define MEMORY_NOTES_H

#include "base/slice.h"
#include "memory/arena.h"
#include "memory/region.h"

#include <pthread.h>

#define NOTES_VERSION 1u
#define NOTES_ARENA "notes"
#define NOTES_REGION "notes"
/* Scope and name together, with both NULs. */
#define NOTES_NAME_BYTES 80u
/* Address space; memory is taken as notes are put. */
#define NOTES_BYTES_MAX ((size_t)64 << 30)

struct note_slot {
	uint64_t hash;
	uint64_t offset; /* of the note; 0: a free slot */
};

struct notes {
	struct arena arena;
	struct region region;
	pthread_mutex_t lock;
	struct note_slot *slots; /* open-addressed, at most half full; private to this program */
	uint32_t slot_count;     /* a power of two; 0: none yet */
	uint32_t count;
};

/* Makes the arena and an empty region, and root->notes. The struct must stay where it is. The errors are arena_open()'s
 * and region_open_in()'s. */
enum error notes_open(struct notes *notes, struct memory_root *root);
/* Finds what the previous program left, after memory_root_adopt(), and sets root->notes. Changes nothing in the region.
 * ERROR_NOT_FOUND: there are no notes, not of this version, or they contradict themselves. */
enum error notes_adopt(struct notes *notes, struct memory_root *root);
/* Makes notes in a region that is empty, and was adopted. For layout/convert.c. */
void notes_make_in(struct notes *notes, struct memory_root *root, const struct arena *arena,
		   const struct region *region);
/* Frees what belongs to this program. The notes stay in their arena, for the root to close. */
void notes_close(struct notes *notes);

/* Calls `visit` for each note, in the order in which they were put. False: it stopped that. */
typedef bool notes_visit(void *context, const char *scope, const char *name, struct slice data);
bool notes_each(const struct notes *notes, notes_visit *visit, void *context);

/* Drops all notes and gives their memory back. */
void notes_clear(struct notes *notes);

/* The name must be new in its scope. data may be NULL if bytes is 0. ERROR_NO_MEMORY, ERROR_LIMIT: the note is not
 * there.
 */
enum error notes_put(struct notes *notes, const char *scope, const char *name, const void *data, size_t bytes);
/* The same, with room that the caller fills before anyone reads it. It is zero, aligned to 8 bytes, and good until
 * notes_clear(). NULL: no memory. */
void *notes_put_room(struct notes *notes, const char *scope, const char *name, size_t bytes);
enum error notes_put_u64(struct notes *notes, const char *scope, const char *name, uint64_t value);

/* False: there is no such note. *data is aligned to 8 bytes, and good until notes_clear(). Not while others put. */
bool notes_get(const struct notes *notes, const char *scope, const char *name, struct slice *data);
/* Copies a note of exactly this size. False: there is none, or it has another size. */
bool notes_get_exact(const struct notes *notes, const char *scope, const char *name, void *data, size_t bytes);
bool notes_get_u64(const struct notes *notes, const char *scope, const char *name, uint64_t *value);
/* A note that is an array of items of this size. False: there is none, or its size is not a multiple. */
bool notes_get_array(const struct notes *notes, const char *scope, const char *name, size_t item_bytes,
		     const void **items, uint32_t *count);

/* Notes with the arena's name as their scope. With a NULL arena there is nothing to keep: arena_put() does nothing. The
 * root must have notes. */
enum error arena_put(const struct arena *arena, const char *name, const void *data, size_t bytes);
bool arena_get(const struct arena *arena, const char *name, struct slice *data);
bool arena_get_exact(const struct arena *arena, const char *name, void *data, size_t bytes);

#endif
