/* Many nodes over a bus that loses, delays and tears, with clocks minutes apart, nodes that are killed, paused, started
 * again and started twice, from seeds. Each node's observer is told a story that makes sense, and once all is quiet
 * every node has the same view: those that run. SEED=n runs one. */
#include "cluster/members/members.h"

#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SEEDS 150u
#define NAMES 6u
#define PROCESSES 8u /* two of them have names that others have */
#define FLYING_MAX 512u
#define TIMEOUT_MS 2000u
#define STEP_MS 10u
#define TROUBLE_STEPS 4000u
#define QUIET_STEPS 1500u

/* What an observer was told of the slot's run. */
enum story { STORY_NONE, STORY_ALIVE, STORY_AWAY };

struct process {
	struct members *members; /* NULL: it does not run */
	bool is_paused;
	bool must_renew;
	uint32_t side;         /* of the tear */
	uint64_t monotonic_ms; /* what its clocks are ahead */
	uint64_t wall_ms;
	enum story stories[NODES_MAX];
	uint64_t incarnations[NODES_MAX];
};

struct flying {
	uint64_t due_ms;
	uint32_t to;
	size_t size;
	uint8_t *bytes;
};

struct play {
	uint32_t seed;
	struct random random;
	uint64_t now_ms;
	uint64_t last_incarnation;
	struct process processes[PROCESSES];
	struct flying bus[FLYING_MAX];
	uint32_t flying_count;
	bool is_torn;
	bool is_quiet;
};

static uint64_t own_ms(const struct play *play, const struct process *process)
{
	return play->now_ms + process->monotonic_ms;
}

/* ---- the story ---- */

static void on_joined(void *context, uint32_t slot)
{
	struct process *process = context;
	assert_int_equal(process->stories[slot], STORY_NONE);
	process->stories[slot] = STORY_ALIVE;
	process->incarnations[slot] = members_at(process->members, slot)->incarnation;
}

static void on_away(void *context, uint32_t slot, enum away_reason reason)
{
	struct process *process = context;
	(void)reason;
	assert_int_equal(process->stories[slot], STORY_ALIVE);
	process->stories[slot] = STORY_AWAY;
}

static void on_back(void *context, uint32_t slot)
{
	struct process *process = context;
	assert_int_equal(process->stories[slot], STORY_AWAY);
	assert_true(process->incarnations[slot] == members_at(process->members, slot)->incarnation);
	process->stories[slot] = STORY_ALIVE;
}

static void on_ended(void *context, uint32_t slot, uint64_t incarnation, bool said_goodbye)
{
	struct process *process = context;
	(void)said_goodbye;
	assert_int_not_equal(process->stories[slot], STORY_NONE);
	assert_true(process->incarnations[slot] == incarnation);
	process->stories[slot] = STORY_NONE;
}

static void on_renew(void *context, struct slice by)
{
	struct process *process = context;
	(void)by;
	assert_false(process->must_renew);
	process->must_renew = true;
}

static void on_view(void *context)
{
	(void)context;
}

static void on_refused(void *context, struct slice name, enum members_refusal refusal)
{
	(void)context;
	(void)name;
	(void)refusal;
}

static void on_agreement(void *context, uint32_t slot, struct slice name, bool is_alike)
{
	(void)context;
	(void)slot;
	(void)name;
	(void)is_alike;
}

static void on_clock(void *context, uint32_t slot, int64_t difference_ms)
{
	(void)context;
	(void)slot;
	(void)difference_ms;
}

/* ---- the bus ---- */

static void put_on_bus(struct play *play, uint32_t from, struct slice bytes)
{
	for (uint32_t to = 0; to < PROCESSES && bytes.size != 0; to++) {
		bool is_cut = play->is_torn && play->processes[to].side != play->processes[from].side;
		bool is_lost = !play->is_quiet && random_below(&play->random, 20) == 0;
		if (is_cut || is_lost || play->flying_count == FLYING_MAX || play->processes[to].members == NULL)
			continue;
		uint32_t late_ms = play->is_quiet ? 0 : random_below(&play->random, 100);
		struct flying *flying = &play->bus[play->flying_count++];
		*flying = (struct flying){.due_ms = play->now_ms + 1 + late_ms, .to = to, .size = bytes.size};
		flying->bytes = malloc(bytes.size);
		assert_non_null(flying->bytes);
		memcpy(flying->bytes, bytes.data, bytes.size);
	}
}

static void renew_if_asked(struct play *play, uint32_t number)
{
	struct process *process = &play->processes[number];
	if (!process->must_renew)
		return;
	put_on_bus(play, number, members_goodbye(process->members, own_ms(play, process), process->wall_ms));
	for (uint32_t slot = 0; slot < NODES_MAX; slot++)
		process->stories[slot] = STORY_NONE;
	process->must_renew = false;
	members_renew(process->members, ++play->last_incarnation, own_ms(play, process));
}

static void receive_due(struct play *play)
{
	for (uint32_t i = 0; i < play->flying_count;) {
		struct flying *flying = &play->bus[i];
		struct process *process = &play->processes[flying->to];
		if (process->members != NULL && (process->is_paused || flying->due_ms > play->now_ms)) {
			i++;
			continue;
		}
		if (process->members != NULL) {
			members_receive(process->members, slice_of(flying->bytes, flying->size), own_ms(play, process),
					play->now_ms + process->wall_ms);
			renew_if_asked(play, flying->to);
		}
		free(flying->bytes);
		*flying = play->bus[--play->flying_count];
	}
}

/* ---- processes ---- */

static void start(struct play *play, uint32_t number)
{
	static const char *const NAMED[NAMES] = {"a", "b", "c", "d", "e", "f"};
	struct process *process = &play->processes[number];
	struct members_observer observer = {process, on_joined,  on_away,  on_back,      on_ended,
					    on_view, on_refused, on_renew, on_agreement, on_clock};
	*process = (struct process){.side = random_below(&play->random, 2),
				    .monotonic_ms = random_below(&play->random, 1000000),
				    .wall_ms = random_below(&play->random, 1000000)};
	struct members_settings settings = {.name = slice_string(NAMED[number % NAMES]),
					    .incarnation = ++play->last_incarnation,
					    .version = "1",
					    .protocol_min = 1,
					    .protocol_max = 1,
					    .timeout_ms = TIMEOUT_MS};
	process->members = members_new(&settings, &observer, own_ms(play, process));
	assert_non_null(process->members);
}

static void stop(struct play *play, uint32_t number, bool says_goodbye)
{
	struct process *process = &play->processes[number];
	if (says_goodbye)
		put_on_bus(play, number, members_goodbye(process->members, own_ms(play, process), 0));
	members_free(process->members);
	process->members = NULL;
}

static void make_trouble(struct play *play)
{
	uint32_t number = random_below(&play->random, PROCESSES);
	struct process *process = &play->processes[number];
	switch (random_below(&play->random, 400)) {
	case 0:
		play->is_torn = !play->is_torn;
		break;
	case 1:
	case 2:
		process->is_paused = !process->is_paused;
		break;
	case 3:
		process->side = 1 - process->side;
		break;
	case 4:
	case 5:
		if (process->members == NULL)
			start(play, number);
		else if (!process->is_paused)
			stop(play, number, random_below(&play->random, 2) == 0);
		break;
	default:
		break;
	}
}

static void step(struct play *play)
{
	if (!play->is_quiet)
		make_trouble(play);
	receive_due(play);
	for (uint32_t i = 0; i < PROCESSES; i++) {
		struct process *process = &play->processes[i];
		if (process->members == NULL || process->is_paused)
			continue;
		uint64_t now_ms = own_ms(play, process);
		if (now_ms >= members_next_deadline(process->members))
			members_tick(process->members, now_ms);
		renew_if_asked(play, i);
		put_on_bus(play, i, members_heartbeat(process->members, now_ms, play->now_ms + process->wall_ms));
	}
	play->now_ms += STEP_MS;
}

static void print_views(const struct play *play)
{
	for (uint32_t i = 0; i < PROCESSES; i++) {
		const struct members *members = play->processes[i].members;
		struct view_member view[NODES_MAX + 1];
		if (members == NULL)
			continue;
		uint32_t count = members_view(members, view);
		printf("# %u, run %u,%s agrees: %d, view:", i, (uint32_t)members_own_incarnation(members),
		       members_has_yielded(members) ? " has yielded," : "", members_agree(members));
		for (uint32_t j = 0; j < count; j++)
			printf(" %.*s:%u", (int)view[j].name.size, (const char *)view[j].name.data,
			       (uint32_t)view[j].incarnation);
		for (uint32_t j = 0; j < members_slot_count(members); j++)
			printf(" [%s:%u %d]", members_at(members, j)->name,
			       (uint32_t)members_at(members, j)->incarnation, (int)members_at(members, j)->state);
		printf("\n");
	}
}

/* Of two with one name, one has yielded and is alone. Everybody else has one view, which has each name that runs. */
static void assert_one_view(const struct play *play)
{
	uint64_t hash = 0;
	uint32_t names = 0, together = 0;
	bool runs[NAMES] = {0};
	for (uint32_t i = 0; i < PROCESSES; i++) {
		const struct members *members = play->processes[i].members;
		if (members == NULL)
			continue;
		names += !runs[i % NAMES];
		runs[i % NAMES] = true;
		if (members_has_yielded(members))
			continue;
		together++;
		hash = hash != 0 ? hash : members_view_hash(members);
		if (members_view_hash(members) != hash || !members_agree(members)) {
			print_views(play);
			fail_msg("seed %u: views differ", play->seed);
		}
	}
	assert_int_equal(together, names);
	for (uint32_t i = 0; i < PROCESSES; i++) {
		const struct members *members = play->processes[i].members;
		struct view_member view[NODES_MAX + 1];
		if (members != NULL && !members_has_yielded(members))
			assert_int_equal(members_view(members, view), names);
	}
}

static void run(uint32_t seed)
{
	struct play *play = calloc(1, sizeof(*play));
	assert_non_null(play);
	play->seed = seed;
	play->random.state = seed * 0x9E3779B97F4A7C15u;
	play->now_ms = 1000;
	for (uint32_t i = 0; i < NAMES; i++)
		start(play, i);
	for (uint32_t i = 0; i < TROUBLE_STEPS; i++)
		step(play);
	play->is_quiet = true;
	play->is_torn = false;
	for (uint32_t i = 0; i < PROCESSES; i++)
		play->processes[i].is_paused = false;
	for (uint32_t i = 0; i < QUIET_STEPS; i++)
		step(play);
	assert_one_view(play);
	for (uint32_t i = 0; i < PROCESSES; i++)
		members_free(play->processes[i].members);
	while (play->flying_count != 0)
		free(play->bus[--play->flying_count].bytes);
	free(play);
}

static void test_all_come_to_one_view(void **state)
{
	const char *one = getenv("SEED");
	(void)state;
	if (one != NULL) {
		run((uint32_t)strtoul(one, NULL, 10));
		return;
	}
	for (uint32_t seed = 1; seed <= SEEDS; seed++) {
		/* The last line before a failure names its seed. */
		printf("# seed %u\n", seed);
		run(seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_come_to_one_view),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
