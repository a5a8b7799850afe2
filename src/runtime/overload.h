/* Overload control: what gives way, in stated grades, when there is more to do than can be done. New work gives way
 * before established work. The measure is lag: how long a message waits to be read, that is how long it takes to serve
 * all clients that have sent something. With little to do that is one turn; with much it is many short turns. Lag
 * stands for everything that follows from saturation: by Little's law, the work in the system grows with the time it
 * takes.
 *
 *   grade     from lag of          what gives way
 *   NORMAL    0                    nothing
 *   SLOW      refuse_ms / 10       new connections: fewer are accepted per turn, the others wait in the kernel's queue
 *   REFUSE    refuse_ms (100 ms)   new connections are refused and told to come back, each at a random time
 *   SHED      2 * refuse_ms        QoS 0 messages to slow readers: their queue limit falls to an eighth
 *   HOLD      4 * refuse_ms        publishers: each is read less often
 *
 * No grade touches acknowledged messages. A grade ends when lag falls below half of the value at which it begins.
 *
 * A turn may also take long because the machine did something else: a small virtual machine can stand still for
 * hundreds of milliseconds without any load. A turn in which the thread ran for less than a quarter of the time is such
 * a stall. It counts as SLOW at most, so that nobody is refused for it. The exception is a second of stalls with no
 * rest between them: work then queues up, and whatever the cause, there is more than can be done. Pure. */
#ifndef RUNTIME_OVERLOAD_H
#define RUNTIME_OVERLOAD_H

#include <stdint.h>

/* The least lag at which REFUSE may begin. A lower one leaves no room for SLOW below it. */
#define OVERLOAD_REFUSE_MS_MIN 20u

enum overload_grade {
	OVERLOAD_NORMAL,
	OVERLOAD_SLOW,
	OVERLOAD_REFUSE,
	OVERLOAD_SHED,
	OVERLOAD_HOLD,
	OVERLOAD_GRADES,
};

/* A shard's lag. Owned by the shard's thread; gates read a copy (shared.lag_ms). */
struct overload {
	uint32_t lag_ms;      /* recent maximum: rises at once, decays by an eighth per turn */
	uint32_t stalled_ms;  /* time lost to stalls since the last rest; decays by an eighth per turn without one */
	uint64_t stall_count; /* turns of which only a part counted */
	enum overload_grade grade;
};

/* After each turn. took_ms: since the previous turn began. ran_ms: CPU time of the thread in this period. waited_ms:
 * how long the clients that were served had waited, which may be many turns. refuse_ms: 1 or more. Returns the part of
 * the turn that was a stall and does not count; the caller leaves it out of waited_ms of later turns. */
uint64_t overload_turn(struct overload *overload, uint64_t waited_ms, uint64_t took_ms, uint64_t ran_ms,
		       uint32_t refuse_ms);
/* The shard had nothing to do and slept for slept_ms before this turn: lag decays by an eighth per 10 ms. Decay per
 * turn would not do, as there may be no turns at all while the clients that would cause some are refused. */
void overload_rested(struct overload *overload, uint64_t slept_ms, uint32_t refuse_ms);
/* The grade for a lag, with hysteresis: `before` is the grade until now. */
enum overload_grade overload_grade(uint32_t lag_ms, enum overload_grade before, uint32_t refuse_ms);
/* "SLOW"; static storage. */
const char *overload_name(enum overload_grade grade);

/* When a refused client should reconnect, in ms: evenly spread over [least, 4 * least) by a random number. */
uint32_t overload_retry_ms(uint32_t least_ms, uint32_t random);

#endif
