/* What gives way when there is more to do than can be done, in stated grades, new work before established work. The
 * measure is lag: how long a message waits to be looked at, that is how long it takes until all who have sent something
 * are served: a turn while there is little to do, and many turns, which are short, while there is much. It
 * stands for all that follows from the knee: by Little's law what is under way grows with the time that it takes.
 *
 *   grade     from lag of          what gives way
 *   NORMAL    0                    nothing
 *   SLOW      refuse_ms / 10       new connections: fewer are accepted in a turn, the others wait in the kernel's queue
 *   REFUSE    refuse_ms (100 ms)   new connections are refused, and told when to come back, each at another time
 *   SHED      2 * refuse_ms        QoS 0 messages to clients that read slowly: an eighth of the queue is left to them
 *   HOLD      4 * refuse_ms        publishers: each is read from less often
 *
 * No grade touches what was acknowledged. A grade is left when lag is below half of what it began with.
 *
 * A turn may take long because the machine did something else: a small virtual one stands still for hundreds of
 * milliseconds without any load. A turn in which the thread ran for less than a quarter of the time is such a stall. It
 * counts as SLOW at most, so that nobody is refused for it: unless stalls of a second have come together with no rest
 * between them. Then work queues, and whoever is to blame, there is more than can be done. Pure but for the shared word
 * that each shard writes and gates read. */
#ifndef RUNTIME_OVERLOAD_H
#define RUNTIME_OVERLOAD_H

#include <stdint.h>

/* A lag of so long is REFUSE: the least that leaves room for the other grades. */
#define OVERLOAD_REFUSE_MS_MIN 20u

enum overload_grade {
	OVERLOAD_NORMAL,
	OVERLOAD_SLOW,
	OVERLOAD_REFUSE,
	OVERLOAD_SHED,
	OVERLOAD_HOLD,
	OVERLOAD_GRADES,
};

/* A shard's lag; written by it alone, read by gates. */
struct overload {
	uint32_t lag_ms;      /* the worst of late: a new worst counts at once, and is forgotten by an eighth a turn */
	uint32_t stalled_ms;  /* by stalls since the shard last rested; forgotten by an eighth in a turn without one */
	uint64_t stall_count; /* turns that did not count in full */
	enum overload_grade grade;
};

/* A turn was over. took_ms: since the turn before it began; ran_ms: what the thread ran for in this time; waited_ms:
 * how long those whom it served have waited, which may be many turns. Returns what of the turn does not count, for it
 * was a stall: it is not in waited_ms of the turns to come. */
uint64_t overload_turn(struct overload *overload, uint64_t waited_ms, uint64_t took_ms, uint64_t ran_ms,
		       uint32_t refuse_ms);
/* The shard slept for so long before this turn: it had nothing to do, and what was is forgotten by an eighth in every
 * 10 ms. There may be few turns, and none at all while those who would make some are refused. */
void overload_rested(struct overload *overload, uint64_t slept_ms, uint32_t refuse_ms);
/* The grade for a lag, coming from `before`. */
enum overload_grade overload_grade(uint32_t lag_ms, enum overload_grade before, uint32_t refuse_ms);
/* "SLOW"; static storage. */
const char *overload_name(enum overload_grade grade);

/* When a refused client may come back, in ms: spread evenly over [least, 4 * least) by a random number. */
uint32_t overload_retry_ms(uint32_t least_ms, uint32_t random);

#endif
