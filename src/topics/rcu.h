/* Read-copy-update in its quiescent-state flavour (liburcu): readers of the routing index take no lock and write no
 * shared line; they only say, once a turn, that they hold nothing. What was unlinked is freed when every reader has
 * said so. Each thread that reads the index, or defers a free, registers.
 *
 * The annotations tell ThreadSanitizer of the order that a grace period makes; liburcu's own barriers are in assembly,
 * which it cannot see. */
#ifndef TOPICS_RCU_H
#define TOPICS_RCU_H

#if !defined(__SANITIZE_THREAD__)
#define _LGPL_SOURCE /* inline; under TSan calls into the library, whose own futex words are then not looked at */
#endif
#include <urcu-qsbr.h>

#if defined(__SANITIZE_THREAD__)
void __tsan_acquire(void *address);
void __tsan_release(void *address);
extern char rcu_grace; /* stands for "a grace period has passed" */
#define RCU_RELEASE() __tsan_release(&rcu_grace)
#define RCU_ACQUIRE() __tsan_acquire(&rcu_grace)
#else
#define RCU_RELEASE() ((void)0)
#define RCU_ACQUIRE() ((void)0)
#endif

static inline void reader_register(void)
{
	urcu_qsbr_register_thread();
}

static inline void reader_unregister(void)
{
	RCU_RELEASE();
	urcu_qsbr_unregister_thread();
}

/* Between turns: nothing of the index is held. */
static inline void reader_quiescent(void)
{
	RCU_RELEASE();
	urcu_qsbr_quiescent_state();
}

/* Around a sleep, so that a sleeping thread holds up no one's frees. */
static inline void reader_offline(void)
{
	RCU_RELEASE();
	urcu_qsbr_thread_offline();
}

static inline void reader_online(void)
{
	urcu_qsbr_thread_online();
}

/* Makes the thread that reader_defer() hands work to. By the main thread, before others: a thread shares the descriptor
 * table of the one that makes it, and would otherwise be made by whichever shard defers first. */
static inline void reader_start_deferring(void)
{
	(void)urcu_qsbr_get_default_call_rcu_data();
}

/* Calls `free_it` after a grace period, in a thread of liburcu's. It begins with RCU_ACQUIRE() and ends with
 * RCU_RELEASE(). */
static inline void reader_defer(struct rcu_head *head, void (*free_it)(struct rcu_head *head))
{
	RCU_RELEASE();
	urcu_qsbr_call_rcu(head, free_it);
}

/* Waits for all that was deferred so far. Blocks; never while holding anything of the index. */
static inline void reader_await_deferred(void)
{
	urcu_qsbr_barrier();
	RCU_ACQUIRE();
}

#endif
