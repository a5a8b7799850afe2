#include "bench/stored/stored.h"

#include "bench/options/options.h"
#include "bench/report/progress.h"
#include "bench/report/report.h"
#include "bench/stored/stored_run.h"
#include "bench/target/child.h"
#include "bench/target/process.h"

#include "base/check.h"
#include "base/clock.h"

#include <fts.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

/* Reading a million sessions may take its time where it is not fast; that is what is measured. */
#define START_NS 600000000000u
#define STOP_NS 600000000000u
#define IDLE_MS_MAX 60000u
#define BLOCK_BYTES 512u

struct stored_figures {
	double empty_bytes; /* memory */
	double sessions_bytes;
	double sessions_again_bytes; /* after a restart */
	double messages_bytes;
	double restarted_bytes;
	double sessions_disk_bytes; /* what is left on disk after a clean stop: without room that is kept ahead */
	double messages_disk_bytes; /* with the sessions */
	double first_start_s;
	double sessions_s;
	double messages_s;
	double sessions_stop_s;
	double stop_s;
	double sessions_start_s;
	double start_s;
	double start_after_kill_s;
	double resumed_s; /* from exec to the first session that was resumed */
	struct stored_check check;
};

static double seconds_since(uint64_t began_ns)
{
	return (double)(clock_now_ns() - began_ns) / 1e9;
}

/* What the directory takes on disk. Files may go while it is read. */
static double disk_bytes(const char *directory)
{
	char *paths[] = {(char *)(uintptr_t)directory, NULL};
	double sum = 0;
	FTS *walk = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	if (walk == NULL)
		return (double)NAN;
	for (FTSENT *entry; (entry = fts_read(walk)) != NULL;) {
		if (entry->fts_info == FTS_F)
			sum += (double)entry->fts_statp->st_blocks * BLOCK_BYTES;
	}
	fts_close(walk);
	return sum;
}

static double memory_now(const struct child *child)
{
	process_wait_idle(child->pid, IDLE_MS_MAX);
	return (double)process_resident_bytes(child->pid);
}

static bool stored_start(struct child *child, double *took_s)
{
	uint64_t began_ns = clock_now_ns();
	if (!child_start(child) || !child_wait_accepting(child, START_NS))
		return false;
	*took_s = seconds_since(began_ns);
	return true;
}

static bool stored_stop(struct child *child, double *took_s)
{
	uint64_t began_ns = clock_now_ns();
	progress_show("stop", 0, "SIGTERM");
	bool good = child_end(child, SIGTERM, STOP_NS);
	*took_s = seconds_since(began_ns);
	if (!good)
		child_print_log(child);
	return good;
}

static bool store_sessions(const struct stored_options *options, struct child *child, struct stored_figures *figures)
{
	if (!stored_start(child, &figures->first_start_s))
		return false;
	figures->empty_bytes = memory_now(child);
	uint64_t began_ns = clock_now_ns();
	if (!stored_make_sessions(options, &child->address))
		return false;
	figures->sessions_s = seconds_since(began_ns);
	figures->sessions_bytes = memory_now(child);
	if (!stored_stop(child, &figures->sessions_stop_s))
		return false;
	figures->sessions_disk_bytes = disk_bytes(options->store);
	if (!stored_start(child, &figures->sessions_start_s))
		return false;
	figures->sessions_again_bytes = memory_now(child);
	return true;
}

static bool store_messages(const struct stored_options *options, struct child *child, struct stored_figures *figures)
{
	uint64_t began_ns = clock_now_ns();
	if (options->messages > 0 && !stored_queue_messages(options, &child->address))
		return false;
	figures->messages_s = seconds_since(began_ns);
	figures->messages_bytes = memory_now(child);
	if (!stored_stop(child, &figures->stop_s))
		return false;
	figures->messages_disk_bytes = disk_bytes(options->store);
	return true;
}

static bool start_again(const struct stored_options *options, struct child *child, struct stored_figures *figures)
{
	progress_show("start", 0, "with %u sessions", options->sessions);
	if (!stored_start(child, &figures->start_s))
		return false;
	figures->restarted_bytes = memory_now(child);
	progress_show("kill", 0, "SIGKILL, and start once more");
	child_end(child, SIGKILL, STOP_NS);
	uint64_t began_ns = clock_now_ns();
	if (!stored_start(child, &figures->start_after_kill_s))
		return false;
	stored_resume(options, &child->address, &figures->check);
	figures->resumed_s = figures->check.resumed_ns > began_ns ? (double)(figures->check.resumed_ns - began_ns) / 1e9
								  : (double)NAN;
	return true;
}

static void report_sizes(struct report *report, const struct stored_options *options,
			 const struct stored_figures *figures)
{
	double sessions = options->sessions;
	double messages = options->messages > 0 ? sessions * options->messages : (double)NAN;
	report_number(report, NULL, "sessions", sessions, 0, "sessions, offline, one subscription each", "");
	report_number(report, NULL, "messages", options->messages, 0, "messages queued for each", "");
	report_number(report, NULL, "size", options->size, 0, "  payload", "B");
	report_number(report, NULL, "session_memory_bytes", (figures->sessions_bytes - figures->empty_bytes) / sessions,
		      1, "memory a session", "B");
	report_number(report, NULL, "session_restarted_memory_bytes",
		      (figures->sessions_again_bytes - figures->empty_bytes) / sessions, 1, "  after a restart", "B");
	report_number(report, NULL, "session_disk_bytes", figures->sessions_disk_bytes / sessions, 1,
		      "  on disk, after a clean stop", "B");
	report_number(report, NULL, "message_memory_bytes",
		      (figures->messages_bytes - figures->sessions_again_bytes) / messages, 1,
		      "memory a queued message", "B");
	report_number(report, NULL, "message_disk_bytes",
		      (figures->messages_disk_bytes - figures->sessions_disk_bytes) / messages, 1,
		      "  on disk, after a clean stop", "B");
	report_number(report, NULL, "restarted_memory_bytes",
		      (figures->restarted_bytes - figures->empty_bytes) / sessions, 1,
		      "a session with its messages, after a restart", "B");
	report_number(report, NULL, "resident_bytes", figures->restarted_bytes, 0, "  memory in all", "B");
}

static void report_times(struct report *report, const struct stored_options *options,
			 const struct stored_figures *figures)
{
	report_number(report, NULL, "sessions_per_s", options->sessions / figures->sessions_s, 0,
		      "sessions made, subscribed and left", "/s");
	report_number(report, NULL, "messages_per_s",
		      (double)options->sessions * options->messages / figures->messages_s, 0, "messages queued", "/s");
	report_number(report, NULL, "empty_start_s", figures->first_start_s, 3, "from exec to accepting, empty", "s");
	report_number(report, NULL, "sessions_start_s", figures->sessions_start_s, 3, "  with the sessions alone", "s");
	report_number(report, NULL, "start_s", figures->start_s, 3, "  with their messages", "s");
	report_number(report, NULL, "start_after_kill_s", figures->start_after_kill_s, 3, "  the same after kill -9",
		      "s");
	report_number(report, NULL, "resumed_s", figures->resumed_s, 3, "  from exec to the first session resumed",
		      "s");
	report_number(report, NULL, "sessions_stop_s", figures->sessions_stop_s, 3,
		      "clean stop, with the sessions alone", "s");
	report_number(report, NULL, "stop_s", figures->stop_s, 3, "  with their messages", "s");
	report_number(report, NULL, "checked", figures->check.checked, 0, "sessions resumed", "");
	report_number(report, NULL, "present", figures->check.present, 0, "  of these were there", "");
	report_number(report, NULL, "checked_messages", (double)figures->check.messages, 0, "  messages they had", "");
}

static bool stored_against(const struct stored_options *options, struct child *child)
{
	struct stored_figures figures = {.stop_s = 0};
	struct report *report = report_new();
	const char *fault = child_plan(child, options->command, options->store);
	if (fault != NULL)
		fprintf(stderr, "roost bench stored: %s\n", fault);
	bool good = fault == NULL && report != NULL && store_sessions(options, child, &figures) &&
		    store_messages(options, child, &figures) && start_again(options, child, &figures);
	progress_end();
	if (good) {
		report_sizes(report, options, &figures);
		report_times(report, options, &figures);
		report_print(report, options->json);
	}
	report_free(report);
	CHECK(figures.check.present <= options->sessions);
	return good && figures.check.present == options->checked &&
	       figures.check.messages == (uint64_t)options->checked * options->messages;
}

int stored_main(int argc, char **argv)
{
	struct stored_options options;
	struct child child = {.log = -1};
	int status;
	if (!stored_options_parse(argc, argv, &options, &status))
		return status;
	progress_catch_signals();
	bool good = stored_against(&options, &child);
	if (child.pid > 0)
		child_end(&child, SIGTERM, STOP_NS);
	child_close(&child);
	return good ? BENCH_EXIT_OK : BENCH_EXIT_FAILED;
}
