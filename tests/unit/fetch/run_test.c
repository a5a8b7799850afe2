/* The process that fetches, as the server sees it: one that does its work, and ones that crash, hang, lie or say too
 * much. The process is this very program, which then does what the job's URL names. */
#include "base/clock.h"

#include <stdbool.h>
#include <stdint.h>

static uint64_t test_now_ms = 1000000;
static uint64_t test_step_ms;

static uint64_t clock_of_test(void)
{
	return test_now_ms += test_step_ms;
}

#define clock_now_ms clock_of_test
#include "fetch/fetch.c" /* NOLINT(bugprone-suspicious-include) */
#undef clock_now_ms

#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* ---- the process ---- */

static void say(const void *bytes, size_t size)
{
	while (size != 0) {
		ssize_t put = write(STDOUT_FILENO, bytes, size);
		if (put < 0)
			exit(1);
		bytes = (const char *)bytes + put;
		size -= (size_t)put;
	}
}

/* Tells of each descriptor that is open but 0, 1, 2 and the directory's own. */
static uint32_t count_strange_descriptors(void)
{
	uint32_t count = 0;
	DIR *directory = opendir("/proc/self/fd");
	for (const struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;)
		count += entry->d_name[0] != '.' && atoi(entry->d_name) > 2 && atoi(entry->d_name) != dirfd(directory);
	return count;
}

static int be_fetcher(void)
{
	static struct fetch_job job;
	static char much[1 << 16];
	struct fetch_report report = {.good = true, .status = 200, .body_bytes = 5, .etag = "\"x\""};
	if (read(STDIN_FILENO, &job, sizeof(job)) != (ssize_t)sizeof(job))
		return 3;
	if (strcmp(job.url, "silent") == 0)
		return 0;
	if (strcmp(job.url, "crash") == 0)
		raise(SIGKILL);
	if (strcmp(job.url, "hang") == 0)
		pause();
	if (strcmp(job.url, "long") == 0)
		report.body_bytes = 4;
	if (strcmp(job.url, "short") == 0)
		report.body_bytes = 6;
	if (strcmp(job.url, "unended") == 0)
		memset(report.etag, 'x', sizeof(report.etag));
	if (strcmp(job.url, "descriptors") == 0)
		report.status = 1000 + count_strange_descriptors();
	if (strcmp(job.url, "group") == 0)
		report.status = getpgrp() == getpid();
	say(&report, sizeof(report));
	while (strcmp(job.url, "much") == 0)
		say(much, sizeof(much));
	say("hello", 5);
	return 0;
}

/* ---- the server ---- */

static struct waker waker;
static _Atomic bool stopping;

static int set_up(void **state)
{
	(void)state;
	atomic_store(&stopping, false);
	test_step_ms = 0;
	return waker_open(&waker) == ERROR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	waker_close(&waker);
	return 0;
}

static struct fetch_report run(const char *url, uint8_t **body)
{
	struct fetch_job job = {.body_bytes_max = 1000};
	struct fetch_report report;
	snprintf(job.url, sizeof(job.url), "%s", url);
	fetch_run(&job, &waker, &stopping, &report, body);
	/* Nothing is left of the process. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	return report;
}

static void test_good(void **state)
{
	(void)state;
	uint8_t *body;
	struct fetch_report report = run("good", &body);
	assert_true(report.good);
	assert_int_equal(report.status, 200);
	assert_string_equal(report.etag, "\"x\"");
	assert_int_equal(report.body_bytes, 5);
	assert_memory_equal(body, "hello", 5);
	free(body);
}

static void test_descriptors_stay_here(void **state)
{
	(void)state;
	uint8_t *body;
	int fd = dup(STDERR_FILENO); /* one that is not closed by exec */
	struct fetch_report report = run("descriptors", &body);
	close(fd);
	assert_int_equal(report.status, 1000);
	free(body);
}

/* What a terminal sends to the server's group does not reach it. */
static void test_has_a_group_of_its_own(void **state)
{
	(void)state;
	uint8_t *body;
	assert_int_equal(run("group", &body).status, 1);
	free(body);
}

static void test_bad(void **state)
{
	(void)state;
	static const struct {
		const char *url, *fault;
	} BAD[] = {
		{"silent", "said nothing"},  {"crash", "by a signal"},      {"long", "makes no sense"},
		{"short", "makes no sense"}, {"unended", "makes no sense"}, {"much", "larger than was allowed"},
	};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		uint8_t *body;
		struct fetch_report report = run(BAD[i].url, &body);
		assert_false(report.good);
		assert_null(body);
		if (strstr(report.fault, BAD[i].fault) == NULL)
			fail_msg("%s: %s", BAD[i].url, report.fault);
	}
}

static void test_hangs_until_its_time_is_up(void **state)
{
	(void)state;
	uint8_t *body;
	test_step_ms = FETCH_KILL_MS;
	struct fetch_report report = run("hang", &body);
	assert_false(report.good);
	assert_non_null(strstr(report.fault, "in time"));
}

static void *stop(void *argument)
{
	(void)argument;
	atomic_store(&stopping, true);
	waker_wake(&waker);
	return NULL;
}

static void test_hangs_until_the_server_stops(void **state)
{
	(void)state;
	uint8_t *body;
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, stop, NULL), 0);
	struct fetch_report report = run("hang", &body);
	assert_false(report.good);
	free(body);
	pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], FETCH_COMMAND) == 0)
		return be_fetcher();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_good, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_descriptors_stay_here, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_has_a_group_of_its_own, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bad, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hangs_until_its_time_is_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hangs_until_the_server_stops, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
