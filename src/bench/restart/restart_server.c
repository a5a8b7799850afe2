#include "bench/restart/restart_server.h"

#include "bench/target/cpu.h"

#include "base/check.h"
#include "base/clock.h"

#include <signal.h>
#include <stdio.h>

#define START_NS 60000000000u
#define STOP_NS 60000000000u

static const char *plan_child(struct restart_server *server)
{
	const struct scenario_restart *spec = server->spec;
	const char *words[SCENARIO_WORDS_MAX + 1];
	const char *store = spec->store[0] != '\0' ? spec->store : server->scratch.path;
	_Static_assert(SCENARIO_WORDS_MAX <= CHILD_WORDS_MAX, "a scenario's words fit");
	scenario_command(spec, words);
	return child_plan(&server->child, spec->word_count > 0 ? words : CHILD_OWN_SERVER, store);
}

bool restart_server_open(struct restart_server *server, const struct scenario_restart *spec, struct target *target)
{
	*server = (struct restart_server){.spec = spec, .child = {.log = -1}};
	if (spec->store[0] == '\0' && !scratch_store_make(&server->scratch))
		return false;
	server->has_scratch = spec->store[0] == '\0';
	const char *fault = plan_child(server);
	if (fault != NULL)
		fprintf(stderr, "roost bench run: %s\n", fault);
	if (fault != NULL || !child_start(&server->child) || !child_wait_accepting(&server->child, START_NS))
		return false;
	/* Its processor time and memory are those of two processes: not known. */
	*target = (struct target){.address = server->child.address, .cpu = CPU_ANY};
	snprintf(target->name, sizeof(target->name), "server");
	return true;
}

void restart_server_close(struct restart_server *server, bool good)
{
	if (server->child.pid > 0)
		child_end(&server->child, SIGTERM, STOP_NS);
	child_close(&server->child);
	if (server->has_scratch && good)
		scratch_store_remove(&server->scratch);
	else if (server->has_scratch)
		fprintf(stderr, "roost bench run: the store is kept: %s\n", server->scratch.path);
}

const char *restart_server_stop(struct restart_server *server, struct step_restart *restart)
{
	uint64_t began_ns = clock_now_ns();
	CHECK(!restart->made);
	if (server->child.pid == 0 || !child_end(&server->child, (int)server->spec->signal, STOP_NS)) {
		child_print_log(&server->child);
		return "the server had ended by itself, or did not stop as it should";
	}
	restart->stop_ms = (double)(clock_now_ns() - began_ns) / 1e6;
	return NULL;
}

const char *restart_server_start(struct restart_server *server, struct step_restart *restart)
{
	uint64_t began_ns = clock_now_ns();
	if (!child_start(&server->child) || !child_wait_accepting(&server->child, START_NS))
		return "the server did not start again";
	restart->start_ms = (double)(clock_now_ns() - began_ns) / 1e6;
	restart->made = true;
	return NULL;
}
