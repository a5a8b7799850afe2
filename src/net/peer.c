#include "net/peer.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

_Static_assert(PEER_TEXT_BYTES_MAX >= INET6_ADDRSTRLEN + sizeof("[]:65535"), "the longest address and a port fit");

union peer peer_of_address(const struct sockaddr_storage *address)
{
	union peer peer = {.v6 = {.sin6_family = AF_UNSPEC}}; /* the longest of its members: all of it is zero */
	if (address->ss_family == AF_INET)
		memcpy(&peer.v4, address, sizeof(peer.v4));
	else if (address->ss_family == AF_INET6)
		memcpy(&peer.v6, address, sizeof(peer.v6));
	return peer;
}

/* After a reset by the peer getpeername() fails with ENOTCONN, and SO_PEERNAME does not: a client that misbehaves and
 * resets at once must not stay anonymous. SO_PEERNAME refuses a buffer that is longer than the address. */
static bool read_peer_name(int fd, struct sockaddr_storage *address, socklen_t size)
{
	return getsockopt(fd, SOL_SOCKET, SO_PEERNAME, address, &size) == 0;
}

union peer peer_of_socket(int fd)
{
	struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
	bool known = fd >= 0 && read_peer_name(fd, &address, sizeof(struct sockaddr_in));
	if (known && address.ss_family == AF_INET6)
		known = read_peer_name(fd, &address, sizeof(struct sockaddr_in6));
	if (!known)
		address.ss_family = AF_UNSPEC;
	return peer_of_address(&address);
}

union peer peer_of_stream(struct streams *streams, struct stream stream)
{
	int fd = stream_borrow(streams, stream);
	union peer peer = peer_of_socket(fd);
	stream_give_back(streams, stream, fd);
	return peer;
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
	} else {
		snprintf(text, PEER_TEXT_BYTES_MAX, "unknown");
	}
	return text;
}
