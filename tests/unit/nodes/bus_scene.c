#include "bus_scene.h"

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

#define BURST 200u

bool server_is_there(void)
{
	setenv("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin", 1);
	return access("/usr/sbin/nats-server", X_OK) == 0 || access("/usr/bin/nats-server", X_OK) == 0 ||
	       access("/usr/local/bin/nats-server", X_OK) == 0;
}

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

void server_start(struct server *server, const char *lines)
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

void server_init(struct server *server)
{
	*server = (struct server){.port = free_port()};
	snprintf(server->folder, sizeof(server->folder), "/tmp/roost-bus-XXXXXX");
	assert_non_null(mkdtemp(server->folder));
}

void server_kill(struct server *server)
{
	int status;
	kill(server->pid, SIGKILL);
	assert_int_equal(waitpid(server->pid, &status, 0), server->pid);
	server->pid = 0;
	/* 127: there is no such program. */
	assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 127);
}

void server_fini(struct server *server)
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

void end_init(struct end *end, const struct bus_settings *settings)
{
	struct bus_receiver receiver = {end, on_datagram, on_connected, on_lost};
	char fault[BUS_TEXT_BYTES];
	*end = (struct end){0};
	end->bus = bus_new(settings, receiver, clock_now_ms(), fault);
	if (end->bus == NULL)
		fail_msg("no bus: %s", fault);
}

void end_init_plain(struct end *end, const char *urls, const char *node)
{
	struct bus_settings settings = {.urls = urls, .cluster = "test", .node = node, .shares_library = true};
	end_init(end, &settings);
}

void url_of(const struct server *server, char url[64])
{
	snprintf(url, 64, "nats://127.0.0.1:%u", server->port);
}

void turn(struct end *ends, uint32_t count)
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

void turn_for(struct end *ends, uint32_t count, uint64_t time_ms)
{
	for (uint64_t until_ms = clock_now_ms() + time_ms; clock_now_ms() < until_ms;)
		turn(ends, count);
}

void send_burst(struct end *from, struct end *to, const char *name, size_t size, uint8_t byte)
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

uint32_t open_sockets(void)
{
	DIR *folder = opendir("/proc/thread-self/fd");
	uint32_t count = 0;
	assert_non_null(folder);
	while (readdir(folder) != NULL)
		count++;
	closedir(folder);
	return count;
}

static void *apart_main(void *argument)
{
	int (*tests)(void) = *(int (**)(void))argument;
	fdtable_detach(NULL, 0);
	return (void *)(intptr_t)tests();
}

int run_apart(int (*tests)(void))
{
	pthread_t thread;
	void *result;
	if (pthread_create(&thread, NULL, apart_main, &tests) != 0)
		return 1;
	pthread_join(thread, &result);
	return (int)(intptr_t)result;
}
