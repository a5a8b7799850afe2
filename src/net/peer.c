#include "net/peer.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

union peer peer_of_address(const struct sockaddr_storage *address)
{
	union peer peer = {.v6 = {.sin6_family = AF_UNSPEC}};
	if (address->ss_family == AF_INET)
		memcpy(&peer.v4, address, sizeof(peer.v4));
	else if (address->ss_family == AF_INET6)
		memcpy(&peer.v6, address, sizeof(peer.v6));
	return peer;
}

/* getpeername() says ENOTCONN of a connection that the peer has reset, and SO_PEERNAME does not: who misbehaves and
 * resets at once is not to stay without a name. It refuses a buffer that is longer than the address. */
static bool read_name(int fd, struct sockaddr_storage *address, socklen_t size)
{
	return getsockopt(fd, SOL_SOCKET, SO_PEERNAME, address, &size) == 0;
}

union peer peer_of_socket(int fd)
{
	struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
	bool known = fd >= 0 && read_name(fd, &address, sizeof(struct sockaddr_in));
	if (known && address.ss_family == AF_INET6)
		known = read_name(fd, &address, sizeof(struct sockaddr_in6));
	if (!known)
		address.ss_family = AF_UNSPEC;
	return peer_of_address(&address);
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
