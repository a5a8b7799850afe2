#include "control/tls/tls_keeper.h"

#include "base/check.h"
#include "base/log.h"
#include "control/tls/certificates.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Whoever renews a certificate replaces several files, one after the other: they are read once nothing has happened for
 * so long, but after so long in any case. */
#define QUIET_MS 1000u
#define LATEST_MS 10000u
#define MINUTE_MS 60000u
/* How often files are looked for that a reload has named. */
#define STALE_MS 5000u
#define DAY_S 86400

static int64_t keeper_wall_s(void)
{
	return (int64_t)time(NULL);
}

bool tls_keeper_open(struct tls_keeper *keeper, const struct settings *settings)
{
	struct tls_context_set fresh;
	int64_t wall_s = keeper_wall_s();
	*keeper = (struct tls_keeper){.watch = {-1}, .quiet_at_ms = UINT64_MAX};
	tls_contexts_open(&keeper->contexts);
	if (!certificates_wanted(settings))
		return true;
	const struct tls_ticket_options *options = &settings->tls_tickets;
	keeper->tickets = tls_tickets_new(options->lifetime_s, wall_s);
	if (keeper->tickets == NULL) {
		log_write(LOG_ERROR, "cannot make keys for TLS session tickets: %s", error_sentence(ERROR_NO_MEMORY));
		return false;
	}
	if (!ticket_file_open(&keeper->ticket_file, options->file, keeper->tickets, wall_s) ||
	    !certificates_read(settings, keeper->tickets, wall_s, &keeper->stamps, NULL, &fresh))
		return false;
	certificates_log(settings, &fresh, wall_s);
	keeper->warned_day = wall_s / DAY_S;
	tls_contexts_publish(&keeper->contexts, &fresh);
	return true;
}

void tls_keeper_close(struct tls_keeper *keeper)
{
	tls_contexts_close(&keeper->contexts);
	file_stamps_clear(&keeper->stamps);
	file_watch_close(&keeper->watch);
	if (keeper->tickets == NULL)
		return;
	ticket_file_close(&keeper->ticket_file);
	tls_tickets_free(keeper->tickets);
	keeper->tickets = NULL;
}

bool tls_keeper_read(struct tls_keeper *keeper, const struct settings *settings, FILE *report,
		     struct tls_context_set *fresh)
{
	*fresh = (struct tls_context_set){.items = {NULL}};
	if (keeper->tickets == NULL)
		return true;
	file_stamps_clear(&keeper->stamps);
	keeper->is_stale = true;
	bool ok = certificates_read(settings, keeper->tickets, keeper_wall_s(), &keeper->stamps, report, fresh);
	if (!ok)
		atomic_fetch_add(&keeper->reload_failures, 1);
	return ok;
}

void tls_keeper_use(struct tls_keeper *keeper, const struct settings *settings, struct tls_context_set *fresh)
{
	if (keeper->tickets == NULL)
		return;
	int64_t wall_s = keeper_wall_s();
	struct tls_context_set taken = {.items = {NULL}};
	tls_contexts_publish(&keeper->contexts, fresh);
	atomic_fetch_add(&keeper->reloads, 1);
	/* Whoever reads of it in the log finds it so. */
	tls_contexts_take(&keeper->contexts, &taken);
	certificates_log(settings, &taken, wall_s);
	tls_context_set_drop(&taken);
	keeper->warned_day = wall_s / DAY_S;
}

/* ---- watching; main thread ---- */

/* Watches what the last reading read. A change between that and now shows by the stamps. */
static void watch_files(struct tls_keeper *keeper)
{
	for (size_t i = 0; i < keeper->stamps.count; i++) {
		const char *path = file_stamps_path(&keeper->stamps, i);
		if (!file_watch_add(&keeper->watch, path))
			log_write(LOG_WARNING, "%s is not watched for changes: %s", path, strerror(errno));
	}
	const char *ticket_path = keeper->ticket_file.path;
	if (ticket_path[0] != '\0')
		file_watch_add(&keeper->watch, ticket_path);
	keeper->is_stale = false;
}

void tls_keeper_watch(struct tls_keeper *keeper)
{
	if (keeper->tickets == NULL)
		return;
	CHECK(!keeper->is_watching);
	keeper->is_watching = true;
	file_watch_open(&keeper->watch);
	if (keeper->watch.fd < 0)
		log_write(LOG_WARNING, "files of certificates are not watched, and are read again on a reload only: %s",
			  strerror(errno));
	keeper->is_stale = true;
}

int tls_keeper_watch_fd(const struct tls_keeper *keeper)
{
	return keeper->watch.fd;
}

static void log_lines(enum log_level level, char *text)
{
	char *rest = NULL;
	for (const char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
		log_write(level, "%s", line);
}

/* What changed is read and used, or the log says why it is not. */
static void renew(struct tls_keeper *keeper, const struct settings *settings)
{
	struct tls_context_set fresh;
	char *text = NULL;
	size_t size = 0;
	FILE *report = open_memstream(&text, &size);
	if (report == NULL)
		return;
	bool ok = tls_keeper_read(keeper, settings, report, &fresh);
	fclose(report);
	if (ok) {
		tls_keeper_use(keeper, settings, &fresh);
		log_write(LOG_INFO, "certificates renewed");
	} else {
		log_lines(LOG_ERROR, text);
		log_write(LOG_ERROR, "certificates not renewed: those of before stay in use");
	}
	free(text);
}

static void look_for_changes(struct tls_keeper *keeper, const struct settings *settings, int64_t wall_s)
{
	const char *path = file_stamps_changed(&keeper->stamps);
	if (path != NULL) {
		log_write(LOG_INFO, "%s has changed", path);
		renew(keeper, settings);
	}
	ticket_file_turn(&keeper->ticket_file, keeper->tickets, wall_s);
	watch_files(keeper);
}

static void warn_daily(struct tls_keeper *keeper, int64_t wall_s)
{
	struct tls_context_set taken = {.items = {NULL}};
	if (wall_s / DAY_S == keeper->warned_day)
		return;
	keeper->warned_day = wall_s / DAY_S;
	tls_contexts_take(&keeper->contexts, &taken);
	certificates_warn(&taken, wall_s);
	tls_context_set_drop(&taken);
}

static uint64_t earlier(uint64_t one, uint64_t other)
{
	return one < other ? one : other;
}

uint32_t tls_keeper_turn(struct tls_keeper *keeper, const struct settings *settings, uint64_t now_ms, int64_t wall_s)
{
	if (keeper->tickets == NULL)
		return MINUTE_MS;
	CHECK(keeper->is_watching);
	if (file_watch_take(&keeper->watch)) {
		if (keeper->quiet_at_ms == UINT64_MAX)
			keeper->latest_at_ms = now_ms + LATEST_MS;
		keeper->quiet_at_ms = earlier(now_ms + QUIET_MS, keeper->latest_at_ms);
	}
	if (keeper->is_stale || now_ms >= keeper->quiet_at_ms) {
		keeper->quiet_at_ms = UINT64_MAX;
		if (keeper->is_stale)
			watch_files(keeper);
		look_for_changes(keeper, settings, wall_s);
	}
	if (now_ms >= keeper->minute_at_ms) {
		keeper->minute_at_ms = now_ms + MINUTE_MS;
		ticket_file_turn(&keeper->ticket_file, keeper->tickets, wall_s);
		warn_daily(keeper, wall_s);
	}
	uint64_t until_ms = earlier(keeper->quiet_at_ms, earlier(keeper->minute_at_ms, now_ms + STALE_MS));
	return (uint32_t)(until_ms > now_ms ? until_ms - now_ms : 0);
}
