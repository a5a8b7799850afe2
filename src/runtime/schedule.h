/* How the kernel schedules the gateway's threads: on any core that the process may use, in short slices, as
 * SCHED_BATCH.
 *
 * Why not pinned: a pinned thread waits for whatever else runs on its core, even if other cores are idle. Why short
 * slices: EEVDF orders threads by deadline, and a thread with a short slice has an early one. Beside a busy neighbour
 * it waits for a tenth of a millisecond instead of three or more. Why SCHED_BATCH: a SCHED_OTHER thread preempts the
 * running one when it is woken, which costs two context switches per message. Beside a busy neighbour it also uses up
 * its share on the neighbour's core, and then waits there. Measured in docs/decisions/0003. */
#ifndef RUNTIME_SCHEDULE_H
#define RUNTIME_SCHEDULE_H

/* Schedules the calling thread this way. If the kernel does not allow it, nothing changes; that is no error. */
void schedule_thread(int nice);

#endif
