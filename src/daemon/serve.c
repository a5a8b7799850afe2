#include "daemon/serve.h"

#include "access/access.h"
#include "admin/admin.h"
#include "asking/asking.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/crash.h"
#include "bridge/bridge.h"
#include "control/gateway.h"
#include "control/rehearsal.h"
#include "control/storage.h"
#include "control/tls/tls_keeper.h"
#include "daemon/notify.h"
#include "daemon/options/command_line.h"
#include "daemon/options/options.h"
#include "daemon/recovery.h"
#include "daemon/reload.h"
#include "mqtt/packet.h"
#include "nodes/nodes.h"
#include "relay/relay.h"
#include "upgrade/trial.h"
#include "upgrade/upgrade.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define EXIT_USAGE 2

/* How often expired revocations are freed; they are no longer in force before that either. */
#define EXPIRE_MS 60000u

static void print_help(void)
{
	puts("Usage: roost serve [OPTION...]\n\n"
	     "Runs the gateway until SIGTERM or SIGINT. On SIGHUP it reads its configuration again;\n"
	     "on SIGUSR1 it writes all counters to stderr.\n\n"
	     "Options, with their defaults:\n"
	     "  --config FILE\n"
	     "        YAML file with the same options, words joined by _; the command line takes precedence");
	options_print_help(stdout);
	printf("\nTopics and filters have at most %u levels; this cannot be changed.\n", MQTT_TOPIC_LEVELS_MAX);
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
	/* Written in one piece, so that no line of the log comes between. */
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

/* Waits for a signal, for files that changed, for an upgrade to be asked for, for the relay to want something, or for
 * so long. 0: no signal. */
static int await_signal(int signals, int files, int upgrades, int relay, uint32_t wait_ms)
{
	struct signalfd_siginfo signal;
	struct pollfd polled[] = {{.fd = signals, .events = POLLIN},
				  {.fd = files, .events = POLLIN},
				  {.fd = upgrades, .events = POLLIN},
				  {.fd = relay, .events = POLLIN}};
	poll(polled, 4, (int)wait_ms);
	return read(signals, &signal, sizeof(signal)) == sizeof(signal) ? (int)signal.ssi_signo : 0;
}

/* What serves, from the start to the end. */
struct serving {
	struct bridge *bridge;
	struct asking *asking;
	struct gateway *gateway;
	struct admin *admin; /* NULL: none */
	struct relay *relay;
	struct nodes *nodes; /* NULL: the gateway is in no cluster */
	struct reloader reloader;
	struct heir heir;
	struct upgrade *upgrade;
	uint64_t refused_told; /* upgrades that did not take place, and of which the service manager knows */
};

/* The program serves. `systemctl status` shows how it came to it, and the package's post-install reads there what
 * became of its upgrade: debian/roost.postinst looks for these words. */
static void tell_that_it_serves(struct serving *serving)
{
	struct upgrade_status status;
	upgrade_status(serving->upgrade, &status);
	serving->refused_told = status.refused;
	if (status.state == UPGRADE_REFUSED)
		notify_ready("version %s; upgrade %lu refused: %s", ROOST_VERSION, status.number, status.why);
	else if (status.state == UPGRADE_DONE)
		notify_ready("version " ROOST_VERSION "; upgrade %lu done, from version %s", status.number,
			     status.from);
	else
		notify_ready("version %s", ROOST_VERSION);
}

static void stop_relay(void *context)
{
	const struct serving *serving = context;
	relay_stop(serving->relay);
	nodes_rest(serving->nodes); /* behind those who publish */
}

static void leave_nodes(void *context)
{
	const struct serving *serving = context;
	nodes_leave(serving->nodes);
}

static void start_relay(void *context)
{
	const struct serving *serving = context;
	nodes_start(serving->nodes, serving->gateway);
	relay_start(serving->relay, serving->gateway);
}

/* Returns only where this program serves on. */
static void upgrade_if_asked(struct serving *serving)
{
	struct upgrade_status status;
	const struct upgrade_users relay = {
		.stop = stop_relay, .leave = leave_nodes, .start = start_relay, .context = serving};
	upgrade_status(serving->upgrade, &status);
	if (status.state != UPGRADE_ASKED)
		return;
	reloader_set_upgrading(&serving->reloader, true);
	upgrade_run(serving->upgrade, serving->gateway, serving->admin, &relay);
	reloader_set_upgrading(&serving->reloader, false);
	upgrade_status(serving->upgrade, &status);
	if (status.refused != serving->refused_told)
		tell_that_it_serves(serving);
}

static void reload(struct serving *serving)
{
	notify_reloading();
	reloader_reload_and_log(&serving->reloader);
	tell_that_it_serves(serving);
}

static void ask_for_upgrade(struct upgrade *upgrade)
{
	char why[HEIR_WHY_BYTES];
	if (!upgrade_ask(upgrade, "", why, sizeof(why)))
		log_write(LOG_WARNING, "not upgraded: %s", why);
}

static bool on_upgrade(void *context, const char *path, char *why, size_t why_size)
{
	const struct serving *serving = context;
	return upgrade_ask(serving->upgrade, path, why, why_size);
}

static void on_upgrade_status(void *context, struct admin_upgrade *status)
{
	static const char *const STATES[] = {"none", "asked", "done", "refused"};
	const struct serving *serving = context;
	struct upgrade_status now;
	upgrade_status(serving->upgrade, &now);
	*status = (struct admin_upgrade){
		.state = STATES[now.state],
		.number = now.number,
		.clients = now.clients,
		.closed = now.closed,
		.silent_us = now.silent_us,
		.done = now.done,
		.refused = now.refused,
	};
	snprintf(status->why, sizeof(status->why), "%s", now.why);
	snprintf(status->from, sizeof(status->from), "%s", now.from);
}

static void on_rules(void *context, struct stream_status *status)
{
	const struct serving *serving = context;
	relay_rules_status(serving->relay, status);
}

static void on_presence_table(void *context, struct table_status *status)
{
	const struct serving *serving = context;
	relay_table_status(serving->relay, status);
}

static void on_consumers(void *context, struct consumers_status *status)
{
	const struct serving *serving = context;
	relay_consumers_status(serving->relay, status);
}

static void on_hooks(void *context, struct hooks_status *status)
{
	const struct serving *serving = context;
	relay_hooks_status(serving->relay, status);
}

static void on_bridges(void *context, struct bridges_status *status)
{
	const struct serving *serving = context;
	relay_bridges_status(serving->relay, status);
}

static bool on_drain(void *context, const struct drain_settings *drain, char *why, size_t why_size)
{
	struct serving *serving = context;
	return reloader_drain(&serving->reloader, drain, why, why_size);
}

static bool on_reload(void *context, FILE *report)
{
	struct serving *serving = context;
	return reloader_reload(&serving->reloader, report);
}

/* Carries out what signals ask for, keeps certificates fresh and frees expired revocations, until SIGTERM or SIGINT,
 * which it returns. All threads have these signals blocked. */
static int serve_until_signal(struct serving *serving, int descriptor)
{
	struct gateway *gateway = serving->gateway;
	struct reloader *reloader = &serving->reloader;
	uint64_t expired_ms = clock_now_ms();
	for (;;) {
		uint32_t wait_ms = reloader_keep_tls(reloader);
		int signal = await_signal(descriptor, tls_keeper_watch_fd(gateway_tls(gateway)),
					  upgrade_fd(serving->upgrade), relay_fd(serving->relay),
					  wait_ms < EXPIRE_MS ? wait_ms : EXPIRE_MS);
		if (clock_now_ms() - expired_ms >= EXPIRE_MS) {
			access_expire(gateway_access(gateway), (int64_t)time(NULL));
			expired_ms = clock_now_ms();
		}
		if (signal == SIGTERM || signal == SIGINT) {
			close(descriptor);
			return signal;
		}
		if (signal == SIGUSR1)
			print_counters(gateway);
		if (signal == SIGUSR2)
			ask_for_upgrade(serving->upgrade);
		if (signal == SIGHUP)
			reload(serving);
		upgrade_if_asked(serving);
		relay_tend(serving->relay, gateway);
		nodes_tend(serving->nodes, gateway);
	}
}

/* Before any thread is started, since threads inherit the mask. Returns where signals are read from: opened here, too,
 * because clients, rules and whatever else may take all descriptors that there are. */
static int block_signals(void)
{
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGUSR1);
	sigaddset(&signals, SIGUSR2);
	sigaddset(&signals, SIGHUP);
	CHECK(pthread_sigmask(SIG_BLOCK, &signals, NULL) == 0);
	CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR); /* a write to a closed socket is an error code */
	int descriptor = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
	CHECK_GE(descriptor, 0);
	return descriptor;
}

/* What the previous program left beside its clients. */
static bool take_notes_over(struct serving *serving, struct options *options)
{
	if (!heir_is_one(&serving->heir))
		return true;
	if (!heir_read(&serving->heir, gateway_notes(serving->gateway))) {
		log_write(LOG_ERROR, "the previous program has left no note");
		return false;
	}
	options->admin.inherited = serving->heir.note.admin;
	return heir_test_point(&serving->heir);
}

/* It has clients by now, which are more than an admin side: without one it serves on. */
static void start_admin_of_heir(struct serving *serving, const struct options *options, struct admin_hooks hooks)
{
	struct listener *left = &serving->heir.note.admin;
	if (!admin_start(&options->admin, serving->gateway, hooks, &serving->admin))
		log_write(LOG_ERROR, "clients are served on without the admin side, until the next upgrade or restart");
	if (left->fd < 0 || admin_listener(serving->admin).fd == left->fd)
		return;
	/* The address has changed: nobody is to wait at the old one. */
	listener_close(left);
	left->fd = -1;
}

/* The admin side comes first, so that it can be asked while the store is recovered. False: the process is to exit. */
static bool start_serving(struct serving *serving, struct options *options)
{
	struct admin_hooks hooks = {.reload = on_reload,
				    .drain = on_drain,
				    .upgrade = on_upgrade,
				    .upgrade_status = on_upgrade_status,
				    .upgrade_fd = upgrade_fd(serving->upgrade),
				    .rules = on_rules,
				    .presence_table = on_presence_table,
				    .consumers = on_consumers,
				    .hooks = on_hooks,
				    .bridges = on_bridges,
				    .relay_fd = relay_fd(serving->relay),
				    .nodes = serving->nodes,
				    .context = serving};
	struct recovery recovery;
	serving->gateway = gateway_new(&options->settings, serving->heir.root_fd);
	if (serving->gateway == NULL || !take_notes_over(serving, options))
		return false;
	/* An heir has nothing to show meanwhile: who asks waits for some milliseconds, rather than hear that it starts.
	 */
	bool is_heir = heir_is_one(&serving->heir);
	if (!is_heir && !admin_start(&options->admin, serving->gateway, hooks, &serving->admin))
		return false;
	heir_takes_over(&serving->heir);
	recovery_begin(&recovery, serving->admin);
	bool started = gateway_start(serving->gateway, recovery_show, &recovery);
	recovery_end(&recovery);
	if (started && is_heir)
		start_admin_of_heir(serving, options, hooks);
	if (!started) {
		admin_stop(serving->admin);
		return false;
	}
	admin_set_started(serving->admin); /* before the log says so, as at the end */
	log_always(LOG_INFO, "ready");
	if (heir_is_one(&serving->heir))
		upgrade_begun(serving->upgrade, &serving->heir, serving->admin);
	reloader_begin(&serving->reloader, serving->gateway, serving->admin, serving->relay);
	tell_that_it_serves(serving);
	return true;
}

/* Returns the exit status. */
static int stop_serving(struct serving *serving)
{
	bool kept = true;
	reloader_end(&serving->reloader);
	relay_leave(serving->relay);
	nodes_stop(serving->nodes);
	bridge_stop(serving->bridge);
	asking_stop(serving->asking);
	uint64_t left = gateway_stop(serving->gateway, &kept);
	admin_stop(serving->admin);
	relay_free(serving->relay);
	nodes_free(serving->nodes);
	asking_free(serving->asking);
	bridge_free(serving->bridge);
	gateway_free(serving->gateway);
	upgrade_free(serving->upgrade);
	if (left != 0)
		log_always(LOG_WARNING, "stopped with %lu clients still connected: the time was up", left);
	else
		log_always(LOG_INFO, "stopped");
	return kept ? 0 : 1;
}

/* Without rules, too: a reload may bring some. NULL: after logging why. */
static struct relay *make_relay(const struct options *options, const struct bridge *bridge)
{
	const struct redis_settings *redis = bridge_redis(bridge);
	struct relay_settings settings = {
		.presence_table = options->settings.presence_table,
		.node = options->settings.node,
		.private_tables = options->settings.private_tables,
	};
	if (redis != NULL)
		settings.redis = redis->target;
	/* command_line_read() has checked it */
	CHECK(redis != NULL || (options->items.rules.count == 0 && options->items.consumers.count == 0 &&
				settings.presence_table[0] == '\0'));
	struct relay *relay = relay_new(&options->items, &settings);
	if (relay == NULL)
		log_write(LOG_ERROR, "cannot start: %s", error_sentence(ERROR_NO_MEMORY));
	bool has_store = options->settings.store.directory[0] != '\0';
	if (options->items.rules.count != 0 && !has_store)
		log_write(LOG_WARNING,
			  "rules have no store behind them: what Redis does not have yet is lost with this "
			  "process; --store keeps it");
	if (options->items.hooks.count != 0 && !has_store)
		log_write(LOG_WARNING,
			  "hooks have no store behind them: what their endpoints do not have yet is lost with this "
			  "process; --store keeps it");
	if (options->items.bridges.count != 0 && !has_store)
		log_write(LOG_WARNING,
			  "bridges have no store behind them: what their brokers do not have yet is lost with this "
			  "process; --store keeps it");
	return relay;
}

/* Until the end: the gateway has its settings there. Returns the exit status. */
static int serve_with(struct options *options, int argc, char **argv, const struct heir *heir)
{
	struct serving serving = {.heir = *heir};
	reloader_init(&serving.reloader, argc, argv, options);
	log_level_set(options->log_level);
	int signals = block_signals();

	serving.bridge = bridge_new(&options->settings);
	serving.upgrade = upgrade_new(heir);
	serving.relay = serving.bridge != NULL ? make_relay(options, serving.bridge) : NULL;
	if (serving.bridge != NULL && asking_check(&options->settings))
		serving.asking = asking_new(&options->settings, bridge_redis(serving.bridge));
	bool clustered = cluster_is_on(&options->settings.cluster);
	serving.nodes = clustered ? nodes_new(&options->settings) : NULL;
	if (serving.asking == NULL || serving.upgrade == NULL || serving.relay == NULL ||
	    (clustered && serving.nodes == NULL)) {
		heir_go_back("it does not start; the log says why");
		relay_free(serving.relay);
		nodes_free(serving.nodes);
		asking_free(serving.asking);
		if (serving.bridge != NULL)
			bridge_free(serving.bridge);
		if (serving.upgrade != NULL)
			upgrade_free(serving.upgrade);
		reloader_fini(&serving.reloader);
		return EXIT_USAGE;
	}
	if (!start_serving(&serving, options)) {
		/* What was made is not taken apart: some of it has threads, and the process ends, or begins anew as
		 * the previous program. */
		heir_go_back("it does not start; the log says why");
		fflush(NULL);
		_exit(1);
	}
	/* An heir has clients already: they are not to end for what the log says. */
	bool started = bridge_start(serving.bridge, serving.gateway);
	if ((!asking_start(serving.asking, serving.gateway) || !started) && !heir_is_one(&serving.heir))
		return 1;
	nodes_start(serving.nodes, serving.gateway);
	relay_start(serving.relay, serving.gateway);
	int signal = serve_until_signal(&serving, signals);
	admin_set_draining(serving.admin); /* before the log says so: whoever reads the log finds the same in the API */
	notify_stopping("version %s, stopping", ROOST_VERSION);
	log_always(LOG_INFO, "stopping: %s", signal == SIGTERM ? "SIGTERM" : "SIGINT");
	int status = stop_serving(&serving);
	reloader_fini(&serving.reloader);
	return status;
}

/* The files that the options name are read, too: if this program could not start with them, the previous one could not
 * either when it is to go on in its place. */
static int answer_trial(const struct options *options)
{
	char storage[STORAGE_TEXT_BYTES];
	if (!rehearse(&options->settings) || bridge_new(&options->settings) == NULL ||
	    !asking_check(&options->settings) || !admin_check_options(&options->admin))
		return 1;
	storage_describe(&options->settings.store, storage);
	return trial_answer(storage);
}

/* What was read for the trial is not taken apart. */
static _Noreturn void end_trial(int status)
{
	fflush(NULL);
	_exit(status);
}

int serve_main(int argc, char **argv)
{
	if (wants_help(argc, argv)) {
		print_help();
		return 0;
	}
	struct heir heir;
	bool on_trial = trial_is_one();
	crash_catch_signals();
	heir_begin(&heir);
	struct options *options = options_new();
	CHECK(options != NULL);
	int status = EXIT_USAGE;
	if (!command_line_read(argc, argv, options, stderr))
		heir_go_back("it does not take the configuration");
	else if (on_trial)
		end_trial(answer_trial(options));
	else
		status = serve_with(options, argc, argv, &heir);
	free(options);
	return status;
}
