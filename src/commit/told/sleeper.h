/* A thread that sleeps until there is work. Waking one that is awake costs a fence and a load; there is one system call
 * only where it sleeps. No descriptor, so that it works between threads with descriptor tables of their own. One thread
 * sleeps, any thread wakes. */
#ifndef COMMIT_TOLD_SLEEPER_H
#define COMMIT_TOLD_SLEEPER_H

#include <stdatomic.h>
#include <stdint.h>

struct sleeper {
	_Atomic uint32_t asleep;
};

#define SLEEPER_FOREVER UINT64_MAX

/* The owner is about to sleep. It looks for work once more after this, and then calls sleeper_sleep() or, where it
 * found some, sleeper_awake(). */
void sleeper_prepare(struct sleeper *sleeper);
/* Returns after a wake since sleeper_prepare(), or when ns_max have passed. */
void sleeper_sleep(struct sleeper *sleeper, uint64_t ns_max);
void sleeper_awake(struct sleeper *sleeper);
/* Call this after the work is visible. */
void sleeper_wake(struct sleeper *sleeper);

#endif
