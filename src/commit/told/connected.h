/* Which of a shard's sessions in the store have a connection. While there are some, the writer notes the time now and
 * then although nothing happens: if the gateway ends without a word, that is when their connections were lost, and from
 * when their expiry counts. One bit a session. The shard's thread alone, but for connected_any(). */
#ifndef COMMIT_TOLD_CONNECTED_H
#define COMMIT_TOLD_CONNECTED_H

#include "memory/region.h"

#include <stdatomic.h>
#include <stdbool.h>

struct connected {
	struct region bits; /* by the session's name */
	_Atomic uint32_t count;
	_Atomic bool unknown; /* there was no memory for some: they count as connected */
};

/* arena: where the bits outlive the program; one that was adopted has them, and the count is the caller's to set. NULL:
 * they do not. The errors are region_open_in()'s. */
enum error connected_init(struct connected *connected, struct arena *arena, uint16_t shard);
void connected_fini(struct connected *connected);
void connected_set(struct connected *connected, uint32_t session, bool is_connected);

static inline bool connected_any(const struct connected *connected)
{
	return atomic_load_explicit(&connected->count, memory_order_relaxed) != 0 ||
	       atomic_load_explicit(&connected->unknown, memory_order_relaxed);
}

#endif
