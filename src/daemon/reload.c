#include "daemon/reload.h"

#include "access/access.h"
#include "base/check.h"
#include "daemon/command_line.h"

#include <stdlib.h>
#include <string.h>

void reloader_init(struct reloader *reloader, int argc, char **argv, const struct options *started)
{
	*reloader = (struct reloader){.argc = argc, .argv = argv, .started = *started, .current = *started};
	CHECK(pthread_mutex_init(&reloader->lock, NULL) == 0);
	pthread_mutex_lock(&reloader->lock);
}

void reloader_begin(struct reloader *reloader, struct gateway *gateway, struct admin *admin)
{
	reloader->gateway = gateway;
	reloader->admin = admin;
	pthread_mutex_unlock(&reloader->lock);
}

void reloader_end(struct reloader *reloader)
{
	pthread_mutex_lock(&reloader->lock);
	reloader->stopping = true;
	pthread_mutex_unlock(&reloader->lock);
}

/* The settings in force, with what may change taken from the options. What the gateway itself has made of others, such
 * as the ports of its listeners, stays. */
static void take_live(struct settings *settings, const struct options *options)
{
	struct options mixed = {.settings = *settings};
	for (size_t i = 0; i < option_count(); i++) {
		if (option_is_live(option_at(i)))
			option_copy(option_at(i), &mixed, options);
	}
	*settings = mixed.settings;
}

/* With the lock held. */
static bool reload(struct reloader *reloader, FILE *report)
{
	struct options wanted = options_default();
	const char *path = command_line_config(reloader->argc, reloader->argv);
	if (!command_line_read(reloader->argc, reloader->argv, &wanted, report))
		return false;
	struct options changed = reloader->current;
	if (options_change(&changed, &reloader->started, &wanted, path, report) != ERROR_OK)
		return false;
	/* Last what cannot be undone, after all that may fail. */
	if (!admin_check_token(reloader->admin, report) || !access_reload(gateway_access(reloader->gateway), report) ||
	    !admin_reload_token(reloader->admin, report))
		return false;
	struct settings settings = *gateway_settings(reloader->gateway);
	take_live(&settings, &changed);
	enum error error = gateway_reload(reloader->gateway, &settings);
	if (error == ERROR_NO_MEMORY) {
		fprintf(report, "%s\n", error_sentence(error));
		return false;
	}
	log_level_set(changed.log_level);
	reloader->current = changed;
	return true;
}

bool reloader_reload(void *context, FILE *report)
{
	struct reloader *reloader = context;
	bool done = false;
	pthread_mutex_lock(&reloader->lock);
	if (reloader->stopping)
		fprintf(report, "%s\n", error_sentence(ERROR_SERVER_STOPPING));
	else
		done = reload(reloader, report);
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
