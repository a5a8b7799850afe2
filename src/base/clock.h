/* Monotonic time, and the wall clock for what outlives the process. A thread reads them once a turn and hands them down
 * as parameters; pure layers never read them. Any thread. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The wall clock: Unix time. It may be set, back too. */
static inline int64_t clock_wall_s(void)
{
	return (int64_t)time(NULL);
}

/* The same in milliseconds. */
static inline uint64_t clock_wall_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

/* CPU time of the calling thread. A system call, unlike the time of day. */
static inline uint64_t clock_ran_ns(void)
{
	struct timespec ran;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ran);
	return (uint64_t)ran.tv_sec * 1000000000u + (uint64_t)ran.tv_nsec;
}

static inline uint64_t clock_now_ms(void)
{
	return clock_now_ns() / 1000000u;
}

#endif
