/* Private descriptor tables. A process may be limited to 20,000 descriptors, but the limit applies to each *table*, and
 * a thread may have a table of its own. That is how one process holds a million sockets without tuning.
 *
 * A descriptor is valid only in the table of the thread that opened it. Sockets move from one table to another with
 * reactor/fdpass.h. Each thread calls this once, when it starts. Linux only. */
#ifndef REACTOR_FDTABLE_H
#define REACTOR_FDTABLE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fdtable_kind {
	FDTABLE_SHARED,  /* the kernel or a container's profile refused; all such threads share one table */
	FDTABLE_PRIVATE, /* by unshare(CLONE_FILES) or close_range(CLOSE_RANGE_UNSHARE) */
};

/* Raises the soft RLIMIT_NOFILE to the hard limit. Returns how many descriptors a table may hold from now on. */
uint64_t fdtable_raise_limit(void);

/* Whether fdtable_detach() works here. Tries it in a new thread, so that the caller's table stays as it is. */
bool fdtable_can_detach(void);

/* Gives the calling thread a private table that holds 0, 1, 2 and the `count` descriptors in keep (in any order) only.
 * If this is refused, the table stays shared and nothing is closed. Tries unshare() first, then close_range(), because
 * some container profiles allow only one of them. */
enum fdtable_kind fdtable_detach(const int *keep, size_t count);

#endif
