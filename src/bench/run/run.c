#include "bench/run/run.h"

#include "bench/measure/quiet.h"
#include "bench/options/options.h"
#include "bench/report/progress.h"
#include "bench/run/run_html.h"
#include "bench/run/run_options.h"
#include "bench/run/run_report.h"
#include "bench/scenario/limits.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* All that a run needs. It is large. */
struct run {
	struct run_options options;
	struct scenario scenario;
	struct credentials credentials[SCENARIO_GROUPS_MAX];
	struct run_order order;
	struct restart_server restarted; /* with a restart */
	struct target target;
	struct target group_targets[SCENARIO_GROUPS_MAX]; /* of groups with a URL of their own */
	struct run_result server;
	struct run_result floor;
	struct run_report report;
	char url[URL_TEXT_BYTES];
};

/* The floor tells topics apart by the number they end in, so all topics must be of one pattern that ends in a number.
 */
static const char *floor_fault(const struct scenario *scenario)
{
	const char *before = NULL;
	for (uint32_t i = 0; i < scenario->group_count; i++) {
		const struct topic_pattern *patterns[] = {&scenario->groups[i].subscribe, &scenario->groups[i].publish};
		for (uint32_t p = 0; p < 2; p++) {
			if (!topic_pattern_is_set(patterns[p]))
				continue;
			if (patterns[p]->number == TOPIC_FIXED || patterns[p]->after[0] != '\0')
				return "the floor knows topics by the number that they end in only, and not all end in "
				       "one";
			if (before != NULL && strcmp(before, patterns[p]->before) != 0)
				return "the floor knows topics by their number only, and here are several with the "
				       "same";
			before = patterns[p]->before;
		}
	}
	return NULL;
}

static bool read_scenario(struct run *run)
{
	char fault[SCENARIO_FAULT_BYTES];
	const struct run_options *options = &run->options;
	if (!scenario_read(options->path, &run->scenario, fault)) {
		fprintf(stderr, "roost bench run: %s\n", fault);
		return false;
	}
	if (options->has_url)
		run->scenario.url = options->url;
	if (options->duration_s > 0)
		run->scenario.duration_s = options->duration_s;
	url_print(&run->scenario.url, run->url);
	return true;
}

static bool run_open_credentials(struct run *run)
{
	for (uint32_t i = 0; i < run->scenario.group_count; i++) {
		const struct scenario_group *group = &run->scenario.groups[i];
		if (group->token_secret[0] == '\0')
			continue;
		run->credentials[i].user_name = group->user_name;
		const char *fault =
			credentials_open_secret(&run->credentials[i], group->token_secret, NULL, (uint64_t)time(NULL));
		if (fault != NULL) {
			fprintf(stderr, "roost bench run: %s:%u: token_secret: %s %s\n", run->options.path, group->line,
				group->token_secret, fault);
			return false;
		}
		run->order.credentials[i] = &run->credentials[i];
	}
	return true;
}

static bool fits(const struct run *run, const struct target *target)
{
	struct limits limits;
	char fault[LIMITS_FAULT_BYTES];
	limits_read(&limits, &target->address);
	if (limits_allow(&limits, &run->scenario, fault))
		return true;
	fprintf(stderr, "roost bench run: %s: the scenario is larger than this machine: %s\n", run->options.path,
		fault);
	return false;
}

/* Runs the steps that the server has completed, whatever their results. */
static void run_floor(struct run *run)
{
	CHECK(run->options.floor);
	struct target floor;
	const char *fault = floor_fault(&run->scenario);
	if (fault != NULL || run->server.step_count == 0 || run->server.fault[0] != '\0') {
		snprintf(run->report.floor_fault, sizeof(run->report.floor_fault), "%s",
			 fault != NULL ? fault : "there is nothing to compare it with");
		return;
	}
	run->order.judge = false;
	memset(run->order.targets, 0, sizeof(run->order.targets)); /* the floor has one address */
	run->order.steps_max = run->server.step_count;
	if (!target_open_floor(&floor)) {
		snprintf(run->report.floor_fault, sizeof(run->report.floor_fault), "it could not be started");
		return;
	}
	if (run_against(&run->order, &floor, &run->floor))
		run->report.floor = &run->floor;
	else
		snprintf(run->report.floor_fault, sizeof(run->report.floor_fault), "%s", run->floor.fault);
	target_close(&floor);
}

static int report_run(const struct run *run)
{
	bool good = run_report_is_good(&run->report);
	if (run->options.json)
		good = run_report_print_json(&run->report) && good;
	else
		run_report_print(&run->report);
	const char *fault = run->options.html != NULL ? run_html_write(&run->report, run->options.html) : NULL;
	if (fault != NULL)
		fprintf(stderr, "roost bench run: %s: %s\n", run->options.html, fault);
	if (run->server.fault[0] != '\0')
		fprintf(stderr, "roost bench run: %s\n", run->server.fault);
	return good && fault == NULL ? BENCH_EXIT_OK : BENCH_EXIT_FAILED;
}

/* With a restart the server is ours, and on a port of its own. */
static bool own_server_fault(const struct run *run)
{
	const struct run_options *options = &run->options;
	bool wrong =
		run->scenario.restart.after_ms > 0 && (options->has_url || options->server_pid != 0 || options->floor);
	if (wrong)
		fprintf(stderr,
			"roost bench run: %s: the scenario starts its own server: --url, --server-pid and --floor are "
			"not for it\n",
			options->path);
	return wrong;
}

/* Groups may come to the server by another way than the rest. */
static bool open_group_targets(struct run *run)
{
	for (uint32_t i = 0; i < run->scenario.group_count; i++) {
		const struct scenario_group *group = &run->scenario.groups[i];
		if (group->url.host[0] == '\0' && group->url.path[0] == '\0')
			continue;
		run->order.targets[i] = &run->group_targets[i];
		if (!target_open(&run->group_targets[i], group->name, &group->url, run->target.pid,
				 &run->options.transport))
			return false;
	}
	return true;
}

static bool open_server(struct run *run)
{
	struct target *target = &run->target;
	if (run->scenario.restart.after_ms == 0)
		return target_open(target, "server", &run->scenario.url, (pid_t)run->options.server_pid,
				   &run->options.transport) &&
		       open_group_targets(run);
	run->order.server = &run->restarted;
	bool good = restart_server_open(&run->restarted, &run->scenario.restart, target);
	snprintf(run->url, sizeof(run->url), "tcp://127.0.0.1:%u", (unsigned int)run->restarted.child.port);
	return good;
}

static int run_scenario(struct run *run)
{
	if (!read_scenario(run) || own_server_fault(run) || !run_open_credentials(run))
		return BENCH_EXIT_USAGE;
	if (!open_server(run) || !fits(run, &run->target))
		return BENCH_EXIT_FAILED;
	run->order.scenario = &run->scenario;
	run->order.steps_max = SCENARIO_STEPS_MAX;
	run->order.judge = !run->options.all_steps;
	run->order.quiet_ms = QUIET_MS;
	run->order.drain_ms = RUN_DRAIN_MS;
	run->report = (struct run_report){.scenario = &run->scenario, .url = run->url, .server = &run->server};
	run_against(&run->order, &run->target, &run->server);
	if (run->options.floor)
		run_floor(run);
	return report_run(run);
}

int run_main(int argc, char **argv)
{
	struct run_options options;
	int status;
	if (!run_options_parse(argc, argv, &options, &status))
		return status;
	struct run *run = calloc(1, sizeof(*run));
	if (run == NULL) {
		fputs("roost bench: out of memory\n", stderr);
		return BENCH_EXIT_FAILED;
	}
	run->options = options;
	progress_catch_signals();
	status = run_scenario(run);
	if (run->order.server != NULL)
		restart_server_close(&run->restarted, status == BENCH_EXIT_OK);
	for (uint32_t i = 0; i < SCENARIO_GROUPS_MAX; i++)
		credentials_close(&run->credentials[i]);
	for (uint32_t i = 0; i < SCENARIO_GROUPS_MAX; i++)
		target_close(&run->group_targets[i]);
	target_close(&run->target);
	free(run);
	return status;
}
