#include "doctor/doctor.h"

#include "cli/command.h"
#include "doctor/fix/fix.h"
#include "doctor/listener/listener.h"
#include "doctor/options.h"
#include "doctor/plan/plan.h"
#include "doctor/redis/deployment.h"
#include "doctor/show/show.h"
#include "doctor/store/store.h"
#include "net/fixed_files.h"
#include "reactor/fdtable.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool wants_colour(void)
{
	const char *terminal = getenv("TERM");
	return isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL && terminal != NULL && strcmp(terminal, "dumb") != 0;
}

static struct machine *read_machine(const struct doctor_options *options)
{
	struct root root = {.prefix = options->root};
	bool elsewhere = *options->root != '\0';
	struct machine_probes probes = {
		.elsewhere = elsewhere,
		.private_tables = !elsewhere && fdtable_can_detach(),
		.fixed_files = !elsewhere && fixed_files_work(),
		.page_bytes = (uint32_t)sysconf(_SC_PAGESIZE),
	};
	struct machine *machine = machine_read(&root, &probes);
	if (machine == NULL)
		fputs("roost doctor: out of memory\n", stderr);
	return machine;
}

/* Afterwards the machine is read once more: only what is read back counts. */
static int apply(const struct doctor_options *options, const struct verdict *before)
{
	struct root root = {.prefix = options->root};
	uint32_t failed = fix_apply(before, &root, stdout);
	struct machine *machine = read_machine(options);
	if (machine == NULL)
		return CLI_EXIT_FAILED;
	struct verdict after;
	verdict_make(&after, machine, options->connections);
	bool fits = after.fits;
	puts(fits ? "They fit." : "They still do not fit.");
	if (failed > 0)
		printf("%u of the limits that are too low could not be set now; `roost doctor --fix-script` writes "
		       "those "
		       "that files can fix.\n",
		       failed);
	machine_free(machine);
	return fits && failed == 0 ? CLI_EXIT_OK : CLI_EXIT_FAILED;
}

static int look(const struct doctor_options *options, const struct verdict *verdict)
{
	struct store_verdict store;
	if (options->store != NULL && !store_measure(&store, options->store))
		return CLI_EXIT_FAILED;
	if (options->json) {
		json_t *json = show_json(verdict);
		if (options->store != NULL)
			json_object_set_new(json, "store", store_json(&store));
		show_print_json(json, stdout);
	} else {
		show_people(verdict, wants_colour(), stdout);
		if (options->store != NULL)
			store_show(&store, stdout);
	}
	return verdict->fits ? CLI_EXIT_OK : CLI_EXIT_FAILED;
}

static int plan(const struct doctor_options *options, const struct verdict *verdict)
{
	struct load load = {
		.connections = options->connections,
		.rate = options->rate,
		.payload_bytes = options->payload_bytes,
		.subscribers = options->subscribers,
		.keepalive_s = options->keepalive_s,
		.qos = options->qos,
		.transport = options->transport,
	};
	return plan_run(&load, verdict, options->json) ? CLI_EXIT_OK : CLI_EXIT_FAILED;
}

static int run(const struct doctor_options *options, const struct verdict *verdict)
{
	switch (options->verb) {
	case DOCTOR_FIX_SCRIPT:
		fix_write_script(verdict, stdout);
		return CLI_EXIT_OK;
	case DOCTOR_APPLY:
		return apply(options, verdict);
	case DOCTOR_PLAN:
		return plan(options, verdict);
	case DOCTOR_LOOK:
		break;
	}
	return look(options, verdict);
}

static int look_at_listener(const struct doctor_options *options)
{
	struct listener_verdict verdict;
	if (!listener_look(&verdict, options->tls, options->ca_file))
		return CLI_EXIT_FAILED;
	if (options->json)
		show_print_json(listener_json(&verdict), stdout);
	else
		listener_show(&verdict, stdout);
	return verdict.good ? CLI_EXIT_OK : CLI_EXIT_FAILED;
}

static int look_at_redis(const struct doctor_options *options)
{
	struct deployment *deployment = deployment_look(options->redis);
	if (deployment == NULL)
		return CLI_EXIT_FAILED;
	if (options->json)
		show_print_json(deployment_json(deployment), stdout);
	else
		deployment_show(deployment, stdout);
	int status = deployment->good ? CLI_EXIT_OK : CLI_EXIT_FAILED;
	free(deployment);
	return status;
}

int doctor_main(int argc, char **argv)
{
	struct doctor_options options;
	struct verdict verdict;
	int status;
	if (!doctor_options_parse(argc, argv, &options, &status))
		return status;
	if (options.tls != NULL)
		return look_at_listener(&options);
	if (options.redis != NULL)
		return look_at_redis(&options);
	struct machine *machine = read_machine(&options);
	if (machine == NULL)
		return CLI_EXIT_FAILED;
	verdict_make(&verdict, machine, options.connections);
	status = run(&options, &verdict);
	machine_free(machine);
	return status;
}
