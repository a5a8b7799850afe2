/* How the kernel schedules one of the gateway's threads: it may run on every core that the process may use, in short
 * slices, and whether it interrupts others when it is woken follows what it has to do.
 *
 * Why not pinned: a thread that is bound to a core waits there for whatever else runs on it, however idle the other
 * cores are. Why short slices: EEVDF orders threads by their deadlines, and a thread that asks for little at a time has
 * an early one, so that it waits for a tenth of a millisecond beside a busy neighbour where it would wait for three or
 * more. Why two policies: a SCHED_OTHER thread interrupts what runs when it is woken, which is what a message alone
 * wants. A busy thread that does so pays two context switches for each message; as SCHED_BATCH it waits until the
 * running thread has had its slice, and finds many messages. Measured in docs/decisions/0003. Owned by the thread. */
#ifndef GATEWAY_SCHEDULE_H
#define GATEWAY_SCHEDULE_H

#include <stdint.h>

enum schedule_policy {
	SCHEDULE_PROMPT, /* SCHED_OTHER */
	SCHEDULE_BATCH,  /* SCHED_BATCH */
};

struct schedule {
	enum schedule_policy policy;
	int nice;
	uint64_t window_ns; /* when the current window began, on the monotonic clock */
	uint64_t used_ns;   /* processor time of the thread by then */
};

/* The policy for a thread that used so much of a window, given the one before: the two bounds lie apart so that it does
 * not change to and fro. Pure. */
enum schedule_policy schedule_choose(enum schedule_policy before, uint64_t used_ns, uint64_t window_ns);

/* At the thread's beginning, for itself. Where the kernel does not allow it the thread is scheduled as it was: there is
 * no error. A thread that stays with its first policy needs no more than this. */
void schedule_begin(struct schedule *schedule, enum schedule_policy policy, int nice, uint64_t now_ns);
/* Once a turn: asks for the other policy where the thread has become busy, or idle. One comparison in most turns. */
void schedule_turn(struct schedule *schedule, uint64_t now_ns);

#endif
