/* Read-copy-update in its quiescent-state flavour (liburcu's QSBR). Readers of the routing index take no lock and write
 * no shared cache line. Once a turn they report that they hold nothing of it. An unlinked block is freed when every
 * reader has done so, a grace period later. Each thread that reads the index or defers a free must register.
 *
 * The annotations tell ThreadSanitizer of the order that a grace period establishes. liburcu's own barriers are in
 * assembly, which it cannot see. */
#ifndef TOPICS_RCU_H
#define TOPICS_RCU_H

#if !defined(__SANITIZE_THREAD__)
#define _LGPL_SOURCE /* inline; under TSan, calls into the library instead, whose futex words TSan then ignores */
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

/* Between turns, when the thread holds nothing of the index. */
static inline void reader_quiescent(void)
{
	RCU_RELEASE();
	urcu_qsbr_quiescent_state();
}

/* Around a sleep, so that a sleeping thread delays no grace period. */
static inline void reader_offline(void)
{
	RCU_RELEASE();
	urcu_qsbr_thread_offline();
}

static inline void reader_online(void)
{
	urcu_qsbr_thread_online();
}

/* Starts the thread that does the work of reader_defer(). The main thread calls this before it starts others. A thread
 * shares the descriptor table of its creator, and liburcu would let the first shard that defers something create it. */
static inline void reader_start_deferring(void)
{
	(void)urcu_qsbr_get_default_call_rcu_data();
}

/* Calls `free_it` after a grace period, on liburcu's thread. It must begin with RCU_ACQUIRE() and end with
 * RCU_RELEASE(). */
static inline void reader_defer(struct rcu_head *head, void (*free_it)(struct rcu_head *head))
{
	RCU_RELEASE();
	urcu_qsbr_call_rcu(head, free_it);
}

/* Waits until everything deferred so far is done. Blocks. The caller must hold nothing of the index, locks included. */
static inline void reader_await_deferred(void)
{
	urcu_qsbr_barrier();
	RCU_ACQUIRE();
}

#endif
