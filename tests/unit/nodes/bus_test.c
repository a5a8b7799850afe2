/* The bus with a real nats-server, which is started late, killed, paused, started again, full of other settings; in a
 * thread with a descriptor table of its own, as in the gateway. */
#include "base/clock.h"
#include "nodes/bus.h"
#include "reactor/fdtable.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_MS 15000u
#define BURST 200u

struct server {
	pid_t pid;
	uint16_t port;
	char folder[64];
};

struct end {
	struct bus *bus;
	uint32_t connected, lost;
	uint32_t datagrams[2];
	size_t last_size;
	uint8_t last_byte;
	uint64_t longest_ms; /* of a turn */
};

static uint16_t free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	close(fd);
	return ntohs(address.sin_port);
}

/* With further lines of its configuration. */
static void server_start(struct server *server, const char *lines)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/nats.conf", server->folder);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "listen: 127.0.0.1:%u\n%s\n", server->port, lines);
	fclose(file);
	server->pid = fork();
	assert_true(server->pid >= 0);
	if (server->pid != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	int null = open("/dev/null", O_RDWR);
	dup2(null, 1);
	dup2(null, 2);
	execlp("nats-server", "nats-server", "-c", path, (char *)NULL);
	_exit(127);
}

static void server_init(struct server *server)
{
	*server = (struct server){.port = free_port()};
	snprintf(server->folder, sizeof(server->folder), "/tmp/roost-bus-XXXXXX");
	assert_non_null(mkdtemp(server->folder));
}

static void server_kill(struct server *server)
{
	int status;
	kill(server->pid, SIGKILL);
	assert_int_equal(waitpid(server->pid, &status, 0), server->pid);
	server->pid = 0;
	/* 127: there is no such program. */
	assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 127);
}

static void server_fini(struct server *server)
{
	char path[128];
	if (server->pid != 0)
		server_kill(server);
	snprintf(path, sizeof(path), "%s/nats.conf", server->folder);
	unlink(path);
	rmdir(server->folder);
}

static void on_datagram(void *context, enum bus_subject subject, struct slice datagram)
{
	struct end *end = context;
	end->datagrams[subject]++;
	end->last_size = datagram.size;
	end->last_byte = datagram.size != 0 ? datagram.data[0] : 0;
}

static void on_connected(void *context)
{
	((struct end *)context)->connected++;
}

static void on_lost(void *context)
{
	((struct end *)context)->lost++;
}

static void end_init(struct end *end, const char *urls, const char *node)
{
	struct bus_settings settings = {.urls = urls, .cluster = "test", .node = node};
	struct bus_receiver receiver = {end, on_datagram, on_connected, on_lost};
	char fault[BUS_TEXT_BYTES];
	*end = (struct end){0};
	end->bus = bus_new(&settings, receiver, clock_now_ms(), fault);
	if (end->bus == NULL)
		fail_msg("no bus: %s", fault);
}

static void url_of(const struct server *server, char url[64])
{
	snprintf(url, 64, "nats://127.0.0.1:%u", server->port);
}

/* One turn of all ends. */
static void turn(struct end *ends, uint32_t count)
{
	struct pollfd fds[8];
	uint32_t counts[4];
	uint32_t all = 0;
	uint64_t deadline_ms = clock_now_ms() + 20;
	for (uint32_t i = 0; i < count; i++) {
		counts[i] = bus_poll(ends[i].bus, fds + all);
		all += counts[i];
		if (bus_next_deadline(ends[i].bus) < deadline_ms)
			deadline_ms = bus_next_deadline(ends[i].bus);
	}
	uint64_t now_ms = clock_now_ms();
	poll(fds, all, deadline_ms > now_ms ? (int)(deadline_ms - now_ms) : 0);
	all = 0;
	for (uint32_t i = 0; i < count; i++) {
		now_ms = clock_now_ms();
		bus_process(ends[i].bus, fds + all, counts[i], now_ms);
		bus_flush(ends[i].bus);
		all += counts[i];
		uint64_t took_ms = clock_now_ms() - now_ms;
		if (took_ms > ends[i].longest_ms)
			ends[i].longest_ms = took_ms;
	}
}

#define UNTIL(condition, ends, count)                                                                                  \
	do {                                                                                                           \
		uint64_t until_ms_ = clock_now_ms() + WAIT_MS;                                                         \
		while (!(condition)) {                                                                                 \
			turn(ends, count);                                                                             \
			if (clock_now_ms() > until_ms_)                                                                \
				fail_msg("not in time: %s", #condition);                                               \
		}                                                                                                      \
	} while (0)

static void turn_for(struct end *ends, uint32_t count, uint64_t time_ms)
{
	for (uint64_t until_ms = clock_now_ms() + time_ms; clock_now_ms() < until_ms;)
		turn(ends, count);
}

static void send_burst(struct end *from, struct end *to, const char *name, size_t size, uint8_t byte)
{
	static uint8_t bytes[BUS_PAYLOAD_BYTES];
	struct bus_address address;
	uint32_t before = to->datagrams[BUS_NODE];
	struct end *ends = from < to ? from : to;
	memset(bytes, byte, sizeof(bytes));
	bus_address_of(from->bus, slice_string(name), &address);
	for (uint32_t sent = 0; sent < BURST;) {
		if (bus_has_room(from->bus))
			sent += bus_send(from->bus, &address, slice_of(bytes, size));
		else
			turn(ends, 2);
	}
	UNTIL(to->datagrams[BUS_NODE] == before + BURST, ends, 2);
	assert_int_equal(to->last_size, size);
	assert_int_equal(to->last_byte, byte);
}

static uint32_t open_sockets(void)
{
	DIR *folder = opendir("/proc/thread-self/fd");
	uint32_t count = 0;
	assert_non_null(folder);
	while (readdir(folder) != NULL)
		count++;
	closedir(folder);
	return count;
}

static void test_datagrams_come(void **state)
{
	struct server server;
	struct end ends[2];
	char url[64];
	(void)state;
	server_init(&server);
	server_start(&server, "");
	url_of(&server, url);
	end_init(&ends[0], url, "one");
	end_init(&ends[1], url, "two.example");
	UNTIL(ends[0].connected == 1 && ends[1].connected == 1, ends, 2);
	send_burst(&ends[0], &ends[1], "two.example", 10, 'a');
	send_burst(&ends[1], &ends[0], "one", BUS_PAYLOAD_BYTES, 'b');
	assert_int_equal(ends[0].datagrams[BUS_ALL] + ends[1].datagrams[BUS_ALL], 0);
	assert_true(bus_send_all(ends[0].bus, slice_string("to all")));
	UNTIL(ends[0].datagrams[BUS_ALL] == 1 && ends[1].datagrams[BUS_ALL] == 1, ends, 2);
	struct bus_status status;
	bus_status(ends[0].bus, &status);
	assert_int_equal(status.state, BUS_CONNECTED);
	assert_string_equal(status.url, url);
	assert_true(status.max_payload >= BUS_PAYLOAD_BYTES && status.connects == 1);
	uint64_t begun_ms = clock_now_ms();
	bus_free(ends[0].bus);
	bus_free(ends[1].bus);
	assert_true(clock_now_ms() < begun_ms + 2000);
	server_fini(&server);
}

static void test_a_server_that_is_not_there_holds_nothing_up(void **state)
{
	struct server server;
	struct end end;
	char url[64], urls[160];
	struct bus_status status;
	(void)state;
	server_init(&server);
	url_of(&server, url);
	snprintf(urls, sizeof(urls), "nats://127.0.0.1:1, %s", url);
	end_init(&end, urls, "one");
	turn_for(&end, 1, 400);
	bus_status(end.bus, &status);
	assert_true(status.state != BUS_CONNECTED && status.tries >= 2);
	assert_true(status.error[0] != '\0');
	assert_false(bus_send_all(end.bus, slice_string("x")));
	assert_false(bus_has_room(end.bus));
	server_start(&server, "");
	UNTIL(end.connected == 1, &end, 1);
	assert_true(end.longest_ms < 1000);
	bus_free(end.bus);
	server_fini(&server);
}

static void test_killed_and_started_again(void **state)
{
	struct server server;
	struct end ends[2];
	char url[64];
	(void)state;
	server_init(&server);
	server_start(&server, "");
	url_of(&server, url);
	end_init(&ends[0], url, "one");
	end_init(&ends[1], url, "two");
	UNTIL(ends[0].connected == 1 && ends[1].connected == 1, ends, 2);
	uint32_t descriptors = open_sockets();
	for (uint32_t i = 1; i <= 3; i++) {
		server_kill(&server);
		UNTIL(ends[0].lost == i && ends[1].lost == i, ends, 2);
		server_start(&server, "");
		UNTIL(ends[0].connected == i + 1 && ends[1].connected == i + 1, ends, 2);
		send_burst(&ends[0], &ends[1], "two", 1000, 'c');
	}
	assert_int_equal(open_sockets(), descriptors);
	assert_true(ends[0].longest_ms < 1000);
	bus_free(ends[0].bus);
	bus_free(ends[1].bus);
	server_fini(&server);
}

static void test_paused(void **state)
{
	struct server server;
	struct end end;
	char url[64];
	static uint8_t bytes[BUS_PAYLOAD_BYTES];
	struct bus_address address;
	(void)state;
	server_init(&server);
	server_start(&server, "");
	url_of(&server, url);
	end_init(&end, url, "one");
	UNTIL(end.connected == 1, &end, 1);
	kill(server.pid, SIGSTOP);
	/* What is sent meanwhile has a limit. */
	bus_address_of(end.bus, slice_string("other"), &address);
	for (uint32_t i = 0; i < 4000; i++)
		bus_send(end.bus, &address, slice_of(bytes, sizeof(bytes)));
	struct bus_status status;
	bus_status(end.bus, &status);
	assert_true(status.dropped_unsent > 0);
	UNTIL(end.lost == 1, &end, 1);
	bus_status(end.bus, &status);
	assert_non_null(strstr(status.error, "does not answer"));
	turn_for(&end, 1, 500);
	kill(server.pid, SIGCONT);
	UNTIL(end.connected == 2, &end, 1);
	assert_true(end.longest_ms < 1000);
	bus_free(end.bus);
	server_fini(&server);
}

static void test_credentials_are_asked_for(void **state)
{
	struct server server;
	struct end end;
	char url[64];
	struct bus_status status;
	(void)state;
	server_init(&server);
	server_start(&server, "authorization { user: roost, password: secret }");
	url_of(&server, url);
	end_init(&end, url, "one");
	turn_for(&end, 1, 1000);
	bus_status(end.bus, &status);
	assert_int_equal(status.connects, 0);
	assert_non_null(strstr(status.error, "uthorization"));
	bus_free(end.bus);
	snprintf(url, sizeof(url), "nats://roost:secret@127.0.0.1:%u", server.port);
	end_init(&end, url, "one");
	UNTIL(end.connected == 1, &end, 1);
	bus_status(end.bus, &status);
	assert_null(strstr(status.url, "secret"));
	bus_free(end.bus);
	server_fini(&server);
}

static void test_what_a_server_does_not_allow_is_said(void **state)
{
	struct server server;
	struct end end;
	char url[64];
	struct bus_status status;
	(void)state;
	server_init(&server);
	server_start(&server, "max_payload: 1000");
	url_of(&server, url);
	end_init(&end, url, "one");
	turn_for(&end, 1, 1000);
	bus_status(end.bus, &status);
	assert_int_equal(status.connects, 0);
	assert_non_null(strstr(status.error, "max_payload"));
	bus_free(end.bus);
	server_kill(&server);
	server_start(&server,
		     "authorization { users = [ { user: a, password: b, permissions: { subscribe: \"x\" } } ] }");
	snprintf(url, sizeof(url), "nats://a:b@127.0.0.1:%u", server.port);
	end_init(&end, url, "one");
	turn_for(&end, 1, BUS_SILENT_MS + 1000);
	bus_status(end.bus, &status);
	assert_int_equal(status.connects, 0);
	if (strstr(status.error, "ermissions") == NULL)
		fail_msg("said: %s", status.error);
	bus_free(end.bus);
	server_fini(&server);
}

static void *run_all(void *argument)
{
	int *result = argument;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_datagrams_come),
		cmocka_unit_test(test_a_server_that_is_not_there_holds_nothing_up),
		cmocka_unit_test(test_killed_and_started_again),
		cmocka_unit_test(test_paused),
		cmocka_unit_test(test_credentials_are_asked_for),
		cmocka_unit_test(test_what_a_server_does_not_allow_is_said),
	};
	fdtable_detach(NULL, 0);
	*result = cmocka_run_group_tests(tests, NULL, NULL);
	return NULL;
}

int main(void)
{
	pthread_t thread;
	int result = 1;
	if (access("/usr/sbin/nats-server", X_OK) != 0 && access("/usr/bin/nats-server", X_OK) != 0)
		return 77; /* skipped */
	setenv("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin", 1);
	if (pthread_create(&thread, NULL, run_all, &result) != 0)
		return 1;
	pthread_join(thread, NULL);
	return result;
}
