#include "daemon/reload.h"

#include "access/access.h"
#include "base/check.h"
#include "base/clock.h"
#include "control/tls/tls_keeper.h"
#include "daemon/options/bridge_queues.h"
#include "daemon/options/command_line.h"
#include "daemon/options/listener_options.h"
#include "relay/relay.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

void reloader_init(struct reloader *reloader, int argc, char **argv, const struct options *started)
{
	*reloader = (struct reloader){
		.argc = argc, .argv = argv, .started = options_clone(started), .current = options_clone(started)};
	CHECK(reloader->started != NULL && reloader->current != NULL);
	CHECK(pthread_mutex_init(&reloader->lock, NULL) == 0);
	CHECK(pthread_mutex_lock(&reloader->lock) == 0);
}

void reloader_begin(struct reloader *reloader, struct gateway *gateway, struct admin *admin, struct relay *relay)
{
	CHECK(gateway != NULL && reloader->gateway == NULL);
	reloader->gateway = gateway;
	reloader->admin = admin;
	reloader->relay = relay;
	pthread_mutex_unlock(&reloader->lock);
}

void reloader_end(struct reloader *reloader)
{
	pthread_mutex_lock(&reloader->lock);
	reloader->stopping = true;
	pthread_mutex_unlock(&reloader->lock);
}

void reloader_set_upgrading(struct reloader *reloader, bool upgrading)
{
	pthread_mutex_lock(&reloader->lock);
	reloader->upgrading = upgrading;
	pthread_mutex_unlock(&reloader->lock);
}

void reloader_fini(struct reloader *reloader)
{
	free(reloader->started);
	free(reloader->current);
	reloader->started = NULL;
	reloader->current = NULL;
}

/* Copies what may change from the options into the settings in force. What the gateway itself has made of the others,
 * such as the ports of its listeners, stays. */
static bool take_live(struct settings *settings, const struct options *options)
{
	struct options *mixed = options_new();
	if (mixed == NULL)
		return false;
	mixed->settings = *settings;
	listener_options_copy(mixed, options);
	for (size_t i = 0; i < option_count(); i++) {
		if (option_is_live(option_at(i)))
			option_copy(option_at(i), mixed, options);
	}
	*settings = mixed->settings;
	bridge_queues_take(settings, &options->items.bridges);
	free(mixed);
	return true;
}

static bool reload_lacks_memory(FILE *report)
{
	fprintf(report, "%s\n", error_sentence(ERROR_NO_MEMORY));
	return false;
}

/* Applies what was read. False: report says why nothing has changed. */
static bool reload_apply(struct reloader *reloader, const struct options *changed, FILE *report)
{
	struct tls_keeper *tls = gateway_tls(reloader->gateway);
	struct tls_context_set fresh;
	struct settings settings = *gateway_settings(reloader->gateway);
	if (!take_live(&settings, changed))
		return reload_lacks_memory(report);
	if (!tls_keeper_read(tls, &settings, report, &fresh))
		return false;
	/* What cannot be undone comes last, after all that may fail. */
	bool applied = admin_check_token(reloader->admin, report) &&
		       access_reload(gateway_access(reloader->gateway), report) &&
		       admin_reload_token(reloader->admin, report);
	if (applied && gateway_reload(reloader->gateway, &settings) == ERROR_NO_MEMORY)
		applied = reload_lacks_memory(report);
	if (applied)
		tls_keeper_use(tls, &settings, &fresh);
	else
		tls_context_set_drop(&fresh);
	return applied;
}

/* Puts what was read to use, in *changed first. */
static bool reload_to(struct reloader *reloader, const struct options *wanted, struct options *changed, FILE *report)
{
	/* Changes are told only if they are made. */
	char *text = NULL;
	size_t size = 0;
	FILE *lines = open_memstream(&text, &size);
	if (lines == NULL)
		return reload_lacks_memory(report);
	const char *path = command_line_config(reloader->argc, reloader->argv);
	bool may = options_change(changed, reloader->started, wanted, path, lines) == ERROR_OK;
	fclose(lines);
	bool done = may && reload_apply(reloader, changed, report);
	if (done || !may)
		fputs(text, report);
	free(text);
	if (done) {
		log_level_set(changed->log_level);
		relay_use(reloader->relay, &changed->items, &reloader->current->items);
		*reloader->current = *changed;
	}
	return done;
}

/* With the lock held. Options are too large for the stacks of some. */
static bool reload_locked(struct reloader *reloader, FILE *report)
{
	CHECK(reloader->gateway != NULL && !reloader->stopping);
	struct options *wanted = options_new(), *changed = options_clone(reloader->current);
	bool done = wanted != NULL && changed != NULL
			    ? command_line_read(reloader->argc, reloader->argv, wanted, report) &&
				      reload_to(reloader, wanted, changed, report)
			    : reload_lacks_memory(report);
	free(wanted);
	free(changed);
	return done;
}

bool reloader_reload(void *context, FILE *report)
{
	struct reloader *reloader = context;
	bool done = false;
	pthread_mutex_lock(&reloader->lock);
	if (reloader->stopping)
		fprintf(report, "%s\n", error_sentence(ERROR_SERVER_STOPPING));
	else
		done = reload_locked(reloader, report);
	pthread_mutex_unlock(&reloader->lock);
	return done;
}

/* With the lock held. */
static bool drain_locked(struct reloader *reloader, const struct drain_settings *drain, char *why, size_t why_size)
{
	struct settings settings = *gateway_settings(reloader->gateway);
	if (reloader->stopping) {
		snprintf(why, why_size, "%s", error_sentence(ERROR_SERVER_STOPPING));
		return false;
	}
	if (drain->number != 0 && settings.drain.number != 0) {
		snprintf(why, why_size, "it is being drained already; that may be cancelled");
		return false;
	}
	if (drain->number != 0 && reloader->upgrading) {
		snprintf(why, why_size, "an upgrade is under way; drain when it is over");
		return false;
	}
	settings.drain = *drain;
	/* Each has a number of its own, by which shards know a new one. */
	if (drain->number != 0)
		settings.drain.number = ++reloader->drains;
	enum error error = gateway_reload(reloader->gateway, &settings);
	if (error == ERROR_NO_MEMORY) {
		snprintf(why, why_size, "%s", error_sentence(error));
		return false;
	}
	if (drain->number == 0)
		log_always(LOG_INFO, "not drained any more: clients are let in");
	else
		log_always(LOG_INFO, "drained over %lu s%s%s", drain->over_ms / 1000,
			   drain->server_reference[0] != '\0' ? ", clients are sent to " : "", drain->server_reference);
	return true;
}

bool reloader_drain(struct reloader *reloader, const struct drain_settings *drain, char *why, size_t why_size)
{
	pthread_mutex_lock(&reloader->lock);
	bool done = drain_locked(reloader, drain, why, why_size);
	pthread_mutex_unlock(&reloader->lock);
	return done;
}

void reloader_reload_and_log(struct reloader *reloader)
{
	char *text = NULL;
	size_t size = 0;
	FILE *report = open_memstream(&text, &size);
	if (report == NULL)
		return;
	bool done = reloader_reload(reloader, report);
	fclose(report);
	char *rest = NULL;
	for (const char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
		log_write(done ? LOG_INFO : LOG_ERROR, "reload: %s", line);
	log_write(done ? LOG_INFO : LOG_ERROR, done ? "reloaded" : "not reloaded: nothing has changed");
	free(text);
}

uint32_t reloader_keep_tls(struct reloader *reloader)
{
	pthread_mutex_lock(&reloader->lock);
	CHECK(reloader->gateway != NULL);
	uint32_t wait_ms = tls_keeper_turn(gateway_tls(reloader->gateway), gateway_settings(reloader->gateway),
					   clock_now_ms(), (int64_t)time(NULL));
	pthread_mutex_unlock(&reloader->lock);
	return wait_ms;
}
