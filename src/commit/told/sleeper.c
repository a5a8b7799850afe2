#include "commit/told/sleeper.h"

#include "base/check.h"

#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "the kernel reads the word");

void sleeper_prepare(struct sleeper *sleeper)
{
	CHECK(atomic_load_explicit(&sleeper->asleep, memory_order_relaxed) == 0);
	/* Paired with the fence in sleeper_wake(): either the other thread sees that we sleep, or our last look for
	 * work sees its work. */
	atomic_store(&sleeper->asleep, 1);
	atomic_thread_fence(memory_order_seq_cst);
}

void sleeper_awake(struct sleeper *sleeper)
{
	atomic_store_explicit(&sleeper->asleep, 0, memory_order_relaxed);
}

void sleeper_sleep(struct sleeper *sleeper, uint64_t ns_max)
{
	struct timespec most = {.tv_sec = (time_t)(ns_max / 1000000000u), .tv_nsec = (long)(ns_max % 1000000000u)};
	long slept = syscall(SYS_futex, &sleeper->asleep, FUTEX_WAIT_PRIVATE, 1,
			     ns_max != SLEEPER_FOREVER ? &most : NULL, NULL, 0);
	/* Woken in between (EAGAIN), a signal, or a wake for nothing: the owner looks for work in each case. */
	CHECK(slept == 0 || errno == EAGAIN || errno == EINTR || errno == ETIMEDOUT);
	sleeper_awake(sleeper);
}

void sleeper_wake(struct sleeper *sleeper)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&sleeper->asleep, memory_order_relaxed) == 0)
		return;
	if (atomic_exchange(&sleeper->asleep, 0) != 0)
		syscall(SYS_futex, &sleeper->asleep, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
