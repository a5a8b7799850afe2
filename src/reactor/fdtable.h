/* Descriptor tables. A process may be allowed only 20,000 descriptors, but the limit counts per *table*, and each
 * thread may have a table of its own: that is how one process holds a million sockets without any tuning.
 *
 * A descriptor number means something only in the table of the thread that opened it. Sockets go from one table to
 * another with reactor/fdpass.h. Called once by each thread at its start; Linux. */
#ifndef REACTOR_FDTABLE_H
#define REACTOR_FDTABLE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fdtable_kind {
	FDTABLE_SHARED,  /* the kernel or a container profile refused: all such threads share one table */
	FDTABLE_PRIVATE, /* by unshare(CLONE_FILES) or close_range(CLOSE_RANGE_UNSHARE) */
};

/* Raises the soft RLIMIT_NOFILE to the hard one. Returns how many descriptors one table may hold from now on. */
uint64_t fdtable_raise_limit(void);

/* Whether fdtable_detach() works here: tried by a thread of its own, so that the caller's table stays as it is. */
bool fdtable_can_detach(void);

/* Gives the calling thread a private table which holds 0, 1, 2 and the `count` descriptors of keep (any order), and
 * no other. Where this is refused the table stays shared and nothing is closed. Tries unshare() first, then
 * close_range() (some container profiles know only one of them). */
enum fdtable_kind fdtable_detach(const int *keep, size_t count);

#endif
