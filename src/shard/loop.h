/* A shard's life: the main thread opens and starts it, then it runs its loop on a thread of its own. */
#ifndef SHARD_LOOP_H
#define SHARD_LOOP_H

#include "base/error.h"

#include <stdint.h>

struct shard;

/* Opens everything but the thread. By the main thread, once shard->env is filled in. ERROR_NO_MEMORY; shard_close() is
 * due in any case. */
enum error shard_open(struct shard *shard);
/* The shard has a time from now on, for what is restored before its thread runs (lifecycle/stored/restore.h). By the
 * main thread. */
void shard_begin_clock(struct shard *shard);
/* Notes what lies beside the shard's arena: of its clients, sessions, subscriptions and messages, what waits in them,
 * and layered streams. shard_open() finds it in an arena that was adopted. Not what the loop keeps, nor lists of
 * clients. Does nothing without an arena. When nothing is in transit, by the shard's thread, or after it has ended.
 * ERROR_NO_MEMORY.
 */
enum error shard_save_memory(const struct shard *shard);
/* After the thread has ended, or if it never started. */
void shard_close(struct shard *shard);
/* Copies new settings to where parts of the shard keep them. By the shard's thread; by shard_open() at first. */
void shard_take_settings(struct shard *shard);
/* Starts the thread. ERROR_SYSTEM. The outcome of its setup is in shared.started and shared.failed. */
enum error shard_start(struct shard *shard);
/* Tells the thread to drain its clients, until drain_until_ms at the latest, and to end. Does not wait. Any thread. */
void shard_stop(struct shard *shard, uint64_t drain_until_ms);

#endif
