#include "bench/scenario/scenario.h"

#include "base/check.h"

#include <math.h>
#include <signal.h>
#include <string.h>

#define KEEPALIVE_S 60u
#define DURATION_S 10u
#define WARM_UP_MS 1000u
#define RAMP_UP_S 2u
/* mosquitto's Receive Maximum, the smallest default known. */
#define INFLIGHT 20u

void scenario_init(struct scenario *scenario)
{
	double none = (double)NAN;
	*scenario = (struct scenario){
		.name = "unnamed",
		.url = {.host = "127.0.0.1", .port = URL_PORT_DEFAULT},
		.threads = 1,
		.ramp_up_s = RAMP_UP_S,
		.warm_up_ms = WARM_UP_MS,
		.duration_s = DURATION_S,
		.restart = {.signal = SIGKILL},
		.objectives = {none, none, none, none, none, none},
	};
}

void scenario_group_init(struct scenario_group *group)
{
	*group = (struct scenario_group){
		.name = "clients",
		.version = 4,
		.keepalive_s = KEEPALIVE_S,
		.clean_start = true,
		.circles = 1,
		.targets = 1,
		.size_min = 64,
		.size_max = 64,
		.inflight = INFLIGHT,
		.user_name = "bench",
	};
}

static bool has_rate(const struct scenario_rate *rate)
{
	return rate->is_load || rate->a_second > 0;
}

static const char *publisher_fault(const struct scenario_group *group)
{
	if (!topic_pattern_is_set(&group->publish))
		return "publishers need a topic: publish";
	if (has_rate(&group->rate) == (group->interval_ms > 0))
		return "publishers need either rate or interval_ms";
	if (group->publish.number == TOPIC_TARGET && group->targets < 2)
		return "%t needs targets";
	return NULL;
}

const char *scenario_group_fault(const struct scenario_group *group)
{
	if (group->count == 0)
		return "a group needs a count";
	if ((group->role & ROLE_SUBSCRIBER) != 0 && !topic_pattern_is_set(&group->subscribe))
		return "subscribers need a topic filter: subscribe";
	if ((group->role & ROLE_SUBSCRIBER) == 0 && topic_pattern_is_set(&group->subscribe))
		return "subscribe is for the roles subscriber and both";
	if ((group->role & ROLE_PUBLISHER) == 0 && (topic_pattern_is_set(&group->publish) || has_rate(&group->rate) ||
						    group->interval_ms > 0 || group->loops > 0))
		return "publish, rate, interval_ms and loops are for the roles publisher and both";
	if (has_rate(&group->reconnects) && group->role != ROLE_IDLE)
		return "reconnects are for the role idle";
	if (!group->clean_start && group->version < 5)
		return "clean_start: false needs version 5, where a session can be given an end";
	return (group->role & ROLE_PUBLISHER) != 0 ? publisher_fault(group) : NULL;
}

bool scenario_rises(const struct scenario *scenario)
{
	for (uint32_t i = 0; i < scenario->group_count; i++) {
		if (scenario->groups[i].rate.is_load || scenario->groups[i].reconnects.is_load)
			return true;
	}
	return false;
}

/* A session must be there after the restart, or nothing of what it was promised can be. */
static const char *restart_fault(const struct scenario *scenario)
{
	if (scenario->restart.after_ms == 0)
		return NULL;
	if (scenario->threads != 1)
		return "with a restart there is one thread";
	if (scenario->restart.after_ms >= scenario->warm_up_ms + scenario->duration_s * 1000)
		return "the restart comes after the end of the step";
	for (uint32_t i = 0; i < scenario->group_count; i++) {
		if (scenario->groups[i].qos > 0 && scenario->groups[i].clean_start)
			return "with a restart, groups above QoS 0 need clean_start: false";
		if (scenario->groups[i].loops > 0)
			return "with a restart, duration_s ends the step, and no loops";
	}
	return NULL;
}

void scenario_command(const struct scenario_restart *restart, const char **out)
{
	CHECK(restart->word_count <= SCENARIO_WORDS_MAX);
	const char *at = restart->command;
	for (uint32_t i = 0; i < restart->word_count; i++) {
		out[i] = at;
		at += strlen(at) + 1;
	}
	out[restart->word_count] = NULL;
}

const char *scenario_fault(const struct scenario *scenario)
{
	bool active = false;
	if (scenario->group_count == 0)
		return "no groups of clients";
	for (uint32_t i = 0; i < scenario->group_count; i++) {
		const struct scenario_group *group = &scenario->groups[i];
		active = active || (group->role & ROLE_PUBLISHER) != 0 || has_rate(&group->reconnects);
	}
	if (!active)
		return "nobody publishes or reconnects; `roost bench hold` holds idle clients";
	if (scenario_clients(scenario) > SCENARIO_CLIENTS_MAX)
		return "more than 2,000,000 clients";
	if (scenario->step_count > 0 && !scenario_rises(scenario))
		return "there are steps, and no group has \"rate: load\" or \"reconnects: load\"";
	if (scenario->step_count == 0 && scenario_rises(scenario))
		return "a group's rate is \"load\", and there are no steps";
	for (uint32_t i = 1; i < scenario->step_count; i++) {
		if (scenario->steps[i] <= scenario->steps[i - 1])
			return "steps must rise";
	}
	return restart_fault(scenario);
}

uint32_t scenario_clients(const struct scenario *scenario)
{
	uint32_t sum = 0;
	for (uint32_t i = 0; i < scenario->group_count; i++)
		sum += scenario->groups[i].count;
	return sum;
}

double scenario_group_rate(const struct scenario_group *group, double load)
{
	CHECK(group->interval_ms == 0 || !has_rate(&group->rate));
	if (group->interval_ms > 0)
		return group->count * 1e3 / group->interval_ms;
	return group->rate.is_load ? load : group->rate.a_second;
}

double scenario_group_reconnects(const struct scenario_group *group, double load)
{
	return group->reconnects.is_load ? load : group->reconnects.a_second;
}
