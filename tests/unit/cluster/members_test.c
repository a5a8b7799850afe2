/* Who is alive, step by step: one node's members, and heartbeats that the test writes in others' names. */
#include "cluster/members/members.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TIMEOUT_MS 5000u
#define OWN 1000u
#define PEER 2000u
#define LOG_BYTES 1024u

struct scene {
	struct members *members;
	uint64_t now_ms;
	char log[LOG_BYTES]; /* what the observer was told since it was asked last */
};

static __attribute__((format(printf, 2, 3))) void note(void *context, const char *format, ...)
{
	struct scene *scene = context;
	size_t size = strlen(scene->log);
	va_list values;
	va_start(values, format);
	vsnprintf(scene->log + size, LOG_BYTES - size, format, values);
	va_end(values);
}

static void on_joined(void *context, uint32_t slot)
{
	note(context, "joined %u;", slot);
}

static void on_away(void *context, uint32_t slot, enum away_reason reason)
{
	note(context, "away %u %d;", slot, (int)reason);
}

static void on_back(void *context, uint32_t slot)
{
	note(context, "back %u;", slot);
}

static void on_ended(void *context, uint32_t slot, uint64_t incarnation, bool said_goodbye)
{
	note(context, "ended %u %d%s;", slot, (int)incarnation, said_goodbye ? " goodbye" : "");
}

static void on_view(void *context)
{
	note(context, "view;");
}

static void on_refused(void *context, struct slice name, enum members_refusal refusal)
{
	note(context, "refused %.*s %s;", (int)name.size, (const char *)name.data, members_refusal_name(refusal));
}

static void on_renew(void *context, struct slice by)
{
	note(context, "renew %.*s;", (int)by.size, (const char *)by.data);
}

static void on_agreement(void *context, uint32_t slot, struct slice name, bool is_alike)
{
	note(context, "%.*s %u %s;", (int)name.size, (const char *)name.data, slot, is_alike ? "alike" : "differs");
}

static void on_clock(void *context, uint32_t slot, int64_t difference_ms)
{
	note(context, "clock %u %d;", slot, (int)difference_ms);
}

static void scene_init(struct scene *scene)
{
	struct members_settings settings = {.name = slice_string("us"),
					    .incarnation = OWN,
					    .version = "0.3.0",
					    .protocol_min = 2,
					    .protocol_max = 3,
					    .timeout_ms = TIMEOUT_MS};
	struct members_observer observer = {scene,   on_joined,  on_away,  on_back,      on_ended,
					    on_view, on_refused, on_renew, on_agreement, on_clock};
	*scene = (struct scene){.now_ms = 100000};
	scene->members = members_new(&settings, &observer, scene->now_ms);
	assert_non_null(scene->members);
}

static void assert_log(struct scene *scene, const char *wanted)
{
	assert_string_equal(scene->log, wanted);
	scene->log[0] = '\0';
}

/* As the peer that hears us, or does not. */
static struct heartbeat say(struct scene *scene, const char *name, uint64_t incarnation, bool hears_us)
{
	struct heartbeat heartbeat = {.incarnation = incarnation,
				      .age_ms = 1000,
				      .sent_ms = scene->now_ms,
				      .wall_ms = 1,
				      .protocol_min = 1,
				      .protocol_max = 2,
				      .name = slice_string(name),
				      .version = slice_string("0.3.1")};
	if (hears_us)
		heartbeat.heard[heartbeat.heard_count++] =
			(struct heard){slice_string("us"), members_own_incarnation(scene->members), 99980, 5};
	return heartbeat;
}

static bool receive(struct scene *scene, const struct heartbeat *heartbeat)
{
	struct bytes bytes = {0};
	heartbeat_write(heartbeat, &bytes);
	bool is_own = members_receive(scene->members, bytes_slice(&bytes), scene->now_ms, 1);
	bytes_free(&bytes);
	return is_own;
}

static void hear(struct scene *scene, const char *name, uint64_t incarnation, bool hears_us)
{
	struct heartbeat heartbeat = say(scene, name, incarnation, hears_us);
	receive(scene, &heartbeat);
}

static void hear_goodbye(struct scene *scene, const char *name, uint64_t incarnation)
{
	struct heartbeat heartbeat = say(scene, name, incarnation, true);
	heartbeat.flags = HEARTBEAT_LEAVING;
	receive(scene, &heartbeat);
}

static void pass(struct scene *scene, uint64_t time_ms)
{
	scene->now_ms += time_ms;
	members_tick(scene->members, scene->now_ms);
}

/* What we say, which is due; false: nothing. */
static bool our_heartbeat(struct scene *scene, struct heartbeat *heartbeat)
{
	struct slice bytes = members_heartbeat(scene->members, scene->now_ms, 1);
	*heartbeat = (struct heartbeat){0};
	if (bytes.size == 0)
		return false;
	assert_int_equal(heartbeat_read(bytes, heartbeat), HEARTBEAT_FAULT_NONE);
	return true;
}

static void test_each_hears_the_other(void **state)
{
	struct scene scene;
	struct heartbeat ours;
	struct view_member view[NODES_MAX + 1];
	(void)state;
	scene_init(&scene);
	assert_true(our_heartbeat(&scene, &ours));
	assert_int_equal(ours.heard_count, 0);
	assert_false(our_heartbeat(&scene, &ours));
	hear(&scene, "a", PEER, false);
	assert_log(&scene, "");
	/* It learns at once that it is heard. */
	assert_true(our_heartbeat(&scene, &ours));
	assert_int_equal(ours.heard_count, 1);
	assert_true(ours.heard[0].incarnation == PEER && slice_equal(ours.heard[0].name, slice_string("a")));
	scene.now_ms += 10;
	hear(&scene, "a", PEER, true);
	assert_log(&scene, "joined 0;view;");
	const struct member *member = members_at(scene.members, 0);
	assert_int_equal(member->round_trip_ms, 25);
	assert_int_equal(member->protocol, 2);
	assert_string_equal(member->version, "0.3.1");
	assert_int_equal(members_view(scene.members, view), 2);
	assert_true(view[0].slot == 0 && view[1].slot == MEMBERS_NONE);
	assert_int_equal(members_find_incarnation(scene.members, PEER), 0);
	/* A view is agreed on when the other has said the same. */
	assert_false(members_agree(scene.members));
	struct heartbeat heartbeat = say(&scene, "a", PEER, true);
	heartbeat.sent_ms++;
	heartbeat.view_hash = members_view_hash(scene.members);
	receive(&scene, &heartbeat);
	assert_true(members_agree(scene.members));
	members_free(scene.members);
}

static void join(struct scene *scene)
{
	scene_init(scene);
	hear(scene, "a", PEER, true);
	assert_log(scene, "joined 0;view;");
}

static void test_silence_and_return(void **state)
{
	struct scene scene;
	(void)state;
	join(&scene);
	pass(&scene, TIMEOUT_MS - 1);
	assert_log(&scene, "");
	pass(&scene, 1);
	assert_log(&scene, "away 0 0;view;");
	pass(&scene, 100000);
	hear(&scene, "a", PEER, true);
	assert_log(&scene, "back 0;view;");
	members_free(scene.members);
}

static void test_one_that_does_not_hear_us_is_away(void **state)
{
	struct scene scene;
	struct heartbeat ours;
	(void)state;
	join(&scene);
	scene.now_ms += 10;
	hear(&scene, "a", PEER, false);
	assert_log(&scene, "away 0 1;view;");
	/* It is told that it is heard, or both would wait for each other. */
	assert_true(our_heartbeat(&scene, &ours));
	assert_int_equal(ours.heard_count, 1);
	scene.now_ms += 10;
	hear(&scene, "a", PEER, true);
	assert_log(&scene, "back 0;view;");
	members_free(scene.members);
}

static void test_a_run_ends_by_goodbye(void **state)
{
	struct scene scene;
	(void)state;
	join(&scene);
	scene.now_ms += 10;
	hear_goodbye(&scene, "a", PEER);
	assert_log(&scene, "ended 0 2000 goodbye;view;");
	assert_int_equal(members_at(scene.members, 0)->state, MEMBER_LEFT);
	/* What comes late of it. */
	scene.now_ms += 10;
	hear(&scene, "a", PEER, true);
	assert_log(&scene, "refused a GIVEN_UP;");
	/* The next run is welcome at once, in the same slot. */
	hear(&scene, "a", PEER + 1, true);
	assert_log(&scene, "joined 0;view;");
	members_free(scene.members);
}

static void test_a_run_gives_way_when_it_is_silent(void **state)
{
	struct scene scene;
	struct heartbeat ours;
	(void)state;
	join(&scene);
	scene.now_ms += MEMBERS_REPLACE_MS - 1;
	hear(&scene, "a", PEER + 1, true);
	assert_log(&scene, "");
	assert_int_equal(members_counters(scene.members)->refused[MEMBERS_REFUSED_TWO_RUNS], 1);
	scene.now_ms += 1;
	hear(&scene, "a", PEER + 1, true);
	assert_log(&scene, "ended 0 2000;joined 0;view;");
	/* The first turns up again, and is told to begin anew. */
	while (our_heartbeat(&scene, &ours))
		continue;
	scene.now_ms += 100;
	hear(&scene, "a", PEER, true);
	assert_log(&scene, "refused a GIVEN_UP;");
	assert_true(our_heartbeat(&scene, &ours));
	assert_int_equal(ours.given_up_count, 1);
	assert_true(ours.given_up[0] == PEER);
	scene.now_ms += TIMEOUT_MS;
	assert_true(our_heartbeat(&scene, &ours));
	assert_int_equal(ours.given_up_count, 0);
	members_free(scene.members);
}

static void test_two_runs_of_one_name_are_told_when_they_last(void **state)
{
	struct scene scene;
	(void)state;
	join(&scene);
	struct heartbeat second = say(&scene, "a", PEER + 1, true);
	second.age_ms = 2 * MEMBERS_REPLACE_MS;
	receive(&scene, &second);
	assert_log(&scene, "refused a TWO_RUNS;");
	receive(&scene, &second);
	assert_log(&scene, "");
	members_free(scene.members);
}

static void test_a_run_that_was_given_up_begins_anew(void **state)
{
	struct scene scene;
	struct heartbeat ours;
	(void)state;
	join(&scene);
	scene.now_ms += 10;
	struct heartbeat heartbeat = say(&scene, "a", PEER, true);
	heartbeat.given_up_count = 1;
	heartbeat.given_up[0] = OWN;
	receive(&scene, &heartbeat);
	assert_log(&scene, "renew a;");
	assert_true(members_next_deadline(scene.members) == UINT64_MAX);
	scene.now_ms += 1000;
	hear(&scene, "a", PEER, true);
	assert_log(&scene, "");
	assert_false(our_heartbeat(&scene, &ours));
	members_renew(scene.members, OWN + 1, scene.now_ms);
	assert_log(&scene, "view;");
	assert_true(our_heartbeat(&scene, &ours));
	assert_true(ours.incarnation == OWN + 1 && ours.age_ms == 0);
	/* An echo of the run before is nobody's. */
	scene.now_ms += 10;
	struct heartbeat echo = say(&scene, "us", OWN, false);
	for (uint32_t i = 0; i < 3; i++, echo.sent_ms++)
		assert_false(receive(&scene, &echo));
	hear(&scene, "a", PEER, true);
	assert_log(&scene, "joined 0;view;");
	members_free(scene.members);
}

static void test_the_later_of_two_with_our_name_yields(void **state)
{
	struct scene scene;
	struct heartbeat ours;
	(void)state;
	join(&scene);
	scene.now_ms += 1000;
	/* One that began later: it is not we who yield, and it hears us soon. */
	struct heartbeat other = say(&scene, "us", OWN + 7, false);
	other.age_ms = 10;
	receive(&scene, &other);
	assert_log(&scene, "");
	other.sent_ms++;
	receive(&scene, &other);
	assert_log(&scene, "refused us OWN_NAME;");
	assert_true(our_heartbeat(&scene, &ours));
	assert_int_equal(ours.flags & HEARTBEAT_LEAVING, 0);
	/* One that began before us. */
	other.age_ms = 100000;
	other.sent_ms++;
	receive(&scene, &other);
	assert_log(&scene, "away 0 2;view;");
	assert_true(members_has_yielded(scene.members));
	assert_true(our_heartbeat(&scene, &ours));
	assert_int_equal(ours.flags & HEARTBEAT_LEAVING, HEARTBEAT_LEAVING);
	assert_false(our_heartbeat(&scene, &ours));
	scene.now_ms += 1;
	hear(&scene, "a", PEER, true);
	assert_log(&scene, "");
	/* Until that is silent. */
	pass(&scene, TIMEOUT_MS);
	assert_log(&scene, "renew us;");
	members_renew(scene.members, OWN + 1, scene.now_ms);
	assert_log(&scene, "view;");
	hear(&scene, "a", PEER, true);
	assert_log(&scene, "joined 0;view;");
	members_free(scene.members);
}

static void test_the_name_is_free_when_the_other_says_goodbye(void **state)
{
	struct scene scene;
	(void)state;
	scene_init(&scene);
	struct heartbeat other = say(&scene, "us", OWN + 7, false);
	receive(&scene, &other);
	other.sent_ms++;
	receive(&scene, &other);
	assert_log(&scene, "refused us OWN_NAME;");
	assert_true(members_has_yielded(scene.members));
	other.sent_ms++;
	other.flags = HEARTBEAT_LEAVING;
	receive(&scene, &other);
	assert_log(&scene, "renew us;");
	members_free(scene.members);
}

static void test_our_own_come_back(void **state)
{
	struct scene scene;
	(void)state;
	scene_init(&scene);
	struct slice bytes = members_heartbeat(scene.members, scene.now_ms, 1);
	assert_true(members_receive(scene.members, bytes, scene.now_ms, 1));
	assert_log(&scene, "");
	members_free(scene.members);
}

static void test_what_is_refused_has_a_reason(void **state)
{
	struct scene scene;
	(void)state;
	join(&scene);
	const struct members_counters *counters = members_counters(scene.members);
	struct heartbeat heartbeat = say(&scene, "a", PEER, true);
	receive(&scene, &heartbeat);
	assert_log(&scene, "refused a STALE;");
	heartbeat = say(&scene, "b", PEER + 1, true);
	heartbeat.protocol_max = 1;
	receive(&scene, &heartbeat);
	assert_log(&scene, "refused b PROTOCOL;");
	members_receive(scene.members, slice_string("PING"), scene.now_ms, 1);
	assert_log(&scene, "refused  SHORT;");
	char garbage[100];
	memset(garbage, 'x', sizeof(garbage));
	members_receive(scene.members, slice_of(garbage, sizeof(garbage)), scene.now_ms, 1);
	assert_log(&scene, "refused  FOREIGN;");
	/* Once a minute. */
	members_receive(scene.members, slice_of(garbage, sizeof(garbage)), scene.now_ms, 1);
	assert_log(&scene, "");
	assert_int_equal(counters->refused[MEMBERS_REFUSED_FOREIGN], 2);
	scene.now_ms += MEMBERS_TELL_MS;
	members_receive(scene.members, slice_of(garbage, sizeof(garbage)), scene.now_ms, 1);
	assert_log(&scene, "refused  FOREIGN;");
	for (uint32_t i = 0; i < MEMBERS_REFUSAL_COUNT; i++)
		assert_true(members_refusal_sentence(i)[0] != '\0');
	members_free(scene.members);
}

static void test_there_is_a_limit(void **state)
{
	struct scene scene;
	char name[16];
	struct heartbeat ours;
	(void)state;
	scene_init(&scene);
	for (uint32_t i = 0; i < NODES_MAX; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		hear(&scene, name, PEER + i, true);
		scene.log[0] = '\0';
	}
	hear(&scene, "one-more", PEER + 99, true);
	assert_log(&scene, "refused one-more FULL;");
	assert_true(our_heartbeat(&scene, &ours));
	assert_int_equal(ours.heard_count, NODES_MAX);
	members_free(scene.members);
}

static void test_agreements_and_clocks(void **state)
{
	struct scene scene;
	const struct agreement ours[] = {{slice_string("rules"), 1}, {slice_string("keys"), 2}};
	(void)state;
	scene_init(&scene);
	members_set_agreements(scene.members, ours, 2);
	struct heartbeat heartbeat = say(&scene, "a", PEER, true);
	heartbeat.agreement_count = 2;
	heartbeat.agreements[0] = (struct agreement){slice_string("keys"), 3};
	heartbeat.agreements[1] = (struct agreement){slice_string("newer"), 3};
	heartbeat.wall_ms = 1 + 600000;
	receive(&scene, &heartbeat);
	assert_log(&scene, "keys 0 differs;clock 0 600000;joined 0;view;");
	heartbeat.sent_ms++;
	receive(&scene, &heartbeat);
	assert_log(&scene, "");
	heartbeat.sent_ms++;
	heartbeat.wall_ms = 1;
	heartbeat.agreements[0].hash = 2;
	receive(&scene, &heartbeat);
	assert_log(&scene, "keys 0 alike;clock 0 0;");
	members_free(scene.members);
}

static void test_a_bus_that_was_away_is_nobodys_silence(void **state)
{
	struct scene scene;
	(void)state;
	join(&scene);
	scene.now_ms += TIMEOUT_MS - 1;
	members_bus_is_back(scene.members, scene.now_ms);
	pass(&scene, 100);
	assert_log(&scene, "");
	pass(&scene, TIMEOUT_MS);
	assert_log(&scene, "away 0 0;view;");
	members_free(scene.members);
}

static void test_deadlines(void **state)
{
	struct scene scene;
	struct heartbeat ours;
	(void)state;
	join(&scene);
	assert_int_equal(members_next_deadline(scene.members), 0);
	assert_true(our_heartbeat(&scene, &ours));
	assert_int_equal(members_next_deadline(scene.members), scene.now_ms + MEMBERS_HEARTBEAT_MS);
	scene.now_ms += MEMBERS_HEARTBEAT_MS;
	assert_true(our_heartbeat(&scene, &ours));
	members_free(scene.members);
}

static void test_the_oldest_given_up_run_is_forgotten_first(void **state)
{
	struct scene scene;
	(void)state;
	scene_init(&scene);
	for (uint32_t i = 0; i < 3 * MEMBERS_GIVEN_UP_MAX; i++) {
		scene.now_ms++;
		hear(&scene, "a", PEER + i, true);
		hear_goodbye(&scene, "a", PEER + i);
		struct heartbeat heartbeat = say(&scene, "a", PEER + i, true);
		heartbeat.flags = HEARTBEAT_LEAVING;
		heartbeat.sent_ms++;
		receive(&scene, &heartbeat);
		assert_int_equal(members_at(scene.members, 0)->state, MEMBER_LEFT);
		scene.log[0] = '\0';
	}
	scene.now_ms++;
	hear(&scene, "a", PEER + 2 * MEMBERS_GIVEN_UP_MAX + 10, true);
	assert_null(strstr(scene.log, "joined"));
	members_free(scene.members);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_hears_the_other),
		cmocka_unit_test(test_silence_and_return),
		cmocka_unit_test(test_one_that_does_not_hear_us_is_away),
		cmocka_unit_test(test_a_run_ends_by_goodbye),
		cmocka_unit_test(test_a_run_gives_way_when_it_is_silent),
		cmocka_unit_test(test_two_runs_of_one_name_are_told_when_they_last),
		cmocka_unit_test(test_a_run_that_was_given_up_begins_anew),
		cmocka_unit_test(test_the_later_of_two_with_our_name_yields),
		cmocka_unit_test(test_the_name_is_free_when_the_other_says_goodbye),
		cmocka_unit_test(test_our_own_come_back),
		cmocka_unit_test(test_what_is_refused_has_a_reason),
		cmocka_unit_test(test_there_is_a_limit),
		cmocka_unit_test(test_agreements_and_clocks),
		cmocka_unit_test(test_a_bus_that_was_away_is_nobodys_silence),
		cmocka_unit_test(test_deadlines),
		cmocka_unit_test(test_the_oldest_given_up_run_is_forgotten_first),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
