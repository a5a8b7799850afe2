/* The process that stays, as the server sees it: one that does its work, and ones that crash, hang, lie or say too
 * much. The process is this very program, which then does what each job's URL names. */
#include "fetch/fetch.h"
#include "fetch/fetcher.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW_MS 1000000u
#define WHOLE_MS 3000u
#define AWAIT_MS 20000

/* ---- the process ---- */

static void say_bytes(struct slice bytes)
{
	while (bytes.size != 0) {
		ssize_t put = write(STDOUT_FILENO, bytes.data, bytes.size);
		if (put < 0)
			exit(1);
		bytes = slice_of(bytes.data + put, bytes.size - (size_t)put);
	}
}

static uint32_t count_open_descriptors(void)
{
	uint32_t count = 0;
	DIR *directory = opendir("/proc/self/fd");
	for (const struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;)
		count += entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(directory);
	return count;
}

static void say_answer(uint64_t ticket, uint32_t status, struct slice body)
{
	struct bytes out = {0};
	const struct fetch_answer answer = {
		.status = status,
		.fault = "",
		.retry_after = "",
		.cache_control = "",
		.etag = "",
		.content_type = "",
		.location = "",
		.body = body,
	};
	frame_append_answer(&out, ticket, &answer);
	say_bytes(bytes_slice(&out));
	bytes_free(&out);
}

static bool does(const struct fetch_request *request, const char *what)
{
	return strcmp(request->url, what) == 0;
}

static void do_job(const struct frame *frame)
{
	static uint64_t kept;
	static char much[100];
	struct fetch_request request;
	if (!frame_read_job(frame->payload, &request))
		exit(3);
	if (does(&request, "crash"))
		raise(SIGKILL);
	if (does(&request, "exit"))
		exit(7);
	if (does(&request, "garbage"))
		say_bytes(slice_string("this is not what a frame looks like"));
	if (does(&request, "keep"))
		kept = frame->ticket;
	if (does(&request, "hang") || does(&request, "keep") || does(&request, "garbage"))
		return;
	if (does(&request, "strange"))
		say_answer(frame->ticket + 7, 200, slice_of(NULL, 0));
	if (does(&request, "much"))
		say_answer(frame->ticket, 200, slice_of(much, sizeof(much)));
	if (does(&request, "release"))
		say_answer(kept, 201, slice_string("late"));
	if (does(&request, "descriptors"))
		say_answer(frame->ticket, count_open_descriptors(), slice_of(NULL, 0));
	if (does(&request, "group"))
		say_answer(frame->ticket, getpgrp() == getpid(), slice_of(NULL, 0));
	say_answer(frame->ticket, 200, request.body);
}

static int be_process(void)
{
	struct bytes in = {0};
	for (;;) {
		struct frame frame;
		while (frame_read(bytes_slice(&in), 1 << 20, &frame) == FRAME_WHOLE) {
			if (frame.kind == FRAME_JOB)
				do_job(&frame);
			bytes_drop(&in, frame.size);
		}
		if (!bytes_reserve(&in, 4096))
			return 4;
		ssize_t got = read(STDIN_FILENO, in.data + in.size, 4096);
		if (got <= 0)
			return 0;
		in.size += (size_t)got;
	}
}

/* ---- the server ---- */

static struct fetcher fetcher;
static uint64_t now_ms;

static int open_fetcher(void **state)
{
	(void)state;
	now_ms = NOW_MS;
	fetcher_init(&fetcher, 4);
	return 0;
}

/* Nothing is left of any process. */
static int close_fetcher(void **state)
{
	(void)state;
	fetcher_fini(&fetcher);
	return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD ? 0 : -1;
}

static bool try_post(uint64_t id, const char *url, const char **why)
{
	const struct fetch_request request = {
		.method = "POST",
		.url = url,
		.ca_file = "",
		.certificate_file = "",
		.key_file = "",
		.connect_ms = 1000,
		.whole_ms = WHOLE_MS,
		.answer_bytes_max = 50,
		.body = slice_string("hello"),
	};
	return fetcher_post(&fetcher, id, &request, now_ms, why);
}

static void post(uint64_t id, const char *url)
{
	const char *why = "";
	if (!try_post(id, url, &why))
		fail_msg("%s: %s", url, why);
}

/* Waits for the next answer. */
static struct fetch_answer await(void)
{
	struct fetch_answer answer;
	while (!fetcher_next(&fetcher, now_ms, &answer)) {
		struct pollfd polled = {.fd = fetcher_fd(&fetcher), .events = fetcher_events(&fetcher)};
		assert_int_equal(poll(&polled, 1, AWAIT_MS), 1);
		fetcher_work(&fetcher, now_ms);
	}
	return answer;
}

static void assert_answered(uint64_t id)
{
	struct fetch_answer answer = await();
	assert_int_equal(answer.id, id);
	assert_int_equal(answer.outcome, FETCH_ANSWERED);
	assert_int_equal(answer.status, 200);
	assert_true(slice_equal(answer.body, slice_string("hello")));
}

static void assert_lost(uint64_t id, const char *fault)
{
	struct fetch_answer answer = await();
	assert_int_equal(answer.id, id);
	assert_int_equal(answer.outcome, FETCH_NO_PROCESS);
	if (strstr(answer.fault, fault) == NULL)
		fail_msg("%s is not in: %s", fault, answer.fault);
}

static void test_many_jobs_one_process(void **state)
{
	(void)state;
	for (uint64_t id = 0; id < 1000; id += 2) {
		post(id, "good");
		post(id + 1, "good");
		assert_answered(id);
		assert_answered(id + 1);
	}
	assert_int_equal(fetcher.starts, 1);
	assert_int_equal(fetcher.bytes, 0);
	assert_int_equal(fetcher_due_ms(&fetcher), UINT64_MAX);
}

static void test_nothing_runs_before_the_first_job(void **state)
{
	(void)state;
	assert_int_equal(fetcher_fd(&fetcher), -1);
	fetcher_work(&fetcher, now_ms);
	assert_int_equal(fetcher.starts, 0);
}

static void test_its_descriptors_and_group(void **state)
{
	(void)state;
	int fd = dup(STDERR_FILENO); /* one that is not closed by exec */
	post(1, "descriptors");
	assert_int_equal(await().status, 3);
	close(fd);
	fetcher_fini(&fetcher);
	fetcher_init(&fetcher, 4);
	post(1, "group");
	assert_int_equal(await().status, 1);
}

static void test_answers_nobody_waits_for(void **state)
{
	(void)state;
	post(1, "strange");
	assert_answered(1);
	post(2, "keep");
	fetcher_cancel(&fetcher, 2);
	fetcher_cancel(&fetcher, 2);
	post(3, "good"); /* uses the place again */
	assert_answered(3);
	post(4, "release"); /* the answer to 2 comes first */
	assert_answered(4);
	assert_int_equal(fetcher.job_count, 0);
}

static void test_every_end_loses_what_is_under_way(void **state)
{
	(void)state;
	static const struct {
		const char *url, *fault;
	} ENDS[] = {
		{"crash", "has ended by signal 9"},
		{"exit", "has ended with status 7"},
		{"garbage", "makes no sense"},
		{"much", "makes no sense"}, /* more than the job allowed */
	};
	for (size_t i = 0; i < sizeof(ENDS) / sizeof(ENDS[0]); i++) {
		post(1, "hang");
		post(2, ENDS[i].url);
		assert_lost(1, ENDS[i].fault);
		assert_lost(2, ENDS[i].fault);
		assert_int_equal(fetcher_fd(&fetcher), -1);
		now_ms += FETCHER_PAUSE_MS_MAX;
		post(3, "good");
		assert_answered(3);
		assert_int_equal(fetcher.starts, i + 2);
	}
}

static void test_starts_pause_for_longer_and_longer(void **state)
{
	(void)state;
	const char *why;
	uint64_t pause_ms = FETCHER_PAUSE_MS_LEAST;
	for (int i = 0; i < 10; i++) {
		post(1, "crash");
		assert_lost(1, "signal 9");
		now_ms += pause_ms - 1;
		assert_false(try_post(2, "good", &why));
		assert_non_null(strstr(why, "signal 9"));
		now_ms++;
		pause_ms = pause_ms * 2 < FETCHER_PAUSE_MS_MAX ? pause_ms * 2 : FETCHER_PAUSE_MS_MAX;
	}
	post(3, "good");
	assert_answered(3);
	post(4, "crash");
	assert_lost(4, "signal 9");
	now_ms += FETCHER_PAUSE_MS_LEAST; /* it has worked in between */
	post(5, "good");
	assert_answered(5);
}

static void test_hangs_until_a_job_is_late(void **state)
{
	(void)state;
	post(1, "hang");
	now_ms += 10;
	post(2, "hang");
	now_ms += 10;
	post(3, "good");
	assert_answered(3);
	assert_int_equal(fetcher_due_ms(&fetcher), NOW_MS + WHOLE_MS + FETCHER_LATE_MS);
	fetcher_cancel(&fetcher, 1);
	now_ms = NOW_MS + WHOLE_MS + FETCHER_LATE_MS;
	fetcher_work(&fetcher, now_ms);
	assert_int_equal(fetcher_due_ms(&fetcher), now_ms + 10);
	assert_true(fetcher_fd(&fetcher) >= 0);
	now_ms += 10;
	fetcher_work(&fetcher, now_ms);
	assert_int_equal(fetcher_due_ms(&fetcher), 0);
	assert_lost(2, "did not answer in time");
}

static void test_too_many_jobs(void **state)
{
	(void)state;
	const char *why;
	for (uint64_t id = 0; id < FETCHER_JOBS_MAX; id++)
		post(id, "hang");
	assert_false(try_post(1000, "good", &why));
	assert_non_null(strstr(why, "too many"));
	fetcher_cancel(&fetcher, 17);
	post(1000, "good");
	assert_answered(1000);
}

static void test_too_large_together(void **state)
{
	(void)state;
	const char *why;
	struct fetch_request request = {
		.method = "GET",
		.url = "hang",
		.ca_file = "",
		.certificate_file = "",
		.key_file = "",
		.whole_ms = WHOLE_MS,
		.answer_bytes_max = FETCH_ANSWER_BYTES_MAX,
	};
	for (uint64_t id = 0; id < FETCHER_BYTES_MAX / FETCH_ANSWER_BYTES_MAX; id++)
		assert_true(fetcher_post(&fetcher, id, &request, now_ms, &why));
	assert_false(try_post(1000, "good", &why));
	assert_non_null(strstr(why, "too large together"));
}

/* Jobs that the process does not read wait in the server, and are read when it goes on. */
static void test_a_process_that_is_stopped(void **state)
{
	(void)state;
	static uint8_t body[1 << 18];
	const char *why;
	struct fetch_request request = {
		.method = "POST",
		.url = "good",
		.ca_file = "",
		.certificate_file = "",
		.key_file = "",
		.whole_ms = WHOLE_MS,
		.answer_bytes_max = sizeof(body),
		.body = slice_of(body, sizeof(body)),
	};
	post(0, "good");
	assert_answered(0);
	kill(fetcher.process, SIGSTOP);
	for (uint64_t id = 1; id <= 8; id++)
		assert_true(fetcher_post(&fetcher, id, &request, now_ms, &why));
	assert_int_equal(fetcher_events(&fetcher), POLLIN | POLLOUT);
	kill(fetcher.process, SIGCONT);
	for (uint64_t id = 1; id <= 8; id++) {
		struct fetch_answer answer = await();
		assert_int_equal(answer.id, id);
		assert_int_equal(answer.body.size, sizeof(body));
	}
	assert_int_equal(fetcher_events(&fetcher), POLLIN);
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], FETCH_COMMAND) == 0 && strcmp(argv[2], FETCHER_OPTION) == 0)
		return strcmp(argv[3], "4") == 0 ? be_process() : 5;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_many_jobs_one_process, open_fetcher, close_fetcher),
		cmocka_unit_test_setup_teardown(test_nothing_runs_before_the_first_job, open_fetcher, close_fetcher),
		cmocka_unit_test_setup_teardown(test_its_descriptors_and_group, open_fetcher, close_fetcher),
		cmocka_unit_test_setup_teardown(test_answers_nobody_waits_for, open_fetcher, close_fetcher),
		cmocka_unit_test_setup_teardown(test_every_end_loses_what_is_under_way, open_fetcher, close_fetcher),
		cmocka_unit_test_setup_teardown(test_starts_pause_for_longer_and_longer, open_fetcher, close_fetcher),
		cmocka_unit_test_setup_teardown(test_hangs_until_a_job_is_late, open_fetcher, close_fetcher),
		cmocka_unit_test_setup_teardown(test_too_many_jobs, open_fetcher, close_fetcher),
		cmocka_unit_test_setup_teardown(test_too_large_together, open_fetcher, close_fetcher),
		cmocka_unit_test_setup_teardown(test_a_process_that_is_stopped, open_fetcher, close_fetcher),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
