/* The process that stays, with libcurl in it, and an HTTP server with faults. The process is this very program. */
#include "fetch/fetch.h"
#include "fetch/fetcher.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define REQUEST_BYTES_MAX ((size_t)4 << 20)
#define AWAIT_MS 20000
#define CONNECTIONS_MAX 4u

/* ---- the site ---- */

static int site_listener;
static uint16_t site_port;
static atomic_uint site_connections; /* that it has accepted */

static bool site_send(int fd, const void *bytes, size_t size)
{
	while (size != 0) {
		ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
		if (sent <= 0)
			return false;
		bytes = (const char *)bytes + sent;
		size -= (size_t)sent;
	}
	return true;
}

static bool site_answer(int fd, const char *head, struct slice body)
{
	char text[512];
	int size = snprintf(text, sizeof(text), "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n", head, body.size);
	return site_send(fd, text, (size_t)size) && site_send(fd, body.data, body.size);
}

static bool site_send_100_mb(int fd)
{
	static const char zeros[1 << 16];
	bool good = site_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n", 46);
	for (int i = 0; i < 1600 && good; i++)
		good = site_send(fd, zeros, sizeof(zeros));
	return good;
}

/* Returns whether the connection goes on. */
static bool site_serve(int fd, const char *path, const char *request, struct slice body)
{
	char number[16];
	if (strcmp(path, "/echo") == 0)
		return site_answer(fd, "200 OK\r\nETag: \"x\"\r\nCache-Control: max-age=9", body);
	if (strcmp(path, "/head") == 0)
		return site_answer(fd, "200 OK", slice_string(request));
	if (strcmp(path, "/busy") == 0)
		return site_answer(fd, "100 Continue\r\nRetry-After: 1\r\n\r\nHTTP/1.1 503 Busy\r\nRetry-After: 7",
				   body);
	if (strcmp(path, "/redirect") == 0)
		return site_answer(fd, "302 Found\r\nLocation: /echo", slice_of(NULL, 0));
	if (strcmp(path, "/huge") == 0)
		return site_send_100_mb(fd);
	if (strcmp(path, "/short") == 0)
		site_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", 43);
	if (strcmp(path, "/garbage") == 0)
		site_send(fd, "\0\1\2\3 good morning\r\n\r\n", 22);
	if (strcmp(path, "/slow") == 0)
		recv(fd, number, 1, 0); /* until the other side closes */
	if (strcmp(path, "/connections") != 0)
		return false;
	snprintf(number, sizeof(number), "%u", atomic_load(&site_connections));
	return site_answer(fd, "200 OK", slice_string(number));
}

/* Reads up to the end of the head, and the body of the length that it names. Returns the body's place. */
static size_t site_read(int fd, char *request, size_t *size)
{
	size_t wanted = 0, body_at = 0;
	for (*size = 0; body_at == 0 || *size < wanted;) {
		ssize_t got = recv(fd, request + *size, REQUEST_BYTES_MAX - *size, 0);
		if (got <= 0)
			return 0;
		*size += (size_t)got;
		request[*size] = '\0';
		const char *end = strstr(request, "\r\n\r\n");
		if (body_at != 0 || end == NULL)
			continue;
		body_at = (size_t)(end - request) + 4;
		const char *length = strstr(request, "Content-Length: ");
		wanted = body_at + (length != NULL && length < end ? strtoul(length + 16, NULL, 10) : 0);
	}
	return body_at;
}

static void *site_connection(void *argument)
{
	int fd = (int)(intptr_t)argument;
	char *request = malloc(REQUEST_BYTES_MAX + 1), path[128];
	size_t size, body_at;
	while (request != NULL && (body_at = site_read(fd, request, &size)) != 0) {
		sscanf(request, "%*s %127s", path);
		struct slice body = slice_of(request + body_at, size - body_at);
		if (!site_serve(fd, path, request, body))
			break;
	}
	close(fd);
	free(request);
	return NULL;
}

static void *site_main(void *argument)
{
	(void)argument;
	for (int fd; (fd = accept(site_listener, NULL, NULL)) >= 0;) {
		pthread_t thread;
		atomic_fetch_add(&site_connections, 1);
		if (pthread_create(&thread, NULL, site_connection, (void *)(intptr_t)fd) == 0)
			pthread_detach(thread);
	}
	return NULL;
}

static pthread_t site_thread;

static int open_site(void **state)
{
	(void)state;
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	site_listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(site_listener, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(site_listener, 64) != 0 ||
	    getsockname(site_listener, (struct sockaddr *)&address, &size) != 0)
		return -1;
	site_port = ntohs(address.sin_port);
	return pthread_create(&site_thread, NULL, site_main, NULL);
}

static int close_site(void **state)
{
	(void)state;
	shutdown(site_listener, SHUT_RDWR);
	pthread_join(site_thread, NULL);
	close(site_listener);
	return 0;
}

/* ---- the server ---- */

static struct fetcher fetcher;

static int open_fetcher(void **state)
{
	(void)state;
	fetcher_init(&fetcher, CONNECTIONS_MAX);
	return 0;
}

static int close_fetcher(void **state)
{
	(void)state;
	fetcher_fini(&fetcher);
	return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD ? 0 : -1;
}

static struct fetch_request request_of(const char *method, struct slice body)
{
	return (struct fetch_request){
		.method = method,
		.ca_file = "",
		.certificate_file = "",
		.key_file = "",
		.connect_ms = 5000,
		.whole_ms = 10000,
		.answer_bytes_max = 1 << 16,
		.body = body,
	};
}

static void post_to(uint64_t id, struct fetch_request request, const char *path)
{
	char url[128];
	const char *why = "";
	snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", site_port, path);
	request.url = url;
	if (!fetcher_post(&fetcher, id, &request, clock_now_ms(), &why))
		fail_msg("%s", why);
}

static struct fetch_answer await_any(void)
{
	struct fetch_answer answer;
	while (!fetcher_next(&fetcher, clock_now_ms(), &answer)) {
		struct pollfd polled = {.fd = fetcher_fd(&fetcher), .events = fetcher_events(&fetcher)};
		assert_int_equal(poll(&polled, 1, AWAIT_MS), 1);
		fetcher_work(&fetcher, clock_now_ms());
	}
	return answer;
}

static struct fetch_answer ask(struct fetch_request request, const char *path)
{
	post_to(1, request, path);
	struct fetch_answer answer = await_any();
	assert_int_equal(answer.id, 1);
	return answer;
}

static struct fetch_answer get(const char *path)
{
	return ask(request_of("GET", slice_of(NULL, 0)), path);
}

static void assert_body(const struct fetch_answer *answer, const char *text)
{
	assert_int_equal(answer->outcome, FETCH_ANSWERED);
	assert_true(slice_equal(answer->body, slice_string(text)));
}

static void test_post(void **state)
{
	(void)state;
	struct fetch_answer answer = ask(request_of("POST", slice_string("hello")), "/echo");
	assert_body(&answer, "hello");
	assert_int_equal(answer.status, 200);
	assert_string_equal(answer.etag, "\"x\"");
	assert_string_equal(answer.cache_control, "max-age=9");
	assert_string_equal(answer.fault, "");
	assert_true(answer.took_us != 0);
}

static bool has_line(struct slice head, const char *line)
{
	char text[4096];
	snprintf(text, sizeof(text), "%.*s", (int)head.size, (const char *)head.data);
	return strstr(text, line) != NULL;
}

static void test_request_head(void **state)
{
	(void)state;
	struct fetch_request request = request_of("PUT", slice_string("hello"));
	request.headers[request.header_count++] = "Content-Type: text/plain";
	request.headers[request.header_count++] = "X-Other: a: b";
	struct fetch_answer answer = ask(request, "/head");
	assert_true(has_line(answer.body, "PUT /head HTTP/1.1\r\n"));
	assert_true(has_line(answer.body, "\r\nContent-Type: text/plain\r\n"));
	assert_true(has_line(answer.body, "\r\nX-Other: a: b\r\n"));
	assert_true(has_line(answer.body, "\r\nUser-Agent: roost/"));
	answer = get("/head");
	assert_true(has_line(answer.body, "GET /head HTTP/1.1\r\n"));
	assert_false(has_line(answer.body, "Content-Length"));
}

static void test_a_large_body_is_not_asked_about(void **state)
{
	(void)state;
	static char body[3 << 20];
	struct fetch_request request = request_of("POST", slice_of(body, sizeof(body)));
	struct fetch_answer answer = ask(request, "/head");
	assert_false(has_line(answer.body, "Expect"));
	request.answer_bytes_max = sizeof(body);
	assert_int_equal(ask(request, "/echo").body.size, sizeof(body));
}

static void test_connections_are_kept(void **state)
{
	(void)state;
	unsigned before = atomic_load(&site_connections);
	for (int i = 0; i < 50; i++)
		assert_int_equal(get("/connections").status, 200);
	assert_int_equal(atomic_load(&site_connections), before + 1);
}

static void test_faults(void **state)
{
	(void)state;
	static const struct {
		const char *path;
		enum fetch_outcome outcome;
		const char *fault;
	} FAULTS[] = {
		{"/close", FETCH_BROKEN, "Empty reply"}, {"/short", FETCH_BROKEN, "remaining to read"},
		{"/garbage", FETCH_BROKEN, ""},          {"/huge", FETCH_TOO_LARGE, "larger than it may be"},
		{"/slow", FETCH_TIMED_OUT, "timed out"},
	};
	struct fetch_request request = request_of("POST", slice_string("hello"));
	for (size_t i = 0; i < sizeof(FAULTS) / sizeof(FAULTS[0]); i++) {
		if (FAULTS[i].outcome == FETCH_TIMED_OUT)
			request.whole_ms = 500;
		struct fetch_answer answer = ask(request, FAULTS[i].path);
		if (answer.outcome != FAULTS[i].outcome || strstr(answer.fault, FAULTS[i].fault) == NULL)
			fail_msg("%s: %s: %s", FAULTS[i].path, fetch_outcome_name(answer.outcome), answer.fault);
		assert_string_not_equal(answer.fault, "");
	}
	assert_int_equal(fetcher.starts, 1);
}

/* What is beyond the limit is not read. */
static void test_a_huge_answer_is_cut(void **state)
{
	(void)state;
	struct fetch_request request = request_of("POST", slice_string("hello"));
	request.cuts_answer = true;
	request.answer_bytes_max = 1000;
	struct fetch_answer answer = ask(request, "/huge");
	assert_int_equal(answer.outcome, FETCH_ANSWERED);
	assert_true(answer.is_cut);
	assert_int_equal(answer.status, 200);
	assert_int_equal(answer.body.size, 1000);
	assert_string_equal(answer.fault, "");
}

static void test_a_redirect_is_not_followed(void **state)
{
	(void)state;
	struct fetch_answer answer = get("/redirect");
	assert_int_equal(answer.outcome, FETCH_ANSWERED);
	assert_int_equal(answer.status, 302);
	assert_string_equal(answer.location, "/echo");
}

/* The last head counts, not an informational one before. */
static void test_retry_after(void **state)
{
	(void)state;
	struct fetch_answer answer = get("/busy");
	assert_int_equal(answer.status, 503);
	assert_string_equal(answer.retry_after, "7");
}

static void test_nobody_there(void **state)
{
	(void)state;
	const char *why = "";
	struct fetch_request request = request_of("GET", slice_of(NULL, 0));
	request.url = "http://127.0.0.1:1/";
	assert_true(fetcher_post(&fetcher, 1, &request, clock_now_ms(), &why));
	assert_int_equal(await_any().outcome, FETCH_NO_CONNECTION);
	request.url = "http://nobody.invalid/";
	assert_true(fetcher_post(&fetcher, 1, &request, clock_now_ms(), &why));
	assert_int_equal(await_any().outcome, FETCH_NO_HOST);
	request.url = "file:///etc/passwd";
	assert_true(fetcher_post(&fetcher, 1, &request, clock_now_ms(), &why));
	assert_int_equal(await_any().outcome, FETCH_BROKEN);
}

/* An endpoint that says nothing holds up no other, and more jobs than connections to it all come to an end. */
static void test_others_go_on_beside_a_slow_one(void **state)
{
	(void)state;
	struct fetch_request slow = request_of("POST", slice_string("hello"));
	slow.whole_ms = 1000;
	for (uint64_t id = 100; id < 100 + CONNECTIONS_MAX - 1; id++)
		post_to(id, slow, "/slow");
	struct fetch_answer answer = get("/connections");
	assert_int_equal(answer.status, 200);
	for (uint64_t id = 200; id < 200 + CONNECTIONS_MAX; id++)
		post_to(id, slow, "/slow");
	for (uint32_t i = 0; i < 2 * CONNECTIONS_MAX - 1; i++)
		assert_int_equal(await_any().outcome, FETCH_TIMED_OUT);
	assert_int_equal(fetcher.starts, 1);
}

static void test_cancelled(void **state)
{
	(void)state;
	post_to(7, request_of("POST", slice_string("hello")), "/slow");
	fetcher_cancel(&fetcher, 7);
	assert_int_equal(get("/connections").status, 200);
	assert_int_equal(fetcher.job_count, 0);
}

static void test_killed_under_way(void **state)
{
	(void)state;
	post_to(7, request_of("POST", slice_string("hello")), "/slow");
	kill(fetcher.process, SIGKILL);
	struct fetch_answer answer = await_any();
	assert_int_equal(answer.id, 7);
	assert_int_equal(answer.outcome, FETCH_NO_PROCESS);
	while (clock_now_ms() < fetcher.start_ms)
		poll(NULL, 0, (int)(fetcher.start_ms - clock_now_ms()));
	assert_int_equal(get("/connections").status, 200);
}

static void test_a_proxy_of_the_environment(void **state)
{
	(void)state;
	char proxy[64];
	const char *why = "";
	struct fetch_request request = request_of("GET", slice_of(NULL, 0));
	snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", site_port);
	setenv("http_proxy", proxy, 1);
	request.url = "http://nobody.invalid/x";
	assert_true(fetcher_post(&fetcher, 1, &request, clock_now_ms(), &why));
	struct fetch_answer answer = await_any();
	unsetenv("http_proxy");
	/* The site does not know such a path, and closes. */
	assert_int_equal(answer.outcome, FETCH_BROKEN);
}

/* It ends when its descriptor is closed here, with a transfer under way, too. */
static void test_ends_with_its_descriptor(void **state)
{
	(void)state;
	int status;
	post_to(1, request_of("POST", slice_string("hello")), "/slow");
	assert_int_equal(get("/connections").status, 200);
	pid_t process = fetcher.process;
	assert_int_equal(shutdown(fetcher.fd, SHUT_WR), 0);
	assert_int_equal(waitpid(process, &status, 0), process);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static const char *const PROXIES[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], FETCH_COMMAND) == 0)
		return fetch_main(argc - 1, argv + 1);
	for (size_t i = 0; i < sizeof(PROXIES) / sizeof(PROXIES[0]); i++)
		unsetenv(PROXIES[i]);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_post, open_fetcher, close_fetcher),
		cmocka_unit_test_setup_teardown(test_request_head, open_fetcher, close_fetcher),
		cmocka_unit_test_setup_teardown(test_a_large_body_is_not_asked_about, open_fetcher, close_fetcher),
		cmocka_unit_test_setup_teardown(test_connections_are_kept, open_fetcher, close_fetcher),
		cmocka_unit_test_setup_teardown(test_faults, open_fetcher, close_fetcher),
		cmocka_unit_test_setup_teardown(test_a_huge_answer_is_cut, open_fetcher, close_fetcher),
		cmocka_unit_test_setup_teardown(test_a_redirect_is_not_followed, open_fetcher, close_fetcher),
		cmocka_unit_test_setup_teardown(test_retry_after, open_fetcher, close_fetcher),
		cmocka_unit_test_setup_teardown(test_nobody_there, open_fetcher, close_fetcher),
		cmocka_unit_test_setup_teardown(test_others_go_on_beside_a_slow_one, open_fetcher, close_fetcher),
		cmocka_unit_test_setup_teardown(test_cancelled, open_fetcher, close_fetcher),
		cmocka_unit_test_setup_teardown(test_killed_under_way, open_fetcher, close_fetcher),
		cmocka_unit_test_setup_teardown(test_a_proxy_of_the_environment, open_fetcher, close_fetcher),
		cmocka_unit_test_setup_teardown(test_ends_with_its_descriptor, open_fetcher, close_fetcher),
	};
	return cmocka_run_group_tests(tests, open_site, close_site);
}
