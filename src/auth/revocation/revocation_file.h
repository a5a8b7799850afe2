/* A table of revocations that survives a restart: what changes it is appended to a journal
 * (auth/revocation/revocation_journal.h) and on the disk before the call returns. A journal that has grown to several
 * times what is in force is written anew. Owned by the table's writer; every call may block on the disk. Nothing is
 * held open between two calls: they may come from threads that have descriptor tables of their own (reactor/fdtable.h).
 */
#ifndef AUTH_REVOCATION_FILE_H
#define AUTH_REVOCATION_FILE_H

#include "auth/revocation/revocation_journal.h"

#define REVOCATION_FILE_BYTES_MAX ((size_t)1 << 30)
/* A journal is written anew when it has twice the lines that it needs, and these more. */
#define REVOCATION_SPARE_LINES 1024u

struct revocation_file {
	char *path;
	struct revocations *revocations;
	size_t bytes;   /* of the journal */
	uint64_t lines; /* in it */
	uint32_t spare_lines;
	bool torn;  /* a write has failed, and what it left could not be cut off */
	bool lacks; /* something that has changed is not in it: it is written anew with the next call */
};

/* Puts what the file says in force; a file that is not there is made. What a write that was cut short has left at its
 * end is cut off. NULL, or why it failed; `result` tells the caller what to warn about. */
const char *revocation_file_open(struct revocation_file *file, const char *path, struct revocations *revocations,
				 int64_t now_s, struct journal_result *result);
void revocation_file_close(struct revocation_file *file);

/* revocations_add() and a line for it, where it changed anything. A failure to write leaves it in force, but only until
 * the next start: *fault says why, and is NULL otherwise. So whoever tries again hears whether it is written now. */
enum error revocation_file_add(struct revocation_file *file, const struct revocation *revocation, int64_t now_s,
			       enum revocation_change *change, const char **fault);

#endif
