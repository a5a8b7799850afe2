/* A store stands still, and goes on. */
#include "commit/store_state.h"

#include "base/check.h"
#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Between two looks whether the threads rest. A sync takes longer. */
#define LOOK_NAP_NS 50000

void store_hurry(struct store *store)
{
	CHECK(store->has_started);
	/* Until the epoch's first checkpoint is complete nothing is safe: that is not held up. */
	bool is_safe = figures_get(&store->figures.checkpoints) != 0;
	atomic_store_explicit(&store->common.hurries, is_safe, memory_order_relaxed);
	atomic_store(&store->writer.hurries, true);
	for (uint16_t i = 0; i < store->common.shard_count; i++) {
		struct store_shard *shard = &store->common.shards[i];
		shard->hurried = figures_get(&shard->buffers.open_number);
	}
	sleeper_wake(&store->writer.sleeper);
}

bool store_has_hurried(const struct store *store)
{
	bool is_safe = true;
	for (uint16_t i = 0; i < store->common.shard_count; i++) {
		const struct store_shard *shard = &store->common.shards[i];
		is_safe &= figures_get(&shard->safe) >= shard->hurried;
	}
	/* Before the epoch's first checkpoint is complete nothing is, and nobody is held up for want of a sync. */
	return is_safe || figures_get(&store->figures.checkpoints) == 0;
}

static bool store_is_late(uint64_t from_ns, uint32_t limit_ms)
{
	return clock_now_ns() - from_ns > (uint64_t)limit_ms * 1000000u;
}

/* Waits until the thread has answered. A sync that does not return is not waited for: what it makes safe is reported
 * when it has. */
static enum rest_state store_await_rest(struct rest *rest, uint64_t from_ns, uint32_t limit_ms)
{
	static const struct timespec nap = {.tv_nsec = LOOK_NAP_NS};
	while (rest_is_asked(rest)) {
		if (store_is_late(from_ns, limit_ms) && rest_move(rest, REST_NONE))
			break;
		clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
	}
	return (enum rest_state)atomic_load(&rest->state);
}

static void store_say_why(const struct store *store, enum rest_state writer, uint32_t limit_ms,
			  struct store_refusal *refusal)
{
	char *why = refusal->why;
	size_t room = sizeof(refusal->why);
	uint32_t state = atomic_load_explicit(&store->figures.state, memory_order_relaxed);
	int error = atomic_load_explicit(&store->figures.error, memory_order_relaxed);
	if (writer == REST_NONE)
		snprintf(why, room, "the store's device has not synced within %u ms what was told last", limit_ms);
	else if (state == STORE_FULL)
		snprintf(why, room, "the store's device has no room");
	else if (state == STORE_BROKEN)
		snprintf(why, room, "the store's device fails: %s",
			 strerror(error)); /* NOLINT(concurrency-mt-unsafe): glibc's is per thread */
	else if (writer == REST_REFUSED)
		snprintf(why, room, "there is no memory to write what the store was told last");
	else
		snprintf(why, room, "messages are being read from the store");
}

bool store_pause(struct store *store, uint32_t limit_ms, struct store_refusal *refusal)
{
	CHECK(store->has_started && store->writer_runs && store->reader_runs);
	struct rest *writer = &store->writer.rest, *reader = &store->reader.rest;
	uint64_t from_ns = clock_now_ns();
	atomic_store(&writer->state, REST_ASKED);
	atomic_store(&reader->state, REST_ASKED);
	sleeper_wake(&store->writer.sleeper);
	sleeper_wake(&store->writer.retry);
	sleeper_wake(&store->common.reader);
	enum rest_state writer_state = store_await_rest(writer, from_ns, limit_ms);
	enum rest_state reader_state = store_await_rest(reader, from_ns, limit_ms);
	if (writer_state == REST_RESTS)
		pthread_join(store->writer_thread, NULL);
	if (reader_state == REST_RESTS)
		pthread_join(store->reader_thread, NULL);
	store->writer_runs = writer_state != REST_RESTS;
	store->reader_runs = reader_state != REST_RESTS;
	if (!store->writer_runs && !store->reader_runs)
		return true;
	store_say_why(store, writer_state, limit_ms, refusal);
	return false;
}

enum error store_go_on(struct store *store, struct waker *const *wakers)
{
	CHECK(store->has_started);
	store->is_adopted = store->writer.segments.adopted = false;
	if (!store->writer_runs)
		store->writer.wakers = wakers;
	if (!store->reader_runs)
		store->reader.wakers = wakers;
	atomic_store_explicit(&store->common.hurries, false, memory_order_relaxed);
	atomic_store(&store->writer.hurries, false);
	atomic_store(&store->writer.rest.state, REST_NONE);
	atomic_store(&store->reader.rest.state, REST_NONE);
	return store_start_threads(store);
}
