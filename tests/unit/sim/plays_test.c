/* Plays that are the same in every run: some of fixed seeds, and what is left of those that once found a fault. */
#include "play.h"
#include "safety.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct play_hooks NOTHING;

static int close_scene(void **state)
{
	(void)state;
	play_close();
	return 0;
}

static void play_seeds(uint64_t first, uint64_t count, uint32_t steps)
{
	struct play play;
	for (uint64_t seed = first; seed < first + count; seed++) {
		play_make(&play, seed, steps);
		play_run(&play, &NOTHING);
	}
}

static void test_short_plays(void **state)
{
	(void)state;
	uint64_t before = play_loads();
	play_seeds(1, 150, 60);
	assert_true(play_loads() >= before + 20);
}

static void test_long_plays(void **state)
{
	(void)state;
	uint64_t before = play_loads();
	play_seeds(1000, 30, PLAY_STEPS_MAX);
	assert_true(play_loads() >= before + 100);
}

/* Half of the plays have commits, and what leaves in them is looked at. */
static void test_packets_are_held_to_commits(void **state)
{
	(void)state;
	uint64_t before = safety_checks();
	play_seeds(5000, 40, 300);
	assert_in_range(safety_checks() - before, 1000, UINT64_MAX);
}

/* Every kind of fault comes up in a play that has it: none is only written down. */
static void test_each_fault_happens(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < FAULT_KINDS; i++) {
		uint64_t count = 0;
		for (uint64_t seed = 1; seed <= 40 && count == 0; seed++) {
			struct play play;
			play_make(&play, seed, 200);
			play.faults = 1u << i;
			play.rarity = 2;
			play_run(&play, &NOTHING);
			count = faults_count((enum fault_kind)play.faults);
		}
		assert_int_not_equal(count, 0);
	}
}

static void play_steps(unsigned faults, const struct step *steps, uint32_t count)
{
	for (uint64_t seed = 1; seed <= 30; seed++) {
		struct play play = {.seed = seed, .faults = faults, .rarity = 3, .clients = 5, .step_count = count};
		for (uint32_t i = 0; i < count; i++)
			play.steps[i] = steps[i];
		play_run(&play, &NOTHING);
	}
}

/* A read that a signal had interrupted was taken for an empty socket: with edge-triggered events the connection was
 * never read again. */
static void test_interrupted_read(void **state)
{
	(void)state;
	static const struct step STEPS[] = {{STEP_CONNECT, 0, 0, 2},
					    {STEP_SUBSCRIBE, 0, 1, 0},
					    {STEP_TURN, 0, 2, 0xfff},
					    {STEP_END_OUTPUT, 0, 3, 0},
					    {STEP_TURN, 0, 4, 0xfff}};
	play_steps(FAULT_INTR, STEPS, sizeof(STEPS) / sizeof(STEPS[0]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_short_plays, close_scene),
		cmocka_unit_test_teardown(test_long_plays, close_scene),
		cmocka_unit_test_teardown(test_packets_are_held_to_commits, close_scene),
		cmocka_unit_test_teardown(test_each_fault_happens, close_scene),
		cmocka_unit_test_teardown(test_interrupted_read, close_scene),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
