/* The threads of a run, from start to end. Each drives clients of its own and shares no descriptors with the others.
 * How a thread is set up (processor, timers, priority, descriptor table) is the same for all of a run. Main thread. */
#ifndef BENCH_THREADS_H
#define BENCH_THREADS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct thread_setup {
	void (*body)(void *worker);
	size_t worker_bytes; /* distance of two workers in their array */
	size_t stack_bytes;  /* 0: the system's default */
	int cpu;             /* or CPU_ANY */
	int nice;            /* added to the process's; best effort */
	bool exact_timers;   /* a wait ends within a microsecond, not within 50 */
};

struct thread {
	pthread_t id;
	struct thread_setup setup;
	void *worker;
};

/* All zero: none was started. */
struct threads {
	struct thread *list;
	uint32_t count; /* that were started */
};

/* Starts a thread for each of the workers, an array that must stay until they are joined. False: one could not be
 * started; says why on stderr. Join the others then too. */
bool threads_start(struct threads *threads, const struct thread_setup *setup, void *workers, uint32_t count);

/* Waits for all that were started; once only. What they are to end by, the caller has told them. */
void threads_join(struct threads *threads);

#endif
