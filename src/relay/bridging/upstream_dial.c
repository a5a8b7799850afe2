#include "relay/bridging/upstream_dial.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "bridge/redis_tls.h"
#include "transport/tls_connect.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static bool dial_fail(struct upstream_dial *dial, const char *what, const char *why)
{
	snprintf(dial->fault, sizeof(dial->fault), "%.100s%.140s", what, why);
	return false;
}

/* ---- files ---- */

static void forget_password(struct upstream_dial *dial)
{
	if (dial->password != NULL)
		sodium_memzero(dial->password, dial->password_bytes);
	free(dial->password);
	dial->password = NULL;
	dial->password_bytes = 0;
}

static bool read_password(struct upstream_dial *dial)
{
	const char *path = dial->bridge->password_file;
	forget_password(dial);
	if (path[0] == '\0')
		return true;
	const char *why =
		file_read(path, UPSTREAM_PASSWORD_BYTES_MAX, FILE_SECRET, &dial->password, &dial->password_bytes);
	if (why != NULL) {
		snprintf(dial->fault, sizeof(dial->fault), "password_file: %.160s: %.60s", path, why);
		return false;
	}
	while (dial->password_bytes != 0 &&
	       (dial->password[dial->password_bytes - 1] == '\n' || dial->password[dial->password_bytes - 1] == '\r'))
		dial->password_bytes--;
	return true;
}

static struct tls_context *read_tls_files(const struct mqtt_bridge *bridge, char fault[TLS_FAULT_BYTES_MAX])
{
	const struct redis_tls_settings settings = {
		.on = true,
		.ca_file = bridge->ca_file,
		.certificate = bridge->certificate_file,
		.key = bridge->key_file,
		.name = "",
	};
	return redis_tls_read(&settings, fault);
}

static bool read_files(struct upstream_dial *dial)
{
	char fault[TLS_FAULT_BYTES_MAX];
	if (!read_password(dial))
		return false;
	tls_context_put(&dial->context);
	if (!dial->bridge->is_tls)
		return true;
	dial->context = read_tls_files(dial->bridge, fault);
	return dial->context != NULL || dial_fail(dial, "TLS: ", fault);
}

bool upstream_files_check(const struct mqtt_bridge *bridge, char fault[ITEM_FAULT_BYTES_MAX])
{
	struct upstream_dial dial = {.bridge = bridge};
	bool good = read_files(&dial);
	if (!good)
		item_fault(fault, "%s", dial.fault);
	forget_password(&dial);
	tls_context_put(&dial.context);
	return good;
}

/* ---- connecting ---- */

static bool await_connected(struct upstream_dial *dial, int fd)
{
	uint64_t until_ms = clock_now_ms() + UPSTREAM_DIAL_MS;
	for (;;) {
		uint64_t now_ms = clock_now_ms();
		struct pollfd polled = {.fd = fd, .events = POLLOUT};
		/* In slices, so that a stop of the gateway is not held up. */
		int slice_ms = 100;
		if (now_ms >= until_ms || atomic_load(&dial->given_up))
			return dial_fail(dial, "no answer to the connection", "");
		if (poll(&polled, 1, slice_ms) > 0)
			break;
	}
	int number = 0;
	socklen_t size = sizeof(number);
	CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &size) == 0);
	return number == 0 || dial_fail(dial, strerror(number), "");
}

/* -1: fault says why. */
static int connect_to(struct upstream_dial *dial, const struct addrinfo *address)
{
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		dial_fail(dial, strerror(errno), "");
		return -1;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	bool good = connect(fd, address->ai_addr, address->ai_addrlen) == 0;
	if (!good && errno != EINPROGRESS)
		dial_fail(dial, strerror(errno), "");
	else if (good || await_connected(dial, fd))
		return fd;
	close(fd);
	return -1;
}

static bool upstream_dial_shake_hands(struct upstream_dial *dial, int fd)
{
	char fault[TLS_FAULT_BYTES_MAX];
	enum error error;
	const struct tls_connect connect = {
		.context = dial->context, .name = dial->bridge->host, .timeout_ms = UPSTREAM_DIAL_MS};
	dial->fd = fd;
	dial->stream = stream_of(STREAM_DESCRIPTOR, fd);
	if (!dial->bridge->is_tls)
		return true;
	dial->stream = tls_connect(&dial->streams, fd, &connect, NULL, &error, fault);
	if (stream_exists(dial->stream))
		return true;
	close(fd);
	return dial_fail(dial, "TLS: ", fault);
}

static bool dial_up(struct upstream_dial *dial)
{
	char port[8];
	struct addrinfo *found = NULL;
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	if (!read_files(dial))
		return false;
	snprintf(port, sizeof(port), "%u", dial->bridge->port);
	int number = getaddrinfo(dial->bridge->host, port, &hints, &found);
	if (number != 0)
		return dial_fail(dial, "the name is not found: ", gai_strerror(number));
	int fd = -1;
	for (const struct addrinfo *address = found; address != NULL && fd < 0; address = address->ai_next) {
		if (atomic_load(&dial->given_up))
			break;
		fd = connect_to(dial, address);
	}
	freeaddrinfo(found);
	return fd >= 0 && upstream_dial_shake_hands(dial, fd);
}

static void *upstream_dial_main(void *argument)
{
	struct upstream_dial *own = argument;
	int done_fd = own->done_fd;
	own->good = dial_up(own);
	atomic_store_explicit(&own->is_done, true, memory_order_release);
	eventfd_write(done_fd, 1); /* the owner may have freed it by now */
	return NULL;
}

/* ---- the owner's side ---- */

bool upstream_dial_init(struct upstream_dial *dial, const struct mqtt_bridge *bridge, int done_fd)
{
	*dial = (struct upstream_dial){.bridge = bridge, .done_fd = done_fd, .fd = -1, .stream = STREAM_NONE};
	streams_init(&dial->streams);
	return !bridge->is_tls || tls_streams_open(&dial->tls, &dial->streams, NULL) == ERROR_OK;
}

void upstream_dial_fini(struct upstream_dial *dial)
{
	CHECK(!dial->is_running);
	forget_password(dial);
	tls_context_put(&dial->context);
	if (dial->bridge->is_tls)
		tls_streams_close(&dial->tls);
}

bool upstream_dial_begin(struct upstream_dial *dial)
{
	CHECK(!dial->is_running);
	atomic_store(&dial->is_done, false);
	atomic_store(&dial->given_up, false);
	dial->is_running = pthread_create(&dial->thread, NULL, upstream_dial_main, dial) == 0;
	return dial->is_running || dial_fail(dial, "there is no thread to connect with", "");
}

bool upstream_dial_end(struct upstream_dial *dial)
{
	CHECK(dial->is_running);
	pthread_join(dial->thread, NULL);
	dial->is_running = false;
	return dial->good;
}

void upstream_dial_give_up(struct upstream_dial *dial)
{
	if (!dial->is_running)
		return;
	atomic_store(&dial->given_up, true);
	if (upstream_dial_end(dial))
		stream_close(&dial->streams, dial->stream);
}
