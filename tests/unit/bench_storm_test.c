/* A storm's thread against servers that accept everybody, or refuse everybody in one way or another. */
#include "bench/client/threads.h"
#include "bench/dial/dial.h"
#include "bench/storm/storm_options.h"
#include "bench/storm/storm_report.h"
#include "bench/storm/storm_worker.h"
#include "bench/target/cpu.h"
#include "net/filter/syn_filter.h"
#include "relay_scene.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define ATTEMPTS 500u

/* The worker is large: it holds a histogram and the losses. */
struct storm {
	struct storm_shared shared;
	struct storm_worker worker;
};

static struct storm *storm_open(const struct address *address)
{
	struct storm *storm = calloc(1, sizeof(*storm));
	assert_non_null(storm);
	storm->shared = (struct storm_shared){
		.plan = {.client_prefix = "s-", .topic_prefix = "t/", .keepalive_s = 60, .version = 4},
		.workers = 3,
		.in_progress_max = 8,
		.syn_timeout_ms = 60000,
		.first = 10000,
	};
	dial_init(&storm->shared.plan.dial, address, false);
	storm->worker.shared = &storm->shared;
	storm->worker.number = 1;
	return storm;
}

/* Ends the storm when it has made enough attempts; without a rate limit they come by themselves. */
static void storm_run_attempts(struct storm *storm)
{
	struct threads threads;
	struct thread_setup setup = {.body = storm_worker_run, .worker_bytes = sizeof(storm->worker), .cpu = CPU_ANY};
	assert_true(threads_start(&threads, &setup, &storm->worker, 1));
	while (atomic_load(&storm->worker.attempts) < ATTEMPTS)
		sched_yield();
	atomic_store(&storm->shared.stopping, true);
	threads_join(&threads);
	assert_false(storm->worker.failed);
}

/* Every attempt has exactly one end. */
static void assert_all_ended(const struct storm_worker *worker)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < STORM_ENDS; i++)
		sum += worker->ends[i];
	assert_int_equal(sum, worker->attempts);
	assert_int_equal(worker->ends[STORM_SIGNED_IN], worker->sign_in_ns.count);
	assert_int_equal(worker->ends[STORM_SIGNED_IN], worker->signed_in);
}

static void test_all_sign_in(void **state)
{
	(void)state;
	static const struct {
		uint32_t stay;
		bool subscribe;
	} cases[] = {{0, false}, {0, true}, {20, false}, {20, true}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct relay_scene scene;
		relay_scene_open(&scene);
		struct storm *storm = storm_open(&scene.target.address);
		storm->shared.stay = cases[i].stay;
		storm->shared.subscribe = cases[i].subscribe;
		storm_run_attempts(storm);
		assert_all_ended(&storm->worker);
		assert_int_equal(storm->worker.ends[STORM_SIGNED_IN], storm->worker.attempts);
		assert_int_equal(storm->worker.stay_lost, 0);
		free(storm);
		relay_scene_close(&scene);
	}
}

/* A server that hangs up, in a thread. */
struct refuser {
	int listener;
	struct address address;
	const char *answer; /* goes out before */
	size_t answer_size;
	bool resets;
	bool listens; /* to CONNECT, before it hangs up */
	atomic_bool stopping;
	pthread_t thread;
	/* for who looks after the thread has ended */
	uint32_t peers;
	uint32_t outside; /* peers that are not of 127.77.0.0/30 */
};

static void refuse(struct refuser *refuser, int fd, const struct sockaddr_in *peer)
{
	static const struct linger reset = {.l_onoff = 1};
	uint8_t connect[256];
	uint32_t address = ntohl(peer->sin_addr.s_addr);
	refuser->peers++;
	refuser->outside += address != 0x7F4D0001 && address != 0x7F4D0002;
	if (refuser->listens)
		(void)!recv(fd, connect, sizeof(connect), 0);
	(void)!send(fd, refuser->answer, refuser->answer_size, MSG_NOSIGNAL);
	if (refuser->resets)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
}

static void *run_refuser(void *argument)
{
	struct refuser *refuser = argument;
	while (!atomic_load(&refuser->stopping)) {
		struct sockaddr_in peer = {0};
		socklen_t size = sizeof(peer);
		struct pollfd wait = {.fd = refuser->listener, .events = POLLIN};
		if (poll(&wait, 1, 5) != 1)
			continue;
		int fd = accept(refuser->listener, (struct sockaddr *)&peer, &size);
		if (fd >= 0)
			refuse(refuser, fd, &peer);
	}
	return NULL;
}

static void refuser_open(struct refuser *refuser)
{
	struct url url = {.host = "127.0.0.1"};
	assert_null(url_resolve(&url, &refuser->address));
	refuser->listener = dial_listen(&refuser->address, 64);
	assert_true(refuser->listener >= 0);
	assert_int_equal(pthread_create(&refuser->thread, NULL, run_refuser, refuser), 0);
}

static void refuser_close(struct refuser *refuser)
{
	atomic_store(&refuser->stopping, true);
	pthread_join(refuser->thread, NULL);
	close(refuser->listener);
}

static void test_refusals_are_told_apart(void **state)
{
	(void)state;
	static const struct {
		const char *answer;
		size_t answer_size;
		bool resets;
		enum storm_end end;
	} cases[] = {
		{"", 0, true, STORM_RESET},
		{"", 0, false, STORM_CLOSED},
		{"\x20\2\0\5", 4, false, STORM_CONNACK},
		{"\xff", 1, false, STORM_CLOSED}, /* not a whole packet */
		{"\x20\2\0", 3, true, STORM_RESET},
		{"\x90\2\0\0", 4, false, STORM_OTHER},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct refuser refuser = {
			.answer = cases[i].answer,
			.answer_size = cases[i].answer_size,
			.resets = cases[i].resets,
			.listens = true,
		};
		refuser_open(&refuser);
		struct storm *storm = storm_open(&refuser.address);
		storm_run_attempts(storm);
		assert_all_ended(&storm->worker);
		assert_int_equal(storm->worker.ends[cases[i].end], storm->worker.attempts);
		assert_int_equal(losses_total(&storm->worker.losses), storm->worker.attempts);
		free(storm);
		refuser_close(&refuser);
	}
}

static void test_nobody_listens(void **state)
{
	(void)state;
	struct refuser refuser = {.listens = true};
	refuser_open(&refuser);
	refuser_close(&refuser);
	struct storm *storm = storm_open(&refuser.address);
	storm_run_attempts(storm);
	assert_all_ended(&storm->worker);
	assert_int_equal(storm->worker.ends[STORM_UNOPENED], storm->worker.attempts);
	free(storm);
}

static void test_source_addresses_are_those_asked_for(void **state)
{
	(void)state;
	struct refuser refuser = {.listens = true};
	refuser_open(&refuser);
	struct storm *storm = storm_open(&refuser.address);
	assert_null(source_range_parse("127.77.0.0/30", &storm->shared.plan.dial.from));
	storm_run_attempts(storm);
	refuser_close(&refuser);
	assert_true(refuser.peers >= ATTEMPTS);
	assert_int_equal(refuser.outside, 0);
	free(storm);
}

/* Every second attempt comes from an address that never gets an answer: these are given up, and hold up the others no
 * longer than that. */
static void test_attempts_without_an_answer_are_given_up(void **state)
{
	(void)state;
	struct refuser refuser = {.answer = "\x20\2\0\0", .answer_size = 4, .listens = true};
	struct syn_rule rule = {.drops = true};
	const char *fault;
	refuser_open(&refuser);
	assert_int_equal(network_parse("127.77.0.3", &rule.network, &fault), ERROR_OK);
	assert_int_equal(syn_filter_attach(refuser.listener, &rule, 1), 1);
	struct storm *storm = storm_open(&refuser.address);
	assert_null(source_range_parse("127.77.0.0/29", &storm->shared.plan.dial.from));
	storm->shared.syn_timeout_ms = 10;
	storm_run_attempts(storm);
	refuser_close(&refuser);
	assert_all_ended(&storm->worker);
	/* This worker's numbers are 10001, 10004, 10007, and of six addresses they take the last and the third in turn.
	 */
	assert_int_equal(storm->worker.ends[STORM_UNHEARD], storm->worker.attempts / 2);
	assert_int_equal(storm->worker.ends[STORM_SIGNED_IN], (storm->worker.attempts + 1) / 2);
	free(storm);
}

static uint32_t in_progress_of(int argc, char **argv)
{
	struct storm_options options;
	int status;
	assert_true(storm_options_parse(argc, argv, &options, &status));
	return options.load.in_progress_max;
}

static void test_a_rate_has_places_for_those_without_an_answer(void **state)
{
	(void)state;
	assert_int_equal(in_progress_of(1, (char *[]){"storm"}), 64);
	assert_int_equal(in_progress_of(3, (char *[]){"storm", "--rate", "20000"}), 64 + 5000);
	assert_int_equal(in_progress_of(5, (char *[]){"storm", "--rate", "20000", "--syn-timeout", "100"}), 64 + 2000);
	assert_int_equal(in_progress_of(5, (char *[]){"storm", "--rate", "20000", "--in-progress", "7"}), 7);
	assert_true(in_progress_of(3, (char *[]){"storm", "--rate", "1000000"}) < 19000);
	assert_int_equal(in_progress_of(5, (char *[]){"storm", "--rate", "100000", "--threads", "2"}), 64 + 25000);
}

/* Medians and the worst of several rounds, sums of what was lost. */
static void test_rounds_are_summed_up(void **state)
{
	(void)state;
	static const double p999s[] = {50, 10, 30};
	struct storm_result results[3 * BESIDE_BROKERS_MAX] = {0};
	struct storm_load load = {0};
	struct beside beside = {.count = 2};
	struct storm_report report = {.load = &load, .beside = &beside, .rounds = 3, .results = results};
	struct storm_result sum;
	for (uint32_t i = 0; i < 3; i++) {
		struct storm_result *result = &results[i * BESIDE_BROKERS_MAX + 1];
		for (uint32_t k = 0; k < LOAD_INTERVALS; k++)
			result->figures[k] = (struct load_figures){
				.p999_us = p999s[i] + k, .max_us = p999s[i] + k, .other_cpu_percent = i};
		result->storm_s = 2;
		result->signed_in = 100;
		result->ends[STORM_SIGNED_IN] = 101;
		result->sign_in_p99_us = result->sign_in_max_us = p999s[i];
		result->totals.missing = i;
	}
	storm_summarize(&report, 1, &sum);
	assert_true(sum.figures[STORM_BEFORE].p999_us == 30 && sum.figures[STORM_DURING].p999_us == 31);
	assert_true(sum.figures[STORM_AFTER].max_us == 52 && sum.figures[STORM_AFTER].other_cpu_percent == 2);
	assert_true(sum.storm_s == 6 && sum.signed_in == 300 && sum.ends[STORM_SIGNED_IN] == 303);
	assert_true(sum.sign_in_p99_us == 30 && sum.sign_in_max_us == 50);
	assert_int_equal(sum.totals.missing, 3);
	/* The exit status is that of the first broker. */
	assert_true(storm_report_is_clean(&report));
	results[BESIDE_BROKERS_MAX].totals.missing = 1;
	assert_false(storm_report_is_clean(&report));
}

/* Clients that stay and are disconnected by the server do not count as refused attempts. */
static void test_loss_of_those_who_stay(void **state)
{
	(void)state;
	struct refuser refuser = {.answer = "\x20\2\0\0", .answer_size = 4, .listens = true};
	refuser_open(&refuser);
	struct storm *storm = storm_open(&refuser.address);
	storm->shared.stay = 16;
	storm_run_attempts(storm);
	assert_all_ended(&storm->worker);
	assert_int_equal(storm->worker.ends[STORM_SIGNED_IN], storm->worker.attempts);
	assert_true(storm->worker.stay_lost > 0);
	free(storm);
	refuser_close(&refuser);
}

static void test_rate_bounds_attempts(void **state)
{
	(void)state;
	struct relay_scene scene;
	relay_scene_open(&scene);
	struct storm *storm = storm_open(&scene.target.address);
	storm->shared.rate_per_worker = 1; /* the first is due at once, the second after a second */
	struct threads threads;
	struct thread_setup setup = {.body = storm_worker_run, .worker_bytes = sizeof(storm->worker), .cpu = CPU_ANY};
	assert_true(threads_start(&threads, &setup, &storm->worker, 1));
	while (atomic_load(&storm->worker.signed_in) == 0)
		sched_yield();
	atomic_store(&storm->shared.stopping, true);
	threads_join(&threads);
	assert_all_ended(&storm->worker);
	assert_true(storm->worker.attempts < ATTEMPTS);
	free(storm);
	relay_scene_close(&scene);
}

static void test_ends_by_state_and_loss(void **state)
{
	(void)state;
	assert_int_equal(storm_end_of(CLIENT_UNUSED, LOSS_CONNECT, EADDRNOTAVAIL), STORM_UNOPENED);
	assert_int_equal(storm_end_of(CLIENT_CONNECTING, LOSS_CONNECT, ETIMEDOUT), STORM_UNHEARD);
	assert_int_equal(storm_end_of(CLIENT_CONNECTING, LOSS_CONNECT, ECONNREFUSED), STORM_UNOPENED);
	assert_int_equal(storm_end_of(CLIENT_UNUSED, LOSS_CONNECT, EPIPE), STORM_RESET);
	assert_int_equal(storm_end_of(CLIENT_GREETING, LOSS_RESET, ECONNRESET), STORM_RESET);
	assert_int_equal(storm_end_of(CLIENT_GREETING, LOSS_RESET, ENOMEM), STORM_OTHER);
	assert_int_equal(storm_end_of(CLIENT_SUBSCRIBING, LOSS_RESET, ECONNRESET), STORM_OTHER);
	assert_int_equal(storm_end_of(CLIENT_SUBSCRIBING, LOSS_CLOSED, 0), STORM_OTHER);
	assert_int_equal(storm_end_of(CLIENT_GREETING, LOSS_DISCONNECT, 0x97), STORM_CONNACK);
	assert_int_equal(storm_end_of(CLIENT_GREETING, LOSS_NO_ANSWER, 0), STORM_NO_ANSWER);
	assert_int_equal(storm_end_of(CLIENT_SUBSCRIBING, LOSS_SUBSCRIBE, 0x87), STORM_OTHER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_sign_in),
		cmocka_unit_test(test_refusals_are_told_apart),
		cmocka_unit_test(test_nobody_listens),
		cmocka_unit_test(test_source_addresses_are_those_asked_for),
		cmocka_unit_test(test_attempts_without_an_answer_are_given_up),
		cmocka_unit_test(test_a_rate_has_places_for_those_without_an_answer),
		cmocka_unit_test(test_loss_of_those_who_stay),
		cmocka_unit_test(test_rounds_are_summed_up),
		cmocka_unit_test(test_rate_bounds_attempts),
		cmocka_unit_test(test_ends_by_state_and_loss),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
