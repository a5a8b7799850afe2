/* A directory for the store of a server that the bench starts, removed when the run has gone well. Main thread. */
#ifndef BENCH_SCRATCH_STORE_H
#define BENCH_SCRATCH_STORE_H

#include <stdbool.h>

#define SCRATCH_STORE_BYTES 64u

struct scratch_store {
	char path[SCRATCH_STORE_BYTES];
};

/* Creates it in /var/tmp, which is on a device where /tmp need not be. On failure says why on stderr and returns false.
 */
bool scratch_store_make(struct scratch_store *store);
/* Removes the directory and all that is in it. */
void scratch_store_remove(const struct scratch_store *store);

#endif
