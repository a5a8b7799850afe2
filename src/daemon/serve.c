#include "daemon/serve.h"

#include "access/access.h"
#include "admin/admin.h"
#include "base/clock.h"
#include "base/crash.h"
#include "bridge/bridge.h"
#include "control/gateway.h"
#include "daemon/command_line.h"
#include "daemon/options.h"
#include "daemon/reload.h"
#include "mqtt/packet.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE 2

/* Revocations whose end has passed are freed so often; they are not in force before that either. */
#define EXPIRE_S 60

static void print_help(void)
{
	puts("Usage: roost serve [OPTION...]\n\n"
	     "Runs the gateway until SIGTERM or SIGINT. SIGHUP has it read its configuration again,\n"
	     "SIGUSR1 writes all counters to stderr.\n\n"
	     "Options, with their defaults:\n"
	     "  --config FILE\n"
	     "        YAML file with the same options, words joined by _; the command line goes before it");
	options_print_help(stdout);
	printf("\nTopics and filters have at most %u levels; this is no option.\n", MQTT_TOPIC_LEVELS_MAX);
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	}
	return false;
}

static void print_counters(const struct gateway *gateway)
{
	struct counters sum = {0};
	gateway_counters(gateway, &sum);
	/* In one piece, so that no line of the log comes between. */
	char *text = NULL;
	size_t size = 0;
	FILE *memory = open_memstream(&text, &size);
	if (memory == NULL)
		return;
	counters_print(&sum, memory);
	fclose(memory);
	fwrite(text, 1, size, stderr);
	free(text);
}

/* Until SIGTERM or SIGINT says to end, which it returns: carries out what the other signals ask for, and frees
 * revocations whose time is over. The threads have all signals blocked, so they come here. */
static int await_end(struct gateway *gateway, struct reloader *reloader, const sigset_t *signals)
{
	static const struct timespec EXPIRE = {.tv_sec = EXPIRE_S};
	uint64_t expired_ms = clock_now_ms();
	for (;;) {
		int signal = sigtimedwait(signals, NULL, &EXPIRE);
		if (clock_now_ms() - expired_ms >= EXPIRE_S * UINT64_C(1000)) {
			access_expire(gateway_access(gateway), (int64_t)time(NULL));
			expired_ms = clock_now_ms();
		}
		if (signal == SIGTERM || signal == SIGINT)
			return signal;
		if (signal == SIGUSR1)
			print_counters(gateway);
		if (signal == SIGHUP)
			reloader_reload_and_log(reloader);
	}
}

int serve_main(int argc, char **argv)
{
	if (wants_help(argc, argv)) {
		print_help();
		return 0;
	}
	crash_catch_signals();
	struct options options = options_default();
	if (!command_line_read(argc, argv, &options, stderr))
		return EXIT_USAGE;
	struct reloader reloader;
	reloader_init(&reloader, argc, argv, &options);
	log_level_set(options.log_level);

	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGUSR1);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN); /* a write to a closed socket is an error code */

	struct bridge *bridge = bridge_new(&options.settings);
	if (bridge == NULL)
		return EXIT_USAGE;
	struct gateway *gateway = gateway_start(&options.settings);
	if (gateway == NULL)
		bridge_free(bridge);
	if (gateway == NULL || !bridge_start(bridge, gateway))
		return 1;
	struct admin *admin;
	struct admin_hooks hooks = {.reload = reloader_reload, .context = &reloader};
	bool started = admin_start(&options.admin, gateway, hooks, &admin);
	reloader_begin(&reloader, gateway, admin);
	if (started) {
		int signal = await_end(gateway, &reloader, &signals);
		admin_set_draining(admin); /* before it is said: who reads that in the log is told so by the API too */
		log_write(LOG_INFO, "stopping: %s", signal == SIGTERM ? "SIGTERM" : "SIGINT");
	}
	reloader_end(&reloader);
	bridge_stop(bridge);
	uint64_t left = gateway_stop(gateway);
	admin_stop(admin);
	bridge_free(bridge);
	gateway_free(gateway);
	if (!started)
		return 1;
	if (left != 0)
		log_write(LOG_WARNING, "stopped with %lu clients still connected: the time was up", left);
	else
		log_write(LOG_INFO, "stopped");
	return 0;
}
