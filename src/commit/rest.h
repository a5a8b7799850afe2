/* How a thread of the store is asked to end in good order while the store stays as it is (store_pause()). The main
 * thread asks, and may give up; the thread answers, if that comes first. */
#ifndef COMMIT_REST_H
#define COMMIT_REST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum rest_state {
	REST_NONE,    /* -> ASKED by main */
	REST_ASKED,   /* -> NONE by main; -> RESTS, REFUSED by the thread */
	REST_RESTS,   /* the thread ends, or has -> NONE by main, which starts it again */
	REST_REFUSED, /* the thread goes on -> NONE by main */
};

struct rest {
	_Atomic uint32_t state; /* enum rest_state */
};

static inline bool rest_is_asked(const struct rest *rest)
{
	return atomic_load(&rest->state) == REST_ASKED;
}

/* From ASKED. False: the other side was first. */
static inline bool rest_move(struct rest *rest, enum rest_state to)
{
	uint32_t asked = REST_ASKED;
	return atomic_compare_exchange_strong(&rest->state, &asked, to);
}

#endif
