/* How the kernel schedules the gateway's threads: on every core that the process may use, in short slices, as
 * SCHED_BATCH.
 *
 * Why not pinned: a thread that is bound to a core waits there for whatever else runs on it, however idle the other
 * cores are. Why short slices: EEVDF orders threads by their deadlines, and a thread that asks for little at a time has
 * an early one, so that it waits for a tenth of a millisecond beside a busy neighbour where it would wait for three or
 * more. Why SCHED_BATCH: a SCHED_OTHER thread interrupts what runs when it is woken, and pays two context switches for
 * each message; beside a busy neighbour it also uses its share up on the neighbour's core, and then waits there.
 * Measured in docs/decisions/0003. */
#ifndef RUNTIME_SCHEDULE_H
#define RUNTIME_SCHEDULE_H

/* Of the calling thread. Where the kernel does not allow it the thread is scheduled as it was: there is no error. */
void schedule_thread(int nice);

#endif
