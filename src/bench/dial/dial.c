#include "bench/dial/dial.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROBE_TIMEOUT_MS 3000
/* 127.16.0.0/16 to 127.239.0.0/16, one a run. */
#define SOURCE_NETWORK_FIRST 16u
#define SOURCE_NETWORKS 224u
#define SOURCE_HOSTS 250u

_Static_assert(SOURCE_NETWORK_FIRST + SOURCE_NETWORKS <= 256, "networks are the second byte of an address");
_Static_assert(SOURCE_HOSTS < 255, "and hosts the last, without the broadcast");

void dial_init(struct dial *dial, const struct address *address, bool no_delay)
{
	static atomic_uint runs;
	*dial = (struct dial){.address = *address, .spread = address_is_loopback_v4(address), .no_delay = no_delay};
	dial->source_base = ((uint32_t)getpid() * 7u + atomic_fetch_add(&runs, 1u)) % SOURCE_NETWORKS;
}

static struct sockaddr_in source_of(const struct dial *dial, uint32_t client)
{
	CHECK(dial->source_base < SOURCE_NETWORKS);
	if (dial->from.hosts > 0)
		return (struct sockaddr_in){.sin_family = AF_INET,
					    .sin_addr.s_addr = htonl(dial->from.first + client % dial->from.hosts)};
	uint32_t host = client / DIAL_CLIENTS_PER_SOURCE;
	uint32_t address = 127u << 24 | (SOURCE_NETWORK_FIRST + dial->source_base) << 16 | (host / SOURCE_HOSTS) << 8 |
			   (host % SOURCE_HOSTS + 1u);
	return (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
}

static int close_failed(int fd)
{
	int failure = errno;
	close(fd);
	return -failure;
}

int dial_start(const struct dial *dial, uint32_t client)
{
	static const int on = 1;
	const struct address *to = client < dial->first_clients ? &dial->first_address : &dial->address;
	int fd = socket(to->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (dial->spread || dial->from.hosts > 0) {
		struct sockaddr_in source = source_of(dial, client);
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
		if (bind(fd, (struct sockaddr *)&source, sizeof(source)) != 0)
			return close_failed(fd);
	}
	/* With TLS a client's Finished and its first packet are two small writes, and Nagle's algorithm would hold the
	 * second back until the server acknowledges the first, 40 ms later. */
	if (dial->no_delay || dial->transport != NULL)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	const struct sockaddr *target = (const struct sockaddr *)&to->storage;
	if (connect(fd, target, to->size) != 0 && errno != EINPROGRESS)
		return close_failed(fd);
	return fd;
}

int dial_probe(const struct address *address)
{
	int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	int failure = 0;
	if (connect(fd, (const struct sockaddr *)&address->storage, address->size) != 0)
		failure = errno;
	if (failure == EINPROGRESS) {
		struct pollfd wait = {.fd = fd, .events = POLLOUT};
		socklen_t size = sizeof(failure);
		if (poll(&wait, 1, PROBE_TIMEOUT_MS) != 1)
			failure = ETIMEDOUT;
		else
			getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size);
	}
	close(fd);
	return failure;
}

int dial_listen(struct address *address, int backlog)
{
	static const int on = 1;
	int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* Accepted sockets inherit it, so one call serves all of them. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&address->storage, address->size) != 0 || listen(fd, backlog) != 0)
		return close_failed(fd);
	address->size = sizeof(address->storage);
	if (getsockname(fd, (struct sockaddr *)&address->storage, &address->size) != 0)
		return close_failed(fd);
	return fd;
}

uint16_t dial_draw_port(void)
{
	struct url loopback = {.host = "127.0.0.1", .port = 0};
	struct address address;
	if (url_resolve(&loopback, &address) != NULL)
		return 0;
	int listener = dial_listen(&address, 1);
	if (listener < 0)
		return 0;
	close(listener);
	return ntohs(((const struct sockaddr_in *)&address.storage)->sin_port);
}
