/* A writer's thread makes commits safe while the owner's sleeps: the owner says that it waits, looks once more, and
 * then sleeps until it is woken. A wake-up that got lost would let it sleep for ever. */
#include "base/check.h"
#include "reactor/poller.h"
#include "reactor/waker.h"
#include "session/commit_waits.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>

#define COMMITS 20000u
#define SHARDS 2u

/* As a store would: the flag is looked at after the number was set, both in one order for all. */
struct store {
	struct waker waker;
	_Atomic uint64_t told; /* of each shard; for the writer */
	_Atomic uint64_t safe[SHARDS];
	_Atomic bool awaits;
};

static uint64_t store_told(const void *context)
{
	return atomic_load(&((struct store *)(uintptr_t)context)->told);
}

static uint64_t store_safe(const void *context, uint16_t shard)
{
	return atomic_load(&((struct store *)(uintptr_t)context)->safe[shard]);
}

static void store_await(void *context, bool awaits)
{
	atomic_store(&((struct store *)context)->awaits, awaits);
}

static const struct journal_safety SAFETY = {.told = store_told, .safe = store_safe, .await = store_await};

static void *write_commits(void *context)
{
	struct store *store = context;
	uint64_t safe = 0;
	while (safe != COMMITS) {
		uint64_t told = atomic_load(&store->told);
		if (told == safe)
			continue;
		safe = told;
		for (uint16_t shard = 0; shard < SHARDS; shard++)
			atomic_store(&store->safe[shard], safe);
		if (atomic_load(&store->awaits))
			waker_wake(&store->waker);
	}
	return NULL;
}

static void sleep_until_woken(struct poller *poller, struct store *store, const struct commit_waits *waits)
{
	struct poller_event events[4];
	waker_sleep(&store->waker);
	int timeout_ms = commit_waits_are_ready(waits) ? 0 : 60000;
	int count = poller_wait(poller, events, 4, timeout_ms);
	CHECK(timeout_ms == 0 || count > 0); /* else the wake-up was lost */
	waker_awake(&store->waker);
}

static void test_no_wake_up_is_lost(void **state)
{
	(void)state;
	static struct store store;
	struct poller poller;
	struct commit_waits waits;
	struct journal journal = {.safety = &SAFETY, .context = &store};
	pthread_t writer;
	assert_int_equal(waker_open(&store.waker), ERROR_OK);
	assert_int_equal(poller_open(&poller), ERROR_OK);
	assert_int_equal(poller_add(&poller, store.waker.fd, 1, POLLER_EDGE_READ), ERROR_OK);
	assert_int_equal(commit_waits_open(&waits, &journal, SHARDS, 0), ERROR_OK);
	assert_int_equal(pthread_create(&writer, NULL, write_commits, &store), 0);
	uint32_t waited = 0;
	for (uint64_t commit = 1; commit <= COMMITS; commit++) {
		struct commit_wait wait = {.ticket = (uint32_t)commit};
		atomic_store(&store.told, commit);
		if (commit_waits_is_safe(&waits, commit % SHARDS, commit))
			continue;
		waited++;
		assert_int_equal(commit_waits_push(&waits, commit % SHARDS, commit, &wait), ERROR_OK);
		commit_waits_announce(&waits);
		if (commit % 4 == 0)
			sleep_until_woken(&poller, &store, &waits);
		while (commit_waits_next(&waits, &wait))
			waited--;
	}
	while (commit_waits_any(&waits)) {
		struct commit_wait wait;
		commit_waits_announce(&waits);
		sleep_until_woken(&poller, &store, &waits);
		while (commit_waits_next(&waits, &wait))
			waited--;
	}
	assert_int_equal(waited, 0);
	assert_int_equal(pthread_join(writer, NULL), 0);
	commit_waits_close(&waits);
	poller_close(&poller);
	waker_close(&store.waker);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_wake_up_is_lost)};
	return cmocka_run_group_tests_name("commits by another thread", tests, NULL, NULL);
}
