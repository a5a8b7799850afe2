/* Clients that come with a clean start for a moment: to remove the sessions of a run, or to look at retained messages.
 * The caller's thread; blocks. */
#ifndef BENCH_PASSERS_H
#define BENCH_PASSERS_H

#include "bench/client/pool.h"
#include "bench/sessions/cast.h"

/* Connects clients 0 to count - 1 of the plan with clean start, and disconnects them, so that their sessions end.
 * Returns false if one of them was not let in within 20 s. */
bool passers_visit(const struct client_plan *plan, uint32_t count);

/* Reads the retained messages of the cast: numbers[i] of retained publisher i (0 to cast->retained - 1), or UINT64_MAX
 * where there is none. Returns false if the server did not let the reader in. */
bool passers_read_retained(const struct client_plan *plan, const struct cast *cast, uint64_t *numbers);

#endif
