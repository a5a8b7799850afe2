/* The threads of a run, from start to end. Each drives its own clients and has its own descriptor table. The setup
 * (processor, timers, priority) is the same for all threads of a run. Main thread. */
#ifndef BENCH_THREADS_H
#define BENCH_THREADS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct thread_setup {
	void (*body)(void *worker);
	size_t worker_bytes; /* size of one worker in the array */
	size_t stack_bytes;  /* 0: the system's default */
	int cpu;             /* or CPU_ANY */
	int nice;            /* added to the process's; best effort */
	bool exact_timers;   /* waits end within a microsecond, not within 50 */
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

/* Starts a thread for each of the workers, an array that must live until they are joined. Returns false if one could
 * not be started, and says why on stderr; the others must be joined then too. */
bool threads_start(struct threads *threads, const struct thread_setup *setup, void *workers, uint32_t count);

/* Waits for all that were started. The caller has told them to end. Call it once. */
void threads_join(struct threads *threads);

#endif
