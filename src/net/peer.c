#include "net/peer.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

_Static_assert(PEER_TEXT_BYTES_MAX >= INET6_ADDRSTRLEN + sizeof("[]:65535"), "the longest address and a port fit");
_Static_assert(offsetof(struct peer_process, family) == offsetof(struct sockaddr, sa_family), "both tell what it is");
_Static_assert(sizeof(struct peer_process) <= sizeof(struct sockaddr_in6), "an IPv6 address is the longest peer");

/* ::ffff:192.0.2.1 is 192.0.2.1 on a socket for both. */
static void unmap_v4(union peer *peer)
{
	if (!IN6_IS_ADDR_V4MAPPED(&peer->v6.sin6_addr))
		return;
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = peer->v6.sin6_port};
	memcpy(&v4.sin_addr, peer->v6.sin6_addr.s6_addr + 12, sizeof(v4.sin_addr));
	*peer = (union peer){.v6 = {.sin6_family = AF_UNSPEC}};
	peer->v4 = v4;
}

union peer peer_of_address(const struct sockaddr_storage *address)
{
	union peer peer = {.v6 = {.sin6_family = AF_UNSPEC}}; /* the longest of its members: all of it is zero */
	if (address->ss_family == AF_INET) {
		memcpy(&peer.v4, address, sizeof(peer.v4));
	} else if (address->ss_family == AF_INET6) {
		memcpy(&peer.v6, address, sizeof(peer.v6));
		unmap_v4(&peer);
	}
	return peer;
}

/* After a reset by the peer getpeername() fails with ENOTCONN, and SO_PEERNAME does not: a client that misbehaves and
 * resets at once must not stay anonymous. SO_PEERNAME refuses a buffer that is longer than the address. */
static bool read_peer_name(int fd, struct sockaddr_storage *address, socklen_t size)
{
	return getsockopt(fd, SOL_SOCKET, SO_PEERNAME, address, &size) == 0;
}

static union peer peer_of_unix_socket(int fd)
{
	union peer peer = {.v6 = {.sin6_family = AF_UNSPEC}};
	struct ucred credentials;
	socklen_t size = sizeof(credentials);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0)
		peer.process = (struct peer_process){
			.family = AF_UNIX, .pid = credentials.pid, .uid = credentials.uid, .gid = credentials.gid};
	return peer;
}

static bool socket_is_unix(int fd)
{
	int domain = AF_UNSPEC;
	socklen_t size = sizeof(domain);
	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

union peer peer_of_socket(int fd)
{
	struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
	bool known = fd >= 0 && read_peer_name(fd, &address, sizeof(struct sockaddr_in));
	if (known && address.ss_family == AF_INET6)
		known = read_peer_name(fd, &address, sizeof(struct sockaddr_in6));
	if (known && (address.ss_family == AF_INET || address.ss_family == AF_INET6))
		return peer_of_address(&address);
	if (fd >= 0 && socket_is_unix(fd))
		return peer_of_unix_socket(fd);
	address.ss_family = AF_UNSPEC;
	return peer_of_address(&address);
}

union peer peer_of_stream(struct streams *streams, struct stream stream)
{
	const struct sockaddr *told = stream_facts(streams, stream).peer;
	if (told != NULL) {
		struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
		if (told->sa_family == AF_INET)
			memcpy(&address, told, sizeof(struct sockaddr_in));
		else if (told->sa_family == AF_INET6)
			memcpy(&address, told, sizeof(struct sockaddr_in6));
		return peer_of_address(&address);
	}
	int fd = stream_borrow(streams, stream);
	union peer peer = peer_of_socket(fd);
	stream_give_back(streams, stream, fd);
	return peer;
}

struct sockaddr_storage peer_address(const union peer *peer)
{
	struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
	if (peer->any.sa_family == AF_INET)
		memcpy(&address, &peer->v4, sizeof(peer->v4));
	else if (peer->any.sa_family == AF_INET6)
		memcpy(&address, &peer->v6, sizeof(peer->v6));
	return address;
}

bool peer_is_local(const union peer *peer)
{
	if (peer->any.sa_family == AF_INET)
		return ntohl(peer->v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	if (peer->any.sa_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&peer->v6.sin6_addr);
	return peer->any.sa_family == AF_UNIX;
}

const char *peer_print(const union peer *peer, char text[PEER_TEXT_BYTES_MAX])
{
	char host[INET6_ADDRSTRLEN];
	if (peer->any.sa_family == AF_INET) {
		inet_ntop(AF_INET, &peer->v4.sin_addr, host, sizeof(host));
		snprintf(text, PEER_TEXT_BYTES_MAX, "%s:%u", host, ntohs(peer->v4.sin_port));
	} else if (peer->any.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &peer->v6.sin6_addr, host, sizeof(host));
		snprintf(text, PEER_TEXT_BYTES_MAX, "[%s]:%u", host, ntohs(peer->v6.sin6_port));
	} else if (peer->any.sa_family == AF_UNIX) {
		snprintf(text, PEER_TEXT_BYTES_MAX, "unix:uid=%u,pid=%d", peer->process.uid, peer->process.pid);
	} else {
		snprintf(text, PEER_TEXT_BYTES_MAX, "unknown");
	}
	return text;
}
