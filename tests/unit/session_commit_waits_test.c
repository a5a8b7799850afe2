/* What waits for commits, against a model that is a plain array for each shard: nothing comes before its commit is
 * safe, all comes once it is, and each shard's in the order in which it was put in. */
#include "failing_memory.h"
#include "random.h"
#include "session/commit_waits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SHARDS 3u
#define SELF 1u
#define STEPS 300000
#define FULL 20000u

struct fake {
	struct commit_waits waits;
	struct journal journal;
	uint64_t told;
	uint64_t safe[SHARDS];
	uint32_t announced; /* times */
	bool awaits;
};

static uint64_t fake_told(const void *context)
{
	return ((const struct fake *)context)->told;
}

static uint64_t fake_safe(const void *context, uint16_t shard)
{
	return ((const struct fake *)context)->safe[shard];
}

static void fake_await(void *context, bool awaits)
{
	struct fake *fake = context;
	fake->awaits = awaits;
	fake->announced++;
}

static const struct journal_safety SAFETY = {.told = fake_told, .safe = fake_safe, .await = fake_await};

static int fake_open(void **state)
{
	static struct fake fake;
	fake = (struct fake){.journal = {.safety = &SAFETY, .context = &fake}};
	assert_int_equal(commit_waits_open(&fake.waits, &fake.journal, SHARDS, SELF), ERROR_OK);
	*state = &fake;
	return 0;
}

static int fake_close(void **state)
{
	struct fake *fake = *state;
	commit_waits_close(&fake->waits);
	return 0;
}

static int fake_close_after_sweep(void **state)
{
	fake_close(state);
	return failing_memory_teardown(state);
}

static void put(struct fake *fake, uint16_t shard, uint64_t commit, uint32_t ticket)
{
	struct commit_wait wait = {.ticket = ticket, .kind = COMMIT_WAIT_TICKET};
	assert_int_equal(commit_waits_push(&fake->waits, shard, commit, &wait), ERROR_OK);
}

static void expect_ticket(struct fake *fake, uint32_t ticket)
{
	struct commit_wait wait;
	assert_true(commit_waits_are_ready(&fake->waits));
	assert_true(commit_waits_next(&fake->waits, &wait));
	assert_int_equal(wait.ticket, ticket);
}

static void expect_none(struct fake *fake)
{
	struct commit_wait wait;
	assert_false(commit_waits_are_ready(&fake->waits));
	assert_false(commit_waits_next(&fake->waits, &wait));
}

static void test_nothing_waits_without_safety(void **state)
{
	(void)state;
	struct commit_waits waits;
	struct journal journal = {.told = 7};
	assert_int_equal(commit_waits_open(&waits, &journal, SHARDS, SELF), ERROR_OK);
	assert_false(commit_waits_are_on(&waits));
	assert_int_equal(commit_waits_unsafe(&waits), 0);
	assert_int_equal(commit_waits_behind(&waits), 0);
	assert_false(commit_waits_are_ready(&waits));
	commit_waits_close(&waits);
}

static void test_what_has_to_wait(void **state)
{
	struct fake *fake = *state;
	assert_int_equal(commit_waits_unsafe(&fake->waits), 0); /* nothing was told */
	fake->told = 3;
	assert_int_equal(commit_waits_unsafe(&fake->waits), 3);
	assert_int_equal(commit_waits_behind(&fake->waits), 3);
	put(fake, SELF, 3, 1);
	fake->safe[0] = fake->safe[2] = 9;
	assert_int_equal(commit_waits_unsafe(&fake->waits), 3);
	assert_false(commit_waits_is_safe(&fake->waits, SELF, 3));
	assert_true(commit_waits_is_safe(&fake->waits, 0, 9));
	assert_false(commit_waits_is_safe(&fake->waits, 0, 10));
	fake->safe[SELF] = 3;
	assert_int_equal(commit_waits_unsafe(&fake->waits), 0);
	assert_int_equal(commit_waits_behind(&fake->waits), 3); /* what leaves in order stands behind the first */
	expect_ticket(fake, 1);
	assert_int_equal(commit_waits_behind(&fake->waits), 0);
}

/* Batches come back in an order that is not that of their commits. */
static void test_the_order_stays(void **state)
{
	struct fake *fake = *state;
	put(fake, 0, 6, 1);
	put(fake, 0, 5, 2);
	put(fake, 2, 5, 3);
	fake->safe[0] = 5;
	expect_none(fake);
	fake->safe[2] = 5;
	expect_ticket(fake, 3);
	expect_none(fake);
	fake->safe[0] = 6;
	expect_ticket(fake, 1);
	expect_ticket(fake, 2);
	expect_none(fake);
}

/* Entries keep the low half of a commit's number. */
static void test_numbers_of_more_than_32_bits(void **state)
{
	struct fake *fake = *state;
	uint64_t high = (uint64_t)5 << 32;
	put(fake, 0, high - 1, 1);
	put(fake, 0, high, 2);
	put(fake, 0, high + 1, 3);
	fake->safe[0] = high - 2;
	expect_none(fake);
	fake->safe[0] = high - 1;
	expect_ticket(fake, 1);
	expect_none(fake);
	fake->safe[0] = high;
	expect_ticket(fake, 2);
	expect_none(fake);
	fake->safe[0] = high + 7;
	expect_ticket(fake, 3);
}

static void test_announced_once(void **state)
{
	struct fake *fake = *state;
	commit_waits_announce(&fake->waits);
	assert_int_equal(fake->announced, 0);
	put(fake, 0, 1, 1);
	commit_waits_announce(&fake->waits);
	put(fake, 2, 1, 2);
	commit_waits_announce(&fake->waits);
	assert_int_equal(fake->announced, 1);
	assert_true(fake->awaits);
	fake->safe[0] = fake->safe[2] = 1;
	expect_ticket(fake, 1);
	commit_waits_announce(&fake->waits);
	assert_true(fake->awaits);
	expect_ticket(fake, 2);
	commit_waits_announce(&fake->waits);
	assert_false(fake->awaits);
	assert_int_equal(fake->announced, 2);
}

static void push_two_hundred(void *context)
{
	struct fake *fake = context;
	uint32_t put_in = 0;
	struct commit_wait wait = {.kind = COMMIT_WAIT_TICKET};
	assert_int_equal(fake_open(&(void *){NULL}), 0); /* the one fake that there is */
	failing_memory_start();
	for (uint32_t i = 0; i < 200; i++) {
		wait.ticket = put_in;
		put_in += commit_waits_push(&fake->waits, 0, 1, &wait) == ERROR_OK;
	}
	failing_memory_stop();
	assert_int_equal(fake->waits.waiting, put_in);
	fake->safe[0] = 1;
	for (uint32_t i = 0; i < put_in; i++)
		expect_ticket(fake, i);
	expect_none(fake);
	commit_waits_close(&fake->waits);
}

/* What could not be put in does not wait; what was put in stays. */
static void test_without_memory(void **state)
{
	struct fake *fake = *state;
	commit_waits_close(&fake->waits);
	assert_true(failing_memory_sweep(FAILING_ALL, FAILING_ONCE, push_two_hundred, fake) >= 3);
	assert_int_equal(fake_open(state), 0);
}

struct model {
	uint32_t tickets[FULL];
	uint64_t commits[FULL]; /* as they were put in */
	uint32_t first;
	uint32_t count;
	uint64_t last;
};

static void test_against_a_model(void **state)
{
	static struct model models[SHARDS];
	struct fake *fake = *state;
	struct random random = {11};
	uint32_t tickets = 0;
	memset(models, 0, sizeof(models));
	for (int step = 0; step < STEPS; step++) {
		uint16_t shard = (uint16_t)random_below(&random, SHARDS);
		struct model *model = &models[shard];
		uint32_t what = random_below(&random, step / 3000 % 2 == 0 ? 40 : 14);
		if (what < 8 && model->count < FULL) {
			uint64_t commit = fake->safe[shard] + 1 + random_below(&random, 4);
			model->last = model->count != 0 && model->last > commit ? model->last : commit;
			uint32_t place = (model->first + model->count++) % FULL;
			model->tickets[place] = ++tickets;
			model->commits[place] = model->last;
			put(fake, shard, commit, tickets);
		} else if (what < 10) {
			fake->safe[shard] += random_below(&random, 3);
		} else {
			struct commit_wait wait;
			bool ready[SHARDS], any = false;
			for (uint16_t i = 0; i < SHARDS; i++) {
				ready[i] = models[i].count != 0 && models[i].commits[models[i].first] <= fake->safe[i];
				any |= ready[i];
			}
			assert_int_equal(commit_waits_are_ready(&fake->waits), any);
			assert_int_equal(commit_waits_next(&fake->waits, &wait), any);
			bool found = !any;
			for (uint16_t i = 0; i < SHARDS && !found; i++) {
				found = ready[i] && models[i].tickets[models[i].first] == wait.ticket;
				models[i].first = found ? (models[i].first + 1) % FULL : models[i].first;
				models[i].count -= found;
			}
			assert_true(found);
		}
	}
	assert_int_equal(fake->waits.waiting, models[0].count + models[1].count + models[2].count);
}

int main(void)
{
#define WITH_FAKE(name) cmocka_unit_test_setup_teardown(name, fake_open, fake_close)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_waits_without_safety),
		WITH_FAKE(test_what_has_to_wait),
		WITH_FAKE(test_the_order_stays),
		WITH_FAKE(test_numbers_of_more_than_32_bits),
		WITH_FAKE(test_announced_once),
		cmocka_unit_test_setup_teardown(test_without_memory, fake_open, fake_close_after_sweep),
		WITH_FAKE(test_against_a_model),
	};
	return cmocka_run_group_tests_name("what waits for commits", tests, NULL, NULL);
}
